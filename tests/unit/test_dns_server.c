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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "netd/dns.h"
#include "netd/util.h"
#include "msg.h"
#include "proto.h"
#include "child.h"

#define GATEWAY "10.99.0.1"
#define POD "10.99.0.5"
#define STRANGER "10.99.0.9"
#define UPSTREAM "10.99.7.7"
/* One that is silent, and one that asks us. */
#define UPSTREAM_DEAD "10.99.7.8"
#define UPSTREAM_LOOP "10.99.7.9"
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
		.settings = DNS_SETTINGS_DEFAULT,
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
	assert_int_equal(dns_name_put(dns, &want, &a, NULL), 0);
}

static void content_tell(struct dns *dns)
{
	struct want_zone zone = { .vni = VNI,
				  .name = "default",
				  .ranges_len = 1 };
	struct want_client pod = { .vni = { VNI }, .vni_len = 1 };

	zone.ranges[0].gateway = ip(GATEWAY);
	prefix_parse("10.99.0.0/24", &zone.ranges[0].subnet);
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

static const char *asked_at = GATEWAY;

/* Length of the answer, 0 after the time. */
static size_t ask(const char *from, const char *text, uint16_t type, int ms,
		  uint8_t *answer)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in src = sin_of(from, 0), dst = sin_of(asked_at, 53);
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

/*
 * An upstream: every name has the address 192.0.2.80; big.* is cut over UDP;
 * dead.* has no answer. As a loop, it asks us instead.
 */
static size_t upstream_answer(const uint8_t *query, size_t len, bool tcp,
			      uint8_t *out)
{
	struct dns_reply reply;
	struct dns_query q;

	if (dns_query_read(query, len, &q) != ns_r_noerror || !q.edns ||
	    dns_label_is(&q.name, 0, "dead"))
		return 0;
	dns_reply_begin(&reply, &q, out, DNS_TCP_MAX);
	if (!tcp && dns_label_is(&q.name, 0, "big")) {
		reply.truncated = true;
		return dns_reply_end(&reply);
	}
	for (int i = 0; i < (tcp ? 100 : 1); i++)
		dns_reply_rr(&reply, DNS_ANSWER, DNS_OWNER(0), ns_t_a, 60,
			     "\xc0\0\2\x50", 4);
	return dns_reply_end(&reply);
}

static void upstream_udp(int fd, bool loops)
{
	static uint8_t query[4096], out[DNS_TCP_MAX];
	struct sockaddr_in peer, gateway = sin_of(GATEWAY, 53);
	socklen_t peer_len = sizeof(peer);
	ssize_t n = recvfrom(fd, query, sizeof(query), 0,
			     (struct sockaddr *)&peer, &peer_len);
	size_t len;

	if (n <= 0)
		return;
	if (loops) {
		sendto(fd, query, (size_t)n, 0, (struct sockaddr *)&gateway,
		       sizeof(gateway));
		return;
	}
	len = upstream_answer(query, (size_t)n, false, out);
	if (len)
		sendto(fd, out, len, 0, (struct sockaddr *)&peer, peer_len);
}

static void upstream_tcp(int listener)
{
	static uint8_t query[4096], out[2 + DNS_TCP_MAX];
	AUTO(fd_closep) int fd = accept(listener, NULL, NULL);
	ssize_t n = recv(fd, query, 2, MSG_WAITALL);
	size_t len;

	if (n != 2)
		return;
	n = recv(fd, query + 2, (size_t)query[0] << 8 | query[1], MSG_WAITALL);
	if (n <= 0)
		return;
	len = upstream_answer(query + 2, (size_t)n, true, out + 2);
	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	/* Until the other end has it all. */
	if (send(fd, out, len + 2, 0) > 0)
		recv(fd, query, sizeof(query), 0);
}

static pid_t upstream_start(const char *addr, bool loops)
{
	struct sockaddr_in sin = sin_of(addr, 53);
	int on = 1;
	struct pollfd p[2] = {
		{ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		  .events = POLLIN },
		{ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
		  .events = POLLIN },
	};
	pid_t pid;

	setsockopt(p[1].fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			bind(p[i].fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(p[1].fd, 8), 0);
	pid = fork();
	/* Not longer than the test, should that fail. */
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0) {
		poll(p, 2, -1);
		if (p[0].revents)
			upstream_udp(p[0].fd, loops);
		if (p[1].revents)
			upstream_tcp(p[1].fd);
	}
	close(p[0].fd);
	close(p[1].fd);
	return pid;
}

static void upstream_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

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

struct heard {
	int err;
	unsigned times;
	struct dns_told told;
};

static void on_told(void *arg, int err, const struct dns_told *told)
{
	struct heard *heard = arg;

	heard->err = err;
	heard->times++;
	if (told)
		heard->told = *told;
}

static const struct dns_told *inquire(struct ev_loop *loop, struct dns *dns,
				      enum dns_ask_kind kind, const char *name,
				      uint16_t type)
{
	static struct heard heard;
	struct dns_ask question = { .kind = kind, .type = type };
	int64_t until = mono_ms() + 7000;

	question.from = ip(POD);
	str_copy(question.name, sizeof(question.name), name);
	memset(&heard, 0, sizeof(heard));
	dns_ask(dns, &question, on_told, &heard);
	assert_int_equal(heard.times, 0);
	while (!heard.times && mono_ms() < until)
		spin(loop, 5);
	spin(loop, 20);
	assert_int_equal(heard.times, 1);
	assert_int_equal(heard.err, 0);
	assert_int_equal(heard.told.kind, kind);
	return &heard.told;
}

static void test_inquiries(void **state)
{
	static const struct {
		const char *name;
		uint16_t type;
		int rcode;
		enum dns_source source;
		uint32_t vni;
		int what;
		const char *step, *text;
	} cases[] = {
		{ "redis", ns_t_a, ns_r_noerror, DNS_SOURCE_ZONE, VNI,
		  NAME_SERVICE, "short", "redis. 5 IN A 10.99.0.77\n" },
		{ "web.one.default", ns_t_a, ns_r_noerror, DNS_SOURCE_ZONE, VNI,
		  NAME_POD, "network", "web.one.default. 5 IN A " POD "\n" },
		{ "nothing.default", ns_t_a, ns_r_nxdomain, DNS_SOURCE_ZONE, 0,
		  -1, "network", "" },
		{ "a.test", ns_t_a, ns_r_noerror, DNS_SOURCE_UPSTREAM, 0, -1,
		  "outside", "a.test. 60 IN A 192.0.2.80\n" },
		{ "a.test", ns_t_a, ns_r_noerror, DNS_SOURCE_CACHE, 0, -1,
		  "outside", "a.test. 60 IN A 192.0.2.80\n" },
		{ "a.test", ns_t_axfr, ns_r_refused, DNS_SOURCE_NONE, 0, -1,
		  "class", "" },
		{ "dead.test", ns_t_a, ns_r_servfail, DNS_SOURCE_NONE, 0, -1,
		  "outside", "" },
	};
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM, false);
	const struct dns_told *told;
	struct ip_addr server = ip(UPSTREAM);
	struct heard heard = { 0 };
	struct dns_ask late = { .kind = DNS_ASK_FLUSH };
	struct dns *dns;

	(void)state;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	spin(loop, 500);
	inquire(loop, dns, DNS_ASK_FLUSH, "", 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		told = inquire(loop, dns, DNS_ASK_QUERY, cases[i].name,
			       cases[i].type);
		assert_int_equal(told->err, 0);
		assert_int_equal(told->query.rcode, cases[i].rcode);
		assert_int_equal(told->query.source, cases[i].source);
		assert_int_equal(told->query.vni, cases[i].vni);
		assert_int_equal(told->query.what, cases[i].what);
		assert_string_equal(told->query.step, cases[i].step);
		assert_string_equal(told->query.text, cases[i].text);
		assert_in_range(told->query.took_us, 0, 4800000);
		if (told->query.source == DNS_SOURCE_UPSTREAM)
			assert_true(ip_eq(&told->query.server, &server));
	}
	told = inquire(loop, dns, DNS_ASK_QUERY, "a..b", ns_t_a);
	assert_int_equal(told->err, -EINVAL);
	told = inquire(loop, dns, DNS_ASK_UPSTREAMS, "", 0);
	assert_int_equal(told->upstreams.len, 1);
	assert_true(ip_eq(&told->upstreams.rows[0].addr, &server));
	assert_false(told->upstreams.rows[0].down);
	assert_true(told->upstreams.rows[0].answered >= 1);
	assert_true(told->upstreams.rows[0].latency_us > 0);
	told = inquire(loop, dns, DNS_ASK_CACHE, "test", 0);
	assert_int_equal(told->cache.len, 1);
	assert_string_equal(told->cache.rows[0].name, "a.test");
	told = inquire(loop, dns, DNS_ASK_FLUSH, "b.test", 0);
	assert_int_equal(told->flushed, 0);
	told = inquire(loop, dns, DNS_ASK_FLUSH, "test", 0);
	assert_int_equal(told->flushed, 1);
	/* The server is gone while it is asked. */
	kill(dns_pid(dns), SIGKILL);
	dns_ask(dns, &late, on_told, &heard);
	spin(loop, 100);
	assert_int_equal(heard.times, 1);
	assert_int_equal(heard.err, -EHOSTDOWN);
	dns_close(dns);
	upstream_stop(upstream);
	ev_loop_destroy(loop);
}

