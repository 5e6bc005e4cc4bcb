/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <stdio.h>
#include <time.h>
#include <utlist.h>

#include "call.h"
#include "lines.h"
#include "netd/util.h"

/* Words of a filter; more would only be a mistake. */
#define FILTERS_MAX 64

struct watcher {
	struct events *events;
	struct http_request *req;
	struct event_filter filter;
	/* The event it gets next. */
	uint64_t at;
	bool follow;
	struct lines lines;
	struct watcher *prev, *next;
};

struct events {
	struct watcher *watchers;
};

/* ---- fields and filters ---- */

static const char *kind_of(const struct event *e)
{
	return event_words[e->id].kind;
}

static const char *action_of(const struct event *e)
{
	return event_words[e->id].action;
}

static const char *name_of(const struct event *e)
{
	return e->name;
}

static const char *network_of(const struct event *e)
{
	return e->network;
}

static const char *node_of(const struct event *e)
{
	return e->node;
}

static const char *message_of(const struct event *e)
{
	return e->message;
}

static const struct field {
	const char *name;
	const char *(*of)(const struct event *e);
} fields[] = {
	{ "kind", kind_of }, { "action", action_of },
	{ "name", name_of }, { "network", network_of },
	{ "node", node_of }, { "message", message_of },
};

/* The field before the = of a word, and what is behind it. */
static const struct field *field_of(const char *word, const char **value)
{
	for (size_t i = 0; word && i < ARRAY_LEN(fields); i++) {
		const char *rest = str_after(word, fields[i].name);

		if (rest && *rest == '=') {
			*value = rest + 1;
			return &fields[i];
		}
	}
	return NULL;
}

int event_filter_check(json_t *words, struct refusal *r)
{
	const char *value;
	json_t *word;
	size_t i;

	if (json_array_size(words) > FILTERS_MAX)
		return refuse(r, API_INVALID, "filter", "give fewer",
			      "there are more than %d filters", FILTERS_MAX);
	json_array_foreach (words, i, word) {
		if (!field_of(json_string_value(word), &value))
			return refuse(r, API_INVALID, "filter",
				      "write KEY=VALUE, where KEY is kind, "
				      "action, name, network, node or message",
				      "filter \"%.64s\" names no field of an "
				      "event",
				      json_string_value(word));
	}
	return 0;
}

bool event_filter_match(const struct event_filter *f, const struct event *e)
{
	bool asked[ARRAY_LEN(fields)] = { false };
	bool found[ARRAY_LEN(fields)] = { false };
	json_t *word;
	size_t i;

	if (e->at_ms < f->since_ms)
		return false;
	json_array_foreach (f->words, i, word) {
		const char *value;
		const struct field *field =
			field_of(json_string_value(word), &value);

		if (!field)
			continue;
		asked[field - fields] = true;
		if (str_eq(field->of(e), value))
			found[field - fields] = true;
	}
	for (i = 0; i < ARRAY_LEN(fields); i++)
		if (asked[i] && !found[i])
			return false;
	return true;
}

/* ---- times ---- */

const char *event_time(int64_t ms, char buf[EVENT_TIME_LEN])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(buf, EVENT_TIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, EVENT_TIME_LEN - n, ".%03dZ", (int)(ms % 1000));
	return buf;
}

/* "90s", "10m", "2h", "1d": milliseconds, or -1. */
static int64_t parse_age(const char *text)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = { { 's', 1000 },
		      { 'm', 60000 },
		      { 'h', 3600000 },
		      { 'd', 86400000 } };
	AUTO(str_freep) char *number = xstrdup(text);
	size_t len = strlen(text);
	uint32_t n;

	for (size_t i = 0; len && i < ARRAY_LEN(units); i++) {
		if (text[len - 1] != units[i].unit)
			continue;
		number[len - 1] = '\0';
		return str_to_u32(number, 0, UINT32_MAX, &n) ? -1
							     : n * units[i].ms;
	}
	return -1;
}

/* RFC 3339, with or without a fraction, in UTC or with an offset. */
static int parse_time(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms = 0, scale = 100;
	int hours, minutes, n = 0;
	char sign;

	if (!rest)
		return -EINVAL;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
			ms += (*rest - '0') * scale;
	*ret = (int64_t)timegm(&tm) * 1000 + ms;
	if (str_eq(rest, "Z") || str_eq(rest, "z"))
		return 0;
	if (sscanf(rest, "%c%2d:%2d%n", &sign, &hours, &minutes, &n) != 3 ||
	    rest[n] || (sign != '+' && sign != '-'))
		return -EINVAL;
	*ret -= (sign == '+' ? 1 : -1) * (hours * 60 + minutes) * 60000LL;
	return 0;
}

