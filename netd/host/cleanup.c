/* SPDX-License-Identifier: Apache-2.0 */
/* --cleanup: what is left when netd is gone, taken away. */
#include "host.h"

#include <dirent.h>
#include <ev.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "farewell.h"
#include "netd/dns.h"
#include "netd/ebpf.h"
#include "netd/probe.h"
#include "netd/util.h"
#include "netns.h"
#include "nl.h"
#include "overlay.h"

struct store_config host_store(const struct config *cfg)
{
	return (struct store_config){
		.path = cfg->db_file,
		.endpoints = (const char *const *)cfg->endpoints,
		.endpoints_len = cfg->endpoints_len,
		.prefix = cfg->prefix,
		.lease_ttl_s = cfg->lease_ttl_s,
		.ca = cfg->tls_ca,
		.cert = cfg->tls_cert,
		.key = cfg->tls_key,
		.adopt = cfg->adopt_store,
	};
}

/* Every namespace and file in the folder that is ours by being there. */
static void clear_dir(const char *dir, bool namespaces)
{
	DIR *list = opendir(dir);
	struct dirent *entry;

	while (list && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		if (namespaces)
			netns_del(dir, entry->d_name);
		else
			unlinkat(dirfd(list), entry->d_name, 0);
	}
	if (list)
		closedir(list);
	rmdir(dir);
}

/* The other nodes are told first, so that they send nothing here any more. */
static int say_farewell(const struct config *cfg)
{
	struct store_config store = host_store(cfg);
	int err;

	/* One that never ran has nothing there. */
	if (!cfg->endpoints_len || access(cfg->db_file, F_OK))
		return 0;
	err = farewell_say(ev_default_loop(EVFLAG_AUTO), &store,
			   cfg->node_name);
	if (err == -EEXIST)
		return host_fail(
			err, cfg->node_name,
			"another host has this name now: its records are "
			"not taken away");
	return err ? host_fail(
			     err, "the store",
			     "this node's records are still in it; do it again "
			     "when it can be reached")
		   : 0;
}

int host_clean(const struct config *cfg)
{
	struct nl *nl;
	int err = nl_open(&nl);
	int ret;

	if (err)
		return host_fail(err, "netlink", "is netd root?");
	err = say_farewell(cfg);
	ret = dns_remove(cfg->dns_dir);
	if (ret)
		err = host_fail(ret, cfg->dns_dir, "cannot end the DNS server");
	ret = probe_remove(cfg->probe_dir);
	if (ret)
		err = host_fail(ret, cfg->probe_dir, "cannot end the prober");
	/* Traffic stops before what filters it does. */
	ret = overlay_remove(nl);
	if (ret)
		err = host_fail(ret, "links", nl_error(nl));
	ret = ebpf_remove(cfg->pin_dir);
	if (ret)
		err = host_fail(ret, cfg->pin_dir, "cannot unpin");
	nl_free(nl);
	clear_dir(cfg->ns_dir, true);
	clear_dir(cfg->resolv_dir, false);
	clear_dir(cfg->cni_dir, false);
	clear_dir(cfg->dns_dir, false);
	clear_dir(cfg->probe_dir, false);
	if (!str_eq(cfg->pin_dir, "/sys/fs/bpf/netd"))
		umount2(cfg->pin_dir, MNT_DETACH);
	rmdir(cfg->pin_dir);
	unlink(cfg->socket);
	unlink(cfg->docker_socket);
	unlink(cfg->pid_file);
	return err;
}
