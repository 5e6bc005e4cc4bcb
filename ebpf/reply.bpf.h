/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reply - packets that are answered where they arrive: ARP and neighbour
 * solicitations, echo to a VIP, what does not fit, and the refusal of what has
 * no backend (TCP RST, ICMP port unreachable).
 *
 * The packet itself is turned round; reply_send() then says where to.
 */
#pragma once

#include "maps.bpf.h"
#include "rewrite.bpf.h"
#include "work.bpf.h"

/* linux/if_arp.h pulls in the C library's headers: RFC 826 over Ethernet. */
struct arp_packet {
	__be16 hw_type;
	__be16 proto;
	__u8 hw_len;
	__u8 proto_len;
	__be16 op;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
} __attribute__((packed));

#define ARP_HW_ETHER 1
#define ARP_OP_REQUEST 1
#define ARP_OP_REPLY 2

/* RFC 4861 4.3, 4.4: both are the same, and what options begin with. */
struct nd_message {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 flags;
	struct abi_addr target;
};

struct nd_option {
	__u8 type;
	/* In 8 bytes. */
	__u8 len;
	__u8 mac[6];
};

#define ND_SOURCE_MAC 1
#define ND_TARGET_MAC 2
#define ND_HOP_LIMIT 255
#define ND_SOLICITED bpf_htonl(0x40000000)
#define ND_OVERRIDE bpf_htonl(0x20000000)

#define REPLY_TTL 64

/* Back by the interface it came from; the host's own by netd0's ingress. */
static __always_inline int reply_send(struct __sk_buff *skb, int from_host)
{
	return bpf_redirect(skb->ifindex, from_host ? BPF_F_INGRESS : 0);
}

static __always_inline int reply_swap_macs(struct __sk_buff *skb)
{
	__u8 macs[12];

	if (bpf_skb_load_bytes(skb, 0, macs + 6, 6) ||
	    bpf_skb_load_bytes(skb, 6, macs, 6))
		return -ABI_DROP_RUNT;
	return bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0)
		       ? -ABI_DROP_KERNEL
		       : 0;
}

static __always_inline int reply_swap_addrs(struct __sk_buff *skb,
					    const struct pkt *p)
{
	struct abi_addr addrs6[2] = { p->dst, p->src };
	__be32 addrs[2] = { p->dst.w[3], p->src.w[3] };
	int err;

	if (p->v6)
		err = bpf_skb_store_bytes(skb, L3_SRC6, addrs6, sizeof(addrs6),
					  0);
	else
		err = bpf_skb_store_bytes(skb, L3_SRC, addrs, sizeof(addrs), 0);
	return err ? -ABI_DROP_KERNEL : 0;
}

static __always_inline __sum16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__sum16)~sum;
}

/*
 * The checksum over the pseudo header and the `len` bytes behind an IPv6
 * header, whose addresses are its end; what is no part of it is added.
 */
static __always_inline __sum16 reply6_check(const struct ipv6hdr *ip, __u32 len,
					    __u8 proto)
{
	return csum_fold(bpf_csum_diff(0, 0, (void *)&ip->saddr,
				       2 * sizeof(struct abi_addr) + len,
				       ip->payload_len + bpf_htons(proto)));
}

static __always_inline void
reply6_header(struct ipv6hdr *ip, const struct pkt *p, __u8 proto, __u16 len)
{
	ip->version = 6;
	ip->payload_len = bpf_htons(len);
	ip->nexthdr = proto;
	ip->hop_limit = REPLY_TTL;
	__builtin_memcpy(&ip->saddr, &p->dst, sizeof(p->dst));
	__builtin_memcpy(&ip->daddr, &p->src, sizeof(p->src));
}

