/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from outside: what they match, what is left of them, their words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "msg.h"
#include "netd/util.h"

#define NAME "www.example.com"

static size_t question(const char *text, uint16_t type, uint8_t *buf)
{
	struct dns_name name;

	assert_int_equal(dns_name_parse(text, &name), 0);
	return dns_query_write(&name, type, 0x1234, buf);
}

static void test_query_mix(void **state)
{
	uint8_t query[DNS_QUERY_MAX], plain[DNS_QUERY_MAX];
	uint8_t ones[DNS_NAME_MAX / 8 + 1], none[sizeof(ones)] = { 0 };
	size_t len = question("a-1.xyz", ns_t_a, query);

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	memcpy(plain, query, len);
	dns_query_mix(query, none);
	assert_memory_equal(query, plain, len);
	dns_query_mix(query, ones);
	assert_memory_equal(query + DNS_HEADER_LEN, "\3A-1\3XYZ\0", 9);
	assert_memory_equal(query + 21, plain + 21, len - 21);
}

/* An answer with this byte of it changed. */
static void test_answer_match(void **state)
{
	enum { END = DNS_HEADER_LEN + 17 + 4 };
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
		size_t len;
		enum dns_match match;
	} cases[] = {
		{ "the answer", 3, 0x80, END, DNS_MATCH_WHOLE },
		{ "more behind it", 3, 0x80, END + 9, DNS_MATCH_WHOLE },
		{ "id", 1, 0, END, DNS_MATCH_NONE },
		{ "a query", 2, 1, END, DNS_MATCH_NONE },
		{ "two questions", 5, 2, END, DNS_MATCH_NONE },
		{ "no question", 5, 0, END, DNS_MATCH_NONE },
		{ "another letter", 13, 'v', END, DNS_MATCH_NONE },
		{ "a capital", 13, 'W', END, DNS_MATCH_CASE },
		{ "a label's length", 12, 2, END, DNS_MATCH_NONE },
		{ "type", END - 3, ns_t_ns, END, DNS_MATCH_NONE },
		/* Of which the type is the capital, as it were. */
		{ "type by 0x20", END - 3, ns_t_a | 0x20, END, DNS_MATCH_NONE },
		{ "class", END - 1, 3, END, DNS_MATCH_NONE },
		{ "cut short", 3, 0x80, END - 1, DNS_MATCH_NONE },
		{ "a header, fine", 3, 0x80, DNS_HEADER_LEN, DNS_MATCH_NONE },
		{ "a header, servfail", 3, 0x82, DNS_HEADER_LEN,
		  DNS_MATCH_HEADER },
		{ "less", 3, 0x82, DNS_HEADER_LEN - 1, DNS_MATCH_NONE },
		{ "nothing", 3, 0x80, 0, DNS_MATCH_NONE },
	};
	uint8_t sent[DNS_QUERY_MAX], data[DNS_QUERY_MAX];
	size_t len = question(NAME, ns_t_a, sent);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		memcpy(data, sent, len);
		data[2] |= 0x80;
		data[cases[i].at] = cases[i].value;
		if (dns_answer_match(sent, len, data, cases[i].len) !=
		    cases[i].match)
			fail_msg("%s", cases[i].what);
	}
}

struct rr {
	/* NULL: no record. */
	const char *owner;
	uint16_t type;
	uint32_t ttl;
	const char *data;
	size_t len;
};

#define ADDR "\xc6\x33\x64\1"
#define ALIAS "\5alias\4test"
#define RECORDS_MAX 4

static void name_put(struct wbuf *w, const char *text)
{
	struct dns_name name;

	assert_int_equal(dns_name_parse(text, &name), 0);
	dns_name_write(w, &name, true);
}

static void rrs_put(struct wbuf *w, const struct rr *rrs, uint8_t *count)
{
	for (size_t i = 0; i < RECORDS_MAX && rrs[i].owner; i++) {
		name_put(w, rrs[i].owner);
		wbuf_u16(w, rrs[i].type);
		wbuf_u16(w, ns_c_in);
		wbuf_u32(w, rrs[i].ttl);
		wbuf_u16(w, (uint16_t)rrs[i].len);
		wbuf_bytes(w, rrs[i].data, rrs[i].len);
		++*count;
	}
}

