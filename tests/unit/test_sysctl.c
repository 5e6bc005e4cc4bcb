/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a namespace of our own, as the kernel shows them afterwards. */
#include "cm.h"
#include "netd/util.h"
#include "own_net.h"
#include "sysctl.h"

#define CONF "ipv6/conf"

static void is(const char *device, const char *key, const char *want)
{
	char now[16];

	assert_int_equal(sysctl_get(CONF, device, key, now, sizeof(now)), 0);
	assert_string_equal(now, want);
}

static void test_put_get(void **state)
{
	(void)state;
	assert_int_equal(sysctl_put(CONF, "lo", "accept_ra", "2"), 0);
	is("lo", "accept_ra", "2");
	assert_int_equal(sysctl_put(CONF, "../lo", "accept_ra", "0"), -EINVAL);
	assert_int_equal(sysctl_put(CONF, "none", "accept_ra", "0"), -ENOENT);
	is("lo", "accept_ra", "2");
}

/* Who lived by router advertisements goes on; nobody else begins to. */
static void test_forward6(void **state)
{
	static const struct {
		const char *device, *before, *after;
	} rows[] = {
		{ "ra0", "1", "2" },
		{ "ra1", "0", "0" },
		{ "ra2", "2", "2" },
		{ "default", "1", "1" },
	};

	(void)state;
	if (system("for i in 0 1 2; do ip link add ra$i type veth; done"))
		fail();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(sysctl_put(CONF, rows[i].device, "accept_ra",
					    rows[i].before),
				 0);
	is("all", "forwarding", "0");
	assert_int_equal(sysctl_forward6(), 0);
	is("all", "forwarding", "1");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		is(rows[i].device, "accept_ra", rows[i].after);
	/* Once it forwards, what is said of a device stands. */
	assert_int_equal(sysctl_put(CONF, "ra0", "accept_ra", "1"), 0);
	assert_int_equal(sysctl_forward6(), 0);
	is("ra0", "accept_ra", "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get),
		cmocka_unit_test(test_forward6),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
