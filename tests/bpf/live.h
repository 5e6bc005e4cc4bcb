/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live - namespaces and sockets for tests in which real packets run: pods
 * behind the node of world.h, and a wire on which the test itself plays the
 * other node, clients and strangers.
 */
#pragma once

#include "world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "packet.h"

#define WAIT_MS 2000
/* For what must not arrive; the kernel needs microseconds. */
#define QUIET_MS 60

#define VNI_REQUEST 0xfffffe
#define VNI_REPLY 0xffffff

static inline int ns_open(const char *name)
{
	char path[64];
	int fd;

	if (name)
		snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(name ? path : "/proc/thread-self/ns/net",
		  O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("namespace %s", name ? name : "own");
	return fd;
}

static inline void ns_enter(const char *name)
{
	static int own = -1;
	int fd;

	if (own < 0)
		own = ns_open(NULL);
	fd = name ? ns_open(name) : own;
	if (setns(fd, CLONE_NEWNET))
		fail_msg("setns %s", name ? name : "own");
	if (fd != own)
		close(fd);
}

static inline struct sockaddr_in inet4(const char *addr, uint16_t port)
{
	struct sockaddr_in s = { .sin_family = AF_INET,
				 .sin_port = htons(port) };

	if (inet_pton(AF_INET, addr, &s.sin_addr) != 1)
		fail_msg("%s", addr);
	return s;
}

/* Of either family; all of it is taken for the shorter address, too. */
static inline struct sockaddr_storage inet_any(const char *addr, uint16_t port)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} s = { .any = { .ss_family = AF_INET6 } };

	if (!strchr(addr, ':')) {
		s.v4 = inet4(addr, port);
		return s.any;
	}
	s.v6.sin6_port = htons(port);
	if (inet_pton(AF_INET6, addr, &s.v6.sin6_addr) != 1)
		fail_msg("%s", addr);
	return s.any;
}

/* "ADDR PORT" */
static inline const char *inet_text(const struct sockaddr_storage *s,
				    char buf[64])
{
	char addr[INET6_ADDRSTRLEN], port[8];

	if (getnameinfo((const struct sockaddr *)s, sizeof(*s), addr,
			sizeof(addr), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		fail_msg("family %d", s->ss_family);
	snprintf(buf, 64, "%s %s", addr, port);
	return buf;
}

/* A bound socket in a namespace (NULL: this one). */
static inline int sock(const char *ns, int type, const char *addr,
		       uint16_t port)
{
	struct sockaddr_storage s = inet_any(addr, port);
	int one = 1, fd;

	ns_enter(ns);
	fd = socket(s.ss_family, type | SOCK_CLOEXEC, 0);
	ns_enter(NULL);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&s, sizeof(s)))
		fail_msg("bind %s:%u: %s", addr, port, strerror(errno));
	if (type == SOCK_STREAM && port && listen(fd, 8))
		fail_msg("listen");
	return fd;
}

static inline uint64_t ns_cookie(const char *ns)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int fd;

	ns_enter(ns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ns_enter(NULL);
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		fail_msg("cookie");
	close(fd);
	return cookie;
}

static inline bool sock_ready(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static inline void sock_send(int fd, const char *to, uint16_t port,
			     const char *text)
{
	struct sockaddr_storage s = inet_any(to, port);

	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&s,
		   sizeof(s)) < 0)
		fail_msg("send %s:%u: %s", to, port, strerror(errno));
}

/* A datagram arrives, with this text and from this address. */
static inline void sock_expect(int fd, const char *text, const char *from,
			       uint16_t port)
{
	struct sockaddr_storage s, want = inet_any(from, port);
	char buf[2048], was[64], text_want[64];
	socklen_t len = sizeof(s);
	ssize_t n;

	if (!sock_ready(fd, WAIT_MS))
		fail_msg("%s from %s:%u did not arrive", text, from, port);
	n = recvfrom(fd, buf, sizeof(buf) - 1, 0, (struct sockaddr *)&s, &len);
	if (n < 0)
		fail_msg("recv: %s", strerror(errno));
	buf[n] = '\0';
	assert_string_equal(buf, text);
	if (!str_eq(inet_text(&s, was), inet_text(&want, text_want)))
		fail_msg("%s came from %s, not %s", text, was, text_want);
}

