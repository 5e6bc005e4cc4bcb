/* SPDX-License-Identifier: Apache-2.0 */
#include "listeners.h"

#include <dirent.h>
#include <netinet/in.h>

#include "netd/util.h"

/* "st" of /proc/net/tcp; for UDP 07 is "not connected". */
#define TCP_LISTEN_STATE 0x0a
#define UDP_OPEN_STATE 0x07

static const struct table {
	const char *path;
	uint8_t proto;
	unsigned int state;
} tables[] = {
	{ "/proc/net/tcp", IPPROTO_TCP, TCP_LISTEN_STATE },
	{ "/proc/net/tcp6", IPPROTO_TCP, TCP_LISTEN_STATE },
	{ "/proc/net/udp", IPPROTO_UDP, UDP_OPEN_STATE },
	{ "/proc/net/udp6", IPPROTO_UDP, UDP_OPEN_STATE },
};

/* Words of 32 bits, each printed as this machine reads its four bytes. */
static struct ip_addr read_addr(const char *hex)
{
	struct ip_addr addr = { 0 };
	uint32_t word;

	if (strlen(hex) == 8) {
		sscanf(hex, "%8x", &word);
		return word ? ip_from_be32(word) : addr;
	}
	for (size_t i = 0; i < 4 && strlen(hex) == 32; i++) {
		sscanf(hex + i * 8, "%8x", &word);
		memcpy(addr.b + i * 4, &word, 4);
	}
	return addr;
}

static bool read_line(const struct table *t, const char *line,
		      struct listener *ret)
{
	unsigned int port, state;
	char addr[33];

	if (sscanf(line,
		   " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s "
		   "%*s %lu",
		   addr, &port, &state, &ret->inode) != 4 ||
	    state != t->state)
		return false;
	ret->addr = read_addr(addr);
	ret->port = (uint16_t)port;
	ret->proto = t->proto;
	return true;
}

void listeners_each(bool (*fn)(void *arg, const struct listener *l), void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		AUTO(file_closep) FILE *f = fopen(tables[i].path, "re");
		struct listener l;
		char line[512];

		while (f && fgets(line, sizeof(line), f))
			if (read_line(&tables[i], line, &l) && !fn(arg, &l))
				return;
	}
}

/* Does one of the process's descriptors lead to this socket? */
static bool has_socket(const char *pid, unsigned long inode)
{
	char path[300], link[64], want[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link,
				       sizeof(link) - 1);

		if (n > 0) {
			link[n] = '\0';
			found = str_eq(link, want);
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

void listener_name(const struct listener *l, char *ret, size_t size)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint32_t pid;

	snprintf(ret, size, "another program");
	while (proc && (entry = readdir(proc))) {
		AUTO(str_freep) char *comm = NULL;
		char path[300];

		if (str_to_u32(entry->d_name, 1, UINT32_MAX, &pid) ||
		    !has_socket(entry->d_name, l->inode))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (!file_read(path, 256, &comm)) {
			comm[strcspn(comm, "\n")] = '\0';
			snprintf(ret, size, "%s", comm);
		}
		break;
	}
	if (proc)
		closedir(proc);
}
