/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * error - ICMP errors about packets of balanced connections: RFC 792's
 * unreachable (with it "fragmentation needed"), time exceeded, parameter
 * problem.
 *
 * An error quotes the packet it is about, and goes against its direction. So
 * it is looked at as if it were a packet of the quoted connection, sent back:
 * whatever is translated in such a packet is translated in the error, outside
 * and in the quote, or its receiver would not know the connection.
 */
#pragma once

#include "rewrite.bpf.h"

#define ICMP_HDR_LEN 8

/* Which end of the connection gets another address. */
enum error_end { ERROR_SRC, ERROR_DST };

/*
 * `q` is what a packet against the quoted one would be; its l4 is the offset
 * of the quoted one's L4 header. -1: quotes nothing that is ever balanced.
 */
static __always_inline int error_parse(struct __sk_buff *skb,
				       const struct pkt *p, struct pkt *q)
{
	struct iphdr ip;
	__be16 port[2];

	__builtin_memset(q, 0, sizeof(*q));
	if (bpf_skb_load_bytes(skb, p->l4 + ICMP_HDR_LEN, &ip, sizeof(ip)) ||
	    ip.version != 4 || ip.ihl < 5 ||
	    (bpf_ntohs(ip.frag_off) & IP_OFFSET_BITS))
		return -1;
	q->proto = ip.protocol;
	q->l4 = p->l4 + ICMP_HDR_LEN + ip.ihl * 4;
	if (!pkt_has_ports(q) ||
	    bpf_skb_load_bytes(skb, q->l4, port, sizeof(port)))
		return -1;
	addr_set_v4(&q->src, ip.daddr);
	addr_set_v4(&q->dst, ip.saddr);
	q->sport = port[1];
	q->dport = port[0];
	return 0;
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