int event_since_parse(const char *text, int64_t now_ms, int64_t *ret,
		      struct refusal *r)
{
	int64_t age = parse_age(text);

	if (age >= 0) {
		*ret = now_ms - age;
		return 0;
	}
	if (!parse_time(text, ret))
		return 0;
	return refuse(r, API_INVALID, "since",
		      "write a time such as 2026-01-31T12:00:00Z, or an age "
		      "such as 90s, 10m, 2h, 1d",
		      "\"%.64s\" is neither a time nor an age", text);
}

/* ---- lines ---- */

/* Bytes that are no UTF-8 would cost the whole line. */
static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);
	AUTO(str_freep) char *copy = NULL;

	if (value)
		return value;
	copy = xstrdup(text);
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c >= 128)
			*c = '?';
	return json_string(copy);
}

static char *line_of(const char *time, json_t *doc)
{
	AUTO(json_freep) json_t *line = json_pack("{s:s}", "time", time);
	AUTO(json_freep) json_t *rest = doc;
	AUTO(str_freep) char *text = NULL;

	json_object_update(line, rest);
	text = json_dumps(line, JSON_COMPACT);
	return xasprintf("%s\n", text);
}

char *event_line(const struct event *e)
{
	json_t *doc = json_object();
	char time[EVENT_TIME_LEN];

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		json_object_set_new(doc, fields[i].name,
				    text_json(fields[i].of(e)));
	return line_of(event_time(e->at_ms, time), doc);
}

static char *lost_line(uint64_t lost)
{
	char time[EVENT_TIME_LEN];

	return line_of(event_time(event_now(), time),
		       json_pack("{s:s, s:s, s:I, s:s}", "kind", "events",
				 "action", "lost", "lost", (json_int_t)lost,
				 "message",
				 "this reader was too slow; what happened "
				 "between is not kept any more"));
}

/* ---- watchers ---- */

static char *next_line(void *arg)
{
	struct watcher *w = arg;
	const struct event *e;

	if (w->at < event_oldest()) {
		uint64_t lost = event_oldest() - w->at;

		w->at = event_oldest();
		return lost_line(lost);
	}
	while ((e = event_get(w->at))) {
		w->at++;
		if (event_filter_match(&w->filter, e))
			return event_line(e);
	}
	return NULL;
}

static ssize_t watcher_fill(void *arg, char *buf, size_t size)
{
	struct watcher *w = arg;
	size_t used = lines_fill(&w->lines, buf, size, next_line, w);

	return used || w->follow ? (ssize_t)used : HTTP_STREAM_END;
}

static void watcher_gone(void *arg)
{
	struct watcher *w = arg;

	DL_DELETE(w->events->watchers, w);
	json_decref(w->filter.words);
	lines_clear(&w->lines);
	free(w);
}

static void on_event(void *arg)
{
	struct events *events = arg;
	struct watcher *w;

	DL_FOREACH (events->watchers, w)
		http_stream_more(w->req);
}

struct events *events_new(void)
{
	struct events *events = xzalloc(sizeof(*events));

	event_watch(on_event, events);
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	event_watch(NULL, NULL);
	free(events);
}

static int read_since(struct call *call, int64_t *ret)
{
	const char *text = call_str(call, "since");

	if (!text)
		return 0;
	return event_since_parse(text, event_now(), ret, &call->refusal);
}

enum ops_next op_events(struct call *call)
{
	struct events *events = call_events(call);
	struct watcher *w;
	int64_t since = 0;

	if (read_since(call, &since) ||
	    event_filter_check(call_list(call, "filter"), &call->refusal))
		return OPS_REFUSE;
	if (!call->req) {
		refuse(&call->refusal, API_UNSUPPORTED, NULL, "",
		       "nobody is there to watch");
		return OPS_REFUSE;
	}
	w = xzalloc(sizeof(*w));
	w->events = events;
	w->req = call->req;
	w->filter.since_ms = since;
	w->filter.words = json_incref(call_list(call, "filter"));
	w->at = event_oldest();
	w->follow = !call_bool(call, "no_follow");
	DL_APPEND(events->watchers, w);
	if (http_stream(call->req, "application/x-ndjson", watcher_fill,
			watcher_gone, w)) {
		watcher_gone(w);
		refuse(&call->refusal, API_EXHAUSTED, NULL,
		       "end another `netctl system events`",
		       "%d watch events already", HTTP_STREAMS_MAX);
		return OPS_REFUSE;
	}
	return OPS_TAKEN;
}
