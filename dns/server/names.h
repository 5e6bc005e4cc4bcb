/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - the records by their key; pure.
 *
 * One flat table of hashes and pointers, so that a look-up touches one line
 * of it and then the record, however many there are: with chains each name
 * more on the way is a cache miss. The hash is keyed by a random number: who
 * chooses names cannot make them collide.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "record.h"

struct names_slot {
	struct record *rec;
	uint32_t hash;
};

struct names {
	struct names_slot *slots;
	/* Slots less one; they are a power of two, or none. */
	uint32_t mask;
	uint32_t len;
	uint64_t seed;
};

void names_open(struct names *n);
/* The records are the caller's. */
void names_close(struct names *n);

struct record *names_find(const struct names *n, const uint8_t *key,
			  size_t len);

/*
 * What a look-up will touch, asked of memory and not waited for: the slot,
 * and, once that may have come, the record. A slot NULL: nothing to ask for.
 */
struct names_spot {
	const struct names_slot *slot;
	uint32_t hash;
};

struct names_spot names_seek(const struct names *n, const uint8_t *key,
			     size_t len);
void names_near(const struct names *n, struct names_spot spot);

/* A record whose key is not there yet. */
void names_add(struct names *n, struct record *rec);
/* One that is. */
void names_del(struct names *n, const struct record *rec);

/*
 * All of them: begins with *at 0, NULL at the end. When the record just
 * returned is deleted, *at goes one back; some may then come twice.
 */
struct record *names_next(const struct names *n, uint32_t *at);
