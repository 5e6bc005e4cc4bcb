/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream.h"

#include <ev.h>
#include <sys/random.h>
#include <uthash.h>
#include <utlist.h>

#include "ask.h"
#include "netd/log.h"
#include "netd/util.h"
#include "target.h"

/* Two servers twice, or four once. */
#define ATTEMPTS_MAX 4
/* A new server is checked when its neighbours are known too. */
#define CHECK_FIRST_S .2
#define CHECK_S .5
/* Checks of one that is down get rarer, up to this. */
#define CHECK_MAX_S 5.
#define CHECK_LOOP_S 30.

struct node {
	struct target t;
	struct upstream *up;
	/* Its probe's number. */
	unsigned slot;
	ev_timer timer;
	double wait;
	struct ask *check;
	unsigned check_packets;
	/* The probe came round. */
	bool looped;
	bool stale;
	/* Wanted no more; goes with the last question that asked it. */
	bool gone;
	unsigned queries;
};

struct attempt {
	struct query *query;
	struct node *node;
	/* NULL: ended. */
	struct ask *ask;
	int64_t started_us;
	/* Ended without an answer that can be used. */
	bool bad;
	bool keep_case;
};

struct query {
	uint64_t token;
	struct upstream *up;
	struct dns_name name;
	uint16_t type;
	uint8_t bytes[DNS_QUERY_MAX];
	size_t bytes_len;
	struct node *order[UPSTREAM_SERVERS_MAX];
	size_t order_len;
	struct attempt attempts[ATTEMPTS_MAX];
	size_t attempts_len;
	unsigned packets;
	/* All were down when it began. */
	bool last_chance;
	ev_timer hedge;
	UT_hash_handle hh;
};

struct upstream {
	struct ev_loop *loop;
	struct asks *asks;
	struct query_probes *probes;
	struct dns_stats *stats;
	upstream_fn *done;
	void *ctx;
	struct node *nodes[PROBES_MAX];
	struct query *queries;
};

static void node_say(const struct node *node, const char *what)
{
	char text[IP_STRLEN];

	log_warn("dns: upstream %s addr=%s port=%u", what,
		 ip_str(&node->t.server.addr, text), node->t.server.port);
}

/* Checks. */

static void timer_in(struct ev_loop *loop, ev_timer *timer, double after)
{
	ev_timer_stop(loop, timer);
	ev_timer_set(timer, after, 0.);
	ev_timer_start(loop, timer);
}

static void check_end(struct node *node)
{
	ask_cancel(take_ptr(node->check));
	memset(node->up->probes->label[node->slot], 0, PROBE_LEN + 1);
}

static void check_failed(struct node *node)
{
	if (target_check_failed(&node->t))
		node_say(node, "is down");
	if (node->t.down)
		node->wait = MIN(node->wait * 1.5, CHECK_MAX_S);
}

static void node_alive(struct node *node)
{
	if (target_alive(&node->t))
		node_say(node, "is back");
}

static void on_check(void *ctx, const struct ask_answer *answer)
{
	struct node *node = ctx;

	node->check = NULL;
	node->up->stats->packets += node->check_packets;
	check_end(node);
	/* The timer, which runs, sees to the rest. */
	if (node->looped)
		return;
	if (answer->result != ASK_ANSWER) {
		check_failed(node);
		return;
	}
	if (node->t.loops)
		node_say(node, "leads back here no more");
	node->t.loops = false;
	node_alive(node);
	ev_timer_stop(node->up->loop, &node->timer);
}

static void probe_make(char *label)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[PROBE_LEN];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		abort();
	for (size_t i = 0; i < PROBE_LEN; i++)
		label[i] = digits[bytes[i] & 15];
	label[PROBE_LEN] = '\0';
}

static void check_send(struct node *node)
{
	struct upstream *u = node->up;
	char *label = u->probes->label[node->slot];
	struct ask_how how = { &node->check_packets, UPSTREAM_PACKETS_MAX,
			       !target_keeps_case(&node->t, mono_ms()) };
	uint8_t bytes[DNS_QUERY_MAX];
	struct dns_name name;
	char text[64];
	size_t len;

	probe_make(label);
	if (str_format(text, sizeof(text), "%s.%s", label, PROBE_ZONE) ||
	    dns_name_parse(text, &name))
		return;
	len = dns_query_write(&name, ns_t_a, 0, bytes);
	node->looped = false;
	node->check_packets = 0;
	node->check = ask_send(u->asks, &node->t.server, bytes, len, &how,
			       on_check, node);
}

