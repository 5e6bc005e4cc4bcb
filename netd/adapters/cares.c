/* SPDX-License-Identifier: Apache-2.0 */
#include "cares.h"

#include "event.h"
#include "json.h"
#include "netd/util.h"
#include "wishes.h"

#define LINGER_MS IPAM_REST_MS
/* From one step of a service to its next, and after a refusal. */
#define STEP_MS 1000
#define REFUSED_MS 5000

struct care {
	struct cares *cares;
	/* "NET/NAME" */
	char key[2 * NAME_LEN];
	char net[NAME_LEN];
	/* In the key. */
	const char *name;
	bool busy;
	/* Its published ports were refused: make it without them first. */
	bool without_ports;
	bool is_wished;
	int64_t not_before;
	/* When the last pod that asked for it went; 0: one is there. */
	int64_t gone_at;
	char problem[512];
	UT_hash_handle hh;
};

struct cares {
	struct cares_config cfg;
	struct care *all;
};

static struct care *care_get(struct cares *cares, const char *net,
			     const char *name)
{
	struct care *care;
	char key[sizeof(care->key)];

	if (str_format(key, sizeof(key), "%s/%s", net, name))
		return NULL;
	HASH_FIND_STR(cares->all, key, care);
	if (care)
		return care;
	care = xzalloc(sizeof(*care));
	memcpy(care->key, key, sizeof(key));
	str_copy(care->net, sizeof(care->net), net);
	care->name = strchr(care->key, '/') + 1;
	care->cares = cares;
	HASH_ADD_STR(cares->all, key, care);
	return care;
}

static void care_drop(struct care *care)
{
	HASH_DEL(care->cares->all, care);
	free(care);
}

/* Once per problem, however often it is met. */
static void care_problem(struct care *care, const char *text)
{
	char problem[sizeof(care->problem)];

	snprintf(problem, sizeof(problem), "%s", text);
	if (str_eq(problem, care->problem))
		return;
	memcpy(care->problem, problem, sizeof(problem));
	if (*problem)
		event_tell(EVENT_DOCKER_CONFLICT, care->name, care->net, NULL,
			   "%s", problem);
}

static void step_done(void *arg, const struct refusal *r, json_t *reply)
{
	struct care *care = arg;
	const struct cares_config *cfg = &care->cares->cfg;

	(void)reply;
	care->busy = false;
	care->not_before =
		mono_ms() + (r->code == API_OK ? STEP_MS : REFUSED_MS);
	if (r->code != API_OK)
		care_problem(care, r->message);
	/* A port that is taken must not cost the service its name and VIP. */
	if (r->code != API_OK && str_eq(r->field, "publish") &&
	    !care->without_ports) {
		care->without_ports = true;
		care->not_before = 0;
	}
	cfg->again(cfg->arg, care->net);
}

/* What else there is to do first, if there is anything. Takes args. */
static json_t *without_ports(json_t *args)
{
	json_t *rest = json_copy(args);

	json_object_del(rest, "publish");
	json_object_del(rest, "publish_add");
	/* Without any port it would be another kind of service. */
	if ((json_object_get(args, "publish") &&
	     !json_object_get(rest, "port")) ||
	    json_object_size(rest) == 2) {
		json_decref(rest);
		return args;
	}
	json_decref(args);
	return rest;
}

static void take_step(struct care *care, enum wish_step step, json_t *args)
{
	static const enum api_op ops[] = {
		[WISH_CREATE] = API_SERVICE_CREATE,
		[WISH_UPDATE] = API_SERVICE_UPDATE,
		[WISH_REMOVE] = API_SERVICE_DELETE,
	};

	if (care->without_ports)
		args = without_ports(args);
	care->busy = true;
	ops_run(care->cares->cfg.ops, ops[step], args, step_done, care);
}

