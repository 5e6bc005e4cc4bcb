/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store holds of this node is collected as it comes, and deleted in
 * transactions that compare: a key that another node changes meanwhile is
 * looked at again. When a look finds nothing more to do, all is done.
 */
#include "farewell.h"

#include "json.h"
#include "netd/log.h"
#include "netd/util.h"
#include "rc.h"

/* With the compares, below what etcd takes in one transaction. */
#define OPS_MAX 50
#define FAREWELL_S 5.

/* A key of this node's, or a block. */
struct record {
	char key[PATH_LEN];
	char *value;
	int64_t rev;
	UT_hash_handle hh;
};

struct farewell {
	struct ev_loop *loop;
	struct store *store;
	const char *node;
	uint64_t incarnation;
	struct record *records;
	struct ev_timer limit;
	struct store_call *call;
	int err;
};

static void end(struct farewell *fw, int err)
{
	fw->err = err;
	ev_break(fw->loop, EVBREAK_ALL);
}

static void record_drop(struct farewell *fw, struct record *r)
{
	HASH_DEL(fw->records, r);
	free(r->value);
	free(r);
}

static void keep(struct farewell *fw, const struct store_kv *kv)
{
	struct record *r;

	if ((!rc_key_is_own(fw->node, kv->key) &&
	     !strstr(kv->key, "/e/blocks/")) ||
	    strlen(kv->key) >= PATH_LEN)
		return;
	HASH_FIND_STR(fw->records, kv->key, r);
	if (r)
		record_drop(fw, r);
	if (!kv->value)
		return;
	r = xzalloc(sizeof(*r));
	str_copy(r->key, sizeof(r->key), kv->key);
	r->value = xstrdup(kv->value);
	r->rev = kv->rev;
	HASH_ADD_STR(fw->records, key, r);
}

static bool names(const json_t *doc, const char *node)
{
	return str_eq(json_string_value(json_object_get(doc, "node")), node);
}

/* Takes this node out of those that were lent an address: was it there? */
static bool give_back_lent(json_t *doc, const char *node)
{
	json_t *lent = json_object_get(doc, "lent");
	bool found = false;

	for (size_t i = json_array_size(lent); i-- > 0;) {
		if (!names(json_array_get(lent, i), node))
			continue;
		json_array_remove(lent, i);
		found = true;
	}
	return found;
}

static bool add_block(struct farewell *fw, struct store_txn *txn,
		      const struct record *r)
{
	AUTO(json_freep) json_t *doc = json_loads(r->value, 0, NULL);
	AUTO(str_freep) char *line = NULL;

	if (names(doc, fw->node)) {
		if (json_array_size(json_object_get(doc, "lent"))) {
			log_warn_limited("reconcile: block stays, others use "
					 "addresses of it key=%s",
					 r->key);
			return false;
		}
	} else if (give_back_lent(doc, fw->node)) {
		line = json_line(doc);
	} else {
		return false;
	}
	store_txn_is(txn, r->key, r->rev);
	if (line)
		store_txn_put(txn, r->key, line);
	else
		store_txn_del(txn, r->key);
	return true;
}

static void go_on(struct farewell *fw);

static void committed(void *arg, int err, int64_t rev)
{
	struct farewell *fw = arg;

	(void)rev;
	fw->call = NULL;
	if (err && err != -EAGAIN)
		end(fw, err);
	else
		go_on(fw);
}

/* Is the name alive as another host's? Then its records are that one's. */
static bool is_anothers(const struct farewell *fw)
{
	AUTO(json_freep) json_t *doc = NULL;
	AUTO(str_freep) char *key = xasprintf("c/alive/%s", fw->node);
	const struct record *r;

	HASH_FIND_STR(fw->records, key, r);
	doc = r ? json_loads(r->value, 0, NULL) : NULL;
	return doc && (uint64_t)json_integer_value(json_object_get(
			      doc, "incarnation")) != fw->incarnation;
}

static void go_on(struct farewell *fw)
{
	struct store_txn *txn;
	struct record *r;
	size_t ops = 0;

	if (fw->call)
		return;
	if (is_anothers(fw)) {
		end(fw, -EEXIST);
		return;
	}
	txn = store_txn_new();
	for (r = fw->records; r && ops < OPS_MAX; r = r->hh.next) {
		if (strstr(r->key, "/e/blocks/")) {
			ops += add_block(fw, txn, r);
			continue;
		}
		store_txn_del(txn, r->key);
		ops++;
	}
	if (!ops) {
		store_txn_free(txn);
		end(fw, 0);
		return;
	}
	fw->call = store_commit(fw->store, txn, committed, fw);
}

static void changed(void *arg, const struct store_kv *kv, size_t len)
{
	for (size_t i = 0; i < len; i++)
		keep(arg, &kv[i]);
}

static void synced(void *arg)
{
	go_on(arg);
}

static void lease_new(void *arg)
{
	(void)arg;
}

static void limit_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct farewell *fw = container_of(w, struct farewell, limit);

	(void)loop;
	(void)revents;
	end(fw, -EHOSTDOWN);
}

static void read_incarnation(void *arg, const char *key, const char *value)
{
	struct farewell *fw = arg;

	(void)key;
	fw->incarnation = strtoull(value, NULL, 10);
}

int farewell_say(struct ev_loop *loop, const struct store_config *config,
		 const char *node)
{
	struct farewell fw = { .loop = loop, .node = node };
	struct store_hooks hooks = { .arg = &fw,
				     .changed = changed,
				     .synced = synced,
				     .lease_new = lease_new };
	struct record *r, *tmp;
	int err = store_open(loop, config, &hooks, &fw.store);

	if (err)
		return err;
	err = store_journal_each(fw.store, "node/incarnation", read_incarnation,
				 &fw);
	if (!err)
		err = store_start(fw.store);
	if (!err) {
		ev_timer_init(&fw.limit, limit_cb, FAREWELL_S, 0.);
		ev_timer_start(loop, &fw.limit);
		ev_run(loop, 0);
		ev_timer_stop(loop, &fw.limit);
		err = fw.err;
	}
	store_close(fw.store);
	HASH_ITER (hh, fw.records, r, tmp)
		record_drop(&fw, r);
	return err;
}
