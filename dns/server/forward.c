/* SPDX-License-Identifier: Apache-2.0 */
#include "forward.h"

#include <uthash.h>
#include <utlist.h>

#include "netd/util.h"

/* Who waits, and for how many answers. */
struct client {
	struct ip_addr addr;
	uint32_t waiting;
	UT_hash_handle hh;
};

struct waiter {
	struct dns_query query;
	struct client *client;
	struct forward_to to;
	struct waiter *next;
};

struct question_key {
	uint64_t group;
	uint16_t type;
	uint8_t name[DNS_NAME_MAX];
};

struct question {
	uint64_t token;
	int64_t asked;
	/* Its waiters got a stale answer, or there is none. */
	bool stale_tried;
	bool inside;
	struct dns_name name;
	uint16_t type;
	struct waiter *waiters;
	/* In order of time. */
	struct question *prev, *next;
	UT_hash_handle hh;
	UT_hash_handle hh_key;
	uint32_t key_len;
	struct question_key key;
};

struct forward {
	struct forward_ops ops;
	void *ctx;
	struct cache *cache;
	struct dns_stats *stats;
	struct dns_settings settings;
	struct dns_name allow[DNS_ALLOW_MAX];
	size_t allow_len;
	struct question *by_token;
	struct question *by_key;
	struct question *oldest;
	struct client *clients;
	size_t waiters_len;
	uint64_t last_token;
	struct cache_hit hit;
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

void forward_set(struct forward *f, const struct dns_settings *settings)
{
	f->settings = *settings;
	f->allow_len = 0;
	for (uint32_t i = 0; i < MIN(settings->allow_len, DNS_ALLOW_MAX); i++)
		if (!dns_name_parse(settings->allow[i],
				    &f->allow[f->allow_len]))
			f->allow_len++;
}

size_t forward_waiting(const struct forward *f)
{
	return f->waiters_len;
}

/* Waiters. */

static struct client *client_find(const struct forward *f,
				  const struct ip_addr *addr)
{
	struct client *client;

	HASH_FIND(hh, f->clients, addr, sizeof(*addr), client);
	return client;
}

static void waiter_add(struct forward *f, struct question *question,
		       const struct dns_query *query,
		       const struct ip_addr *addr, const struct forward_to *to)
{
	struct waiter *w = xzalloc(sizeof(*w));
	struct client *client = client_find(f, addr);

	if (!client) {
		client = xzalloc(sizeof(*client));
		client->addr = *addr;
		HASH_ADD(hh, f->clients, addr, sizeof(client->addr), client);
	}
	client->waiting++;
	w->query = *query;
	w->client = client;
	w->to = *to;
	LL_PREPEND(question->waiters, w);
	f->waiters_len++;
}

static void waiter_free(struct forward *f, struct waiter *w)
{
	struct client *client = w->client;

	if (--client->waiting == 0) {
		HASH_DEL(f->clients, client);
		free(client);
	}
	f->waiters_len--;
	free(w);
}

static bool is_full(const struct forward *f, const struct ip_addr *addr)
{
	const struct client *client = client_find(f, addr);

	return f->waiters_len >= f->settings.waiting_max ||
	       (client && client->waiting >= f->settings.client_max);
}

/* Questions. */

static void question_drop(struct forward *f, struct question *q)
{
	struct waiter *w;

	while ((w = q->waiters)) {
		LL_DELETE(q->waiters, w);
		waiter_free(f, w);
	}
	HASH_DEL(f->by_token, q);
	HASH_DELETE(hh_key, f->by_key, q);
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

static uint32_t key_make(struct question_key *key, uint64_t group,
			 const struct dns_name *name, uint16_t type)
{
	memset(key, 0, sizeof(*key));
	key->group = group;
	key->type = type;
	memcpy(key->name, name->b, name->len);
	return (uint32_t)(offsetof(struct question_key, name) + name->len);
}

static struct question *question_find(const struct forward *f, uint64_t group,
				      const struct dns_query *query)
{
	struct question_key key;
	const struct dns_name *name = dns_query_target(query);
	uint32_t len = key_make(&key, group, name, query->type);
	struct question *q;

	HASH_FIND(hh_key, f->by_key, &key, len, q);
	return q;
}

static struct question *question_new(struct forward *f,
				     const struct forward_group *group,
				     const struct dns_query *query, int64_t now)
{
	struct question *q = xzalloc(sizeof(*q));

	q->token = ++f->last_token;
	q->asked = now;
	q->inside = group->inside;
	q->name = *dns_query_target(query);
	q->type = query->type;
	q->key_len = key_make(&q->key, group->id, &q->name, q->type);
	HASH_ADD(hh, f->by_token, token, sizeof(q->token), q);
	HASH_ADD_KEYPTR(hh_key, f->by_key, &q->key, q->key_len, q);
	DL_APPEND(f->oldest, q);
	return q;
}

static struct cache_key cache_key_of(const struct question *q)
{
	return (struct cache_key){ q->key.group, &q->name, q->type };
}

/* Answers. */

static void answer_all(struct forward *f, struct question *q,
		       const uint8_t *data, size_t len,
		       const struct forward_note *note)
{
	struct waiter *w;

	while ((w = q->waiters)) {
		size_t limit = w->to.tcp ? DNS_TCP_MAX : w->query.udp_size;
		size_t n;

		LL_DELETE(q->waiters, w);
		if (data) {
			n = dns_answer_reply(data, len, &w->query, f->out,
					     limit);
		} else {
			f->stats->failed++;
			n = dns_reply_error(&w->query, ns_r_servfail, f->out,
					    limit);
		}
		f->ops.reply(f->ctx, &w->to, f->out, n, note);
		waiter_free(f, w);
	}
}

static bool answer_stale(struct forward *f, struct question *q, int64_t now)
{
	struct forward_note note = { .source = FORWARD_STALE };
	struct cache_key key = cache_key_of(q);

	if (!q->waiters || !cache_get(f->cache, &key, true, now, &f->hit))
		return false;
	note.server = f->hit.server;
	for (struct waiter *w = q->waiters; w; w = w->next)
		f->stats->stale++;
	answer_all(f, q, f->hit.data, f->hit.len, &note);
	return true;
}

/* No upstream did. */
static void answer_none(struct forward *f, struct question *q, int64_t now)
{
	struct forward_note note = { .source = FORWARD_NONE };

	if (!answer_stale(f, q, now))
		answer_all(f, q, NULL, 0, &note);
	question_drop(f, q);
}

/* There is nobody to ask. */
static size_t answer_at_once(struct forward *f, const struct cache_key *key,
			     const struct dns_query *query, size_t limit,
			     int64_t now, uint8_t *out,
			     struct forward_note *note)
{
	if (cache_get(f->cache, key, true, now, &f->hit)) {
		f->stats->stale++;
		note->source = FORWARD_STALE;
		note->server = f->hit.server;
		return dns_answer_reply(f->hit.data, f->hit.len, query, out,
					limit);
	}
	f->stats->failed++;
	note->source = FORWARD_NONE;
	return dns_reply_error(query, ns_r_servfail, out, limit);
}

size_t forward_query(struct forward *f, const struct forward_group *group,
		     const struct dns_query *query,
		     const struct ip_addr *client, const struct forward_to *to,
		     int64_t now, uint8_t *out, struct forward_note *note)
{
	struct cache_key key = { group->id, dns_query_target(query),
				 query->type };
	size_t limit = to->tcp ? DNS_TCP_MAX : query->udp_size;
	struct question *q;

	*note = (struct forward_note){ .source = FORWARD_CACHE };
	if (cache_get(f->cache, &key, false, now, &f->hit)) {
		f->stats->cached++;
		note->server = f->hit.server;
		return dns_answer_reply(f->hit.data, f->hit.len, query, out,
					limit);
	}
	if (is_full(f, client)) {
		f->stats->limited++;
		note->source = FORWARD_LIMIT;
		return dns_reply_error(query, ns_r_refused, out, limit);
	}
	f->stats->forwarded++;
	q = question_find(f, group->id, query);
	if (q) {
		f->stats->coalesced++;
		waiter_add(f, q, query, client, to);
		return 0;
	}
	q = question_new(f, group, query, now);
	if (f->ops.send(f->ctx, group, &q->name, q->type, q->token)) {
		question_drop(f, q);
		return answer_at_once(f, &key, query, limit, now, out, note);
	}
	waiter_add(f, q, query, client, to);
	f->ops.wake(f->ctx, now + FORWARD_STALE_MS);
	return 0;
}

static bool is_allowed(const struct forward *f, const struct question *q)
{
	unsigned first;

	if (!f->settings.rebind_filter || q->inside)
		return true;
	for (size_t i = 0; i < f->allow_len; i++)
		if (dns_name_below(&q->name, &f->allow[i], &first))
			return true;
	return false;
}

/* The name is there and has nothing to tell: no record, no SOA, not kept. */
static void rebind_cut(struct forward *f, struct upstream_answer *answer)
{
	f->stats->rebound++;
	answer->data[3] &= 0xf0;
	memset(answer->data + 6, 0, 6);
	answer->info = (struct dns_answer){ .negative = true };
}

/* RFC 2308 3: a client keeps it for no longer than its SOA's minimum. */
static uint32_t negative_ttl(const struct forward *f,
			     const struct dns_answer *info)
{
	return info->has_ttl ? MIN(info->ttl, f->settings.negative_ttl)
			     : f->settings.negative_ttl;
}

/* What of an answer is kept and passed on. False: it is none. */
static bool answer_prepare(struct forward *f, const struct question *q,
			   struct upstream_answer *answer)
{
	if (dns_answer_scrub(answer->data, &answer->len, &answer->info))
		return false;
	if (!is_allowed(f, q) &&
	    dns_answer_is_private(answer->data, answer->len)) {
		rebind_cut(f, answer);
		answer->len = DNS_HEADER_LEN + q->name.len + 4u;
		return true;
	}
	if (answer->info.negative)
		dns_answer_clamp(answer->data, answer->len, 0,
				 negative_ttl(f, &answer->info));
	else
		dns_answer_clamp(answer->data, answer->len, f->settings.ttl_min,
				 f->settings.ttl_max);
	return true;
}

void forward_done(struct forward *f, uint64_t token,
		  struct upstream_answer *answer, int64_t now)
{
	struct forward_note note = { .source = FORWARD_UPSTREAM };
	struct cache_key key;
	struct question *q;

	HASH_FIND(hh, f->by_token, &token, sizeof(token), q);
	if (!q)
		return;
	if (!answer->data || !answer_prepare(f, q, answer)) {
		answer_none(f, q, now);
		return;
	}
	key = cache_key_of(q);
	cache_put(f->cache, &key, &answer->info, &answer->server, answer->data,
		  answer->len, now);
	note.server = answer->server;
	answer_all(f, q, answer->data, answer->len, &note);
	question_drop(f, q);
}

void forward_expire(struct forward *f, int64_t now)
{
	struct question *q;

	while (f->oldest && f->oldest->asked + FORWARD_TIME_MS <= now) {
		f->ops.cancel(f->ctx, f->oldest->token);
		answer_none(f, f->oldest, now);
	}
	DL_FOREACH (f->oldest, q) {
		if (q->stale_tried)
			continue;
		if (q->asked + FORWARD_STALE_MS > now)
			break;
		q->stale_tried = true;
		answer_stale(f, q, now);
	}
	if (f->oldest)
		f->ops.wake(f->ctx,
			    MIN(f->oldest->asked + FORWARD_TIME_MS,
				q ? q->asked + FORWARD_STALE_MS : INT64_MAX));
}
