/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * drop - where a packet ends: its reason is counted, and now and then one is
 * shown to user space as it was, in a ring that nobody has to read.
 *
 * Nothing here is on a packet's good way, so headers are read once more. What
 * a flood costs is bounded by lanes: on each CPU each reason shows a few
 * packets per tick of every interface (or of the few that share a lane), so
 * that one pod's noise does not hide another's trouble.
 */
#pragma once

#include "maps.bpf.h"
#include "parse.bpf.h"
#include "work.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, ABI_SAMPLES_BYTES);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ABI_DROP_MAX);
	__type(key, __u32);
	__type(value, struct abi_lanes);
} lanes SEC(".maps");

#define IP6_PAYLOAD_OFF (L3_OFF + 40)

static __always_inline void sample_l4(struct __sk_buff *skb,
				      struct abi_sample *s, __u32 at)
{
	__be16 port[2] = {};

	switch (s->proto) {
	case IPPROTO_TCP:
		bpf_skb_load_bytes(skb, at + 13, &s->detail, 1);
		break;
	case IPPROTO_UDP:
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		bpf_skb_load_bytes(skb, at, &s->detail, 1);
		bpf_skb_load_bytes(skb, at + 1, &s->code, 1);
		return;
	default:
		return;
	}
	bpf_skb_load_bytes(skb, at, port, sizeof(port));
	s->sport = port[0];
	s->dport = port[1];
}

static __always_inline void sample_ip4(struct __sk_buff *skb,
				       struct abi_sample *s)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, L3_OFF, &ip, sizeof(ip)))
		return;
	addr_set_v4(&s->src, ip.saddr);
	addr_set_v4(&s->dst, ip.daddr);
	s->proto = ip.protocol;
	s->fragment = (ip.frag_off & bpf_htons(IP_FRAGMENT_BITS)) != 0;
	if (!(ip.frag_off & bpf_htons(IP_OFFSET_BITS)))
		sample_l4(skb, s, L3_OFF + ip.ihl * 4);
}

/* Behind extension headers nobody looks: their number is the protocol's. */
static __always_inline void sample_ip6(struct __sk_buff *skb,
				       struct abi_sample *s)
{
	struct abi_addr addrs[2];

	if (bpf_skb_load_bytes(skb, L3_OFF + 8, addrs, sizeof(addrs)))
		return;
	s->src = addrs[0];
	s->dst = addrs[1];
	bpf_skb_load_bytes(skb, L3_OFF + 6, &s->proto, 1);
	sample_l4(skb, s, IP6_PAYLOAD_OFF);
}

/* Sender and target of RFC 826's packet. */
static __always_inline void sample_arp(struct __sk_buff *skb,
				       struct abi_sample *s)
{
	__be32 ip = 0;

	bpf_skb_load_bytes(skb, L3_OFF + 14, &ip, sizeof(ip));
	addr_set_v4(&s->src, ip);
	bpf_skb_load_bytes(skb, L3_OFF + 24, &ip, sizeof(ip));
	addr_set_v4(&s->dst, ip);
}

static __always_inline void sample_fill(struct __sk_buff *skb,
					struct abi_sample *s)
{
	struct bpf_tunnel_key key = {};

	s->ifindex = skb->ifindex;
	s->len = skb->len;
	bpf_skb_load_bytes(skb, 6, s->mac, sizeof(s->mac));
	if (s->hook == ABI_HOOK_FROM_OVERLAY &&
	    !bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0))
		s->vni = key.tunnel_id;
	if (skb->vlan_present) {
		s->ethertype = skb->vlan_proto;
		return;
	}
	s->ethertype = skb->protocol;
	if (s->ethertype == bpf_htons(ETH_P_IP))
		sample_ip4(skb, s);
	else if (s->ethertype == bpf_htons(ETH_P_IPV6))
		sample_ip6(skb, s);
	else if (s->ethertype == bpf_htons(ETH_P_ARP))
		sample_arp(skb, s);
}

/* A pod's link and its peer are made as one: numbers go in steps of two. */
static __always_inline __u32 lane_of(__u32 ifindex)
{
	return ifindex * 0x9e3779b1u >> (32 - ABI_LANES_BITS);
}

/* May another packet be shown, now, of this reason and interface? */
static __always_inline int lane_has_room(struct abi_lane *lane)
{
	__u32 tick = bpf_ktime_get_coarse_ns() >> ABI_TICK_SHIFT;

	if (lane->tick != tick) {
		lane->tick = tick;
		lane->left = ABI_LANE_SAMPLES;
	}
	if (!lane->left)
		return 0;
	lane->left--;
	return 1;
}

__noinline int drop_sample(struct __sk_buff *skb, __u32 reason, __u32 hook)
{
	struct abi_lanes *all = bpf_map_lookup_elem(&lanes, &reason);
	struct work *work = work_get();
	struct abi_sample *s = NULL;
	struct abi_lane *lane;

	if (!all || !work)
		return 0;
	lane = &all->lane[lane_of(skb->ifindex)];
	if (lane_has_room(lane))
		s = bpf_ringbuf_reserve(&samples, sizeof(*s), 0);
	if (s) {
		__builtin_memset(s, 0, sizeof(*s));
		s->time = bpf_ktime_get_boot_ns();
		s->reason = reason;
		s->hook = hook;
		s->vni = work->vni;
		sample_fill(skb, s);
		bpf_ringbuf_submit(s, 0);
	} else {
		lane->unseen++;
	}
	work->vni = 0;
	return 0;
}

static __always_inline void drop(struct __sk_buff *skb, __u32 reason,
				 enum abi_hook hook)
{
	drop_count(reason);
	drop_sample(skb, reason, hook);
}
