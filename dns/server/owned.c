/* SPDX-License-Identifier: Apache-2.0 */
#include "owned.h"

#include <errno.h>
#include <uthash.h>

#include "netd/util.h"

#define LEN_MAX 128

/* No two networks share an address; one that seems to is found later. */
struct piece {
	struct ip_prefix prefix;
	uint32_t vni;
	UT_hash_handle hh;
};

struct owner {
	struct want_reverse want;
	bool stale;
	UT_hash_handle hh;
};

struct owned {
	struct owner *owners;
	struct piece *pieces;
	/* Pieces of each length. */
	uint32_t count[LEN_MAX + 1];
};

struct owned *owned_new(void)
{
	return xzalloc(sizeof(struct owned));
}

static struct piece *piece_find(const struct owned *o,
				const struct ip_prefix *prefix)
{
	struct piece *piece;

	HASH_FIND(hh, o->pieces, prefix, sizeof(*prefix), piece);
	return piece;
}

static void pieces_drop(struct owned *o, const struct owner *owner)
{
	for (uint32_t i = 0; i < owner->want.len; i++) {
		struct piece *piece = piece_find(o, &owner->want.prefixes[i]);

		if (!piece || piece->vni != owner->want.vni)
			continue;
		o->count[piece->prefix.len]--;
		HASH_DEL(o->pieces, piece);
		free(piece);
	}
}

static void pieces_add(struct owned *o, const struct owner *owner)
{
	for (uint32_t i = 0; i < owner->want.len; i++) {
		struct piece *piece;

		if (piece_find(o, &owner->want.prefixes[i]))
			continue;
		piece = xzalloc(sizeof(*piece));
		piece->prefix = owner->want.prefixes[i];
		piece->vni = owner->want.vni;
		o->count[piece->prefix.len]++;
		HASH_ADD(hh, o->pieces, prefix, sizeof(piece->prefix), piece);
	}
}

static void owner_drop(struct owned *o, struct owner *owner)
{
	pieces_drop(o, owner);
	HASH_DEL(o->owners, owner);
	free(owner);
}

int owned_put(struct owned *o, const struct want_reverse *want)
{
	struct owner *owner;

	if (want->len > NET_PREFIXES_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < want->len; i++)
		if (want->prefixes[i].len > LEN_MAX)
			return -EINVAL;
	owned_del(o, want->vni);
	owner = xzalloc(sizeof(*owner));
	owner->want = *want;
	/* As they are looked up: without host bits. */
	for (uint32_t i = 0; i < want->len; i++)
		owner->want.prefixes[i] = prefix_make(&want->prefixes[i].addr,
						      want->prefixes[i].len);
	HASH_ADD(hh, o->owners, want.vni, sizeof(owner->want.vni), owner);
	pieces_add(o, owner);
	return 0;
}

void owned_del(struct owned *o, uint32_t vni)
{
	struct owner *owner;

	HASH_FIND(hh, o->owners, &vni, sizeof(vni), owner);
	if (owner)
		owner_drop(o, owner);
}

void owned_sync_begin(struct owned *o)
{
	for (struct owner *owner = o->owners; owner; owner = owner->hh.next)
		owner->stale = true;
}

void owned_sync_end(struct owned *o)
{
	struct owner *owner, *tmp;

	HASH_ITER (hh, o->owners, owner, tmp)
		if (owner->stale)
			owner_drop(o, owner);
}

void owned_free(struct owned *o)
{
	if (!o)
		return;
	owned_sync_begin(o);
	owned_sync_end(o);
	free(o);
}

const struct ip_prefix *owned_find(const struct owned *o,
				   const struct ip_prefix *prefix)
{
	for (int len = prefix->len; o && len >= 0; len--) {
		struct ip_prefix key;
		const struct piece *piece;

		if (!o->count[len])
			continue;
		key = prefix_make(&prefix->addr, (uint8_t)len);
		piece = piece_find(o, &key);
		if (piece)
			return &piece->prefix;
	}
	return NULL;
}