/* netd0's MAC for whatever is asked: routing decides afterwards. */
__noinline int reply_arp(struct __sk_buff *skb)
{
	struct arp_packet arp;
	__u8 asked[4];
	int err;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
		return -ABI_DROP_RUNT;
	__builtin_memcpy(asked, arp.target_ip, 4);
	__builtin_memcpy(arp.target_mac, arp.sender_mac, 6);
	__builtin_memcpy(arp.target_ip, arp.sender_ip, 4);
	for (int i = 0; i < 6; i++)
		arp.sender_mac[i] = config.tunnel_mac[i];
	__builtin_memcpy(arp.sender_ip, asked, 4);
	arp.op = bpf_htons(ARP_OP_REPLY);

	err = rewrite_macs(skb, arp.target_mac);
	if (err)
		return err;
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &arp, sizeof(arp), 0))
		return -ABI_DROP_KERNEL;
	return reply_send(skb, 0);
}

struct reply_advert {
	struct ipv6hdr ip;
	struct nd_message nd;
	struct nd_option mac;
};

/* The same in IPv6, to who asked for `target`. */
__noinline int reply_advert(struct __sk_buff *skb, const struct pkt *p,
			    const struct abi_addr *target)
{
	const __u32 len = sizeof(struct reply_advert) - sizeof(struct ipv6hdr);
	struct reply_advert r = {};
	int err;

	if (!p || !target)
		return -ABI_DROP_KERNEL;
	/* First whom to, then who is asked for. */
	err = bpf_skb_load_bytes(skb, 6, r.mac.mac, sizeof(r.mac.mac));
	if (!err)
		err = rewrite_macs(skb, r.mac.mac);
	if (err)
		return -ABI_DROP_KERNEL;
	r.ip.version = 6;
	r.ip.payload_len = bpf_htons(len);
	r.ip.nexthdr = IPPROTO_ICMPV6;
	r.ip.hop_limit = ND_HOP_LIMIT;
	__builtin_memcpy(&r.ip.saddr, target, sizeof(*target));
	__builtin_memcpy(&r.ip.daddr, &p->src, sizeof(p->src));
	r.nd.type = ICMP6_TYPE_ADVERT;
	r.nd.flags = ND_SOLICITED | ND_OVERRIDE;
	r.nd.target = *target;
	r.mac.type = ND_TARGET_MAC;
	r.mac.len = 1;
	for (int i = 0; i < 6; i++)
		r.mac.mac[i] = config.tunnel_mac[i];
	r.nd.check = reply6_check(&r.ip, len, IPPROTO_ICMPV6);

	if (bpf_skb_change_tail(skb, L3_OFF + sizeof(r), 0) ||
	    bpf_skb_store_bytes(skb, L3_OFF, &r, sizeof(r), 0))
		return -ABI_DROP_KERNEL;
	return reply_send(skb, 0);
}

/* An echo request to a VIP, which no stack has. */
__noinline int reply_echo(struct __sk_buff *skb, const struct pkt *p,
			  int from_host)
{
	__u8 type = ICMP_TYPE_ECHO_REPLY, was = ICMP_TYPE_ECHO;
	int err;

	if (!p)
		return -ABI_DROP_KERNEL;
	if (p->v6) {
		type = ICMP6_TYPE_ECHO_REPLY;
		was = ICMP6_TYPE_ECHO;
	}
	/* The addresses' sum is that of both, whichever comes first. */
	err = bpf_l4_csum_replace(skb, p->l4 + 2, bpf_htons(was << 8),
				  bpf_htons(type << 8), 2);
	err |= bpf_skb_store_bytes(skb, p->l4, &type, 1, 0);
	err |= reply_swap_addrs(skb, p);
	err |= reply_swap_macs(skb);
	if (err)
		return -ABI_DROP_KERNEL;
	return reply_send(skb, from_host);
}

struct reply_ip {
	struct iphdr ip;
	struct tcphdr tcp;
};

struct reply_ip6 {
	struct ipv6hdr ip;
	struct tcphdr tcp;
};

static __always_inline void
reply_ip_header(struct iphdr *ip, const struct pkt *p, __u8 proto, __u16 len)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(len);
	ip->ttl = REPLY_TTL;
	ip->protocol = proto;
	ip->saddr = p->dst.w[3];
	ip->daddr = p->src.w[3];
	ip->check = csum_fold(bpf_csum_diff(0, 0, (void *)ip, sizeof(*ip), 0));
}

