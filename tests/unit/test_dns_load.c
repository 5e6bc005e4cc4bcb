/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real netd-dns under what would stop it: slow TCP clients, a flood of
 * rubbish, dead upstreams, and pairs of questions from one socket. A tenth of
 * the full figures unless NETD_LONG=1.
 */
#include <arpa/inet.h>
#include <ev.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "loop_wait.h"
#include "netd/dns.h"
#include "netd/util.h"
#include "msg.h"
#include "own_net.h"

#define GATEWAY 0x0a320001u
#define CLIENTS 0x0a330000u
#define CLIENTS_LEN 80
/* Bound and never read: silent. */
#define UPSTREAM 0x0a3c0001u
#define VNI 7
#define PER_CLIENT 16
#define PERIOD_MS 5

static char dir[] = "/tmp/netd-dns-load-XXXXXX";

struct world {
	struct ev_loop *loop;
	struct dns *dns;
	int upstream;
	bool full;
};

static struct sockaddr_in sin_of(uint32_t addr, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(addr) };
}

/* A socket of that client, connected to the server. */
static int dial(int type, uint32_t from)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in src = sin_of(from, 0), dst = sin_of(GATEWAY, 53);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&src, sizeof(src)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&dst, sizeof(dst)), 0);
	return fd;
}

/* All of 10.48.0.0/12 is ours: loopback would be the host itself. */
static void lo_up(void)
{
	own_net_lo_up();
	if (system("ip route add local 10.48.0.0/12 dev lo"))
		abort();
}

static void content_tell(struct dns *dns)
{
	struct want_zone zone = { .vni = VNI,
				  .name = "default",
				  .ranges_len = 1 };
	struct want_client pod = { .vni = { VNI }, .vni_len = 1 };
	struct want_name name = { .vni = VNI,
				  .kind = NAME_SERVICE,
				  .name = "redis",
				  .ttl = 5,
				  .addrs_len = 1 };
	struct ip_addr addr = ip_from_v4(0x0a32004d);

	zone.ranges[0].gateway = ip_from_v4(GATEWAY);
	prefix_parse("10.50.0.0/24", &zone.ranges[0].subnet);
	assert_int_equal(dns_audit_begin(dns), 0);
	assert_int_equal(dns_zone_put(dns, &zone), 0);
	for (uint32_t i = 0; i < CLIENTS_LEN; i++) {
		pod.addr = ip_from_v4(CLIENTS + i);
		assert_int_equal(dns_client_put(dns, &pod), 0);
	}
	assert_int_equal(dns_name_put(dns, &name, &addr, NULL), 0);
	assert_int_equal(dns_audit_end(dns), 0);
}

static size_t question(const char *text, uint16_t type, uint16_t id,
		       uint8_t *buf)
{
	struct dns_name name;

	assert_int_equal(dns_name_parse(text, &name), 0);
	return dns_query_write(&name, type, id, buf);
}

/* Rubbish, questions of strangers, outside names, at so many a second. */
static void flood(unsigned rate)
{
	int known = dial(SOCK_DGRAM, CLIENTS + CLIENTS_LEN - 1);
	int stranger = dial(SOCK_DGRAM, 0x0a340001);
	int64_t start = mono_ms();
	uint64_t sent = 0;

	for (;;) {
		uint64_t due = (uint64_t)(mono_ms() - start) * rate / 1000;
		uint8_t bytes[DNS_QUERY_MAX];
		char name[64];
		size_t len;

		for (; sent < due; sent++) {
			snprintf(name, sizeof(name), "n%u.flood.test",
				 (unsigned)sent);
			len = question(name, ns_t_a, (uint16_t)sent, bytes);
			if (sent % 4 == 0)
				memset(bytes, (int)sent, len);
			else if (sent % 4 == 1)
				len = sent % 12;
			send(sent % 4 == 2 ? stranger : known, bytes, len,
			     MSG_DONTWAIT);
		}
		/* The next are due a moment later. */
		usleep(1000);
	}
}

static pid_t flood_start(unsigned rate)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		flood(rate);
	}
	return pid;
}

/* Connections that bring one byte and no more. */
static int *slow_start(size_t n)
{
	int *fds = xzalloc(n * sizeof(*fds));

	for (size_t i = 0; i < n; i++) {
		fds[i] = dial(SOCK_STREAM,
			      CLIENTS + 1 + (uint32_t)(i / PER_CLIENT));
		assert_int_equal(send(fds[i], "", 1, MSG_NOSIGNAL), 1);
	}
	return fds;
}

static int by_size(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* Answered within `ms`? Sets how many microseconds it took. */
static bool ask(int fd, uint16_t id, int ms, int *us)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t bytes[DNS_UDP_MAX];
	size_t len = question("redis.default", ns_t_a, id, bytes);
	int64_t start = mono_us();

	if (send(fd, bytes, len, 0) != (ssize_t)len)
		return false;
	while (poll(&p, 1, ms) > 0) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		/* One that came too late for the question before. */
		if (n < DNS_HEADER_LEN || (bytes[0] << 8 | bytes[1]) != id)
			continue;
		*us = (int)(mono_us() - start);
		return (bytes[3] & 15) == ns_r_noerror && bytes[7] == 1;
	}
	return false;
}

