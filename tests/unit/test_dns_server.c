/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real netd-dns in a private network namespace: content, answers over
 * UDP and TCP, deaths on either side, adoption, replacement, forwarding.
 */
#include <arpa/inet.h>
#include <ev.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "netd/dns.h"
#include "netd/util.h"
#include "msg.h"
#include "proto.h"
#include "spawn.h"

#define GATEWAY "10.99.0.1"
#define POD "10.99.0.5"
#define STRANGER "10.99.0.9"
#define UPSTREAM "10.99.7.7"
#define VNI 7

static char dir[] = "/tmp/netd-dns-test-XXXXXX";

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_parse(text, &addr), 0);
	return addr;
}

static struct sockaddr_in sin_of(const char *text, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, text, &sin.sin_addr), 1);
	return sin;
}

/* Addresses on lo, which is all the network there is. */
static void address_add(const char *label, const char *text)
{
	struct ifreq req = { 0 };
	struct sockaddr_in sin = sin_of(text, 0);
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	str_copy(req.ifr_name, sizeof(req.ifr_name), label);
	memcpy(&req.ifr_addr, &sin, sizeof(sin));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &req), 0);
	req.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &req), 0);
}

static struct dns_config config_of(void)
{
	static struct ip_addr upstream;

	upstream = ip(UPSTREAM);
	return (struct dns_config){
		.run_dir = dir,
		.program = PROGRAMS "/netd-dns",
		.domain = "cluster.local",
		.upstreams = &upstream,
		.upstreams_len = 1,
		.user = "netd-dns",
	};
}

static void spin(struct ev_loop *loop, int ms)
{
	int64_t until = mono_ms() + ms;

	while (mono_ms() < until) {
		ev_run(loop, EVRUN_NOWAIT);
		usleep(500);
	}
}

static void name_tell(struct dns *dns, enum name_kind kind, const char *name,
		      const char *addr)
{
	struct want_name want = {
		.vni = VNI, .kind = kind, .ttl = 5, .addrs_len = 1, .ptr = true
	};
	struct ip_addr a = ip(addr);

	str_copy(want.name, sizeof(want.name), name);
	assert_int_equal(dns_name_put(dns, &want, &a), 0);
}

static void content_tell(struct dns *dns)
{
	struct want_zone zone = { .vni = VNI, .name = "default" };
	struct want_client pod = { .vni = { VNI }, .vni_len = 1 };

	zone.gateway = ip(GATEWAY);
	prefix_parse("10.99.0.0/24", &zone.subnet);
	pod.addr = ip(POD);
	assert_int_equal(dns_audit_begin(dns), 0);
	assert_int_equal(dns_zone_put(dns, &zone), 0);
	assert_int_equal(dns_client_put(dns, &pod), 0);
	name_tell(dns, NAME_SERVICE, "redis", "10.99.0.77");
	name_tell(dns, NAME_POD, "web.one", POD);
	assert_int_equal(dns_audit_end(dns), 0);
}

static size_t question_make(const char *text, uint16_t type, uint8_t *buf)
{
	struct dns_name name;

	assert_int_equal(dns_name_parse(text, &name), 0);
	return dns_query_write(&name, type, 0x1234, buf);
}

/* Length of the answer, 0 after the time. */
static size_t ask(const char *from, const char *text, uint16_t type, int ms,
		  uint8_t *answer)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in src = sin_of(from, 0), dst = sin_of(GATEWAY, 53);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t query[DNS_QUERY_MAX];
	size_t len = question_make(text, type, query);
	ssize_t n;

	assert_int_equal(bind(fd, (struct sockaddr *)&src, sizeof(src)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&dst, sizeof(dst)), 0);
	if (send(fd, query, len, 0) < 0 || poll(&p, 1, ms) <= 0)
		return 0;
	n = recv(fd, answer, DNS_UDP_MAX, 0);
	return n > 0 ? (size_t)n : 0;
}

static int rcode_of(const char *from, const char *text, uint16_t type)
{
	uint8_t answer[DNS_UDP_MAX];

	return ask(from, text, type, 5500, answer) ? answer[3] & 15 : -1;
}

/* The first address in the answer, or "-". */
static const char *address_of(const char *from, const char *text)
{
	static char out[IP_STRLEN];
	uint8_t answer[DNS_UDP_MAX];
	struct in_addr in;
	size_t at, len = ask(from, text, ns_t_a, 5500, answer);

	if (!len || !answer[7])
		return "-";
	at = DNS_HEADER_LEN;
	while (answer[at])
		at += answer[at] + 1u;
	at += 5 + 12;
	memcpy(&in, answer + at, sizeof(in));
	return inet_ntop(AF_INET, &in, out, sizeof(out));
}

