/* SPDX-License-Identifier: Apache-2.0 */
/* An etcd that is away, hangs, is full or behind a cut cable; the mirror. */
#include <sys/resource.h>
#include <time.h>

#include "etcd_store.h"

static void etcd_compact(struct fixture *f, int64_t rev)
{
	free(etcd_ask(f, "/v3/kv/compaction",
		      xasprintf("{\"revision\":\"%lld\"}", (long long)rev)));
}

static void test_etcd_restarts(void **state)
{
	struct fixture *f = *state;
	struct store_status status;
	uint32_t synced;

	open_both(f);
	assert_int_equal(node_put(&f->a, "k", "before").err, 0);
	synced = f->a.synced;
	etcd_end(f);
	wait_for(f->loop, node_state(&f->a) == STORE_MIRROR, 3000);
	wait_for(f->loop,
		 strstr(store_status(f->a.store).error, "connection refused"),
		 3000);
	status = store_status(f->a.store);
	assert_string_equal(status.where, f->url);
	assert_int_equal(node_put(&f->a, "k", "away").err, -EHOSTDOWN);
	wait_while(f->loop, node_is(&f->a, "k", "before"), 300);
	assert_true(store_status(f->a.store).age_ms >= 300);
	assert_int_equal(f->a.gone, 0);

	etcd_start(f);
	wait_for(f->loop, f->a.synced > synced, UP_MS);
	assert_string_equal(store_status(f->a.store).error, "");
	assert_int_equal(store_status(f->a.store).age_ms, 0);
	assert_int_equal(node_put(&f->a, "k", "after").err, 0);
	wait_for(f->loop, node_is(&f->b, "k", "after"), UP_MS);
	assert_int_equal(f->a.gone + f->b.gone, 0);
}

/* A process that is stopped keeps its connections open and says nothing. */
static void test_etcd_hangs(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn;
	struct node_done done;

	open_both(f);
	kill(f->etcd, SIGSTOP);
	txn = store_txn_new();
	store_txn_put(txn, "k", "into the void");
	node_commit(&f->a, txn, &done);
	wait_for(f->loop, done.is_done, 6000);
	assert_int_equal(done.err, -ETIMEDOUT);
	wait_for(f->loop, node_state(&f->a) == STORE_MIRROR, 6000);
	assert_int_equal(node_put(&f->a, "k", "away").err, -EHOSTDOWN);
	assert_non_null(strstr(store_status(f->a.store).error, "no answer"));

	kill(f->etcd, SIGCONT);
	wait_up(f, &f->a);
	wait_up(f, &f->b);
	assert_int_equal(node_put(&f->a, "k", "back").err, 0);
	wait_for(f->loop, node_is(&f->b, "k", "back"), 5000);
}

/*
 * The watch's cable alone freezes: the far end is well, other connections
 * work, and yet the near end must find out.
 */
static void test_watch_freezes(void **state)
{
	struct fixture *f = *state;

	open_at(f, &f->a, "a.db", f->proxy_url, false);
	open_at(f, &f->b, "b.db", f->url, false);
	wait_up(f, &f->a);
	wait_up(f, &f->b);
	proxy_freeze(&f->proxy);
	assert_int_equal(node_put(&f->b, "k", "unseen").err, 0);
	assert_null(node_find(&f->a, "k"));
	wait_for(f->loop, node_is(&f->a, "k", "unseen"), 15000);
	wait_up(f, &f->a);
}

/*
 * All that was connected freezes, and there were many connections: they are
 * not tried one after the other.
 */
