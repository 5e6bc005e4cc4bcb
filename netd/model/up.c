/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up - which of a node's endpoints are fit to serve, by service: one value
 * per node and network, so a change is what differs between two of them.
 */
#include "change.h"
#include "json.h"
#include "netd/util.h"

void up_free(struct up *up)
{
	json_decref(up->services);
	json_decref(up->down);
	json_decref(up->held);
	free(up);
}

/* The services whose list or problems differ between two `up` values. */
static void mark_differences(const struct model_marks *marks, const char *net,
			     json_t *old, json_t *new)
{
	const char *name;
	json_t *value;

	json_object_foreach (old, name, value) {
		if (!json_equal(value, json_object_get(new, name)))
			marks->mark(marks->arg, MARK_SERVICE, net, name);
	}
	json_object_foreach (new, name, value) {
		if (!json_object_get(old, name))
			marks->mark(marks->arg, MARK_SERVICE, net, name);
	}
}

static bool has_backend(json_t *list, const char *id)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *other =
			json_string_value(json_object_get(item, "id"));

		if (other && str_eq(other, id))
			return true;
	}
	return false;
}

/* Backends that are in one list of a service and not in the other. */
static void tell_backends(const struct model_marks *marks, enum event_id event,
			  const struct net *net, const char *node,
			  const char *service, json_t *list, json_t *other)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *id = json_string_value(json_object_get(item, "id"));
		const char *ip = json_string_value(json_object_get(item, "ip"));
		char key[NAME_LEN + ENDPOINT_ID_LEN], text[POD_NAME_LEN + 64];
		const struct endpoint *ep;

		if (!id || !ip || has_backend(other, id) ||
		    str_format(key, sizeof(key), "%s/%s", node, id))
			continue;
		ep = FIND(net->endpoints, key);
		snprintf(text, sizeof(text), "%s%s%.48s", ep ? ep->pod : "",
			 ep ? " " : "", ip);
		change_tell(marks, event, service, net->name, node, text);
	}
}

static void tell_ups(const struct model_marks *marks, const struct net *net,
		     const char *node, json_t *old, json_t *next)
{
	const char *name;
	json_t *list;

	json_object_foreach (old, name, list)
		tell_backends(marks, EVENT_BACKEND_LEFT, net, node, name, list,
			      json_object_get(next, name));
	json_object_foreach (next, name, list)
		tell_backends(marks, EVENT_BACKEND_JOINED, net, node, name,
			      list, json_object_get(old, name));
}

void net_up_put(struct net *net, const char *node, json_t *services,
		json_t *down, json_t *held, int64_t rev,
		const struct model_marks *marks)
{
	struct up *up = FIND(net->ups, node);

	if (!up) {
		up = xzalloc(sizeof(*up));
		str_copy(up->node, sizeof(up->node), node);
		HASH_ADD_STR(net->ups, node, up);
	}
	if (marks) {
		mark_differences(marks, net->name, up->services, services);
		mark_differences(marks, net->name, up->down, down);
		tell_ups(marks, net, node, up->services, services);
	}
	json_decref(up->services);
	json_decref(up->down);
	json_decref(up->held);
	up->services = services;
	up->down = down;
	up->held = held;
	up->rev = rev;
}

int up_apply(struct change *c)
{
	const char *node = c->key.word[1];
	struct net *net;
	struct up *up;

	net = change_net(c->m, c->key.word[0]);
	/* Ours is what we say, not what the store repeats: only before we have
	 * said anything it tells which backends were fit to serve. */
	if (str_eq(node, c->m->self) && (!c->doc || FIND(net->ups, node))) {
		change_net_sweep(c->m, net);
		return 0;
	}
	if (c->doc) {
		net_up_put(net, node,
			   json_incref(json_object_get(c->doc, "services")),
			   json_incref(json_object_get(c->doc, "down")),
			   json_incref(json_object_get(c->doc, "held")), c->rev,
			   c->marks);
		return 0;
	}
	up = FIND(net->ups, node);
	if (up) {
		if (c->marks) {
			mark_differences(c->marks, net->name, up->services,
					 NULL);
			mark_differences(c->marks, net->name, up->down, NULL);
			tell_ups(c->marks, net, node, up->services, NULL);
		}
		HASH_DEL(net->ups, up);
		up_free(up);
	}
	change_net_sweep(c->m, net);
	return 0;
}
