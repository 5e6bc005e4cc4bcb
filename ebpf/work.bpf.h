/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * work - room for what a program decides about a packet: with all calls a
 * program has 512 bytes of stack.
 *
 * One per CPU. The programs run with bottom halves off and do not nest: what
 * they redirect goes on after they have returned. Nothing in it outlives a
 * packet, so it is not pinned.
 */
#pragma once

#include "maps.bpf.h"
#include "parse.bpf.h"

struct reply_icmp6 {
	struct ipv6hdr ip;
	struct icmp_hdr icmp;
	/* As much as of IPv4: 8 bytes of L4, or TCP's header. */
	__u8 quote[60];
};

struct work {
	/* Where a packet to a balanced address goes. */
	struct abi_flow choice;
	/* What its answers get as their source. */
	struct abi_flow back;
	/* Whom affinity takes the client of a VIP for. */
	struct abi_addr client;
	/* Under what both are kept. */
	struct abi_flow_key forward;
	struct abi_flow_key answer;
	/* Is there no need to look at the answers' entry? */
	__u32 settled;
	/* Of a dropped packet whose tunnel headers were taken off here. */
	__u32 vni;
	/* What an ICMP error quotes, see error.bpf.h. */
	struct pkt quoted;
	/* What the routes are asked, see path.bpf.h. */
	struct bpf_fib_lookup fib;
	/* An ICMPv6 error of ours, see reply.bpf.h. */
	struct reply_icmp6 message;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} work_map SEC(".maps");

static __always_inline struct work *work_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&work_map, &zero);
}
