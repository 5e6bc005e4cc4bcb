/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "etcd_json.h"
#include "netd/util.h"

#define PREFIX "/netd/v1"
#define HEADER                                                                 \
	"\"header\":{\"cluster_id\":\"18446744073709551615\","                 \
	"\"member_id\":\"1\",\"revision\":\"7\",\"raft_term\":\"2\"}"
/* /netd/v1/a, /netd/v1/b, /netd/v1x/a, "/netd/v1/a b", "/netd/v1/a\0" */
#define KEY_A "L25ldGQvdjEvYQ=="
#define KEY_B "L25ldGQvdjEvYg=="
#define KEY_OTHER "L25ldGQvdjF4L2E="
#define KEY_SPACE "L25ldGQvdjEvYSBi"
#define KEY_ZERO "L25ldGQvdjEvYQA="

static void test_b64(void **state)
{
	/* RFC 4648 section 10, and the bytes at both ends of the alphabet. */
	static const struct {
		const char *raw, *text;
	} cases[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xff\xbe", "//++" },
	};
	static const char *const bad[] = { "A",	   "AA",   "AAA",  "A===",
					   "====", "AA=A", "A A=", "AA-_" };
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(str_freep) char *raw = NULL;
		AUTO(str_freep)
		char *text =
			etcd_b64_encode(cases[i].raw, strlen(cases[i].raw));

		assert_string_equal(text, cases[i].text);
		assert_int_equal(
			etcd_b64_decode(text, strlen(text), &raw, &len), 0);
		assert_int_equal(len, strlen(cases[i].raw));
		assert_string_equal(raw, cases[i].raw);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char *raw = NULL;

		assert_int_equal(etcd_b64_decode(bad[i], strlen(bad[i]), &raw,
						 &len),
				 -EPROTO);
		assert_null(raw);
	}
}

static void expect_body(char *body, const char *expected)
{
	assert_string_equal(body, expected);
	free(body);
}

static void test_bodies(void **state)
{
	struct store_txn *txn = store_txn_new();

	(void)state;
	expect_body(etcd_json_range(PREFIX, NULL, 0, 1000),
		    "{\"key\":\"L25ldGQvdjEv\",\"range_end\":\"L25ldGQvdjEw\","
		    "\"revision\":\"0\",\"limit\":1000}");
	/* The next page begins at the last key with a 0 byte behind it. */
	expect_body(etcd_json_range(PREFIX, KEY_A, 12, 10),
		    "{\"key\":\"" KEY_ZERO "\",\"range_end\":\"L25ldGQvdjEw\","
		    "\"revision\":\"12\",\"limit\":10}");
	expect_body(etcd_json_get(PREFIX, "a"), "{\"key\":\"" KEY_A "\"}");
	expect_body(etcd_json_watch(PREFIX, 413),
		    "{\"create_request\":{\"key\":\"L25ldGQvdjEv\","
		    "\"range_end\":\"L25ldGQvdjEw\",\"start_revision\":\"413\","
		    "\"progress_notify\":true}}");
	expect_body(etcd_json_lease_grant(4), "{\"TTL\":\"4\"}");
	expect_body(etcd_json_lease_keep(INT64_MAX),
		    "{\"ID\":\"9223372036854775807\"}");

	store_txn_is(txn, "a", 0);
	store_txn_is(txn, "b", 9);
	store_txn_put(txn, "a", "x");
	store_txn_put_leased(txn, "b", "x");
	store_txn_del(txn, "a b");
	expect_body(
		etcd_json_txn(PREFIX, txn, 77),
		"{\"compare\":[{\"key\":\"" KEY_A "\",\"target\":\"VERSION\","
		"\"result\":\"EQUAL\",\"version\":\"0\"},{\"key\":\"" KEY_B
		"\",\"target\":\"MOD\",\"result\":\"EQUAL\","
		"\"mod_revision\":\"9\"}],\"success\":[{\"request_put\":"
		"{\"key\":\"" KEY_A "\",\"value\":\"eA==\"}},{\"request_put\":"
		"{\"key\":\"" KEY_B "\",\"value\":\"eA==\",\"lease\":\"77\"}},"
		"{\"request_delete_range\":{\"key\":\"" KEY_SPACE "\"}}],"
		"\"failure\":[{\"request_range\":{\"key\":\"" KEY_A
		"\",\"keys_only\":true}},{\"request_range\":{\"key\":\"" KEY_B
		"\",\"keys_only\":true}}]}");
	store_txn_free(txn);
}

