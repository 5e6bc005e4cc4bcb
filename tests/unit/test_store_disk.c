/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commit is told when the disk has it, and nobody waits for the disk but
 * those who asked for it.
 */
#include "store_node.h"

#include <errno.h>
#include <pthread.h>

/* The disk: it takes nothing while it is held, and then says this. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_held;
static int answer;
static int syncs;

static void disk(bool held, int err)
{
	pthread_mutex_lock(&lock);
	is_held = held;
	answer = err;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static int disk_syncs(void)
{
	int ret;

	pthread_mutex_lock(&lock);
	ret = syncs;
	pthread_mutex_unlock(&lock);
	return ret;
}

/* In the place of the library's, for SQLite too. */
int fdatasync(int fd)
{
	int err;

	(void)fd;
	pthread_mutex_lock(&lock);
	syncs++;
	while (is_held)
		pthread_cond_wait(&changed, &lock);
	err = answer;
	pthread_mutex_unlock(&lock);
	errno = err;
	return err ? -1 : 0;
}

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
	disk(false, 0);
	*state = f;
	if (node_open(&f->a, f->loop, &f->config))
		return -1;
	wait_for(f->loop, f->a.synced, 2000);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	disk(false, 0);
	if (f->a.store)
		node_close(&f->a);
	test_dir_remove(f->dir);
	free(f->path);
	ev_loop_destroy(f->loop);
	free(f);
	return 0;
}

static void put(struct fixture *f, const char *key, struct node_done *done)
{
	struct store_txn *txn = store_txn_new();

	store_txn_put(txn, key, "v");
	node_commit(&f->a, txn, done);
}

static void test_commit_waits_for_the_disk(void **state)
{
	struct fixture *f = *state;
	struct node_done done;

	disk(true, 0);
	put(f, "k", &done);
	wait_while(f->loop, !done.is_done && !node_find(&f->a, "k"), 50);
	/* The loop goes on, and so does the journal. */
	assert_int_equal(store_journal_note(f->a.store, "pods/a", "1"), 0);
	disk(false, 0);
	wait_for(f->loop, done.is_done, 2000);
	assert_int_equal(done.err, 0);
	assert_true(node_is(&f->a, "k", "v"));
}

static void test_what_comes_meanwhile_is_one_sync(void **state)
{
	struct fixture *f = *state;
	struct node_done first, done[20];
	char key[16];
	int before;

	disk(true, 0);
	before = disk_syncs();
	put(f, "first", &first);
	wait_for(f->loop, disk_syncs() == before + 1, 2000);
	for (size_t i = 0; i < ARRAY_LEN(done); i++) {
		snprintf(key, sizeof(key), "k%zu", i);
		put(f, key, &done[i]);
	}
	wait_while(f->loop, !first.is_done && disk_syncs() == before + 1, 50);
	disk(false, 0);
	wait_for(f->loop, done[ARRAY_LEN(done) - 1].is_done, 2000);
	assert_int_equal(disk_syncs(), before + 2);
	assert_int_equal(first.rev + (int64_t)ARRAY_LEN(done),
			 done[ARRAY_LEN(done) - 1].rev);
	assert_false(f->a.is_disordered);
}

static void test_disk_refuses(void **state)
{
	struct fixture *f = *state;
	struct node_done done;

	disk(false, EIO);
	put(f, "k", &done);
	wait_for(f->loop, done.is_done, 2000);
	/* It may have happened, and for who looks now it has. */
	assert_int_equal(done.err, -ETIMEDOUT);
	assert_true(node_is(&f->a, "k", "v"));
	disk(false, 0);
	put(f, "l", &done);
	wait_for(f->loop, done.is_done, 2000);
	assert_int_equal(done.err, 0);
}

static void test_what_lost_by_itself_did_not_happen(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = store_txn_new();
	struct node_done first, lost;

	disk(false, EIO);
	put(f, "k", &first);
	store_txn_is(txn, "k", 0);
	store_txn_put(txn, "k", "w");
	node_commit(&f->a, txn, &lost);
	wait_for(f->loop, lost.is_done, 2000);
	assert_int_equal(first.err, -ETIMEDOUT);
	assert_int_equal(lost.err, -EAGAIN);
	assert_int_equal(lost.rev, 0);
}

