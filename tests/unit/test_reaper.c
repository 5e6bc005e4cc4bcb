/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reaper: what it is given goes, in any number, and the loop is told; and
 * how long turns of a loop are.
 */
#include "cm.h"
#include "own_net.h"

#include <ev.h>
#include <net/if.h>

#include "lag.h"
#include "netd/util.h"
#include "nl.h"
#include "reaper.h"

#define LINKS 40

static struct ev_loop *loop;
static unsigned int told;

static void on_gone(void *arg)
{
	(void)arg;
	told++;
}

static uint32_t make_link(struct nl *nl, unsigned int n)
{
	struct nl_veth veth = { .peer_stays = true,
				.netns = -1,
				.peer_mac = { { 2, 0, 0, 0, 0, 1 } } };
	uint32_t ifindex = 0;

	snprintf(veth.name, sizeof(veth.name), "nd%u", n);
	snprintf(veth.peer, sizeof(veth.peer), "np%u", n);
	assert_int_equal(nl_veth_add(nl, &veth, &ifindex), 0);
	return ifindex;
}

static void turn_until(struct reaper *r, uint64_t gone)
{
	for (int i = 0; i < 500 && reaper_gone(r) < gone; i++)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(reaper_gone(r), gone);
}

/* An event comes at least as often as this. */
static void tick_cb(struct ev_loop *l, struct ev_timer *w, int revents)
{
	(void)l;
	(void)w;
	(void)revents;
}

static void test_one_and_many(void **state)
{
	struct reaper *r = NULL;
	struct nl *nl = NULL;
	struct ev_timer tick;
	char name[IF_NAMESIZE];
	uint32_t first;

	(void)state;
	loop = ev_loop_new(EVFLAG_AUTO);
	ev_timer_init(&tick, tick_cb, 0.01, 0.01);
	ev_timer_start(loop, &tick);
	assert_int_equal(nl_open(&nl), 0);
	assert_int_equal(reaper_new(loop, &r), 0);
	reaper_watch(r, on_gone, NULL);

	first = make_link(nl, 0);
	reaper_add(r, first);
	assert_int_equal(reaper_given(r), 1);
	turn_until(r, 1);
	assert_false(reaper_has(r, first));
	assert_null(if_indextoname(first, name));

	told = 0;
	for (unsigned int i = 0; i < LINKS; i++)
		reaper_add(r, make_link(nl, i));
	/* Gone already, and never there: no fault, and counted. */
	reaper_add(r, first);
	turn_until(r, LINKS + 2);
	/* Far fewer requests than links: they share their waits. */
	assert_in_range(told, 1, LINKS);
	for (unsigned int i = 0; i < LINKS; i++) {
		snprintf(name, sizeof(name), "nd%u", i);
		assert_int_equal(if_nametoindex(name), 0);
	}

	/* Waiting without the loop, and an end that leaves nothing. */
	first = make_link(nl, 0);
	reaper_add(r, first);
	reaper_wait(r);
	assert_null(if_indextoname(first, name));
	first = make_link(nl, 1);
	reaper_add(r, first);
	reaper_free(r);
	assert_null(if_indextoname(first, name));
	nl_free(nl);
	ev_timer_stop(loop, &tick);
	ev_loop_destroy(loop);
}

/* A turn of one step that works for half of its time. */
static void turn(struct lag *lag, int64_t now_us, enum lag_step step,
		 int64_t wall_us)
{
	lag_add(lag, step,
		(struct lag_time){ .wall_us = wall_us, .cpu_us = wall_us / 2 });
	lag_end(lag, now_us);
}

static int64_t longest(const struct lag *lag, int64_t now_us)
{
	return lag_longest(lag, &lag->all, now_us).wall_us;
}

