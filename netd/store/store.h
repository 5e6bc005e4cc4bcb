/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - the truth: keys, values and revisions; SQLite here or etcd there.
 *
 * Keys are paths below the prefix ("c/nets/blue"), values are JSON text. The
 * store keeps a copy of all it watches in SQLite (the mirror) and replays it
 * at start, so a node with its store away knows what it knew.
 *
 * Everything is asynchronous: no callback runs from inside the call that
 * caused it. changed() is the only way content reaches the caller, its own
 * commits included, and runs before the commit's own done(). Loop thread
 * only. Failures: -errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct store;
struct store_txn;

/* A key's new content; value NULL: it is gone. rev: when that happened. */
struct store_kv {
	const char *key;
	const char *value;
	int64_t rev;
};

struct store_hooks {
	void *arg;
	/*
	 * Changes in revision order; a replay and a snapshot, which come
	 * before synced(), in order of keys. The strings are the store's.
	 */
	void (*changed)(void *arg, const struct store_kv *kv, size_t len);
	/* What we have is whole: after the snapshot, at every reconnect too. */
	void (*synced)(void *arg);
	/* A new lease: whatever hung on the old one must be put again. */
	void (*lease_new)(void *arg);
};

struct store_config {
	/* The SQLite file: journal, and mirror or truth. */
	const char *path;
	/* NULL or empty: SQLite is the truth. Else http(s)://host:port. */
	const char *const *endpoints;
	size_t endpoints_len;
	/* "/netd/v1" */
	const char *prefix;
	uint32_t lease_ttl_s;
	/* TLS files, NULL where unused. */
	const char *ca, *cert, *key;
	/* Take a store that is not the mirror's: an operator said so. */
	bool adopt;
};

/*
 * Opens the file, or makes it. -EUCLEAN: it is damaged; -EBUSY: another
 * process has it; -ENOTSUP: another version wrote it.
 */
int store_open(struct ev_loop *loop, const struct store_config *config,
	       const struct store_hooks *hooks, struct store **ret);

/* Replays the mirror through changed() and begins to watch. */
int store_start(struct store *store);
/* Open commits end without done(). Not from a hook or done(). */
void store_close(struct store *store);

/*
 * A transaction: happens whole, and only if every compared key is at the
 * revision given (0: it does not exist). Freed by store_commit().
 */
struct store_txn *store_txn_new(void);
void store_txn_free(struct store_txn *txn);
void store_txn_is(struct store_txn *txn, const char *key, int64_t rev);
void store_txn_put(struct store_txn *txn, const char *key, const char *value);
/* As put, but the key goes when this node's lease ends. */
void store_txn_put_leased(struct store_txn *txn, const char *key,
			  const char *value);
void store_txn_del(struct store_txn *txn, const char *key);
bool store_txn_is_empty(const struct store_txn *txn);

/*
 * err 0: done, at revision rev. -EAGAIN: a compared key had moved on;
 * changed() has brought what it is now (or will: try again). -EHOSTDOWN: the
 * store is away and nothing happened. -ETIMEDOUT: it may have happened.
 * Nothing happened either with -E2BIG (over 128 keys or 1.5 MiB), -ENOSPC
 * (the store or the disk is full), -EINVAL and -EACCES (etcd refuses) and
 * -EIO (the file).
 */
typedef void store_done_fn(void *arg, int err, int64_t rev);
struct store_call;

/* done may be NULL. The call can be cancelled until done ran; it may still
 * happen, only nobody is told. */
struct store_call *store_commit(struct store *store, struct store_txn *txn,
				store_done_fn *done, void *arg);
void store_cancel(struct store_call *call);

enum store_state {
	STORE_STARTING,
	STORE_UP,
	/* Away: content is the mirror's. */
	STORE_MIRROR,
	/* Another cluster's, wiped or rolled back: content is the mirror's. */
	STORE_FOREIGN,
};

struct store_status {
	enum store_state state;
	bool is_etcd;
	bool has_lease;
	int64_t rev;
	/* Since content was known to be current; 0 while up. */
	int64_t age_ms;
	/* Why it is not up, or up and commits wait; "" while all is well. */
	const char *error;
	/* The endpoint in use, or the file. */
	const char *where;
};

struct store_status store_status(const struct store *store);

/*
 * The journal: this node's own records, durable when the call returns, never
 * shared. Keys are paths as above.
 */
int store_journal_put(struct store *store, const char *key, const char *value);
int store_journal_del(struct store *store, const char *key);
/*
 * The same, but a power cut may take the last ones, in order: for what is of
 * things in the kernel's memory, which go by it too. It waits for no disk.
 */
int store_journal_note(struct store *store, const char *key, const char *value);
int store_journal_unnote(struct store *store, const char *key);
int store_journal_each(struct store *store, const char *prefix,
		       void (*fn)(void *arg, const char *key,
				  const char *value),
		       void *arg);
