/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is locked for as long as it is open (locking_mode EXCLUSIVE, which
 * also spares WAL its shared memory file), checked at open, and made beside
 * its place and renamed there: an empty file at PATH is therefore damage, not
 * a beginning, and nobody starts from nothing by accident.
 */
#include "sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "batch.h"
#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"

#define DB_SCHEMA 1
#define DB_APPLICATION_ID 0x6e657464 /* "netd" */

enum db_stmt {
	DB_KV_PUT,
	DB_KV_DEL,
	DB_KV_REV,
	DB_KV_PAGE,
	DB_KV_REVS,
	DB_META_GET,
	DB_META_PUT,
	DB_JOURNAL_PUT,
	DB_JOURNAL_DEL,
	DB_JOURNAL_PAGE,
	DB_STMT_MAX
};

static const char *const db_sql[] = {
	[DB_KV_PUT] = "INSERT INTO kv(key, value, rev) VALUES(?1, ?2, ?3)"
		      " ON CONFLICT(key) DO UPDATE SET value = ?2, rev = ?3",
	[DB_KV_DEL] = "DELETE FROM kv WHERE key = ?1",
	[DB_KV_REV] = "SELECT rev FROM kv WHERE key = ?1",
	[DB_KV_PAGE] = "SELECT key, value, rev FROM kv WHERE key > ?1"
		       " ORDER BY key LIMIT ?2",
	[DB_KV_REVS] = "SELECT key, NULL, rev FROM kv WHERE key > ?1"
		       " AND (?2 IS NULL OR key <= ?2) ORDER BY key",
	[DB_META_GET] = "SELECT value FROM meta WHERE name = ?1",
	[DB_META_PUT] = "INSERT INTO meta(name, value) VALUES(?1, ?2)"
			" ON CONFLICT(name) DO UPDATE SET value = ?2",
	[DB_JOURNAL_PUT] = "INSERT INTO journal(key, value) VALUES(?1, ?2)"
			   " ON CONFLICT(key) DO UPDATE SET value = ?2",
	[DB_JOURNAL_DEL] = "DELETE FROM journal WHERE key = ?1",
	/* Not LIKE: keys hold '_'. */
	[DB_JOURNAL_PAGE] = "SELECT key, value, 0 FROM journal"
			    " WHERE key > ?1 AND key >= ?2"
			    " AND substr(key, 1, length(?2)) = ?2"
			    " ORDER BY key LIMIT ?3",
};
_Static_assert(ARRAY_LEN(db_sql) == DB_STMT_MAX, "a statement for each");

static const char db_tables[] =
	"BEGIN;"
	"CREATE TABLE kv(key TEXT PRIMARY KEY, value TEXT NOT NULL,"
	"  rev INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE journal(key TEXT PRIMARY KEY, value TEXT NOT NULL)"
	"  WITHOUT ROWID;"
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL)"
	"  WITHOUT ROWID;"
	"PRAGMA application_id = 0x6e657464;"
	"PRAGMA user_version = 1;"
	"COMMIT;";

struct db {
	sqlite3 *h;
	/* Of the last failure: a rollback makes SQLite forget. */
	char error[160];
	sqlite3_stmt *stmt[DB_STMT_MAX];
	char *log_path;
	/* -1: nobody asked for it yet. */
	int log_fd;
	/* The disk may lack a part of the log, and what is behind it is worth
	 * nothing then. */
	bool has_hole;
};

static const struct db_errno {
	int code;
	int err;
} db_errnos[] = {
	{ SQLITE_BUSY, -EBUSY },     { SQLITE_LOCKED, -EBUSY },
	{ SQLITE_FULL, -ENOSPC },    { SQLITE_READONLY, -EROFS },
	{ SQLITE_NOTADB, -EUCLEAN }, { SQLITE_CORRUPT, -EUCLEAN },
	{ SQLITE_PERM, -EACCES },    { SQLITE_CANTOPEN, -ENOENT },
	{ SQLITE_TOOBIG, -EFBIG },
};

static int db_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(db_errnos); i++) {
		if (db_errnos[i].code == (code & 0xff))
			return db_errnos[i].err;
	}
	return -EIO;
}

