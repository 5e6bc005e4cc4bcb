/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include <ev.h>

#include "netd/util.h"
#include "nft.h"
#include "nl.h"
#include "own_net.h"
#include "sysctl.h"

static struct ev_loop *loop;
static struct nl *nl;
static int calls;

static void look_again(void *arg)
{
	(void)arg;
	calls++;
}

static void stop(struct ev_loop *l, ev_timer *t, int events)
{
	(void)t;
	(void)events;
	ev_break(l, EVBREAK_ALL);
}

static void run_for(double seconds)
{
	ev_timer timer;

	ev_timer_init(&timer, stop, seconds, 0.);
	ev_now_update(loop);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	ev_timer_stop(loop, &timer);
}

static uint32_t lo_ifindex(void)
{
	struct nl_link l;

	assert_int_equal(nl_link_get(nl, "lo", &l), 0);
	return l.ifindex;
}

static int setup(void **state)
{
	(void)state;
	loop = ev_loop_new(EVFLAG_AUTO);
	assert_int_equal(nl_open(&nl), 0);
	assert_int_equal(
		nl_watch(nl, loop,
			 &(struct nl_watch_calls){ .soon = look_again }),
		0);
	assert_int_equal(
		nl_watch(nl, loop,
			 &(struct nl_watch_calls){ .soon = look_again }),
		-EBUSY);
	/* Changes to a link that is down make no event. */
	assert_int_equal(nl_link_up(nl, lo_ifindex()), 0);
	run_for(0.15);
	calls = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nl_free(nl);
	ev_loop_destroy(loop);
	return 0;
}

static void test_watch_quiet(void **state)
{
	(void)state;
	run_for(0.2);
	assert_int_equal(calls, 0);
}

static void test_watch_burst_is_one_call(void **state)
{
	char alias[32];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(alias, sizeof(alias), "burst %d", i);
		assert_int_equal(nl_link_set_alias(nl, lo_ifindex(), alias), 0);
	}
	run_for(0.2);
	assert_int_equal(calls, 1);
}

/* More than the socket's buffer holds: the loss itself is the news. */
static void test_watch_overrun(void **state)
{
	uint32_t lo = lo_ifindex();
	char alias[32];

	(void)state;
	for (int i = 0; i < 4000; i++) {
		snprintf(alias, sizeof(alias), "flood %d", i);
		assert_int_equal(nl_link_set_alias(nl, lo, alias), 0);
	}
	run_for(0.2);
	assert_in_range(calls, 1, 2);
	/* And it hears again afterwards. */
	calls = 0;
	assert_int_equal(nl_link_set_alias(nl, lo, "after"), 0);
	run_for(0.2);
	assert_int_equal(calls, 1);
}

static void test_watch_addr_and_sysctl(void **state)
{
	struct ip_prefix p;

	(void)state;
	assert_int_equal(prefix_parse("192.0.2.7/32", &p), 0);
	assert_int_equal(nl_addr_add(nl, lo_ifindex(), &p), 0);
	run_for(0.2);
	assert_int_equal(calls, 1);
	assert_int_equal(sysctl_put("ipv4", NULL, "ip_forward", "1"), 0);
	run_for(0.2);
	assert_int_equal(calls, 2);
}

static void test_watch_nft(void **state)
{
	const struct nft_config config = { .tunnel = "netd0", .port = 4789 };
	char error[256];

	(void)state;
	assert_int_equal(nft_put(&config, error, sizeof(error)), 0);
	run_for(0.2);
	assert_int_equal(calls, 1);
	assert_int_equal(nft_del(), 0);
	run_for(0.2);
	assert_int_equal(calls, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_watch_quiet),   T(test_watch_burst_is_one_call),
		T(test_watch_overrun), T(test_watch_addr_and_sysctl),
		T(test_watch_nft),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
