/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node two's link takes 1400, node one's 1500. Everybody sends segments that
 * fit through both tunnels, and no outer packet is ever fragmented, on the
 * sender's side as little as on the narrow one's.
 */
#include "nodes.h"

/* `IpFragCreates` and what was too big for the device. */
static unsigned long long fragments(const char *ns)
{
	AUTO(str_freep)
	char *line = xasprintf("ip netns exec %s cat /proc/net/snmp | "
			       "awk '/^Ip: [0-9]/ { print $20 }'",
			       ns);
	FILE *f = popen(line, "r");
	unsigned long long n = ~0ULL;

	if (!f || fscanf(f, "%llu", &n) != 1)
		fail_msg("no counter in %s", ns);
	pclose(f);
	return n;
}

/* Both directions: b listens, then asks. */
static void both_ways(const char *ns, const char *addr, uint16_t port)
{
	unsigned long long before = fragments("one") + fragments("two");

	stream(sock(ns, SOCK_STREAM, "0.0.0.0", 0), addr, port, SERVER, NULL,
	       NULL);
	assert_int_equal(fragments("one") + fragments("two"), before);
}

/* A pod that believes in more hears what fits. */
static void test_too_big(void **state)
{
	int fd = sock("a", SOCK_DGRAM, "0.0.0.0", 0);
	struct sockaddr_in s = inet4("10.1.1.10", 5353);
	char text[1400] = "";
	int always = 2 /* IP_PMTUDISC_DO */, mtu = 0;
	socklen_t len = sizeof(mtu);

	(void)state;
	setsockopt(fd, IPPROTO_IP, 10 /* IP_MTU_DISCOVER */, &always,
		   sizeof(always));
	assert_int_equal(connect(fd, (struct sockaddr *)&s, sizeof(s)), 0);
	assert_int_equal(send(fd, text, sizeof(text), 0), sizeof(text));
	assert_true(sock_ready(fd, WAIT_MS));
	assert_int_equal(send(fd, text, sizeof(text), 0), -1);
	assert_int_equal(errno, EMSGSIZE);
	getsockopt(fd, IPPROTO_IP, 14 /* IP_MTU */, &mtu, &len);
	assert_int_equal(mtu, 1350);
	close(fd);
}

static void test_direct(void **state)
{
	(void)state;
	both_ways("a", "10.1.1.10", 8080);
	stream(sock("b", SOCK_STREAM, "0.0.0.0", 0), "10.1.0.10", 8080,
	       sock("a", SOCK_STREAM, "10.1.0.10", 8080), "10.1.1.10", NULL);
}

static void test_vip(void **state)
{
	(void)state;
	both_ways("a", "10.80.0.8", 80);
	both_ways("one", "10.80.0.8", 80);
}

static void test_mesh(void **state)
{
	(void)state;
	both_ways(NULL, "192.0.2.1", 8001);
	both_ways(NULL, "192.0.2.2", 8001);
	both_ways("c", "192.0.2.1", 8001);
	both_ways("c", "192.0.2.2", 8001);
}

/* The server's side of the mesh: the SYN that it gets is clamped, too. */
static void test_mesh_download(void **state)
{
	int fd = sock(NULL, SOCK_STREAM, "0.0.0.0", 0), listener = SERVER;
	struct sockaddr_in s = inet4("192.0.2.1", 8001);
	int peer, mss[2] = { 0, 0 };
	socklen_t len = sizeof(int);

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&s, sizeof(s)), 0);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	getsockopt(fd, IPPROTO_TCP, 2 /* TCP_MAXSEG */, &mss[0], &len);
	getsockopt(peer, IPPROTO_TCP, 2, &mss[1], &len);
	/* 1350 less IP and TCP headers and timestamps. */
	assert_int_equal(mss[0], 1350 - 40 - 12);
	assert_int_equal(mss[1], 1350 - 40 - 12);
	close(peer);
	close(listener);
	close(fd);
}

static void narrow(void)
{
	sh("ip link set sw-two mtu 1400");
	sh("ip -n two link set up0 mtu 1400");
	sh("ip -n two link set netd0 mtu 1350");
	sh("ip -n b link set eth0 mtu 1450");
	sh("ip -n a link set eth0 mtu 1450");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* Before a stream tells the pod: what it learned stays. */
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_vip),
		cmocka_unit_test(test_mesh),
		cmocka_unit_test(test_mesh_download),
	};

	two_mtu = 1350;
	nodes_make();
	narrow();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
