/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Getting level with etcd and staying so: whose store is it, what differs
 * from the mirror, what changes from there on. Everything is written to the
 * mirror, whole revisions at a time and together with the revision, before
 * anybody hears of it; a failed write leaves the last good state and an
 * absence with its reason.
 */
#include "etcd.h"

#include <inttypes.h>
#include <sys/random.h>
#include <time.h>

#include "netd/log.h"

/*
 * A watch that is silent for so long while the store moves is asked anew, and
 * later each time that it was only others' keys that moved.
 */
#define WATCH_DOUBT_MIN_MS 5000
#define WATCH_DOUBT_MAX_MS 60000

static bool id_eq(const char *a, const char *b)
{
	return a && b && str_eq(a, b);
}

static const struct store_kv *batch_find(const struct store_batch *batch,
					 const char *key)
{
	for (size_t i = 0; i < batch->len; i++) {
		if (str_eq(batch->kv[i].key, key))
			return &batch->kv[i];
	}
	return NULL;
}

/* Does the identity's value name this id? */
static bool is_identity(const struct store_kv *kv, const char *id)
{
	AUTO(str_freep) char *found = NULL;

	return kv && kv->value &&
	       !etcd_json_parse_identity(kv->value, &found) && id_eq(found, id);
}

/*
 * A change that takes the identity away, or makes it another's, is the store
 * being emptied or replaced under us: nothing of it is applied.
 */
static bool is_foreign_change(const struct etcd *etcd,
			      const struct store_batch *batch)
{
	for (size_t i = 0; i < batch->len; i++) {
		const struct store_kv *kv = &batch->kv[i];

		if (str_eq(kv->key, ETCD_IDENTITY) &&
		    !is_identity(kv, etcd->id))
			return true;
	}
	return false;
}

/* Mirror */

static int mirror_write_meta(struct etcd *etcd, int64_t rev)
{
	AUTO(str_freep) char *cluster = xasprintf("%" PRIu64, etcd->cluster);
	struct db *db = etcd->store->db;
	int err = db_meta_put_int(db, "rev", rev);

	if (!err)
		err = db_meta_put_int(db, "seen", time(NULL));
	if (!err)
		err = db_meta_put(db, "kind", "mirror");
	if (!err)
		err = db_meta_put(db, "id", etcd->id);
	if (!err)
		err = db_meta_put(db, "cluster", cluster);
	return err;
}

/* rev 0: it is but a part. */
static int mirror_write(struct etcd *etcd, const struct store_batch *batch,
			int64_t rev)
{
	struct db *db = etcd->store->db;
	int err = db_begin(db, false);

	if (err)
		return err;
	for (size_t i = 0; !err && i < batch->len; i++) {
		const struct store_kv *kv = &batch->kv[i];
		bool was_there;

		if (kv->value)
			err = db_kv_put(db, kv->key, kv->value, kv->rev);
		else
			err = db_kv_del(db, kv->key, &was_there);
	}
	if (!err && rev)
		err = mirror_write_meta(etcd, rev);
	if (err) {
		db_rollback(db);
		return err;
	}
	return db_commit(db);
}

/* Brings the content to `rev`; empties the batch. False: it is away now. */
static bool mirror_apply(struct etcd *etcd, struct store_batch *batch,
			 int64_t rev)
{
	struct store *store = etcd->store;
	int err = mirror_write(etcd, batch, rev);

	if (err) {
		etcd_away(etcd, "cannot write %s: %s", store->path,
			  db_error(store->db));
		return false;
	}
	store->rev = rev;
	free(etcd->mirror_id);
	etcd->mirror_id = xstrdup(etcd->id);
	etcd->mirror_cluster = etcd->cluster;
	etcd->is_truth_file = false;
	etcd->proof = etcd->proof_saved = mono_ms();
	store_tell_changed(store, batch);
	etcd_calls_watched(etcd);
	return true;
}

/* Watch */

