/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - the room's beginning and end: programs into the kernel, maps pinned
 * or found again, audit.
 *
 * What lives below the pin directory:
 *
 *   maps-vN/NAME   every map; N is ABI_VERSION, so a layout never meets a
 *                  program that does not know it; see takeover.h
 *   links/NAME     attachments, see attach.h
 *
 * Programs are not pinned: links and filters hold them. Opening loads this
 * build's programs over the maps it finds, and attaching swaps them in.
 */
#include "load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <sys/resource.h>

#include "netd/log.h"

#include "attach.h"
#include "lb.h"
#include "netd.skel.h"
#include "pins.h"
#include "takeover.h"

/* What libbpf printed: its tail, since a verifier's log ends with the why. */
static char said[1024];
/* Why the last ebpf_open() failed. */
static char open_error[2048];

__attribute__((format(printf, 2, 0))) static int
say(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[512];
	size_t len, have;
	int n;

	if (level == LIBBPF_DEBUG || level == LIBBPF_INFO)
		return 0;
	n = vsnprintf(line, sizeof(line), fmt, args);
	if (n <= 0)
		return 0;
	len = MIN((size_t)n, sizeof(line) - 1);
	have = strlen(said);
	if (have + len >= sizeof(said)) {
		size_t cut = have + len - sizeof(said) + 1;

		memmove(said, said + cut, have - cut + 1);
		have -= cut;
	}
	memcpy(said + have, line, len);
	said[have + len] = '\0';
	return 0;
}

void ebpf_begin(void)
{
	said[0] = '\0';
}

int ebpf_fail(struct ebpf *bpf, int err, const char *fmt, ...)
{
	char *buf = bpf ? bpf->error : open_error;
	size_t size = bpf ? sizeof(bpf->error) : sizeof(open_error);
	va_list args;
	size_t len;

	va_start(args, fmt);
	vsnprintf(buf, size, fmt, args);
	va_end(args);
	len = strlen(buf);
	snprintf(buf + len, size - len, ": %s%s%s", strerror(-err),
		 said[0] ? "; " : "", said);
	/* One line: the log's and the API's form. */
	for (char *c = buf; *c; c++) {
		if (*c == '\n')
			*c = c[1] ? ' ' : '\0';
	}
	return err;
}

const char *ebpf_error(const struct ebpf *bpf)
{
	return bpf ? bpf->error : open_error;
}

struct abi_addr abi_addr(const struct ip_addr *a)
{
	struct abi_addr ret;

	_Static_assert(sizeof(*a) == sizeof(ret), "one address form");
	memcpy(&ret, a, sizeof(ret));
	return ret;
}

int abi_family(const struct ip_addr *a)
{
	return ip_is_v4(a) ? ABI_IPV4 : ABI_IPV6;
}

struct abi_range abi_range(const struct ip_addr *a, uint8_t len,
			   const struct ip_addr *gateway)
{
	static const struct ip_addr ones = {
		.b = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
		       255, 255, 255, 255, 255 }
	};
	struct ip_prefix net = prefix_make(a, len ? len : 128);
	struct ip_prefix mask = prefix_make(&ones, net.len);

	return (struct abi_range){
		.subnet = { abi_addr(&net.addr), abi_addr(&mask.addr) },
		.gateway = abi_addr(gateway),
	};
}

void abi_ranges_clear(struct abi_range ranges[ABI_FAMILIES])
{
	static const struct ip_addr none;

	for (int i = 0; i < ABI_FAMILIES; i++)
		ranges[i] = abi_range(&none, 0, &none);
}

int ebpf_table_put(struct ebpf *bpf, enum ebpf_table id, const void *key,
		   const void *value)
{
	int err = table_put(bpf->tables[id], key, value);

	if (err == -E2BIG)
		return ebpf_fail(bpf, -ENOSPC, "map is full");
	return err ? ebpf_fail(bpf, err, "map cannot be written") : 0;
}

int ebpf_table_del(struct ebpf *bpf, enum ebpf_table id, const void *key)
{
	int err = table_del(bpf->tables[id], key);

	return err ? ebpf_fail(bpf, err, "map cannot be written") : 0;
}

