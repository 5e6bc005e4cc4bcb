/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables - the kernel's maps, mirrored.
 *
 * One writer per map: the daemon. So what it wrote or read once is what is
 * there, and asking the kernel again would only cost.
 */
#include "tables.h"

#include <bpf/bpf.h>
#include <uthash.h>

struct entry {
	UT_hash_handle hh;
	uint32_t epoch;
	/* Key, then value. */
	uint8_t data[];
};

struct table {
	int fd;
	size_t key_size;
	size_t value_size;
	uint32_t epoch;
	struct entry *entries;
};

static struct entry *entry_find(const struct table *t, const void *key)
{
	struct entry *e;

	HASH_FIND(hh, t->entries, key, (unsigned int)t->key_size, e);
	return e;
}

static struct entry *entry_add(struct table *t, const void *key,
			       const void *value)
{
	struct entry *e = xzalloc(sizeof(*e) + t->key_size + t->value_size);

	memcpy(e->data, key, t->key_size);
	memcpy(e->data + t->key_size, value, t->value_size);
	HASH_ADD_KEYPTR(hh, t->entries, e->data, (unsigned int)t->key_size, e);
	return e;
}

static void entry_del(struct table *t, struct entry *e)
{
	HASH_DEL(t->entries, e);
	free(e);
}

/* Nobody else writes, so the walk sees every key once. */
static int table_read(struct table *t)
{
	AUTO(str_freep) char *key = xzalloc(t->key_size);
	AUTO(str_freep) char *value = xzalloc(t->value_size);
	int err = bpf_map_get_next_key(t->fd, NULL, key);

	while (!err) {
		err = bpf_map_lookup_elem(t->fd, key, value);
		if (err)
			return err;
		entry_add(t, key, value);
		err = bpf_map_get_next_key(t->fd, key, key);
	}
	return err == -ENOENT ? 0 : err;
}

int table_open(int fd, size_t key_size, size_t value_size, struct table **ret)
{
	AUTO(table_freep) struct table *t = xzalloc(sizeof(*t));
	int err;

	t->fd = fd;
	t->key_size = key_size;
	t->value_size = value_size;
	err = table_read(t);
	if (err)
		return err;
	*ret = take_ptr(t);
	return 0;
}

void table_free(struct table *t)
{
	struct entry *e, *next;

	if (!t)
		return;
	HASH_ITER (hh, t->entries, e, next)
		entry_del(t, e);
	free(t);
}

int table_put(struct table *t, const void *key, const void *value)
{
	struct entry *e = entry_find(t, key);
	int err;

	if (!e || memcmp(e->data + t->key_size, value, t->value_size) != 0) {
		err = bpf_map_update_elem(t->fd, key, value, BPF_ANY);
		if (err)
			return err;
		if (e)
			memcpy(e->data + t->key_size, value, t->value_size);
		else
			e = entry_add(t, key, value);
	}
	e->epoch = t->epoch;
	return 0;
}

int table_del(struct table *t, const void *key)
{
	struct entry *e = entry_find(t, key);
	int err;

	if (!e)
		return 0;
	err = bpf_map_delete_elem(t->fd, key);
	if (err && err != -ENOENT)
		return err;
	entry_del(t, e);
	return 0;
}

const void *table_get(const struct table *t, const void *key)
{
	const struct entry *e = entry_find(t, key);

	return e ? e->data + t->key_size : NULL;
}

size_t table_len(const struct table *t)
{
	return HASH_COUNT(t->entries);
}

void table_each(struct table *t,
		void (*fn)(void *arg, const void *key, const void *value),
		void *arg)
{
	struct entry *e, *next;

	HASH_ITER (hh, t->entries, e, next)
		fn(arg, e->data, e->data + t->key_size);
}

void table_audit_begin(struct table *t)
{
	t->epoch++;
}

int table_audit_end(struct table *t)
{
	struct entry *e, *next;
	int err = 0;

	HASH_ITER (hh, t->entries, e, next) {
		int rc = e->epoch == t->epoch ? 0 : table_del(t, e->data);

		err = err ? err : rc;
	}
	return err;
}
