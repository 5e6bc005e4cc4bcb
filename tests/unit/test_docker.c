/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's driver over a real listener, store and operations, with a
 * reconciler of the test's own that makes no links. What a real engine (20.10)
 * asked is replayed from golden/docker.txt, reply by reply.
 */
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
#define GOLDEN_CALLS 151
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

static bool nobody_listens(const void *arg, const struct pod_port *port,
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

static void changed(void *arg, const struct store_kv *kv, size_t len)
{
	(void)arg;
	for (size_t i = 0; i < len; i++)
		model_apply(t.m, kv[i].key, kv[i].value, kv[i].rev, NULL);
}

static void synced(void *arg)
{
	(void)arg;
	t.is_synced = true;
}

static void lease_new(void *arg)
{
	(void)arg;
}

static void open_docker(void)
{
	struct docker_config config = {
		.loop = t.loop,
		.model = t.m,
		.store = t.store,
		.ops = t.ops,
		.grace_ms = t.grace_ms,
	};
	char error[256];
	int fd = http_listen(t.socket, NULL, error, sizeof(error));

	assert_true(fd >= 0);
	t.docker = docker_new(&config);
	assert_int_equal(http_open(t.loop, fd, &docker_router, docker_handle,
				   t.docker, &t.http),
			 0);
}

static void close_docker(void)
{
	http_close(t.http);
	docker_free(t.docker);
}

static void make_model(void)
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

static int setup(void **state)
{
	struct store_hooks hooks = { .changed = changed,
				     .synced = synced,
				     .lease_new = lease_new };
	struct store_config store = { .path = t.db, .prefix = "/netd/v1" };
	struct ops_config ops;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.grace_ms = 60000;
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

static int teardown(void **state)
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

static void on_reply(void *arg, const struct fetch_reply *reply)
{
	(void)arg;
	if (reply->err)
		fail_msg("no answer: %s", reply->error);
	t.status = reply->status;
	json_decref(t.reply);
	t.reply = json_loadb(reply->body, reply->len, 0, NULL);
	t.is_done = true;
}

static json_t *ask_text(const char *call, const char *body)
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

static json_t *ask(const char *call, const char *fmt, ...)
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

static const char *error_of(const json_t *reply)
{
	const char *err = json_string_value(json_object_get(reply, "Err"));
	const char *error = json_string_value(json_object_get(reply, "Error"));

	if (!err)
		return "";
	assert_string_equal(err, error);
	return err;
}

static void assert_empty(json_t *reply)
{
	assert_string_equal(error_of(reply), "");
	assert_int_equal(json_object_size(reply), 0);
}

static void count_key(void *arg, const char *key, const char *value)
{
	(void)key, (void)value;
	++*(size_t *)arg;
}

static size_t in_journal(void)
{
	size_t n = 0;

	store_journal_each(t.store, "docker/", count_key, &n);
	return n;
}

static void assert_nothing_left(void)
{
	assert_int_equal(in_journal(), 0);
	assert_null(t.m->pods);
	assert_null(t.m->holds);
}

/* ---- a network, and a container on it ---- */

static const char *make_pool(const char *network)
{
	ask("IpamDriver.RequestPool", "{s:s, s:s, s:{s:s}, s:b}", "Pool", "",
	    "SubPool", "", "Options", "netd.network", network, "V6", false);
	assert_string_equal(error_of(t.reply), "");
	return json_string_value(json_object_get(t.reply, "PoolID"));
}

static json_t *create_network(const char *id, const char *gateway)
{
	return ask("NetworkDriver.CreateNetwork",
		   "{s:s, s:{s:{}}, s:[{s:s, s:s, s:s}], s:[]}", "NetworkID",
		   id, "Options", "com.docker.network.generic", "IPv4Data",
		   "AddressSpace", "netd", "Pool", "0.0.0.0/0", "Gateway",
		   gateway, "IPv6Data");
}

static void make_network(void)
{
	make_pool("blue");
	assert_empty(create_network(NET, "10.65.0.1/22"));
}

#define POOL "netd/blue/10.65.0.0/22"

static void take_address(char buf[IP_STRLEN + 4])
{
	ask("IpamDriver.RequestAddress", "{s:s, s:s}", "PoolID", POOL,
	    "Address", "");
	assert_true(str_copy(
		buf, IP_STRLEN + 4,
		json_string_value(json_object_get(t.reply, "Address"))));
}

static json_t *create_endpoint(const char *id, const char *cidr)
{
	return ask("NetworkDriver.CreateEndpoint",
		   "{s:s, s:s, s:{s:s, s:s, s:s}, s:{}}", "NetworkID", NET,
		   "EndpointID", id, "Interface", "Address", cidr,
		   "AddressIPv6", "", "MacAddress", "", "Options");
}

static json_t *join(const char *id, const char *sandbox)
{
	return ask("NetworkDriver.Join", "{s:s, s:s, s:s, s:{}}", "NetworkID",
		   NET, "EndpointID", id, "SandboxKey", sandbox, "Options");
}

static json_t *about(const char *call, const char *id)
{
	return ask(call, "{s:s, s:s}", "NetworkID", NET, "EndpointID", id);
}

static json_t *release(const char *cidr)
{
	AUTO(str_freep) char *ip = xstrndup(cidr, strcspn(cidr, "/"));

	return ask("IpamDriver.ReleaseAddress", "{s:s, s:s}", "PoolID", POOL,
		   "Address", ip);
}

static void delete_network(void)
{
	assert_empty(ask("IpamDriver.ReleasePool", "{s:s}", "PoolID", POOL));
	assert_empty(
		ask("NetworkDriver.DeleteNetwork", "{s:s}", "NetworkID", NET));
}

/* ---- tests ---- */

/* A link's name is made of a random id: only that it is one is compared. */
static void level_names(json_t *reply)
{
	json_t *name = json_object_get(json_object_get(reply, "InterfaceName"),
				       "SrcName");

	if (!name)
		return;
	assert_int_equal(strlen(json_string_value(name)), 14);
	assert_non_null(str_after(json_string_value(name), "np"));
	json_string_set(name, "np");
}

static void replay(const char *call, const char *body, const char *want)
{
	AUTO(json_freep) json_t *expected = json_loads(want + 6, 0, NULL);
	AUTO(str_freep) char *a = NULL;
	AUTO(str_freep) char *b = NULL;
	json_t *reply = ask_text(call, body);

	assert_non_null(expected);
	level_names(expected);
	level_names(reply);
	a = json_line(reply);
	b = json_line(expected);
	if (!str_eq(a, b) || t.status != atoi(want + 2))
		fail_msg("%s %s\ngot  %d %s\nwant %s", call, body, t.status, a,
			 want);
}

static void test_golden(void **state)
{
	AUTO(file_closep)
	FILE *f = fopen(SOURCES "/unit/golden/docker.txt", "re");
	char line[8192], answer[8192];
	size_t calls = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *body;

		line[strcspn(line, "\n")] = '\0';
		if (*line == '#')
			continue;
		assert_memory_equal(line, "> /", 3);
		assert_non_null(fgets(answer, sizeof(answer), f));
		answer[strcspn(answer, "\n")] = '\0';
		assert_memory_equal(answer, "< ", 2);
		body = strchr(line + 3, ' ');
		assert_non_null(body);
		*body++ = '\0';
		replay(line + 3, body, answer);
		calls++;
	}
	assert_int_equal(calls, GOLDEN_CALLS);
	assert_nothing_left();
	assert_null(model_net(t.m, "blue"));
	assert_null(model_net(t.m, "red"));
	assert_null(model_net(t.m, "green"));
	assert_null(model_net(t.m, "six"));
	assert_null(model_net(t.m, "picked"));
}

/* An answer that was lost is asked for again: the same, and nothing twice. */
static void test_asked_twice(void **state)
{
	char cidr[IP_STRLEN + 4];

	(void)state;
	make_network();
	assert_empty(create_network(NET, "10.65.0.1/22"));
	take_address(cidr);
	for (int i = 0; i < 2; i++)
		assert_non_null(json_object_get(
			json_object_get(create_endpoint(EP, cidr), "Interface"),
			"MacAddress"));
	for (int i = 0; i < 2; i++)
		assert_non_null(json_object_get(join(EP, "/run/netns/one"),
						"InterfaceName"));
	assert_int_equal(HASH_COUNT(t.m->pods), 1);
	for (int i = 0; i < 2; i++) {
		ask("NetworkDriver.ProgramExternalConnectivity",
		    "{s:s, s:s, s:{s:[{s:i, s:i, s:i, s:s}]}}", "NetworkID",
		    NET, "EndpointID", EP, "Options",
		    "com.docker.network.portmap", "Proto", 6, "Port", 80,
		    "HostPort", 8080, "HostIP", "");
		assert_empty(t.reply);
		assert_int_equal(t.m->pods->ports_len, 1);
	}
	for (int i = 0; i < 2; i++) {
		assert_empty(about("NetworkDriver.Leave", EP));
		assert_empty(about("NetworkDriver.DeleteEndpoint", EP));
		assert_empty(release(cidr));
	}
	for (int i = 0; i < 2; i++)
		delete_network();
	assert_nothing_left();
	assert_null(model_net(t.m, "blue"));
}

/* After a restart with stale sandboxes the engine takes away what is gone. */
static void test_unknown_ids(void **state)
{
	(void)state;
	assert_empty(about("NetworkDriver.Leave", EP));
	assert_empty(about("NetworkDriver.RevokeExternalConnectivity", EP));
	assert_empty(about("NetworkDriver.DeleteEndpoint", EP));
	assert_empty(release("10.65.0.9/22"));
	delete_network();
	assert_string_not_equal(error_of(join(EP, "/x")), "");
	assert_string_not_equal(error_of(create_endpoint(EP, "10.65.0.9/22")),
				"");
	assert_nothing_left();
}

static void test_restart_of_netd(void **state)
{
	char first[IP_STRLEN + 4], second[IP_STRLEN + 4];

	(void)state;
	make_network();
	take_address(first);
	create_endpoint(EP, first);
	join(EP, "/run/netns/one");
	close_docker();
	assert_null(t.m->holds);
	open_docker();
	assert_int_equal(HASH_COUNT(t.m->holds), 1);
	take_address(second);
	assert_string_not_equal(first, second);
	release(second);
	assert_empty(about("NetworkDriver.Leave", EP));
	assert_empty(about("NetworkDriver.DeleteEndpoint", EP));
	release(first);
	delete_network();
	assert_nothing_left();
}

/* What was begun and not gone on with, at each step. */
static void test_expiry(void **state)
{
	char cidr[IP_STRLEN + 4];

	(void)state;
	close_docker();
	t.grace_ms = 50;
	open_docker();
	make_pool("green");
	assert_non_null(model_net(t.m, "green"));
	wait_for(t.loop, !model_net(t.m, "green"), WAIT_MS);

	make_network();
	take_address(cidr);
	assert_non_null(t.m->holds);
	wait_for(t.loop, !t.m->holds, WAIT_MS);
	take_address(cidr);
	create_endpoint(EP, cidr);
	wait_for(t.loop, !t.m->holds, WAIT_MS);
	take_address(cidr);
	create_endpoint(EP, cidr);
	join(EP, "/run/netns/one");
	t.m->pods->nets[0].hand = HAND_TAKEN;
	wait_while(t.loop, t.m->pods, 1500);
	about("NetworkDriver.Leave", EP);
	wait_for(t.loop, !t.m->holds && !t.m->pods, WAIT_MS);
	/* Its CreateNetwork was not answered: the pool goes, no more is said.
	 */
	ask("IpamDriver.ReleasePool", "{s:s}", "PoolID", POOL);
	wait_while(t.loop, model_net(t.m, "blue"), 1200);
	delete_network();
	assert_nothing_left();
}

static void test_unanswered_network(void **state)
{
	(void)state;
	close_docker();
	t.grace_ms = 50;
	open_docker();
	/* Once after a pool whose own answer was lost. */
	for (int i = 0; i < 2; i++) {
		if (i) {
			make_pool("blue");
			wait_for(t.loop, !model_net(t.m, "blue"), WAIT_MS);
		}
		make_network();
		ask("IpamDriver.ReleasePool", "{s:s}", "PoolID", POOL);
		wait_for(t.loop, !model_net(t.m, "blue"), WAIT_MS);
		assert_nothing_left();
	}
}

/* An engine that comes back late speaks of an earlier holder. */
static void test_late_release(void **state)
{
	char cidr[IP_STRLEN + 4], other[IP_STRLEN + 4];

	(void)state;
	make_network();
	take_address(cidr);
	create_endpoint(EP, cidr);
	release(cidr);
	take_address(other);
	assert_string_not_equal(cidr, other);
	about("NetworkDriver.DeleteEndpoint", EP);
	assert_int_equal(HASH_COUNT(t.m->holds), 1);
	release(other);
	delete_network();
	assert_nothing_left();
}

/* One container, one pod; one network of the cluster once. */
static void test_two_networks(void **state)
{
	char cidr[IP_STRLEN + 4], other[IP_STRLEN + 4];

	(void)state;
	make_network();
	assert_empty(create_network(NET2, "10.65.0.1/22"));
	take_address(cidr);
	take_address(other);
	create_endpoint(EP, cidr);
	ask("NetworkDriver.CreateEndpoint", "{s:s, s:s, s:{s:s}}", "NetworkID",
	    NET2, "EndpointID", EP2, "Interface", "Address", other);
	join(EP, "/run/netns/one");
	ask("NetworkDriver.Join", "{s:s, s:s, s:s}", "NetworkID", NET2,
	    "EndpointID", EP2, "SandboxKey", "/run/netns/one");
	assert_non_null(strstr(error_of(t.reply), "already"));
	ask("NetworkDriver.Join", "{s:s, s:s, s:s}", "NetworkID", NET2,
	    "EndpointID", EP2, "SandboxKey", "/run/netns/two");
	assert_string_equal(error_of(t.reply), "");
	assert_int_equal(HASH_COUNT(t.m->pods), 2);
	assert_non_null(model_pod(t.m, "docker-two"));
	/* A pod of that name which is somebody else's stays so. */
	model_pod_add(t.m, pod_new("docker-three"));
	ask("NetworkDriver.Join", "{s:s, s:s, s:s}", "NetworkID", NET2,
	    "EndpointID", EP2, "SandboxKey", "/run/netns/two");
	assert_string_equal(error_of(t.reply), "");
	about("NetworkDriver.Leave", EP2);
	ask("NetworkDriver.Join", "{s:s, s:s, s:s}", "NetworkID", NET2,
	    "EndpointID", EP2, "SandboxKey", "/run/netns/three");
	assert_non_null(strstr(error_of(t.reply), "not Docker's"));
	reconcile_pod_remove(NULL, model_pod(t.m, "docker-three"));
	/* The cluster's network outlives the first of them. */
	ask("NetworkDriver.DeleteNetwork", "{s:s}", "NetworkID", NET2);
	assert_non_null(model_net(t.m, "blue"));
	assert_int_equal(HASH_COUNT(t.m->pods), 1);
}

static void test_ports(void **state)
{
	static const struct {
		int proto, port, host_port;
		const char *ip, *error;
	} rows[] = {
		{ 6, 80, 8080, "", "" },
		{ 17, 53, 5353, "0.0.0.0", "" },
		{ 6, 80, 0, "", "" },
		{ 132, 80, 8080, "", "protocol 132" },
		{ 6, 0, 8080, "", "0" },
		{ 6, 80, 70000, "", "70000" },
		{ 6, 80, -1, "", "-1" },
		{ 6, 80, 8080, "nonsense", "nonsense" },
		{ 6, 80, 8080, "::", "on :: alone" },
		{ 6, 80, 8080, "203.0.113.9", "no address of node" },
	};
	char cidr[IP_STRLEN + 4];

	(void)state;
	make_network();
	take_address(cidr);
	create_endpoint(EP, cidr);
	join(EP, "/run/netns/one");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ask("NetworkDriver.ProgramExternalConnectivity",
		    "{s:s, s:s, s:{s:[{s:i, s:i, s:i, s:s}]}}", "NetworkID",
		    NET, "EndpointID", EP, "Options",
		    "com.docker.network.portmap", "Proto", rows[i].proto,
		    "Port", rows[i].port, "HostPort", rows[i].host_port,
		    "HostIP", rows[i].ip);
		if (!*rows[i].error)
			assert_empty(t.reply);
		else
			assert_non_null(
				strstr(error_of(t.reply), rows[i].error));
		assert_empty(
			about("NetworkDriver.RevokeExternalConnectivity", EP));
	}
}

