/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker_host - Docker's driver over a real listener, store and operations,
 * with a reconciler of the test's own that makes no links.
 */
#pragma once

#include "cm.h"

#include <ev.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "docker.h"
#include "fetch.h"
#include "ipam.h"
#include "json.h"
#include "loop_wait.h"
#include "ops.h"
#include "pod.h"

#define WAIT_MS 5000
#define NET "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NET2 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define EP "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
#define EP2 "ffffffffffffffffffffffffffffffff"

static struct test {
	struct ev_loop *loop;
	char dir[64], socket[96], db[96];
	struct model *m;
	struct store *store;
	struct ops *ops;
	struct docker *docker;
	struct http *http;
	struct fetch *fetch;
	struct rest *rests;
	unsigned int ids;
	int64_t grace_ms;
	bool has_v6;
	/* The last reply. */
	bool is_done, is_synced;
	int status;
	json_t *reply;
} t;

/* ---- the reconciler ---- */

struct rest *reconcile_rests(struct reconcile *rc)
{
	(void)rc;
	return t.rests;
}

uint32_t reconcile_mtu(const struct reconcile *rc)
{
	(void)rc;
	return 1450;
}

void reconcile_new_id(char id[ENDPOINT_ID_LEN])
{
	snprintf(id, ENDPOINT_ID_LEN, "%012x", ++t.ids);
}

int reconcile_pod_offer(struct reconcile *rc, struct pod *pod,
			const struct attachment *at, struct refusal *r)
{
	struct attachment *mine = &pod->nets[pod->nets_len++];

	(void)rc, (void)r;
	*mine = *at;
	mine->hand = HAND_OFFERED;
	str_format(mine->ifname, sizeof(mine->ifname), "np%s", at->id);
	if (!model_pod(t.m, pod->name))
		model_pod_add(t.m, pod);
	return 0;
}

/* Each is waited for once. */
int64_t reconcile_pod_leave(struct reconcile *rc, struct pod *pod,
			    struct attachment *at, const uint32_t *ms)
{
	(void)rc, (void)pod, (void)ms;
	return at->leaves_at++ ? 0 : 1;
}

void reconcile_pod_left(struct reconcile *rc, struct pod *pod,
			struct attachment *at)
{
	(void)rc, (void)pod;
	at->hand = HAND_LEFT;
}

int reconcile_pod_disconnect(struct reconcile *rc, struct pod *pod,
			     struct attachment *at)
{
	(void)rc;
	rest_put(&t.rests, &at->addr, at->network, INT64_MAX);
	pod_detach(pod, at);
	return 0;
}

int reconcile_pod_remove(struct reconcile *rc, struct pod *pod)
{
	while (pod->nets_len)
		reconcile_pod_disconnect(rc, pod, pod->nets);
	model_pod_remove(t.m, pod);
	pod_free(pod);
	return 0;
}

static inline bool nobody_listens(const void *arg, const struct pod_port *port,
				  char *owner, size_t size)
{
	(void)arg, (void)port, (void)owner, (void)size;
	return false;
}

int reconcile_pod_publish(struct reconcile *rc, struct pod *pod,
			  const struct pod_port *ports, size_t len,
			  struct refusal *r)
{
	struct pod_port_listeners nobody = { .find = nobody_listens };
	size_t had = pod->ports_len;

	(void)rc;
	for (size_t i = 0; i < len; i++) {
		struct pod_port port = ports[i];

		if (!pod_port_claim(t.m, pod, &port, &nobody, 7, r))
			continue;
		pod->ports_len = had;
		return -EINVAL;
	}
	return 0;
}

void reconcile_pod_unpublish(struct reconcile *rc, struct pod *pod,
			     const char *network)
{
	(void)rc, (void)network;
	pod->ports_len = 0;
}

/* ---- the host ---- */

static inline void changed(void *arg, const struct store_kv *kv, size_t len)
{
	(void)arg;
	for (size_t i = 0; i < len; i++)
		model_apply(t.m, kv[i].key, kv[i].value, kv[i].rev, NULL);
}

