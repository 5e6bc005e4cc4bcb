/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite - the store's file: content, journal, and what is known of its truth.
 *
 * One process has the file at a time. Writes are durable when the call (or
 * the transaction they are part of) returns, unless it began as not durable:
 * then a power cut may take the last ones, in order, and never a part of one.
 * Failures: -EUCLEAN (damaged), -ENOSPC, -EROFS, -EBUSY, -EIO; db_error() has
 * SQLite's words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct store_batch;

/* Makes the file, mode 0600, if there is none. */
int db_open(const char *path, struct db **ret);
void db_close(struct db *db);
const char *db_error(const struct db *db);

int db_begin(struct db *db, bool is_durable);
int db_commit(struct db *db);
/*
 * The file that holds what was committed last: what was not durable is when
 * this has been synced. The db's; or -errno.
 */
int db_log_fd(struct db *db);
/* That sync failed: nothing is written before the log is begun anew. */
void db_log_failed(struct db *db);
void db_rollback(struct db *db);

int db_kv_put(struct db *db, const char *key, const char *value, int64_t rev);
/* *ret: was there such a key? */
int db_kv_del(struct db *db, const char *key, bool *ret);
int db_kv_clear(struct db *db);
/* *ret: its revision, 0 if there is no such key. */
int db_kv_rev(struct db *db, const char *key, int64_t *ret);
/* Appends up to `max` keys after `after` ("" for the first), in order. */
int db_kv_page(struct db *db, const char *after, size_t max,
	       struct store_batch *ret);
/* Keys in (after, last] with revisions and no values; last NULL: to the end. */
int db_kv_revs(struct db *db, const char *after, const char *last,
	       struct store_batch *ret);

/* Small facts by name. Unknown: NULL, and 0. */
int db_meta_get(struct db *db, const char *name, char **ret);
int db_meta_get_int(struct db *db, const char *name, int64_t *ret);
int db_meta_put(struct db *db, const char *name, const char *value);
int db_meta_put_int(struct db *db, const char *name, int64_t value);

int db_journal_put(struct db *db, const char *key, const char *value);
int db_journal_del(struct db *db, const char *key);
int db_journal_page(struct db *db, const char *prefix, const char *after,
		    size_t max, struct store_batch *ret);
