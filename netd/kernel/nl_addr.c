/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of links: dump, add, delete. */
#include "nl.h"

#include <linux/rtnetlink.h>
#include <netlink/route/addr.h>

#include "netd/util.h"
#include "nl_msg.h"

static void rtnl_addrp(struct rtnl_addr **addr)
{
	if (*addr)
		rtnl_addr_put(*addr);
}

struct addr_walk {
	bool (*fn)(void *arg, const struct nl_ifaddr *a);
	void *arg;
	bool stop;
};

static void addr_seen(struct nl_object *object, void *arg)
{
	struct rtnl_addr *from = (struct rtnl_addr *)(void *)object;
	struct addr_walk *walk = arg;
	struct nl_ifaddr addr = {
		.ifindex = (uint32_t)rtnl_addr_get_ifindex(from),
		.is_global = rtnl_addr_get_scope(from) == RT_SCOPE_UNIVERSE,
	};
	/* Drawn anew each day (RFC 8981), not tried yet, or nobody's. IPv4 uses
	 * the first of these bits for something else. */
	unsigned int passing = IFA_F_TEMPORARY | IFA_F_TENTATIVE |
			       IFA_F_DADFAILED | IFA_F_DEPRECATED;

	if (!rtnl_addr_get_local(from) ||
	    !nl_addr_to_prefix(rtnl_addr_get_local(from), &addr.addr))
		return;
	if (!ip_is_v4(&addr.addr.addr) && rtnl_addr_get_flags(from) & passing)
		addr.is_global = false;
	walk->stop = !walk->fn(walk->arg, &addr);
}

static int addr_parse(void *arg, struct nlmsghdr *hdr)
{
	AUTO(nl_msg_freep) struct nl_msg *msg = nlmsg_convert(hdr);
	struct addr_walk *walk = arg;

	if (!msg)
		return -ENOMEM;
	nlmsg_set_proto(msg, NETLINK_ROUTE);
	if (nl_msg_parse(msg, addr_seen, walk))
		return 0;
	return walk->stop;
}

int nl_addr_each(struct nl *nl,
		 bool (*fn)(void *arg, const struct nl_ifaddr *a), void *arg)
{
	struct ifaddrmsg head = { .ifa_family = AF_UNSPEC };
	struct addr_walk walk = { .fn = fn, .arg = arg };
	AUTO(nl_msg_freep)
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETADDR, 0);

	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO))
		return -ENOMEM;
	return nl_read_all(nl, msg, addr_parse, &walk);
}

static struct rtnl_addr *addr_make(uint32_t ifindex, const struct ip_prefix *a)
{
	AUTO(nl_addr_putp) struct nl_addr *local = nl_addr_from_prefix(a);
	struct rtnl_addr *addr = rtnl_addr_alloc();

	if (!addr || !local)
		goto fail;
	rtnl_addr_set_ifindex(addr, (int)ifindex);
	if (rtnl_addr_set_local(addr, local))
		goto fail;
	/* An address of ours is no subject of duplicate detection. */
	if (!ip_is_v4(&a->addr))
		rtnl_addr_set_flags(addr, IFA_F_NODAD);
	return addr;

fail:
	if (addr)
		rtnl_addr_put(addr);
	return NULL;
}

int nl_addr_add(struct nl *nl, uint32_t ifindex, const struct ip_prefix *a)
{
	AUTO(rtnl_addrp) struct rtnl_addr *addr = addr_make(ifindex, a);
	AUTO(nl_msg_freep) struct nl_msg *msg = NULL;
	int err;

	if (!addr)
		return -ENOMEM;
	err = rtnl_addr_build_add_request(addr, NLM_F_CREATE | NLM_F_REPLACE,
					  &msg);
	if (err)
		return nl_build_error(err);
	return nl_request(nl, msg, NULL, NULL);
}

int nl_addr_del(struct nl *nl, uint32_t ifindex, const struct ip_prefix *a)
{
	AUTO(rtnl_addrp) struct rtnl_addr *addr = addr_make(ifindex, a);
	AUTO(nl_msg_freep) struct nl_msg *msg = NULL;
	int err;

	if (!addr)
		return -ENOMEM;
	err = rtnl_addr_build_delete_request(addr, 0, &msg);
	if (err)
		return nl_build_error(err);
	err = nl_request(nl, msg, NULL, NULL);
	return err == -EADDRNOTAVAIL || err == -ENODEV ? 0 : err;
}
