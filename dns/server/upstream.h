/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream - the host's resolvers, by c-ares on our loop.
 *
 * c-ares tries servers in turn and falls back to TCP. It cannot change its
 * servers while it waits (ARES_ENOTIMP), so a change makes a new channel and
 * the old one drains. A channel is also retired after some questions, which
 * gives new source ports under constant load, and when its first server
 * keeps silent, which then goes last.
 *
 * An upstream that leads back to us is found by asking each for a name that
 * only we know, and left out.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "netd/addr.h"
#include "query.h"

struct ev_loop;
struct upstream;

/* data NULL: no answer. The bytes may be written to. */
typedef void upstream_fn(void *ctx, uint64_t token, uint8_t *data, size_t len);

struct upstream *upstream_new(struct ev_loop *loop, upstream_fn *done,
			      void *ctx);
void upstream_free(struct upstream *u);

#define UPSTREAMS_MAX 8

/* Those in use: loops and our own gateways are the caller's to leave out. */
void upstream_set(struct upstream *u, const struct ip_addr *addrs, size_t n);

/* 0; -ENETUNREACH without upstreams. done may run before it returns. */
int upstream_send(struct upstream *u, const uint8_t *query, size_t len,
		  uint64_t token);

/* Asks each upstream for PROBE<number> in PROBE_ZONE; answers are ignored. */
void upstream_probe(struct upstream *u, const char probe[PROBE_LEN + 1]);

/* The number of a probe that came back here: it is not asked again. */
void upstream_loop(struct upstream *u, unsigned number);
