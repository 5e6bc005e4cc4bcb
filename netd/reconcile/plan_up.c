/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node offers to services, and what it checks before it does.
 *
 * A pod that is checked serves when its first check went well. Where nothing
 * is known yet (a check that was just asked for, a daemon that was just
 * started) what was offered before stays: not knowing is not a failure.
 */
#include <netinet/in.h>

#include "json.h"
#include "netd/probe.h"
#include "netd/util.h"
#include "pair.h"
#include "plan.h"
#include "pod.h"
#include "service.h"

static bool is_serving(const struct attachment *at)
{
	return at->is_up && attachment_is_in(at);
}

/* The pod of this node whose attachment this is, while it is attached. */
static const struct pod *pod_of(const struct model *m,
				const struct endpoint *ep)
{
	for (const struct pod *pod = m->pods; pod; pod = pod->hh.next)
		for (size_t i = 0; i < pod->nets_len; i++)
			if (str_eq(pod->nets[i].id, ep->id))
				return is_serving(&pod->nets[i]) ? pod : NULL;
	return NULL;
}

static bool is_offered_by_us(const struct model *m, const struct service *s,
			     const struct endpoint *ep)
{
	return str_eq(ep->node, m->self) && service_selects(s, ep->labels) &&
	       pod_of(m, ep);
}

static struct probe_key key_of(const struct net *net, const struct service *s,
			       const struct ip_addr *addr, uint16_t port)
{
	struct probe_key key = { .vni = net->vni, .addr = *addr, .port = port };

	str_copy(key.service, sizeof(key.service), s->name);
	return key;
}

/* A static backend's own port is checked, unless the check names another. */
static uint16_t static_port(const struct service *s,
			    const struct static_backend *st)
{
	return s->tune.health.port ? s->tune.health.port : st->port;
}

/* Ours to check: our own pods' addresses, and what is on no node. */
static bool static_is_ours(const struct model *m, const struct net *net,
			   const struct static_backend *st)
{
	if (!net_holds(net, &st->addr))
		return true;
	for (const struct endpoint *ep = net->endpoints; ep; ep = ep->hh.next)
		if (ip_eq(&ep->addr, &st->addr))
			return str_eq(ep->node, m->self);
	return false;
}

/* Was it among those we offered the last time? */
static bool was_offered(const struct model *m, const struct net *net,
			const struct service *s, const char *id)
{
	const struct up *up;
	json_t *item;
	size_t i;

	HASH_FIND_STR(net->ups, m->self, up);
	if (!up)
		return false;
	json_array_foreach (json_object_get(up->services, s->name), i, item) {
		const char *was =
			json_string_value(json_object_get(item, "id"));

		if (was && str_eq(was, id))
			return true;
	}
	return false;
}

static void add_why(json_t *item, const struct probe_state *state)
{
	static const char *const words[] = { [PROBE_UNKNOWN] = "starting",
					     [PROBE_UP] = "up",
					     [PROBE_DOWN] = "unhealthy" };
	char reason[64];

	_Static_assert(ARRAY_LEN(words) == PROBE_STATUS_MAX, "a word each");
	probe_reason_text(state, reason, sizeof(reason));
	json_object_set_new(item, "state", json_string(words[state->status]));
	json_object_set_new(item, "since", json_integer(state->since));
	json_object_set_new(item, "reason", json_string(reason));
}

struct lists {
	json_t *up;
	json_t *down;
};

static void offer_pod(const struct model *m, const struct net *net,
		      const struct service *s, const struct endpoint *ep,
		      const struct plan_health *health, struct lists *lists)
{
	bool checked = s->tune.health.kind != PROBE_NONE;
	struct probe_state state = { .status = PROBE_UP };
	struct refusal ignored;
	uint16_t weight;
	bool fit = true;
	json_t *item;

	service_weight(ep->labels, &weight, &ignored);
	item = json_pack("{s:s, s:o, s:i}", "id", ep->id, "ip",
			 json_ip(&ep->addr), "weight",
			 ep->leaving ? 0 : weight);
	if (ep->leaving)
		json_object_set_new(item, "leaving", json_true());
	if (!ip_is_none(&ep->addr6))
		json_object_set_new(item, "ip6", json_ip(&ep->addr6));
	if (ep->unready) {
		fit = false;
		json_object_set_new(item, "state", json_string("unready"));
		json_object_set_new(item, "reason",
				    json_string(pod_unready(pod_of(m, ep))));
	} else if (checked) {
		struct probe_key key =
			key_of(net, s, &ep->addr, service_health_port(s));

		state = health->state(health->arg, &key);
		fit = state.status == PROBE_UP ||
		      (state.status == PROBE_UNKNOWN &&
		       was_offered(m, net, s, ep->id));
		add_why(item, &state);
	}
	json_array_append_new(fit ? lists->up : lists->down, item);
}

static void complain_static(const struct net *net, const struct service *s,
			    const struct static_backend *st,
			    const struct plan_health *health,
			    struct lists *lists)
{
	struct probe_key key = key_of(net, s, &st->addr, static_port(s, st));
	struct probe_state state = health->state(health->arg, &key);
	json_t *item;

	if (state.status != PROBE_DOWN)
		return;
	item = json_pack("{s:o, s:i, s:i}", "ip", json_ip(&st->addr), "port",
			 st->port, "weight", st->weight);
	add_why(item, &state);
	json_array_append_new(lists->down, item);
}

static void set_if_any(json_t *all, const char *name, json_t *list)
{
	if (json_array_size(list))
		json_object_set(all, name, list);
	json_decref(list);
}

struct plan_offer plan_up(const struct model *m, const struct net *net,
			  const struct plan_health *health)
{
	struct plan_offer offer = { json_object(), json_object() };

	for (const struct service *s = net->services; s; s = s->hh.next) {
		struct lists lists = { json_array(), json_array() };
		const struct endpoint *ep = net->endpoints;

		for (; ep; ep = ep->hh.next)
			if (is_offered_by_us(m, s, ep))
				offer_pod(m, net, s, ep, health, &lists);
		for (size_t i = 0; i < s->statics_len; i++)
			if (s->tune.health.kind != PROBE_NONE &&
			    static_is_ours(m, net, &s->statics[i]))
				complain_static(net, s, &s->statics[i], health,
						&lists);
		set_if_any(offer.services, s->name, lists.up);
		set_if_any(offer.down, s->name, lists.down);
	}
	return offer;
}

struct probes {
	struct want_probe *list;
	size_t len;
};

static void probe_add(struct probes *all, const struct net *net,
		      const struct service *s, const struct ip_addr *addr,
		      uint16_t port)
{
	all->list = xrealloc(all->list, (all->len + 1) * sizeof(*all->list));
	all->list[all->len++] = (struct want_probe){
		.key = key_of(net, s, addr, port),
		.check = s->tune.health,
	};
}

struct want_probe *plan_probes(const struct model *m, const struct net *net,
			       size_t *len)
{
	struct probes all = { 0 };

	for (const struct service *s = net->services; s; s = s->hh.next) {
		const struct endpoint *ep = net->endpoints;
		uint16_t port = service_health_port(s);

		if (s->tune.health.kind == PROBE_NONE)
			continue;
		for (; port && ep; ep = ep->hh.next)
			if (is_offered_by_us(m, s, ep))
				probe_add(&all, net, s, &ep->addr, port);
		for (size_t i = 0; i < s->statics_len; i++)
			if (static_is_ours(m, net, &s->statics[i]))
				probe_add(&all, net, s, &s->statics[i].addr,
					  static_port(s, &s->statics[i]));
	}
	*len = all.len;
	return all.list;
}
