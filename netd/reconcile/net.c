/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and networks to their backends, and what was told of them. */
#include "rc.h"

#include "fault.h"
#include "json.h"
#include "netd/dns.h"
#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/probe.h"
#include "netd/util.h"
#include "network.h"
#include "node.h"
#include "overlay.h"
#include "plan.h"

/*
 * Every Docker host has 172.17.0.1, say: an address that is ours too is ours
 * here, whatever another node calls its own.
 */
static void drop_own_addrs(const struct reconcile *rc, struct want_node *want)
{
	const struct node *self = model_node(rc->m, rc->m->self);
	uint32_t len = 0;

	for (uint32_t i = 0; i < want->addrs_len; i++) {
		bool own = false;

		for (uint32_t k = 0; self && k < self->addrs_len; k++)
			own |= ip_eq(&want->addrs[i], &self->addrs[k]);
		if (!own)
			want->addrs[len++] = want->addrs[i];
	}
	want->addrs_len = len;
}

void rc_node(struct reconcile *rc, const char *name)
{
	const struct node *node = model_node(rc->m, name);
	struct want_node want;
	int err;

	if (str_eq(name, rc->m->self)) {
		rc_self(rc);
		return;
	}
	if (node) {
		want = node_want(node, false);
		drop_own_addrs(rc, &want);
		err = ebpf_node_put(rc->cfg.bpf, &want);
	} else {
		err = ebpf_node_del(rc->cfg.bpf, name);
	}
	if (err) {
		rc_complain(rc, err, "tell the node", name,
			    ebpf_error(rc->cfg.bpf));
		rc_mark_later(rc, MARK_NODE, "", name);
	}
}

/* Has it a pod here at this moment? */
static bool is_joined(const struct reconcile *rc, const struct net *net)
{
	struct pod *pod;

	for (pod = rc->m->pods; pod; pod = pod->hh.next)
		if (pod_attachment(pod, net->name))
			return true;
	return false;
}

/* A query of the host comes from the address it was sent to, or its own. */
static void put_host_clients(struct reconcile *rc, const struct want_node *self)
{
	struct want_client client = { .addr = ip_from_v4(0x7f000001),
				      .host = true };

	dns_client_put(rc->cfg.dns, &client);
	for (uint32_t i = 0; i < self->addrs_len; i++) {
		client.addr = self->addrs[i];
		dns_client_put(rc->cfg.dns, &client);
	}
	for (struct net *net = rc->m->nets; net; net = net->hh.next) {
		if (!net->rev || !is_joined(rc, net))
			continue;
		client.addr = net_gateway(net);
		dns_client_put(rc->cfg.dns, &client);
		client.addr = net_gateway6(net);
		if (!ip_is_none(&client.addr))
			dns_client_put(rc->cfg.dns, &client);
	}
}

static void mark_others(struct reconcile *rc)
{
	for (struct node *node = rc->m->nodes; node; node = node->hh.next)
		if (!str_eq(node->name, rc->m->self))
			rc_mark(rc, MARK_NODE, "", node->name);
}

static bool addrs_eq(const struct node *a, const struct node *b)
{
	return a && a->addrs_len == b->addrs_len &&
	       !memcmp(a->addrs, b->addrs, a->addrs_len * sizeof(a->addrs[0]));
}

static bool mtu_differs(const struct node *a, const struct node *b)
{
	return a && a->mtu != b->mtu;
}

/* This node, as the kernel shows it now. */
void rc_self(struct reconcile *rc)
{
	struct node *self = xzalloc(sizeof(*self));
	struct want_node want;
	int err;

	self->vtep = rc->cfg.vtep;
	self->mtu = reconcile_mtu(rc);
	self->incarnation = rc->m->incarnation;
	str_copy(self->version, sizeof(self->version), NETD_VERSION);
	self->addrs_len =
		overlay_addrs(rc->cfg.overlay, self->addrs, NODE_ADDRS_MAX);
	self->routes_len = overlay_routes(rc->cfg.overlay, &self->routes);
	if (!addrs_eq(model_node(rc->m, rc->m->self), self))
		mark_others(rc);
	/* Pods' links follow. */
	if (rc->is_ready && mtu_differs(model_node(rc->m, rc->m->self), self))
		rc->audit_wanted = true;
	model_self_put(rc->m, self);

	want = node_want(model_node(rc->m, rc->m->self), true);
	err = ebpf_node_put(rc->cfg.bpf, &want);
	if (err)
		rc_complain(rc, err, "tell the node", want.name,
			    ebpf_error(rc->cfg.bpf));
	put_host_clients(rc, &want);
	rc->publish_wanted = true;
}

bool rc_net_has_zone(const struct reconcile *rc, const struct net *net)
{
	const struct told_net *told;

	HASH_FIND_STR(rc->nets, net->name, told);
	return told && told->vni == net->vni && told->joined;
}

static void untell_routes(struct reconcile *rc, struct told_net *told,
			  const struct want_route *keep, size_t len)
{
	for (size_t i = 0; i < told->routes_len; i++) {
		size_t k = 0;

		while (k < len &&
		       !prefix_eq(&keep[k].dst, &told->routes[i].dst))
			k++;
		if (k == len)
			ebpf_route_del(rc->cfg.bpf, told->vni,
				       &told->routes[i].dst);
	}
}

