/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb - which backend a packet to a balanced address goes to.
 *
 * A frontend names a run of slots in the arena; the hash of the client's
 * 5-tuple picks the slot, so that every node with the same run (and this one,
 * when a flow was evicted) picks the same. The flow's entry is asked first:
 * TCP stays with its backend even when that has left the set, until the
 * client begins anew; UDP moves on at once.
 */
#pragma once

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

static __always_inline int lb_is_current(const struct abi_flow *flow)
{
	struct abi_backend *b = lb_backend(flow->backend);

	return b && b->generation == flow->generation &&
	       (b->flags & ABI_BACKEND_ALIVE);
}

/* What lb_find() found. */
enum lb_found { LB_KEPT, LB_NEW };

/*
 * Fills `choice`, or returns -ABI_DROP_NO_BACKEND. `local`: another node
 * chose this one, so only pods here will do, and where the tables of the two
 * differ for a moment any of them.
 */
static __always_inline int lb_find(const struct pkt *p,
				   const struct abi_flow_key *key,
				   const struct abi_frontend *fe, int local,
				   struct abi_flow *choice)
{
	struct abi_flow *flow = bpf_map_lookup_elem(&flows, key);
	struct abi_backend *b;
	__u32 hash, id = 0;

	if (flow && (!local || (flow->flags & ABI_BACKEND_LOCAL)) &&
	    ((p->proto == IPPROTO_TCP && !pkt_is_syn(p)) ||
	     lb_is_current(flow))) {
		*choice = *flow;
		return LB_KEPT;
	}

	hash = lb_hash(p);
	b = lb_slot(fe->offset, fe->count, hash, &id);
	if (local && (!b || !(b->flags & ABI_BACKEND_LOCAL)))
		b = lb_slot(fe->local_offset, fe->local_count, hash, &id);
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
	return LB_NEW;
}

/* The same, and it stays chosen. 0, or -ABI_DROP_NO_BACKEND. */
static __always_inline int lb_choose(const struct pkt *p,
				     const struct abi_frontend *fe, int local,
				     struct abi_flow *choice)
{
	struct abi_flow_key key;
	int found;

	flow_key_forward(&key, p);
	found = lb_find(p, &key, fe, local, choice);
	if (found == LB_NEW)
		bpf_map_update_elem(&flows, &key, choice, BPF_ANY);
	return found < 0 ? found : 0;
}
