/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places - a bitmap, searched from its lowest free place, so that what is in
 * use stays together, and a queue of runs that rest. The bitmap can be rebuilt
 * from what the kernel's tables refer to, so nothing about it is stored.
 */
#include "places.h"

struct rest {
	int64_t since;
	uint32_t first;
	uint32_t len;
};

struct places {
	uint32_t size;
	uint32_t used;
	/* All places below are taken. */
	uint32_t low;
	uint64_t *taken;
	/* Resting runs, oldest first, from `head` up to `tail`. */
	struct rest *rests;
	size_t head;
	size_t tail;
	size_t room;
};

struct places *places_new(uint32_t size)
{
	struct places *a = xzalloc(sizeof(*a));

	a->size = size;
	a->taken = xzalloc(((size_t)size + 63) / 64 * sizeof(uint64_t));
	return a;
}

void places_free(struct places *a)
{
	if (!a)
		return;
	free(a->taken);
	free(a->rests);
	free(a);
}

static bool is_taken(const struct places *a, uint32_t i)
{
	return a->taken[i / 64] >> (i % 64) & 1;
}

static void mark(struct places *a, uint32_t first, uint32_t len, bool taken)
{
	for (uint32_t i = first; i < first + len; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);

		if (taken)
			a->taken[i / 64] |= bit;
		else
			a->taken[i / 64] &= ~bit;
	}
	a->used += taken ? len : -len;
}

static void wake(struct places *a, int64_t now_ms)
{
	while (a->head < a->tail &&
	       now_ms - a->rests[a->head].since >= PLACES_REST_MS) {
		const struct rest *r = &a->rests[a->head++];

		mark(a, r->first, r->len, false);
		a->low = MIN(a->low, r->first);
	}
	if (a->head == a->tail)
		a->head = a->tail = 0;
}

/* First run of len free places in [from, to), or `to`. */
static uint32_t find(const struct places *a, uint32_t from, uint32_t to,
		     uint32_t len)
{
	uint32_t run = 0;

	for (uint32_t i = from; i < to; i++) {
		/* Whole words in use are skipped at once. */
		if (!run && i % 64 == 0 && a->taken[i / 64] == UINT64_MAX) {
			i += 63;
			continue;
		}
		run = is_taken(a, i) ? 0 : run + 1;
		if (run == len)
			return i + 1 - len;
	}
	return to;
}

int places_get(struct places *a, uint32_t len, int64_t now_ms, uint32_t *ret)
{
	uint32_t first;

	if (!len || len > a->size)
		return -ENOSPC;
	wake(a, now_ms);
	first = find(a, a->low, a->size, len);
	if (first == a->size)
		return -ENOSPC;
	mark(a, first, len, true);
	if (first == a->low)
		a->low += len;
	*ret = first;
	return 0;
}

void places_put(struct places *a, uint32_t first, uint32_t len, int64_t now_ms)
{
	if (!len)
		return;
	wake(a, now_ms);
	if (a->tail == a->room && a->head) {
		memmove(a->rests, a->rests + a->head,
			(a->tail - a->head) * sizeof(*a->rests));
		a->tail -= a->head;
		a->head = 0;
	}
	if (a->tail == a->room) {
		a->room = a->room ? a->room * 2 : 16;
		a->rests = xrealloc(a->rests, a->room * sizeof(*a->rests));
	}
	a->rests[a->tail++] = (struct rest){ now_ms, first, len };
}

bool places_take(struct places *a, uint32_t first, uint32_t len)
{
	if (first > a->size || len > a->size - first)
		return false;
	for (uint32_t i = first; i < first + len; i++) {
		if (is_taken(a, i))
			return false;
	}
	mark(a, first, len, true);
	return true;
}

uint32_t places_used(const struct places *a)
{
	return a->used;
}
