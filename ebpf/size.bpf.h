/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * size - what fits through the tunnel to a node: the smaller of both nodes'
 * tunnel MTUs, entered with the node's VTEP.
 *
 * Pods on either side announce segments that fit. Who is outside does not
 * know of the tunnel: the mesh tells him, by the MSS of what he and his
 * backend announce, and by "fragmentation needed" where he forbids fragments,
 * as all of IPv6 does. What he does not forbid, or what IPv6 owes him, travels
 * in an outer packet of fragments.
 */
#pragma once

#include "reply.bpf.h"

/* Every IPv4 link has this (RFC 791), so a smaller entry means unknown. */
#define SIZE_MTU_MIN 576
/* Nothing of IPv6 is ever too big up to here (RFC 8200 5). */
#define SIZE_MTU6_MIN 1280
/* No packet up to here is ever looked at: tunnels have 1280 less 50. */
#define SIZE_ALWAYS_FITS 1230

#define TCP_OPT_END 0
#define TCP_OPT_NOP 1
#define TCP_OPT_MSS 2
#define TCP_OPT_MSS_LEN 4
/* MSS, SACK, timestamps, window scale and what pads them are fewer. */
#define TCP_OPTS_MAX 10

static __always_inline __u32 size_ip(const struct pkt *p)
{
	return p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

static __always_inline __u32 size_mtu(const struct abi_addr *vtep)
{
	/* A key that is a function's argument is no key to 6.1. */
	struct abi_addr key = *vtep;
	__u32 *mtu = bpf_map_lookup_elem(&vteps, &key);

	return mtu && *mtu >= SIZE_MTU_MIN ? *mtu : 0;
}

/* Where the MSS option of a TCP header is, 0: it has none. */
static __always_inline __u32 mss_find(struct __sk_buff *skb, __u32 l4)
{
	__u32 at = l4 + sizeof(struct tcphdr), end;
	__u8 kind, len;

	if (bpf_skb_load_bytes(skb, l4 + 12, &len, 1))
		return 0;
	end = l4 + (len >> 4) * 4;
	for (int i = 0; i < TCP_OPTS_MAX && at + TCP_OPT_MSS_LEN <= end; i++) {
		if (bpf_skb_load_bytes(skb, at, &kind, 1) ||
		    kind == TCP_OPT_END)
			return 0;
		if (kind == TCP_OPT_NOP) {
			at++;
			continue;
		}
		if (bpf_skb_load_bytes(skb, at + 1, &len, 1) || len < 2)
			return 0;
		if (kind == TCP_OPT_MSS)
			return len == TCP_OPT_MSS_LEN ? at : 0;
		at += len;
	}
	return 0;
}

/* A SYN, or its answer, through the tunnel to this node: its MSS fits. */
__noinline int size_clamp(struct __sk_buff *skb, const struct pkt *p,
			  const struct abi_addr *vtep)
{
	__be16 old, new, from, to;
	__u32 mtu, at;
	int err;

	if (!p || !vtep || p->proto != IPPROTO_TCP ||
	    !(p->detail & TCP_FLAG_BIT_SYN))
		return 0;
	mtu = size_mtu(vtep);
	at = mtu ? mss_find(skb, p->l4) : 0;
	if (!at || bpf_skb_load_bytes(skb, at + 2, &old, sizeof(old)))
		return 0;
	new = bpf_htons(mtu - size_ip(p) - sizeof(struct tcphdr));
	if (bpf_ntohs(old) <= bpf_ntohs(new))
		return 0;
	/* Between two words of the sum, each byte counts in the other half. */
	from = (at - p->l4) & 1 ? __builtin_bswap16(old) : old;
	to = (at - p->l4) & 1 ? __builtin_bswap16(new) : new;
	err = bpf_l4_csum_replace(skb, p->l4 + 16, from, to, 2);
	err |= bpf_skb_store_bytes(skb, at + 2, &new, sizeof(new), 0);
	return err ? -ABI_DROP_KERNEL : 0;
}

/* The IP packet's length; of an unsegmented stream, its segments'. */
static __always_inline __u32 size_of(struct __sk_buff *skb, const struct pkt *p)
{
	__u32 header = sizeof(struct udphdr);
	__u8 offset;

	if (!skb->gso_size)
		return p->len;
	if (p->proto == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, p->l4 + 12, &offset, 1))
			return p->len;
		header = (offset >> 4) * 4;
	}
	return p->l4 - L3_OFF + header + skb->gso_size;
}

/*
 * 0: go on. Else what to return: the sender is told of the MTU. Asked before
 * anything is changed, since the sender has to know his packet again.
 */
__noinline int size_check(struct __sk_buff *skb, const struct pkt *p,
			  const struct abi_addr *vtep, int from_host)
{
	__u32 mtu;

	if (!p || !vtep)
		return -ABI_DROP_KERNEL;
	mtu = size_mtu(vtep);
	if (mtu && p->v6 && mtu < SIZE_MTU6_MIN)
		mtu = SIZE_MTU6_MIN;
	if (!mtu || size_of(skb, p) <= mtu)
		return 0;
	return reply_too_big(skb, p, mtu, from_host);
}

static __always_inline int size_fits(struct __sk_buff *skb, const struct pkt *p,
				     const struct abi_addr *vtep, int from_host)
{
	if (!p->dont_fragment || p->len <= SIZE_ALWAYS_FITS || p->fragment)
		return 0;
	/* About errors no error is sent; with options nothing is answered. */
	if ((p->proto == IPPROTO_ICMP && p->detail != ICMP_TYPE_ECHO) ||
	    p->l4 != L3_OFF + size_ip(p))
		return 0;
	return size_check(skb, p, vtep, from_host);
}
