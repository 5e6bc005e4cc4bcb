/* SPDX-License-Identifier: Apache-2.0 */
/*
 * want - what the reconciler asks of the backends: the border.
 *
 * Plain values, copyable, without pointers into anybody's tables. A backend
 * keeps what it was told and what the kernel accepted; the same want twice
 * changes nothing. Everything is keyed by what the kernel sees (VNI, address,
 * interface), names are there for people and for DNS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "netd/addr.h"

/* A network, service or node name: 63 characters (a DNS label) and a 0. */
#define NAME_LEN 64
/* A pod's name may hold dots; 253 characters (RFC 1035 2.3.4) and a 0. */
#define POD_NAME_LEN 254
/* "eth0"; IFNAMSIZ without its header. */
#define LINK_NAME_LEN 16
/* An endpoint's id, unique on its node: 12 hex digits and a 0. */
#define ENDPOINT_ID_LEN 16

/* VIP ranges a network may grow to; each is a /22 unless set otherwise. */
#define NET_VIPS_MAX 16

/* A network's addresses of one family. */
struct want_range {
	struct ip_prefix subnet;
	struct ip_addr gateway;
	struct ip_prefix vips[NET_VIPS_MAX];
	uint32_t vips_len;
};

/* One or two, of any family, the primary first; two are of two families. */
#define RANGES_MAX 2
/* Its subnets and VIP ranges. */
#define NET_PREFIXES_MAX (RANGES_MAX * (1 + NET_VIPS_MAX))

/* A network, on every node: where its addresses lie. */
struct want_net {
	uint32_t vni;
	char name[NAME_LEN];
	struct want_range ranges[RANGES_MAX];
	uint32_t ranges_len;
	/* No way out: neither egress nor forwarded names. */
	bool internal;
	/* This node has pods on it: gateway address, routes, DNS socket. */
	bool joined;
};

/* A node's addresses; the VTEP is one of them. */
#define NODE_ADDRS_MAX 16

struct want_node {
	char name[NAME_LEN];
	struct ip_addr vtep;
	struct ip_addr addrs[NODE_ADDRS_MAX];
	uint32_t addrs_len;
	/* What its tunnel takes, 0: unknown. */
	uint32_t mtu;
	/* This very node: its addresses are the host's own. */
	bool self;
};

/* Addresses of a network that live behind another node's VTEP. */
struct want_route {
	uint32_t vni;
	struct ip_prefix dst;
	struct ip_addr vtep;
};

struct want_pod_addr {
	struct ip_addr addr;
	/* The subnet's length in the 128-bit space, as struct ip_prefix. */
	uint8_t prefix_len;
	struct ip_addr gateway;
};

#define POD_VIPS_MAX (RANGES_MAX * NET_VIPS_MAX)

/* One attachment of a pod on this node to a network. */
struct want_pod {
	char id[ENDPOINT_ID_LEN];
	/* For people: link alias, log lines. */
	char pod[POD_NAME_LEN];
	uint32_t vni;
	/* One of each of its network's families, as the network's ranges. */
	struct want_pod_addr addrs[RANGES_MAX];
	uint32_t addrs_len;
	struct mac_addr mac;
	/* Name inside the pod; empty: the first free of eth0, eth1, ... */
	char ifname[LINK_NAME_LEN];
	/* Its sockets' queries to the host's resolvers go to the gateway. */
	bool asks_host;
	uint32_t mtu;
	/* The default routes lead through this network. */
	bool default_route;
	/* Of all families. */
	struct ip_prefix vips[POD_VIPS_MAX];
	uint32_t vips_len;
};

/*
 * One address and port that is balanced. addr none: a published port, which
 * every address of the node answers that is of the family v6 says. proto ICMP
 * with port 0: the VIP exists and answers echo. Ports in host order.
 */
struct want_frontend {
	uint32_t vni;
	struct ip_addr addr;
	uint16_t port;
	uint8_t proto;
	/* For clients of IPv6, else for those of IPv4; read where addr is
	 * none. */
	bool v6;
	/* A port of this node alone: addr is one of its own (a loopback one:
	 * for its processes only), none all of them. It goes before a
	 * published one. */
	bool node;
	/* With `node`: published on addr, by whichever node has it; all have
	 * to be told. */
	bool bound;
	/* A VIP's backends by Maglev, as a published port's always are. */
	bool maglev;
	/* TCP connections to a backend that is gone are reset. */
	bool reset_dead;
	/* A published port: for those of ebpf_sources_put() alone. */
	bool has_sources;
	/* A client stays with its backend so long, below 2^24; 0: it is
	 * chosen anew for each connection. */
	uint32_t affinity_s;
	/* For how long a connection that says nothing is known, and one of TCP
	 * that one side has closed; 0: as all others are. */
	uint32_t idle_s, idle_half_s;
};

