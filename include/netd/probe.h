/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - what the reconciler may ask of the health prober.
 *
 * The prober is a process of its own (netd-probe), without privileges: it
 * alone reads what backends answer. It outlives the caller: probe_open()
 * adopts one of this version that is still there, with what it has found out,
 * and otherwise starts one. A prober that died is started again and told
 * everything anew; what it had said stays true until its successor says else.
 *
 * Loop thread only. Failures: -errno.
 */
#pragma once

#include <stddef.h>

#include "netd/want.h"

struct ev_loop;
struct probe;

enum probe_kind {
	PROBE_NONE,
	/* A TCP connection is accepted. */
	PROBE_TCP,
	/* GET PATH is answered with 200 to 399. */
	PROBE_HTTP,
	PROBE_KIND_MAX
};

#define PROBE_PATH_LEN 128

struct probe_check {
	enum probe_kind kind;
	/* 0: the one that the backend serves on. */
	uint16_t port;
	char path[PROBE_PATH_LEN];
	uint32_t interval_ms;
	uint32_t timeout_ms;
	/* Successes until up, failures until down, in a row. */
	uint32_t rise;
	uint32_t fall;
};

/* Which backend of which service. */
struct probe_key {
	uint32_t vni;
	char service[NAME_LEN];
	struct ip_addr addr;
	uint16_t port;
};

struct want_probe {
	struct probe_key key;
	struct probe_check check;
};

enum probe_status {
	/* Not checked often enough yet. */
	PROBE_UNKNOWN,
	PROBE_UP,
	PROBE_DOWN,
	PROBE_STATUS_MAX
};

/* What the last check came to. */
enum probe_reason {
	PROBE_REASON_NONE,
	PROBE_REASON_CONNECTED,
	PROBE_REASON_REFUSED,
	PROBE_REASON_TIMEOUT,
	PROBE_REASON_UNREACHABLE,
	/* Closed before an answer. */
	PROBE_REASON_CLOSED,
	/* The answer is not HTTP. */
	PROBE_REASON_NOT_HTTP,
	/* An HTTP status: in `detail`. */
	PROBE_REASON_HTTP,
	/* The prober's own trouble: an errno in `detail`. */
	PROBE_REASON_LOCAL,
	PROBE_REASON_MAX
};

struct probe_state {
	enum probe_status status;
	enum probe_reason reason;
	uint32_t detail;
	/* When it became so, in seconds since 1970. */
	int64_t since;
};

struct probe_config {
	/* Folder (0700) of the socket that parent and child talk over. */
	const char *run_dir;
	/* Path of the netd-probe program. */
	const char *program;
	/* User of the child; a uid of its own when the name does not exist. */
	const char *user;
	/* A backend's status is another now. */
	void (*changed)(void *arg, const struct probe_key *key);
	void *arg;
};

int probe_open(struct ev_loop *loop, const struct probe_config *config,
	       struct probe **ret);

/* Forgets, and leaves the prober checking. NULL is fine. */
void probe_close(struct probe *p);

/* Ends the prober that listens in run_dir, if there is one. */
int probe_remove(const char *run_dir);

/* The prober's process, 0 while there is none. */
int probe_pid(const struct probe *p);

/* All checks of one network: what is not put before end is not wanted. */
void probe_begin(struct probe *p, uint32_t vni);
void probe_put(struct probe *p, const struct want_probe *want);
void probe_end(struct probe *p, uint32_t vni);

/* All networks were put: what an adopted prober still checks beside is not. */
void probe_sweep(struct probe *p);

/* PROBE_UNKNOWN for what is not checked. */
struct probe_state probe_state(const struct probe *p,
			       const struct probe_key *key);

/* "HTTP status 500". */
void probe_reason_text(const struct probe_state *state, char *buf, size_t size);
