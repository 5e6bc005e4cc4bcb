/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same nodes with IPv6 beside IPv4, in the overlay and in their segment:
 * neighbours, streams and datagrams between pods, through VIPs and through the
 * mesh, over the uplinks' way and over netd0's, and translated sockets.
 */
#include "nodes.h"

#include "world6.h"

#define POD_A "fd00:1::a"
#define POD_B "fd00:1::10a"
#define POD_D "fd00:3::a"
#define VIP "fd00:80::8"
#define ONE "2001:db8::1"
#define TWO "2001:db8::2"
#define OUTER "2001:db8::50"

#define SERVER6 sock("b", SOCK_STREAM, POD_B, 8080)

static void node6_links(const char *ns, const char *addr)
{
	ns_enter(ns);
	sh("ip addr add %s/64 dev up0 nodad", addr);
	sh("ip addr add fd00:1::1/128 dev netd0 nodad");
	sh("ip route add fd00:1::/64 dev netd0 src %s", addr);
	sh("ip route add fd00:80::/64 dev netd0 src %s", addr);
	sh("sysctl -qw net.ipv6.conf.netd0.forwarding=1");
	ns_enter(NULL);
}

static void node6_tables(struct world *n)
{
	const struct want_range blue =
		world_range("10.1.0.0/16", "10.1.0.1", "10.80.0.0/22");
	bool is_one = n == &one;
	const char *b_vtep = is_one ? "192.0.2.2" : NULL;
	const struct want_backend none = { .port = 0 };

	ns_enter(is_one ? "one" : "two");
	world_net6(n, BLUE, "blue", &blue,
		   world_range("fd00:1::/64", "fd00:1::1", "fd00:80::/118"),
		   false);
	world_net6(n, DARK, "dark", NULL,
		   world_range("fd00:3::/64", "fd00:3::1", "fd00:83::/118"),
		   true);
	world_node6(n, "one", "192.0.2.1", "192.0.2.1", ONE, one_mtu, is_one);
	world_node6(n, "two", "192.0.2.2", "192.0.2.2", TWO, two_mtu, !is_one);
	world_frontend(n, BLUE, VIP, 0, 1, none);
	world_frontend(n, BLUE, VIP, 80, TCP,
		       backend(BLUE, POD_B, 8080, b_vtep));
	world_frontend(n, BLUE, VIP, 53, UDP,
		       backend(BLUE, POD_B, 5353, b_vtep));
	world_frontend(n, BLUE, VIP, 81, TCP, none);
	world_frontend(n, BLUE, VIP, 81, UDP, none);
	world_frontend(n, BLUE, VIP, 82, UDP,
		       backend(BLUE, POD_B, 999, b_vtep));
	world_published6(n, BLUE, 8005, UDP, backend(BLUE, POD_B, 999, b_vtep));
	world_published6(n, BLUE, 8001, TCP,
			 backend(BLUE, POD_B, 8080, b_vtep));
	world_published6(n, BLUE, 8003, UDP,
			 backend(BLUE, POD_B, 5353, b_vtep));
	if (is_one) {
		world_route(n, BLUE, "fd00:1::100/120", "192.0.2.2");
		world_pod6(n, "a", BLUE, "10.1.0.10", POD_A, MAC_A, COOKIE_A);
		world_pod6(n, "d", DARK, NULL, POD_D, MAC_D, COOKIE_D);
	} else {
		world_route(n, BLUE, "fd00:1::/120", "192.0.2.1");
		world_pod6(n, "b", BLUE, "10.1.1.10", POD_B, MAC_B, COOKIE_B);
	}
	ns_enter(NULL);
}

/* With an address of the link's own, and both checked for duplicates. */
static void pod6_enter(const char *node, const char *link, const char *addr,
		       const char *gateway, bool is_new)
{
	ns_enter(node);
	if (is_new) {
		sh("ip netns add %s", link);
		sh("ip link set dev %s-p netns %s name eth0", link, link);
		sh("ip -n %s link set lo up", link);
	}
	sh("ip -n %s link set eth0 mtu 1450 addrgenmode none up", link);
	sh("ip netns exec %s sysctl -qw net.ipv6.conf.eth0.addr_gen_mode=0",
	   link);
	sh("ip -n %s addr add %s/64 dev eth0", link, addr);
	sh("ip -n %s route add default via %s", link, gateway);
	ns_enter(NULL);
}

/* A shell's condition comes true. */
static void until_true(const char *command)
{
	for (int i = 0; i < 200; i++) {
		if (!system(command))
			return;
		usleep(50000);
	}
	fail_msg("%s", command);
}

