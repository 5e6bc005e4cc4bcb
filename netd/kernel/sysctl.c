/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel shows /proc/sys/net as the namespace of whoever opens it, so a
 * daemon in a namespace of its own writes that one's settings.
 */
#include "sysctl.h"

#include <dirent.h>
#include <fcntl.h>

#include "netd/util.h"

#define SYSCTL_ROOT "/proc/sys/net"
#define SYSCTL_IPV6 "ipv6/conf"

static bool sysctl_is_part(const char *s)
{
	return *s && !strchr(s, '/') && !str_eq(s, ".") && !str_eq(s, "..");
}

static int sysctl_open(const char *dir, const char *device, const char *key,
		       int flags)
{
	AUTO(fd_closep) int root = -1;
	AUTO(fd_closep) int at = -1;
	int fd;

	if ((device && !sysctl_is_part(device)) || !sysctl_is_part(key))
		return -EINVAL;
	root = open(SYSCTL_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	at = openat(root, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -errno;
	if (device) {
		int sub = openat(at, device, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (sub < 0)
			return -errno;
		close(at);
		at = sub;
	}
	fd = openat(at, key, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sysctl_get(const char *dir, const char *device, const char *key, char *ret,
	       size_t size)
{
	AUTO(fd_closep) int fd = sysctl_open(dir, device, key, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = 0;
	ret[strcspn(ret, "\n")] = 0;
	return 0;
}

int sysctl_put(const char *dir, const char *device, const char *key,
	       const char *value)
{
	AUTO(fd_closep) int fd = -1;
	size_t len = strlen(value);
	char now[64];
	ssize_t n;

	if (!sysctl_get(dir, device, key, now, sizeof(now)) &&
	    str_eq(now, value))
		return 0;
	fd = sysctl_open(dir, device, key, O_WRONLY);
	if (fd < 0)
		return fd;
	n = write(fd, value, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/*
 * accept_ra is 1 where advertisements count as long as the host is no router,
 * and 2 where they always do; the kernel forgets the routes learned by those
 * that are 1 when forwarding begins.
 */
static int sysctl_keep_ra(const char *device)
{
	char accept[16], forwarding[16];

	if (sysctl_get(SYSCTL_IPV6, device, "accept_ra", accept,
		       sizeof(accept)) ||
	    sysctl_get(SYSCTL_IPV6, device, "forwarding", forwarding,
		       sizeof(forwarding)) ||
	    !str_eq(accept, "1") || !str_eq(forwarding, "0"))
		return 0;
	return sysctl_put(SYSCTL_IPV6, device, "accept_ra", "2");
}

static int sysctl_keep_all_ra(void)
{
	DIR *dir = opendir(SYSCTL_ROOT "/" SYSCTL_IPV6);
	struct dirent *entry;
	int ret = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		int err = 0;

		/* "default" is what devices to come begin with: theirs is for
		 * who brings them up to say. */
		if (entry->d_name[0] != '.' && !str_eq(entry->d_name, "all") &&
		    !str_eq(entry->d_name, "default"))
			err = sysctl_keep_ra(entry->d_name);
		/* A device may vanish meanwhile. */
		if (err != -ENOENT)
			ret = ret ? ret : err;
	}
	closedir(dir);
	return ret;
}

int sysctl_forward6(void)
{
	char now[16];
	int err =
		sysctl_get(SYSCTL_IPV6, "all", "forwarding", now, sizeof(now));

	if (err || str_eq(now, "1"))
		return err;
	err = sysctl_keep_all_ra();
	return err ? err : sysctl_put(SYSCTL_IPV6, "all", "forwarding", "1");
}
