/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "netd/util.h"
#include "nft.h"
#include "own_net.h"
#include "run.h"

static char text[64 * 1024];

static int sh(const char *command)
{
	const char *const argv[] = { "sh", "-c", command, NULL };

	return run_program(argv, NULL, text, sizeof(text));
}

static bool has(const char *what)
{
	return strstr(text, what) != NULL;
}

static int count(const char *what)
{
	const char *at = text;
	int n = 0;

	while ((at = strstr(at, what))) {
		at += strlen(what);
		n++;
	}
	return n;
}

static void put(const char *const pools[], size_t len)
{
	struct ip_prefix list[4];
	struct nft_config config = {
		.tunnel = "netd0",
		.port = 4789,
		.vtep = ip_from_v4(0xc0000201),
		.member_mark = 5,
		.pools = list,
		.pools_len = len,
	};
	char error[512];
	int err;

	for (size_t i = 0; i < len; i++)
		assert_int_equal(prefix_parse(pools[i], &list[i]), 0);
	err = nft_put(&config, error, sizeof(error));
	if (err)
		print_error("nft: %s\n", error);
	assert_int_equal(err, 0);
}

static int teardown(void **state)
{
	(void)state;
	sh("iptables -w -P FORWARD ACCEPT; nft flush ruleset");
	return 0;
}

static void test_put_is_put_del(void **state)
{
	static const char *const pools[] = { "10.64.0.0/12", "10.65.0.0/22",
					     "fd00::/48" };

	(void)state;
	assert_false(nft_is_put());
	put(pools, ARRAY_LEN(pools));
	assert_true(nft_is_put());
	put(pools, ARRAY_LEN(pools));
	assert_true(nft_is_put());
	assert_int_equal(sh("nft list tables"), 0);
	assert_int_equal(count("inet netd"), 1);
	assert_int_equal(nft_del(), 0);
	assert_false(nft_is_put());
	assert_int_equal(nft_del(), 0);
	assert_int_equal(sh("nft list ruleset"), 0);
	assert_string_equal(text, "");
}

static void test_put_content(void **state)
{
	static const char *const want[] = {
		"udp dport 4789 ip daddr 192.0.2.1 notrack",
		("udp dport 4789 iif \"lo\" counter name \"tunnel_astray\" "
		 "drop"),
		("udp dport 4789 meta mark != 0x00000005 fib daddr type local "
		 "fib saddr . iif oif missing counter name \"tunnel_astray\" "
		 "drop"),
		"udp dport 4789 notrack",
		"iifname \"netd0\" udp dport 53",
		"oifname \"netd0\" udp sport 53 notrack",
		"ip saddr @pools4 ip daddr != @pools4 masquerade",
		"elements = { 10.64.0.0/12 }",
		"elements = { fd00::/48 }",
		"iifname != \"netd0\" oifname \"netd0\"",
		"hook prerouting priority raw",
		"hook output priority raw",
		"hook postrouting priority srcnat",
	};
	static const char *const pools[] = { "10.64.0.0/12", "fd00::/48" };

	(void)state;
	put(pools, ARRAY_LEN(pools));
	assert_int_equal(sh("nft list table inet netd"), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		if (!has(want[i]))
			fail_msg("missing: %s in %s", want[i], text);
	}
}

/* Every way somebody can change our table is noticed. */
static void test_is_put_notices(void **state)
{
	static const char *const harm[] = {
		"nft flush ruleset",
		"nft delete table inet netd",
		"nft flush chain inet netd egress",
		"nft flush set inet netd pools4",
		"nft add element inet netd pools4 '{ 192.0.2.0/24 }'",
		"nft insert rule inet netd egress accept",
		"nft insert rule inet netd raw_in drop",
		"nft add chain inet netd extra",
	};
	static const char *const pools[] = { "10.64.0.0/12" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(harm); i++) {
		put(pools, 1);
		assert_true(nft_is_put());
		assert_int_equal(sh(harm[i]), 0);
		if (nft_is_put())
			fail_msg("not noticed: %s", harm[i]);
	}
	put(pools, 1);
	assert_true(nft_is_put());
}

static void test_is_put_ignores_others(void **state)
{
	static const char *const pools[] = { "10.64.0.0/12" };

	(void)state;
	put(pools, 1);
	assert_int_equal(sh("nft add table inet other; "
			    "nft add chain inet other c; "
			    "nft add table ip netd; "
			    "nft reset counters table inet netd"),
			 0);
	assert_true(nft_is_put());
}

