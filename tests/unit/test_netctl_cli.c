/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netctl as its users meet it: the program is run against a listener of this
 * test, which notes what it is asked and gives fixed answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ev.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "http.h"
#include "netd/util.h"

static struct {
	char dir[64];
	char path[96];
	struct ev_loop *loop;
	struct http *http;
	/* What was asked: "OP ARGS" lines. */
	char asked[4096];
	/* Whom the program runs as. */
	uid_t uid;
	/* A request to leave without an answer. */
	bool mute;
	/* Inode of the namespace that netns_fd turned out to be. */
	ino_t netns;
	char out[8192], err[8192];
} t;

/* ---- the listener ---- */

static json_t *canned(enum api_op op)
{
	static const char *const replies[API_OP_MAX] = {
		[API_NETWORK_LIST] =
			"[{\"name\":\"blue\",\"vni\":7,\"driver\":\"overlay\","
			"\"subnets\":[\"10.64.0.0/16\"],\"gateway\":\"10.64.0."
			"1\",\"vip_ranges\":[\"10.80.0.0/22\"],\"internal\":"
			"false,\"mtu\":1450,\"labels\":{\"a\":\"b\"},\"pods\":"
			"2,\"services\":1}]",
		[API_POD_LIST] =
			"[{\"name\":\"web-1\",\"id\":\"i1\",\"node\":\"n1\","
			"\"state\":\"up\",\"networks\":[{\"network\":\"blue\","
			"\"ip\":\"10.64.0.2\"},{\"network\":\"red\",\"ip\":"
			"\"10.65.0.2\"}]}]",
		[API_SERVICE_LIST] =
			"[{\"name\":\"web\",\"network\":\"blue\",\"vip\":\"10."
			"80.0.2\",\"mode\":\"vip\",\"ports\":[{\"port\":80,"
			"\"target\":8080,\"protocol\":\"tcp\"},{\"port\":53,"
			"\"target\":53,\"protocol\":\"udp\"}],\"published\":[{"
			"\"published\":8080,\"target\":80,\"protocol\":\"tcp\"}"
			"],\"selector\":{},\"static_backends\":[],\"labels\":{}"
			",\"backends_up\":2,\"problems\":[]},{\"name\":\"db\","
			"\"network\":\"red\",\"vip\":\"\",\"mode\":\"dnsrr\","
			"\"ports\":[],\"published\":[],\"selector\":{},"
			"\"static_backends\":[],\"labels\":{},\"backends_up\":"
			"0,\"problems\":[\"n3: 80/tcp held by nginx\"]}]",
		[API_SERVICE_PS] =
			"[{\"address\":\"10.64.0.3\",\"pod\":\"web-1\","
			"\"node\":\"n1\",\"state\":\"up\",\"source\":"
			"\"selector\"}]",
		[API_NODE_LIST] =
			"[{\"name\":\"n1\",\"vtep\":\"192.0.2.1\","
			"\"addresses\":[],\"state\":\"up\",\"self\":true,"
			"\"availability\":\"active\","
			"\"version\":\"1\"}]",
		[API_DROPS] = "[{\"reason\":\"spoof_ip\",\"packets\":12,"
			      "\"meaning\":\"not its address\"},{\"reason\":"
			      "\"other\",\"packets\":0,\"meaning\":\"none\"}]",
		[API_VERSION] = "{\"version\":\"9.9\"}",
		[API_STATUS] =
			"{\"healthy\":false,\"node\":\"n1\",\"version\":\"1\","
			"\"store\":{\"backend\":\"etcd\",\"state\":\"mirror\","
			"\"revision\":41,\"age_ms\":3200,\"where\":\"\","
			"\"error\":\"refused\"},\"checks\":[{\"name\":"
			"\"ip_forward\",\"ok\":false,\"value\":\"0\",\"hint\":"
			"\"sysctl it\"}],\"nodes\":{\"up\":3,\"down\":0},"
			"\"networks\":1,\"pods\":2,\"services\":1,\"dns_pid\":"
			"0,\"rss_kb\":2048}",
	};

	return replies[op] ? json_loads(replies[op], 0, NULL)
			   : json_pack("{s:s}", "name", "x");
}

