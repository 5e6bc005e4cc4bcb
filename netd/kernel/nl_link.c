/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links: dump, veth, the tunnel device, and changes to one link.
 *
 * The kernel takes neither an alias nor IPv6 address generation when a link
 * is made (6.18: the first is ignored, the second refused), so a link of ours
 * is made by one message and marked by a second.
 */
#include "nl.h"

#include <linux/if_link.h>
#include <net/if.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/link/vxlan.h>

#include "netd/util.h"
#include "nl_msg.h"

/* Links that are to be deleted together: "netd" in ASCII, nobody else's. */
#define LINK_GROUP_DOOMED 0x6e657464

static void rtnl_linkp(struct rtnl_link **link)
{
	if (*link)
		rtnl_link_put(*link);
}

static void link_set_mac(struct rtnl_link *link, const struct mac_addr *mac)
{
	AUTO(nl_addr_putp)
	struct nl_addr *a = nl_addr_build(AF_LLC, mac->b, sizeof(mac->b));

	if (a)
		rtnl_link_set_addr(link, a);
}

static void link_read(struct rtnl_link *from, struct nl_link *ret)
{
	const char *kind = rtnl_link_get_type(from);
	const char *alias = rtnl_link_get_ifalias(from);
	struct nl_addr *mac = rtnl_link_get_addr(from);
	unsigned int flags = rtnl_link_get_flags(from);
	uint32_t port = 0;

	memset(ret, 0, sizeof(*ret));
	ret->ifindex = (uint32_t)rtnl_link_get_ifindex(from);
	str_copy(ret->name, sizeof(ret->name), rtnl_link_get_name(from));
	str_copy(ret->kind, sizeof(ret->kind), kind ? kind : "");
	str_copy(ret->alias, sizeof(ret->alias), alias ? alias : "");
	if (mac && nl_addr_get_len(mac) == sizeof(ret->mac))
		memcpy(&ret->mac, nl_addr_get_binary_addr(mac),
		       sizeof(ret->mac));
	ret->mtu = rtnl_link_get_mtu(from);
	ret->is_up = flags & IFF_UP;
	ret->is_loopback = flags & IFF_LOOPBACK;
	ret->peer_ifindex = (uint32_t)rtnl_link_get_link(from);
	if (rtnl_link_get_link_netnsid(from, &ret->peer_nsid))
		ret->peer_nsid = NL_NSID_NONE;
	if (!rtnl_link_is_vxlan(from))
		return;
	if (!rtnl_link_vxlan_get_port(from, &port))
		ret->vxlan_port = (uint16_t)port;
	ret->is_external = rtnl_link_vxlan_get_collect_metadata(from) > 0;
}

struct link_walk {
	bool (*fn)(void *arg, const struct nl_link *l);
	void *arg;
	bool stop;
};

static void link_seen(struct nl_object *object, void *arg)
{
	struct link_walk *walk = arg;
	struct nl_link link;

	link_read((struct rtnl_link *)(void *)object, &link);
	walk->stop = !walk->fn(walk->arg, &link);
}

static int link_parse(void *arg, struct nlmsghdr *hdr)
{
	AUTO(nl_msg_freep) struct nl_msg *msg = nlmsg_convert(hdr);
	struct link_walk *walk = arg;

	if (!msg)
		return -ENOMEM;
	nlmsg_set_proto(msg, NETLINK_ROUTE);
	/* A message libnl cannot read is no link of ours: skipped. */
	if (nl_msg_parse(msg, link_seen, walk))
		return 0;
	return walk->stop;
}

int nl_link_each(struct nl *nl, bool (*fn)(void *arg, const struct nl_link *l),
		 void *arg)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	struct link_walk walk = { .fn = fn, .arg = arg };
	AUTO(nl_msg_freep)
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, 0);

	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO))
		return -ENOMEM;
	return nl_read_all(nl, msg, link_parse, &walk);
}

struct link_found {
	struct nl_link *ret;
	bool found;
};

