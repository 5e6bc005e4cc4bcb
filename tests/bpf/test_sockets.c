/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of pods and of the host: connected to a backend, told the VIP. */
#include "live.h"

static struct world world;
static struct world *const w = &world;

static void assert_name(const struct sockaddr_in *s, const char *addr,
			uint16_t port)
{
	char text[32];

	inet_ntop(AF_INET, &s->sin_addr, text, sizeof(text));
	assert_string_equal(text, addr);
	assert_int_equal(ntohs(s->sin_port), port);
}

/*
 * The kernel below believes what the programs made of it: the backend is the
 * peer in /proc/net/tcp, which no hook rewrites.
 */
static bool kernel_peer_is(const char *ns, const char *addr, uint16_t port)
{
	char want[32], line[512];
	struct in_addr a;
	bool found = false;
	FILE *f;

	inet_pton(AF_INET, addr, &a);
	snprintf(want, sizeof(want), " %08X:%04X 01", a.s_addr, port);
	ns_enter(ns);
	f = fopen("/proc/thread-self/net/tcp", "r");
	ns_enter(NULL);
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		found = found || strstr(line, want);
	fclose(f);
	return found;
}

static void test_connect_tcp(void **state)
{
	int listener = sock("b", SOCK_STREAM, "10.1.0.11", 8080);
	int fd = sock("a", SOCK_STREAM, "10.1.0.10", 0), peer;

	(void)state;
	assert_int_equal(sock_connect(fd, "10.80.0.5", 80), 0);
	sock_expect_peer(fd, "10.80.0.5", 80);
	assert_true(kernel_peer_is("a", "10.1.0.11", 8080));
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(sock_ready(peer, WAIT_MS));
	close(peer);
	close(fd);
	close(listener);
}

static void test_connect_tcp6(void **state)
{
	int listener = sock("b", SOCK_STREAM, "10.1.0.11", 8080);
	struct sockaddr_in6 s = { .sin6_family = AF_INET6,
				  .sin6_port = htons(80) };
	socklen_t len = sizeof(s);
	char text[INET6_ADDRSTRLEN];
	int fd;

	(void)state;
	ns_enter("a");
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	ns_enter(NULL);
	inet_pton(AF_INET6, "::ffff:10.80.0.5", &s.sin6_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&s, sizeof(s)), 0);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&s, &len), 0);
	inet_ntop(AF_INET6, &s.sin6_addr, text, sizeof(text));
	assert_string_equal(text, "::ffff:10.80.0.5");
	assert_int_equal(ntohs(s.sin6_port), 80);
	close(fd);
	close(listener);
}

static void test_connect_udp(void **state)
{
	int server = sock("b", SOCK_DGRAM, "10.1.0.11", 5353);
	int fd = sock("a", SOCK_DGRAM, "10.1.0.10", 7001);
	char c;

	(void)state;
	assert_int_equal(sock_connect(fd, "10.80.0.5", 53), 0);
	sock_expect_peer(fd, "10.80.0.5", 53);
	assert_int_equal(send(fd, "q", 1, 0), 1);
	sock_expect(server, "q", "10.1.0.10", 7001);
	sock_send(server, "10.1.0.10", 7001, "r");
	assert_true(sock_ready(fd, WAIT_MS));
	assert_int_equal(recv(fd, &c, 1, 0), 1);
	close(fd);
	close(server);
}

static void test_sendto_udp(void **state)
{
	int server = sock("b", SOCK_DGRAM, "10.1.0.11", 5353);
	int fd = sock("a", SOCK_DGRAM, "10.1.0.10", 7002);

	(void)state;
	sock_send(fd, "10.80.0.5", 53, "q");
	sock_expect(server, "q", "10.1.0.10", 7002);
	sock_send(server, "10.1.0.10", 7002, "r");
	sock_expect(fd, "r", "10.80.0.5", 53);
	close(fd);
	close(server);
}

/* The pod itself is the backend: no packet leaves its namespace. */
static void test_connect_self(void **state)
{
	int listener = sock("a", SOCK_STREAM, "10.1.0.10", 8080);
	int fd = sock("a", SOCK_STREAM, "10.1.0.10", 0);

	(void)state;
	assert_int_equal(sock_connect(fd, "10.80.0.6", 80), 0);
	assert_true(kernel_peer_is("a", "10.1.0.10", 8080));
	close(fd);
	close(listener);
}