static void test_lag(void **state)
{
	const int64_t minute = INT64_C(60000000);
	struct lag lag = { 0 };

	(void)state;
	turn(&lag, minute * 5, LAG_STORE, 3000);
	turn(&lag, minute * 5 + 1, LAG_AUDIT, 2000);
	assert_int_equal(longest(&lag, minute * 5 + 2), 3000);
	turn(&lag, minute * 6, LAG_AUDIT, LAG_LATE_US + 1);
	turn(&lag, minute * 6 + 1, LAG_AUDIT, LAG_LATE_US);
	assert_int_equal(lag.all.late, 1);
	assert_int_equal(lag.turns, 4);
	assert_int_equal(longest(&lag, minute * 6 + 2), LAG_LATE_US + 1);
	/* The minute before this one still counts, an older one does not. */
	assert_int_equal(longest(&lag, minute * 7), LAG_LATE_US + 1);
	assert_int_equal(longest(&lag, minute * 8), 0);
	turn(&lag, minute * 9, LAG_AUDIT, 1000);
	assert_int_equal(longest(&lag, minute * 9), 1000);
}

/* A turn is late as a whole; the largest part of it is why. */
static void test_lag_of_steps(void **state)
{
	const struct lag_time disk = { .wall_us = 7000, .cpu_us = 100 };
	const struct lag_time audit = { .wall_us = 4000, .cpu_us = 4000 };
	const struct lag_time work = { .wall_us = 6100, .cpu_us = 6100 };
	struct lag lag = { 0 };
	struct lag_time t;

	(void)state;
	lag_add(&lag, LAG_DISK, disk);
	lag_add(&lag, LAG_AUDIT, audit);
	lag_end(&lag, 1);
	assert_int_equal(lag.all.late, 1);
	assert_int_equal(lag.all.late_cpu, 0);
	assert_int_equal(lag.steps[LAG_DISK].late, 1);
	assert_int_equal(lag.steps[LAG_AUDIT].late, 0);

	/* Twice in one turn is one part of it. */
	lag_add(&lag, LAG_AUDIT, audit);
	lag_add(&lag, LAG_STORE, work);
	lag_add(&lag, LAG_AUDIT, audit);
	lag_end(&lag, 2);
	assert_int_equal(lag.all.late_cpu, 1);
	assert_int_equal(lag.steps[LAG_AUDIT].late_cpu, 1);
	assert_int_equal(lag.steps[LAG_STORE].late_cpu, 0);
	t = lag_longest(&lag, &lag.steps[LAG_AUDIT], 3);
	assert_int_equal(t.cpu_us, 8000);
	t = lag_longest(&lag, &lag.all, 3);
	assert_int_equal(t.wall_us, 14100);
	t = lag_longest(&lag, &lag.steps[LAG_DISK], 3);
	assert_int_equal(t.wall_us, 7000);
	assert_int_equal(t.cpu_us, 100);
}

/* What waits does no work. */
static void sleep_as(enum lag_step step)
{
	LAG(step);

	usleep(LAG_LATE_US);
}

static void busy_cb(struct ev_loop *l, struct ev_timer *w, int revents)
{
	LAG(LAG_TICK);
	int64_t end = mono_us() + 3 * LAG_LATE_US;

	(void)l;
	(void)w;
	(void)revents;
	while (mono_us() < end)
		;
	sleep_as(LAG_DISK);
}

static void test_lag_of_a_loop(void **state)
{
	struct lag lag = { 0 };
	struct lag_time t;
	struct ev_timer busy;

	(void)state;
	loop = ev_loop_new(EVFLAG_AUTO);
	lag_start(&lag, loop);
	ev_timer_init(&busy, busy_cb, 0.001, 0.);
	ev_timer_start(loop, &busy);
	ev_run(loop, 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(lag.all.late, 1);
	assert_int_equal(lag.steps[LAG_TICK].late, 1);
	assert_true(longest(&lag, mono_us()) >= 4 * LAG_LATE_US);
	t = lag_longest(&lag, &lag.steps[LAG_TICK], mono_us());
	assert_true(t.wall_us >= 3 * LAG_LATE_US);
	t = lag_longest(&lag, &lag.steps[LAG_DISK], mono_us());
	assert_true(t.wall_us >= LAG_LATE_US);
	assert_true(t.cpu_us < LAG_LATE_US / 2);
	lag_stop(&lag, loop);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_and_many),
		cmocka_unit_test(test_lag),
		cmocka_unit_test(test_lag_of_steps),
		cmocka_unit_test(test_lag_of_a_loop),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
