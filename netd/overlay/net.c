/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks as the host sees them: a route for the subnet and for every VIP
 * range by netd0, on every node, member or not, so that its processes reach
 * all pods and services. The routes' source is the node's tunnel address, or
 * its first of the other family: the gateway's is the same on every node, and
 * answers to it would go astray. On a node that has no global address of IPv6
 * the kernel takes the gateway's: from there the host's own processes reach
 * only the pods of this node by IPv6.
 */
#include <unistd.h>

#include "lag.h"
#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/util.h"
#include "nft.h"
#include "state.h"
#include "sysctl.h"

/* What is routed by netd0: a network's subnets and VIP ranges. */
struct net_prefixes {
	struct ip_prefix list[NET_PREFIXES_MAX];
	uint32_t len;
};

static struct net_prefixes net_prefixes(const struct want_net *net)
{
	struct net_prefixes all = { .len = 0 };

	for (uint32_t i = 0; i < net->ranges_len; i++) {
		const struct want_range *range = &net->ranges[i];

		all.list[all.len++] = range->subnet;
		for (uint32_t k = 0; k < MIN(range->vips_len, NET_VIPS_MAX);
		     k++)
			all.list[all.len++] = range->vips[k];
	}
	return all;
}

static bool net_has_prefix(const struct want_net *net,
			   const struct ip_prefix *p)
{
	struct net_prefixes all = net_prefixes(net);

	for (uint32_t i = 0; i < all.len; i++) {
		if (prefix_eq(&all.list[i], p))
			return true;
	}
	return false;
}

/* Is that an address netd0 has to have for this network? */
static bool net_has_gateway(const struct want_net *net,
			    const struct ip_addr *gateway)
{
	if (!net->joined || ip_is_none(gateway))
		return false;
	for (uint32_t i = 0; i < net->ranges_len; i++) {
		if (ip_eq(&net->ranges[i].gateway, gateway))
			return true;
	}
	return false;
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
	for (uint32_t i = 0; ip_is_none(&route.src) && i < ov->addrs_len; i++)
		if (ip_is_v4(&ov->addrs[i]) == ip_is_v4(&dst->addr))
			route.src = ov->addrs[i];
	return route;
}