static void note(const struct http_request *req)
{
	AUTO(str_freep)
	char *args = json_dumps(req->args, JSON_SORT_KEYS | JSON_COMPACT);
	size_t len = strlen(t.asked);

	snprintf(t.asked + len, sizeof(t.asked) - len, "%s%s %s",
		 len ? "\n" : "", api_ops[req->op].name, args);
}

static void look_at_netns(const struct http_request *req)
{
	json_t *fd = json_object_get(req->args, "netns_fd");
	char path[64];
	struct stat st;

	if (!fd)
		return;
	snprintf(path, sizeof(path), "/proc/%d/fd/%lld", (int)req->peer_pid,
		 json_integer_value(fd));
	t.netns = stat(path, &st) ? 0 : st.st_ino;
	json_object_set_new(req->args, "netns_fd", json_true());
}

static void on_gone(void *arg)
{
	(void)arg;
}

static void handler(void *arg, struct http_request *req)
{
	const char *name =
		json_string_value(json_object_get(req->args, "name"));
	enum api_error error = API_OK;

	(void)arg;
	look_at_netns(req);
	note(req);
	for (int i = 1; name && i < API_ERROR_MAX; i++)
		if (str_eq(api_errors[i].code, name))
			error = (enum api_error)i;
	if (t.mute)
		http_on_gone(req, on_gone, NULL);
	else if (error != API_OK)
		http_reply_error(req, error, "name", "it is so", "do that");
	else
		http_reply(req, 200, canned(req->op));
}

/* ---- the program ---- */

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)w, (void)events;
	ev_break(loop, EVBREAK_ONE);
}

static void turn(double seconds)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, seconds, 0.);
	ev_timer_start(t.loop, &tick);
	ev_run(t.loop, 0);
	ev_timer_stop(t.loop, &tick);
}

