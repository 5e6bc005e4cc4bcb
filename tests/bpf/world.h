/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - a node for the programs to run in: its own namespaces, a tunnel
 * device, pods' links, and tables with a little of everything.
 *
 *   blue (100)  10.1.0.0/16, VIPs 10.80.0.0/22; pods a .0.10, b .0.11
 *   red  (200)  10.2.0.0/16, VIPs 10.80.4.0/22; pod c .0.10, and a again .0.11
 *   dark (300)  10.3.0.0/16, VIPs 10.80.8.0/22; internal; pods d .0.10, e .0.11
 *   nodes       this 192.0.2.1 and 198.51.100.1, other 192.0.2.2 with blue's
 *               10.1.1.0/24 and 198.51.100.2
 *
 * With world_v6(), address by address the same:
 *
 *   blue (100)  fd00:1::/64, VIPs fd00:80::/118
 *   dark (300)  fd00:3::/64, VIPs fd00:83::/118
 *   six (400)   fd00:6::/64, VIPs fd00:86::/118, and nothing else; pod f ::a
 *   nodes       this 2001:db8::1, other 2001:db8::2 with blue's fd00:1::100/120
 */
#pragma once

#include <net/if.h>
#include <stdarg.h>

#include "netd/ebpf.h"
#include "netd/util.h"

#include "own_net.h"

#define TUNNEL_MAC "02:00:00:00:00:01"
#define PEER_MAC "02:00:00:00:00:ee"
#define UPLINK_MAC "02:00:00:00:00:aa"
#define WIRE_MAC "02:00:00:00:00:bb"
#define MAC_A "02:00:0a:01:00:0a"
#define MAC_B "02:00:0a:01:00:0b"
#define MAC_C "02:00:0a:02:00:0a"
#define MAC_A2 "02:00:0a:02:00:0b"
#define MAC_D "02:00:0a:03:00:0a"
#define MAC_E "02:00:0a:03:00:0b"
#define MAC_F "02:00:0a:06:00:0a"

/* Far from those that the kernel gives out. */
#define COOKIE_HOST (UINT64_C(1) << 60)
#define COOKIE_A (COOKIE_HOST + 1)
#define COOKIE_B (COOKIE_HOST + 2)
#define COOKIE_C (COOKIE_HOST + 3)
#define COOKIE_D (COOKIE_HOST + 4)
#define COOKIE_E (COOKIE_HOST + 5)
#define COOKIE_F (COOKIE_HOST + 6)

#define BLUE 100
#define RED 200
#define DARK 300
#define SIX 400

struct world {
	struct ebpf *bpf;
	char *pin_dir;
	/* NULL: the root of the tree. */
	const char *cgroup;
	uint32_t tunnel;
	uint32_t uplink;
	/* NULL: as below. */
	const char *vtep;
	const char *tunnel_mac;
	/* 0: as many as it is by default. */
	uint32_t flows_max;
	enum ebpf_xdp xdp;
};

/* A shell for what `ip` does shortest; it must work. */
__attribute__((format(printf, 1, 2))) static inline void sh(const char *fmt,
							    ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (system(line) != 0)
		fail_msg("%s", line);
}

static inline struct ip_addr ip(const char *text)
{
	struct ip_addr a = { 0 };

	if (text && ip_parse(text, &a))
		fail_msg("%s", text);
	return a;
}

static inline struct ip_prefix net(const char *text)
{
	struct ip_prefix p;

	if (prefix_parse(text, &p))
		fail_msg("%s", text);
	return p;
}

static inline struct mac_addr mac(const char *text)
{
	struct mac_addr m;

	if (mac_parse(text, &m))
		fail_msg("%s", text);
	return m;
}

/* `ip netns` and the pins are this process's alone, too. */
static inline void world_enter(void)
{
	own_net_enter();
	if (mount("netd-test", "/run", "tmpfs", 0, NULL))
		abort();
}

static inline void world_links(struct world *w)
{
	sh("ip link set lo up");
	sh("ip link add netd0 address " TUNNEL_MAC
	   " type vxlan external dstport 4789 nolearning");
	sh("ip link set netd0 arp off addrgenmode none mtu 1450 up");
	sh("ip link add up0 address " UPLINK_MAC
	   " type veth peer name wire0 address " WIRE_MAC);
	sh("ip addr add 192.0.2.1/24 dev up0");
	sh("ip addr add 198.51.100.1/32 dev up0");
	sh("ip link set up0 up");
	sh("sysctl -qw net.ipv4.conf.netd0.forwarding=1");
	w->tunnel = if_nametoindex("netd0");
	w->uplink = if_nametoindex("up0");
}

static inline void world_open(struct world *w)
{
	struct ebpf_config config = {
		.pin_dir = w->pin_dir,
		.cgroup = w->cgroup,
		.tunnel_ifindex = w->tunnel,
		.tunnel_mac = mac(w->tunnel_mac ? w->tunnel_mac : TUNNEL_MAC),
		.vxlan_port = 4789,
		.vtep = ip(w->vtep ? w->vtep : "192.0.2.1"),
		.flows_max = w->flows_max,
		.xdp = w->xdp,
	};

	if (ebpf_open(&config, &w->bpf))
		fail_msg("%s", ebpf_error(NULL));
	ebpf_fast_path(w->bpf, true);
}