static bool net_is_same(const struct want_net *a, const struct want_net *b)
{
	struct net_prefixes all = net_prefixes(a);

	if (a->joined != b->joined || a->internal != b->internal ||
	    a->ranges_len != b->ranges_len || all.len != net_prefixes(b).len)
		return false;
	for (uint32_t i = 0; i < a->ranges_len; i++) {
		if (!ip_eq(&a->ranges[i].gateway, &b->ranges[i].gateway))
			return false;
	}
	for (uint32_t i = 0; i < all.len; i++) {
		if (!net_has_prefix(b, &all.list[i]))
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

static int net_drop_gateway(struct overlay *ov, const struct ip_addr *gateway)
{
	struct ip_prefix host = prefix_host(gateway);
	int err = nl_addr_del(ov->nl, ov->tunnel.ifindex, &host);

	return err ? ov_fail(ov, err, "cannot remove a gateway") : 0;
}

/* What `old` put into the kernel and `next` (or nobody) does not want. */
static int net_drop(struct overlay *ov, const struct want_net *old,
		    const struct want_net *next)
{
	struct net_prefixes all = net_prefixes(old);
	int err, ret = 0;

	for (uint32_t i = 0; i < all.len; i++) {
		struct nl_route route = net_route(ov, &all.list[i]);

		if (next && net_has_prefix(next, &all.list[i]))
			continue;
		err = nl_route_del(ov->nl, &route);
		if (err)
			ret = ov_fail(ov, err, "cannot remove a route");
	}
	for (uint32_t i = 0; i < old->ranges_len; i++) {
		const struct ip_addr *gateway = &old->ranges[i].gateway;

		if (!net_has_gateway(old, gateway) ||
		    (next && net_has_gateway(next, gateway)))
			continue;
		err = net_drop_gateway(ov, gateway);
		ret = ret ? ret : err;
	}
	return ret;
}

static bool net_is_in_pool(const struct overlay *ov,
			   const struct ip_prefix *subnet)
{
	for (size_t i = 0; i < ov->config.pools_len; i++) {
		const struct ip_prefix *pool = &ov->config.pools[i];

		if (pool->len <= subnet->len &&
		    prefix_contains(pool, &subnet->addr))
			return true;
	}
	return false;
}

/* Egress of subnets outside the pools needs a place in the table. Adds them
 * to the list, if there is one. */
static size_t net_own_pools(const struct overlay *ov,
			    const struct want_net *net, struct ip_prefix *list)
{
	size_t n = 0;

	for (uint32_t i = 0; !net->internal && i < net->ranges_len; i++) {
		const struct ip_prefix *subnet = &net->ranges[i].subnet;

		if (net_is_in_pool(ov, subnet))
			continue;
		if (list)
			list[n] = *subnet;
		n++;
	}
	return n;
}

int net_put_nft(struct overlay *ov)
{
	LAG(LAG_NFT);
	size_t max = ov->config.pools_len + RANGES_MAX * HASH_COUNT(ov->nets);
	struct ip_prefix *pools = xzalloc((max + 1) * sizeof(*pools));
	struct nft_config config = {
		.tunnel = TUNNEL_NAME,
		.port = ov->config.port,
		.vtep = ov->config.vtep,
		.member_mark = EBPF_MARK_MEMBER,
		.pools = pools,
		.pools_len = ov->config.pools_len,
	};
	struct ov_net *net, *next;
	char text[400];
	int err;

	for (size_t i = 0; i < ov->config.pools_len; i++)
		pools[i] = ov->config.pools[i];
	HASH_ITER (hh, ov->nets, net, next) {
		config.pools_len +=
			net_own_pools(ov, &net->want, pools + config.pools_len);
	}
	err = nft_put(&config, text, sizeof(text));
	free(pools);
	ov->nft_is_old = err != 0;
	return err ? ov_say(ov, err, "nft: %s", text) : 0;
}

static int net_update_nft(struct overlay *ov)
{
	if (!ov->nft_is_old || ov->nft_waits)
		return 0;
	return net_put_nft(ov);
}

static bool net_has_v6(const struct want_net *net)
{
	for (uint32_t i = 0; i < net->ranges_len; i++) {
		if (!ip_is_v4(&net->ranges[i].subnet.addr))
			return true;
	}
	return false;
}

/* The host's forwarding stays when the last such network goes, as IPv4's
 * does: somebody else may count on it by then. */
static int net_put_v6(struct overlay *ov)
{
	int err = sysctl_put("ipv6/conf", TUNNEL_NAME, "disable_ipv6", "0");

	if (!err)
		err = sysctl_forward6();
	return err ? ov_say(ov, err,
			    "cannot forward IPv6 (is it disabled in this "
			    "kernel?): %s",
			    strerror(-err))
		   : 0;
}

bool overlay_has_v6(void)
{
	return !access("/proc/sys/net/ipv6/conf/all/forwarding", F_OK);
}

static int net_put_kernel(struct overlay *ov, const struct want_net *want)
{
	struct net_prefixes all = net_prefixes(want);
	int err = 0;

	if (net_has_v6(want))
		err = net_put_v6(ov);
	for (uint32_t i = 0; i < all.len && !err; i++)
		err = net_put_route(ov, &all.list[i]);
	for (uint32_t i = 0; i < want->ranges_len && !err; i++) {
		if (net_has_gateway(want, &want->ranges[i].gateway))
			err = net_put_gateway(ov, &want->ranges[i].gateway);
	}
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
		ov->nft_is_old |= net_own_pools(ov, want, NULL) > 0;
	} else {
		ov->nft_is_old |= net_own_pools(ov, want, NULL) ||
				  net_own_pools(ov, &net->want, NULL);
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
	ov->nft_is_old |= net_own_pools(ov, &net->want, NULL) > 0;
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
	struct net_prefixes all = net_prefixes(want);
	int err, ret = net_has_v6(want) ? net_put_v6(ov) : 0;

	for (uint32_t i = 0; i < all.len; i++) {
		struct nl_route route = net_route(ov, &all.list[i]);

		if (net_kernel_has_route(k, &route))
			continue;
		log_info("overlay: route put back net=%s", want->name);
		err = net_put_route(ov, &all.list[i]);
		ret = ret ? ret : err;
	}
	for (uint32_t i = 0; i < want->ranges_len; i++) {
		const struct ip_addr *gateway = &want->ranges[i].gateway;

		if (!net_has_gateway(want, gateway) ||
		    net_kernel_has_addr(k, gateway))
			continue;
		log_info("overlay: gateway put back net=%s", want->name);
		err = net_put_gateway(ov, gateway);
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
		if (net_has_gateway(&net->want, a))
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
