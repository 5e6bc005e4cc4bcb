/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod's link, looked at as it is now on both sides: for engines that ask
 * whether what they were given is still there. Nothing is repaired here.
 */
#include "netd/ebpf.h"
#include "netd/util.h"
#include "netns.h"
#include "state.h"

struct inside {
	const struct want_pod *want;
	/* One bit each: for every address, for the default route by its
	 * gateway, for every range of VIPs. */
	uint32_t addrs, defaults, vips;
};

_Static_assert(POD_VIPS_MAX <= 32, "a bit for every range");

static bool addr_seen(void *arg, const struct nl_ifaddr *a)
{
	struct inside *in = arg;

	for (uint32_t i = 0; i < in->want->addrs_len; i++) {
		const struct want_pod_addr *at = &in->want->addrs[i];

		if (ip_eq(&a->addr.addr, &at->addr) &&
		    a->addr.len == at->prefix_len)
			in->addrs |= UINT32_C(1) << i;
	}
	return true;
}

static bool route_seen(void *arg, const struct nl_route *r)
{
	struct inside *in = arg;

	for (uint32_t i = 0; i < in->want->addrs_len; i++) {
		const struct want_pod_addr *at = &in->want->addrs[i];
		struct ip_prefix all = prefix_all(&at->addr);

		if (prefix_eq(&r->dst, &all) && ip_eq(&r->via, &at->gateway))
			in->defaults |= UINT32_C(1) << i;
	}
	for (uint32_t i = 0; i < MIN(in->want->vips_len, POD_VIPS_MAX); i++)
		if (prefix_eq(&r->dst, &in->want->vips[i]))
			in->vips |= UINT32_C(1) << i;
	return true;
}

static int check_outside(struct overlay *ov, const struct want_pod *want,
			 const struct overlay_link *link)
{
	char name[LINK_NAME_LEN];
	struct nl_link seen;
	int err = pod_link_name(ov, want->id, name);

	if (err)
		return err;
	err = nl_link_get(ov->nl, name, &seen);
	if (err || seen.ifindex != link->ifindex)
		return ov_say(ov, -ENOENT, "link %s of the host is gone", name);
	if (!seen.is_up)
		return ov_say(ov, -ENOENT, "link %s of the host is down", name);
	return 0;
}

static int check_addresses(struct overlay *ov, struct nl *nl,
			   const struct want_pod *want, const char *ifname,
			   uint32_t ifindex)
{
	struct inside in = { .want = want };
	char text[PREFIX_STRLEN];
	uint32_t vips = MIN(want->vips_len, POD_VIPS_MAX);

	if (nl_addr_each(nl, addr_seen, &in) ||
	    nl_route_each(nl, ifindex, route_seen, &in))
		return ov_say(ov, -EIO, "cannot look into the pod: %s",
			      nl_error(nl));
	for (uint32_t i = 0; i < want->addrs_len; i++) {
		struct ip_prefix addr = { want->addrs[i].addr,
					  want->addrs[i].prefix_len };

		if (!(in.addrs & UINT32_C(1) << i))
			return ov_say(ov, -ENOENT, "%s has lost its address %s",
				      ifname, prefix_str(&addr, text));
		if (want->default_route && !(in.defaults & UINT32_C(1) << i))
			return ov_say(ov, -ENOENT,
				      "%s has lost the default route by %s",
				      ifname,
				      ip_str(&want->addrs[i].gateway, text));
	}
	for (uint32_t i = 0; i < vips; i++)
		if (!(in.vips & UINT32_C(1) << i))
			return ov_say(ov, -ENOENT,
				      "%s has lost its route to %s", ifname,
				      prefix_str(&want->vips[i], text));
	return 0;
}

static int check_inside(struct overlay *ov, struct nl *nl,
			const struct want_pod *want,
			const struct overlay_link *link)
{
	uint64_t cookie = 0;
	struct nl_link eth;

	if (nl_cookie(nl, &cookie) || cookie != link->cookie)
		return ov_say(ov, -ENOENT,
			      "it was attached to another namespace");
	if (nl_link_get(nl, link->ifname, &eth))
		return ov_say(ov, -ENOENT, "%s is not in the pod",
			      link->ifname);
	if (!eth.is_up)
		return ov_say(ov, -ENOENT, "%s is down", link->ifname);
	/* The program drops what comes from any other. */
	if (memcmp(&eth.mac, &want->mac, sizeof(eth.mac)) != 0)
		return ov_say(ov, -ENOENT, "%s has another MAC", link->ifname);
	return check_addresses(ov, nl, want, link->ifname, eth.ifindex);
}

static void nl_freep(struct nl **nl)
{
	nl_free(*nl);
}

int overlay_pod_check(struct overlay *ov, const struct want_pod *want,
		      int netns, const struct overlay_link *link)
{
	AUTO(nl_freep) struct nl *in = NULL;
	int err = check_outside(ov, want, link);

	if (!err && ov->bpf) {
		err = ebpf_pod_check(ov->bpf, want, link->ifindex);
		if (err)
			return ov_say(ov, err, "%s", ebpf_error(ov->bpf));
	}
	if (err)
		return err;
	err = nl_open_netns(netns, &in);
	if (err)
		return ov_say(ov, err, "cannot look into the pod: %s",
			      strerror(-err));
	return check_inside(ov, in, want, link);
}
