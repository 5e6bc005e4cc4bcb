/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebpf - the data path in the kernel: programs, maps and their pins.
 *
 * Everything is pinned below one directory, so that the kernel goes on
 * balancing and forwarding when the caller is gone; the next ebpf_open()
 * takes over the maps it finds, and attaching again replaces programs in
 * place (a packet sees the old or the new one, never none).
 *
 * put and del may be repeated; an equal put costs no system call, and del of
 * what is not there is 0. Loop thread only. Failures: -errno; what libbpf and
 * the verifier said is in ebpf_error().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/want.h"

struct ebpf;

/*
 * Packets to published ports with backends elsewhere, in the uplinks'
 * drivers: never, where there is a driver of hardware that can, or on every
 * uplink that can, a veth too.
 */
enum ebpf_xdp { EBPF_XDP_OFF, EBPF_XDP_AUTO, EBPF_XDP_ON };

struct ebpf_config {
	/* Directory in a bpffs, made if missing: pins of maps and links. */
	const char *pin_dir;
	/* Root of the cgroup2 tree; NULL: found by file system type. */
	const char *cgroup;
	/* The tunnel device, and the UDP port (host order) it uses. */
	uint32_t tunnel_ifindex;
	struct mac_addr tunnel_mac;
	uint16_t vxlan_port;
	/* This node's tunnel end. */
	struct ip_addr vtep;
	/* Entries for established connections (two each), 0: 262144. */
	uint32_t flows_max;
	/* Seconds until one that says nothing is forgotten, 0: a day. */
	uint32_t flow_idle_s;
	enum ebpf_xdp xdp;
};

#define EBPF_FLOW_IDLE_S 86400

/*
 * Loads the programs and reuses the maps pinned before; a bpffs is mounted
 * for pin_dir where there is none. Nothing is attached yet. Why it failed is
 * in ebpf_error(NULL).
 */
int ebpf_open(const struct ebpf_config *config, struct ebpf **ret);

/*
 * Attaches (or replaces in place) the tunnel's and the cgroup's programs.
 * Called when the maps hold what they should, so that a restart changes
 * nothing for packets on their way.
 */
int ebpf_start(struct ebpf *bpf);

/* Forgets, and leaves the kernel forwarding. NULL is fine. */
void ebpf_close(struct ebpf *bpf);

/* The last failure in words, "" if there was none. NULL: ebpf_open()'s. */
const char *ebpf_error(const struct ebpf *bpf);

/* Is packets' way attached with tcx (6.6) or with clsact filters? */
bool ebpf_has_tcx(const struct ebpf *bpf);
/* Do the socket programs run, that is, is there a cgroup2 tree? */
bool ebpf_has_cgroup(const struct ebpf *bpf);

/*
 * May packets between nodes go past the tunnel device and the host's stack,
 * where they need neither? Not before this says so.
 */
void ebpf_fast_path(struct ebpf *bpf, bool on);

/*
 * A link, an address, a route, a next hop or a rule of the host is another, or
 * a node is none any more: what the programs remember of the way to nodes and
 * of their membership is looked up anew. Without being told they do that each
 * second.
 */
void ebpf_underlay_changed(struct ebpf *bpf);

/* Unpins everything below pin_dir, so that links and programs end. */
int ebpf_remove(const char *pin_dir);

int ebpf_net_put(struct ebpf *bpf, const struct want_net *want);
int ebpf_net_del(struct ebpf *bpf, uint32_t vni);

int ebpf_node_put(struct ebpf *bpf, const struct want_node *want);
int ebpf_node_del(struct ebpf *bpf, const char *name);

int ebpf_route_put(struct ebpf *bpf, const struct want_route *want);
int ebpf_route_del(struct ebpf *bpf, uint32_t vni, const struct ip_prefix *dst);

/*
 * from_pod on the host's side of a pod's veth. attach before the link goes
 * up, put when the pod may get traffic. `cookie` is the pod's network
 * namespace (SO_NETNS_COOKIE), for the socket programs.
 */
int ebpf_pod_attach(struct ebpf *bpf, const char *id, uint32_t ifindex);
int ebpf_pod_put(struct ebpf *bpf, const struct want_pod *want,
		 uint32_t ifindex, uint64_t cookie);
int ebpf_pod_del(struct ebpf *bpf, const char *id);

/* Looks into the kernel: are program and map entries there? -ENOENT. */
int ebpf_pod_check(struct ebpf *bpf, const struct want_pod *want,
		   uint32_t ifindex);
