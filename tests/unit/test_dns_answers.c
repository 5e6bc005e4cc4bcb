/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of upstreams after they were checked: told apart from forged ones,
 * scrubbed, clamped, looked at for inside addresses, put behind an alias of
 * ours, and shown in words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "msg.h"
#include "netd/util.h"
#include "proto.h"

/* A record whose data is a name, or bytes. */
struct rr {
	uint8_t section;
	const char *owner;
	uint16_t type;
	uint32_t ttl;
	const char *name;
	const char *bytes;
	uint16_t len;
};

#define A(sec, owner_, ttl_, bytes_)                                           \
	{                                                                      \
		.section = (sec), .owner = (owner_), .type = ns_t_a,           \
		.ttl = (ttl_), .bytes = (bytes_), .len = 4                     \
	}
#define NAMED(sec, owner_, type_, ttl_, name_)                                 \
	{                                                                      \
		.section = (sec), .owner = (owner_), .type = (type_),          \
		.ttl = (ttl_), .name = (name_)                                 \
	}
#define RAW(sec, owner_, type_, bytes_, len_)                                  \
	{                                                                      \
		.section = (sec), .owner = (owner_), .type = (type_),          \
		.ttl = 60, .bytes = (bytes_), .len = (len_)                    \
	}
#define RRS_MAX 24

static const char soa[] = "\2ns\0\4mail\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4"
			  "\0\0\0\5";

static struct dns_name name_of(const char *text)
{
	struct dns_name name;

	assert_int_equal(dns_name_parse(text, &name), 0);
	return name;
}

static size_t message(uint8_t *buf, const char *asked, uint16_t type,
		      const struct rr *rrs)
{
	struct wbuf w = wbuf_make(buf, DNS_TCP_MAX);
	struct dns_name name = name_of(asked);
	uint8_t count[3] = { 0 };

	wbuf_u16(&w, 0x1234);
	wbuf_u16(&w, DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA);
	wbuf_u16(&w, 1);
	wbuf_u16(&w, 0);
	wbuf_u32(&w, 0);
	dns_name_write(&w, &name, true);
	wbuf_u16(&w, type);
	wbuf_u16(&w, ns_c_in);
	for (size_t i = 0; i < RRS_MAX && rrs[i].owner; i++) {
		struct dns_name target =
			name_of(rrs[i].name ? rrs[i].name : "");

		name = name_of(rrs[i].owner);
		dns_name_write(&w, &name, true);
		wbuf_u16(&w, rrs[i].type);
		wbuf_u16(&w, ns_c_in);
		wbuf_u32(&w, rrs[i].ttl);
		wbuf_u16(&w, rrs[i].name ? target.len : rrs[i].len);
		if (rrs[i].name)
			dns_name_write(&w, &target, true);
		else
			wbuf_bytes(&w, rrs[i].bytes, rrs[i].len);
		count[rrs[i].section]++;
	}
	for (size_t i = 0; i < ARRAY_LEN(count); i++)
		buf[7 + 2 * i] = count[i];
	assert_false(w.bad);
	return w.len;
}