/* ---- networks of both families ---- */

#define SUBNET6 "fd00:5::/64"
#define POOL6 "netd/blue/" SUBNET6
#define MAC "02:42:00:00:00:01"
#define MAC2 "02:42:00:00:00:02"

static json_t *request_pool6(const char *network, const char *pool)
{
	return ask("IpamDriver.RequestPool", "{s:s, s:s, s:{s:s}, s:b}", "Pool",
		   pool, "SubPool", "", "Options", "netd.network", network,
		   "V6", true);
}

static json_t *create_network6(const char *space, const char *gateway)
{
	return ask("NetworkDriver.CreateNetwork",
		   "{s:s, s:{s:b, s:{}}, s:[{s:s, s:s}], s:[{s:s, s:s}]}",
		   "NetworkID", NET, "Options",
		   "com.docker.network.enable_ipv6", true,
		   "com.docker.network.generic", "IPv4Data", "AddressSpace",
		   "netd", "Gateway", "10.65.0.1/22", "IPv6Data",
		   "AddressSpace", space, "Gateway", gateway);
}

static void make_network6(void)
{
	make_pool("blue");
	request_pool6("blue", SUBNET6);
	assert_string_equal(error_of(t.reply), "");
	assert_empty(create_network6("netd", "fd00:5::1/64"));
}