#define OK(call)                                                               \
	do {                                                                   \
		int ok_rc = (call);                                            \
		if (ok_rc)                                                     \
			fail_msg("%s: %d %s", #call, ok_rc,                    \
				 ebpf_error(w->bpf));                          \
	} while (0)

static inline void world_net(struct world *w, uint32_t vni, const char *name,
			     const char *subnet, const char *gateway,
			     const char *vips, bool internal)
{
	struct want_net want = { .vni = vni,
				 .ranges = { { .subnet = net(subnet),
					       .gateway = ip(gateway),
					       .vips = { net(vips) },
					       .vips_len = 1 } },
				 .ranges_len = 1,
				 .internal = internal,
				 .joined = true };

	str_copy(want.name, sizeof(want.name), name);
	OK(ebpf_net_put(w->bpf, &want));
}

static inline void world_node(struct world *w, const char *name,
			      const char *vtep, const char *other, uint32_t mtu,
			      bool self)
{
	struct want_node want = { .vtep = ip(vtep),
				  .mtu = mtu,
				  .addrs = { ip(vtep), ip(other) },
				  .addrs_len = 2,
				  .self = self };

	str_copy(want.name, sizeof(want.name), name);
	OK(ebpf_node_put(w->bpf, &want));
}

static inline struct want_pod world_want_pod(const char *id, uint32_t vni,
					     const char *addr, const char *m)
{
	struct want_pod want = { .vni = vni, .addrs_len = 1, .mac = mac(m) };
	struct want_pod_addr *at = &want.addrs[0];
	struct ip_prefix net;

	at->addr = ip(addr);
	at->prefix_len = 112;
	net = prefix_make(&at->addr, at->prefix_len);
	at->gateway = ip_add(&net.addr, 1);
	str_copy(want.id, sizeof(want.id), id);
	return want;
}

/* The link `id` on the host's side; its peer stays in the namespace `ns`. */
static inline void world_pod(struct world *w, const char *id, uint32_t vni,
			     const char *addr, const char *m, uint64_t cookie)
{
	struct want_pod want = world_want_pod(id, vni, addr, m);
	uint32_t ifindex = if_nametoindex(id);

	if (!ifindex) {
		sh("ip link add dev %s type veth peer name %s-p address %s", id,
		   id, m);
		sh("ip link set dev %s addrgenmode none up", id);
		ifindex = if_nametoindex(id);
	}
	OK(ebpf_pod_attach(w->bpf, id, ifindex));
	OK(ebpf_pod_put(w->bpf, &want, ifindex, cookie));
}

static inline struct want_backend backend(uint32_t vni, const char *addr,
					  uint16_t port, const char *vtep)
{
	return (struct want_backend){ .addr = ip(addr),
				      .vtep = ip(vtep),
				      .vni = vni,
				      .port = port,
				      .weight = 1 };
}

/* One backend, or none where its address is NULL. */
static inline void world_frontend(struct world *w, uint32_t vni,
				  const char *addr, uint16_t port,
				  uint8_t proto, struct want_backend b)
{
	struct want_frontend fe = {
		.vni = vni, .addr = ip(addr), .port = port, .proto = proto
	};

	OK(ebpf_frontend_put(w->bpf, &fe, &b, !ip_is_none(&b.addr)));
}

/* A port of this node alone: addr NULL is all its addresses. */
static inline void world_node_port(struct world *w, uint32_t vni,
				   const char *addr, uint16_t port,
				   struct want_backend b)
{
	struct want_frontend fe = { .vni = vni,
				    .addr = ip(addr),
				    .port = port,
				    .proto = 6,
				    .node = true };

	OK(ebpf_frontend_put(w->bpf, &fe, &b, !ip_is_none(&b.addr)));
}

/* Published on one address: this node's, or the other's. */
static inline void world_bound(struct world *w, const char *addr, uint16_t port,
			       struct want_backend b)
{
	struct want_frontend fe = { .vni = BLUE,
				    .addr = ip(addr),
				    .port = port,
				    .proto = 6,
				    .node = true,
				    .bound = true };

	OK(ebpf_frontend_put(w->bpf, &fe, &b, 1));
}

static inline void world_guard(struct world *w, const char *addr, uint16_t port)
{
	struct want_guard want = { ip(addr), port };

	OK(ebpf_guard_put(w->bpf, &want));
}

static inline void world_route(struct world *w, uint32_t vni, const char *dst,
			       const char *vtep)
{
	struct want_route want = { vni, net(dst), ip(vtep) };

	OK(ebpf_route_put(w->bpf, &want));
}