static int open_tables(struct ebpf *bpf)
{
	const struct {
		const struct bpf_map *map;
		enum ebpf_table id;
	} maps[] = {
		{ bpf->skel->maps.pods, TABLE_PODS },
		{ bpf->skel->maps.endpoints, TABLE_ENDPOINTS },
		{ bpf->skel->maps.routes, TABLE_ROUTES },
		{ bpf->skel->maps.nets, TABLE_NETS },
		{ bpf->skel->maps.vteps, TABLE_VTEPS },
		{ bpf->skel->maps.guards, TABLE_GUARDS },
		{ bpf->skel->maps.frontends, TABLE_FRONTENDS },
		{ bpf->skel->maps.sources, TABLE_SOURCES },
		{ bpf->skel->maps.sockets, TABLE_SOCKETS },
		{ bpf->skel->maps.resolvers, TABLE_RESOLVERS },
	};

	_Static_assert(ARRAY_LEN(maps) == TABLE_MAX, "a map per table");
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		const struct bpf_map *map = maps[i].map;
		int err = table_open(bpf_map__fd(map), bpf_map__key_size(map),
				     bpf_map__value_size(map),
				     &bpf->tables[maps[i].id]);

		if (err)
			return ebpf_fail(NULL, err, "map %s cannot be read",
					 bpf_map__name(map));
	}
	return 0;
}

/* One more reason is no new ABI: counts begin anew, and so do samples. */
static char *map_path(const struct ebpf *bpf, const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	if (map == bpf->skel->maps.drops || map == bpf->skel->maps.lanes ||
	    map == bpf->skel->maps.samples)
		return xasprintf("%s/%s-%d", bpf->maps_dir, name, ABI_DROP_MAX);
	return xasprintf("%s/%s", bpf->maps_dir, name);
}

static int pin_maps(struct ebpf *bpf)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, bpf->skel->obj)
	{
		AUTO(str_freep) char *path = NULL;
		int err;

		/*
		 * Constants, scratch memory and what is known by attaching
		 * belong to one load.
		 */
		if (bpf_map__is_internal(map) ||
		    map == bpf->skel->maps.work_map ||
		    map == bpf->skel->maps.origins ||
		    map == bpf->skel->maps.paths ||
		    map == bpf->skel->maps.xdp_links)
			continue;
		path = map_path(bpf, map);
		err = bpf_map__set_pin_path(map, path);
		if (err)
			return err;
	}
	return 0;
}

static bool has_any(const struct bpf_map *map)
{
	union {
		struct abi_flow_key flow;
		struct abi_peer_key peer;
	} key;

	return bpf_map_get_next_key(bpf_map__fd(map), NULL, &key) == 0;
}

/*
 * Flows of an earlier load are answered by this one's programs, and its open
 * sockets still know whom they asked for. Its programs make more of both
 * until the last of them is replaced, so that this is asked again.
 */
static void see_what_is_used(struct ebpf *bpf)
{
	if (has_any(bpf->skel->maps.flows) ||
	    has_any(bpf->skel->maps.established))
		bpf->skel->bss->flows_used = 1;
	if (has_any(bpf->skel->maps.peers))
		bpf->skel->bss->peers_used = 1;
}

static int load(struct ebpf *bpf)
{
	const struct ebpf_config *c = &bpf->config;
	int err;

	bpf->skel = netd_bpf__open();
	if (!bpf->skel)
		return ebpf_fail(NULL, -errno, "programs cannot be read");

	memcpy(&bpf->skel->rodata->config.vtep, &c->vtep, sizeof(c->vtep));
	bpf->skel->rodata->config.tunnel_ifindex = c->tunnel_ifindex;
	memcpy(bpf->skel->rodata->config.tunnel_mac, c->tunnel_mac.b, 6);
	bpf->skel->rodata->config.vxlan_port = __builtin_bswap16(c->vxlan_port);

	if (c->flows_max)
		bpf_map__set_max_entries(bpf->skel->maps.established,
					 c->flows_max);
	err = pin_maps(bpf);
	if (!err)
		err = takeover_begin(bpf);
	if (!err)
		err = netd_bpf__load(bpf->skel);
	if (err)
		return ebpf_fail(NULL, err,
				 "programs do not load (maps pinned in %s)",
				 bpf->maps_dir);
	takeover_flows(bpf);
	see_what_is_used(bpf);
	return 0;
}

void ebpf_fast_path(struct ebpf *bpf, bool on)
{
	bpf->skel->bss->fast_path = on;
}

void ebpf_underlay_changed(struct ebpf *bpf)
{
	bpf->skel->bss->underlay_changes++;
}

