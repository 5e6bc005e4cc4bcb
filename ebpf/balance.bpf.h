/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * balance - a packet to a VIP or to a published port is sent to its backend,
 * and the answer's way back is noted.
 *
 * A VIP is translated where its client is, and translated back there. A
 * published port is translated where the backend is: the packet travels as
 * the client sent it, so the backend sees the client's own address, and the
 * answer returns by the node of entry.
 */
#pragma once

#include "deliver.bpf.h"
#include "error.bpf.h"
#include "flow.bpf.h"
#include "lb.bpf.h"
#include "reply.bpf.h"
#include "work.bpf.h"

/* The pod that sends: its namespace, and the network it sends on. */
struct client {
	__u64 cookie;
	__u32 vni;
	__u32 pad;
};

static __always_inline int guard_may_hit(const struct abi_addr *addr)
{
	return !addr || (guards_sieve >> abi_guard_bit(addr->w[3]) & 1);
}

static __always_inline int guard_hits(const struct abi_addr *addr, __be16 port)
{
	struct abi_guard_key key = {};
	__u32 *hit;

	if (!guard_may_hit(addr))
		return 0;
	if (addr)
		key.addr = *addr;
	hit = bpf_map_lookup_elem(&guards, &key);
	if (!hit)
		return 0;
	if (*hit == ABI_GUARD_ALL)
		return 1;
	key.port = port;
	return port && bpf_map_lookup_elem(&guards, &key) != NULL;
}

/*
 * A pod that reaches itself: its stack takes no packet from its own address,
 * so the balanced address stands in as the source too.
 */
static __always_inline int balance_hairpin(struct __sk_buff *skb, struct pkt *p,
					   struct work *work,
					   const struct abi_endpoint *ep,
					   __u32 vni)
{
	const struct abi_flow *choice = &work->choice;
	int err;

	work->back = (struct abi_flow){
		.addr = p->dst,
		.vtep = p->src,
		.vni = vni,
		.port = p->dport,
		.kind = ABI_FLOW_HAIRPIN,
	};
	err = rewrite_src(skb, p, &work->back.addr, p->sport);
	if (!err)
		err = rewrite_dst(skb, p, &choice->addr, choice->port);
	if (err)
		return err;
	flow_put_reverse(p);
	return deliver_pod(skb, ep);
}

/* Translates, and notes how to translate back. `entry` is the mesh's. */
static __always_inline int balance_dnat(struct __sk_buff *skb, struct pkt *p,
					struct work *work, __u8 kind,
					const struct abi_addr *entry)
{
	const struct abi_flow *choice = &work->choice;
	int err;

	work->back = (struct abi_flow){
		.addr = p->dst,
		.port = p->dport,
		.kind = kind,
	};
	if (entry)
		work->back.vtep = *entry;
	if (entry && (choice->state & ABI_FLOW_ESTABLISHED) &&
	    choice->entry != entry->w[3])
		flow_enter(entry->w[3]);
	err = rewrite_dst(skb, p, &choice->addr, choice->port);
	if (err)
		return err;
	flow_put_reverse(p);
	return 0;
}

/* The backend of a published port is on this node. */
static __always_inline int balance_local(struct __sk_buff *skb, struct pkt *p,
					 struct work *work,
					 const struct abi_addr *entry,
					 const struct client *client)
{
	const struct abi_flow *choice = &work->choice;
	struct abi_endpoint *ep = endpoint_find(choice->vni, &choice->addr);
	int err;

	if (!ep)
		return -ABI_DROP_NO_BACKEND;
	if (client && client->cookie && client->cookie == ep->cookie)
		return balance_hairpin(skb, p, work, ep, client->vni);
	err = balance_dnat(skb, p, work, ABI_FLOW_MESH, entry);
	/* The client was not told of the tunnel between. */
	if (!err && entry->w[3] != config.vtep.w[3])
		err = size_clamp(skb, p, entry);
	return err ? err : deliver_pod(skb, ep);
}

