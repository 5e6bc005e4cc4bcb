/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pod - a packet that a pod sent: is it the pod's, where may it go, and there
 * it goes.
 *
 * The order is the policy: spoofed sources first, then what nobody may reach
 * (tunnel ports, the store), then answers of balanced connections, and last
 * the destination by what it is to every network (routes under VNI 0).
 */
#pragma once

#include "balance.bpf.h"

#define PORT_DNS 53
#define PORT_DHCP_SERVER 67
#define PORT_DHCP6_SERVER 547

/* Any address of the pod, since a pod on two networks has two ways out. */
static __always_inline int pod_owns(const struct abi_addr *addr,
				    struct client *client)
{
	struct abi_route *route = route_find(0, addr);
	struct abi_endpoint *ep;

	if (!route || route->kind != ABI_ROUTE_SUBNET || !client->cookie)
		return 0;
	ep = endpoint_find(route->vni, addr);
	if (!ep || ep->cookie != client->cookie)
		return 0;
	client->vni = route->vni;
	return 1;
}

static __always_inline int
pod_arp(struct __sk_buff *skb, const struct abi_pod *pod, struct client *client)
{
	struct abi_addr sender, target;
	struct arp_packet arp;
	__be32 ip;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
		return -ABI_DROP_RUNT;
	if (arp.hw_type != bpf_htons(ARP_HW_ETHER) ||
	    arp.proto != bpf_htons(ETH_P_IP) || arp.hw_len != 6 ||
	    arp.proto_len != 4)
		return -ABI_DROP_ETHERTYPE;
	if (!mac_eq(arp.sender_mac, pod->mac))
		return -ABI_DROP_SPOOF_ARP;
	__builtin_memcpy(&ip, arp.target_ip, 4);
	addr_set_v4(&target, ip);
	__builtin_memcpy(&ip, arp.sender_ip, 4);
	addr_set_v4(&sender, ip);

	/* A probe (RFC 5227 2.1.1) must not be answered: no conflict. */
	if (!ip)
		return -ABI_DROP_ARP;
	if (!addr_eq(&sender, &pod->addrs[ABI_IPV4]) &&
	    !pod_owns(&sender, client))
		return -ABI_DROP_SPOOF_ARP;
	if (arp.op != bpf_htons(ARP_OP_REQUEST) || addr_eq(&sender, &target) ||
	    addr_eq(&target, &pod->addrs[ABI_IPV4]))
		return -ABI_DROP_ARP;
	return reply_arp(skb);
}

/*
 * IPv6's ARP, RFC 4861 7.2.3: neighbours are who is in the subnet. A pod asks
 * from its link's own address, too, which is good for nothing else.
 */
__noinline int pod_solicit(struct __sk_buff *skb, const struct pkt *p,
			   const struct abi_pod *pod)
{
	struct client client = {};
	struct nd_option mac = {};
	struct nd_message nd;
	__u8 hop_limit;

	/* RFC 6980: in no fragment. */
	if (!p || !pod || p->detail != ICMP6_TYPE_SOLICIT ||
	    p->l4 != L3_OFF + sizeof(struct ipv6hdr) ||
	    bpf_skb_load_bytes(skb, p->l4, &nd, sizeof(nd)) ||
	    bpf_skb_load_bytes(skb, L3_HOP_LIMIT, &hop_limit, 1))
		return -ABI_DROP_ICMPV6;
	/* It may be missing, or behind another option. */
	if (!bpf_skb_load_bytes(skb, p->l4 + sizeof(nd), &mac, sizeof(mac)) &&
	    mac.type == ND_SOURCE_MAC && !mac_eq(mac.mac, pod->mac))
		return -ABI_DROP_SPOOF_ND;
	/* Detection of duplicates (RFC 4862 5.4.3): no answer, no duplicate. */
	if (addr_is_none(&p->src))
		return -ABI_DROP_ND;
	client.cookie = pod->cookie;
	if (!addr_is_link_local(&p->src) &&
	    !addr_eq(&p->src, &pod->addrs[ABI_IPV6]) &&
	    !pod_owns(&p->src, &client))
		return -ABI_DROP_SPOOF_ND;
	if (hop_limit != ND_HOP_LIMIT || nd.code ||
	    !addr_in(&nd.target, &pod->ranges[ABI_IPV6].subnet) ||
	    addr_eq(&nd.target, &pod->addrs[ABI_IPV6]))
		return -ABI_DROP_ND;
	return reply_advert(skb, p, &nd.target);
}