static struct ebpf *ebpf_new(const struct ebpf_config *config)
{
	struct ebpf *bpf = xzalloc(sizeof(*bpf));

	bpf->config = *config;
	bpf->pin_dir = xstrdup(config->pin_dir);
	bpf->maps_dir = xasprintf("%s/maps-v%d", config->pin_dir, ABI_VERSION);
	bpf->links_dir = xasprintf("%s/links", config->pin_dir);
	bpf->cgroup = config->cgroup ? xstrdup(config->cgroup) : NULL;
	bpf->config.pin_dir = bpf->pin_dir;
	bpf->config.cgroup = bpf->cgroup;
	return bpf;
}

DEFINE_FREEP(struct ebpf, ebpf_close)

int ebpf_open(const struct ebpf_config *config, struct ebpf **ret)
{
	AUTO(ebpf_closep) struct ebpf *bpf = ebpf_new(config);
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int err;

	libbpf_set_print(say);
	ebpf_begin();
	open_error[0] = '\0';
	/* Kernels that charge maps to cgroups (5.11) do not need it. */
	setrlimit(RLIMIT_MEMLOCK, &all);

	err = pins_make(bpf->pin_dir);
	if (!err)
		err = pins_make_dir(bpf->maps_dir);
	if (!err)
		err = pins_make_dir(bpf->links_dir);
	if (err)
		return ebpf_fail(NULL, err, "%s cannot hold pins",
				 bpf->pin_dir);
	err = load(bpf);
	if (!err)
		err = open_tables(bpf);
	if (err)
		return err;
	err = lb_open(bpf, &bpf->lb);
	if (err)
		return ebpf_fail(NULL, err, "backends cannot be mapped");
	err = samples_open(bpf, &bpf->samples);
	if (err)
		return ebpf_fail(NULL, err, "samples cannot be mapped");
	flows_open(bpf, &bpf->flows);
	bpf->tcx = attach_has_tcx(bpf);
	attach_sweep(bpf);
	*ret = take_ptr(bpf);
	return 0;
}

int ebpf_start(struct ebpf *bpf)
{
	int err;

	ebpf_begin();
	see_what_is_used(bpf);
	err = attach_tunnel(bpf);
	if (err)
		return err;
	takeover_end(bpf);
	/* Without it services still work, packet by packet. */
	if (attach_cgroup(bpf))
		log_warn("ebpf: sockets are not translated: %s", bpf->error);
	else
		bpf->cgroup_attached = true;
	see_what_is_used(bpf);
	return 0;
}

void ebpf_close(struct ebpf *bpf)
{
	if (!bpf)
		return;
	net_free_all(bpf);
	node_free_all(bpf);
	guard_free_all(bpf);
	pod_free_all(bpf);
	uplink_free_all(bpf);
	lb_close(bpf->lb);
	flows_close(bpf->flows);
	samples_close(bpf->samples);
	for (size_t i = 0; i < TABLE_MAX; i++)
		table_free(bpf->tables[i]);
	netd_bpf__destroy(bpf->skel);
	free(bpf->pin_dir);
	free(bpf->maps_dir);
	free(bpf->links_dir);
	free(bpf->cgroup);
	free(bpf);
}

bool ebpf_has_tcx(const struct ebpf *bpf)
{
	return bpf->tcx;
}

bool ebpf_has_cgroup(const struct ebpf *bpf)
{
	return bpf->cgroup_attached;
}

int ebpf_audit_begin(struct ebpf *bpf)
{
	bpf->auditing = true;
	bpf->epoch++;
	for (size_t i = 0; i < TABLE_MAX; i++)
		table_audit_begin(bpf->tables[i]);
	return 0;
}

int ebpf_audit_end(struct ebpf *bpf)
{
	int (*const ends[])(struct ebpf *) = {
		pod_audit_end,	 lb_audit_end,	 net_audit_end,
		guard_audit_end, node_audit_end, attach_audit_end,
	};
	int err = 0;

	bpf->auditing = false;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		int rc = ends[i](bpf);

		err = err ? err : rc;
	}
	for (size_t i = 0; i < TABLE_MAX; i++) {
		int rc = table_audit_end(bpf->tables[i]);

		if (rc)
			ebpf_fail(bpf, rc, "map cannot be written");
		err = err ? err : rc;
	}
	see_what_is_used(bpf);
	/* Of nodes that are none any more nothing may be remembered. */
	ebpf_underlay_changed(bpf);
	return err;
}
