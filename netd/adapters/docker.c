/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver as a whole: its life, what ends by itself, what it shows.
 *
 * What ends by itself: an address that no endpoint took, an endpoint that was
 * not joined or whose container has gone, a network that was made for a pool
 * nobody used. Each after the grace time, in which an engine that is slow, or
 * that comes back, goes on with it.
 */
#include "docker_core.h"

#include "lag.h"
#include "netd/log.h"
#include "network.h"
#include "pod.h"

/* A container may be long in coming: images, volumes, a busy disk. */
#define START_GRACES 10

static void expire_eps(struct docker *d, int64_t now)
{
	struct docker_ep *ep, *next;

	HASH_ITER (hh, d->eps, ep, next) {
		struct pod *pod;
		struct attachment *at = docker_ep_attachment(d, ep, &pod);
		bool waits = at && at->hand == HAND_OFFERED;
		int64_t grace = d->cfg.grace_ms;

		if (ep->state == DOCKER_JOINED && !at && !ep->is_gone) {
			ep->is_gone = true;
			ep->since = now;
		}
		if (ep->state == DOCKER_JOINED && at && !waits)
			continue;
		if (waits)
			grace *= START_GRACES;
		if (now - ep->since < grace)
			continue;
		log_info("docker: endpoint ended by itself endpoint=%.12s "
			 "net=%s",
			 ep->id, ep->network);
		docker_ep_end(d, ep);
	}
}

static void expire_addrs(struct docker *d, int64_t now)
{
	struct docker_addr *a, *next;
	char ip[IP_STRLEN];

	HASH_ITER (hh, d->addrs, a, next) {
		if (a->aux || docker_ep(d, a->endpoint) ||
		    now - a->since < d->cfg.grace_ms)
			continue;
		log_info("docker: address freed by itself addr=%s net=%s",
			 ip_str(&a->addr, ip), a->network);
		docker_addr_drop(d, a);
	}
}

static void expire_made(struct docker *d, int64_t now)
{
	struct docker_made *m, *next;
	char network[NAME_LEN];

	HASH_ITER (hh, d->made, m, next) {
		if (now - m->since < d->cfg.grace_ms)
			continue;
		memcpy(network, m->network, sizeof(network));
		docker_made_del(d, network);
		docker_pool_count(d, network, -1);
		docker_unmake(d, NULL, network);
	}
}

/* Off for the whole grace time: what is there is right from now on. */
static void set_right(struct docker *d, struct docker_pool *pool,
		      unsigned int nets)
{
	pool->off_since = 0;
	if (nets > pool->open)
		docker_net_give_up(d, pool->network);
	else
		pool->open = nets;
}

static void expire_pools(struct docker *d, int64_t now)
{
	struct docker_pool *pool, *next;

	HASH_ITER (hh, d->pools, pool, next) {
		unsigned int nets = docker_nets_of(d, pool->network);

		if (nets == pool->open)
			pool->off_since = 0;
		else if (!pool->off_since)
			pool->off_since = now;
		else if (now - pool->off_since < d->cfg.grace_ms)
			continue;
		else
			set_right(d, pool, nets);
		if (nets || pool->open)
			continue;
		HASH_DEL(d->pools, pool);
		free(pool);
	}
}

void docker_expire(struct docker *d)
{
	int64_t now = mono_ms();

	expire_pools(d, now);
	expire_eps(d, now);
	expire_addrs(d, now);
	expire_made(d, now);
}

static void tick_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	LAG(LAG_DOCKER);
	struct docker *d = container_of(w, struct docker, tick);

	(void)loop;
	(void)revents;
	docker_expire(d);
}

struct docker *docker_new(const struct docker_config *config)
{
	struct docker *d = xzalloc(sizeof(*d));

	d->cfg = *config;
	docker_load(d);
	ev_timer_init(&d->tick, tick_cb, 1., 1.);
	ev_timer_start(d->cfg.loop, &d->tick);
	return d;
}

