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

struct ev_loop;
struct ops;

struct ops_config {
	struct ev_loop *loop;
	struct model *model;
	struct store *store;
	struct reconcile *reconcile;
	/* {"reason","packets","meaning"} of every drop reason; the caller's. */
	json_t *(*drops)(void *arg);
	void *drops_arg;
	int (*dns_pid)(void *arg);
	void *dns_arg;
};

int ops_new(const struct ops_config *config, struct ops **ret);
void ops_free(struct ops *ops);

/* For http_open(): answers the request now or later. */
void ops_handle(void *ops, struct http_request *req);

/* Makes what exists from the start: the network `default`. */
void ops_make_defaults(struct ops *ops);
