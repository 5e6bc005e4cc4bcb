/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports that a program of this host listens on itself: the mesh
 * answers them for everybody else, so the program's owner should know.
 * Listeners come from /proc/net, their names from the descriptors of /proc.
 */
#include "rc.h"

#include <dirent.h>
#include <netinet/in.h>

#include "json.h"
#include "netd/util.h"

/* "st" of /proc/net/tcp; for UDP 07 is "not connected". */
#define TCP_LISTEN_STATE 0x0a
#define UDP_OPEN_STATE 0x07

static const struct {
	const char *path;
	uint8_t proto;
	unsigned int state;
} tables[] = {
	{ "/proc/net/tcp", IPPROTO_TCP, TCP_LISTEN_STATE },
	{ "/proc/net/tcp6", IPPROTO_TCP, TCP_LISTEN_STATE },
	{ "/proc/net/udp", IPPROTO_UDP, UDP_OPEN_STATE },
	{ "/proc/net/udp6", IPPROTO_UDP, UDP_OPEN_STATE },
};

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

static void owner_name(unsigned long inode, char *ret, size_t size)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint32_t pid;

	snprintf(ret, size, "another program");
	while (proc && (entry = readdir(proc))) {
		AUTO(str_freep) char *comm = NULL;
		char path[300];

		if (str_to_u32(entry->d_name, 1, UINT32_MAX, &pid) ||
		    !has_socket(entry->d_name, inode))
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

static void add_held(json_t *all, const struct port_claim *claim,
		     unsigned int port, unsigned long inode)
{
	json_t *net = json_object_get(all, claim->network);
	json_t *list, *text;
	char owner[64];

	owner_name(inode, owner, sizeof(owner));
	if (!net) {
		net = json_object();
		json_object_set_new(all, claim->network, net);
	}
	list = json_object_get(net, claim->service);
	if (!list) {
		list = json_array();
		json_object_set_new(net, claim->service, list);
	}
	text = json_sprintf("%u/%s held by %s", port, proto_name(claim->proto),
			    owner);
	/* One program often listens on both families. */
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (json_equal(json_array_get(list, i), text)) {
			json_decref(text);
			return;
		}
	}
	json_array_append_new(list, text);
}

static void scan(const struct model *m, size_t table, json_t *all)
{
	AUTO(file_closep) FILE *f = fopen(tables[table].path, "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned int port, state;
		unsigned long inode;

		if (sscanf(line,
			   " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s "
			   "%*s %*s %lu",
			   &port, &state, &inode) != 3 ||
		    state != tables[table].state)
			continue;
		for (struct port_claim *c = m->ports; c; c = c->hh.next)
			if (c->proto == tables[table].proto &&
			    port >= c->first && port <= c->last)
				add_held(all, c, port, inode);
	}
}

json_t *held_ports(const struct model *m)
{
	json_t *all = json_object();

	for (size_t i = 0; m->ports && i < ARRAY_LEN(tables); i++)
		scan(m, i, all);
	return all;
}
