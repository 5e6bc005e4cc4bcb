/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store is a file, a backend and a queue. At start the file's content is
 * replayed in pages; then the backend begins: store_truth commits to the file
 * itself, store_etcd follows an etcd and keeps the file as its mirror. All
 * that either has to say goes through the queue, which a zero timer empties
 * from the loop: hooks and done() see one order, and never run from inside
 * the call that caused them.
 */
#include "store.h"

#include <utlist.h>

#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"
#include "store_core.h"

enum item_kind {
	ITEM_REPLAY,
	ITEM_CHANGED,
	ITEM_SYNCED,
	ITEM_LEASE_NEW,
	ITEM_DONE,
};

struct store_item {
	enum item_kind kind;
	struct store_batch batch;
	struct store_call *call;
	struct store_item *prev, *next;
};

static struct store_item *store_queue(struct store *store, enum item_kind kind)
{
	struct store_item *item = xzalloc(sizeof(*item));

	item->kind = kind;
	DL_APPEND(store->items, item);
	store_wake(store);
	return item;
}

void store_wake(struct store *store)
{
	if (!ev_is_active(&store->turn))
		ev_timer_start(store->loop, &store->turn);
}

void store_tell_changed(struct store *store, struct store_batch *batch)
{
	for (size_t at = 0; at < batch->len; at += STORE_BATCH_MAX) {
		struct store_item *item = store_queue(store, ITEM_CHANGED);

		store_batch_move(&item->batch, batch, at,
				 MIN(batch->len - at, STORE_BATCH_MAX));
	}
	store_batch_clear(batch);
}

void store_tell_synced(struct store *store)
{
	store_queue(store, ITEM_SYNCED);
}

void store_tell_lease_new(struct store *store)
{
	store_queue(store, ITEM_LEASE_NEW);
}

void store_call_finish(struct store_call *call, int err, int64_t rev)
{
	call->err = err;
	call->rev = rev;
	store_queue(call->store, ITEM_DONE)->call = call;
}

void store_call_free(struct store_call *call)
{
	if (!call)
		return;
	store_txn_free(call->txn);
	free(call);
}

static void item_free(struct store_item *item)
{
	store_batch_clear(&item->batch);
	store_call_free(item->call);
	free(item);
}

static void store_changed(struct store *store, const struct store_batch *batch)
{
	if (batch->len && store->hooks.changed)
		store->hooks.changed(store->hooks.arg, batch->kv, batch->len);
}

/* A page of the file's content, and the backend's start after the last. */
static void store_replay(struct store *store)
{
	struct store_batch page = { 0 };
	int err = db_kv_page(store->db, store->replay_key, STORE_BATCH_MAX,
			     &page);

	if (err)
		log_err("store: cannot read the file path=%s error=\"%s\"",
			store->path, db_error(store->db));
	if (!err && page.len) {
		free(store->replay_key);
		store->replay_key = xstrdup(page.kv[page.len - 1].key);
		store_queue(store, ITEM_REPLAY);
		store_changed(store, &page);
	} else {
		store->is_replayed = true;
		store->backend->start(store);
	}
	store_batch_clear(&page);
}

static void item_run(struct store *store, struct store_item *item)
{
	const struct store_hooks *hooks = &store->hooks;
	struct store_call *call = item->call;

	switch (item->kind) {
	case ITEM_REPLAY:
		store_replay(store);
		break;
	case ITEM_CHANGED:
		store_changed(store, &item->batch);
		break;
	case ITEM_SYNCED:
		if (hooks->synced)
			hooks->synced(hooks->arg);
		break;
	case ITEM_LEASE_NEW:
		if (hooks->lease_new)
			hooks->lease_new(hooks->arg);
		break;
	case ITEM_DONE:
		if (call->done)
			call->done(call->arg, call->err, call->rev);
		break;
	}
}

static void store_turn(struct store *store)
{
	struct store_item *item, *last;
	int64_t end = lag_slice_end();

	if (store->is_replayed && store->backend->turn)
		store->backend->turn(store);

	/* What the hooks queue waits for the next turn. */
	last = store->items ? store->items->prev : NULL;
	while (last && (item = store->items)) {
		bool is_last = item == last;

		DL_DELETE(store->items, item);
		item_run(store, item);
		item_free(item);
		if (is_last || mono_us() >= end)
			break;
	}
	if (store->items)
		store_wake(store);
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	LAG(LAG_STORE);
	(void)loop;
	(void)revents;
	store_turn(container_of(timer, struct store, turn));
}

