/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay - keeps the tunnel device, pods' links and the host's routes in the
 * kernel as they are wanted.
 *
 * Any call may be repeated; it leaves the kernel nearer to what is wanted, or
 * as it was. Arguments stay the caller's. Everything made carries our mark:
 * link alias "netd:...", route protocol OVERLAY_RTPROT, nft table "netd".
 * Loop thread only. Failures: -errno; what the kernel said is in
 * overlay_error().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/want.h"

/* rtm_protocol of every route of ours; see /etc/iproute2/rt_protos. */
#define OVERLAY_RTPROT 78

struct ebpf;
struct nl;
struct overlay;
struct reaper;

struct overlay_config {
	/* This node's tunnel end: an address of an interface that is up. */
	struct ip_addr vtep;
	uint16_t port;
	/* 0: the underlay's less the encapsulation (50, or 70 over IPv6). */
	uint32_t mtu;
	/* What egress is masqueraded for: pod addresses of these. */
	const struct ip_prefix *pools;
	size_t pools_len;
	/* Only these interfaces are uplinks; len 0: all that have a global
	 * address and are neither lo, nor netd's, nor a pod's. */
	const char *const *uplinks;
	size_t uplinks_len;
	/* Packets between nodes may go past the host's stack, as long as no
	 * IPsec policy wants to see them there. */
	bool fast_path;
	/* Where netns_* of pods live: ROOT/ns. */
	const char *ns_dir;
	/* Deletes links beside the loop; NULL: they are deleted at once. */
	struct reaper *reaper;
};

/* What the tunnel device turned out to be. */
struct overlay_tunnel {
	uint32_t ifindex;
	struct mac_addr mac;
	uint32_t mtu;
};

/*
 * Makes or adopts netd0. -EADDRINUSE: UDP `port` is another's, named in
 * overlay_error(); -EADDRNOTAVAIL: vtep is on no interface.
 */
int overlay_open(struct nl *nl, const struct overlay_config *config,
		 struct overlay **ret);

/* From here on pods and uplinks get programs. */
void overlay_set_ebpf(struct overlay *ov, struct ebpf *bpf);

/* Forgets, and leaves the kernel forwarding. NULL is fine. */
void overlay_close(struct overlay *ov);

/* "" after a refresh that found all well; NULL: why overlay_open() failed. */
const char *overlay_error(const struct overlay *ov);
struct overlay_tunnel overlay_tunnel(const struct overlay *ov);

/* Does this kernel have IPv6 at all? A host may be booted without it
 * (ipv6.disable=1). */
bool overlay_has_v6(void);

/* Gateway addresses on netd0, routes of subnets and VIP ranges by netd0. */
int overlay_net_put(struct overlay *ov, const struct want_net *want);
int overlay_net_del(struct overlay *ov, uint32_t vni);

/* What the kernel gave an endpoint: kept in the journal by the caller. */
struct overlay_link {
	uint32_t ifindex;
	uint64_t cookie;
	char ifname[LINK_NAME_LEN];
};

/*
 * Makes the veth into the namespace, its address and routes, the program and
 * the map entry, newest undone first when one fails. -EEXIST: ifname is taken
 * in the pod. `netns` stays the caller's.
 */
int overlay_pod_attach(struct overlay *ov, const struct want_pod *want,
		       int netns, struct overlay_link *ret);

/*
 * For an engine that moves the pod's end itself, and gives it its name,
 * address and routes: makes the veth with both ends here, program and map
 * entry. ret->ifname is what the engine is to move; there is no cookie yet.
 */
int overlay_pod_offer(struct overlay *ov, const struct want_pod *want,
		      struct overlay_link *ret);

/*
 * Has the engine moved it, and brought it up? Fills in name and cookie.
 * -EAGAIN: not yet; -ENODEV: the link is gone. `netns`: where it is expected
 * (a path, tried first), or NULL.
 */
int overlay_pod_moved(struct overlay *ov, const char *id, const char *netns,
		      struct overlay_link *ret);

/*
 * For an endpoint attached before (by an earlier process, too): link, program
 * and map entry as wanted again. -ENODEV: its link is gone, and so is the pod.
 */
int overlay_pod_adopt(struct overlay *ov, const struct want_pod *want,
		      const struct overlay_link *link);

/*
 * The MTU that is wanted, at both ends of an endpoint's link; `netns` is its
 * pod's. Only where overlay_pod_is_sized() says no.
 */
bool overlay_pod_is_sized(struct overlay *ov, const struct want_pod *want);
int overlay_pod_resize(struct overlay *ov, const struct want_pod *want,
		       const struct overlay_link *link, int netns);

/*
 * Stops traffic, then has the link deleted, which takes a while longer: see
 * overlay_doomed(). Gone already is 0.
 */
int overlay_pod_del(struct overlay *ov, const char *id);

/*
 * How many links were to be deleted so far, and how many of these, in that
 * order, are gone; fn(arg) runs from the loop whenever more are.
 */
uint64_t overlay_doomed(const struct overlay *ov);
uint64_t overlay_gone(const struct overlay *ov);
void overlay_on_gone(struct overlay *ov, void (*fn)(void *arg), void *arg);

/*
 * Is all of it in the kernel as it should be, looked at now: both ends of the
 * link, address, routes, program, maps? -ENOENT: the first that is not, in
 * overlay_error(). `netns` stays the caller's.
 */
int overlay_pod_check(struct overlay *ov, const struct want_pod *want,
		      int netns, const struct overlay_link *link);

/* The link's name on the host's side. */
int overlay_pod_link(const char *id, char ret[LINK_NAME_LEN]);

/* Is the endpoint's link still there? */
bool overlay_pod_is_up(const struct overlay *ov, const char *id);
/* Is its other end in another namespace, as of the last look? */
bool overlay_pod_is_away(const struct overlay *ov, const char *id);

/*
 * Looks at the kernel again: links, addresses, uplinks, nft table, FORWARD
 * policy. Repairs what is ours; called for kernel events and by the audit.
 */
int overlay_refresh(struct overlay *ov);

/* Does it, as of the last refresh? */
bool overlay_has_fast_path(const struct overlay *ov);

/* The node's own addresses, as of the last refresh: at most `max`. */
uint32_t overlay_addrs(const struct overlay *ov, struct ip_addr *ret,
		       uint32_t max);

/*
 * Destinations of the host's own routes, neither ours nor the default: a
 * subnet must not overlap them. The list is the caller's to free().
 */
size_t overlay_routes(struct overlay *ov, struct ip_prefix **ret);

/* Audit: put everything wanted in between; end deletes what was not put. */
int overlay_audit_begin(struct overlay *ov);
int overlay_audit_end(struct overlay *ov);

/* Removes everything with our mark: links, routes, nft table, rules. */
int overlay_remove(struct nl *nl);
