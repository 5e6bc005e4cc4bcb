/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime is told, by version, and what CHECK compares. */
#include "cni_text.h"
#include "netd/util.h"
#include "result.h"

static json_t *a_reply(void)
{
	json_t *reply = json_loads(
		"{\"link\":\"nd0\",\"interface\":\"eth0\",\"mac\":"
		"\"02:00:00:00:00:01\",\"mtu\":1450,\"ip\":\"10.5.0.7/24\","
		"\"gateway\":\"10.5.0.1\",\"routes\":[{\"dst\":\"0.0.0.0/0\","
		"\"gw\":\"10.5.0.1\"}],\"search\":[\"a.b\"]}",
		0, NULL);

	assert_non_null(reply);
	return reply;
}

static const struct cni_env an_env = { .command = CNI_ADD,
				       .container = "c1",
				       .netns = "/run/netns/x",
				       .ifname = "eth0" };

static json_t *result_of(const char *version, const char *more)
{
	AUTO(str_freep)
	char *text = xasprintf("{\"cniVersion\":\"%s\",\"name\":\"lab\"%s}",
			       version, more);
	json_t *reply = a_reply(), *result;
	struct cni_error e = { 0 };
	struct cni_conf conf;

	assert_int_equal(read_conf(text, CNI_ADD, &conf, &e), 0);
	result = cni_result(&an_env, &conf, reply);
	cni_conf_free(&conf);
	json_decref(reply);
	return result;
}

static void test_result(void **state)
{
	static const struct {
		const char *version;
		bool has_version, has_mtu;
	} rows[] = {
		{ "0.3.1", true, false },
		{ "0.4.0", true, false },
		{ "1.0.0", false, false },
		{ "1.1.0", false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *r = result_of(rows[i].version, "");
		json_t *inside =
			json_array_get(json_object_get(r, "interfaces"), 1);
		json_t *ip = json_array_get(json_object_get(r, "ips"), 0);
		json_t *dns = json_object_get(r, "dns");

		assert_string_equal(
			json_string_value(json_object_get(r, "cniVersion")),
			rows[i].version);
		assert_string_equal(
			json_string_value(json_object_get(inside, "sandbox")),
			"/run/netns/x");
		assert_int_equal(json_object_get(inside, "mtu") != NULL,
				 rows[i].has_mtu);
		assert_int_equal(json_object_get(ip, "version") != NULL,
				 rows[i].has_version);
		assert_int_equal(
			json_integer_value(json_object_get(ip, "interface")),
			1);
		assert_string_equal(
			json_string_value(json_array_get(
				json_object_get(dns, "nameservers"), 0)),
			"10.5.0.1");
		json_decref(r);
	}
}

static void test_result_dns(void **state)
{
	static const struct {
		const char *more, *dns;
	} rows[] = {
		{ ",\"dns\":{\"nameservers\":[\"1.1.1.1\"],\"domain\":\"d\"}",
		  "{\"nameservers\":[\"1.1.1.1\"],\"search\":[\"a.b\"],"
		  "\"options\":[\"ndots:1\"],\"domain\":\"d\"}" },
		{ ",\"dns\":{\"nameservers\":[\"1.1.1.1\"]},\"runtimeConfig\":"
		  "{\"dns\":{\"servers\":[\"2.2.2.2\"],\"searches\":[\"s\"],"
		  "\"options\":[\"ndots:5\"]}}",
		  "{\"nameservers\":[\"2.2.2.2\"],\"search\":[\"s\"],"
		  "\"options\":[\"ndots:5\"]}" },
		{ ",\"runtimeConfig\":{\"dns\":{\"servers\":[]}}",
		  "{\"nameservers\":[\"10.5.0.1\"],\"search\":[\"a.b\"],"
		  "\"options\":[\"ndots:1\"]}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *r = result_of("1.0.0", rows[i].more);
		json_t *want = json_loads(rows[i].dns, 0, NULL);

		assert_non_null(want);
		assert_true(json_equal(json_object_get(r, "dns"), want));
		json_decref(want);
		json_decref(r);
	}
}

/* A pod of two families: an address and a gateway of each. */
static void test_result_dual(void **state)
{
	static const struct {
		const char *version;
		bool has_version;
	} rows[] = { { "0.4.0", true }, { "1.1.0", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(str_freep)
		char *text = xasprintf("{\"cniVersion\":\"%s\",\"name\":"
				       "\"lab\"}",
				       rows[i].version);
		json_t *reply = a_reply(), *result, *ips, *want;
		struct cni_error e = { 0 };
		struct cni_conf conf;

		json_object_set_new(reply, "ip6", json_string("fd00::7/64"));
		json_object_set_new(reply, "gateway6", json_string("fd00::1"));
		assert_int_equal(read_conf(text, CNI_ADD, &conf, &e), 0);
		result = cni_result(&an_env, &conf, reply);
		ips = json_object_get(result, "ips");
		assert_int_equal(json_array_size(ips), 2);
		want = json_pack("{s:s, s:s, s:i}", "address", "fd00::7/64",
				 "gateway", "fd00::1", "interface", 1);
		if (rows[i].has_version)
			json_object_set_new(want, "version", json_string("6"));
		assert_true(json_equal(json_array_get(ips, 1), want));
		/* CHECK misses the second address as it does the first. */
		json_object_set(conf.doc, "prevResult", result);
		assert_int_equal(cni_result_check(&an_env, &conf, reply, &e),
				 0);
		json_array_remove(ips, 1);
		assert_int_not_equal(
			cni_result_check(&an_env, &conf, reply, &e), 0);
		assert_int_equal(e.code, CNI_CODE_DIFFERS);
		json_decref(want);
		json_decref(result);
		json_decref(reply);
		cni_conf_free(&conf);
	}
}

/* Behind another plugin: what that made stays, places count on. */
static void test_result_chained(void **state)
{
	json_t *r = result_of(
		"1.0.0",
		",\"prevResult\":{\"cniVersion\":\"1.0.0\",\"interfaces\":[{"
		"\"name\":\"x0\"}],\"ips\":[{\"address\":\"192.0.2.1/32\","
		"\"interface\":0}],\"routes\":[]}");
	json_t *ips = json_object_get(r, "ips");

	(void)state;
	assert_int_equal(json_array_size(json_object_get(r, "interfaces")), 3);
	assert_int_equal(json_array_size(ips), 2);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(ips, 1), "interface")),
			 2);
	assert_int_equal(json_array_size(json_object_get(r, "routes")), 1);
	json_decref(r);
}

