/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_txn - a transaction's parts, as the backends read them.
 *
 * A key is written at most once: a later put or del takes the place of an
 * earlier one, because etcd refuses a transaction that names a key twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store.h"

/* etcd's default for --max-txn-ops, for compares and for writes each. */
#define STORE_TXN_MAX 128

struct store_is {
	char *key;
	int64_t rev;
};

struct store_op {
	char *key;
	/* NULL: delete. */
	char *value;
	bool is_leased;
};

struct store_txn {
	struct store_is *is;
	size_t is_len;
	struct store_op *ops;
	size_t ops_len;
};

bool store_txn_has_leased(const struct store_txn *txn);
