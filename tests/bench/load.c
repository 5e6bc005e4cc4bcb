/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - transactions per second between namespaces, and what one costs.
 *
 *   load serve PORT COUNT [NETNS..]
 *   load tcp-rr|tcp-crr|udp-rr [-c CONNECTIONS] [-t SECONDS | -n TRANSACTIONS]
 *        [-s BYTES] [-p PORT[:COUNT]] ADDRESS..
 *
 * serve echoes on COUNT ports from PORT, TCP and UDP, in each namespace file
 * named (else in its own): one process for all, so that the number of
 * processes that compete for the CPUs is the same in every comparison. Prints
 * `listening` when it is ready.
 *
 * A transaction is BYTES there and back: on a standing connection (rr), or on
 * a connection of its own that the client opens and closes (crr). Connections
 * go round the addresses and ports. Standing connections are made before the
 * clock starts; a fifth of a second is run in before that.
 *
 * Prints one line: transactions per second, CPU time of the whole machine per
 * transaction (user, system and softirq ticks of /proc/stat), the share of
 * time that the hypervisor took away, and what failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MAX 64
#define EVENTS_MAX 64
#define CONNS_MAX 1024
#define WARM_MS 200
/* A transaction without an answer for so long has failed; TCP sends again by
 * itself, and a busy machine may let a server wait. */
#define PATIENCE_UDP_MS 1000
#define PATIENCE_TCP_MS 5000
#define SCAN_MS 100

static int epoll_fd;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void watch(int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev))
		die("epoll");
}

/* --- server -------------------------------------------------------------- */

enum kind { KIND_LISTENER, KIND_TCP, KIND_UDP };

/* What the server knows of a socket fits into epoll's own word. */
static uint64_t tag(enum kind kind, int fd)
{
	return (uint64_t)kind << 32 | (uint32_t)fd;
}

static void serve_port(int type, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 4096))
		die("listen");
	watch(fd, EPOLLIN,
	      tag(type == SOCK_STREAM ? KIND_LISTENER : KIND_UDP, fd));
}

static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(netns);
	close(fd);
}

static void accept_all(int listener)
{
	int one = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(fd, EPOLLIN, tag(KIND_TCP, fd));
	}
}

static void echo_tcp(int fd)
{
	char buf[BYTES_MAX];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
		close(fd);
}

static void echo_udp(int fd)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[BYTES_MAX];
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
			     &len);

	if (n > 0)
		sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
}

static void serve_one(uint64_t data)
{
	int fd = (int)(uint32_t)data;

	switch ((enum kind)(data >> 32)) {
	case KIND_LISTENER:
		accept_all(fd);
		break;
	case KIND_TCP:
		echo_tcp(fd);
		break;
	case KIND_UDP:
		echo_udp(fd);
		break;
	}
}

static _Noreturn void serve(uint16_t port, uint16_t count, char **spaces,
			    int len)
{
	struct epoll_event events[EVENTS_MAX];

	for (int i = 0; i < (len ? len : 1); i++) {
		if (len)
			enter(spaces[i]);
		for (uint16_t k = 0; k < count; k++) {
			serve_port(SOCK_STREAM, port + k);
			serve_port(SOCK_DGRAM, port + k);
		}
	}
	puts("listening");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++)
			serve_one(events[i].data.u64);
	}
}

/* --- client -------------------------------------------------------------- */

enum mode { MODE_TCP_RR, MODE_TCP_CRR, MODE_UDP_RR, MODE_MAX };

static const char *const mode_names[MODE_MAX] = {
	[MODE_TCP_RR] = "tcp-rr",
	[MODE_TCP_CRR] = "tcp-crr",
	[MODE_UDP_RR] = "udp-rr",
};

struct conn {
	int fd;
	/* Bytes of the answer that have come. */
	size_t got;
	bool asked;
	int64_t since;
};

static struct {
	enum mode mode;
	unsigned int conns, bytes, seconds;
	uint64_t transactions;
	uint16_t port, ports;
	struct in_addr *addrs;
	unsigned int addrs_len;

	struct conn conn[CONNS_MAX];
	/* Connections opened so far: where the next one goes. */
	unsigned int turn;
	uint64_t done, failed;
	int first_error;
	int64_t now;
} load = { .conns = 32, .bytes = 1, .seconds = 3, .port = 7000, .ports = 1 };

