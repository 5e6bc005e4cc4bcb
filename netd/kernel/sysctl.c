/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel shows /proc/sys/net as the namespace of whoever opens it, so a
 * daemon in a namespace of its own writes that one's settings.
 */
#include "sysctl.h"

#include <fcntl.h>

#include "netd/util.h"

#define SYSCTL_ROOT "/proc/sys/net"

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
