/* SPDX-License-Identifier: Apache-2.0 */
/* What names mean: services, their backends by name, pods. */
#include <ctype.h>

#include "netd/util.h"
#include "pair.h"
#include "plan.h"
#include "service.h"
#include "static_record.h"

void plan_tasks_free(struct plan_tasks *t)
{
	free(t->addrs);
	free(t->hosts);
	*t = (struct plan_tasks){ 0 };
}

static const struct endpoint *endpoint_of(const struct net *net,
					  const struct backend *b)
{
	const struct endpoint *ep;
	char key[sizeof(ep->key)];

	if (!b->id || str_format(key, sizeof(key), "%s/%s", b->node, b->id))
		return NULL;
	HASH_FIND_STR(net->endpoints, key, ep);
	return ep;
}

/* 10-64-0-5: what a backend is called that has no better name. */
static void dashed(const struct ip_addr *addr, char name[NAME_LEN])
{
	char ip[IP_STRLEN];

	ip_str(addr, ip);
	for (char *c = ip; *c; c++)
		if (*c == '.' || *c == ':')
			*c = '-';
	/* fd00:: and ::1, for a label ends and begins with a letter. */
	snprintf(name, NAME_LEN, "%s%s%s", ip[0] == '-' ? "0" : "", ip,
		 ip[strlen(ip) - 1] == '-' ? "0" : "");
}

struct collect {
	const struct model *m;
	const struct net *net;
	struct plan_tasks *tasks;
	/* Beside each of the addresses: the pod's other one, or none. */
	struct ip_addr *pairs;
	/* Which of them were named by their pod. */
	bool *by_pod;
	/* Of those beyond the most a name may have, the lowest stay. */
	uint32_t *ranks;
};

/*
 * Another order on each node, so that all of a large service's backends are in
 * the names of some, and one that goes or comes moves no other.
 */
static uint32_t rank_of(const struct model *m, const struct ip_addr *addr)
{
	struct {
		char node[NAME_LEN];
		struct ip_addr addr;
	} key = { .addr = *addr };
	uint32_t rank;

	str_copy(key.node, sizeof(key.node), m->self);
	HASH_JEN(&key, sizeof(key), rank);
	return rank;
}

/* Two pods of one name are told apart by their addresses, both of them. */
static void host_name(struct collect *c, uint32_t i, const struct endpoint *ep)
{
	struct plan_tasks *t = c->tasks;
	char name[POD_NAME_LEN] = "";

	if (ep)
		str_copy(name, sizeof(name), ep->pod);
	name_lower(name);
	c->by_pod[i] = name_is_valid(name);
	if (!c->by_pod[i]) {
		dashed(&t->addrs[i], t->hosts[i].name);
		return;
	}
	str_copy(t->hosts[i].name, NAME_LEN, name);
}

static bool is_known(const struct plan_tasks *t, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < t->len; i++)
		if (ip_eq(&t->addrs[i], addr))
			return true;
	return false;
}

/* Half as many where each may have two. */
static uint32_t addrs_max(const struct net *net)
{
	return net_is_dual(net) ? NAME_ADDRS_MAX / 2 : NAME_ADDRS_MAX;
}

static uint32_t place_add(struct collect *c)
{
	struct plan_tasks *t = c->tasks;
	uint32_t n = t->len + 1;

	c->pairs = xrealloc(c->pairs, n * sizeof(*c->pairs));
	t->addrs = xrealloc(t->addrs, n * sizeof(*t->addrs));
	t->hosts = xrealloc(t->hosts, n * sizeof(*t->hosts));
	c->by_pod = xrealloc(c->by_pod, n);
	c->ranks = xrealloc(c->ranks, n * sizeof(*c->ranks));
	return t->len++;
}

/* Where the highest of the ranks stands. */
static uint32_t place_last(const struct collect *c)
{
	uint32_t last = 0;

	for (uint32_t i = 1; i < c->tasks->len; i++)
		if (c->ranks[i] > c->ranks[last])
			last = i;
	return last;
}

static void task_add(void *arg, const struct backend *b)
{
	struct collect *c = arg;
	struct plan_tasks *t = c->tasks;
	uint32_t rank, i;

	/* Who looks a name up is about to connect. */
	if (b->state != BACKEND_UP || !b->weight || is_known(t, &b->addr))
		return;
	rank = rank_of(c->m, &b->addr);
	t->is_cut = t->is_cut || t->len == addrs_max(c->net);
	i = t->is_cut ? place_last(c) : place_add(c);
	if (t->is_cut && rank > c->ranks[i])
		return;
	c->ranks[i] = rank;
	c->pairs[i] = b->addr6;
	t->addrs[i] = b->addr;
	t->hosts[i] = (struct want_host){ .port = b->port };
	host_name(c, i, endpoint_of(c->net, b));
}

/* A host's name and whose it is, in a table of names. */
struct holder {
	const char *name;
	uint32_t i;
	bool is_shared;
	UT_hash_handle hh;
};