static inline int sock_connect(int fd, const char *to, uint16_t port)
{
	struct sockaddr_storage s = inet_any(to, port);

	return connect(fd, (struct sockaddr *)&s, sizeof(s)) ? -errno : 0;
}

/* What the socket is told of whom it is connected to. */
static inline void sock_expect_peer(int fd, const char *to, uint16_t port)
{
	struct sockaddr_storage s, want = inet_any(to, port);
	char is[64], should[64];
	socklen_t len = sizeof(s);

	if (getpeername(fd, (struct sockaddr *)&s, &len))
		fail_msg("peer: %s", strerror(errno));
	assert_string_equal(inet_text(&s, is), inet_text(&want, should));
}

static inline void sock_expect_nothing(int fd)
{
	if (sock_ready(fd, QUIET_MS))
		fail_msg("something arrived");
}

#define STREAM_LEN ((size_t)8 << 20)
#define STREAM_CHUNK ((size_t)1 << 16)

/* The bytes at an offset of a stream, or whether they are. */
static inline void stream_fill(char *p, size_t len, size_t at)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (char)((at + i) % 251);
}

static inline bool stream_is(const char *p, size_t len, size_t at)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != (char)((at + i) % 251))
			return false;
	}
	return true;
}

/*
 * Megabytes, with segmentation offload, from a socket to this address; all
 * three sockets are closed. `seen_as`: the address that the server sees.
 * `between` runs after each megabyte.
 */
static inline void stream(int from, const char *to, uint16_t port, int listener,
			  const char *seen_as, void (*between)(void))
{
	static char out[STREAM_CHUNK], in[STREAM_CHUNK];
	struct sockaddr_storage s = inet_any(to, port);
	socklen_t s_len = sizeof(s);
	size_t sent = 0, got = 0, told = 0;
	char text[64];
	int peer;

	if (connect(from, (struct sockaddr *)&s, sizeof(s)))
		fail_msg("connect %s:%u: %s", to, port, strerror(errno));
	peer = accept(listener, (struct sockaddr *)&s, &s_len);
	assert_true(peer >= 0);
	inet_text(&s, text);
	*strchr(text, ' ') = '\0';
	if (seen_as)
		assert_string_equal(text, seen_as);
	fcntl(from, F_SETFL, O_NONBLOCK);
	while (got < STREAM_LEN) {
		size_t len = MIN(STREAM_CHUNK, STREAM_LEN - sent);
		ssize_t n;

		stream_fill(out, len, sent);
		n = len ? send(from, out, len, 0) : 0;
		if (n > 0)
			sent += (size_t)n;
		if (!sock_ready(peer, WAIT_MS))
			fail_msg("%s:%u stalls at %zu", to, port, got);
		n = recv(peer, in, sizeof(in), 0);
		assert_true(n > 0);
		if (!stream_is(in, (size_t)n, got))
			fail_msg("%s:%u differs at %zu", to, port, got);
		got += (size_t)n;
		if (between && got - told > STREAM_LEN / 8) {
			between();
			told = got;
		}
	}
	close(peer);
	close(from);
	close(listener);
}

static inline void pod_ns(const char *link, const char *addr,
			  const char *gateway)
{
	sh("ip netns add %s", link);
	sh("ip link set dev %s-p netns %s name eth0", link, link);
	sh("ip -n %s link set lo up", link);
	sh("ip -n %s addr add %s/16 dev eth0", link, addr);
	sh("ip -n %s link set eth0 mtu 1450 addrgenmode none up", link);
	sh("ip -n %s route add default via %s", link, gateway);
}

static inline void live_host(void)
{
	sh("ip addr add 10.1.0.1/32 dev netd0");
	sh("ip route add 10.1.0.0/16 dev netd0 src 192.0.2.1");
	sh("ip route add 10.2.0.0/16 dev netd0 src 192.0.2.1");
	sh("ip route add 10.3.0.0/16 dev netd0 src 192.0.2.1");
	sh("ip route add 10.80.0.0/16 dev netd0 src 192.0.2.1");
	sh("sysctl -qw net.ipv4.conf.all.rp_filter=1");
	sh("sysctl -qw net.ipv4.conf.netd0.rp_filter=1");
}

