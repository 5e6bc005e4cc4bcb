/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod's link: a veth whose one end is made inside the namespace under its
 * final name, so that nothing renames it, and whose other end carries the
 * program. The address enters the map last, because one that is in the map
 * gets traffic. Deleting our end takes the pod's, its address and its routes
 * along: that is the whole undo.
 *
 * An engine that wants to move the pod's end itself gets one made here.
 */
#include "fault.h"
#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/util.h"
#include "netns.h"
#include "reaper.h"
#include "state.h"
#include "sysctl.h"

#define POD_LINKS_MAX 64
/* The first device of every namespace, by construction. */
#define POD_LO_IFINDEX 1

static struct ov_pod *pod_find(const struct overlay *ov, const char *id)
{
	struct ov_pod *pod;

	HASH_FIND_STR(ov->pods, id, pod);
	return pod;
}

static void pod_forget(struct overlay *ov, struct ov_pod *pod)
{
	if (!pod)
		return;
	HASH_DEL(ov->pods, pod);
	free(pod);
}

static void pod_track(struct overlay *ov, const char *id, const char *link,
		      uint32_t ifindex)
{
	struct ov_pod *pod = pod_find(ov, id);

	if (!pod) {
		pod = xzalloc(sizeof(*pod));
		str_copy(pod->id, sizeof(pod->id), id);
		HASH_ADD_STR(ov->pods, id, pod);
	}
	str_copy(pod->link, sizeof(pod->link), link);
	pod->ifindex = ifindex;
	pod->is_up = true;
	pod->seen = true;
}

int overlay_pod_link(const char *id, char ret[LINK_NAME_LEN])
{
	if (!*id)
		return -EINVAL;
	return str_format(ret, LINK_NAME_LEN, POD_LINK_PREFIX "%s", id);
}

int pod_link_name(struct overlay *ov, const char *id, char ret[LINK_NAME_LEN])
{
	if (overlay_pod_link(id, ret))
		return ov_say(ov, -EINVAL, "endpoint id \"%s\" makes no name",
			      id);
	return 0;
}

static uint32_t pod_mtu(const struct overlay *ov, const struct want_pod *want)
{
	return want->mtu ? want->mtu : ov->tunnel.mtu;
}

/* One link inside the namespace: which of eth0..eth63 are taken? */
static bool pod_name_seen(void *arg, const struct nl_link *l)
{
	const char *rest = str_after(l->name, "eth");
	uint64_t *taken = arg;
	uint32_t n;

	if (rest && !str_to_u32(rest, 0, POD_LINKS_MAX - 1, &n))
		*taken |= UINT64_C(1) << n;
	return true;
}

static int pod_choose_name(struct nl *in, const struct want_pod *want,
			   char ret[LINK_NAME_LEN])
{
	uint64_t taken = 0;
	int err;

	if (want->ifname[0]) {
		str_copy(ret, LINK_NAME_LEN, want->ifname);
		return 0;
	}
	err = nl_link_each(in, pod_name_seen, &taken);
	if (err)
		return err;
	for (unsigned int n = 0; n < POD_LINKS_MAX; n++) {
		if (!(taken & UINT64_C(1) << n))
			return str_format(ret, LINK_NAME_LEN, "eth%u", n);
	}
	return -ENOSPC;
}

/*
 * The kernel takes an alias only for a link that is there: one that a crash
 * left between the two has none, but a name that was drawn for it.
 */
static bool pod_link_is_ours(const struct nl_link *link)
{
	return str_eq(link->kind, "veth") &&
	       (!link->alias[0] || ov_is_ours(link));
}

/* Left by an attach that a crash cut short; never anybody else's link. */
static int pod_clear_leftover(struct overlay *ov, const char *name)
{
	struct nl_link link;
	int err = nl_link_get(ov->nl, name, &link);

	if (err == -ENODEV)
		return -EEXIST;
	if (err)
		return err;
	if (!pod_link_is_ours(&link))
		return -EEXIST;
	return nl_link_del(ov->nl, link.ifindex);
}

