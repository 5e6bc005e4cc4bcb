/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - what netd is told: defaults, one file, NETD_*, flags; the later
 * wins.
 *
 * Every key is a row of one table: its name in the file and in the
 * environment, its flag, its type and range, where it goes. Unknown keys are
 * refused with file, line and column.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/log.h"
#include "netd/want.h"

enum config_action {
	CONFIG_RUN,
	/* Print the text and end: --help, --version, --check-config. */
	CONFIG_SHOW,
	/* --cleanup: take away what outlives the daemon. */
	CONFIG_CLEANUP,
};

struct config {
	enum config_action action;
	/* An operator says that another or a rolled back store is meant. */
	bool adopt_store;

	/* node.name, node.address (none: the default route's), node.uplinks */
	char node_name[NAME_LEN];
	struct ip_addr node_address;
	char **uplinks;
	size_t uplinks_len;

	/* store.*; no endpoints: SQLite. "http://10.0.0.1:2379" */
	char **endpoints;
	size_t endpoints_len;
	char *prefix;
	uint32_t lease_ttl_s;
	bool insecure;
	char *tls_ca, *tls_cert, *tls_key;

	/* api.socket, api.group */
	char *socket;
	char *group;

	/* overlay.port, overlay.mtu (0: the underlay's) */
	uint16_t vxlan_port;
	uint32_t mtu;

	/* ipam.pools, ipam.network_prefix (22), ipam.vip_pool */
	struct ip_prefix pools[8];
	size_t pools_len;
	uint32_t network_prefix;
	struct ip_prefix vip_pool;

	/* dns.domain, dns.upstreams (none: resolv.conf), dns.user */
	char *domain;
	struct ip_addr *upstreams;
	size_t upstreams_len;
	char *dns_user;

	enum log_level log_level;

	/* By --root, or where the system keeps such things. */
	char *state_dir, *run_dir;
	char *db_file, *pid_file;
	char *ns_dir, *resolv_dir, *dns_dir, *pin_dir;
};

/*
 * Fills *ret; config_free() releases it, also after a failure. -EINVAL: what
 * is wrong is in `text`, a line or more with the way out. With CONFIG_SHOW
 * `text` is what to print.
 */
int config_load(int argc, char **argv, char **envp, struct config *ret,
		char *text, size_t size);
void config_free(struct config *config);
