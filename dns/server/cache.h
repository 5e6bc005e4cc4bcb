/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache - checked answers of upstreams, for as long as they may be kept.
 *
 * Answers of different groups of servers are kept apart. A name that does not
 * exist (NXDOMAIN) has no type that exists (RFC 2308 5): one entry for all.
 * What is too old stays for a time, to be given out when no upstream answers
 * (RFC 8767). Bounded in entries and bytes; the one unused for longest goes
 * first. The caller brings the clock (milliseconds), which makes it testable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg.h"
#include "netd/dns.h"

#define CACHE_BYTES_MAX (8u << 20)
/* A larger answer is passed on and not kept. */
#define CACHE_ANSWER_MAX 4096
/* What is too old is given out for so long (RFC 8767 4). */
#define CACHE_STALE_TTL 30

struct cache_limits {
	size_t entries;
	size_t bytes;
	/* Seconds: of what is there, of what is not, past its time. */
	uint32_t ttl_min;
	uint32_t ttl_max;
	uint32_t negative_max;
	uint32_t stale;
};

/* Which servers a name is asked of, and the question. */
struct cache_key {
	uint64_t group;
	const struct dns_name *name;
	uint16_t type;
};

struct cache_hit {
	uint8_t data[CACHE_ANSWER_MAX];
	size_t len;
	bool stale;
	/* Whose answer it is. */
	struct want_server server;
};

struct cache;

struct cache *cache_new(const struct cache_limits *limits);
void cache_free(struct cache *cache);
/* From now on; what does not fit any more goes. */
void cache_limit(struct cache *cache, const struct cache_limits *limits);

/* data as dns_answer_check() left it; kept only if it may be. */
void cache_put(struct cache *cache, const struct cache_key *key,
	       const struct dns_answer *answer,
	       const struct want_server *server, const uint8_t *data,
	       size_t len, int64_t now);

/* The answer, aged; with `stale` also one that is too old. */
bool cache_get(struct cache *cache, const struct cache_key *key, bool stale,
	       int64_t now, struct cache_hit *ret);

size_t cache_entries(const struct cache *cache);

/* Everything at or below the name, NULL: all. Returns how many went. */
size_t cache_flush(struct cache *cache, const struct dns_name *below);

/*
 * Entries at or below the name (NULL: all), the one unused for longest first,
 * from the *skip-th on, which is moved behind them. Returns how many.
 */
size_t cache_list(const struct cache *cache, const struct dns_name *below,
		  int64_t now, uint32_t *skip, struct dns_cache_entry *ret,
		  size_t max);