static void note_failure(int err)
{
	load.failed++;
	if (!load.first_error)
		load.first_error = err;
}

static struct sockaddr_in next_target(void)
{
	unsigned int k = load.turn++;

	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr = load.addrs[k % load.addrs_len],
		.sin_port = htons((uint16_t)(load.port +
					     k / load.addrs_len % load.ports)),
	};
}

static void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Makes the socket; crr goes on when the connection stands. */
static void conn_open(struct conn *c)
{
	struct sockaddr_in to = next_target();
	bool block = load.mode != MODE_TCP_CRR;
	int type = load.mode == MODE_UDP_RR ? SOCK_DGRAM : SOCK_STREAM;
	int one = 1;

	*c = (struct conn){ .since = load.now };
	c->fd = socket(AF_INET,
		       type | SOCK_CLOEXEC | (block ? 0 : SOCK_NONBLOCK), 0);
	if (c->fd < 0)
		die("socket");
	if (type == SOCK_STREAM)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) &&
	    errno != EINPROGRESS) {
		if (block)
			die("connect");
		note_failure(errno);
		conn_close(c);
		return;
	}
	/* Edges: one for "connected", one for each answer, no epoll_ctl(). */
	watch(c->fd, EPOLLIN | (block ? 0 : EPOLLOUT) | EPOLLET,
	      (uint64_t)(c - load.conn));
}

static void conn_ask(struct conn *c)
{
	static const char question[BYTES_MAX];
	ssize_t n = send(c->fd, question, load.bytes, MSG_NOSIGNAL);

	c->asked = true;
	c->got = 0;
	c->since = load.now;
	if (n == (ssize_t)load.bytes)
		return;
	/* A refused datagram shows here; the next one is another try. */
	note_failure(n < 0 ? errno : EIO);
	if (load.mode == MODE_TCP_RR)
		die("send");
	if (load.mode == MODE_TCP_CRR)
		conn_close(c);
}

static void conn_next(struct conn *c)
{
	load.done++;
	if (load.mode != MODE_TCP_CRR) {
		conn_ask(c);
		return;
	}
	conn_close(c);
	conn_open(c);
}

static void conn_fail(struct conn *c, int err)
{
	note_failure(err);
	if (load.mode == MODE_UDP_RR) {
		conn_ask(c);
		return;
	}
	if (load.mode == MODE_TCP_RR) {
		errno = err;
		die("connection");
	}
	conn_close(c);
	conn_open(c);
}

static void conn_event(struct conn *c, uint32_t events)
{
	char buf[BYTES_MAX];
	ssize_t n;

	if (c->fd < 0)
		return;
	if (!c->asked && (events & EPOLLOUT) && !(events & EPOLLERR)) {
		conn_ask(c);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return;
	n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		conn_fail(c, n < 0 ? errno : ECONNRESET);
		return;
	}
	c->got += (size_t)n;
	if (c->got >= load.bytes)
		conn_next(c);
}

/* Lost datagrams, lost connections and those that could not be opened. */
static void scan(void)
{
	int64_t patience =
		load.mode == MODE_UDP_RR ? PATIENCE_UDP_MS : PATIENCE_TCP_MS;

	for (unsigned int i = 0; i < load.conns; i++) {
		struct conn *c = &load.conn[i];

		if (c->fd < 0)
			conn_open(c);
		else if (load.now - c->since > patience)
			conn_fail(c, ETIMEDOUT);
	}
}

/* Runs until a time, or until so many are done, if that is not 0. */
static void run_until(int64_t end, uint64_t target)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t scanned = load.now;

	while (target ? load.done < target : load.now < end) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, SCAN_MS);

		load.now = now_ms();
		for (int i = 0; i < n; i++)
			conn_event(&load.conn[events[i].data.u64],
				   events[i].events);
		if (load.now - scanned >= SCAN_MS) {
			scan();
			scanned = load.now;
		}
	}
}

struct ticks {
	uint64_t busy, steal, all;
};

static struct ticks ticks_now(void)
{
	unsigned long long t[8] = { 0 };
	struct ticks ret = { 0 };
	FILE *f = fopen("/proc/stat", "re");

