/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward - questions on their way to the upstreams and back.
 *
 * One question is asked once, however many wait for it. Waiting is bounded:
 * per client, in all, and in time. How a question is sent is the caller's
 * (`send`), and so is the clock, so that all of this runs without a network.
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

#define FORWARD_MAX 1024
#define FORWARD_CLIENT_MAX 64
/* Below the 5 s after which resolvers ask again (resolv.conf(5)). */
#define FORWARD_TIME_MS 4500

/* Where an answer goes: a listener's or a connection's number. */
struct forward_to {
	bool tcp;
	uint64_t id;
	struct sockaddr_storage peer;
	socklen_t peer_len;
};

struct forward_ops {
	/* Asks; the answer comes by forward_done(token). 0 or -errno. */
	int (*send)(void *ctx, const uint8_t *query, size_t len,
		    uint64_t token);
	void (*reply)(void *ctx, const struct forward_to *to,
		      const uint8_t *data, size_t len);
	/* When forward_expire() wants to be called, -1 for never. */
	void (*wake)(void *ctx, int64_t at);
};

struct forward;

struct forward *forward_new(const struct forward_ops *ops, void *ctx,
			    struct cache *cache, struct dns_stats *stats);
void forward_free(struct forward *f);

/*
 * Takes a query that is not ours. Returns the length of an answer that is
 * there at once (cached, or a refusal), written to out; 0: it comes later.
 */
size_t forward_query(struct forward *f, const struct dns_query *q,
		     const struct ip_addr *client, const struct forward_to *to,
		     int64_t now, uint8_t *out);

/* An upstream's answer, or none (data NULL). Unknown tokens are late ones. */
void forward_done(struct forward *f, uint64_t token, uint8_t *data, size_t len,
		  int64_t now);

/* Answers SERVFAIL to those who waited too long. */
void forward_expire(struct forward *f, int64_t now);

size_t forward_waiting(const struct forward *f);
