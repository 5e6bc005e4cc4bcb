/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * xdp - the mesh's busiest way, where the driver hands packets over before
 * there is an skb: what comes to a published port and has its backend on
 * another node goes out again in VXLAN.
 *
 * It chooses as from_uplink does, from the same tables and with the same
 * entries for flows, so that either may take any packet of a connection.
 * Whatever is not plain (IPv6, other nodes' packets, fragments, options,
 * errors, what is too large, a backend on this node or none, a neighbour that
 * is not known) is left as it came, and from_uplink sees it next.
 */
#pragma once

#include <stddef.h>

#include "lb.bpf.h"
#include "size.bpf.h"
#include "tunnel.bpf.h"
#include "work.bpf.h"

/* Interfaces with this program: what may be sent out by them from here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_XDP_LINKS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct abi_xdp_link);
} xdp_links SEC(".maps");

/* Ethernet, IPv4, and of TCP's header what UDP's has too. */
struct xdp_headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr l4;
} __attribute__((packed));

/* As far as a TCP header is looked at. */
#define XDP_TCP_LEN 14

/* 0: a whole packet of TCP or UDP over IPv4, no options, to this interface. */
static __always_inline int xdp_parse(struct xdp_md *ctx, struct pkt *p,
				     __u8 *ecn)
{
	void *data = (void *)(long)ctx->data,
	     *end = (void *)(long)ctx->data_end;
	__u32 ifindex = ctx->ingress_ifindex;
	const struct xdp_headers *h = data;
	struct abi_xdp_link *link;
	__u16 frag;

	if ((void *)(h + 1) > end || h->eth.h_proto != bpf_htons(ETH_P_IP) ||
	    h->ip.version != 4 || h->ip.ihl != 5)
		return 1;
	frag = bpf_ntohs(h->ip.frag_off);
	__builtin_memset(p, 0, sizeof(*p));
	p->len = bpf_ntohs(h->ip.tot_len);
	p->proto = h->ip.protocol;
	p->l4 = L3_OFF + sizeof(h->ip);
	/* Shorter than what was copied, or not all of it in one piece. */
	if ((frag & IP_FRAGMENT_BITS) || !pkt_has_ports(p) ||
	    p->len < sizeof(*h) - L3_OFF || data + L3_OFF + p->len > end)
		return 1;
	link = bpf_map_lookup_elem(&xdp_links, &ifindex);
	if (!link || !mac_eq(link->mac, h->eth.h_dest))
		return 1;

	addr_set_v4(&p->src, h->ip.saddr);
	addr_set_v4(&p->dst, h->ip.daddr);
	p->sport = h->l4.source;
	p->dport = h->l4.dest;
	if (p->proto == IPPROTO_TCP) {
		const __u8 *tcp = (const void *)&h->l4;
		const __be32 *word = (const void *)tcp;

		if ((void *)(tcp + XDP_TCP_LEN) > end)
			return 1;
		p->detail = tcp[XDP_TCP_LEN - 1];
		p->seq = bpf_ntohl(word[1]);
		p->ack = bpf_ntohl(word[2]);
	}
	p->dont_fragment = (frag & IP_DONT_FRAGMENT) != 0;
	*ecn = h->ip.tos & IP_ECN_MASK;
	return 0;
}

/* The frontend of a published port, if the address should be this node's. */
static __always_inline struct abi_frontend *xdp_frontend(const struct pkt *p)
{
	struct abi_frontend *fe;

	if (p->proto == IPPROTO_UDP && p->dport == config.vxlan_port)
		return NULL;
	if (!p->dport)
		return NULL;
	fe = frontend_find_node(&p->dst, p->v6, p->dport, p->proto);
	/* A port of this node alone has its backends here; a VIP is no port. */
	if (fe && !(fe->flags & ABI_FRONTEND_BOUND))
		return NULL;
	if (!fe)
		fe = frontend_find_published(p->v6, p->dport, p->proto);
	return fe && source_may(fe, &p->src, p->v6, p->dport, p->proto) ? fe
									: NULL;
}