	/* user nice system idle iowait irq softirq steal, proc(5) */
	if (!f ||
	    fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0],
		   &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) != 8)
		die("/proc/stat");
	fclose(f);
	for (int i = 0; i < 8; i++)
		ret.all += t[i];
	ret.steal = t[7];
	ret.busy = ret.all - t[3] - t[4] - t[7];
	return ret;
}

static void print_result(const struct ticks *a, const struct ticks *b,
			 uint64_t done, double seconds)
{
	double cpu_us = (double)(b->busy - a->busy) * 1e6 /
			(double)sysconf(_SC_CLK_TCK);
	double all = (double)(b->all - a->all);

	printf("%s rate=%.0f cpu_us=%.2f steal=%.1f done=%llu failed=%llu",
	       mode_names[load.mode], (double)done / seconds,
	       done ? cpu_us / (double)done : 0,
	       all > 0 ? 100 * (double)(b->steal - a->steal) / all : 0,
	       (unsigned long long)done, (unsigned long long)load.failed);
	if (load.failed)
		printf(" first=%s", strerrorname_np(load.first_error));
	putchar('\n');
}

static int run_client(void)
{
	struct ticks before, after;
	uint64_t start_done;
	int64_t start;

	load.now = now_ms();
	for (unsigned int i = 0; i < load.conns; i++)
		conn_open(&load.conn[i]);
	load.now = now_ms();
	for (unsigned int i = 0; i < load.conns; i++)
		if (load.mode != MODE_TCP_CRR)
			conn_ask(&load.conn[i]);
	/* Who counts packets wants no others than those asked for. */
	if (!load.transactions)
		run_until(load.now + WARM_MS, 0);
	before = ticks_now();
	start = now_ms();
	start_done = load.done;
	run_until(start + (int64_t)load.seconds * 1000, load.transactions);
	after = ticks_now();
	print_result(&before, &after, load.done - start_done,
		     (double)(now_ms() - start) / 1000);
	return load.done == start_done;
}

/* --- words --------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: load serve PORT COUNT [NETNS..]\n"
	      "       load tcp-rr|tcp-crr|udp-rr [-c CONNECTIONS] "
	      "[-t SECONDS | -n TRANSACTIONS]\n"
	      "            [-s BYTES] [-p PORT[:COUNT]] ADDRESS..\n",
	      stderr);
	return 2;
}

static unsigned long number(const char *s, unsigned long min, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (end == s || *end || n < min || n > max) {
		fprintf(stderr, "load: %s: not a number from %lu to %lu\n", s,
			min, max);
		exit(2);
	}
	return n;
}

static void parse_ports(char *s)
{
	char *colon = strchr(s, ':');

	if (colon) {
		*colon = '\0';
		load.ports = (uint16_t)number(colon + 1, 1, 1024);
	}
	load.port = (uint16_t)number(s, 1, 65535 - load.ports);
}

static int parse_client(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "c:t:n:s:p:")) != -1) {
		switch (opt) {
		case 'c':
			load.conns = (unsigned int)number(optarg, 1, CONNS_MAX);
			break;
		case 't':
			load.seconds = (unsigned int)number(optarg, 1, 3600);
			break;
		case 'n':
			load.transactions = number(optarg, 1, 1000000000);
			break;
		case 's':
			load.bytes = (unsigned int)number(optarg, 1, BYTES_MAX);
			break;
		case 'p':
			parse_ports(optarg);
			break;
		default:
			return -EINVAL;
		}
	}
	load.addrs_len = (unsigned int)(argc - optind);
	load.addrs = calloc(load.addrs_len + 1, sizeof(*load.addrs));
	if (!load.addrs)
		die("memory");
	for (unsigned int i = 0; i < load.addrs_len; i++)
		if (inet_pton(AF_INET, argv[optind + (int)i], &load.addrs[i]) !=
		    1)
			return -EINVAL;
	return load.addrs_len ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll");
	if (argc >= 4 && !strcmp(argv[1], "serve"))
		serve((uint16_t)number(argv[2], 1, 65000),
		      (uint16_t)number(argv[3], 1, 500), argv + 4, argc - 4);
	for (int m = 0; argc > 1 && m < MODE_MAX; m++) {
		if (strcmp(argv[1], mode_names[m]))
			continue;
		load.mode = (enum mode)m;
		return parse_client(argc - 1, argv + 1) ? usage()
							: run_client();
	}
	return usage();
}
