/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * path - the next hop of tunnel packets to another node.
 *
 * The routes have the same answer for packet after packet, and asking them is
 * dear. So each CPU keeps one per node: for a tick at most, and no longer than
 * `underlay_changes` stays the same, by which the loader says that a link, an
 * address, a route or a rule is another than before. The hop's neighbour is
 * not kept; the kernel looks it up, and after it, for each packet.
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
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PATHS);
	__type(key, __u32);
	__type(value, struct path);
} paths SEC(".maps");

static __always_inline struct path *path_of(__be32 vtep)
{
	__u32 slot = bpf_ntohl(vtep) % PATHS;

	return bpf_map_lookup_elem(&paths, &slot);
}

/*
 * Asks the routes. 0: path_of() is a way for packets of `len`. The look-up
 * needs forwarding=1 on netd0.
 */
__noinline int path_learn(struct __sk_buff *skb, __be32 vtep, __u32 len)
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
	fib->ifindex = config.tunnel_ifindex;
	fib->tot_len = len;
	fib->ipv4_src = config.vtep.w[3];
	fib->ipv4_dst = vtep;
	/* What changes from here on makes another answer. */
	path->changes = underlay_changes;
	path->tick = flow_now();
	path->vtep = 0;
	rc = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return -1;
	/* IPv4 by a gateway of IPv6 (RFC 8950). */
	if (fib->family != AF_INET)
		return -1;
	path->vtep = vtep;
	path->hop = fib->ipv4_dst;
	path->ifindex = fib->ifindex;
	/* Now the route's MTU, or, without a neighbour, `len` still. */
	path->fits = fib->tot_len;
	return 0;
}

/* NULL: there is none that packets of `len` could take. */
static __always_inline struct path *path_find(struct __sk_buff *skb,
					      __be32 vtep, __u32 len)
{
	struct path *path = path_of(vtep);

	if (!path)
		return NULL;
	if (path->vtep == vtep && path->changes == underlay_changes &&
	    path->tick == flow_now() && len <= path->fits)
		return path;
	return path_learn(skb, vtep, len) ? NULL : path;
}
