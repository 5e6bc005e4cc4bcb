/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables - a map in the kernel and what we know to be in it.
 *
 * Opening reads what the map has. From then on a put of what is there already
 * costs no system call, so that wanting everything again, after a restart or
 * in an audit, writes only differences.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/util.h"

struct table;

/* `fd` stays the caller's and must outlive the table. */
int table_open(int fd, size_t key_size, size_t value_size, struct table **ret);
void table_free(struct table *t);
DEFINE_FREEP(struct table, table_free)

int table_put(struct table *t, const void *key, const void *value);
/* What is not there is deleted: 0. */
int table_del(struct table *t, const void *key);

/* The value of a key, or NULL; valid until the next call. */
const void *table_get(const struct table *t, const void *key);
size_t table_len(const struct table *t);

/* Calls fn for all entries; fn may delete the one it got. */
void table_each(struct table *t,
		void (*fn)(void *arg, const void *key, const void *value),
		void *arg);

/* Between begin and end all is put that shall stay. */
void table_audit_begin(struct table *t);
int table_audit_end(struct table *t);