static void tell_apart(struct collect *c)
{
	struct plan_tasks *t = c->tasks;
	struct holder *all = xzalloc((t->len + 1) * sizeof(*all));
	struct holder *table = NULL, *h;

	for (uint32_t i = 0; i < t->len; i++) {
		const char *name = t->hosts[i].name;

		all[i] = (struct holder){ .name = name, .i = i };
		HASH_FIND_STR(table, name, h);
		if (h)
			h->is_shared = all[i].is_shared = true;
		else
			HASH_ADD_KEYPTR(hh, table, name, strlen(name), &all[i]);
	}
	HASH_CLEAR(hh, table);
	for (uint32_t i = 0; i < t->len; i++)
		if (all[i].is_shared)
			dashed(&t->addrs[i], t->hosts[i].name);
	free(all);
}

/* A pod's two addresses have one name. */
static void pairs_add(struct collect *c)
{
	struct plan_tasks *t = c->tasks;
	uint32_t n = t->len;

	if (!net_is_dual(c->net))
		return;
	t->addrs = xrealloc(t->addrs, (2 * n + 1) * sizeof(*t->addrs));
	t->hosts = xrealloc(t->hosts, (2 * n + 1) * sizeof(*t->hosts));
	for (uint32_t i = 0; i < n; i++) {
		if (ip_is_none(&c->pairs[i]))
			continue;
		t->addrs[t->len] = c->pairs[i];
		t->hosts[t->len++] = t->hosts[i];
	}
}

struct plan_tasks plan_tasks(const struct model *m, const struct net *net,
			     const struct service *s)
{
	struct plan_tasks tasks = { 0 };
	struct collect c = { .m = m, .net = net, .tasks = &tasks };

	service_backends(m, net, s, task_add, &c);
	tell_apart(&c);
	pairs_add(&c);
	free(c.by_pod);
	free(c.ranks);
	free(c.pairs);
	return tasks;
}

static void addr_add(struct plan_tasks *t, const struct ip_addr *addr)
{
	if (ip_is_none(addr) || is_known(t, addr) || t->len == NAME_ADDRS_MAX)
		return;
	t->addrs = xrealloc(t->addrs, (t->len + 1) * sizeof(*t->addrs));
	t->addrs[t->len++] = *addr;
}

struct ip_addr *plan_pod_addrs(const struct model *m,
			       const struct pod_name *name, uint32_t *len)
{
	struct plan_tasks t = { 0 };

	for (size_t i = 0; name && i < name->len; i++) {
		const struct endpoint *ep = name->eps[i];

		if (ep->unready || ep->leaving ||
		    !model_node_is_up(m, ep->node))
			continue;
		addr_add(&t, &ep->addr);
		addr_add(&t, &ep->addr6);
	}
	*len = t.len;
	return t.addrs;
}

/* A published port's target is a port of the VIP, too. */
static void port_add(struct want_name *want, const struct port *p,
		     uint16_t port)
{
	struct want_name_port *next = &want->ports[want->ports_len];

	for (uint32_t i = 0; i < want->ports_len; i++)
		if (want->ports[i].port == port &&
		    want->ports[i].proto == p->proto)
			return;
	if (want->ports_len == NAME_PORTS_MAX)
		return;
	*next = (struct want_name_port){ .port = port,
					 .proto = p->proto,
					 .target = p->target };
	str_copy(next->name, sizeof(next->name), p->name);
	want->ports_len++;
}

struct want_name plan_name(const struct model *m, const struct net *net,
			   const struct service *s, enum name_kind kind)
{
	struct want_name want = { .vni = net->vni,
				  .kind = kind,
				  .ttl = m->name_ttl };

	if (!s)
		return want;
	str_copy(want.name, sizeof(want.name), s->name);
	if (s->has_ttl)
		want.ttl = s->ttl;
	for (size_t i = 0; i < s->ports_len; i++)
		port_add(&want, &s->ports[i], s->ports[i].port);
	for (size_t i = 0; i < s->published_len; i++)
		port_add(&want, &s->published[i], s->published[i].target);
	if (kind == NAME_SERVICE)
		str_copy(want.target, sizeof(want.target), s->external);
	want.headless = s->dnsrr;
	/*
	 * A VIP's name is the service. A backend's own name is its pod, but
	 * where there is no VIP it is one of the service's (Kubernetes' DNS
	 * specification 2.4.3).
	 */
	want.ptr = s->dnsrr == (kind == NAME_TASKS);
	return want;
}

struct want_value *plan_record(const struct model *m,
			       const struct static_record *rec, size_t *len)
{
	struct want_value *values = xzalloc((rec->len + 1) * sizeof(*values));

	for (size_t i = 0; i < rec->len; i++) {
		values[i] = rec->values[i].want;
		if (!rec->values[i].has_ttl)
			values[i].ttl = m->name_ttl;
	}
	*len = rec->len;
	return values;
}

struct want_upstream plan_stub(const struct net *net,
			       const struct stub_zone *stub)
{
	struct want_upstream want = { .vni = net ? net->vni : 0,
				      .servers_len = (uint32_t)stub->len };

	str_copy(want.zone, sizeof(want.zone), stub->zone);
	memcpy(want.servers, stub->servers, sizeof(want.servers));
	return want;
}
