/* SPDX-License-Identifier: Apache-2.0 */
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <mntent.h>
#include <net/if.h>

#include "load.h"
#include "netd.skel.h"
#include "pins.h"

/* enum bpf_attach_type of 6.6; Debian 12's header ends before. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS ((enum bpf_attach_type)47)

/* Ours among the filters of an interface. */
#define FILTER_HANDLE 1
#define FILTER_PRIORITY 1

#define POD_PREFIX "pod-"
#define UPLINK_PREFIX "uplink-"
#define XDP_PREFIX "xdp-"

/* No interface has this index; the kernel looks at the type first. */
#define NO_IFINDEX 0x7fffffff

bool attach_has_tcx(const struct ebpf *bpf)
{
	int fd = bpf_program__fd(bpf->skel->progs.from_pod);
	int rc = bpf_link_create(fd, NO_IFINDEX, TCX_INGRESS, NULL);

	if (rc >= 0)
		close(rc);
	return rc == -ENODEV;
}

/* A dot in a name is reserved in a bpffs; no interface has a colon. */
static char *pin_path(const struct ebpf *bpf, const char *prefix,
		      const char *name)
{
	char *path = xasprintf("%s/%s%s", bpf->links_dir, prefix, name);

	for (char *c = path + strlen(bpf->links_dir); *c; c++) {
		if (*c == '.')
			*c = ':';
	}
	return path;
}

static int pin_anew(int fd, const char *path)
{
	if (unlink(path) && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(fd, path);
}

/* What a pinned link is attached to; 0 when that is gone. */
static uint32_t link_target(int fd)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	if (info.type == BPF_LINK_TYPE_CGROUP)
		return info.cgroup.cgroup_id != 0;
	/* A tcx link's ifindex lies where an XDP link's does. */
	return info.xdp.ifindex;
}

/*
 * The kernel lets go of an unpinned link some time later: until then the same
 * program could not be attached again (EEXIST). So it is detached first.
 */
static void link_drop(const char *path)
{
	AUTO(fd_closep) int link = bpf_obj_get(path);

	if (link >= 0)
		bpf_link_detach(link);
	unlink(path);
}

static int link_put(const char *path, int prog, int target, uint32_t ifindex,
		    enum bpf_attach_type type)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = type == BPF_XDP ? XDP_FLAGS_DRV_MODE : 0);
	AUTO(fd_closep) int link = bpf_obj_get(path);
	int err;

	if (link >= 0 && link_target(link) == ifindex &&
	    bpf_link_update(link, prog, NULL) == 0)
		return 0;
	if (link >= 0) {
		close(take_fd(link));
		link_drop(path);
	}
	link = bpf_link_create(prog, target, type, &opts);
	if (link < 0)
		return link;
	err = pin_anew(link, path);
	return err;
}

static int filter_put(uint32_t ifindex, bool ingress, int prog)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
		    .priority = FILTER_PRIORITY, .prog_fd = prog,
		    .flags = BPF_TC_F_REPLACE);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	/* libbpf prints that the hook exists as if that were a fault. */
	ebpf_begin();
	return bpf_tc_attach(&hook, &opts);
}

static void filter_del(uint32_t ifindex, uint32_t prog_id)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
		    .priority = FILTER_PRIORITY);

	/* Only if it is the program that was pinned as the mark. */
	if (bpf_tc_query(&hook, &opts) || opts.prog_id != prog_id)
		return;
	opts.prog_fd = 0;
	opts.prog_id = 0;
	opts.flags = 0;
	bpf_tc_detach(&hook, &opts);
}

static int tc_put(struct ebpf *bpf, const char *path, uint32_t ifindex,
		  bool ingress, const struct bpf_program *prog)
{
	int fd = bpf_program__fd(prog);

	if (!bpf->tcx)
		return filter_put(ifindex, ingress, fd);
	return link_put(path, fd, (int)ifindex, ifindex,
			ingress ? TCX_INGRESS : TCX_EGRESS);
}

