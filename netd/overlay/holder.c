/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has the port? A VXLAN device here, a process, or neither: then it is a
 * device that was made here and moved away, as Docker Swarm does. Its socket
 * stays in the namespace it was made in.
 */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>

#include "netd/util.h"
#include "state.h"

#define HOLDER_INODES_MAX 8

struct holder_device {
	uint16_t port;
	char name[LINK_NAME_LEN];
};

static bool holder_device_seen(void *arg, const struct nl_link *l)
{
	struct holder_device *d = arg;

	if (l->vxlan_port != d->port || str_eq(l->name, TUNNEL_NAME))
		return true;
	str_copy(d->name, sizeof(d->name), l->name);
	return false;
}

struct holder_sockets {
	uint64_t inode[HOLDER_INODES_MAX];
	size_t len;
};

/* "sl: local:PORT remote:PORT st tx:rx tr:when retrnsmt uid timeout inode" */
static void holder_read_table(const char *path, uint16_t port,
			      struct holder_sockets *ret)
{
	AUTO(file_closep) FILE *f = fopen(path, "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned int local;
		uint64_t inode;

		if (sscanf(line,
			   " %*u: %*[0-9A-F]:%x %*s %*s %*s %*s %*s %*s %*s "
			   "%" SCNu64,
			   &local, &inode) == 2 &&
		    local == port && ret->len < HOLDER_INODES_MAX)
			ret->inode[ret->len++] = inode;
	}
}

static bool holder_has(const char *pid, const struct holder_sockets *sockets)
{
	char path[300], link[64];
	struct dirent *e;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	if (!fds)
		return false;
	while (!found && (e = readdir(fds))) {
		ssize_t n = readlinkat(dirfd(fds), e->d_name, link,
				       sizeof(link) - 1);
		uint64_t inode;

		if (n < 0)
			continue;
		link[n] = 0;
		if (sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1)
			continue;
		for (size_t i = 0; i < sockets->len; i++)
			found = found || sockets->inode[i] == inode;
	}
	closedir(fds);
	return found;
}

static bool holder_find_process(const struct holder_sockets *sockets, char *ret,
				size_t size)
{
	AUTO(str_freep) char *comm = NULL;
	DIR *proc = opendir("/proc");
	char pid[32] = "", path[64];
	struct dirent *e;

	while (proc && !pid[0] && (e = readdir(proc))) {
		if (isdigit((unsigned char)e->d_name[0]) &&
		    holder_has(e->d_name, sockets))
			str_copy(pid, sizeof(pid), e->d_name);
	}
	if (proc)
		closedir(proc);
	if (!pid[0])
		return false;
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (file_read(path, 64, &comm))
		comm = xstrdup("?");
	comm[strcspn(comm, "\n")] = 0;
	snprintf(ret, size, "process %s (pid %s)", comm, pid);
	return true;
}

void holder_find(struct nl *nl, uint16_t port, char *ret, size_t size)
{
	struct holder_device device = { .port = port };
	struct holder_sockets sockets = { 0 };

	if (!nl_link_each(nl, holder_device_seen, &device) && device.name[0]) {
		snprintf(ret, size, "VXLAN device %s", device.name);
		return;
	}
	holder_read_table("/proc/thread-self/net/udp", port, &sockets);
	holder_read_table("/proc/thread-self/net/udp6", port, &sockets);
	if (holder_find_process(&sockets, ret, size))
		return;
	snprintf(ret, size,
		 "a VXLAN device that was moved to another namespace "
		 "(Docker Swarm does that)");
}
