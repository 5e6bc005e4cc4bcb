/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-crowd - many clients in one process, and what became of each.
 *
 *   nd-crowd hold ADDR PORT COUNT SECONDS   so many TCP connections, a line on
 *                                           each of them every second
 *   nd-crowd rest ADDR PORT COUNT SECONDS   the same, silent but for the first
 *                                           line and one at the end
 *   nd-crowd burst ADDR PORT COUNT AT_ONCE  so many TCP connections one after
 *                                           the other, AT_ONCE at a time; the
 *                                           server (nd-echo) closes first
 *   nd-crowd seq ADDR PORT RATE SECONDS     numbered datagrams, so many a
 *                                           second, to nd-udp-echo
 *
 * A line that is not answered, or a connection that is not made, within 5 s
 * is a failure, as is whatever ends a connection; nothing is tried twice.
 * `hold` and `rest` print `open` when all are made. SIGTERM ends it early. The
 * last line says `N ok, N failed` (datagrams: `N ok, N lost, N twice`) and the
 * longest time. Exits 1 when any failed or none was ok.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 5000
#define PERIOD_MS 1000
/* Of `hold`: connections being made at a time. */
#define OPENING_MAX 64
#define RECEIVE_BYTES (8 << 20)

enum state { CLOSED, OPENING, ASKED, IDLE };

struct conn {
	int fd;
	enum state state;
	/* When it began to wait, and when it asks next. */
	long since, next;
};

static struct sockaddr_in target;
static int epoll_fd;
static volatile sig_atomic_t stopped;
static long ok, failed, longest;
static struct conn *conns;
static long conns_len;
static const char *question;

static void on_term(int sig)
{
	(void)sig;
	stopped = 1;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void conn_close(struct conn *c)
{
	close(c->fd);
	c->state = CLOSED;
}

static void conn_fail(struct conn *c, int error)
{
	if (!failed++)
		fprintf(stderr, "nd-crowd: connection %td %s: %s\n", c - conns,
			c->state == OPENING ? "is not made" : "breaks",
			strerror(error));
	conn_close(c);
}

static void conn_done(struct conn *c)
{
	long took = now_ms() - c->since;

	longest = took > longest ? took : longest;
	ok++;
}

static void conn_open(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLOUT, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(1, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->state = OPENING;
	c->since = now_ms();
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev))
		err(1, "epoll");
	if (connect(c->fd, (struct sockaddr *)&target, sizeof(target)) &&
	    errno != EINPROGRESS)
		conn_fail(c, errno);
}

static void conn_ask(struct conn *c)
{
	size_t len = strlen(question);

	c->since = now_ms();
	c->next = c->since + PERIOD_MS;
	if (send(c->fd, question, len, MSG_NOSIGNAL) != (ssize_t)len)
		conn_fail(c, errno);
	else
		c->state = ASKED;
}

static void conn_opened(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		conn_fail(c, error);
		return;
	}
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
	conn_ask(c);
}

/* Lines end with a newline, pages with the connection. */
static void conn_read(struct conn *c, bool pages)
{
	char buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0 || (n == 0 && !pages)) {
		conn_fail(c, n < 0 ? errno : ECONNRESET);
	} else if (n == 0) {
		conn_done(c);
		conn_close(c);
	} else if (!pages && buf[n - 1] == '\n') {
		conn_done(c);
		c->state = IDLE;
	}
}

static void conns_wait(int ms, bool pages)
{
	struct epoll_event ev[256];
	int n = epoll_wait(epoll_fd, ev, 256, ms);

	for (int i = 0; i < n; i++) {
		struct conn *c = ev[i].data.ptr;

		if (c->state == OPENING)
			conn_opened(c);
		else
			conn_read(c, pages);
	}
}

static void conns_patience(void)
{
	long late = now_ms() - PATIENCE_MS;

	for (long i = 0; i < conns_len; i++) {
		struct conn *c = &conns[i];

		if ((c->state == OPENING || c->state == ASKED) &&
		    c->since < late)
			conn_fail(c, ETIMEDOUT);
	}
}

static long conns_in(enum state state)
{
	long n = 0;

	for (long i = 0; i < conns_len; i++)
		n += conns[i].state == state;
	return n;
}

static void conns_make(long len)
{
	struct rlimit files = { (rlim_t)len + 64, (rlim_t)len + 64 };

	setrlimit(RLIMIT_NOFILE, &files);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc((size_t)len, sizeof(*conns));
	if (epoll_fd < 0 || !conns)
		err(1, "start");
	conns_len = len;
}