/* Answer, authority, additional; owners in full. */
static size_t message(uint16_t type, const struct rr *an, const struct rr *ns,
		      const struct rr *ar, uint8_t *buf, size_t size)
{
	struct wbuf w = wbuf_make(buf, size);
	static const struct rr none[RECORDS_MAX];

	wbuf_bytes(&w, "\x12\x34\x81\x80\0\1\0\0\0\0\0\0", DNS_HEADER_LEN);
	name_put(&w, NAME);
	wbuf_u16(&w, type);
	wbuf_u16(&w, ns_c_in);
	rrs_put(&w, an, &buf[7]);
	rrs_put(&w, ns ? ns : none, &buf[9]);
	rrs_put(&w, ar ? ar : none, &buf[11]);
	assert_false(w.bad);
	return w.len;
}

#define SOA_DATA "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"
#define SOA                                                                    \
	{                                                                      \
		"example.com", ns_t_soa, 60, SOA_DATA, 22                      \
	}

static void test_answer_scrub(void **state)
{
	static const struct {
		const char *what;
		struct rr an[RECORDS_MAX], ns[RECORDS_MAX], ar[RECORDS_MAX];
		int err;
		uint8_t answers, authorities;
	} cases[] = {
		{ "asked", { { NAME, ns_t_a, 60, ADDR, 4 } }, .answers = 1 },
		{ "two of them",
		  { { NAME, ns_t_a, 60, ADDR, 4 },
		    { "WWW.example.COM", ns_t_a, 60, ADDR, 4 } },
		  .answers = 2 },
		{ "volunteered beside it",
		  { { NAME, ns_t_a, 60, ADDR, 4 } },
		  { { "example.com", ns_t_ns, 60, ALIAS, 12 } },
		  { { "bank.test", ns_t_a, 60, ADDR, 4 } },
		  .answers = 1 },
		{ "volunteered as an answer",
		  { { NAME, ns_t_a, 60, ADDR, 4 },
		    { "bank.test", ns_t_a, 60, ADDR, 4 } },
		  .err = -EBADMSG },
		{ "nothing but that",
		  { { "bank.test", ns_t_a, 60, ADDR, 4 } },
		  .err = -EBADMSG },
		{ "an alias",
		  { { NAME, ns_t_cname, 60, ALIAS, 12 },
		    { "alias.test", ns_t_a, 60, ADDR, 4 } },
		  .answers = 2 },
		{ "an alias of something else",
		  { { NAME, ns_t_cname, 60, ALIAS, 12 },
		    { "bank.test", ns_t_a, 60, ADDR, 4 } },
		  .err = -EBADMSG },
		{ "an alias of a tree",
		  { { "example.com", ns_t_dname, 60, ALIAS, 12 },
		    { NAME, ns_t_cname, 60, ALIAS, 12 },
		    { "alias.test", ns_t_a, 60, ADDR, 4 } },
		  .answers = 3 },
		{ "an alias of another tree",
		  { { "example.org", ns_t_dname, 60, ALIAS, 12 } },
		  .err = -EBADMSG },
		{ "none, and for how long",
		  { { 0 } },
		  { SOA },
		  .authorities = 1 },
		{ "no data of the alias",
		  { { NAME, ns_t_cname, 60, ALIAS, 12 } },
		  { SOA },
		  { { "bank.test", ns_t_a, 60, ADDR, 4 } },
		  .answers = 1,
		  .authorities = 1 },
	};
	struct dns_answer answer;
	struct dns_name name;
	uint8_t buf[1024];

	(void)state;
	assert_int_equal(dns_name_parse(NAME, &name), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = message(ns_t_a, cases[i].an, cases[i].ns,
				     cases[i].ar, buf, sizeof(buf));
		int err;

		assert_int_equal(
			dns_answer_check(buf, &len, &name, ns_t_a, &answer), 0);
		err = dns_answer_scrub(buf, &len, &answer);
		if (err != cases[i].err)
			fail_msg("%s: %d", cases[i].what, err);
		if (err)
			continue;
		assert_int_equal(buf[7], cases[i].answers);
		assert_int_equal(buf[9], cases[i].authorities);
		assert_int_equal(buf[11], 0);
		/* What is left is whole. */
		assert_int_equal(
			dns_answer_check(buf, &len, &name, ns_t_a, &answer), 0);
	}
}

