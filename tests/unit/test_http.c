/* SPDX-License-Identifier: Apache-2.0 */
/* The listener against clients of every kind, over a socket of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ev.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "http.h"
#include "loop_wait.h"
#include "http_args.h"
#include "netd/util.h"

static struct {
	char dir[64];
	char path[128];
	struct ev_loop *loop;
	struct http *http;
	/* What the handler saw last. */
	unsigned int calls;
	enum api_op op;
	json_t *args;
	pid_t pid;
	uid_t uid;
	/* The handler keeps the request instead of answering it. */
	bool hold;
	struct http_request *held;
	unsigned int gone;
} t;

static const char a_request[] = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n";

static void on_gone(void *arg)
{
	(void)arg;
	t.gone++;
	t.held = NULL;
}

static void handler(void *arg, struct http_request *req)
{
	(void)arg;
	t.calls++;
	t.op = req->op;
	t.pid = req->peer_pid;
	t.uid = req->peer_uid;
	json_decref(t.args);
	t.args = json_deep_copy(req->args);
	if (t.hold) {
		t.held = req;
		http_on_gone(req, on_gone, NULL);
		return;
	}
	if (req->op == API_NODE_LIST) {
		http_reply_error(req, API_NOT_FOUND, "name", "no such", "look");
		return;
	}
	http_reply(req, 200, json_pack("{s:s}", "op", api_ops[req->op].name));
}

/* Runs the loop for a moment. */
static void turn(double seconds)
{
	loop_turn(t.loop, seconds);
}

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(str_copy(addr.sun_path, sizeof(addr.sun_path), t.path));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

struct answer {
	int status;
	char text[4096];
	json_t *body;
};

/* Sends while the loop runs; a broken pipe is the listener's right. */
static void say(int fd, const char *data, size_t len)
{
	for (int i = 0; len && i < 1000; i++) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
		turn(0.001);
	}
}

static bool whole(const char *text)
{
	const char *body = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "content-length: ");

	return body && length &&
	       strlen(body + 4) >= strtoul(length + 16, NULL, 10);
}

/* Reads one answer; status 0 when there was none within the time. */
static struct answer hear(int fd, double seconds)
{
	struct answer a = { 0 };
	size_t len = 0;
	const char *body;

	for (double waited = 0; waited < seconds; waited += 0.002) {
		ssize_t n = recv(fd, a.text + len, sizeof(a.text) - 1 - len, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			len += (size_t)n;
		if (whole(a.text))
			break;
		turn(0.002);
	}
	sscanf(a.text, "HTTP/1.%*c %d", &a.status);
	body = strstr(a.text, "\r\n\r\n");
	if (body)
		a.body = json_loads(body + 4, 0, NULL);
	return a;
}

static struct answer ask_as_is(const char *text, size_t len)
{
	AUTO(fd_closep) int fd = dial();

	say(fd, text, len);
	return hear(fd, 3);
}

static struct answer ask(const char *method, const char *path, const char *body)
{
	AUTO(str_freep)
	char *text = xasprintf("%s %s HTTP/1.1\r\nHost: netd\r\n"
			       "Content-Length: %zu\r\n\r\n%s",
			       method, path, strlen(body), body);

