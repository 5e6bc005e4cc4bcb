/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maglev - tables of backends on which all nodes agree and which a change
 * disturbs little (Eisenbud et al., NSDI 2016).
 *
 * Pure. Backends are told apart by address and port alone, since that is what
 * every node knows; ids differ from node to node.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "netd/addr.h"

/* More backends than this in one table are refused by the caller. */
#define MAGLEV_BACKENDS_MAX 8192
#define MAGLEV_SIZE_MAX 16381

struct maglev_backend {
	struct ip_addr addr;
	uint16_t port;
	/* 0: none of the table's places. */
	uint16_t weight;
	uint32_t id;
};

/* A prime, large enough that one of n leaving disturbs about 1 %. */
uint32_t maglev_size(size_t n);

/*
 * Fills table[size] with ids. Backends are sorted by address and port by the
 * caller. Returns the places filled: size, or 0 when no backend has weight.
 */
uint32_t maglev_fill(const struct maglev_backend *backends, size_t len,
		     uint32_t *table, uint32_t size);