static void test_answer_scrub_chain(void **state)
{
	/* Each the alias of the one before; the last points to itself. */
	struct wbuf w;
	struct dns_answer answer = { 0 };
	uint8_t buf[2048];
	size_t len;

	(void)state;
	for (unsigned n = 14; n < 18; n++) {
		static const struct rr none[RECORDS_MAX];

		len = message(ns_t_a, none, NULL, NULL, buf, sizeof(buf));
		w = wbuf_make(buf, sizeof(buf));
		w.len = len;
		for (unsigned i = 0; i < n; i++) {
			uint8_t next[] = { 1, (uint8_t)('a' + i), 0 };
			uint8_t owner[] = { 1, (uint8_t)('a' + i - 1), 0 };

			if (i)
				wbuf_bytes(&w, owner, 3);
			else
				name_put(&w, NAME);
			wbuf_u16(&w, ns_t_cname);
			wbuf_u16(&w, ns_c_in);
			wbuf_u32(&w, 5);
			wbuf_u16(&w, 3);
			wbuf_bytes(&w, next, 3);
		}
		buf[7] = (uint8_t)n;
		len = w.len;
		assert_int_equal(dns_answer_scrub(buf, &len, &answer),
				 n < 16 ? 0 : -EBADMSG);
		/* Bytes that end too soon are none. */
		len = w.len - 1;
		assert_int_equal(dns_answer_scrub(buf, &len, &answer),
				 -EBADMSG);
		len = 20;
		assert_int_equal(dns_answer_scrub(buf, &len, &answer),
				 -EBADMSG);
		dns_answer_clamp(buf, 20, 0, 1);
		dns_answer_clamp(buf, w.len - 1, 0, 1);
	}
}

static void test_answer_is_private(void **state)
{
	static const struct {
		uint16_t type;
		const char *data;
		size_t len;
		bool is_private;
	} cases[] = {
		{ ns_t_a, ADDR, 4, false },
		{ ns_t_a, "\x0a\1\2\3", 4, true },
		{ ns_t_a, "\x0b\1\2\3", 4, false },
		{ ns_t_a, "\xc0\xa8\1\1", 4, true },
		{ ns_t_a, "\xc0\xa9\1\1", 4, false },
		{ ns_t_a, "\xac\x0f\1\1", 4, false },
		{ ns_t_a, "\xac\x10\1\1", 4, true },
		{ ns_t_a, "\xac\x20\1\1", 4, false },
		{ ns_t_a, "\x7f\0\0\1", 4, true },
		{ ns_t_a, "\0\0\0\0", 4, true },
		{ ns_t_a, "\xa9\xfe\xa9\xfe", 4, true },
		{ ns_t_a, "\x64\x40\0\1", 4, true },
		{ ns_t_a, "\x64\x80\0\1", 4, false },
		{ ns_t_aaaa, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16,
		  false },
		{ ns_t_aaaa, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16, true },
		{ ns_t_aaaa, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16, true },
		{ ns_t_aaaa, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16, true },
		{ ns_t_aaaa, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16,
		  true },
		{ ns_t_aaaa, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x08\x08\x08\x08", 16,
		  false },
		{ ns_t_txt, "\4\x0a\0\0\1", 5, false },
	};
	uint8_t buf[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rr an[RECORDS_MAX] = { { NAME, ns_t_a, 60, ADDR, 4 },
					      { NAME, cases[i].type, 60,
						cases[i].data, cases[i].len } };
		size_t len = message(cases[i].type, an, NULL, NULL, buf,
				     sizeof(buf));

		if (dns_answer_is_private(buf, len) != cases[i].is_private)
			fail_msg("row %zu", i);
		assert_false(dns_answer_is_private(buf, 20));
		/* Cut within its last record: nothing was seen there. */
		assert_false(dns_answer_is_private(buf, len - 1));
		assert_false(
			dns_answer_is_private(buf, len - cases[i].len - 12));
	}
}

