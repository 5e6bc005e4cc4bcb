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

static void test_lag(void **state)
{
	const int64_t minute = INT64_C(60000000);
	struct lag lag = { 0 };

	(void)state;
	lag_add(&lag, minute * 5, 3000);
	lag_add(&lag, minute * 5 + 1, 2000);
	assert_int_equal(lag_longest_us(&lag, minute * 5 + 2), 3000);
	lag_add(&lag, minute * 6, LAG_LATE_US + 1);
	lag_add(&lag, minute * 6 + 1, LAG_LATE_US);
	assert_int_equal(lag.late, 1);
	assert_int_equal(lag.turns, 4);
	assert_int_equal(lag_longest_us(&lag, minute * 6 + 2), LAG_LATE_US + 1);
	/* The minute before this one still counts, an older one does not. */
	assert_int_equal(lag_longest_us(&lag, minute * 7), LAG_LATE_US + 1);
	assert_int_equal(lag_longest_us(&lag, minute * 8), 0);
	lag_add(&lag, minute * 9, 1000);
	assert_int_equal(lag_longest_us(&lag, minute * 9), 1000);
}

static void busy_cb(struct ev_loop *l, struct ev_timer *w, int revents)
{
	int64_t end = mono_us() + 3 * LAG_LATE_US;

	(void)l;
	(void)w;
	(void)revents;
	while (mono_us() < end)
		;
}

static void test_lag_of_a_loop(void **state)
{
	struct lag lag = { 0 };
	struct ev_timer busy;

	(void)state;
	loop = ev_loop_new(EVFLAG_AUTO);
	lag_start(&lag, loop);
	ev_timer_init(&busy, busy_cb, 0.001, 0.);
	ev_timer_start(loop, &busy);
	ev_run(loop, 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(lag.late, 1);
	assert_true(lag_longest_us(&lag, mono_us()) >= 3 * LAG_LATE_US);
	lag_stop(&lag, loop);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_and_many),
		cmocka_unit_test(test_lag),
		cmocka_unit_test(test_lag_of_a_loop),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
