/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state - what the overlay remembers: private to this folder.
 *
 * `nets`, `pods` and `uplinks` are what the kernel accepted so far. A scan is
 * the kernel's links and addresses as they were at one moment, taken once per
 * refresh and shared by all its steps.
 */
#pragma once

#include <uthash.h>

#include "nl.h"
#include "overlay.h"

#define TUNNEL_NAME "netd0"
#define ALIAS_PREFIX "netd:"
#define ALIAS_TUNNEL ALIAS_PREFIX "tunnel"
#define ALIAS_POD ALIAS_PREFIX "pod "
#define POD_LINK_PREFIX "nd"
/* The pod's end, while it waits for an engine to move it. */
#define POD_OFFER_PREFIX "np"

struct ov_net {
	uint32_t vni;
	struct want_net want;
	/* Something of it failed: the next put does all of it again. */
	bool is_dirty;
	bool seen;
	UT_hash_handle hh;
};

struct ov_pod {
	char id[ENDPOINT_ID_LEN];
	char link[LINK_NAME_LEN];
	uint32_t ifindex;
	bool is_up;
	bool is_away;
	bool seen;
	UT_hash_handle hh;
};

struct ov_uplink {
	char name[LINK_NAME_LEN];
	uint32_t ifindex;
	bool seen;
	UT_hash_handle hh;
};

/* Its `config` points into the lists below, not to the caller's. */
struct overlay {
	struct nl *nl;
	struct ebpf *bpf;
	struct overlay_config config;
	struct ip_prefix *pools;
	char **uplink_names;

	struct overlay_tunnel tunnel;
	struct ov_net *nets;
	struct ov_pod *pods;
	struct ov_uplink *uplinks;
	struct ip_addr addrs[NODE_ADDRS_MAX];
	uint32_t addrs_len;

	/* As the programs were told last. */
	bool fast_path;

	/* The table's pools are no longer those of `nets`. */
	bool nft_is_old;
	/* In the first audit, which puts all networks there are, nft waits for
	 * the end. */
	bool was_audited;
	bool nft_waits;
	char error[512];
};

struct ov_scan {
	struct nl_link *links;
	size_t links_len;
	struct nl_ifaddr *addrs;
	size_t addrs_len;
};

/* Keeps the words, with what netlink said, and returns err. */
int ov_fail(struct overlay *ov, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same when netlink was not asked. */
int ov_say(struct overlay *ov, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

int ov_scan(struct overlay *ov, struct ov_scan *ret);
void ov_scan_clear(struct ov_scan *scan);
const struct nl_link *ov_scan_link(const struct ov_scan *scan,
				   uint32_t ifindex);
bool ov_is_ours(const struct nl_link *link);

/* Links of ours are to go; the reaper's failures are its own to tell. */
int ov_links_del(struct overlay *ov, const uint32_t *ifindex, size_t len);
bool ov_link_is_doomed(const struct overlay *ov, uint32_t ifindex);

/* tunnel.c: makes, adopts or repairs netd0. */
int tunnel_put(struct overlay *ov, const struct ov_scan *scan);

/* holder.c: who has this UDP port here, in words. */
void holder_find(struct nl *nl, uint16_t port, char *ret, size_t size);

/* net.c */
int net_repair(struct overlay *ov, const struct ov_scan *scan);
/* Routes and addresses of ours on netd0 that no network wants. */
int net_sweep(struct overlay *ov, const struct ov_scan *scan);
void ov_nets_free(struct overlay *ov);
/* The table with the pools and the networks outside them. */
int net_put_nft(struct overlay *ov);

/* pod.c */
int pod_link_name(struct overlay *ov, const char *id, char ret[LINK_NAME_LEN]);
void pod_set_away(struct overlay *ov, const char *id);
int pod_see(struct overlay *ov, const struct ov_scan *scan);
int pod_sweep(struct overlay *ov, const struct ov_scan *scan);
void ov_pods_free(struct overlay *ov);

/* uplink.c */
int uplink_see(struct overlay *ov, const struct ov_scan *scan);
void ov_uplinks_free(struct overlay *ov);