static void test_range(void **state)
{
	static const char *const text =
		"{" HEADER ",\"kvs\":["
		"{\"key\":\"" KEY_A "\",\"create_revision\":\"2\","
		"\"mod_revision\":\"3\",\"version\":\"2\",\"value\":\"eA==\"},"
		"{\"key\":\"" KEY_SPACE "\",\"mod_revision\":\"4\"},"
		"{\"key\":\"" KEY_ZERO "\",\"mod_revision\":\"4\"},"
		"{\"key\":\"" KEY_OTHER "\",\"mod_revision\":\"4\"},"
		/* A number for a string, and a value that is left out. */
		"{\"key\":\"" KEY_B "\",\"mod_revision\":5}"
		"],\"more\":true,\"count\":\"9\"}";
	struct etcd_range range;

	(void)state;
	assert_int_equal(
		etcd_json_parse_range(text, strlen(text), PREFIX, &range), 0);
	assert_true(range.cluster == UINT64_MAX);
	assert_int_equal(range.rev, 7);
	assert_true(range.has_more);
	assert_string_equal(range.last, KEY_B);
	assert_int_equal(range.kvs.len, 2);
	assert_string_equal(range.kvs.kv[0].key, "a");
	assert_string_equal(range.kvs.kv[0].value, "x");
	assert_int_equal(range.kvs.kv[0].rev, 3);
	assert_string_equal(range.kvs.kv[1].key, "b");
	assert_string_equal(range.kvs.kv[1].value, "");
	assert_int_equal(range.kvs.kv[1].rev, 5);
	etcd_range_clear(&range);

	/* Nothing there: neither kvs nor count nor more. */
	assert_int_equal(etcd_json_parse_range("{" HEADER "}",
					       strlen("{" HEADER "}"), PREFIX,
					       &range),
			 0);
	assert_int_equal(range.kvs.len, 0);
	assert_false(range.has_more);
	assert_null(range.last);
	etcd_range_clear(&range);
}

static void test_range_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"Not Found",
		"[]",
		"{}",
		"{" HEADER,
		"{\"header\":7}",
		"{\"header\":{\"revision\":\"-1\"}}",
		"{\"header\":{\"revision\":\"99999999999999999999\"}}",
		"{\"header\":{\"revision\":\"7x\"}}",
		"{\"header\":{\"revision\":\"\"}}",
		"{\"header\":{\"revision\":[]}}",
		"{" HEADER ",\"kvs\":{}}",
		"{" HEADER ",\"kvs\":[7]}",
		"{" HEADER ",\"kvs\":[{}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"!\",\"mod_revision\":\"1\"}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"" KEY_A "\"}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"" KEY_A
		"\",\"mod_revision\":\"1\",\"value\":7}]}",
		/* More, after nothing: it would be asked for ever. */
		"{" HEADER ",\"more\":true}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct etcd_range range;

		assert_int_equal(etcd_json_parse_range(bad[i], strlen(bad[i]),
						       PREFIX, &range),
				 -EPROTO);
	}
}

#define RESULT(rest) "{\"result\":{" HEADER rest "}}"
#define EVENT(type, key, rev)                                                  \
	"{" type "\"kv\":{\"key\":\"" key "\",\"mod_revision\":\"" rev "\"}}"

