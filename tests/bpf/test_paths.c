/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which way tunnel packets go when the way changes: two nodes with a second
 * wire between them, and the routes of an operator who moves traffic there
 * and back. What the programs remember must not outlive what it is about.
 *
 *   up0   192.0.2.1     192.0.2.2      the segment of nodes.h
 *   alt0  198.51.100.1  198.51.100.2   the second wire
 */
#include <stdio.h>

#include "nodes.h"

/* Frames of one connection, and less than its packets. */
#define SOME 4

static unsigned long sent_by(const char *ns, const char *dev)
{
	unsigned long packets = 0;
	char line[300], name[32];
	bool found = false;
	FILE *f;

	ns_enter(ns);
	f = fopen("/proc/thread-self/net/dev", "re");
	ns_enter(NULL);
	if (!f)
		fail_msg("/proc/thread-self/net/dev");
	while (!found && fgets(line, sizeof(line), f)) {
		/* Eight numbers of what was received come first. */
		if (sscanf(line,
			   " %31[^:]: %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu",
			   name, &packets) == 2)
			found = str_eq(name, dev);
	}
	fclose(f);
	if (!found)
		fail_msg("no link %s in %s", dev, ns);
	return packets;
}

/* A connection from pod a to pod b; by which wire did a's node send it? */
static const char *wire_of_stream(void)
{
	unsigned long up = sent_by("one", "up0"), alt = sent_by("one", "alt0");

	stream(sock("a", SOCK_STREAM, "0.0.0.0", 0), "10.1.1.10", 8080, SERVER,
	       "10.1.0.10", NULL);
	up = sent_by("one", "up0") - up;
	alt = sent_by("one", "alt0") - alt;
	if (alt >= SOME && up < SOME)
		return "alt0";
	return up >= SOME && alt < SOME ? "up0" : "both";
}

static void tell(void)
{
	ebpf_underlay_changed(one.bpf);
	ebpf_underlay_changed(two.bpf);
}

static void alt_add(struct world *n, const char *ns, const char *addr,
		    const char *link_local)
{
	struct world *w = n;

	ns_enter(ns);
	sh("ip addr add %s/24 dev alt0", addr);
	sh("ip addr add %s/64 dev alt0 nodad", link_local);
	sh("ip link set alt0 up");
	OK(ebpf_uplink_put(n->bpf, "alt0", if_nametoindex("alt0")));
	ns_enter(NULL);
}

static int setup(void **state)
{
	(void)state;
	sh("ip link add alt0 netns one type veth peer name alt0 netns two");
	alt_add(&one, "one", "198.51.100.1", "fe80::a1");
	alt_add(&two, "two", "198.51.100.2", "fe80::a2");
	return 0;
}

static void test_new_route_at_once(void **state)
{
	(void)state;
	assert_string_equal(wire_of_stream(), "up0");
	sh("ip -n one route add 192.0.2.2 via 198.51.100.2 src 192.0.2.1");
	sh("ip -n two route add 192.0.2.1 via 198.51.100.1 src 192.0.2.2");
	tell();
	assert_string_equal(wire_of_stream(), "alt0");
}

/* Whose daemon is not there notices by himself. */
static void test_old_route_within_a_second(void **state)
{
	const char *wire = "alt0";

	(void)state;
	sh("ip -n one route del 192.0.2.2");
	sh("ip -n two route del 192.0.2.1");
	/* A tick is 1.07 s; a connection's last packets may be in the next. */
	for (int i = 0; i < 300 && !str_eq(wire, "up0"); i++) {
		usleep(10000);
		wire = wire_of_stream();
	}
	assert_string_equal(wire, "up0");
}

/* RFC 8950: IPv4 behind a gateway that has an IPv6 address alone. */
static void test_gateway_of_ipv6(void **state)
{
	(void)state;
	sh("ip -n one route add 192.0.2.2 via inet6 fe80::a2 dev alt0 "
	   "src 192.0.2.1");
	sh("ip -n two route add 192.0.2.1 via inet6 fe80::a1 dev alt0 "
	   "src 192.0.2.2");
	tell();
	assert_string_equal(wire_of_stream(), "alt0");
	sh("ip -n one route del 192.0.2.2");
	sh("ip -n two route del 192.0.2.1");
	tell();
	assert_string_equal(wire_of_stream(), "up0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_route_at_once),
		cmocka_unit_test(test_old_route_within_a_second),
		cmocka_unit_test(test_gateway_of_ipv6),
	};

	nodes_make();
	return cmocka_run_group_tests(tests, setup, NULL);
}
