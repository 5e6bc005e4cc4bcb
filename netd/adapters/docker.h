/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker - network and IPAM driver of a Docker engine on this host.
 *
 * The engine asks over a Unix socket (plugin protocol v1); what it asks for
 * becomes networks, held addresses and pods of netd. It moves links into its
 * containers itself and tells neither their names nor that of a network: the
 * option netd.network says which of the cluster's networks is meant.
 *
 * A reply may be lost at any step, on either side, and both may be killed:
 * what was begun and is not gone on with ends after `grace_ms`; what is asked
 * twice is answered twice. Loop thread only. Failures: -errno.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "http.h"
#include "model.h"
#include "ops.h"
#include "reconcile.h"
#include "store.h"

struct docker;

struct docker_config {
	struct ev_loop *loop;
	struct model *model;
	struct store *store;
	struct reconcile *reconcile;
	struct ops *ops;
	/* How long an address waits for its container, and a container for
	 * its link. */
	int64_t grace_ms;
	/* Has this host's kernel IPv6? */
	bool has_v6;
};

/* Reads the journal: addresses are held from here on. */
struct docker *docker_new(const struct docker_config *config);
/* NULL is fine. */
void docker_free(struct docker *d);

/* What http_open() wants. */
extern const struct http_router docker_router;
void docker_handle(void *docker, struct http_request *req);

/* {"networks","endpoints","addresses","problems"}; the caller's. */
json_t *docker_json(const struct docker *d);

/* Ends what was begun and not gone on with; runs by itself, too. */
void docker_expire(struct docker *d);
