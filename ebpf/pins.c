/* SPDX-License-Identifier: Apache-2.0 */
#include "pins.h"

#include <dirent.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "netd/util.h"

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

int pins_make_dir(const char *dir)
{
	return mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;
}

/* mkdir -p, to the last component but one. */
static int make_parents(const char *dir)
{
	AUTO(str_freep) char *path = xstrdup(dir);

	for (char *c = strchr(path + 1, '/'); c; c = strchr(c + 1, '/')) {
		int err;

		*c = '\0';
		err = pins_make_dir(path);
		/* Below sysfs nothing can be made, and nothing need be. */
		if (err && access(path, F_OK) != 0)
			return err;
		*c = '/';
	}
	return 0;
}

static int mount_bpffs(const char *path)
{
	return mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		     "mode=0700")
		       ? -errno
		       : 0;
}

int pins_make(const char *dir)
{
	AUTO(str_freep) char *parent = xstrdup(dir);
	char *slash = strrchr(parent, '/');
	int err;

	if (dir[0] != '/' || slash == parent)
		return -EINVAL;
	*slash = '\0';
	err = make_parents(dir);
	if (err)
		return err;
	err = pins_make_dir(dir);
	if (err) {
		/* /sys/fs/bpf exists, but nobody mounted anything there. */
		if (is_bpffs(parent))
			return err;
		err = mount_bpffs(parent);
		if (!err)
			err = pins_make_dir(dir);
		return err;
	}
	return is_bpffs(dir) ? 0 : mount_bpffs(dir);
}

int pins_each(const char *dir, void (*fn)(void *arg, const char *name),
	      void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.')
			fn(arg, e->d_name);
	}
	closedir(d);
	return 0;
}

int pins_drop(const char *dir)
{
	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY)
		return -errno;
	if (umount(dir) || rmdir(dir))
		return -errno;
	return 0;
}
