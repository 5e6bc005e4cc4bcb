/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_read - questions to nf_tables by netlink, cheap enough for every event:
 * private to this folder.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Changes with every commit to any table of this namespace. */
int nft_read_generation(uint32_t *ret);

/*
 * A number that stays the same as long as nobody changes chains, rules or
 * sets of `table` (family inet). -ENOENT: there is no such table.
 */
int nft_read_print(const char *table, uint64_t *ret);

/* The policy of a base chain (family an NFPROTO_). -ENOENT: no such chain. */
int nft_read_policy(uint8_t family, const char *table, const char *chain,
		    bool *is_drop);
