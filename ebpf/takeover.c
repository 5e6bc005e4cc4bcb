/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover - maps that an earlier load pinned in another form.
 *
 * A map that is the same under another ABI_VERSION is pinned under this one
 * too: old and new programs share it until the old ones are replaced. Of the
 * others only the flows hold what nobody could write again. They are copied
 * before the programs are replaced, and once more after, for what began in
 * between; then the old pins go. A connection loses nothing: copied as a new
 * one, it becomes established with its next packets.
 */
#include "takeover.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "netd/log.h"

#include "load.h"
#include "netd.skel.h"
#include "pins.h"

/* What stands aside while its successor is filled; bpffs takes no dots. */
#define ASIDE "-old"

static bool is_same(const struct bpf_map *map, int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       info.type == bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       info.map_flags == bpf_map__map_flags(map);
}

static char *old_path(const struct ebpf *bpf, int version, const char *name)
{
	return xasprintf("%s/maps-v%d/%s", bpf->pin_dir, version, name);
}

/* From the newest version before this one that has it. */
static int share(const struct ebpf *bpf, const struct bpf_map *map)
{
	const char *path = bpf_map__pin_path(map);

	for (int v = ABI_VERSION - 1; v > 0; v--) {
		AUTO(str_freep)
		char *old = old_path(bpf, v, bpf_map__name(map));
		AUTO(fd_closep) int fd = bpf_obj_get(old);

		if (fd < 0)
			continue;
		return is_same(map, fd) ? bpf_obj_pin(fd, path) : 0;
	}
	return 0;
}

/* Of the maps only this one's size is a setting. */
static int set_aside(const struct bpf_map *map)
{
	const char *path = bpf_map__pin_path(map);
	AUTO(str_freep) char *aside = xasprintf("%s" ASIDE, path);
	AUTO(fd_closep) int fd = bpf_obj_get(path);

	if (fd < 0 || is_same(map, fd))
		return 0;
	return rename(path, aside) ? -errno : 0;
}

int takeover_begin(struct ebpf *bpf)
{
	struct bpf_map *map;
	int err;

	bpf_object__for_each_map(map, bpf->skel->obj)
	{
		const char *path = bpf_map__pin_path(map);

		if (!path)
			continue;
		err = access(path, F_OK) ? share(bpf, map) : 0;
		if (!err && map == bpf->skel->maps.established)
			err = set_aside(map);
		if (err)
			return err;
	}
	return 0;
}

/* Entries of a map with a shorter value get zeros at the end. */
static size_t copy(const char *path, const struct bpf_map *to)
{
	AUTO(fd_closep) int from = bpf_obj_get(path);
	struct bpf_map_info info = { 0 };
	struct abi_flow_key key, *at = NULL;
	struct abi_flow flow;
	__u32 len = sizeof(info);
	size_t copied = 0;

	if (from < 0 || bpf_obj_get_info_by_fd(from, &info, &len) ||
	    info.key_size != sizeof(key) || info.value_size > sizeof(flow))
		return 0;
	while (bpf_map_get_next_key(from, at, &key) == 0) {
		memset(&flow, 0, sizeof(flow));
		if (bpf_map_lookup_elem(from, &key, &flow) == 0 &&
		    bpf_map_update_elem(bpf_map__fd(to), &key, &flow,
					BPF_NOEXIST) == 0)
			copied++;
		at = &key;
	}
	return copied;
}

void takeover_flows(struct ebpf *bpf)
{
	const struct bpf_map *established = bpf->skel->maps.established;
	AUTO(str_freep)
	char *aside = xasprintf("%s" ASIDE, bpf_map__pin_path(established));
	size_t copied = copy(aside, established);

	for (int v = ABI_VERSION - 1; v > 0; v--) {
		AUTO(str_freep) char *old = old_path(bpf, v, "flows");

		copied += copy(old, bpf->skel->maps.flows);
	}
	if (copied)
		log_info("ebpf: flows taken over entries=%zu", copied);
}

struct folder {
	const char *path;
};

static void unpin(void *arg, const char *name)
{
	const struct folder *folder = arg;
	AUTO(str_freep) char *path = xasprintf("%s/%s", folder->path, name);

	unlink(path);
}

/* Of maps whose pins say how many reasons there are, those of other builds. */
static void unpin_counts(void *arg, const char *name)
{
	struct ebpf *bpf = arg;
	const struct bpf_map *const maps[] = { bpf->skel->maps.drops,
					       bpf->skel->maps.lanes,
					       bpf->skel->maps.samples };
	AUTO(str_freep)
	char *path = xasprintf("%s/%s", bpf->maps_dir, name);

	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		const char *rest = str_after(name, bpf_map__name(maps[i]));

		if (rest && *rest == '-' &&
		    !str_eq(path, bpf_map__pin_path(maps[i])))
			unlink(path);
	}
}

void takeover_end(struct ebpf *bpf)
{
	AUTO(str_freep)
	char *aside = xasprintf("%s" ASIDE,
				bpf_map__pin_path(bpf->skel->maps.established));

	takeover_flows(bpf);
	unlink(aside);
	pins_each(bpf->maps_dir, unpin_counts, bpf);
	for (int v = ABI_VERSION - 1; v > 0; v--) {
		AUTO(str_freep)
		char *path = xasprintf("%s/maps-v%d", bpf->pin_dir, v);
		struct folder folder = { path };

		if (pins_each(path, unpin, &folder) == 0)
			rmdir(path);
	}
}
