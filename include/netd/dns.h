/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns - what the reconciler may ask of the DNS server.
 *
 * The server is a process of its own (netd-dns), without privileges. It gets
 * its listening sockets and its content over a socket in the run folder and
 * outlives the caller: dns_open() adopts a server of this version that is
 * still there, and otherwise starts one on the sockets the old one hands
 * back. A server that died is started again and told everything anew.
 *
 * put and del may be repeated and never block: what the socket does not take
 * waits. Loop thread only. Failures: -errno.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "netd/want.h"

struct ev_loop;
struct dns;

struct dns_config {
	/* Folder (0700) of the socket that parent and child talk over. */
	const char *run_dir;
	/* Path of the netd-dns program. */
	const char *program;
	/* "cluster.local": ours, below every network. */
	const char *domain;
	/* Upstreams, or n 0: the host's resolv.conf, followed as it changes. */
	const struct ip_addr *upstreams;
	size_t upstreams_len;
	/* User of the child; a uid of its own when the name does not exist. */
	const char *user;
};

int dns_open(struct ev_loop *loop, const struct dns_config *config,
	     struct dns **ret);

/* Forgets, and leaves the server answering. NULL is fine. */
void dns_close(struct dns *dns);

/* Ends the server that listens in run_dir, if there is one. */
int dns_remove(const char *run_dir);

/* What the server counted since it was started. */
struct dns_stats {
	uint64_t queries;
	/* Answered from zones, from the cache, by an upstream. */
	uint64_t local;
	uint64_t cached;
	uint64_t forwarded;
	/* Asked by nobody we know, or for what they may not see. */
	uint64_t refused;
	/* SERVFAIL: not yet told, no upstream, no answer in time. */
	uint64_t failed;
	/* No answer at all: not a query. */
	uint64_t dropped;
	/* Refused because a client, or all of them, have too many waiting. */
	uint64_t limited;
	/* TCP connections taken, and those closed over a limit or a timeout. */
	uint64_t tcp_accepted;
	uint64_t tcp_closed;
};

/* The last the server said, at most a second or two old. */
const struct dns_stats *dns_stats(const struct dns *dns);

/* The server's process, 0 while there is none. */
int dns_pid(const struct dns *dns);

/*
 * Opens UDP and TCP port 53 on the zone's gateway, unless the server has
 * them, and hands them over. The address must be on an interface.
 */
int dns_zone_put(struct dns *dns, const struct want_zone *want);
int dns_zone_del(struct dns *dns, uint32_t vni);

int dns_client_put(struct dns *dns, const struct want_client *want);
int dns_client_del(struct dns *dns, const struct ip_addr *addr);

/*
 * addrs holds want->addrs_len addresses, hosts as many names of them, or is
 * NULL.
 */
int dns_name_put(struct dns *dns, const struct want_name *want,
		 const struct ip_addr *addrs, const struct want_host *hosts);
/* All records of a name; dns_name_del() takes them away. */
int dns_record_put(struct dns *dns, uint32_t vni, const char *name,
		   const struct want_value *values, size_t len);
int dns_name_del(struct dns *dns, uint32_t vni, enum name_kind kind,
		 const char *name);

int dns_upstream_put(struct dns *dns, const struct want_upstream *want);
int dns_upstream_del(struct dns *dns, uint32_t vni, const char *zone);

/* Answers SERVFAIL for unknown names of ours until the first audit ended. */
int dns_audit_begin(struct dns *dns);
int dns_audit_end(struct dns *dns);
