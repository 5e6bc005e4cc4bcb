/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks as the host sees them: a route for the subnet and for every VIP
 * range by netd0, on every node, member or not, so that its processes reach
 * all pods and services. The routes' source is the node's tunnel address: the
 * gateway's is the same on every node, and answers to it would go astray.
 */
#include "netd/log.h"
#include "netd/util.h"
#include "nft.h"
#include "state.h"

/* The prefix number i of a network: the subnet, then the VIP ranges. */
static const struct ip_prefix *net_prefix(const struct want_net *net,
					  uint32_t i)
{
	return i ? &net->vips[i - 1] : &net->subnet;
}

static uint32_t net_prefixes(const struct want_net *net)
{
	return 1 + MIN(net->vips_len, NET_VIPS_MAX);
}

static bool net_has_prefix(const struct want_net *net,
			   const struct ip_prefix *p)
{
	for (uint32_t i = 0; i < net_prefixes(net); i++) {
		if (prefix_eq(net_prefix(net, i), p))
			return true;
	}
	return false;
}

static bool net_has_gateway(const struct want_net *net)
{
	return net->joined && !ip_is_none(&net->gateway);
}

static struct nl_route net_route(const struct overlay *ov,
				 const struct ip_prefix *dst)
{
	struct nl_route route = {
		.ifindex = ov->tunnel.ifindex,
		.dst = prefix_make(&dst->addr, dst->len),
		.protocol = OVERLAY_RTPROT,
	};

	if (ip_is_v4(&dst->addr) == ip_is_v4(&ov->config.vtep))
		route.src = ov->config.vtep;
	return route;
}

static bool net_is_same(const struct want_net *a, const struct want_net *b)
{
	if (a->joined != b->joined || a->internal != b->internal ||
	    !ip_eq(&a->gateway, &b->gateway) ||
	    net_prefixes(a) != net_prefixes(b))
		return false;
	for (uint32_t i = 0; i < net_prefixes(a); i++) {
		if (!prefix_eq(net_prefix(a, i), net_prefix(b, i)))
			return false;
	}
	return true;
}

static int net_put_route(struct overlay *ov, const struct ip_prefix *dst)
{
	struct nl_route route = net_route(ov, dst);
	char text[PREFIX_STRLEN];
	int err = nl_route_put(ov->nl, &route);

	return err ? ov_fail(ov, err, "cannot route %s", prefix_str(dst, text))
		   : 0;
}

static int net_put_gateway(struct overlay *ov, const struct ip_addr *gateway)
{
	struct ip_prefix host = prefix_host(gateway);
	char text[IP_STRLEN];
	int err = nl_addr_add(ov->nl, ov->tunnel.ifindex, &host);

	return err ? ov_fail(ov, err, "cannot add gateway %s",
			     ip_str(gateway, text))
		   : 0;
}

/* What `old` put into the kernel and `next` (or nobody) does not want. */
static int net_drop(struct overlay *ov, const struct want_net *old,
		    const struct want_net *next)
{
	struct ip_prefix host = prefix_host(&old->gateway);
	int err, ret = 0;

	for (uint32_t i = 0; i < net_prefixes(old); i++) {
		struct nl_route route = net_route(ov, net_prefix(old, i));

		if (next && net_has_prefix(next, net_prefix(old, i)))
			continue;
		err = nl_route_del(ov->nl, &route);
		if (err)
			ret = ov_fail(ov, err, "cannot remove a route");
	}
	if (!net_has_gateway(old) || (next && net_has_gateway(next) &&
				      ip_eq(&next->gateway, &old->gateway)))
		return ret;
	err = nl_addr_del(ov->nl, ov->tunnel.ifindex, &host);
	return err ? ov_fail(ov, err, "cannot remove a gateway") : ret;
}

/* Egress of networks outside the pools needs a place in the table. */
static bool net_is_own_pool(const struct overlay *ov,
			    const struct want_net *net)
{
	if (net->internal)
		return false;
	for (size_t i = 0; i < ov->config.pools_len; i++) {
		const struct ip_prefix *pool = &ov->config.pools[i];

		if (pool->len <= net->subnet.len &&
		    prefix_contains(pool, &net->subnet.addr))
			return false;
	}
	return true;
}

