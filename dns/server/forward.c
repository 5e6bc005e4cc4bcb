/* SPDX-License-Identifier: Apache-2.0 */
#include "forward.h"

#include <sys/random.h>
#include <uthash.h>
#include <utlist.h>

#include "netd/util.h"

struct question;

struct waiter {
	struct dns_query query;
	struct ip_addr client;
	struct forward_to to;
	struct question *question;
	/* Of all, and of its question. */
	struct waiter *prev, *next;
	struct waiter *also;
};

struct question {
	uint64_t token;
	int64_t deadline;
	struct dns_name name;
	uint16_t type;
	struct waiter *waiters;
	/* In order of their deadlines, since all have the same time. */
	struct question *prev, *next;
	UT_hash_handle hh;
};

struct forward {
	struct forward_ops ops;
	void *ctx;
	struct cache *cache;
	struct dns_stats *stats;
	struct question *by_token;
	struct question *oldest;
	struct waiter *waiters;
	size_t waiters_len;
	uint64_t last_token;
	uint8_t out[DNS_TCP_MAX];
};

struct forward *forward_new(const struct forward_ops *ops, void *ctx,
			    struct cache *cache, struct dns_stats *stats)
{
	struct forward *f = xzalloc(sizeof(*f));

	f->ops = *ops;
	f->ctx = ctx;
	f->cache = cache;
	f->stats = stats;
	return f;
}

static void question_drop(struct forward *f, struct question *q)
{
	struct waiter *w;

	while ((w = q->waiters)) {
		q->waiters = w->also;
		DL_DELETE(f->waiters, w);
		f->waiters_len--;
		free(w);
	}
	HASH_DEL(f->by_token, q);
	DL_DELETE(f->oldest, q);
	free(q);
}

void forward_free(struct forward *f)
{
	if (!f)
		return;
	while (f->oldest)
		question_drop(f, f->oldest);
	free(f);
}

size_t forward_waiting(const struct forward *f)
{
	return f->waiters_len;
}

/* Up to FORWARD_MAX: short of a hash, and nothing to keep in step. */
static size_t client_waiting(const struct forward *f,
			     const struct ip_addr *client)
{
	const struct waiter *w;
	size_t n = 0;

	DL_FOREACH (f->waiters, w)
		n += ip_eq(&w->client, client);
	return n;
}

static struct question *find_same(const struct forward *f,
				  const struct dns_query *query)
{
	struct question *q;

	DL_FOREACH (f->oldest, q)
		if (q->type == query->type &&
		    dns_name_eq(&q->name, dns_query_target(query)))
			return q;
	return NULL;
}

static void wake(struct forward *f)
{
	f->ops.wake(f->ctx, f->oldest ? f->oldest->deadline : -1);
}

static void wait_for(struct forward *f, struct question *question,
		     const struct dns_query *query,
		     const struct ip_addr *client, const struct forward_to *to)
{
	struct waiter *w = xzalloc(sizeof(*w));

	w->query = *query;
	w->client = *client;
	w->to = *to;
	w->question = question;
	w->also = question->waiters;
	question->waiters = w;
	DL_APPEND(f->waiters, w);
	f->waiters_len++;
}

static uint16_t random_id(void)
{
	uint16_t id = 0;

	/* Never blocks: the pool was ready long before the first query. */
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		abort();
	return id;
}

static struct question *ask(struct forward *f, const struct dns_query *query,
			    int64_t now)
{
	struct question *q = xzalloc(sizeof(*q));

	q->token = ++f->last_token;
	q->deadline = now + FORWARD_TIME_MS;
	q->name = *dns_query_target(query);
	q->type = query->type;
	HASH_ADD(hh, f->by_token, token, sizeof(q->token), q);
	DL_APPEND(f->oldest, q);
	return q;
}

size_t forward_query(struct forward *f, const struct dns_query *query,
		     const struct ip_addr *client, const struct forward_to *to,
		     int64_t now, uint8_t *out)
{
	uint8_t bytes[MAX(CACHE_ANSWER_MAX, DNS_QUERY_MAX)];
	size_t limit = to->tcp ? DNS_TCP_MAX : query->udp_size, len;
	struct question *q;
	uint64_t token;

	len = cache_get(f->cache, dns_query_target(query), query->type, now,
			bytes);
	if (len) {
		f->stats->cached++;
		return dns_answer_reply(bytes, len, query, out, limit);
	}
	if (f->waiters_len >= FORWARD_MAX ||
	    client_waiting(f, client) >= FORWARD_CLIENT_MAX) {
		f->stats->limited++;
		return dns_reply_error(query, ns_r_refused, out, limit);
	}
	f->stats->forwarded++;
	q = find_same(f, query);
	if (q) {
		wait_for(f, q, query, client, to);
		return 0;
	}
	q = ask(f, query, now);
	wait_for(f, q, query, client, to);
	wake(f);
	/* The sender may answer before it returns: q is not touched again. */
	token = q->token;
	len = dns_query_write(dns_query_target(query), query->type, random_id(),
			      bytes);
	if (f->ops.send(f->ctx, bytes, len, token))
		forward_done(f, token, NULL, 0, now);
	return 0;
}

static void answer_all(struct forward *f, struct question *q,
		       const uint8_t *data, size_t len)
{
	for (struct waiter *w = q->waiters; w; w = w->also) {
		size_t limit = w->to.tcp ? DNS_TCP_MAX : w->query.udp_size;
		size_t n;

		if (data) {
			n = dns_answer_reply(data, len, &w->query, f->out,
					     limit);
		} else {
			f->stats->failed++;
			n = dns_reply_error(&w->query, ns_r_servfail, f->out,
					    limit);
		}
		f->ops.reply(f->ctx, &w->to, f->out, n);
	}
	question_drop(f, q);
}

void forward_done(struct forward *f, uint64_t token, uint8_t *data, size_t len,
		  int64_t now)
{
	struct dns_answer answer;
	struct question *q;

	HASH_FIND(hh, f->by_token, &token, sizeof(token), q);
	if (!q)
		return;
	if (data && dns_answer_check(data, &len, &q->name, q->type, &answer))
		data = NULL;
	if (data) {
		dns_answer_age(data, len, 0, CACHE_TTL_MAX);
		cache_put(f->cache, &q->name, q->type, &answer, data, len, now);
	}
	answer_all(f, q, data, len);
	wake(f);
}

void forward_expire(struct forward *f, int64_t now)
{
	while (f->oldest && f->oldest->deadline <= now)
		answer_all(f, f->oldest, NULL, 0);
	wake(f);
}