static void test_all_freezes(void **state)
{
	struct fixture *f = *state;
	struct node_done done[8];

	open_at(f, &f->a, "a.db", f->proxy_url, false);
	wait_up(f, &f->a);
	for (size_t i = 0; i < ARRAY_LEN(done); i++) {
		struct store_txn *txn = store_txn_new();

		store_txn_put(txn, i % 2 ? "k" : "l", "v");
		node_commit(&f->a, txn, &done[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(done); i++)
		wait_for(f->loop, done[i].is_done && !done[i].err, 3000);
	/* Until there are connections that are kept. */
	wait_while(f->loop, node_state(&f->a) == STORE_UP, 4500);
	proxy_freeze(&f->proxy);
	etcd_put(f, PREFIX, "k", "unseen");
	wait_for(f->loop, node_is(&f->a, "k", "unseen"), 15000);
	wait_up(f, &f->a);
	assert_int_equal(node_put(&f->a, "k", "again").err, 0);
}

static void test_compacted_while_cut_off(void **state)
{
	struct fixture *f = *state;
	int64_t rev;

	open_at(f, &f->a, "a.db", f->proxy_url, false);
	open_at(f, &f->b, "b.db", f->url, false);
	wait_up(f, &f->a);
	wait_up(f, &f->b);
	assert_int_equal(node_put(&f->b, "gone", "1").err, 0);
	assert_int_equal(node_put(&f->b, "kept", "1").err, 0);
	assert_int_equal(node_put(&f->b, "changed", "1").err, 0);
	wait_for(f->loop, node_is(&f->a, "changed", "1"), 3000);

	proxy_cut(&f->proxy);
	wait_for(f->loop, node_state(&f->a) == STORE_MIRROR, 3000);
	f->a.told = 0;
	assert_int_equal(node_del(&f->b, "gone").err, 0);
	assert_int_equal(node_put(&f->b, "changed", "2").err, 0);
	rev = node_put(&f->b, "new", "1").rev;
	etcd_compact(f, rev);
	assert_int_equal(f->a.told, 0);

	assert_int_equal(proxy_open(&f->proxy), 0);
	wait_for(f->loop, node_is(&f->a, "new", "1"), UP_MS);
	wait_up(f, &f->a);
	assert_null(node_find(&f->a, "gone"));
	assert_true(node_is(&f->a, "changed", "2"));
	/* The difference, and nothing else. */
	assert_int_equal(f->a.told, 3);
	assert_int_equal(f->a.gone, 1);
	assert_int_equal(store_status(f->a.store).rev, rev);
}

static void test_mirror_without_etcd(void **state)
{
	struct fixture *f = *state;
	struct store_status status;
	int64_t rev;

	open_both(f);
	rev = node_put(&f->a, "k", "v").rev;
	node_close(&f->a);
	etcd_end(f);
	open_at(f, &f->a, "a.db", f->url, false);
	wait_for(f->loop, node_state(&f->a) == STORE_MIRROR, 3000);
	wait_for(f->loop, node_is(&f->a, "k", "v"), 3000);
	status = store_status(f->a.store);
	assert_int_equal(status.rev, rev);
	assert_true(status.is_etcd);
	assert_false(status.has_lease);
	assert_int_equal(f->a.synced, 0);
	assert_int_equal(f->a.leases, 0);
	assert_int_equal(store_journal_put(f->a.store, "pods/x", "1"), 0);

	etcd_start(f);
	wait_up(f, &f->a);
	/* The mirror had it all: nothing was news. */
	assert_int_equal(f->a.told, 2);
}

static void test_next_endpoint_is_tried(void **state)
{
	struct fixture *f = *state;
	AUTO(str_freep) char *path = fixture_path(f, "a.db");
	AUTO(str_freep)
	char *dead = xasprintf("http://127.0.0.1:%u", free_port());
	const char *endpoints[] = { dead, dead, f->url };
	struct store_config config = {
		.path = path,
		.endpoints = endpoints,
		.endpoints_len = ARRAY_LEN(endpoints),
		.prefix = PREFIX "/",
		.lease_ttl_s = LEASE_TTL_S,
	};

	assert_int_equal(node_open(&f->a, f->loop, &config), 0);
	wait_up(f, &f->a);
	assert_string_equal(store_status(f->a.store).where, f->url);
	/* The prefix's slash made no difference. */
	open_at(f, &f->b, "b.db", f->url, false);
	wait_up(f, &f->b);
	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
	wait_for(f->loop, node_is(&f->b, "k", "v"), 2000);
}

static void test_etcd_is_full(void **state)
{
	struct fixture *f = *state;
	AUTO(str_freep) char *big = xzalloc(1 << 20);
	int err = 0;

	etcd_end(f);
	f->quota = "4000000";
	etcd_start(f);
	open_both(f);
	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
	memset(big, 'x', (1 << 20) - 1);
	for (int i = 0; i < 20 && !err; i++)
		err = node_put(&f->a, "big", big).err;
	assert_int_equal(err, -ENOSPC);
	/* A moment later its alarm refuses small ones too. */
	wait_for(f->loop, node_put(&f->b, "small", "v").err == -ENOSPC, 5000);
	/* What can be read is read. */
	wait_while(f->loop, node_state(&f->a) == STORE_UP, 500);
	assert_true(node_is(&f->b, "k", "v"));
}

static void file_limit(rlim_t size)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Without a mirror nothing is applied: last good state, and why. */
static void test_mirror_cannot_be_written(void **state)
{
	struct fixture *f = *state;

	open_both(f);
	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
	wait_for(f->loop, node_is(&f->b, "k", "v"), 2000);
	file_limit(1);
	etcd_put(f, PREFIX, "k", "w");
	wait_for(f->loop, node_state(&f->a) == STORE_MIRROR, 3000);
	file_limit(RLIM_INFINITY);
	assert_true(node_is(&f->a, "k", "v"));
	assert_non_null(strstr(store_status(f->a.store).error, "cannot write"));
	wait_for(f->loop, node_is(&f->a, "k", "w"), UP_MS);
	wait_up(f, &f->a);
	assert_false(f->a.is_disordered);
}

/* Away costs little: attempts come with growing waits. */
static void test_absence_does_not_spin(void **state)
{
	struct fixture *f = *state;
	struct timespec before, after;
	int64_t used;

	open_both(f);
	etcd_end(f);
	wait_for(f->loop, node_state(&f->a) == STORE_MIRROR, 3000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	wait_while(f->loop, node_state(&f->a) == STORE_MIRROR, 3000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	used = (after.tv_sec - before.tv_sec) * 1000 +
	       (after.tv_nsec - before.tv_nsec) / 1000000;
	/* A tenth of one CPU, for two stores and this loop's own steps. */
	assert_true(used < 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_etcd_restarts),
		TEST(test_etcd_hangs),
		TEST(test_watch_freezes),
		TEST(test_all_freezes),
		TEST(test_compacted_while_cut_off),
		TEST(test_mirror_without_etcd),
		TEST(test_next_endpoint_is_tried),
		TEST(test_etcd_is_full),
		TEST(test_mirror_cannot_be_written),
		TEST(test_absence_does_not_spin),
	};

	etcd_ready();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