static bool is_running(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static bool wait_gone(pid_t pid)
{
	for (int i = 0; i < 200; i++) {
		if (!is_running(pid))
			return true;
		usleep(10000);
	}
	return false;
}

static void test_answers(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct dns *dns;
	uint8_t buf[DNS_UDP_MAX];

	(void)state;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	assert_true(dns_pid(dns) > 0);
	content_tell(dns);
	spin(loop, 200);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	assert_string_equal(address_of(POD, "redis.default"), "10.99.0.77");
	assert_string_equal(address_of(POD, "Redis.Default.svc.Cluster.local"),
			    "10.99.0.77");
	assert_string_equal(address_of(POD, "web.one.default"), POD);
	assert_int_equal(rcode_of(POD, "redis", ns_t_aaaa), ns_r_noerror);
	assert_int_equal(rcode_of(POD, "nosuch", ns_t_a), ns_r_nxdomain);
	assert_int_equal(rcode_of(POD, "nosuch.default", ns_t_a),
			 ns_r_nxdomain);
	assert_int_equal(rcode_of(POD, "77.0.99.10.in-addr.arpa", ns_t_ptr),
			 ns_r_noerror);
	assert_true(ask(POD, "77.0.99.10.in-addr.arpa", ns_t_ptr, 1000, buf));
	assert_int_equal(buf[7], 1);
	assert_int_equal(rcode_of(STRANGER, "redis", ns_t_a), ns_r_refused);
	assert_string_equal(address_of("127.0.0.1", "redis.default"),
			    "10.99.0.77");
	dns_close(dns);
	ev_loop_destroy(loop);
}

static void test_adopted_after_close(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct dns *dns;
	int pid;

	(void)state;
	/* Nobody is there, and it answers. */
	assert_string_equal(address_of(POD, "redis.default"), "10.99.0.77");
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	pid = dns_pid(dns);
	/* Before it is told again it knows what it knew. */
	spin(loop, 50);
	assert_string_equal(address_of(POD, "redis.default"), "10.99.0.77");
	assert_int_equal(rcode_of(POD, "nosuch", ns_t_a), ns_r_nxdomain);
	content_tell(dns);
	dns_name_del(dns, VNI, NAME_SERVICE, "redis");
	spin(loop, 100);
	assert_int_equal(dns_pid(dns), pid);
	assert_int_equal(rcode_of(POD, "redis", ns_t_a), ns_r_nxdomain);
	name_tell(dns, NAME_SERVICE, "redis", "10.99.0.77");
	spin(loop, 100);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	dns_close(dns);
	ev_loop_destroy(loop);
}

/* A netd in a process of its own, killed without a word. */
static void test_parent_killed(void **state)
{
	struct dns_config config = config_of();
	pid_t parent, server = 0;
	int ends[2];

	(void)state;
	assert_int_equal(dns_remove(dir), 0);
	assert_int_equal(pipe(ends), 0);
	parent = fork();
	if (parent == 0) {
		struct ev_loop *loop = ev_loop_new(0);
		struct dns *dns;
		int pid;

		if (dns_open(loop, &config, &dns))
			_exit(1);
		content_tell(dns);
		spin(loop, 200);
		pid = dns_pid(dns);
		if (write(ends[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		for (;;)
			spin(loop, 1000);
	}
	assert_int_equal(read(ends[0], &server, sizeof(server)),
			 sizeof(server));
	for (int i = 0; i < 200; i++) {
		if (i == 50)
			kill(parent, SIGKILL);
		assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	}
	waitpid(parent, NULL, 0);
	assert_true(is_running(server));
	close(ends[0]);
	close(ends[1]);
}

static void test_server_killed(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct dns *dns;
	int pid;

	(void)state;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	spin(loop, 100);
	/* Adopted from the test before: the sockets were handed back. */
	for (int i = 0; i < 2; i++) {
		pid = dns_pid(dns);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_true(wait_gone(pid));
		spin(loop, 600);
		assert_true(dns_pid(dns) > 0);
		assert_int_not_equal(dns_pid(dns), pid);
		assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
		assert_int_equal(rcode_of(POD, "nosuch", ns_t_a),
				 ns_r_nxdomain);
	}
	dns_close(dns);
	ev_loop_destroy(loop);
}

static void test_removed(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct dns *dns;
	int pid;

	(void)state;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	pid = dns_pid(dns);
	dns_close(dns);
	assert_int_equal(dns_remove(dir), 0);
	assert_true(wait_gone(pid));
	assert_int_equal(dns_remove(dir), 0);
	/* The address is free for the next one. */
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	/* A network made anew under another number keeps its address. */
	assert_int_equal(dns_zone_del(dns, VNI), 0);
	content_tell(dns);
	spin(loop, 100);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	dns_close(dns);
	ev_loop_destroy(loop);
	assert_int_equal(dns_remove(dir), 0);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	dns_remove(dir);
	rmdir(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_adopted_after_close),
		cmocka_unit_test(test_parent_killed),
		cmocka_unit_test(test_server_killed),
		cmocka_unit_test(test_removed),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNET)) {
		fprintf(stderr, "needs root: skipped\n");
		return 77;
	}
	address_add("lo", "127.0.0.1");
	address_add("lo:1", GATEWAY);
	address_add("lo:2", POD);
	address_add("lo:3", STRANGER);
	address_add("lo:4", UPSTREAM);
	return cmocka_run_group_tests(tests, setup, teardown);
}
