/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - how this netd is to run: files, environment and flags, as one
 * struct.
 *
 * Low to high: what is built in, /etc/netd/netd.yaml (or --config FILE),
 * NETD_* of the environment, flags. With --root DIR the file is
 * DIR/netd.yaml, so that several netd of one host share nothing by accident.
 * A key that is not known, of another type or out of range is refused, with
 * its place in the file.
 *
 * What config_load() filled is the caller's until config_free(); the strings
 * are never NULL unless it is said here. Nothing below the folders is made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/addr.h"
#include "netd/dns.h"
#include "netd/log.h"

#define CONFIG_FILE_DEFAULT "/etc/netd/netd.yaml"
#define CONFIG_FILE_MAX (1024 * 1024)

#define CONFIG_POOLS_MAX 8
#define CONFIG_UPSTREAMS_MAX 8

enum config_action {
	CONFIG_RUN,
	/* --version, --help, --check-config: print the text and be done. */
	CONFIG_SHOW,
	/* Take away what netd made, and be done. */
	CONFIG_CLEANUP,
};

enum config_backend { CONFIG_SQLITE, CONFIG_ETCD };

struct config {
	enum config_action action;
	/* --adopt-store: take a store that is not the one known here. */
	bool adopt_store;

	char *node_name;
	/* None: the source address of the default route. */
	struct ip_addr node_address;
	/* Only these interfaces; len 0: all that serve. */
	char **uplinks;
	size_t uplinks_len;

	enum config_backend backend;
	/* "http(s)://HOST:PORT"; len 0 with SQLite. */
	char **endpoints;
	size_t endpoints_len;
	char *prefix;
	uint32_t lease_ttl_s;
	bool insecure;
	/* NULL where not given. */
	char *tls_ca, *tls_cert, *tls_key;

	char *socket;
	/* Empty: no group. */
	char *group;

	uint16_t vxlan_port;
	/* 0: from the underlay. */
	uint32_t mtu;
	bool fast_path;
	/* "off", "auto" or "on". */
	char *xdp;
	/* Entries of the table of connections, and seconds of silence. */
	uint32_t flows, flow_idle_s;
	/* How long a backend goes on after nobody is led there any more. */
	uint32_t leave_ms;

	struct ip_prefix pools[CONFIG_POOLS_MAX];
	size_t pools_len;
	/* As written: 22 for a /22. */
	uint8_t network_prefix;
	struct ip_prefix vip_pool;

	char *domain;
	/* len 0: the host's resolv.conf. */
	struct ip_addr upstreams[CONFIG_UPSTREAMS_MAX];
	size_t upstreams_len;
	/* A loopback address, or "off". */
	char *dns_listen;
	/* How outside names are asked for and kept; allow is dns_allow's. */
	struct dns_settings dns;
	char **dns_allow;
	size_t dns_allow_len;
	/* Seconds that answers about our own names hold. */
	uint32_t dns_ttl;
	char *dns_user;

	/* The network driver of a Docker engine, and where it is asked. */
	bool docker;
	char *docker_socket;
	/* How long an address waits for its container. */
	uint32_t docker_grace_s;
	/* Names, labels and health come from the engine at docker_host. */
	bool docker_labels;
	char *docker_host;

	enum log_level log_level;

	/* Where things are; from --root, or the system's places. */
	char *state_dir, *run_dir, *ns_dir, *resolv_dir, *cni_dir, *dns_dir,
		*probe_dir, *pin_dir;
	char *db_file, *pid_file;
};

/*
 * 0, or -errno with the reason in text, ready to print. With CONFIG_SHOW text
 * is what was asked for. config_free() is right after either.
 */
int config_load(int argc, char **argv, char **envp, struct config *ret,
		char *text, size_t size);
void config_free(struct config *cfg);
