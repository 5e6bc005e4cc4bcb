/* SPDX-License-Identifier: Apache-2.0 */
/* The store on etcd: commits, watches, snapshots and leases. */
#include "etcd_store.h"

static void test_watch_shows_others_commits(void **state)
{
	struct fixture *f = *state;
	struct node_done done;

	open_both(f);
	assert_non_null(node_value(&f->a, "c/cluster"));
	assert_string_equal(node_value(&f->a, "c/cluster"),
			    node_value(&f->b, "c/cluster"));

	done = node_put(&f->a, "c/nets/blue", "{\"vni\":1}");
	assert_int_equal(done.err, 0);
	/* Its own write is seen before done(). */
	assert_int_equal(node_rev(&f->a, "c/nets/blue"), done.rev);
	wait_for(f->loop, node_is(&f->b, "c/nets/blue", "{\"vni\":1}"), 2000);
	assert_int_equal(node_rev(&f->b, "c/nets/blue"), done.rev);

	assert_int_equal(node_del(&f->b, "c/nets/blue").err, 0);
	wait_for(f->loop, !node_find(&f->a, "c/nets/blue"), 2000);
	assert_int_equal(f->a.gone, 1);
}

static void test_watch_passes_over_strange_keys(void **state)
{
	struct fixture *f = *state;
	AUTO(str_freep) char *big = xzalloc(1 << 20);

	open_both(f);
	etcd_put(f, "/other", "c/x", "not ours");
	etcd_put(f, PREFIX "0", "c/x", "not ours");
	etcd_put(f, PREFIX, "a key", "with a space");
	etcd_put(f, PREFIX, "c/\001", "unprintable");
	etcd_put(f, PREFIX, "c/garbage", "\xff\xfe not JSON");
	memset(big, 'x', (1 << 20) - 1);
	etcd_put(f, PREFIX, "c/big", big);
	etcd_put(f, PREFIX, "c/last", "");
	wait_for(f->loop, node_is(&f->a, "c/last", ""), 3000);
	assert_int_equal(node_count(&f->a), 4);
	assert_true(node_is(&f->a, "c/garbage", "\xff\xfe not JSON"));
	assert_true(node_is(&f->a, "c/big", big));

	/* The snapshot is of the same mind. */
	node_close(&f->b);
	open_at(f, &f->b, "c.db", f->url, false);
	wait_up(f, &f->b);
	assert_int_equal(node_count(&f->b), 4);
}

static void test_swap_race_has_one_winner(void **state)
{
	struct fixture *f = *state;

	open_both(f);
	for (int i = 0; i < 20; i++) {
		struct node *nodes[2] = { &f->a, &f->b };
		int64_t rev = node_rev(&f->a, "k");
		struct node_done done[2];
		struct store_txn *txn;
		int winner;

		wait_for(f->loop, node_rev(&f->b, "k") == rev, 2000);
		for (int j = 0; j < 2; j++) {
			txn = store_txn_new();
			store_txn_is(txn, "k", rev);
			store_txn_put(txn, "k", j ? "b" : "a");
			node_commit(nodes[j], txn, &done[j]);
		}
		wait_for(f->loop, done[0].is_done && done[1].is_done, 5000);
		winner = done[0].err ? 1 : 0;
		assert_int_equal(done[winner].err, 0);
		assert_int_equal(done[!winner].err, -EAGAIN);
		/* The loser knows by then what it lost to. */
		assert_int_equal(node_rev(nodes[!winner], "k"),
				 done[winner].rev);
		wait_for(f->loop, node_rev(&f->a, "k") == node_rev(&f->b, "k"),
			 2000);
	}
}

static void test_commit_ends(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn;

	open_both(f);
	/* Nothing to write, nothing the watch would show. */
	assert_int_equal(node_del(&f->a, "nothing").err, 0);
	/* A compared key that is gone: no revision to wait for. */
	assert_int_equal(node_swap(&f->a, "gone", 7, "x").err, -EAGAIN);
	/* As many keys as may be. */
	txn = store_txn_new();
	for (int i = 0; i < 128; i++) {
		char key[32];

		snprintf(key, sizeof(key), "many/%d", i);
		store_txn_is(txn, key, 0);
		store_txn_put(txn, key, "v");
	}
	assert_int_equal(node_run(&f->a, txn).err, 0);
	assert_true(node_is(&f->a, "many/127", "v"));
	/* etcd takes 1.5 MiB; what is more is refused, not repeated. */
	txn = store_txn_new();
	{
		AUTO(str_freep) char *big = xzalloc(2 << 20);

		memset(big, 'x', (2 << 20) - 1);
		store_txn_put(txn, "big", big);
	}
	assert_int_equal(node_run(&f->a, txn).err, -E2BIG);
	assert_int_equal(node_state(&f->a), STORE_UP);
}

