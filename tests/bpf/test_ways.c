/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By which interfaces a node's tunnel packets may come: uplinks as operators
 * have them, two of the same worth, one in reserve, rules by source. What was
 * found holds for a second, so that each way has a node of its own.
 *
 *   up0  192.0.2.1/24   the tunnel's address
 *   up1  10.9.1.1/24    the second uplink
 *   cbr  172.30.0.1/24  a container engine's bridge, an uplink too
 */
#include "world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "load.h"
#include "netd.skel.h"
#include "packet.h"

#define DROP 2
#define REDIRECT 7

static struct world world;
static struct world *const w = &world;

struct way {
	const char *name;
	/* The node's tunnel address, and how it is reached. */
	const char *node;
	const char *routes[5];
	/* By which its packets are taken; never by the bridge. */
	bool up0, up1;
};

/* A row ends where the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static const struct way ways[] = {
	{ "by the one uplink", "192.0.2.2", { NULL }, .up0 = true },
	{ "behind a router",
	  "203.0.113.1",
	  { "route add 203.0.113.1 via 192.0.2.254" },
	  .up0 = true },
	{ "two uplinks of the same worth",
	  "203.0.113.2",
	  { "route add 203.0.113.2 nexthop via 192.0.2.254 "
	    "nexthop via 10.9.1.254" },
	  .up0 = true,
	  .up1 = true },
	{ "two uplinks, as a group of next hops",
	  "203.0.113.3",
	  { "nexthop add id 1 via 192.0.2.254 dev up0",
	    "nexthop add id 2 via 10.9.1.254 dev up1",
	    "nexthop add id 3 group 1/2", "route add 203.0.113.3 nhid 3" },
	  .up0 = true,
	  .up1 = true },
	{ "an uplink in reserve",
	  "203.0.113.4",
	  { "route add 203.0.113.4 via 192.0.2.254",
	    "route add 203.0.113.4 via 10.9.1.254 metric 4096" },
	  .up0 = true,
	  .up1 = true },
	{ "a wider route in reserve",
	  "203.0.113.5",
	  { "route add 203.0.113.5 via 192.0.2.254",
	    "route add 203.0.113.4/31 via 10.9.1.254" },
	  .up0 = true,
	  .up1 = true },
	/* The tunnel's address leaves by another table than the rest. */
	{ "a rule by source",
	  "203.0.113.6",
	  { "rule add from 192.0.2.1 to 203.0.113.6 lookup 101",
	    "route add 203.0.113.6 via 192.0.2.254 table 101" },
	  .up0 = true },
	{ "a rule by source beside the main table",
	  "203.0.113.7",
	  { "rule add from 192.0.2.1 to 203.0.113.7 lookup 102",
	    "route add 203.0.113.7 via 192.0.2.254 table 102",
	    "route add 203.0.113.7 via 10.9.1.254" },
	  .up0 = true,
	  .up1 = true },
	{ "a rule by source for each uplink",
	  "203.0.113.8",
	  { "rule add from 192.0.2.1 to 203.0.113.8 lookup 103",
	    "route add 203.0.113.8 via 192.0.2.254 table 103",
	    "rule add from 10.9.1.1 to 203.0.113.8 lookup 104",
	    "route add 203.0.113.8 via 10.9.1.254 table 104" },
	  .up0 = true },
	{ "a rule by port",
	  "203.0.113.12",
	  { "rule add ipproto udp dport 4789 to 203.0.113.12 lookup 105",
	    "route add 203.0.113.12 via 10.9.1.254 table 105" },
	  .up1 = true },
	{ "by the second uplink alone",
	  "203.0.113.9",
	  { "route add 203.0.113.9 via 10.9.1.254" },
	  .up1 = true },
	{ "nowhere", "203.0.113.10", { "route add unreachable 203.0.113.10" } },
	{ "a next hop whose neighbour is not known",
	  "203.0.113.11",
	  { "route add 203.0.113.11 dev up0" },
	  .up0 = true },
};

static void way_put(const struct way *way)
{
	struct want_node node = { .vtep = ip(way->node),
				  .mtu = 1450,
				  .addrs = { ip(way->node) },
				  .addrs_len = 1 };

	str_copy(node.name, sizeof(node.name), way->node);
	OK(ebpf_node_put(w->bpf, &node));
	for (size_t i = 0; i < ARRAY_LEN(way->routes) && way->routes[i]; i++)
		sh("ip %s", way->routes[i]);
}

/* A packet of a process of that node to pod a. */
static void way_ask(const struct way *way, const char *dev, bool taken)
{
	const struct spec in = {
		.smac = WIRE_MAC,
		.dmac = UPLINK_MAC,
		.proto = UDP,
		.src = way->node,
		.dst = "10.1.0.10",
		.payload = 8,
		.vni = BLUE,
		.from_vtep = way->node,
		.vtep = "192.0.2.1",
	};
	struct world_drops before = world_drops(w, "wrong_way"), after;
	struct __sk_buff ctx = { .ifindex = if_nametoindex(dev) };
	uint8_t frame[FRAME_MAX], out[FRAME_MAX + 64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	opts.data_size_in = (uint32_t)packet_build(&in, frame);
	if (bpf_prog_test_run_opts(
		    bpf_program__fd(w->bpf->skel->progs.from_uplink), &opts))
		fail_msg("%s: cannot run", way->name);
	after = world_drops(w, "wrong_way");
	if ((int)opts.retval != (taken ? REDIRECT : DROP))
		fail_msg("%s, by %s: verdict %d", way->name, dev,
			 (int)opts.retval);
	if (after.one - before.one != !taken ||
	    after.all - before.all != !taken)
		fail_msg("%s, by %s: counted otherwise", way->name, dev);
}

static void way_try(const struct way *way)
{
	way_put(way);
	way_ask(way, "up0", way->up0);
	way_ask(way, "up1", way->up1);
	way_ask(way, "cbr", false);
}

static void test_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		way_try(&ways[i]);
}

/* What was found for one interface says nothing of the others. */
static void test_again(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		way_ask(&ways[0], "up0", true);
		way_ask(&ways[0], "up1", false);
	}
}

/* Where an interface forwards nothing, the best way alone is known. */
static void test_no_forwarding(void **state)
{
	static const struct way way = {
		"without forwarding",
		"203.0.113.20",
		{ "route add 203.0.113.20 via 192.0.2.254",
		  "route add 203.0.113.20 via 10.9.1.254 metric 4096" },
		.up0 = true
	};

	(void)state;
	sh("sysctl -qw net.ipv4.ip_forward=0 "
	   "net.ipv4.conf.netd0.forwarding=1");
	way_try(&way);
}

static void uplink_add(const char *name, const char *addr)
{
	sh("ip link add %s address " UPLINK_MAC " type veth peer name %s-w",
	   name, name);
	sh("ip addr add %s dev %s", addr, name);
	sh("ip link set %s-w up", name);
	sh("ip link set %s up", name);
	OK(ebpf_uplink_put(w->bpf, name, if_nametoindex(name)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_no_forwarding),
	};

	world_enter();
	world_make(w);
	sh("sysctl -qw net.ipv4.ip_forward=1");
	sh("ip link set wire0 up");
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	uplink_add("up1", "10.9.1.1/24");
	uplink_add("cbr", "172.30.0.1/24");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