/* Another pod wants the service otherwise: shown, and its wish not done. */
static void note_others(struct care *care, const struct wish *wish)
{
	AUTO(str_freep) char *list = xstrdup("");
	json_t *other;
	size_t i;

	json_array_foreach (wish->others, i, other) {
		AUTO(str_freep) char *before = list;

		list = xasprintf("%s%s%s", before, *before ? ", " : "",
				 json_string_value(other));
	}
	if (*list) {
		AUTO(str_freep)
		char *text = xasprintf("labels that differ from the first "
				       "pod's are not heard: %s",
				       list);

		care_problem(care, text);
	} else {
		care_problem(care, "");
	}
}

static void look_at_wish(struct cares *cares, const struct net *net,
			 const struct wish *wish)
{
	struct care *care = care_get(cares, net->name, wish->name);
	const struct service *s = net_service(net, wish->name);
	enum wish_step step;
	json_t *args;

	if (!care || care->busy)
		return;
	care->is_wished = true;
	care->gone_at = 0;
	step = wish_step(net, wish, s, &args);
	switch (step) {
	case WISH_DONE:
		care->without_ports = false;
		care->not_before = 0;
		note_others(care, wish);
		break;
	case WISH_FOREIGN:
		care_problem(care, "a service of this name was made by an "
				   "operator, and stays as it is");
		break;
	case WISH_CREATE:
	case WISH_UPDATE:
	case WISH_REMOVE:
		/* The nodes whose containers ask do it; not all at once. */
		if (wish->own && mono_ms() >= care->not_before) {
			take_step(care, step, args);
			return;
		}
		json_decref(args);
		break;
	}
}

/* Made from labels that no pod has any more: in a while it goes. */
static void look_at_leftover(struct cares *cares, const struct net *net,
			     const struct service *s)
{
	struct care *care = care_get(cares, net->name, s->name);
	enum wish_step step;
	json_t *args;

	if (!care || care->busy)
		return;
	if (!care->gone_at)
		care->gone_at = mono_ms();
	if (mono_ms() - care->gone_at < LINGER_MS ||
	    mono_ms() < care->not_before)
		return;
	step = wish_step(net, NULL, s, &args);
	if (step == WISH_REMOVE)
		take_step(care, step, args);
}

static bool is_leftover(const struct net *net, const struct care *care)
{
	const struct service *s = net_service(net, care->name);

	return s && wish_is_ours(s);
}

static void look_at_net(struct cares *cares, const struct net *net)
{
	struct wish *wishes = wishes_of(cares->cfg.model, net);
	const struct wish *wish;
	const struct service *s;

	for (wish = wishes; wish; wish = wish->hh.next)
		look_at_wish(cares, net, wish);
	for (s = net->services; s; s = s->hh.next) {
		HASH_FIND_STR(wishes, s->name, wish);
		if (!wish && wish_is_ours(s))
			look_at_leftover(cares, net, s);
	}
	wishes_free(&wishes);
}

void cares_look(struct cares *cares, const char *name)
{
	const struct net *net = model_net(cares->cfg.model, name);
	struct care *care, *tmp;

	for (care = cares->all; care; care = care->hh.next)
		if (str_eq(care->net, name))
			care->is_wished = false;
	if (net)
		look_at_net(cares, net);
	HASH_ITER (hh, cares->all, care, tmp)
		if (str_eq(care->net, name) && !care->is_wished &&
		    !care->busy && (!net || !is_leftover(net, care)))
			care_drop(care);
}

void cares_tick(struct cares *cares)
{
	const struct cares_config *cfg = &cares->cfg;

	for (struct care *care = cares->all; care; care = care->hh.next)
		if (care->not_before || care->gone_at)
			cfg->again(cfg->arg, care->net);
}

json_t *cares_json(const struct cares *cares)
{
	json_t *list = json_array();

	for (const struct care *care = cares->all; care; care = care->hh.next)
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s}", "service", care->name,
				  "network", care->net, "state",
				  care->gone_at ? "lingers" : "wished",
				  "problem", care->problem));
	return list;
}

struct cares *cares_new(const struct cares_config *config)
{
	struct cares *cares = xzalloc(sizeof(*cares));

	cares->cfg = *config;
	return cares;
}

void cares_free(struct cares *cares)
{
	struct care *care, *tmp;

	if (!cares)
		return;
	HASH_ITER (hh, cares->all, care, tmp)
		care_drop(care);
	free(cares);
}
