/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xdp - the mesh's program in the drivers of uplinks, where that is wanted
 * and can be; from_uplink is there in any case, and does what this leaves.
 *
 * Only native XDP: the kernel's generic one comes after the skb is made. On
 * a veth it is native too, but keeps the other end from handing over large
 * packets and unfinished checksums, so there it has to be asked for.
 */
#include "xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "netd/log.h"

#include "attach.h"
#include "load.h"
#include "netd.skel.h"

struct driver {
	char name[32];
	struct abi_xdp_link link;
};

static int ask_driver(const char *name, struct driver *ret)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { 0 };

	if (fd < 0 || !str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), name))
		return -EINVAL;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		return -errno;
	memcpy(ret->link.mac, ifr.ifr_hwaddr.sa_data, sizeof(ret->link.mac));
	ifr.ifr_data = (void *)&info;
	if (ioctl(fd, SIOCETHTOOL, &ifr))
		return -errno;
	str_copy(ret->name, sizeof(ret->name), info.driver);
	return 0;
}

static bool is_wanted(const struct ebpf *bpf, const struct driver *d)
{
	return bpf->config.xdp == EBPF_XDP_ON || !str_eq(d->name, "veth");
}

static void forget(struct ebpf *bpf, const char *name, uint32_t ifindex)
{
	bpf_map_delete_elem(bpf_map__fd(bpf->skel->maps.xdp_links), &ifindex);
	detach_xdp(bpf, name);
}

bool xdp_put(struct ebpf *bpf, const char *name, uint32_t ifindex)
{
	int map = bpf_map__fd(bpf->skel->maps.xdp_links);
	struct driver d = { 0 };
	int err = -EOPNOTSUPP;

	if (bpf->config.xdp != EBPF_XDP_OFF && !ask_driver(name, &d) &&
	    is_wanted(bpf, &d)) {
		err = bpf_map_update_elem(map, &ifindex, &d.link, BPF_ANY);
		if (!err)
			err = attach_xdp(bpf, name, ifindex);
		log_info("ebpf: XDP link=%s driver=%s: %s", name, d.name,
			 err ? strerror(-err) : "on");
	}
	if (err)
		forget(bpf, name, ifindex);
	/* Nobody is told: libbpf's words are of no use to what comes next. */
	ebpf_begin();
	return !err;
}

void xdp_del(struct ebpf *bpf, const char *name, uint32_t ifindex)
{
	forget(bpf, name, ifindex);
}
