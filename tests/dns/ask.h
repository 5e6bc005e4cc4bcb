/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - questions over UDP and TCP while the loop runs on.
 *
 * The loop carries netd's side of the server and the fake upstreams too, so
 * that one process is the whole world around a server.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/addr.h"

struct ev_loop;

#define ASK_BYTES 65535

struct ask {
	struct ip_addr from;
	struct ip_addr to;
	bool tcp;
	const uint8_t *query;
	size_t len;
	/* How long to wait. */
	int ms;
};

struct asked {
	/* 0: no answer in time, or the connection was closed. */
	size_t len;
	int64_t took_ms;
	uint8_t data[ASK_BYTES];
};

/* Asks n times at once, each from a socket of its own; waits for them all. */
void ask_run(struct ev_loop *loop, const struct ask *ask, struct asked *ret,
	     size_t n);

/* Runs the loop for this long. */
void ask_spin(struct ev_loop *loop, int ms);
