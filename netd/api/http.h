/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - a listener: HTTP on a Unix socket, on the libev loop.
 *
 * What a request asks for is its router's business: the API's (api_router)
 * knows api_ops[], an adapter has one of its own. The handler gets requests
 * whose operation and arguments have passed the router; everything else has
 * been refused before, in the router's words. It answers each exactly once,
 * at once or from a later turn of the loop. Who asks is who connected
 * (SO_PEERCRED).
 *
 * A request that comes too slowly, is too large or is one too many costs its
 * sender the connection, never the loop. Loop thread only. Failures: -errno.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "netd/api.h"

struct ev_loop;
struct http;

/* Connections; the last ones are for root, who is to repair what is wrong. */
#define HTTP_CONNECTIONS_MAX 256
#define HTTP_CONNECTIONS_ROOT 16

#define HTTP_SILENCE_S 10

struct http_request {
	/* The router's number for what is asked: enum api_op for the API. */
	int op;
	/* Arguments of the path and of the body, checked. The request's. */
	json_t *args;
	pid_t peer_pid;
	uid_t peer_uid;
	gid_t peer_gid;
};

/* Why a request is refused. The texts are empty where there is none. */
struct http_refusal {
	enum api_error error;
	/* Not error's own status when it is not 0 (405). */
	int status;
	char field[64];
	char message[256];
	char hint[160];
};

/* Pure: what a path and a body mean, and how an error is said. */
struct http_router {
	/* For logs: "api". */
	const char *name;
	/* A sender that is not done after this has its connection closed. */
	unsigned int silence_s;
	const char *content_type;
	/*
	 * The operation of a method and a path as sent, still escaped. *args
	 * becomes an object with what stood in the path. -EINVAL fills *why;
	 * "allow" of a 405 are the path's methods, comma separated.
	 */
	int (*route)(const char *method, const char *path, int *op,
		     json_t **args, struct http_refusal *why, char *allow,
		     size_t allow_size);
	/* Adds a body's fields to args and checks them all. As above. */
	int (*body)(int op, const char *body, size_t len, json_t *args,
		    struct http_refusal *why);
	/* The body of an error; NULL: somebody's bytes are in a text. */
	json_t *(*error)(enum api_error error, const char *field,
			 const char *message, const char *hint);
};

/* {"code", "message", "hint", "field"}, or what was asked for. */
extern const struct http_router api_router;

typedef void http_handler(void *arg, struct http_request *req);
typedef void http_gone_fn(void *arg);

/*
 * Makes the listening socket at path, 0660 with the group, 0600 when the
 * group is NULL or does not exist. A socket that nobody listens on is
 * replaced; whatever else stands there is refused: a symlink (-ELOOP), no
 * socket (-EEXIST), another user's (-EPERM), a live daemon's (-EADDRINUSE).
 * A failure fills error. Returns the descriptor.
 */
int http_listen(const char *path, const char *group, char *error, size_t size);

/*
 * Serves a listening Unix socket, made by http_listen() or handed over by the
 * service manager. The descriptor is taken, also on failure.
 */
int http_open(struct ev_loop *loop, int fd, const struct http_router *router,
	      http_handler *handler, void *arg, struct http **ret);

/*
 * Ends all connections; requests that wait for their answer are gone, as if
 * their clients had left. The socket's path stays. NULL is fine.
 */
void http_close(struct http *http);

/* Connections that are open now. */
unsigned int http_connections(const struct http *http);

/*
 * Calls fn once if the client leaves before the reply; the request must not
 * be touched from then on. Without it a reply to nobody is dropped.
 */
void http_on_gone(struct http_request *req, http_gone_fn *fn, void *arg);

/* Answers; body is taken, NULL is an empty answer. The request is then over. */
void http_reply(struct http_request *req, int status, json_t *body);

/* Texts may be NULL. */
void http_reply_error(struct http_request *req, enum api_error error,
		      const char *field, const char *message, const char *hint);

/*
 * A reply that goes on for as long as its client listens. fill() writes what
 * there is, up to size bytes, and returns how much; 0: nothing for now, until
 * http_stream_more(), or HTTP_STREAM_END. It must not call anything of http.
 * A client that reads slowly is asked for less often, never waited for. gone()
 * runs once at the end, whoever ended it; the request is then over. More than
 * HTTP_STREAMS_MAX at a time: -EBUSY, and the request is still to be answered.
 */
#define HTTP_STREAMS_MAX 64
#define HTTP_STREAM_END (-1)

typedef ssize_t http_fill_fn(void *arg, char *buf, size_t size);
int http_stream(struct http_request *req, const char *type, http_fill_fn *fill,
		http_gone_fn *gone, void *arg);
void http_stream_more(struct http_request *req);
