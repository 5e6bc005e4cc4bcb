/* SPDX-License-Identifier: Apache-2.0 */
#include "lag.h"

#include <time.h>

#include "netd/log.h"

#define MINUTE_US INT64_C(60000000)

const char *const lag_step_names[] = {
	[LAG_OTHER] = "other",	     [LAG_REQUESTS] = "requests",
	[LAG_HTTP] = "http",	     [LAG_STORE] = "store",
	[LAG_DISK] = "disk",	     [LAG_FETCH] = "fetch",
	[LAG_KERNEL] = "kernel",     [LAG_NFT] = "nft",
	[LAG_PROGRAMS] = "programs", [LAG_AUDIT] = "audit",
	[LAG_NODES] = "nodes",	     [LAG_NETWORKS] = "networks",
	[LAG_PODS] = "pods",	     [LAG_PUBLISH] = "publish",
	[LAG_SERVICES] = "services", [LAG_NAMES] = "names",
	[LAG_TICK] = "tick",	     [LAG_CONNECTIONS] = "connections",
	[LAG_CHILDREN] = "children", [LAG_DROPS] = "drops",
	[LAG_DOCKER] = "docker",
};
_Static_assert(ARRAY_LEN(lag_step_names) == LAG_STEP_MAX, "a name each");

/* Whose turn is under way; NULL outside of turns. */
static struct lag *turning;

static int64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static struct lag_time lag_now(void)
{
	return (struct lag_time){
		.wall_us = clock_us(CLOCK_MONOTONIC),
		.cpu_us = clock_us(CLOCK_THREAD_CPUTIME_ID),
	};
}

static struct lag_time time_max(struct lag_time a, struct lag_time b)
{
	return (struct lag_time){
		.wall_us = MAX(a.wall_us, b.wall_us),
		.cpu_us = MAX(a.cpu_us, b.cpu_us),
	};
}

/* Everything up to now was the step that the loop is at. */
static void charge(struct lag *lag)
{
	struct lag_time now = lag_now();

	lag_add(lag, lag->at,
		(struct lag_time){
			.wall_us = now.wall_us - lag->since.wall_us,
			.cpu_us = now.cpu_us - lag->since.cpu_us,
		});
	lag->since = now;
}

enum lag_step lag_enter(enum lag_step step)
{
	enum lag_step before;

	if (!turning)
		return step;
	before = turning->at;
	if (before != step)
		charge(turning);
	turning->at = step;
	return before;
}

void lag_leave(const enum lag_step *before)
{
	lag_enter(*before);
}

void lag_add(struct lag *lag, enum lag_step step, struct lag_time time)
{
	struct lag_sum *const sums[] = { &lag->all, &lag->steps[step] };

	for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
		sums[i]->turn.wall_us += time.wall_us;
		sums[i]->turn.cpu_us += time.cpu_us;
	}
}

static void next_minute(struct lag *lag, struct lag_sum *sum, int64_t minute)
{
	static const struct lag_time none;

	sum->longest[1] = minute == lag->minute + 1 ? sum->longest[0] : none;
	sum->longest[0] = none;
}

static void next_minutes(struct lag *lag, int64_t minute)
{
	if (minute == lag->minute)
		return;
	next_minute(lag, &lag->all, minute);
	for (size_t i = 0; i < LAG_STEP_MAX; i++)
		next_minute(lag, &lag->steps[i], minute);
	lag->minute = minute;
}

/* The steps with the largest parts: by one clock, by the other. */
static void culprits(struct lag *lag, enum lag_step *wall, enum lag_step *cpu)
{
	const struct lag_sum *s = lag->steps;

	*wall = *cpu = LAG_OTHER;
	for (size_t i = 0; i < LAG_STEP_MAX; i++) {
		if (s[i].turn.wall_us > s[*wall].turn.wall_us)
			*wall = (enum lag_step)i;
		if (s[i].turn.cpu_us > s[*cpu].turn.cpu_us)
			*cpu = (enum lag_step)i;
	}
}

static void count_late(struct lag *lag)
{
	struct lag_time turn = lag->all.turn;
	enum lag_step wall, cpu;

	if (MAX(turn.wall_us, turn.cpu_us) <= LAG_LATE_US)
		return;
	culprits(lag, &wall, &cpu);
	if (turn.wall_us > LAG_LATE_US) {
		lag->all.late++;
		lag->steps[wall].late++;
	}
	if (turn.cpu_us > LAG_LATE_US) {
		lag->all.late_cpu++;
		lag->steps[cpu].late_cpu++;
	}
	log_debug("base: a turn of the loop took long us=%lld cpu_us=%lld "
		  "most=%s most_us=%lld most_cpu_us=%lld",
		  (long long)turn.wall_us, (long long)turn.cpu_us,
		  lag_step_names[wall],
		  (long long)lag->steps[wall].turn.wall_us,
		  (long long)lag->steps[wall].turn.cpu_us);
}

static void end_turn(struct lag_sum *sum)
{
	sum->longest[0] = time_max(sum->longest[0], sum->turn);
	sum->turn = (struct lag_time){ 0 };
}

void lag_end(struct lag *lag, int64_t now_us)
{
	next_minutes(lag, now_us / MINUTE_US);
	lag->turns++;
	count_late(lag);
	end_turn(&lag->all);
	for (size_t i = 0; i < LAG_STEP_MAX; i++)
		end_turn(&lag->steps[i]);
}

struct lag_time lag_longest(const struct lag *lag, const struct lag_sum *sum,
			    int64_t now_us)
{
	int64_t minutes = now_us / MINUTE_US - lag->minute;

	if (minutes > 1)
		return (struct lag_time){ 0 };
	return minutes ? sum->longest[0]
		       : time_max(sum->longest[0], sum->longest[1]);
}

int64_t lag_slice_end(void)
{
	return mono_us() + LAG_SLICE_US;
}

static void woken_cb(struct ev_loop *loop, struct ev_check *w, int revents)
{
	struct lag *lag = container_of(w, struct lag, woken);

	(void)loop;
	(void)revents;
	lag->since = lag_now();
	lag->at = LAG_OTHER;
	turning = lag;
}

static void waits_cb(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct lag *lag = container_of(w, struct lag, waits);

	(void)loop;
	(void)revents;
	if (turning) {
		charge(lag);
		lag_end(lag, lag->since.wall_us);
	}
	turning = NULL;
}

/* First of all that a wait ends with, last before the next one. */
void lag_start(struct lag *lag, struct ev_loop *loop)
{
	ev_check_init(&lag->woken, woken_cb);
	ev_prepare_init(&lag->waits, waits_cb);
	ev_set_priority(&lag->woken, EV_MAXPRI);
	ev_set_priority(&lag->waits, EV_MINPRI);
	ev_check_start(loop, &lag->woken);
	ev_prepare_start(loop, &lag->waits);
	/* They alone keep no loop running. */
	ev_unref(loop);
	ev_unref(loop);
}

void lag_stop(struct lag *lag, struct ev_loop *loop)
{
	turning = NULL;
	if (!ev_is_active(&lag->woken))
		return;
	ev_ref(loop);
	ev_ref(loop);
	ev_check_stop(loop, &lag->woken);
	ev_prepare_stop(loop, &lag->waits);
}