int store_open(struct ev_loop *loop, const struct store_config *config,
	       const struct store_hooks *hooks, struct store **ret)
{
	struct store *store = xzalloc(sizeof(*store));
	int err;

	store->loop = loop;
	store->hooks = *hooks;
	store->path = xstrdup(config->path);
	store->replay_key = xstrdup("");
	ev_timer_init(&store->turn, on_turn, 0, 0);

	err = db_open(config->path, &store->db);
	if (!err)
		err = db_meta_get_int(store->db, "rev", &store->rev);
	/* Content without a revision is a part of a first snapshot, which
	 * begins anew; a truth's has one from its first commit on. */
	if (!err && !store->rev)
		err = db_kv_clear(store->db);
	if (!err) {
		store->backend =
			config->endpoints_len ? &store_etcd : &store_truth;
		err = store->backend->open(store, config);
	}
	if (err) {
		store_close(store);
		return err;
	}
	*ret = store;
	return 0;
}

int store_start(struct store *store)
{
	store_queue(store, ITEM_REPLAY);
	return 0;
}

void store_close(struct store *store)
{
	struct store_item *item, *next;

	if (!store)
		return;
	/* Also when its open() failed half way: close() takes what there is. */
	if (store->backend)
		store->backend->close(store);
	DL_FOREACH_SAFE (store->items, item, next)
		item_free(item);
	ev_timer_stop(store->loop, &store->turn);
	db_close(store->db);
	free(store->path);
	free(store->replay_key);
	free(store);
}

struct store_call *store_commit(struct store *store, struct store_txn *txn,
				store_done_fn *done, void *arg)
{
	struct store_call *call = xzalloc(sizeof(*call));

	call->store = store;
	call->txn = txn;
	call->done = done;
	call->arg = arg;
	if (txn->ops_len > STORE_TXN_MAX || txn->is_len > STORE_TXN_MAX)
		store_call_finish(call, -E2BIG, 0);
	else
		store->backend->commit(store, call);
	return call;
}

void store_cancel(struct store_call *call)
{
	if (call)
		call->done = NULL;
}

struct store_status store_status(const struct store *store)
{
	struct store_status status = {
		.rev = store->rev,
		.error = "",
		.where = store->path,
	};

	store->backend->status(store, &status);
	return status;
}

int store_journal_put(struct store *store, const char *key, const char *value)
{
	return db_journal_put(store->db, key, value);
}

int store_journal_del(struct store *store, const char *key)
{
	return db_journal_del(store->db, key);
}

/* value NULL: goes. */
static int journal_loosely(struct store *store, const char *key,
			   const char *value)
{
	int err = db_begin(store->db, false);

	if (err)
		return err;
	err = value ? db_journal_put(store->db, key, value)
		    : db_journal_del(store->db, key);
	if (err) {
		db_rollback(store->db);
		return err;
	}
	return db_commit(store->db);
}

int store_journal_note(struct store *store, const char *key, const char *value)
{
	return journal_loosely(store, key, value);
}

int store_journal_unnote(struct store *store, const char *key)
{
	return journal_loosely(store, key, NULL);
}

int store_journal_each(struct store *store, const char *prefix,
		       void (*fn)(void *arg, const char *key,
				  const char *value),
		       void *arg)
{
	AUTO(str_freep) char *after = xstrdup("");
	size_t len;

	/* By pages, so that fn may write the journal. */
	do {
		struct store_batch page = { 0 };
		int err = db_journal_page(store->db, prefix, after,
					  STORE_BATCH_MAX, &page);

		len = err ? 0 : page.len;
		for (size_t i = 0; i < len; i++)
			fn(arg, page.kv[i].key, page.kv[i].value);
		if (len) {
			free(after);
			after = xstrdup(page.kv[len - 1].key);
		}
		store_batch_clear(&page);
		if (err)
			return err;
	} while (len == STORE_BATCH_MAX);
	return 0;
}