/* About what balance_error() has to do with. */
#define ERROR_TO_VIP 1u
/* Another node chose this one. */
#define ERROR_LOCAL 2u
/* By whom the quoted packet was sent to: pods are no routers. */
#define ERROR_OWN 4u

/* From balance_error(): the backend of choice is on another node. */
#define ERROR_ELSEWHERE 1

static __always_inline struct abi_frontend *
error_frontend(const struct pkt *p, const struct pkt *q, __u32 flags)
{
	struct abi_frontend *fe = NULL;

	if (flags & ERROR_TO_VIP)
		return frontend_find(&p->dst, q->dport, q->proto);
	if (flags & ERROR_LOCAL)
		fe = frontend_find_bound(&p->dst, q->dport, q->proto);
	else
		fe = frontend_find_node(&p->dst, p->v6, q->dport, q->proto);
	return fe ? fe : frontend_find_published(p->v6, q->dport, q->proto);
}

/* An error about what a backend sent is for that backend. */
__noinline int balance_error(struct __sk_buff *skb, struct pkt *p, __u32 flags)
{
	struct work *work = work_get();
	struct abi_flow *choice;
	struct abi_frontend *fe;
	struct pkt *q;

	if (!p || !work)
		return -ABI_DROP_KERNEL;
	choice = &work->choice;
	q = &work->quoted;
	if (error_parse(skb, p, q) || !addr_eq(&q->dst, &p->dst))
		return -ABI_DROP_NO_FRONTEND;
	if ((flags & ERROR_OWN) && !addr_eq(&q->src, &p->src))
		return -ABI_DROP_SPOOF_IP;
	fe = error_frontend(p, q, flags);
	if (!fe || !q->dport)
		return -ABI_DROP_NO_FRONTEND;
	/* About a flow that is known: its own entry says whose it is. */
	if (lb_find(q, fe, flags & ERROR_LOCAL ? LB_LOCAL : 0, work))
		return -ABI_DROP_NO_BACKEND;
	if (!(flags & (ERROR_TO_VIP | ERROR_LOCAL)) &&
	    !(choice->flags & ABI_BACKEND_LOCAL))
		return ERROR_ELSEWHERE;
	return error_rewrite(skb, p, q, ERROR_DST, &choice->addr, choice->port);
}

static __always_inline int balance_published_error(struct __sk_buff *skb,
						   struct pkt *p, __u32 flags)
{
	struct work *work = work_get();
	int err = balance_error(skb, p, flags);
	struct abi_endpoint *ep;

	if (!work || err < 0)
		return err;
	if (err == ERROR_ELSEWHERE && !addr_is_none(&work->choice.vtep))
		return deliver_tunnel(skb, &work->choice.vtep, ABI_VNI_REQUEST);
	ep = endpoint_find(work->choice.vni, &work->choice.addr);
	return ep && !err ? deliver_pod(skb, ep) : -ABI_DROP_NO_BACKEND;
}

/*
 * An error of a backend is for its client, as one of whom the client knows.
 * Returns the flow's kind, 0 where nothing is balanced, or a reason; the flow
 * is copied to `back`. Other nodes' pods (no ERROR_OWN) are backends of VIPs
 * alone.
 */
__noinline int balance_error_back(struct __sk_buff *skb, struct pkt *p,
				  __u32 flags)
{
	struct work *work = work_get();
	struct abi_flow *found, *back;
	struct pkt *q;
	int err;

	if (!p || !work)
		return -ABI_DROP_KERNEL;
	back = &work->back;
	q = &work->quoted;
	if (error_parse(skb, p, q))
		return 0;
	found = flow_find_reverse(q);
	if (!found || (!(flags & ERROR_OWN) && found->kind != ABI_FLOW_VIP))
		return 0;
	if ((flags & ERROR_OWN) && !addr_eq(&q->src, &p->src))
		return -ABI_DROP_SPOOF_IP;
	*back = *found;
	if (back->kind == ABI_FLOW_PASS)
		return ABI_FLOW_PASS;
	err = error_rewrite(skb, p, q, ERROR_SRC, &back->addr, back->port);
	if (!err && back->kind == ABI_FLOW_HAIRPIN)
		err = error_rewrite(skb, p, q, ERROR_DST, &back->vtep,
				    q->dport);
	return err ? err : back->kind;
}

