/* SPDX-License-Identifier: Apache-2.0 */
#include "store_txn.h"

#include "netd/util.h"

struct store_txn *store_txn_new(void)
{
	return xzalloc(sizeof(struct store_txn));
}

void store_txn_free(struct store_txn *txn)
{
	if (!txn)
		return;
	for (size_t i = 0; i < txn->is_len; i++)
		free(txn->is[i].key);
	for (size_t i = 0; i < txn->ops_len; i++) {
		free(txn->ops[i].key);
		free(txn->ops[i].value);
	}
	free(txn->is);
	free(txn->ops);
	free(txn);
}

void store_txn_is(struct store_txn *txn, const char *key, int64_t rev)
{
	txn->is = xrealloc(txn->is, (txn->is_len + 1) * sizeof(*txn->is));
	txn->is[txn->is_len++] = (struct store_is){ xstrdup(key), rev };
}

static struct store_op *txn_op(struct store_txn *txn, const char *key)
{
	struct store_op *op;

	for (size_t i = 0; i < txn->ops_len; i++) {
		if (str_eq(txn->ops[i].key, key))
			return &txn->ops[i];
	}
	txn->ops = xrealloc(txn->ops, (txn->ops_len + 1) * sizeof(*txn->ops));
	op = &txn->ops[txn->ops_len++];
	*op = (struct store_op){ .key = xstrdup(key) };
	return op;
}

static void txn_write(struct store_txn *txn, const char *key, const char *value,
		      bool is_leased)
{
	struct store_op *op = txn_op(txn, key);

	free(op->value);
	op->value = value ? xstrdup(value) : NULL;
	op->is_leased = is_leased;
}

void store_txn_put(struct store_txn *txn, const char *key, const char *value)
{
	txn_write(txn, key, value, false);
}

void store_txn_put_leased(struct store_txn *txn, const char *key,
			  const char *value)
{
	txn_write(txn, key, value, true);
}

void store_txn_del(struct store_txn *txn, const char *key)
{
	txn_write(txn, key, NULL, false);
}

bool store_txn_is_empty(const struct store_txn *txn)
{
	return !txn->ops_len;
}

bool store_txn_has_leased(const struct store_txn *txn)
{
	for (size_t i = 0; i < txn->ops_len; i++) {
		if (txn->ops[i].is_leased)
			return true;
	}
	return false;
}
