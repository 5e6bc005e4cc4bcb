/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <uthash.h>

#include "netd/util.h"

struct entry {
	UT_hash_handle hh;
	int64_t born;
	int64_t dies;
	struct want_server server;
	uint64_t hits;
	uint8_t rcode;
	size_t len;
	uint32_t key_len;
	/* Group, type and name, then the answer. */
	uint8_t bytes[];
};

/* uthash keeps the order of insertion: the oldest is the head. */
struct cache {
	struct entry *entries;
	struct cache_limits limits;
	size_t bytes;
};

#define KEY_NAME (sizeof(uint64_t) + sizeof(uint16_t))
#define KEY_MAX (KEY_NAME + DNS_NAME_MAX)
/* Stands for every type: the name does not exist. */
#define TYPE_NONE 0

static uint32_t key_make(uint8_t bytes[KEY_MAX], const struct cache_key *key,
			 uint16_t type)
{
	memcpy(bytes, &key->group, sizeof(key->group));
	memcpy(bytes + sizeof(key->group), &type, sizeof(type));
	memcpy(bytes + KEY_NAME, key->name->b, key->name->len);
	return (uint32_t)(KEY_NAME + key->name->len);
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

struct cache *cache_new(const struct cache_limits *limits)
{
	struct cache *cache = xzalloc(sizeof(*cache));

	cache->limits = *limits;
	return cache;
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	cache_flush(cache, NULL);
	free(cache);
}

size_t cache_entries(const struct cache *cache)
{
	return HASH_COUNT(cache->entries);
}

static void shrink(struct cache *cache)
{
	while (cache->entries &&
	       (cache_entries(cache) > cache->limits.entries ||
		cache->bytes > cache->limits.bytes))
		entry_drop(cache, cache->entries);
}

void cache_limit(struct cache *cache, const struct cache_limits *limits)
{
	cache->limits = *limits;
	shrink(cache);
}

static struct entry *find(struct cache *cache, const struct cache_key *key,
			  uint16_t type)
{
	uint8_t bytes[KEY_MAX];
	uint32_t len = key_make(bytes, key, type);
	struct entry *e;

	HASH_FIND(hh, cache->entries, bytes, len, e);
	return e;
}

static void forget(struct cache *cache, const struct cache_key *key,
		   uint16_t type)
{
	struct entry *e = find(cache, key, type);

	if (e)
		entry_drop(cache, e);
}

/* How many seconds an answer may be kept; 0: not at all. */
static uint32_t time_of(const struct cache *cache,
			const struct dns_answer *answer)
{
	const struct cache_limits *l = &cache->limits;

	if (!answer->has_ttl || answer->flags & DNS_FLAG_TC)
		return 0;
	if (answer->negative)
		return MIN(answer->ttl, l->negative_max);
	return MIN(MAX(answer->ttl, l->ttl_min), l->ttl_max);
}

/* An alias of a name that does not exist does exist itself. */
static bool is_nothing(const struct dns_answer *answer, const uint8_t *data)
{
	return answer->rcode == ns_r_nxdomain && !data[6] && !data[7];
}

void cache_put(struct cache *cache, const struct cache_key *key,
	       const struct dns_answer *answer,
	       const struct want_server *server, const uint8_t *data,
	       size_t len, int64_t now)
{
	uint16_t type = is_nothing(answer, data) ? TYPE_NONE : key->type;
	uint32_t ttl = time_of(cache, answer);
	uint8_t bytes[KEY_MAX];
	struct entry *e;

	forget(cache, key, key->type);
	forget(cache, key, TYPE_NONE);
	if (ttl == 0 || len > CACHE_ANSWER_MAX)
		return;
	e = xzalloc(sizeof(*e) + KEY_MAX + len);
	e->key_len = key_make(bytes, key, type);
	memcpy(e->bytes, bytes, e->key_len);
	memcpy(e->bytes + e->key_len, data, len);
	e->len = len;
	e->born = now;
	e->dies = now + (int64_t)ttl * 1000;
	e->server = *server;
	e->rcode = answer->rcode;
	cache->bytes += entry_size(e);
	HASH_ADD_KEYPTR(hh, cache->entries, e->bytes, e->key_len, e);
	shrink(cache);
}

bool cache_get(struct cache *cache, const struct cache_key *key, bool stale,
	       int64_t now, struct cache_hit *ret)
{
	struct entry *e = find(cache, key, key->type);

	if (!e)
		e = find(cache, key, TYPE_NONE);
	if (!e)
		return false;
	if (now >= e->dies + (int64_t)cache->limits.stale * 1000) {
		entry_drop(cache, e);
		return false;
	}
	ret->stale = now >= e->dies;
	if (ret->stale && !stale)
		return false;
	/* To the end of the order: it was used last. */
	HASH_DEL(cache->entries, e);
	HASH_ADD_KEYPTR(hh, cache->entries, e->bytes, e->key_len, e);
	e->hits++;
	ret->server = e->server;
	ret->len = e->len;
	memcpy(ret->data, e->bytes + e->key_len, e->len);
	if (ret->stale)
		dns_answer_clamp(ret->data, e->len, 0, CACHE_STALE_TTL);
	else
		dns_answer_age(ret->data, e->len,
			       (uint32_t)((now - e->born) / 1000), UINT32_MAX);
	return true;
}

static bool name_of(const struct entry *e, struct dns_name *ret)
{
	struct rbuf r = rbuf_make(e->bytes + KEY_NAME, e->key_len - KEY_NAME);

	return dns_name_read(&r, ret) == 0;
}

static bool is_below(const struct entry *e, const struct dns_name *below)
{
	struct dns_name name;
	unsigned first;

	return !below ||
	       (name_of(e, &name) && dns_name_below(&name, below, &first));
}

size_t cache_flush(struct cache *cache, const struct dns_name *below)
{
	struct entry *e, *tmp;
	size_t n = 0;

	HASH_ITER (hh, cache->entries, e, tmp) {
		if (!is_below(e, below))
			continue;
		entry_drop(cache, e);
		n++;
	}
	return n;
}

static void describe(const struct entry *e, int64_t now,
		     struct dns_cache_entry *ret)
{
	struct dns_name name;

	/* Bytes between the fields go out of this process too. */
	memset(ret, 0, sizeof(*ret));
	if (name_of(e, &name))
		dns_name_str(&name, ret->name, sizeof(ret->name));
	memcpy(&ret->type, e->bytes + sizeof(uint64_t), sizeof(ret->type));
	ret->rcode = e->rcode;
	ret->stale = now >= e->dies;
	ret->ttl = ret->stale ? 0 : (uint32_t)((e->dies - now) / 1000);
	ret->bytes = (uint32_t)e->len;
	ret->hits = e->hits;
	ret->server = e->server.addr;
}

size_t cache_list(const struct cache *cache, const struct dns_name *below,
		  int64_t now, uint32_t *skip, struct dns_cache_entry *ret,
		  size_t max)
{
	uint32_t at = 0;
	size_t n = 0;

	for (struct entry *e = cache->entries; e && n < max;
	     e = e->hh.next, at++)
		if (at >= *skip && is_below(e, below))
			describe(e, now, &ret[n++]);
	*skip = at;
	return n;
}
