/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots - how many places of a run each backend gets, where any place is as
 * likely as another. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Places of a run at most: beyond, weights are rounded. */
#define SLOTS_MAX 16384

/*
 * Shares at most `max` (n or more) places by weight, exactly where that many
 * are enough, else by largest remainder; who has weight has a place. Writes
 * counts[n], returns their sum.
 */
uint32_t slots_share(const uint16_t *weights, size_t n, uint32_t max,
		     uint32_t *counts);
