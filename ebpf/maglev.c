/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maglev - every backend has its own order of the table's places, from two
 * hashes of its identity, and they take turns in claiming their next free
 * place. Weights: a backend's turn comes when its weights of past rounds sum
 * up to the largest one's.
 */
#include "maglev.h"

#include "netd/util.h"

static const uint32_t sizes[] = { 251, 1021, 4093, MAGLEV_SIZE_MAX };

/* Places per backend from which a leaving one disturbs others by about 1 %. */
#define PLACES_PER_BACKEND 100

uint32_t maglev_size(size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (sizes[i] >= n * PLACES_PER_BACKEND)
			return sizes[i];
	}
	return MAGLEV_SIZE_MAX;
}

/* The finaliser of splitmix64: every input bit reaches every output bit. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Byte by byte, so that nodes of both byte orders agree. */
static uint64_t identity(const struct maglev_backend *b)
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15);

	for (size_t i = 0; i < sizeof(b->addr.b); i++)
		h = mix(h ^ b->addr.b[i]) + i;
	return mix(h ^ (uint64_t)b->port << 16);
}

struct turn {
	uint32_t place;
	uint32_t skip;
	uint32_t saved;
};

static uint32_t next_free(struct turn *t, const uint32_t *table, uint32_t size)
{
	uint32_t place = t->place;

	while (table[place] != UINT32_MAX)
		place = (place + t->skip) % size;
	t->place = (place + t->skip) % size;
	return place;
}

uint32_t maglev_fill(const struct maglev_backend *backends, size_t len,
		     uint32_t *table, uint32_t size)
{
	struct turn *turns = xzalloc((len + 1) * sizeof(*turns));
	uint32_t filled = 0, most = 0;

	memset(table, 0xff, size * sizeof(*table));
	for (size_t i = 0; i < len; i++) {
		uint64_t h = identity(&backends[i]);

		turns[i].place = h % size;
		turns[i].skip =
			mix(h ^ UINT64_C(0x5851f42d4c957f2d)) % (size - 1) + 1;
		most = MAX(most, backends[i].weight);
	}
	for (size_t i = 0; most && filled < size; i = (i + 1) % len) {
		turns[i].saved += backends[i].weight;
		if (turns[i].saved < most)
			continue;
		turns[i].saved -= most;
		table[next_free(&turns[i], table, size)] = backends[i].id;
		filled++;
	}
	free(turns);
	return filled;
}