int attach_tunnel(struct ebpf *bpf)
{
	AUTO(str_freep) char *in = pin_path(bpf, "tunnel-", "in");
	AUTO(str_freep) char *out = pin_path(bpf, "tunnel-", "out");
	uint32_t ifindex = bpf->config.tunnel_ifindex;
	int err;

	err = tc_put(bpf, in, ifindex, true, bpf->skel->progs.from_overlay);
	if (!err)
		err = tc_put(bpf, out, ifindex, false,
			     bpf->skel->progs.to_overlay);
	return err ? ebpf_fail(bpf, err, "tunnel's programs") : 0;
}

/* Hybrid systems have the root elsewhere than /sys/fs/cgroup. */
static char *cgroup_root(void)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct mntent *m;
	char *ret = NULL;

	if (!f)
		return NULL;
	while (!ret && (m = getmntent(f))) {
		if (str_eq(m->mnt_type, "cgroup2"))
			ret = xstrdup(m->mnt_dir);
	}
	endmntent(f);
	return ret;
}

int attach_cgroup(struct ebpf *bpf)
{
	const struct {
		const char *name;
		const struct bpf_program *prog;
		enum bpf_attach_type type;
	} hooks[] = {
#define HOOK(hook, at) { #hook, bpf->skel->progs.sock_##hook, BPF_CGROUP_##at }
		HOOK(getpeername4, INET4_GETPEERNAME),
		HOOK(getpeername6, INET6_GETPEERNAME),
		HOOK(recvmsg4, UDP4_RECVMSG),
		HOOK(recvmsg6, UDP6_RECVMSG),
		HOOK(connect4, INET4_CONNECT),
		HOOK(connect6, INET6_CONNECT),
		HOOK(sendmsg4, UDP4_SENDMSG),
		HOOK(sendmsg6, UDP6_SENDMSG),
#undef HOOK
	};
	AUTO(str_freep)
	char *root = bpf->cgroup ? xstrdup(bpf->cgroup) : cgroup_root();
	AUTO(fd_closep) int fd = -1;

	if (!root)
		return ebpf_fail(bpf, -ENOENT, "no cgroup2 tree is mounted");
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ebpf_fail(bpf, -errno, "%s", root);
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
		AUTO(str_freep)
		char *path = pin_path(bpf, "sock-", hooks[i].name);
		int err = link_put(path, bpf_program__fd(hooks[i].prog), fd, 1,
				   hooks[i].type);

		if (err)
			return ebpf_fail(bpf, err, "%s of %s", hooks[i].name,
					 root);
	}
	return 0;
}

static uint32_t prog_id(const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len)
		       ? 0
		       : info.id;
}

bool attach_pod_is(const struct ebpf *bpf, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
		    .priority = FILTER_PRIORITY);

	return !bpf_tc_query(&hook, &opts) && opts.prog_id &&
	       opts.prog_id == prog_id(bpf->skel->progs.from_pod);
}

/*
 * A filter also where there is tcx: the kernel waits for an RCU grace period,
 * with its lock on all links held, when the first tcx program comes to an
 * interface (6.18: 13 ms), and a pod's is new with every pod.
 */
int attach_pod(struct ebpf *bpf, const char *id, uint32_t ifindex)
{
	AUTO(str_freep) char *path = pin_path(bpf, POD_PREFIX, id);
	int fd = bpf_program__fd(bpf->skel->progs.from_pod);
	int err = 0;

	if (!attach_pod_is(bpf, ifindex)) {
		ebpf_begin();
		err = filter_put(ifindex, true, fd);
	}
	if (err)
		return ebpf_fail(bpf, err, "program of endpoint %s", id);
	/* Of a netd that used tcx here: its program would go first. */
	link_drop(path);
	ebpf_begin();
	return 0;
}

int attach_uplink(struct ebpf *bpf, const char *name, uint32_t ifindex)
{
	AUTO(str_freep) char *path = pin_path(bpf, UPLINK_PREFIX, name);
	const struct bpf_program *prog = bpf->skel->progs.from_uplink;
	int err = tc_put(bpf, path, ifindex, true, prog);

	if (!err && !bpf->tcx)
		err = pin_anew(bpf_program__fd(prog), path);
	return err ? ebpf_fail(bpf, err, "program of uplink %s", name) : 0;
}

