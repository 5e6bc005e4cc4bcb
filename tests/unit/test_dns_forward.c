/* SPDX-License-Identifier: Apache-2.0 */
/* Cache and forwarding, with an upstream and a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forward.h"
#include "netd/util.h"

#define STALE_S 600

struct fixture {
	struct cache *cache;
	struct forward *forward;
	struct dns_settings settings;
	struct dns_stats stats;
	struct forward_group group;
	/* The last question that was sent, and how many. */
	struct dns_name asked;
	uint64_t token;
	unsigned sends;
	int send_err;
	unsigned cancels;
	/* The last answer, and how many. */
	uint8_t answer[DNS_UDP_MAX];
	size_t answer_len;
	uint64_t answered;
	unsigned answers;
	struct forward_note note;
	int64_t wake;
};

static int on_send(void *ctx, const struct forward_group *group,
		   const struct dns_name *name, uint16_t type, uint64_t token)
{
	struct fixture *f = ctx;

	assert_int_equal(group->id, f->group.id);
	assert_true(type);
	f->asked = *name;
	f->token = token;
	f->sends++;
	return f->send_err;
}

static void on_cancel(void *ctx, uint64_t token)
{
	struct fixture *f = ctx;

	assert_true(token);
	f->cancels++;
}

static void on_reply(void *ctx, const struct forward_to *to,
		     const uint8_t *data, size_t len,
		     const struct forward_note *note)
{
	struct fixture *f = ctx;

	assert_true(len <= sizeof(f->answer));
	memcpy(f->answer, data, len);
	f->answer_len = len;
	f->answered = to->id;
	f->answers++;
	f->note = *note;
}

static void on_wake(void *ctx, int64_t at)
{
	((struct fixture *)ctx)->wake = at;
}

static int setup(void **state)
{
	static const struct forward_ops ops = { on_send, on_cancel, on_reply,
						on_wake };
	static const struct cache_limits limits = {
		.entries = 4,
		.bytes = 4096,
		.ttl_max = 300,
		.negative_max = 30,
		.stale = STALE_S,
	};
	struct fixture *f = xzalloc(sizeof(*f));

	f->settings = (struct dns_settings)DNS_SETTINGS_DEFAULT;
	f->group.id = 1;
	f->cache = cache_new(&limits);
	f->forward = forward_new(&ops, f, f->cache, &f->stats);
	forward_set(f->forward, &f->settings);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	forward_free(f->forward);
	cache_free(f->cache);
	free(f);
	return 0;
}

static void query_make(const char *text, uint16_t type, struct dns_query *ret)
{
	uint8_t bytes[DNS_QUERY_MAX];
	struct dns_name name;
	size_t len;

	assert_int_equal(dns_name_parse(text, &name), 0);
	len = dns_query_write(&name, type, 77, bytes);
	assert_int_equal(dns_query_read(bytes, len, ret), ns_r_noerror);
}

/* The length of an answer at once. */
static size_t ask_type(struct fixture *f, const char *text, uint16_t type,
		       const char *client, uint64_t id, int64_t now)
{
	struct forward_to to = { .id = id };
	struct dns_query q;
	struct ip_addr src;
	size_t len;

	assert_int_equal(ip_parse(client, &src), 0);
	query_make(text, type, &q);
	len = forward_query(f->forward, &f->group, &q, &src, &to, now,
			    f->answer, &f->note);
	f->answer_len = len;
	return len;
}

static size_t ask(struct fixture *f, const char *text, const char *client,
		  uint64_t id, int64_t now)
{
	return ask_type(f, text, ns_t_a, client, id, now);
}

/* One address with this TTL, as an upstream would say it. */
static size_t answer_make(const char *text, const char *addr, uint32_t ttl,
			  uint8_t *buf)
{
	struct dns_reply reply;
	struct dns_query q;
	struct ip_addr ip;

	assert_int_equal(ip_parse(addr, &ip), 0);
	query_make(text, ns_t_a, &q);
	q.edns = false;
	dns_reply_begin(&reply, &q, buf, DNS_UDP_MAX);
	dns_reply_rr(&reply, DNS_ANSWER, DNS_OWNER(0), ns_t_a, ttl, ip.b + 12,
		     4);
	return dns_reply_end(&reply);
}