void docker_free(struct docker *d)
{
	if (!d)
		return;
	ev_timer_stop(d->cfg.loop, &d->tick);
	docker_waits_end(d);
	docker_forget(d);
	free(d);
}

/* ---- what is shown ---- */

static const char *const states[] = {
	[DOCKER_MADE] = "made",
	[DOCKER_JOINED] = "joined",
	[DOCKER_LEFT] = "left",
};

static const char *const hands[] = {
	[HAND_OURS] = "joined",
	[HAND_OFFERED] = "waits",
	[HAND_TAKEN] = "up",
	[HAND_LEFT] = "left",
};

static json_t *ports_json(const struct pod *pod, const char *network)
{
	json_t *list = json_array();
	char text[POD_PORT_STRLEN + 16], from[POD_PORT_STRLEN];

	for (size_t i = 0; pod && i < pod->ports_len; i++) {
		if (!str_eq(pod->ports[i].network, network))
			continue;
		snprintf(text, sizeof(text), "%s->%u",
			 pod_port_str(&pod->ports[i], from),
			 pod->ports[i].target);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *ep_json(const struct docker *d, const struct docker_ep *ep)
{
	struct pod *pod;
	struct attachment *at = docker_ep_attachment(d, ep, &pod);
	const struct docker_net *dn = docker_net(d, ep->net);
	char mac[MAC_STRLEN];

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:o}",
		"gateway", dn ? docker_gateways[dn->gateway] : "", "id", ep->id,
		"network_id", ep->net, "network", ep->network, "ip",
		json_ip(&ep->addr), "ip6", json_ip_or_none(&ep->addr6), "mac",
		mac_str(&ep->mac, mac), "pod", ep->pod, "name",
		pod ? pod_shown_name(pod) : "", "state",
		at ? hands[at->hand] : states[ep->state], "ports",
		ports_json(at ? pod : NULL, ep->network));
}

/* What the other's default route makes impossible. */
static void add_problems(const struct docker *d, const struct docker_net *dn,
			 json_t *list)
{
	const struct net *net = model_net(d->cfg.model, dn->network);
	const struct service *s = net ? net->services : NULL;

	if (!net)
		json_array_append_new(
			list, json_sprintf("network %s of Docker's network "
					   "%.12s is not there any more",
					   dn->network, dn->id));
	for (; dn->gateway != DOCKER_GATEWAY_NETD && s; s = s->hh.next)
		if (s->published_len)
			json_array_append_new(
				list,
				json_sprintf(
					"service %s publishes ports on network "
					"%s: containers with " OPTION_GATEWAY
					"=%s cannot answer clients outside",
					s->name, dn->network,
					docker_gateways[dn->gateway]));
}

json_t *docker_json(const struct docker *d)
{
	json_t *nets = json_array(), *eps = json_array();
	json_t *addrs = json_array(), *problems = json_array();

	for (const struct docker_net *n = d->nets; n; n = n->hh.next) {
		json_array_append_new(
			nets, json_pack("{s:s, s:s, s:s, s:b}", "id", n->id,
					"network", n->network, "gateway",
					docker_gateways[n->gateway], "internal",
					n->internal));
		add_problems(d, n, problems);
	}
	for (const struct docker_ep *ep = d->eps; ep; ep = ep->hh.next)
		json_array_append_new(eps, ep_json(d, ep));
	for (const struct docker_addr *a = d->addrs; a; a = a->hh.next)
		json_array_append_new(addrs,
				      json_pack("{s:o, s:s, s:s, s:b}", "ip",
						json_ip(&a->addr), "network",
						a->network, "endpoint",
						a->endpoint, "aux", a->aux));
	return json_pack("{s:o, s:o, s:o, s:o}", "networks", nets, "endpoints",
			 eps, "addresses", addrs, "problems", problems);
}
