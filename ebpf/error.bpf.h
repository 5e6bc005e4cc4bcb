/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * error - ICMP errors about packets of balanced connections: RFC 792's
 * unreachable (with it "fragmentation needed"), time exceeded, parameter
 * problem, and RFC 4443's.
 *
 * An error quotes the packet it is about, and goes against its direction. So
 * it is looked at as if it were a packet of the quoted connection, sent back:
 * whatever is translated in such a packet is translated in the error, outside
 * and in the quote, or its receiver would not know the connection.
 */
#pragma once

#include "rewrite.bpf.h"
#include "work.bpf.h"

#define ICMP_HDR_LEN 8

/* Which end of the connection gets another address. */
enum error_end { ERROR_SRC, ERROR_DST };

static __always_inline int error_ports(struct __sk_buff *skb, struct pkt *q)
{
	__be16 port[2];

	if (!pkt_has_ports(q) ||
	    bpf_skb_load_bytes(skb, q->l4, port, sizeof(port)))
		return -1;
	q->sport = port[1];
	q->dport = port[0];
	return 0;
}

/* Into work->quoted, which is all zeros. */
__noinline int error_parse6(struct __sk_buff *skb, const struct pkt *p)
{
	struct work *work = work_get();
	struct ip6_frag frag;
	struct ipv6hdr ip;
	struct pkt *q;

	if (!p || !work)
		return -1;
	q = &work->quoted;
	if (bpf_skb_load_bytes(skb, p->l4 + ICMP_HDR_LEN, &ip, sizeof(ip)) ||
	    ip.version != 6)
		return -1;
	q->v6 = ABI_IPV6;
	q->proto = ip.nexthdr;
	q->l4 = p->l4 + ICMP_HDR_LEN + sizeof(ip);
	if (ip.nexthdr == IPPROTO_FRAGMENT) {
		if (bpf_skb_load_bytes(skb, q->l4, &frag, sizeof(frag)) ||
		    (frag.offset & bpf_htons(IP6_OFFSET_BITS)))
			return -1;
		q->proto = frag.next;
		q->l4 += sizeof(frag);
	}
	__builtin_memcpy(&q->src, &ip.daddr, sizeof(q->src));
	__builtin_memcpy(&q->dst, &ip.saddr, sizeof(q->dst));
	if (addr_is_reserved(&q->src) || addr_is_reserved(&q->dst))
		return -1;
	return error_ports(skb, q);
}

/*
 * `q`, of `work`, is what a packet against the quoted one would be; its l4 is
 * the offset of the quoted one's L4 header. -1: quotes nothing that is ever
 * balanced.
 */
static __always_inline int error_parse(struct __sk_buff *skb,
				       const struct pkt *p, struct pkt *q)
{
	struct iphdr ip;

	__builtin_memset(q, 0, sizeof(*q));
	if (p->v6)
		return error_parse6(skb, p);
	if (bpf_skb_load_bytes(skb, p->l4 + ICMP_HDR_LEN, &ip, sizeof(ip)) ||
	    ip.version != 4 || ip.ihl < 5 ||
	    (bpf_ntohs(ip.frag_off) & IP_OFFSET_BITS))
		return -1;
	q->proto = ip.protocol;
	q->l4 = p->l4 + ICMP_HDR_LEN + ip.ihl * 4;
	addr_set_v4(&q->src, ip.daddr);
	addr_set_v4(&q->dst, ip.saddr);
	return error_ports(skb, q);
}

/*
 * The quoted IP header's sum stays what it is, its address and checksum
 * changing together; a quoted UDP header, whose checksum is over addresses
 * too, changes against the address. What is left is for the message's own.
 */
static __always_inline int error_checks(struct __sk_buff *skb,
					const struct pkt *p,
					const struct pkt *q,
					const struct rewrite *r)
{
	const __u64 udp_flags = BPF_F_MARK_MANGLED_0;
	__u32 check = p->l4 + 2, udp_check = q->l4 + 6;
	__sum16 udp = 0;
	int err = 0;

	if (q->proto == IPPROTO_UDP)
		bpf_skb_load_bytes(skb, udp_check, &udp, sizeof(udp));
	if (!udp)
		return bpf_l4_csum_replace(skb, check, r->old_port, r->new_port,
					   2);
	err |= bpf_l4_csum_replace(skb, udp_check, r->old_addr, r->new_addr,
				   udp_flags | 4);
	err |= bpf_l4_csum_replace(skb, udp_check, r->old_port, r->new_port,
				   udp_flags | 2);
	err |= bpf_l4_csum_replace(skb, check, r->new_addr, r->old_addr, 4);
	return err;
}

