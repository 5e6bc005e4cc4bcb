/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netctl_run - netctl is run against a listener of the test's, which notes what
 * it is asked and gives fixed answers.
 */
#pragma once

#include "cm.h"

#include <ev.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "http.h"
#include "loop_wait.h"
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

static inline json_t *canned(enum api_op op)
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

static inline void note(const struct http_request *req)
{
	AUTO(str_freep)
	char *args = json_dumps(req->args, JSON_SORT_KEYS | JSON_COMPACT);
	size_t len = strlen(t.asked);

	snprintf(t.asked + len, sizeof(t.asked) - len, "%s%s %s",
		 len ? "\n" : "", api_ops[req->op].name, args);
}

static inline void look_at_netns(const struct http_request *req)
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

static inline void on_gone(void *arg)
{
	(void)arg;
}

static inline void handler(void *arg, struct http_request *req)
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

static inline void turn(double seconds)
{
	loop_turn(t.loop, seconds);
}

static inline int open_file(const char *name, int flags)
{
	char path[160];
	int fd;

	str_format(path, sizeof(path), "%s/%s", t.dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static inline void slurp(const char *name, char *buf, size_t size)
{
	AUTO(fd_closep) int fd = open_file(name, O_RDONLY);
	ssize_t n = read(fd, buf, size - 1);

	assert_true(n >= 0);
	buf[n] = '\0';
}

/* Splits at spaces; 'one word' in quotes. */
static inline size_t split(char *line, char **argv, size_t max)
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

static inline pid_t start(const char *line)
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

static inline int finish(pid_t pid)
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

static inline int netctl(const char *line)
{
	return finish(start(line));
}

static inline int setup(void **state)
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

static inline void remove_file(const char *name)
{
	char path[160];

	str_format(path, sizeof(path), "%s/%s", t.dir, name);
	if (unlink(path) && errno == EISDIR)
		rmdir(path);
}

static inline int teardown(void **state)
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

struct said {
	const char *line;
	int code;
	const char *out, *err;
};

static inline void check_said(const struct said *cases, size_t len)
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
