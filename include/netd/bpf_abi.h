/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_abi - what the programs in the kernel and their loader agree on: every
 * map's key and value, limits, reserved numbers and drop reasons.
 *
 * Maps are pinned and outlive both sides, so a layout that changes takes a
 * new ABI_VERSION, which is part of the pins' path. Addresses are 16 bytes in
 * network order, IPv4 as v4-mapped, as in netd/addr.h; ports are in network
 * order where the type says so. Padding is explicit and always zero: keys are
 * compared byte by byte.
 */
#pragma once

#include <linux/types.h>

#define ABI_VERSION 3

/* Sizes of the maps. */
#define ABI_PODS_MAX 16384
#define ABI_ROUTES_MAX 1048576
#define ABI_NETS_MAX 16384
#define ABI_VTEPS_MAX 16384
#define ABI_GUARDS_MAX 4096
#define ABI_FRONTENDS_MAX 131072
#define ABI_BACKENDS_MAX 393216
/* At least 16 x 128 x CPUs: each CPU of an LRU parks up to 128 entries. */
#define ABI_FLOWS_MAX 262144
/* What is settable; a connection has one entry or two. */
#define ABI_ESTABLISHED_MAX 262144
#define ABI_FRAGS_MAX 16384
#define ABI_SOURCES_MAX 65536
#define ABI_AFFINITIES_MAX 65536
#define ABI_SOCKETS_MAX 65536
#define ABI_PEERS_MAX 65536
#define ABI_RESOLVERS_MAX 65536
#define ABI_XDP_LINKS_MAX 4096

/*
 * The arena of slots: elements of 64 bytes, since an array's element takes a
 * multiple of 8 and each look-up costs a call. 16 MiB, allocated at once.
 */
#define ABI_RUN_SLOTS 16
#define ABI_RUN_SHIFT 4
#define ABI_ARENA_MAX 262144

/* VNIs that no network gets: packets of the mesh, as the client sent them
 * and as it gets them. */
#define ABI_VNI_REQUEST 0xfffffe
#define ABI_VNI_REPLY 0xffffff

/* On tunnel packets between from_uplink, which looked at them, and netd0. */
#define ABI_MARK_MEMBER 0x6e657464

struct abi_addr {
	__be32 w[4];
};

/* Addresses of one prefix: those that are `net` where the mask has bits. */
struct abi_prefix {
	struct abi_addr net;
	struct abi_addr mask;
};

/* A network's addresses of one family; without any, the gateway is 0. */
struct abi_range {
	struct abi_prefix subnet;
	struct abi_addr gateway;
};

/* Where in a network's and a pod's ranges the families are. */
#define ABI_IPV4 0
#define ABI_IPV6 1
#define ABI_FAMILIES 2

/* One attachment, by the ifindex of the host's side of its veth. */
struct abi_pod {
	__u64 cookie;
	/* 0: none of this family. */
	struct abi_addr addrs[ABI_FAMILIES];
	/* Its network: most packets stay there and need no look-up to know. */
	struct abi_range ranges[ABI_FAMILIES];
	__u32 vni;
	__u8 mac[6];
	__u8 pad[6];
};

struct abi_endpoint_key {
	__u32 vni;
	struct abi_addr addr;
};

/* The same attachment by network and address. */
struct abi_endpoint {
	__u64 cookie;
	__u32 ifindex;
	__u8 mac[6];
	__u8 pad[6];
};

/*
 * Longest prefix first. Under a network's VNI: what lies behind another
 * node's VTEP. Under VNI 0: what an address is at all, for every network.
 */
enum abi_route_kind {
	ABI_ROUTE_REMOTE = 1,
	ABI_ROUTE_SUBNET,
	ABI_ROUTE_GATEWAY,
	ABI_ROUTE_VIPS,
	ABI_ROUTE_NODE,
};

struct abi_route_key {
	__u32 prefixlen;
	__u32 vni;
	struct abi_addr addr;
};

struct abi_route {
	struct abi_addr vtep;
	__u32 vni;
	__u8 kind;
	/* ABI_ROUTE_NODE: it is this very node. */
	__u8 self;
	__u8 pad[2];
};

/* A network that this node knows, by VNI. */
#define ABI_NET_INTERNAL 1u

struct abi_net {
	__u32 flags;
	struct abi_range ranges[ABI_FAMILIES];
};

/*
 * What pods must not reach; address 0: the host, by whatever address. Port 0
 * is looked up first, and says that all is, or to look up the port too.
 */
#define ABI_GUARD_ALL 1u
#define ABI_GUARD_SEE_PORT 2u

struct abi_guard_key {
	struct abi_addr addr;
	__be16 port;
	__u8 pad[2];
};

