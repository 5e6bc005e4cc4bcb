/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * frames - the two ends of a stream of datagrams: one end makes flows of it,
 * the other counts what came through the tunnel, and drops it at once.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
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
	return XDP_PASS;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	struct datagram *d = (void *)(long)ctx->data;

	if ((void *)(d + 1) > (void *)(long)ctx->data_end ||
	    d->eth.h_proto != bpf_htons(ETH_P_IP) ||
	    d->ip.protocol != IPPROTO_UDP ||
	    d->udp.dest != bpf_htons(PORT_VXLAN))
		return XDP_PASS;
	__sync_fetch_and_add(&arrived, 1);
	return XDP_DROP;
}

const char program_license[] SEC("license") = "Dual BSD/GPL";