/* Until the server has the content, which takes the loop. */
static void wait_told(struct world *w)
{
	AUTO(fd_closep) int fd = dial(SOCK_DGRAM, CLIENTS);
	int64_t end = mono_ms() + 5000;
	int us;

	for (uint16_t id = 0; !ask(fd, id, 20, &us); id++) {
		assert_true(mono_ms() < end);
		loop_step(w->loop);
	}
}

static int setup(void **state)
{
	static struct world w;
	static struct ip_addr upstream;
	struct sockaddr_in sin = sin_of(UPSTREAM, 53);
	struct rlimit files = { 4096, 4096 };
	struct dns_config config = {
		.run_dir = dir,
		.program = PROGRAMS "/netd-dns",
		.domain = "cluster.local",
		.upstreams = &upstream,
		.upstreams_len = 1,
		.settings = DNS_SETTINGS_DEFAULT,
		.user = "netd-dns",
	};

	*state = &w;
	w.full = getenv("NETD_LONG") != NULL;
	setrlimit(RLIMIT_NOFILE, &files);
	upstream = ip_from_v4(UPSTREAM);
	w.upstream = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!mkdtemp(dir) ||
	    bind(w.upstream, (struct sockaddr *)&sin, sizeof(sin)))
		return -1;
	w.loop = ev_loop_new(0);
	if (dns_open(w.loop, &config, &w.dns))
		return -1;
	content_tell(w.dns);
	wait_told(&w);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	dns_close(w->dns);
	ev_loop_destroy(w->loop);
	close(w->upstream);
	dns_remove(dir);
	return rmdir(dir);
}

static void test_stays_available(void **state)
{
	struct world *w = *state;
	size_t slow = w->full ? 1000 : 100, asked = w->full ? 4000 : 400;
	unsigned failed = 0;
	int *us = xzalloc(asked * sizeof(*us));
	int fd = dial(SOCK_DGRAM, CLIENTS);
	int *fds = slow_start(slow);
	pid_t flooder = flood_start(w->full ? 20000 : 2000);

	for (size_t i = 0; i < asked; i++) {
		failed += !ask(fd, (uint16_t)i, 1000, &us[i]);
		ev_run(w->loop, EVRUN_NOWAIT);
		/* The pace of what is asked, not a wait. */
		usleep(PERIOD_MS * 1000);
	}
	kill(flooder, SIGKILL);
	waitpid(flooder, NULL, 0);
	qsort(us, asked, sizeof(*us), by_size);
	print_message("%zu local names beside %zu slow clients and a flood: %u "
		      "failed, median %d us, p99 %d us, longest %d us\n",
		      asked, slow, failed, us[asked / 2], us[asked * 99 / 100],
		      us[asked - 1]);
	assert_int_equal(failed, 0);
	/* The flood was real: a second later it has been counted. */
	wait_for(w->loop, dns_stats(w->dns)->dropped > asked, 5000);
	wait_for(w->loop, dns_stats(w->dns)->refused > asked, 5000);
	wait_for(w->loop, dns_stats(w->dns)->limited > 0, 5000);
	wait_for(w->loop, dns_stats(w->dns)->tcp_accepted >= slow, 5000);
	for (size_t i = 0; i < slow; i++)
		close(fds[i]);
	free(fds);
	free(us);
	close(fd);
}

static void test_pairs_from_one_socket(void **state)
{
	struct world *w = *state;
	size_t pairs = w->full ? 100000 : 10000;
	int fd = dial(SOCK_DGRAM, CLIENTS);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t longest = 0;

	for (size_t i = 0; i < pairs; i++) {
		uint8_t bytes[DNS_UDP_MAX];
		int64_t start = mono_us();
		size_t len;

		len = question("redis.default", ns_t_a, (uint16_t)i, bytes);
		assert_int_equal(send(fd, bytes, len, 0), len);
		len = question("redis.default", ns_t_aaaa, (uint16_t)i, bytes);
		assert_int_equal(send(fd, bytes, len, 0), len);
		for (int k = 0; k < 2; k++) {
			if (poll(&p, 1, 1000) <= 0)
				fail_msg("pair %zu: no answer in 1 s", i);
			assert_true(recv(fd, bytes, sizeof(bytes), 0) > 12);
			assert_int_equal(bytes[0] << 8 | bytes[1], (uint16_t)i);
			assert_int_equal(bytes[3] & 15, ns_r_noerror);
		}
		longest = MAX(longest, mono_us() - start);
	}
	print_message("%zu pairs from one socket: longest %lld us\n", pairs,
		      (long long)longest);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs_from_one_socket),
		cmocka_unit_test(test_stays_available),
	};

	own_net_enter();
	lo_up();
	return cmocka_run_group_tests(tests, setup, teardown);
}
