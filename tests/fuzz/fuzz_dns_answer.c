/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an upstream's answer, by way of the cache and out again in
 * each size a client may ask for.
 */
#include <stdint.h>
#include <stdlib.h>

#include "cache.h"
#include "netd/util.h"

#define SIZE_MAX_TRIED 1500

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

/* The same answer behind an alias of ours. */
static void alias_check(const uint8_t *data, size_t len,
			const struct dns_query *q)
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
	reply_check(data, len, &alias, DNS_UDP_MIN);
	reply_check(data, len, &alias, DNS_UDP_MAX);
	reply_check(data, len, &alias, DNS_TCP_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cache_limits limits = {
		16, 1 << 16, 0, 300, 30, 60
	};
	static const struct want_server server;
	static struct cache_hit kept;
	static struct cache *cache;
	struct cache_key key;
	struct dns_answer answer;
	/* Large, and written whole where it is read. */
	static struct dns_query q;
	static char text[1024];
	static uint8_t room[SIZE_MAX_TRIED];
	uint8_t *copy, asked[DNS_QUERY_MAX];
	size_t len = size, n;
	struct rbuf r;

	if (!cache)
		cache = cache_new(&limits);
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
		dns_answer_age(copy, len, 0, limits.ttl_max);
		reply_check(copy, len, &q, DNS_UDP_MIN);
		reply_check(copy, len, &q, DNS_UDP_MAX);
		reply_check(copy, len, &q, DNS_TCP_MAX);
		alias_check(copy, len, &q);
		dns_answer_is_private(copy, len);
		dns_answer_text(copy, len, text, sizeof(text));
		if (dns_answer_scrub(copy, &len, &answer) == 0) {
			dns_answer_clamp(copy, len, 1, limits.ttl_max);
			reply_check(copy, len, &q, DNS_TCP_MAX);
		}
		key = (struct cache_key){ 1, &q.name, q.type };
		cache_put(cache, &key, &answer, &server, copy, len, 0);
		if (cache_get(cache, &key, true, 5000, &kept))
			reply_check(kept.data, kept.len, &q, DNS_TCP_MAX);
	}
	return 0;
}