/* As the engine asks, with the MAC of the endpoint to be, or NULL. */
static const char *request_address(const char *pool, const char *address,
				   const char *mac)
{
	ask("IpamDriver.RequestAddress", "{s:s, s:s, s:{s:s*}}", "PoolID", pool,
	    "Address", address, "Options",
	    "com.docker.network.endpoint.macaddress", mac);
	return json_string_value(json_object_get(t.reply, "Address"));
}

static json_t *create_endpoint6(const char *cidr, const char *cidr6)
{
	return ask("NetworkDriver.CreateEndpoint",
		   "{s:s, s:s, s:{s:s, s:s, s:s}}", "NetworkID", NET,
		   "EndpointID", EP, "Interface", "Address", cidr,
		   "AddressIPv6", cidr6, "MacAddress", MAC);
}

static const struct address6 {
	const char *about;
	/* What came before, of which MACs; "": without one. */
	const char *before[2];
	const char *address, *mac;
	/* The answer, or what its refusal says. */
	const char *cidr, *error;
} address6_rows[] = {
	{ "beside the first", { MAC, MAC2 }, "", MAC, "fd00:5::2/64", "" },
	{ "beside the second", { MAC, MAC2 }, "", MAC2, "fd00:5::3/64", "" },
	{ "without MACs the last", { "", "" }, "", NULL, "fd00:5::3/64", "" },
	{ "the same by name", { MAC }, "fd00:5::2", MAC, "fd00:5::2/64", "" },
	{ "another one", { MAC }, "fd00:5::7", MAC, NULL, "--ip 10.65.0.7" },
	{ "beside none", { MAC }, "fd00:5::1:0", MAC, NULL, "none of 10.65" },
	{ "of no container", { MAC }, "", MAC2, NULL, "no IPv4 address" },
	{ "for nobody", { NULL }, "", NULL, NULL, "no IPv4 address" },
	{ "kept", { NULL }, "fd00:5::7", NULL, "fd00:5::7/64", "" },
	{ "kept of both", { "" }, "fd00:5::2", NULL, "fd00:5::2/64", "" },
	{ "the gateway", { NULL }, "fd00:5::1", NULL, NULL, "10.65.0.1" },
	{ "of IPv4", { MAC }, "10.65.0.2", MAC, NULL, "IPv4" },
	{ "of nonsense", { MAC }, "fd00::x", MAC, NULL, "not an address" },
	{ "with a bad MAC", { MAC }, "", "02:42", NULL, "not a MAC" },
};

