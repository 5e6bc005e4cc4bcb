/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tunnel - VXLAN (RFC 7348) put on and taken off here, at the pods' links and
 * at the underlay's, instead of by netd0.
 *
 * netd0 is right for every packet, and dear: it routes each one anew, and
 * each one it receives takes a way through the host's stack, a netfilter hook
 * and a queue of its own. What is ordinary goes past it; whatever is not
 * (fragments, options, checksums or congestion marks on the outer packet,
 * what is too large, an underlay of IPv6) is left to it. So is IPv6 within it
 * where the kernel cannot say that a packet is that now (before 6.3).
 */
#pragma once

#include "maps.bpf.h"
#include "parse.bpf.h"
#include "path.bpf.h"

#define VXLAN_HAS_VNI bpf_htonl(0x08000000)
/* Source ports that carry the flow's hash, as Linux's VXLAN has them. */
#define VXLAN_PORT_FIRST 32768
#define VXLAN_PORT_LAST 60999
#define VXLAN_TTL 64

/* BPF_F_ADJ_ROOM_DECAP_L3_IPV6, which older headers do not have. */
#define ADJ_ROOM_DECAP_L3_IPV6 (1ull << 8)

#define IP_ECN_MASK 3
#define IP_ECN_ECT_0 2
#define IP_ECN_CE 3

struct vxlan_hdr {
	struct udphdr udp;
	__be32 flags;
	__be32 vni;
	struct eth_hdr inner;
};

/* What VXLAN adds to IPv4; the structures are padded at their ends. */
#define TUNNEL_LEN 50

struct tunnel_hdr {
	struct iphdr ip;
	struct vxlan_hdr vxlan;
};

_Static_assert(__builtin_offsetof(struct tunnel_hdr, vxlan.inner) ==
		       TUNNEL_LEN - ETH_HLEN,
	       "as on the wire");

/* Sum over an IPv4 header of 20 bytes, in the order it lies in memory. */
static __always_inline __sum16 ip_checksum(const struct iphdr *ip)
{
	const __u16 *w = (const void *)ip;
	__u32 sum = 0;

	for (int i = 0; i < 10; i++)
		sum += w[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__sum16)~sum;
}

/* What the outer headers say of the packet in them. */
struct tunnel_of {
	__u32 hash;
	/* From its IP header on. */
	__u32 len;
	/* ETH_P_IP or ETH_P_IPV6. */
	__be16 type;
	__u8 ecn;
};

static __always_inline void tunnel_fill(struct tunnel_hdr *h,
					const struct tunnel_of *of, __be32 vtep,
					__u32 vni)
{
	__u32 len = of->len + TUNNEL_LEN;
	__u32 hash = of->hash;
	__u8 tos = of->ecn;

	/* RFC 6040 4.1: the outer packet can be marked for the inner one. */
	if (tos == IP_ECN_CE)
		tos = IP_ECN_ECT_0;

	h->ip.version = 4;
	h->ip.ihl = 5;
	h->ip.tos = tos;
	h->ip.tot_len = bpf_htons(len);
	/* DF stays clear, so the number must tell datagrams apart. */
	h->ip.id = bpf_get_prandom_u32();
	h->ip.ttl = VXLAN_TTL;
	h->ip.protocol = IPPROTO_UDP;
	h->ip.saddr = config.vtep.w[3];
	h->ip.daddr = vtep;
	h->ip.check = ip_checksum(&h->ip);

	hash ^= hash << 16;
	h->vxlan.udp.source = bpf_htons(
		(((__u64)hash * (VXLAN_PORT_LAST - VXLAN_PORT_FIRST)) >> 32) +
		VXLAN_PORT_FIRST);
	h->vxlan.udp.dest = config.vxlan_port;
	h->vxlan.udp.len = bpf_htons(len - sizeof(h->ip));
	h->vxlan.flags = VXLAN_HAS_VNI;
	h->vxlan.vni = bpf_htonl(vni << 8);
	for (int i = 0; i < 3; i++)
		h->vxlan.inner.src[i] =
			((const volatile __be16 *)config.tunnel_mac)[i];
	h->vxlan.inner.type = of->type;
}

/* Not a verdict: netd0 has to do it. */
#define TUNNEL_BY_DEVICE (-1000)

/* The first bytes of an IP header of either family. */
struct ip_start {
	__be16 w[5];
};

static __always_inline __u8 ip_start_byte(const struct ip_start *ip, __u32 at)
{
	return ((const __u8 *)ip)[at];
}

static __always_inline __u8 ip_start_ecn(const struct ip_start *ip, __be16 type)
{
	__u8 byte = ip_start_byte(ip, 1);

	/* IPv6's traffic class begins half a byte earlier. */
	if (type == bpf_htons(ETH_P_IPV6))
		byte >>= 4;
	return byte & IP_ECN_MASK;
}

static __always_inline __u8 ip_start_proto(const struct ip_start *ip,
					   __be16 type)
{
	return ip_start_byte(ip, type == bpf_htons(ETH_P_IPV6) ? 6 : 9);
}

/*
 * Of a datagram in fragments the first may be too large for the way past
 * netd0 and the last not: it would be there before the first. So all of them
 * take the same way.
 */