static void watch_apply(struct etcd *etcd, struct etcd_watch *watch)
{
	int64_t rev = watch->last_rev;

	/* Without events it is a progress report: all up to here was sent. */
	if (!rev && !watch->is_created)
		rev = watch->rev;
	/* What we have seen already comes again after some reconnects. */
	if (rev <= etcd->store->rev)
		return;
	if (watch->kvs.len && watch->kvs.kv[0].rev <= etcd->store->rev) {
		etcd->is_whole = false;
		etcd_away(etcd, "the watch went back to revision %" PRId64,
			  watch->kvs.kv[0].rev);
	} else if (is_foreign_change(etcd, &watch->kvs)) {
		etcd_foreign(etcd,
			     xasprintf("the store was emptied or replaced "
				       "at revision %" PRId64,
				       rev));
	} else {
		etcd->doubt_ms = WATCH_DOUBT_MIN_MS;
		mirror_apply(etcd, &watch->kvs, rev);
	}
}

static void watch_take(struct etcd *etcd, struct etcd_watch *watch)
{
	if (watch->compacted || watch->error.code == ETCD_COMPACTED) {
		etcd->is_whole = false;
		etcd_away(etcd,
			  "history was compacted at revision %" PRId64
			  ", reading all again",
			  watch->compacted);
	} else if (watch->error.code || watch->is_canceled) {
		etcd_away(etcd, "watch ended: %s",
			  watch->error.text[0] ? watch->error.text
					       : "cancelled");
	} else if (watch->cluster != etcd->cluster) {
		etcd_away(etcd, "another cluster answers");
	} else {
		if (watch->is_created) {
			ev_timer_stop(etcd->store->loop, &etcd->watch_deadline);
			if (etcd->phase == ETCD_WATCH)
				etcd_up(etcd);
		}
		watch_apply(etcd, watch);
	}
}

static void on_watch_line(void *arg, const char *line, size_t len)
{
	struct etcd *etcd = arg;
	struct etcd_watch watch;

	if (!len)
		return;
	etcd->watch_heard = mono_ms();
	if (etcd_json_parse_watch(line, len, etcd->prefix, &watch)) {
		/* What cannot be read must not be passed over: read it all. */
		etcd->is_whole = false;
		etcd_away(etcd, "the watch sent no reply of etcd's");
		return;
	}
	watch_take(etcd, &watch);
	etcd_watch_clear(&watch);
}

static void on_watch_end(void *arg, const struct fetch_reply *reply)
{
	struct etcd *etcd = arg;

	etcd->watch = NULL;
	/* A batch too large to be a line may be read in pages. */
	if (reply->err == -EMSGSIZE)
		etcd->is_whole = false;
	if (etcd_reply_is_good(reply))
		etcd_away(etcd, "watch ended");
	else
		etcd_away_reply(etcd, reply);
}

static void on_watch_deadline(struct ev_loop *loop, ev_timer *timer,
			      int revents)
{
	(void)loop;
	(void)revents;
	etcd_away(container_of(timer, struct etcd, watch_deadline),
		  "no watch within %d ms", ETCD_ANSWER_MS);
}

/* Without a leader to follow, a member ends the watch instead of hanging. */
static const char *const watch_headers[] = { "Grpc-Metadata-hasleader: true",
					     NULL };

void etcd_watch_start(struct etcd *etcd)
{
	struct ev_loop *loop = etcd->store->loop;
	AUTO(str_freep)
	char *url = xasprintf("%s/v3/watch", etcd->endpoints[etcd->endpoint]);
	AUTO(str_freep)
	char *body = etcd_json_watch(etcd->prefix, etcd->store->rev + 1);
	struct fetch_request req = {
		.url = url,
		.body = body,
		.headers = watch_headers,
		.connect_ms = ETCD_ANSWER_MS,
		.max = ETCD_REPLY_MAX,
		.line = on_watch_line,
		.done = on_watch_end,
		.arg = etcd,
	};

	fetch_cancel(take_ptr(etcd->watch));
	etcd->watch_heard = mono_ms();
	ev_now_update(loop);
	ev_timer_stop(loop, &etcd->watch_deadline);
	ev_timer_set(&etcd->watch_deadline, ETCD_ANSWER_MS / 1000.0, 0);
	ev_timer_start(loop, &etcd->watch_deadline);
	if (fetch_start(etcd->fetch, &req, &etcd->watch))
		etcd_away(etcd, "cannot ask this endpoint");
}

/* Snapshot */

static void snap_clear(struct etcd *etcd)
{
	store_batch_clear(&etcd->snap_diff);
	free(take_ptr(etcd->snap_after));
	free(take_ptr(etcd->snap_last));
}

