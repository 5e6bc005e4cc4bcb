/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nl - the netlink mouth of one network namespace: dump, request, notify.
 *
 * Three sockets, so that replies never mix: a dump, a request with its ack,
 * and the notifications. What the kernel says with an error (extended ack) is
 * kept in nl_error() until the next call. EEXIST and ENOENT are answers.
 * A mouth is one thread's: the loop's, all but the reaper's. A request never
 * waits longer than five seconds. -errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/want.h"

struct ev_loop;
struct nl;

/* In the caller's namespace. */
int nl_open(struct nl **ret);
/* In the namespace of this descriptor, which stays the caller's. */
int nl_open_netns(int netns, struct nl **ret);
/* NULL is fine. (libnl has an nl_close() and a struct nl_addr of its own.) */
void nl_free(struct nl *nl);
const char *nl_error(const struct nl *nl);

/* SO_NETNS_COOKIE of the namespace this mouth speaks in. */
int nl_cookie(struct nl *nl, uint64_t *ret);

/* How this namespace calls another: NL_NSID_NONE when it never met it. */
int nl_nsid(struct nl *nl, int netns, int32_t *ret);

/* How many IPsec policies the namespace has. */
int nl_xfrm_policies(struct nl *nl, uint32_t *ret);

/*
 * Links, addresses, routes, rules, tc filters, nft rules or IPsec policies
 * changed, or a notification was lost: `at_once` (NULL: nobody) is called for
 * each burst that is read, `soon` when some of them have come together.
 */
struct nl_watch_calls {
	void (*at_once)(void *arg);
	void (*soon)(void *arg);
	void *arg;
};

/* Calls from the loop, until nl_free(). -EBUSY: there is a watch already. */
int nl_watch(struct nl *nl, struct ev_loop *loop,
	     const struct nl_watch_calls *calls);

struct nl_link {
	uint32_t ifindex;
	char name[LINK_NAME_LEN];
	char kind[16];
	char alias[300];
	struct mac_addr mac;
	uint32_t mtu;
	bool is_up;
	bool is_loopback;
	/* Kind vxlan only: its UDP port, and is it a collect-metadata one? */
	uint16_t vxlan_port;
	bool is_external;
	/* Kind veth: where the other end is, and its number there. */
	int32_t peer_nsid;
	uint32_t peer_ifindex;
};

/* No other namespace: this one. */
#define NL_NSID_NONE (-1)

struct nl_ifaddr {
	uint32_t ifindex;
	struct ip_prefix addr;
	/* Others may be told of it: its scope is global, and it stays. */
	bool is_global;
};

struct nl_route {
	uint32_t ifindex;
	struct ip_prefix dst;
	struct ip_addr via;
	struct ip_addr src;
	uint8_t protocol;
	bool onlink;
};

/* Dumps; fn returns false to stop. */
int nl_link_each(struct nl *nl, bool (*fn)(void *arg, const struct nl_link *l),
		 void *arg);
int nl_addr_each(struct nl *nl,
		 bool (*fn)(void *arg, const struct nl_ifaddr *a), void *arg);
/* Main table, unicast, both families; ifindex 0: of all links. */
int nl_route_each(struct nl *nl, uint32_t ifindex,
		  bool (*fn)(void *arg, const struct nl_route *r), void *arg);

/* Links with a clsact qdisc, which holds their tc filters. */
int nl_clsact_each(struct nl *nl, bool (*fn)(void *arg, uint32_t ifindex),
		   void *arg);

/* -ENODEV when there is none of that name. */
int nl_link_get(struct nl *nl, const char *name, struct nl_link *ret);

struct nl_veth {
	char name[LINK_NAME_LEN];
	char alias[300];
	uint32_t mtu;
	/* The other end, made with its final name inside `netns`; or here, for
	 * somebody else to move. */
	char peer[LINK_NAME_LEN];
	struct mac_addr peer_mac;
	int netns;
	bool peer_stays;
};

int nl_veth_add(struct nl *nl, const struct nl_veth *veth, uint32_t *ifindex);
/* Collect-metadata VXLAN: external, nolearning, no FDB, no ARP. */
int nl_vxlan_add(struct nl *nl, const char *name, uint16_t port, uint32_t mtu,
		 const struct mac_addr *mac);
int nl_link_up(struct nl *nl, uint32_t ifindex);
int nl_link_set_mtu(struct nl *nl, uint32_t ifindex, uint32_t mtu);
int nl_link_set_alias(struct nl *nl, uint32_t ifindex, const char *alias);
int nl_link_del(struct nl *nl, uint32_t ifindex);
/* All at once: each deletion alone waits some 20 ms in the kernel. */
int nl_link_del_many(struct nl *nl, const uint32_t *ifindex, size_t len);

int nl_addr_add(struct nl *nl, uint32_t ifindex, const struct ip_prefix *a);
int nl_addr_del(struct nl *nl, uint32_t ifindex, const struct ip_prefix *a);

/* Replaces a route to the same dst; del takes the same struct. */
int nl_route_put(struct nl *nl, const struct nl_route *route);
int nl_route_del(struct nl *nl, const struct nl_route *route);