static void test_match(void **state)
{
	enum what { ID, QUERY, COUNT, TYPE, LETTER, CUT, HEADER, BARE, ALL };
	static const struct {
		enum what what;
		enum dns_match match;
	} cases[] = {
		{ ID, DNS_MATCH_NONE },	      { QUERY, DNS_MATCH_NONE },
		{ COUNT, DNS_MATCH_NONE },    { TYPE, DNS_MATCH_NONE },
		{ LETTER, DNS_MATCH_NONE },   { CUT, DNS_MATCH_NONE },
		{ HEADER, DNS_MATCH_HEADER }, { BARE, DNS_MATCH_NONE },
		{ ALL, DNS_MATCH_WHOLE },
	};
	const uint8_t random[DNS_NAME_MAX / 8 + 1] = { 0x55, 0xaa, 0xff };
	struct dns_name name = name_of("a1.example.com");
	uint8_t sent[DNS_QUERY_MAX], got[DNS_QUERY_MAX];
	size_t len = dns_query_write(&name, ns_t_a, 0x1234, sent), n;
	bool upper = false, lower = false;

	(void)state;
	dns_query_mix(sent, random);
	for (size_t i = DNS_HEADER_LEN; sent[i]; i++) {
		upper = upper || (sent[i] >= 'A' && sent[i] <= 'Z');
		lower = lower || (sent[i] >= 'a' && sent[i] <= 'z');
	}
	assert_true(upper && lower);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		memcpy(got, sent, len);
		got[2] |= DNS_FLAG_QR >> 8;
		n = len;
		switch (cases[i].what) {
		case ID:
			got[0] ^= 1;
			break;
		case QUERY:
			got[2] = sent[2];
			break;
		case COUNT:
			got[5] = 2;
			break;
		case TYPE:
			got[len - DNS_OPT_LEN - 3] = ns_t_txt;
			break;
		case LETTER:
			got[DNS_HEADER_LEN + 1]++;
			break;
		case CUT:
			n = DNS_HEADER_LEN + 3;
			break;
		case HEADER:
			got[3] |= ns_r_formerr;
			n = DNS_HEADER_LEN;
			break;
		case BARE:
			n = DNS_HEADER_LEN;
			break;
		case ALL:
			break;
		}
		assert_int_equal(dns_answer_match(sent, len, got, n),
				 cases[i].match);
	}
	memcpy(got, sent, len);
	got[2] |= DNS_FLAG_QR >> 8;
	for (size_t i = DNS_HEADER_LEN; got[i]; i++)
		if (got[i] >= 'A' && got[i] <= 'Z')
			got[i] |= 0x20;
	assert_int_equal(dns_answer_match(sent, len, got, len), DNS_MATCH_CASE);
}

static void test_scrub(void **state)
{
	static const struct {
		struct rr rrs[RRS_MAX];
		int err;
		/* Records left: answer, authority. */
		uint8_t left[2];
	} cases[] = {
		{ { A(0, "a.x", 60, "\1\2\3\4"), A(1, "ns.x", 60, "\1\2\3\4"),
		    A(2, "other.y", 60, "\6\6\6\6") },
		  0,
		  { 1, 0 } },
		{ { NAMED(0, "a.x", ns_t_cname, 60, "b.y"),
		    A(0, "b.y", 60, "\1\2\3\4") },
		  0,
		  { 2, 0 } },
		{ { A(0, "bank.y", 60, "\6\6\6\6") }, -EBADMSG, { 0, 0 } },
		{ { A(0, "b.y", 60, "\1\2\3\4"),
		    NAMED(0, "a.x", ns_t_cname, 60, "b.y") },
		  -EBADMSG,
		  { 0, 0 } },
		{ { NAMED(0, "x", ns_t_dname, 60, "y"),
		    NAMED(0, "a.x", ns_t_cname, 60, "a.y"),
		    A(0, "a.y", 60, "\1\2\3\4") },
		  0,
		  { 3, 0 } },
		{ { NAMED(0, "z", ns_t_dname, 60, "y") }, -EBADMSG, { 0, 0 } },
		{ { RAW(1, "x", ns_t_soa, soa, sizeof(soa) - 1) },
		  0,
		  { 0, 1 } },
	};
	uint8_t buf[DNS_TCP_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dns_name name = name_of("a.x");
		struct dns_answer answer;
		size_t len = message(buf, "a.x", ns_t_a, cases[i].rrs);

		assert_int_equal(
			dns_answer_check(buf, &len, &name, ns_t_a, &answer), 0);
		assert_int_equal(dns_answer_scrub(buf, &len, &answer),
				 cases[i].err);
		if (cases[i].err)
			continue;
		assert_int_equal(buf[7], cases[i].left[0]);
		assert_int_equal(buf[9], cases[i].left[1]);
		assert_int_equal(buf[11], 0);
		assert_int_equal(
			dns_answer_check(buf, &len, &name, ns_t_a, &answer), 0);
	}
	/* What was never checked is refused, not read beyond its end. */
	for (size_t len = 0; len < 60; len++) {
		struct dns_answer answer = { .negative = true };
		size_t n = message(buf, "a.x", ns_t_a, cases[6].rrs);

		n = MIN(n - 1, len);
		assert_int_equal(dns_answer_scrub(buf, &n, &answer), -EBADMSG);
		n = message(buf, "a.x", ns_t_a, cases[0].rrs);
		dns_answer_clamp(buf, MIN(n, len), 1, 2);
	}
}