static void test_watch(void **state)
{
	static const struct {
		const char *text;
		bool is_created, is_canceled;
		int64_t compacted;
		int code;
		size_t len;
		int64_t last_rev;
	} cases[] = {
		{ RESULT(",\"created\":true"), true, false, 0, 0, 0, 0 },
		{ RESULT(""), false, false, 0, 0, 0, 0 },
		{ RESULT(",\"events\":[" EVENT("", KEY_A, "5") "," EVENT(
			  "\"type\":\"DELETE\",", KEY_B, "6") "]"),
		  false, false, 0, 0, 2, 6 },
		/* Keys that are passed over move the revision all the same. */
		{ RESULT(",\"events\":[" EVENT("\"type\":\"PUT\",", KEY_A,
					       "5") "," EVENT("", KEY_SPACE,
							      "9") "]"),
		  false, false, 0, 0, 1, 9 },
		{ "{\"result\":{\"header\":{\"cluster_id\":\"3\"},"
		  "\"canceled\":true,\"compact_revision\":\"4\"}}",
		  false, true, 4, 0, 0, 0 },
		{ RESULT(",\"canceled\":true,\"cancel_reason\":\"why\""), false,
		  true, 0, 0, 0, 0 },
		{ "{\"error\":{\"grpc_code\":14,\"http_code\":503,"
		  "\"message\":\"etcdserver: no leader\"}}",
		  false, false, 0, ETCD_UNAVAILABLE, 0, 0 },
		{ "{\"error\":{\"code\":11,\"message\":\"compacted\"}}", false,
		  false, 0, ETCD_COMPACTED, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct etcd_watch watch;

		assert_int_equal(etcd_json_parse_watch(cases[i].text,
						       strlen(cases[i].text),
						       PREFIX, &watch),
				 0);
		assert_int_equal(watch.is_created, cases[i].is_created);
		assert_int_equal(watch.is_canceled, cases[i].is_canceled);
		assert_int_equal(watch.compacted, cases[i].compacted);
		assert_int_equal(watch.error.code, cases[i].code);
		assert_int_equal(watch.kvs.len, cases[i].len);
		assert_int_equal(watch.last_rev, cases[i].last_rev);
		etcd_watch_clear(&watch);
	}
}

static void test_watch_delete_has_no_value(void **state)
{
	static const char *const text = RESULT(
		",\"events\":[" EVENT("\"type\":\"DELETE\",", KEY_A, "5") "]");
	struct etcd_watch watch;

	(void)state;
	assert_int_equal(
		etcd_json_parse_watch(text, strlen(text), PREFIX, &watch), 0);
	assert_null(watch.kvs.kv[0].value);
	etcd_watch_clear(&watch);
}

static void test_watch_refuses(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"result\":{}}",
		"{\"result\":7}",
		RESULT(",\"events\":7"),
		RESULT(",\"events\":[7]"),
		RESULT(",\"events\":[" EVENT("\"type\":\"MOVE\",", KEY_A,
					     "5") "]"),
		/* Back in time. */
		RESULT(",\"events\":[" EVENT("", KEY_A, "6") "," EVENT(
			"", KEY_B, "5") "]"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct etcd_watch watch;

		assert_int_equal(etcd_json_parse_watch(bad[i], strlen(bad[i]),
						       PREFIX, &watch),
				 -EPROTO);
	}
}

static void test_txn(void **state)
{
	static const struct {
		const char *text;
		bool is_done, has_written;
		int64_t newest;
	} cases[] = {
		{ "{" HEADER ",\"succeeded\":true,\"responses\":["
		  "{\"response_put\":{\"header\":{\"revision\":\"7\"}}}]}",
		  true, true, 0 },
		{ "{" HEADER ",\"succeeded\":true,\"responses\":["
		  "{\"response_delete_range\":{\"deleted\":\"1\"}}]}",
		  true, true, 0 },
		{ "{" HEADER ",\"succeeded\":true,\"responses\":["
		  "{\"response_delete_range\":{}}]}",
		  true, false, 0 },
		{ "{" HEADER ",\"succeeded\":true}", true, false, 0 },
		/* succeeded left out: false. */
		{ "{" HEADER ",\"responses\":[{\"response_range\":{\"kvs\":["
		  "{\"key\":\"eA==\",\"mod_revision\":\"6\"}]}},"
		  "{\"response_range\":{}}]}",
		  false, false, 6 },
		{ "{" HEADER ",\"responses\":[{\"response_range\":{}}]}", false,
		  false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct etcd_txn txn;

		assert_int_equal(etcd_json_parse_txn(cases[i].text,
						     strlen(cases[i].text),
						     &txn),
				 0);
		assert_int_equal(txn.rev, 7);
		assert_int_equal(txn.is_done, cases[i].is_done);
		assert_int_equal(txn.has_written, cases[i].has_written);
		assert_int_equal(txn.newest, cases[i].newest);
	}
}

static void test_lease(void **state)
{
	static const struct {
		const char *text;
		int err;
		int64_t id, ttl;
	} cases[] = {
		{ "{" HEADER ",\"ID\":\"2324035512677788426\",\"TTL\":\"4\"}",
		  0, 2324035512677788426, 4 },
		{ "{\"result\":{" HEADER ",\"ID\":\"5\",\"TTL\":\"4\"}}", 0, 5,
		  4 },
		/* No TTL: the lease is gone. */
		{ "{\"result\":{" HEADER ",\"ID\":\"5\"}}\n", 0, 5, 0 },
		{ "{\"result\":{" HEADER ",\"TTL\":\"5\"}}", -EPROTO, 0, 0 },
		{ "{\"error\":{\"code\":5}}", -EPROTO, 0, 0 },
		{ "null", -EPROTO, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct etcd_lease lease = { 0 };

		assert_int_equal(etcd_json_parse_lease(cases[i].text,
						       strlen(cases[i].text),
						       &lease),
				 cases[i].err);
		assert_true(lease.id == cases[i].id);
		assert_int_equal(lease.ttl, cases[i].ttl);
	}
}

static void test_error(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *words;
	} cases[] = {
		/* 3.4 and 3.5 */
		{ "{\"error\":\"etcdserver: no space\",\"message\":"
		  "\"etcdserver: no space\",\"code\":8}",
		  8, "etcdserver: no space" },
		/* 3.6 */
		{ "{\"code\":5,\"message\":\"lease\\nnot found\","
		  "\"details\":[]}",
		  5, "lease not found" },
		/* in streams */
		{ "{\"error\":{\"grpc_code\":14,\"message\":\"no leader\"}}",
		  14, "no leader" },
		/* no code is still an error; a code alone too */
		{ "{\"error\":\"odd\"}", 2, "odd" },
		{ "{\"code\":16}", 16, "error" },
		{ "{\"code\":123456789,\"message\":\"m\"}", 2, "m" },
		/* none of etcd's */
		{ "<html>502</html>", 0, "" },
		{ "", 0, "" },
		{ "{}", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct etcd_error error;

		etcd_json_parse_error(cases[i].text, strlen(cases[i].text),
				      &error);
		assert_int_equal(error.code, cases[i].code);
		assert_string_equal(error.text, cases[i].words);
	}
}

static void test_identity(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"id\":7}",
		"{\"id\":\"\"}",
		"{\"id\":\"a b\"}",
	};
	AUTO(str_freep) char *value = etcd_json_identity("c0ffee");
	AUTO(str_freep) char *id = NULL;

	(void)state;
	assert_string_equal(value, "{\"schema\":1,\"id\":\"c0ffee\"}");
	assert_int_equal(etcd_json_parse_identity(value, &id), 0);
	assert_string_equal(id, "c0ffee");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char *none = NULL;

		assert_int_equal(etcd_json_parse_identity(bad[i], &none),
				 -EPROTO);
		assert_null(none);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_b64),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_range_refuses),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_watch_delete_has_no_value),
		cmocka_unit_test(test_watch_refuses),
		cmocka_unit_test(test_txn),
		cmocka_unit_test(test_lease),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