static void test_put_error_is_told(void **state)
{
	struct nft_config config = { .tunnel = "a\"b", .port = 4789 };
	char error[512];

	(void)state;
	assert_int_equal(nft_put(&config, error, sizeof(error)), -EIO);
	assert_non_null(strstr(error, "rror"));
	assert_false(nft_is_put());
}

static void test_forward_nothing_to_do(void **state)
{
	char policy[16], error[512];

	(void)state;
	nft_forward_policy(policy, sizeof(policy));
	assert_string_equal(policy, "");
	assert_int_equal(nft_forward_put("netd0", error, sizeof(error)), 0);
	assert_int_equal(sh("nft list ruleset"), 0);
	assert_string_equal(text, "");

	assert_int_equal(sh("iptables -w -A FORWARD -i lo -j ACCEPT"), 0);
	nft_forward_policy(policy, sizeof(policy));
	assert_string_equal(policy, "ACCEPT");
	assert_int_equal(nft_forward_put("netd0", error, sizeof(error)), 0);
	assert_int_equal(sh("iptables -w -S"), 0);
	assert_false(has("netd0"));
}

static void test_forward_drop(void **state)
{
	char policy[16], error[512];

	(void)state;
	assert_int_equal(sh("iptables -w -P FORWARD DROP"), 0);
	nft_forward_policy(policy, sizeof(policy));
	assert_string_equal(policy, "DROP");
	for (int i = 0; i < 3; i++)
		assert_int_equal(nft_forward_put("netd0", error, sizeof(error)),
				 0);
	assert_int_equal(sh("iptables -w -S FORWARD"), 0);
	assert_int_equal(count("-i netd0"), 1);
	assert_int_equal(count("-o netd0"), 1);
	assert_true(has("RELATED,ESTABLISHED"));

	/* Somebody flushes: the generation tells. */
	assert_int_equal(sh("iptables -w -F FORWARD"), 0);
	assert_int_equal(nft_forward_put("netd0", error, sizeof(error)), 0);
	assert_int_equal(sh("iptables -w -S FORWARD"), 0);
	assert_int_equal(count("-i netd0"), 1);

	assert_int_equal(nft_forward_del("netd0"), 0);
	assert_int_equal(nft_forward_del("netd0"), 0);
	assert_int_equal(sh("iptables -w -S"), 0);
	assert_false(has("netd0"));
}

/* IPv6 has tables of its own: a DROP there is no business of IPv4's. */
static void test_forward_drop6(void **state)
{
	char error[512];

	(void)state;
	assert_int_equal(sh("ip6tables -w -P FORWARD DROP"), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(nft_forward_put("netd0", error, sizeof(error)),
				 0);
	assert_int_equal(sh("ip6tables -w -S FORWARD"), 0);
	assert_int_equal(count("-i netd0"), 1);
	assert_int_equal(count("-o netd0"), 1);
	assert_int_equal(sh("iptables -w -S"), 0);
	assert_false(has("netd0"));
	assert_int_equal(nft_forward_del("netd0"), 0);
	assert_int_equal(sh("ip6tables -w -S"), 0);
	assert_false(has("netd0"));
	assert_int_equal(sh("ip6tables -w -P FORWARD ACCEPT"), 0);
}

static void test_forward_docker(void **state)
{
	char error[512];

	(void)state;
	assert_int_equal(sh("iptables -w -P FORWARD DROP; "
			    "iptables -w -N DOCKER-USER; "
			    "iptables -w -A DOCKER-USER -j RETURN"),
			 0);
	/* A chain nothing jumps to helps nobody. */
	assert_int_equal(nft_forward_put("netd0", error, sizeof(error)), 0);
	assert_int_equal(sh("iptables -w -S DOCKER-USER"), 0);
	assert_false(has("netd0"));

	assert_int_equal(sh("iptables -w -I FORWARD -j DOCKER-USER"), 0);
	assert_int_equal(nft_forward_put("netd0", error, sizeof(error)), 0);
	assert_int_equal(sh("iptables -w -S DOCKER-USER"), 0);
	assert_int_equal(count("netd0"), 2);
	assert_true(strstr(text, "netd0") < strstr(text, "RETURN"));
	assert_int_equal(nft_forward_del("netd0"), 0);
	assert_int_equal(sh("iptables -w -S"), 0);
	assert_false(has("netd0"));
	assert_true(has("-A DOCKER-USER -j RETURN"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_teardown(f, teardown)
		T(test_put_is_put_del),	   T(test_put_content),
		T(test_is_put_notices),	   T(test_is_put_ignores_others),
		T(test_put_error_is_told), T(test_forward_nothing_to_do),
		T(test_forward_drop),	   T(test_forward_drop6),
		T(test_forward_docker),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