int net_put_nft(struct overlay *ov)
{
	size_t max = ov->config.pools_len + HASH_COUNT(ov->nets);
	struct ip_prefix *pools = xzalloc((max + 1) * sizeof(*pools));
	struct nft_config config = {
		.tunnel = TUNNEL_NAME,
		.port = ov->config.port,
		.vtep = ov->config.vtep,
		.pools = pools,
		.pools_len = ov->config.pools_len,
	};
	struct ov_net *net, *next;
	char text[400];
	int err;

	for (size_t i = 0; i < ov->config.pools_len; i++)
		pools[i] = ov->config.pools[i];
	HASH_ITER (hh, ov->nets, net, next) {
		if (net_is_own_pool(ov, &net->want))
			pools[config.pools_len++] = net->want.subnet;
	}
	err = nft_put(&config, text, sizeof(text));
	free(pools);
	ov->nft_is_old = err != 0;
	return err ? ov_say(ov, err, "nft: %s", text) : 0;
}

static int net_update_nft(struct overlay *ov)
{
	if (!ov->nft_is_old || ov->in_audit)
		return 0;
	return net_put_nft(ov);
}

static int net_put_kernel(struct overlay *ov, const struct want_net *want)
{
	int err = 0;

	for (uint32_t i = 0; i < net_prefixes(want) && !err; i++)
		err = net_put_route(ov, net_prefix(want, i));
	if (!err && net_has_gateway(want))
		err = net_put_gateway(ov, &want->gateway);
	return err;
}

static struct ov_net *net_find(struct overlay *ov, uint32_t vni)
{
	struct ov_net *net;

	HASH_FIND(hh, ov->nets, &vni, sizeof(vni), net);
	return net;
}

int overlay_net_put(struct overlay *ov, const struct want_net *want)
{
	struct ov_net *net = net_find(ov, want->vni);
	int err = 0;

	if (net && !net->is_dirty && net_is_same(&net->want, want)) {
		net->seen = true;
		return 0;
	}
	if (!net) {
		net = xzalloc(sizeof(*net));
		net->vni = want->vni;
		HASH_ADD(hh, ov->nets, vni, sizeof(net->vni), net);
		ov->nft_is_old |= net_is_own_pool(ov, want);
	} else {
		ov->nft_is_old |= net_is_own_pool(ov, want) ||
				  net_is_own_pool(ov, &net->want);
		err = net_drop(ov, &net->want, want);
	}
	net->want = *want;
	net->seen = true;
	if (!err)
		err = net_put_kernel(ov, want);
	net->is_dirty = err != 0;
	return err ? err : net_update_nft(ov);
}

static int net_forget(struct overlay *ov, struct ov_net *net)
{
	int err = net_drop(ov, &net->want, NULL);

	if (err) {
		net->is_dirty = true;
		return err;
	}
	ov->nft_is_old |= net_is_own_pool(ov, &net->want);
	HASH_DEL(ov->nets, net);
	free(net);
	return 0;
}

int overlay_net_del(struct overlay *ov, uint32_t vni)
{
	struct ov_net *net = net_find(ov, vni);
	int err;

	if (!net)
		return 0;
	err = net_forget(ov, net);
	return err ? err : net_update_nft(ov);
}

void ov_nets_free(struct overlay *ov)
{
	struct ov_net *net, *next;

	HASH_ITER (hh, ov->nets, net, next) {
		HASH_DEL(ov->nets, net);
		free(net);
	}
}

/* netd0 as it is: its routes sorted by destination, and its addresses. */
struct net_kernel {
	uint32_t ifindex;
	struct nl_route *routes;
	size_t routes_len;
	struct ip_addr *addrs;
	size_t addrs_len;
};

static void net_kernel_clear(struct net_kernel *k)
{
	free(k->routes);
	free(k->addrs);
}

static bool net_kernel_route(void *arg, const struct nl_route *r)
{
	struct net_kernel *k = arg;

	if (!(k->routes_len & (k->routes_len - 1)))
		k->routes = xrealloc(k->routes, MAX(2 * k->routes_len, 1) *
							sizeof(*k->routes));
	k->routes[k->routes_len++] = *r;
	return true;
}

static int net_cmp_route(const void *a, const void *b)
{
	const struct nl_route *x = a, *y = b;
	int c = ip_cmp(&x->dst.addr, &y->dst.addr);

	return c ? c : (int)x->dst.len - (int)y->dst.len;
}

