/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth - the file is the truth: one host, no other store.
 *
 * Commits wait for the turn of the queue and go into one SQLite transaction
 * together; each is judged and gets its revision on its own. Nobody hears of
 * them before the disk has them, and for that a thread waits, not the loop:
 * what comes meanwhile is the next transaction. What the loop still waits for
 * is SQLite moving the log into the database, once the log has grown by 1000
 * pages, and the journal's durable records.
 */
#include <utlist.h>

#include "fault.h"
#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"
#include "store_core.h"
#include "sync.h"

/* A disk that takes longer for a sync is said to hang. */
#define DISK_PATIENCE_S 5.

struct truth {
	struct store *store;
	/* In order of arrival. */
	struct store_call *calls;
	/* Those that are in the file, and what each of them changed: told when
	 * the disk has them. */
	struct store_call *written;
	struct store_batch *batches;
	int64_t written_rev;
	struct sync *sync;
	/* Runs while the disk has a sync to answer. */
	ev_timer patience;
	bool is_hung;
	bool is_failing;
};

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
	int err = db_begin(store->db, false);

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

/* The end of all that were written. */
static void tell_written(struct store *store, int err)
{
	struct truth *truth = store->impl;
	struct store_batch *batches = take_ptr(truth->batches);
	struct store_call *calls = take_ptr(truth->written), *call, *next;
	size_t n = 0;

	DL_FOREACH_SAFE (calls, call, next) {
		DL_DELETE(calls, call);
		store_tell_changed(store, &batches[n++]);
		/* What it lost by itself surely did not happen. */
		store_call_finish(call, call->err ? call->err : err,
				  err ? 0 : call->rev);
	}
	free(batches);
}

/*
 * What the disk refused is in the file nevertheless, as long as the machine
 * runs: it may have happened.
 */
static void truth_synced(void *arg, int err)
{
	LAG(LAG_STORE);
	struct store *store = arg;
	struct truth *truth = store->impl;

	ev_timer_stop(store->loop, &truth->patience);
	if (truth->is_hung)
		log_info("store: the disk answers again path=%s", store->path);
	truth->is_hung = false;
	if (err) {
		log_err("store: the disk did not take a write path=%s "
			"error=\"%s\"",
			store->path, strerror(-err));
		db_log_failed(store->db);
	}
	store->rev = truth->written_rev;
	/* It wakes the queue too, for what has come meanwhile. */
	tell_written(store, err ? -ETIMEDOUT : 0);
}

static void disk_start(struct store *store, int fd)
{
	struct truth *truth = store->impl;

	sync_start(truth->sync, fd);
	ev_now_update(store->loop);
	ev_timer_set(&truth->patience, DISK_PATIENCE_S, 0.);
	ev_timer_start(store->loop, &truth->patience);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct truth *truth = container_of(timer, struct truth, patience);
	struct store *store = truth->store;

	(void)loop;
	(void)revents;
	truth->is_hung = true;
	log_err("store: the disk hangs, commits wait path=%s", store->path);
}

static int truth_open(struct store *store, const struct store_config *config)
{
	struct truth *truth = xzalloc(sizeof(*truth));

	(void)config;
	store->impl = truth;
	truth->store = store;
	ev_init(&truth->patience, on_patience);
	return sync_new(store->loop, truth_synced, store, &truth->sync);
}

/* Writes what has come; nothing of it is in the file if that fails. */
static void write_calls(struct store *store)
{
	struct truth *truth = store->impl;
	struct store_call *call;
	int64_t rev = store->rev;
	size_t n = 0;
	int fd, err;

	DL_COUNT(truth->calls, call, n);
	truth->written = take_ptr(truth->calls);
	truth->batches = xzalloc(n * sizeof(*truth->batches));
	err = calls_run(store, truth->written, &rev, truth->batches);
	truth_complain(store, err);
	for (size_t i = 0; err && i < n; i++)
		store_batch_clear(&truth->batches[i]);
	if (err) {
		tell_written(store, err);
		return;
	}
	truth->written_rev = rev;
	fd = db_log_fd(store->db);
	if (fd < 0)
		truth_synced(store, fd);
	else
		disk_start(store, fd);
}

static void truth_turn(struct store *store)
{
	struct truth *truth = store->impl;

	if (truth->calls && !truth->written)
		write_calls(store);
}

static void truth_commit(struct store *store, struct store_call *call)
{
	struct truth *truth = store->impl;

	DL_APPEND(truth->calls, call);
	store_wake(store);
}

static void truth_status(const struct store *store, struct store_status *ret)
{
	const struct truth *truth = store->impl;

	ret->state = store->is_replayed ? STORE_UP : STORE_STARTING;
	ret->has_lease = store->is_replayed;
	if (truth->is_hung)
		ret->error = "the disk hangs: commits wait for it";
}

static void truth_close(struct store *store)
{
	struct truth *truth = store->impl;
	struct store_call *call, *next;
	size_t n = 0;

	if (!truth)
		return;
	/* First of all, so that nobody is told of what is freed. */
	sync_free(truth->sync);
	ev_timer_stop(store->loop, &truth->patience);
	DL_FOREACH_SAFE (truth->written, call, next) {
		store_batch_clear(&truth->batches[n++]);
		store_call_free(call);
	}
	free(truth->batches);
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
