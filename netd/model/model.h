/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - the nouns: networks, pods, services, nodes; what the store says,
 * as values, and what this node has itself.
 *
 * The model is fed key by key (model_apply) and asked by the API and the
 * plans. It does no I/O and never refers to a kernel object. What is read
 * from the store was written by some node: a value that does not parse is
 * skipped, and what was known of that key stays.
 *
 * This node's own endpoints are here as they are, not as the store has them:
 * names and balancing at home do not wait for a store.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "event.h"
#include "netd/probe.h"
#include "netd/want.h"
#include "refusal.h"

#define PATH_LEN 512
#define PORTS_MAX 16
#define STATICS_MAX 64
#define SOURCES_MAX 16
#define LENT_MAX 64

/* VNIs below are left to others on the same underlay, as Swarm does. */
#define VNI_FIRST 4096
/* The top two are the mesh's own (bpf_abi.h). */
#define VNI_LAST 0xfffff0

struct ipam_config {
	struct ip_prefix pools[8];
	size_t pools_len;
	/* 128-bit lengths of a picked subnet and of a VIP range. */
	uint8_t network_len;
	uint8_t vips_len;
	struct ip_prefix vip_pool;
};

struct port {
	/* A published one's: answered by the node that has this address (a
	 * loopback one: by each for its own processes); none: by every one. */
	struct ip_addr host;
	uint16_t port;
	uint16_t target;
	uint8_t proto;
	/* For SRV; may be empty. */
	char name[PORT_NAME_LEN];
};

struct static_backend {
	struct ip_addr addr;
	uint16_t port;
	uint16_t weight;
};

/* How a service's backends are chosen, kept and looked after. */
enum tune_algo { TUNE_RANDOM, TUNE_MAGLEV };
enum tune_policy { TUNE_ANY, TUNE_PREFER_LOCAL, TUNE_LOCAL };
enum tune_on_dead { TUNE_KEEP, TUNE_RESET };

struct tune {
	enum tune_algo algo;
	enum tune_policy policy;
	/* Established TCP connections to a backend that is gone. */
	enum tune_on_dead on_dead;
	/* A client stays with its backend this long; 0: no longer than its
	 * connection. */
	uint32_t affinity_s;
	/* How long connections that say nothing are known: of TCP, of TCP
	 * that one side has closed, of UDP; 0: as usual. */
	uint32_t idle_s, idle_half_s, idle_udp_s;
	/* PROBE_NONE: a backend is up while its pod is. */
	struct probe_check health;
};

struct service {
	char name[NAME_LEN];
	struct ip_addr vip;
	bool dnsrr;
	struct port ports[PORTS_MAX];
	size_t ports_len;
	struct port published[PORTS_MAX];
	size_t published_len;
	struct static_backend statics[STATICS_MAX];
	size_t statics_len;
	/* Seconds that answers about it hold, if not the node's own. */
	uint32_t ttl;
	bool has_ttl;
	/* Other names on its network, or NULL. */
	json_t *aliases;
	/* It is but another name of this one. */
	char external[POD_NAME_LEN];
	struct tune tune;
	/* Who may ask published ports; none: everybody. */
	struct ip_prefix sources[SOURCES_MAX];
	size_t sources_len;
	/* Backends that take no new connection, and until when those they have
	 * are waited for (seconds since 1970; 0: for ever):
	 * {"NODE/ID" or "IP:PORT": UNTIL}. May be NULL. */
	json_t *drains;
	json_t *selector;
	json_t *labels;
	/* As stored: fields we do not know are kept. */
	json_t *doc;
	int64_t rev;
	UT_hash_handle hh;
};

/* One attachment of some node's pod, as everybody sees it. */
struct endpoint {
	/* "NODE/ID" */
	char key[NAME_LEN + ENDPOINT_ID_LEN];
	char node[NAME_LEN];
	char id[ENDPOINT_ID_LEN];
	char pod[POD_NAME_LEN];
	/* It runs, but its engine says that it cannot serve. */
	bool unready;
	/* It is about to be taken away: no new connection, no name. */
	bool leaving;
	struct ip_addr addr;
	/* Its other one, or none: an engine gave it one family alone. */
	struct ip_addr addr6;
	struct mac_addr mac;
	json_t *labels;
	json_t *aliases;
	int64_t rev;
	UT_hash_handle hh;
};

/* A name on a network and the endpoints that bear it; lower case. */
struct pod_name {
	char name[POD_NAME_LEN];
	struct endpoint **eps;
	size_t len;
	UT_hash_handle hh;
};

struct block {
	char key[PREFIX_STRLEN];
	struct ip_prefix prefix;
	char node[NAME_LEN];
	uint64_t incarnation;
	/* Addresses below this many are the owner's to give. */
	uint32_t own;
	struct lent {
		struct ip_addr addr;
		char node[NAME_LEN];
	} lent[LENT_MAX];
	size_t lent_len;
	int64_t rev;
	UT_hash_handle hh;
};

/* What one node offers to the services of a network, and what it cannot. */
struct up {
	char node[NAME_LEN];
	/* {"SERVICE": [{"id","ip","ip6","weight","since"}]} */
	json_t *services;
	/* The same of what is not fit to serve, with "state" and "reason";
	 * static backends are here with their "port". May be NULL. */
	json_t *down;
	/* {"SERVICE": ["80/tcp held by nginx"]} */
	json_t *held;
	int64_t rev;
	UT_hash_handle hh;
};

struct vip {
	char key[IP_STRLEN];
	char service[NAME_LEN];
	int64_t rev;
	UT_hash_handle hh;
};