/*
 * Both are in order of keys: what is only in the page is new, what is only
 * in the mirror is gone, and what is in both is news at another revision.
 */
static void snap_merge(struct etcd *etcd, struct store_batch *page,
		       const struct store_batch *have)
{
	struct store_batch *diff = &etcd->snap_diff;
	size_t i = 0, j = 0;

	while (i < page->len || j < have->len) {
		int order = i == page->len ? 1
			    : j == have->len
				    ? -1
				    : strcmp(page->kv[i].key, have->kv[j].key);

		if (order > 0) {
			store_batch_put(diff, have->kv[j++].key, NULL,
					etcd->snap_rev);
			continue;
		}
		if (order < 0 || etcd->is_distrusted ||
		    page->kv[i].rev != have->kv[j].rev)
			store_batch_move(diff, page, i, 1);
		i++;
		if (!order)
			j++;
	}
}

static int snap_take(struct etcd *etcd, struct etcd_range *range)
{
	struct store_batch have = { 0 };
	const char *after = etcd->snap_last ? etcd->snap_last : "";
	AUTO(str_freep) char *last = NULL;
	int err;

	if (range->kvs.len)
		last = xstrdup(range->kvs.kv[range->kvs.len - 1].key);
	/* A page of keys that are none of ours says nothing of those beyond. */
	if (range->has_more && !last)
		return 0;
	err = db_kv_revs(etcd->store->db, after, range->has_more ? last : NULL,
			 &have);
	if (!err)
		snap_merge(etcd, &range->kvs, &have);
	store_batch_clear(&have);
	if (last) {
		free(etcd->snap_last);
		etcd->snap_last = take_ptr(last);
	}
	return err;
}

/*
 * The first snapshot of all is kept and told as it comes, a page in a turn of
 * the loop: without a revision nobody is shown anything of the mirror. Later
 * ones are what has changed, and whole or not at all.
 */
static int snap_keep(struct etcd *etcd)
{
	int err;

	if (etcd->store->rev || is_foreign_change(etcd, &etcd->snap_diff))
		return 0;
	err = mirror_write(etcd, &etcd->snap_diff, 0);
	if (!err)
		store_tell_changed(etcd->store, &etcd->snap_diff);
	return err;
}

static void snap_finish(struct etcd *etcd)
{
	struct store_batch diff = etcd->snap_diff;
	bool is_applied = false;

	etcd->snap_diff = (struct store_batch){ 0 };
	if (is_foreign_change(etcd, &diff))
		etcd_away(etcd, "the store's identity has just changed");
	else
		is_applied = mirror_apply(etcd, &diff, etcd->snap_rev);
	store_batch_clear(&diff);
	if (!is_applied)
		return;
	etcd->is_whole = true;
	etcd->is_distrusted = false;
	/* Once: the next stranger needs another word. */
	etcd->adopt = false;
	snap_clear(etcd);
	etcd->phase = ETCD_WATCH;
	etcd_watch_start(etcd);
}

static void snap_ask(struct etcd *etcd);

static void on_page(void *arg, const struct fetch_reply *reply)
{
	struct etcd *etcd = arg;
	struct etcd_range range;

	etcd->request = NULL;
	if (reply->err == -EMSGSIZE && etcd->page_len > 1) {
		etcd->page_len = MAX(etcd->page_len / 8, 1);
		snap_ask(etcd);
		return;
	}
	if (!etcd_reply_is_good(reply)) {
		etcd_away_reply(etcd, reply);
		return;
	}
	if (etcd_json_parse_range(reply->body, reply->len, etcd->prefix,
				  &range)) {
		etcd_away(etcd, "the snapshot is no reply of etcd's");
		return;
	}
	if (!etcd->snap_rev)
		etcd->snap_rev = range.rev;
	free(etcd->snap_after);
	etcd->snap_after = take_ptr(range.last);
	if (range.cluster != etcd->cluster)
		etcd_away(etcd, "another cluster answers");
	else if (snap_take(etcd, &range))
		etcd_away(etcd, "cannot read %s: %s", etcd->store->path,
			  db_error(etcd->store->db));
	else if (snap_keep(etcd))
		etcd_away(etcd, "cannot write %s: %s", etcd->store->path,
			  db_error(etcd->store->db));
	else if (range.has_more)
		snap_ask(etcd);
	else
		snap_finish(etcd);
	etcd_range_clear(&range);
}