static void node_fail_attempts(struct node *node);

static void on_node_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct node *node = w->data;
	double wait;

	(void)revents;
	if (node->looped) {
		if (!node->t.loops)
			node_say(node, "leads back here and is left out");
		node->t.loops = true;
		node_alive(node);
		node->looped = false;
		check_end(node);
		timer_in(loop, &node->timer, CHECK_LOOP_S);
		node_fail_attempts(node);
		return;
	}
	if (node->check) {
		check_end(node);
		check_failed(node);
	}
	wait = node->wait;
	check_send(node);
	timer_in(loop, &node->timer, wait);
}

static void check_start(struct node *node, double after)
{
	if (ev_is_active(&node->timer) || node->gone)
		return;
	node->wait = CHECK_S;
	timer_in(node->up->loop, &node->timer, after);
}

void upstream_loop(struct upstream *u, unsigned n)
{
	struct node *node = n < PROBES_MAX ? u->nodes[n] : NULL;

	/* Not here: who asks us is in the middle of his own question. */
	if (!node)
		return;
	node->looped = true;
	timer_in(u->loop, &node->timer, 0.);
}

/* A question's end. */

static void query_free(struct query *q)
{
	for (size_t i = 0; i < q->attempts_len; i++)
		ask_cancel(q->attempts[i].ask);
	for (size_t i = 0; i < q->order_len; i++)
		if (--q->order[i]->queries == 0 && q->order[i]->gone)
			free(q->order[i]);
	q->up->stats->packets += q->packets;
	ev_timer_stop(q->up->loop, &q->hedge);
	HASH_DEL(q->up->queries, q);
	free(q);
}

static void query_end(struct query *q, struct upstream_answer *answer)
{
	struct upstream_answer none = { 0 };
	struct upstream *u = q->up;
	uint64_t token = q->token;

	if (!answer)
		u->stats->unanswered++;
	query_free(q);
	u->done(u->ctx, token, answer ? answer : &none);
}

void upstream_cancel(struct upstream *u, uint64_t token)
{
	struct query *q;

	HASH_FIND(hh, u->queries, &token, sizeof(token), q);
	if (!q)
		return;
	u->stats->unanswered++;
	for (size_t i = 0; i < q->attempts_len; i++)
		q->attempts[i].node->t.failed += q->attempts[i].ask != NULL;
	query_free(q);
}

/* Its attempts. */

static void on_attempt(void *ctx, const struct ask_answer *answer);

static bool attempt_start(struct query *q, struct node *node, bool keep_case)
{
	struct attempt *a = &q->attempts[q->attempts_len];
	struct ask_how how = { &q->packets, UPSTREAM_PACKETS_MAX, keep_case };

	*a = (struct attempt){
		.query = q,
		.node = node,
		.started_us = mono_us(),
		.keep_case = keep_case,
		.bad = true,
	};
	q->attempts_len++;
	node->t.asked++;
	a->ask = ask_send(q->up->asks, &node->t.server, q->bytes, q->bytes_len,
			  &how, on_attempt, a);
	a->bad = !a->ask;
	return a->ask != NULL;
}

static bool attempt_next(struct query *q, struct node *node)
{
	return attempt_start(q, node, !target_keeps_case(&node->t, mono_ms()));
}

static bool has_failed(const struct query *q, const struct node *node)
{
	for (size_t i = 0; i < q->attempts_len; i++)
		if (q->attempts[i].node == node && q->attempts[i].bad)
			return true;
	return false;
}

static bool has_open(const struct query *q)
{
	for (size_t i = 0; i < q->attempts_len; i++)
		if (q->attempts[i].ask)
			return true;
	return false;
}

/* Each once, then those again that were silent: the packet may be lost. */
static struct node *node_next(const struct query *q)
{
	for (size_t i = 0; i < q->order_len; i++) {
		struct node *node =
			q->order[(q->attempts_len + i) % q->order_len];

		if (!node->t.loops && !has_failed(q, node))
			return node;
	}
	return NULL;
}