static inline void synced(void *arg)
{
	(void)arg;
	t.is_synced = true;
}

static inline void lease_new(void *arg)
{
	(void)arg;
}

static inline void open_docker(void)
{
	struct docker_config config = {
		.loop = t.loop,
		.model = t.m,
		.store = t.store,
		.ops = t.ops,
		.grace_ms = t.grace_ms,
		.has_v6 = t.has_v6,
	};
	char error[256];
	int fd = http_listen(t.socket, NULL, error, sizeof(error));

	assert_true(fd >= 0);
	t.docker = docker_new(&config);
	assert_int_equal(http_open(t.loop, fd, &docker_router, docker_handle,
				   t.docker, &t.http),
			 0);
}

static inline void close_docker(void)
{
	http_close(t.http);
	docker_free(t.docker);
}

static inline void make_model(void)
{
	t.m = model_new("node1");
	prefix_parse("10.64.0.0/12", &t.m->ipam.pools[0]);
	t.m->ipam.pools_len = 1;
	t.m->ipam.network_len = 96 + 22;
	t.m->ipam.vips_len = 96 + 22;
	prefix_parse("10.80.0.0/12", &t.m->ipam.vip_pool);
	prefix_parse("fd2c:cbaa:eaaf::/48", &t.m->ula);
	str_copy(t.m->domain, sizeof(t.m->domain), "cluster.local");
}