static __always_inline int ip_start_is_fragment(const struct ip_start *ip,
						__be16 type)
{
	if (type == bpf_htons(ETH_P_IPV6))
		return ip_start_proto(ip, type) == IPPROTO_FRAGMENT;
	return (ip->w[3] & bpf_htons(IP_FRAGMENT_BITS)) != 0;
}

/* Of its TCP header; TCP knows how long it made it. */
static __always_inline __u32 tcp_header_len(struct __sk_buff *skb, __u32 l4)
{
	__u8 offset = 0;

	bpf_skb_load_bytes(skb, l4 + 12, &offset, 1);
	return (offset >> 4) * 4;
}

/* Bytes of the largest packet on the wire, without its Ethernet header. */
static __always_inline __u32 tunnel_wire_len(struct __sk_buff *skb,
					     const struct ip_start *ip,
					     __be16 type)
{
	__u32 l3 = sizeof(struct ipv6hdr), l4 = sizeof(struct udphdr);

	if (!skb->gso_size)
		return skb->len - ETH_HLEN + TUNNEL_LEN;
	if (type == bpf_htons(ETH_P_IP))
		l3 = (ip_start_byte(ip, 0) & 0xf) * 4;
	if (ip_start_proto(ip, type) == IPPROTO_TCP)
		l4 = tcp_header_len(skb, L3_OFF + l3);
	return skb->gso_size + l4 + l3 + TUNNEL_LEN;
}

/* The whole packet in VXLAN, to the underlay by its routes. */
__noinline int tunnel_send(struct __sk_buff *skb, __be32 vtep, __u32 vni)
{
	/* One after the other in the same place: the stack has 512 bytes. */
	union {
		struct ip_start ip;
		struct tunnel_hdr h;
		struct bpf_redir_neigh next;
	} u;
	struct tunnel_of of = {
		.type = skb->protocol,
		.len = skb->len - ETH_HLEN,
	};
	struct path *path;
	__u32 ifindex;
	__be32 hop;

	if (pkt_load(skb, L3_OFF, &u.ip) ||
	    ip_start_is_fragment(&u.ip, of.type))
		return TUNNEL_BY_DEVICE;
	of.ecn = ip_start_ecn(&u.ip, of.type);
	path = path_find(skb, vtep, tunnel_wire_len(skb, &u.ip, of.type));
	if (!path)
		return TUNNEL_BY_DEVICE;
	ifindex = path->ifindex;
	hop = path->hop;
	of.hash = bpf_get_hash_recalc(skb);
	__builtin_memset(&u, 0, sizeof(u));
	tunnel_fill(&u.h, &of, vtep, vni);
	if (bpf_skb_adjust_room(skb, TUNNEL_LEN, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO |
					BPF_F_ADJ_ROOM_NO_CSUM_RESET |
					BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
					BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
					BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
					BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN)))
		return TUNNEL_BY_DEVICE;
	if (bpf_skb_store_bytes(skb, L3_OFF, &u.h, TUNNEL_LEN, 0))
		return -ABI_DROP_KERNEL;
	__builtin_memset(&u, 0, sizeof(u.next));
	u.next.nh_family = AF_INET;
	u.next.ipv4_nh = hop;
	return bpf_redirect_neigh(ifindex, &u.next, sizeof(u.next), 0);
}

/*
 * A tunnel packet from the underlay loses what the tunnel put on; the VNI is
 * in *vni. The Ethernet header that stays is the outer one, and whoever
 * delivers the packet writes another.
 */
static __always_inline int tunnel_open(struct __sk_buff *skb,
				       const struct pkt *p, __u32 *vni)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	struct vxlan_hdr h;
	struct ip_start ip;
	__be16 type;

	if (p->fragment || p->l4 != L3_OFF + sizeof(struct iphdr) ||
	    pkt_load(skb, L3_OFF, &ip))
		return TUNNEL_BY_DEVICE;
	/* The inner packet would have to be marked, or dropped. */
	if (ip_start_ecn(&ip, bpf_htons(ETH_P_IP)) == IP_ECN_CE)
		return TUNNEL_BY_DEVICE;
	if (pkt_load(skb, L3_OFF + sizeof(struct iphdr), &h) || h.udp.check ||
	    h.flags != VXLAN_HAS_VNI || (h.vni & bpf_htonl(0xff)) ||
	    !type_is_ip(h.inner.type))
		return TUNNEL_BY_DEVICE;
	type = h.inner.type;
	if (type == bpf_htons(ETH_P_IPV6))
		flags |= ADJ_ROOM_DECAP_L3_IPV6;
	if (pkt_load(skb, L3_OFF + TUNNEL_LEN, &ip) ||
	    ip_start_is_fragment(&ip, type))
		return TUNNEL_BY_DEVICE;
	/*
	 * A GSO packet keeps the mark of a tunnel's (no helper takes it off).
	 * TCP does not look at it; UDP, taking the packet apart, would.
	 */
	if (skb->gso_size && ip_start_proto(&ip, type) != IPPROTO_TCP)
		return TUNNEL_BY_DEVICE;
	if (bpf_skb_adjust_room(skb, -TUNNEL_LEN, BPF_ADJ_ROOM_MAC, flags))
		return TUNNEL_BY_DEVICE;
	if (type == bpf_htons(ETH_P_IPV6) &&
	    bpf_skb_store_bytes(skb, 12, &type, sizeof(type), 0))
		return -ABI_DROP_KERNEL;
	*vni = bpf_ntohl(h.vni) >> 8;
	return 0;
}
