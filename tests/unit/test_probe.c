/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prober as netd sees it: the real program, checking sockets of this
 * test on loopback.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "cm.h"
#include "loop_wait.h"
#include "netd/probe.h"
#include "netd/util.h"
#include "probe_proto.h"

#define VNI 4096
#define WAIT_MS 8000

struct fixture {
	struct ev_loop *loop;
	struct probe *probe;
	char dir[32];
	unsigned int changes;
};

static void changed(void *arg, const struct probe_key *key)
{
	struct fixture *f = arg;

	assert_int_equal(key->vni, VNI);
	f->changes++;
}

static void open_probe(struct fixture *f)
{
	struct probe_config config = { .run_dir = f->dir,
				       .program = PROGRAMS "/netd-probe",
				       .changed = changed,
				       .arg = f };

	assert_int_equal(probe_open(f->loop, &config, &f->probe), 0);
}

static int setup(void **state)
{
	struct fixture *f = xzalloc(sizeof(*f));

	f->loop = ev_loop_new(0);
	str_copy(f->dir, sizeof(f->dir), "/tmp/netd-probe-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	open_probe(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	probe_close(f->probe);
	assert_int_equal(probe_remove(f->dir), 0);
	assert_int_equal(rmdir(f->dir), 0);
	ev_loop_destroy(f->loop);
	free(f);
	return 0;
}

/* A listener on a free port of loopback. */
static int listener(uint16_t *port)
{
	struct sockaddr_in s = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK) },
				 .sin_port = htons(*port) };
	socklen_t len = sizeof(s);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&s, sizeof(s)), 0);
	assert_int_equal(listen(fd, 64), 0);
	getsockname(fd, (struct sockaddr *)&s, &len);
	*port = ntohs(s.sin_port);
	return fd;
}

static struct want_probe want(enum probe_kind kind, uint16_t port)
{
	return (struct want_probe){
		.key = { .vni = VNI,
			 .service = "web",
			 .addr = ip_from_v4(0x7f000001),
			 .port = port },
		.check = { .kind = kind,
			   .path = "/health",
			   .interval_ms = 100,
			   .timeout_ms = 200,
			   .rise = 1,
			   .fall = 2 },
	};
}

static void put_one(struct fixture *f, const struct want_probe *w)
{
	probe_begin(f->probe, VNI);
	if (w)
		probe_put(f->probe, w);
	probe_end(f->probe, VNI);
}

static bool is(struct fixture *f, const struct want_probe *w,
	       enum probe_status status, enum probe_reason reason)
{
	struct probe_state s = probe_state(f->probe, &w->key);

	return s.status == status && s.reason == reason;
}

static void test_tcp(void **state)
{
	struct fixture *f = *state;
	uint16_t port = 0;
	int fd = listener(&port);
	struct want_probe w = want(PROBE_TCP, port);
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	put_one(f, &w);
	assert_true(is(f, &w, PROBE_UNKNOWN, PROBE_REASON_NONE));
	wait_for(f->loop, is(f, &w, PROBE_UP, PROBE_REASON_CONNECTED), WAIT_MS);
	assert_int_equal(f->changes, 1);
	/* The backend's program is not bothered. */
	assert_int_equal(accept(fd, (struct sockaddr *)&peer, &len), -1);
	close(fd);
	wait_for(f->loop, is(f, &w, PROBE_DOWN, PROBE_REASON_REFUSED), WAIT_MS);
	assert_int_equal(f->changes, 2);
	fd = listener(&port);
	wait_for(f->loop, is(f, &w, PROBE_UP, PROBE_REASON_CONNECTED), WAIT_MS);
	put_one(f, NULL);
	assert_true(is(f, &w, PROBE_UNKNOWN, PROBE_REASON_NONE));
	close(fd);
}