/* The TCP header that is refused: a RST is never, nor one that lies. */
static __always_inline int reply_rst_to(struct __sk_buff *skb,
					const struct pkt *p, struct tcphdr *in)
{
	if (bpf_skb_load_bytes(skb, p->l4, in, sizeof(*in)))
		return -ABI_DROP_RUNT;
	if (in->rst)
		return -ABI_DROP_NO_BACKEND;
	if (in->doff < 5 || p->l4 - L3_OFF + in->doff * 4 > p->len)
		return -ABI_DROP_RUNT;
	return 0;
}

/* Sequence numbers of a RST: RFC 9293 3.10.7.1. */
static __always_inline void reply_rst_numbers(struct tcphdr *rst,
					      const struct tcphdr *in,
					      const struct pkt *p)
{
	__u32 len = p->len - (p->l4 - L3_OFF) - in->doff * 4;

	rst->rst = 1;
	if (in->ack) {
		rst->seq = in->ack_seq;
		return;
	}
	rst->ack = 1;
	rst->ack_seq = bpf_htonl(bpf_ntohl(in->seq) + in->syn + in->fin + len);
}

__noinline int reply_rst(struct __sk_buff *skb, const struct pkt *p,
			 int from_host)
{
	struct reply_ip h = {};
	struct tcphdr in;
	__u32 sum;
	int err;

	if (!p)
		return -ABI_DROP_KERNEL;
	err = reply_rst_to(skb, p, &in);
	if (err)
		return err;

	reply_ip_header(&h.ip, p, IPPROTO_TCP, sizeof(h));
	h.tcp.source = p->dport;
	h.tcp.dest = p->sport;
	h.tcp.doff = sizeof(h.tcp) / 4;
	reply_rst_numbers(&h.tcp, &in, p);
	/* The pseudo header: both addresses, the protocol, the length. */
	sum = bpf_csum_diff(
		0, 0, (void *)&h.ip.saddr, 8 + sizeof(struct tcphdr),
		bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(struct tcphdr)));
	h.tcp.check = csum_fold(sum);

	if (reply_swap_macs(skb) ||
	    bpf_skb_change_tail(skb, ETH_HLEN + sizeof(h), 0) ||
	    bpf_skb_store_bytes(skb, L3_OFF, &h, sizeof(h), 0))
		return -ABI_DROP_KERNEL;
	return reply_send(skb, from_host);
}

/* The same in IPv6. */
__noinline int reply_rst6(struct __sk_buff *skb, const struct pkt *p,
			  int from_host)
{
	struct reply_ip6 h = {};
	struct tcphdr in;
	int err;

	if (!p)
		return -ABI_DROP_KERNEL;
	err = reply_rst_to(skb, p, &in);
	if (err)
		return err;

	reply6_header(&h.ip, p, IPPROTO_TCP, sizeof(h.tcp));
	h.tcp.source = p->dport;
	h.tcp.dest = p->sport;
	h.tcp.doff = sizeof(h.tcp) / 4;
	reply_rst_numbers(&h.tcp, &in, p);
	h.tcp.check = reply6_check(&h.ip, sizeof(h.tcp), IPPROTO_TCP);

	if (reply_swap_macs(skb) ||
	    bpf_skb_change_tail(skb, ETH_HLEN + sizeof(h), 0) ||
	    bpf_skb_store_bytes(skb, L3_OFF, &h, sizeof(h), 0))
		return -ABI_DROP_KERNEL;
	return reply_send(skb, from_host);
}

/*
 * The offending packet's IP header and 8 bytes are quoted (RFC 792), or all
 * of a TCP header: the kernel cuts none whose checksum it has yet to fill in.
 */
struct reply_icmp {
	struct iphdr ip;
	struct icmp_hdr icmp;
	__u8 quote[40];
};

