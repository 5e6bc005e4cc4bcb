/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one network namespace calls another: a number of its own, under which
 * a link says where its other end is (IFLA_LINK_NETNSID).
 */
#include "nl.h"

#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include "netd/util.h"
#include "nl_msg.h"

static int nsid_parse(void *arg, struct nlmsghdr *hdr)
{
	struct nlattr *a =
		nlmsg_find_attr(hdr, sizeof(struct rtgenmsg), NETNSA_NSID);

	if (a && nla_len(a) == sizeof(int32_t))
		*(int32_t *)arg = nla_get_s32(a);
	return 0;
}

int nl_nsid(struct nl *nl, int netns, int32_t *ret)
{
	struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	AUTO(nl_msg_freep)
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETNSID, 0);

	*ret = NL_NSID_NONE;
	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) ||
	    nla_put_u32(msg, NETNSA_FD, (uint32_t)netns))
		return -ENOMEM;
	return nl_request(nl, msg, nsid_parse, ret);
}