/* Which of 64 bits stands for a guarded address, by its last word. */
static inline __attribute__((always_inline)) __u32 abi_guard_bit(__be32 word)
{
	/* The golden ratio's (Knuth, TAOCP 3, 6.4): near ones spread. */
	return (__u32)(word * 2654435769u) >> 26;
}

/*
 * Address 0: a published port, on every address of every node. A port of this
 * node alone stands under one of its addresses, or under ::ffff:0.0.0.0 for
 * all of them; so both kinds may have the same port. What stands for all
 * addresses does so for those of one family: `v6` says which, and is 0 where
 * the address does. ICMPv6 goes by the number of ICMP.
 */
struct abi_frontend_key {
	struct abi_addr addr;
	__be16 port;
	__u8 proto;
	__u8 v6;
};

/* Answered on this node's own addresses only. */
#define ABI_FRONTEND_NODE 1u
/* TCP connections to a backend that is gone are reset. */
#define ABI_FRONTEND_RESET 2u
/* Behind the first run's slots: how many backends have none, and which. */
#define ABI_FRONTEND_PARKED 4u
/* The first run is a Maglev table though the address is no published one. */
#define ABI_FRONTEND_MAGLEV 8u
/* Asked by those in `sources` alone. */
#define ABI_FRONTEND_SOURCES 16u
/* A port of this address alone that every node knows: nodes that have it send
 * what comes to the backends' nodes, as they do with published ones. */
#define ABI_FRONTEND_BOUND 32u
/* Above: seconds for which a client keeps its backend; 0: a flow's life. */
#define ABI_FRONTEND_AFFINITY_SHIFT 8

/* Runs of slots in the arena: all backends, and those on this node. */
struct abi_frontend {
	__u32 vni;
	__u32 offset;
	__u32 count;
	__u32 local_offset;
	__u32 local_count;
	__u32 flags;
};

struct abi_run {
	__u32 slot[ABI_RUN_SLOTS];
};

/* Alive: in its frontend's set. Local: its endpoint is on this node. */
#define ABI_BACKEND_ALIVE 1u
#define ABI_BACKEND_LOCAL 2u

/*
 * An id belongs to one frontend. An id that is used again gets a new
 * generation, so that flows notice.
 */
struct abi_backend {
	struct abi_addr addr;
	struct abi_addr vtep;
	/* 0: outside the overlay. */
	__u32 vni;
	__u32 generation;
	__be16 port;
	__u16 weight;
	__u16 flags;
	__u16 pad;
};

enum abi_flow_kind {
	/* Client to balanced address: what was chosen. */
	ABI_FLOW_FORWARD = 1,
	/* Backend to client: the source is the VIP again. */
	ABI_FLOW_VIP,
	/* Backend to client: the source is the published address again, and
	 * the packet leaves by the node it came in. */
	ABI_FLOW_MESH,
	/* A pod that reached itself: both addresses change back. */
	ABI_FLOW_HAIRPIN,
	/* Answers of an internal network's pod to a node that asked. */
	ABI_FLOW_PASS,
};

/* side: forward flows never meet reverse ones. */
#define ABI_SIDE_FORWARD 0
#define ABI_SIDE_REVERSE 1

struct abi_flow_key {
	struct abi_addr src;
	struct abi_addr dst;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 side;
	__u8 pad[2];
};

struct abi_flow {
	/* Forward: the backend. Reverse: the address that the client knows. */
	struct abi_addr addr;
	/* Forward: the backend's VTEP. Mesh: that of the node of entry. */
	struct abi_addr vtep;
	__u32 vni;
	__u32 backend;
	__u32 generation;
	__be16 port;
	__u8 kind;
	/* Forward: the backend's ABI_BACKEND_LOCAL, ABI_FLOW_ENTERED. */
	__u8 flags;
	/* ABI_FLOW_ANSWERED and what follows. */
	__u32 state;
	/* Ticks: new flows' first packet, established ones' last, nearly. */
	__u32 seen;
	/* TCP: a number the backend sent, which its client has to know. */
	__u32 seq;
	/* Forward, established: the last word of the entry node's VTEP, on
	 * the backend's node. */
	__be32 entry;
};

/* Of a published port, asked here, by a packet from outside or of a pod: not a
 * VIP's, and not of another node's clients. */
#define ABI_FLOW_ENTERED 4u

/* State of a flow; the FIN and RST bits are of the established alone. */
#define ABI_FLOW_ANSWERED 1u
#define ABI_FLOW_ESTABLISHED 2u
#define ABI_FLOW_FIN_CLIENT 4u
#define ABI_FLOW_FIN_BACKEND 8u
#define ABI_FLOW_RST_CLIENT 16u
#define ABI_FLOW_RST_BACKEND 32u
#define ABI_FLOW_CLOSING 60u

/* A tick is 2^30 ns of CLOCK_MONOTONIC, a second and a bit. */
#define ABI_TICK_SHIFT 30