/* To another pod of its own network: what that is needs no look-up. */
static __always_inline int pod_stays(const struct abi_range *range,
				     const struct abi_addr *dst)
{
	return addr_in(dst, &range->subnet) && !addr_eq(dst, &range->gateway);
}

/* What no pod may send, whatever it is on. */
static __always_inline int pod_forbidden(const struct pkt *p,
					 const struct abi_route *route)
{
	int to_host = route && (route->kind == ABI_ROUTE_GATEWAY ||
				(route->kind == ABI_ROUTE_NODE && route->self));

	if (p->proto == IPPROTO_UDP &&
	    p->sport == (p->v6 ? bpf_htons(PORT_DHCP6_SERVER)
			       : bpf_htons(PORT_DHCP_SERVER)))
		return -ABI_DROP_DHCP_SERVER;
	if (!p->v6 && !addr_is_unicast(&p->dst))
		return -ABI_DROP_MULTICAST;
	if (p->proto == IPPROTO_UDP && p->dport == config.vxlan_port &&
	    (to_host || (route && route->kind == ABI_ROUTE_NODE)))
		return -ABI_DROP_VXLAN_FROM_POD;
	if (guard_hits(&p->dst, p->dport))
		return -ABI_DROP_STORE_GUARD;
	if (to_host && guard_hits(NULL, p->dport))
		return -ABI_DROP_STORE_GUARD;
	return 0;
}

/* The gateway is the host; internal networks get names and echo from it. */
static __always_inline int pod_to_gateway(struct __sk_buff *skb,
					  const struct pkt *p, __u32 vni,
					  int answers)
{
	int dns = pkt_has_ports(p) && p->dport == bpf_htons(PORT_DNS);
	int echo = p->proto == IPPROTO_ICMP && !p->fragment &&
		   (p->detail == ICMP_TYPE_ECHO ||
		    p->detail == ICMP_TYPE_ECHO_REPLY);

	if (!answers && !dns && !echo && net_is_internal(vni))
		return -ABI_DROP_INTERNAL;
	return deliver_host(skb);
}

static __always_inline int pod_to_outside(struct __sk_buff *skb, __u32 vni,
					  int answers)
{
	if (!answers && net_is_internal(vni))
		return -ABI_DROP_INTERNAL;
	return deliver_host(skb);
}

/* About an answer of a VIP. */
static __always_inline int pod_error_to_vip(struct __sk_buff *skb,
					    struct pkt *p,
					    const struct client *client)
{
	struct work *work = work_get();
	int err = balance_error(skb, p, ERROR_TO_VIP | ERROR_OWN);

	if (!work || err)
		return err;
	if (!work->choice.vni)
		return pod_to_outside(skb, client->vni, 0);
	return deliver_net(skb, p, work->choice.vni, &work->choice.addr);
}

static __always_inline int pod_to_vip(struct __sk_buff *skb, struct pkt *p,
				      const struct client *client)
{
	struct work *work = work_get();
	struct abi_frontend *fe;
	struct abi_endpoint *ep;
	struct abi_flow *choice;
	int err;

	if (!work)
		return -ABI_DROP_KERNEL;
	choice = &work->choice;
	if (pkt_is_lost(p))
		return -ABI_DROP_FRAGMENTS;
	if (p->proto == IPPROTO_ICMP) {
		if (p->detail == ICMP_TYPE_ECHO &&
		    frontend_find(&p->dst, 0, IPPROTO_ICMP))
			return reply_echo(skb, p, 0);
		if (pkt_is_error(p))
			return pod_error_to_vip(skb, p, client);
		return -ABI_DROP_NO_FRONTEND;
	}
	if (!pkt_has_ports(p))
		return -ABI_DROP_NO_FRONTEND;
	fe = frontend_find(&p->dst, p->dport, p->proto);
	affinity_client_pod(&work->client, client->cookie);
	if (!fe ||
	    lb_choose(p, fe, LB_VIP, &work->client, work, lb_known(p, work)))
		return reply_refuse(skb, p, 0);

	if (!choice->vni) {
		if (guard_hits(&choice->addr, choice->port))
			return -ABI_DROP_STORE_GUARD;
		err = balance_dnat(skb, p, work, ABI_FLOW_VIP, NULL);
		return err ? err : pod_to_outside(skb, client->vni, 0);
	}
	ep = endpoint_find(choice->vni, &choice->addr);
	if (ep && client->cookie && ep->cookie == client->cookie)
		return balance_hairpin(skb, p, work, ep, client->vni);
	err = ep ? 0 : size_fits(skb, p, &choice->vtep, 0);
	if (!err)
		err = balance_dnat(skb, p, work, ABI_FLOW_VIP, NULL);
	if (err)
		return err;
	return ep ? deliver_pod(skb, ep)
		  : deliver_net(skb, p, choice->vni, &choice->addr);
}

