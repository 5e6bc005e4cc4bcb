/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops - requests to model changes: from checked arguments to a transaction.
 *
 * A handler looks at the model and either refuses, answers, or fills a
 * transaction that is compared with what it looked at. When another node was
 * quicker, it is simply run again on what is true now; so a handler keeps
 * nothing between its runs.
 */
#pragma once

#include <jansson.h>

#include "http.h"
#include "model.h"
#include "reconcile.h"
#include "refusal.h"
#include "store.h"

struct dns;
struct drops;
struct lag;
struct probe;
struct ev_loop;
struct ops;

struct ops_config {
	struct ev_loop *loop;
	struct model *model;
	struct store *store;
	struct reconcile *reconcile;
	/* What the kernel's programs drop. */
	struct drops *drops;
	/* What is known of the container engine; the caller's. */
	json_t *(*docker)(void *arg);
	void *docker_arg;
	struct dns *dns;
	/* Where programs of this host ask it; none: nowhere. */
	struct ip_addr dns_listen;
	struct probe *probe;
	/* How the loop does; NULL: nobody looks. */
	const struct lag *lag;
};

int ops_new(const struct ops_config *config, struct ops **ret);
/* After store_close(): no commit is open. */
void ops_free(struct ops *ops);

/* For http_open(): answers the request now or later. */
void ops_handle(void *ops, struct http_request *req);

/* Where it went wrong (code API_OK: it did not) and what there is to tell;
 * both stay the caller's of this function. */
typedef void ops_done_fn(void *arg, const struct refusal *r, json_t *reply);

/*
 * netd asks itself, as adapters do: args (taken) are of the types their row
 * in api_ops[] says. done, unless NULL, runs once, from within this call or
 * later; not any more when ops has been freed.
 */
void ops_run(struct ops *ops, enum api_op op, json_t *args, ops_done_fn *done,
	     void *arg);
/* Whatever was asked with this arg goes on, only done is not run. */
void ops_forget(struct ops *ops, const void *arg);

/* Makes what exists from the start: the network `default`. */
void ops_make_defaults(struct ops *ops);
