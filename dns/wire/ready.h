/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready - records as they stand in an answer, made when they are told.
 *
 * An answer is header and question of the query, then copies of these: only
 * the id, the flags and the counts are written anew. Nothing here needs more
 * than fixed-width types, so a program in the kernel can read it too. All
 * numbers are in network order.
 */
#pragma once

#include <stdint.h>

/* The owner is the question's name, which stands behind the header. */
#define DNS_READY_OWNER 0xc00c

struct dns_ready {
	uint8_t owner[2];
	uint8_t type[2];
	uint8_t class[2];
	uint8_t ttl[4];
	/* Of the data that follows. */
	uint8_t len[2];
};
_Static_assert(sizeof(struct dns_ready) == 12, "no padding");

struct dns_ready_a {
	struct dns_ready head;
	uint8_t addr[4];
};
_Static_assert(sizeof(struct dns_ready_a) == 16, "no padding");

struct dns_ready_aaaa {
	struct dns_ready head;
	uint8_t addr[16];
};
_Static_assert(sizeof(struct dns_ready_aaaa) == 28, "no padding");

/* The key of a name: network, kind (enum name_kind), labels but the root. */
struct dns_ready_key {
	uint8_t vni[4];
	uint8_t kind;
};
_Static_assert(sizeof(struct dns_ready_key) == 5, "labels follow at once");