/* Counters of the flow tables. */
enum abi_flow_count {
	/* Packets of proven flows that the full table had no room for. */
	ABI_FLOW_COUNT_FULL,
	ABI_FLOW_COUNT_MAX
};

/*
 * The ports of a datagram in fragments, under what its fragments have in
 * common, and where they came in: scope is a pod's ifindex or a VNI.
 */
enum abi_frag_hook {
	ABI_FRAG_POD = 1,
	ABI_FRAG_OVERLAY,
	ABI_FRAG_HOST,
	ABI_FRAG_UPLINK,
};

struct abi_frag_key {
	struct abi_addr src;
	struct abi_addr dst;
	__u32 scope;
	/* IPv4's 16 bits, or IPv6's 32. */
	__be32 id;
	__u8 proto;
	__u8 hook;
	__u8 pad[2];
};

struct abi_frag {
	__be16 sport;
	__be16 dport;
};

/* Who may ask a published port: longest prefix, the port being part of it. */
struct abi_source_key {
	__u32 prefixlen;
	__be16 port;
	__u8 proto;
	__u8 v6;
	struct abi_addr src;
};

/* Which backend a client of a service with affinity has. */
struct abi_affinity_key {
	/* A pod's namespace in the last words, none for the host; of
	 * published ports the client's address. */
	struct abi_addr client;
	/* None for published ports, by whatever address they were asked. */
	struct abi_addr addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
};

struct abi_affinity {
	__u64 used;
	__u32 backend;
	__u32 generation;
};

/* Whose sockets are translated; vni 0 says who the namespace is. */
#define ABI_SOCKET_HOST 1u
#define ABI_SOCKET_POD 2u

struct abi_socket_key {
	__u64 cookie;
	__u32 vni;
	__u32 pad;
};

/*
 * A resolver of the host, as a pod's sockets may ask it: the value is the
 * gateway that answers in its place.
 */
struct abi_resolver_key {
	__u64 cookie;
	struct abi_addr addr;
};

/* What a socket talks to, and what it asked for: getpeername(), recvmsg(). */
struct abi_peer {
	struct abi_addr addr;
	__be16 port;
	__u8 pad[2];
};

struct abi_talk {
	struct abi_peer peer;
	struct abi_peer asked;
};

/* Peers for which the socket itself has no room. */
struct abi_peer_key {
	__u64 cookie;
	struct abi_addr addr;
	__be16 port;
	__u8 pad[6];
};

/* An interface whose driver runs the XDP program, by its ifindex. */
struct abi_xdp_link {
	__u8 mac[6];
	__u8 pad[2];
};

/* Set by the loader before the programs are loaded. */
struct abi_config {
	struct abi_addr vtep;
	__u32 tunnel_ifindex;
	__u8 tunnel_mac[6];
	__be16 vxlan_port;
};

/* Why a packet was dropped: enumerator, name, meaning. */
#define ABI_DROPS(X)                                                           \
	X(RUNT, "runt", "shorter than its headers say")                        \
	X(NO_POD, "no_pod", "from an interface that is no pod's (yet)")        \
	X(SPOOF_MAC, "spoof_mac", "source MAC is not the pod's")               \
	X(SPOOF_IP, "spoof_ip", "source address is not the pod's")             \
	X(IP_OPTIONS, "ip_options", "IP options, which pods may not send")     \
	X(SPOOF_ARP, "spoof_arp", "ARP sender is not the pod")                 \
	X(ARP, "arp", "ARP that needs no answer")                              \
	X(ETHERTYPE, "ethertype", "neither IP nor ARP, or VLAN-tagged")        \
	X(IPV6, "ipv6", "IPv6, which the network does not have")               \
	X(SPOOF_ND, "spoof_nd", "neighbour solicitation in another's name")    \
	X(ND, "nd", "neighbour solicitation that needs no answer")             \
	X(ICMPV6, "icmpv6", "ICMPv6 that is neither an error nor echo")        \
	X(EXTENSION, "extension", "IPv6 extension header but a fragment's")    \
	X(DHCP_SERVER, "dhcp_server", "a pod answers as DHCP server")          \
	X(MULTICAST, "multicast", "group, loopback or link-local address")     \
	X(VXLAN_FROM_POD, "vxlan_from_pod", "tunnel packet made by a pod")     \
	X(STORE_GUARD, "store_guard", "a pod reaches for the store")           \
	X(ISOLATION, "isolation", "address of another network")                \
	X(INTERNAL, "internal", "internal networks have no way out")           \
	X(FRAGMENTS, "fragments", "later fragment before its first")           \
	X(NO_ROUTE, "no_route", "address that no pod and no node has")         \
	X(NO_FRONTEND, "no_frontend", "VIP or port that is not balanced")      \
	X(NO_BACKEND, "no_backend", "no backend that can be reached here")     \
	X(SOURCE_DENIED, "source_denied", "published for other sources")       \
	X(NOT_MEMBER, "not_member", "tunnel packet of no node")                \
	X(WRONG_WAY, "wrong_way",                                              \
	  "tunnel packet by an interface without a route to its node")         \
	X(UNKNOWN_VNI, "unknown_vni", "tunnel packet of an unknown network")   \
	X(SPOOF_OVERLAY, "spoof_overlay", "inner source is not the sender's")  \
	X(NO_WAY_OUT, "no_way_out", "no route or neighbour to the client")     \
	X(KERNEL, "kernel", "the kernel refused to change the packet")