static void test_answer_text(void **state)
{
	static const struct {
		uint16_t type;
		const char *data;
		size_t len;
		const char *text;
	} cases[] = {
		{ ns_t_a, ADDR, 4, "A 198.51.100.1" },
		{ ns_t_aaaa, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16,
		  "AAAA 2001:db8::1" },
		{ ns_t_cname, ALIAS, 12, "CNAME alias.test." },
		{ ns_t_ns, "\0", 1, "NS ." },
		{ ns_t_mx, "\0\x0a" ALIAS, 14, "MX 10 alias.test." },
		{ ns_t_srv, "\0\0\0\x64\x1f\x90" ALIAS, 18,
		  "SRV 0 100 8080 alias.test." },
		{ ns_t_soa, SOA_DATA, 22, "SOA . . 1 2 3 4 5" },
		{ ns_t_txt, "\2hi\4a\"\x1b\\", 8,
		  "TXT \"hi\" \"a\\034\\027\\092\"" },
		{ 65, "\1\2\xff", 3, "HTTPS \\# 3 0102ff" },
		{ 4000, "\1\2", 2, "TYPE4000 \\# 2 0102" },
		/* Data that is not what its type says. */
		{ ns_t_a, "\1\2", 2, "A" },
		{ ns_t_cname, "\5al", 3, "CNAME" },
	};
	char text[2048], want[256];
	uint8_t buf[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rr an[RECORDS_MAX] = { { NAME, cases[i].type, 7,
						cases[i].data, cases[i].len },
					      { NAME, ns_t_a, 7, ADDR, 4 } };
		size_t len = message(cases[i].type, an, NULL, NULL, buf,
				     sizeof(buf));

		snprintf(want, sizeof(want),
			 NAME ". 7 IN %s\n" NAME ". 7 IN A 198.51.100.1\n",
			 cases[i].text);
		dns_answer_text(buf, len, text, sizeof(text));
		assert_string_equal(text, want);
		/* Whole lines, as many as fit. */
		dns_answer_text(buf, len, text, strlen(want));
		assert_int_equal(
			strlen(text),
			strlen(want) - strlen(NAME ". 7 IN A 198.51.100.1\n"));
		dns_answer_text(buf, len - 1, text, sizeof(text));
		assert_int_equal(text[strlen(text) - 1], '\n');
		dns_answer_text(buf, 13, text, sizeof(text));
		assert_string_equal(text, "");
	}
}

static void test_types(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint16_t type;
	} cases[] = {
		{ "A", 0, 1 },		 { "aaaa", 0, 28 },
		{ "TYPE65", 0, 65 },	 { "type1", 0, 1 },
		{ "HTTPS", 0, 65 },	 { "ANY", 0, 255 },
		{ "TYPE0", -EINVAL, 0 }, { "TYPE65536", -EINVAL, 0 },
		{ "TYPE", -EINVAL, 0 },	 { "", -EINVAL, 0 },
		{ "NONE", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint16_t type = 0;

		assert_int_equal(dns_type_parse(cases[i].text, &type),
				 cases[i].err);
		assert_int_equal(type, cases[i].type);
	}
	assert_string_equal(dns_type_str(33), "SRV");
	assert_null(dns_type_str(4000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query_mix),
		cmocka_unit_test(test_answer_match),
		cmocka_unit_test(test_answer_scrub),
		cmocka_unit_test(test_answer_scrub_chain),
		cmocka_unit_test(test_answer_is_private),
		cmocka_unit_test(test_answer_text),
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
