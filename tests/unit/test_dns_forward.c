/* SPDX-License-Identifier: Apache-2.0 */
/* Cache and forwarding, with an upstream and a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forward.h"
#include "netd/util.h"

struct fixture {
	struct cache *cache;
	struct forward *forward;
	struct dns_stats stats;
	/* The last question that was sent, and how many. */
	uint8_t sent[DNS_QUERY_MAX];
	size_t sent_len;
	uint64_t token;
	unsigned sends;
	int send_err;
	/* The last answer, and how many. */
	uint8_t answer[DNS_UDP_MAX];
	size_t answer_len;
	uint64_t answered;
	unsigned answers;
	int64_t wake;
};

static int on_send(void *ctx, const uint8_t *query, size_t len, uint64_t token)
{
	struct fixture *f = ctx;

	memcpy(f->sent, query, len);
	f->sent_len = len;
	f->token = token;
	f->sends++;
	return f->send_err;
}

static void on_reply(void *ctx, const struct forward_to *to,
		     const uint8_t *data, size_t len)
{
	struct fixture *f = ctx;

	assert_true(len <= sizeof(f->answer));
	memcpy(f->answer, data, len);
	f->answer_len = len;
	f->answered = to->id;
	f->answers++;
}

static void on_wake(void *ctx, int64_t at)
{
	((struct fixture *)ctx)->wake = at;
}

static int setup(void **state)
{
	static const struct forward_ops ops = { on_send, on_reply, on_wake };
	struct fixture *f = xzalloc(sizeof(*f));

	f->cache = cache_new(4, 4096);
	f->forward = forward_new(&ops, f, f->cache, &f->stats);
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
static size_t ask(struct fixture *f, const char *text, const char *client,
		  uint64_t id, int64_t now)
{
	struct forward_to to = { .id = id };
	struct dns_query q;
	struct ip_addr src;
	size_t len;

	assert_int_equal(ip_parse(client, &src), 0);
	query_make(text, ns_t_a, &q);
	len = forward_query(f->forward, &q, &src, &to, now, f->answer);
	f->answer_len = len;
	return len;
}

/* One address with this TTL, as an upstream would say it. */
static size_t answer_make(const char *text, uint32_t ttl, uint8_t *buf)
{
	struct dns_reply reply;
	struct dns_query q;

	query_make(text, ns_t_a, &q);
	dns_reply_begin(&reply, &q, buf, DNS_UDP_MAX);
	dns_reply_rr(&reply, DNS_ANSWER, DNS_OWNER(0), ns_t_a, ttl,
		     "\x0a\0\0\1", 4);
	return dns_reply_end(&reply);
}

static void done(struct fixture *f, const char *text, uint32_t ttl, int64_t now)
{
	uint8_t buf[DNS_UDP_MAX];
	size_t len = answer_make(text, ttl, buf);

	forward_done(f->forward, f->token, buf, len, now);
}

static void test_forward_query(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, "Example.com", "10.0.0.5", 1, 0), 0);
	assert_int_equal(f->sends, 1);
	assert_int_equal(f->wake, FORWARD_TIME_MS);
	/* A bare OPT is the last thing. */
	assert_memory_equal(f->sent + f->sent_len - 11,
			    "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
	done(f, "example.com", 60, 20);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->answered, 1);
	/* Under the client's id. */
	assert_memory_equal(f->answer, "\0\x4d", 2);
	assert_int_equal(f->answer[7], 1);
	assert_int_equal(f->wake, -1);
	/* From the cache, older. */
	assert_true(ask(f, "example.COM", "10.0.0.6", 2, 10020) > 0);
	assert_int_equal(f->sends, 1);
	assert_int_equal(f->answer[12 + 13 + 4 + 9], 50);
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
	done(f, "example.com", 0, 5);
	assert_int_equal(f->answers, 10);
	assert_int_equal(forward_waiting(f->forward), 0);
	/* TTL 0 is not kept. */
	assert_int_equal(cache_entries(f->cache), 0);
}

