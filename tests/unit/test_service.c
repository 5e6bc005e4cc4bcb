/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>

#include "cm.h"
#include "json.h"
#include "service.h"

static void test_port_parse(void **state)
{
	static const struct {
		const char *text;
		int port, target;
		uint8_t proto;
	} rows[] = {
		{ "80", 80, 80, IPPROTO_TCP },
		{ "80:8080", 80, 8080, IPPROTO_TCP },
		{ "53/udp", 53, 53, IPPROTO_UDP },
		{ "53:5353/udp", 53, 5353, IPPROTO_UDP },
		{ "443/tcp", 443, 443, IPPROTO_TCP },
		{ "65535:1", 65535, 1, IPPROTO_TCP },
		{ "0", 0, 0, 0 },
		{ "65536", 0, 0, 0 },
		{ "80:", 0, 0, 0 },
		{ ":80", 0, 0, 0 },
		{ "80:0", 0, 0, 0 },
		{ "80/sctp", 0, 0, 0 },
		{ "80/", 0, 0, 0 },
		{ "http", 0, 0, 0 },
		{ "127.0.0.1:80:80", 0, 0, 0 },
		{ "-1", 0, 0, 0 },
		{ " 80", 0, 0, 0 },
		{ "", 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r = { 0 };
		struct port p;
		int err = service_port_parse("port", rows[i].text, &p, &r);

		assert_int_equal(!err, rows[i].port != 0);
		if (err) {
			assert_int_equal(r.code, API_INVALID);
			assert_string_equal(r.field, "port");
			assert_true(*r.hint);
			continue;
		}
		assert_int_equal(p.port, rows[i].port);
		assert_int_equal(p.target, rows[i].target);
		assert_int_equal(p.proto, rows[i].proto);
	}
}

/* A published port may be one address's. */
static void test_publish_parse(void **state)
{
	static const struct {
		const char *text;
		/* "": of every address; NULL: refused. */
		const char *host;
		int port, target;
	} rows[] = {
		{ "127.0.0.1:8080:80", "127.0.0.1", 8080, 80 },
		{ "http=192.0.2.1:8080:80", "192.0.2.1", 8080, 80 },
		{ "192.0.2.1:8080", "192.0.2.1", 8080, 8080 },
		{ "0.0.0.0:8080:80", "", 8080, 80 },
		{ "8080:80", "", 8080, 80 },
		{ "192.0.2.1:8080:80/udp", "192.0.2.1", 8080, 80 },
		{ "192.0.2.1", NULL, 0, 0 },
		{ "192.0.2.1:", NULL, 0, 0 },
		{ "192.0.2.1::80", NULL, 0, 0 },
		{ "192.0.2.256:80:80", NULL, 0, 0 },
		{ "192.0.2.1:1:2:3", NULL, 0, 0 },
		{ "1:2:3", NULL, 0, 0 },
		{ "[::1]:8080:80", "::1", 8080, 80 },
		{ "[2001:db8::1]:8080", "2001:db8::1", 8080, 8080 },
		{ "[::]:8080:80", "", 8080, 80 },
		{ "[::1]8080:80", NULL, 0, 0 },
		{ "[127.0.0.1]:8080:80", NULL, 0, 0 },
		{ "::1:8080:80", NULL, 0, 0 },
		{ "[::1:8080", NULL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r = { 0 };
		char ip[IP_STRLEN] = "";
		struct port p;
		int err = service_port_parse("publish", rows[i].text, &p, &r);

		if (!err != !!rows[i].host)
			fail_msg("%s: %d %s", rows[i].text, err, r.message);
		assert_true(!err || *r.hint);
		if (err)
			continue;
		if (!ip_is_none(&p.host))
			ip_str(&p.host, ip);
		assert_string_equal(ip, rows[i].host);
		assert_int_equal(p.port, rows[i].port);
		assert_int_equal(p.target, rows[i].target);
	}
}

static void test_backend_parse(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
		{ "10.0.0.4:80", true },
		{ "192.0.2.1:65535", true },
		{ "10.0.0.4", false },
		{ "10.0.0.4:0", false },
		{ "10.0.0.4:65536", false },
		{ "127.0.0.1:80", false },
		{ "0.0.0.0:80", false },
		{ "224.0.0.1:80", false },
		{ "255.255.255.255:80", false },
		{ "host:80", false },
		{ "[fd00::1]:80", true },
		{ ":80", false },
		{ "fd00::1:80", false },
		{ "[fd00::1]", false },
		{ "[10.0.0.4]:80", false },
		{ "[::1]:80", false },
		{ "[::]:80", false },
		{ "[ff02::1]:80", false },
		{ "[fe80::1]:80", false },
		{ "[]:80", false },
		{ "[:80", false },
		{ "[2001:db8::1]:0", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r;
		struct static_backend b;

		assert_int_equal(!service_backend_parse(rows[i].text, &b, &r),
				 rows[i].ok);
	}
}

static void test_selects(void **state)
{
	static const struct {
		const char *selector, *labels;
		bool yes;
	} rows[] = {
		{ "{\"app\":\"web\"}", "{\"app\":\"web\",\"v\":\"1\"}", true },
		{ "{\"app\":\"web\",\"v\":\"1\"}", "{\"app\":\"web\"}", false },
		{ "{\"app\":\"web\"}", "{\"app\":\"db\"}", false },
		{ "{\"app\":\"web\"}", "{}", false },
		{ "{}", "{\"app\":\"web\"}", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct service s = { .selector = json_loads(rows[i].selector, 0,
							    NULL) };
		json_t *labels = json_loads(rows[i].labels, 0, NULL);

		assert_int_equal(service_selects(&s, labels), rows[i].yes);
		json_decref(s.selector);
		json_decref(labels);
	}
}

/* What was stored comes back, unknown fields with it. */
static void test_json_keeps_unknown_fields(void **state)
{
	static const char text[] =
		"{\"schema\":1,\"vip\":\"10.80.0.1\",\"mode\":\"vip\","
		"\"ports\":[{\"port\":80,\"target\":8080,\"protocol\":\"tcp\"}]"
		","
		"\"published\":[],\"backends\":[\"10.0.0.4:80\"],"
		"\"selector\":{\"app\":\"web\"},\"labels\":{},\"later\":[1,2]}";
	json_t *doc = json_loads(text, 0, NULL);
	struct service *s = service_from_json("web", doc);
	json_t *again;

	(void)state;
	assert_non_null(s);
	again = service_to_json(s);
	assert_true(json_equal(doc, again));
	json_decref(again);
	json_decref(doc);
	service_free(s);
}

static void test_json_refuses(void **state)
{
	static const char *const rows[] = {
		"{\"vip\":\"nonsense\"}",
		"{\"ports\":[{\"port\":0,\"target\":1,\"protocol\":\"tcp\"}]}",
		("{\"ports\":[{\"port\":80,\"target\":70000,"
		 "\"protocol\":\"tcp\"}]}"),
		"{\"ports\":[{\"port\":80,\"target\":80,\"protocol\":\"x\"}]}",
		"{\"ports\":[1]}",
		"{\"backends\":[\"127.0.0.1:80\"]}",
		"{\"backends\":[7]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *doc = json_loads(rows[i], 0, NULL);

		assert_non_null(doc);
		assert_null(service_from_json("web", doc));
		json_decref(doc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_parse),
		cmocka_unit_test(test_publish_parse),
		cmocka_unit_test(test_backend_parse),
		cmocka_unit_test(test_selects),
		cmocka_unit_test(test_json_keeps_unknown_fields),
		cmocka_unit_test(test_json_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