/* The content of the database's own file, without the log beside it. */
static bool is_in_file(struct fixture *f, const char *key)
{
	AUTO(str_freep) char *copy = xasprintf("%s/copy.db", f->dir);
	AUTO(str_freep) char *cmd = xasprintf("cp '%s' '%s'", f->path, copy);
	struct store_config config = f->config;
	struct node b;
	bool ret;

	assert_int_equal(system(cmd), 0);
	config.path = copy;
	assert_int_equal(node_open(&b, f->loop, &config), 0);
	wait_for(f->loop, b.synced, 2000);
	ret = node_is(&b, key, "v");
	node_close(&b);
	return ret;
}

/* The log may have a hole: nothing that is answered may be behind it. */
static void test_nothing_is_answered_behind_a_hole(void **state)
{
	struct fixture *f = *state;
	struct node_done done;

	disk(false, EIO);
	put(f, "k", &done);
	wait_for(f->loop, done.is_done, 2000);
	assert_int_equal(done.err, -ETIMEDOUT);
	put(f, "l", &done);
	wait_for(f->loop, done.is_done, 2000);
	assert_int_equal(done.err, -EIO);
	assert_int_equal(store_journal_put(f->a.store, "j", "1"), -EIO);
	assert_int_equal(store_journal_note(f->a.store, "j", "1"), -EIO);
	assert_null(node_find(&f->a, "l"));
	assert_int_equal(store_status(f->a.store).rev, 1);

	disk(false, 0);
	assert_false(is_in_file(f, "k"));
	put(f, "l", &done);
	wait_for(f->loop, done.is_done, 2000);
	assert_int_equal(done.err, 0);
	assert_int_equal(done.rev, 2);
	assert_true(is_in_file(f, "k"));
	assert_false(is_in_file(f, "l"));
}

/* What a durable write's own sync lost may be others' as well. */
static void test_journal_meets_the_hole(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
	assert_false(is_in_file(f, "k"));
	disk(false, EIO);
	assert_int_equal(store_journal_put(f->a.store, "j", "1"), -EIO);
	disk(false, 0);
	assert_int_equal(store_journal_put(f->a.store, "j", "1"), 0);
	assert_true(is_in_file(f, "k"));
}

static void test_hung_disk_is_told(void **state)
{
	struct fixture *f = *state;
	struct node_done done;

	assert_string_equal(store_status(f->a.store).error, "");
	disk(true, 0);
	put(f, "k", &done);
	wait_while(f->loop, !store_status(f->a.store).error[0], 1000);
	wait_for(f->loop, store_status(f->a.store).error[0], 8000);
	assert_false(done.is_done);
	disk(false, 0);
	wait_for(f->loop, done.is_done, 2000);
	assert_int_equal(done.err, 0);
	assert_string_equal(store_status(f->a.store).error, "");
}

static void test_close_waits_and_tells_nobody(void **state)
{
	struct fixture *f = *state;
	struct node_done done, next;
	int before = disk_syncs();

	disk(true, 0);
	put(f, "k", &done);
	wait_for(f->loop, disk_syncs() == before + 1, 2000);
	put(f, "next", &next);
	disk(false, 0);
	node_close(&f->a);
	ev_run(f->loop, EVRUN_NOWAIT);
	assert_false(done.is_done);
	assert_false(next.is_done);

	assert_int_equal(node_open(&f->a, f->loop, &f->config), 0);
	wait_for(f->loop, f->a.synced, 2000);
	assert_true(node_is(&f->a, "k", "v"));
	assert_null(node_find(&f->a, "next"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_commit_waits_for_the_disk),
		TEST(test_what_comes_meanwhile_is_one_sync),
		TEST(test_disk_refuses),
		TEST(test_what_lost_by_itself_did_not_happen),
		TEST(test_nothing_is_answered_behind_a_hole),
		TEST(test_journal_meets_the_hole),
		TEST(test_hung_disk_is_told),
		TEST(test_close_waits_and_tells_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
