/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow - what was decided for a connection, so that it stays decided.
 *
 * A balanced connection has two entries: client to balanced address with the
 * backend chosen, and backend to client with the address to restore. Either
 * may be evicted without the other; the forward direction makes the reverse
 * one again.
 */
#pragma once

#include "frag.bpf.h"
#include "maps.bpf.h"
#include "parse.bpf.h"

static __always_inline void flow_key_forward(struct abi_flow_key *key,
					     const struct pkt *p)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->src = p->src;
	key->dst = p->dst;
	key->sport = p->sport;
	key->dport = p->dport;
	key->proto = p->proto;
	key->side = ABI_SIDE_FORWARD;
}

/* The key under which a packet that answers this one is looked for. */
static __always_inline void flow_key_answer(struct abi_flow_key *key,
					    const struct pkt *p)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->src = p->dst;
	key->dst = p->src;
	key->sport = p->dport;
	key->dport = p->sport;
	key->proto = p->proto;
	key->side = ABI_SIDE_REVERSE;
}

/* Does this packet answer a balanced one? */
static __always_inline struct abi_flow *flow_find_reverse(const struct pkt *p)
{
	struct abi_flow_key key;

	if (!flows_used || !pkt_has_ports(p) || p->fragment == PKT_LOST)
		return NULL;
	flow_key_forward(&key, p);
	key.side = ABI_SIDE_REVERSE;
	return bpf_map_lookup_elem(&flows, &key);
}

/*
 * A new connection straight to a pod from a port that was used through a VIP
 * before: its answers are not the VIP's.
 */
static __always_inline void flow_forget_answer(const struct pkt *p)
{
	struct abi_flow_key key;
	struct abi_flow *flow;

	if (!flows_used || !pkt_is_syn(p))
		return;
	flow_key_answer(&key, p);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (flow && flow->kind != ABI_FLOW_PASS)
		bpf_map_delete_elem(&flows, &key);
}

static __always_inline int flow_same(const struct abi_flow *a,
				     const struct abi_flow *b)
{
	return a->kind == b->kind && a->port == b->port &&
	       addr_eq(&a->addr, &b->addr) && addr_eq(&a->vtep, &b->vtep);
}

/* Stores only what is new: established flows cost no write. */
static __always_inline void flow_put_reverse(const struct pkt *p,
					     const struct abi_flow *flow)
{
	struct abi_flow_key key;
	struct abi_flow *old;

	flow_key_answer(&key, p);
	flows_used = 1;
	old = bpf_map_lookup_elem(&flows, &key);
	if (old && flow_same(old, flow))
		return;
	bpf_map_update_elem(&flows, &key, flow, BPF_ANY);
}

/* Pods of internal networks may answer the host that asked. */
static __always_inline void flow_put_pass(const struct pkt *p)
{
	struct abi_flow flow = { .kind = ABI_FLOW_PASS };
	struct abi_flow_key key;

	if (!pkt_has_ports(p) || p->fragment == PKT_LOST)
		return;
	flow_key_answer(&key, p);
	flows_used = 1;
	if (!bpf_map_lookup_elem(&flows, &key))
		bpf_map_update_elem(&flows, &key, &flow, BPF_ANY);
}