static __always_inline int xdp_is_self(const struct abi_addr *addr)
{
	struct abi_route *route = route_find(0, addr);

	return route && route->kind == ABI_ROUTE_NODE && route->self;
}

/* lb_choose() for a backend elsewhere; 1: nothing was changed. */
static __always_inline int xdp_choose(const struct pkt *p,
				      const struct abi_frontend *fe,
				      struct work *work)
{
	struct abi_flow *flow = lb_known(p, work);

	if (!flow) {
		if (!xdp_is_self(&p->dst) ||
		    lb_fill(p, fe, 0, &p->src, &work->choice) ||
		    (work->choice.flags & ABI_BACKEND_LOCAL) ||
		    addr_is_none(&work->choice.vtep))
			return 1;
		flow_put_forward(p, work);
		return 0;
	}
	/* What is known was asked here, as in uplink_port(). */
	if ((flow->flags & (ABI_FLOW_ENTERED | ABI_BACKEND_LOCAL)) !=
		    ABI_FLOW_ENTERED ||
	    addr_is_none(&flow->vtep) || lb_judge(p, fe, 0, flow) != LB_KEPT)
		return 1;
	flow_track_forward(p, work, flow);
	work->choice = *flow;
	/* The answers are translated there. */
	if (!(work->choice.state & ABI_FLOW_ESTABLISHED) &&
	    flow_is_proven(&work->choice, p))
		flow_promote(0);
	return 0;
}

/* What was the packet's Ethernet header becomes the inner one. */
static __always_inline int xdp_wrap(struct xdp_md *ctx, const struct path *path,
				    const struct tunnel_hdr *h)
{
	struct ethhdr *eth;

	if (bpf_xdp_adjust_head(ctx, -TUNNEL_LEN))
		return -ABI_DROP_KERNEL;
	eth = (void *)(long)ctx->data;
	if ((void *)eth + ETH_HLEN + TUNNEL_LEN > (void *)(long)ctx->data_end)
		return -ABI_DROP_KERNEL;
	__builtin_memcpy(eth->h_dest, path->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, path->smac, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	__builtin_memcpy(eth + 1, h, TUNNEL_LEN);
	return 0;
}

static __always_inline int xdp_packet(struct xdp_md *ctx)
{
	struct tunnel_of of = { .type = bpf_htons(ETH_P_IP) };
	struct tunnel_hdr h = {};
	struct abi_frontend *fe;
	struct path *path;
	struct work *work;
	struct pkt p;
	__u32 ifindex;
	__be32 vtep;

	if (!fast_path || xdp_parse(ctx, &p, &of.ecn))
		return XDP_PASS;
	fe = xdp_frontend(&p);
	work = work_get();
	if (!fe || !work || xdp_choose(&p, fe, work))
		return XDP_PASS;
	vtep = work->choice.vtep.w[3];
	if (p.len > SIZE_ALWAYS_FITS && p.len > size_mtu(&work->choice.vtep))
		return XDP_PASS;
	path = path_find_frame(ctx, vtep, p.len + TUNNEL_LEN);
	if (!path)
		return XDP_PASS;
	ifindex = path->ifindex;
	if (ifindex != ctx->ingress_ifindex &&
	    !bpf_map_lookup_elem(&xdp_links, &ifindex))
		return XDP_PASS;

	of.hash = lb_hash(&p);
	of.len = p.len;
	tunnel_fill(&h, &of, vtep, ABI_VNI_REQUEST);
	if (xdp_wrap(ctx, path, &h)) {
		drop_count(ABI_DROP_KERNEL);
		return XDP_DROP;
	}
	return ifindex == ctx->ingress_ifindex ? XDP_TX
					       : bpf_redirect(ifindex, 0);
}
