/* SPDX-License-Identifier: Apache-2.0 */
#include "store_node.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "sqlite.h"

struct fixture {
	struct ev_loop *loop;
	char *dir;
	char *path;
	struct store_config config;
	struct node a;
};

static int setup(void **state)
{
	struct fixture *f = xzalloc(sizeof(*f));

	f->loop = ev_loop_new(0);
	f->dir = test_dir();
	f->path = xasprintf("%s/store.db", f->dir);
	f->config.path = f->path;
	f->config.prefix = "/netd/v1";
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->a.store)
		node_close(&f->a);
	test_dir_remove(f->dir);
	free(f->path);
	ev_loop_destroy(f->loop);
	free(f);
	return 0;
}

static void open_a(struct fixture *f)
{
	assert_int_equal(node_open(&f->a, f->loop, &f->config), 0);
	wait_for(f->loop, f->a.synced, 2000);
}

static void test_commit_tells_changed_then_done(void **state)
{
	struct fixture *f = *state;
	struct node_done done;

	open_a(f);
	assert_int_equal(f->a.leases, 1);
	assert_int_equal(node_state(&f->a), STORE_UP);
	done = node_put(&f->a, "c/nets/blue", "{\"vni\":1}");
	assert_int_equal(done.err, 0);
	assert_int_equal(done.rev, 1);
	assert_int_equal(done.told, 1);
	assert_string_equal(node_value(&f->a, "c/nets/blue"), "{\"vni\":1}");
	assert_int_equal(node_rev(&f->a, "c/nets/blue"), 1);

	done = node_del(&f->a, "c/nets/blue");
	assert_int_equal(done.rev, 2);
	assert_null(node_find(&f->a, "c/nets/blue"));
	assert_int_equal(f->a.gone, 1);
}

static void test_commit_compares(void **state)
{
	struct fixture *f = *state;
	struct node_done done;
	struct store_txn *txn;

	open_a(f);
	assert_int_equal(node_swap(&f->a, "k", 5, "no").err, -EAGAIN);
	assert_null(node_find(&f->a, "k"));
	done = node_swap(&f->a, "k", 0, "one");
	assert_int_equal(done.err, 0);
	assert_int_equal(node_swap(&f->a, "k", 0, "again").err, -EAGAIN);
	assert_int_equal(node_swap(&f->a, "k", done.rev, "two").err, 0);
	assert_true(node_is(&f->a, "k", "two"));

	/* Whole or not at all. */
	txn = store_txn_new();
	store_txn_put(txn, "other", "x");
	store_txn_is(txn, "k", done.rev);
	assert_int_equal(node_run(&f->a, txn).err, -EAGAIN);
	assert_null(node_find(&f->a, "other"));
}

static void test_commits_of_one_turn_are_in_order(void **state)
{
	struct fixture *f = *state;
	struct node_done done[3];
	struct store_txn *txn;

	open_a(f);
	for (int i = 0; i < 3; i++) {
		char value[16];

		snprintf(value, sizeof(value), "%d", i);
		txn = store_txn_new();
		/* The second and third lose against the first. */
		if (i)
			store_txn_is(txn, "k", i == 1 ? 0 : 1);
		store_txn_put(txn, "k", value);
		node_commit(&f->a, txn, &done[i]);
	}
	wait_for(f->loop, done[2].is_done, 2000);
	assert_int_equal(done[0].err, 0);
	assert_int_equal(done[0].rev, 1);
	assert_int_equal(done[1].err, -EAGAIN);
	assert_int_equal(done[2].err, 0);
	assert_int_equal(done[2].rev, 2);
	assert_int_equal(done[0].told, 1);
	assert_int_equal(done[2].told, 2);
	assert_true(node_is(&f->a, "k", "2"));
	assert_false(f->a.is_disordered);
}

static void test_commit_too_large(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = store_txn_new();

	open_a(f);
	for (int i = 0; i < 129; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		store_txn_put(txn, key, "v");
	}
	assert_int_equal(node_run(&f->a, txn).err, -E2BIG);
	assert_int_equal(node_count(&f->a), 0);
}

static void test_cancel_still_happens(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = store_txn_new();
	struct node_done done;

	open_a(f);
	store_txn_put(txn, "k", "v");
	store_cancel(node_commit(&f->a, txn, &done));
	wait_for(f->loop, node_is(&f->a, "k", "v"), 2000);
	wait_while(f->loop, !done.is_done, 50);
}

static void test_txn_last_write_of_a_key_wins(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = store_txn_new();

	open_a(f);
	assert_true(store_txn_is_empty(txn));
	store_txn_put(txn, "a", "1");
	store_txn_del(txn, "a");
	store_txn_del(txn, "b");
	store_txn_put(txn, "b", "2");
	assert_false(store_txn_is_empty(txn));
	assert_int_equal(node_run(&f->a, txn).err, 0);
	assert_null(node_find(&f->a, "a"));
	assert_true(node_is(&f->a, "b", "2"));
}