static int pod_make_link(struct overlay *ov, const struct want_pod *want,
			 int netns, const char *name, struct overlay_link *link)
{
	struct nl_veth veth = {
		.mtu = pod_mtu(ov, want),
		.peer_mac = want->mac,
		.netns = netns,
		.peer_stays = netns < 0,
	};
	int err;

	str_copy(veth.name, sizeof(veth.name), name);
	str_copy(veth.peer, sizeof(veth.peer), link->ifname);
	/* The kernel takes 255 bytes; a name of 253 is shortened here. */
	snprintf(veth.alias, sizeof(veth.alias), ALIAS_POD "%.200s vni %u",
		 want->pod, want->vni);
	err = nl_veth_add(ov->nl, &veth, &link->ifindex);
	if (err == -EEXIST) {
		err = pod_clear_leftover(ov, name);
		if (!err)
			err = nl_veth_add(ov->nl, &veth, &link->ifindex);
	}
	if (err == -EEXIST && overlay_gone(ov) != overlay_doomed(ov)) {
		/* Its place may be that of one that is on its way out. */
		reaper_wait(ov->config.reaper);
		err = nl_veth_add(ov->nl, &veth, &link->ifindex);
	}
	if (err == -EEXIST)
		return ov_say(ov, err, "there is a link %s in the pod",
			      link->ifname);
	return err ? ov_fail(ov, err, "cannot make link %s", name) : 0;
}

static int pod_add_route(struct nl *in, uint32_t ifindex,
			 const struct want_pod_addr *at, struct ip_prefix dst)
{
	struct nl_route route = {
		.ifindex = ifindex,
		.dst = dst,
		.via = at->gateway,
		.protocol = OVERLAY_RTPROT,
	};

	return nl_route_put(in, &route);
}

static int pod_add_addr(struct nl *in, uint32_t ifindex,
			const struct want_pod_addr *at)
{
	struct ip_prefix addr = { at->addr, at->prefix_len };

	return nl_addr_add(in, ifindex, &addr);
}

/* By the gateway of one address: what is of its family. */
static int pod_add_routes(struct nl *in, uint32_t ifindex,
			  const struct want_pod *want,
			  const struct want_pod_addr *at)
{
	int err = 0;

	for (uint32_t i = 0; i < MIN(want->vips_len, POD_VIPS_MAX) && !err; i++)
		if (ip_is_v4(&want->vips[i].addr) == ip_is_v4(&at->addr))
			err = pod_add_route(in, ifindex, at, want->vips[i]);
	if (!err && want->default_route)
		err = pod_add_route(in, ifindex, at, prefix_all(&at->gateway));
	return err;
}

static bool pod_has_v6(const struct want_pod *want)
{
	for (uint32_t i = 0; i < want->addrs_len; i++)
		if (!ip_is_v4(&want->addrs[i].addr))
			return true;
	return false;
}

struct pod_v6 {
	const char *ifname;
};

/* Engines disable it in containers; a pod's only router is its gateway. */
static int pod_enable_v6(void *arg)
{
	const struct pod_v6 *v6 = arg;
	int err = sysctl_put("ipv6/conf", v6->ifname, "disable_ipv6", "0");

	if (!err)
		err = sysctl_put("ipv6/conf", v6->ifname, "accept_ra", "0");
	return err;
}

/* Addresses and routes inside; a route needs its link up. */
static int pod_configure(struct nl *in, int netns, const struct want_pod *want,
			 const char *ifname)
{
	struct pod_v6 v6 = { ifname };
	struct nl_link eth;
	int err;

	err = nl_link_up(in, POD_LO_IFINDEX);
	if (!err && pod_has_v6(want))
		err = netns_run(netns, pod_enable_v6, &v6);
	if (!err)
		err = nl_link_get(in, ifname, &eth);
	for (uint32_t i = 0; i < want->addrs_len && !err; i++)
		err = pod_add_addr(in, eth.ifindex, &want->addrs[i]);
	if (!err)
		err = nl_link_up(in, eth.ifindex);
	for (uint32_t i = 0; i < want->addrs_len && !err; i++)
		err = pod_add_routes(in, eth.ifindex, want, &want->addrs[i]);
	return err;
}

