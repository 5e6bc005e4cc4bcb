/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams up to 60,000 bytes and back, through VIPs and the mesh: whole,
 * whoever asks and wherever the backend is.
 */
#include "nodes.h"

static char sent[60000], got[65536];
/* Who was told of the tunnel's MTU. */
static int told;

static void echo(const char *ns, const char *addr, uint16_t port, size_t len)
{
	int fd = sock(ns, SOCK_DGRAM, "0.0.0.0", 0);
	int server = sock("b", SOCK_DGRAM, "10.1.1.10", 5353);
	struct sockaddr_in s = inet4(addr, port), from;
	socklen_t from_len = sizeof(from);
	ssize_t n;

	/* Connected: an answer by another address would not arrive. */
	assert_int_equal(connect(fd, (struct sockaddr *)&s, sizeof(s)), 0);
	assert_int_equal(send(fd, sent, len, 0), len);
	/* RFC 1191: who forbids fragments is told, and sends it again. */
	if (len > 1422 && len <= 1472 && !sock_ready(server, 100) &&
	    send(fd, sent, len, 0) < 0) {
		told++;
		assert_int_equal(send(fd, sent, len, 0), len);
	}
	if (!sock_ready(server, WAIT_MS))
		fail_msg("%s to %s:%u: %zu bytes do not arrive", ns ? ns : "-",
			 addr, port, len);
	n = recvfrom(server, got, sizeof(got), 0, (struct sockaddr *)&from,
		     &from_len);
	assert_int_equal(n, len);
	assert_memory_equal(got, sent, len);
	memset(got, 0, len);
	assert_int_equal(sendto(server, sent, len, 0, (struct sockaddr *)&from,
				from_len),
			 len);
	if (!sock_ready(fd, WAIT_MS))
		fail_msg("%s to %s:%u: %zu bytes do not come back",
			 ns ? ns : "-", addr, port, len);
	assert_int_equal(recv(fd, got, sizeof(got), 0), len);
	assert_memory_equal(got, sent, len);
	close(fd);
	close(server);
}

static void echo_sizes(const char *ns, const char *addr, uint16_t port)
{
	static const size_t sizes[] = { 100,  1372, 1373, 1422,	 1423,	1472,
					1473, 2944, 8000, 20000, 40000, 60000 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		echo(ns, addr, port, sizes[i]);
}

static void test_direct(void **state)
{
	(void)state;
	echo_sizes("a", "10.1.1.10", 5353);
	echo_sizes("one", "10.1.1.10", 5353);
	echo_sizes("two", "10.1.1.10", 5353);
	assert_int_equal(told, 0);
}

static void test_vip(void **state)
{
	(void)state;
	echo_sizes("a", "10.80.0.8", 53);
	echo_sizes("b", "10.80.0.8", 53);
	echo_sizes("one", "10.80.0.8", 53);
	echo_sizes("two", "10.80.0.8", 53);
	assert_int_equal(told, 0);
}

static void test_mesh(void **state)
{
	static const char *const from[] = { NULL, "a", "b", "c", "one", "two" };
	static const char *const nodes[] = { "192.0.2.1", "192.0.2.2" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		for (size_t k = 0; k < ARRAY_LEN(nodes); k++) {
			/* A host's own address is its sockets' affair. */
			if (from[i] && str_eq(from[i], k ? "two" : "one"))
				continue;
			echo_sizes(from[i], nodes[k], 8003);
		}
	}
	/* The client and node two, each by node one. */
	assert_int_equal(told, 2);
}

static void test_no_drops(void **state)
{
	(void)state;
	assert_int_equal(world_drops(&one, "fragments").one, 0);
	assert_int_equal(world_drops(&two, "fragments").one, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_vip),
		cmocka_unit_test(test_mesh),
		cmocka_unit_test(test_no_drops),
	};

	cpu_set_t one_cpu;

	/* A sender that moves to another CPU half-way lets its fragments
	 * overtake each other, and what comes before its first is dropped. */
	CPU_ZERO(&one_cpu);
	CPU_SET((size_t)sched_getcpu(), &one_cpu);
	sched_setaffinity(0, sizeof(one_cpu), &one_cpu);
	srand(1);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)rand();
	nodes_make();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
