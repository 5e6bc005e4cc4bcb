/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include "netd/util.h"

static const struct ip_addr none;

bool net_is_dual(const struct net *net)
{
	return net->subnet6.len != 0;
}

bool net_has_family(const struct net *net, bool v6)
{
	return ip_is_v4(&net->subnet.addr) ? !v6 || net_is_dual(net) : v6;
}

bool net_holds(const struct net *net, const struct ip_addr *addr)
{
	return prefix_contains(&net->subnet, addr) ||
	       (net_is_dual(net) && prefix_contains(&net->subnet6, addr));
}

struct ip_addr pair_addr(const struct net *net, const struct ip_addr *addr)
{
	if (!net_is_dual(net) || !prefix_contains(&net->subnet, addr))
		return none;
	return ip_add(&net->subnet6.addr, ip_distance(&net->subnet.addr, addr));
}

struct ip_prefix pair_prefix(const struct net *net, const struct ip_prefix *p)
{
	return (struct ip_prefix){ pair_addr(net, &p->addr), p->len };
}

struct ip_addr pair_vip(const struct net *net, const struct ip_addr *vip)
{
	for (uint32_t i = 0; i < MIN(net->vips_len, net->vips6_len); i++)
		if (prefix_contains(&net->vips[i], vip))
			return ip_add(&net->vips6[i].addr,
				      ip_distance(&net->vips[i].addr, vip));
	return none;
}

/* The address of `to` that has the place of this one in `from`. */
static int move(const struct ip_prefix *from, const struct ip_prefix *to,
		const struct ip_addr *addr, struct ip_addr *ret)
{
	int64_t n;

	if (!prefix_contains(from, addr))
		return -EINVAL;
	n = ip_distance(&from->addr, addr);
	if (n >= prefix_size(to))
		return -EINVAL;
	*ret = ip_add(&to->addr, n);
	return 0;
}

struct ip_addr pair_primary(const struct net *net, const struct ip_addr *addr)
{
	struct ip_addr ret;

	if (prefix_contains(&net->subnet, addr))
		return *addr;
	if (net_is_dual(net) && !move(&net->subnet6, &net->subnet, addr, &ret))
		return ret;
	return none;
}

struct ip_addr pair_primary_vip(const struct net *net,
				const struct ip_addr *vip)
{
	struct ip_addr ret;

	for (uint32_t i = 0; i < net->vips_len; i++)
		if (prefix_contains(&net->vips[i], vip))
			return *vip;
	for (uint32_t i = 0; i < MIN(net->vips_len, net->vips6_len); i++)
		if (!move(&net->vips6[i], &net->vips[i], vip, &ret))
			return ret;
	return none;
}

static int refuse_no_v6(const struct net *net, const char *field,
			struct refusal *r)
{
	return refuse(r, API_INVALID, field,
		      "leave it out, or make a network with --ipv6",
		      "network \"%s\" has no IPv6", net->name);
}

static int refuse_unpaired(const struct net *net, const struct ip_addr *ip6,
			   struct refusal *r)
{
	char ip[IP_STRLEN], last[IP_STRLEN], v4[PREFIX_STRLEN];
	struct ip_addr end = prefix_last(&net->subnet);

	end = pair_addr(net, &end);
	refuse(r, API_INVALID, "ip6", NULL,
	       "address %s pairs with none of %s on network \"%s\"",
	       ip_str(ip6, ip), prefix_str(&net->subnet, v4), net->name);
	refuse_hint(r, "choose one from %s to %s, or none",
		    ip_str(&net->subnet6.addr, ip), ip_str(&end, last));
	return -EINVAL;
}

int pair_wish(const struct net *net, const struct ip_addr *ip,
	      const struct ip_addr *ip6, struct ip_addr *ret, struct refusal *r)
{
	struct ip_addr at, pair;
	char a[IP_STRLEN], b[IP_STRLEN];

	/* An address says itself of which family it is. */
	if (ip_is_none(ip6) && !ip_is_none(ip) && !ip_is_v4(ip))
		return pair_wish(net, &none, ip, ret, r);
	*ret = *ip;
	if (ip_is_none(ip6))
		return 0;
	if (ip_is_v4(ip6))
		return refuse(r, API_INVALID, "ip6", "write it as ip",
			      "ip6 %s is an IPv4 address", ip_str(ip6, a));
	if (!net_has_family(net, true))
		return refuse_no_v6(net, "ip6", r);
	at = *ip6;
	if (net_is_dual(net) && move(&net->subnet6, &net->subnet, ip6, &at))
		return refuse_unpaired(net, ip6, r);
	if (!ip_is_none(ip) && !ip_eq(ip, &at)) {
		refuse(r, API_INVALID, "ip6", "give one of the two",
		       "addresses %s and %s are no pair on network \"%s\"",
		       ip_str(ip, a), ip_str(ip6, b), net->name);
		pair = pair_addr(net, ip);
		if (!ip_is_none(&pair))
			refuse_hint(r, "%s goes with %s", a, ip_str(&pair, b));
		return -EINVAL;
	}
	*ret = at;
	return 0;
}

int pair_wish_vip(const struct net *net, const struct ip_addr *want,
		  struct ip_addr *ret, struct refusal *r)
{
	*ret = *want;
	if (ip_is_none(want) || ip_is_v4(want))
		return 0;
	if (!net_has_family(net, true))
		return refuse_no_v6(net, "vip", r);
	for (uint32_t i = 0; i < MIN(net->vips_len, net->vips6_len); i++)
		if (!move(&net->vips6[i], &net->vips[i], want, ret))
			return 0;
	/* Who looks for it in the ranges says what they are. */
	return 0;
}