/*
 * vtep none: on this node, or outside the overlay (vni 0). weight 0: takes no
 * new connection and keeps those it has.
 */
struct want_backend {
	struct ip_addr addr;
	struct ip_addr vtep;
	uint32_t vni;
	uint16_t port;
	uint16_t weight;
};

/* An address and port that pods must not reach: the store. port 0: all. */
struct want_guard {
	struct ip_addr addr;
	uint16_t port;
};

/* DNS: a network's zone and where its names are asked for. */
struct want_zone {
	uint32_t vni;
	char name[NAME_LEN];
	struct want_range ranges[RANGES_MAX];
	uint32_t ranges_len;
	bool internal;
};

/*
 * DNS: who may ask from this source address, and on which networks the answer
 * is looked for, in order of attachment. One entry per endpoint address.
 */
#define CLIENT_NETS_MAX 16

struct want_client {
	struct ip_addr addr;
	uint32_t vni[CLIENT_NETS_MAX];
	uint32_t vni_len;
	/* An address of the host: it sees every network, vni is not read. */
	bool host;
};

/* DNS: what a name means. Where several kinds share one, the first wins. */
enum name_kind {
	/* NAME: the VIP, every backend of a dnsrr service, or another name. */
	NAME_SERVICE,
	/* tasks.NAME: the backends of a service that are up. */
	NAME_TASKS,
	/* NAME: what an operator wrote. */
	NAME_RECORD,
	/* NAME: the pods of that name; aliases are pods too. */
	NAME_POD,
	NAME_KIND_MAX
};

/* Ports of a service, for SRV: _NAME._proto and _NUMBER._proto. */
#define NAME_PORTS_MAX 16
/* 15 characters (RFC 6335 5.1) and a 0. */
#define PORT_NAME_LEN 16

struct want_name_port {
	uint16_t port;
	uint8_t proto;
	/* What the backends listen on; 0: the same. */
	uint16_t target;
	/* Empty: none. */
	char name[PORT_NAME_LEN];
};

/* What is beyond is cut by the plan, which says so. */
#define NAME_ADDRS_MAX 1024

/* What one of a service's addresses is called: HOST.NAME. */
struct want_host {
	char name[NAME_LEN];
	/* A backend with a port of its own; 0: the port's target. */
	uint16_t port;
};

struct want_name {
	uint32_t vni;
	enum name_kind kind;
	/* Relative to the network, without the tasks. prefix; may hold dots. */
	char name[POD_NAME_LEN];
	uint32_t ttl;
	struct want_name_port ports[NAME_PORTS_MAX];
	uint32_t ports_len;
	uint32_t addrs_len;
	/* It is but another name of this one (CNAME), without addresses. */
	char target[POD_NAME_LEN];
	/* SRV leads to each of the backends, not to this name. */
	bool headless;
	/* The addresses' own name (PTR) is this one, below their hosts'. */
	bool ptr;
};

/* One record of a NAME_RECORD. Text is the target, or TXT's content. */
#define RECORD_VALUES_MAX 32
#define RECORD_TEXT_LEN 1024

struct want_value {
	/* RFC 1035's number: A 1, CNAME 5, PTR 12, TXT 16, AAAA 28, SRV 33. */
	uint16_t type;
	uint16_t priority, weight, port;
	uint32_t ttl;
	struct ip_addr addr;
	char text[RECORD_TEXT_LEN];
};

/*
 * DNS: whom to ask for outside names at or below a zone. The longest zone
 * wins, then one of a network over one of all (vni 0). zone "." is every
 * name: it stands in for the node's own upstreams.
 */
#define UPSTREAM_SERVERS_MAX 8

struct want_server {
	struct ip_addr addr;
	uint16_t port;
};

/* A zone's name; even with the network's number before it. */
#define ZONE_NAME_LEN 256

struct want_upstream {
	uint32_t vni;
	char zone[ZONE_NAME_LEN];
	struct want_server servers[UPSTREAM_SERVERS_MAX];
	uint32_t servers_len;
};

/*
 * DNS: addresses of a network, of every one in the cluster. The names that
 * lead back from them are ours, and never asked of others.
 */
struct want_reverse {
	uint32_t vni;
	struct ip_prefix prefixes[NET_PREFIXES_MAX];
	uint32_t len;
};
