/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink - interfaces of the host that published ports answer on.
 *
 * They follow what the host does, event by event, and are not part of an
 * audit's puts; only what an earlier process attached and this one never
 * named goes at an audit's end.
 */
#include <net/if_arp.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uthash.h>

#include "netd/log.h"

#include "attach.h"
#include "load.h"
#include "xdp.h"

_Static_assert(EBPF_MARK_MEMBER == ABI_MARK_MEMBER, "one mark");

struct uplink {
	UT_hash_handle hh;
	char name[LINK_NAME_LEN];
	uint32_t ifindex;
	bool xdp;
};

static struct uplink *uplink_find(const struct ebpf *bpf, const char *name)
{
	struct uplink *up;

	HASH_FIND(hh, bpf->uplinks, name, (unsigned int)strlen(name), up);
	return up;
}

/* `pin` is a name with its dots written as colons, as attach.c does. */
bool uplink_is_known(const struct ebpf *bpf, const char *pin)
{
	char name[LINK_NAME_LEN];

	if (!str_copy(name, sizeof(name), pin))
		return false;
	for (char *c = name; *c; c++) {
		if (*c == ':')
			*c = '.';
	}
	return uplink_find(bpf, name) != NULL;
}

/* The programs expect an Ethernet header: tunnels without one have none. */
static int is_ethernet(const char *name)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	if (fd < 0 || !str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), name))
		return -EINVAL;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		return -errno;
	return ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

int ebpf_uplink_put(struct ebpf *bpf, const char *name, uint32_t ifindex)
{
	struct uplink *up = uplink_find(bpf, name);
	int ethernet, err = 0;

	ebpf_begin();
	if (up && up->ifindex == ifindex)
		return 0;
	ethernet = is_ethernet(name);
	if (ethernet < 0)
		return ebpf_fail(bpf, ethernet, "uplink %s", name);
	if (ethernet)
		err = attach_uplink(bpf, name, ifindex);
	else
		log_info("ebpf: no published ports on an interface without "
			 "Ethernet link=%s",
			 name);
	if (err)
		return err;
	if (!up) {
		up = xzalloc(sizeof(*up));
		str_copy(up->name, sizeof(up->name), name);
		HASH_ADD_STR(bpf->uplinks, name, up);
	}
	up->ifindex = ifindex;
	up->xdp = ethernet && xdp_put(bpf, name, ifindex);
	return 0;
}

int ebpf_uplink_del(struct ebpf *bpf, const char *name)
{
	struct uplink *up = uplink_find(bpf, name);

	ebpf_begin();
	detach_uplink(bpf, name);
	if (!up)
		return 0;
	xdp_del(bpf, name, up->ifindex);
	HASH_DEL(bpf->uplinks, up);
	free(up);
	return 0;
}

size_t ebpf_xdp_links(const struct ebpf *bpf)
{
	const struct uplink *up;
	size_t n = 0;

	for (up = bpf->uplinks; up; up = up->hh.next)
		n += up->xdp;
	return n;
}

void uplink_free_all(struct ebpf *bpf)
{
	struct uplink *up, *next;

	HASH_ITER (hh, bpf->uplinks, up, next) {
		HASH_DEL(bpf->uplinks, up);
		free(up);
	}
}