static void test_connect_refused(void **state)
{
	int fd = sock("a", SOCK_STREAM, "10.1.0.10", 0);

	(void)state;
	assert_int_equal(sock_connect(fd, "10.80.0.7", 80), -ECONNREFUSED);
	close(fd);
}

/* A pod that is not on the VIP's network. */
static void test_connect_stranger(void **state)
{
	int listener = sock("b", SOCK_STREAM, "10.1.0.11", 8080);
	int fd = sock("c", SOCK_STREAM, "10.2.0.10", 0);
	struct world_drops before = world_drops(w, "isolation");

	(void)state;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(sock_connect(fd, "10.80.0.5", 80), -EINPROGRESS);
	/* Nothing comes of it. */
	usleep(QUIET_MS * 1000);
	assert_false(kernel_peer_is("c", "10.1.0.11", 8080));
	assert_true(world_drops(w, "isolation").one > before.one);
	close(fd);
	close(listener);
}

static void test_connect_host(void **state)
{
	static const struct {
		const char *addr;
		uint16_t port;
	} rows[] = { { "10.80.0.5", 80 },      { "192.0.2.1", 8000 },
		     { "198.51.100.1", 8000 }, { "127.0.0.1", 8000 },
		     { "192.0.2.1", 9000 },    { "127.0.0.1", 9000 },
		     { "198.51.100.1", 9001 }, { "127.0.0.1", 9002 } };
	int listener = sock("b", SOCK_STREAM, "10.1.0.11", 8080);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int fd = sock(NULL, SOCK_STREAM, "0.0.0.0", 0);
		struct sockaddr_in s;
		socklen_t len = sizeof(s);
		int peer;

		assert_int_equal(sock_connect(fd, rows[i].addr, rows[i].port),
				 0);
		sock_expect_peer(fd, rows[i].addr, rows[i].port);
		peer = accept(listener, (struct sockaddr *)&s, &len);
		assert_true(peer >= 0);
		s.sin_port = 0;
		assert_name(&s, "192.0.2.1", 0);
		close(peer);
		close(fd);
	}
	close(listener);
}

