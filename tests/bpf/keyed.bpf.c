/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * keyed - a frame as if it had come out of the tunnel: BPF_PROG_RUN knows no
 * tunnel keys, so one is made of the mark, which is the VNI, and the priority,
 * which is the sender's address, before the program under test goes on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

SEC("tc")
int keyed(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};

	key.tunnel_id = skb->mark;
	key.local_ipv4 = skb->priority;
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0))
		return -2;
	bpf_tail_call(skb, &next, 0);
	/* No verdict: the call failed. */
	return -3;
}

const char program_license[] SEC("license") = "Dual BSD/GPL";
