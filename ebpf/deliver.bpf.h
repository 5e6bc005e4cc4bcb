/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * deliver - the ways a packet goes on from here: into a pod, through the
 * tunnel, up the host's stack, or out to the underlay.
 *
 * All return a verdict of tc, or the negative drop reason.
 */
#pragma once

#include "maps.bpf.h"
#include "rewrite.bpf.h"
#include "size.bpf.h"
#include "tunnel.bpf.h"

/* From tc ingress straight into the pod, past its backlog. */
static __always_inline int deliver_pod(struct __sk_buff *skb,
				       const struct abi_endpoint *ep)
{
	int err = rewrite_macs(skb, ep->mac);

	if (err)
		return err;
	rewrite_type_host(skb);
	skb->mark = 0;
	return bpf_redirect_peer(ep->ifindex, 0);
}

__noinline int tunnel_key_put(struct __sk_buff *skb, __be32 vtep, __u32 vni)
{
	struct bpf_tunnel_key key = {
		.tunnel_id = vni,
		.remote_ipv4 = bpf_ntohl(vtep),
		.local_ipv4 = bpf_ntohl(config.vtep.w[3]),
		.tunnel_ttl = 64,
	};

	/* DF stays clear: datagrams larger than the tunnel must pass. */
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX))
		return -ABI_DROP_KERNEL;
	return 0;
}

static __always_inline int
deliver_tunnel(struct __sk_buff *skb, const struct abi_addr *vtep, __u32 vni)
{
	int err = TUNNEL_BY_DEVICE;

	if (fast_path)
		err = tunnel_send(skb, vtep->w[3], vni);
	if (err != TUNNEL_BY_DEVICE)
		return err;
	err = tunnel_key_put(skb, vtep->w[3], vni);
	return err ? err : (int)bpf_redirect(config.tunnel_ifindex, 0);
}

/* By way of netd0, so that reverse-path filters find the way back. */
static __always_inline int deliver_host(struct __sk_buff *skb)
{
	int err = rewrite_mac_to_host(skb);

	if (err)
		return err;
	return bpf_redirect(config.tunnel_ifindex, BPF_F_INGRESS);
}

/* The same for a packet that has come in by netd0 already. */
static __always_inline int deliver_stack(struct __sk_buff *skb)
{
	int err = rewrite_mac_to_host(skb);

	if (err)
		return err;
	rewrite_type_host(skb);
	return TC_ACT_OK;
}

/*
 * Out to the underlay with a source that is this host's own, which its stack
 * would take for a martian. The lookup needs forwarding=1 on netd0, for each
 * family.
 */
__noinline int deliver_out(struct __sk_buff *skb, const struct pkt *p)
{
	struct bpf_fib_lookup fib = {
		.family = AF_INET,
		.ifindex = config.tunnel_ifindex,
	};
	int rc;

	if (!p)
		return -ABI_DROP_KERNEL;
	fib.l4_protocol = p->proto;
	if (p->v6) {
		fib.family = 10 /* AF_INET6 */;
		if (p->proto == IPPROTO_ICMP)
			fib.l4_protocol = IPPROTO_ICMPV6;
		__builtin_memcpy(fib.ipv6_src, &p->src, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, &p->dst, sizeof(fib.ipv6_dst));
	} else {
		fib.ipv4_src = p->src.w[3];
		fib.ipv4_dst = p->dst.w[3];
	}
	rc = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
		return -ABI_DROP_NO_WAY_OUT;
	if (fib.ifindex == config.tunnel_ifindex)
		return -ABI_DROP_NO_WAY_OUT;
	return bpf_redirect_neigh(fib.ifindex, NULL, 0, 0);
}

/* To an address of this network, wherever it is. */
static __always_inline int deliver_net(struct __sk_buff *skb,
				       const struct pkt *p, __u32 vni,
				       const struct abi_addr *dst)
{
	struct abi_endpoint *ep = endpoint_find(vni, dst);
	struct abi_route *route;
	int rc;

	if (ep)
		return deliver_pod(skb, ep);
	route = route_find(vni, dst);
	if (!route)
		return -ABI_DROP_NO_ROUTE;
	rc = size_fits(skb, p, &route->vtep, 0);
	return rc ? rc : deliver_tunnel(skb, &route->vtep, vni);
}