/* An address of the loopback, for the programs of this host. */
static void test_listen(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct want_client host = { .host = true };
	struct sockaddr_in sin = sin_of("127.0.0.55", 53);
	struct dns *dns;
	int fd, pid;

	(void)state;
	/* Somebody else's: that is said, and all else goes on. */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	config.listen = ip("127.0.0.55");
	host.addr = ip("127.0.0.1");
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	assert_int_equal(dns_client_put(dns, &host), 0);
	spin(loop, 300);
	assert_int_equal(dns_listen_error(dns), -EADDRINUSE);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	close(fd);
	spin(loop, 5500);
	assert_int_equal(dns_listen_error(dns), 0);
	asked_at = "127.0.0.55";
	assert_string_equal(address_of("127.0.0.1", "redis"), "10.99.0.77");
	/* It goes from netd to netd, and from server to server. */
	pid = dns_pid(dns);
	dns_close(dns);
	assert_string_equal(address_of("127.0.0.1", "redis"), "10.99.0.77");
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	assert_int_equal(dns_client_put(dns, &host), 0);
	spin(loop, 200);
	assert_int_equal(dns_pid(dns), pid);
	assert_int_equal(dns_listen_error(dns), 0);
	assert_string_equal(address_of("127.0.0.1", "redis"), "10.99.0.77");
	kill(pid, SIGKILL);
	spin(loop, 500);
	assert_string_equal(address_of("127.0.0.1", "redis"), "10.99.0.77");
	dns_close(dns);
	/* Not wanted any more. */
	config.listen = (struct ip_addr){ { 0 } };
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	spin(loop, 200);
	assert_string_equal(address_of("127.0.0.1", "redis"), "-");
	asked_at = GATEWAY;
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
	pid = dns_pid(dns);
	dns_close(dns);
	ev_loop_destroy(loop);
	assert_int_equal(dns_remove(dir), 0);
	assert_true(wait_gone(pid));
}