static void check_address6(const struct address6 *row)
{
	const char *got;

	for (size_t i = 0; i < 2 && row->before[i]; i++)
		request_address(POOL, "",
				*row->before[i] ? row->before[i] : NULL);
	got = request_address(POOL6, row->address, row->mac);
	if (!str_eq(got ? got : "", row->cidr ? row->cidr : "") ||
	    !strstr(error_of(t.reply), row->error))
		fail_msg("%s: %s, %s", row->about, got ? got : "no address",
			 error_of(t.reply));
}

static void test_addresses_of_ipv6(void **state)
{
	(void)state;
	make_network6();
	for (size_t i = 0; i < ARRAY_LEN(address6_rows); i++) {
		check_address6(&address6_rows[i]);
		/* As if the engine had given all back, and time had gone by. */
		while (t.m->holds) {
			char ip[IP_STRLEN];

			release(ip_str(&t.m->holds->addr, ip));
			if (t.m->holds)
				ask("IpamDriver.ReleaseAddress", "{s:s, s:s}",
				    "PoolID", POOL6, "Address",
				    address6_rows[i].address);
		}
		rests_free(&t.rests);
	}
}

/* What the engine forgets with the refusal is not held, either. */
static void test_refused_pair(void **state)
{
	char cidr[IP_STRLEN + 4];

	(void)state;
	make_network6();
	str_copy(cidr, sizeof(cidr), request_address(POOL, "", MAC));
	assert_null(request_address(POOL6, "fd00:5::7", MAC));
	assert_null(t.m->holds);
	/* An engine that asked without MACs may mix up two containers. */
	request_address(POOL, "", MAC);
	create_endpoint6(cidr, "fd00:5::9/64");
	assert_non_null(strstr(error_of(t.reply), "no pair"));
	create_endpoint6(cidr, "nonsense");
	assert_string_not_equal(error_of(t.reply), "");
	assert_int_equal(HASH_COUNT(t.m->holds), 1);
	assert_null(t.m->pods);
	release(cidr);
	delete_network();
	assert_nothing_left();
}

