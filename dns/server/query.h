/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query - what is answered to whom; pure.
 *
 * A query walks an ordered table of steps; the first that knows the answer
 * ends it. Nobody outside the zones' clients learns anything, names of ours
 * never leave this host, and all else is the upstreams' (QUERY_FORWARD).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg.h"
#include "owned.h"
#include "stub.h"
#include "zone.h"
#include "netd/dns.h"

/*
 * Questions we ask our own upstreams: PROBE.PROBE_ZONE, an unknown PROBE each.
 * When one arrives here that upstream leads back to us.
 */
#define PROBE_LEN 16
#define PROBE_ZONE "netd-probe"
#define PROBES_MAX 64

struct query_probes {
	/* Lower-case text; empty while none is out. */
	char label[PROBES_MAX][PROBE_LEN + 1];
};

struct query_env {
	const struct zones *zones;
	/* NULL: none, as in tests. */
	const struct stubs *stubs;
	const struct owned *owned;
	/* State of a small generator: order of addresses, nothing secret. */
	uint64_t random;
	struct query_probes probes;
	struct dns_stats stats;
};

/* A query that was read: what is asked, and what the asker sees. */
struct query_in {
	struct dns_query q;
	/* As dns_query_read() said. */
	int rcode;
	struct ip_addr src;
	/* Nobody we know: there is no view. */
	bool is_stranger;
	struct view view;
	/* Where its name is kept, if it is what most names are. */
	struct names_spot spot;
};

enum query_verdict {
	QUERY_DROP,
	/* The answer is written. */
	QUERY_REPLY,
	/* For the upstreams. */
	QUERY_FORWARD,
	/* A SERVFAIL is written; probe number ret->upstream came here. */
	QUERY_LOOP,
};

struct query_result {
	size_t len;
	unsigned upstream;
	/* QUERY_FORWARD: whom to ask; NULL: the node's own upstreams. */
	const struct stub *stub;
	/* Which step knew the answer, and where it found the name: vni 0 and
	 * kind -1 when it did not. */
	const char *step;
	uint32_t vni;
	int kind;
};

/*
 * In three steps, so that each can be taken for a whole batch: then many
 * look-ups wait for memory together. The second may be left out.
 */
void query_read(const struct query_env *env, const void *data, size_t len,
		const struct ip_addr *src, struct query_in *ret);
void query_near(const struct query_env *env, const struct query_in *in);

/* out has DNS_TCP_MAX bytes for TCP, DNS_UDP_MAX for UDP. */
enum query_verdict query_answer(struct query_env *env, struct query_in *in,
				bool tcp, void *out, struct query_result *ret);

/* The room an answer to q has. */
static inline size_t query_limit(const struct dns_query *q, bool tcp)
{
	return tcp ? DNS_TCP_MAX : q->udp_size;
}
