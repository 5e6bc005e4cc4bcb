/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sock - a socket that connects to a VIP is connected to a backend instead,
 * and from then on costs nothing.
 *
 * The cgroup tree is one for the whole kernel, daemons and namespaces that
 * have nothing to do with each other share it: only sockets of namespaces
 * that this daemon put into `sockets` are looked at.
 */
#pragma once

#include "lb.bpf.h"

struct sock_dst {
	struct abi_addr addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
};

enum sock_call {
	SOCK_CONNECT,
	SOCK_SEND,
};

enum sock_verdict {
	SOCK_AS_IS,
	SOCK_TRANSLATED,
	SOCK_REFUSED,
};

static __always_inline __u32 sock_role(__u64 cookie, __u32 vni)
{
	struct abi_socket_key key = { .cookie = cookie, .vni = vni };
	__u32 *role = bpf_map_lookup_elem(&sockets, &key);

	return role ? *role : 0;
}

/*
 * Published ports are translated for the host alone, on its own addresses.
 * A socket bound to 127.0.0.1 or ::1 stays: a loopback source leaves by no
 * other interface.
 */
static __always_inline struct abi_frontend *
sock_published(const struct sock_dst *dst, const struct abi_addr *bound)
{
	__u32 v6 = addr_is_v4(&dst->addr) ? ABI_IPV4 : ABI_IPV6;
	struct abi_frontend *fe =
		frontend_find_node(&dst->addr, v6, dst->port, dst->proto);
	struct abi_route *route;

	if (!fe)
		fe = frontend_find_published(v6, dst->port, dst->proto);
	if (!fe)
		return NULL;
	if (addr_is_loopback(bound))
		return NULL;
	if (addr_is_loopback(&dst->addr))
		return fe;
	route = route_find(0, &dst->addr);
	if (!route || route->kind != ABI_ROUTE_NODE || !route->self)
		return NULL;
	return fe;
}

/* flags: LB_VIP where it is one. */
static __always_inline struct abi_frontend *
sock_frontend(const struct sock_dst *dst, __u64 netns,
	      const struct abi_addr *bound, __u32 role, __u32 *flags)
{
	struct abi_frontend *fe;

	if (!role || !dst->port)
		return NULL;
	fe = frontend_find(&dst->addr, dst->port, dst->proto);
	*flags = LB_VIP;
	if (fe && !(fe->flags & ABI_FRONTEND_NODE))
		return (role & ABI_SOCKET_HOST) || sock_role(netns, fe->vni)
			       ? fe
			       : NULL;
	*flags = 0;
	return (role & ABI_SOCKET_HOST) ? sock_published(dst, bound) : NULL;
}

/*
 * An engine's own resolver stands in front of ours in its containers, and
 * asks the host's from inside the container's namespace: our names would not
 * be known there. The gateway answers both ours and, forwarding, the others.
 */
static __always_inline enum sock_verdict sock_ask_gateway(struct sock_dst *dst,
							  __u64 netns)
{
	struct abi_resolver_key ask = { .cookie = netns, .addr = dst->addr };
	struct abi_addr *gateway;

	if (dst->port != bpf_htons(53))
		return SOCK_AS_IS;
	gateway = bpf_map_lookup_elem(&resolvers, &ask);
	if (!gateway)
		return SOCK_AS_IS;
	dst->addr = *gateway;
	return SOCK_TRANSLATED;
}

/* One UDP socket stays with one backend, whatever it sends. */
static __always_inline __u32 sock_hash(struct bpf_sock_addr *ctx,
				       const struct sock_dst *dst)
{
	__u64 cookie;

	if (dst->proto == IPPROTO_TCP)
		return bpf_get_prandom_u32();
	cookie = bpf_get_socket_cookie(ctx);
	return hash_mix(hash_mix(1, (__u32)cookie), cookie >> 32);
}

/* The host's processes are one client, a pod's are another. */
static __always_inline struct abi_backend *
sock_backend_for(const struct sock_dst *dst, const struct abi_frontend *fe,
		 __u64 netns, __u32 flags)
{
	struct abi_affinity_key key = { .port = dst->port,
					.proto = dst->proto };
	__u32 id;

	affinity_client_pod(&key.client, netns);
	if ((flags & LB_VIP) || (fe->flags & ABI_FRONTEND_BOUND))
		key.addr = dst->addr;
	return lb_pick_for(&key, fe, 0, &id);
}