static int net_cmp_addr(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

static void net_kernel_addrs(struct net_kernel *k, const struct ov_scan *scan)
{
	k->addrs = xzalloc((scan->addrs_len + 1) * sizeof(*k->addrs));
	for (size_t i = 0; i < scan->addrs_len; i++) {
		const struct nl_ifaddr *a = &scan->addrs[i];

		if (a->ifindex == k->ifindex && a->is_global)
			k->addrs[k->addrs_len++] = a->addr.addr;
	}
	qsort(k->addrs, k->addrs_len, sizeof(*k->addrs), net_cmp_addr);
}

static int net_kernel_read(struct overlay *ov, const struct ov_scan *scan,
			   struct net_kernel *k)
{
	int err;

	k->ifindex = ov->tunnel.ifindex;
	err = nl_route_each(ov->nl, k->ifindex, net_kernel_route, k);
	if (err)
		return ov_fail(ov, err, "cannot read the routes by %s",
			       TUNNEL_NAME);
	if (k->routes_len)
		qsort(k->routes, k->routes_len, sizeof(*k->routes),
		      net_cmp_route);
	net_kernel_addrs(k, scan);
	return 0;
}

static bool net_kernel_has_route(const struct net_kernel *k,
				 const struct nl_route *want)
{
	const struct nl_route *r = NULL;

	if (k->routes_len)
		r = bsearch(want, k->routes, k->routes_len, sizeof(*want),
			    net_cmp_route);
	return r && r->protocol == want->protocol &&
	       ip_eq(&r->src, &want->src) && ip_eq(&r->via, &want->via);
}

static bool net_kernel_has_addr(const struct net_kernel *k,
				const struct ip_addr *want)
{
	return k->addrs_len && bsearch(want, k->addrs, k->addrs_len,
				       sizeof(*want), net_cmp_addr);
}

static int net_repair_one(struct overlay *ov, const struct net_kernel *k,
			  const struct want_net *want)
{
	int err, ret = 0;

	for (uint32_t i = 0; i < net_prefixes(want); i++) {
		struct nl_route route = net_route(ov, net_prefix(want, i));

		if (net_kernel_has_route(k, &route))
			continue;
		log_info("overlay: route put back net=%s", want->name);
		err = net_put_route(ov, net_prefix(want, i));
		ret = ret ? ret : err;
	}
	if (net_has_gateway(want) && !net_kernel_has_addr(k, &want->gateway)) {
		log_info("overlay: gateway put back net=%s", want->name);
		err = net_put_gateway(ov, &want->gateway);
		ret = ret ? ret : err;
	}
	return ret;
}

int net_repair(struct overlay *ov, const struct ov_scan *scan)
{
	AUTO(net_kernel_clear) struct net_kernel k = { 0 };
	struct ov_net *net, *next;
	int err, ret;

	if (!ov->nets)
		return 0;
	ret = net_kernel_read(ov, scan, &k);
	if (ret)
		return ret;
	HASH_ITER (hh, ov->nets, net, next) {
		err = net_repair_one(ov, &k, &net->want);
		net->is_dirty = err != 0;
		ret = ret ? ret : err;
	}
	return ret;
}

static bool net_wants_route(const struct overlay *ov,
			    const struct ip_prefix *dst)
{
	struct ov_net *net, *next;

	HASH_ITER (hh, ov->nets, net, next) {
		if (net_has_prefix(&net->want, dst))
			return true;
	}
	return false;
}

static bool net_wants_addr(const struct overlay *ov, const struct ip_addr *a)
{
	struct ov_net *net, *next;

	HASH_ITER (hh, ov->nets, net, next) {
		if (net_has_gateway(&net->want) && ip_eq(&net->want.gateway, a))
			return true;
	}
	return false;
}

static int net_sweep_kernel(struct overlay *ov, const struct ov_scan *scan)
{
	AUTO(net_kernel_clear) struct net_kernel k = { 0 };
	int err, ret;

	ret = net_kernel_read(ov, scan, &k);
	for (size_t i = 0; i < k.routes_len && !ret; i++) {
		const struct nl_route *r = &k.routes[i];

		if (r->protocol != OVERLAY_RTPROT ||
		    net_wants_route(ov, &r->dst))
			continue;
		err = nl_route_del(ov->nl, r);
		if (err)
			ret = ov_fail(ov, err, "cannot remove an old route");
	}
	for (size_t i = 0; i < k.addrs_len && !ret; i++) {
		struct ip_prefix host = prefix_host(&k.addrs[i]);

		if (net_wants_addr(ov, &k.addrs[i]))
			continue;
		err = nl_addr_del(ov->nl, k.ifindex, &host);
		if (err)
			ret = ov_fail(ov, err, "cannot remove an old gateway");
	}
	return ret;
}

int net_sweep(struct overlay *ov, const struct ov_scan *scan)
{
	struct ov_net *net, *next;
	int err, ret = 0;

	HASH_ITER (hh, ov->nets, net, next) {
		if (net->seen)
			continue;
		err = net_forget(ov, net);
		ret = ret ? ret : err;
	}
	err = net_sweep_kernel(ov, scan);
	ret = ret ? ret : err;
	err = net_update_nft(ov);
	return ret ? ret : err;
}