static int tell_routes(struct reconcile *rc, struct told_net *told,
		       const struct net *net)
{
	size_t len = 0;
	struct want_route *routes = plan_routes(rc->m, net, &len);
	int err = 0;

	untell_routes(rc, told, routes, len);
	for (size_t i = 0; !err && i < len; i++)
		err = ebpf_route_put(rc->cfg.bpf, &routes[i]);
	free(told->routes);
	told->routes = routes;
	told->routes_len = len;
	return err;
}

static struct told_net *told_net(struct reconcile *rc, const struct net *net)
{
	struct told_net *told;

	HASH_FIND_STR(rc->nets, net->name, told);
	if (!told) {
		told = xzalloc(sizeof(*told));
		memcpy(told->name, net->name, sizeof(told->name));
		told->vni = net->vni;
		HASH_ADD_STR(rc->nets, name, told);
		/* Not all there are, each time the daemon starts. */
		if (rc->is_ready)
			rc_outside_want(rc, told);
	}
	return told;
}

static void forget_net(struct reconcile *rc, struct told_net *told)
{
	if (told->joined)
		dns_zone_del(rc->cfg.dns, told->vni);
	dns_reverse_del(rc->cfg.dns, told->vni);
	untell_routes(rc, told, NULL, 0);
	probe_begin(rc->cfg.probe, told->vni);
	probe_end(rc->cfg.probe, told->vni);
	overlay_net_del(rc->cfg.overlay, told->vni);
	fault_after(FAULT_NET_GONE);
	ebpf_net_del(rc->cfg.bpf, told->vni);
	HASH_DEL(rc->nets, told);
	free(told->routes);
	free(told);
}

static struct want_zone zone_want(const struct want_net *net)
{
	struct want_zone zone = {
		.vni = net->vni,
		.ranges_len = net->ranges_len,
		.internal = net->internal,
	};

	memcpy(zone.name, net->name, sizeof(zone.name));
	memcpy(zone.ranges, net->ranges, sizeof(zone.ranges));
	return zone;
}

static int tell_reverse(struct reconcile *rc, const struct want_net *net)
{
	struct want_reverse want = { .vni = net->vni };

	for (uint32_t i = 0; i < net->ranges_len; i++) {
		const struct want_range *range = &net->ranges[i];

		want.prefixes[want.len++] = range->subnet;
		for (uint32_t k = 0; k < range->vips_len; k++)
			want.prefixes[want.len++] = range->vips[k];
	}
	return dns_reverse_put(rc->cfg.dns, &want);
}

/* Names are kept only where somebody can ask for them. */
static int tell_zone(struct reconcile *rc, struct told_net *told,
		     const struct want_net *want, const struct net *net)
{
	bool was = told->joined;
	struct want_zone zone = zone_want(want);

	if (!want->joined) {
		told->joined = false;
		return was ? dns_zone_del(rc->cfg.dns, want->vni) : 0;
	}
	told->joined = true;
	if (!was) {
		struct service *s;
		struct pod_name *name;

		for (s = net->services; s; s = s->hh.next)
			rc_mark(rc, MARK_SERVICE, net->name, s->name);
		for (name = net->names; name; name = name->hh.next)
			rc_mark(rc, MARK_NAME, net->name, name->name);
		rc_written(rc, net);
		rc_mark(rc, MARK_NODE, "", rc->m->self);
	}
	rc_outside_want(rc, told);
	return dns_zone_put(rc->cfg.dns, &zone);
}

/* On a host without IPv6 a network has what is left. */
static void drop_v6(struct want_net *want)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < want->ranges_len; i++)
		if (ip_is_v4(&want->ranges[i].subnet.addr))
			want->ranges[len++] = want->ranges[i];
	if (len < want->ranges_len)
		log_warn_limited("reconcile: this kernel has no IPv6, the "
				 "network is served without it net=%s",
				 want->name);
	want->ranges_len = len;
}

void rc_net(struct reconcile *rc, const char *name)
{
	const struct net *net = model_net(rc->m, name);
	struct told_net *told;
	struct want_net want, here;
	const char *detail = "";
	int err;

	HASH_FIND_STR(rc->nets, name, told);
	if (told && (!net || net->vni != told->vni))
		forget_net(rc, told);
	if (!net)
		return;
	told = told_net(rc, net);
	want = net_want(net, is_joined(rc, net));

	err = ebpf_net_put(rc->cfg.bpf, &want);
	if (!err)
		err = tell_routes(rc, told, net);
	if (err)
		detail = ebpf_error(rc->cfg.bpf);
	here = want;
	if (!overlay_has_v6())
		drop_v6(&here);
	if (!err) {
		err = overlay_net_put(rc->cfg.overlay, &here);
		if (err)
			detail = overlay_error(rc->cfg.overlay);
	}
	if (!err)
		err = fault_at(FAULT_NET_PUT);
	if (!err)
		err = tell_reverse(rc, &want);
	if (!err)
		err = tell_zone(rc, told, &here, net);
	if (err) {
		rc_complain(rc, err, "tell the network", name, detail);
		rc_mark_later(rc, MARK_NET, name, "");
	}
}

void rc_nets_sweep(struct reconcile *rc)
{
	struct told_net *told, *tmp;

	HASH_ITER (hh, rc->nets, told, tmp) {
		if (!model_net(rc->m, told->name))
			forget_net(rc, told);
	}
}
