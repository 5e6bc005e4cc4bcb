/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * frag - which connection a fragment belongs to: only a datagram's first one
 * has the ports, and leaves them here for the others.
 *
 * Each hook asks for itself, and each pod's link and network, so that nobody
 * makes an entry for another's datagrams. A fragment that comes before its
 * first has no ports: it goes on where none are needed, and is dropped where
 * it would be balanced.
 */
#pragma once

#include "maps.bpf.h"
#include "parse.bpf.h"

static __always_inline void frag_key(struct abi_frag_key *key,
				     const struct pkt *p,
				     enum abi_frag_hook hook, __u32 scope)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->src = p->src;
	key->dst = p->dst;
	key->scope = scope;
	key->id = p->id;
	key->proto = p->proto;
	key->hook = hook;
}

__noinline int frag_put(const struct pkt *p, enum abi_frag_hook hook,
			__u32 scope)
{
	struct abi_frag_key key;
	struct abi_frag frag;

	if (!p)
		return 0;
	frag_key(&key, p, hook, scope);
	frag.sport = p->sport;
	frag.dport = p->dport;
	return bpf_map_update_elem(&frags, &key, &frag, BPF_ANY);
}

__noinline int frag_get(struct pkt *p, enum abi_frag_hook hook, __u32 scope)
{
	struct abi_frag_key key;
	struct abi_frag *frag;

	if (!p)
		return 0;
	frag_key(&key, p, hook, scope);
	frag = bpf_map_lookup_elem(&frags, &key);
	if (!frag)
		return 0;
	p->sport = frag->sport;
	p->dport = frag->dport;
	p->fragment = PKT_LATER;
	return 1;
}

/* The ports are in p from here on, except in what is PKT_LOST. */
static __always_inline void frag_ports(struct pkt *p, enum abi_frag_hook hook,
				       __u32 scope)
{
	if (!p->fragment || !pkt_has_ports(p))
		return;
	if (p->fragment == PKT_FIRST)
		frag_put(p, hook, scope);
	else
		frag_get(p, hook, scope);
}