static void test_endpoint_of_both(void **state)
{
	char cidr[IP_STRLEN + 4];
	const struct attachment *at;
	char ip[IP_STRLEN];

	(void)state;
	make_network6();
	str_copy(cidr, sizeof(cidr), request_address(POOL, "", MAC));
	close_docker();
	open_docker();
	assert_string_equal(request_address(POOL6, "", MAC), "fd00:5::2/64");
	create_endpoint6(cidr, "fd00:5::2/64");
	close_docker();
	open_docker();
	join(EP, "/run/netns/one");
	assert_string_equal(
		json_string_value(json_object_get(t.reply, "GatewayIPv6")),
		"fd00:5::1");
	assert_int_equal(
		json_array_size(json_object_get(t.reply, "StaticRoutes")), 2);
	at = &t.m->pods->nets[0];
	assert_string_equal(ip_str(&at->addr6, ip), "fd00:5::2");
	about("NetworkDriver.Leave", EP);
	about("NetworkDriver.DeleteEndpoint", EP);
	/* The IPv4 address gives back both, in whatever order. */
	ask("IpamDriver.ReleaseAddress", "{s:s, s:s}", "PoolID", POOL6,
	    "Address", "fd00:5::2");
	assert_int_equal(HASH_COUNT(t.m->holds), 1);
	release(cidr);
	assert_null(t.m->holds);
	ask("IpamDriver.ReleasePool", "{s:s}", "PoolID", POOL6);
	assert_int_equal(HASH_COUNT(t.m->nets), 2);
	delete_network();
	assert_nothing_left();
}