static int pod_attach_program(struct overlay *ov, const char *id,
			      uint32_t ifindex)
{
	int err = ov->bpf ? ebpf_pod_attach(ov->bpf, id, ifindex) : 0;

	return err ? ov_say(ov, err, "%s", ebpf_error(ov->bpf)) : 0;
}

static int pod_put_map(struct overlay *ov, const struct want_pod *want,
		       const struct overlay_link *link)
{
	int err = 0;

	if (ov->bpf)
		err = ebpf_pod_put(ov->bpf, want, link->ifindex, link->cookie);
	return err ? ov_say(ov, err, "%s", ebpf_error(ov->bpf)) : 0;
}

/* From the made link to traffic; the caller undoes. in NULL: what is inside
 * is somebody else's. */
static int pod_connect(struct overlay *ov, const struct want_pod *want,
		       struct nl *in, int netns,
		       const struct overlay_link *link)
{
	int err = fault_at(FAULT_LINK_MADE);

	if (err)
		return err;
	err = pod_attach_program(ov, want->id, link->ifindex);
	if (!err)
		err = fault_at(FAULT_LINK_PROGRAM);
	if (err)
		return err;
	err = nl_link_up(ov->nl, link->ifindex);
	if (err)
		return ov_fail(ov, err, "cannot bring up the pod's link");
	err = in ? pod_configure(in, netns, want, link->ifname) : 0;
	if (err)
		return ov_say(ov, err, "cannot configure %s in the pod: %s",
			      link->ifname, nl_error(in));
	err = fault_at(FAULT_LINK_CONFIGURED);
	if (!err)
		err = pod_put_map(ov, want, link);
	return err ? err : fault_at(FAULT_LINK_MAPPED);
}

/* Attached before and asked again: the caller has lost that one. */
static void pod_lose(struct overlay *ov, const char *id)
{
	if (pod_find(ov, id))
		overlay_pod_del(ov, id);
}

/* The caller's to undo by this when a link is made and no traffic flows. */
static void pod_undo(struct overlay *ov, const char *id, uint32_t ifindex)
{
	if (ov->bpf)
		ebpf_pod_del(ov->bpf, id);
	ov_links_del(ov, &ifindex, 1);
}

DEFINE_FREEP(struct nl, nl_free)

int overlay_pod_attach(struct overlay *ov, const struct want_pod *want,
		       int netns, struct overlay_link *ret)
{
	AUTO(nl_freep) struct nl *in = NULL;
	struct overlay_link link = { 0 };
	char name[LINK_NAME_LEN];
	int err;

	err = pod_link_name(ov, want->id, name);
	if (err)
		return err;
	if (netns_check(netns) || netns_is_own(netns))
		return ov_say(ov, -EINVAL, "not a pod's network namespace");
	pod_lose(ov, want->id);

	err = nl_open_netns(netns, &in);
	if (!err)
		err = nl_cookie(in, &link.cookie);
	if (!err)
		err = pod_choose_name(in, want, link.ifname);
	if (err)
		return ov_say(ov, err, "cannot look into the pod: %s",
			      strerror(-err));
	err = pod_make_link(ov, want, netns, name, &link);
	if (err)
		return err;
	err = pod_connect(ov, want, in, netns, &link);
	if (err) {
		pod_undo(ov, want->id, link.ifindex);
		return err;
	}
	pod_track(ov, want->id, name, link.ifindex);
	*ret = link;
	return 0;
}

int overlay_pod_offer(struct overlay *ov, const struct want_pod *want,
		      struct overlay_link *ret)
{
	struct overlay_link link = { 0 };
	char name[LINK_NAME_LEN];
	int err = pod_link_name(ov, want->id, name);

	if (err)
		return err;
	pod_lose(ov, want->id);
	/* Of the length of the name that was just made. */
	str_format(link.ifname, sizeof(link.ifname), POD_OFFER_PREFIX "%s",
		   want->id);
	err = pod_make_link(ov, want, -1, name, &link);
	if (err)
		return err;
	err = pod_connect(ov, want, NULL, -1, &link);
	if (err) {
		pod_undo(ov, want->id, link.ifindex);
		return err;
	}
	pod_track(ov, want->id, name, link.ifindex);
	*ret = link;
	return 0;
}

