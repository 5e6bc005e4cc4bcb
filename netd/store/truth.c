/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth - the file is the truth: one host, no other store.
 *
 * Commits wait for the turn of the queue and go into one SQLite transaction
 * together, so that a burst costs one sync of the disk; each is judged and
 * gets its revision on its own.
 */
#include <utlist.h>

#include "fault.h"
#include "netd/log.h"
#include "netd/util.h"
#include "store_core.h"

struct truth {
	/* In order of arrival. */
	struct store_call *calls;
	bool is_failing;
};

static int truth_open(struct store *store, const struct store_config *config)
{
	(void)config;
	store->impl = xzalloc(sizeof(struct truth));
	return 0;
}

static int truth_mark(struct store *store)
{
	int err = db_begin(store->db, true);

	if (err)
		return err;
	/* From here on the content is this host's, and no etcd's. */
	err = db_meta_put(store->db, "kind", "truth");
	if (err) {
		db_rollback(store->db);
		return err;
	}
	return db_commit(store->db);
}

static void truth_start(struct store *store)
{
	int err = truth_mark(store);

	if (err)
		log_err("store: cannot write path=%s error=\"%s\"", store->path,
			db_error(store->db));
	store_tell_synced(store);
	/* There is no lease to lose: what hangs on one is put once. */
	store_tell_lease_new(store);
	store_wake(store);
}

static int txn_holds(struct store *store, const struct store_txn *txn)
{
	for (size_t i = 0; i < txn->is_len; i++) {
		int64_t rev;
		int err = db_kv_rev(store->db, txn->is[i].key, &rev);

		if (err)
			return err;
		if (rev != txn->is[i].rev)
			return -EAGAIN;
	}
	return 0;
}

static int txn_write(struct store *store, const struct store_txn *txn,
		     int64_t rev, struct store_batch *batch)
{
	for (size_t i = 0; i < txn->ops_len; i++) {
		const struct store_op *op = &txn->ops[i];
		bool is_news = true;
		int err;

		if (op->value)
			err = db_kv_put(store->db, op->key, op->value, rev);
		else
			err = db_kv_del(store->db, op->key, &is_news);
		if (err)
			return err;
		if (is_news)
			store_batch_put(batch, op->key, op->value, rev);
	}
	return 0;
}

/* -EAGAIN is the call's own; any other error ends the SQLite transaction. */
static int call_run(struct store *store, struct store_call *call, int64_t *rev,
		    struct store_batch *batch)
{
	int err = txn_holds(store, call->txn);

	if (!err)
		err = txn_write(store, call->txn, *rev + 1, batch);
	if (!err && batch->len)
		*rev += 1;
	call->err = err;
	call->rev = err ? 0 : *rev;
	return err == -EAGAIN ? 0 : err;
}

static int calls_run(struct store *store, struct store_call *calls,
		     int64_t *rev, struct store_batch *batches)
{
	struct store_call *call;
	size_t i = 0;
	int err = db_begin(store->db, true);

	if (err)
		return err;
	DL_FOREACH (calls, call) {
		err = call_run(store, call, rev, &batches[i++]);
		if (err)
			break;
	}
	if (!err)
		err = db_meta_put_int(store->db, "rev", *rev);
	if (!err)
		err = fault_at(FAULT_STORE_COMMIT);
	if (err) {
		db_rollback(store->db);
		return err;
	}
	err = db_commit(store->db);
	fault_after(FAULT_STORE_COMMITTED);
	return err;
}

static void truth_complain(struct store *store, int err)
{
	struct truth *truth = store->impl;

	if (err && !truth->is_failing)
		log_err("store: cannot write path=%s error=\"%s\"", store->path,
			db_error(store->db));
	if (!err && truth->is_failing)
		log_info("store: writes again path=%s", store->path);
	truth->is_failing = err != 0;
}

static void truth_turn(struct store *store)
{
	struct truth *truth = store->impl;
	struct store_call *calls = take_ptr(truth->calls), *call, *next;
	struct store_batch *batches;
	int64_t rev = store->rev;
	size_t n = 0;
	int err;

	if (!calls)
		return;
	DL_COUNT(calls, call, n);
	batches = xzalloc(n * sizeof(*batches));

	err = calls_run(store, calls, &rev, batches);
	truth_complain(store, err);
	if (!err)
		store->rev = rev;

	n = 0;
	DL_FOREACH_SAFE (calls, call, next) {
		struct store_batch *batch = &batches[n++];

		DL_DELETE(calls, call);
		if (err)
			store_batch_clear(batch);
		store_tell_changed(store, batch);
		store_call_finish(call, err ? err : call->err,
				  err ? 0 : call->rev);
	}
	free(batches);
}

static void truth_commit(struct store *store, struct store_call *call)
{
	struct truth *truth = store->impl;

	DL_APPEND(truth->calls, call);
	store_wake(store);
}

static void truth_status(const struct store *store, struct store_status *ret)
{
	ret->state = store->is_replayed ? STORE_UP : STORE_STARTING;
	ret->has_lease = store->is_replayed;
}

static void truth_close(struct store *store)
{
	struct truth *truth = store->impl;
	struct store_call *call, *next;

	if (!truth)
		return;
	DL_FOREACH_SAFE (truth->calls, call, next)
		store_call_free(call);
	free(truth);
}

const struct store_backend store_truth = {
	.open = truth_open,
	.start = truth_start,
	.turn = truth_turn,
	.commit = truth_commit,
	.status = truth_status,
	.close = truth_close,
};
