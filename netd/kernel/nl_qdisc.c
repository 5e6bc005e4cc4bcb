/* SPDX-License-Identifier: Apache-2.0 */
/* Which links have a place for tc programs: their clsact qdisc. */
#include <linux/rtnetlink.h>

#include "netd/util.h"
#include "nl_msg.h"

struct qdisc_walk {
	bool (*fn)(void *arg, uint32_t ifindex);
	void *arg;
};

static int qdisc_parse(void *arg, struct nlmsghdr *hdr)
{
	const struct qdisc_walk *walk = arg;
	const struct tcmsg *tc = nlmsg_data(hdr);
	struct nlattr *kind;

	if (hdr->nlmsg_type != RTM_NEWQDISC ||
	    nlmsg_datalen(hdr) < (int)sizeof(*tc))
		return 0;
	kind = nlmsg_find_attr(hdr, sizeof(*tc), TCA_KIND);
	if (!kind || nla_strcmp(kind, "clsact") != 0)
		return 0;
	return !walk->fn(walk->arg, (uint32_t)tc->tcm_ifindex);
}

int nl_clsact_each(struct nl *nl, bool (*fn)(void *arg, uint32_t ifindex),
		   void *arg)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC };
	struct qdisc_walk walk = { .fn = fn, .arg = arg };
	AUTO(nl_msg_freep)
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETQDISC, 0);

	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO))
		return -ENOMEM;
	return nl_read_all(nl, msg, qdisc_parse, &walk);
}