/* Asks the next server; ends the question when there is nobody left. */
static void query_go_on(struct query *q)
{
	struct node *node;
	bool first;

	while (q->attempts_len < ATTEMPTS_MAX &&
	       q->packets < UPSTREAM_PACKETS_MAX && (node = node_next(q))) {
		first = q->attempts_len < q->order_len;
		if (!attempt_next(q, node))
			continue;
		timer_in(q->up->loop, &q->hedge,
			 UPSTREAM_HEDGE_MS / 1000. *
				 (first ? 1. : (double)q->attempts_len));
		return;
	}
	if (!has_open(q))
		query_end(q, NULL);
}

static void on_hedge(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct query *q = w->data;

	(void)loop;
	(void)revents;
	for (size_t i = 0; i < q->attempts_len; i++)
		if (q->attempts[i].ask)
			check_start(q->attempts[i].node, 0.);
	if (q->last_chance)
		query_end(q, NULL);
	else
		query_go_on(q);
}

static void attempt_answered(struct attempt *a, const struct ask_answer *from,
			     struct upstream_answer *answer)
{
	struct query *q = a->query;
	int64_t now = mono_ms();

	if (target_answered(&a->node->t, (uint32_t)(mono_us() - a->started_us)))
		node_say(a->node, "is back");
	if (from->case_lost && !a->keep_case)
		a->node->t.keep_case_until = now + TARGET_CASE_MS;
	for (size_t i = 0; i < q->attempts_len; i++) {
		struct attempt *other = &q->attempts[i];

		if (other->node != a->node && (other->ask || other->bad))
			target_worse(&other->node->t, now);
	}
	answer->server = a->node->t.server;
	query_end(q, answer);
}

static void attempt_failed(struct attempt *a, const struct ask_answer *answer)
{
	struct query *q = a->query;
	bool lost = answer->case_lost && !a->keep_case;

	a->bad = true;
	a->node->t.failed++;
	if (answer->result == ASK_ANSWER)
		node_alive(a->node);
	else
		check_start(a->node, 0.);
	if (lost) {
		a->node->t.keep_case_until = mono_ms() + TARGET_CASE_MS;
		if (q->attempts_len < ATTEMPTS_MAX &&
		    attempt_start(q, a->node, true))
			return;
	}
	query_go_on(q);
}

static void on_attempt(void *ctx, const struct ask_answer *from)
{
	struct attempt *a = ctx;
	struct query *q = a->query;
	struct upstream_answer answer = { .data = from->data,
					  .len = from->len };

	a->ask = NULL;
	if (from->result == ASK_ANSWER &&
	    !dns_answer_check(answer.data, &answer.len, &q->name, q->type,
			      &answer.info))
		attempt_answered(a, from, &answer);
	else
		attempt_failed(a, from);
}

/* Questions that wait for a server that is not to be asked any more. */
static void node_fail_attempts(struct node *node)
{
	struct query *q, *tmp;

	HASH_ITER (hh, node->up->queries, q, tmp) {
		bool hit = false;

		for (size_t i = 0; i < q->attempts_len; i++) {
			struct attempt *a = &q->attempts[i];

			if (a->node != node)
				continue;
			hit |= a->ask != NULL;
			a->bad = true;
			ask_cancel(take_ptr(a->ask));
		}
		if (hit)
			query_go_on(q);
	}
}

static struct node *node_find(const struct upstream *u,
			      const struct want_server *server)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (u->nodes[i] &&
		    ip_eq(&u->nodes[i]->t.server.addr, &server->addr) &&
		    u->nodes[i]->t.server.port == server->port)
			return u->nodes[i];
	return NULL;
}

static size_t nodes_choose(const struct upstream *u,
			   const struct want_server *servers, size_t n,
			   struct node **ret)
{
	struct target *all[UPSTREAM_SERVERS_MAX], *order[UPSTREAM_SERVERS_MAX];
	size_t len = 0;

	for (size_t i = 0; i < MIN(n, UPSTREAM_SERVERS_MAX); i++) {
		struct node *node = node_find(u, &servers[i]);

		if (node)
			all[len++] = &node->t;
	}
	len = target_order(all, len, mono_ms(), order);
	for (size_t i = 0; i < len; i++) {
		ret[i] = container_of(order[i], struct node, t);
		ret[i]->queries++;
	}
	return len;
}

