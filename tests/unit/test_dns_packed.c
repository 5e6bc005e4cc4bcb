/* SPDX-License-Identifier: Apache-2.0 */
/* Names in as many bytes as they take: there and back, cut, and too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netd/util.h"
#include "packed.h"

static uint8_t bytes[PACKED_MAX];
static struct packed back;

static struct want_name web(void)
{
	return (struct want_name){
		.vni = 4097,
		.kind = NAME_TASKS,
		.name = "Web",
		.ttl = 0,
		.ports = { { .port = 80,
			     .proto = 6,
			     .target = 8080,
			     .name = "http" },
			   { .port = 53, .proto = 17 } },
		.ports_len = 2,
		.addrs_len = 2,
		.headless = true,
		.ptr = true,
	};
}

static size_t web_pack(size_t *key_len)
{
	static const struct want_host hosts[] = { { "Web-1", 0 },
						  { "fd00--2", 9000 } };
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	struct want_name want = web();
	struct ip_addr addrs[2];

	assert_int_equal(ip_parse("10.0.0.1", &addrs[0]), 0);
	assert_int_equal(ip_parse("fd00::2", &addrs[1]), 0);
	assert_int_equal(packed_name(&w, &want, addrs, hosts, key_len), 0);
	return w.len;
}

static void test_packed_name(void **state)
{
	const struct want_name *want = &back.want;
	char ip[IP_STRLEN];
	size_t key_len, len = web_pack(&key_len);

	(void)state;
	assert_int_equal(packed_read(bytes, len, &back), 0);
	assert_int_equal(want->vni, 4097);
	assert_int_equal(want->kind, NAME_TASKS);
	assert_string_equal(want->name, "web");
	assert_int_equal(want->ttl, 0);
	assert_true(want->headless && want->ptr && back.has_hosts);
	assert_int_equal(want->ports_len, 2);
	assert_string_equal(want->ports[0].name, "http");
	assert_int_equal(want->ports[0].target, 8080);
	assert_int_equal(want->ports[1].port, 53);
	assert_int_equal(want->ports[1].proto, 17);
	assert_int_equal(want->addrs_len, 2);
	assert_string_equal(ip_str(&back.addrs[0], ip), "10.0.0.1");
	assert_string_equal(ip_str(&back.addrs[1], ip), "fd00::2");
	assert_string_equal(back.hosts[0].name, "web-1");
	assert_int_equal(back.hosts[1].port, 9000);
}

static void test_packed_alias(void **state)
{
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	struct want_name want = { .name = "db", .target = "Db.Example.com" };
	size_t key_len;

	(void)state;
	assert_int_equal(packed_name(&w, &want, NULL, NULL, &key_len), 0);
	assert_int_equal(packed_read(bytes, w.len, &back), 0);
	assert_string_equal(back.want.target, "db.example.com");
	assert_false(back.has_hosts);
}

static void test_packed_values(void **state)
{
	static struct want_value values[RECORD_VALUES_MAX + 1] = {
		{ .type = 1, .ttl = 5 },
		{ .type = 16, .ttl = 60, .text = "v=Spf1 -all" },
		{ .type = 33,
		  .priority = 1,
		  .weight = 2,
		  .port = 3,
		  .ttl = 4,
		  .text = "a.b" },
	};
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	size_t key_len;

	(void)state;
	values[0].addr = ip_from_v4(0x0a000001);
	assert_int_equal(packed_values(&w, 7, "N", values, 3, &key_len), 0);
	assert_int_equal(packed_read(bytes, w.len, &back), 0);
	assert_int_equal(back.want.kind, NAME_RECORD);
	assert_int_equal(back.values_len, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(back.values[i].type, values[i].type);
		assert_int_equal(back.values[i].ttl, values[i].ttl);
		assert_string_equal(back.values[i].text, values[i].text);
	}
	assert_true(ip_eq(&back.values[0].addr, &values[0].addr));
	assert_int_equal(back.values[2].port, 3);
	for (size_t i = 0; i < w.len; i++)
		assert_int_equal(packed_read(bytes, i, &back), -EBADMSG);
	assert_int_equal(packed_values(&w, 7, "n", values,
				       RECORD_VALUES_MAX + 1, &key_len),
			 -E2BIG);
}

static void test_packed_key(void **state)
{
	uint8_t key[PACKED_KEY_MAX];
	struct wbuf w = wbuf_make(key, sizeof(key));
	size_t key_len, len = web_pack(&key_len);
	struct rbuf r = rbuf_make(bytes, len);
	struct want_name want;

	(void)state;
	assert_int_equal(packed_key(&w, 4097, NAME_TASKS, "wEB"), key_len);
	assert_memory_equal(key, bytes, key_len);
	assert_int_equal(packed_read_key(&r, &want), 0);
	assert_int_equal(r.pos, key_len);
	assert_string_equal(want.name, "web");
}

static void test_packed_cut(void **state)
{
	size_t key_len, len = web_pack(&key_len);

	(void)state;
	for (size_t i = 0; i < len; i++)
		assert_int_equal(packed_read(bytes, i, &back), -EBADMSG);
	bytes[len] = 0;
	assert_int_equal(packed_read(bytes, len + 1, &back), -EBADMSG);
}

/* One byte changed to what cannot be. */
static void test_packed_bad(void **state)
{
	static const struct {
		/* Before or, negative, behind the key. */
		int at;
		uint8_t byte;
		const char *what;
	} cases[] = {
		{ 4, NAME_KIND_MAX, "kind" },
		{ 6, 0, "a 0 in the name" },
		{ -6, 254, "length of the target" },
		{ -7, NAME_PORTS_MAX + 1, "number of ports" },
		{ -8, PORT_NAME_LEN, "length of a port's name" },
		{ -24, 0xff, "number of addresses" },
		{ -26, 5, "length of an address" },
		{ -31, NAME_LEN, "length of a host" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t key_len, len = web_pack(&key_len);
		size_t at = cases[i].at < 0 ? key_len - 1 + (size_t)-cases[i].at
					    : (size_t)cases[i].at;

		bytes[at] = cases[i].byte;
		if (packed_read(bytes, len, &back) != -EBADMSG)
			fail_msg("%s: taken", cases[i].what);
	}
}

static void test_packed_limits(void **state)
{
	static struct ip_addr addrs[NAME_ADDRS_MAX + 1];
	static struct want_host hosts[NAME_ADDRS_MAX + 1];
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	struct want_name want = web();
	size_t key_len;

	(void)state;
	memset(want.name, 'n', sizeof(want.name) - 1);
	memset(want.target, 't', sizeof(want.target) - 1);
	want.ports_len = NAME_PORTS_MAX;
	want.addrs_len = NAME_ADDRS_MAX;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		addrs[i].b[0] = 0xfd;
		memset(hosts[i].name, 'h', sizeof(hosts[i].name) - 1);
	}
	for (size_t i = 0; i < NAME_PORTS_MAX; i++)
		memset(want.ports[i].name, 'p', PORT_NAME_LEN - 1);
	assert_int_equal(packed_name(&w, &want, addrs, hosts, &key_len), 0);
	assert_true(w.len <= PACKED_NAME_MAX);
	assert_int_equal(packed_read(bytes, w.len, &back), 0);
	w.len = 0;
	want.addrs_len++;
	assert_int_equal(packed_name(&w, &want, addrs, hosts, &key_len),
			 -E2BIG);
	want = web();
	want.ports_len = NAME_PORTS_MAX + 1;
	assert_int_equal(packed_name(&w, &want, addrs, hosts, &key_len),
			 -E2BIG);
	want = web();
	want.kind = NAME_KIND_MAX;
	assert_int_equal(packed_name(&w, &want, addrs, hosts, &key_len),
			 -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed_name),
		cmocka_unit_test(test_packed_alias),
		cmocka_unit_test(test_packed_values),
		cmocka_unit_test(test_packed_key),
		cmocka_unit_test(test_packed_cut),
		cmocka_unit_test(test_packed_bad),
		cmocka_unit_test(test_packed_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