#define PREV_IF "\"interfaces\":[{\"name\":\"nd0\"},{\"name\":\"eth0\"}]"
#define PREV_IPS "\"ips\":[{\"address\":\"10.5.0.7/24\"}]"
#define PREV_ROUTES                                                            \
	"\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"10.9.0.0/16\"}]"

static void test_result_check(void **state)
{
	static const struct {
		const char *prev;
		int code;
	} rows[] = {
		{ ",\"prevResult\":{" PREV_IF "," PREV_IPS "," PREV_ROUTES "}",
		  0 },
		{ "", CNI_CODE_CONFIG },
		{ ",\"prevResult\":{" PREV_IPS "," PREV_ROUTES "}",
		  CNI_CODE_DIFFERS },
		{ ",\"prevResult\":{" PREV_IF "," PREV_ROUTES "}",
		  CNI_CODE_DIFFERS },
		{ ",\"prevResult\":{" PREV_IF "," PREV_IPS "}",
		  CNI_CODE_DIFFERS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(str_freep)
		char *text = xasprintf("{" V11 "%s}", rows[i].prev);
		json_t *reply = a_reply();
		struct cni_error e = { 0 };
		struct cni_conf conf;
		int err;

		assert_int_equal(read_conf(text, CNI_CHECK, &conf, &e), 0);
		err = cni_result_check(&an_env, &conf, reply, &e);
		assert_int_equal(err, rows[i].code ? -EINVAL : 0);
		assert_int_equal(e.code, rows[i].code);
		json_decref(reply);
		cni_conf_free(&conf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_result_dns),
		cmocka_unit_test(test_result_dual),
		cmocka_unit_test(test_result_chained),
		cmocka_unit_test(test_result_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
