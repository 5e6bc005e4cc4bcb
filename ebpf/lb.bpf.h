/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb - which backend a packet to a balanced address goes to.
 *
 * A frontend names a run of slots in the arena; the hash of the client's
 * 5-tuple picks the slot, so that every node with the same run (and this one,
 * when a flow was evicted) picks the same. The flow's entry is asked first:
 * TCP stays with its backend even when that has left the set, until the
 * client begins anew (or the service says that it is reset); UDP moves on at
 * once. Under affinity the client alone is the key.
 */
#pragma once

#include "affinity.bpf.h"
#include "flow.bpf.h"

static __always_inline __u32 hash_mix(__u32 h, __u32 word)
{
	h = (h ^ word) * 0x9e3779b1u;
	return h ^ (h >> 15);
}

/* Part of what nodes agree on: no seed. */
static __always_inline __u32 lb_hash(const struct pkt *p)
{
	__u32 h = p->proto;

	for (int i = 0; i < 4; i++) {
		h = hash_mix(h, p->src.w[i]);
		h = hash_mix(h, p->dst.w[i]);
	}
	h = hash_mix(h, (__u32)p->sport << 16 | p->dport);
	h *= 0x85ebca6bu;
	return h ^ (h >> 13);
}

/* The same for one client's connections, whichever node it asks. */
static __always_inline __u32 lb_hash_client(const struct abi_addr *client)
{
	__u32 h = 1;

	for (int i = 0; i < 4; i++)
		h = hash_mix(h, client->w[i]);
	h *= 0x85ebca6bu;
	return h ^ (h >> 13);
}

static __always_inline struct abi_backend *lb_backend(__u32 id)
{
	return bpf_map_lookup_elem(&backends, &id);
}

/* The slot at hash/2^32 of the run; *id is the backend's. */
static __always_inline struct abi_backend *lb_slot(__u32 offset, __u32 count,
						   __u32 hash, __u32 *id)
{
	__u32 i = offset + (__u32)(((__u64)hash * count) >> 32);
	__u32 element = i >> ABI_RUN_SHIFT;
	struct abi_run *run = bpf_map_lookup_elem(&slots, &element);

	if (!run || !count)
		return NULL;
	*id = run->slot[i & (ABI_RUN_SLOTS - 1)];
	return lb_backend(*id);
}

/* Alive, and it is the one that was chosen; NULL else. */
static __always_inline struct abi_backend *
lb_current(const struct abi_flow *flow)
{
	struct abi_backend *b = lb_backend(flow->backend);

	return b && b->generation == flow->generation &&
			       (b->flags & ABI_BACKEND_ALIVE)
		       ? b
		       : NULL;
}

/* Another node chose this one: only pods here will do. */
#define LB_LOCAL 1u
/* The address is a VIP, not a published port. */
#define LB_VIP 2u

/*
 * May the flow go on as it was? An open connection does, unless its backend
 * is gone and the service says that its connections are reset; who begins
 * needs a backend that takes connections; UDP one that is there.
 */
static __always_inline int lb_keeps(const struct pkt *p,
				    const struct abi_frontend *fe,
				    const struct abi_flow *flow)
{
	struct abi_backend *b;

	if (p->proto == IPPROTO_TCP && !pkt_is_syn(p))
		return !(fe->flags & ABI_FRONTEND_RESET) || lb_current(flow);
	b = lb_current(flow);
	return b && (p->proto != IPPROTO_TCP || b->weight);
}

static __always_inline int lb_is_dead(const struct pkt *p,
				      const struct abi_frontend *fe)
{
	return p->proto == IPPROTO_TCP && !pkt_is_syn(p) &&
	       (fe->flags & ABI_FRONTEND_RESET);
}

/*
 * One of the frontend's backends by hash; where LB_LOCAL is asked and the
 * tables of the two nodes differ for a moment, any of those here.
 */
static __always_inline struct abi_backend *
lb_pick(const struct abi_frontend *fe, __u32 flags, __u32 hash, __u32 *id)
{
	struct abi_backend *b = lb_slot(fe->offset, fe->count, hash, id);

	if ((flags & LB_LOCAL) && (!b || !(b->flags & ABI_BACKEND_LOCAL)))
		b = lb_slot(fe->local_offset, fe->local_count, hash, id);
	return b;
}

