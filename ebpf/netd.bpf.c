/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * netd - the data path: one program per hook.
 *
 *   from_pod      a pod's veth, host side    pod.bpf.h
 *   from_overlay  netd0, ingress             overlay.bpf.h
 *   to_overlay    netd0, egress              overlay.bpf.h
 *   from_uplink   the underlay's interfaces  uplink.bpf.h
 *   xdp_uplink    the same, in their driver  xdp.bpf.h
 *   sock_*        the cgroup tree's root     sock.bpf.h
 *
 * A packet is parsed once (parse.bpf.h); steps answer with a verdict of tc or
 * with the negative reason for a drop, which is counted (drop.bpf.h) here and
 * nowhere else. What is not dropped goes on by one of the ways of
 * deliver.bpf.h: between pods no packet sees the host's stack, a bridge or a
 * netfilter hook.
 *
 * Functions that are not inlined are not static either: the verifier then
 * looks at them once, alone, and not anew on each way that leads to them; on
 * 6.1 it would give up after a million steps. So they take pointers that may
 * be NULL, and what is to be a map's key or value they copy, or find in
 * `work` (6.1 takes no argument for it).
 */
#include "drop.bpf.h"
#include "overlay.bpf.h"
#include "pod.bpf.h"
#include "sock.bpf.h"
#include "uplink.bpf.h"
#include "xdp.bpf.h"

static __always_inline int verdict(struct __sk_buff *skb, int rc,
				   enum abi_hook hook)
{
	if (rc >= 0)
		return rc;
	drop(skb, -rc, hook);
	return TC_ACT_SHOT;
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	return verdict(skb, pod_packet(skb), ABI_HOOK_FROM_POD);
}

SEC("tc")
int from_overlay(struct __sk_buff *skb)
{
	return verdict(skb, overlay_in(skb), ABI_HOOK_FROM_OVERLAY);
}

SEC("tc")
int to_overlay(struct __sk_buff *skb)
{
	return verdict(skb, overlay_out(skb), ABI_HOOK_TO_OVERLAY);
}

SEC("tc")
int from_uplink(struct __sk_buff *skb)
{
	int rc = uplink_in(skb);

	return rc == UPLINK_NOT_OURS ? TC_ACT_UNSPEC
				     : verdict(skb, rc, ABI_HOOK_FROM_UPLINK);
}

/* Packets in several pieces are looked at, too, and left to the stack. */
SEC("xdp.frags")
int xdp_uplink(struct xdp_md *ctx)
{
	return xdp_packet(ctx);
}

SEC("cgroup/connect4")
int sock_connect4(struct bpf_sock_addr *ctx)
{
	return sock_out4(ctx, SOCK_CONNECT);
}

SEC("cgroup/connect6")
int sock_connect6(struct bpf_sock_addr *ctx)
{
	return sock_out6(ctx, SOCK_CONNECT);
}

SEC("cgroup/sendmsg4")
int sock_sendmsg4(struct bpf_sock_addr *ctx)
{
	return sock_out4(ctx, SOCK_SEND);
}

SEC("cgroup/sendmsg6")
int sock_sendmsg6(struct bpf_sock_addr *ctx)
{
	return sock_out6(ctx, SOCK_SEND);
}

SEC("cgroup/recvmsg4")
int sock_recvmsg4(struct bpf_sock_addr *ctx)
{
	return sock_back4(ctx);
}

SEC("cgroup/recvmsg6")
int sock_recvmsg6(struct bpf_sock_addr *ctx)
{
	return sock_back6(ctx);
}

SEC("cgroup/getpeername4")
int sock_getpeername4(struct bpf_sock_addr *ctx)
{
	return sock_back4(ctx);
}

SEC("cgroup/getpeername6")
int sock_getpeername6(struct bpf_sock_addr *ctx)
{
	return sock_back6(ctx);
}

const char program_license[] SEC("license") = "Dual BSD/GPL";