/* That there is none, for this long; no SOA with ttl 0. */
static size_t negative_make(const char *text, int rcode, uint32_t ttl,
			    uint8_t *buf)
{
	uint8_t soa[] = "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\xff";
	struct dns_reply reply;
	struct dns_query q;

	query_make(text, ns_t_a, &q);
	q.edns = false;
	dns_reply_begin(&reply, &q, buf, DNS_UDP_MAX);
	reply.rcode = (uint16_t)rcode;
	if (ttl)
		dns_reply_rr(&reply, DNS_AUTHORITY, DNS_OWNER(0), ns_t_soa, ttl,
			     soa, 22);
	return dns_reply_end(&reply);
}

/* As upstream hands it on. */
static void hand(struct fixture *f, uint8_t *buf, size_t len, uint16_t type,
		 int64_t now)
{
	struct upstream_answer answer = { .data = buf, .len = len };

	answer.server.addr = ip_from_v4(0x01010101);
	assert_int_equal(dns_answer_check(buf, &answer.len, &f->asked, type,
					  &answer.info),
			 0);
	forward_done(f->forward, f->token, &answer, now);
}

static void done(struct fixture *f, const char *text, uint32_t ttl, int64_t now)
{
	uint8_t buf[DNS_UDP_MAX];

	hand(f, buf, answer_make(text, "198.51.100.1", ttl, buf), ns_t_a, now);
}

static void done_none(struct fixture *f, int64_t now)
{
	struct upstream_answer none = { 0 };

	forward_done(f->forward, f->token, &none, now);
}

static int rcode_of(const struct fixture *f)
{
	return f->answer[3] & 15;
}

/* Of the first record, whose owner is two bytes long. */
static uint32_t ttl_of(const struct fixture *f)
{
	size_t at = DNS_HEADER_LEN;

	while (f->answer[at])
		at += f->answer[at] + 1u;
	at += 1 + 4 + 2 + 4;
	return (uint32_t)f->answer[at] << 24 |
	       (uint32_t)f->answer[at + 1] << 16 |
	       (uint32_t)f->answer[at + 2] << 8 | f->answer[at + 3];
}

static void test_forward_query(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, "Example.com", "10.0.0.5", 1, 0), 0);
	assert_int_equal(f->sends, 1);
	assert_int_equal(f->wake, FORWARD_STALE_MS);
	done(f, "example.com", 60, 20);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->answered, 1);
	assert_int_equal(f->note.source, FORWARD_UPSTREAM);
	/* Under the client's id. */
	assert_memory_equal(f->answer, "\0\x4d", 2);
	assert_int_equal(f->answer[7], 1);
	/* From the cache, older. */
	assert_true(ask(f, "example.COM", "10.0.0.6", 2, 10020) > 0);
	assert_int_equal(f->note.source, FORWARD_CACHE);
	assert_int_equal(f->sends, 1);
	assert_int_equal(ttl_of(f), 50);
	assert_int_equal(ask(f, "example.com", "10.0.0.6", 2, 60020), 0);
	assert_int_equal(f->sends, 2);
	assert_int_equal(f->stats.cached, 1);
}

static void test_forward_coalesces(void **state)
{
	struct fixture *f = *state;

	for (uint64_t id = 1; id <= 10; id++)
		assert_int_equal(ask(f, "example.com", "10.0.0.5", id, 0), 0);
	assert_int_equal(f->sends, 1);
	/* Another type, other servers: other questions. */
	assert_int_equal(
		ask_type(f, "example.com", ns_t_aaaa, "10.0.0.5", 11, 0), 0);
	assert_int_equal(f->sends, 2);
	f->group.id = 2;
	assert_int_equal(ask(f, "example.com", "10.0.0.5", 12, 0), 0);
	assert_int_equal(f->sends, 3);
	done(f, "example.com", 0, 5);
	assert_int_equal(f->answered, 12);
	f->token -= 2;
	done(f, "example.com", 0, 5);
	assert_int_equal(f->answers, 11);
	assert_int_equal(f->stats.coalesced, 9);
	assert_int_equal(forward_waiting(f->forward), 1);
	/* TTL 0 is not kept. */
	assert_int_equal(cache_entries(f->cache), 0);
}

