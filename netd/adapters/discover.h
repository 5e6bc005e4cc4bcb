/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discover - names, labels and health of a Docker engine's containers.
 *
 * A driver is told neither a container's name nor its labels; the engine's
 * API tells both. Here they meet: the engine's containers (engine.h), this
 * node's pods, and the services that labels in the cluster ask for
 * (wishes.h). Whatever changes only notes what to look at; one look, a moment
 * later, brings pods and services to what is wished. What cannot be done is
 * tried again later and shown meanwhile. Loop thread only.
 */
#pragma once

#include <jansson.h>

#include "model.h"
#include "ops.h"
#include "reconcile.h"

struct discover;

struct discover_config {
	struct ev_loop *loop;
	struct model *model;
	struct reconcile *reconcile;
	struct ops *ops;
	/* "unix:///run/docker.sock" */
	const char *host;
};

int discover_open(const struct discover_config *config, struct discover **ret);
/* NULL is fine. */
void discover_close(struct discover *d);

/* Not asked for any more: what an earlier run was told is forgotten. */
void discover_forget(struct model *m, struct reconcile *rc);

/* {"host","state","error","version","containers":[],"services":[]}; d NULL:
 * not asked for. */
json_t *discover_json(const struct discover *d);
