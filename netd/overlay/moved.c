/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an engine has moved a pod's end to. Our end knows the number by which
 * we call the other's namespace; the namespace is the one with that number,
 * looked for where the engine said it would be, else through the processes
 * that live in it.
 */
#include <fcntl.h>

#include "netd/util.h"
#include "netns.h"
#include "state.h"

struct search {
	struct nl *nl;
	int32_t nsid;
};

static bool has_nsid(void *arg, int fd)
{
	const struct search *s = arg;
	int32_t nsid;

	return !nl_nsid(s->nl, fd, &nsid) && nsid == s->nsid;
}

static int find_netns(struct search *s, const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd >= 0) {
		if (!netns_check(fd) && has_nsid(s, fd))
			return fd;
		close(fd);
	}
	return netns_find_by(has_nsid, s);
}

struct inside {
	uint32_t ifindex;
	struct nl_link link;
};

static bool keep_link(void *arg, const struct nl_link *l)
{
	struct inside *in = arg;

	if (l->ifindex == in->ifindex)
		in->link = *l;
	return l->ifindex != in->ifindex;
}

DEFINE_FREEP(struct nl, nl_free)

/* Name and cookie; the engine brings a link up when all else is done. */
static int look_inside(int netns, uint32_t ifindex, struct overlay_link *ret)
{
	AUTO(nl_freep) struct nl *nl = NULL;
	struct inside in = { .ifindex = ifindex };
	int err = nl_open_netns(netns, &nl);

	if (!err)
		err = nl_link_each(nl, keep_link, &in);
	if (!err && !in.link.is_up)
		err = -EAGAIN;
	if (!err)
		err = nl_cookie(nl, &ret->cookie);
	if (!err)
		memcpy(ret->ifname, in.link.name, sizeof(ret->ifname));
	return err;
}

int overlay_pod_moved(struct overlay *ov, const char *id, const char *netns,
		      struct overlay_link *ret)
{
	struct search s = { .nl = ov->nl };
	AUTO(fd_closep) int fd = -1;
	char name[LINK_NAME_LEN];
	struct nl_link link;
	int err = pod_link_name(ov, id, name);

	if (!err)
		err = nl_link_get(ov->nl, name, &link);
	if (err)
		return err;
	if (link.peer_nsid == NL_NSID_NONE)
		return -EAGAIN;
	s.nsid = link.peer_nsid;
	fd = find_netns(&s, netns);
	if (fd < 0)
		return -EAGAIN;
	ret->ifindex = link.ifindex;
	err = look_inside(fd, link.peer_ifindex, ret);
	if (!err)
		pod_set_away(ov, id);
	return err;
}
