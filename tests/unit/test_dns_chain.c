/* SPDX-License-Identifier: Apache-2.0 */
/* What an upstream says, told behind aliases of ours: names are moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "msg.h"
#include "netd/util.h"

#define HEAD(flags, an, ns) "\1\2" flags "\0\1\0" an "\0" ns "\0\0"
#define TARGET "\3www\7example\0"
#define RR(type, ttl, len, data) "\0" type "\0\1\0\0\0" ttl "\0" len data
/* The question's name, which stands where ours has another one. */
#define SAME "\xc0\x0c"

/* `alias.default`, which is www.example. */
static void alias_make(struct dns_query *q, uint16_t type, bool edns,
		       unsigned aliases)
{
	uint8_t bytes[DNS_QUERY_MAX], out[DNS_UDP_MAX];
	struct dns_reply reply;
	struct dns_name name;
	size_t len, at = 0;

	assert_int_equal(dns_name_parse("alias.default", &name), 0);
	len = dns_query_write(&name, type, 7, bytes);
	if (!edns) {
		len -= DNS_OPT_LEN;
		bytes[11] = 0;
	}
	assert_int_equal(dns_query_read(bytes, len, q), ns_r_noerror);
	assert_int_equal(dns_name_parse("www.example", &q->chain.target), 0);
	dns_reply_begin(&reply, q, out, sizeof(out));
	for (unsigned i = 0; i < aliases; i++) {
		at = dns_reply_at(&reply) + 12;
		assert_true(dns_reply_rr(&reply, DNS_ANSWER, DNS_OWNER(0),
					 ns_t_cname, 5, q->chain.target.b,
					 q->chain.target.len));
	}
	dns_reply_chain(&reply, (uint16_t)at, q);
	assert_int_equal(q->chain.count, aliases);
}

struct record {
	char owner[DNS_NAME_MAX + 1];
	uint16_t type;
	uint16_t len;
	size_t at;
};

static void record_read(struct rbuf *r, struct record *ret)
{
	struct dns_name name;

	assert_int_equal(dns_name_read(r, &name), 0);
	dns_name_str(&name, ret->owner, sizeof(ret->owner));
	ret->type = rbuf_u16(r);
	assert_int_equal(rbuf_u16(r), ns_c_in);
	rbuf_u32(r);
	ret->len = rbuf_u16(r);
	ret->at = r->pos;
	assert_non_null(rbuf_ptr(r, ret->len));
}

/* Behind header, question and our CNAME: the first that is the upstream's. */
static struct rbuf reply_open(const uint8_t *out, size_t len)
{
	struct rbuf r = rbuf_make(out, len);
	struct dns_name name;
	struct record rr;

	r.pos = DNS_HEADER_LEN;
	assert_int_equal(dns_name_read(&r, &name), 0);
	rbuf_u32(&r);
	record_read(&r, &rr);
	assert_string_equal(rr.owner, "alias.default");
	assert_int_equal(rr.type, ns_t_cname);
	return r;
}

#define BYTES(s) (s), sizeof(s) - 1