static void test_snapshot_in_pages_and_its_difference(void **state)
{
	struct fixture *f = *state;

	open_both(f);
	for (int i = 0; i < 2500; i += 125) {
		struct store_txn *txn = store_txn_new();

		for (int j = i; j < i + 125; j++) {
			char key[16];

			snprintf(key, sizeof(key), "k/%05d", j);
			store_txn_put(txn, key, key);
		}
		assert_int_equal(node_run(&f->b, txn).err, 0);
	}
	wait_for(f->loop, node_count(&f->a) == 2501, 5000);
	node_close(&f->a);
	assert_int_equal(node_del(&f->b, "k/00000").err, 0);
	assert_int_equal(node_del(&f->b, "k/01000").err, 0);
	assert_int_equal(node_del(&f->b, "k/02499").err, 0);
	assert_int_equal(node_put(&f->b, "k/01001", "new").err, 0);

	/* One with a mirror, one without. */
	open_at(f, &f->a, "a.db", f->url, false);
	wait_up(f, &f->a);
	assert_int_equal(node_count(&f->a), 2498);
	assert_int_equal(f->a.gone, 3);
	assert_int_equal(f->a.told, 2501 + 4);
	assert_true(node_is(&f->a, "k/01001", "new"));
	node_close(&f->a);
	open_at(f, &f->a, "fresh.db", f->url, false);
	wait_up(f, &f->a);
	assert_int_equal(node_count(&f->a), 2498);
	assert_int_equal(f->a.gone, 0);
}

static struct node_done put_leased(struct node *node, const char *key)
{
	struct store_txn *txn = store_txn_new();

	store_txn_put_leased(txn, key, "here");
	return node_run(node, txn);
}

static void test_lease_ends_with_its_node(void **state)
{
	struct fixture *f = *state;
	int64_t start;

	open_both(f);
	wait_for(f->loop, f->a.leases == 1, 5000);
	assert_true(store_status(f->a.store).has_lease);
	assert_int_equal(put_leased(&f->a, "c/alive/a").err, 0);
	wait_for(f->loop, node_is(&f->b, "c/alive/a", "here"), 2000);
	/* Renewed: it outlives its time. */
	wait_while(f->loop, node_find(&f->b, "c/alive/a"), LEASE_TTL_S * 2500);
	assert_int_equal(f->a.leases, 1);

	node_close(&f->a);
	start = mono_ms();
	wait_for(f->loop, !node_find(&f->b, "c/alive/a"),
		 LEASE_TTL_S * 1000 + 4000);
	assert_true(mono_ms() - start > 500);
}

/* Finds a lease's id in {"leases":[{"ID":"..."}]} and ends it. */
static void etcd_revoke_all(struct fixture *f)
{
	AUTO(str_freep)
	char *reply = etcd_ask(f, "/v3/lease/leases", xstrdup("{}"));
	const char *at = reply;

	while ((at = strstr(at, "\"ID\":\""))) {
		at += strlen("\"ID\":\"");
		free(etcd_ask(f, "/v3/lease/revoke",
			      xasprintf("{\"ID\":\"%lld\"}",
					strtoll(at, NULL, 10))));
	}
}

static void test_lost_lease_is_replaced(void **state)
{
	struct fixture *f = *state;

	open_both(f);
	wait_for(f->loop, f->a.leases == 1, 5000);
	assert_int_equal(put_leased(&f->a, "c/alive/a").err, 0);
	etcd_revoke_all(f);
	wait_for(f->loop, !node_find(&f->a, "c/alive/a"), 2000);
	/* The commit finds out, or the renewal did: it succeeds either way. */
	assert_int_equal(put_leased(&f->a, "c/alive/a").err, 0);
	assert_int_equal(f->a.leases, 2);
	wait_for(f->loop, node_is(&f->b, "c/alive/a", "here"), 2000);
}

static void test_lease_after_long_absence(void **state)
{
	struct fixture *f = *state;

	open_at(f, &f->a, "a.db", f->proxy_url, false);
	open_at(f, &f->b, "b.db", f->url, false);
	wait_up(f, &f->a);
	wait_up(f, &f->b);
	wait_for(f->loop, f->a.leases == 1, 5000);
	assert_int_equal(put_leased(&f->a, "c/alive/a").err, 0);
	proxy_cut(&f->proxy);
	wait_for(f->loop, !store_status(f->a.store).has_lease,
		 LEASE_TTL_S * 1000 + 1000);
	wait_for(f->loop, !node_find(&f->b, "c/alive/a"),
		 LEASE_TTL_S * 1000 + 4000);
	assert_int_equal(proxy_open(&f->proxy), 0);
	wait_for(f->loop, f->a.leases == 2, UP_MS);
	assert_true(store_status(f->a.store).has_lease);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_watch_shows_others_commits),
		TEST(test_watch_passes_over_strange_keys),
		TEST(test_swap_race_has_one_winner),
		TEST(test_commit_ends),
		TEST(test_snapshot_in_pages_and_its_difference),
		TEST(test_lease_ends_with_its_node),
		TEST(test_lost_lease_is_replaced),
		TEST(test_lease_after_long_absence),
	};

	etcd_ready();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
