/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <uthash.h>

#include "netd/util.h"

struct entry {
	UT_hash_handle hh;
	int64_t born;
	int64_t dies;
	size_t len;
	uint32_t key_len;
	/* Type and name, then the answer. */
	uint8_t bytes[];
};

/* uthash keeps the order of insertion: the oldest is the head. */
struct cache {
	struct entry *entries;
	size_t entries_max;
	size_t bytes_max;
	size_t bytes;
};

#define KEY_MAX (sizeof(uint16_t) + DNS_NAME_MAX)

static uint32_t key_make(uint8_t key[KEY_MAX], const struct dns_name *name,
			 uint16_t type)
{
	memcpy(key, &type, sizeof(type));
	memcpy(key + sizeof(type), name->b, name->len);
	return (uint32_t)(sizeof(type) + name->len);
}

static size_t entry_size(const struct entry *e)
{
	return sizeof(*e) + e->key_len + e->len;
}

static void entry_drop(struct cache *cache, struct entry *e)
{
	cache->bytes -= entry_size(e);
	HASH_DEL(cache->entries, e);
	free(e);
}

struct cache *cache_new(size_t entries_max, size_t bytes_max)
{
	struct cache *cache = xzalloc(sizeof(*cache));

	cache->entries_max = entries_max;
	cache->bytes_max = bytes_max;
	return cache;
}

void cache_flush(struct cache *cache)
{
	while (cache->entries)
		entry_drop(cache, cache->entries);
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	cache_flush(cache);
	free(cache);
}

size_t cache_entries(const struct cache *cache)
{
	return HASH_COUNT(cache->entries);
}

static struct entry *find(struct cache *cache, const struct dns_name *name,
			  uint16_t type)
{
	uint8_t key[KEY_MAX];
	uint32_t len = key_make(key, name, type);
	struct entry *e;

	HASH_FIND(hh, cache->entries, key, len, e);
	return e;
}

void cache_put(struct cache *cache, const struct dns_name *name, uint16_t type,
	       const struct dns_answer *answer, const uint8_t *data, size_t len,
	       int64_t now)
{
	uint32_t max = answer->negative ? CACHE_NEGATIVE_MAX : CACHE_TTL_MAX;
	uint32_t ttl = answer->has_ttl ? MIN(answer->ttl, max) : 0;
	struct entry *e = find(cache, name, type);
	uint8_t key[KEY_MAX];

	if (e)
		entry_drop(cache, e);
	if (ttl == 0 || len > CACHE_ANSWER_MAX || answer->flags & DNS_FLAG_TC)
		return;
	e = xzalloc(sizeof(*e) + KEY_MAX + len);
	e->key_len = key_make(key, name, type);
	memcpy(e->bytes, key, e->key_len);
	memcpy(e->bytes + e->key_len, data, len);
	e->len = len;
	e->born = now;
	e->dies = now + (int64_t)ttl * 1000;
	cache->bytes += entry_size(e);
	HASH_ADD_KEYPTR(hh, cache->entries, e->bytes, e->key_len, e);
	while (cache->entries != e &&
	       (cache_entries(cache) > cache->entries_max ||
		cache->bytes > cache->bytes_max))
		entry_drop(cache, cache->entries);
}

size_t cache_get(struct cache *cache, const struct dns_name *name,
		 uint16_t type, int64_t now, uint8_t *buf)
{
	struct entry *e = find(cache, name, type);

	if (!e)
		return 0;
	if (now >= e->dies) {
		entry_drop(cache, e);
		return 0;
	}
	/* To the end of the order: it was used last. */
	HASH_DEL(cache->entries, e);
	HASH_ADD_KEYPTR(hh, cache->entries, e->bytes, e->key_len, e);
	memcpy(buf, e->bytes + e->key_len, e->len);
	dns_answer_age(buf, e->len, (uint32_t)((now - e->born) / 1000),
		       CACHE_TTL_MAX);
	return e->len;
}