	return ask_as_is(text, strlen(text));
}

static const char *field(const struct answer *a, const char *name)
{
	const char *text = json_string_value(json_object_get(a->body, name));

	return text ? text : "(none)";
}

static int setup(void **state)
{
	char error[256] = "";
	int fd;

	(void)state;
	memset(&t, 0, sizeof(t));
	strcpy(t.dir, "/tmp/netd-http-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	str_format(t.path, sizeof(t.path), "%s/sock", t.dir);
	t.loop = ev_loop_new(EVFLAG_AUTO);
	fd = http_listen(t.path, NULL, error, sizeof(error));
	assert_true(fd >= 0);
	assert_int_equal(
		http_open(t.loop, fd, &api_router, handler, NULL, &t.http), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_close(t.http);
	json_decref(t.args);
	ev_loop_destroy(t.loop);
	unlink(t.path);
	rmdir(t.dir);
	return 0;
}

/* What is asked, and how it ends. */
static const struct {
	const char *method, *path, *body;
	int status;
	const char *code, *field;
} requests[] = {
	{ "GET", "/v1/networks", "", 200, NULL, NULL },
	{ "GET", "/v1/networks", "{}", 200, NULL, NULL },
	{ "GET", "/v1/networks/blue", "", 200, NULL, NULL },
	{ "DELETE", "/v1/pods/a.B", "", 200, NULL, NULL },
	{ "POST", "/v1/networks", "{\"name\":\"b\",\"mtu\":1400}", 200, NULL,
	  NULL },
	{ "POST", "/v1/networks/b/connect", "{\"pod\":\"p\"}", 200, NULL,
	  NULL },
	{ "PATCH", "/v1/services/n/s",
	  "{\"selector\":{\"a\":\"b\"},\"port_add\":[\"80\"]}", 200, NULL,
	  NULL },
	/* The handler's own refusal. */
	{ "GET", "/v1/nodes", "", 404, "not_found", "name" },
	/* Nobody's path; another method's. */
	{ "GET", "/", "", 404, "not_found", "" },
	{ "GET", "/v1/network", "", 404, "not_found", "" },
	{ "GET", "/v1/networks/", "", 404, "not_found", "" },
	{ "GET", "/v1/networks/a/b", "", 404, "not_found", "" },
	{ "PUT", "/v1/networks", "{}", 405, "invalid", "" },
	{ "POST", "/v1/status", "{}", 405, "invalid", "" },
	/* Escapes. */
	{ "GET", "/v1/networks/%00", "", 400, "invalid", "name" },
	{ "GET", "/v1/networks/%zz", "", 400, "invalid", "name" },
	{ "GET", "/v1/networks/%ff", "", 400, "invalid", "name" },
	{ "GET", "/v1/networks/a%2", "", 400, "invalid", "name" },
	{ "GET", "/v1/networks?x=1", "", 400, "invalid", "" },
	/* Not JSON, or not such JSON. */
	{ "POST", "/v1/networks", "{", 400, "invalid", "" },
	{ "POST", "/v1/networks", "nonsense", 400, "invalid", "" },
	{ "POST", "/v1/networks", "[]", 400, "invalid", "" },
	{ "POST", "/v1/networks", "{} x", 400, "invalid", "" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"name\":\"b\"}", 400,
	  "invalid", "" },
	{ "POST", "/v1/networks", "{\"name\":\"\xff\"}", 400, "invalid", "" },
	/* Not these fields. */
	{ "POST", "/v1/networks", "{}", 400, "invalid", "name" },
	{ "POST", "/v1/networks", "", 400, "invalid", "name" },
	{ "POST", "/v1/networks", "{\"name\":1}", 400, "invalid", "name" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"subnets\":[]}", 400,
	  "invalid", "subnets" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"subnet\":\"x\"}", 400,
	  "invalid", "subnet" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"subnet\":[1]}", 400,
	  "invalid", "subnet" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"internal\":\"yes\"}", 400,
	  "invalid", "internal" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"label\":[\"x\"]}", 400,
	  "invalid", "label" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"label\":{\"x\":1}}", 400,
	  "invalid", "label" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"mtu\":575}", 400,
	  "invalid", "mtu" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"mtu\":65486}", 400,
	  "invalid", "mtu" },
	{ "POST", "/v1/networks", "{\"name\":\"a\",\"mtu\":1e3}", 400,
	  "invalid", "mtu" },
	{ "POST", "/v1/networks",
	  "{\"name\":\"a\",\"mtu\":99999999999999999999}", 400, "invalid", "" },
	{ "POST", "/v1/networks/b/connect", "{\"pod\":\"p\",\"name\":\"c\"}",
	  400, "invalid", "name" },
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		unsigned int before = t.calls;
		struct answer a = ask(requests[i].method, requests[i].path,
				      requests[i].body);

		if (a.status != requests[i].status)
			fail_msg("%s %s %s: %s", requests[i].method,
				 requests[i].path, requests[i].body, a.text);
		if (requests[i].code) {
			assert_string_equal(field(&a, "code"),
					    requests[i].code);
			assert_string_equal(field(&a, "field"),
					    requests[i].field);
			assert_true(strlen(field(&a, "message")) > 3);
			assert_non_null(json_object_get(a.body, "hint"));
		}
		if (requests[i].status != 200 &&
		    !str_eq(requests[i].path, "/v1/nodes"))
			assert_int_equal(t.calls, before);
		json_decref(a.body);
	}
}

static void test_request_content(void **state)
{
	struct answer a = ask("GET", "/v1/services/n%41/w%2Feb", "");

	(void)state;
	assert_int_equal(a.status, 200);
	assert_int_equal(t.op, API_SERVICE_INSPECT);
	assert_string_equal(
		json_string_value(json_object_get(t.args, "network")), "nA");
	assert_string_equal(json_string_value(json_object_get(t.args, "name")),
			    "w/eb");
	assert_int_equal(t.pid, getpid());
	assert_int_equal(t.uid, geteuid());
	json_decref(a.body);
}

static void test_hint_names_the_field_that_was_meant(void **state)
{
	struct answer a =
		ask("POST", "/v1/networks", "{\"name\":\"a\",\"subnets\":[]}");

	(void)state;
	assert_string_equal(field(&a, "hint"), "did you mean \"subnet\"?");
	json_decref(a.body);
}

static void test_allow_header(void **state)
{
	struct answer a = ask("PUT", "/v1/networks/x", "");

	(void)state;
	assert_int_equal(a.status, 405);
	assert_non_null(strstr(a.text, "Allow: GET, DELETE"));
	json_decref(a.body);
}

static void test_chunked(void **state)
{
	static const char text[] = "POST /v1/networks HTTP/1.1\r\nHost: x\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n"
				   "8\r\n{\"name\":\r\n5\r\n\"a\" }\r\n"
				   "0\r\n\r\n";
	struct answer a = ask_as_is(text, sizeof(text) - 1);

	(void)state;
	assert_int_equal(a.status, 200);
	assert_int_equal(t.op, API_NETWORK_CREATE);
	json_decref(a.body);
}

static void test_two_requests_on_a_connection(void **state)
{
	static const char text[] = "GET /v1/pods HTTP/1.1\r\nHost: x\r\n\r\n";
	AUTO(fd_closep) int fd = dial();

	(void)state;
	for (unsigned int i = 1; i <= 2; i++) {
		struct answer a;

		say(fd, text, sizeof(text) - 1);
		a = hear(fd, 3);
		assert_int_equal(a.status, 200);
		assert_int_equal(t.calls, i);
		json_decref(a.body);
	}
}

static char *repeat(const char *unit, size_t times)
{
	size_t len = strlen(unit);
	char *out = xzalloc(len * times + 1);

	for (size_t i = 0; i < times; i++)
		memcpy(out + i * len, unit, len);
	return out;
}

static void test_too_large(void **state)
{
	AUTO(str_freep) char *more = repeat("x", API_BODY_MAX + 1);
	AUTO(str_freep)
	char *chunked = xasprintf("POST /v1/pods HTTP/1.1\r\nHost: x\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n"
				  "%zx\r\n%s\r\n0\r\n\r\n",
				  strlen(more), more);
	struct answer a = ask("POST", "/v1/pods", more);

	(void)state;
	assert_int_equal(a.status, 413);
	assert_string_equal(field(&a, "code"), "too_large");
	json_decref(a.body);
	a = ask_as_is(chunked, strlen(chunked));
	assert_int_equal(a.status, 413);
	json_decref(a.body);
	assert_int_equal(t.calls, 0);
}

static void test_shapes_that_would_cost_memory(void **state)
{
	AUTO(str_freep) char *deep = repeat("[", 10000);
	AUTO(str_freep) char *wide = repeat("0,", 500000);
	AUTO(str_freep) char *array = xasprintf("{\"name\":[%s0]}", wide);
	AUTO(str_freep) char *quoted = repeat("[,", 40000);
	AUTO(str_freep)
	char *innocent = xasprintf("{\"name\":\"a\\\"%s\"}", quoted);
	struct answer a = ask("POST", "/v1/networks", deep);

	(void)state;
	assert_int_equal(a.status, 400);
	assert_non_null(strstr(field(&a, "message"), "nested"));
	json_decref(a.body);
	a = ask("POST", "/v1/networks", array);
	assert_int_equal(a.status, 413);
	json_decref(a.body);
	a = ask("POST", "/v1/networks", innocent);
	assert_int_equal(a.status, 200);
	json_decref(a.body);
}

static void test_headers_have_an_end(void **state)
{
	AUTO(str_freep) char *many = repeat("X-Fill: 0123456789\r\n", 5000);
	AUTO(str_freep)
	char *text = xasprintf("GET /v1/pods HTTP/1.1\r\n%s\r\n", many);
	struct answer a = ask_as_is(text, strlen(text));

	(void)state;
	assert_true(a.status == 0 || a.status >= 400);
	assert_int_equal(t.calls, 0);
	json_decref(a.body);
}

static void test_reply_later(void **state)
{
	AUTO(fd_closep) int fd = dial();
	struct answer a;

	(void)state;
	t.hold = true;
	say(fd, a_request, strlen(a_request));
	turn(0.05);
	assert_non_null(t.held);
	/* Others are served meanwhile. */
	t.hold = false;
	a = ask("GET", "/v1/pods", "");
	assert_int_equal(a.status, 200);
	json_decref(a.body);
	http_reply(t.held, 201, json_pack("{s:b}", "late", 1));
	a = hear(fd, 3);
	assert_int_equal(a.status, 201);
	assert_true(json_is_true(json_object_get(a.body, "late")));
	json_decref(a.body);
	assert_int_equal(t.gone, 0);
}

static void test_client_leaves(void **state)
{
	int fd = dial();

	(void)state;
	t.hold = true;
	say(fd, a_request, strlen(a_request));
	turn(0.05);
	assert_non_null(t.held);
	close(fd);
	for (int i = 0; i < 100 && !t.gone; i++)
		turn(0.01);
	assert_int_equal(t.gone, 1);
	for (int i = 0; i < 100 && http_connections(t.http); i++)
		turn(0.01);
	assert_int_equal(http_connections(t.http), 0);
}

/* shutdown(SHUT_WR) ends the request's side only: the answer still goes out. */
static void test_client_half_closes(void **state)
{
	AUTO(fd_closep) int fd = dial();
	struct answer a;

	(void)state;
	t.hold = true;
	say(fd, a_request, strlen(a_request));
	turn(0.05);
	assert_non_null(t.held);
	shutdown(fd, SHUT_WR);
	turn(0.7);
	assert_int_equal(t.gone, 0);
	http_reply(t.held, 200, json_object());
	a = hear(fd, 3);
	assert_int_equal(a.status, 200);
	json_decref(a.body);
}

static void test_client_half_closes_then_leaves(void **state)
{
	int fd = dial();

	(void)state;
	t.hold = true;
	say(fd, a_request, strlen(a_request));
	turn(0.05);
	shutdown(fd, SHUT_WR);
	turn(0.1);
	close(fd);
	for (int i = 0; i < 200 && !t.gone; i++)
		turn(0.01);
	assert_int_equal(t.gone, 1);
}

static void test_close_tells_those_who_wait(void **state)
{
	AUTO(fd_closep) int fd = dial();

	(void)state;
	t.hold = true;
	say(fd, a_request, strlen(a_request));
	turn(0.05);
	assert_non_null(t.held);
	http_close(take_ptr(t.http));
	assert_int_equal(t.gone, 1);
}

/* One byte a second is silence too. */
static void test_slow_clients_are_closed(void **state)
{
	AUTO(fd_closep) int silent = dial();
	AUTO(fd_closep) int drip = dial();
	struct pollfd p[2] = { { .fd = silent, .events = POLLIN },
			       { .fd = drip, .events = POLLIN } };
	int64_t start = mono_ms();
	char c;

	(void)state;
	while (mono_ms() - start < (HTTP_SILENCE_S - 1) * 1000) {
		send(drip, "G", 1, MSG_NOSIGNAL);
		turn(0.5);
	}
	assert_int_equal(poll(p, 2, 0), 0);
	turn(2.5);
	assert_int_equal(recv(silent, &c, 1, 0), 0);
	assert_true(recv(drip, &c, 1, 0) <= 0);
	assert_int_equal(poll(p, 2, 0), 2);
	assert_int_equal(http_connections(t.http), 0);
}

/* Connects as somebody who is not root. */
static int dial_as_nobody(void)
{
	int fd;

	assert_int_equal(seteuid(64742), 0);
	fd = dial();
	assert_int_equal(seteuid(0), 0);
	return fd;
}

static void test_three_hundred_connections(void **state)
{
	int fds[300];
	size_t full = HTTP_CONNECTIONS_MAX - HTTP_CONNECTIONS_ROOT;
	struct answer a;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(t.dir, 0755), 0);
	assert_int_equal(chmod(t.path, 0666), 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial_as_nobody();
		turn(0.001);
	}
	turn(0.05);
	assert_int_equal(http_connections(t.http), full);
	a = hear(fds[ARRAY_LEN(fds) - 1], 1);
	assert_int_equal(a.status, 503);
	json_decref(a.body);

	/* Root finds a place, as those who are in are served. */
	a = ask("GET", "/v1/status", "");
	assert_int_equal(a.status, 200);
	json_decref(a.body);
	say(fds[0], a_request, strlen(a_request));
	a = hear(fds[0], 3);
	assert_int_equal(a.status, 200);
	json_decref(a.body);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	for (int i = 0; i < 100 && http_connections(t.http); i++)
		turn(0.01);
	assert_int_equal(http_connections(t.http), 0);
}

/* A full descriptor table neither spins the loop nor ends the service. */
static void test_no_descriptors_left(void **state)
{
	struct rlimit old, none;
	AUTO(fd_closep) int fd = dial();
	struct answer a;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ (rlim_t)fd, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turn(0.25);
	assert_int_equal(http_connections(t.http), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	turn(0.25);
	assert_int_equal(http_connections(t.http), 1);
	say(fd, a_request, strlen(a_request));
	a = hear(fd, 3);
	assert_int_equal(a.status, 200);
	json_decref(a.body);
}

static void test_listen_refuses(void **state)
{
	char path[160], error[256] = "";
	AUTO(fd_closep) int file = -1;
	struct stat st;

	(void)state;
	/* The one of this test is alive. */
	assert_int_equal(http_listen(t.path, NULL, error, sizeof(error)),
			 -EADDRINUSE);
	assert_non_null(strstr(error, t.path));
	assert_int_equal(lstat(t.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	str_format(path, sizeof(path), "%s/other", t.dir);
	assert_int_equal(symlink(t.path, path), 0);
	assert_int_equal(http_listen(path, NULL, error, sizeof(error)), -ELOOP);
	unlink(path);
	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(http_listen(path, NULL, error, sizeof(error)),
			 -EEXIST);
	unlink(path);
	assert_int_equal(chmod(t.dir, 0777), 0);
	assert_int_equal(http_listen(path, NULL, error, sizeof(error)), -EPERM);
	assert_int_equal(chmod(t.dir, 0700), 0);
	assert_int_equal(http_listen("/nowhere/at/all", NULL, error,
				     sizeof(error)),
			 -ENOENT);
}

static void test_listen_replaces_what_nobody_serves(void **state)
{
	char path[160], error[256] = "";
	struct stat st;
	int fd;

	(void)state;
	str_format(path, sizeof(path), "%s/other", t.dir);
	fd = http_listen(path, "no-such-group", error, sizeof(error));
	assert_true(fd >= 0);
	close(fd);
	fd = http_listen(path, "daemon", error, sizeof(error));
	assert_true(fd >= 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, geteuid() ? 0600 : 0660);
	close(fd);
	unlink(path);
}

static void test_open_refuses_what_does_not_listen(void **state)
{
	struct http *http;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(http_open(t.loop, pair[0], &api_router, handler, NULL,
				   &http),
			 -EINVAL);
	close(pair[1]);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_request_content),
		TEST(test_hint_names_the_field_that_was_meant),
		TEST(test_allow_header),
		TEST(test_chunked),
		TEST(test_two_requests_on_a_connection),
		TEST(test_too_large),
		TEST(test_shapes_that_would_cost_memory),
		TEST(test_headers_have_an_end),
		TEST(test_reply_later),
		TEST(test_client_leaves),
		TEST(test_client_half_closes),
		TEST(test_client_half_closes_then_leaves),
		TEST(test_close_tells_those_who_wait),
		TEST(test_slow_clients_are_closed),
		TEST(test_three_hundred_connections),
		TEST(test_no_descriptors_left),
		TEST(test_listen_refuses),
		TEST(test_listen_replaces_what_nobody_serves),
		TEST(test_open_refuses_what_does_not_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
