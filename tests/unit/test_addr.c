/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "netd/addr.h"
#include "netd/util.h"

static void test_ip_parse(void **state)
{
	static const struct {
		const char *text;
		const char *shown;
	} rows[] = {
		{ "10.0.0.1", "10.0.0.1" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "fd00::1", "fd00::1" },
		{ "::ffff:10.0.0.1", "10.0.0.1" },
		{ "10.0.0.01", NULL },
		{ "10.0.0", NULL },
		{ "10.0.0.256", NULL },
		{ " 10.0.0.1", NULL },
		{ "10.0.0.1 ", NULL },
		{ "", NULL },
		{ "fd00::1%eth0", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char buf[IP_STRLEN];
		struct ip_addr a;
		int err = ip_parse(rows[i].text, &a);

		assert_int_equal(err, rows[i].shown ? 0 : -EINVAL);
		if (!err)
			assert_string_equal(ip_str(&a, buf), rows[i].shown);
	}
}

static void test_prefix_parse(void **state)
{
	static const struct {
		const char *text;
		const char *shown;
		bool host_bits;
	} rows[] = {
		{ "10.0.0.0/8", "10.0.0.0/8", false },
		{ "10.0.0.1/8", "10.0.0.1/8", true },
		{ "10.0.0.1", "10.0.0.1/32", false },
		{ "0.0.0.0/0", "0.0.0.0/0", false },
		{ "fd00::/48", "fd00::/48", false },
		{ "10.0.0.0/33", NULL, false },
		{ "10.0.0.0/", NULL, false },
		{ "10.0.0.0/-1", NULL, false },
		{ "10.0.0.0/8x", NULL, false },
		{ "/8", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char buf[PREFIX_STRLEN];
		struct ip_prefix p;
		int err = prefix_parse(rows[i].text, &p);

		assert_int_equal(err, rows[i].shown ? 0 : -EINVAL);
		if (err)
			continue;
		assert_string_equal(prefix_str(&p, buf), rows[i].shown);
		assert_int_equal(prefix_has_host_bits(&p), rows[i].host_bits);
	}
}

static void test_prefix_overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool yes;
	} rows[] = {
		{ "10.0.0.0/8", "10.5.0.0/16", true },
		{ "10.5.0.0/16", "10.0.0.0/8", true },
		{ "10.0.0.0/24", "10.0.1.0/24", false },
		{ "10.0.0.0/25", "10.0.0.128/25", false },
		{ "10.0.0.0/24", "10.0.0.255", true },
		{ "0.0.0.0/0", "192.0.2.1", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_prefix a, b;

		assert_int_equal(prefix_parse(rows[i].a, &a), 0);
		assert_int_equal(prefix_parse(rows[i].b, &b), 0);
		assert_int_equal(prefix_overlaps(&a, &b), rows[i].yes);
	}
}

static void test_ip_add(void **state)
{
	static const struct {
		const char *from;
		int64_t n;
		const char *to;
	} rows[] = {
		{ "10.0.0.0", 1, "10.0.0.1" },
		{ "10.0.0.255", 1, "10.0.1.0" },
		{ "10.0.1.0", -1, "10.0.0.255" },
		{ "10.0.0.0", 65536, "10.1.0.0" },
		{ "fd00::ffff:ffff:ffff:ffff", 1, "fd00:0:0:1::" },
		{ "fd00:0:0:1::", -1, "fd00::ffff:ffff:ffff:ffff" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_addr a, b;
		char buf[IP_STRLEN];

		assert_int_equal(ip_parse(rows[i].from, &a), 0);
		b = ip_add(&a, rows[i].n);
		assert_string_equal(ip_str(&b, buf), rows[i].to);
		if (rows[i].n > 0)
			assert_int_equal(ip_distance(&a, &b), rows[i].n);
	}
}

static void test_prefix_size_and_last(void **state)
{
	struct ip_prefix p;
	struct ip_addr last;
	char buf[IP_STRLEN];

	(void)state;
	assert_int_equal(prefix_parse("10.0.0.0/26", &p), 0);
	assert_int_equal(prefix_size(&p), 64);
	last = prefix_last(&p);
	assert_string_equal(ip_str(&last, buf), "10.0.0.63");
	assert_int_equal(prefix_shown_len(&p), 26);
	assert_int_equal(prefix_parse("fd00::/8", &p), 0);
	assert_true(prefix_size(&p) == INT64_MAX);
}

static void test_mac(void **state)
{
	struct ip_addr a = ip_from_v4(0x0a400102);
	struct mac_addr m = mac_from_ip(&a), back;
	char buf[MAC_STRLEN];

	(void)state;
	assert_string_equal(mac_str(&m, buf), "02:6e:0a:40:01:02");
	assert_int_equal(mac_parse(buf, &back), 0);
	assert_memory_equal(&m, &back, sizeof(m));
	assert_int_equal(mac_parse("02:6e:0a:40:01", &back), -EINVAL);
	assert_int_equal(mac_parse("02:6e:0a:40:01:02:03", &back), -EINVAL);
}

static void test_str_to_u32(void **state)
{
	uint32_t v = 7;

	(void)state;
	assert_int_equal(str_to_u32("65535", 1, 65535, &v), 0);
	assert_int_equal(v, 65535);
	assert_int_equal(str_to_u32("65536", 1, 65535, &v), -ERANGE);
	assert_int_equal(str_to_u32("0", 1, 65535, &v), -ERANGE);
	assert_int_equal(str_to_u32("", 0, 1, &v), -EINVAL);
	assert_int_equal(str_to_u32("-1", 0, 1, &v), -EINVAL);
	assert_int_equal(str_to_u32("1 ", 0, 1, &v), -EINVAL);
	assert_int_equal(str_to_u32("99999999999999999999", 0, UINT32_MAX, &v),
			 -ERANGE);
	assert_int_equal(v, 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip_parse),
		cmocka_unit_test(test_prefix_parse),
		cmocka_unit_test(test_prefix_overlaps),
		cmocka_unit_test(test_ip_add),
		cmocka_unit_test(test_prefix_size_and_last),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_str_to_u32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