static inline void live_wire(void)
{
	sh("ip netns add wire");
	sh("ip link set wire0 netns wire");
	sh("ip -n wire link set lo up");
	sh("ip -n wire addr add 192.0.2.2/24 dev wire0");
	sh("ip -n wire addr add 192.0.2.77/24 dev wire0");
	sh("ip -n wire addr add 192.0.2.50/24 dev wire0");
	sh("ip -n wire link set wire0 up");
}

static char *live_group;

static inline void live_group_leave(void)
{
	sh("echo %d >%s/../cgroup.procs", getpid(), live_group);
	rmdir(live_group);
}

/*
 * A group of this test's own, below the root of the cgroup2 tree wherever
 * that is: other processes of the machine are not touched.
 */
static inline void live_group_enter(void)
{
	FILE *f = popen("findmnt -nt cgroup2 -o TARGET | head -1", "r");
	char root[256] = "";

	if (!f || !fgets(root, sizeof(root), f)) {
		puts("skipped: no cgroup2 tree");
		exit(TEST_SKIP);
	}
	pclose(f);
	root[strcspn(root, "\n")] = '\0';
	live_group = xasprintf("%s/netd-test-%d", root, getpid());
	if (mkdir(live_group, 0755))
		fail_msg("%s: %s", live_group, strerror(errno));
	atexit(live_group_leave);
	sh("echo %d >%s/cgroup.procs", getpid(), live_group);
}

static inline void live_enter(void)
{
	live_group_enter();
	world_enter();
}

static inline void live_make(struct world *w)
{
	live_enter();
	w->cgroup = live_group;
	world_make(w);
	live_wire();
	live_host();
	pod_ns("a", "10.1.0.10", "10.1.0.1");
	pod_ns("b", "10.1.0.11", "10.1.0.1");
	pod_ns("c", "10.2.0.10", "10.2.0.1");
	pod_ns("d", "10.3.0.10", "10.3.0.1");
	OK(ebpf_start(w->bpf));
}

/* An inner frame in VXLAN (RFC 7348), by a socket bound to 4789. */
static inline void vxlan_send(int fd, uint32_t vni, const struct spec *inner)
{
	uint8_t buf[8 + FRAME_MAX] = { 0x08 };
	struct sockaddr_in s = inet4("192.0.2.1", 4789);
	size_t len = packet_build(inner, buf + 8);

	put32(buf + 4, vni << 8);
	if (sendto(fd, buf, 8 + len, 0, (struct sockaddr *)&s, sizeof(s)) < 0)
		fail_msg("send: %s", strerror(errno));
}

/*
 * What the node tunnels: VNI, addresses and ports. Checksums are left to the
 * receiver on a virtual wire, so the inner frame is not compared as bytes.
 */
static inline void vxlan_expect(int fd, uint32_t vni, const struct spec *inner)
{
	uint8_t buf[8 + 2048], want[FRAME_MAX];
	ssize_t n;

	if (!sock_ready(fd, WAIT_MS))
		fail_msg("nothing was tunnelled");
	n = recv(fd, buf, sizeof(buf), 0);
	packet_build(inner, want);
	assert_true(n >= 8 + 14 + 28);
	assert_int_equal(buf[4] << 16 | buf[5] << 8 | buf[6], vni);
	if (is_v6(inner)) {
		assert_true(n >= 8 + 14 + 48);
		assert_memory_equal(buf + 8 + 12, "\x86\xdd", 2);
		assert_int_equal(buf[8 + 14 + 6], inner->proto);
		assert_memory_equal(buf + 8 + 14 + 8, want + 14 + 8, 36);
		return;
	}
	assert_int_equal(buf[8 + 14 + 9], inner->proto);
	assert_memory_equal(buf + 8 + 14 + 12, want + 14 + 12, 8);
	assert_memory_equal(buf + 8 + 14 + 20, want + 14 + 20, 4);
}