static void test_forward_limits(void **state)
{
	struct fixture *f = *state;
	const struct dns_settings *s = &f->settings;
	char client[32], name[32];
	unsigned total = 0;

	for (unsigned i = 0; i < s->client_max; i++) {
		snprintf(name, sizeof(name), "n%u.com", i);
		assert_int_equal(ask(f, name, "10.0.0.5", i, 0), 0);
		total++;
	}
	assert_true(ask(f, "more.com", "10.0.0.5", 99, 0) > 0);
	assert_int_equal(rcode_of(f), ns_r_refused);
	assert_int_equal(f->note.source, FORWARD_LIMIT);
	/* Others may still ask, until all is used up. */
	for (unsigned i = 0; total < s->waiting_max; i++, total++) {
		snprintf(client, sizeof(client), "10.0.1.%u", i / 32 + 1);
		snprintf(name, sizeof(name), "m%u.com", i);
		assert_int_equal(ask(f, name, client, i, 0), 0);
	}
	assert_true(ask(f, "more.com", "10.0.2.1", 99, 0) > 0);
	assert_int_equal(f->stats.limited, 2);
	assert_int_equal(forward_waiting(f->forward), s->waiting_max);
	/* All are told when the time is up, and then there is room. */
	forward_expire(f->forward, FORWARD_TIME_MS - 1);
	assert_int_equal(f->answers, 0);
	forward_expire(f->forward, FORWARD_TIME_MS);
	assert_int_equal(f->answers, s->waiting_max);
	assert_int_equal(f->cancels, s->waiting_max);
	assert_int_equal(rcode_of(f), ns_r_servfail);
	assert_int_equal(ask(f, "more.com", "10.0.0.5", 1, 5000), 0);
	/* Fewer from now on. */
	f->settings.client_max = 1;
	forward_set(f->forward, &f->settings);
	assert_true(ask(f, "again.com", "10.0.0.5", 1, 5000) > 0);
	assert_int_equal(rcode_of(f), ns_r_refused);
}

static void test_forward_failures(void **state)
{
	struct fixture *f = *state;

	/* No upstreams: at once. */
	f->send_err = -EHOSTDOWN;
	assert_true(ask(f, "a.com", "10.0.0.5", 1, 0) > 0);
	assert_int_equal(rcode_of(f), ns_r_servfail);
	assert_int_equal(f->note.source, FORWARD_NONE);
	assert_int_equal(forward_waiting(f->forward), 0);
	f->send_err = 0;
	/* No answer, and a late one. */
	assert_int_equal(ask(f, "b.com", "10.0.0.5", 1, 0), 0);
	done_none(f, 10);
	assert_int_equal(rcode_of(f), ns_r_servfail);
	assert_int_equal(f->answers, 1);
	done(f, "b.com", 60, 20);
	assert_int_equal(f->answers, 1);
	assert_int_equal(cache_entries(f->cache), 0);
	assert_int_equal(f->stats.failed, 2);
}

static void test_forward_stale(void **state)
{
	struct fixture *f = *state;
	int64_t later = 61000;

	assert_int_equal(ask(f, "a.com", "10.0.0.5", 1, 0), 0);
	done(f, "a.com", 60, 0);
	/* No upstream lives: at once. */
	f->send_err = -EHOSTDOWN;
	assert_true(ask(f, "a.com", "10.0.0.5", 1, later) > 0);
	assert_int_equal(f->note.source, FORWARD_STALE);
	assert_int_equal(ttl_of(f), CACHE_STALE_TTL);
	/* One does, and says nothing in time: he need not wait for it. */
	f->send_err = 0;
	assert_int_equal(ask(f, "a.com", "10.0.0.5", 2, later), 0);
	forward_expire(f->forward, later + FORWARD_STALE_MS - 1);
	assert_int_equal(f->answers, 1);
	forward_expire(f->forward, later + FORWARD_STALE_MS);
	assert_int_equal(f->answers, 2);
	assert_int_equal(f->note.source, FORWARD_STALE);
	assert_int_equal(f->answer[7], 1);
	assert_int_equal(f->wake, later + FORWARD_TIME_MS);
	assert_int_equal(forward_waiting(f->forward), 0);
	/* It goes on, and what it brings is kept. */
	done(f, "a.com", 60, later + 3000);
	assert_int_equal(f->answers, 2);
	assert_true(ask(f, "a.com", "10.0.0.5", 3, later + 3001) > 0);
	assert_int_equal(f->note.source, FORWARD_CACHE);
	assert_int_equal(f->stats.stale, 2);
	/* Not for ever. */
	later += 64000 + STALE_S * 1000;
	f->send_err = -EHOSTDOWN;
	assert_true(ask(f, "a.com", "10.0.0.5", 4, later) > 0);
	assert_int_equal(rcode_of(f), ns_r_servfail);
}