/* Keeps SQLite's words for a failure. */
static int db_result(struct db *db, int code)
{
	int err = db_errno(code);

	if (err)
		snprintf(db->error, sizeof(db->error), "%s",
			 sqlite3_errmsg(db->h));
	if (err && sqlite3_extended_errcode(db->h) == SQLITE_IOERR_FSYNC)
		db->has_hole = true;
	return err;
}

const char *db_error(const struct db *db)
{
	return db->error;
}

static int db_exec(struct db *db, const char *sql)
{
	return db_result(db, sqlite3_exec(db->h, sql, NULL, NULL, NULL));
}

/* The first column of the first row, as a number or as text. */
static int db_query(struct db *db, const char *sql, int64_t *num, char **text)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->h, sql, -1, &stmt, NULL);
	int err;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && num)
		*num = sqlite3_column_int64(stmt, 0);
	if (rc == SQLITE_ROW && text)
		*text = xstrdup((const char *)sqlite3_column_text(stmt, 0));
	err = db_result(db, rc);
	sqlite3_finalize(stmt);
	return err;
}

static int db_handle_open(struct db *db, const char *path)
{
	int err = db_errno(
		sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READWRITE, NULL));

	/* With an exclusive lock the first statement takes it, for good. */
	if (!err)
		err = db_exec(db, "PRAGMA locking_mode = EXCLUSIVE");
	if (!err)
		err = db_exec(db, "PRAGMA journal_mode = WAL");
	if (!err)
		err = db_exec(db, "PRAGMA synchronous = FULL");
	if (!err)
		err = db_exec(db, "BEGIN EXCLUSIVE; COMMIT");
	return err;
}

static int db_check(struct db *db, const char *path)
{
	AUTO(str_freep) char *verdict = NULL;
	int64_t id = 0, version = 0;
	int err = db_query(db, "PRAGMA quick_check(1)", NULL, &verdict);

	if (!err)
		err = db_query(db, "PRAGMA application_id", &id, NULL);
	if (!err)
		err = db_query(db, "PRAGMA user_version", &version, NULL);
	if (err)
		return err;
	if (!verdict || !str_eq(verdict, "ok")) {
		log_err("store: the file is damaged path=%s check=\"%s\"", path,
			verdict ? verdict : "");
		return -EUCLEAN;
	}
	if (id != DB_APPLICATION_ID)
		return -EUCLEAN;
	if (version != DB_SCHEMA) {
		log_err("store: the file is another version's path=%s "
			"version=%lld known=%d",
			path, (long long)version, DB_SCHEMA);
		return -ENOTSUP;
	}
	return 0;
}

static void dir_sync(const char *path)
{
	AUTO(str_freep) char *dir = xstrdup(path);
	AUTO(fd_closep) int fd = -1;
	char *slash = strrchr(dir, '/');

	if (slash)
		*slash = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

static void file_unlink(const char *path, const char *suffix)
{
	AUTO(str_freep) char *name = xasprintf("%s%s", path, suffix);

	unlink(name);
}

static int db_create_at(const char *path)
{
	struct db db = { 0 };
	int err = db_errno(
		sqlite3_open_v2(path, &db.h, SQLITE_OPEN_READWRITE, NULL));

	if (!err)
		err = db_exec(&db, db_tables);
	sqlite3_close(db.h);
	return err;
}

static int db_create(const char *path)
{
	AUTO(str_freep) char *tmp = xasprintf("%s.new", path);
	AUTO(fd_closep) int fd = -1;
	int err;

	file_unlink(tmp, "");
	file_unlink(tmp, "-journal");
	/* SQLite gives the files beside it the same mode. */
	fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = db_create_at(tmp);
	if (err)
		return err;

	/* A log left by a file that was removed belongs to that one. */
	file_unlink(path, "-wal");
	file_unlink(path, "-shm");
	file_unlink(path, "-journal");
	if (rename(tmp, path))
		return -errno;
	dir_sync(path);
	return 0;
}

static int db_prepare(struct db *db)
{
	for (size_t i = 0; i < DB_STMT_MAX; i++) {
		int rc = sqlite3_prepare_v3(db->h, db_sql[i], -1,
					    SQLITE_PREPARE_PERSISTENT,
					    &db->stmt[i], NULL);

		/* A table is not there: whatever it is, it is not ours. */
		if (rc == SQLITE_ERROR)
			return -EUCLEAN;
		if (rc != SQLITE_OK)
			return db_errno(rc);
	}
	return 0;
}

int db_open(const char *path, struct db **ret)
{
	struct db *db;
	struct stat st;
	int err = 0;

	if (stat(path, &st))
		err = errno == ENOENT ? db_create(path) : -errno;
	else if (!st.st_size)
		err = -EUCLEAN;
	if (err)
		return err;

	db = xzalloc(sizeof(*db));
	db->log_fd = -1;
	err = db_handle_open(db, path);
	if (!err)
		/* Not PATH's: that may be a link, and the log is beside what
		 * it leads to. */
		db->log_path = xstrdup(sqlite3_filename_wal(
			sqlite3_db_filename(db->h, "main")));
	if (!err)
		err = db_check(db, path);
	if (!err)
		err = db_prepare(db);
	if (err) {
		db_close(db);
		return err;
	}
	*ret = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < DB_STMT_MAX; i++)
		sqlite3_finalize(db->stmt[i]);
	sqlite3_close(db->h);
	if (db->log_fd >= 0)
		close(db->log_fd);
	free(db->log_path);
	free(db);
}

