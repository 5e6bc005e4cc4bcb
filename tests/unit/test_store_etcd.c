/* SPDX-License-Identifier: Apache-2.0 */
/* The store against an etcd that each test starts, hurts and ends. */
#include "store_node.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "etcd_json.h"
#include "fetch.h"
#include "tcp_proxy.h"

#define PREFIX "/netd/v1"
#define LEASE_TTL_S 2
/* Until a store that is there is up, on a busy machine. */
#define UP_MS 15000

struct fixture {
	struct ev_loop *loop;
	char *dir;
	uint16_t port, peer_port;
	pid_t etcd;
	char *url, *proxy_url;
	const char *quota;
	struct proxy proxy;
	struct fetch *fetch;
	struct node a, b;
};

static char *fixture_path(struct fixture *f, const char *name)
{
	return xasprintf("%s/%s", f->dir, name);
}

static void etcd_start(struct fixture *f)
{
	AUTO(str_freep) char *data = fixture_path(f, "etcd");
	AUTO(str_freep)
	char *peer = xasprintf("http://127.0.0.1:%u", f->peer_port);
	AUTO(str_freep) char *cluster = xasprintf("default=%s", peer);
	AUTO(str_freep) char *log = fixture_path(f, "etcd.log");

	f->etcd = fork();
	assert_true(f->etcd >= 0);
	if (f->etcd)
		return;
	/* Not above the test: it goes when the test is killed. */
	dup2(open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
	dup2(2, 1);
	execlp("etcd", "etcd", "--data-dir", data, "--listen-client-urls",
	       f->url, "--advertise-client-urls", f->url, "--listen-peer-urls",
	       peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
	       cluster, "--heartbeat-interval", "50", "--election-timeout",
	       "500", "--quota-backend-bytes", f->quota, (char *)NULL);
	_exit(127);
}

static void etcd_end(struct fixture *f)
{
	if (!f->etcd)
		return;
	kill(f->etcd, SIGKILL);
	waitpid(f->etcd, NULL, 0);
	f->etcd = 0;
}

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

static int setup(void **state)
{
	struct fixture *f = xzalloc(sizeof(*f));

	f->loop = ev_loop_new(0);
	f->dir = test_dir();
	f->port = free_port();
	f->peer_port = free_port();
	f->url = xasprintf("http://127.0.0.1:%u", f->port);
	f->proxy.loop = f->loop;
	f->proxy.to_port = f->port;
	assert_int_equal(proxy_open(&f->proxy), 0);
	f->proxy_url = xasprintf("http://127.0.0.1:%u", f->proxy.port);
	assert_int_equal(fetch_open(f->loop, NULL, &f->fetch), 0);
	f->quota = "1000000000";
	etcd_start(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->a.store)
		node_close(&f->a);
	if (f->b.store)
		node_close(&f->b);
	fetch_close(f->fetch);
	proxy_cut(&f->proxy);
	etcd_end(f);
	test_dir_remove(f->dir);
	free(f->url);
	free(f->proxy_url);
	ev_loop_destroy(f->loop);
	free(f);
	return 0;
}

static void open_at(struct fixture *f, struct node *node, const char *name,
		    const char *url, bool adopt)
{
	AUTO(str_freep) char *path = fixture_path(f, name);
	struct store_config config = {
		.path = path,
		.endpoints = &url,
		.endpoints_len = 1,
		.prefix = PREFIX,
		.lease_ttl_s = LEASE_TTL_S,
		.adopt = adopt,
	};

	assert_int_equal(node_open(node, f->loop, &config), 0);
}

static void wait_up(struct fixture *f, struct node *node)
{
	wait_for(f->loop, node_state(node) == STORE_UP && node->synced, UP_MS);
}

static void open_both(struct fixture *f)
{
	open_at(f, &f->a, "a.db", f->url, false);
	open_at(f, &f->b, "b.db", f->url, false);
	wait_up(f, &f->a);
	wait_up(f, &f->b);
}

struct answer {
	bool is_done;
	int err, status;
	char *body;
};

static void on_answer(void *arg, const struct fetch_reply *reply)
{
	struct answer *answer = arg;

	*answer = (struct answer){ true, reply->err, reply->status,
				   xstrndup(reply->body, reply->len) };
}

/* Asks etcd itself, past the stores. The body is freed, the reply yours. */
static char *etcd_ask(struct fixture *f, const char *path, char *body)
{
	AUTO(str_freep) char *url = xasprintf("%s%s", f->url, path);
	struct answer answer = { 0 };
	struct fetch_request req = {
		.url = url,
		.body = body,
		.timeout_ms = 5000,
		.max = 1 << 20,
		.done = on_answer,
		.arg = &answer,
	};
	struct fetch_call *call;

	assert_int_equal(fetch_start(f->fetch, &req, &call), 0);
	free(body);
	wait_for(f->loop, answer.is_done, 6000);
	assert_int_equal(answer.err, 0);
	assert_int_equal(answer.status, 200);
	return answer.body;
}

static void etcd_put(struct fixture *f, const char *prefix, const char *key,
		     const char *value)
{
	struct store_txn *txn = store_txn_new();

	store_txn_put(txn, key, value);
	free(etcd_ask(f, "/v3/kv/txn", etcd_json_txn(prefix, txn, 0)));
	store_txn_free(txn);
}

static void etcd_compact(struct fixture *f, int64_t rev)
{
	free(etcd_ask(f, "/v3/kv/compaction",
		      xasprintf("{\"revision\":\"%lld\"}", (long long)rev)));
}

static void etcd_delete_all(struct fixture *f)
{
	free(etcd_ask(f, "/v3/kv/deleterange",
		      xstrdup("{\"key\":\"AA==\",\"range_end\":\"AA==\"}")));
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_watch_shows_others_commits),
		TEST(test_watch_passes_over_strange_keys),
		TEST(test_swap_race_has_one_winner),
		TEST(test_commit_ends),
		TEST(test_etcd_restarts),
		TEST(test_etcd_hangs),
		TEST(test_watch_freezes),
		TEST(test_all_freezes),
		TEST(test_compacted_while_cut_off),
		TEST(test_snapshot_in_pages_and_its_difference),
		TEST(test_wiped_store_is_foreign),
		TEST(test_rolled_back_store_is_foreign),
		TEST(test_emptied_store_is_foreign),
		TEST(test_single_hosts_file_is_foreign),
		TEST(test_lease_ends_with_its_node),
		TEST(test_lost_lease_is_replaced),
		TEST(test_lease_after_long_absence),
		TEST(test_mirror_without_etcd),
		TEST(test_next_endpoint_is_tried),
		TEST(test_etcd_is_full),
		TEST(test_mirror_cannot_be_written),
		TEST(test_absence_does_not_spin),
	};

	if (system("etcd --version >/dev/null 2>&1")) {
		fprintf(stderr, "skipped: etcd is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
