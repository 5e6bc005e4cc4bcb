/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a service's backends are: pods that their nodes offer (n/NET/s/up/NODE)
 * and addresses that the service names. What is drained or not fit to serve
 * is told as such, so that people see it and balancers leave it alone.
 */
#include "json.h"
#include "netd/util.h"
#include "pair.h"
#include "service.h"

int service_weight(const json_t *labels, uint16_t *ret, struct refusal *r)
{
	const char *text =
		json_string_value(json_object_get(labels, WEIGHT_LABEL));
	uint32_t weight = 1;

	*ret = 1;
	if (text && str_to_u32(text, 0, WEIGHT_MAX, &weight))
		return refuse(r, API_INVALID, "label",
			      "write " WEIGHT_LABEL "=N, such as " WEIGHT_LABEL
			      "=10",
			      "label " WEIGHT_LABEL "=%.32s is not a number "
			      "from 0 to %d",
			      text, WEIGHT_MAX);
	*ret = (uint16_t)weight;
	return 0;
}

void backend_drain_key(const struct backend *b, char key[DRAIN_KEY_LEN])
{
	struct static_backend st = { b->addr, b->port, 1 };

	_Static_assert(DRAIN_KEY_LEN >= STATIC_STRLEN, "either fits");
	if (b->port)
		static_backend_str(&st, key);
	else
		snprintf(key, DRAIN_KEY_LEN, "%s/%s", b->node, b->id);
}

const struct ip_addr *backend_addr(const struct backend *b, bool v6)
{
	if (ip_is_v4(&b->addr) != v6)
		return &b->addr;
	return v6 && !ip_is_none(&b->addr6) ? &b->addr6 : NULL;
}

struct walk {
	const struct model *m;
	const struct service *s;
	void (*fn)(void *arg, const struct backend *b);
	void *arg;
};

static void become_draining(struct backend *b)
{
	b->weight = 0;
	if (b->state == BACKEND_UP)
		b->state = BACKEND_DRAINING;
}

static void apply_node_drain(const struct walk *w, struct backend *b)
{
	if (!model_node_drains(w->m, b->node))
		return;
	become_draining(b);
	if (model_node_is_drained(w->m, b->node))
		b->state = BACKEND_DOWN;
}

/* Once its time is over, what drains is as good as gone. */
static void apply_drain(const struct walk *w, struct backend *b)
{
	char key[DRAIN_KEY_LEN];
	json_t *until;

	apply_node_drain(w, b);
	if (!w->s->drains)
		return;
	backend_drain_key(b, key);
	until = json_object_get(w->s->drains, key);
	if (!until)
		return;
	become_draining(b);
	if (json_integer_value(until) && json_integer_value(until) <= w->m->now)
		b->state = BACKEND_DOWN;
}

static void emit(const struct walk *w, struct backend *b)
{
	apply_drain(w, b);
	w->fn(w->arg, b);
}

static const struct endpoint *endpoint_at(const struct net *net,
					  const struct ip_addr *addr)
{
	for (const struct endpoint *ep = net->endpoints; ep; ep = ep->hh.next)
		if (ip_eq(&ep->addr, addr))
			return ep;
	return NULL;
}

/* What the node that checks a static backend complains of, or NULL. */
static const json_t *static_complaint(const struct net *net,
				      const struct service *s, const char *node,
				      const struct static_backend *st)
{
	struct ip_addr addr;
	const struct up *up;
	uint32_t port;
	json_t *item;
	size_t i;

	HASH_FIND_STR(net->ups, node, up);
	if (!up)
		return NULL;
	json_array_foreach (json_object_get(up->down, s->name), i, item) {
		if (!json_read_ip(json_object_get(item, "ip"), &addr) &&
		    !json_get_u32(item, "port", &port) && port == st->port &&
		    ip_eq(&addr, &st->addr))
			return item;
	}
	return NULL;
}

static void static_backends(const struct walk *w, const struct net *net)
{
	const struct model *m = w->m;

	for (size_t i = 0; i < w->s->statics_len; i++) {
		const struct static_backend *st = &w->s->statics[i];
		const struct endpoint *ep = NULL;
		struct backend b = { .addr = st->addr,
				     .port = st->port,
				     .node = "",
				     .id = "",
				     .weight = st->weight };

		b.in_overlay = net_holds(net, &st->addr);
		if (b.in_overlay) {
			/* A pod that is not there takes no traffic. */
			ep = endpoint_at(net, &st->addr);
			if (!ep || !model_node_is_up(m, ep->node))
				continue;
			b.node = ep->node;
			b.id = ep->id;
			b.addr6 = ep->addr6;
			if (!str_eq(ep->node, m->self))
				b.vtep = model_node(m, ep->node)->vtep;
		}
		/* What is outside every node checks for itself. */
		b.why = static_complaint(net, w->s,
					 b.in_overlay ? b.node : m->self, st);
		if (b.why || (b.in_overlay && ep->unready))
			b.state = BACKEND_DOWN;
		if (b.in_overlay && ep->leaving)
			become_draining(&b);
		emit(w, &b);
	}
}

/* The pods of one list of one node. */
static void offered(const struct walk *w, const struct up *up, json_t *list,
		    enum backend_state state)
{
	const struct node *node = model_node(w->m, up->node);
	bool self = str_eq(up->node, w->m->self);
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		struct backend b = { .node = up->node,
				     .in_overlay = true,
				     .state = state };
		uint32_t weight = 1;

		b.id = json_string_value(json_object_get(item, "id"));
		if (!b.id || json_object_get(item, "port") ||
		    json_read_ip(json_object_get(item, "ip"), &b.addr))
			continue;
		json_read_ip(json_object_get(item, "ip6"), &b.addr6);
		json_get_u32(item, "weight", &weight);
		b.weight = (uint16_t)MIN(weight, UINT16_MAX);
		if (!self)
			b.vtep = node->vtep;
		b.why = json_object_get(item, "state") ? item : NULL;
		if (json_is_true(json_object_get(item, "leaving")))
			become_draining(&b);
		emit(w, &b);
	}
}

void service_backends(const struct model *m, const struct net *net,
		      const struct service *s,
		      void (*fn)(void *arg, const struct backend *b), void *arg)
{
	struct walk w = { m, s, fn, arg };

	static_backends(&w, net);
	if (!json_object_size(s->selector))
		return;
	for (const struct up *up = net->ups; up; up = up->hh.next) {
		const struct node *node = model_node(m, up->node);

		if (!str_eq(up->node, m->self) && (!node || !node->alive_rev))
			continue;
		offered(&w, up, json_object_get(up->services, s->name),
			BACKEND_UP);
		offered(&w, up, json_object_get(up->down, s->name),
			BACKEND_DOWN);
	}
}