void db_log_failed(struct db *db)
{
	db->has_hole = true;
}

/*
 * The kernel tells that a write failed once, and takes the pages for written
 * from then on: a later sync of the log says nothing of them. So all that the
 * log holds goes into the database, and the log begins anew.
 */
static int db_mend(struct db *db)
{
	LAG(LAG_DISK);
	int left = 0, err;

	if (!db->has_hole)
		return 0;
	err = db_result(db, sqlite3_wal_checkpoint_v2(
				    db->h, NULL, SQLITE_CHECKPOINT_TRUNCATE,
				    &left, NULL));
	if (!err && left)
		err = -EBUSY;
	if (!err)
		db->has_hole = false;
	return err;
}

int db_begin(struct db *db, bool is_durable)
{
	int err = db_mend(db);

	/* Only outside a transaction can this be changed. */
	if (!err)
		err = db_exec(db, is_durable ? "PRAGMA synchronous = FULL"
					     : "PRAGMA synchronous = NORMAL");
	if (!err)
		err = db_exec(db, "BEGIN IMMEDIATE");
	/* What is written alone is durable. */
	if (err)
		db_exec(db, "PRAGMA synchronous = FULL");
	return err;
}

int db_commit(struct db *db)
{
	LAG(LAG_DISK);
	int err = db_exec(db, "COMMIT");

	if (err)
		db_rollback(db);
	else
		db_exec(db, "PRAGMA synchronous = FULL");
	return err;
}

/*
 * SQLite makes this file with the first write and keeps it until it closes;
 * its name is on the disk since the first commit that was durable. It has no
 * locks on it, so closing it here takes none away (fcntl(2)).
 */
int db_log_fd(struct db *db)
{
	if (db->log_fd < 0)
		db->log_fd = open(db->log_path, O_RDONLY | O_CLOEXEC);
	return db->log_fd < 0 ? -errno : db->log_fd;
}

void db_rollback(struct db *db)
{
	/* Some failures have rolled back by themselves. */
	if (!sqlite3_get_autocommit(db->h))
		db_exec(db, "ROLLBACK");
	db_exec(db, "PRAGMA synchronous = FULL");
}

static sqlite3_stmt *stmt_start(struct db *db, enum db_stmt which)
{
	sqlite3_stmt *stmt = db->stmt[which];

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return stmt;
}

