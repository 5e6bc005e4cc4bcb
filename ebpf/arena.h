/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena - hands out runs of a fixed number of places, and lets a freed run
 * rest before it is handed out again: programs that looked at a table before
 * it was changed may still be reading there.
 *
 * Pure book-keeping: what lies at a place is the caller's. Times are
 * milliseconds of any steady clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/util.h"

/* A program runs for microseconds; one second is for ever. */
#define ARENA_REST_MS 1000

struct arena;

struct arena *arena_new(uint32_t size);
void arena_free(struct arena *a);
DEFINE_FREEP(struct arena, arena_free)

/* A run of len places: 0 and its first in ret, or -ENOSPC. */
int arena_get(struct arena *a, uint32_t len, int64_t now_ms, uint32_t *ret);

/* The run rests, then can be had again. len 0 is fine. */
void arena_put(struct arena *a, uint32_t first, uint32_t len, int64_t now_ms);

/* Marks a run found in use. False: out of range, or taken already. */
bool arena_take(struct arena *a, uint32_t first, uint32_t len);

/* Places in use or resting. */
uint32_t arena_used(const struct arena *a);