static void test_delete_of_nothing_is_no_change(void **state)
{
	struct fixture *f = *state;
	struct node_done done;

	open_a(f);
	done = node_del(&f->a, "nothing");
	assert_int_equal(done.err, 0);
	assert_int_equal(done.rev, 0);
	assert_int_equal(f->a.told, 0);
}

static void test_replay_after_restart(void **state)
{
	struct fixture *f = *state;

	open_a(f);
	for (int i = 0; i < 2500; i += 125) {
		struct store_txn *txn = store_txn_new();

		for (int j = i; j < i + 125; j++) {
			char key[16];

			snprintf(key, sizeof(key), "k/%05d", j);
			store_txn_put(txn, key, key);
		}
		assert_int_equal(node_run(&f->a, txn).err, 0);
	}
	assert_int_equal(store_status(f->a.store).rev, 20);
	node_close(&f->a);

	open_a(f);
	assert_int_equal(node_count(&f->a), 2500);
	assert_true(node_is(&f->a, "k/02499", "k/02499"));
	assert_int_equal(node_rev(&f->a, "k/02499"), 20);
	/* The counter goes on where it was. */
	assert_int_equal(node_put(&f->a, "k", "v").rev, 21);
}

/* A commit that is asked for before the replay must not overtake it. */
static void test_commit_waits_for_replay(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = store_txn_new();
	struct node_done done;

	open_a(f);
	assert_int_equal(node_put(&f->a, "k", "old").err, 0);
	node_close(&f->a);

	assert_int_equal(node_open(&f->a, f->loop, &f->config), 0);
	assert_int_equal(node_state(&f->a), STORE_STARTING);
	store_txn_put(txn, "k", "new");
	node_commit(&f->a, txn, &done);
	wait_for(f->loop, done.is_done, 2000);
	assert_int_equal(done.err, 0);
	assert_int_equal(done.told, 2);
	assert_true(node_is(&f->a, "k", "new"));
}

static void count_entry(void *arg, const char *key, const char *value)
{
	char *seen = arg;

	strcat(seen, key);
	strcat(seen, "=");
	strcat(seen, value);
	strcat(seen, " ");
}

static void test_journal(void **state)
{
	struct fixture *f = *state;
	struct store *store;
	char seen[256] = "";

	open_a(f);
	store = f->a.store;
	assert_int_equal(store_journal_put(store, "pods/a", "1"), 0);
	assert_int_equal(store_journal_put(store, "pods/b", "2"), 0);
	assert_int_equal(store_journal_put(store, "pods/b", "3"), 0);
	assert_int_equal(store_journal_put(store, "pods_x", "no"), 0);
	assert_int_equal(store_journal_put(store, "rest/a", "4"), 0);
	assert_int_equal(store_journal_del(store, "pods/none"), 0);
	node_close(&f->a);

	open_a(f);
	store = f->a.store;
	assert_int_equal(store_journal_each(store, "pods/", count_entry, seen),
			 0);
	assert_string_equal(seen, "pods/a=1 pods/b=3 ");
	assert_int_equal(store_journal_del(store, "pods/a"), 0);
	seen[0] = 0;
	assert_int_equal(store_journal_each(store, "", count_entry, seen), 0);
	assert_string_equal(seen, "pods/b=3 pods_x=no rest/a=4 ");
	/* The journal is not content. */
	assert_int_equal(f->a.told, 0);
}

static void test_second_opener_is_busy(void **state)
{
	struct fixture *f = *state;
	struct node b;
	int status;
	pid_t pid;

	open_a(f);
	assert_int_equal(node_open(&b, f->loop, &f->config), -EBUSY);

	/* Another program, because locks within one are another matter. */
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "opener", f->path, (char *)NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EBUSY);
	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
}

static void kill_9_writer(struct fixture *f)
{
	struct node_done done;

	open_a(f);
	done = node_put(&f->a, "k", "v");
	if (!done.err)
		done.err = store_journal_put(f->a.store, "j", "v");
	kill(getpid(), done.err ? SIGABRT : SIGKILL);
}

static void test_what_is_done_survives_kill(void **state)
{
	struct fixture *f = *state;
	char seen[64] = "";
	int status;
	pid_t pid = fork();

	if (!pid)
		kill_9_writer(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

	open_a(f);
	assert_true(node_is(&f->a, "k", "v"));
	assert_int_equal(store_journal_each(f->a.store, "", count_entry, seen),
			 0);
	assert_string_equal(seen, "j=v ");
}

static void file_damage(const char *path, off_t at, size_t len)
{
	int fd = open(path, O_RDWR);
	char junk[4096];

	memset(junk, 0x5a, sizeof(junk));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, junk, len, at), (ssize_t)len);
	close(fd);
}

