/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an upstream's answer, by way of the cache and out again in
 * each size a client may ask for. What is done with an answer that was
 * checked is chosen by its id, which the check does not look at: one way a
 * run is four times as many runs.
 */
#include <stdint.h>
#include <stdlib.h>

#include "cache.h"
#include "netd/util.h"

#define SIZE_MAX_TRIED 1500
#define TTL_MAX 300

static void reply_check(const uint8_t *data, size_t len,
			const struct dns_query *q, size_t limit)
{
	static uint8_t out[DNS_TCP_MAX];
	struct dns_answer answer;
	size_t n;

	n = dns_answer_reply(data, len, q, out, limit);
	if (n > limit || n < DNS_HEADER_LEN)
		abort();
	if (dns_answer_check(out, &n, &q->name, q->type, &answer))
		abort();
}

static const size_t limits[] = { DNS_UDP_MIN, DNS_UDP_MAX, DNS_TCP_MAX };

/* The same answer behind an alias of ours. */
static void alias_check(const uint8_t *data, size_t len,
			const struct dns_query *q, size_t limit)
{
	static struct dns_query alias;
	uint8_t asked[DNS_QUERY_MAX], buf[DNS_UDP_MAX];
	struct dns_reply reply;
	struct dns_name name;
	uint16_t at;

	dns_name_parse("alias.default", &name);
	if (dns_query_read(asked, dns_query_write(&name, q->type, 1, asked),
			   &alias) != ns_r_noerror)
		abort();
	dns_reply_begin(&reply, &alias, buf, sizeof(buf));
	at = (uint16_t)(dns_reply_at(&reply) + 12);
	dns_reply_rr(&reply, DNS_ANSWER, DNS_OWNER(0), ns_t_cname, 5, q->name.b,
		     q->name.len);
	alias.chain.target = q->name;
	dns_reply_chain(&reply, at, &alias);
	reply_check(data, len, &alias, limit);
}

static void keep_check(uint8_t *data, size_t len, const struct dns_query *q,
		       const struct dns_answer *answer)
{
	static const struct cache_limits cache_limits = {
		16, 1 << 16, 0, TTL_MAX, 30, 60
	};
	static const struct want_server server;
	static struct cache_hit kept;
	static struct cache *cache;
	struct cache_key key = { 1, &q->name, q->type };

	if (!cache)
		cache = cache_new(&cache_limits);
	if (dns_answer_scrub(data, &len, answer) == 0) {
		dns_answer_clamp(data, len, 1, TTL_MAX);
		reply_check(data, len, q, DNS_TCP_MAX);
	}
	cache_put(cache, &key, answer, &server, data, len, 0);
	if (cache_get(cache, &key, true, 5000, &kept))
		reply_check(kept.data, kept.len, q, DNS_TCP_MAX);
}

static void text_check(const uint8_t *data, size_t len)
{
	static char text[1024];

	dns_answer_is_private(data, len);
	dns_answer_text(data, len, text, sizeof(text));
}

static void way(unsigned n, uint8_t *data, size_t len,
		const struct dns_query *q, const struct dns_answer *answer)
{
	if (n < ARRAY_LEN(limits))
		reply_check(data, len, q, limits[n]);
	else if (n < 2 * ARRAY_LEN(limits))
		alias_check(data, len, q, limits[n - ARRAY_LEN(limits)]);
	else if (n == 2 * ARRAY_LEN(limits))
		keep_check(data, len, q, answer);
	else
		text_check(data, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_answer answer;
	/* Large, and written whole where it is read. */
	static struct dns_query q;
	static uint8_t room[SIZE_MAX_TRIED];
	uint8_t *copy, asked[DNS_QUERY_MAX];
	size_t len = size, n;
	struct rbuf r;

	/* What is longer brings nothing new but its length. */
	if (size < DNS_HEADER_LEN || size > SIZE_MAX_TRIED)
		return -1;
	q.type = ns_t_a;
	/* The question is the answer's own, so that more than it is read. */
	r = rbuf_make(data, size);
	r.pos = DNS_HEADER_LEN;
	if (dns_name_read(&r, &q.name))
		dns_name_parse("redis.default", &q.name);
	else
		q.type = rbuf_u16(&r);
	n = dns_query_write(&q.name, q.type, 1, asked);
	if (dns_query_read(asked, n, &q) != ns_r_noerror)
		abort();

	/* At the end of its room, so that a step too far is seen. */
	copy = room + sizeof(room) - size;
	memcpy(copy, data, size);
	if (dns_answer_check(copy, &len, &q.name, q.type, &answer) == 0) {
		dns_answer_age(copy, len, 0, TTL_MAX);
		way(data[0] % 8, copy, len, &q, &answer);
	}
	return 0;
}