/* Answers what waits, if anything does. */
static void answer(int fd, const char *text)
{
	char request[512];
	int conn = accept(fd, NULL, NULL);
	ssize_t n;

	if (conn < 0)
		return;
	n = recv(conn, request, sizeof(request) - 1, 0);
	if (n > 0) {
		request[n] = '\0';
		assert_non_null(strstr(request, "GET /health HTTP/1.1\r\n"));
		assert_non_null(strstr(request, "\r\nHost: 127.0.0.1:"));
		send(conn, text, strlen(text), MSG_NOSIGNAL);
	}
	close(conn);
}

static bool answered(struct fixture *f, int fd, const char *text,
		     const struct want_probe *w, enum probe_status status,
		     enum probe_reason reason)
{
	answer(fd, text);
	return is(f, w, status, reason);
}

static void test_http(void **state)
{
	static const struct {
		const char *answer;
		enum probe_status status;
		enum probe_reason reason;
		const char *text;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", PROBE_UP, PROBE_REASON_HTTP,
		  "HTTP status 200" },
		{ "HTTP/1.1 500 no\r\n\r\n", PROBE_DOWN, PROBE_REASON_HTTP,
		  "HTTP status 500" },
		{ "HTTP/1.0 302 there\r\n\r\n", PROBE_UP, PROBE_REASON_HTTP,
		  "HTTP status 302" },
		{ "SSH-2.0-hello\r\n", PROBE_DOWN, PROBE_REASON_NOT_HTTP,
		  "the answer is not HTTP" },
		{ "HTTP/1.1 204 x\r\n\r\n", PROBE_UP, PROBE_REASON_HTTP,
		  "HTTP status 204" },
		{ "HTTP/1", PROBE_DOWN, PROBE_REASON_CLOSED,
		  "closed without an answer" },
	};
	struct fixture *f = *state;
	uint16_t port = 0;
	int fd = listener(&port);
	struct want_probe w = want(PROBE_HTTP, port);

	put_one(f, &w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct probe_state s;
		char text[64];

		wait_for(f->loop,
			 answered(f, fd, rows[i].answer, &w, rows[i].status,
				  rows[i].reason),
			 WAIT_MS);
		s = probe_state(f->probe, &w.key);
		probe_reason_text(&s, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
	/* Nobody accepts: the connection stands, and nothing comes. */
	w.check.fall = 1;
	put_one(f, &w);
	wait_for(f->loop,
		 answered(f, fd, rows[0].answer, &w, PROBE_UP,
			  PROBE_REASON_HTTP),
		 WAIT_MS);
	wait_for(f->loop, is(f, &w, PROBE_DOWN, PROBE_REASON_TIMEOUT), WAIT_MS);
	close(fd);
}

/* A netd that went and came finds what is known, and the same process. */
static void test_adopted(void **state)
{
	struct fixture *f = *state;
	uint16_t port = 0, other = 0;
	int fd = listener(&port), second = listener(&other);
	struct want_probe w = want(PROBE_TCP, port);
	struct want_probe gone = want(PROBE_TCP, other);
	int pid;

	probe_begin(f->probe, VNI);
	probe_put(f->probe, &w);
	probe_put(f->probe, &gone);
	probe_end(f->probe, VNI);
	wait_for(f->loop,
		 is(f, &w, PROBE_UP, PROBE_REASON_CONNECTED) &&
			 is(f, &gone, PROBE_UP, PROBE_REASON_CONNECTED),
		 WAIT_MS);
	pid = probe_pid(f->probe);
	probe_close(f->probe);
	open_probe(f);
	assert_int_equal(probe_pid(f->probe), pid);
	assert_true(is(f, &w, PROBE_UP, PROBE_REASON_CONNECTED));
	put_one(f, &w);
	probe_sweep(f->probe);
	assert_true(is(f, &w, PROBE_UP, PROBE_REASON_CONNECTED));
	assert_true(is(f, &gone, PROBE_UNKNOWN, PROBE_REASON_NONE));
	close(fd);
	wait_for(f->loop, is(f, &w, PROBE_DOWN, PROBE_REASON_REFUSED), WAIT_MS);
	close(second);
}

/* What a prober said stays true until its successor says else. */
static void test_killed(void **state)
{
	struct fixture *f = *state;
	uint16_t port = 0;
	int fd = listener(&port);
	struct want_probe w = want(PROBE_TCP, port);
	int pid;

	put_one(f, &w);
	wait_for(f->loop, is(f, &w, PROBE_UP, PROBE_REASON_CONNECTED), WAIT_MS);
	pid = probe_pid(f->probe);
	assert_true(pid > 1);
	kill(pid, SIGKILL);
	wait_for(f->loop, probe_pid(f->probe) != pid, WAIT_MS);
	assert_true(is(f, &w, PROBE_UP, PROBE_REASON_CONNECTED));
	wait_for(f->loop, probe_pid(f->probe) > 1, WAIT_MS);
	close(fd);
	wait_for(f->loop, is(f, &w, PROBE_DOWN, PROBE_REASON_REFUSED), WAIT_MS);
}

/* One more connection than the listener has room for: SYNs are dropped. */
static void fill(uint16_t port, int conns[2])
{
	struct sockaddr_in s = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK) },
				 .sin_port = htons(port) };

	for (int i = 0; i < 2; i++) {
		conns[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
			connect(conns[i], (struct sockaddr *)&s, sizeof(s)), 0);
	}
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Out after an interval and two tries to connect, long before a timeout. */
static void test_silent(void **state)
{
	struct fixture *f = *state;
	uint16_t port = 0;
	int fd = listener(&port);
	struct want_probe w = want(PROBE_TCP, port);
	int conns[2];
	int64_t from;

	assert_int_equal(listen(fd, 1), 0);
	w.check.interval_ms = 300;
	w.check.timeout_ms = 1000;
	put_one(f, &w);
	wait_for(f->loop, is(f, &w, PROBE_UP, PROBE_REASON_CONNECTED), WAIT_MS);
	fill(port, conns);
	from = now_ms();
	wait_for(f->loop, is(f, &w, PROBE_DOWN, PROBE_REASON_TIMEOUT), WAIT_MS);
	assert_true(now_ms() - from >= 2 * 400);
	assert_true(now_ms() - from < 1800);
	close(conns[0]);
	close(conns[1]);
	close(fd);
}

