/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owned - addresses of every network, whether anybody here is on it or not;
 * pure.
 *
 * There may be many networks, so a prefix is found by its length and bytes,
 * in a look-up per length there is. put and del may be repeated; between
 * sync_begin and sync_end all are told again, and what was not goes.
 */
#pragma once

#include <stdbool.h>

#include "netd/want.h"

struct owned;

struct owned *owned_new(void);
void owned_free(struct owned *o);

/* -EINVAL: more prefixes than there may be, or no length of one. */
int owned_put(struct owned *o, const struct want_reverse *want);
void owned_del(struct owned *o, uint32_t vni);

void owned_sync_begin(struct owned *o);
void owned_sync_end(struct owned *o);

/*
 * The prefix that holds all of this one; NULL: none, or o is NULL. It holds
 * until the next put, del or end.
 */
const struct ip_prefix *owned_find(const struct owned *o,
				   const struct ip_prefix *prefix);
