/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world6 - the world of world.h with IPv6 beside its IPv4, as it says there:
 * what is put here once more has both families, red stays without.
 */
#pragma once

#include "world.h"

#define NODE6 "2001:db8::1"
#define OTHER6 "2001:db8::2"
#define OUTSIDE6 "2001:db8:f::1"
#define CLIENT6 "2001:db8:f::50"
#define STORE6 "2001:db8::9"

#define GATEWAY6 "fd00:1::1"
#define A6 "fd00:1::a"
#define B6 "fd00:1::b"
#define THERE6 "fd00:1::10a"
#define D6 "fd00:3::a"
#define E6 "fd00:3::b"
#define F6 "fd00:6::a"

static inline struct want_range
world_range(const char *subnet, const char *gateway, const char *vips)
{
	return (struct want_range){ .subnet = net(subnet),
				    .gateway = ip(gateway),
				    .vips = { net(vips) },
				    .vips_len = 1 };
}

/* v4 NULL: of IPv6 alone. */
static inline void world_net6(struct world *w, uint32_t vni, const char *name,
			      const struct want_range *v4, struct want_range v6,
			      bool internal)
{
	struct want_net want = { .vni = vni,
				 .internal = internal,
				 .joined = true };

	if (v4)
		want.ranges[want.ranges_len++] = *v4;
	want.ranges[want.ranges_len++] = v6;
	str_copy(want.name, sizeof(want.name), name);
	OK(ebpf_net_put(w->bpf, &want));
}

static inline void world_node6(struct world *w, const char *name,
			       const char *vtep, const char *other,
			       const char *v6, uint32_t mtu, bool self)
{
	struct want_node want = { .vtep = ip(vtep),
				  .mtu = mtu,
				  .addrs = { ip(vtep), ip(other), ip(v6) },
				  .addrs_len = 3,
				  .self = self };

	str_copy(want.name, sizeof(want.name), name);
	OK(ebpf_node_put(w->bpf, &want));
}

static inline void world_pod6(struct world *w, const char *id, uint32_t vni,
			      const char *v4, const char *v6, const char *m,
			      uint64_t cookie)
{
	struct want_pod want = { .vni = vni, .mac = mac(m) };
	struct want_pod_addr at = { .addr = ip(v6), .prefix_len = 64 };
	struct ip_prefix subnet = prefix_make(&at.addr, at.prefix_len);
	uint32_t ifindex = if_nametoindex(id);

	if (v4)
		want = world_want_pod(id, vni, v4, m);
	str_copy(want.id, sizeof(want.id), id);
	at.gateway = ip_add(&subnet.addr, 1);
	want.addrs[want.addrs_len++] = at;
	if (!ifindex) {
		sh("ip link add dev %s type veth peer name %s-p address %s", id,
		   id, m);
		sh("ip link set dev %s addrgenmode none up", id);
		ifindex = if_nametoindex(id);
		OK(ebpf_pod_attach(w->bpf, id, ifindex));
	}
	OK(ebpf_pod_put(w->bpf, &want, ifindex, cookie));
}

/* Published for clients of IPv6. */
static inline void world_published6(struct world *w, uint32_t vni,
				    uint16_t port, uint8_t proto,
				    struct want_backend b)
{
	struct want_frontend fe = {
		.vni = vni, .port = port, .proto = proto, .v6 = true
	};

	OK(ebpf_frontend_put(w->bpf, &fe, &b, !ip_is_none(&b.addr)));
}

static inline void world_node_port6(struct world *w, const char *addr,
				    uint16_t port, struct want_backend b)
{
	struct want_frontend fe = { .vni = BLUE,
				    .addr = ip(addr),
				    .port = port,
				    .proto = 6,
				    .v6 = true,
				    .node = true };

	OK(ebpf_frontend_put(w->bpf, &fe, &b, !ip_is_none(&b.addr)));
}

/* Of both families, each for its own list. */
static inline void world_sources6(struct world *w, uint16_t port,
				  const char *v6, const char *v4)
{
	const struct ip_prefix list6[] = { net(v6), net("0.0.0.0/0") };
	const struct ip_prefix list[] = { net(v4), net("::/0") };
	const struct want_backend b6 = backend(BLUE, B6, 8080, NULL);
	const struct want_backend b = backend(BLUE, "10.1.0.11", 8080, NULL);
	struct want_frontend fe = { .vni = BLUE,
				    .port = port,
				    .proto = 6,
				    .v6 = true,
				    .has_sources = true };

	OK(ebpf_sources_put(w->bpf, &fe, list6, ARRAY_LEN(list6)));
	OK(ebpf_frontend_put(w->bpf, &fe, &b6, 1));
	fe.v6 = false;
	OK(ebpf_sources_put(w->bpf, &fe, list, ARRAY_LEN(list)));
	OK(ebpf_frontend_put(w->bpf, &fe, &b, 1));
}