/*
 * This node is where a packet to a published port came in; `flow` is what is
 * known of it.
 */
static __always_inline int balance_published_flow(
	struct __sk_buff *skb, struct pkt *p, const struct abi_frontend *fe,
	const struct client *client, struct work *work, struct abi_flow *flow)
{
	struct abi_addr self;
	int rc;

	if (p->fragment == PKT_LOST)
		return -ABI_DROP_FRAGMENTS;
	if (!source_may(fe, &p->src, p->v6, p->dport, p->proto))
		return -ABI_DROP_SOURCE_DENIED;
	if (lb_choose(p, fe, 0, &p->src, work, flow))
		return reply_refuse(skb, p, 0);
	if (work->choice.flags & ABI_BACKEND_LOCAL) {
		for (int i = 0; i < 4; i++)
			self.w[i] = config.vtep.w[i];
		return balance_local(skb, p, work, &self, client);
	}
	if (addr_is_none(&work->choice.vtep))
		return -ABI_DROP_NO_BACKEND;
	rc = size_fits(skb, p, &work->choice.vtep, 0);
	if (rc)
		return rc;
	/* The answers are translated there. */
	if (!(work->choice.state & ABI_FLOW_ESTABLISHED) &&
	    flow_is_proven(&work->choice, p))
		flow_promote(0);
	/* For the tunnel's source port: dearer where no card has made one. */
	if (!skb->hash)
		bpf_set_hash(skb, lb_hash(p));
	return deliver_tunnel(skb, &work->choice.vtep, ABI_VNI_REQUEST);
}

static __always_inline int balance_published(struct __sk_buff *skb,
					     struct pkt *p,
					     const struct abi_frontend *fe,
					     const struct client *client)
{
	struct work *work = work_get();

	if (!work)
		return -ABI_DROP_KERNEL;
	return balance_published_flow(skb, p, fe, client, work,
				      lb_known(p, work));
}

/* Another node sent a packet to a published port here. */
static __always_inline int balance_request(struct __sk_buff *skb, struct pkt *p,
					   const struct abi_addr *entry)
{
	struct abi_route *route = route_find(0, &p->dst);
	struct work *work = work_get();
	struct abi_frontend *fe;

	if (!work)
		return -ABI_DROP_KERNEL;
	if (!route || route->kind != ABI_ROUTE_NODE)
		return -ABI_DROP_NO_FRONTEND;
	if (pkt_is_error(p))
		return balance_published_error(skb, p, ERROR_LOCAL);
	if (!pkt_has_ports(p))
		return -ABI_DROP_NO_FRONTEND;
	if (p->fragment == PKT_LOST)
		return -ABI_DROP_FRAGMENTS;
	fe = frontend_find_bound(&p->dst, p->dport, p->proto);
	if (!fe)
		fe = frontend_find_published(p->v6, p->dport, p->proto);
	if (!fe)
		return -ABI_DROP_NO_FRONTEND;
	if (lb_choose(p, fe, LB_LOCAL, &p->src, work, lb_known(p, work)))
		return -ABI_DROP_NO_BACKEND;
	return balance_local(skb, p, work, entry, NULL);
}

/*
 * To whom a published port answered: a pod, this host, or somebody in the
 * underlay. The source is the published address again.
 */
static __always_inline int deliver_client(struct __sk_buff *skb,
					  const struct pkt *p, int from_pod)
{
	struct abi_route *route = route_find(0, &p->dst);

	if (route && route->kind == ABI_ROUTE_SUBNET)
		return deliver_net(skb, p, route->vni, &p->dst);
	if (route && route->kind == ABI_ROUTE_NODE && route->self)
		return from_pod ? deliver_host(skb) : deliver_stack(skb);
	if (route && route->kind != ABI_ROUTE_NODE)
		return -ABI_DROP_NO_WAY_OUT;
	return deliver_out(skb, p);
}
