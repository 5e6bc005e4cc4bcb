/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <netinet/in.h>

#include "json.h"
#include "netd/util.h"
#include "pair.h"
#include "pod.h"
#include "service.h"

struct routes {
	struct want_route *list;
	size_t len;
};

/* And its pair. */
static void route_add(const struct model *m, struct routes *routes,
		      const struct net *net, const struct ip_prefix *dst,
		      const char *node_name)
{
	const struct node *node = model_node(m, node_name);
	const struct ip_prefix both[] = { *dst, pair_prefix(net, dst) };
	size_t n = net_is_dual(net) ? 2 : 1;

	if (str_eq(node_name, m->self) || !node)
		return;
	routes->list = xrealloc(routes->list,
				(routes->len + n) * sizeof(*routes->list));
	for (size_t i = 0; i < n; i++)
		routes->list[routes->len++] = (struct want_route){
			.vni = net->vni, .dst = both[i], .vtep = node->vtep
		};
}

struct want_route *plan_routes(const struct model *m, const struct net *net,
			       size_t *len)
{
	struct routes routes = { 0 };

	for (const struct block *b = net->blocks; b; b = b->hh.next) {
		route_add(m, &routes, net, &b->prefix, b->node);
		for (size_t i = 0; i < b->lent_len; i++) {
			struct ip_prefix host = prefix_host(&b->lent[i].addr);

			route_add(m, &routes, net, &host, b->lent[i].node);
		}
	}
	*len = routes.len;
	return routes.list;
}

struct frontends {
	const struct net *net;
	const struct tune *tune;
	bool sources;
	/* The family that is at hand, and the VIP in it. */
	bool v6;
	struct ip_addr vip;
	struct want_frontend *fe;
	uint16_t *target;
	size_t len, max;
};

static void frontend_add(struct frontends *f, const struct ip_addr *addr,
			 uint16_t port, uint8_t proto, uint16_t target)
{
	bool bound;

	for (size_t i = 0; i < f->len; i++)
		if (ip_eq(&f->fe[i].addr, addr) && f->fe[i].port == port &&
		    f->fe[i].proto == proto && f->fe[i].v6 == f->v6)
			return;
	if (f->len == f->max)
		return;
	bound = !ip_is_none(addr) && !ip_eq(addr, &f->vip);
	f->target[f->len] = target;
	f->fe[f->len++] = (struct want_frontend){
		.vni = f->net->vni,
		.addr = *addr,
		.port = port,
		.proto = proto,
		.v6 = f->v6,
		.node = bound,
		.bound = bound,
		.maglev = f->tune->algo == TUNE_MAGLEV,
		.reset_dead = f->tune->on_dead == TUNE_RESET,
		.affinity_s = f->tune->affinity_s,
		.idle_s = proto == IPPROTO_UDP ? f->tune->idle_udp_s
					       : f->tune->idle_s,
		.idle_half_s = f->tune->idle_half_s,
		.has_sources = f->sources && ip_is_none(addr),
	};
}

static void family_add(struct frontends *f, const struct service *s)
{
	for (size_t i = 0; i < s->ports_len; i++)
		frontend_add(f, &f->vip, s->ports[i].port, s->ports[i].proto,
			     s->ports[i].target);
	for (size_t i = 0; i < s->published_len; i++) {
		const struct port *p = &s->published[i];

		frontend_add(f, &f->vip, p->target, p->proto, p->target);
		if (ip_is_none(&p->host) || ip_is_v4(&p->host) != f->v6)
			frontend_add(f, &p->host, p->port, p->proto, p->target);
	}
	frontend_add(f, &f->vip, 0, IPPROTO_ICMP, 0);
}

size_t plan_frontends(const struct net *net, const struct service *s,
		      struct want_frontend *fe, uint16_t *target, size_t max)
{
	struct frontends f = { .net = net,
			       .tune = &s->tune,
			       .sources = s->sources_len != 0,
			       .fe = fe,
			       .target = target,
			       .max = max };

	if (s->dnsrr)
		return 0;
	f.vip = s->vip;
	f.v6 = !ip_is_v4(&s->vip);
	family_add(&f, s);
	f.vip = pair_vip(net, &s->vip);
	f.v6 = true;
	if (!ip_is_none(&f.vip))
		family_add(&f, s);
	return f.len;
}

struct backends {
	const struct net *net;
	bool published;
	bool v6;
	uint16_t target;
	struct want_backend *list;
	size_t len;
	/* Of those that take connections, how many are on this node. */
	size_t near;
};

static bool is_near(const struct want_backend *b)
{
	return b->vni && ip_is_none(&b->vtep);
}

/*
 * What the policy leaves out takes no new connection. Those it has are kept:
 * a policy that changes, or a near backend that comes back, ends none.
 */
static void apply_policy(const struct service *s, struct backends *all)
{
	if (s->tune.policy == TUNE_ANY ||
	    (s->tune.policy == TUNE_PREFER_LOCAL && !all->near))
		return;
	for (size_t i = 0; i < all->len; i++)
		if (!is_near(&all->list[i]))
			all->list[i].weight = 0;
}

static void backend_add(void *arg, const struct backend *b)
{
	struct backends *all = arg;
	const struct ip_addr *addr = backend_addr(b, all->v6);

	if (!addr || (all->published && !b->in_overlay) ||
	    b->state == BACKEND_DOWN)
		return;
	all->list = xrealloc(all->list, (all->len + 1) * sizeof(*all->list));
	all->list[all->len++] = (struct want_backend){
		.addr = *addr,
		.vtep = b->vtep,
		.vni = b->in_overlay ? all->net->vni : 0,
		.port = b->port ? b->port : all->target,
		.weight = b->weight,
	};
	if (b->weight && is_near(&all->list[all->len - 1]))
		all->near++;
}

struct want_backend *plan_backends(const struct model *m, const struct net *net,
				   const struct service *s,
				   const struct want_frontend *fe,
				   uint16_t target, size_t *len)
{
	struct backends all = { .net = net,
				.published = ip_is_none(&fe->addr) || fe->bound,
				.v6 = fe->v6,
				.target = target };

	if (fe->proto != IPPROTO_ICMP)
		service_backends(m, net, s, backend_add, &all);
	apply_policy(s, &all);
	*len = all.len;
	return all.list;
}
