/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a namespace again through the processes that live in it. */
#include "netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "netd/util.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int read_cookie(void *arg)
{
	AUTO(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(uint64_t);

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, arg, &len))
		return -errno;
	return 0;
}

int netns_cookie(int fd, uint64_t *ret)
{
	return netns_run(fd, read_cookie, ret);
}

int netns_find_by(bool (*is_it)(void *arg, int fd), void *arg)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[64];
	uint32_t pid;
	int fd = -1;

	if (!proc)
		return -errno;
	while (fd < 0 && (entry = readdir(proc))) {
		if (str_to_u32(entry->d_name, 1, UINT32_MAX, &pid))
			continue;
		snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (netns_is_own(fd) || !is_it(arg, fd)) {
			close(fd);
			fd = -1;
		}
	}
	closedir(proc);
	return fd < 0 ? -ENOENT : fd;
}

static bool has_cookie(void *arg, int fd)
{
	const uint64_t *cookie = arg;
	uint64_t found;

	return !netns_cookie(fd, &found) && found == *cookie;
}

int netns_find(uint64_t cookie)
{
	return netns_find_by(has_cookie, &cookie);
}
