/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

static void batch_reserve(struct store_batch *batch, size_t n)
{
	if (batch->len + n <= batch->size)
		return;
	batch->size = MAX(batch->size * 2, batch->len + n);
	batch->kv = xrealloc(batch->kv, batch->size * sizeof(*batch->kv));
}

void store_batch_take(struct store_batch *batch, char *key, char *value,
		      int64_t rev)
{
	batch_reserve(batch, 1);
	batch->kv[batch->len++] = (struct store_kv){ key, value, rev };
}

void store_batch_put(struct store_batch *batch, const char *key,
		     const char *value, int64_t rev)
{
	store_batch_take(batch, xstrdup(key), value ? xstrdup(value) : NULL,
			 rev);
}

void store_batch_move(struct store_batch *to, struct store_batch *from,
		      size_t at, size_t n)
{
	size_t size = n * sizeof(*to->kv);

	batch_reserve(to, n);
	memcpy(to->kv + to->len, from->kv + at, size);
	memset(from->kv + at, 0, size);
	to->len += n;
}

/* The border's strings are const; here is who allocated them. */
static void str_free(const char *s)
{
	free((void *)(uintptr_t)s);
}

void store_batch_clear(struct store_batch *batch)
{
	for (size_t i = 0; i < batch->len; i++) {
		str_free(batch->kv[i].key);
		str_free(batch->kv[i].value);
	}
	free(batch->kv);
	*batch = (struct store_batch){ 0 };
}
