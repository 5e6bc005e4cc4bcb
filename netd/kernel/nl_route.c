/* SPDX-License-Identifier: Apache-2.0 */
/* Routes of the main table: dump, put, delete. */
#include "nl.h"

#include <linux/rtnetlink.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include "netd/util.h"
#include "nl_msg.h"

static void rtnl_routep(struct rtnl_route **route)
{
	if (*route)
		rtnl_route_put(*route);
}

struct route_walk {
	uint32_t ifindex;
	bool (*fn)(void *arg, const struct nl_route *r);
	void *arg;
	bool stop;
};

/* Of several next hops the first one stands for the route. */
static bool route_read(struct rtnl_route *from, struct nl_route *ret)
{
	struct rtnl_nexthop *hop;

	memset(ret, 0, sizeof(*ret));
	if (rtnl_route_get_table(from) != RT_TABLE_MAIN ||
	    rtnl_route_get_type(from) != RTN_UNICAST ||
	    !nl_addr_to_prefix(rtnl_route_get_dst(from), &ret->dst) ||
	    !nl_addr_to_ip(rtnl_route_get_pref_src(from), &ret->src))
		return false;
	ret->protocol = rtnl_route_get_protocol(from);
	hop = rtnl_route_nexthop_n(from, 0);
	if (!hop)
		return true;
	ret->ifindex = (uint32_t)rtnl_route_nh_get_ifindex(hop);
	ret->onlink = rtnl_route_nh_get_flags(hop) & RTNH_F_ONLINK;
	return nl_addr_to_ip(rtnl_route_nh_get_gateway(hop), &ret->via);
}

static int route_parse(void *arg, struct nlmsghdr *hdr)
{
	AUTO(rtnl_routep) struct rtnl_route *from = NULL;
	struct route_walk *walk = arg;
	struct nl_route route;

	if (rtnl_route_parse(hdr, &from) || !route_read(from, &route))
		return 0;
	if (walk->ifindex && walk->ifindex != route.ifindex)
		return 0;
	walk->stop = !walk->fn(walk->arg, &route);
	return walk->stop;
}

/* The kernel filters by table and device (4.20), and by one family at a time:
 * the table exists once for each. */
static int route_dump(struct nl *nl, uint8_t family, struct route_walk *walk)
{
	struct rtmsg head = {
		.rtm_family = family,
		.rtm_table = RT_TABLE_MAIN,
	};
	AUTO(nl_msg_freep)
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETROUTE, 0);

	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO))
		return -ENOMEM;
	if (walk->ifindex && nla_put_u32(msg, RTA_OIF, walk->ifindex))
		return -ENOMEM;
	return nl_read_all(nl, msg, route_parse, walk);
}

/* No such family in this kernel, or no such device any more. */
static bool route_is_none(int err)
{
	return err == -EAFNOSUPPORT || err == -EOPNOTSUPP || err == -ENOENT ||
	       err == -ENODEV;
}

int nl_route_each(struct nl *nl, uint32_t ifindex,
		  bool (*fn)(void *arg, const struct nl_route *r), void *arg)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct route_walk walk = { .ifindex = ifindex, .fn = fn, .arg = arg };
	int err;

	for (size_t i = 0; i < ARRAY_LEN(families) && !walk.stop; i++) {
		err = route_dump(nl, families[i], &walk);
		if (err && !route_is_none(err))
			return err;
	}
	return 0;
}

static int route_add_hop(struct rtnl_route *to, const struct nl_route *route)
{
	AUTO(nl_addr_putp) struct nl_addr *via = nl_addr_from_ip(&route->via);
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();

	if (!hop)
		return -ENOMEM;
	rtnl_route_nh_set_ifindex(hop, (int)route->ifindex);
	if (via)
		rtnl_route_nh_set_gateway(hop, via);
	if (route->onlink)
		rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
	rtnl_route_add_nexthop(to, hop);
	return 0;
}

static struct rtnl_route *route_make(const struct nl_route *route)
{
	struct ip_prefix net = prefix_make(&route->dst.addr, route->dst.len);
	AUTO(nl_addr_putp) struct nl_addr *dst = nl_addr_from_prefix(&net);
	AUTO(nl_addr_putp) struct nl_addr *src = nl_addr_from_ip(&route->src);
	AUTO(rtnl_routep) struct rtnl_route *to = rtnl_route_alloc();

	if (!to || !dst || rtnl_route_set_dst(to, dst))
		return NULL;
	rtnl_route_set_table(to, RT_TABLE_MAIN);
	rtnl_route_set_type(to, RTN_UNICAST);
	rtnl_route_set_protocol(to, route->protocol);
	rtnl_route_set_scope(to, ip_is_none(&route->via) ? RT_SCOPE_LINK
							 : RT_SCOPE_UNIVERSE);
	if (src && rtnl_route_set_pref_src(to, src))
		return NULL;
	if (route_add_hop(to, route))
		return NULL;
	return take_ptr(to);
}

int nl_route_put(struct nl *nl, const struct nl_route *route)
{
	AUTO(rtnl_routep) struct rtnl_route *to = route_make(route);
	AUTO(nl_msg_freep) struct nl_msg *msg = NULL;
	int err;

	if (!to)
		return -ENOMEM;
	err = rtnl_route_build_add_request(to, NLM_F_CREATE | NLM_F_REPLACE,
					   &msg);
	if (err)
		return nl_build_error(err);
	return nl_request(nl, msg, NULL, NULL);
}

int nl_route_del(struct nl *nl, const struct nl_route *route)
{
	AUTO(rtnl_routep) struct rtnl_route *to = route_make(route);
	AUTO(nl_msg_freep) struct nl_msg *msg = NULL;
	int err;

	if (!to)
		return -ENOMEM;
	err = rtnl_route_build_del_request(to, 0, &msg);
	if (err)
		return nl_build_error(err);
	err = nl_request(nl, msg, NULL, NULL);
	return err == -ESRCH || err == -ENODEV ? 0 : err;
}