static void open_told(struct ev_loop *loop, const struct dns_config *config,
		      struct dns **ret)
{
	assert_int_equal(dns_open(loop, config, ret), 0);
	content_tell(*ret);
	spin(loop, 200);
}

static void test_forwards(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM, false);
	struct ip_addr both[2] = { ip(UPSTREAM_DEAD), ip(UPSTREAM) };
	uint8_t answer[DNS_TCP_MAX];
	struct dns *dns;
	int64_t start;

	(void)state;
	open_told(loop, &config, &dns);
	assert_string_equal(address_of(POD, "example.com"), "192.0.2.80");
	assert_string_equal(address_of(POD, "example.com"), "192.0.2.80");
	/* Cut over UDP, fetched by TCP, too long for the asker. */
	assert_true(ask(POD, "big.example.com", ns_t_a, 2000, answer) > 0);
	assert_true(answer[2] & DNS_FLAG_TC >> 8);
	start = mono_ms();
	assert_int_equal(rcode_of(POD, "dead.example.com", ns_t_a),
			 ns_r_servfail);
	assert_in_range(mono_ms() - start, 1000, 4800);
	spin(loop, 1200);
	assert_true(dns_stats(dns)->cached >= 1);
	assert_true(dns_stats(dns)->forwarded >= 3);
	dns_close(dns);

	/* A dead one before it costs a wait at first, and then none. */
	config.upstreams = both;
	config.upstreams_len = 2;
	open_told(loop, &config, &dns);
	for (int i = 0; i < 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%d.example.com", i);
		start = mono_ms();
		assert_string_equal(address_of(POD, name), "192.0.2.80");
	}
	assert_in_range(mono_ms() - start, 0, 300);
	dns_close(dns);
	upstream_stop(upstream);
	ev_loop_destroy(loop);
}

