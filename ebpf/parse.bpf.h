/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse - a packet's headers, copied once into one small struct.
 *
 * It is the same for both families, so that what is decided by it is decided
 * by the same code: IPv4 addresses are v4-mapped, ICMPv6 has the numbers of
 * ICMP. Only who reads or writes the packet itself has to look at `v6`.
 *
 * Headers are copied, not pointed at: GRO leaves packets whose linear part is
 * an Ethernet header, and rewriting moves data. All steps return 0, or the
 * negative drop reason.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "netd/bpf_abi.h"

/* That of linux/if_ether.h is packed, and would be read byte by byte. */
struct eth_hdr {
	__be16 dst[3];
	__be16 src[3];
	__be16 type;
};

/* linux/icmp.h pulls in the C library's headers: its echo part, ours. */
struct icmp_hdr {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be16 id;
	__be16 seq;
};

#define ICMP_TYPE_ECHO_REPLY 0
#define ICMP_TYPE_UNREACHABLE 3
#define ICMP_TYPE_ECHO 8
#define ICMP_TYPE_TIME_EXCEEDED 11
#define ICMP_TYPE_PARAMETER 12
#define ICMP_CODE_PORT 3
#define ICMP_CODE_TOO_BIG 4

/* RFC 4443; what both have in common is known by ICMP's number. */
#define ICMP6_TYPE_UNREACHABLE 1
#define ICMP6_TYPE_TOO_BIG 2
#define ICMP6_TYPE_TIME_EXCEEDED 3
#define ICMP6_TYPE_PARAMETER 4
#define ICMP6_TYPE_ECHO 128
#define ICMP6_TYPE_ECHO_REPLY 129
#define ICMP6_TYPE_SOLICIT 135
#define ICMP6_TYPE_ADVERT 136
#define ICMP6_CODE_PORT 4

/* More fragments, or an offset. */
#define IP_FRAGMENT_BITS 0x3fff
#define IP_OFFSET_BITS 0x1fff
#define IP_DONT_FRAGMENT 0x4000

/* Byte 13 of a TCP header. */
#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_BIT_SYN 0x02
#define TCP_FLAG_BIT_RST 0x04
#define TCP_FLAG_BIT_ACK 0x10

#define AF_INET 2

#define L3_OFF ETH_HLEN
#define L3_SRC (ETH_HLEN + 12)
#define L3_DST (ETH_HLEN + 16)
#define L3_CHECK (ETH_HLEN + 10)
#define L3_HOP_LIMIT (ETH_HLEN + 7)
#define L3_SRC6 (ETH_HLEN + 8)
#define L3_DST6 (ETH_HLEN + 24)

/* RFC 8200 4.5: a fragment's header. */
struct ip6_frag {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

#define IP6_MORE_FRAGMENTS 1
#define IP6_OFFSET_BITS 0xfff8

enum pkt_fragment {
	PKT_WHOLE,
	PKT_FIRST,
	/* One after the first, with its ports, or without. */
	PKT_LATER,
	PKT_LOST,
};

struct pkt {
	struct abi_addr src;
	struct abi_addr dst;
	/* ICMP: 0. Later fragments: see frag.bpf.h. */
	__be16 sport;
	__be16 dport;
	/* ICMPv6 is ICMP. */
	__u8 proto;
	/* enum pkt_fragment */
	__u8 fragment;
	/* TCP: flags; ICMP: type. */
	__u8 detail;
	__u8 dont_fragment;
	/* Behind two IP headers, in a quote, it is below 256 still. */
	__u8 l4;
	/* ABI_IPV4 or ABI_IPV6. */
	__u8 v6;
	__u16 len;
	__be32 id;
	/* TCP, host order. */
	__u32 seq;
	__u32 ack;
};

/*
 * bpf_skb_load_bytes() of *to, whose type says how many, by a shorter way
 * where the bytes are in the packet's linear part.
 */
#define pkt_load(skb, off, to)                                                 \
	({                                                                     \
		const __typeof__(*(to)) *from_ =                               \
			(void *)(long)(skb)->data + (off);                     \
		int err_ = 0;                                                  \
                                                                               \
		if ((void *)(from_ + 1) <= (void *)(long)(skb)->data_end)      \
			*(to) = *from_;                                        \
		else                                                           \
			err_ = bpf_skb_load_bytes(skb, off, to,                \
						  sizeof(*(to)));              \
		err_;                                                          \
	})

static __always_inline void addr_set_v4(struct abi_addr *a, __be32 v4)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = v4;
}

