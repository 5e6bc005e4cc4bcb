/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd_store - an etcd that each test starts, hurts and ends; two nodes with
 * stores on it, and a cable before one of them.
 */
#pragma once

#include "store_node.h"

#include <signal.h>
#include <sys/wait.h>

#include "etcd_json.h"
#include "fetch.h"
#include "own_net.h"
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

static inline char *fixture_path(struct fixture *f, const char *name)
{
	return xasprintf("%s/%s", f->dir, name);
}

static inline void etcd_start(struct fixture *f)
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

static inline void etcd_end(struct fixture *f)
{
	if (!f->etcd)
		return;
	kill(f->etcd, SIGKILL);
	waitpid(f->etcd, NULL, 0);
	f->etcd = 0;
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline void open_at(struct fixture *f, struct node *node,
			   const char *name, const char *url, bool adopt)
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

static inline void wait_up(struct fixture *f, struct node *node)
{
	wait_for(f->loop, node_state(node) == STORE_UP && node->synced, UP_MS);
}

static inline void open_both(struct fixture *f)
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

static inline void on_answer(void *arg, const struct fetch_reply *reply)
{
	struct answer *answer = arg;

	*answer = (struct answer){ true, reply->err, reply->status,
				   xstrndup(reply->body, reply->len) };
}

/* Asks etcd itself, past the stores. The body is freed, the reply yours. */
static inline char *etcd_ask(struct fixture *f, const char *path, char *body)
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

static inline void etcd_put(struct fixture *f, const char *prefix,
			    const char *key, const char *value)
{
	struct store_txn *txn = store_txn_new();

	store_txn_put(txn, key, value);
	free(etcd_ask(f, "/v3/kv/txn", etcd_json_txn(prefix, txn, 0)));
	store_txn_free(txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/*
 * Call first in main(). As root in a network of its own: a port that is free
 * there stays free, whatever runs beside this.
 */
static inline void etcd_ready(void)
{
	if (system("etcd --version >/dev/null 2>&1")) {
		fprintf(stderr, "skipped: etcd is not installed\n");
		exit(TEST_SKIP);
	}
	if (geteuid() == 0) {
		own_net_enter();
		own_net_lo_up();
	}
}