/* Names that would change when a TTL does. */
static void test_name_through_ttl(void **state)
{
	/* Answer header and question a. A IN. */
#define HEAD(ns) "\x12\x34\x81\x80\0\1\0" ns "\0\0\0\0\1a\0\0\1\0\1"
	static const struct {
		const char *bytes;
		size_t len;
		int err;
	} cases[] = {
#define ROW(text, err) { text, sizeof(text) - 1, err }
		/* The TTL 01620000 of the first is the second's owner. */
		ROW(HEAD("\2") "\xc0\x0c\0\1\0\1\1b\0\0\0\4\1\1\1\1"
			       "\xc0\x19\0\1\0\1\0\0\0\5\0\4\1\1\1\1",
		    -EBADMSG),
		/* The alias' target is its own TTL. */
		ROW(HEAD("\1") "\xc0\x0c\0\5\0\1\1b\0\0\0\2\xc0\x19", -EBADMSG),
		/* The owner runs on from the class into its own record. */
		ROW(HEAD("\1") "\xc0\x12\0\1\0\1\1b\0\0\0\4\1\1\1\1", -EBADMSG),
		ROW(HEAD("\1") "\xc0\x0c\0\5\0\1\1b\0\0\0\2\xc0\x0c", 0),
#undef ROW
#undef HEAD
	};
	struct dns_name name = name_of("a");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dns_answer answer;
		uint8_t buf[128];
		size_t len = cases[i].len;

		memcpy(buf, cases[i].bytes, len);
		assert_int_equal(dns_answer_check(buf, &len, &name, ns_t_a,
						  &answer),
				 cases[i].err);
	}
}

static void test_scrub_long_chain(void **state)
{
	struct rr rrs[RRS_MAX] = { { 0 } };
	char names[RRS_MAX][8];
	struct dns_name name = name_of("n0.x");
	uint8_t buf[DNS_TCP_MAX];
	struct dns_answer answer;

	(void)state;
	for (int i = 0; i < RRS_MAX; i++)
		snprintf(names[i], sizeof(names[i]), "n%d.x", i);
	for (int n = 15; n <= 16; n++) {
		size_t len;

		for (int i = 0; i < n; i++)
			rrs[i] = (struct rr)NAMED(0, names[i], ns_t_cname, 60,
						  names[i + 1]);
		len = message(buf, "n0.x", ns_t_a, rrs);
		assert_int_equal(
			dns_answer_check(buf, &len, &name, ns_t_a, &answer), 0);
		assert_int_equal(dns_answer_scrub(buf, &len, &answer),
				 n == 15 ? 0 : -EBADMSG);
	}
}

static uint32_t first_ttl(const uint8_t *buf, size_t len)
{
	struct rbuf r = rbuf_make(buf, len);
	struct dns_name name;

	r.pos = DNS_HEADER_LEN;
	assert_int_equal(dns_name_read(&r, &name), 0);
	rbuf_ptr(&r, 4);
	assert_int_equal(dns_name_read(&r, &name), 0);
	rbuf_ptr(&r, 4);
	return rbuf_u32(&r);
}

static void test_clamp(void **state)
{
	static const struct {
		uint32_t ttl, min, max, want;
	} cases[] = {
		{ 60, 0, 300, 60 },	     { 60, 100, 300, 100 },
		{ 900, 0, 300, 300 },	     { 0x80000001, 0, 300, 0 },
		{ 0x80000001, 10, 300, 10 },
	};
	uint8_t buf[DNS_TCP_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rr rrs[RRS_MAX] = { A(0, "a.x", cases[i].ttl,
					     "\1\2\3\4") };
		size_t len = message(buf, "a.x", ns_t_a, rrs);

		dns_answer_clamp(buf, len, cases[i].min, cases[i].max);
		assert_int_equal(first_ttl(buf, len), cases[i].want);
	}
}

