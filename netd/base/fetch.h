/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch - an HTTP client on the caller's loop: requests and line streams.
 *
 * libcurl does the protocol; what it wants of sockets and timers goes through
 * libev. No callback runs from inside fetch_start() or fetch_cancel(), and a
 * callback may start and cancel any call, its own included. fetch_close() is
 * not for callbacks. Loop thread only. Proxies named in the environment are
 * not used and redirects not followed: the address given is who is meant.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct fetch;
struct fetch_call;

/* Files in PEM form, NULL where unused. */
struct fetch_tls {
	const char *ca, *cert, *key;
};

/* The strings are the client's and last as long as the callback. */
struct fetch_reply {
	/* 0: there was an answer, whatever its status; else -errno. */
	int err;
	/* Why there was none, in words; "" when there was. */
	const char *error;
	int status;
	/* What was not handed to line(); ends with a 0 that is not counted. */
	const char *body;
	size_t len;
};

struct fetch_request {
	/* http:// or https:// */
	const char *url;
	/* Talk over this Unix socket, or NULL. */
	const char *unix_path;
	/* NULL: POST with a body, GET without. */
	const char *method;
	/* JSON, or NULL. */
	const char *body;
	/* "Name: value", ended by NULL; may be NULL. */
	const char *const *headers;
	/* For the whole call, and for its connection; 0: no limit. */
	uint32_t timeout_ms;
	uint32_t connect_ms;
	/*
	 * Use only connections made within this time; 0: any. After a failure
	 * that may have been the path's, older ones are not to be trusted.
	 */
	uint32_t reuse_ms;
	/* The largest body, or line of a stream, that is taken. */
	size_t max;
	/*
	 * A stream: each line as it comes, without its end. The call gets a
	 * connection of its own, which ends with it.
	 */
	void (*line)(void *arg, const char *line, size_t len);
	/* The end: after it the call is gone. */
	void (*done)(void *arg, const struct fetch_reply *reply);
	void *arg;
};

/* tls may be NULL. -EIO: libcurl does not start. */
int fetch_open(struct ev_loop *loop, const struct fetch_tls *tls,
	       struct fetch **ret);

/* Calls that are open end without done(). NULL is fine. */
void fetch_close(struct fetch *fetch);

/* Copies what it is given. -EINVAL: libcurl refuses the request. */
int fetch_start(struct fetch *fetch, const struct fetch_request *req,
		struct fetch_call **ret);

/* Ends the call without done(). NULL is fine. */
void fetch_cancel(struct fetch_call *call);