/* The backend of a service with affinity for this client. */
static __always_inline struct abi_backend *
lb_pick_for(const struct abi_affinity_key *key, const struct abi_frontend *fe,
	    __u32 flags, __u32 *id)
{
	struct abi_backend *b = affinity_find(key, fe, id);

	if (b && (!(flags & LB_LOCAL) || (b->flags & ABI_BACKEND_LOCAL)))
		return b;
	b = lb_pick(fe, flags, lb_hash_client(&key->client), id);
	if (b)
		affinity_keep(key, b, *id);
	return b;
}

/* Its id, -1: none. */
__noinline int lb_find_for(const struct pkt *p, const struct abi_frontend *fe,
			   __u32 flags, const struct abi_addr *client)
{
	struct abi_affinity_key key = {};
	__u32 id = 0;

	if (!p || !fe || !client)
		return -1;
	key.client = *client;
	key.port = p->dport;
	key.proto = p->proto;
	if ((flags & LB_VIP) || (fe->flags & ABI_FRONTEND_BOUND))
		key.addr = p->dst;
	return lb_pick_for(&key, fe, flags, &id) ? (int)id : -1;
}

/*
 * Fills `choice`, or returns -ABI_DROP_NO_BACKEND. `client` is what affinity
 * knows the client by.
 */
static __always_inline int lb_fill(const struct pkt *p,
				   const struct abi_frontend *fe, __u32 flags,
				   const struct abi_addr *client,
				   struct abi_flow *choice)
{
	struct abi_backend *b = NULL;
	__u32 id = 0;

	if (affinity_seconds(fe)) {
		id = lb_find_for(p, fe, flags, client);
		b = lb_backend(id);
	} else {
		b = lb_pick(fe, flags, lb_hash(p), &id);
	}
	if (!b)
		return -ABI_DROP_NO_BACKEND;

	choice->addr = b->addr;
	choice->vtep = b->vtep;
	choice->vni = b->vni;
	choice->backend = id;
	choice->generation = b->generation;
	choice->port = b->port;
	choice->kind = ABI_FLOW_FORWARD;
	choice->flags = b->flags & ABI_BACKEND_LOCAL;
	if (!flags)
		choice->flags |= ABI_FLOW_ENTERED;
	return 0;
}

/* What becomes of a flow that was found. */
enum lb_fate { LB_KEPT, LB_ANEW, LB_DEAD };

static __always_inline enum lb_fate lb_judge(const struct pkt *p,
					     const struct abi_frontend *fe,
					     __u32 flags,
					     const struct abi_flow *flow)
{
	if ((flags & LB_LOCAL) && !(flow->flags & ABI_BACKEND_LOCAL))
		return LB_ANEW;
	/* The port is used again, and the old connection was closing. */
	if (pkt_is_syn(p) && (flow->state & ABI_FLOW_CLOSING))
		return LB_ANEW;
	if (lb_keeps(p, fe, flow))
		return LB_KEPT;
	/* Nobody else knows the connection: the client is told. */
	return lb_is_dead(p, fe) ? LB_DEAD : LB_ANEW;
}

/* What is known of a client's packet, NULL: nothing. */
static __always_inline struct abi_flow *lb_known(const struct pkt *p,
						 struct work *work)
{
	flow_key_forward(&work->forward, p);
	return flow_find(&work->forward);
}

/* The backend of a flow that an error is about: nothing is kept of it. */
static __always_inline int lb_find(const struct pkt *p,
				   const struct abi_frontend *fe, __u32 flags,
				   struct work *work)
{
	struct abi_flow *flow = lb_known(p, work);

	if (!flow || lb_judge(p, fe, flags, flow) != LB_KEPT)
		return lb_fill(p, fe, flags, &p->src, &work->choice);
	work->choice = *flow;
	return 0;
}

/*
 * The backend of a packet, in work->choice, and it stays chosen; `flow` is
 * lb_known()'s.
 */
static __always_inline int lb_choose(const struct pkt *p,
				     const struct abi_frontend *fe, __u32 flags,
				     const struct abi_addr *client,
				     struct work *work, struct abi_flow *flow)
{
	enum lb_fate fate = LB_ANEW;
	int err;

	if (flow) {
		fate = lb_judge(p, fe, flags, flow);
		if (fate == LB_KEPT) {
			flow_track_forward(p, work, flow);
			work->choice = *flow;
			return 0;
		}
		flow_end(p, flow);
	}
	if (fate == LB_DEAD)
		return -ABI_DROP_NO_BACKEND;
	err = lb_fill(p, fe, flags, client, &work->choice);
	if (!err)
		flow_put_forward(p, work);
	return err;
}
