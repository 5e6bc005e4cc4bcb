/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-load - a steady client that counts what failed.
 *
 *   nd-load hold ADDR PORT SECONDS    one TCP connection, a line each 10 ms
 *   nd-load new ADDR PORT SECONDS     a new TCP connection each 10 ms
 *   nd-load udp ADDR PORT SECONDS     a datagram from a new socket each 10 ms
 *   nd-load dns ADDR NAME SECONDS     a question for an A record each 10 ms
 *
 * Nothing is tried twice: a request that is not answered within 2 s is a
 * failure (a retransmitted segment is not: TCP does that by itself). SIGTERM
 * ends it early. Prints `MODE: N ok, N failed, longest N ms` and exits 1 when
 * any failed or none was answered; says on stderr what failed first.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_MS 10
#define ANSWER_MS 2000

/* Of either family. */
static union {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} target;

static socklen_t target_len(void)
{
	return target.sa.sa_family == AF_INET6 ? sizeof(target.v6)
					       : sizeof(target.v4);
}

static const char *dns_name;
static volatile sig_atomic_t stopped;

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

static int dial(int type)
{
	struct timeval tv = { .tv_sec = ANSWER_MS / 1000 };
	int fd = socket(target.sa.sa_family, type | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, &target.sa, target_len())) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* One request and its answer on an open socket. */
static int ask(int fd, const void *question, size_t len)
{
	unsigned char answer[2048];
	ssize_t n;

	if (send(fd, question, len, MSG_NOSIGNAL) != (ssize_t)len)
		return -errno;
	do {
		n = recv(fd, answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	if (dns_name) {
		HEADER head;

		if ((size_t)n < sizeof(head))
			return -EPROTO;
		memcpy(&head, answer, sizeof(head));
		if (head.rcode != ns_r_noerror || !ntohs(head.ancount))
			return -ENOENT;
	}
	return 0;
}

static int once(int type, const void *question, size_t len)
{
	int fd = dial(type);
	int err;

	if (fd < 0)
		return fd;
	err = ask(fd, question, len);
	close(fd);
	return err;
}

static int hold(void)
{
	static int fd = -1;
	int err;

	if (fd < 0)
		fd = dial(SOCK_STREAM);
	if (fd < 0)
		return fd;
	err = ask(fd, "ping\n", 5);
	if (err) {
		/* A connection that broke is one failure; go on with the
		 * next, so that the count says how often. */
		close(fd);
		fd = -1;
	}
	return err;
}

static int fresh(void)
{
	return once(SOCK_STREAM, "ping\n", 5);
}

static int datagram(void)
{
	return once(SOCK_DGRAM, "ping\n", 5);
}

static int question(void)
{
	unsigned char buf[512];
	int len = res_mkquery(ns_o_query, dns_name, ns_c_in, ns_t_a, NULL, 0,
			      NULL, buf, sizeof(buf));

	if (len < 0)
		return -EINVAL;
	return once(SOCK_DGRAM, buf, (size_t)len);
}

static const struct mode {
	const char *name;
	int (*step)(void);
} modes[] = {
	{ "hold", hold },
	{ "new", fresh },
	{ "udp", datagram },
	{ "dns", question },
};

static void begun(void)
{
	puts("begun");
	fflush(stdout);
}

static int run(const struct mode *mode, long seconds)
{
	long ok = 0, failed = 0, longest = 0;
	long start = now_ms(), next = start;

	while (!stopped && now_ms() < start + seconds * 1000) {
		long before = now_ms(), took;
		int err = mode->step();

		/* Told to end while it waited: neither answer nor failure. */
		if (err == -EINTR && stopped)
			break;
		took = now_ms() - before;
		if (took > longest)
			longest = took;
		if (err && !failed)
			fprintf(stderr, "nd-load %s: after %ld ms: %s\n",
				mode->name, before - start, strerror(-err));
		if (err)
			failed++;
		else if (!ok++)
			/* Who waits for it is told at once. */
			begun();
		next += PERIOD_MS;
		if (next > now_ms())
			poll(NULL, 0, (int)(next - now_ms()));
		else
			next = now_ms();
	}
	printf("%s: %ld ok, %ld failed, longest %ld ms\n", mode->name, ok,
	       failed, longest);
	return failed || !ok;
}

static int target_read(const char *text)
{
	target.sa.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (target.sa.sa_family == AF_INET6)
		return inet_pton(AF_INET6, text, &target.v6.sin6_addr) == 1;
	return inet_pton(AF_INET, text, &target.v4.sin_addr) == 1;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };

	if (argc != 5 || !target_read(argv[2])) {
		fputs("usage: nd-load hold|new|udp|dns ADDR PORT|NAME "
		      "SECONDS\n",
		      stderr);
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	/* At the same place in both. */
	target.v4.sin_port = htons((uint16_t)atoi(argv[3]));
	if (!strcmp(argv[1], "dns")) {
		dns_name = argv[3];
		target.v4.sin_port = htons(53);
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(modes[i].name, argv[1]))
			return run(&modes[i], atol(argv[4]));
	fprintf(stderr, "nd-load: no mode %s\n", argv[1]);
	return 2;
}
