/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * balance - a packet to a VIP or to a published port is sent to its backend,
 * and the answer's way back is noted.
 *
 * A VIP is translated where its client is, and translated back there. A
 * published port is translated where the backend is: the packet travels as
 * the client sent it, so the backend sees the client's own address, and the
 * answer returns by the node of entry.
 */
#pragma once

#include "deliver.bpf.h"
#include "flow.bpf.h"
#include "lb.bpf.h"
#include "reply.bpf.h"

/* The pod that sends: its namespace, and the network it sends on. */
struct client {
	__u64 cookie;
	__u32 vni;
	__u32 pad;
};

static __always_inline int guard_hits(const struct abi_addr *addr, __be16 port)
{
	struct abi_guard_key key = {};
	__u32 *hit;

	if (addr)
		key.addr = *addr;
	hit = bpf_map_lookup_elem(&guards, &key);
	if (!hit)
		return 0;
	if (*hit == ABI_GUARD_ALL)
		return 1;
	key.port = port;
	return port && bpf_map_lookup_elem(&guards, &key) != NULL;
}

/*
 * A pod that reaches itself: its stack takes no packet from its own address,
 * so the balanced address stands in as the source too.
 */
static __always_inline int balance_hairpin(struct __sk_buff *skb, struct pkt *p,
					   const struct abi_flow *choice,
					   const struct abi_endpoint *ep,
					   __u32 vni)
{
	struct abi_flow back = {
		.addr = p->dst,
		.vtep = p->src,
		.vni = vni,
		.port = p->dport,
		.kind = ABI_FLOW_HAIRPIN,
	};
	int err = rewrite_src(skb, p, &back.addr, p->sport);

	if (!err)
		err = rewrite_dst(skb, p, &choice->addr, choice->port);
	if (err)
		return err;
	flow_put_reverse(p, &back);
	return deliver_pod(skb, ep);
}

/* Translates and notes how to translate back; `back` has kind and VTEP. */
static __always_inline int balance_dnat(struct __sk_buff *skb, struct pkt *p,
					const struct abi_flow *choice,
					struct abi_flow *back)
{
	int err;

	back->addr = p->dst;
	back->port = p->dport;
	err = rewrite_dst(skb, p, &choice->addr, choice->port);
	if (err)
		return err;
	flow_put_reverse(p, back);
	return 0;
}

/* The backend of a published port is on this node. */
static __always_inline int balance_local(struct __sk_buff *skb, struct pkt *p,
					 const struct abi_flow *choice,
					 const struct abi_addr *entry,
					 const struct client *client)
{
	struct abi_endpoint *ep = endpoint_find(choice->vni, &choice->addr);
	struct abi_flow back = { .kind = ABI_FLOW_MESH };
	int err;

	if (!ep)
		return -ABI_DROP_NO_BACKEND;
	if (client && client->cookie && client->cookie == ep->cookie)
		return balance_hairpin(skb, p, choice, ep, client->vni);
	back.vtep = *entry;
	err = balance_dnat(skb, p, choice, &back);
	return err ? err : deliver_pod(skb, ep);
}

/* This node is where a packet to a published port came in. */
static __always_inline int balance_published(struct __sk_buff *skb,
					     struct pkt *p,
					     const struct abi_frontend *fe,
					     const struct client *client)
{
	struct abi_flow choice = {};
	struct abi_addr self;

	if (p->fragment)
		return -ABI_DROP_FRAGMENTS;
	if (lb_choose(p, fe, 0, &choice))
		return reply_refuse(skb, p, 0);
	if (choice.flags & ABI_BACKEND_LOCAL) {
		for (int i = 0; i < 4; i++)
			self.w[i] = config.vtep.w[i];
		return balance_local(skb, p, &choice, &self, client);
	}
	if (addr_is_none(&choice.vtep))
		return -ABI_DROP_NO_BACKEND;
	return deliver_tunnel(skb, &choice.vtep, ABI_VNI_REQUEST);
}

/* Another node sent a packet to a published port here. */
static __always_inline int balance_request(struct __sk_buff *skb, struct pkt *p,
					   const struct abi_addr *entry)
{
	struct abi_route *route = route_find(0, &p->dst);
	struct abi_flow choice = {};
	struct abi_frontend *fe;

	if (!route || route->kind != ABI_ROUTE_NODE || !pkt_has_ports(p))
		return -ABI_DROP_NO_FRONTEND;
	if (p->fragment)
		return -ABI_DROP_FRAGMENTS;
	fe = frontend_find(NULL, p->dport, p->proto);
	if (!fe)
		return -ABI_DROP_NO_FRONTEND;
	if (lb_choose(p, fe, 1, &choice))
		return -ABI_DROP_NO_BACKEND;
	return balance_local(skb, p, &choice, entry, NULL);
}

/*
 * To whom a published port answered: a pod, this host, or somebody in the
 * underlay. The source is the published address again.
 */
static __always_inline int deliver_client(struct __sk_buff *skb,
					  const struct pkt *p, int from_pod)
{
	struct abi_route *route = route_find(0, &p->dst);

	if (route && route->kind == ABI_ROUTE_SUBNET)
		return deliver_net(skb, route->vni, &p->dst);
	if (route && route->kind == ABI_ROUTE_NODE && route->self)
		return from_pod ? deliver_host(skb) : deliver_stack(skb);
	if (route && route->kind != ABI_ROUTE_NODE)
		return -ABI_DROP_NO_WAY_OUT;
	return deliver_out(skb, p->src.w[3], p->dst.w[3], p->proto);
}