static void test_forward_negative(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[DNS_UDP_MAX];

	/* A name that is not has no type. */
	ask(f, "a.com", "10.0.0.5", 1, 0);
	hand(f, buf, negative_make("a.com", ns_r_nxdomain, 600, buf), ns_t_a,
	     0);
	assert_int_equal(rcode_of(f), ns_r_nxdomain);
	assert_true(ask_type(f, "a.com", ns_t_txt, "10.0.0.5", 1, 29999) > 0);
	assert_int_equal(rcode_of(f), ns_r_nxdomain);
	/* No longer than the most. */
	assert_int_equal(ask(f, "a.com", "10.0.0.5", 1, 30000), 0);
	done(f, "a.com", 60, 30000);
	assert_true(ask(f, "a.com", "10.0.0.5", 1, 30001) > 0);
	assert_int_equal(rcode_of(f), ns_r_noerror);
	assert_int_equal(ask_type(f, "a.com", ns_t_txt, "10.0.0.5", 1, 30001),
			 0);
	/* A name without this type has others. */
	ask(f, "b.com", "10.0.0.5", 1, 0);
	hand(f, buf, negative_make("b.com", ns_r_noerror, 600, buf), ns_t_a, 0);
	assert_true(ask(f, "b.com", "10.0.0.5", 1, 1) > 0);
	assert_int_equal(ask_type(f, "b.com", ns_t_txt, "10.0.0.5", 1, 1), 0);
	/* Nobody said for how long. */
	ask(f, "c.com", "10.0.0.5", 1, 0);
	hand(f, buf, negative_make("c.com", ns_r_nxdomain, 0, buf), ns_t_a, 0);
	assert_int_equal(ask(f, "c.com", "10.0.0.5", 1, 1), 0);
}

static void test_forward_ttl(void **state)
{
	static const struct {
		uint32_t min, max, said, shown, kept_s;
	} cases[] = {
		{ 0, 300, 60, 60, 60 },	    { 0, 300, 1000000, 300, 300 },
		{ 20, 300, 5, 20, 20 },	    { 20, 300, 0, 20, 20 },
		{ 0, 10, 60, 10, 10 },	    { 0, 300, 0x80000001, 0, 0 },
		{ 300, 300, 60, 300, 300 },
	};
	struct fixture *f = *state;
	char name[32];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cache_limits limits = {
			9, 4096, cases[i].min, cases[i].max, 30, 0
		};

		f->settings.ttl_min = cases[i].min;
		f->settings.ttl_max = cases[i].max;
		forward_set(f->forward, &f->settings);
		cache_limit(f->cache, &limits);
		snprintf(name, sizeof(name), "n%zu.com", i);
		assert_int_equal(ask(f, name, "10.0.0.5", 1, 0), 0);
		done(f, name, cases[i].said, 0);
		assert_int_equal(ttl_of(f), cases[i].shown);
		if (cases[i].kept_s)
			assert_true(ask(f, name, "10.0.0.5", 1,
					cases[i].kept_s * 1000 - 1) > 0);
		assert_int_equal(
			ask(f, name, "10.0.0.5", 1, cases[i].kept_s * 1000), 0);
	}
}

static void test_forward_rebind(void **state)
{
	static const struct {
		const char *name, *addr;
		bool filter, inside, passes;
	} cases[] = {
		{ "a.com", "192.168.1.1", false, false, true },
		{ "b.com", "192.168.1.1", true, false, false },
		{ "c.com", "198.51.100.1", true, false, true },
		{ "d.com", "127.0.0.1", true, false, false },
		{ "e.com", "10.64.0.1", true, false, false },
		{ "f.com", "172.31.255.255", true, false, false },
		{ "g.com", "172.32.0.1", true, false, true },
		{ "h.com", "169.254.169.254", true, false, false },
		{ "i.com", "100.64.0.1", true, false, false },
		{ "j.com", "0.0.0.0", true, false, false },
		{ "k.corp.example", "10.1.1.1", true, false, true },
		{ "l.com", "10.1.1.1", true, true, true },
	};
	struct fixture *f = *state;
	uint8_t buf[DNS_UDP_MAX];
	size_t len;

	f->settings.allow_len = 1;
	str_copy(f->settings.allow[0], sizeof(f->settings.allow[0]),
		 "corp.example");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		f->settings.rebind_filter = cases[i].filter;
		f->group.inside = cases[i].inside;
		forward_set(f->forward, &f->settings);
		assert_int_equal(ask(f, cases[i].name, "10.0.0.5", 1, 0), 0);
		len = answer_make(cases[i].name, cases[i].addr, 60, buf);
		hand(f, buf, len, ns_t_a, 0);
		assert_int_equal(rcode_of(f), ns_r_noerror);
		assert_int_equal(f->answer[7], cases[i].passes);
	}
	assert_int_equal(f->stats.rebound, 7);
}