/* A node's address: a published port, or the node itself. */
static __always_inline int pod_to_node(struct __sk_buff *skb, struct pkt *p,
				       const struct abi_route *route,
				       const struct client *client, int answers)
{
	struct abi_frontend *fe = NULL;
	int echo_reply = p->proto == IPPROTO_ICMP && !p->fragment &&
			 p->detail == ICMP_TYPE_ECHO_REPLY;
	int err;

	if (!answers && pkt_has_ports(p) && p->dport) {
		/* Balanced here, a pod that reaches itself is known. */
		fe = route->self
			     ? frontend_find_node(&p->dst, p->v6, p->dport,
						  p->proto)
			     : frontend_find_bound(&p->dst, p->dport, p->proto);
		if (!fe)
			fe = frontend_find_published(p->v6, p->dport, p->proto);
	}
	if (!answers && !echo_reply && net_is_internal(client->vni))
		return -ABI_DROP_INTERNAL;
	if (fe)
		return balance_published(skb, p, fe, client);
	if (!answers && pkt_is_error(p)) {
		err = balance_published_error(skb, p, ERROR_OWN);
		if (err != -ABI_DROP_NO_FRONTEND)
			return err;
	}
	if (route->self)
		return deliver_host(skb);
	err = size_fits(skb, p, &route->vtep, 0);
	return err ? err : deliver_tunnel(skb, &route->vtep, client->vni);
}

/* On to a destination, as what it is to every network. */
static __always_inline int pod_route(struct __sk_buff *skb, struct pkt *p,
				     const struct abi_route *route,
				     const struct client *client, int answers)
{
	if (!route)
		return pod_to_outside(skb, client->vni, answers);
	if (route->kind == ABI_ROUTE_NODE)
		return pod_to_node(skb, p, route, client, answers);
	if (route->vni != client->vni)
		return -ABI_DROP_ISOLATION;
	if (route->kind == ABI_ROUTE_GATEWAY)
		return pod_to_gateway(skb, p, client->vni, answers);
	if (route->kind == ABI_ROUTE_VIPS)
		return pod_to_vip(skb, p, client);
	if (!answers)
		flow_forget_answer(p);
	return deliver_net(skb, p, client->vni, &p->dst);
}

/* From pod_answer: the packet goes on as any other. */
#define POD_GOES_ON 1000

/* Translated back: on to the client, wherever it is. */
static __always_inline int pod_answer_deliver(struct __sk_buff *skb,
					      const struct pkt *p, int kind,
					      __u32 vni,
					      const struct abi_addr *other)
{
	int err;

	if (kind == ABI_FLOW_VIP)
		return POD_GOES_ON;
	if (kind == ABI_FLOW_HAIRPIN)
		return deliver_net(skb, p, vni, other);
	if (other->w[3] == config.vtep.w[3])
		return deliver_client(skb, p, 1);
	err = size_clamp(skb, p, other);
	return err ? err : deliver_tunnel(skb, other, ABI_VNI_REPLY);
}

/* An answer of a balanced connection gets the address its client knows. */
static __always_inline int pod_answer(struct __sk_buff *skb, struct pkt *p,
				      struct abi_flow *flow)
{
	struct abi_addr other = flow->vtep;
	__u32 vni = flow->vni;
	__u8 kind = flow->kind;
	int err = 0;

