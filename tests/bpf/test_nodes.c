/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes and a client in one segment: streams between pods, through VIPs
 * and through the mesh, and over a restart of the loader.
 */
#include "nodes.h"

static void test_pod_to_pod(void **state)
{
	(void)state;
	stream(sock("a", SOCK_STREAM, "0.0.0.0", 0), "10.1.1.10", 8080, SERVER,
	       "10.1.0.10", NULL);
}

static void test_pod_to_vip(void **state)
{
	(void)state;
	stream(sock("a", SOCK_STREAM, "0.0.0.0", 0), "10.80.0.8", 80, SERVER,
	       "10.1.0.10", NULL);
}

static void test_host_to_pod(void **state)
{
	(void)state;
	stream(sock("one", SOCK_STREAM, "0.0.0.0", 0), "10.1.1.10", 8080,
	       SERVER, "192.0.2.1", NULL);
	stream(sock("two", SOCK_STREAM, "0.0.0.0", 0), "10.1.1.10", 8080,
	       SERVER, "192.0.2.2", NULL);
}

static void test_host_to_vip(void **state)
{
	(void)state;
	stream(sock("one", SOCK_STREAM, "0.0.0.0", 0), "10.80.0.8", 80, SERVER,
	       "192.0.2.1", NULL);
	stream(sock("two", SOCK_STREAM, "0.0.0.0", 0), "10.80.0.8", 80, SERVER,
	       "192.0.2.2", NULL);
}

/* The client keeps its address, whichever node it asks. */
static void test_client_to_published(void **state)
{
	(void)state;
	stream(sock(NULL, SOCK_STREAM, "0.0.0.0", 0), "192.0.2.1", 8001, SERVER,
	       "192.0.2.50", NULL);
	stream(sock(NULL, SOCK_STREAM, "0.0.0.0", 0), "192.0.2.2", 8001, SERVER,
	       "192.0.2.50", NULL);
}

static void test_pod_to_published(void **state)
{
	static const char *const nodes[] = { "192.0.2.1", "192.0.2.2" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		stream(sock("a", SOCK_STREAM, "0.0.0.0", 0), nodes[i], 8001,
		       SERVER, "10.1.0.10", NULL);
		/* From another network. */
		stream(sock("c", SOCK_STREAM, "0.0.0.0", 0), nodes[i], 8001,
		       SERVER, "10.2.0.10", NULL);
	}
	/* The backend itself, here and by way of the other node. */
	stream(sock("b", SOCK_STREAM, "0.0.0.0", 0), nodes[1], 8001, SERVER,
	       nodes[1], NULL);
	stream(sock("b", SOCK_STREAM, "0.0.0.0", 0), nodes[0], 8001, SERVER,
	       nodes[0], NULL);
}

/* The other node is a client like any. */
static void test_node_to_published(void **state)
{
	(void)state;
	stream(sock("two", SOCK_STREAM, "0.0.0.0", 0), "192.0.2.1", 8001,
	       SERVER, "192.0.2.2", NULL);
	stream(sock("one", SOCK_STREAM, "0.0.0.0", 0), "192.0.2.2", 8001,
	       SERVER, "192.0.2.1", NULL);
}

static int restarts;

static void restart(void)
{
	ebpf_close(one.bpf);
	node_begin(&one, "one");
	ebpf_close(two.bpf);
	node_begin(&two, "two");
	restarts++;
}

static void test_restart(void **state)
{
	(void)state;
	stream(sock(NULL, SOCK_STREAM, "0.0.0.0", 0), "192.0.2.1", 8001, SERVER,
	       "192.0.2.50", restart);
	stream(sock("a", SOCK_STREAM, "0.0.0.0", 0), "10.80.0.8", 80, SERVER,
	       "10.1.0.10", restart);
	assert_true(restarts >= 10);
}

/* Nothing was dropped on the way, whatever the reason. */
static void test_no_drops(void **state)
{
	(void)state;
	assert_int_equal(world_drops(&one, "kernel").one, 0);
	assert_int_equal(world_drops(&two, "kernel").one, 0);
	assert_int_equal(world_drops(&one, "isolation").one, 0);
	assert_int_equal(world_drops(&two, "no_backend").one, 0);
	assert_int_equal(world_drops(&two, "spoof_overlay").one, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pod_to_pod),
		cmocka_unit_test(test_pod_to_vip),
		cmocka_unit_test(test_host_to_pod),
		cmocka_unit_test(test_host_to_vip),
		cmocka_unit_test(test_client_to_published),
		cmocka_unit_test(test_pod_to_published),
		cmocka_unit_test(test_node_to_published),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_no_drops),
	};

	nodes_make();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
