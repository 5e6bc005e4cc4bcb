/* SPDX-License-Identifier: Apache-2.0 */
/* Names, queries, our answers and those of upstreams, as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "msg.h"
#include "netd/util.h"

#define HEAD(flags, qd, an, ns, ar)                                            \
	"\x12\x34" flags "\0" qd "\0" an "\0" ns "\0" ar
#define QNAME                                                                  \
	"\x05Redis\x07"                                                        \
	"default\0"
#define QUESTION QNAME "\0\x01\0\x01"
#define OPT "\0\0\x29\x10\0\0\0\0\0\0\0"
#define BYTES(s) (s), sizeof(s) - 1

static void test_dns_name_read(void **state)
{
	/* Bytes behind a header; the name starts at `at`. */
	static const struct {
		const char *bytes;
		size_t len;
		size_t at;
		const char *text;
		size_t behind;
	} cases[] = {
		{ BYTES("\0"), 0, ".", 1 },
		{ BYTES("\x03"
			"FOO\x01x\0"),
		  0, "foo.x", 7 },
		{ BYTES("\x03"
			"foo\0\x01x\xc0\x0c"),
		  5, "x.foo", 9 },
		{ BYTES("\x03"
			"foo\0\xc0\x0c"),
		  5, "foo", 7 },
		/* Itself, forward, the header, a cycle of two. */
		{ BYTES("\xc0\x0c"), 0, NULL, 0 },
		{ BYTES("\xc0\x0e\0"), 0, NULL, 0 },
		{ BYTES("\x01x\xc0\x00"), 0, NULL, 0 },
		{ BYTES("\xc0\x0e\xc0\x0c"), 2, NULL, 0 },
		{ BYTES("\x01x\xc0\x0c"), 2, NULL, 0 },
		/* No root, half a pointer, labels of 64 and more. */
		{ BYTES("\x03"
			"foo"),
		  0, NULL, 0 },
		{ BYTES("\x03"
			"fo"),
		  0, NULL, 0 },
		{ BYTES("\0\xc0"), 1, NULL, 0 },
		{ BYTES("\x40zzz\0"), 0, NULL, 0 },
		{ BYTES("\x80zzz\0"), 0, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t msg[64] = { 0 };
		char text[DNS_NAME_MAX + 1];
		struct dns_name name;
		struct rbuf r = rbuf_make(msg, DNS_HEADER_LEN + cases[i].len);
		int err;

		memcpy(msg + DNS_HEADER_LEN, cases[i].bytes, cases[i].len);
		r.pos = DNS_HEADER_LEN + cases[i].at;
		err = dns_name_read(&r, &name);
		if (!cases[i].text) {
			assert_int_equal(err, -EBADMSG);
			continue;
		}
		assert_int_equal(err, 0);
		assert_string_equal(dns_name_str(&name, text, sizeof(text)),
				    cases[i].text);
		assert_int_equal(r.pos, DNS_HEADER_LEN + cases[i].behind);
	}
}

static void test_dns_name_read_hops(void **state)
{
	(void)state;
	/* A chain of pointers, each to the one before: 16 are followed. */
	for (unsigned hops = 15; hops <= 18; hops++) {
		uint8_t msg[128] = { 0 };
		struct dns_name name;
		size_t len = DNS_HEADER_LEN + 1;
		struct rbuf r;

		for (unsigned i = 0; i < hops; i++, len += 2) {
			size_t to = i ? len - 2 : DNS_HEADER_LEN;

			msg[len] = 0xc0;
			msg[len + 1] = (uint8_t)to;
		}
		r = rbuf_make(msg, len);
		r.pos = len - 2;
		assert_int_equal(dns_name_read(&r, &name),
				 hops <= DNS_HOPS_MAX ? 0 : -EBADMSG);
	}
}