static void hold_open(void)
{
	for (long i = 0; i < conns_len && !stopped; i++) {
		conn_open(&conns[i]);
		while (conns_in(OPENING) >= OPENING_MAX)
			conns_wait(10, false);
	}
	while (conns_in(OPENING) && !stopped) {
		conns_wait(10, false);
		conns_patience();
	}
	puts("open");
	fflush(stdout);
	/* So that not all of them ask at once. */
	for (long i = 0; i < conns_len; i++)
		conns[i].next = now_ms() + i * PERIOD_MS / conns_len;
}

/* Who was asked gets the time to answer. */
static void hold_end(void)
{
	while (conns_in(ASKED)) {
		conns_wait(5, false);
		conns_patience();
	}
}

static void ask_idle(bool all)
{
	for (long i = 0; i < conns_len; i++) {
		struct conn *c = &conns[i];

		if (c->state == IDLE && (all || c->next <= now_ms()))
			conn_ask(c);
	}
}

static void hold(long count, long seconds)
{
	long end;

	question = "ping\n";
	conns_make(count);
	hold_open();
	end = now_ms() + seconds * 1000;
	while (!stopped && now_ms() < end) {
		ask_idle(false);
		conns_wait(5, false);
		conns_patience();
	}
	hold_end();
}

static void rest(long count, long seconds)
{
	long end;

	question = "ping\n";
	conns_make(count);
	hold_open();
	hold_end();
	end = now_ms() + seconds * 1000;
	while (!stopped && now_ms() < end)
		conns_wait(100, false);
	ask_idle(true);
	hold_end();
}

static void burst(long count, long at_once)
{
	long begun = 0;

	question = "GET /1 HTTP/1.0\r\n\r\n";
	conns_make(at_once);
	while ((begun < count && !stopped) || conns_in(CLOSED) < conns_len) {
		for (long i = 0; i < conns_len && begun < count; i++) {
			if (conns[i].state != CLOSED)
				continue;
			conn_open(&conns[i]);
			begun++;
		}
		conns_wait(5, true);
		conns_patience();
	}
}

/* --- datagrams ------------------------------------------------------------ */

static uint8_t *back;
static long twice;

static void seq_receive(int fd, uint64_t sent)
{
	uint64_t number;

	while (recv(fd, &number, sizeof(number), MSG_DONTWAIT) ==
	       sizeof(number)) {
		if (number >= sent)
			errx(1, "a number that was not sent");
		twice += back[number];
		ok += !back[number];
		back[number] = 1;
	}
}

static void seq(long rate, long seconds)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	long start = now_ms(), end = start + seconds * 1000;
	struct pollfd p = { fd, POLLIN, 0 };
	int bytes = RECEIVE_BYTES;
	uint64_t sent = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	back = calloc((size_t)(rate * (seconds + 1)), 1);
	if (!back || connect(fd, (struct sockaddr *)&target, sizeof(target)))
		err(1, "connect");
	while (!stopped && now_ms() < end) {
		uint64_t due = (uint64_t)((now_ms() - start) * rate / 1000);

		for (; sent < due; sent++) {
			if (send(fd, &sent, sizeof(sent), 0) < 0 && !failed++)
				warn("send");
		}
		poll(&p, 1, 1);
		seq_receive(fd, sent);
	}
	for (end = now_ms() + 2000; (uint64_t)ok < sent && now_ms() < end;) {
		poll(&p, 1, 10);
		seq_receive(fd, sent);
	}
	failed = (long)sent - ok;
}

static const struct mode {
	const char *name;
	void (*run)(long, long);
} modes[] = {
	{ "hold", hold },
	{ "rest", rest },
	{ "burst", burst },
	{ "seq", seq },
};

static void run(const struct mode *mode, long a, long b)
{
	long start = now_ms();

	mode->run(a, b);
	if (mode->run == seq)
		printf("seq: %ld ok, %ld lost, %ld twice\n", ok, failed, twice);
	else
		printf("%s: %ld ok, %ld failed, longest %ld ms, in %ld ms\n",
		       mode->name, ok, failed, longest, now_ms() - start);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };

	target.sin_family = AF_INET;
	if (argc != 6 || inet_pton(AF_INET, argv[2], &target.sin_addr) != 1)
		errx(2, "usage: nd-crowd hold|rest|burst|seq ADDR PORT N N");
	target.sin_port = htons((uint16_t)atoi(argv[3]));
	sigaction(SIGTERM, &sa, NULL);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(argv[1], modes[i].name))
			continue;
		run(&modes[i], atol(argv[4]), atol(argv[5]));
		return failed || twice || !ok;
	}
	errx(2, "no mode %s", argv[1]);
}
