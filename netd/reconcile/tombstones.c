/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attachments that a container engine gave up while nobody answered: its
 * plugin left a file CONTAINER@IFNAME for each. They are undone as soon as the
 * model is whole, and are looked for every second from then on.
 */
#include "rc.h"

#include <dirent.h>

#include "netd/log.h"
#include "netd/util.h"

static void undo(struct reconcile *rc, const char *container,
		 const char *ifname)
{
	if (reconcile_pod_detach(rc, "cni", container, ifname))
		log_info("reconcile: given up while netd was away container=%s "
			 "ifname=%s",
			 container, ifname);
}

/* The plugin writes under a name that begins with a dot, and renames. */
static void bury(struct reconcile *rc, int dir, const char *name)
{
	AUTO(str_freep) char *container = xstrdup(name);
	char *at = strchr(container, '@');

	if (name[0] == '.')
		return;
	if (at) {
		*at = '\0';
		undo(rc, container, at + 1);
	}
	unlinkat(dir, name, 0);
}

void reconcile_tombstones(struct reconcile *rc)
{
	const char *path = rc->cfg.tombstone_dir;
	struct dirent *entry;
	DIR *dir = path ? opendir(path) : NULL;

	while (dir && (entry = readdir(dir)))
		bury(rc, dirfd(dir), entry->d_name);
	if (dir)
		closedir(dir);
}