/* Text lives as long as the statement's run: all are run at once. */
static void stmt_text(sqlite3_stmt *stmt, int at, const char *text)
{
	sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static int stmt_run(struct db *db, sqlite3_stmt *stmt)
{
	int err = db_result(db, sqlite3_step(stmt));

	sqlite3_reset(stmt);
	return err;
}

/* Rows of key, value, revision. */
static int stmt_rows(struct db *db, sqlite3_stmt *stmt, struct store_batch *ret)
{
	int rc, err;

	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		store_batch_put(ret, (const char *)sqlite3_column_text(stmt, 0),
				(const char *)sqlite3_column_text(stmt, 1),
				sqlite3_column_int64(stmt, 2));
	err = db_result(db, rc);
	sqlite3_reset(stmt);
	return err;
}

int db_kv_put(struct db *db, const char *key, const char *value, int64_t rev)
{
	sqlite3_stmt *stmt = stmt_start(db, DB_KV_PUT);

	stmt_text(stmt, 1, key);
	stmt_text(stmt, 2, value);
	sqlite3_bind_int64(stmt, 3, rev);
	return stmt_run(db, stmt);
}

int db_kv_del(struct db *db, const char *key, bool *ret)
{
	sqlite3_stmt *stmt = stmt_start(db, DB_KV_DEL);
	int err;

	stmt_text(stmt, 1, key);
	err = stmt_run(db, stmt);
	if (!err)
		*ret = sqlite3_changes(db->h) > 0;
	return err;
}

int db_kv_clear(struct db *db)
{
	/* With a condition SQLite writes nothing where nothing is. */
	return db_exec(db, "DELETE FROM kv WHERE true");
}

int db_kv_rev(struct db *db, const char *key, int64_t *ret)
{
	sqlite3_stmt *stmt = stmt_start(db, DB_KV_REV);
	int rc, err;

	stmt_text(stmt, 1, key);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	else if (rc == SQLITE_DONE)
		*ret = 0;
	err = db_result(db, rc);
	sqlite3_reset(stmt);
	return err;
}

int db_kv_page(struct db *db, const char *after, size_t max,
	       struct store_batch *ret)
{
	sqlite3_stmt *stmt = stmt_start(db, DB_KV_PAGE);

	stmt_text(stmt, 1, after);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)max);
	return stmt_rows(db, stmt, ret);
}

int db_kv_revs(struct db *db, const char *after, const char *last,
	       struct store_batch *ret)
{
	sqlite3_stmt *stmt = stmt_start(db, DB_KV_REVS);

	stmt_text(stmt, 1, after);
	stmt_text(stmt, 2, last);
	return stmt_rows(db, stmt, ret);
}

int db_meta_get(struct db *db, const char *name, char **ret)
{
	sqlite3_stmt *stmt = stmt_start(db, DB_META_GET);
	char *value = NULL;
	int rc, err;

	stmt_text(stmt, 1, name);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		value = xstrdup((const char *)sqlite3_column_text(stmt, 0));
	err = db_result(db, rc);
	sqlite3_reset(stmt);
	if (!err)
		*ret = value;
	return err;
}

int db_meta_get_int(struct db *db, const char *name, int64_t *ret)
{
	AUTO(str_freep) char *value = NULL;
	int err = db_meta_get(db, name, &value);

	if (!err)
		*ret = value ? strtoll(value, NULL, 10) : 0;
	return err;
}

int db_meta_put(struct db *db, const char *name, const char *value)
{
	sqlite3_stmt *stmt = stmt_start(db, DB_META_PUT);

	stmt_text(stmt, 1, name);
	stmt_text(stmt, 2, value);
	return stmt_run(db, stmt);
}

int db_meta_put_int(struct db *db, const char *name, int64_t value)
{
	AUTO(str_freep) char *text = xasprintf("%lld", (long long)value);

	return db_meta_put(db, name, text);
}

int db_journal_put(struct db *db, const char *key, const char *value)
{
	LAG(LAG_DISK);
	sqlite3_stmt *stmt = stmt_start(db, DB_JOURNAL_PUT);
	int err = db_mend(db);

	if (err)
		return err;
	stmt_text(stmt, 1, key);
	stmt_text(stmt, 2, value);
	return stmt_run(db, stmt);
}

int db_journal_del(struct db *db, const char *key)
{
	LAG(LAG_DISK);
	sqlite3_stmt *stmt = stmt_start(db, DB_JOURNAL_DEL);
	int err = db_mend(db);

	if (err)
		return err;
	stmt_text(stmt, 1, key);
	return stmt_run(db, stmt);
}

int db_journal_page(struct db *db, const char *prefix, const char *after,
		    size_t max, struct store_batch *ret)
{
	sqlite3_stmt *stmt = stmt_start(db, DB_JOURNAL_PAGE);

	stmt_text(stmt, 1, after);
	stmt_text(stmt, 2, prefix);
	sqlite3_bind_int64(stmt, 3, (sqlite3_int64)max);
	return stmt_rows(db, stmt, ret);
}