/* Changes dst to a backend, or to the gateway. */
static __always_inline enum sock_verdict
sock_balance(struct bpf_sock_addr *ctx, struct sock_dst *dst,
	     const struct abi_addr *bound)
{
	__u64 netns = bpf_get_netns_cookie(ctx);
	__u32 role = sock_role(netns, 0);
	struct abi_frontend *fe;
	struct abi_backend *b;
	__u32 flags, id;

	fe = sock_frontend(dst, netns, bound, role, &flags);
	if (!fe)
		return sock_ask_gateway(dst, netns);
	if (affinity_seconds(fe))
		b = sock_backend_for(dst, fe,
				     role & ABI_SOCKET_HOST ? 0 : netns, flags);
	else
		b = lb_slot(fe->offset, fe->count, sock_hash(ctx, dst), &id);
	if (!b)
		return SOCK_REFUSED;
	/* Only packet by packet can its connections be reset later. */
	if ((fe->flags & ABI_FRONTEND_RESET) && (flags & LB_VIP) && b->vni &&
	    dst->proto == IPPROTO_TCP)
		return SOCK_AS_IS;

	dst->addr = b->addr;
	dst->port = b->port;
	return SOCK_TRANSLATED;
}

/* The socket's own; where it has none, `fresh` is it from now on, or NULL. */
static __always_inline struct abi_talk *sock_talk(struct bpf_sock_addr *ctx,
						  struct abi_talk *fresh)
{
	if (!ctx->sk)
		return NULL;
	return bpf_sk_storage_get(&talks, ctx->sk, fresh,
				  fresh ? BPF_SK_STORAGE_GET_F_CREATE : 0);
}

static __always_inline int sock_talks_to(const struct abi_talk *talk,
					 const struct sock_dst *dst)
{
	return talk && talk->peer.port == dst->port &&
	       addr_eq(&talk->peer.addr, &dst->addr);
}

static __always_inline struct abi_peer_key
sock_peer_key(struct bpf_sock_addr *ctx, const struct sock_dst *dst)
{
	return (struct abi_peer_key){
		.cookie = bpf_get_socket_cookie(ctx),
		.addr = dst->addr,
		.port = dst->port,
	};
}

/*
 * Keeps what was asked for, in the socket itself: it lasts as long, and costs
 * no other socket its own. One that is not connected may send to several
 * backends; the others are in `peers`, as is what the kernel has no memory
 * for (net.core.optmem_max): that table is everyone's, and forgets.
 */
static __always_inline void sock_keep(struct bpf_sock_addr *ctx,
				      const struct sock_dst *dst,
				      const struct abi_peer *asked,
				      enum sock_call call)
{
	struct abi_talk now = {
		.peer = { .addr = dst->addr, .port = dst->port },
		.asked = *asked,
	};
	struct abi_talk *talk = sock_talk(ctx, &now);
	struct abi_peer_key key;

	if (talk && (call == SOCK_CONNECT || sock_talks_to(talk, dst))) {
		*talk = now;
		return;
	}
	key = sock_peer_key(ctx, dst);
	bpf_map_update_elem(&peers, &key, asked, BPF_ANY);
	peers_used = 1;
}

/* The backend that the socket had is asked for by its own address now. */
static __always_inline void sock_forget(struct bpf_sock_addr *ctx,
					const struct sock_dst *dst)
{
	struct abi_talk *talk = sock_talk(ctx, NULL);

	if (sock_talks_to(talk, dst))
		talk->asked = talk->peer;
}

/* What was asked for when the answer was dst; NULL: dst, or nobody knows. */
static __always_inline struct abi_peer *sock_asked(struct bpf_sock_addr *ctx,
						   const struct sock_dst *dst)
{
	struct abi_talk *talk = sock_talk(ctx, NULL);
	struct abi_peer_key key;

	if (sock_talks_to(talk, dst))
		return &talk->asked;
	if (!peers_used)
		return NULL;
	key = sock_peer_key(ctx, dst);
	return bpf_map_lookup_elem(&peers, &key);
}

static __always_inline enum sock_verdict
sock_translate(struct bpf_sock_addr *ctx, struct sock_dst *dst,
	       const struct abi_addr *bound, enum sock_call call)
{
	struct abi_peer asked = { .addr = dst->addr, .port = dst->port };
	enum sock_verdict verdict = sock_balance(ctx, dst, bound);

	if (verdict == SOCK_TRANSLATED)
		sock_keep(ctx, dst, &asked, call);
	else if (verdict == SOCK_AS_IS && call == SOCK_CONNECT)
		sock_forget(ctx, dst);
	return verdict;
}

/* What the socket was told to talk to, if it talks to dst instead. */
static __always_inline int sock_restore(struct bpf_sock_addr *ctx,
					struct sock_dst *dst)
{
	struct abi_peer *asked = sock_asked(ctx, dst);