static void test_chain_records(void **state)
{
	static const struct {
		uint16_t type;
		const char *bytes;
		size_t len;
		int rcode;
		unsigned answers, authority;
		/* The first of the upstream's own records. */
		const char *owner;
		uint16_t got;
		/* Its data in full. */
		const char *data;
		size_t data_len;
	} cases[] = {
		/* An address. */
		{ ns_t_a,
		  BYTES(HEAD("\x81\x80", "\1", "\0") TARGET
			"\0\1\0\1" SAME RR("\1", "\5", "\4", "\xc0\0\2\1")),
		  0, 2, 0, "www.example", ns_t_a, BYTES("\xc0\0\2\1") },
		/* An alias of theirs, whose target is written in full. */
		{ ns_t_a,
		  BYTES(HEAD("\x81\x80", "\2", "\0") TARGET "\0\1\0\1" SAME RR(
			  "\5", "\5", "\4",
			  "\1a\xc0\x10") "\1a\xc0\x10" RR("\1", "\5", "\4",
							  "\xc0\0\2\1")),
		  0, 3, 0, "www.example", ns_t_cname, BYTES("\1a\7example\0") },
		/* Bytes before a name. */
		{ ns_t_mx,
		  BYTES(HEAD("\x81\x80", "\1", "\0") TARGET
			"\0\x0f\0\1" SAME RR("\x0f", "\5", "\4",
					     "\0\x0a" SAME)),
		  0, 2, 0, "www.example", ns_t_mx,
		  BYTES("\0\x0a\3www\7example\0") },
		/* A type whose data is nobody's business. */
		{ 65,
		  BYTES(HEAD("\x81\x80", "\1", "\0") TARGET
			"\0\x41\0\1" SAME RR("\x41", "\5", "\3", "\0\1\0")),
		  0, 2, 0, "www.example", 65, BYTES("\0\1\0") },
		/* No such name, and who says so; NS is left out. */
		{ ns_t_a,
		  BYTES(HEAD("\x81\x83", "\0", "\2") TARGET
			"\0\1\0\1"
			"\xc0\x10" RR("\2", "\5", "\2", SAME) "\xc0\x10" RR(
				"\6", "\5", "\x18",
				SAME SAME "\0\0\0\1\0\0\0\2\0\0\0\3"
					  "\0\0\0\4\0\0\0\5")),
		  3, 1, 1, "example", ns_t_soa,
		  BYTES("\3www\7example\0\3www\7example\0\0\0\0\1\0\0\0\2"
			"\0\0\0\3\0\0\0\4\0\0\0\5") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t data[512], out[DNS_UDP_MAX];
		struct dns_answer answer;
		struct dns_query q;
		struct record rr;
		size_t len = cases[i].len;
		struct rbuf r;

		memcpy(data, cases[i].bytes, len);
		alias_make(&q, cases[i].type, true, 1);
		assert_int_equal(dns_answer_check(data, &len,
						  dns_query_target(&q),
						  cases[i].type, &answer),
				 0);
		len = dns_answer_reply(data, len, &q, out, sizeof(out));
		assert_int_equal(out[3] & 15, cases[i].rcode);
		assert_int_equal(out[7], cases[i].answers);
		assert_int_equal(out[9], cases[i].authority);
		r = reply_open(out, len);
		record_read(&r, &rr);
		assert_string_equal(rr.owner, cases[i].owner);
		assert_int_equal(rr.type, cases[i].got);
		assert_int_equal(rr.len, cases[i].data_len);
		assert_memory_equal(out + rr.at, cases[i].data,
				    cases[i].data_len);
		/* The whole of it is an answer to the question. */
		assert_int_equal(dns_answer_check(out, &len, &q.name, q.type,
						  &answer),
				 0);
	}
}

/* Whole or TC: never a part without a word about the rest. */
static void test_chain_size(void **state)
{
	static const char bytes[] = HEAD("\x81\x80", "\1", "\0") TARGET
		"\0\1\0\1" SAME RR("\1", "\5", "\4", "\xc0\0\2\1");
	uint8_t out[DNS_UDP_MAX];
	struct dns_query q;
	size_t whole, least;

	(void)state;
	for (unsigned edns = 0; edns < 2; edns++) {
		alias_make(&q, ns_t_a, edns, 3);
		whole = dns_answer_reply((const uint8_t *)bytes,
					 sizeof(bytes) - 1, &q, out,
					 sizeof(out));
		assert_int_equal(out[7], 4);
		assert_false(out[2] & DNS_FLAG_TC >> 8);
		least = (size_t)DNS_HEADER_LEN + q.question_len + DNS_OPT_LEN;
		for (size_t room = whole - 1; room > least; room--) {
			size_t len = dns_answer_reply((const uint8_t *)bytes,
						      sizeof(bytes) - 1, &q,
						      out, room);

			assert_true(len <= room);
			assert_true(out[2] & DNS_FLAG_TC >> 8);
			assert_int_equal(out[7], 0);
			assert_int_equal(out[11], edns);
		}
	}
}

static void test_chain_none(void **state)
{
	struct dns_query q;

	(void)state;
	alias_make(&q, ns_t_a, true, 0);
	assert_true(dns_query_target(&q) == &q.name);
	alias_make(&q, ns_t_a, true, 1);
	assert_true(dns_query_target(&q) == &q.chain.target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_records),
		cmocka_unit_test(test_chain_size),
		cmocka_unit_test(test_chain_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