static void test_private(void **state)
{
	static const struct {
		const char *addr;
		bool private;
	} cases[] = {
		{ "10.1.2.3", true },	  { "11.1.2.3", false },
		{ "100.64.0.1", true },	  { "100.128.0.1", false },
		{ "127.0.0.1", true },	  { "169.254.1.1", true },
		{ "172.16.0.1", true },	  { "172.32.0.1", false },
		{ "192.168.1.1", true },  { "0.0.0.0", true },
		{ "203.0.113.1", false }, { "fc00::1", true },
		{ "fdff::1", true },	  { "fe80::1", true },
		{ "::1", true },	  { "2001:db8::1", false },
	};
	uint8_t buf[DNS_TCP_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip_addr addr;
		struct rr rrs[RRS_MAX] = { NAMED(0, "a.x", ns_t_cname, 60,
						 "b.x") };
		size_t len;

		assert_int_equal(ip_parse(cases[i].addr, &addr), 0);
		rrs[1] = (struct rr)RAW(
			0, "b.x", ip_is_v4(&addr) ? ns_t_a : ns_t_aaaa,
			(char *)addr.b + (ip_is_v4(&addr) ? 12 : 0),
			ip_is_v4(&addr) ? 4 : 16);
		len = message(buf, "a.x", ns_t_a, rrs);
		assert_int_equal(dns_answer_is_private(buf, len),
				 cases[i].private);
		/* Mapped into IPv6 it is the same address. */
		rrs[1] =
			(struct rr)RAW(0, "b.x", ns_t_aaaa, (char *)addr.b, 16);
		len = message(buf, "a.x", ns_t_aaaa, rrs);
		assert_int_equal(dns_answer_is_private(buf, len),
				 cases[i].private);
		for (size_t n = 0; n < len; n++)
			assert_false(dns_answer_is_private(buf, n));
	}
}

/* Our alias a.blue leads to www.x, which an upstream was asked for. */
static struct dns_query chained(void)
{
	struct dns_query q = { .flags = DNS_FLAG_RD,
			       .type = ns_t_a,
			       .class = ns_c_in };
	struct dns_name target = name_of("www.x");
	struct wbuf w = wbuf_make(q.chain.rrs, sizeof(q.chain.rrs));

	q.name = name_of("a.blue");
	memcpy(q.question, q.name.b, q.name.len);
	memcpy(q.question + q.name.len, "\0\1\0\1", 4);
	q.question_len = (uint16_t)(q.name.len + 4);
	q.chain.count = 1;
	q.chain.target = target;
	wbuf_u16(&w, DNS_OWNER(0));
	wbuf_u16(&w, ns_t_cname);
	wbuf_u16(&w, ns_c_in);
	wbuf_u32(&w, 5);
	wbuf_u16(&w, target.len);
	q.chain.target_at = (uint16_t)(DNS_HEADER_LEN + q.question_len + w.len);
	dns_name_write(&w, &target, true);
	q.chain.len = (uint16_t)w.len;
	return q;
}