bool overlay_pod_is_sized(struct overlay *ov, const struct want_pod *want)
{
	char name[LINK_NAME_LEN];
	struct nl_link seen;

	return pod_link_name(ov, want->id, name) ||
	       nl_link_get(ov->nl, name, &seen) ||
	       seen.mtu == pod_mtu(ov, want);
}

/* Inside first: an end drops what is longer than its own MTU. */
int overlay_pod_resize(struct overlay *ov, const struct want_pod *want,
		       const struct overlay_link *link, int netns)
{
	AUTO(nl_freep) struct nl *in = NULL;
	uint32_t mtu = pod_mtu(ov, want);
	struct nl_link eth;
	int err;

	err = netns < 0 ? netns : nl_open_netns(netns, &in);
	if (!err)
		err = nl_link_get(in, link->ifname, &eth);
	if (!err)
		err = nl_link_set_mtu(in, eth.ifindex, mtu);
	if (err)
		return ov_say(ov, err, "cannot set the MTU of %s in the pod",
			      link->ifname);
	err = nl_link_set_mtu(ov->nl, link->ifindex, mtu);
	return err ? ov_fail(ov, err, "cannot set the MTU of the pod's link")
		   : 0;
}

int overlay_pod_adopt(struct overlay *ov, const struct want_pod *want,
		      const struct overlay_link *link)
{
	char name[LINK_NAME_LEN];
	struct nl_link seen;
	int err;

	err = pod_link_name(ov, want->id, name);
	if (err)
		return err;
	err = nl_link_get(ov->nl, name, &seen);
	/* A number is used again, a name may be: only both are the link. */
	if (err == -ENODEV || (!err && seen.ifindex != link->ifindex)) {
		pod_forget(ov, pod_find(ov, want->id));
		return ov_say(ov, -ENODEV, "link %s is gone", name);
	}
	if (err)
		return ov_fail(ov, err, "cannot look for %s", name);

	/* Wanted from here on: a failure below must not have it swept away. */
	pod_track(ov, want->id, name, seen.ifindex);
	err = pod_attach_program(ov, want->id, seen.ifindex);
	if (!err && !seen.is_up) {
		err = nl_link_up(ov->nl, seen.ifindex);
		if (err)
			return ov_fail(ov, err, "cannot bring up %s", name);
	}
	if (!err)
		err = pod_put_map(ov, want, link);
	return err;
}

int overlay_pod_del(struct overlay *ov, const char *id)
{
	char name[LINK_NAME_LEN];
	struct nl_link link;
	int err;

	err = pod_link_name(ov, id, name);
	if (err)
		return err;
	if (ov->bpf) {
		err = ebpf_pod_del(ov->bpf, id);
		if (err)
			return ov_say(ov, err, "%s", ebpf_error(ov->bpf));
	}
	err = nl_link_get(ov->nl, name, &link);
	if (!err && pod_link_is_ours(&link))
		err = ov_links_del(ov, &link.ifindex, 1);
	fault_after(FAULT_LINK_DOOMED);
	if (err && err != -ENODEV)
		return ov_fail(ov, err, "cannot remove %s", name);
	pod_forget(ov, pod_find(ov, id));
	return 0;
}

bool overlay_pod_is_up(const struct overlay *ov, const char *id)
{
	const struct ov_pod *pod = pod_find(ov, id);

	return pod && pod->is_up;
}

bool overlay_pod_is_away(const struct overlay *ov, const char *id)
{
	const struct ov_pod *pod = pod_find(ov, id);

	return pod && pod->is_away;
}

void pod_set_away(struct overlay *ov, const char *id)
{
	struct ov_pod *pod = pod_find(ov, id);

	if (pod)
		pod->is_away = true;
}

struct index_list {
	uint32_t *ifindex;
	size_t len;
};