	if (kind == ABI_FLOW_PASS)
		return POD_GOES_ON;
	/* Of the mesh's nodes of entry, this one is no VTEP: all fits. */
	if (kind == ABI_FLOW_MESH)
		err = size_fits(skb, p, &other, 0);
	if (err)
		return err;
	flow_track_reverse(flow, p);
	err = rewrite_src(skb, p, &flow->addr, flow->port);
	if (!err && kind == ABI_FLOW_HAIRPIN)
		err = rewrite_dst(skb, p, &other, p->dport);
	if (err)
		return err;
	return pod_answer_deliver(skb, p, kind, vni, &other);
}

/* The same for an error about what a client sent. */
static __always_inline int pod_error(struct __sk_buff *skb, struct pkt *p,
				     int *answers)
{
	struct work *work = work_get();
	int kind = balance_error_back(skb, p, ERROR_OWN);

	if (!work || kind <= 0)
		return kind ? kind : POD_GOES_ON;
	*answers = 1;
	if (kind == ABI_FLOW_PASS)
		return POD_GOES_ON;
	return pod_answer_deliver(skb, p, kind, work->back.vni,
				  &work->back.vtep);
}

static __always_inline int pod_ip(struct __sk_buff *skb, __be16 type,
				  const struct abi_pod *pod,
				  struct client *client)
{
	const int v6 = type == bpf_htons(ETH_P_IPV6);
	struct abi_route *route = NULL;
	struct abi_flow *flow;
	int err, stays, answers = 0;
	struct pkt p;

	if (v6 && addr_is_none(&pod->addrs[ABI_IPV6]))
		return -ABI_DROP_IPV6;
	err = parse_packet(skb, &p, type);
	if (err == -ABI_DROP_ICMPV6)
		return pod_solicit(skb, &p, pod);
	if (err)
		return err;
	if (!addr_eq(&p.src, &pod->addrs[v6]) && !pod_owns(&p.src, client))
		return -ABI_DROP_SPOOF_IP;
	/* Source routes lead past what is checked here (RFC 7126, 4.3). */
	if (!v6 && p.l4 != L3_OFF + sizeof(struct iphdr))
		return -ABI_DROP_IP_OPTIONS;
	frag_ports(&p, ABI_FRAG_POD, skb->ifindex);
	stays = pod_stays(&pod->ranges[v6], &p.dst) && client->vni == pod->vni;
	if (!stays)
		route = route_find(0, &p.dst);
	err = pod_forbidden(&p, route);
	if (err)
		return err;
	if (pkt_is_error(&p)) {
		err = pod_error(skb, &p, &answers);
		if (err != POD_GOES_ON)
			return err;
	}
	flow = flow_find_reverse(&p);
	if (flow) {
		err = pod_answer(skb, &p, flow);
		if (err != POD_GOES_ON)
			return err;
		answers = 1;
	}
	if (!stays)
		return pod_route(skb, &p, route, client, answers);
	if (!answers)
		flow_forget_answer(&p);
	return deliver_net(skb, &p, pod->vni, &p.dst);
}

static __always_inline int pod_packet(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct abi_pod *pod = bpf_map_lookup_elem(&pods, &ifindex);
	struct client client = {};
	struct eth_hdr eth;

	if (!pod)
		return -ABI_DROP_NO_POD;
	if (pkt_load(skb, 0, &eth))
		return -ABI_DROP_RUNT;
	if (!mac_is(eth.src, pod->mac))
		return -ABI_DROP_SPOOF_MAC;
	client.cookie = pod->cookie;
	client.vni = pod->vni;
	if (skb->vlan_present)
		return -ABI_DROP_ETHERTYPE;
	switch (eth.type) {
	case bpf_htons(ETH_P_IP):
	case bpf_htons(ETH_P_IPV6):
		return pod_ip(skb, eth.type, pod, &client);
	case bpf_htons(ETH_P_ARP):
		return pod_arp(skb, pod, &client);
	}
	return -ABI_DROP_ETHERTYPE;
}
