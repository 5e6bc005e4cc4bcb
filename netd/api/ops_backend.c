/* SPDX-License-Identifier: Apache-2.0 */
/* A service's backends: how they are, and taking one out of balancing. */
#include <time.h>

#include "call.h"
#include "json.h"
#include "netd/util.h"
#include "service.h"
#include "service_tune.h"

static const struct endpoint *endpoint_of(const struct net *net,
					  const struct backend *b)
{
	char key[NAME_LEN + ENDPOINT_ID_LEN];
	const struct endpoint *ep;

	snprintf(key, sizeof(key), "%s/%s", b->node, b->id);
	HASH_FIND_STR(net->endpoints, key, ep);
	return ep;
}

/* What its node says of it, as far as that is not what drains say. */
static const char *state_of(const struct backend *b)
{
	const char *said = json_string_value(json_object_get(b->why, "state"));

	switch (b->state) {
	case BACKEND_DRAINING:
		return "draining";
	case BACKEND_UP:
		return "up";
	case BACKEND_DOWN:
		return said && !str_eq(said, "up") ? said : "drained";
	}
	return "";
}

static json_t *address_of(const struct backend *b)
{
	struct static_backend st = { b->addr, b->port, 1 };
	char text[STATIC_STRLEN];

	if (!b->port)
		return json_ip(&b->addr);
	static_backend_str(&st, text);
	return json_string(text);
}

struct ps {
	const struct service *s;
	const struct net *net;
	json_t *list;
};

/* "2026-01-31T12:00:00Z" */
static json_t *since_of(const struct backend *b)
{
	json_t *since = json_object_get(b->why, "since");
	time_t at = (time_t)json_integer_value(since);
	char text[32];
	struct tm tm;

	if (!at || !gmtime_r(&at, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_string("");
	return json_string(text);
}

static void add_row(void *arg, const struct backend *b)
{
	struct ps *ps = arg;
	const struct endpoint *ep = endpoint_of(ps->net, b);
	const char *reason =
		json_string_value(json_object_get(b->why, "reason"));
	const char *health =
		json_string_value(json_object_get(b->why, "state"));
	bool checked = ps->s->tune.health.kind != PROBE_NONE;

	json_array_append_new(
		ps->list,
		json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:i, s:s, s:o, s:s}",
			  "address", address_of(b), "address6",
			  json_ip_or_none(&b->addr6), "pod", ep ? ep->pod : "",
			  "node", b->node, "state", state_of(b), "source",
			  b->port ? "static" : "selector", "weight", b->weight,
			  "health",
			  health    ? health
			  : checked ? "unknown"
				    : "",
			  "since", since_of(b), "reason",
			  reason ? reason : ""));
}

enum ops_next op_service_ps(struct call *call)
{
	struct net *net;
	struct service *s = call_service(call, &net);
	struct ps ps;

	if (!s)
		return OPS_REFUSE;
	ps.s = s;
	ps.net = net;
	ps.list = call->reply = json_array();
	service_backends(call->m, net, s, add_row, &ps);
	return OPS_REPLY;
}

/* ---- drain ---- */

/* What an operator calls a backend, and the drains' keys that it means. */
struct pick {
	const struct net *net;
	const char *word;
	/* Keys of those that are meant: {KEY: 0}. */
	json_t *keys;
	/* Keys of all there are, to forget drains of what is gone. */
	json_t *all;
};

static void pick_backend(void *arg, const struct backend *b)
{
	struct pick *pick = arg;
	const struct endpoint *ep = endpoint_of(pick->net, b);
	char key[DRAIN_KEY_LEN], ip[IP_STRLEN];
	json_t *address = address_of(b);

	backend_drain_key(b, key);
	json_object_set_new(pick->all, key, json_integer(0));
	if (str_eq(pick->word, json_string_value(address)) ||
	    str_eq(pick->word, ip_str(&b->addr, ip)) ||
	    str_eq(pick->word, ip_str(&b->addr6, ip)) ||
	    (ep && strcasecmp(pick->word, ep->pod) == 0))
		json_object_set_new(pick->keys, key, json_integer(0));
	json_decref(address);
}

/* A backend that is gone is drained no more: its id never comes again. */
static json_t *drains_of_now(const struct service *s, json_t *all)
{
	json_t *drains = json_object();
	const char *key;
	json_t *until;

	json_object_foreach (s->drains, key, until) {
		if (json_object_get(all, key))
			json_object_set(drains, key, until);
	}
	return drains;
}

int call_until(struct call *call, int64_t *until)
{
	const char *text = call_str(call, "timeout");
	uint32_t ms;

	*until = 0;
	if (!text)
		return 0;
	if (tune_duration_parse(text, &ms) || ms < 1000)
		return refuse(&call->refusal, API_INVALID, "timeout",
			      "write a time such as 30s",
			      "timeout \"%.32s\" is not a time from 1s to 5d",
			      text);
	*until = time(NULL) + ms / 1000;
	return 0;
}

static void commit_drains(struct call *call, const struct net *net,
			  const struct service *old, json_t *drains)
{
	struct service *s = service_from_json(old->name, old->doc);

	json_decref(s->drains);
	s->drains = json_incref(drains);
	call_is(call, old->rev, "n/%s/s/services/%s", net->name, s->name);
	call_put(call, service_to_json(s), "n/%s/s/services/%s", net->name,
		 s->name);
	call->reply = json_pack("{s:s, s:s, s:O}", "name", s->name, "network",
				net->name, "drains", drains);
	service_free(s);
}

static enum ops_next drain(struct call *call, bool on)
{
	AUTO(json_freep) json_t *keys = json_object();
	AUTO(json_freep) json_t *all = json_object();
	AUTO(json_freep) json_t *drains = NULL;
	struct net *net;
	struct service *s = call_service(call, &net);
	struct pick pick = { .word = call_str(call, "backend"),
			     .keys = keys,
			     .all = all };
	const char *key;
	int64_t until;
	json_t *v;

	if (!s || (on && call_until(call, &until)))
		return OPS_REFUSE;
	pick.net = net;
	service_backends(call->m, net, s, pick_backend, &pick);
	if (!json_object_size(keys)) {
		refuse(&call->refusal, API_NOT_FOUND, "backend",
		       "see: netctl service ps",
		       "service \"%s\" has no backend \"%.64s\"", s->name,
		       pick.word);
		return OPS_REFUSE;
	}
	drains = drains_of_now(s, all);
	json_object_foreach (keys, key, v) {
		if (on)
			json_object_set_new(drains, key, json_integer(until));
		else
			json_object_del(drains, key);
	}
	commit_drains(call, net, s, drains);
	return OPS_COMMIT;
}

enum ops_next op_service_drain(struct call *call)
{
	return drain(call, true);
}

enum ops_next op_service_undrain(struct call *call)
{
	return drain(call, false);
}