	if (!asked)
		return 0;
	dst->addr = asked->addr;
	dst->port = asked->port;
	return 1;
}

/* user_port is 32 bits wide to the verifier; clang would narrow the read. */
#define SOCK_PORT(ctx) ((__be16) * (volatile __u32 *)&(ctx)->user_port)

static __always_inline void sock_dst_get4(struct bpf_sock_addr *ctx,
					  struct sock_dst *dst)
{
	addr_set_v4(&dst->addr, ctx->user_ip4);
	dst->port = SOCK_PORT(ctx);
	dst->proto = ctx->protocol;
	dst->pad = 0;
}

static __always_inline void sock_dst_set4(struct bpf_sock_addr *ctx,
					  const struct sock_dst *dst)
{
	ctx->user_ip4 = dst->addr.w[3];
	ctx->user_port = dst->port;
}

/* Also ::ffff:a.b.c.d: the kernel does not call the 4 hooks for those. */
static __always_inline void sock_dst_get6(struct bpf_sock_addr *ctx,
					  struct sock_dst *dst)
{
	dst->addr.w[0] = ctx->user_ip6[0];
	dst->addr.w[1] = ctx->user_ip6[1];
	dst->addr.w[2] = ctx->user_ip6[2];
	dst->addr.w[3] = ctx->user_ip6[3];
	dst->port = SOCK_PORT(ctx);
	dst->proto = ctx->protocol;
	dst->pad = 0;
}

static __always_inline void sock_dst_set6(struct bpf_sock_addr *ctx,
					  const struct sock_dst *dst)
{
	ctx->user_ip6[0] = dst->addr.w[0];
	ctx->user_ip6[1] = dst->addr.w[1];
	ctx->user_ip6[2] = dst->addr.w[2];
	ctx->user_ip6[3] = dst->addr.w[3];
	ctx->user_port = dst->port;
}

static __always_inline void sock_bound4(struct bpf_sock_addr *ctx,
					struct abi_addr *bound)
{
	struct bpf_sock *sk = ctx->sk;

	addr_set_v4(bound, sk ? sk->src_ip4 : 0);
}

/* v4-mapped where the socket is bound to such an address. */
static __always_inline void sock_bound6(struct bpf_sock_addr *ctx,
					struct abi_addr *bound)
{
	struct bpf_sock *sk = ctx->sk;

	__builtin_memset(bound, 0, sizeof(*bound));
	if (!sk)
		return;
	bound->w[0] = sk->src_ip6[0];
	bound->w[1] = sk->src_ip6[1];
	bound->w[2] = sk->src_ip6[2];
	bound->w[3] = sk->src_ip6[3];
}

/* 1 lets the call go on; 0 fails it with what bpf_set_retval() says. */
static __always_inline int sock_refuse(const struct sock_dst *dst)
{
	/* UDP goes on, and hears port unreachable from the packet's path. */
	if (dst->proto != IPPROTO_TCP)
		return 1;
	bpf_set_retval(-111 /* ECONNREFUSED */);
	return 0;
}

static __always_inline int sock_out4(struct bpf_sock_addr *ctx,
				     enum sock_call call)
{
	struct abi_addr bound;
	struct sock_dst dst;

	sock_dst_get4(ctx, &dst);
	sock_bound4(ctx, &bound);
	switch (sock_translate(ctx, &dst, &bound, call)) {
	case SOCK_TRANSLATED:
		sock_dst_set4(ctx, &dst);
		break;
	case SOCK_REFUSED:
		return sock_refuse(&dst);
	case SOCK_AS_IS:
		break;
	}
	return 1;
}

static __always_inline int sock_out6(struct bpf_sock_addr *ctx,
				     enum sock_call call)
{
	struct abi_addr bound;
	struct sock_dst dst;

	sock_dst_get6(ctx, &dst);
	sock_bound6(ctx, &bound);
	switch (sock_translate(ctx, &dst, &bound, call)) {
	case SOCK_TRANSLATED:
		sock_dst_set6(ctx, &dst);
		break;
	case SOCK_REFUSED:
		return sock_refuse(&dst);
	case SOCK_AS_IS:
		break;
	}
	return 1;
}

static __always_inline int sock_back4(struct bpf_sock_addr *ctx)
{
	struct sock_dst dst;

	sock_dst_get4(ctx, &dst);
	if (sock_restore(ctx, &dst))
		sock_dst_set4(ctx, &dst);
	return 1;
}

static __always_inline int sock_back6(struct bpf_sock_addr *ctx)
{
	struct sock_dst dst;

	sock_dst_get6(ctx, &dst);
	if (sock_restore(ctx, &dst))
		sock_dst_set6(ctx, &dst);
	return 1;
}
