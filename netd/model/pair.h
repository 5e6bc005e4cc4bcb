/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair - the two families of a dual-stack network. Pure.
 *
 * Addresses are given out once, of the IPv4 subnet. The n-th address of the
 * IPv6 subnet belongs to whoever has the n-th of the IPv4 one; blocks, the
 * gateway and VIPs go in pairs in the same way. So there is one look-up, one
 * claim and one owner for both, and nothing that could disagree. A network of
 * one family has no pairs: what is asked for is none.
 */
#pragma once

#include "model.h"

bool net_is_dual(const struct net *net);
/* Does it serve this family? */
bool net_has_family(const struct net *net, bool v6);
/* Is that an address of its pods, of either family? */
bool net_holds(const struct net *net, const struct ip_addr *addr);

/* The IPv6 address, or prefix, beside one of the primary subnet. */
struct ip_addr pair_addr(const struct net *net, const struct ip_addr *addr);
struct ip_prefix pair_prefix(const struct net *net, const struct ip_prefix *p);
/* Beside a VIP; none too when its range has no pair (yet). */
struct ip_addr pair_vip(const struct net *net, const struct ip_addr *vip);

/* The other way: of a pod's address, or a VIP, of either family the primary
 * one; none when it is not the network's, or has none beside it. */
struct ip_addr pair_primary(const struct net *net, const struct ip_addr *addr);
struct ip_addr pair_primary_vip(const struct net *net,
				const struct ip_addr *vip);

/*
 * What a pod asks for by one or two addresses (none: no wish) comes to, as an
 * address of the primary subnet. Two that are no pair are refused, and so is
 * IPv6 where the network has none.
 */
int pair_wish(const struct net *net, const struct ip_addr *ip,
	      const struct ip_addr *ip6, struct ip_addr *ret,
	      struct refusal *r);
/* The same for the VIP of a service. */
int pair_wish_vip(const struct net *net, const struct ip_addr *want,
		  struct ip_addr *ret, struct refusal *r);
