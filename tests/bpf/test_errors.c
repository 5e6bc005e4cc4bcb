/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors on their way: a socket hears that nobody listens, and a server
 * learns of a narrow link, whatever is balanced in between.
 */
#include "nodes.h"

#include <netinet/ip.h>

/* A datagram there is answered by "port unreachable". */
static void unreachable(const char *ns, const char *addr, uint16_t port)
{
	int fd = sock(ns, SOCK_DGRAM, "0.0.0.0", 0);
	struct sockaddr_in s = inet4(addr, port);
	char byte;

	assert_int_equal(connect(fd, (struct sockaddr *)&s, sizeof(s)), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	if (!sock_ready(fd, WAIT_MS))
		fail_msg("%s:%u: no error arrived", addr, port);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

static void test_unreachable(void **state)
{
	(void)state;
	unreachable("a", "10.1.1.10", 5353);
	unreachable("a", "10.80.0.8", 53);
	unreachable("one", "10.80.0.8", 53);
	unreachable("two", "10.80.0.8", 53);
	unreachable("b", "10.80.0.8", 53);
	/* The mesh: the backend's node, and another. */
	unreachable(NULL, "192.0.2.1", 8003);
	unreachable(NULL, "192.0.2.2", 8003);
	unreachable("a", "192.0.2.1", 8003);
	unreachable("a", "192.0.2.2", 8003);
	unreachable("c", "192.0.2.1", 8003);
	unreachable("c", "192.0.2.2", 8003);
}

/* The path MTU that a namespace learned to an address. */
static int learned_mtu(const char *ns, const char *addr)
{
	AUTO(str_freep)
	char *line = xasprintf("ip -n %s route get %s | grep -o 'mtu [0-9]*' "
			       "| cut -d' ' -f2",
			       ns, addr);
	FILE *f = popen(line, "r");
	char text[32] = "";

	if (!f || !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		pclose(f);
	return atoi(text);
}

/* A client behind a router whose far link is narrow. */
static void far_make(void)
{
	sh("ip netns add far");
	sh("ip link add far0 type veth peer name eth0 netns far");
	sh("ip addr add 203.0.113.1/24 dev far0");
	sh("ip link set far0 mtu 1300 up");
	sh("ip -n far addr add 203.0.113.50/24 dev eth0");
	sh("ip -n far addr add 203.0.113.51/24 dev eth0");
	/* Only the router knows: the client's segments are announced wide. */
	sh("ip -n far link set eth0 mtu 1500 up");
	sh("ip -n far route add default via 203.0.113.1");
	sh("sysctl -qw net.ipv4.ip_forward=1");
	sh("ip -n one route add 203.0.113.0/24 via 192.0.2.50");
	sh("ip -n two route add 203.0.113.0/24 via 192.0.2.50");
}

/* The server sends, so it is the server that has to learn. */
static void download(const char *client_addr, const char *addr)
{
	static char out[STREAM_CHUNK], in[STREAM_CHUNK];
	const size_t all = (size_t)1 << 20;
	int client = sock("far", SOCK_STREAM, client_addr, 0);
	int listener = sock("b", SOCK_STREAM, "10.1.1.10", 8080);
	struct sockaddr_in s = inet4(addr, 8001);
	size_t sent = 0, got = 0;
	int peer;

	assert_int_equal(connect(client, (struct sockaddr *)&s, sizeof(s)), 0);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	fcntl(peer, F_SETFL, O_NONBLOCK);
	while (got < all) {
		size_t len = MIN(sizeof(out), all - sent);
		ssize_t n;

		stream_fill(out, len, sent);
		n = len ? send(peer, out, len, 0) : 0;
		sent += n > 0 ? (size_t)n : 0;
		if (!sock_ready(client, WAIT_MS))
			fail_msg("%s: stalls at %zu", addr, got);
		n = recv(client, in, sizeof(in), 0);
		assert_true(n > 0 && stream_is(in, (size_t)n, got));
		got += (size_t)n;
	}
	close(peer);
	close(client);
	close(listener);
	assert_int_equal(learned_mtu("b", client_addr), 1300);
}

static void test_narrow_link(void **state)
{
	(void)state;
	far_make();
	/* A client each: what was learned of one stays. */
	download("203.0.113.50", "192.0.2.2");
	download("203.0.113.51", "192.0.2.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_narrow_link),
	};

	nodes_make();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
