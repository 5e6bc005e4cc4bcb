/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events - what happens on this node, as lines of JSON to whoever watches.
 *
 * Watchers share the ring of netd/base/event.h; each has only a place in it.
 * One that falls so far behind that events it has not seen are overwritten
 * goes on with the oldest there are, and is told how many it missed.
 */
#pragma once

#include "event.h"
#include "refusal.h"

#include <jansson.h>

struct events;

struct events *events_new(void);
/* Its watchers must have gone. NULL is fine. */
void events_free(struct events *events);

/* Which events a watcher wants. */
struct event_filter {
	/* Told at or after this; milliseconds since 1970. */
	int64_t since_ms;
	/* ["kind=pod", "kind=service"]: one of each key's; NULL: all. */
	json_t *words;
};

/* Checks a list of KEY=VALUE; NULL is fine. */
int event_filter_check(json_t *words, struct refusal *r);
bool event_filter_match(const struct event_filter *f, const struct event *e);
/* A time (RFC 3339) or an age ("10m"), seen from now. */
int event_since_parse(const char *text, int64_t now_ms, int64_t *ret,
		      struct refusal *r);

/* "2026-01-31T12:00:00.123Z" */
#define EVENT_TIME_LEN 32
const char *event_time(int64_t ms, char buf[EVENT_TIME_LEN]);
/* One line with its end. The caller's. */
char *event_line(const struct event *e);
