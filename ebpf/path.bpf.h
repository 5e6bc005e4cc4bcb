/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * path - the next hop of tunnel packets to another node.
 *
 * The routes have the same answer for packet after packet, and asking them is
 * dear. So each CPU keeps one per node: for a tick at most, and no longer than
 * `underlay_changes` stays the same, by which the loader says that a link, an
 * address, a route or a rule is another than before. Of the hop's neighbour
 * the kernel knows best, and sends there packet by packet; only frames, which
 * need its MAC at once, use the one that is kept.
 */
#pragma once

#include "flow.bpf.h"
#include "maps.bpf.h"
#include "work.bpf.h"

#define PATHS 256

struct path {
	__be32 vtep;
	/* The route's gateway, or the node itself. */
	__be32 hop;
	__u32 ifindex;
	/* Packets of that many bytes, from the outer IP header on, fit. */
	__u32 fits;
	__u32 tick;
	__u32 changes;
	/* 0: the neighbour was not known. */
	__u32 has_macs;
	__u8 smac[ETH_ALEN];
	__u8 dmac[ETH_ALEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PATHS);
	__type(key, __u32);
	__type(value, struct path);
} paths SEC(".maps");

/* Nodes' addresses may differ in any of their bytes (Knuth, TAOCP 3, 6.4). */
static __always_inline __u32 path_slot(__u32 word)
{
	return word * 2654435769u >> 24;
}

static __always_inline struct path *path_of(__be32 vtep)
{
	__u32 slot = path_slot(vtep) % PATHS;

	return bpf_map_lookup_elem(&paths, &slot);
}

/*
 * Asks the routes. 0: path_of() is a way for packets of `len`. The look-up
 * needs forwarding=1 on netd0. `ctx`: of whichever kind the program's is.
 */
static __always_inline int path_ask(void *ctx, __be32 vtep, __u32 len)
{
	struct path *path = path_of(vtep);
	struct work *work = work_get();
	struct bpf_fib_lookup *fib;
	int rc;

	if (!path || !work)
		return -1;
	fib = &work->fib;
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = AF_INET;
	fib->l4_protocol = IPPROTO_UDP;
	fib->dport = config.vxlan_port;
	fib->ifindex = config.tunnel_ifindex;
	fib->tot_len = len;
	fib->ipv4_src = config.vtep.w[3];
	fib->ipv4_dst = vtep;
	/* What changes from here on makes another answer. */
	path->changes = underlay_changes;
	path->tick = flow_now();
	path->vtep = 0;
	rc = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return -1;
	path->has_macs = rc == BPF_FIB_LKUP_RET_SUCCESS;
	/* IPv4 by a gateway of IPv6 (RFC 8950) is netd0's. */
	if (fib->family != AF_INET)
		return -1;
	path->vtep = vtep;
	path->hop = fib->ipv4_dst;
	path->ifindex = fib->ifindex;
	/* Now the route's MTU, or, without a neighbour, `len` still. */
	path->fits = fib->tot_len;
	__builtin_memcpy(path->smac, fib->smac, ETH_ALEN);
	__builtin_memcpy(path->dmac, fib->dmac, ETH_ALEN);
	return 0;
}

__noinline int path_ask_skb(struct __sk_buff *skb, __be32 vtep, __u32 len)
{
	return path_ask(skb, vtep, len);
}

__noinline int path_ask_frame(struct xdp_md *ctx, __be32 vtep, __u32 len)
{
	return path_ask(ctx, vtep, len);
}

static __always_inline int path_holds(const struct path *path, __be32 vtep)
{
	return path->vtep == vtep && path->changes == underlay_changes &&
	       path->tick == flow_now();
}

/* Without a neighbour the route's MTU is not known yet. */
static __always_inline int path_is_known(const struct path *path, __be32 vtep,
					 __u32 len)
{
	return path_holds(path, vtep) && (len <= path->fits || path->has_macs);
}

/* NULL: there is none that packets of `len` could take. */
static __always_inline struct path *path_find(struct __sk_buff *skb,
					      __be32 vtep, __u32 len)
{
	struct path *path = path_of(vtep);

	/* The route's question has 16 bits for it. */
	if (!path || len > 65535)
		return NULL;
	if (!path_is_known(path, vtep, len) && path_ask_skb(skb, vtep, len))
		return NULL;
	return len <= path->fits ? path : NULL;
}

/* The same, and the neighbour is known. */
static __always_inline struct path *path_find_frame(struct xdp_md *ctx,
						    __be32 vtep, __u32 len)
{
	struct path *path = path_of(vtep);

	if (!path || len > 65535)
		return NULL;
	if (!path_is_known(path, vtep, len) && path_ask_frame(ctx, vtep, len))
		return NULL;
	return path->has_macs && len <= path->fits ? path : NULL;
}
