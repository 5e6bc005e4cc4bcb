/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cares - brings the services that labels wish for about, step by step.
 *
 * Each service that is wished for, or was, has a step under way at most; what
 * is refused is told once, shown, and tried again a while later. A service
 * that nobody wishes for any more lingers as long as an address rests, so that
 * a container that only restarts finds its service and VIP again. An operator's
 * services are never touched. Loop thread only.
 */
#pragma once

#include "ops.h"

struct cares;

struct cares_config {
	struct model *model;
	struct ops *ops;
	/* Something of this network is to be looked at again, soon. */
	void (*again)(void *arg, const char *net);
	void *arg;
};

struct cares *cares_new(const struct cares_config *config);
/* NULL is fine. */
void cares_free(struct cares *cares);

/* Looks at a network's wishes and services, and begins what is to be done. */
void cares_look(struct cares *cares, const char *net);

/* Once a second: what waits and what lingers has its time. */
void cares_tick(struct cares *cares);

/* [{"service","network","state","problem"}] */
json_t *cares_json(const struct cares *cares);
