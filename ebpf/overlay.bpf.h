/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * overlay - both directions of netd0: what other nodes sent through the
 * tunnel, and what this host sends to pods.
 */
#pragma once

#include "balance.bpf.h"

/* A member speaks for its network's pods and for its own addresses only. */
static __always_inline int overlay_source_ok(const struct pkt *p,
					     const struct abi_net *net,
					     const struct abi_addr *sender)
{
	const struct abi_range *range =
		p->v6 ? &net->ranges[ABI_IPV6] : &net->ranges[ABI_IPV4];
	struct abi_route *route;

	if (addr_in(&p->src, &range->subnet))
		return !addr_eq(&p->src, &range->gateway);
	route = route_find(0, &p->src);
	return route && route->kind == ABI_ROUTE_NODE &&
	       addr_eq(&route->vtep, sender);
}

/*
 * The answer of a VIP's backend, or an error about what was sent to it. 1:
 * it was one, and comes from the VIP now.
 */
static __always_inline int overlay_answer(struct __sk_buff *skb, struct pkt *p)
{
	struct abi_flow *flow;
	int err;

	if (pkt_is_error(p)) {
		err = balance_error_back(skb, p, 0);
		return err > 0 ? 1 : err;
	}
	flow = flow_find_reverse(p);
	if (!flow || flow->kind != ABI_FLOW_VIP)
		return 0;
	flow_track_reverse(flow, p);
	err = rewrite_src(skb, p, &flow->addr, flow->port);
	return err ? err : 1;
}

static __always_inline int overlay_net_packet(struct __sk_buff *skb,
					      struct pkt *p, __u32 vni,
					      const struct abi_addr *sender,
					      int by_device)
{
	struct abi_net *net = bpf_map_lookup_elem(&nets, &vni);
	struct abi_frontend *fe = NULL;
	struct abi_endpoint *ep;
	struct abi_route *route;
	int err;

	if (!net)
		return -ABI_DROP_UNKNOWN_VNI;
	if (p->v6 && addr_is_none(&net->ranges[ABI_IPV6].gateway))
		return -ABI_DROP_IPV6;
	if (!overlay_source_ok(p, net, sender))
		return -ABI_DROP_SPOOF_OVERLAY;
	err = overlay_answer(skb, p);
	if (err < 0)
		return err;
	ep = endpoint_find(vni, &p->dst);
	if (ep) {
		if (net->flags & ABI_NET_INTERNAL)
			flow_put_pass(p);
		return deliver_pod(skb, ep);
	}
	route = route_find(0, &p->dst);
	if (!route || route->kind != ABI_ROUTE_NODE || !route->self)
		return -ABI_DROP_NO_ROUTE;
	/* Published for all nodes, it had been balanced where it began. */
	if (pkt_has_ports(p))
		fe = frontend_find_node(&p->dst, p->v6, p->dport, p->proto);
	/* A refusal would leave as it is, without the tunnel round it. */
	if (fe && !fe->count)
		return -ABI_DROP_NO_BACKEND;
	if (fe)
		return balance_published(skb, p, fe, NULL);
	return by_device ? deliver_stack(skb) : deliver_host(skb);
}

/* The answer of a published port that this node took the packet for. */
static __always_inline int overlay_reply(struct __sk_buff *skb,
					 const struct pkt *p, int by_device)
{
	struct abi_route *route = route_find(0, &p->src);
	struct work *work = work_get();
	const struct pkt *about = p;

	if (!route || route->kind != ABI_ROUTE_NODE)
		return -ABI_DROP_NO_FRONTEND;
	if (p->fragment == PKT_LOST)
		return -ABI_DROP_FRAGMENTS;
	if (pkt_is_error(p) && work) {
		about = &work->quoted;
		if (error_parse(skb, p, &work->quoted) ||
		    !addr_eq(&about->src, &p->src))
			return -ABI_DROP_NO_FRONTEND;
	}
	if (!pkt_has_ports(about) ||
	    (!frontend_find_published(p->v6, about->sport, about->proto) &&
	     !frontend_find_bound(&about->src, about->sport, about->proto)))
		return -ABI_DROP_NO_FRONTEND;
	if (about == p)
		flow_track_reply(p);
	return deliver_client(skb, p, !by_device);
}

/*
 * What a member sent, without its outer headers. by_device: netd0 took them
 * off, so that the host's stack is where the packet is on its way to.
 */
static __always_inline int overlay_packet(struct __sk_buff *skb, __u32 vni,
					  const struct abi_addr *sender,
					  int by_device)
{
	struct pkt p;
	int err = parse_packet(skb, &p, skb->protocol);

	if (err)
		return err;
	frag_ports(&p, ABI_FRAG_OVERLAY, vni);
	if (vni == ABI_VNI_REQUEST)
		return balance_request(skb, &p, sender);
	if (vni == ABI_VNI_REPLY)
		return overlay_reply(skb, &p, by_device);
	return overlay_net_packet(skb, &p, vni, sender, by_device);
}

