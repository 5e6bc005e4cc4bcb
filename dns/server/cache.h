/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache - checked answers of upstreams, for as long as they may be kept.
 *
 * Bounded in entries and bytes; the one unused for longest goes first. The
 * caller brings the clock (milliseconds), which makes it testable.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "msg.h"

/* Longer ones are kept this long; what is not there, this long. */
#define CACHE_TTL_MAX 300
#define CACHE_NEGATIVE_MAX 30

#define CACHE_ENTRIES_MAX 10000
#define CACHE_BYTES_MAX (8u << 20)
/* A larger answer is passed on and not kept. */
#define CACHE_ANSWER_MAX 4096

struct cache;

struct cache *cache_new(size_t entries_max, size_t bytes_max);
void cache_free(struct cache *cache);

/* data as dns_answer_check() left it; kept only if it may be. */
void cache_put(struct cache *cache, const struct dns_name *name, uint16_t type,
	       const struct dns_answer *answer, const uint8_t *data, size_t len,
	       int64_t now);

/*
 * Copies the answer, aged, into buf (CACHE_ANSWER_MAX bytes); returns its
 * length, 0 when there is none.
 */
size_t cache_get(struct cache *cache, const struct dns_name *name,
		 uint16_t type, int64_t now, uint8_t *buf);

size_t cache_entries(const struct cache *cache);
void cache_flush(struct cache *cache);