/*
 * The sum is over the outer addresses too, and no IP header's keeps those of
 * the quoted one in it. A quoted UDP checksum makes up for all that changes in
 * the quote; of TCP's, too far behind to be in every quote, that is not asked.
 */
__noinline int error_rewrite6(struct __sk_buff *skb, struct pkt *p,
			      const struct abi_addr *addr, __be16 port,
			      enum error_end end)
{
	struct work *work = work_get();
	struct abi_addr *outer, *old;
	__u32 check, quote;
	__sum16 udp = 0;
	struct pkt *q;

	if (!p || !addr || !work)
		return -ABI_DROP_KERNEL;
	q = &work->quoted;
	outer = end == ERROR_SRC ? &p->src : &p->dst;
	old = end == ERROR_SRC ? &q->src : &q->dst;
	check = p->l4 + 2;
	if (addr_eq(outer, old)) {
		if (rewrite6_addr(skb, check,
				  end == ERROR_SRC ? L3_SRC6 : L3_DST6, old,
				  addr, 0))
			return -ABI_DROP_KERNEL;
		*outer = *addr;
	}
	if (q->proto == IPPROTO_UDP)
		bpf_skb_load_bytes(skb, q->l4 + 6, &udp, sizeof(udp));
	if (udp)
		check = q->l4 + 6;
	/* The quoted packet's destination is our source. */
	quote = p->l4 + ICMP_HDR_LEN + (end == ERROR_SRC ? 24 : 8);
	if (bpf_l4_csum_replace(skb, check, 0, rewrite6_diff(old, addr),
				udp ? BPF_F_MARK_MANGLED_0 : 0) ||
	    bpf_l4_csum_replace(skb, check,
				end == ERROR_SRC ? q->sport : q->dport, port,
				(udp ? BPF_F_MARK_MANGLED_0 : 0) | 2) ||
	    bpf_skb_store_bytes(skb, quote, addr, sizeof(*addr), 0) ||
	    bpf_skb_store_bytes(skb, q->l4 + (end == ERROR_SRC ? 2 : 0), &port,
				sizeof(port), 0))
		return -ABI_DROP_KERNEL;
	return 0;
}

static __always_inline int
error_rewrite(struct __sk_buff *skb, struct pkt *p, const struct pkt *q,
	      enum error_end end, const struct abi_addr *addr, __be16 port)
{
	struct abi_addr *outer = end == ERROR_SRC ? &p->src : &p->dst;
	__u32 outer_off = end == ERROR_SRC ? L3_SRC : L3_DST;
	__u32 quote = p->l4 + ICMP_HDR_LEN;
	/* The quoted packet's destination is our source. */
	struct rewrite r = {
		.addr_off = quote + (end == ERROR_SRC ? 16 : 12),
		.port_off = q->l4 + (end == ERROR_SRC ? 2 : 0),
		.old_addr = end == ERROR_SRC ? q->src.w[3] : q->dst.w[3],
		.new_addr = addr->w[3],
		.old_port = end == ERROR_SRC ? q->sport : q->dport,
		.new_port = port,
	};
	int err = 0;

	if (p->v6)
		return error_rewrite6(skb, p, addr, port, end);
	/* A router on the way sends errors with an address of its own. */
	if (outer->w[3] == r.old_addr) {
		err |= bpf_l3_csum_replace(skb, L3_CHECK, r.old_addr,
					   r.new_addr, 4);
		err |= bpf_skb_store_bytes(skb, outer_off, &r.new_addr, 4, 0);
		*outer = *addr;
	}
	err |= bpf_l3_csum_replace(skb, quote + 10, r.old_addr, r.new_addr, 4);
	err |= bpf_skb_store_bytes(skb, r.addr_off, &r.new_addr, 4, 0);
	err |= bpf_skb_store_bytes(skb, r.port_off, &r.new_port, 2, 0);
	err |= error_checks(skb, p, q, &r);
	return err ? -ABI_DROP_KERNEL : 0;
}