/* A port of one address is nobody's on the others. */
static void test_connect_other_address(void **state)
{
	static const struct {
		const char *addr;
		uint16_t port;
	} rows[] = { { "192.0.2.1", 9001 },
		     { "127.0.0.1", 9001 },
		     { "192.0.2.1", 9002 },
		     { "127.0.0.2", 9002 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int fd = sock(NULL, SOCK_STREAM, "0.0.0.0", 0);

		assert_int_equal(sock_connect(fd, rows[i].addr, rows[i].port),
				 -ECONNREFUSED);
		close(fd);
	}
}

/* Bound to loopback: left alone, so refused as without a service. */
static void test_connect_bound(void **state)
{
	static const uint16_t ports[] = { 8000, 9000, 9002 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		int fd = sock(NULL, SOCK_STREAM, "127.0.0.1", 0);

		assert_int_equal(sock_connect(fd, "127.0.0.1", ports[i]),
				 -ECONNREFUSED);
		close(fd);
	}
}

/* A pod's loopback is its own. */
static void test_connect_pod_loopback(void **state)
{
	static const uint16_t ports[] = { 8000, 9000, 9002 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		int fd = sock("a", SOCK_STREAM, "0.0.0.0", 0);

		assert_int_equal(sock_connect(fd, "127.0.0.1", ports[i]),
				 -ECONNREFUSED);
		close(fd);
	}
}

/* A namespace nobody put: as if there were no programs. */
static void test_connect_unknown(void **state)
{
	int fd = sock("wire", SOCK_STREAM, "192.0.2.50", 0);

	(void)state;
	assert_int_equal(sock_connect(fd, "10.80.0.5", 80), -ENETUNREACH);
	close(fd);
}

static void put_a(bool asks_host)
{
	struct want_pod want = world_want_pod("a", BLUE, "10.1.0.10", MAC_A);

	want.asks_host = asks_host;
	OK(ebpf_pod_put(w->bpf, &want, if_nametoindex("a"), ns_cookie("a")));
}

static void set_resolvers(const char *first, const char *second)
{
	struct ip_addr addrs[2];

	assert_int_equal(ip_parse(first, &addrs[0]), 0);
	assert_int_equal(ip_parse(second, &addrs[1]), 0);
	OK(ebpf_resolvers_put(w->bpf, addrs, 2));
}

/* Does a query of this namespace to the address reach the gateway? */
static bool asks_gateway(const char *ns, const char *source, const char *addr,
			 uint16_t port)
{
	int server = sock(NULL, SOCK_DGRAM, "10.1.0.1", port);
	int fd = sock(ns, SOCK_DGRAM, source, 7010);
	bool there;

	sock_send(fd, addr, port, "q");
	there = sock_ready(server, QUIET_MS);
	if (there) {
		sock_expect(server, "q", source, 7010);
		sock_send(server, source, 7010, "r");
		sock_expect(fd, "r", addr, port);
	}
	close(fd);
	close(server);
	return there;
}

/* Queries to the host's resolvers, of the pods that want it, and no others. */
static void test_resolvers(void **state)
{
	static const struct {
		const char *ns, *source, *addr;
		uint16_t port;
		bool there;
	} rows[] = {
		{ "a", "10.1.0.10", "192.0.2.2", 53, true },
		{ "a", "10.1.0.10", "8.8.8.8", 53, true },
		{ "a", "10.1.0.10", "8.8.4.4", 53, false },
		{ "a", "10.1.0.10", "192.0.2.2", 54, false },
		{ "b", "10.1.0.11", "192.0.2.2", 53, false },
	};
	int listener, fd;

	(void)state;
	put_a(true);
	set_resolvers("192.0.2.2", "8.8.8.8");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(asks_gateway(rows[i].ns, rows[i].source,
					      rows[i].addr, rows[i].port),
				 rows[i].there);
	listener = sock(NULL, SOCK_STREAM, "10.1.0.1", 53);
	fd = sock("a", SOCK_STREAM, "10.1.0.10", 0);
	assert_int_equal(sock_connect(fd, "8.8.8.8", 53), 0);
	sock_expect_peer(fd, "8.8.8.8", 53);
	assert_true(kernel_peer_is("a", "10.1.0.1", 53));
	close(fd);
	close(listener);

	/* The host asks others now; then the pod wants it no more. */
	set_resolvers("8.8.4.4", "192.0.2.2");
	assert_false(asks_gateway("a", "10.1.0.10", "8.8.8.8", 53));
	assert_true(asks_gateway("a", "10.1.0.10", "8.8.4.4", 53));
	put_a(false);
	assert_false(asks_gateway("a", "10.1.0.10", "8.8.4.4", 53));
}

/* Once the endpoint is gone its namespace is not translated any more. */
static void test_pod_del(void **state)
{
	int fd;

	(void)state;
	OK(ebpf_pod_del(w->bpf, "a"));
	fd = sock("a", SOCK_STREAM, "10.1.0.10", 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(sock_connect(fd, "10.80.0.7", 80), -EINPROGRESS);
	close(fd);
}

static void real_cookies(void)
{
	static const struct {
		const char *id;
		uint32_t vni;
		const char *addr;
		const char *mac;
	} pods[] = { { "a", BLUE, "10.1.0.10", MAC_A },
		     { "b", BLUE, "10.1.0.11", MAC_B },
		     { "c", RED, "10.2.0.10", MAC_C } };

	for (size_t i = 0; i < ARRAY_LEN(pods); i++)
		world_pod(w, pods[i].id, pods[i].vni, pods[i].addr, pods[i].mac,
			  ns_cookie(pods[i].id));
	OK(ebpf_pod_del(w->bpf, "a2"));
	OK(ebpf_host_put(w->bpf, ns_cookie(NULL)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_tcp),
		cmocka_unit_test(test_connect_tcp6),
		cmocka_unit_test(test_connect_udp),
		cmocka_unit_test(test_sendto_udp),
		cmocka_unit_test(test_connect_self),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_connect_stranger),
		cmocka_unit_test(test_connect_host),
		cmocka_unit_test(test_connect_other_address),
		cmocka_unit_test(test_connect_bound),
		cmocka_unit_test(test_connect_pod_loopback),
		cmocka_unit_test(test_connect_unknown),
		cmocka_unit_test(test_resolvers),
		cmocka_unit_test(test_pod_del),
	};

	live_make(w);
	real_cookies();
	assert_true(ebpf_has_cgroup(w->bpf));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