int ebpf_frontend_check(struct ebpf *bpf, const struct want_frontend *fe);

/* The network namespace whose sockets count as this host's. */
int ebpf_host_put(struct ebpf *bpf, uint64_t cookie);

/*
 * The resolvers that this host asks: queries to them from pods that want it
 * (asks_host) go to the pod's gateway instead. The same list costs nothing.
 */
#define EBPF_RESOLVERS_MAX 8
int ebpf_resolvers_put(struct ebpf *bpf, const struct ip_addr *addrs,
		       size_t len);

/* from_uplink on an interface of the host; one without Ethernet has none. */
int ebpf_uplink_put(struct ebpf *bpf, const char *name, uint32_t ifindex);
int ebpf_uplink_del(struct ebpf *bpf, const char *name);

/*
 * On their way to netd0, tunnel packets have this mark: they came from a
 * member, by an uplink that leads to it.
 */
#define EBPF_MARK_MEMBER 0x6e657464
/* On how many of them does the driver run the XDP program? */
size_t ebpf_xdp_links(const struct ebpf *bpf);

/*
 * Backends of one frontend, all at once; readers see the old or the new set.
 * Sets of equal backends give equal Maglev tables on every node, whatever
 * their order here. len 0: the frontend refuses (RST, ICMP).
 */
int ebpf_frontend_put(struct ebpf *bpf, const struct want_frontend *fe,
		      const struct want_backend *backends, size_t len);
int ebpf_frontend_del(struct ebpf *bpf, const struct want_frontend *fe);

/*
 * Who may ask a published port with has_sources: these and nobody else.
 * Before the frontend is put; len 0 forgets them.
 */
int ebpf_sources_put(struct ebpf *bpf, const struct want_frontend *fe,
		     const struct ip_prefix *list, size_t len);

int ebpf_guard_put(struct ebpf *bpf, const struct want_guard *want);
int ebpf_guard_del(struct ebpf *bpf, const struct want_guard *want);

/*
 * Audit: put everything wanted in between; end deletes what was not put. The
 * host's namespace and uplinks stay from ebpf_open() on: of them it deletes
 * what an earlier process left and this one has not put.
 */
int ebpf_audit_begin(struct ebpf *bpf);
int ebpf_audit_end(struct ebpf *bpf);

/*
 * Forgets connections that ended or fell silent: one slice of the table, well
 * below a millisecond. True while the pass through the table goes on.
 */
bool ebpf_flows_age(struct ebpf *bpf);

struct ebpf_flows {
	/* Entries as of the last whole pass, and how many there can be. */
	uint64_t established;
	uint64_t room;
	/* Packets of connections that the full table could not take: they
	 * are balanced all the same, but floods may make them be forgotten. */
	uint64_t full;
};

struct ebpf_flows ebpf_flows(struct ebpf *bpf);

/* Packets dropped since the map was made. */
struct ebpf_drop_count {
	const char *reason;
	const char *meaning;
	uint64_t packets;
	/* Those of which no sample was made: there were too many at once, or
	 * nobody has read for long. */
	uint64_t unseen;
};

/* Calls fn for every drop reason. */
void ebpf_drops_each(struct ebpf *bpf,
		     void (*fn)(void *arg, const struct ebpf_drop_count *count),
		     void *arg);

/* A packet that was dropped, as it was; what it has not is 0. */
struct ebpf_sample {
	/* Nanoseconds of CLOCK_BOOTTIME. */
	uint64_t time;
	const char *reason;
	const char *meaning;
	/* The program: "from_pod". */
	const char *hook;
	/* Where it came in, and the network it came through the tunnel for. */
	uint32_t ifindex;
	uint32_t vni;
	/* With its Ethernet header. */
	uint32_t len;
	struct mac_addr mac;
	uint16_t ethertype;
	/* ARP: sender and target. */
	struct ip_addr src, dst;
	uint8_t proto;
	/* TCP: flags; ICMP: type, and its code. */
	uint8_t detail, code;
	uint16_t sport, dport;
	bool fragment;
};

/*
 * The programs show a few of the packets that they drop. A descriptor that is
 * readable when there are some, and up to EBPF_SAMPLES_TURN of them for fn.
 * They wait in the kernel while nobody reads, some hundreds.
 */
#define EBPF_SAMPLES_TURN 64
int ebpf_samples_fd(const struct ebpf *bpf);
void ebpf_samples_read(struct ebpf *bpf,
		       void (*fn)(void *arg, const struct ebpf_sample *sample),
		       void *arg);