static bool link_keep(void *arg, const struct nl_link *l)
{
	struct link_found *f = arg;

	*f->ret = *l;
	f->found = true;
	return true;
}

int nl_link_get(struct nl *nl, const char *name, struct nl_link *ret)
{
	AUTO(nl_msg_freep) struct nl_msg *msg = NULL;
	struct link_found found = { .ret = ret };
	struct link_walk walk = { .fn = link_keep, .arg = &found };
	int err;

	err = rtnl_link_build_get_request(0, name, &msg);
	if (err)
		return nl_build_error(err);
	err = nl_request(nl, msg, link_parse, &walk);
	if (err)
		return err;
	return found.found ? 0 : -ENODEV;
}

static int link_add(struct nl *nl, struct rtnl_link *link)
{
	AUTO(nl_msg_freep) struct nl_msg *msg = NULL;
	int err;

	err = rtnl_link_build_add_request(link, NLM_F_CREATE | NLM_F_EXCL,
					  &msg);
	if (err)
		return nl_build_error(err);
	return nl_request(nl, msg, NULL, NULL);
}

static int link_change(struct nl *nl, uint32_t ifindex,
		       struct rtnl_link *changes)
{
	AUTO(rtnl_linkp) struct rtnl_link *link = rtnl_link_alloc();
	AUTO(nl_msg_freep) struct nl_msg *msg = NULL;
	int err;

	if (!link || !changes)
		return -ENOMEM;
	rtnl_link_set_ifindex(link, (int)ifindex);
	err = rtnl_link_build_change_request(link, changes, 0, &msg);
	if (err)
		return nl_build_error(err);
	return nl_request(nl, msg, NULL, NULL);
}

/* Without IPv6 in this kernel (or at an MTU below 1280) there is nothing to
 * keep from making addresses. */
static int link_no_addrgen(struct nl *nl, uint32_t ifindex)
{
	AUTO(rtnl_linkp) struct rtnl_link *changes = rtnl_link_alloc();
	int err;

	if (!changes)
		return -ENOMEM;
	if (rtnl_link_inet6_set_addr_gen_mode(changes, IN6_ADDR_GEN_MODE_NONE))
		return -ENOMEM;
	err = link_change(nl, ifindex, changes);
	return err == -EAFNOSUPPORT ? 0 : err;
}

static int link_deny_addrgen(struct nl *nl, const char *name, uint32_t *ifindex)
{
	struct nl_link link;
	int err;

	err = nl_link_get(nl, name, &link);
	if (!err)
		err = link_no_addrgen(nl, link.ifindex);
	if (!err)
		*ifindex = link.ifindex;
	return err;
}

static int veth_make(struct nl *nl, const struct nl_veth *veth)
{
	AUTO(rtnl_linkp) struct rtnl_link *link = rtnl_link_veth_alloc();
	AUTO(rtnl_linkp) struct rtnl_link *peer = NULL;

	if (!link)
		return -ENOMEM;
	peer = rtnl_link_veth_get_peer(link);
	rtnl_link_set_name(link, veth->name);
	rtnl_link_set_name(peer, veth->peer);
	link_set_mac(peer, &veth->peer_mac);
	if (!veth->peer_stays)
		rtnl_link_set_ns_fd(peer, veth->netns);
	if (veth->mtu) {
		rtnl_link_set_mtu(link, veth->mtu);
		rtnl_link_set_mtu(peer, veth->mtu);
	}
	return link_add(nl, link);
}

int nl_veth_add(struct nl *nl, const struct nl_veth *veth, uint32_t *ifindex)
{
	uint32_t made = 0;
	int err;

	err = veth_make(nl, veth);
	if (err)
		return err;
	err = link_deny_addrgen(nl, veth->name, &made);
	if (!err && veth->alias[0])
		err = nl_link_set_alias(nl, made, veth->alias);
	if (err && made)
		nl_link_del(nl, made);
	if (!err)
		*ifindex = made;
	return err;
}

