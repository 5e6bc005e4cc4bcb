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

/* How names from outside are asked for and kept. */
#define DNS_ALLOW_MAX 16

struct dns_settings {
	/* Questions that may wait for upstreams: in all, and of a client. */
	uint32_t waiting_max;
	uint32_t client_max;
	/* Answers that are kept, and for how many seconds: what is there, what
	 * is not, and past its time for when no upstream answers. */
	uint32_t cache_size;
	uint32_t ttl_min;
	uint32_t ttl_max;
	uint32_t negative_ttl;
	uint32_t stale_ttl;
	/* Outside names must not have inside addresses, but for these. */
	bool rebind_filter;
	uint32_t allow_len;
	char allow[DNS_ALLOW_MAX][254];
};

#define DNS_SETTINGS_DEFAULT                                                   \
	{                                                                      \
		.waiting_max = 1024, .client_max = 64, .cache_size = 10000,    \
		.ttl_max = 300, .negative_ttl = 30, .stale_ttl = 3600          \
	}

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
	struct dns_settings settings;
	/* Where programs of this host ask, or none: nowhere. */
	struct ip_addr listen;
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
	/* Waited for an answer that another had asked for already. */
	uint64_t coalesced;
	/* Answered from what was kept too long: no upstream answered. */
	uint64_t stale;
	/* Questions that no upstream answered. */
	uint64_t unanswered;
	/* Packets sent to upstreams. */
	uint64_t packets;
	/* Packets from upstreams' addresses that answered no question. */
	uint64_t forged;
	/* Answers held back: outside names with inside addresses. */
	uint64_t rebound;
	/* TCP connections taken, and those closed over a limit or a timeout. */
	uint64_t tcp_accepted;
	uint64_t tcp_closed;
};

/* An answer that the server keeps. */
struct dns_cache_entry {
	char name[256];
	/* 0: any, the name does not exist. */
	uint16_t type;
	uint8_t rcode;
	/* Too old, and kept for when no upstream answers. */
	bool stale;
	/* Seconds left. */
	uint32_t ttl;
	uint32_t bytes;
	uint64_t hits;
	/* Whose answer it is. */
	struct ip_addr server;
};

/* What the server knows of an upstream. */
struct dns_upstream_state {
	struct ip_addr addr;
	uint16_t port;
	/* Two checks failed; asked only when all are. */
	bool down;
	/* Leads back here: not asked. */
	bool loops;
	/* Asked after the others: they answered better. */
	bool behind;
	/* Does not keep the case of letters, which guards against forgers. */
	bool loses_case;
	uint32_t latency_us;
	uint64_t asked;
	uint64_t answered;
	uint64_t failed;
};

/* The last the server said, at most a second or two old. */
const struct dns_stats *dns_stats(const struct dns *dns);

/*
 * What a person asks the server. done runs once, later, from the loop, with
 * -EHOSTDOWN, -ETIMEDOUT, or what the server told; not after dns_close().
 */
enum dns_ask_kind {
	/* What does `from` get for name and type, and why? */
	DNS_ASK_QUERY,
	DNS_ASK_UPSTREAMS,
	/* What is kept at or below name ("": all), from the skip-th on. */
	DNS_ASK_CACHE,
	/* Forget what is kept at or below name. */
	DNS_ASK_FLUSH,
	/* Do the upstreams know name as a zone? */
	DNS_ASK_ZONE,
	DNS_ASK_MAX
};

struct dns_ask {
	uint32_t kind;
	struct ip_addr from;
	char name[256];
	uint16_t type;
	uint32_t skip;
};

enum dns_source {
	/* No answer to be had, or not for this asker. */
	DNS_SOURCE_NONE,
	DNS_SOURCE_ZONE,
	DNS_SOURCE_CACHE,
	DNS_SOURCE_STALE,
	DNS_SOURCE_UPSTREAM,
	/* Too many questions wait. */
	DNS_SOURCE_LIMIT,
	DNS_SOURCE_MAX
};

#define DNS_TOLD_TEXT 12288
#define DNS_TOLD_ENTRIES 40
#define DNS_TOLD_UPSTREAMS 64

struct dns_told {
	uint32_t kind;
	/* 0 or -errno: -EINVAL for what is no name. */
	int32_t err;
	union {
		struct {
			uint16_t rcode;
			bool authoritative;
			uint32_t source;
			/* The network that knew the name, 0: none. */
			uint32_t vni;
			/* Which of the server's steps decided. */
			char step[16];
			/* What the name is: an enum name_kind, or -1. */
			int32_t what;
			/* Whose answer it is, from outside. */
			struct ip_addr server;
			uint32_t took_us;
			/* Records, a line each; cut when there are many. */
			char text[DNS_TOLD_TEXT];
		} query;
		struct {
			uint32_t len;
			struct dns_upstream_state rows[DNS_TOLD_UPSTREAMS];
		} upstreams;
		struct {
			uint32_t len;
			/* What the next ask is to skip. */
			uint32_t skip;
			struct dns_cache_entry rows[DNS_TOLD_ENTRIES];
		} cache;
		uint64_t flushed;
		struct {
			bool is_known;
			/* Nobody said yes or no. */
			bool is_unheard;
		} zone;
	};
};

typedef void dns_told_fn(void *arg, int err, const struct dns_told *told);

void dns_ask(struct dns *dns, const struct dns_ask *ask, dns_told_fn *done,
	     void *arg);

/* "AAAA", "TYPE65": 0 or -EINVAL; and back, in buf. */
#define DNS_TYPE_STRLEN 12
int dns_type_read(const char *text, uint16_t *ret);
const char *dns_type_word(uint16_t type, char buf[DNS_TYPE_STRLEN]);

/* 0, or why nobody listens at config.listen. */
int dns_listen_error(const struct dns *dns);

/* The server's process, 0 while there is none. */
int dns_pid(const struct dns *dns);

/*
 * Opens UDP and TCP port 53 on the zone's gateways, unless the server has
 * them, and hands them over. The addresses must be on an interface.
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

int dns_reverse_put(struct dns *dns, const struct want_reverse *want);
int dns_reverse_del(struct dns *dns, uint32_t vni);

/* Answers SERVFAIL for unknown names of ours until the first audit ended. */
int dns_audit_begin(struct dns *dns);
int dns_audit_end(struct dns *dns);