struct net {
	char name[NAME_LEN];
	uint32_t vni;
	struct ip_prefix subnet;
	struct ip_prefix vips[NET_VIPS_MAX];
	uint32_t vips_len;
	/* The other family of a dual-stack network (len 0: none), and its
	 * ranges beside those above: see pair.h. */
	struct ip_prefix subnet6;
	struct ip_prefix vips6[NET_VIPS_MAX];
	uint32_t vips6_len;
	bool internal;
	uint32_t mtu;
	json_t *labels;
	json_t *doc;
	/* 0: only keys below it are known, or left; the network is not. */
	int64_t rev;
	struct service *services;
	struct endpoint *endpoints;
	struct pod_name *names;
	struct block *blocks;
	struct up *ups;
	struct vip *vip_claims;
	struct static_record *records;
	struct stub_zone *stubs;
	UT_hash_handle hh;
};

struct node {
	char name[NAME_LEN];
	struct ip_addr vtep;
	struct ip_addr addrs[NODE_ADDRS_MAX];
	uint32_t addrs_len;
	struct ip_prefix *routes;
	size_t routes_len;
	char version[32];
	/* What its tunnel takes; 0: of a version that does not say. */
	uint32_t mtu;
	uint64_t incarnation;
	/* 0 while its lease is lost. */
	int64_t alive_rev;
	uint64_t alive_incarnation;
	/* Its backends take no new connection; until when those they have are
	 * waited for (seconds since 1970; 0: for ever). 0: it serves. */
	int64_t drain_rev;
	int64_t drain_until;
	int64_t rev;
	UT_hash_handle hh;
};

struct port_claim {
	/* "tcp/8080-8080", "tcp/8080-8080@192.0.2.1" */
	char key[32 + IP_STRLEN];
	char network[NAME_LEN];
	char service[NAME_LEN];
	uint8_t proto;
	uint16_t first, last;
	/* Of this address alone; none: of every one. */
	struct ip_addr host;
	int64_t rev;
	UT_hash_handle hh;
};

struct pod;
struct hold;

struct model {
	char self[NAME_LEN];
	uint64_t incarnation;
	/* Seconds since 1970, told once a second: drains end by it. */
	int64_t now;
	struct ipam_config ipam;
	char domain[POD_NAME_LEN];
	/* Seconds that answers about our names hold. */
	uint32_t name_ttl;
	struct net *nets;
	struct node *nodes;
	struct port_claim *ports;
	/* For every network; each may have its own besides. */
	struct stub_zone *stubs;
	int64_t gen_subnets_rev, gen_ports_rev;
	/* What IPv6 subnets are picked from (a /48), once there is one. */
	struct ip_prefix ula;
	/* This node's, by name without case: the journal's content. */
	struct pod *pods;
	/* By address; see ipam.h. */
	struct hold *holds;
};

/* What to look at again after a change. */
enum mark_kind {
	MARK_NODE,
	MARK_NET,
	MARK_POD,
	MARK_SERVICE,
	MARK_NAME,
	MARK_RECORD,
	MARK_STUB,
	MARK_PUBLISH,
	MARK_KIND_MAX
};

struct model_marks {
	void *arg;
	/* net is "" for nodes, name is "" for networks. */
	void (*mark)(void *arg, enum mark_kind kind, const char *net,
		     const char *name);
	/* What an operator would call it; may be NULL. net and node are NULL
	 * where there is none. */
	void (*told)(void *arg, enum event_id id, const char *name,
		     const char *net, const char *node, const char *message);
};

struct model *model_new(const char *self);
void model_free(struct model *m);

/* One key's new content (value NULL: gone), and what it touches. */
void model_apply(struct model *m, const char *key, const char *value,
		 int64_t rev, const struct model_marks *marks);

/* A network that exists, or NULL. */
struct net *model_net(const struct model *m, const char *name);
struct net *model_net_by_vni(const struct model *m, uint32_t vni);
struct service *net_service(const struct net *net, const char *name);
struct node *model_node(const struct model *m, const char *name);
/* Tables in the order of their names, for lists that people read. */
void model_sort(struct model *m);
/* Does the node drain; and is its time over, so that it is drained? */
bool model_node_drains(const struct model *m, const char *name);
bool model_node_is_drained(const struct model *m, const char *name);
/* This node, or one whose lease is held. */
bool model_node_is_up(const struct model *m, const char *name);

/* The claim of a published port that this one, on an address (none: on all),
 * would be in the way of; NULL: it is free. */
const struct port_claim *model_port_claim(const struct model *m,
					  const struct ip_addr *host,
					  uint16_t port, uint8_t proto);

/* This node, as its kernel shows it now: replaces nodes[self]. Taken. */
void model_self_put(struct model *m, struct node *self);

/* The names of a network's endpoint, kept as endpoints come and go. */
struct endpoint *net_endpoint_put(struct net *net, struct endpoint *ep,
				  const struct model_marks *marks);
void net_endpoint_del(struct net *net, const char *key,
		      const struct model_marks *marks);
struct pod_name *net_name_of(const struct net *net, const char *name);

/* What this node offers, told by itself: replaces ups[self]. Taken. */
void net_up_put(struct net *net, const char *node, json_t *services,
		json_t *down, json_t *held, int64_t rev,
		const struct model_marks *marks);

/* [a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])? */
bool name_is_valid(const char *name);
bool pod_name_is_valid(const char *name);
int name_check(const char *what, const char *name, struct refusal *r);
int pod_name_check(const char *name, struct refusal *r);
/* A name of DNS in text, a last dot allowed: letters, digits, - and _. */
bool domain_is_valid(const char *name);
int domain_check(const char *field, const char *name, struct refusal *r);
void name_lower(char *name);

const char *proto_name(uint8_t proto);