static void test_upstream_loop(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM_LOOP, true);
	struct ip_addr list[2] = { ip(GATEWAY), ip(UPSTREAM_LOOP) };
	struct dns *dns;
	int64_t start;

	(void)state;
	config.upstreams = list;
	config.upstreams_len = 2;
	open_told(loop, &config, &dns);
	spin(loop, 500);
	start = mono_ms();
	assert_int_equal(rcode_of(POD, "round.example.com", ns_t_a),
			 ns_r_servfail);
	assert_in_range(mono_ms() - start, 0, 1000);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	dns_close(dns);
	upstream_stop(upstream);
	ev_loop_destroy(loop);
}

static void resolv_write(const char *path, const char *addr)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "nameserver %s\n", addr);
	assert_int_equal(fclose(file), 0);
}

/* In a mount namespace of our own, /etc/resolv.conf is ours. */
static void test_resolv_followed(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM, false);
	AUTO(str_freep) char *path = xasprintf("%s/resolv.conf", dir);
	struct dns *dns;

	(void)state;
	config.upstreams_len = 0;
	resolv_write(path, UPSTREAM);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL),
			 0);
	assert_int_equal(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL),
			 0);
	open_told(loop, &config, &dns);
	assert_string_equal(address_of(POD, "one.example.com"), "192.0.2.80");
	resolv_write(path, UPSTREAM_DEAD);
	spin(loop, 3000);
	/* The cache went with the upstreams that filled it. */
	assert_int_equal(rcode_of(POD, "one.example.com", ns_t_a),
			 ns_r_servfail);
	resolv_write(path, UPSTREAM);
	spin(loop, 3000);
	assert_string_equal(address_of(POD, "one.example.com"), "192.0.2.80");
	dns_close(dns);
	upstream_stop(upstream);
	umount2("/etc/resolv.conf", MNT_DETACH);
	unlink(path);
	ev_loop_destroy(loop);
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
	open_told(loop, &config, &dns);
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

static void test_tcp_slow(void **state)
{
	int fds[40], refused = 0;
	uint8_t bytes[64] = { 0, 40 };
	char c;
	int64_t start = mono_ms();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = tcp_open();
	usleep(100000);
	/* 16 per client stay; the others were closed at once. */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		refused += recv(fds[i], &c, 1, MSG_DONTWAIT) >= 0;
	assert_int_equal(refused, ARRAY_LEN(fds) - 16);
	/* Half a query, a byte a second: no reason to wait longer. */
	for (int i = 0; i < 9; i++) {
		send(fds[0], bytes + i, 1, MSG_NOSIGNAL);
		assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
		usleep(1000000);
	}
	assert_true(recv(fds[0], &c, 1, 0) <= 0);
	assert_in_range(mono_ms() - start, 9500, 14500);
	/* One too short to be a query ends at once. */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	usleep(100000);
	fds[0] = tcp_open();
	assert_int_equal(send(fds[0], "\0\1x", 3, 0), 3);
	assert_true(recv(fds[0], &c, 1, 0) <= 0);
	close(fds[0]);
}

static void status_of(pid_t pid, const char *key, char *value, size_t size)
{
	AUTO(str_freep) char *path = xasprintf("/proc/%d/status", pid);
	AUTO(str_freep) char *text = NULL;
	AUTO(str_freep) char *line = xasprintf("\n%s:\t", key);
	const char *at;

	assert_int_equal(file_read(path, 65536, &text), 0);
	at = strstr(text, line);
	assert_non_null(at);
	at += strlen(line);
	snprintf(value, size, "%.*s", (int)strcspn(at, "\t\n"), at);
}