static inline void world_services6(struct world *w)
{
	const struct want_backend none = { .port = 0 };

	world_frontend(w, BLUE, "fd00:80::5", 0, 1, none);
	world_frontend(w, BLUE, "fd00:80::5", 80, 6,
		       backend(BLUE, B6, 8080, NULL));
	world_frontend(w, BLUE, "fd00:80::5", 53, 17,
		       backend(BLUE, B6, 5353, NULL));
	world_frontend(w, BLUE, "fd00:80::6", 80, 6,
		       backend(BLUE, A6, 8080, NULL));
	world_frontend(w, BLUE, "fd00:80::7", 80, 6, none);
	world_frontend(w, BLUE, "fd00:80::7", 53, 17, none);
	world_frontend(w, BLUE, "fd00:80::8", 80, 6,
		       backend(BLUE, THERE6, 8080, "192.0.2.2"));
	world_frontend(w, BLUE, "fd00:80::8", 53, 17,
		       backend(BLUE, THERE6, 5353, "192.0.2.2"));
	world_frontend(w, BLUE, "fd00:80::9", 443, 6,
		       backend(0, OUTSIDE6, 8443, NULL));
	world_frontend(w, BLUE, "fd00:80::9", 2379, 6,
		       backend(0, STORE6, 2379, NULL));
	world_frontend(w, DARK, "fd00:83::5", 80, 6,
		       backend(DARK, E6, 8080, NULL));
	world_published6(w, BLUE, 8000, 6, backend(BLUE, B6, 8080, NULL));
	world_published6(w, BLUE, 8001, 6,
			 backend(BLUE, THERE6, 8080, "192.0.2.2"));
	world_published6(w, BLUE, 8002, 6, none);
	world_published6(w, BLUE, 8002, 17, none);
	world_published6(w, BLUE, 8004, 17,
			 backend(BLUE, THERE6, 5353, "192.0.2.2"));
	world_sources6(w, 8007, "2001:db8:f::/64", "203.0.113.0/28");
	world_published6(w, SIX, 8006, 17, backend(SIX, F6, 5353, NULL));
	world_bound(w, OTHER6, 9101, backend(BLUE, B6, 8080, NULL));
	world_node_port6(w, NULL, 9000, backend(BLUE, B6, 8080, NULL));
	world_node_port6(w, NODE6, 8001, backend(BLUE, B6, 8080, NULL));
}

static inline void world_v6(struct world *w)
{
	const struct want_range blue =
		world_range("10.1.0.0/16", "10.1.0.1", "10.80.0.0/22");
	const struct want_range dark =
		world_range("10.3.0.0/16", "10.3.0.1", "10.80.8.0/22");

	sh("ip addr add " NODE6 "/64 dev up0 nodad");
	sh("ip -6 route add default via 2001:db8::fe");
	sh("sysctl -qw net.ipv6.conf.netd0.forwarding=1");
	world_net6(w, BLUE, "blue", &blue,
		   world_range("fd00:1::/64", GATEWAY6, "fd00:80::/118"),
		   false);
	world_net6(w, DARK, "dark", &dark,
		   world_range("fd00:3::/64", "fd00:3::1", "fd00:83::/118"),
		   true);
	world_net6(w, SIX, "six", NULL,
		   world_range("fd00:6::/64", "fd00:6::1", "fd00:86::/118"),
		   false);
	world_node6(w, "this", "192.0.2.1", "198.51.100.1", NODE6, 1450, true);
	world_node6(w, "other", "192.0.2.2", "198.51.100.2", OTHER6, 1400,
		    false);
	world_route(w, BLUE, "fd00:1::100/120", "192.0.2.2");
	world_guard(w, STORE6, 2379);
	world_guard(w, NODE6, 2380);
	world_pod6(w, "a", BLUE, "10.1.0.10", A6, MAC_A, COOKIE_A);
	world_pod6(w, "b", BLUE, "10.1.0.11", B6, MAC_B, COOKIE_B);
	world_pod6(w, "d", DARK, "10.3.0.10", D6, MAC_D, COOKIE_D);
	world_pod6(w, "e", DARK, "10.3.0.11", E6, MAC_E, COOKIE_E);
	world_pod6(w, "f", SIX, NULL, F6, MAC_F, COOKIE_F);
	world_services6(w);
}
