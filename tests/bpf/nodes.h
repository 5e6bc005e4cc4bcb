/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes - two nodes and a client in one segment, with real packets.
 *
 *   one  192.0.2.1  pods a 10.1.0.10 (blue), c 10.2.0.10 (red)
 *   two  192.0.2.2  pod  b 10.1.1.10 (blue)
 *   the test's own namespace is the client, 192.0.2.50, and the switch
 *
 * All services are pod b's: TCP 8080 and UDP 5353, as VIP 10.80.0.8 (80, 53)
 * and as published ports 8001 and 8003.
 */
#pragma once

#include "live.h"

static struct world one, two;
/* What their tunnels take. */
static uint32_t one_mtu = 1450, two_mtu = 1450;

#define SERVER sock("b", SOCK_STREAM, "10.1.1.10", 8080)

static inline void node_links(struct world *n, const char *ns, const char *addr,
			      const char *tunnel_mac)
{
	sh("ip netns add %s", ns);
	sh("ip link add sw-%s type veth peer name up0 netns %s", ns, ns);
	sh("ip link set sw-%s master br0 up", ns);
	ns_enter(ns);
	sh("ip link set lo up");
	sh("ip addr add %s/24 dev up0", addr);
	sh("ip link set up0 up");
	sh("ip link add netd0 address %s type vxlan external dstport 4789 "
	   "nolearning",
	   tunnel_mac);
	sh("ip link set netd0 arp off addrgenmode none mtu 1450 up");
	sh("ip addr add 10.1.0.1/32 dev netd0");
	for (const char *const *p =
		     (const char *const[]){ "10.1.0.0/16", "10.2.0.0/16",
					    "10.80.0.0/16", NULL };
	     *p; p++)
		sh("ip route add %s dev netd0 src %s", *p, addr);
	sh("sysctl -qw net.ipv4.conf.all.rp_filter=1 "
	   "net.ipv4.conf.netd0.rp_filter=1 "
	   "net.ipv4.conf.netd0.forwarding=1");
	n->tunnel = if_nametoindex("netd0");
	n->uplink = if_nametoindex("up0");
	n->pin_dir = xasprintf("/run/bpf-%s", ns);
	n->cgroup = live_group;
	n->vtep = xstrdup(addr);
	n->tunnel_mac = xstrdup(tunnel_mac);
	ns_enter(NULL);
}

static inline void node_tables(struct world *n)
{
	bool is_one = n == &one;
	const char *b_vtep = is_one ? "192.0.2.2" : NULL;
	struct world *w = n;

	OK(ebpf_host_put(n->bpf, COOKIE_HOST + (is_one ? 100 : 200)));
	world_net(n, BLUE, "blue", "10.1.0.0/16", "10.1.0.1", "10.80.0.0/22",
		  false);
	world_net(n, RED, "red", "10.2.0.0/16", "10.2.0.1", "10.80.4.0/22",
		  false);
	world_node(n, "one", "192.0.2.1", "192.0.2.1", one_mtu, is_one);
	world_node(n, "two", "192.0.2.2", "192.0.2.2", two_mtu, !is_one);
	world_frontend(n, BLUE, "10.80.0.8", 80, TCP,
		       backend(BLUE, "10.1.1.10", 8080, b_vtep));
	world_frontend(n, BLUE, NULL, 8001, TCP,
		       backend(BLUE, "10.1.1.10", 8080, b_vtep));
	world_frontend(n, BLUE, "10.80.0.8", 53, UDP,
		       backend(BLUE, "10.1.1.10", 5353, b_vtep));
	world_frontend(n, BLUE, NULL, 8003, UDP,
		       backend(BLUE, "10.1.1.10", 5353, b_vtep));
	if (is_one) {
		world_route(n, BLUE, "10.1.1.0/24", "192.0.2.2");
		world_pod(n, "a", BLUE, "10.1.0.10", MAC_A, COOKIE_A);
		world_pod(n, "c", RED, "10.2.0.10", MAC_C, COOKIE_C);
	} else {
		world_route(n, BLUE, "10.1.0.0/24", "192.0.2.1");
		world_pod(n, "b", BLUE, "10.1.1.10", MAC_B, COOKIE_B);
	}
	OK(ebpf_uplink_put(n->bpf, "up0", n->uplink));
}

static inline void node_begin(struct world *n, const char *ns)
{
	struct world *w = n;

	ns_enter(ns);
	world_open(n);
	OK(ebpf_audit_begin(n->bpf));
	node_tables(n);
	OK(ebpf_audit_end(n->bpf));
	OK(ebpf_start(n->bpf));
	ns_enter(NULL);
}

static inline void pod_enter(const char *node, const char *link,
			     const char *addr, const char *gateway)
{
	ns_enter(node);
	pod_ns(link, addr, gateway);
	ns_enter(NULL);
}

static inline void nodes_make(void)
{
	live_enter();
	sh("ip link set lo up");
	sh("ip link add br0 type bridge");
	sh("ip addr add 192.0.2.50/24 dev br0");
	sh("ip link set br0 up");
	node_links(&one, "one", "192.0.2.1", "02:00:00:00:01:01");
	node_links(&two, "two", "192.0.2.2", "02:00:00:00:02:02");
	node_begin(&one, "one");
	node_begin(&two, "two");
	pod_enter("one", "a", "10.1.0.10", "10.1.0.1");
	pod_enter("one", "c", "10.2.0.10", "10.2.0.1");
	pod_enter("two", "b", "10.1.1.10", "10.1.0.1");
}