static inline int setup(void **state)
{
	struct store_hooks hooks = { .changed = changed,
				     .synced = synced,
				     .lease_new = lease_new };
	struct store_config store = { .path = t.db, .prefix = "/netd/v1" };
	struct ops_config ops;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.grace_ms = 60000;
	t.has_v6 = true;
	strcpy(t.dir, "/tmp/netd-docker-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	str_format(t.socket, sizeof(t.socket), "%s/sock", t.dir);
	str_format(t.db, sizeof(t.db), "%s/db", t.dir);
	t.loop = ev_loop_new(EVFLAG_AUTO);
	make_model();
	assert_int_equal(store_open(t.loop, &store, &hooks, &t.store), 0);
	assert_int_equal(store_start(t.store), 0);
	wait_for(t.loop, t.is_synced, WAIT_MS);
	ops = (struct ops_config){ .loop = t.loop,
				   .model = t.m,
				   .store = t.store };
	assert_int_equal(ops_new(&ops, &t.ops), 0);
	ops_run(t.ops, API_NETWORK_CREATE,
		json_pack("{s:s}", "name", "default"), NULL, NULL);
	wait_for(t.loop, model_net(t.m, "default"), WAIT_MS);
	assert_int_equal(fetch_open(t.loop, NULL, &t.fetch), 0);
	open_docker();
	return 0;
}

/* What nobody waited for may still be on its way: it goes with ops. */
static inline int teardown(void **state)
{
	char command[128];

	(void)state;
	fetch_close(t.fetch);
	close_docker();
	store_close(t.store);
	ops_free(t.ops);
	model_free(t.m);
	rests_free(&t.rests);
	json_decref(t.reply);
	ev_loop_destroy(t.loop);
	str_format(command, sizeof(command), "rm -rf %s", t.dir);
	return system(command);
}

/* ---- asking ---- */

static inline void on_reply(void *arg, const struct fetch_reply *reply)
{
	(void)arg;
	if (reply->err)
		fail_msg("no answer: %s", reply->error);
	t.status = reply->status;
	json_decref(t.reply);
	t.reply = json_loadb(reply->body, reply->len, 0, NULL);
	t.is_done = true;
}

static inline json_t *ask_text(const char *call, const char *body)
{
	AUTO(str_freep) char *url = xasprintf("http://d/%s", call);
	struct fetch_request req = {
		.url = url,
		.unix_path = t.socket,
		.method = "POST",
		.body = body,
		.max = 65536,
		.done = on_reply,
	};
	struct fetch_call *ret;

	t.is_done = false;
	assert_int_equal(fetch_start(t.fetch, &req, &ret), 0);
	wait_for(t.loop, t.is_done, WAIT_MS);
	assert_non_null(t.reply);
	return t.reply;
}

static inline json_t *ask(const char *call, const char *fmt, ...)
{
	AUTO(json_freep) json_t *args = NULL;
	AUTO(str_freep) char *body = NULL;
	va_list ap;

	va_start(ap, fmt);
	args = json_vpack_ex(NULL, 0, fmt, ap);
	va_end(ap);
	assert_non_null(args);
	body = json_line(args);
	return ask_text(call, body);
}

static inline const char *error_of(const json_t *reply)
{
	const char *err = json_string_value(json_object_get(reply, "Err"));
	const char *error = json_string_value(json_object_get(reply, "Error"));

	if (!err)
		return "";
	assert_string_equal(err, error);
	return err;
}

static inline void assert_empty(json_t *reply)
{
	assert_string_equal(error_of(reply), "");
	assert_int_equal(json_object_size(reply), 0);
}

static inline void count_key(void *arg, const char *key, const char *value)
{
	(void)key, (void)value;
	++*(size_t *)arg;
}

static inline size_t in_journal(void)
{
	size_t n = 0;

	store_journal_each(t.store, "docker/", count_key, &n);
	return n;
}

static inline void assert_nothing_left(void)
{
	assert_int_equal(in_journal(), 0);
	assert_null(t.m->pods);
	assert_null(t.m->holds);
}

/* ---- a network, and a container on it ---- */

static inline const char *make_pool(const char *network)
{
	ask("IpamDriver.RequestPool", "{s:s, s:s, s:{s:s}, s:b}", "Pool", "",
	    "SubPool", "", "Options", "netd.network", network, "V6", false);
	assert_string_equal(error_of(t.reply), "");
	return json_string_value(json_object_get(t.reply, "PoolID"));
}

static inline json_t *create_network(const char *id, const char *gateway)
{
	return ask("NetworkDriver.CreateNetwork",
		   "{s:s, s:{s:{}}, s:[{s:s, s:s, s:s}], s:[]}", "NetworkID",
		   id, "Options", "com.docker.network.generic", "IPv4Data",
		   "AddressSpace", "netd", "Pool", "0.0.0.0/0", "Gateway",
		   gateway, "IPv6Data");
}

static inline void make_network(void)
{
	make_pool("blue");
	assert_empty(create_network(NET, "10.65.0.1/22"));
}

#define POOL "netd/blue/10.65.0.0/22"

static inline void take_address(char buf[IP_STRLEN + 4])
{
	ask("IpamDriver.RequestAddress", "{s:s, s:s}", "PoolID", POOL,
	    "Address", "");
	assert_true(str_copy(
		buf, IP_STRLEN + 4,
		json_string_value(json_object_get(t.reply, "Address"))));
}

static inline json_t *create_endpoint(const char *id, const char *cidr)
{
	return ask("NetworkDriver.CreateEndpoint",
		   "{s:s, s:s, s:{s:s, s:s, s:s}, s:{}}", "NetworkID", NET,
		   "EndpointID", id, "Interface", "Address", cidr,
		   "AddressIPv6", "", "MacAddress", "", "Options");
}

static inline json_t *join(const char *id, const char *sandbox)
{
	return ask("NetworkDriver.Join", "{s:s, s:s, s:s, s:{}}", "NetworkID",
		   NET, "EndpointID", id, "SandboxKey", sandbox, "Options");
}

static inline json_t *about(const char *call, const char *id)
{
	return ask(call, "{s:s, s:s}", "NetworkID", NET, "EndpointID", id);
}

static inline json_t *release(const char *cidr)
{
	AUTO(str_freep) char *ip = xstrndup(cidr, strcspn(cidr, "/"));

	return ask("IpamDriver.ReleaseAddress", "{s:s, s:s}", "PoolID", POOL,
		   "Address", ip);
}

static inline void delete_network(void)
{
	assert_empty(ask("IpamDriver.ReleasePool", "{s:s}", "PoolID", POOL));
	assert_empty(
		ask("NetworkDriver.DeleteNetwork", "{s:s}", "NetworkID", NET));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
