/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netd0: made once, then adopted by every later process and repaired.
 *
 * Its MAC is random and this node's own: VXLAN drops an inner packet whose
 * source MAC is the receiving device's. Its MTU leaves room for the outer
 * headers; over IPv6 that is a condition and no optimisation, because an
 * outer IPv6 packet is never fragmented on its way here.
 */
#include <sys/random.h>

#include "netd/log.h"
#include "netd/util.h"
#include "state.h"
#include "sysctl.h"

#define OVERHEAD_V4 50
#define OVERHEAD_V6 70
#define MTU_FALLBACK 1500
#define MTU_MIN 576

static const struct nl_link *tunnel_underlay(const struct overlay *ov,
					     const struct ov_scan *scan)
{
	for (size_t i = 0; i < scan->addrs_len; i++) {
		if (ip_eq(&scan->addrs[i].addr.addr, &ov->config.vtep))
			return ov_scan_link(scan, scan->addrs[i].ifindex);
	}
	return NULL;
}

/* A tunnel address on lo is reached through all the other links. */
static uint32_t tunnel_smallest_mtu(const struct ov_scan *scan)
{
	uint32_t mtu = 0;

	for (size_t i = 0; i < scan->addrs_len; i++) {
		const struct nl_link *l =
			ov_scan_link(scan, scan->addrs[i].ifindex);

		if (!l || !l->is_up || l->is_loopback || ov_is_ours(l) ||
		    !scan->addrs[i].is_global)
			continue;
		mtu = mtu ? MIN(mtu, l->mtu) : l->mtu;
	}
	return mtu ? mtu : MTU_FALLBACK;
}

static uint32_t tunnel_mtu(const struct overlay *ov,
			   const struct nl_link *underlay,
			   const struct ov_scan *scan)
{
	uint32_t less = ip_is_v4(&ov->config.vtep) ? OVERHEAD_V4 : OVERHEAD_V6;
	uint32_t mtu = underlay->mtu;

	if (ov->config.mtu)
		return ov->config.mtu;
	if (underlay->is_loopback)
		mtu = tunnel_smallest_mtu(scan);
	return MAX(mtu, MTU_MIN + less) - less;
}

static int tunnel_taken(struct overlay *ov)
{
	char who[128];

	holder_find(ov->nl, ov->config.port, who, sizeof(who));
	return ov_say(ov, -EADDRINUSE,
		      "UDP port %u is held by %s; overlay.port sets another",
		      ov->config.port, who);
}

static struct mac_addr tunnel_new_mac(void)
{
	struct mac_addr mac;

	if (getrandom(&mac, sizeof(mac), 0) != (ssize_t)sizeof(mac))
		abort();
	/* Locally administered, unicast (IEEE 802). */
	mac.b[0] = (uint8_t)((mac.b[0] & 0xfc) | 0x02);
	return mac;
}

static int tunnel_make(struct overlay *ov, uint32_t mtu, struct nl_link *ret)
{
	struct mac_addr mac = tunnel_new_mac();
	int err;

	err = nl_vxlan_add(ov->nl, TUNNEL_NAME, ov->config.port, mtu, &mac);
	/* The name is free: it is the port that another device has. */
	if (err == -EEXIST || err == -EADDRINUSE)
		return tunnel_taken(ov);
	if (err)
		return ov_fail(ov, err, "cannot make %s", TUNNEL_NAME);
	err = nl_link_get(ov->nl, TUNNEL_NAME, ret);
	if (err)
		return ov_fail(ov, err, "cannot find %s", TUNNEL_NAME);
	log_info("overlay: made " TUNNEL_NAME " port=%u mtu=%u",
		 ov->config.port, mtu);
	return 0;
}

/* A crash between making and marking leaves one without an alias. */
static bool tunnel_is_ours(const struct nl_link *l)
{
	return ov_is_ours(l) || (!l->alias[0] && l->is_external);
}