static struct cache_key key_of(const char *text, struct dns_name *name)
{
	assert_int_equal(dns_name_parse(text, name), 0);
	return (struct cache_key){ 1, name, ns_t_a };
}

static void keep(struct fixture *f, const char *text, uint32_t ttl, int64_t now)
{
	static const struct want_server server;
	uint8_t buf[DNS_UDP_MAX];
	size_t len = answer_make(text, "198.51.100.1", ttl, buf);
	struct dns_answer a;
	struct dns_name name;
	struct cache_key key = key_of(text, &name);

	assert_int_equal(dns_answer_check(buf, &len, &name, ns_t_a, &a), 0);
	cache_put(f->cache, &key, &a, &server, buf, len, now);
}

static bool has(struct fixture *f, const char *text, int64_t now)
{
	static struct cache_hit hit;
	struct dns_name name;
	struct cache_key key = key_of(text, &name);

	return cache_get(f->cache, &key, false, now, &hit);
}

static void test_cache_bounds(void **state)
{
	struct fixture *f = *state;

	keep(f, "a.com", 60, 0);
	keep(f, "b.com", 60, 0);
	keep(f, "c.com", 60, 0);
	keep(f, "d.com", 60, 0);
	/* What was used last stays longest. */
	assert_true(has(f, "a.com", 1));
	keep(f, "e.com", 60, 0);
	assert_int_equal(cache_entries(f->cache), 4);
	assert_true(has(f, "a.com", 1));
	assert_false(has(f, "b.com", 1));
	/* The same again replaces. */
	keep(f, "a.com", 60, 0);
	assert_int_equal(cache_entries(f->cache), 4);
	/* Less room from now on. */
	cache_limit(f->cache,
		    &(struct cache_limits){ .entries = 1, .bytes = 4096 });
	assert_int_equal(cache_entries(f->cache), 1);
	assert_true(has(f, "a.com", 1));
}

static void test_cache_list(void **state)
{
	struct fixture *f = *state;
	struct dns_cache_entry rows[4];
	struct dns_name below;
	uint32_t skip = 0;

	keep(f, "a.com", 60, 0);
	keep(f, "x.org", 60, 0);
	keep(f, "b.a.com", 60, 0);
	assert_int_equal(cache_list(f->cache, NULL, 61000, &skip, rows, 2), 2);
	assert_string_equal(rows[0].name, "a.com");
	assert_true(rows[0].stale);
	assert_int_equal(cache_list(f->cache, NULL, 1000, &skip, rows, 2), 1);
	assert_string_equal(rows[0].name, "b.a.com");
	assert_int_equal(rows[0].ttl, 59);
	assert_int_equal(rows[0].type, ns_t_a);
	assert_int_equal(cache_list(f->cache, NULL, 1000, &skip, rows, 2), 0);
	skip = 0;
	assert_int_equal(dns_name_parse("a.com", &below), 0);
	assert_int_equal(cache_list(f->cache, &below, 0, &skip, rows, 4), 2);
	assert_int_equal(cache_flush(f->cache, &below), 2);
	assert_int_equal(cache_entries(f->cache), 1);
	assert_int_equal(cache_flush(f->cache, NULL), 1);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_forward_query),  TEST(test_forward_coalesces),
		TEST(test_forward_limits), TEST(test_forward_failures),
		TEST(test_forward_stale),  TEST(test_forward_negative),
		TEST(test_forward_ttl),	   TEST(test_forward_rebind),
		TEST(test_cache_bounds),   TEST(test_cache_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