enum abi_drop {
	ABI_DROP_NONE,
#define X(id, name, meaning) ABI_DROP_##id,
	ABI_DROPS(X)
#undef X
		ABI_DROP_MAX
};

/* Which program dropped it. */
enum abi_hook {
	ABI_HOOK_FROM_POD = 1,
	ABI_HOOK_FROM_OVERLAY,
	ABI_HOOK_TO_OVERLAY,
	ABI_HOOK_FROM_UPLINK,
	ABI_HOOK_MAX
};

/* Of the dropped, one as it was; fields that it has not are 0. */
struct abi_sample {
	/* CLOCK_BOOTTIME */
	__u64 time;
	struct abi_addr src;
	struct abi_addr dst;
	__u32 ifindex;
	/* What it came through the tunnel for, 0: it did not. */
	__u32 vni;
	__u32 len;
	/* enum abi_drop */
	__u16 reason;
	__be16 ethertype;
	__be16 sport;
	__be16 dport;
	__u8 mac[6];
	/* enum abi_hook */
	__u8 hook;
	__u8 proto;
	/* TCP: flags; ICMP: type. */
	__u8 detail;
	__u8 code;
	__u8 fragment;
	__u8 pad[9];
};

/* Not all at once: this many per tick, reason, CPU and lane. */
#define ABI_LANE_SAMPLES 16
#define ABI_LANES_BITS 3
#define ABI_LANES (1 << ABI_LANES_BITS)

struct abi_lane {
	/* Dropped packets that were not shown. */
	__u64 unseen;
	__u32 tick;
	__u32 left;
};

struct abi_lanes {
	struct abi_lane lane[ABI_LANES];
};

/* Some 700 samples wait until they are read. */
#define ABI_SAMPLES_BYTES 65536

_Static_assert(sizeof(struct abi_addr) == 16, "abi_addr");
_Static_assert(sizeof(struct abi_range) == 48, "abi_range");
_Static_assert(sizeof(struct abi_pod) == 152, "abi_pod");
_Static_assert(sizeof(struct abi_endpoint_key) == 20, "abi_endpoint_key");
_Static_assert(sizeof(struct abi_endpoint) == 24, "abi_endpoint");
_Static_assert(sizeof(struct abi_route_key) == 24, "abi_route_key");
_Static_assert(sizeof(struct abi_route) == 24, "abi_route");
_Static_assert(sizeof(struct abi_net) == 100, "abi_net");
_Static_assert(sizeof(struct abi_guard_key) == 20, "abi_guard_key");
_Static_assert(sizeof(struct abi_frontend_key) == 20, "abi_frontend_key");
_Static_assert(sizeof(struct abi_frontend) == 24, "abi_frontend");
_Static_assert(sizeof(struct abi_run) == 64, "abi_run");
_Static_assert(sizeof(struct abi_backend) == 48, "abi_backend");
_Static_assert(sizeof(struct abi_flow_key) == 40, "abi_flow_key");
_Static_assert(sizeof(struct abi_flow) == 64, "abi_flow");
_Static_assert(sizeof(struct abi_frag_key) == 44, "abi_frag_key");
_Static_assert(sizeof(struct abi_frag) == 4, "abi_frag");
_Static_assert(sizeof(struct abi_source_key) == 24, "abi_source_key");
_Static_assert(sizeof(struct abi_affinity_key) == 36, "abi_affinity_key");
_Static_assert(sizeof(struct abi_affinity) == 16, "abi_affinity");
_Static_assert(sizeof(struct abi_socket_key) == 16, "abi_socket_key");
_Static_assert(sizeof(struct abi_resolver_key) == 24, "abi_resolver_key");
_Static_assert(sizeof(struct abi_peer_key) == 32, "abi_peer_key");
_Static_assert(sizeof(struct abi_peer) == 20, "abi_peer");
_Static_assert(sizeof(struct abi_talk) == 40, "abi_talk");
_Static_assert(sizeof(struct abi_sample) == 80, "abi_sample");
_Static_assert(sizeof(struct abi_lane) == 16, "abi_lane");
_Static_assert(sizeof(struct abi_xdp_link) == 8, "abi_xdp_link");
_Static_assert(sizeof(struct abi_config) == 28, "abi_config");
