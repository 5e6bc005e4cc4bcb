/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse - a packet's headers, copied once into one small struct.
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
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "netd/bpf_abi.h"

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

/* More fragments, or an offset. */
#define IP_FRAGMENT_BITS 0x3fff
#define IP_OFFSET_BITS 0x1fff
#define IP_DONT_FRAGMENT 0x4000

/* Byte 13 of a TCP header. */
#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_BIT_SYN 0x02
#define TCP_FLAG_BIT_RST 0x04
#define TCP_FLAG_BIT_ACK 0x10

#define L3_OFF ETH_HLEN
#define L3_SRC (ETH_HLEN + 12)
#define L3_DST (ETH_HLEN + 16)
#define L3_CHECK (ETH_HLEN + 10)

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
	__u8 proto;
	/* enum pkt_fragment */
	__u8 fragment;
	/* TCP: flags; ICMP: type. */
	__u8 detail;
	__u8 dont_fragment;
	__u16 l4;
	__u16 len;
	__be16 id;
	__u16 pad;
	/* TCP, host order. */
	__u32 seq;
	__u32 ack;
};

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

static __always_inline int addr_is_loopback(const struct abi_addr *a)
{
	return (a->w[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
}

/* 224.0.0.0/3 holds multicast, reserved and the broadcast address. */
static __always_inline int addr_is_unicast(const struct abi_addr *a)
{
	return (a->w[3] & bpf_htonl(0xe0000000)) != bpf_htonl(0xe0000000) &&
	       (a->w[3] & bpf_htonl(0xff000000)) != 0 && !addr_is_loopback(a);
}

static __always_inline int mac_eq(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] &&
	       a[4] == b[4] && a[5] == b[5];
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

static __always_inline int parse_l4(struct __sk_buff *skb, struct pkt *p)
{
	union {
		__be16 port[7];
		__be32 word[4];
		__u8 byte[14];
	} h;
	int err;

	switch (p->proto) {
	case IPPROTO_TCP:
		err = bpf_skb_load_bytes(skb, p->l4, &h, 14);
		p->detail = h.byte[13];
		p->seq = bpf_ntohl(h.word[1]);
		p->ack = bpf_ntohl(h.word[2]);
		break;
	case IPPROTO_UDP:
		err = bpf_skb_load_bytes(skb, p->l4, &h, 8);
		break;
	case IPPROTO_ICMP:
		err = bpf_skb_load_bytes(skb, p->l4, &h, 8);
		if (err)
			return -ABI_DROP_RUNT;
		p->detail = h.byte[0];
		return 0;
	default:
		return 0;
	}
	if (err)
		return -ABI_DROP_RUNT;

	p->sport = h.port[0];
	p->dport = h.port[1];
	return 0;
}

/* The IPv4 packet behind an Ethernet header. */
static __always_inline int parse_ip(struct __sk_buff *skb, struct pkt *p)
{
	struct iphdr ip;
	__u16 frag;

	__builtin_memset(p, 0, sizeof(*p));
	if (bpf_skb_load_bytes(skb, L3_OFF, &ip, sizeof(ip)))
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
