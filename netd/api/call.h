/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call - one request on its way through ops; for the handlers only.
 */
#pragma once

#include <ev.h>

#include "json.h"
#include "ops.h"

enum ops_next {
	/* call->refusal says why not. */
	OPS_REFUSE,
	/* Answer call->reply now. */
	OPS_REPLY,
	/* Commit call->txn, then answer call->reply. */
	OPS_COMMIT,
	/* Commit call->txn, then run the handler again. */
	OPS_AGAIN,
	/* The handler answers call->req itself, and goes on doing so. */
	OPS_TAKEN,
	/* Run the handler again in call->later_ms, whoever still waits. */
	OPS_LATER,
};

struct call;

/* A row per operation: how it is run. */
typedef enum ops_next ops_fn(struct call *call);

struct call {
	struct ops *ops;
	struct model *m;
	struct reconcile *rc;
	/* Who asked: a request, or netd itself (done); neither any more when
	 * the asker has gone. */
	struct http_request *req;
	ops_done_fn *done;
	void *done_arg;
	/* What is run, and its name for people. */
	ops_fn *fn;
	const char *name;
	/* Owned. */
	json_t *args;
	struct refusal refusal;
	struct store_txn *txn;
	json_t *reply;
	bool again;
	unsigned int tries;
	int64_t later_ms;
	/* It was run before; OPS_LATER. */
	bool is_later;
	struct ev_timer timer;
	/* Answered when as many links as this are gone; 0: it removed none. */
	uint64_t links;
	struct call *prev, *next;
};

ops_fn op_network_create, op_network_list, op_network_inspect,
	op_network_delete, op_network_connect, op_network_disconnect;
ops_fn op_pod_create, op_pod_list, op_pod_inspect, op_pod_delete;
ops_fn op_pod_attach, op_pod_detach, op_pod_check, op_pod_gc, op_network_ready;
ops_fn op_service_create, op_service_list, op_service_inspect, op_service_ps,
	op_service_update, op_service_drain, op_service_undrain,
	op_service_delete;
ops_fn op_dns_record_add, op_dns_record_list, op_dns_record_delete,
	op_dns_upstream_set, op_dns_upstream_list, op_dns_upstream_delete;
ops_fn op_node_list, op_node_update, op_node_drain;
ops_fn op_status, op_drops, op_drops_watch, op_version;
ops_fn op_dns_query, op_dns_stats, op_dns_cache_list, op_dns_cache_flush,
	op_dns_upstream_status, op_dns_resolved;
ops_fn op_events, op_docker_status;

/* As ops_run(), for what is no operation of the API: an adapter's own. */
void ops_call(struct ops *ops, const char *name, ops_fn *fn, json_t *args,
	      ops_done_fn *done, void *arg);

const struct ops_config *call_config(const struct call *call);
struct events *call_events(const struct call *call);
struct drops *call_drops(const struct call *call);

/* Arguments; NULL or false where they are not given. */
const char *call_str(const struct call *call, const char *name);
bool call_bool(const struct call *call, const char *name);
json_t *call_list(const struct call *call, const char *name);

/* Puts a JSON value (taken) under a formatted key. */
void call_put(struct call *call, json_t *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void call_del(struct call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The transaction holds only if the key is at this revision. */
void call_is(struct call *call, int64_t rev, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Compares and raises c/gen/NAME: no other may add in between. */
void call_gen(struct call *call, const char *name, int64_t rev);

/* The network named by argument `name`, or NULL with a refusal. */
struct net *call_net(struct call *call, const char *arg);
struct pod *call_pod(struct call *call, const char *arg);
/* The service named by arguments `network` and `name`; likewise. */
struct service *call_service(struct call *call, struct net **net);
/* When the time that argument `timeout` gives is over, 0 without one. */
int call_until(struct call *call, int64_t *until);

/* What IPv6 is picked from; drawn, and put into the transaction, when there
 * is none yet. */
struct ip_prefix call_ula(struct call *call);

/* Gives a network of IPv4 alone an IPv6 subnet beside it (NULL: one that is
 * picked), and a range of VIPs. */
int call_net_add_v6(struct call *call, struct net *net, const char *subnet);

/*
 * An address for a pod on the network (want none: any): 0, 1 with the change
 * in the transaction (OPS_AGAIN), or -EINVAL refused.
 */
int call_pick(struct call *call, const struct net *net,
	      const struct ip_addr *want, struct ip_addr *ret);