static void snap_ask(struct etcd *etcd)
{
	if (etcd_post(etcd, "/v3/kv/range",
		      etcd_json_range(etcd->prefix, etcd->snap_after,
				      etcd->snap_rev, etcd->page_len),
		      ETCD_PAGE_MS, on_page, etcd, &etcd->request))
		etcd_away(etcd, "cannot ask this endpoint");
}

/* Identity */

static void identity_created(void *arg, const struct fetch_reply *reply)
{
	struct etcd *etcd = arg;

	etcd->request = NULL;
	/* Whoever was first: what is there now is read again. */
	if (etcd_reply_is_good(reply))
		etcd_identify(etcd);
	else
		etcd_away_reply(etcd, reply);
}

static void identity_create(struct etcd *etcd)
{
	struct store_txn *txn = store_txn_new();
	AUTO(str_freep) char *value = NULL;
	char id[33] = "";
	uint8_t dice[16];

	/* Blocks only while the kernel has just booted. */
	if (getrandom(dice, sizeof(dice), 0) != sizeof(dice))
		abort();
	for (size_t i = 0; i < sizeof(dice); i++)
		snprintf(id + 2 * i, 3, "%02x", dice[i]);
	value = etcd_json_identity(id);
	store_txn_is(txn, ETCD_IDENTITY, 0);
	store_txn_put(txn, ETCD_IDENTITY, value);
	if (etcd_post(etcd, "/v3/kv/txn", etcd_json_txn(etcd->prefix, txn, 0),
		      ETCD_ANSWER_MS, identity_created, etcd, &etcd->request))
		etcd_away(etcd, "cannot ask this endpoint");
	store_txn_free(txn);
}

/* Why this store is not the mirror's, or NULL. The caller frees it. */
static char *identity_objection(const struct etcd *etcd, const char *id,
				int64_t rev)
{
	if (etcd->is_truth_file)
		return xasprintf("%s holds the state of a single host",
				 etcd->store->path);
	if (!etcd->mirror_id)
		return NULL;
	if (!id)
		return xasprintf("the store has no %s/%s: it is empty, the "
				 "mirror is of cluster %s",
				 etcd->prefix, ETCD_IDENTITY, etcd->mirror_id);
	if (!str_eq(id, etcd->mirror_id))
		return xasprintf("the store is of cluster %s, the mirror of %s",
				 id, etcd->mirror_id);
	if (rev < etcd->store->rev)
		return xasprintf("the store is at revision %" PRId64
				 ", the mirror at %" PRId64
				 ": it was rolled back",
				 rev, etcd->store->rev);
	return NULL;
}

static void identity_accept(struct etcd *etcd, const char *id,
			    const struct etcd_range *range, bool is_adopted)
{
	free(etcd->id);
	etcd->id = xstrdup(id);
	etcd->cluster = range->cluster;
	free(take_ptr(etcd->objection));
	if (is_adopted)
		log_warn("store: adopts this store, as configured cluster=%s",
			 id);
	if (is_adopted || etcd->cluster != etcd->mirror_cluster) {
		etcd->is_distrusted = true;
		etcd->is_whole = false;
	}
	if (etcd->is_whole) {
		etcd->phase = ETCD_WATCH;
		etcd_watch_start(etcd);
	} else {
		etcd->phase = ETCD_SNAPSHOT;
		etcd->snap_rev = 0;
		snap_clear(etcd);
		snap_ask(etcd);
	}
	etcd_lease_kick(etcd);
}

static void identity_judge(struct etcd *etcd, const struct etcd_range *range)
{
	const struct store_kv *kv = batch_find(&range->kvs, ETCD_IDENTITY);
	AUTO(str_freep) char *id = NULL;
	AUTO(str_freep) char *objection = NULL;

	if (kv && etcd_json_parse_identity(kv->value, &id)) {
		etcd_foreign(etcd, xasprintf("%s/%s cannot be read",
					     etcd->prefix, ETCD_IDENTITY));
		return;
	}
	objection = identity_objection(etcd, id, range->rev);
	if (objection && !etcd->adopt)
		etcd_foreign(etcd, take_ptr(objection));
	else if (!id)
		identity_create(etcd);
	else
		identity_accept(etcd, id, range, objection != NULL);
}