/* How a file is hurt, and that it is then refused. */
static void test_damaged_file(void **state)
{
	static const struct {
		off_t at;
		size_t len;
		off_t size;
	} cases[] = {
		{ 0, 16, -1 },	    /* not SQLite's header */
		{ 4096, 4096, -1 }, /* the first table's page */
		{ 0, 0, 0 },	    /* emptied */
		{ 0, 0, 100 },	    /* cut inside the header page */
		{ 0, 0, 3 * 4096 }, /* cut between pages */
	};
	struct fixture *f = *state;
	struct node b;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unlink(f->path);
		open_a(f);
		for (int j = 0; j < 300; j++) {
			char key[16];

			snprintf(key, sizeof(key), "k/%05d", j);
			assert_int_equal(
				store_journal_put(f->a.store, key,
						  "some text that needs room"),
				0);
		}
		node_close(&f->a);
		if (cases[i].len)
			file_damage(f->path, cases[i].at, cases[i].len);
		if (cases[i].size >= 0)
			assert_int_equal(truncate(f->path, cases[i].size), 0);
		assert_int_equal(node_open(&b, f->loop, &f->config), -EUCLEAN);
	}
}

/* How large files may get, for this process alone. */
static void file_limit(rlim_t size)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_disk_is_full(void **state)
{
	struct fixture *f = *state;
	struct node_done done;
	int err;

	open_a(f);
	assert_int_equal(node_put(&f->a, "k", "before").err, 0);
	file_limit(1);
	done = node_put(&f->a, "k", "lost");
	err = store_journal_put(f->a.store, "j", "lost");
	file_limit(RLIM_INFINITY);
	assert_true(done.err == -EIO || done.err == -ENOSPC);
	assert_true(err == -EIO || err == -ENOSPC);
	assert_true(node_is(&f->a, "k", "before"));
	assert_int_equal(store_status(f->a.store).rev, 1);

	/* With room again it goes on, and the file knows no more than we. */
	assert_int_equal(node_put(&f->a, "l", "after").rev, 2);
	node_close(&f->a);
	open_a(f);
	assert_true(node_is(&f->a, "k", "before"));
	assert_true(node_is(&f->a, "l", "after"));
}

static void test_file_mode_is_private(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	open_a(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_half_a_snapshot_is_nobodys_truth(void **state)
{
	struct fixture *f = *state;
	char seen[64] = "";
	struct db *db;

	/* As a mirror leaves it that ended within its first snapshot. */
	assert_int_equal(db_open(f->path, &db), 0);
	assert_int_equal(db_kv_put(db, "k", "half", 7), 0);
	assert_int_equal(db_journal_put(db, "j", "v"), 0);
	db_close(db);

	open_a(f);
	assert_int_equal(f->a.told, 0);
	assert_int_equal(store_journal_each(f->a.store, "", count_entry, seen),
			 0);
	assert_string_equal(seen, "j=v ");
	assert_int_equal(node_put(&f->a, "l", "v").rev, 1);
	node_close(&f->a);
	open_a(f);
	assert_int_equal(node_count(&f->a), 1);
	assert_true(node_is(&f->a, "l", "v"));
}

static void test_file_behind_a_link(void **state)
{
	struct fixture *f = *state;
	AUTO(str_freep) char *link = xasprintf("%s/link.db", f->dir);

	open_a(f);
	node_close(&f->a);
	assert_int_equal(symlink(f->path, link), 0);
	f->config.path = link;
	for (int64_t rev = 1; rev < 3; rev++) {
		struct node_done done;

		open_a(f);
		done = node_put(&f->a, "k", "v");
		assert_int_equal(done.err, 0);
		assert_int_equal(done.rev, rev);
		node_close(&f->a);
	}
}

static void test_no_such_folder(void **state)
{
	struct fixture *f = *state;
	struct node b;

	f->config.path = "/nonexistent/netd/store.db";
	assert_int_equal(node_open(&b, f->loop, &f->config), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* The second opener: its exit status is the error. */
static int opener(const char *path)
{
	struct store_config config = { .path = path, .prefix = "/netd/v1" };
	struct store_hooks hooks = { 0 };
	struct store *store;

	return -store_open(EV_DEFAULT, &config, &hooks, &store);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_commit_tells_changed_then_done),
		TEST(test_commit_compares),
		TEST(test_commits_of_one_turn_are_in_order),
		TEST(test_commit_too_large),
		TEST(test_cancel_still_happens),
		TEST(test_txn_last_write_of_a_key_wins),
		TEST(test_delete_of_nothing_is_no_change),
		TEST(test_replay_after_restart),
		TEST(test_commit_waits_for_replay),
		TEST(test_journal),
		TEST(test_second_opener_is_busy),
		TEST(test_what_is_done_survives_kill),
		TEST(test_damaged_file),
		TEST(test_disk_is_full),
		TEST(test_file_mode_is_private),
		TEST(test_half_a_snapshot_is_nobodys_truth),
		TEST(test_file_behind_a_link),
		TEST(test_no_such_folder),
	};

	if (argc > 1)
		return opener(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
