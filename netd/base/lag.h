/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lag - how long the loop was busy at a time, and at what.
 *
 * Whatever is ready waits while the loop works off what was ready before: a
 * turn is that time, from the end of one wait for events to the next. Whoever
 * has work done says what it is (LAG), so that a turn that took too long has
 * a culprit. Two clocks: how long others waited, and how much of that was
 * work rather than a disk, or another process on this processor.
 *
 * Loop thread only; the threads beside it say nothing here.
 */
#pragma once

#include <ev.h>
#include <stdint.h>

#include "netd/util.h"

/* Turns above this count as late. */
#define LAG_LATE_US 10000

/*
 * How long one piece of work may go on before it leaves the rest to the next
 * turn: some that come together must not make it late.
 */
#define LAG_SLICE_US 2500

enum lag_step {
	LAG_OTHER,
	LAG_REQUESTS,
	LAG_HTTP,
	LAG_STORE,
	LAG_DISK,
	LAG_FETCH,
	LAG_KERNEL,
	LAG_NFT,
	LAG_PROGRAMS,
	LAG_AUDIT,
	LAG_NODES,
	LAG_NETWORKS,
	LAG_PODS,
	LAG_PUBLISH,
	LAG_SERVICES,
	LAG_NAMES,
	LAG_TICK,
	LAG_CONNECTIONS,
	LAG_CHILDREN,
	LAG_DROPS,
	LAG_DOCKER,
	LAG_STEP_MAX
};

/* As the status calls them. */
extern const char *const lag_step_names[LAG_STEP_MAX];

struct lag_time {
	int64_t wall_us;
	int64_t cpu_us;
};

/* A step, or the turns as a whole. */
struct lag_sum {
	/* In the turn that is not over. */
	struct lag_time turn;
	/* The most in one turn: of this minute, of the last. Each clock for
	 * itself: they need not be of the same turn. */
	struct lag_time longest[2];
	/* Late turns, by either clock; of a step, those in which it had the
	 * largest part. */
	uint64_t late;
	uint64_t late_cpu;
};

struct lag {
	struct ev_check woken;
	struct ev_prepare waits;
	/* What the loop is at, and since when (by both clocks). */
	enum lag_step at;
	struct lag_time since;
	int64_t minute;
	uint64_t turns;
	struct lag_sum all;
	struct lag_sum steps[LAG_STEP_MAX];
};

/* The loop that is measured; there is one at a time. */
void lag_start(struct lag *lag, struct ev_loop *loop);
void lag_stop(struct lag *lag, struct ev_loop *loop);

/*
 * From here to the end of the block the loop is at this step; what is called
 * from there and says LAG itself is not part of it. Of no consequence outside
 * of a turn, or where nobody measures.
 */
#define LAG(step)                                                              \
	AUTO(lag_leave)                                                        \
	__attribute__((unused)) enum lag_step lag_before = lag_enter(step)

enum lag_step lag_enter(enum lag_step step);
void lag_leave(const enum lag_step *before);

/* Time of the turn that is not over, and its end; the loop calls them, and
 * tests do. */
void lag_add(struct lag *lag, enum lag_step step, struct lag_time time);
void lag_end(struct lag *lag, int64_t now_us);

/* The longest of the last one or two minutes: of lag->all or of a step. */
struct lag_time lag_longest(const struct lag *lag, const struct lag_sum *sum,
			    int64_t now_us);

/* When a piece of work that begins now is to stop (see LAG_SLICE_US). */
int64_t lag_slice_end(void);
