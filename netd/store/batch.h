/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch - a list of changes that owns its strings.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "netd/util.h"
#include "store.h"

/* What changed() gets at once at most, so that the loop stays awake. */
#define STORE_BATCH_MAX 250

struct store_batch {
	struct store_kv *kv;
	size_t len, size;
};

/* Copies; value NULL: the key is gone. */
void store_batch_put(struct store_batch *batch, const char *key,
		     const char *value, int64_t rev);
/* Takes both strings over. */
void store_batch_take(struct store_batch *batch, char *key, char *value,
		      int64_t rev);
/* Moves changes [at, at + n) of `from` to `to`; `from` loses only strings. */
void store_batch_move(struct store_batch *to, struct store_batch *from,
		      size_t at, size_t n);
void store_batch_clear(struct store_batch *batch);
