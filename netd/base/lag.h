/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lag - how long the loop was busy at a time.
 *
 * Whatever is ready waits while the loop works off what was ready before: a
 * turn is that time, from the end of one wait for events to the next.
 */
#pragma once

#include <ev.h>
#include <stdint.h>

/* Turns above this count as late. */
#define LAG_LATE_US 10000

struct lag {
	struct ev_check woken;
	struct ev_prepare waits;
	int64_t since_us;
	/* Of this minute and of the last. */
	int64_t minute;
	int64_t longest_us[2];
	uint64_t turns;
	uint64_t late;
};

void lag_start(struct lag *lag, struct ev_loop *loop);
void lag_stop(struct lag *lag, struct ev_loop *loop);

/* A turn that ended at now; the loop calls it, and tests do. */
void lag_add(struct lag *lag, int64_t now_us, int64_t turn_us);

/* The longest turn of the last one or two minutes. */
int64_t lag_longest_us(const struct lag *lag, int64_t now_us);