static void test_forward_limits(void **state)
{
	struct fixture *f = *state;
	char client[32], name[32];
	unsigned total = 0;

	for (unsigned i = 0; i < FORWARD_CLIENT_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.com", i);
		assert_int_equal(ask(f, name, "10.0.0.5", i, 0), 0);
		total++;
	}
	assert_true(ask(f, "more.com", "10.0.0.5", 99, 0) > 0);
	assert_int_equal(f->answer[3] & 15, ns_r_refused);
	/* Others may still ask, until all is used up. */
	for (unsigned i = 0; total < FORWARD_MAX; i++, total++) {
		snprintf(client, sizeof(client), "10.0.1.%u", i / 32 + 1);
		snprintf(name, sizeof(name), "m%u.com", i);
		assert_int_equal(ask(f, name, client, i, 0), 0);
	}
	assert_true(ask(f, "more.com", "10.0.2.1", 99, 0) > 0);
	assert_int_equal(f->stats.limited, 2);
	assert_int_equal(forward_waiting(f->forward), FORWARD_MAX);
	/* All are told when the time is up, and then there is room. */
	forward_expire(f->forward, FORWARD_TIME_MS - 1);
	assert_int_equal(f->answers, 0);
	forward_expire(f->forward, FORWARD_TIME_MS);
	assert_int_equal(f->answers, FORWARD_MAX);
	assert_int_equal(f->answer[3] & 15, ns_r_servfail);
	assert_int_equal(ask(f, "more.com", "10.0.0.5", 1, 5000), 0);
}

static void test_forward_failures(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[DNS_UDP_MAX];
	size_t len;

	/* No upstreams. */
	f->send_err = -ENETUNREACH;
	assert_int_equal(ask(f, "a.com", "10.0.0.5", 1, 0), 0);
	assert_int_equal(f->answer[3] & 15, ns_r_servfail);
	f->send_err = 0;
	/* No answer, an answer to something else, a late one. */
	assert_int_equal(ask(f, "b.com", "10.0.0.5", 1, 0), 0);
	forward_done(f->forward, f->token, NULL, 0, 10);
	assert_int_equal(f->answer[3] & 15, ns_r_servfail);
	assert_int_equal(ask(f, "c.com", "10.0.0.5", 1, 0), 0);
	len = answer_make("d.com", 60, buf);
	forward_done(f->forward, f->token, buf, len, 10);
	assert_int_equal(f->answer[3] & 15, ns_r_servfail);
	assert_int_equal(f->answers, 3);
	forward_done(f->forward, f->token, buf, len, 20);
	assert_int_equal(f->answers, 3);
	assert_int_equal(cache_entries(f->cache), 0);
	assert_int_equal(f->stats.failed, 3);
}

static void keep(struct fixture *f, const char *text, uint32_t ttl, int64_t now)
{
	uint8_t buf[DNS_UDP_MAX];
	size_t len = answer_make(text, ttl, buf);
	struct dns_answer a;
	struct dns_name name;

	assert_int_equal(dns_name_parse(text, &name), 0);
	assert_int_equal(dns_answer_check(buf, &len, &name, ns_t_a, &a), 0);
	cache_put(f->cache, &name, ns_t_a, &a, buf, len, now);
}

static bool has(struct fixture *f, const char *text, int64_t now)
{
	uint8_t buf[CACHE_ANSWER_MAX];
	struct dns_name name;

	assert_int_equal(dns_name_parse(text, &name), 0);
	return cache_get(f->cache, &name, ns_t_a, now, buf) > 0;
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
	/* No longer than CACHE_TTL_MAX. */
	keep(f, "a.com", 1000000, 0);
	assert_true(has(f, "a.com", CACHE_TTL_MAX * 1000 - 1));
	assert_false(has(f, "a.com", CACHE_TTL_MAX * 1000));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_forward_query),  TEST(test_forward_coalesces),
		TEST(test_forward_limits), TEST(test_forward_failures),
		TEST(test_cache_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