static __always_inline int overlay_in(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};
	struct abi_addr sender;
	int err;

	/* The outer packet's mark, set by whatever rule, is not ours. */
	skb->mark = 0;

	/*
	 * Only -EINVAL means that there is no key: a pod of this node sent it
	 * up the stack and was judged. -EPROTO is the other address family's
	 * underlay, which no member uses. On 6.1 errors come back as 32 bits.
	 */
	err = (int)bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0);
	if (err == -22 /* EINVAL */)
		return TC_ACT_OK;
	if (err)
		return -ABI_DROP_NOT_MEMBER;
	addr_set_v4(&sender, bpf_htonl(key.remote_ipv4));
	if (!bpf_map_lookup_elem(&vteps, &sender))
		return -ABI_DROP_NOT_MEMBER;

	if (!type_is_ip(skb->protocol) || skb->vlan_present)
		return -ABI_DROP_ETHERTYPE;
	return overlay_packet(skb, key.tunnel_id, &sender, 1);
}

/* From the host to an address of a network. */
static __always_inline int host_to_net(struct __sk_buff *skb,
				       const struct pkt *p, __u32 vni)
{
	struct abi_endpoint *ep = endpoint_find(vni, &p->dst);
	struct abi_route *route;
	int err;

	if (ep) {
		if (net_is_internal(vni))
			flow_put_pass(p);
		/* redirect_peer is for ingress only. */
		err = rewrite_macs(skb, ep->mac);
		return err ? err : (int)bpf_redirect(ep->ifindex, 0);
	}
	/* No entry means drop: the host would route it here for ever. */
	route = route_find(vni, &p->dst);
	if (!route)
		return -ABI_DROP_NO_ROUTE;
	err = size_fits(skb, p, &route->vtep, 1);
	if (!err)
		err = tunnel_key_put(skb, route->vtep.w[3], vni);
	return err ? err : TC_ACT_OK;
}

static __always_inline int host_to_vip(struct __sk_buff *skb, struct pkt *p)
{
	struct work *work = work_get();
	struct abi_frontend *fe;
	int err;

	if (!work)
		return -ABI_DROP_KERNEL;
	if (pkt_is_lost(p))
		return -ABI_DROP_FRAGMENTS;
	if (p->proto == IPPROTO_ICMP && p->detail == ICMP_TYPE_ECHO &&
	    frontend_find(&p->dst, 0, IPPROTO_ICMP))
		return reply_echo(skb, p, 1);
	if (pkt_is_error(p)) {
		err = balance_error(skb, p, ERROR_TO_VIP);
		return err ? err : host_to_net(skb, p, work->choice.vni);
	}
	if (!pkt_has_ports(p))
		return -ABI_DROP_NO_FRONTEND;
	fe = frontend_find(&p->dst, p->dport, p->proto);
	affinity_client_pod(&work->client, 0);
	if (!fe ||
	    lb_choose(p, fe, LB_VIP, &work->client, work, lb_known(p, work)))
		return reply_refuse(skb, p, 1);
	/* Outside backends: sockets are translated before, nothing is here. */
	if (!work->choice.vni)
		return -ABI_DROP_NO_BACKEND;
	err = size_fits(skb, p, &work->choice.vtep, 1);
	if (!err)
		err = balance_dnat(skb, p, work, ABI_FLOW_VIP, NULL);
	return err ? err : host_to_net(skb, p, work->choice.vni);
}

static __always_inline int overlay_out(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};
	struct abi_route *route;
	struct pkt p;
	int err;

	/* Redirected packets pass here as well; their way is decided. */
	err = (int)bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0);
	if (err != -22 /* EINVAL */)
		return TC_ACT_OK;
	if (!type_is_ip(skb->protocol))
		return -ABI_DROP_ETHERTYPE;
	err = parse_packet(skb, &p, skb->protocol);
	if (err)
		return err;
	frag_ports(&p, ABI_FRAG_HOST, 0);
	route = route_find(0, &p.dst);
	if (!route)
		return -ABI_DROP_NO_ROUTE;
	if (route->kind == ABI_ROUTE_VIPS)
		return host_to_vip(skb, &p);
	if (route->kind != ABI_ROUTE_SUBNET)
		return -ABI_DROP_NO_ROUTE;

	/* Backends outside the overlay answer by way of the host. */
	err = overlay_answer(skb, &p);
	if (err < 0)
		return err;
	if (!err)
		flow_forget_answer(&p);
	return host_to_net(skb, &p, route->vni);
}