static void on_identity(void *arg, const struct fetch_reply *reply)
{
	struct etcd *etcd = arg;
	struct etcd_range range;

	etcd->request = NULL;
	if (!etcd_reply_is_good(reply)) {
		etcd_away_reply(etcd, reply);
		return;
	}
	if (etcd_json_parse_range(reply->body, reply->len, etcd->prefix,
				  &range)) {
		etcd_away(etcd, "no reply of etcd's");
		return;
	}
	identity_judge(etcd, &range);
	etcd_range_clear(&range);
}

void etcd_identify(struct etcd *etcd)
{
	if (etcd->phase == ETCD_AWAY)
		etcd->attempt = mono_ms();
	etcd->phase = ETCD_IDENTIFY;
	if (etcd_post(etcd, "/v3/kv/range",
		      etcd_json_get(etcd->prefix, ETCD_IDENTITY),
		      ETCD_ANSWER_MS, on_identity, etcd, &etcd->request))
		etcd_away(etcd, "cannot ask this endpoint");
}

/* Probe */

/*
 * The store moves, by others' keys at least, and the watch says nothing: it
 * may be gone without a trace. One doubt per revision.
 */
static void probe_doubt(struct etcd *etcd, int64_t rev)
{
	if (rev <= etcd->store->rev || rev <= etcd->doubted ||
	    mono_ms() - etcd->watch_heard < etcd->doubt_ms)
		return;
	etcd->doubted = rev;
	etcd->doubt_ms = MIN(etcd->doubt_ms * 2, WATCH_DOUBT_MAX_MS);
	etcd_watch_start(etcd);
}

static void on_probe(void *arg, const struct fetch_reply *reply)
{
	struct etcd *etcd = arg;
	struct etcd_range range;

	etcd->probe = NULL;
	if (!etcd_reply_is_good(reply)) {
		etcd_away_reply(etcd, reply);
		return;
	}
	if (etcd_json_parse_range(reply->body, reply->len, etcd->prefix,
				  &range)) {
		etcd_away(etcd, "no reply of etcd's");
		return;
	}
	if (range.cluster != etcd->cluster || range.rev < etcd->probe_rev ||
	    !is_identity(batch_find(&range.kvs, ETCD_IDENTITY), etcd->id)) {
		etcd_away(etcd, "this is no longer the same store");
	} else {
		etcd_proof(etcd);
		probe_doubt(etcd, range.rev);
	}
	etcd_range_clear(&range);
}

static void on_probe_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct etcd *etcd = container_of(timer, struct etcd, probe_timer);

	(void)loop;
	(void)revents;
	if (etcd->phase != ETCD_UP || etcd->probe)
		return;
	/* The watch may be ahead of the answer by the time that it is read. */
	etcd->probe_rev = etcd->store->rev;
	if (etcd_post(etcd, "/v3/kv/range",
		      etcd_json_get(etcd->prefix, ETCD_IDENTITY),
		      ETCD_ANSWER_MS, on_probe, etcd, &etcd->probe))
		etcd_away(etcd, "cannot ask this endpoint");
}

void etcd_probe_start(struct etcd *etcd)
{
	struct ev_loop *loop = etcd->store->loop;

	ev_timer_stop(loop, &etcd->probe_timer);
	ev_timer_set(&etcd->probe_timer, ETCD_PROBE_S, ETCD_PROBE_S);
	ev_timer_start(loop, &etcd->probe_timer);
}

void etcd_sync_init(struct etcd *etcd)
{
	etcd->doubt_ms = WATCH_DOUBT_MIN_MS;
	ev_init(&etcd->watch_deadline, on_watch_deadline);
	ev_init(&etcd->probe_timer, on_probe_tick);
}

void etcd_sync_stop(struct etcd *etcd)
{
	struct ev_loop *loop = etcd->store->loop;

	fetch_cancel(take_ptr(etcd->request));
	fetch_cancel(take_ptr(etcd->watch));
	fetch_cancel(take_ptr(etcd->probe));
	ev_timer_stop(loop, &etcd->watch_deadline);
	ev_timer_stop(loop, &etcd->probe_timer);
	snap_clear(etcd);
}
