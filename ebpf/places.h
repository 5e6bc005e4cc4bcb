/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places - hands out runs of a fixed number of places, and lets a freed run
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
#define PLACES_REST_MS 1000

struct places;

struct places *places_new(uint32_t size);
void places_free(struct places *a);
DEFINE_FREEP(struct places, places_free)

/* A run of len places: 0 and its first in ret, or -ENOSPC. */
int places_get(struct places *a, uint32_t len, int64_t now_ms, uint32_t *ret);

/* The run rests, then can be had again. len 0 is fine. */
void places_put(struct places *a, uint32_t first, uint32_t len, int64_t now_ms);

/* Marks a run found in use. False: out of range, or taken already. */
bool places_take(struct places *a, uint32_t first, uint32_t len);

/* Places in use or resting. */
uint32_t places_used(const struct places *a);