static void test_dns_name_read_longest(void **state)
{
	(void)state;
	/* 255 bytes are a name, 256 are none. */
	for (uint8_t last = 61; last <= 62; last++) {
		uint8_t msg[DNS_HEADER_LEN + 300] = { 0 };
		size_t at = DNS_HEADER_LEN;
		struct dns_name name;
		struct rbuf r;

		for (int i = 0; i < 4; i++) {
			uint8_t n = i == 3 ? last : 63;

			msg[at] = n;
			memset(msg + at + 1, 'a', n);
			at += n + 1u;
		}
		r = rbuf_make(msg, at + 1);
		r.pos = DNS_HEADER_LEN;
		assert_int_equal(dns_name_read(&r, &name),
				 last == 61 ? 0 : -EBADMSG);
		if (last == 61)
			assert_int_equal(name.len, DNS_NAME_MAX);
	}
}

static void test_dns_name_below(void **state)
{
	static const struct {
		const char *name;
		const char *zone;
		int first;
	} cases[] = {
		{ "a.b.cluster.local", "cluster.local", 2 },
		{ "cluster.local", "cluster.local", 0 },
		{ "acluster.local", "cluster.local", -1 },
		{ "local", "cluster.local", -1 },
		{ "a.b", "", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dns_name name, zone;
		unsigned first = 99;

		assert_int_equal(dns_name_parse(cases[i].name, &name), 0);
		assert_int_equal(dns_name_parse(cases[i].zone, &zone), 0);
		assert_int_equal(dns_name_below(&name, &zone, &first),
				 cases[i].first >= 0);
		if (cases[i].first >= 0)
			assert_int_equal(first, cases[i].first);
	}
}

static void test_dns_name_parse_bad(void **state)
{
	static const char *const bad[] = {
		"a..b",
		".a",
		"..",
		("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaa"),
	};
	struct dns_name name;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(dns_name_parse(bad[i], &name), -EINVAL);
	assert_int_equal(dns_name_parse("a.b.", &name), 0);
	assert_int_equal(name.labels, 2);
}

static void test_dns_query_read(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t len;
		int rcode;
	} cases[] = {
		{ "good", BYTES(HEAD("\1\0", "\1", "\0", "\0", "\0") QUESTION),
		  ns_r_noerror },
		{ "empty", BYTES(""), DNS_DROP },
		{ "11 bytes", BYTES("\x12\x34\1\0\0\1\0\0\0\0\0"), DNS_DROP },
		{ "an answer",
		  BYTES(HEAD("\x81\0", "\1", "\0", "\0", "\0") QUESTION),
		  DNS_DROP },
		{ "notify",
		  BYTES(HEAD("\x20\0", "\1", "\0", "\0", "\0") QUESTION),
		  ns_r_notimpl },
		{ "update",
		  BYTES(HEAD("\x28\0", "\1", "\0", "\0", "\0") QUESTION),
		  ns_r_notimpl },
		{ "no question", BYTES(HEAD("\1\0", "\0", "\0", "\0", "\0")),
		  ns_r_formerr },
		{ "two questions",
		  BYTES(HEAD("\1\0", "\2", "\0", "\0", "\0") QUESTION QUESTION),
		  ns_r_formerr },
		{ "question cut",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\0") QNAME "\0\1\0"),
		  ns_r_formerr },
		{ "bytes behind",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\0") QUESTION "x"),
		  ns_r_formerr },
		{ "counts more than there is",
		  BYTES(HEAD("\1\0", "\1", "\xff", "\xff", "\xff") QUESTION),
		  ns_r_formerr },
		{ "EDNS",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1") QUESTION OPT),
		  ns_r_noerror },
		{ "EDNS version 1",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1") QUESTION
			"\0\0\x29\x10\0\0\1\0\0\0\0"),
		  DNS_BADVERS },
		{ "two OPTs",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\2") QUESTION OPT OPT),
		  ns_r_formerr },
		{ "OPT as answer",
		  BYTES(HEAD("\1\0", "\1", "\1", "\0", "\0") QUESTION OPT),
		  ns_r_formerr },
		{ "OPT with a name",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1") QUESTION
			"\1x" OPT),
		  ns_r_formerr },
		{ "OPT longer than the message",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1") QUESTION
			"\0\0\x29\x10\0\0\0\0\0\xff\xff"),
		  ns_r_formerr },
		{ "option longer than its OPT",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1") QUESTION
			"\0\0\x29\x10\0\0\0\0\0\0\4\0\3\0\1"),
		  ns_r_formerr },
		{ "cookie of 8",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1") QUESTION
			"\0\0\x29\x10\0\0\0\0\0\0\x0c\0\x0a\0\x08"
			"abcdefgh"),
		  ns_r_noerror },
		{ "cookie of 7",
		  BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1") QUESTION
			"\0\0\x29\x10\0\0\0\0\0\0\x0b\0\x0a\0\x07"
			"abcdefg"),
		  ns_r_formerr },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dns_query q;
		int rcode = dns_query_read(cases[i].bytes, cases[i].len, &q);

		if (rcode != cases[i].rcode)
			fail_msg("%s: %d, not %d", cases[i].what, rcode,
				 cases[i].rcode);
	}
}

