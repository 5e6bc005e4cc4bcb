/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * affinity - a client that came before gets the backend it had, while that
 * takes connections and the client was not away for longer than the service
 * says.
 *
 * A pod is known by its namespace, whatever address it uses, so that its
 * sockets and its packets agree; the host's own processes are one client; to
 * published ports a client is its address.
 */
#pragma once

#include "maps.bpf.h"

#define NS_PER_S 1000000000ull

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ABI_AFFINITIES_MAX);
	__type(key, struct abi_affinity_key);
	__type(value, struct abi_affinity);
} affinities SEC(".maps");

static __always_inline void affinity_client_pod(struct abi_addr *client,
						__u64 cookie)
{
	client->w[0] = client->w[1] = 0;
	client->w[2] = cookie >> 32;
	client->w[3] = (__u32)cookie;
}

static __always_inline __u32 affinity_seconds(const struct abi_frontend *fe)
{
	return fe->flags >> ABI_FRONTEND_AFFINITY_SHIFT;
}

/* Is it the backend it was, and does it take new connections? */
static __always_inline int affinity_holds(const struct abi_affinity *a,
					  const struct abi_backend *b)
{
	return b->generation == a->generation &&
	       (b->flags & ABI_BACKEND_ALIVE) && b->weight;
}

/* The client's backend (*id is its), or NULL: one is to be chosen. */
static __always_inline struct abi_backend *
affinity_find(const struct abi_affinity_key *key, const struct abi_frontend *fe,
	      __u32 *id)
{
	struct abi_affinity *a = bpf_map_lookup_elem(&affinities, key);
	__u64 now = bpf_ktime_get_ns();
	struct abi_backend *b;

	if (!a || now - a->used > affinity_seconds(fe) * NS_PER_S)
		return NULL;
	*id = a->backend;
	b = bpf_map_lookup_elem(&backends, id);
	if (!b || !affinity_holds(a, b))
		return NULL;
	a->used = now;
	return b;
}

static __always_inline void affinity_keep(const struct abi_affinity_key *key,
					  const struct abi_backend *b, __u32 id)
{
	struct abi_affinity a = {
		.used = bpf_ktime_get_ns(),
		.backend = id,
		.generation = b->generation,
	};

	bpf_map_update_elem(&affinities, key, &a, BPF_ANY);
}
