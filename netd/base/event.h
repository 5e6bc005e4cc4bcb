/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event - what happened, for people and programs that watch this node.
 *
 * As a log line, an event may be told from every room, in one call; unlike
 * one it has fields, and the last EVENTS_KEPT of them are kept for whoever
 * comes later. Each has a number, one more than the one before it. Nothing in
 * netd acts on an event: it is said after the fact. Loop thread only.
 */
#pragma once

#include <stdint.h>

#define EVENTS_KEPT 1000
/* Longer messages are cut. */
#define EVENT_MESSAGE_LEN 512

enum event_id {
	EVENT_POD_ATTACHED,
	EVENT_POD_UPDATED,
	EVENT_POD_DETACHED,
	EVENT_POD_FAILED,
	EVENT_POD_READY,
	EVENT_POD_UNREADY,
	EVENT_NETWORK_CREATED,
	EVENT_NETWORK_UPDATED,
	EVENT_NETWORK_REMOVED,
	EVENT_NETWORK_CONFLICT,
	EVENT_SERVICE_CREATED,
	EVENT_SERVICE_UPDATED,
	EVENT_SERVICE_REMOVED,
	EVENT_BACKEND_JOINED,
	EVENT_BACKEND_LEFT,
	EVENT_NODE_JOINED,
	EVENT_NODE_UP,
	EVENT_NODE_DOWN,
	EVENT_NODE_LEFT,
	EVENT_NODE_DRAINING,
	EVENT_NODE_ACTIVE,
	EVENT_STORE_UP,
	EVENT_STORE_MIRROR,
	EVENT_STORE_FOREIGN,
	EVENT_CONNECTIONS_CROWDED,
	EVENT_CONNECTIONS_NORMAL,
	EVENT_CNI_REFUSED,
	EVENT_DOCKER_UP,
	EVENT_DOCKER_DOWN,
	EVENT_DOCKER_REFUSED,
	EVENT_DOCKER_CONFLICT,
	EVENT_ID_MAX
};

/* "pod", "attached" */
struct event_words {
	const char *kind, *action;
};

extern const struct event_words event_words[EVENT_ID_MAX];

/* Strings that do not apply are "". */
struct event {
	uint64_t number;
	/* Milliseconds since 1970, UTC. */
	int64_t at_ms;
	enum event_id id;
	char *name, *network, *node, *message;
};

/* The node of events whose node is given as NULL. */
void event_self(const char *node);

/* name and network may be NULL, node too: this one. No message is "". */
void event_tell(enum event_id id, const char *name, const char *network,
		const char *node, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Milliseconds since 1970, as in events. */
int64_t event_now(void);

/* The event of this number, or NULL: not told yet, or not kept any more. */
const struct event *event_get(uint64_t number);
/* The oldest number that is kept, and the one that the next event gets. */
uint64_t event_oldest(void);
uint64_t event_next(void);

/* Calls fn after each event; fn NULL: nobody watches any more. */
void event_watch(void (*fn)(void *arg), void *arg);
