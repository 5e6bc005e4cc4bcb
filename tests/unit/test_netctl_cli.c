/* SPDX-License-Identifier: Apache-2.0 */
/* netctl as its users meet it: what it asks, what it says, how it ends. */
#include "netctl_run.h"

static void test_requests(void **state)
{
	static const struct {
		const char *line, *asked;
	} cases[] = {
		{ "network create blue", "network.create {\"name\":\"blue\"}" },
		{ "net create --subnet 10.1.0.0/24 --subnet=10.2.0.0/24 "
		  "--internal b",
		  "network.create {\"internal\":true,\"name\":\"b\","
		  "\"subnet\":[\"10.1.0.0/24\",\"10.2.0.0/24\"]}" },
		{ "network create b -d overlay --mtu 1400 -l a=b -lc=d=e "
		  "-o x=y",
		  "network.create {\"driver\":\"overlay\",\"label\":{\"a\":"
		  "\"b\",\"c\":\"d=e\"},\"mtu\":1400,\"name\":\"b\",\"opt\":{"
		  "\"x\":\"y\"}}" },
		{ "-o json network create b --internal=false",
		  "network.create {\"internal\":false,\"name\":\"b\"}" },
		{ "network -o json ls", "network.list {}" },
		{ "network list -q", "network.list {}" },
		{ "network inspect a/b", "network.inspect {\"name\":\"a/b\"}" },
		{ "network inspect -- -x",
		  "network.inspect {\"name\":\"-x\"}" },
		{ "network delete a b", "network.delete {\"name\":\"a\"}\n"
					"network.delete {\"name\":\"b\"}" },
		{ "network connect --ip 10.0.0.9 blue web --alias w",
		  "network.connect {\"alias\":[\"w\"],\"ip\":\"10.0.0.9\","
		  "\"name\":\"blue\",\"pod\":\"web\"}" },
		{ "network disconnect blue web",
		  "network.disconnect {\"name\":\"blue\",\"pod\":\"web\"}" },
		{ "pod create --network n,ip=10.0.0.2 p --label a=",
		  "pod.create {\"label\":{\"a\":\"\"},\"name\":\"p\","
		  "\"network\":[\"n,ip=10.0.0.2\"]}" },
		{ "pod rm p", "pod.delete {\"name\":\"p\"}" },
		{ "svc create web --port 80:8080 --port 53/udp --selector a=b "
		  "-p 8080:80 --endpoint-mode vip",
		  "service.create {\"endpoint_mode\":\"vip\",\"name\":\"web\","
		  "\"port\":[\"80:8080\",\"53/udp\"],\"publish\":[\"8080:80\"],"
		  "\"selector\":{\"a\":\"b\"}}" },
		{ "service inspect web",
		  "service.inspect "
		  "{\"name\":\"web\",\"network\":\"default\"}" },
		{ "service ps --network blue web",
		  "service.ps {\"name\":\"web\",\"network\":\"blue\"}" },
		{ "service update web --backend-add 1.2.3.4:5 --publish-rm 80",
		  "service.update {\"backend_add\":[\"1.2.3.4:5\"],\"name\":"
		  "\"web\",\"network\":\"default\",\"publish_rm\":[\"80\"]}" },
		{ "service remove web --network blue",
		  "service.delete {\"name\":\"web\",\"network\":\"blue\"}" },
		{ "node ls", "node.list {}" },
		{ "drops", "drops {}" },
		{ "version", "version {}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int code = netctl(cases[i].line);

		if (code != 0)
			fail_msg("%s: exit %d: %s", cases[i].line, code, t.err);
		assert_string_equal(t.asked, cases[i].asked);
		assert_string_equal(t.err, "");
	}
}

static void test_complete(void **state)
{
	static const struct said cases[] = {
		{ "__complete netw", 0, "network\n", NULL },
		{ "__complete network l", 0, "ls\n", NULL },
		{ "__complete net r", 0, "rm\n", NULL },
		{ "__complete dns upstream l", 0, "ls\n", NULL },
		{ "__complete drops --wa", 0, "--watch\n", NULL },
		{ "__complete drops --timeo", 0, "--timeout\n", NULL },
		{ "__complete nothing --", 0, NULL, NULL },
		/* Names that netd knows, once each. */
		{ "__complete network rm b", 0, "blue\n", NULL },
		{ "__complete network rm a b", 0, "blue\n", NULL },
		{ "__complete network rm red", 0, "", NULL },
		{ "__complete network connect blue w", 0, "web-1\n", NULL },
		{ "__complete service rm d", 0, "db\n", NULL },
		{ "__complete service rm --network b", 0, "blue\n", NULL },
		{ "__complete service rm --network red w", 0, "web\n", NULL },
		{ "__complete pod create x --network b", 0, "blue\n", NULL },
		{ "__complete dns query x --from w", 0, "web-1\n", NULL },
		/* What is new has a name of the user's. */
		{ "__complete network create b", 0, "", NULL },
		{ "__complete pod exec web-1 -- w", 0, "", NULL },
		{ "__complete drops b", 0, "", NULL },
		/* A daemon that is not there. */
		{ "__complete -H unix:///nowhere network rm b", 0, "", NULL },
		{ "__complete -H tcp://x network rm b", 0, "", NULL },
		{ "completion tcsh", 2, "", "no shell \"tcsh\"" },
		{ "completion", 2, "", "wants a shell" },
	};

	(void)state;
	check_said(cases, ARRAY_LEN(cases));
	for (size_t i = 0; i < ARRAY_LEN(cases) - 2; i++) {
		netctl(cases[i].line);
		assert_string_equal(t.err, "");
	}
	assert_int_equal(netctl("completion bash"), 0);
	assert_non_null(strstr(t.out, "complete -o default -F _netctl"));
}

static void test_exit_codes(void **state)
{
	static const struct said cases[] = {
		{ "network create blue", 0, "blue\n", NULL },
		{ "network rm a b", 0, "a\nb\n", NULL },
		{ "network connect a b", 0, "", NULL },
		{ "service update web --vip-x", 2, "", "--vip-x" },
		{ "network inspect not_found", 3, "[]\n",
		  "netctl: it is so\nhint: do that\n" },
		{ "network create conflict", 4, "", "it is so" },
		{ "network rm in_use", 4, "", "it is so" },
		{ "network create invalid", 2, "", "it is so" },
		{ "network create forbidden", 6, "", "it is so" },
		{ "network create timeout", 7, "", "it is so" },
		{ "network create unavailable", 1, "", "it is so" },
		{ "network create exhausted", 1, "", "it is so" },
		{ "network create internal", 1, "", "it is so" },
		/* Several names. */
		{ "network rm a not_found b", 8, "a\nb\n", "it is so" },
		{ "pod inspect a not_found", 8, NULL, "it is so" },
		{ "network rm -f a not_found b", 0, "a\nb\n", NULL },
		{ "pod rm -f not_found", 0, "", NULL },
		{ "pod rm --force in_use", 4, "", "it is so" },
		/* Usage. */
		{ "netwrk ls", 2, "", "unknown command" },
		{ "network lss", 2, "", "did you mean \"netctl network ls\"" },
		{ "nework", 2, "", "did you mean \"netctl network\"" },
		{ "network create", 2, "", "wants NAME" },
		{ "network create a b", 2, "", "one word too many" },
		{ "network connect a", 2, "", "wants POD" },
		{ "network create a --mut 3", 2, "", "did you mean --mtu?" },
		{ "network create a --mtu 575", 2, "", "from 576 to 65485" },
		{ "network create a --mtu", 2, "", "wants a value" },
		{ "network create a --internal=maybe", 2, "", "true or false" },
		{ "network create a -l =x", 2, "", "KEY=VALUE" },
		{ "network create a -Z", 2, "", "unknown option -Z" },
		{ "--nope network ls", 2, "", "unknown option --nope" },
		{ "pod create p", 2, "", "wants --network" },
		{ "pod create p --netns-fd 3 --network n", 2, "",
		  "unknown option" },
		{ "-o yaml network ls", 2, "", "no output form \"yaml\"" },
		{ "--color some network ls", 2, "", "no colour mode" },
		{ "-H tcp://a:1 network ls", 2, "", "no socket of netd" },
		{ "pod exec p1", 2, "", "wants a command" },
		{ "pod exec", 2, "", "wants a command" },
		{ "pod exec ../p1 -- true", 2, "", "no pod's name" },
		/* No daemon there. */
		{ "-H unix:///nowhere/netd.sock status", 5, "",
		  "netd is not reachable at unix:///nowhere/netd.sock" },
		{ "-H unix:///nowhere/netd.sock pod rm a b", 5, "",
		  "netd is not reachable" },
	};

	(void)state;
	check_said(cases, ARRAY_LEN(cases));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(cases[i].code == 0 || cases[i].err);
}

static void test_help(void **state)
{
	(void)state;
	assert_int_equal(netctl(""), 0);
	assert_non_null(strstr(t.out, "network create"));
	assert_non_null(strstr(t.out, "--host"));
	assert_int_equal(netctl("network"), 0);
	assert_non_null(strstr(t.out, "network connect"));
	assert_null(strstr(t.out, "pod run"));
	assert_int_equal(netctl("help net create"), 0);
	assert_non_null(strstr(t.out, "netctl network create [OPTIONS] NAME"));
	assert_null(strstr(t.out, "--endpoint-mode"));
	assert_int_equal(netctl("service create -h"), 0);
	assert_non_null(strstr(t.out, "--endpoint-mode vip|dnsrr"));
	assert_int_equal(netctl("pod create --help"), 0);
	assert_null(strstr(t.out, "netns-fd"));
	assert_int_equal(netctl("--version"), 0);
	assert_string_equal(t.out, "netctl " NETD_VERSION "\n");
	assert_string_equal(t.asked, "");
}

static void test_tables(void **state)
{
	static const struct said cases[] = {
		{ "network ls", 0,
		  "NAME VNI SUBNET       VIPS         INTERNAL PODS SERVICES\n"
		  "blue   7 10.64.0.0/16 10.80.0.0/22 no          2        1\n",
		  NULL },
		{ "pod ls", 0,
		  "NAME  NODE STATE ADDRESSES\n"
		  "web-1 n1   up    blue=10.64.0.2,red=10.65.0.2\n",
		  NULL },
		{ "service ls", 0,
		  "NAME NETWORK VIP       MODE  PORTS              PUBLISHED   "
		  "BACKENDS PROBLEMS\n"
		  "web  blue    10.80.0.2 vip   80:8080/tcp,53/udp 8080:80/tcp "
		  "       2 -\n"
		  "db   red     -         dnsrr -                  -           "
		  "       0 n3: 80/tcp held by nginx\n",
		  NULL },
		{ "service ps web", 0,
		  "ADDRESS   POD   NODE STATE SOURCE\n"
		  "10.64.0.3 web-1 n1   up    selector\n",
		  NULL },
		{ "node ls", 0,
		  "NAME STATE AVAILABILITY VTEP      SELF VERSION\n"
		  "n1   up    active       192.0.2.1 yes  1\n",
		  NULL },
		{ "drops", 0,
		  "REASON   PACKETS MEANING\n"
		  "spoof_ip      12 not its address\n",
		  NULL },
		{ "drops --all -q", 0, "spoof_ip\nother\n", NULL },
		{ "network ls -q", 0, "blue\n", NULL },
		{ "service ls -o name", 0, "web\ndb\n", NULL },
		{ "version", 0, "netctl " NETD_VERSION "\nnetd   9.9\n", NULL },
		{ "status -q", 1, "degraded\n", NULL },
		{ "status", 1,
		  "node       n1: degraded\n"
		  "version    1\n"
		  "store      etcd: mirror of revision 41, 3 s old\n"
		  "           refused\n"
		  "nodes      3 up, 0 down\n"
		  "networks   1\npods       2\nservices   1\n"
		  "dns        not running\n"
		  "memory     2.0 MiB\n"
		  "checks     0 of 1 good\n"
		  "  FAIL ip_forward: 0\n"
		  "       hint: sysctl it\n",
		  NULL },
	};

	(void)state;
	check_said(cases, ARRAY_LEN(cases));
	assert_int_equal(netctl("network ls -o wide"), 0);
	assert_non_null(strstr(t.out, "GATEWAY"));
	assert_non_null(strstr(t.out, "a=b"));
	assert_int_equal(netctl("pod ls --color always"), 0);
	assert_non_null(strstr(t.out, "\033["));
}

static void test_json_is_the_reply(void **state)
{
	json_t *said, *sent;

	(void)state;
	assert_int_equal(netctl("service ls -o json"), 0);
	said = json_loads(t.out, 0, NULL);
	sent = canned(API_SERVICE_LIST);
	assert_true(json_equal(said, sent));
	json_decref(said);
	json_decref(sent);
	assert_int_equal(netctl("pod inspect a b"), 0);
	said = json_loads(t.out, 0, NULL);
	assert_int_equal(json_array_size(said), 2);
	json_decref(said);
}

static void test_debug_goes_to_standard_error(void **state)
{
	(void)state;
	assert_int_equal(netctl("-D network create blue"), 0);
	assert_string_equal(t.out, "blue\n");
	assert_non_null(strstr(t.err, "POST /v1/networks"));
	assert_non_null(strstr(t.err, "< 200"));
}

static void test_timeout(void **state)
{
	(void)state;
	t.mute = true;
	assert_int_equal(netctl("--timeout 1 network ls"), 7);
	assert_non_null(strstr(t.err, "did not answer in 1 s"));
}

static void test_no_permission(void **state)
{
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	/* It may look, and it may not connect. */
	assert_int_equal(chmod(t.dir, 0755), 0);
	t.uid = 64742;
	pid = start("network ls");
	assert_int_equal(finish(pid), 6);
	assert_non_null(strstr(t.err, "group netd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_complete),
		TEST(test_exit_codes),
		TEST(test_help),
		TEST(test_tables),
		TEST(test_json_is_the_reply),
		TEST(test_debug_goes_to_standard_error),
		TEST(test_timeout),
		TEST(test_no_permission),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