int upstream_send(struct upstream *u, const struct want_server *servers,
		  size_t n, const struct dns_name *name, uint16_t type,
		  uint64_t token)
{
	struct query *q = xzalloc(sizeof(*q));
	bool begun;

	q->order_len = nodes_choose(u, servers, n, q->order);
	if (!q->order_len) {
		free(q);
		return -EHOSTDOWN;
	}
	q->up = u;
	q->token = token;
	q->name = *name;
	q->type = type;
	q->bytes_len = dns_query_write(name, type, 0, q->bytes);
	ev_init(&q->hedge, on_hedge);
	q->hedge.data = q;
	HASH_ADD(hh, u->queries, token, sizeof(token), q);
	q->last_chance = q->order[0]->t.down;
	begun = attempt_next(q, q->order[0]);
	if (q->last_chance)
		for (size_t i = 1; i < MIN(q->order_len, ATTEMPTS_MAX); i++)
			begun |= attempt_next(q, q->order[i]);
	/* Should there be no socket, the timer goes on to the next. */
	timer_in(u->loop, &q->hedge, begun ? UPSTREAM_HEDGE_MS / 1000. : 0.);
	return 0;
}

/* Servers. */

/* Questions that it was asked may still be answered. */
static void node_drop(struct node *node)
{
	struct upstream *u = node->up;

	u->nodes[node->slot] = NULL;
	check_end(node);
	ev_timer_stop(u->loop, &node->timer);
	node->gone = true;
	if (!node->queries)
		free(node);
}

static void node_new(struct upstream *u, const struct want_server *server)
{
	unsigned slot = 0;
	struct node *node;

	while (slot < PROBES_MAX && u->nodes[slot])
		slot++;
	if (slot == PROBES_MAX) {
		log_warn_limited("dns: more than %d upstreams, some not used",
				 PROBES_MAX);
		return;
	}
	node = xzalloc(sizeof(*node));
	node->t.server = *server;
	node->up = u;
	node->slot = slot;
	ev_init(&node->timer, on_node_timer);
	node->timer.data = node;
	u->nodes[slot] = node;
	check_start(node, CHECK_FIRST_S);
}

void upstream_set(struct upstream *u, const struct want_server *servers,
		  size_t n)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (u->nodes[i])
			u->nodes[i]->stale = true;
	for (size_t i = 0; i < n; i++) {
		struct node *node = node_find(u, &servers[i]);

		if (node)
			node->stale = false;
		else
			node_new(u, &servers[i]);
	}
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (u->nodes[i] && u->nodes[i]->stale)
			node_drop(u->nodes[i]);
}

size_t upstream_list(const struct upstream *u, struct dns_upstream_state *ret,
		     size_t max)
{
	int64_t now = mono_ms();
	size_t n = 0;

	for (size_t i = 0; i < PROBES_MAX && n < max; i++) {
		const struct target *t = u->nodes[i] ? &u->nodes[i]->t : NULL;

		if (!t)
			continue;
		/* Bytes between the fields go out of this process too. */
		memset(&ret[n], 0, sizeof(ret[n]));
		ret[n].addr = t->server.addr;
		ret[n].port = t->server.port;
		ret[n].down = t->down;
		ret[n].loops = t->loops;
		ret[n].behind = t->behind_until > now;
		ret[n].loses_case = !target_keeps_case(t, now);
		ret[n].latency_us = t->latency_us;
		ret[n].asked = t->asked;
		ret[n].answered = t->answered;
		ret[n].failed = t->failed;
		n++;
	}
	return n;
}

struct upstream *upstream_new(struct ev_loop *loop, struct query_probes *probes,
			      struct dns_stats *stats, upstream_fn *done,
			      void *ctx)
{
	struct upstream *u = xzalloc(sizeof(*u));

	u->loop = loop;
	u->probes = probes;
	u->stats = stats;
	u->done = done;
	u->ctx = ctx;
	u->asks = asks_new(loop, &stats->forged);
	return u;
}

void upstream_free(struct upstream *u)
{
	struct query *q, *tmp;

	if (!u)
		return;
	HASH_ITER (hh, u->queries, q, tmp)
		query_free(q);
	upstream_set(u, NULL, 0);
	asks_free(u->asks);
	free(u);
}
