/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream - the servers outside, and a question's way among them.
 *
 * The first server of a list is asked; when it is silent for HEDGE_MS the
 * next one is too, and whoever answers first wins: late answers still count.
 * A refusal, or a failure by the server's own words, leads to the next at
 * once. When all are known to be down they get one chance, a short one, since
any of them may just be back. No question costs more than UPSTREAM_PACKETS_MAX
packets.
 *
 * A server that failed is looked at by a question of our own for a name that
 * nobody else knows. Any answer shows that it lives; and should the question
 * arrive at our own listeners, that server leads back here and is left out,
 * until a later check is answered and does not come round.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "msg.h"
#include "netd/dns.h"
#include "netd/want.h"
#include "query.h"

struct ev_loop;
struct upstream;

#define UPSTREAM_PACKETS_MAX 6
#define UPSTREAM_HEDGE_MS 500

struct upstream_answer {
	/* NULL: none. May be written to; gone after the call. */
	uint8_t *data;
	size_t len;
	struct dns_answer info;
	/* The server that said it. */
	struct want_server server;
};

typedef void upstream_fn(void *ctx, uint64_t token,
			 struct upstream_answer *answer);

/* probes: shown to whoever reads questions (query.h). */
struct upstream *upstream_new(struct ev_loop *loop, struct query_probes *probes,
			      struct dns_stats *stats, upstream_fn *done,
			      void *ctx);
void upstream_free(struct upstream *u);

/*
 * All servers there are from now on. Our own addresses are the caller's to
 * leave out.
 */
void upstream_set(struct upstream *u, const struct want_server *servers,
		  size_t n);

/*
 * Asks one of these. done(token) runs once, never from within; it does not
 * any more after upstream_cancel(). -EHOSTDOWN: there is nobody to ask.
 */
int upstream_send(struct upstream *u, const struct want_server *servers,
		  size_t n, const struct dns_name *name, uint16_t type,
		  uint64_t token);
void upstream_cancel(struct upstream *u, uint64_t token);

/* Probe number n came back here. */
void upstream_loop(struct upstream *u, unsigned n);

/* States of all servers; returns how many. */
size_t upstream_list(const struct upstream *u, struct dns_upstream_state *ret,
		     size_t max);