static void test_privileges(void **state)
{
	static const struct {
		const char *key;
		const char *value;
	} cases[] = {
		{ "CapEff", "0000000000000000" },
		{ "CapPrm", "0000000000000000" },
		{ "CapBnd", "0000000000000000" },
		{ "NoNewPrivs", "1" },
		{ "Seccomp", "2" },
		{ "Groups", " " },
	};
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	char value[64];
	struct dns *dns;

	(void)state;
	open_told(loop, &config, &dns);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		status_of(dns_pid(dns), cases[i].key, value, sizeof(value));
		assert_string_equal(value, cases[i].value);
	}
	status_of(dns_pid(dns), "Uid", value, sizeof(value));
	assert_true(atoi(value) > 0);
	assert_int_not_equal(atoi(value), 65534);
	/* Init's child, in a session of its own. */
	assert_int_equal(getsid(dns_pid(dns)) == getsid(0), 0);
	dns_close(dns);
	ev_loop_destroy(loop);
}

/* A server of an older version: hands its sockets over when greeted. */
static void old_server_run(int listener, const int sockets[2], int ready)
{
	static struct proto_msg msg;
	struct proto_sockets what = { .vni = VNI };
	struct proto_hello hello;
	int fd;

	what.gateway = ip(GATEWAY);
	listen(listener, 1);
	if (write(ready, "", 1) != 1)
		_exit(1);
	/* A look whether anybody listens says nothing. */
	while ((fd = accept(listener, NULL, NULL)) >= 0 && proto_recv(fd, &msg))
		close(fd);
	proto_hello_fill(&hello, 1);
	str_copy(hello.build, sizeof(hello.build), "0.0.0-old");
	if (msg.head.type != PROTO_HELLO ||
	    proto_send(fd, PROTO_HELLO, &hello, sizeof(hello), NULL) ||
	    proto_send(fd, PROTO_SOCKETS, &what, sizeof(what), sockets))
		_exit(2);
	if (proto_recv(fd, &msg) || msg.head.type != PROTO_QUIT)
		_exit(3);
	_exit(0);
}

static void test_other_version(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct sockaddr_un {
		sa_family_t family;
		char path[108];
	} sun = { .family = AF_UNIX };
	struct sockaddr_in sin = sin_of(GATEWAY, 53);
	int sockets[2], ready[2], listener, status;
	struct dns *dns;
	pid_t old;
	char c;

	(void)state;
	assert_int_equal(dns_remove(dir), 0);
	sockets[0] =
		socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	sockets[1] =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	for (int i = 0, on = 1; i < 2; i++) {
		setsockopt(sockets[i], SOL_SOCKET, SO_REUSEADDR, &on, i * 4u);
		assert_int_equal(bind(sockets[i], (struct sockaddr *)&sin,
				      sizeof(sin)),
				 0);
	}
	assert_int_equal(listen(sockets[1], 8), 0);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(sun.path, sizeof(sun.path), "%s/dns.sock", dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&sun, sizeof(sun)),
			 0);
	assert_int_equal(pipe(ready), 0);
	old = fork();
	if (old == 0)
		old_server_run(listener, sockets, ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(listener);
	close(sockets[0]);
	close(sockets[1]);

	assert_int_equal(dns_open(loop, &config, &dns), 0);
	assert_int_not_equal(dns_pid(dns), old);
	spin(loop, 100);
	/* Until ours knows everything the old one has the sockets. */
	assert_int_equal(waitpid(old, NULL, WNOHANG), 0);
	content_tell(dns);
	spin(loop, 200);
	assert_int_equal(waitpid(old, &status, 0), old);
	assert_int_equal(status, 0);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	dns_close(dns);
	/* Under its proper name, for the next one. */
	status = 0;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	spin(loop, 100);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	dns_close(dns);
	close(ready[0]);
	close(ready[1]);
	ev_loop_destroy(loop);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	AUTO(str_freep) char *resolv = xasprintf("%s/resolv.conf", dir);

	(void)state;
	dns_remove(dir);
	unlink(resolv);
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
		cmocka_unit_test(test_inquiries),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_upstream_loop),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_slow),
		cmocka_unit_test(test_resolv_followed),
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
	address_add("lo:5", UPSTREAM_DEAD);
	address_add("lo:6", UPSTREAM_LOOP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