/* RFC 4443 3: the MTU has 32 bits, and is 0 but where it is too big. */
__noinline int reply_icmp6(struct __sk_buff *skb, const struct pkt *p,
			   __u32 mtu, int from_host)
{
	const __u32 grown = sizeof(struct ipv6hdr) + sizeof(struct icmp_hdr);
	struct work *work = work_get();
	struct reply_icmp6 *h;
	__u32 quote = 48;

	if (!p || !work || p->l4 != L3_OFF + sizeof(struct ipv6hdr))
		return -ABI_DROP_NO_BACKEND;
	h = &work->message;
	__builtin_memset(h, 0, sizeof(*h));
	if (p->proto == IPPROTO_TCP)
		quote = sizeof(h->quote);
	if (bpf_skb_load_bytes(skb, L3_OFF, h->quote, quote))
		return -ABI_DROP_RUNT;

	reply6_header(&h->ip, p, IPPROTO_ICMPV6, sizeof(h->icmp) + quote);
	h->icmp.type = mtu ? ICMP6_TYPE_TOO_BIG : ICMP6_TYPE_UNREACHABLE;
	h->icmp.code = mtu ? 0 : ICMP6_CODE_PORT;
	h->icmp.seq = bpf_htons(mtu);
	h->icmp.check = reply6_check(&h->ip, sizeof(*h) - sizeof(h->ip),
				     IPPROTO_ICMPV6);

	if (reply_swap_macs(skb) ||
	    bpf_skb_change_tail(skb, L3_OFF + quote, 0) ||
	    bpf_skb_adjust_room(skb, grown, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_store_bytes(skb, L3_OFF, h, grown, 0))
		return -ABI_DROP_KERNEL;
	return reply_send(skb, from_host);
}

__noinline int reply_icmp(struct __sk_buff *skb, const struct pkt *p, __u8 code,
			  __u16 mtu, int from_host)
{
	const __u32 grown = sizeof(struct iphdr) + sizeof(struct icmp_hdr);
	struct reply_icmp h = {};
	__u32 quote = 28;
	__s64 sum;

	if (!p || p->l4 != L3_OFF + sizeof(struct iphdr))
		return -ABI_DROP_NO_BACKEND;
	if (p->proto == IPPROTO_TCP)
		quote = sizeof(h.quote);
	if (bpf_skb_load_bytes(skb, L3_OFF, h.quote, quote))
		return -ABI_DROP_RUNT;

	reply_ip_header(&h.ip, p, IPPROTO_ICMP, grown + quote);
	h.icmp.type = ICMP_TYPE_UNREACHABLE;
	h.icmp.code = code;
	h.icmp.seq = bpf_htons(mtu);
	/* What is not quoted is 0, and adds nothing. */
	sum = bpf_csum_diff(0, 0, (void *)&h.icmp,
			    sizeof(h.icmp) + sizeof(h.quote), 0);
	h.icmp.check = csum_fold(sum);

	if (reply_swap_macs(skb) ||
	    bpf_skb_change_tail(skb, L3_OFF + quote, 0) ||
	    bpf_skb_adjust_room(skb, grown, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_store_bytes(skb, L3_OFF, &h, grown, 0))
		return -ABI_DROP_KERNEL;
	return reply_send(skb, from_host);
}

/* RFC 1191: the next hop's MTU is in the message. */
static __always_inline int reply_too_big(struct __sk_buff *skb,
					 const struct pkt *p, __u32 mtu,
					 int from_host)
{
	if (p->v6)
		return reply_icmp6(skb, p, mtu, from_host);
	return reply_icmp(skb, p, ICMP_CODE_TOO_BIG, mtu, from_host);
}

/* As a host does where nothing listens. */
static __always_inline int reply_refuse(struct __sk_buff *skb,
					const struct pkt *p, int from_host)
{
	/* RFC 1122 3.2.2: nothing is said about later fragments. */
	if (p->fragment == PKT_LATER)
		return -ABI_DROP_NO_BACKEND;
	if (p->proto == IPPROTO_TCP)
		return p->v6 ? reply_rst6(skb, p, from_host)
			     : reply_rst(skb, p, from_host);
	if (p->v6)
		return reply_icmp6(skb, p, 0, from_host);
	return reply_icmp(skb, p, ICMP_CODE_PORT, 0, from_host);
}