static int vxlan_make(struct nl *nl, const char *name, uint16_t port,
		      uint32_t mtu, const struct mac_addr *mac)
{
	AUTO(rtnl_linkp) struct rtnl_link *link = rtnl_link_vxlan_alloc();

	if (!link)
		return -ENOMEM;
	rtnl_link_set_name(link, name);
	/* Given at creation, so that udev leaves it alone. */
	link_set_mac(link, mac);
	rtnl_link_set_mtu(link, mtu);
	rtnl_link_vxlan_set_port(link, port);
	rtnl_link_vxlan_set_learning(link, 0);
	rtnl_link_vxlan_set_collect_metadata(link, 1);
	return link_add(nl, link);
}

int nl_vxlan_add(struct nl *nl, const char *name, uint16_t port, uint32_t mtu,
		 const struct mac_addr *mac)
{
	AUTO(rtnl_linkp) struct rtnl_link *changes = rtnl_link_alloc();
	uint32_t made = 0;
	int err;

	if (!changes)
		return -ENOMEM;
	err = vxlan_make(nl, name, port, mtu, mac);
	if (err)
		return err;
	err = link_deny_addrgen(nl, name, &made);
	if (!err) {
		rtnl_link_set_flags(changes, IFF_NOARP);
		err = link_change(nl, made, changes);
	}
	if (err && made)
		nl_link_del(nl, made);
	return err;
}

int nl_link_up(struct nl *nl, uint32_t ifindex)
{
	AUTO(rtnl_linkp) struct rtnl_link *changes = rtnl_link_alloc();

	if (changes)
		rtnl_link_set_flags(changes, IFF_UP);
	return link_change(nl, ifindex, changes);
}

int nl_link_set_mtu(struct nl *nl, uint32_t ifindex, uint32_t mtu)
{
	AUTO(rtnl_linkp) struct rtnl_link *changes = rtnl_link_alloc();

	if (changes)
		rtnl_link_set_mtu(changes, mtu);
	return link_change(nl, ifindex, changes);
}

int nl_link_set_alias(struct nl *nl, uint32_t ifindex, const char *alias)
{
	AUTO(rtnl_linkp) struct rtnl_link *changes = rtnl_link_alloc();

	if (changes)
		rtnl_link_set_ifalias(changes, alias);
	return link_change(nl, ifindex, changes);
}

int nl_link_del(struct nl *nl, uint32_t ifindex)
{
	AUTO(rtnl_linkp) struct rtnl_link *link = rtnl_link_alloc();
	AUTO(nl_msg_freep) struct nl_msg *msg = NULL;
	int err;

	if (!link)
		return -ENOMEM;
	rtnl_link_set_ifindex(link, (int)ifindex);
	err = rtnl_link_build_delete_request(link, &msg);
	if (err)
		return nl_build_error(err);
	err = nl_request(nl, msg, NULL, NULL);
	return err == -ENODEV ? 0 : err;
}

static int link_doom(struct nl *nl, uint32_t ifindex)
{
	AUTO(rtnl_linkp) struct rtnl_link *changes = rtnl_link_alloc();
	int err;

	if (changes)
		rtnl_link_set_group(changes, LINK_GROUP_DOOMED);
	err = link_change(nl, ifindex, changes);
	return err == -ENODEV ? 0 : err;
}

int nl_link_del_many(struct nl *nl, const uint32_t *ifindex, size_t len)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	AUTO(nl_msg_freep)
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_DELLINK, 0);
	int err;

	if (!len)
		return 0;
	for (size_t i = 0; i < len; i++) {
		err = link_doom(nl, ifindex[i]);
		if (err)
			return err;
	}
	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) ||
	    nla_put_u32(msg, IFLA_GROUP, LINK_GROUP_DOOMED))
		return -ENOMEM;
	err = nl_request(nl, msg, NULL, NULL);
	/* They went by themselves meanwhile. */
	return err == -ENODEV ? 0 : err;
}
