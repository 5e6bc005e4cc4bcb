/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include <stdarg.h>
#include <time.h>

#include "netd/util.h"

const struct event_words event_words[EVENT_ID_MAX] = {
	[EVENT_POD_ATTACHED] = { "pod", "attached" },
	[EVENT_POD_UPDATED] = { "pod", "updated" },
	[EVENT_POD_DETACHED] = { "pod", "detached" },
	[EVENT_POD_FAILED] = { "pod", "failed" },
	[EVENT_POD_READY] = { "pod", "ready" },
	[EVENT_POD_UNREADY] = { "pod", "unready" },
	[EVENT_NETWORK_CREATED] = { "network", "created" },
	[EVENT_NETWORK_UPDATED] = { "network", "updated" },
	[EVENT_NETWORK_REMOVED] = { "network", "removed" },
	[EVENT_NETWORK_CONFLICT] = { "network", "conflict" },
	[EVENT_SERVICE_CREATED] = { "service", "created" },
	[EVENT_SERVICE_UPDATED] = { "service", "updated" },
	[EVENT_SERVICE_REMOVED] = { "service", "removed" },
	[EVENT_BACKEND_JOINED] = { "backend", "joined" },
	[EVENT_BACKEND_LEFT] = { "backend", "left" },
	[EVENT_NODE_JOINED] = { "node", "joined" },
	[EVENT_NODE_UP] = { "node", "up" },
	[EVENT_NODE_DOWN] = { "node", "down" },
	[EVENT_NODE_LEFT] = { "node", "left" },
	[EVENT_NODE_DRAINING] = { "node", "draining" },
	[EVENT_NODE_ACTIVE] = { "node", "active" },
	[EVENT_STORE_UP] = { "store", "up" },
	[EVENT_STORE_MIRROR] = { "store", "mirror" },
	[EVENT_STORE_FOREIGN] = { "store", "foreign" },
	[EVENT_CONNECTIONS_CROWDED] = { "connections", "crowded" },
	[EVENT_CONNECTIONS_NORMAL] = { "connections", "normal" },
	[EVENT_CNI_REFUSED] = { "cni", "refused" },
	[EVENT_DOCKER_UP] = { "docker", "up" },
	[EVENT_DOCKER_DOWN] = { "docker", "down" },
	[EVENT_DOCKER_REFUSED] = { "docker", "refused" },
	[EVENT_DOCKER_CONFLICT] = { "docker", "conflict" },
};

/* The process's own, as the log is: event N is at N % EVENTS_KEPT. */
static struct {
	struct event kept[EVENTS_KEPT];
	uint64_t next;
	char *self;
	void (*fn)(void *arg);
	void *arg;
} events;

void event_self(const char *node)
{
	free(events.self);
	events.self = xstrdup(node);
}

int64_t event_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void event_clear(struct event *e)
{
	free(e->name);
	free(e->network);
	free(e->node);
	free(e->message);
}

void event_tell(enum event_id id, const char *name, const char *network,
		const char *node, const char *fmt, ...)
{
	struct event *e = &events.kept[events.next % EVENTS_KEPT];
	char message[EVENT_MESSAGE_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (!node)
		node = events.self ? events.self : "";
	event_clear(e);
	*e = (struct event){
		.number = events.next++,
		.at_ms = event_now(),
		.id = id,
		.name = xstrdup(name ? name : ""),
		.network = xstrdup(network ? network : ""),
		.node = xstrdup(node),
		.message = xstrdup(message),
	};
	if (events.fn)
		events.fn(events.arg);
}

uint64_t event_next(void)
{
	return events.next;
}

uint64_t event_oldest(void)
{
	return events.next > EVENTS_KEPT ? events.next - EVENTS_KEPT : 0;
}

const struct event *event_get(uint64_t number)
{
	if (number >= events.next || number < event_oldest())
		return NULL;
	return &events.kept[number % EVENTS_KEPT];
}

void event_watch(void (*fn)(void *arg), void *arg)
{
	events.fn = fn;
	events.arg = arg;
}
