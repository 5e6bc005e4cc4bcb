/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_node - a store with hooks that keep what they were told.
 */
#pragma once

#include <sys/stat.h>

#include "loop_wait.h"
#include "netd/util.h"
#include "store.h"

#define NODE_KEYS_MAX 4096

struct node_key {
	char *key;
	char *value;
	int64_t rev;
};

struct node {
	struct ev_loop *loop;
	struct store *store;
	struct node_key keys[NODE_KEYS_MAX];
	size_t keys_len;
	/* All that was ever told, in order. */
	uint32_t told, gone, synced, leases;
	int64_t last_rev;
	/* Revisions went back within changed(). */
	bool is_disordered;
	/* A store call is running: no hook may be. */
	bool is_inside;
};

/* A commit's end. */
struct node_done {
	struct node *node;
	bool is_done;
	int err;
	int64_t rev;
	/* What had been told by then. */
	uint32_t told;
};

static inline struct node_key *node_find(struct node *node, const char *key)
{
	for (size_t i = 0; i < node->keys_len; i++)
		if (str_eq(node->keys[i].key, key))
			return &node->keys[i];
	return NULL;
}

/* The key's value, or NULL. */
static inline const char *node_value(struct node *node, const char *key)
{
	struct node_key *found = node_find(node, key);

	return found ? found->value : NULL;
}

static inline bool node_is(struct node *node, const char *key, const char *is)
{
	const char *value = node_value(node, key);

	return value && str_eq(value, is);
}

static inline int64_t node_rev(struct node *node, const char *key)
{
	struct node_key *found = node_find(node, key);

	return found ? found->rev : 0;
}

static inline size_t node_count(struct node *node)
{
	return node->keys_len;
}

static inline void node_take(struct node *node, const struct store_kv *kv)
{
	struct node_key *found = node_find(node, kv->key);

	node->told++;
	if (kv->rev < node->last_rev)
		node->is_disordered = true;
	node->last_rev = kv->rev;
	if (found) {
		free(found->value);
		free(found->key);
		*found = node->keys[--node->keys_len];
	}
	if (!kv->value) {
		node->gone++;
		return;
	}
	assert_true(node->keys_len < NODE_KEYS_MAX);
	node->keys[node->keys_len++] =
		(struct node_key){ xstrdup(kv->key), xstrdup(kv->value),
				   kv->rev };
}

static inline void on_changed(void *arg, const struct store_kv *kv, size_t len)
{
	struct node *node = arg;

	assert_false(node->is_inside);
	for (size_t i = 0; i < len; i++)
		node_take(node, &kv[i]);
}

static inline void on_synced(void *arg)
{
	struct node *node = arg;

	assert_false(node->is_inside);
	node->synced++;
}

static inline void on_lease_new(void *arg)
{
	struct node *node = arg;

	assert_false(node->is_inside);
	node->leases++;
}

static inline void on_done(void *arg, int err, int64_t rev)
{
	struct node_done *done = arg;

	assert_false(done->node->is_inside);
	assert_false(done->is_done);
	*done = (struct node_done){ done->node, true, err, rev,
				    done->node->told };
}

static inline int node_open(struct node *node, struct ev_loop *loop,
			    const struct store_config *config)
{
	struct store_hooks hooks = { node, on_changed, on_synced,
				     on_lease_new };
	int err;

	memset(node, 0, sizeof(*node));
	node->loop = loop;
	err = store_open(loop, config, &hooks, &node->store);
	if (err)
		return err;
	node->is_inside = true;
	err = store_start(node->store);
	node->is_inside = false;
	return err;
}

static inline void node_close(struct node *node)
{
	store_close(node->store);
	for (size_t i = 0; i < node->keys_len; i++) {
		free(node->keys[i].key);
		free(node->keys[i].value);
	}
	memset(node, 0, sizeof(*node));
}

static inline struct store_call *
node_commit(struct node *node, struct store_txn *txn, struct node_done *done)
{
	struct store_call *call;

	*done = (struct node_done){ .node = node };
	node->is_inside = true;
	call = store_commit(node->store, txn, on_done, done);
	node->is_inside = false;
	return call;
}

/* Commits and waits for the end. */
static inline struct node_done node_run(struct node *node,
					struct store_txn *txn)
{
	struct node_done done;

	node_commit(node, txn, &done);
	wait_for(node->loop, done.is_done, 8000);
	return done;
}

static inline struct node_done node_put(struct node *node, const char *key,
					const char *value)
{
	struct store_txn *txn = store_txn_new();

	store_txn_put(txn, key, value);
	return node_run(node, txn);
}

static inline struct node_done node_del(struct node *node, const char *key)
{
	struct store_txn *txn = store_txn_new();

	store_txn_del(txn, key);
	return node_run(node, txn);
}

/* Puts if the key is at `rev`. */
static inline struct node_done node_swap(struct node *node, const char *key,
					 int64_t rev, const char *value)
{
	struct store_txn *txn = store_txn_new();

	store_txn_is(txn, key, rev);
	store_txn_put(txn, key, value);
	return node_run(node, txn);
}

static inline enum store_state node_state(const struct node *node)
{
	return store_status(node->store).state;
}

/* A folder of the test's own, and a name in it. */
static inline char *test_dir(void)
{
	char *dir = xstrdup("/tmp/netd-store-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void test_dir_remove(char *dir)
{
	char *cmd = xasprintf("rm -rf '%s'", dir);

	assert_int_equal(system(cmd), 0);
	free(cmd);
	free(dir);
}
