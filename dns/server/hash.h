/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash - bytes to a number, eight at a time.
 *
 * Keyed: with a random seed nobody who chooses the bytes can make them
 * collide.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Two numbers without a pattern: from the golden ratio, and pi. */
#define HASH_MIX_A UINT64_C(0x9e3779b97f4a7c15)
#define HASH_MIX_B UINT64_C(0x243f6a8885a308d3)

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint32_t hash_bytes(uint64_t seed, const uint8_t *key, size_t len)
{
	uint64_t h = seed ^ len, v;

	for (; len >= sizeof(v); key += sizeof(v), len -= sizeof(v)) {
		memcpy(&v, key, sizeof(v));
		h = hash_mix(h ^ v, HASH_MIX_A);
	}
	v = 0;
	for (size_t i = 0; i < len; i++)
		v = v << 8 | key[i];
	return (uint32_t)hash_mix(h ^ v, HASH_MIX_B);
}