/* Keeps the one that is there if it can be ours; 0 and ifindex 0: make one. */
static int tunnel_adopt(struct overlay *ov, struct nl_link *link)
{
	int err = nl_link_get(ov->nl, TUNNEL_NAME, link);

	if (err == -ENODEV) {
		memset(link, 0, sizeof(*link));
		return 0;
	}
	if (err)
		return ov_fail(ov, err, "cannot look for %s", TUNNEL_NAME);
	if (!tunnel_is_ours(link))
		return ov_say(ov, -EEXIST,
			      "there is a link %s that netd did not make "
			      "(kind %s)",
			      TUNNEL_NAME, link->kind[0] ? link->kind : "none");
	if (link->is_external && link->vxlan_port == ov->config.port)
		return 0;

	log_info("overlay: " TUNNEL_NAME " has another port, made again "
		 "old=%u new=%u",
		 link->vxlan_port, ov->config.port);
	err = nl_link_del(ov->nl, link->ifindex);
	if (err)
		return ov_fail(ov, err, "cannot remove %s", TUNNEL_NAME);
	memset(link, 0, sizeof(*link));
	return 0;
}

static int tunnel_set(struct overlay *ov, const struct nl_link *link,
		      uint32_t mtu)
{
	int err = 0;

	if (!str_eq(link->alias, ALIAS_TUNNEL))
		err = nl_link_set_alias(ov->nl, link->ifindex, ALIAS_TUNNEL);
	if (!err && link->mtu != mtu)
		err = nl_link_set_mtu(ov->nl, link->ifindex, mtu);
	/* Its socket is opened when it goes up. */
	if (!err && !link->is_up)
		err = nl_link_up(ov->nl, link->ifindex);
	if (err == -EADDRINUSE)
		return tunnel_taken(ov);
	return err ? ov_fail(ov, err, "cannot set up %s", TUNNEL_NAME) : 0;
}

/* ip_forward first: writing it sets the devices' own forwarding. */
static int tunnel_sysctls(struct overlay *ov)
{
	static const struct {
		const char *dir, *device, *key, *value;
	} rows[] = {
		{ "ipv4", NULL, "ip_forward", "1" },
		{ "ipv4/conf", TUNNEL_NAME, "forwarding", "1" },
		{ "ipv4/conf", TUNNEL_NAME, "send_redirects", "0" },
	};
	int err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		err = sysctl_put(rows[i].dir, rows[i].device, rows[i].key,
				 rows[i].value);
		if (err)
			return ov_say(ov, err, "cannot set net/%s/%s: %s",
				      rows[i].dir, rows[i].key, strerror(-err));
	}
	return 0;
}

int tunnel_put(struct overlay *ov, const struct ov_scan *scan)
{
	const struct nl_link *underlay = tunnel_underlay(ov, scan);
	char text[IP_STRLEN];
	struct nl_link link;
	bool made = false;
	uint32_t mtu;
	int err;

	if (!underlay)
		return ov_say(ov, -EADDRNOTAVAIL,
			      "tunnel address %s is on no interface",
			      ip_str(&ov->config.vtep, text));
	mtu = tunnel_mtu(ov, underlay, scan);
	err = tunnel_adopt(ov, &link);
	if (!err && !link.ifindex) {
		err = tunnel_make(ov, mtu, &link);
		made = !err;
	}
	if (!err)
		err = tunnel_set(ov, &link, mtu);
	if (!err)
		err = tunnel_sysctls(ov);
	if (err) {
		if (made)
			nl_link_del(ov->nl, link.ifindex);
		return err;
	}

	if (ov->tunnel.mtu && ov->tunnel.mtu != mtu)
		log_info("overlay: tunnel MTU follows %s old=%u new=%u",
			 underlay->name, ov->tunnel.mtu, mtu);
	ov->tunnel.ifindex = link.ifindex;
	ov->tunnel.mac = link.mac;
	ov->tunnel.mtu = mtu;
	return 0;
}
