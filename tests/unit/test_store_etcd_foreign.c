/* SPDX-License-Identifier: Apache-2.0 */
/* An etcd that is not the one it was: nothing is deleted, somebody decides. */
#include "etcd_store.h"

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *fmt, ...)
{
	AUTO(str_freep) char *cmd = NULL;
	va_list args;

	va_start(args, fmt);
	assert_true(vasprintf(&cmd, fmt, args) > 0);
	va_end(args);
	assert_int_equal(system(cmd), 0);
}

static void etcd_delete_all(struct fixture *f)
{
	free(etcd_ask(f, "/v3/kv/deleterange",
		      xstrdup("{\"key\":\"AA==\",\"range_end\":\"AA==\"}")));
}

static void expect_foreign(struct fixture *f, struct node *node,
			   const char *words)
{
	wait_for(f->loop, node_state(node) == STORE_FOREIGN, UP_MS);
	assert_non_null(strstr(store_status(node->store).error, words));
	assert_int_equal(node_put(node, "k", "no").err, -EHOSTDOWN);
	wait_while(f->loop, node_is(node, "k", "v"), 700);
	assert_int_equal(node->gone, 0);
	assert_int_equal(node_state(node), STORE_FOREIGN);
}

static void test_wiped_store_is_foreign(void **state)
{
	struct fixture *f = *state;

	open_both(f);
	node_close(&f->b);
	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
	etcd_end(f);
	shell("rm -rf '%s/etcd'", f->dir);
	etcd_start(f);
	expect_foreign(f, &f->a, "it is empty");

	/* Somebody without a past begins a new cluster in it. */
	open_at(f, &f->b, "new.db", f->url, false);
	wait_up(f, &f->b);
	wait_for(f->loop,
		 strstr(store_status(f->a.store).error, "is of cluster"), 5000);
	expect_foreign(f, &f->a, "an operator must decide");

	/* Nor does a restart change the mind; the operator's word does. */
	node_close(&f->a);
	open_at(f, &f->a, "a.db", f->url, false);
	wait_for(f->loop, node_is(&f->a, "k", "v"), 3000);
	expect_foreign(f, &f->a, "is of cluster");
	node_close(&f->a);
	open_at(f, &f->a, "a.db", f->url, true);
	wait_up(f, &f->a);
	assert_null(node_find(&f->a, "k"));
	assert_string_equal(node_value(&f->a, "c/cluster"),
			    node_value(&f->b, "c/cluster"));
	node_close(&f->a);
	open_at(f, &f->a, "a.db", f->url, false);
	wait_up(f, &f->a);
}

static void test_rolled_back_store_is_foreign(void **state)
{
	struct fixture *f = *state;

	open_both(f);
	node_close(&f->b);
	etcd_end(f);
	shell("cp -r '%s/etcd' '%s/yesterday'", f->dir, f->dir);
	etcd_start(f);
	f->a.synced = 0;
	wait_up(f, &f->a);
	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
	etcd_end(f);
	shell("rm -rf '%s/etcd' && mv '%s/yesterday' '%s/etcd'", f->dir, f->dir,
	      f->dir);
	etcd_start(f);
	expect_foreign(f, &f->a, "rolled back");
}

static void test_emptied_store_is_foreign(void **state)
{
	struct fixture *f = *state;

	open_both(f);
	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
	wait_for(f->loop, node_is(&f->b, "k", "v"), 3000);
	etcd_delete_all(f);
	expect_foreign(f, &f->a, "empt");
	expect_foreign(f, &f->b, "empt");
}

/* What one host knew alone is not thrown away for a store that is empty. */
static void test_single_hosts_file_is_foreign(void **state)
{
	struct fixture *f = *state;
	AUTO(str_freep) char *path = fixture_path(f, "a.db");
	struct store_config alone = { .path = path, .prefix = PREFIX };

	assert_int_equal(node_open(&f->a, f->loop, &alone), 0);
	assert_int_equal(node_put(&f->a, "k", "v").err, 0);
	node_close(&f->a);
	open_at(f, &f->a, "a.db", f->url, false);
	wait_for(f->loop, node_is(&f->a, "k", "v"), 3000);
	expect_foreign(f, &f->a, "single host");
	node_close(&f->a);
	open_at(f, &f->a, "a.db", f->url, true);
	wait_up(f, &f->a);
	assert_null(node_find(&f->a, "k"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wiped_store_is_foreign),
		TEST(test_rolled_back_store_is_foreign),
		TEST(test_emptied_store_is_foreign),
		TEST(test_single_hosts_file_is_foreign),
	};

	etcd_ready();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
