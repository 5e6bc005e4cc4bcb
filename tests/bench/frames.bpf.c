/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * frames - the two ends of a stream of datagrams: one end makes flows of it
 * and puts them on the wire, the other counts what came through the tunnel
 * and drops it at once, as a frame or as an skb, whichever it came as.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PORT_VXLAN 4789
#define PORT_FIRST 10000

struct datagram {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

const volatile __u32 flows = 1;
/* The interface on the wire. */
const volatile __u32 wire = 0;
/* What every frame is made of; set by user space. */
__u8 frame[sizeof(struct datagram)] = {};
__u64 arrived = 0;

SEC("xdp")
int spread(struct xdp_md *ctx)
{
	struct datagram *d = (void *)(long)ctx->data;

	if ((void *)(d + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	/* The page may be one that was sent before, and is as that ended. */
	__builtin_memcpy(d, frame, sizeof(*d));
	/* No checksum covers it: that of UDP is none. */
	d->udp.source = bpf_htons(PORT_FIRST + bpf_get_prandom_u32() % flows);
	return bpf_redirect(wire, 0);
}

/* 1: a tunnel packet, and it is counted. */
static __always_inline int count(void *data, void *end)
{
	struct datagram *d = data;

	if ((void *)(d + 1) > end || d->eth.h_proto != bpf_htons(ETH_P_IP) ||
	    d->ip.protocol != IPPROTO_UDP ||
	    d->udp.dest != bpf_htons(PORT_VXLAN))
		return 0;
	__sync_fetch_and_add(&arrived, 1);
	return 1;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	return count((void *)(long)ctx->data, (void *)(long)ctx->data_end)
		       ? XDP_DROP
		       : XDP_PASS;
}

SEC("tc")
int sink_skb(struct __sk_buff *skb)
{
	bpf_skb_pull_data(skb, sizeof(struct datagram));
	return count((void *)(long)skb->data, (void *)(long)skb->data_end)
		       ? TC_ACT_SHOT
		       : TC_ACT_UNSPEC;
}

const char program_license[] SEC("license") = "Dual BSD/GPL";