static __always_inline int addr_eq(const struct abi_addr *a,
				   const struct abi_addr *b)
{
	return a->w[3] == b->w[3] && a->w[2] == b->w[2] && a->w[1] == b->w[1] &&
	       a->w[0] == b->w[0];
}

static __always_inline int addr_in(const struct abi_addr *a,
				   const struct abi_prefix *p)
{
	return (a->w[3] & p->mask.w[3]) == p->net.w[3] &&
	       (a->w[2] & p->mask.w[2]) == p->net.w[2] &&
	       (a->w[1] & p->mask.w[1]) == p->net.w[1] &&
	       (a->w[0] & p->mask.w[0]) == p->net.w[0];
}

static __always_inline int addr_is_none(const struct abi_addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

static __always_inline int addr_is_v4(const struct abi_addr *a)
{
	return a->w[2] == bpf_htonl(0xffff) && !(a->w[0] | a->w[1]);
}

static __always_inline int addr_is_loopback(const struct abi_addr *a)
{
	if (addr_is_v4(a))
		return (a->w[3] & bpf_htonl(0xff000000)) ==
		       bpf_htonl(0x7f000000);
	return a->w[3] == bpf_htonl(1) && !(a->w[0] | a->w[1] | a->w[2]);
}

static __always_inline int addr_is_link_local(const struct abi_addr *a)
{
	return (a->w[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline int addr_is_group(const struct abi_addr *a)
{
	return (a->w[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* None, loopback, or an IPv4 address in disguise, which would be one here. */
static __always_inline int addr_is_reserved(const struct abi_addr *a)
{
	return !(a->w[0] | a->w[1]) &&
	       (!a->w[2] || a->w[2] == bpf_htonl(0xffff));
}

/*
 * Of IPv4; parse_ip6() has looked at the others. 224.0.0.0/3 holds multicast,
 * reserved and the broadcast address.
 */
static __always_inline int addr_is_unicast(const struct abi_addr *a)
{
	__be32 first = a->w[3] & bpf_htonl(0xff000000);

	return (a->w[3] & bpf_htonl(0xe0000000)) != bpf_htonl(0xe0000000) &&
	       first != 0 && first != bpf_htonl(0x7f000000);
}

static __always_inline int mac_eq(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] &&
	       a[4] == b[4] && a[5] == b[5];
}

/* The same of an Ethernet header's; `b` is aligned for it. */
static __always_inline int mac_is(const __be16 *a, const __u8 *b)
{
	const __be16 *w = (const void *)b;

	return a[0] == w[0] && a[1] == w[1] && a[2] == w[2];
}

/* A SYN that begins a connection. */
static __always_inline int pkt_is_syn(const struct pkt *p)
{
	return p->proto == IPPROTO_TCP &&
	       (p->detail & (TCP_FLAG_BIT_SYN | TCP_FLAG_BIT_ACK)) ==
		       TCP_FLAG_BIT_SYN;
}

static __always_inline int pkt_has_ports(const struct pkt *p)
{
	return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
}

/* A fragment that cannot be balanced; of echoes to a VIP that is each. */
static __always_inline int pkt_is_lost(const struct pkt *p)
{
	return p->fragment == PKT_LOST ||
	       (p->fragment && p->proto == IPPROTO_ICMP);
}

/* An ICMP message that is about another packet, and quotes it. */
static __always_inline int pkt_is_error(const struct pkt *p)
{
	return p->proto == IPPROTO_ICMP && !p->fragment &&
	       (p->detail == ICMP_TYPE_UNREACHABLE ||
		p->detail == ICMP_TYPE_TIME_EXCEEDED ||
		p->detail == ICMP_TYPE_PARAMETER);
}

/* As much of a TCP header as is looked at, and of UDP's and ICMP's. */
struct tcp_start {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
	__be16 window;
};

struct l4_start {
	union {
		__be16 port[2];
		__u8 type;
	};
	__be32 rest;
};

static __always_inline int parse_l4(struct __sk_buff *skb, struct pkt *p)
{
	struct l4_start h;
	struct tcp_start tcp;

	switch (p->proto) {
	case IPPROTO_TCP:
		if (pkt_load(skb, p->l4, &tcp))
			return -ABI_DROP_RUNT;
		p->sport = tcp.sport;
		p->dport = tcp.dport;
		p->detail = tcp.flags;
		p->seq = bpf_ntohl(tcp.seq);
		p->ack = bpf_ntohl(tcp.ack);
		return 0;
	case IPPROTO_UDP:
		if (pkt_load(skb, p->l4, &h))
			return -ABI_DROP_RUNT;
		p->sport = h.port[0];
		p->dport = h.port[1];
		return 0;
	case IPPROTO_ICMP:
		if (pkt_load(skb, p->l4, &h))
			return -ABI_DROP_RUNT;
		p->detail = h.type;
		return 0;
	}
	return 0;
}

/* The IPv4 packet behind an Ethernet header; p is all zeros. */
static __always_inline int parse_ip(struct __sk_buff *skb, struct pkt *p)
{
	struct iphdr ip;
	__u16 frag;

	if (pkt_load(skb, L3_OFF, &ip))
		return -ABI_DROP_RUNT;
	p->len = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || ip.ihl < 5 || p->len < ip.ihl * 4 ||
	    skb->len < (__u32)L3_OFF + p->len)
		return -ABI_DROP_RUNT;

	addr_set_v4(&p->src, ip.saddr);
	addr_set_v4(&p->dst, ip.daddr);
	p->proto = ip.protocol;
	p->l4 = L3_OFF + ip.ihl * 4;
	frag = bpf_ntohs(ip.frag_off);
	p->id = ip.id;
	p->dont_fragment = (frag & IP_DONT_FRAGMENT) != 0;
	if (frag & IP_OFFSET_BITS) {
		p->fragment = PKT_LOST;
		return 0;
	}
	if (frag & IP_FRAGMENT_BITS)
		p->fragment = PKT_FIRST;
	return parse_l4(skb, p);
}

/* What stands between the IPv6 header, or a fragment's, and the rest. */
static __always_inline int ip6_is_extension(__u8 next)
{
	switch (next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	/* Host Identity Protocol and Shim6. */
	case 139:
	case 140:
	/* A second one. */
	case IPPROTO_FRAGMENT:
	/* It would be taken for ICMPv6. */
	case IPPROTO_ICMP:
		return 1;
	}
	return 0;
}

static __always_inline int icmp6_as_icmp(__u8 type)
{
	switch (type) {
	case ICMP6_TYPE_UNREACHABLE:
	case ICMP6_TYPE_TOO_BIG:
		return ICMP_TYPE_UNREACHABLE;
	case ICMP6_TYPE_TIME_EXCEEDED:
		return ICMP_TYPE_TIME_EXCEEDED;
	case ICMP6_TYPE_PARAMETER:
		return ICMP_TYPE_PARAMETER;
	case ICMP6_TYPE_ECHO:
		return ICMP_TYPE_ECHO;
	case ICMP6_TYPE_ECHO_REPLY:
		return ICMP_TYPE_ECHO_REPLY;
	}
	return -ABI_DROP_ICMPV6;
}

/* No router takes it further. */
static __always_inline int addr_is_for_link(const struct abi_addr *a)
{
	return addr_is_group(a) || addr_is_link_local(a);
}

/* Of ICMPv6, parse_ip6_l4() asks where it goes: links need some of it. */
static __always_inline int parse_ip6_addrs(const struct pkt *p, __u8 next)
{
	if ((addr_is_reserved(&p->src) && !addr_is_none(&p->src)) ||
	    addr_is_reserved(&p->dst) || addr_is_group(&p->src))
		return -ABI_DROP_MULTICAST;
	if (next != IPPROTO_ICMPV6 && addr_is_for_link(&p->dst))
		return -ABI_DROP_MULTICAST;
	return 0;
}

static __always_inline int parse_ip6_l4(struct __sk_buff *skb, struct pkt *p)
{
	int err;

	if (p->proto != IPPROTO_ICMPV6)
		return parse_l4(skb, p);
	p->proto = IPPROTO_ICMP;
	err = parse_l4(skb, p);
	if (err)
		return err;
	err = icmp6_as_icmp(p->detail);
	if (err < 0)
		return err;
	p->detail = err;
	return addr_is_for_link(&p->dst) ? -ABI_DROP_MULTICAST : 0;
}

/* A fragment's header, when there is one, moves the rest. */
static __always_inline int parse_ip6_frag(struct __sk_buff *skb, struct pkt *p)
{
	struct ip6_frag frag;

	if (bpf_skb_load_bytes(skb, p->l4, &frag, sizeof(frag)))
		return -ABI_DROP_RUNT;
	p->l4 += sizeof(frag);
	p->proto = frag.next;
	p->id = frag.id;
	if (frag.offset & bpf_htons(IP6_OFFSET_BITS))
		p->fragment = PKT_LOST;
	else if (frag.offset & bpf_htons(IP6_MORE_FRAGMENTS))
		p->fragment = PKT_FIRST;
	return 0;
}

/*
 * The IPv6 packet behind an Ethernet header. Other extension headers than a
 * fragment's are for routers, or hide from them what is behind: nothing of
 * ours needs any. Neither do jumbograms pass.
 */
__noinline int parse_ip6(struct __sk_buff *skb, struct pkt *p)
{
	struct ipv6hdr ip;
	__u32 len;
	int err;

	if (!p || pkt_load(skb, L3_OFF, &ip))
		return -ABI_DROP_RUNT;
	len = sizeof(ip) + bpf_ntohs(ip.payload_len);
	if (ip.version != 6 || len > 65535 || skb->len < L3_OFF + len)
		return -ABI_DROP_RUNT;
	__builtin_memcpy(&p->src, &ip.saddr, sizeof(p->src));
	__builtin_memcpy(&p->dst, &ip.daddr, sizeof(p->dst));
	p->v6 = ABI_IPV6;
	p->len = len;
	p->l4 = L3_OFF + sizeof(ip);
	p->proto = ip.nexthdr;
	p->dont_fragment = 1;
	err = parse_ip6_addrs(p, ip.nexthdr);
	if (!err && ip.nexthdr == IPPROTO_FRAGMENT)
		err = parse_ip6_frag(skb, p);
	if (err)
		return err;
	if (ip6_is_extension(p->proto))
		return -ABI_DROP_EXTENSION;
	if (p->fragment != PKT_LOST)
		return parse_ip6_l4(skb, p);
	if (p->proto == IPPROTO_ICMPV6)
		p->proto = IPPROTO_ICMP;
	return 0;
}

static __always_inline int type_is_ip(__be16 type)
{
	return type == bpf_htons(ETH_P_IP) || type == bpf_htons(ETH_P_IPV6);
}

/* `type` is the Ethernet header's, of the two. */
static __always_inline int parse_packet(struct __sk_buff *skb, struct pkt *p,
					__be16 type)
{
	__builtin_memset(p, 0, sizeof(*p));
	return type == bpf_htons(ETH_P_IPV6) ? parse_ip6(skb, p)
					     : parse_ip(skb, p);
}