/* One that Docker makes for --ipv6 gets it; one that is there has it or not. */
static void test_pools_of_ipv6(void **state)
{
	static const struct {
		const char *network, *pool, *error;
	} rows[] = {
		{ "blue", "fe80::/64", "neither global unicast" },
		{ "blue", "fd00:5::/120", "from /64 to /112" },
		{ "blue", "10.9.0.0/24", "of one family" },
		{ "blue", SUBNET6, "" },
		{ "blue", SUBNET6, "" },
		{ "blue", "", "" },
		{ "blue", "fd00:6::/64", "has the subnet " SUBNET6 },
		{ "default", "", "has no IPv6" },
		{ "none", "", "not found" },
	};

	(void)state;
	make_pool("blue");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		request_pool6(rows[i].network, rows[i].pool);
		if (!*rows[i].error && !*error_of(t.reply))
			continue;
		if (!*rows[i].error ||
		    !strstr(error_of(t.reply), rows[i].error))
			fail_msg("%s %s: %s", rows[i].network, rows[i].pool,
				 error_of(t.reply));
	}
	create_network6("LocalDefault", "fd00:5::1/64");
	assert_non_null(strstr(error_of(t.reply), "Docker's own IPAM"));
	create_network6("netd", "fd00:5::9/64");
	assert_non_null(strstr(error_of(t.reply), "not that of network"));
	create_network6("netd", "nonsense");
	assert_non_null(strstr(error_of(t.reply), "Gateway"));
	assert_null(json_object_get(model_net(t.m, "blue")->doc, "engines"));
	assert_empty(create_network6("netd", "fd00:5::1/64"));
	/* Engines of others may go without. */
	make_pool("blue");
	assert_empty(create_network(NET2, "10.65.0.1/22"));
}

