/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rewrite - addresses, ports and MACs changed in place, checksums kept.
 *
 * Right for GSO and CHECKSUM_PARTIAL packets too: the L4 checksum first (it
 * also corrects skb->csum), then the IP header's, then the bytes.
 */
#pragma once

#include "parse.bpf.h"

struct rewrite {
	__u32 addr_off;
	__u32 port_off;
	__be32 old_addr;
	__be32 new_addr;
	__be16 old_port;
	__be16 new_port;
};

static __always_inline int rewrite(struct __sk_buff *skb, const struct pkt *p,
				   const struct rewrite *r)
{
	/* A UDP checksum of 0 means none, and stays 0. */
	__u64 flags = p->proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__u32 check = p->l4 + (p->proto == IPPROTO_UDP ? 6 : 16);
	int err = 0;

	if (r->old_addr != r->new_addr) {
		if (p->fragment != PKT_LATER)
			err |= bpf_l4_csum_replace(
				skb, check, r->old_addr, r->new_addr,
				BPF_F_PSEUDO_HDR | flags | 4);
		err |= bpf_l3_csum_replace(skb, L3_CHECK, r->old_addr,
					   r->new_addr, 4);
		err |= bpf_skb_store_bytes(skb, r->addr_off, &r->new_addr, 4,
					   0);
	}
	if (r->old_port != r->new_port && p->fragment != PKT_LATER) {
		err |= bpf_l4_csum_replace(skb, check, r->old_port, r->new_port,
					   flags | 2);
		err |= bpf_skb_store_bytes(skb, p->l4 + r->port_off,
					   &r->new_port, 2, 0);
	}
	return err ? -ABI_DROP_KERNEL : 0;
}

/* Which end of a packet gets another address. */
enum rewrite_end { REWRITE_SRC, REWRITE_DST };

static __always_inline __s64 rewrite6_diff(const struct abi_addr *old,
					   const struct abi_addr *new)
{
	return bpf_csum_diff((void *)old, sizeof(*old), (void *)new,
			     sizeof(*new), 0);
}

/*
 * 16 bytes of address, whose checksum is the pseudo header's alone. What that
 * loses from a sum over the whole packet the changed bytes have to bring back,
 * since no IPv6 header's own checksum does.
 */
static __always_inline int rewrite6_addr(struct __sk_buff *skb, __u32 check,
					 __u32 off, const struct abi_addr *old,
					 const struct abi_addr *new,
					 __u64 flags)
{
	__s64 diff = rewrite6_diff(old, new);
	int err;

	err = bpf_l4_csum_replace(skb, check, 0, diff,
				  BPF_F_PSEUDO_HDR | flags);
	err |= bpf_skb_store_bytes(skb, off, new, sizeof(*new),
				   BPF_F_RECOMPUTE_CSUM);
	return err;
}

/* The rest as below. */
__noinline int rewrite6(struct __sk_buff *skb, struct pkt *p,
			const struct abi_addr *addr, __be16 port,
			enum rewrite_end end)
{
	struct abi_addr *at;
	__u32 check, off;
	__u64 flags = 0;
	__be16 *port_at;
	int err = 0;

	if (!p || !addr)
		return -ABI_DROP_KERNEL;
	at = end == REWRITE_SRC ? &p->src : &p->dst;
	port_at = end == REWRITE_SRC ? &p->sport : &p->dport;
	off = end == REWRITE_SRC ? L3_SRC6 : L3_DST6;
	check = p->l4 + 16;
	if (p->proto == IPPROTO_UDP) {
		check = p->l4 + 6;
		flags = BPF_F_MARK_MANGLED_0;
	}
	if (p->fragment == PKT_LATER) {
		err = bpf_skb_store_bytes(skb, off, addr, sizeof(*addr),
					  BPF_F_RECOMPUTE_CSUM);
	} else {
		if (!addr_eq(at, addr))
			err |= rewrite6_addr(skb, check, off, at, addr, flags);
		if (*port_at != port) {
			off = p->l4 + (end == REWRITE_SRC ? 0 : 2);
			err |= bpf_l4_csum_replace(skb, check, *port_at, port,
						   flags | 2);
			err |= bpf_skb_store_bytes(skb, off, &port, 2, 0);
		}
	}
	*at = *addr;
	*port_at = port;
	return err ? -ABI_DROP_KERNEL : 0;
}

/*
 * Only TCP and UDP. The L4 header is in the first fragment, and its checksum
 * is over all of the datagram: the change is the same.
 */
static __always_inline int rewrite_dst(struct __sk_buff *skb, struct pkt *p,
				       const struct abi_addr *addr, __be16 port)
{
	struct rewrite r = {
		.addr_off = L3_DST,
		.port_off = 2,
		.old_addr = p->dst.w[3],
		.new_addr = addr->w[3],
		.old_port = p->dport,
		.new_port = port,
	};

	if (p->v6)
		return rewrite6(skb, p, addr, port, REWRITE_DST);
	p->dst = *addr;
	p->dport = port;
	return rewrite(skb, p, &r);
}

static __always_inline int rewrite_src(struct __sk_buff *skb, struct pkt *p,
				       const struct abi_addr *addr, __be16 port)
{
	struct rewrite r = {
		.addr_off = L3_SRC,
		.port_off = 0,
		.old_addr = p->src.w[3],
		.new_addr = addr->w[3],
		.old_port = p->sport,
		.new_port = port,
	};

	if (p->v6)
		return rewrite6(skb, p, addr, port, REWRITE_SRC);
	p->src = *addr;
	p->sport = port;
	return rewrite(skb, p, &r);
}

/* From netd0's MAC, which is the one neighbour every pod knows. */
static __always_inline int rewrite_macs(struct __sk_buff *skb, const __u8 *dst)
{
	__u8 macs[12];

	__builtin_memcpy(macs, dst, 6);
	for (int i = 0; i < 6; i++)
		macs[6 + i] = config.tunnel_mac[i];
	return bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0)
		       ? -ABI_DROP_KERNEL
		       : 0;
}

static __always_inline int rewrite_mac_to_host(struct __sk_buff *skb)
{
	__u8 mac[6];

	for (int i = 0; i < 6; i++)
		mac[i] = config.tunnel_mac[i];
	return bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0)
		       ? -ABI_DROP_KERNEL
		       : 0;
}

/* redirect_peer (before 6.15) and the host's stack want PACKET_HOST. */
static __always_inline void rewrite_type_host(struct __sk_buff *skb)
{
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
}
