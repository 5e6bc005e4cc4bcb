/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing, linear probing. A deleted entry's followers move up, so
 * that there are no tombstones to walk over.
 */
#include "names.h"

#include <sys/mman.h>
#include <sys/random.h>

#include "hash.h"
#include "netd/util.h"

#define SLOTS_MIN 64
#define HUGE_PAGE (2u << 20)

static uint32_t hash_of(const struct names *n, const uint8_t *key, size_t len)
{
	return hash_bytes(n->seed, key, len);
}

static uint32_t hash_of_record(const struct names *n, const struct record *rec)
{
	return hash_of(n, record_key_of(rec), rec->key_len);
}

void names_open(struct names *n)
{
	*n = (struct names){ 0 };
	if (getrandom(&n->seed, sizeof(n->seed), 0) != sizeof(n->seed))
		abort();
}

void names_close(struct names *n)
{
	free(n->slots);
	*n = (struct names){ 0 };
}

struct record *names_find(const struct names *n, const uint8_t *key, size_t len)
{
	uint32_t hash, i;

	if (!n->slots)
		return NULL;
	hash = hash_of(n, key, len);
	for (i = hash & n->mask; n->slots[i].rec; i = (i + 1) & n->mask) {
		struct record *rec = n->slots[i].rec;

		if (n->slots[i].hash == hash && rec->key_len == len &&
		    memcmp(record_key_of(rec), key, len) == 0)
			return rec;
	}
	return NULL;
}

struct names_spot names_seek(const struct names *n, const uint8_t *key,
			     size_t len)
{
	struct names_spot spot = { 0 };

	if (!n->slots)
		return spot;
	spot.hash = hash_of(n, key, len);
	spot.slot = &n->slots[spot.hash & n->mask];
	__builtin_prefetch(spot.slot);
	return spot;
}

/* A record with an address or two, and a short name, is two lines. */
#define LINE 64

void names_near(const struct names *n, struct names_spot spot)
{
	const struct names_slot *slot = spot.slot;

	if (!slot)
		return;
	while (slot->rec && slot->hash != spot.hash)
		slot = &n->slots[(size_t)(slot - n->slots + 1) & n->mask];
	if (!slot->rec)
		return;
	__builtin_prefetch(slot->rec);
	__builtin_prefetch((const uint8_t *)slot->rec + LINE);
}

static void place(struct names *n, struct names_slot slot)
{
	uint32_t i = slot.hash & n->mask;

	while (n->slots[i].rec)
		i = (i + 1) & n->mask;
	n->slots[i] = slot;
}

/*
 * A large table lies in huge pages: each look-up is somewhere else in it, and
 * would first miss where its page is.
 */
static struct names_slot *slots_new(uint32_t slots)
{
	size_t size = slots * sizeof(struct names_slot);
	void *mem;

	if (size < HUGE_PAGE)
		return xzalloc(size);
	mem = aligned_alloc(HUGE_PAGE, size);
	if (!mem)
		abort();
	/* Without them, or without the right to, it works all the same. */
	madvise(mem, size, MADV_HUGEPAGE);
	return memset(mem, 0, size);
}

/* The hashes are kept, so no record is touched: 2 ms for 100,000 names. */
static void resize(struct names *n, uint32_t slots)
{
	struct names old = *n;

	n->slots = slots_new(slots);
	n->mask = slots - 1;
	for (uint32_t i = 0; old.slots && i <= old.mask; i++)
		if (old.slots[i].rec)
			place(n, old.slots[i]);
	free(old.slots);
}

/* Two thirds full at most: a look-up that fails walks four slots on average. */
void names_add(struct names *n, struct record *rec)
{
	uint32_t slots = n->slots ? n->mask + 1 : 0;

	if ((n->len + 1) * UINT64_C(3) > slots * UINT64_C(2))
		resize(n, MAX(slots * 2, (uint32_t)SLOTS_MIN));
	place(n, (struct names_slot){ rec, hash_of_record(n, rec) });
	n->len++;
}

/* May the entry at `from` stand in the hole, or does it begin behind it? */
static bool may_move(const struct names *n, uint32_t from, uint32_t hole)
{
	uint32_t home = n->slots[from].hash & n->mask;

	return ((from - home) & n->mask) >= ((from - hole) & n->mask);
}

void names_del(struct names *n, const struct record *rec)
{
	uint32_t hole = hash_of_record(n, rec) & n->mask, i;

	while (n->slots[hole].rec != rec)
		hole = (hole + 1) & n->mask;
	for (i = (hole + 1) & n->mask; n->slots[i].rec; i = (i + 1) & n->mask) {
		if (!may_move(n, i, hole))
			continue;
		n->slots[hole] = n->slots[i];
		hole = i;
	}
	n->slots[hole].rec = NULL;
	n->len--;
}

struct record *names_next(const struct names *n, uint32_t *at)
{
	while (n->slots && *at <= n->mask) {
		struct record *rec = n->slots[(*at)++].rec;

		if (rec)
			return rec;
	}
	return NULL;
}
