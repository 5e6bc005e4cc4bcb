/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a server of few words: one process per connection. */
#include "loop_wait.h"

#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "fetch.h"
#include "tcp_proxy.h"

struct fixture {
	struct ev_loop *loop;
	struct fetch *fetch;
	uint16_t port;
	char *socket;
	pid_t servers[2];
};

/* One call and what came of it. */
struct asked {
	struct fixture *f;
	struct fetch_call *call;
	bool is_inside, is_done;
	int err, status;
	char error[256];
	char body[256];
	uint32_t lines;
	char text[256];
	/* Cancelled from inside the callback of this line. */
	uint32_t cancel_at;
};

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		_exit(0);
}

static void say_slowly(int fd)
{
	say(fd, "HTTP/1.1 200 OK\r\n\r\none\ntw");
	/* So that the line comes in two pieces. */
	usleep(50000);
	say(fd, "o\n\nfour\nrest");
}

static void say_for_ever(int fd)
{
	say(fd, "HTTP/1.1 200 OK\r\n\r\n");
	for (;;) {
		say(fd, "tick\ntock\n");
		usleep(10000);
	}
}

static void say_large(int fd)
{
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
	for (int i = 0; i < 2000; i++)
		say(fd, "0123456789");
}

static void say_body(int fd, const char *body)
{
	dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(body), body);
}

static void answer(int fd, const char *head, const char *body)
{
	if (str_after(head, "GET /hello "))
		say_body(fd, "hi");
	else if (str_after(head, "POST /echo "))
		say_body(fd, body);
	else if (str_after(head, "DELETE /echo "))
		say_body(fd, "deleted");
	else if (str_after(head, "GET /header "))
		say_body(fd, strstr(head, "X-Word: seven") ? "yes" : "no");
	else if (str_after(head, "GET /pid "))
		dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n%7d",
			getpid());
	else if (str_after(head, "GET /lines "))
		say_slowly(fd);
	else if (str_after(head, "GET /ticks "))
		say_for_ever(fd);
	else if (str_after(head, "GET /large "))
		say_large(fd);
	else if (str_after(head, "GET /silent "))
		pause();
	else if (!str_after(head, "GET /drop "))
		say(fd,
		    "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
}

/* Until a stream or a dropped connection: those end with the process. */
static void serve(int fd)
{
	char head[4096];
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, head + len, sizeof(head) - 1 - len);
		char *body, *size;

		if (n <= 0)
			_exit(0);
		len += (size_t)n;
		head[len] = 0;
		body = strstr(head, "\r\n\r\n");
		if (!body)
			continue;
		body += 4;
		size = strstr(head, "Content-Length: ");
		if (size && strlen(body) < strtoul(size + 16, NULL, 10))
			continue;
		answer(fd, head, body);
		if (strstr(head, "/lines ") || strstr(head, "/drop "))
			_exit(0);
		len = 0;
	}
}

static pid_t server_start(int listener)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setpgid(0, 0);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && !fork())
			serve(fd);
		close(fd);
	}
}

