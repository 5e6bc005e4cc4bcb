/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward - questions on their way to the upstreams and back.
 *
 * One question is asked once, however many wait for it. Waiting is bounded:
 * per client, in all, and in time. When no upstream answers, or not soon, an
 * answer that was kept past its time is better than none. How a question is
 * sent is the caller's (`send`), and so is the clock, so that all of this
 * runs without a network.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache.h"
#include "msg.h"
#include "netd/addr.h"
#include "netd/dns.h"
#include "upstream.h"

/* Below the 5 s after which resolvers ask again (resolv.conf(5)). */
#define FORWARD_TIME_MS 4500
/* After this a stale answer is given out; the question goes on (RFC 8767). */
#define FORWARD_STALE_MS 1800

/* Where an answer goes: a listener's, a connection's or an asker's number. */
struct forward_to {
	bool tcp;
	/* netd asks, for a person. */
	bool control;
	uint64_t id;
	struct sockaddr_storage peer;
	socklen_t peer_len;
};

/* Whom to ask. */
struct forward_group {
	/* Of these servers and no others, ever. */
	uint64_t id;
	const struct want_server *servers;
	size_t len;
	/* The operator's own zone: inside addresses are what it is for. */
	bool inside;
};

/* Where an answer is from. */
enum forward_source {
	FORWARD_NONE,
	FORWARD_CACHE,
	FORWARD_STALE,
	FORWARD_UPSTREAM,
	/* Too many waiting. */
	FORWARD_LIMIT,
};

struct forward_note {
	enum forward_source source;
	/* Whose answer it is; unset for NONE and LIMIT. */
	struct want_server server;
};

struct forward_ops {
	/* Asks; the answer comes by forward_done(token). 0 or -errno. */
	int (*send)(void *ctx, const struct forward_group *group,
		    const struct dns_name *name, uint16_t type, uint64_t token);
	/* Nobody waits any more. */
	void (*cancel)(void *ctx, uint64_t token);
	void (*reply)(void *ctx, const struct forward_to *to,
		      const uint8_t *data, size_t len,
		      const struct forward_note *note);
	/* When forward_expire() wants to be called at the latest. */
	void (*wake)(void *ctx, int64_t at);
};

struct forward;

struct forward *forward_new(const struct forward_ops *ops, void *ctx,
			    struct cache *cache, struct dns_stats *stats);
void forward_free(struct forward *f);

/* From now on. */
void forward_set(struct forward *f, const struct dns_settings *settings);

/*
 * Takes a query that is not ours. Returns the length of an answer that is
 * there at once (cached, or a refusal), written to out, with its source; 0:
 * it comes later.
 */
size_t forward_query(struct forward *f, const struct forward_group *group,
		     const struct dns_query *q, const struct ip_addr *client,
		     const struct forward_to *to, int64_t now, uint8_t *out,
		     struct forward_note *note);

/* An upstream's answer, or none. Unknown tokens are late ones. */
void forward_done(struct forward *f, uint64_t token,
		  struct upstream_answer *answer, int64_t now);

/* Answers those who waited long enough. */
void forward_expire(struct forward *f, int64_t now);

size_t forward_waiting(const struct forward *f);