static int open_file(const char *name, int flags)
{
	char path[160];
	int fd;

	str_format(path, sizeof(path), "%s/%s", t.dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void slurp(const char *name, char *buf, size_t size)
{
	AUTO(fd_closep) int fd = open_file(name, O_RDONLY);
	ssize_t n = read(fd, buf, size - 1);

	assert_true(n >= 0);
	buf[n] = '\0';
}

/* Splits at spaces; 'one word' in quotes. */
static size_t split(char *line, char **argv, size_t max)
{
	size_t n = 0;

	while (*line && n < max) {
		char end = ' ';

		line += strspn(line, " ");
		if (!*line)
			break;
		if (*line == '\'') {
			end = '\'';
			line++;
		}
		argv[n++] = line;
		line = strchrnul(line, end);
		if (*line)
			*line++ = '\0';
	}
	return n;
}

static pid_t start(const char *line)
{
	AUTO(str_freep) char *copy = xstrdup(line);
	char *argv[32] = { (char *)(uintptr_t) "netctl" };
	char host[160];
	int program;
	pid_t pid;

	split(copy, argv + 1, 30);
	str_format(host, sizeof(host), "unix://%s", t.path);
	*t.asked = '\0';
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(open_file("out", O_WRONLY | O_CREAT | O_TRUNC), 1);
		dup2(open_file("err", O_WRONLY | O_CREAT | O_TRUNC), 2);
		setenv("NETD_HOST", host, 0);
		program = open(PROGRAMS "/netctl", O_RDONLY | O_CLOEXEC);
		/* By descriptor: the folder may be closed to that user. */
		if (!setresuid(t.uid, t.uid, t.uid))
			fexecve(program, argv, environ);
		_exit(125);
	}
	return pid;
}

static int finish(pid_t pid)
{
	int status;

	for (int i = 0; i < 5000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			slurp("out", t.out, sizeof(t.out));
			slurp("err", t.err, sizeof(t.err));
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
		turn(0.002);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -2;
}

static int netctl(const char *line)
{
	return finish(start(line));
}

static int setup(void **state)
{
	char error[256] = "";
	int fd;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.uid = geteuid();
	strcpy(t.dir, "/tmp/netd-netctl-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	str_format(t.path, sizeof(t.path), "%s/netd.sock", t.dir);
	t.loop = ev_loop_new(EVFLAG_AUTO);
	fd = http_listen(t.path, NULL, error, sizeof(error));
	assert_true(fd >= 0);
	assert_int_equal(
		http_open(t.loop, fd, &api_router, handler, NULL, &t.http), 0);
	unsetenv("NETD_HOST");
	return 0;
}

static void remove_file(const char *name)
{
	char path[160];

	str_format(path, sizeof(path), "%s/%s", t.dir, name);
	if (unlink(path) && errno == EISDIR)
		rmdir(path);
}

static int teardown(void **state)
{
	static const char *const names[] = { "out",   "err",	   "netd.sock",
					     "plain", "ns/p1",	   "ns",
					     "mark",  "resolv/p1", "resolv" };

	(void)state;
	http_close(t.http);
	ev_loop_destroy(t.loop);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		remove_file(names[i]);
	rmdir(t.dir);
	return 0;
}

/* ---- what is asked ---- */

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

/* ---- what it says, and how it ends ---- */

struct said {
	const char *line;
	int code;
	const char *out, *err;
};

static void check_said(const struct said *cases, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int code = netctl(cases[i].line);

		if (code != cases[i].code)
			fail_msg("%s: exit %d: %s%s", cases[i].line, code,
				 t.out, t.err);
		if (cases[i].out && !str_eq(t.out, cases[i].out))
			fail_msg("%s: \"%s\" is not \"%s\"", cases[i].line,
				 t.out, cases[i].out);
		if (cases[i].err && !strstr(t.err, cases[i].err))
			fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].line,
				 t.err, cases[i].err);
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

/* ---- pods ---- */

static ino_t own_netns(void)
{
	struct stat st;

	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	return st.st_ino;
}

static void test_create_sends_a_namespace(void **state)
{
	char line[160];

	(void)state;
	snprintf(line, sizeof(line), "pod create p --network n --pid %d",
		 (int)getpid());
	assert_int_equal(netctl(line), 0);
	assert_string_equal(t.asked, "pod.create {\"name\":\"p\",\"netns_fd\":"
				     "true,\"network\":[\"n\"]}");
	assert_int_equal(t.netns, own_netns());
	t.netns = 0;
	assert_int_equal(netctl("pod create p --network n --netns "
				"/proc/self/ns/net"),
			 0);
	assert_int_equal(t.netns, own_netns());
}

static void test_create_refuses_what_is_no_namespace(void **state)
{
	static const struct said cases[] = {
		{ "pod create p --network n --netns /proc/self/ns/mnt", 2, "",
		  "not a network namespace" },
		{ "pod create p --network n --netns /dev/null", 2, "",
		  "not a network namespace" },
		{ "pod create p --network n --netns /nowhere", 3, "",
		  "No such file" },
		{ "pod create p --network n --netns /x --pid 1", 2, "",
		  "say the same" },
		{ "pod create p --network n --pid 0", 2, "", "from 1 to" },
	};

	(void)state;
	check_said(cases, ARRAY_LEN(cases));
	assert_string_equal(t.asked, "");
}

/*
 * A pod "p1" as netd leaves it: ns/p1 and resolv/p1 by the socket. In a mount
 * namespace of the test's own, which ends with it.
 */
static ino_t make_pod(void)
{
	char path[160], here[64];
	struct stat st;
	int old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	str_format(path, sizeof(path), "%s/ns", t.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	str_format(path, sizeof(path), "%s/resolv", t.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	str_format(path, sizeof(path), "%s/resolv/p1", t.dir);
	assert_int_equal(file_write(path, 0644, "nameserver 192.0.2.53\n"), 0);
	close(open_file("ns/p1", O_CREAT | O_WRONLY));
	str_format(path, sizeof(path), "%s/ns/p1", t.dir);
	str_format(here, sizeof(here), "/proc/%d/ns/net", (int)getpid());
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(mount(here, path, NULL, MS_BIND, NULL), 0);
	assert_int_equal(setns(old, CLONE_NEWNET), 0);
	close(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_not_equal(st.st_ino, own_netns());
	return st.st_ino;
}

static void drop_pod(void)
{
	char path[160];

	str_format(path, sizeof(path), "%s/ns/p1", t.dir);
	umount2(path, MNT_DETACH);
}

static void test_exec(void **state)
{
	static const struct said cases[] = {
		{ "pod exec p1 -- cat /etc/resolv.conf", 0,
		  "nameserver 192.0.2.53\n", NULL },
		{ "pod exec p1 -- sh -c 'exit 42'", 42, "", NULL },
		{ "pod exec p1 echo -n a -q", 0, "a -q", NULL },
		{ "pod exec p1 -- /nowhere/at-all", 127, "", "No such file" },
		{ "pod exec p1 -- /etc/passwd", 126, "", "Permission denied" },
		{ "pod exec p2 -- true", 3, "", "no pod \"p2\"" },
	};
	char expected[64];
	ino_t ns;

	(void)state;
	if (geteuid() != 0)
		skip();
	ns = make_pod();
	check_said(cases, ARRAY_LEN(cases));
	assert_string_equal(t.asked, "");
	assert_int_equal(netctl("pod exec p1 -- readlink /proc/self/ns/net"),
			 0);
	snprintf(expected, sizeof(expected), "net:[%lu]\n", (unsigned long)ns);
	assert_string_equal(t.out, expected);
	drop_pod();
}

/* A host without resolv.conf, and one whose link points nowhere. */
static void test_exec_without_resolv_conf(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make_pod();
	assert_int_equal(mount("none", "/etc", "tmpfs", 0, "size=64k"), 0);
	assert_int_equal(file_write("/etc/other", 0644, "still there\n"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(netctl("pod exec p1 -- cat /etc/resolv.conf "
					"/etc/other"),
				 0);
		assert_string_equal(t.out,
				    "nameserver 192.0.2.53\nstill there\n");
		assert_int_equal(symlink("../run/no/where", "/etc/resolv.conf"),
				 i ? -1 : 0);
	}
	/* The host's own folder is as it was. */
	assert_int_not_equal(access("/etc/resolv.conf", F_OK), 0);
	umount2("/etc", MNT_DETACH);
	drop_pod();
}

static void test_run(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make_pod();
	assert_int_equal(netctl("pod run --rm p1 --network n -- sh -c "
				"'cat /etc/resolv.conf; exit 5'"),
			 5);
	assert_string_equal(t.out, "nameserver 192.0.2.53\n");
	assert_string_equal(t.asked,
			    "pod.create {\"name\":\"p1\",\"network\":[\"n\"]}\n"
			    "pod.delete {\"name\":\"p1\"}");
	assert_int_equal(netctl("pod run p1 --network n -- true"), 0);
	assert_string_equal(t.asked,
			    "pod.create {\"name\":\"p1\",\"network\":[\"n\"]}");
	assert_int_equal(netctl("pod run conflict --network n -- true"), 4);
	assert_int_equal(netctl("pod run p1 --network n"), 2);
	assert_string_equal(t.asked, "");
	assert_int_equal(netctl("pod run p1 --network n -- sh -c "
				"'kill -9 $$'"),
			 137);
	drop_pod();
}

static void test_run_passes_signals_on(void **state)
{
	char line[256], mark[160];
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	make_pod();
	str_format(mark, sizeof(mark), "%s/mark", t.dir);
	snprintf(line, sizeof(line),
		 "pod run --rm p1 --network n -- sh -c 'trap \"exit 9\" TERM; "
		 ": >%s; while :; do sleep 0.05; done'",
		 mark);
	pid = start(line);
	for (int i = 0; i < 1000 && access(mark, F_OK); i++)
		turn(0.005);
	assert_int_equal(access(mark, F_OK), 0);
	kill(pid, SIGTERM);
	assert_int_equal(finish(pid), 9);
	assert_non_null(strstr(t.asked, "pod.delete"));
	drop_pod();
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_exit_codes),
		TEST(test_help),
		TEST(test_tables),
		TEST(test_json_is_the_reply),
		TEST(test_debug_goes_to_standard_error),
		TEST(test_complete),
		TEST(test_timeout),
		TEST(test_no_permission),
		TEST(test_create_sends_a_namespace),
		TEST(test_create_refuses_what_is_no_namespace),
		TEST(test_exec),
		TEST(test_exec_without_resolv_conf),
		TEST(test_run),
		TEST(test_run_passes_signals_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
