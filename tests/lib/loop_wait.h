/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_wait - runs a loop until something is so, or its time is over.
 */
#pragma once

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "netd/util.h"

static inline void step_end(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(loop, EVBREAK_ONE);
}

/* Runs the loop for so long. */
static inline void loop_turn(struct ev_loop *loop, double seconds)
{
	ev_timer timer;

	ev_now_update(loop);
	ev_timer_init(&timer, step_end, seconds, 0);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	ev_timer_stop(loop, &timer);
}

/* Until something happens, and a moment at most. */
static inline void loop_step(struct ev_loop *loop)
{
	ev_timer timer;

	ev_now_update(loop);
	ev_timer_init(&timer, step_end, 0.005, 0);
	ev_timer_start(loop, &timer);
	ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
}

/* Runs the loop until the condition holds; fails after `ms`. */
#define wait_for(loop, cond, ms)                                               \
	do {                                                                   \
		int64_t wait_end = mono_ms() + (ms);                           \
		while (!(cond) && mono_ms() < wait_end)                        \
			loop_step(loop);                                       \
		assert_true(cond);                                             \
	} while (0)

/* Runs the loop for `ms`, through which the condition must hold. */
#define wait_while(loop, cond, ms)                                             \
	do {                                                                   \
		int64_t wait_end = mono_ms() + (ms);                           \
		while (mono_ms() < wait_end) {                                 \
			assert_true(cond);                                     \
			loop_step(loop);                                       \
		}                                                              \
	} while (0)