static void test_chain(void **state)
{
	static const struct {
		struct rr rrs[RRS_MAX];
		size_t limit;
		uint8_t answers, authority;
		bool truncated;
		const char *text;
	} cases[] = {
		{ { A(0, "www.x", 60, "\1\2\3\4") },
		  DNS_UDP_MIN,
		  2,
		  0,
		  false,
		  "a.blue. 5 IN CNAME www.x.\nwww.x. 60 IN A 1.2.3.4\n" },
		{ { NAMED(0, "www.x", ns_t_cname, 60, "b.y"),
		    RAW(0, "b.y", 65280, "\xff", 1) },
		  DNS_UDP_MIN,
		  3,
		  0,
		  false,
		  "a.blue. 5 IN CNAME www.x.\nwww.x. 60 IN CNAME b.y.\n"
		  "b.y. 60 IN TYPE65280 \\# 1 ff\n" },
		{ { RAW(1, "x", ns_t_soa, soa, sizeof(soa) - 1),
		    NAMED(1, "x", ns_t_ns, 60, "ns.x") },
		  DNS_UDP_MIN,
		  1,
		  1,
		  false,
		  "a.blue. 5 IN CNAME www.x.\n" },
		{ { RAW(0, "www.x", 65280,
			"................................................"
			"................................................",
			96),
		    A(0, "www.x", 60, "\1\2\3\4") },
		  120,
		  0,
		  0,
		  true,
		  "" },
	};
	uint8_t buf[DNS_TCP_MAX], out[DNS_TCP_MAX];
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dns_query q = chained();
		size_t len = message(buf, "www.x", ns_t_a, cases[i].rrs);

		len = dns_answer_reply(buf, len, &q, out, cases[i].limit);
		assert_in_range(len, DNS_HEADER_LEN, cases[i].limit);
		assert_int_equal(out[7], cases[i].answers);
		assert_int_equal(out[9], cases[i].authority);
		assert_int_equal(!!(out[2] & DNS_FLAG_TC >> 8),
				 cases[i].truncated);
		dns_answer_text(out, len, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

static void test_text(void **state)
{
	static const struct {
		struct rr rr;
		const char *text;
	} cases[] = {
		{ RAW(0, "a.x", ns_t_aaaa,
		      "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16),
		  "a.x. 60 IN AAAA 2001:db8::1\n" },
		{ RAW(0, "a.x", ns_t_mx, "\0\12\2mx\0", 6),
		  "a.x. 60 IN MX 10 mx.\n" },
		{ RAW(0, "a.x", ns_t_srv, "\0\1\0\2\0\120\1h\0", 9),
		  "a.x. 60 IN SRV 1 2 80 h.\n" },
		{ RAW(0, "a.x", ns_t_soa, soa, sizeof(soa) - 1),
		  "a.x. 60 IN SOA ns. mail. 1 2 3 4 5\n" },
		{ RAW(0, "a.x", ns_t_txt, "\2hi\3\"\\\1", 7),
		  "a.x. 60 IN TXT \"hi\" \"\\034\\092\\001\"\n" },
		{ NAMED(0, "a.x", ns_t_ptr, 60, "."), "a.x. 60 IN PTR .\n" },
		{ RAW(0, "a.x", ns_t_mx, "\0\12\2mx", 5),
		  "a.x. 60 IN MX 10\n" },
	};
	uint8_t buf[DNS_TCP_MAX];
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rr rrs[RRS_MAX] = { cases[i].rr };
		size_t len = message(buf, "a.x", ns_t_a, rrs);

		dns_answer_text(buf, len, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
		/* Cut anywhere it is whole lines, or none. */
		for (size_t n = 0; n < len; n++) {
			dns_answer_text(buf, n, text, sizeof(text));
			assert_string_equal(text, "");
		}
		dns_answer_text(buf, len, text, 8);
		assert_string_equal(text, "");
	}
}

static void test_type_words(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint16_t type;
	} cases[] = {
		{ "A", 0, ns_t_a },	   { "aaaa", 0, ns_t_aaaa },
		{ "TYPE65280", 0, 65280 }, { "type28", 0, ns_t_aaaa },
		{ "TYPE0", -EINVAL, 0 },   { "TYPE65536", -EINVAL, 0 },
		{ "NOSUCH", -EINVAL, 0 },  { "", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint16_t type = 0;

		assert_int_equal(dns_type_parse(cases[i].text, &type),
				 cases[i].err);
		assert_int_equal(type, cases[i].type);
	}
	assert_string_equal(dns_type_str(ns_t_srv), "SRV");
	assert_null(dns_type_str(65280));
}

static void test_hello(void **state)
{
	struct proto_hello a, b;

	(void)state;
	proto_hello_fill(&a, 3);
	proto_hello_fill(&b, 0);
	assert_true(proto_hello_same(&a, &b));
	b.version++;
	assert_false(proto_hello_same(&a, &b));
	b = a;
	b.build[0]++;
	assert_false(proto_hello_same(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_scrub),
		cmocka_unit_test(test_name_through_ttl),
		cmocka_unit_test(test_scrub_long_chain),
		cmocka_unit_test(test_clamp),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_type_words),
		cmocka_unit_test(test_hello),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
