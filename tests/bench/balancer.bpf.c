/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * balancer - what the programs do with a packet to a VIP, again and again:
 * BPF_PROG_RUN leaves a packet as the last run changed it, so each run writes
 * the packet anew, of the one flow or of one drawn from many. `empty` does no
 * more than that, and is what has to be taken off.
 */
#include "../../ebpf/balance.bpf.h"

/* VIPs from 10.96.0.0 up, clients from 10.0.0.0, ports from 1024. */
#define VIPS 0x0a600000
#define CLIENTS 0x0a000000
#define CLIENTS_BITS 16
#define PORT_FIRST 1024

volatile __u32 flows_len = 1;
volatile __u32 services_len = 1;
/* Every flow once, from here on; 0xffffffff: drawn. */
volatile __u32 next_flow = 0xffffffff;
volatile __u8 tcp_flags = TCP_FLAG_BIT_ACK;
__u64 lost = 0;

struct headers {
	struct iphdr ip;
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
} __attribute__((packed));

static __always_inline int write_packet(struct __sk_buff *skb)
{
	__u32 k = next_flow;
	struct headers h = {
		.ip = { .version = 4,
			.ihl = 5,
			.ttl = 64,
			.protocol = IPPROTO_TCP,
			.tot_len = bpf_htons(40) },
		.dport = bpf_htons(80),
		.offset = 0x50,
		.flags = tcp_flags,
	};

	if (k == 0xffffffff)
		k = bpf_get_prandom_u32() % flows_len;
	else
		next_flow = k + 1;
	h.ip.saddr = bpf_htonl(CLIENTS | (k & ((1 << CLIENTS_BITS) - 1)));
	h.ip.daddr = bpf_htonl(VIPS + k % services_len);
	h.sport = bpf_htons(PORT_FIRST + (k >> CLIENTS_BITS));
	return bpf_skb_store_bytes(skb, L3_OFF, &h, sizeof(h), 0);
}

static __always_inline int balance_packet(struct __sk_buff *skb)
{
	struct work *work = work_get();
	struct abi_frontend *fe;
	struct pkt p;

	if (!work || parse_packet(skb, &p, bpf_htons(ETH_P_IP)))
		return -ABI_DROP_RUNT;
	fe = frontend_find(&p.dst, p.dport, p.proto);
	if (!fe || lb_choose(&p, fe, LB_VIP, &p.src, work, lb_known(&p, work)))
		return -ABI_DROP_NO_BACKEND;
	return balance_dnat(skb, &p, work, ABI_FLOW_VIP, NULL);
}

SEC("tc")
int balance(struct __sk_buff *skb)
{
	if (write_packet(skb) || balance_packet(skb))
		lost++;
	return 0;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	if (write_packet(skb))
		lost++;
	return 0;
}

const char program_license[] SEC("license") = "Dual BSD/GPL";
