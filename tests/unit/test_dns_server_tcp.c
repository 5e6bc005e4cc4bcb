/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to netd-dns over TCP: several on one connection, and slow ones. */
#include "dns_resolver.h"

/* A connection from the pod, with bytes sent in the pieces given. */
static int tcp_open(void)
{
	struct sockaddr_in src = sin_of(POD, 0), dst = sin_of(GATEWAY, 53);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = 15 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(bind(fd, (struct sockaddr *)&src, sizeof(src)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&dst, sizeof(dst)), 0);
	return fd;
}

static size_t tcp_question(const char *text, uint16_t type, uint8_t *buf)
{
	size_t len = question_make(text, type, buf + 2);

	buf[0] = (uint8_t)(len >> 8);
	buf[1] = (uint8_t)len;
	return len + 2;
}

/* Length of the next answer, 0 at the end. */
static size_t tcp_answer(int fd, uint8_t *buf)
{
	ssize_t n = recv(fd, buf, 2, MSG_WAITALL);

	if (n != 2)
		return 0;
	n = recv(fd, buf, (size_t)buf[0] << 8 | buf[1], MSG_WAITALL);
	return n > 0 ? (size_t)n : 0;
}

static void test_tcp(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM, false);
	uint8_t bytes[1024], answer[DNS_TCP_MAX];
	size_t len;
	struct dns *dns;
	int fd;

	(void)state;
	open_forwarding(loop, &config, &dns);
	fd = tcp_open();
	/* Three in one piece, the last of them cut; a slow one among them. */
	len = tcp_question("big.example.com", ns_t_a, bytes);
	len += tcp_question("redis.default", ns_t_a, bytes + len);
	len += tcp_question("nosuch", ns_t_a, bytes + len);
	assert_int_equal(send(fd, bytes, len - 5, 0), len - 5);
	assert_true(tcp_answer(fd, answer) > 0);
	/* What is ours does not wait for the upstream. */
	assert_int_equal(answer[7], 1);
	assert_int_equal(send(fd, bytes + len - 5, 5, 0), 5);
	/* The client sends no more, and gets all it asked for. */
	shutdown(fd, SHUT_WR);
	for (int i = 0, whole = 0; i < 2; i++) {
		assert_true(tcp_answer(fd, answer) > 0);
		whole += answer[7] == 100;
		if (i == 1)
			assert_int_equal(whole, 1);
	}
	assert_int_equal(tcp_answer(fd, answer), 0);
	close(fd);
	dns_close(dns);
	upstream_stop(upstream);
	ev_loop_destroy(loop);
}

/* Connections that the other end has closed. */
static int closed(const int *fds, size_t len)
{
	int n = 0;
	char c;

	for (size_t i = 0; i < len; i++)
		n += recv(fds[i], &c, 1, MSG_DONTWAIT) >= 0;
	return n;
}

static bool is_answered(int fd)
{
	uint8_t query[2 + DNS_QUERY_MAX], answer[DNS_TCP_MAX];
	size_t len = tcp_question("redis.default", ns_t_a, query);

	return send(fd, query, len, MSG_NOSIGNAL) == (ssize_t)len &&
	       tcp_answer(fd, answer);
}

/* One that is served: places become free a moment after they are left. */
static int tcp_open_served(void)
{
	int64_t end = mono_ms() + 5000;
	int fd = tcp_open();

	while (!is_answered(fd)) {
		assert_true(mono_ms() < end);
		close(fd);
		fd = tcp_open();
	}
	return fd;
}

static void test_tcp_slow(void **state)
{
	enum { PLACES = 16 };
	int fds[40];
	uint8_t bytes[64] = { 0, 40 };
	char c;
	int64_t start = mono_ms();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = tcp_open();
	/* These places a client has; the others are closed at once. */
	while (closed(fds, ARRAY_LEN(fds)) < (int)ARRAY_LEN(fds) - PLACES)
		assert_true(mono_ms() - start < 5000);
	/* Half a query, a byte a second: no reason to wait longer. */
	for (int i = 0; i < 9; i++) {
		send(fds[0], bytes + i, 1, MSG_NOSIGNAL);
		assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
		usleep(1000000);
		if (i == 0)
			assert_int_equal(closed(fds, ARRAY_LEN(fds)),
					 ARRAY_LEN(fds) - PLACES);
	}
	assert_true(recv(fds[0], &c, 1, 0) <= 0);
	assert_in_range(mono_ms() - start, 9500, 14500);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	/* One too short to be a query ends at once. */
	fds[0] = tcp_open_served();
	assert_int_equal(send(fds[0], "\0\1x", 3, 0), 3);
	assert_true(recv(fds[0], &c, 1, 0) <= 0);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_slow),
	};

	dns_live_enter();
	return cmocka_run_group_tests(tests, setup, teardown);
}