static bool pod_keep_index(void *arg, uint32_t ifindex)
{
	struct index_list *list = arg;

	/* Powers of two: grown at 1, 2, 4, 8 ... */
	if (!(list->len & (list->len - 1)))
		list->ifindex =
			xrealloc(list->ifindex, MAX(2 * list->len, 1) *
							sizeof(*list->ifindex));
	list->ifindex[list->len++] = ifindex;
	return true;
}

static int index_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Programs that somebody took off: without its own a pod is held by nothing. */
static int pod_see_programs(struct overlay *ov)
{
	struct index_list list = { 0 };
	struct ov_pod *pod, *next;
	int err, ret = nl_clsact_each(ov->nl, pod_keep_index, &list);

	if (ret) {
		free(list.ifindex);
		return ov_fail(ov, ret, "cannot read the links' programs");
	}
	if (list.len)
		qsort(list.ifindex, list.len, sizeof(*list.ifindex), index_cmp);
	HASH_ITER (hh, ov->pods, pod, next) {
		if (!pod->is_up ||
		    (list.len && bsearch(&pod->ifindex, list.ifindex, list.len,
					 sizeof(*list.ifindex), index_cmp)))
			continue;
		err = pod_attach_program(ov, pod->id, pod->ifindex);
		if (err)
			ret = err;
		else
			log_info("overlay: program attached again link=%s",
				 pod->link);
	}
	free(list.ifindex);
	return ret;
}

/* Which pods' links are there; one that was shut from outside goes up. */
int pod_see(struct overlay *ov, const struct ov_scan *scan)
{
	struct ov_pod *pod, *next;
	int err, ret = 0;

	HASH_ITER (hh, ov->pods, pod, next) {
		const struct nl_link *l = ov_scan_link(scan, pod->ifindex);

		pod->is_up = l && str_eq(l->name, pod->link);
		pod->is_away = pod->is_up && l->peer_nsid != NL_NSID_NONE;
		if (!pod->is_up || l->is_up)
			continue;
		log_info("overlay: link brought up again link=%s", pod->link);
		err = nl_link_up(ov->nl, pod->ifindex);
		if (err)
			ret = ov_fail(ov, err, "cannot bring up %s", pod->link);
	}
	if (!ov->bpf || !ov->pods)
		return ret;
	err = pod_see_programs(ov);
	return ret ? ret : err;
}

static bool pod_is_wanted(const struct overlay *ov, const struct nl_link *l)
{
	const char *id = str_after(l->name, POD_LINK_PREFIX);
	const struct ov_pod *pod = id ? pod_find(ov, id) : NULL;

	return pod && pod->ifindex == l->ifindex;
}

/* Out of the maps, and forgotten: its link is nobody's then. */
static int pod_drop_unseen(struct overlay *ov)
{
	struct ov_pod *pod, *next;
	int err, ret = 0;

	HASH_ITER (hh, ov->pods, pod, next) {
		if (pod->seen)
			continue;
		err = ov->bpf ? ebpf_pod_del(ov->bpf, pod->id) : 0;
		if (err)
			ret = ov_say(ov, err, "%s", ebpf_error(ov->bpf));
		else
			pod_forget(ov, pod);
	}
	return ret;
}

int pod_sweep(struct overlay *ov, const struct ov_scan *scan)
{
	uint32_t *old = xzalloc((scan->links_len + 1) * sizeof(*old));
	int err, ret = pod_drop_unseen(ov);
	size_t len = 0;

	for (size_t i = 0; i < scan->links_len; i++) {
		const struct nl_link *l = &scan->links[i];

		if (!str_after(l->alias, ALIAS_POD) || pod_is_wanted(ov, l) ||
		    ov_link_is_doomed(ov, l->ifindex))
			continue;
		log_info("overlay: link of no pod removed link=%s", l->name);
		old[len++] = l->ifindex;
	}
	err = ov_links_del(ov, old, len);
	free(old);
	return err ? ov_fail(ov, err, "cannot remove old links") : ret;
}

void ov_pods_free(struct overlay *ov)
{
	struct ov_pod *pod, *next;

	HASH_ITER (hh, ov->pods, pod, next)
		pod_forget(ov, pod);
}
