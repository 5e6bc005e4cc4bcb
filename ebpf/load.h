/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - the room's own view of struct ebpf: programs, tables, what was
 * wanted. Rules as in netd/ebpf.h.
 */
#pragma once

#include "netd/bpf_abi.h"
#include "netd/ebpf.h"
#include "netd/util.h"

#include "tables.h"

struct netd_bpf;
struct lb;
struct net;
struct node;
struct claim;
struct flows;
struct guard;
struct pod;
struct samples;
struct uplink;

enum ebpf_table {
	TABLE_PODS,
	TABLE_ENDPOINTS,
	TABLE_ROUTES,
	TABLE_NETS,
	TABLE_VTEPS,
	TABLE_GUARDS,
	TABLE_FRONTENDS,
	TABLE_SOURCES,
	TABLE_SOCKETS,
	TABLE_RESOLVERS,
	TABLE_MAX
};

struct ebpf {
	struct ebpf_config config;
	char *pin_dir;
	char *maps_dir;
	char *links_dir;
	char *cgroup;
	struct netd_bpf *skel;
	bool tcx;
	bool cgroup_attached;

	struct table *tables[TABLE_MAX];
	struct lb *lb;
	struct flows *flows;
	struct samples *samples;

	/* What was wanted; each file keeps its own. */
	struct net *nets;
	struct node *nodes;
	struct claim *claims;
	struct guard *guards;
	struct pod *pods;
	struct uplink *uplinks;
	uint64_t host_cookie;
	/* What this node's tunnel takes, 0: unknown. */
	uint32_t mtu;
	struct ip_addr resolvers[EBPF_RESOLVERS_MAX];
	size_t resolvers_len;

	/* Raised by ebpf_audit_begin(): what carries less was not put. */
	uint32_t epoch;
	bool auditing;

	char error[2048];
};

/*
 * Keeps why something failed, with what libbpf printed since the last call of
 * ebpf_begin(), and returns err. bpf may be NULL: then for ebpf_error(NULL).
 */
int ebpf_fail(struct ebpf *bpf, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void ebpf_begin(void);

/* table_put() and table_del() with the error explained. */
int ebpf_table_put(struct ebpf *bpf, enum ebpf_table id, const void *key,
		   const void *value);
int ebpf_table_del(struct ebpf *bpf, enum ebpf_table id, const void *key);

struct abi_frontend_key ebpf_frontend_key(const struct want_frontend *want);
struct abi_addr abi_addr(const struct ip_addr *a);
/* ABI_IPV4 or ABI_IPV6. */
int abi_family(const struct ip_addr *a);
/* A length no network has (0) matches nothing but the address itself. */
struct abi_range abi_range(const struct ip_addr *a, uint8_t len,
			   const struct ip_addr *gateway);
/* No addresses of any family. */
void abi_ranges_clear(struct abi_range ranges[ABI_FAMILIES]);

/* The other files' parts of open, audit and close. */
void flows_open(struct ebpf *bpf, struct flows **ret);
void flows_close(struct flows *f);
int samples_open(struct ebpf *bpf, struct samples **ret);
void samples_close(struct samples *samples);
int net_audit_end(struct ebpf *bpf);
void net_free_all(struct ebpf *bpf);
int node_audit_end(struct ebpf *bpf);
void node_free_all(struct ebpf *bpf);
int guard_apply(struct ebpf *bpf);
int guard_audit_end(struct ebpf *bpf);
void guard_free_all(struct ebpf *bpf);
int pod_audit_end(struct ebpf *bpf);
void pod_free_all(struct ebpf *bpf);
void uplink_free_all(struct ebpf *bpf);
bool uplink_is_known(const struct ebpf *bpf, const char *name);

/* Is this one of the node's own addresses? */
bool node_is_self(const struct ebpf *bpf, const struct ip_addr *addr);
