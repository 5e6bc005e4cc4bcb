/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * maps - every map of the data path, and what the loader set.
 *
 * Tables that depend on the number of pods, nodes and services are not
 * preallocated: a small host pays for what it has. Arrays and the LRUs are.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "netd/bpf_abi.h"

const volatile struct abi_config config = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_PODS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct abi_pod);
} pods SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_PODS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_endpoint_key);
	__type(value, struct abi_endpoint);
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, ABI_ROUTES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_route_key);
	__type(value, struct abi_route);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_NETS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct abi_net);
} nets SEC(".maps");

/* The other nodes' tunnel ends: what fits through, see size.bpf.h. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_VTEPS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_addr);
	__type(value, __u32);
} vteps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_GUARDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_guard_key);
	__type(value, __u32);
} guards SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_FRONTENDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_frontend_key);
	__type(value, struct abi_frontend);
} frontends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, ABI_SOURCES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_source_key);
	__type(value, __u32);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ABI_BACKENDS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct abi_backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ABI_ARENA_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct abi_run);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ABI_FLOWS_MAX);
	__type(key, struct abi_flow_key);
	__type(value, struct abi_flow);
} flows SEC(".maps");

/* What no flood evicts: see flow.bpf.h. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_ESTABLISHED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_flow_key);
	__type(value, struct abi_flow);
} established SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ABI_FLOW_COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} flow_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ABI_FRAGS_MAX);
	__type(key, struct abi_frag_key);
	__type(value, struct abi_frag);
} frags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_SOCKETS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_socket_key);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_RESOLVERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct abi_resolver_key);
	__type(value, struct abi_addr);
} resolvers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct abi_talk);
} talks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ABI_PEERS_MAX);
	__type(key, struct abi_peer_key);
	__type(value, struct abi_peer);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ABI_DROP_MAX);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

/*
 * Has any packet been balanced on this node, so that answers may have to be
 * changed back? Where sockets are translated at connect() there are none, and
 * no packet between pods pays for looking. Set once, by whoever makes a flow;
 * the loader sets it over flows that an earlier load left.
 */
volatile __u32 flows_used = 0;

/* The same for `peers`: most sockets need no place there. */
volatile __u32 peers_used = 0;

/* May packets go past netd0? ebpf_fast_path(). */
volatile __u32 fast_path = 0;

/* How often the underlay changed or a node went: what is remembered of either
 * (path.bpf.h, origin.bpf.h) holds while this is the same. */
volatile __u32 underlay_changes = 0;

/*
 * A bit for each address that pods must not reach: where it is clear there is
 * none of them, and no look-up.
 */
volatile __u64 guards_sieve = 0;

/* The same for frontends of this node alone: without any, no look-up. */
volatile __u32 node_ports_used = 0;

static __always_inline void drop_count(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&drops, &reason);

	if (n)
		*n += 1;
}

static __always_inline struct abi_endpoint *
endpoint_find(__u32 vni, const struct abi_addr *addr)
{
	struct abi_endpoint_key key = { .vni = vni, .addr = *addr };

	return bpf_map_lookup_elem(&endpoints, &key);
}

static __always_inline struct abi_route *route_find(__u32 vni,
						    const struct abi_addr *addr)
{
	/* The VNI is part of the prefix: 32 bits more than the address. */
	struct abi_route_key key = {
		.prefixlen = 32 + 128,
		.vni = vni,
		.addr = *addr,
	};

	return bpf_map_lookup_elem(&routes, &key);
}

static __always_inline struct abi_frontend *
frontend_find(const struct abi_addr *addr, __be16 port, __u8 proto)
{
	struct abi_frontend_key key = {
		.addr = *addr,
		.port = port,
		.proto = proto,
	};

	return bpf_map_lookup_elem(&frontends, &key);
}

/* A published port, as the clients of one family see it. */
static __always_inline struct abi_frontend *
frontend_find_published(__u32 v6, __be16 port, __u8 proto)
{
	struct abi_frontend_key key = {
		.port = port,
		.proto = proto,
		.v6 = v6,
	};

	return bpf_map_lookup_elem(&frontends, &key);
}

/* A port of this node alone, on this address of its own. */
static __always_inline struct abi_frontend *
frontend_find_node(const struct abi_addr *addr, __u32 v6, __be16 port,
		   __u8 proto)
{
	struct abi_frontend_key any = {
		.addr = { .w = { 0, 0, bpf_htonl(0xffff), 0 } },
		.port = port,
		.proto = proto,
		.v6 = v6,
	};
	struct abi_frontend *fe;

	if (!node_ports_used || !port)
		return NULL;
	fe = frontend_find(addr, port, proto);
	return fe ? fe : bpf_map_lookup_elem(&frontends, &any);
}

/* A port published on one address: another node's, or this one's. */
static __always_inline struct abi_frontend *
frontend_find_bound(const struct abi_addr *addr, __be16 port, __u8 proto)
{
	struct abi_frontend *fe;

	if (!node_ports_used || !port)
		return NULL;
	fe = frontend_find(addr, port, proto);
	return fe && (fe->flags & ABI_FRONTEND_BOUND) ? fe : NULL;
}

static __always_inline int source_may(const struct abi_frontend *fe,
				      const struct abi_addr *src, __u32 v6,
				      __be16 port, __u8 proto)
{
	/* Port and protocol are part of the prefix. */
	struct abi_source_key key = {
		.prefixlen = 32 + 128,
		.port = port,
		.proto = proto,
		.v6 = v6,
		.src = *src,
	};

	return !(fe->flags & ABI_FRONTEND_SOURCES) ||
	       bpf_map_lookup_elem(&sources, &key) != NULL;
}

static __always_inline int net_is_internal(__u32 vni)
{
	struct abi_net *net = bpf_map_lookup_elem(&nets, &vni);

	return !net || (net->flags & ABI_NET_INTERNAL);
}