/* No address stays tentative, none is taken for a duplicate. */
static void test_neighbours(void **state)
{
	(void)state;
	until_true("! ip -n a -6 addr show dev eth0 | grep -q tentative");
	until_true("! ip -n b -6 addr show dev eth0 | grep -q tentative");
	sh("! ip -n a -6 addr show dev eth0 | grep -q dadfailed");
	sh("! ip -n b -6 addr show dev eth0 | grep -q dadfailed");
	sh("ip netns exec a ping -q -c1 -W2 fd00:1::1 >/run/ping");
	sh("ip -n a -6 neigh show fd00:1::1 | grep -q 02:00:00:00:01:01");
	sh("ip netns exec a ping -q -c1 -W2 " POD_B " >/run/ping");
	sh("ip netns exec a ping -q -c1 -W2 " VIP " >/run/ping");
	sh("ip netns exec one ping -q -c1 -W2 " POD_B " >/run/ping");
	sh("! ip netns exec a ping -q -c1 -W1 " POD_D " >/run/ping");
}

static void streams(void)
{
	stream(sock("a", SOCK_STREAM, "::", 0), POD_B, 8080, SERVER6, POD_A,
	       NULL);
	stream(sock("a", SOCK_STREAM, "::", 0), VIP, 80, SERVER6, POD_A, NULL);
	stream(sock("one", SOCK_STREAM, "::", 0), POD_B, 8080, SERVER6, ONE,
	       NULL);
	stream(sock("one", SOCK_STREAM, "::", 0), VIP, 80, SERVER6, ONE, NULL);
	stream(sock("two", SOCK_STREAM, "::", 0), VIP, 80, SERVER6, TWO, NULL);
	/* The client keeps its address, whichever node it asks. */
	stream(sock(NULL, SOCK_STREAM, "::", 0), ONE, 8001, SERVER6, OUTER,
	       NULL);
	stream(sock(NULL, SOCK_STREAM, "::", 0), TWO, 8001, SERVER6, OUTER,
	       NULL);
	stream(sock("a", SOCK_STREAM, "::", 0), ONE, 8001, SERVER6, POD_A,
	       NULL);
	stream(sock("b", SOCK_STREAM, "::", 0), ONE, 8001, SERVER6, ONE, NULL);
}

static void test_streams(void **state)
{
	(void)state;
	streams();
}

static void test_streams_by_device(void **state)
{
	(void)state;
	ebpf_fast_path(one.bpf, false);
	ebpf_fast_path(two.bpf, false);
	streams();
	ebpf_fast_path(one.bpf, true);
	ebpf_fast_path(two.bpf, true);
}

static void ask(int from, const char *to, uint16_t port, const char *text,
		int server, const char *seen_as, uint16_t seen_port)
{
	sock_send(from, to, port, text);
	sock_expect(server, text, seen_as, seen_port);
	sock_send(server, seen_as, seen_port, text);
	sock_expect(from, text, to, port);
}

/* Small ones, and those that travel in fragments. */
static void test_datagrams(void **state)
{
	int server = sock("b", SOCK_DGRAM, POD_B, 5353);
	int pod = sock("a", SOCK_DGRAM, POD_A, 7000);
	int direct = sock("a", SOCK_DGRAM, POD_A, 7001);
	int client = sock(NULL, SOCK_DGRAM, OUTER, 7000);
	char big[2001];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	ask(pod, VIP, 53, "small", server, POD_A, 7000);
	ask(direct, POD_B, 5353, "small", server, POD_A, 7001);
	ask(direct, POD_B, 5353, big, server, POD_A, 7001);
	ask(client, ONE, 8003, "small", server, OUTER, 7000);
	ask(client, TWO, 8003, "small", server, OUTER, 7000);
	ask(pod, VIP, 53, big, server, POD_A, 7000);
	ask(client, TWO, 8003, big, server, OUTER, 7000);
	/* Too big for the tunnel, and told so: it comes in fragments then. */
	for (int i = 0; i < 3 && !sock_ready(server, 200); i++)
		sock_send(client, ONE, 8003, big);
	sock_expect(server, big, OUTER, 7000);
	close(server);
	close(pod);
	close(direct);
	close(client);
}

