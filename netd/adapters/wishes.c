/* SPDX-License-Identifier: Apache-2.0 */
#include "wishes.h"

#include "json.h"
#include "labels.h"
#include "netd/util.h"
#include "service.h"
#include "service_tune.h"

/* Others that are named; the rest would say the same. */
#define OTHERS_MAX 8

static void wish_free(struct wish *wish)
{
	json_decref(wish->args);
	json_decref(wish->others);
	free(wish);
}

void wishes_free(struct wish **wishes)
{
	struct wish *wish, *tmp;

	HASH_ITER (hh, *wishes, wish, tmp) {
		HASH_DEL(*wishes, wish);
		wish_free(wish);
	}
}

static struct wish *wish_get(struct wish **wishes, const char *name)
{
	struct wish *wish;

	HASH_FIND_STR(*wishes, name, wish);
	if (wish)
		return wish;
	wish = xzalloc(sizeof(*wish));
	if (!str_copy(wish->name, sizeof(wish->name), name)) {
		free(wish);
		return NULL;
	}
	wish->others = json_array();
	HASH_ADD_STR(*wishes, name, wish);
	return wish;
}

/* Is this pod the one that is right? */
static void take_first(struct wish *wish, const struct net *net,
		       const struct endpoint *ep)
{
	struct refusal ignored = { 0 };
	json_t *args;

	if (wish->first && strcmp(wish->first, ep->key) < 0)
		return;
	args = labels_service(ep->labels, net->name, &ignored);
	if (!args)
		return;
	json_decref(wish->args);
	wish->args = args;
	wish->first = ep->key;
}

static void note_other(struct wish *wish, const struct net *net,
		       const struct endpoint *ep)
{
	struct refusal ignored = { 0 };
	AUTO(json_freep)
	json_t *args = labels_service(ep->labels, net->name, &ignored);

	if (json_equal(args, wish->args) ||
	    json_array_size(wish->others) == OTHERS_MAX)
		return;
	json_array_append_new(wish->others,
			      json_sprintf("%s on %s", ep->pod, ep->node));
}

struct wish *wishes_of(const struct model *m, const struct net *net)
{
	struct wish *wishes = NULL;
	const struct endpoint *ep;
	const char *name;

	for (ep = net->endpoints; ep; ep = ep->hh.next) {
		struct wish *wish;

		name = labels_service_name(ep->labels, net->name);
		wish = name ? wish_get(&wishes, name) : NULL;
		if (!wish)
			continue;
		wish->own |= str_eq(ep->node, m->self);
		take_first(wish, net, ep);
	}
	for (ep = net->endpoints; wishes && ep; ep = ep->hh.next) {
		struct wish *wish = NULL;

		name = labels_service_name(ep->labels, net->name);
		if (name)
			HASH_FIND_STR(wishes, name, wish);
		if (wish)
			note_other(wish, net, ep);
	}
	return wishes;
}

bool wish_is_ours(const struct service *s)
{
	const char *origin =
		json_string_value(json_object_get(s->labels, LABEL_ORIGIN));

	return origin && str_eq(origin, LABEL_ORIGIN_DOCKER);
}

/* ---- differences ---- */

typedef int add_fn(struct service *s, const char *text, struct refusal *r);

static void read_list(const json_t *args, const char *field, add_fn *add,
		      struct service *s)
{
	struct refusal ignored;
	json_t *word;
	size_t i;

	json_array_foreach (json_object_get(args, field), i, word)
		add(s, json_string_value(word), &ignored);
}

static bool has_port(const struct port *ports, size_t len, const struct port *p)
{
	for (size_t i = 0; i < len; i++)
		if (ports[i].port == p->port && ports[i].proto == p->proto &&
		    ports[i].target == p->target &&
		    str_eq(ports[i].name, p->name))
			return true;
	return false;
}

/* Ports of `from` that are not in `in`, in the words of `field`. */
static void put_missing(json_t *args, const char *field,
			const struct port *from, size_t from_len,
			const struct port *in, size_t in_len, bool with_target)
{
	AUTO(json_freep) json_t *list = json_array();

	for (size_t i = 0; i < from_len; i++) {
		const struct port *p = &from[i];
		const char *proto = proto_name(p->proto);

		if (has_port(in, in_len, p))
			continue;
		json_array_append_new(
			list, with_target
				      ? json_sprintf("%s%s%u:%u/%s", p->name,
						     *p->name ? "=" : "",
						     p->port, p->target, proto)
				      : json_sprintf("%u/%s", p->port, proto));
	}
	if (json_array_size(list))
		json_object_set(args, field, list);
}

/* The settings that labels have words for; others are the operator's. */
static json_t *wished_tune(const struct wish *wish)
{
	bool checks = json_object_get(wish->args, "health") != NULL;
	json_t *all = json_object();

	for (size_t i = 0; i < LABEL_TEXTS; i++) {
		const struct label_text *t = &label_texts[i];
		json_t *text = json_object_get(wish->args, t->arg);

		if (text)
			json_object_set(all, t->arg, text);
		else if (checks || !t->of_health)
			json_object_set_new(all, t->arg,
					    json_string(t->preset));
	}
	return all;
}

static void put_tune(json_t *args, const struct wish *wish,
		     const struct service *s)
{
	AUTO(json_freep) json_t *have = json_object();
	AUTO(json_freep) json_t *want = json_object();
	AUTO(json_freep) json_t *words = wished_tune(wish);
	struct tune tune = s->tune;
	struct refusal ignored;

	tune_read(&tune, words, &ignored);
	tune_to_json(&tune, want);
	tune_to_json(&s->tune, have);
	if (!json_equal(have, want))
		json_object_update(args, words);
}

static json_t *update_args(const struct net *net, const struct wish *wish,
			   const struct service *s)
{
	AUTO(json_freep)
	json_t *args = json_pack("{s:s, s:s}", "name", wish->name, "network",
				 net->name);
	struct service want = { 0 };

	read_list(wish->args, "port", service_port_add, &want);
	read_list(wish->args, "publish", service_publish_add, &want);
	put_missing(args, "port_rm", s->ports, s->ports_len, want.ports,
		    want.ports_len, false);
	put_missing(args, "port_add", want.ports, want.ports_len, s->ports,
		    s->ports_len, true);
	put_missing(args, "publish_rm", s->published, s->published_len,
		    want.published, want.published_len, false);
	put_missing(args, "publish_add", want.published, want.published_len,
		    s->published, s->published_len, true);
	put_tune(args, wish, s);
	return json_object_size(args) > 2 ? take_ptr(args) : NULL;
}

enum wish_step wish_step(const struct net *net, const struct wish *wish,
			 const struct service *s, json_t **args)
{
	*args = NULL;
	if (!wish || !wish->args) {
		if (!s || !wish_is_ours(s) || wish)
			return WISH_DONE;
		*args = json_pack("{s:s, s:s}", "name", s->name, "network",
				  net->name);
		return WISH_REMOVE;
	}
	if (!s) {
		*args = json_incref(wish->args);
		return WISH_CREATE;
	}
	if (!wish_is_ours(s))
		return WISH_FOREIGN;
	/* From a VIP to none, or back: another service of the name. */
	if (s->dnsrr !=
	    (json_object_get(wish->args, "endpoint_mode") != NULL)) {
		*args = json_pack("{s:s, s:s}", "name", s->name, "network",
				  net->name);
		return WISH_REMOVE;
	}
	*args = update_args(net, wish, s);
	return *args ? WISH_UPDATE : WISH_DONE;
}