static void test_dns_query_read_many_options(void **state)
{
	static uint8_t msg[DNS_TCP_MAX];
	struct wbuf w = wbuf_make(msg, sizeof(msg));
	struct dns_query q;

	(void)state;
	/* 10,000 empty options: read in one pass, and fine. */
	wbuf_bytes(&w, BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1") QUESTION));
	wbuf_bytes(&w, BYTES("\0\0\x29\x10\0\0\0\0\0"));
	wbuf_u16(&w, 40000);
	for (int i = 0; i < 10000; i++) {
		wbuf_u16(&w, 65001);
		wbuf_u16(&w, 0);
	}
	assert_false(w.bad);
	assert_int_equal(dns_query_read(msg, w.len, &q), ns_r_noerror);
}

static void query_make(struct dns_query *q, bool edns, const char *size)
{
	uint8_t msg[128];
	struct wbuf w = wbuf_make(msg, sizeof(msg));

	if (!edns) {
		wbuf_bytes(&w, BYTES(HEAD("\1\0", "\1", "\0", "\0", "\0")
					     QUESTION));
	} else {
		wbuf_bytes(&w, BYTES(HEAD("\1\0", "\1", "\0", "\0", "\1")
					     QUESTION "\0\0\x29"));
		wbuf_bytes(&w, size, 2);
		wbuf_bytes(&w, BYTES("\0\0\0\0\0\0"));
	}
	assert_int_equal(dns_query_read(msg, w.len, q), ns_r_noerror);
}

static void test_dns_query_udp_size(void **state)
{
	struct dns_query q;

	(void)state;
	query_make(&q, false, NULL);
	assert_int_equal(q.udp_size, 512);
	query_make(&q, true, "\0\x10");
	assert_int_equal(q.udp_size, 512);
	query_make(&q, true, "\x03\x20");
	assert_int_equal(q.udp_size, 800);
	query_make(&q, true, "\xff\xff");
	assert_int_equal(q.udp_size, 1232);
}

static void test_dns_reply(void **state)
{
	static const char expected[] =
		"\x12\x34\x85\x80\0\1\0\1\0\0\0\1" QUESTION
		"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1"
		"\0\0\x29\x04\xd0\0\0\0\0\0\0";
	struct dns_reply reply;
	struct dns_query q;
	uint8_t out[DNS_UDP_MAX];

	(void)state;
	query_make(&q, true, "\x10\0");
	dns_reply_begin(&reply, &q, out, q.udp_size);
	reply.authoritative = true;
	assert_true(dns_reply_rr(&reply, DNS_ANSWER, DNS_OWNER(0), ns_t_a, 5,
				 "\x0a\0\0\1", 4));
	assert_int_equal(dns_reply_end(&reply), sizeof(expected) - 1);
	/* The question as it was asked, capital and all. */
	assert_memory_equal(out, expected, sizeof(expected) - 1);
}

static void test_dns_reply_truncated(void **state)
{
	static uint8_t rrs[100 * 16];
	struct dns_reply reply;
	struct dns_query q;
	uint8_t out[DNS_UDP_MAX];
	size_t len;

	(void)state;
	query_make(&q, true, "\x02\0");
	dns_reply_begin(&reply, &q, out, q.udp_size);
	assert_false(dns_reply_rrs(&reply, DNS_ANSWER, rrs, 100, 16));
	/* Optional records do not set TC. */
	assert_false(dns_reply_rr(&reply, DNS_ADDITIONAL, DNS_OWNER(0), ns_t_a,
				  5, rrs, 100));
	len = dns_reply_end(&reply);
	assert_true(len <= 512);
	assert_true(out[2] & DNS_FLAG_TC >> 8);
	assert_int_equal(out[7], (512 - 12 - 19 - 11) / 16);
	/* The OPT is still there. */
	assert_int_equal(out[11], 1);
	assert_memory_equal(out + len - 11, "\0\0\x29", 3);
}

#define ANSWER_A "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\x0a\0\0\1"
#define SOA                                                                    \
	"\xc0\x12\0\6\0\1\0\0\x0e\x10\0\x16\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0" \
	"\1\0\0\0\x1e"

/* What upstreams say, and what of it may be passed on. */
static const struct {
	const char *what;
	const char *bytes;
	size_t len;
	int err;
	bool negative;
	/* -1: not to be kept. */
	int ttl;
	size_t cut;
} checked[] = {
	{ "address",
	  BYTES(HEAD("\x81\x80", "\1", "\1", "\0", "\0") QUESTION ANSWER_A), 0,
	  false, 300, 0 },
	{ "its OPT goes",
	  BYTES(HEAD("\x81\x80", "\1", "\1", "\0", "\1") QUESTION ANSWER_A OPT),
	  0, false, 300, 11 },
	{ "what follows an OPT goes too",
	  BYTES(HEAD("\x81\x80", "\1", "\1", "\0", "\2")
			QUESTION ANSWER_A OPT ANSWER_A),
	  0, false, 300, 27 },
	{ "not there, with SOA",
	  BYTES(HEAD("\x81\x83", "\1", "\0", "\1", "\0") QUESTION SOA), 0, true,
	  30, 0 },
	{ "not there, nobody says for how long",
	  BYTES(HEAD("\x81\x83", "\1", "\0", "\0", "\0") QUESTION), 0, true, -1,
	  0 },
	{ "SERVFAIL", BYTES(HEAD("\x81\x82", "\1", "\0", "\0", "\0") QUESTION),
	  -EREMOTEIO, false, 0, 0 },
	{ "BADVERS",
	  BYTES(HEAD("\x81\x80", "\1", "\0", "\0", "\1") QUESTION
		"\0\0\x29\x10\0\1\0\0\0\0\0"),
	  -EREMOTEIO, false, 0, 0 },
	{ "a query",
	  BYTES(HEAD("\x01\x80", "\1", "\1", "\0", "\0") QUESTION ANSWER_A),
	  -EBADMSG, false, 0, 0 },
	{ "another question",
	  BYTES(HEAD("\x81\x80", "\1", "\0", "\0", "\0") "\1x\0\0\1\0\1"),
	  -EBADMSG, false, 0, 0 },
	{ "another type",
	  BYTES(HEAD("\x81\x80", "\1", "\0", "\0", "\0") QNAME "\0\x1c\0\1"),
	  -EBADMSG, false, 0, 0 },
	{ "no question", BYTES(HEAD("\x81\x80", "\0", "\0", "\0", "\0")),
	  -EBADMSG, false, 0, 0 },
	{ "an address of 3 bytes",
	  BYTES(HEAD("\x81\x80", "\1", "\1", "\0", "\0") QUESTION
		"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\3\x0a\0\0"),
	  -EBADMSG, false, 0, 0 },
	{ "CNAME that points to itself",
	  BYTES(HEAD("\x81\x80", "\1", "\1", "\0", "\0") QUESTION
		"\xc0\x0c\0\5\0\1\0\0\1\x2c\0\2\xc0\x2b"),
	  -EBADMSG, false, 0, 0 },
	{ "CNAME cut",
	  BYTES(HEAD("\x81\x80", "\1", "\1", "\0", "\0") QUESTION
		"\xc0\x0c\0\5\0\1\0\0\1\x2c\0\3\1x\0\0"),
	  -EBADMSG, false, 0, 0 },
	{ "counts more than there is",
	  BYTES(HEAD("\x81\x80", "\1", "\2", "\0", "\0") QUESTION ANSWER_A),
	  -EBADMSG, false, 0, 0 },
	{ "bytes behind",
	  BYTES(HEAD("\x81\x80", "\1", "\1", "\0", "\0") QUESTION ANSWER_A "x"),
	  -EBADMSG, false, 0, 0 },
	{ "a TTL beyond 31 bits is none",
	  BYTES(HEAD("\x81\x80", "\1", "\1", "\0", "\0") QUESTION
		"\xc0\x0c\0\1\0\1\x80\0\1\x2c\0\4\x0a\0\0\1"),
	  0, false, 0, 0 },
};

static void test_dns_answer_check(void **state)
{
	struct dns_name name;

	(void)state;
	assert_int_equal(dns_name_parse("redis.default", &name), 0);
	for (size_t i = 0; i < ARRAY_LEN(checked); i++) {
		uint8_t msg[256];
		size_t len = checked[i].len;
		struct dns_answer a;
		int err;

		memcpy(msg, checked[i].bytes, len);
		err = dns_answer_check(msg, &len, &name, ns_t_a, &a);
		if (err != checked[i].err)
			fail_msg("%s: %d", checked[i].what, err);
		if (err)
			continue;
		assert_int_equal(a.negative, checked[i].negative);
		assert_int_equal(a.has_ttl, checked[i].ttl >= 0);
		if (a.has_ttl)
			assert_int_equal(a.ttl, checked[i].ttl);
		assert_int_equal(len, checked[i].len - checked[i].cut);
	}
}

static void test_dns_answer_age(void **state)
{
	uint8_t msg[] =
		HEAD("\x81\x80", "\1", "\1", "\0", "\0") QUESTION ANSWER_A;
	size_t ttl = sizeof(msg) - 1 - 10;

	(void)state;
	dns_answer_age(msg, sizeof(msg) - 1, 10, 200);
	assert_memory_equal(msg + ttl, "\0\0\0\xbe", 4);
	dns_answer_age(msg, sizeof(msg) - 1, 1000, 200);
	assert_memory_equal(msg + ttl, "\0\0\0\0", 4);
}

static void test_dns_answer_reply(void **state)
{
	static const char answer[] = HEAD("\x81\xa0", "\1", "\1", "\0",
					  "\0") "\5redis\7"
						"default\0\0\1\0\1" ANSWER_A;
	struct dns_query q;
	uint8_t out[DNS_UDP_MAX];
	size_t len;

	(void)state;
	query_make(&q, false, NULL);
	len = dns_answer_reply((const uint8_t *)answer, sizeof(answer) - 1, &q,
			       out, 512);
	assert_int_equal(len, sizeof(answer) - 1);
	/* RD and RA, no AD; the case of who asks, not of who was asked. */
	assert_memory_equal(out + 2, "\x81\x80", 2);
	assert_memory_equal(out + 12, QUESTION, sizeof(QUESTION) - 1);
	len = dns_answer_reply((const uint8_t *)answer, sizeof(answer) - 1, &q,
			       out, sizeof(answer) - 2);
	assert_int_equal(len, 12 + sizeof(QUESTION) - 1);
	assert_true(out[2] & DNS_FLAG_TC >> 8);
	assert_int_equal(out[7], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dns_name_read),
		cmocka_unit_test(test_dns_name_read_hops),
		cmocka_unit_test(test_dns_name_read_longest),
		cmocka_unit_test(test_dns_name_below),
		cmocka_unit_test(test_dns_name_parse_bad),
		cmocka_unit_test(test_dns_query_read),
		cmocka_unit_test(test_dns_query_read_many_options),
		cmocka_unit_test(test_dns_query_udp_size),
		cmocka_unit_test(test_dns_reply),
		cmocka_unit_test(test_dns_reply_truncated),
		cmocka_unit_test(test_dns_answer_check),
		cmocka_unit_test(test_dns_answer_age),
		cmocka_unit_test(test_dns_answer_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
