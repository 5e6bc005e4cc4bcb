/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an upstream's answer, by way of the cache and out again in
 * each size a client may ask for.
 */
#include <stdint.h>
#include <stdlib.h>

#include "cache.h"
#include "netd/util.h"

static void reply_check(const uint8_t *data, size_t len,
			const struct dns_query *q, size_t limit)
{
	static uint8_t out[DNS_TCP_MAX];
	struct dns_answer answer;
	size_t n;

	memset(out, 0xee, sizeof(out));
	n = dns_answer_reply(data, len, q, out, limit);
	if (n > limit || n < DNS_HEADER_LEN)
		abort();
	if (dns_answer_check(out, &n, &q->name, q->type, &answer))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t kept[CACHE_ANSWER_MAX];
	static struct cache *cache;
	struct dns_answer answer;
	struct dns_query q = { .type = ns_t_a, .class = ns_c_in };
	uint8_t *copy, asked[DNS_QUERY_MAX];
	size_t len = size, n;
	struct rbuf r;

	if (!cache)
		cache = cache_new(16, 1 << 16);
	if (size < DNS_HEADER_LEN || size > DNS_TCP_MAX - DNS_OPT_LEN)
		return 0;
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

	/* Of its exact size, so that a step too far is seen. */
	copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (dns_answer_check(copy, &len, &q.name, q.type, &answer) == 0) {
		dns_answer_age(copy, len, 0, CACHE_TTL_MAX);
		reply_check(copy, len, &q, DNS_UDP_MIN);
		reply_check(copy, len, &q, DNS_UDP_MAX);
		reply_check(copy, len, &q, DNS_TCP_MAX);
		cache_put(cache, &q.name, q.type, &answer, copy, len, 0);
		n = cache_get(cache, &q.name, q.type, 5000, kept);
		if (n)
			reply_check(kept, n, &q, DNS_TCP_MAX);
	}
	free(copy);
	return 0;
}
