/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine - follows the containers of a Docker engine on this host.
 *
 * Events only say which container to ask about again; what holds is what the
 * engine answers then. After each connection all that run are listed, so an
 * event that was missed is made good. While the engine is away, or answers
 * nonsense, nothing is said: what was known stays. Loop thread only.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "container.h"

struct engine;
struct ev_loop;

struct engine_hooks {
	void *arg;
	/* A container that runs; taken. */
	void (*seen)(void *arg, struct container *c);
	/* One that does not, any more. */
	void (*gone)(void *arg, const char *id);
	/* All that run: {"ID": true}. Those that changed are seen after it. */
	void (*listed)(void *arg, const json_t *ids);
	/* It answers, or why it does not. */
	void (*state)(void *arg, bool is_up, const char *text);
};

/* host: "unix:///run/docker.sock". */
int engine_open(struct ev_loop *loop, const char *host,
		const struct engine_hooks *hooks, struct engine **ret);
/* NULL is fine. */
void engine_close(struct engine *e);

/* Was every container that runs seen as it is now? */
bool engine_is_whole(const struct engine *e);