static void refused(const char *ns, int type, const char *addr, uint16_t port)
{
	struct sockaddr_storage s = inet_any(addr, port);
	int fd = sock(ns, type, "::", 0);
	char c;
	int err = connect(fd, (struct sockaddr *)&s, sizeof(s));

	if (type == SOCK_DGRAM) {
		assert_int_equal(err, 0);
		assert_int_equal(send(fd, "x", 1, 0), 1);
		assert_true(sock_ready(fd, WAIT_MS));
		err = (int)recv(fd, &c, 1, 0);
	}
	assert_int_equal(err, -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

static void test_refused(void **state)
{
	(void)state;
	refused("a", SOCK_STREAM, VIP, 81);
	refused("a", SOCK_DGRAM, VIP, 81);
	refused("one", SOCK_STREAM, VIP, 81);
	refused("one", SOCK_DGRAM, VIP, 81);
}

/* By the backend itself, whose port is shut; its words are translated. */
static void test_errors(void **state)
{
	(void)state;
	refused("a", SOCK_DGRAM, VIP, 82);
	refused("two", SOCK_DGRAM, VIP, 82);
	refused(NULL, SOCK_DGRAM, ONE, 8005);
	refused(NULL, SOCK_DGRAM, TWO, 8005);
	refused("a", SOCK_DGRAM, ONE, 8005);
}

static int restarts;

static void restart(void)
{
	ebpf_close(one.bpf);
	node_begin(&one, "one");
	node6_tables(&one);
	restarts++;
}

/* For a moment node one knows of no IPv6 at all. */
static void test_restart(void **state)
{
	(void)state;
	stream(sock("a", SOCK_STREAM, "::", 0), VIP, 80, SERVER6, POD_A,
	       restart);
	assert_true(restarts > 4);
}

static bool kernel_peer_is(const char *ns, const char *addr, uint16_t port)
{
	char want[64], line[512];
	struct in6_addr a;
	uint32_t w[4];
	bool found = false;
	FILE *f;

	inet_pton(AF_INET6, addr, &a);
	memcpy(w, &a, sizeof(w));
	snprintf(want, sizeof(want), " %08X%08X%08X%08X:%04X 01", w[0], w[1],
		 w[2], w[3], port);
	ns_enter(ns);
	f = fopen("/proc/thread-self/net/tcp6", "r");
	ns_enter(NULL);
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		found = found || strstr(line, want);
	fclose(f);
	return found;
}

/* Connected to the backend, and told the VIP. */
static void test_sockets(void **state)
{
	struct sockaddr_storage vip = inet_any(VIP, 80);
	struct sockaddr_storage names = inet_any(VIP, 53);
	struct sockaddr_storage mapped = inet_any("::ffff:10.80.0.8", 80);
	int server = sock("b", SOCK_DGRAM, POD_B, 5353);
	uint64_t of_host = ns_cookie("one"), of_pod = ns_cookie("a");
	int listener = SERVER6, tcp, udp;
	struct world *w = &one;

	(void)state;
	ns_enter("one");
	OK(ebpf_host_put(w->bpf, of_host));
	world_pod6(w, "a", BLUE, "10.1.0.10", POD_A, MAC_A, of_pod);
	ns_enter(NULL);
	for (int i = 0; i < 2; i++) {
		const char *ns = i ? "one" : "a", *from = i ? ONE : POD_A;

		tcp = sock(ns, SOCK_STREAM, "::", 0);
		if (connect(tcp, (struct sockaddr *)&vip, sizeof(vip)))
			fail_msg("%s: %s", ns, strerror(errno));
		sock_expect_peer(tcp, VIP, 80);
		assert_true(kernel_peer_is(ns, POD_B, 8080));
		close(tcp);
		udp = sock(ns, SOCK_DGRAM, from, 7100);
		ask(udp, VIP, 53, "unconnected", server, from, 7100);
		assert_int_equal(connect(udp, (struct sockaddr *)&names,
					 sizeof(names)),
				 0);
		sock_expect_peer(udp, VIP, 53);
		close(udp);
	}
	/* One that is both takes the other family's VIP as ever. */
	tcp = sock("a", SOCK_STREAM, "::", 0);
	close(listener);
	listener = SERVER;
	assert_int_equal(
		connect(tcp, (struct sockaddr *)&mapped, sizeof(mapped)), 0);
	sock_expect_peer(tcp, "::ffff:10.80.0.8", 80);
	close(tcp);
	close(listener);
	close(server);
}

static void test_no_drops(void **state)
{
	(void)state;
	assert_int_equal(world_drops(&one, "kernel").one, 0);
	assert_int_equal(world_drops(&two, "kernel").one, 0);
	assert_int_equal(world_drops(&two, "no_backend").one, 0);
	assert_int_equal(world_drops(&two, "spoof_overlay").one, 0);
	assert_int_equal(world_drops(&two, "ipv6").one, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_streams_by_device),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_no_drops),
	};

	nodes_make();
	sh("ip addr add " OUTER "/64 dev br0 nodad");
	node6_links("one", ONE);
	node6_links("two", TWO);
	node6_tables(&one);
	node6_tables(&two);
	pod6_enter("one", "a", POD_A, "fd00:1::1", false);
	pod6_enter("one", "d", POD_D, "fd00:3::1", true);
	pod6_enter("two", "b", POD_B, "fd00:1::1", false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