static void test_messages_refused(void **state)
{
	struct probe_msg msg, got;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
				    pair),
			 0);
	memset(&msg, 0, sizeof(msg));
	msg.type = PROBE_MSG_PUT;
	msg.body.want = want(PROBE_TCP, 80);
	assert_int_equal(probe_send(pair[0], &msg), 0);
	assert_int_equal(probe_recv(pair[1], &got), 0);
	assert_int_equal(probe_recv(pair[1], &got), -EAGAIN);
	/* Too short, of no type, without a check, a name without an end. */
	assert_int_equal(send(pair[0], &msg, sizeof(msg) - 1, 0),
			 sizeof(msg) - 1);
	assert_int_equal(probe_recv(pair[1], &got), -EBADMSG);
	msg.type = PROBE_MSG_MAX;
	assert_int_equal(probe_send(pair[0], &msg), 0);
	assert_int_equal(probe_recv(pair[1], &got), -EBADMSG);
	msg.type = PROBE_MSG_PUT;
	msg.body.want.check.interval_ms = 0;
	assert_int_equal(probe_send(pair[0], &msg), 0);
	assert_int_equal(probe_recv(pair[1], &got), -EBADMSG);
	msg.body.want = want(PROBE_TCP, 80);
	memset(msg.body.want.key.service, 'x', NAME_LEN);
	assert_int_equal(probe_send(pair[0], &msg), 0);
	assert_int_equal(probe_recv(pair[1], &got), -EBADMSG);
	close(pair[0]);
	assert_int_equal(probe_recv(pair[1], &got), -ECONNRESET);
	close(pair[1]);
}

#define PROCESS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROCESS_TEST(test_tcp),
		PROCESS_TEST(test_http),
		PROCESS_TEST(test_adopted),
		PROCESS_TEST(test_killed),
		PROCESS_TEST(test_silent),
		cmocka_unit_test(test_messages_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