static int unix_listen(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(str_copy(addr.sun_path, sizeof(addr.sun_path), path));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = xzalloc(sizeof(*f));
	int fds[2];

	f->socket = xasprintf("/tmp/netd-fetch-%d", getpid());
	fds[0] = loopback_listen(0, &f->port);
	assert_true(fds[0] >= 0);
	fds[1] = unix_listen(f->socket);
	for (int i = 0; i < 2; i++) {
		f->servers[i] = server_start(fds[i]);
		/* Both sides say it, so that the group is there in time. */
		setpgid(f->servers[i], f->servers[i]);
		close(fds[i]);
	}
	f->loop = ev_loop_new(0);
	assert_int_equal(fetch_open(f->loop, NULL, &f->fetch), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fetch_close(f->fetch);
	for (int i = 0; i < 2; i++) {
		kill(-f->servers[i], SIGKILL);
		waitpid(f->servers[i], NULL, 0);
	}
	unlink(f->socket);
	free(f->socket);
	ev_loop_destroy(f->loop);
	free(f);
	return 0;
}

static void on_line(void *arg, const char *line, size_t len)
{
	struct asked *a = arg;

	assert_false(a->is_inside);
	assert_int_equal(strlen(line), len);
	a->lines++;
	if (a->lines < 10) {
		strcat(a->text, line);
		strcat(a->text, "|");
	}
	if (a->lines == a->cancel_at)
		fetch_cancel(a->call);
}

static void on_end(void *arg, const struct fetch_reply *reply)
{
	struct asked *a = arg;

	assert_false(a->is_inside);
	assert_false(a->is_done);
	a->is_done = true;
	a->err = reply->err;
	a->status = reply->status;
	snprintf(a->error, sizeof(a->error), "%s", reply->error);
	snprintf(a->body, sizeof(a->body), "%s", reply->body);
	assert_int_equal(reply->body[reply->len], 0);
	/* Of a call that ended: without effect, and without harm. */
	fetch_cancel(a->call);
}

static int start(struct asked *a, struct fixture *f,
		 const struct fetch_request *like, const char *path)
{
	AUTO(str_freep)
	char *url = xasprintf("http://127.0.0.1:%u%s", f->port, path);
	struct fetch_request req = *like;
	int err;

	a->f = f;
	req.url = url;
	req.max = req.max ? req.max : 1000;
	req.done = on_end;
	req.arg = a;
	a->is_inside = true;
	err = fetch_start(f->fetch, &req, &a->call);
	a->is_inside = false;
	return err;
}

static struct asked ask(struct fixture *f, const struct fetch_request *like,
			const char *path)
{
	struct asked a = { 0 };

	assert_int_equal(start(&a, f, like, path), 0);
	wait_for(f->loop, a.is_done, 5000);
	return a;
}

static const char *const word_headers[] = { "X-Word: seven", NULL };

static void test_requests(void **state)
{
	struct fixture *f = *state;
	const struct {
		struct fetch_request like;
		const char *path;
		int status;
		const char *body;
	} cases[] = {
		{ { 0 }, "/hello", 200, "hi" },
		{ { .body = "{\"a\":1}" }, "/echo", 200, "{\"a\":1}" },
		{ { .body = "" }, "/echo", 200, "" },
		{ { .method = "DELETE" }, "/echo", 200, "deleted" },
		{ { 0 }, "/header", 200, "no" },
		{ { .headers = word_headers }, "/header", 200, "yes" },
		{ { 0 }, "/none", 404, "no" },
		{ { .unix_path = f->socket }, "/hello", 200, "hi" },
		{ { .max = 20000 }, "/hello", 200, "hi" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct asked a = ask(f, &cases[i].like, cases[i].path);

		assert_int_equal(a.err, 0);
		assert_string_equal(a.error, "");
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(a.body, cases[i].body);
	}
}

static void test_failures(void **state)
{
	struct fixture *f = *state;
	const struct {
		struct fetch_request like;
		const char *path;
		int err;
		const char *words;
	} cases[] = {
		{ { .timeout_ms = 200 },
		  "/silent",
		  -ETIMEDOUT,
		  "no answer within 200 ms" },
		{ { 0 }, "/drop", -ECONNRESET, "Empty reply" },
		{ { .max = 19999 },
		  "/large",
		  -EMSGSIZE,
		  "answer larger than 19999 bytes" },
		{ { .unix_path = "/nonexistent/socket" },
		  "/hello",
		  -ECONNREFUSED,
		  "no such file or directory" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct asked a = ask(f, &cases[i].like, cases[i].path);

		assert_int_equal(a.err, cases[i].err);
		assert_non_null(strstr(a.error, cases[i].words));
	}
}

static void test_refused_in_words(void **state)
{
	struct fixture *f = *state;
	struct asked a;

	f->port = free_port();
	a = ask(f, &(struct fetch_request){ 0 }, "/hello");
	assert_int_equal(a.err, -ECONNREFUSED);
	assert_string_equal(a.error, "connection refused");
}

static void test_other_protocols_are_refused(void **state)
{
	struct fixture *f = *state;
	struct asked a = { .f = f };
	struct fetch_request req = {
		.url = "file:///etc/hostname",
		.max = 1000,
		.done = on_end,
		.arg = &a,
	};

	assert_int_equal(fetch_start(f->fetch, &req, &a.call), 0);
	wait_for(f->loop, a.is_done, 2000);
	assert_int_equal(a.err, -EIO);
	assert_string_equal(a.body, "");
}

static void test_stream_gives_lines(void **state)
{
	struct fixture *f = *state;
	struct asked a =
		ask(f, &(struct fetch_request){ .line = on_line }, "/lines");

	assert_int_equal(a.err, 0);
	assert_int_equal(a.lines, 4);
	assert_string_equal(a.text, "one|two||four|");
	/* What had no end is not a line. */
	assert_string_equal(a.body, "rest");
}

static void test_stream_outlasts_its_limit(void **state)
{
	struct fixture *f = *state;
	struct asked a = { 0 };

	/* The limit is a line's, however long the stream. */
	assert_int_equal(
		start(&a, f,
		      &(struct fetch_request){ .line = on_line, .max = 16 },
		      "/ticks"),
		0);
	wait_for(f->loop, a.lines > 20, 5000);
	assert_false(a.is_done);
	fetch_cancel(a.call);
}

static void test_stream_refuses_long_line(void **state)
{
	struct fixture *f = *state;
	struct asked a =
		ask(f, &(struct fetch_request){ .line = on_line, .max = 1000 },
		    "/large");

	assert_int_equal(a.err, -EMSGSIZE);
	assert_int_equal(a.lines, 0);
}

static void test_cancel_from_line(void **state)
{
	struct fixture *f = *state;
	struct asked a = { .cancel_at = 3 };

	assert_int_equal(start(&a, f,
			       &(struct fetch_request){ .line = on_line },
			       "/ticks"),
			 0);
	wait_for(f->loop, a.lines == 3, 5000);
	wait_while(f->loop, a.lines == 3 && !a.is_done, 100);
}

static void test_cancel_is_silent(void **state)
{
	struct fixture *f = *state;
	struct asked a = { 0 }, b = { 0 };

	assert_int_equal(start(&a, f, &(struct fetch_request){ 0 }, "/hello"),
			 0);
	assert_int_equal(start(&b, f, &(struct fetch_request){ 0 }, "/silent"),
			 0);
	fetch_cancel(a.call);
	wait_while(f->loop, !a.is_done && !b.is_done, 100);
	fetch_cancel(b.call);
	fetch_cancel(NULL);
}

static void test_connections_are_kept(void **state)
{
	struct fixture *f = *state;
	struct asked a = ask(f, &(struct fetch_request){ 0 }, "/pid");
	struct asked b = ask(f, &(struct fetch_request){ 0 }, "/pid");
	struct asked c =
		ask(f, &(struct fetch_request){ .reuse_ms = 1 }, "/pid");

	/* One process per connection. */
	assert_string_equal(a.body, b.body);
	assert_string_not_equal(a.body, c.body);
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	static struct asked many[100];

	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		assert_int_equal(start(&many[i], f,
				       &(struct fetch_request){ 0 }, "/hello"),
				 0);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		wait_for(f->loop, many[i].is_done, 10000);
		assert_string_equal(many[i].body, "hi");
	}
}

/* Teardown closes the client above it: no done(), no leak. */
static void test_close_ends_calls(void **state)
{
	struct fixture *f = *state;
	static struct asked a, b;

	assert_int_equal(start(&a, f, &(struct fetch_request){ 0 }, "/silent"),
			 0);
	assert_int_equal(start(&b, f,
			       &(struct fetch_request){ .line = on_line },
			       "/ticks"),
			 0);
	wait_for(f->loop, b.lines > 2, 5000);
	assert_false(a.is_done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_failures),
		TEST(test_refused_in_words),
		TEST(test_other_protocols_are_refused),
		TEST(test_stream_gives_lines),
		TEST(test_stream_outlasts_its_limit),
		TEST(test_stream_refuses_long_line),
		TEST(test_cancel_from_line),
		TEST(test_cancel_is_silent),
		TEST(test_connections_are_kept),
		TEST(test_many_at_once),
		TEST(test_close_ends_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