/* ---- bad input ---- */

static unsigned int seed = 20;

static unsigned int pick(size_t n)
{
	return (unsigned int)rand_r(&seed) % (unsigned int)n;
}

/* A value that is right nowhere. */
static json_t *bad_value(void)
{
	static const char *const texts[] = {
		"",
		"/",
		"..",
		"../../etc",
		"a/b",
		"\xc3\xa9",
		"10.65.0.1",
		"999.1.1.1/22",
		"netd/blue/10.66.0.0/22",
		"netd//",
		"::1",
	};
	json_t *deep = json_object();

	switch (pick(6)) {
	case 0:
		json_decref(deep);
		return json_string(texts[pick(ARRAY_LEN(texts))]);
	case 1:
		json_decref(deep);
		return json_integer((json_int_t)pick(100000) - 50000);
	case 2:
		json_decref(deep);
		return json_array();
	case 3:
		json_object_set_new(deep, "x", json_pack("[[{s:n}]]", "y"));
		return deep;
	case 4:
		json_decref(deep);
		return json_sprintf("%0300d", 7);
	}
	json_decref(deep);
	return json_true();
}

/* Each call with the field that makes it wrong when it is bad. */
static const struct {
	const char *call, *field;
} bad_calls[] = {
	{ "NetworkDriver.CreateNetwork", "NetworkID" },
	{ "NetworkDriver.CreateNetwork", "IPv4Data" },
	{ "NetworkDriver.DeleteNetwork", "NetworkID" },
	{ "NetworkDriver.CreateEndpoint", "NetworkID" },
	{ "NetworkDriver.CreateEndpoint", "EndpointID" },
	{ "NetworkDriver.CreateEndpoint", "Interface" },
	{ "NetworkDriver.Join", "NetworkID" },
	{ "NetworkDriver.Join", "EndpointID" },
	{ "NetworkDriver.Leave", "EndpointID" },
	{ "NetworkDriver.DeleteEndpoint", "EndpointID" },
	{ "NetworkDriver.ProgramExternalConnectivity", "EndpointID" },
	{ "NetworkDriver.RevokeExternalConnectivity", "EndpointID" },
	{ "IpamDriver.RequestPool", "Options" },
	{ "IpamDriver.RequestAddress", "PoolID" },
};

