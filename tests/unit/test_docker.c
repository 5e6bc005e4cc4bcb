/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A life of Docker's networks and containers: what a real engine (20.10) asked
 * is replayed from golden/docker.txt, reply by reply; then what comes twice,
 * late, or never.
 */
#include "docker_host.h"

#define GOLDEN_CALLS 151

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

static size_t networks_known(void)
{
	AUTO(json_freep) json_t *doc = docker_json(t.docker);

	return json_array_size(json_object_get(doc, "networks"));
}

/* Who is slow twice in a row has the grace time twice. */
static void test_network_after_one_given_up(void **state)
{
	(void)state;
	close_docker();
	t.grace_ms = 500;
	open_docker();
	make_network();
	ask("IpamDriver.ReleasePool", "{s:s}", "PoolID", POOL);
	docker_expire(t.docker);
	wait_while(t.loop, true, t.grace_ms + 50);
	docker_expire(t.docker);
	wait_for(t.loop, !model_net(t.m, "blue"), WAIT_MS);

	make_pool("blue");
	docker_expire(t.docker);
	assert_empty(create_network(NET, "10.65.0.1/22"));
	make_pool("blue");
	assert_empty(create_network(NET2, "10.65.0.1/22"));
	docker_expire(t.docker);
	wait_while(t.loop, true, t.grace_ms + 50);
	docker_expire(t.docker);
	assert_int_equal(networks_known(), 2);
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

static void on_end(void *is_over, const struct fetch_reply *reply)
{
	(void)reply;
	*(bool *)is_over = true;
}

/* The driver ends so many turns of the loop after it was asked. */
static void stop_after(int turns)
{
	AUTO(str_freep)
	char *body = xasprintf("{\"Pool\":\"\",\"SubPool\":\"\",\"V6\":false,"
			       "\"Options\":{\"netd.network\":\"n%d\"}}",
			       turns);
	bool is_over = false;
	struct fetch_request req = {
		.url = "http://d/IpamDriver.RequestPool",
		.unix_path = t.socket,
		.method = "POST",
		.body = body,
		.max = 65536,
		.done = on_end,
		.arg = &is_over,
	};
	struct fetch_call *call;

	assert_int_equal(fetch_start(t.fetch, &req, &call), 0);
	for (int i = 0; i < turns; i++)
		ev_run(t.loop, EVRUN_NOWAIT);
	close_docker();
	wait_for(t.loop, is_over, WAIT_MS);
	open_docker();
}

/* Nothing is leaked, and nobody who has ended is told. */
static void test_stop_while_asked(void **state)
{
	(void)state;
	for (int turns = 0; turns < 12; turns++)
		stop_after(turns);
	ops_run(t.ops, API_NETWORK_CREATE, json_pack("{s:s}", "name", "last"),
		NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_golden),
		TEST(test_asked_twice),
		TEST(test_unknown_ids),
		TEST(test_restart_of_netd),
		TEST(test_expiry),
		TEST(test_unanswered_network),
		TEST(test_network_after_one_given_up),
		TEST(test_late_release),
		TEST(test_two_networks),
		TEST(test_ports),
		TEST(test_stop_while_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
