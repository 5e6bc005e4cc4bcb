/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are files with the namespace mounted over them, as ip-netns(8) makes
 * them. The folder is not made a mount of its own: where the tree around it
 * is shared the names are seen everywhere already, and unlinking a name ends
 * its copies in other mount namespaces since 3.18.
 */
#include "netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "netd/log.h"
#include "netd/util.h"

#define NETNS_OWN "/proc/thread-self/ns/net"
#define NETNS_PATH_LEN 4096

static int netns_path(const char *dir, const char *name,
		      char buf[NETNS_PATH_LEN])
{
	if (!*name || strchr(name, '/') || str_eq(name, ".") ||
	    str_eq(name, ".."))
		return -EINVAL;
	return str_format(buf, NETNS_PATH_LEN, "%s/%s", dir, name);
}

static int netns_own(void)
{
	int fd = open(NETNS_OWN, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Elsewhere than it believes to be, the process would do damage. */
static void netns_return(int own)
{
	if (setns(own, CLONE_NEWNET)) {
		log_err("kernel: cannot return to own network namespace: %s",
			strerror(errno));
		abort();
	}
}

/* A file of that name is there: a namespace, or what a crash left? */
static int netns_clear_leftover(const char *dir, const char *name,
				const char *path)
{
	int fd = netns_open(dir, name);

	if (fd >= 0) {
		close(fd);
		return -EEXIST;
	}
	while (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW))
		;
	return unlink(path) ? -errno : 0;
}

static int netns_make_file(const char *dir, const char *name, const char *path)
{
	int fd, err;

	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0 && errno == EEXIST) {
		err = netns_clear_leftover(dir, name, path);
		if (err)
			return err;
		fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	}
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int netns_add(const char *dir, const char *name)
{
	char path[NETNS_PATH_LEN];
	AUTO(fd_closep) int own = netns_own();
	int err;

	if (own < 0)
		return own;
	err = netns_path(dir, name, path);
	if (err)
		return err;
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	err = netns_make_file(dir, name, path);
	if (err)
		return err;

	if (unshare(CLONE_NEWNET)) {
		err = -errno;
		goto undo_file;
	}
	if (mount(NETNS_OWN, path, NULL, MS_BIND, NULL))
		err = -errno;
	netns_return(own);
	if (!err)
		return 0;

undo_file:
	unlink(path);
	return err;
}

int netns_del(const char *dir, const char *name)
{
	char path[NETNS_PATH_LEN];
	int err = netns_path(dir, name, path);

	if (err)
		return err;
	/* Mounted over each other by a repeated start, all of them go. */
	while (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW))
		;
	if (unlink(path) && errno != ENOENT)
		return -errno;
	return 0;
}

int netns_open(const char *dir, const char *name)
{
	char path[NETNS_PATH_LEN];
	int err = netns_path(dir, name, path);
	int fd;

	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	err = netns_check(fd);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int netns_check(int fd)
{
	return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET ? 0 : -EINVAL;
}

bool netns_is_own(int fd)
{
	AUTO(fd_closep) int own = netns_own();
	struct stat a, b;

	return own >= 0 && !fstat(own, &a) && !fstat(fd, &b) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int netns_run(int fd, int (*fn)(void *arg), void *arg)
{
	AUTO(fd_closep) int own = netns_own();
	int ret;

	if (own < 0)
		return own;
	if (setns(fd, CLONE_NEWNET))
		return -errno;
	ret = fn(arg);
	netns_return(own);
	return ret;
}
