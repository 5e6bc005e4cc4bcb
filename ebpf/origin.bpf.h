/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * origin - does a tunnel packet come by the way its sender is reached?
 *
 * The underlay between the nodes is trusted, but a container on a bridge of
 * this host, which is an uplink too, could put a member's address into its
 * packets; whether the host's rp_filter would mind is not ours to say. So a
 * route to the sender by the interface of arrival has to be there, be it one
 * of several. What was found holds as path.bpf.h's does, and most packets pay
 * for one look-up in an array. Where no program is, netd's nft table asks for
 * the best route.
 */
#pragma once

#include "flow.bpf.h"
#include "maps.bpf.h"
#include "parse.bpf.h"
#include "path.bpf.h"

#define ORIGINS 256
#define BPF_FIB_OUTPUT 2u /* BPF_FIB_LOOKUP_OUTPUT */

struct origin {
	__be32 sender;
	__u32 ifindex;
	__u32 tick;
	__u32 changes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ORIGINS);
	__type(key, __u32);
	__type(value, struct origin);
} origins SEC(".maps");

/* By which the kernel would send to it: *ifindex, or what that was. */
static __always_inline int origin_ask(struct __sk_buff *skb, __be32 sender,
				      __u32 *ifindex, __u32 flags)
{
	struct bpf_fib_lookup fib = {
		.family = AF_INET,
		.l4_protocol = IPPROTO_UDP,
		.dport = config.vxlan_port,
		.ifindex = *ifindex,
		.ipv4_src = config.vtep.w[3],
		.ipv4_dst = sender,
	};
	int rc = bpf_fib_lookup(skb, &fib, sizeof(fib), flags);

	*ifindex = fib.ifindex;
	return rc;
}

enum origin_route {
	ORIGIN_ROUTE,
	ORIGIN_NO_ROUTE,
	/* Forwarding is off: the kernel does not tell a program. */
	ORIGIN_UNKNOWN,
};

/*
 * Only when the kernel says so there is no way: it also answers for MTUs. An
 * interface that does not forward it does not ask about; there the one way
 * that is the best will do.
 */
__noinline int origin_route(struct __sk_buff *skb, __be32 sender)
{
	__u32 best = config.tunnel_ifindex, ifindex = skb->ifindex;
	int rc = origin_ask(skb, sender, &ifindex, BPF_FIB_OUTPUT);

	if (rc != BPF_FIB_LKUP_RET_FWD_DISABLED)
		return rc < BPF_FIB_LKUP_RET_BLACKHOLE ||
				       rc > BPF_FIB_LKUP_RET_NOT_FWDED
			       ? ORIGIN_ROUTE
			       : ORIGIN_NO_ROUTE;
	rc = origin_ask(skb, sender, &best, 0);
	if (rc == BPF_FIB_LKUP_RET_FWD_DISABLED)
		return ORIGIN_UNKNOWN;
	return best == skb->ifindex ? ORIGIN_ROUTE : ORIGIN_NO_ROUTE;
}

/*
 * Of a packet from an IPv4 address. ORIGIN_ROUTE: a member, by a way that
 * leads to it; ORIGIN_UNKNOWN: a member; or the reason for a drop.
 */
static __always_inline int origin_check(struct __sk_buff *skb,
					const struct abi_addr *sender)
{
	__u32 slot = path_slot(sender->w[3] ^ skb->ifindex) % ORIGINS;
	struct origin *o = bpf_map_lookup_elem(&origins, &slot);
	__u32 now = flow_now(), changes = underlay_changes;
	enum origin_route route;

	if (!o)
		return -ABI_DROP_KERNEL;
	if (o->sender == sender->w[3] && o->ifindex == skb->ifindex &&
	    o->tick == now && o->changes == changes)
		return ORIGIN_ROUTE;
	if (!bpf_map_lookup_elem(&vteps, sender))
		return -ABI_DROP_NOT_MEMBER;
	route = origin_route(skb, sender->w[3]);
	if (route == ORIGIN_NO_ROUTE)
		return -ABI_DROP_WRONG_WAY;
	if (route == ORIGIN_UNKNOWN)
		return route;
	o->sender = sender->w[3];
	o->ifindex = skb->ifindex;
	o->tick = now;
	o->changes = changes;
	return ORIGIN_ROUTE;
}