static inline void world_services(struct world *w)
{
	const struct want_backend none = { .port = 0 };

	world_frontend(w, BLUE, "10.80.0.5", 0, 1, none);
	world_frontend(w, BLUE, "10.80.0.5", 80, 6,
		       backend(BLUE, "10.1.0.11", 8080, NULL));
	world_frontend(w, BLUE, "10.80.0.5", 53, 17,
		       backend(BLUE, "10.1.0.11", 5353, NULL));
	world_frontend(w, BLUE, "10.80.0.6", 80, 6,
		       backend(BLUE, "10.1.0.10", 8080, NULL));
	world_frontend(w, BLUE, "10.80.0.7", 80, 6, none);
	world_frontend(w, BLUE, "10.80.0.7", 53, 17, none);
	world_frontend(w, BLUE, "10.80.0.8", 80, 6,
		       backend(BLUE, "10.1.1.10", 8080, "192.0.2.2"));
	world_frontend(w, BLUE, "10.80.0.9", 443, 6,
		       backend(0, "203.0.113.5", 8443, NULL));
	world_frontend(w, BLUE, "10.80.0.9", 2379, 6,
		       backend(0, "192.0.2.9", 2379, NULL));
	world_frontend(w, DARK, "10.80.8.5", 80, 6,
		       backend(DARK, "10.3.0.11", 8080, NULL));
	world_frontend(w, BLUE, NULL, 8000, 6,
		       backend(BLUE, "10.1.0.11", 8080, NULL));
	world_frontend(w, BLUE, NULL, 8001, 6,
		       backend(BLUE, "10.1.1.10", 8080, "192.0.2.2"));
	world_frontend(w, BLUE, NULL, 8002, 6, none);
	world_frontend(w, BLUE, NULL, 8002, 17, none);
	world_frontend(w, BLUE, NULL, 8004, 17,
		       backend(BLUE, "10.1.1.10", 5353, "192.0.2.2"));
	world_frontend(w, RED, NULL, 8003, 17,
		       backend(RED, "10.2.0.10", 5353, NULL));
	/* 8001 is published, too, with its backend on the other node. */
	world_node_port(w, BLUE, NULL, 9000,
			backend(BLUE, "10.1.0.11", 8080, NULL));
	world_node_port(w, BLUE, NULL, 9009, none);
	world_node_port(w, BLUE, "198.51.100.1", 9001,
			backend(BLUE, "10.1.0.11", 8080, NULL));
	world_node_port(w, BLUE, "127.0.0.1", 9002,
			backend(BLUE, "10.1.0.11", 8080, NULL));
	world_node_port(w, BLUE, "198.51.100.1", 8001,
			backend(BLUE, "10.1.0.11", 8080, NULL));
	world_bound(w, "192.0.2.1", 9100,
		    backend(BLUE, "10.1.1.10", 8080, "192.0.2.2"));
	world_bound(w, "192.0.2.2", 9101,
		    backend(BLUE, "10.1.0.11", 8080, NULL));
}

static inline void world_tables(struct world *w)
{
	OK(ebpf_host_put(w->bpf, COOKIE_HOST));
	world_net(w, BLUE, "blue", "10.1.0.0/16", "10.1.0.1", "10.80.0.0/22",
		  false);
	world_net(w, RED, "red", "10.2.0.0/16", "10.2.0.1", "10.80.4.0/22",
		  false);
	world_net(w, DARK, "dark", "10.3.0.0/16", "10.3.0.1", "10.80.8.0/22",
		  true);
	world_node(w, "this", "192.0.2.1", "198.51.100.1", 1450, true);
	world_node(w, "other", "192.0.2.2", "198.51.100.2", 1400, false);
	world_route(w, BLUE, "10.1.1.0/24", "192.0.2.2");
	world_guard(w, "192.0.2.9", 2379);
	world_guard(w, "192.0.2.8", 0);
	world_guard(w, "192.0.2.1", 2380);
	/* A store that runs in a pod is one all the same. */
	world_guard(w, "10.1.0.99", 2379);
	world_pod(w, "a", BLUE, "10.1.0.10", MAC_A, COOKIE_A);
	world_pod(w, "b", BLUE, "10.1.0.11", MAC_B, COOKIE_B);
	world_pod(w, "c", RED, "10.2.0.10", MAC_C, COOKIE_C);
	world_pod(w, "a2", RED, "10.2.0.11", MAC_A2, COOKIE_A);
	world_pod(w, "d", DARK, "10.3.0.10", MAC_D, COOKIE_D);
	world_pod(w, "e", DARK, "10.3.0.11", MAC_E, COOKIE_E);
	world_services(w);
}

/* world_enter() must have run. */
static inline void world_make(struct world *w)
{
	char dir[] = "/run/netd-bpf-XXXXXX";

	world_links(w);
	if (!mkdtemp(dir))
		fail_msg("%s", dir);
	w->pin_dir = xasprintf("%s/bpf", dir);
	world_open(w);
	world_tables(w);
}

/* Counters by reason's name. */
struct world_drops {
	const char *reason;
	uint64_t all;
	uint64_t one;
};

static inline void world_count(void *arg, const struct ebpf_drop_count *count)
{
	struct world_drops *d = arg;

	d->all += count->packets;
	if (d->reason && str_eq(d->reason, count->reason))
		d->one += count->packets;
}

static inline struct world_drops world_drops(struct world *w,
					     const char *reason)
{
	struct world_drops d = { .reason = reason };

	ebpf_drops_each(w->bpf, world_count, &d);
	return d;
}
