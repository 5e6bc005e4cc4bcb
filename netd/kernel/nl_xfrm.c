/* SPDX-License-Identifier: Apache-2.0 */
/* IPsec policies (xfrm): only how many there are. */
#include <libmnl/libmnl.h>
#include <linux/xfrm.h>

#include "netd/util.h"
#include "netns.h"
#include "nl.h"
#include "nl_msg.h"

/* Both are one small message. */
#define XFRM_BUFFER 4096

struct xfrm_count {
	uint32_t policies;
};

static int count_attr(const struct nlattr *attr, void *arg)
{
	struct xfrm_count *count = arg;
	const struct xfrmu_spdinfo *info = mnl_attr_get_payload(attr);

	if (mnl_attr_get_type(attr) == XFRMA_SPD_INFO &&
	    mnl_attr_get_payload_len(attr) >= sizeof(*info))
		count->policies = info->incnt + info->outcnt + info->fwdcnt;
	return MNL_CB_OK;
}

static int count_message(const struct nlmsghdr *hdr, void *arg)
{
	/* The answer begins with the flags that were asked with. */
	if (hdr->nlmsg_type != XFRM_MSG_NEWSPDINFO)
		return MNL_CB_OK;
	mnl_attr_parse(hdr, sizeof(uint32_t), count_attr, arg);
	return MNL_CB_STOP;
}

static int ask(struct mnl_socket *socket, struct xfrm_count *count)
{
	uint8_t buf[XFRM_BUFFER];
	struct nlmsghdr *hdr = mnl_nlmsg_put_header(buf);
	uint32_t *flags;
	ssize_t n;

	hdr->nlmsg_type = XFRM_MSG_GETSPDINFO;
	hdr->nlmsg_flags = NLM_F_REQUEST;
	flags = mnl_nlmsg_put_extra_header(hdr, sizeof(*flags));
	*flags = UINT32_MAX;
	if (mnl_socket_sendto(socket, hdr, hdr->nlmsg_len) < 0)
		return -errno;
	/* The kernel answers before sendto() returns. */
	n = recv(mnl_socket_get_fd(socket), buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	n = mnl_cb_run(buf, (size_t)n, 0, 0, count_message, count);
	return n < 0 ? -errno : 0;
}

static int count_policies(void *arg)
{
	struct mnl_socket *socket =
		mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC);
	int err;

	if (!socket)
		return -errno;
	err = ask(socket, arg);
	mnl_socket_close(socket);
	return err;
}

int nl_xfrm_policies(struct nl *nl, uint32_t *ret)
{
	struct xfrm_count count = { 0 };
	int err = nl->netns < 0 ? count_policies(&count)
				: netns_run(nl->netns, count_policies, &count);

	/* A kernel without IPsec has no policies. */
	if (err && err != -EPROTONOSUPPORT)
		return err;
	*ret = count.policies;
	return 0;
}