/* The pinned program's id, or 0 when it is a link that is pinned. */
static uint32_t pinned_prog(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	char self[32], what[64] = "";

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (readlink(self, what, sizeof(what) - 1) < 0 ||
	    !strstr(what, "bpf-prog"))
		return 0;
	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

static void uplink_unpin(const char *dir, const char *pin)
{
	AUTO(str_freep) char *path = xasprintf("%s/%s", dir, pin);
	AUTO(str_freep) char *ifname = xstrdup(pin + strlen(UPLINK_PREFIX));
	AUTO(fd_closep) int fd = bpf_obj_get(path);
	uint32_t prog = fd < 0 ? 0 : pinned_prog(fd);
	uint32_t ifindex;

	for (char *c = ifname; *c; c++) {
		if (*c == ':')
			*c = '.';
	}
	ifindex = if_nametoindex(ifname);
	if (prog && ifindex)
		filter_del(ifindex, prog);
	link_drop(path);
}

void detach_uplink(struct ebpf *bpf, const char *name)
{
	AUTO(str_freep) char *path = pin_path(bpf, UPLINK_PREFIX, name);

	uplink_unpin(bpf->links_dir, path + strlen(bpf->links_dir) + 1);
}

int attach_xdp(struct ebpf *bpf, const char *name, uint32_t ifindex)
{
	AUTO(str_freep) char *path = pin_path(bpf, XDP_PREFIX, name);

	return link_put(path, bpf_program__fd(bpf->skel->progs.xdp_uplink),
			(int)ifindex, ifindex, BPF_XDP);
}

void detach_xdp(struct ebpf *bpf, const char *name)
{
	AUTO(str_freep) char *path = pin_path(bpf, XDP_PREFIX, name);

	link_drop(path);
}

static void sweep_one(void *arg, const char *name)
{
	const struct ebpf *bpf = arg;
	AUTO(str_freep) char *path = xasprintf("%s/%s", bpf->links_dir, name);
	AUTO(fd_closep) int fd = bpf_obj_get(path);

	if (fd >= 0 && !pinned_prog(fd) && !link_target(fd))
		unlink(path);
}

void attach_sweep(struct ebpf *bpf)
{
	pins_each(bpf->links_dir, sweep_one, bpf);
	ebpf_begin();
}

static void audit_one(void *arg, const char *name)
{
	struct ebpf *bpf = arg;
	const char *uplink = str_after(name, UPLINK_PREFIX);
	const char *xdp = str_after(name, XDP_PREFIX);

	if (uplink && !uplink_is_known(bpf, uplink))
		uplink_unpin(bpf->links_dir, name);
	if (xdp && !uplink_is_known(bpf, xdp))
		detach_xdp(bpf, xdp);
}

int attach_audit_end(struct ebpf *bpf)
{
	int err = pins_each(bpf->links_dir, audit_one, bpf);

	ebpf_begin();
	return err ? ebpf_fail(bpf, err, "%s", bpf->links_dir) : 0;
}

static void remove_link(void *arg, const char *name)
{
	const char *dir = arg;
	AUTO(str_freep) char *path = NULL;

	if (str_after(name, UPLINK_PREFIX)) {
		uplink_unpin(dir, name);
		return;
	}
	path = xasprintf("%s/%s", dir, name);
	link_drop(path);
}

static void remove_map(void *arg, const char *name)
{
	const char *dir = arg;
	AUTO(str_freep) char *path = xasprintf("%s/%s", dir, name);

	unlink(path);
}

static void remove_dir(void *arg, const char *name)
{
	const char *pin_dir = arg;
	AUTO(str_freep) char *dir = xasprintf("%s/%s", pin_dir, name);

	/* Maps of every version, this one's or not. */
	if (str_eq(name, "links"))
		pins_each(dir, remove_link, dir);
	else if (str_after(name, "maps-v"))
		pins_each(dir, remove_map, dir);
	else
		return;
	rmdir(dir);
}

int ebpf_remove(const char *pin_dir)
{
	AUTO(str_freep) char *dir = xstrdup(pin_dir);
	int err = pins_each(dir, remove_dir, dir);

	if (err)
		return err == -ENOENT ? 0 : err;
	return pins_drop(dir);
}