/* Right but for one field, and sometimes cut off or not JSON at all. */
static char *bad_body(size_t row)
{
	AUTO(json_freep)
	json_t *body = json_pack(
		"{s:s, s:s, s:s, s:{s:s}, s:{}, s:s, s:s, s:[{s:s, s:s}]}",
		"NetworkID", NET, "EndpointID", EP2, "SandboxKey", "/x",
		"Interface", "Address", "10.65.0.250/22", "Options", "PoolID",
		POOL, "Address", "", "IPv4Data", "AddressSpace", "netd",
		"Gateway", "10.65.0.1/22");
	char *line;

	json_object_set_new(body, bad_calls[row].field, bad_value());
	line = json_line(body);
	if (pick(8) == 0)
		line[strlen(line) - 1 - pick(20)] = "\0\x01]"[pick(3)];
	return line;
}

/* What a malformed call could have changed. */
static char *snapshot(void)
{
	AUTO(json_freep) json_t *doc = docker_json(t.docker);

	json_object_set_new(doc, "journal",
			    json_integer((json_int_t)in_journal()));
	json_object_set_new(doc, "nets", json_integer(HASH_COUNT(t.m->nets)));
	json_object_set_new(doc, "pods", json_integer(HASH_COUNT(t.m->pods)));
	return json_line(doc);
}

static void test_malformed_calls(void **state)
{
	AUTO(str_freep) char *before = NULL;
	char cidr[IP_STRLEN + 4];

	(void)state;
	make_network();
	take_address(cidr);
	create_endpoint(EP, cidr);
	join(EP, "/run/netns/one");
	before = snapshot();
	for (size_t i = 0; i < 1000; i++) {
		size_t row = pick(ARRAY_LEN(bad_calls));
		AUTO(str_freep) char *body = bad_body(row);
		AUTO(str_freep) char *after = NULL;

		ask_text(bad_calls[row].call, body);
		if (!*error_of(t.reply))
			fail_msg("%s %s was taken", bad_calls[row].call, body);
		after = snapshot();
		if (!str_eq(before, after))
			fail_msg("%s %s changed\n%s\n%s", bad_calls[row].call,
				 body, before, after);
	}
}

static void test_too_much(void **state)
{
	size_t len = 2 * 1024 * 1024;
	AUTO(str_freep) char *body = xzalloc(len + 64);

	(void)state;
	strcpy(body, "{\"Options\":{\"netd.network\":\"");
	memset(body + strlen(body), 'x', len);
	strcat(body, "\"}}");
	ask_text("IpamDriver.RequestPool", body);
	assert_int_equal(t.status, 413);
	assert_string_not_equal(error_of(t.reply), "");
}

static void test_no_such_call(void **state)
{
	(void)state;
	ask_text("NetworkDriver.Nothing", "{}");
	assert_int_equal(t.status, 404);
	ask_text("Plugin.Activate/x", "{}");
	assert_int_equal(t.status, 404);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_golden),
		TEST(test_asked_twice),
		TEST(test_unknown_ids),
		TEST(test_restart_of_netd),
		TEST(test_expiry),
		TEST(test_unanswered_network),
		TEST(test_late_release),
		TEST(test_two_networks),
		TEST(test_ports),
		TEST(test_malformed_calls),
		TEST(test_too_much),
		TEST(test_no_such_call),
		TEST(test_addresses_of_ipv6),
		TEST(test_refused_pair),
		TEST(test_endpoint_of_both),
		TEST(test_pools_of_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
