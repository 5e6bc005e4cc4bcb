/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * uplink - what arrives from the underlay: published ports are balanced,
 * tunnel packets must come from a node, and all else is not ours.
 */
#pragma once

#include "origin.bpf.h"
#include "overlay.bpf.h"

/* Neither verdict nor reason: other programs and the stack go on. */
#define UPLINK_NOT_OURS 1000

static __always_inline int uplink_is_self(const struct abi_addr *addr)
{
	struct abi_route *route = route_find(0, addr);

	return route && route->kind == ABI_ROUTE_NODE && route->self;
}

/* A router, or the client's host, about what a published port sent. */
static __always_inline int uplink_error(struct __sk_buff *skb, struct pkt *p)
{
	int rc;

	if (!uplink_is_self(&p->dst))
		return UPLINK_NOT_OURS;
	rc = balance_published_error(skb, p, 0);
	return rc == -ABI_DROP_NO_FRONTEND ? UPLINK_NOT_OURS : rc;
}

/* By the stack to netd0; nobody needs to ask for its way again. */
static __always_inline int uplink_to_device(struct __sk_buff *skb)
{
	skb->mark = ABI_MARK_MEMBER;
	return UPLINK_NOT_OURS;
}

/* From a member; nearly always to this node's tunnel end. */
static __always_inline int uplink_tunnel(struct __sk_buff *skb,
					 const struct pkt *p)
{
	int to_vtep = p->dst.w[3] == config.vtep.w[3] && !p->v6;
	struct abi_addr sender = p->src;
	struct work *work;
	__u32 vni;
	int err;

	if (!to_vtep && !uplink_is_self(&p->dst))
		return UPLINK_NOT_OURS;
	err = p->v6 ? -ABI_DROP_NOT_MEMBER : origin_check(skb, &sender);
	/* netd's nft table, which can, will ask. */
	if (err == ORIGIN_UNKNOWN)
		return UPLINK_NOT_OURS;
	if (err)
		return err;
	err = fast_path && to_vtep ? tunnel_open(skb, p, &vni)
				   : TUNNEL_BY_DEVICE;
	if (err)
		return err == TUNNEL_BY_DEVICE ? uplink_to_device(skb) : err;
	skb->mark = 0;
	err = overlay_packet(skb, vni, &sender, 0);
	if (err < 0 && (work = work_get()))
		work->vni = vni;
	return err;
}

static __always_inline int uplink_port(struct __sk_buff *skb, struct pkt *p)
{
	struct work *work = work_get();
	struct abi_frontend *fe;
	struct abi_flow *flow;

	/* What is found under another's address falls by the route. */
	fe = frontend_find_node(&p->dst, p->v6, p->dport, p->proto);
	if (!fe)
		fe = frontend_find_published(p->v6, p->dport, p->proto);
	if (!fe || !work)
		return UPLINK_NOT_OURS;
	flow = lb_known(p, work);
	/* What is known was asked here: for this node's address, or by a pod of
	 * this node for another's, which is balanced here as well. */
	if (!(flow && (flow->flags & ABI_FLOW_ENTERED)) &&
	    !uplink_is_self(&p->dst))
		return UPLINK_NOT_OURS;
	if (p->fragment == PKT_FIRST)
		frag_put(p, ABI_FRAG_UPLINK, 0);
	return balance_published_flow(skb, p, fe, NULL, work, flow);
}

static __always_inline int uplink_in(struct __sk_buff *skb)
{
	struct pkt p;

	/* A tagged packet is its VLAN interface's, which has a program too. */
	if (!type_is_ip(skb->protocol) || skb->vlan_present ||
	    skb->pkt_type != PACKET_HOST)
		return UPLINK_NOT_OURS;
	/* Whatever is wrong with it, the host's stack is who has to say so. */
	if (parse_packet(skb, &p, skb->protocol))
		return UPLINK_NOT_OURS;
	if (pkt_is_error(&p))
		return uplink_error(skb, &p);
	if (!pkt_has_ports(&p))
		return UPLINK_NOT_OURS;
	/* Without its first here, it is the stack's to collect. */
	if (p.fragment == PKT_LOST)
		frag_get(&p, ABI_FRAG_UPLINK, 0);
	if (!p.dport)
		return UPLINK_NOT_OURS;
	if (p.proto == IPPROTO_UDP && p.dport == config.vxlan_port)
		return uplink_tunnel(skb, &p);
	return uplink_port(skb, &p);
}
