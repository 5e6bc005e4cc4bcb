/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_core - what the store gives its backends, and asks of them.
 *
 * A backend writes the file, then tells what happened by store_tell_*(): these
 * queue, and the queue reaches the caller's hooks from the loop, in order. So
 * the file is never behind what the caller knows.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "sqlite.h"
#include "store.h"
#include "store_txn.h"

struct fetch_call;
struct store_item;

/* A commit, from store_commit() until done() was told. */
struct store_call {
	struct store *store;
	struct store_txn *txn;
	/* NULL: cancelled, or nobody asked. */
	store_done_fn *done;
	void *arg;
	int err;
	int64_t rev;
	struct store_call *prev, *next;
	/* The etcd backend's: how far the call is. */
	int state;
	struct fetch_call *fetch;
	ev_timer timer;
	/* Told when the watch has come to this revision. */
	int64_t target;
};

struct store_backend {
	int (*open)(struct store *store, const struct store_config *config);
	/* The mirror is replayed: begin. */
	void (*start)(struct store *store);
	/* Once per turn of the queue, before it; may be NULL. */
	void (*turn)(struct store *store);
	/* Takes the call over until store_call_finish(). */
	void (*commit)(struct store *store, struct store_call *call);
	void (*status)(const struct store *store, struct store_status *ret);
	void (*close)(struct store *store);
};

extern const struct store_backend store_truth;
extern const struct store_backend store_etcd;

struct store {
	struct ev_loop *loop;
	struct store_hooks hooks;
	const struct store_backend *backend;
	/* The backend's own. */
	void *impl;
	struct db *db;
	char *path;
	/* The content's revision, as in the file. */
	int64_t rev;
	bool is_replayed;
	/* The last key that was replayed. */
	char *replay_key;
	struct store_item *items;
	ev_timer turn;
};

/* Takes the batch's content over and leaves it empty. */
void store_tell_changed(struct store *store, struct store_batch *batch);
void store_tell_synced(struct store *store);
void store_tell_lease_new(struct store *store);

/* The call's end, in the queue's order; it is freed after done(). */
void store_call_finish(struct store_call *call, int err, int64_t rev);
void store_call_free(struct store_call *call);

/* Has the queue look soon. */
void store_wake(struct store *store);
