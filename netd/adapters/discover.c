/* SPDX-License-Identifier: Apache-2.0 */
#include "discover.h"

#include <ev.h>
#include <fcntl.h>

#include "container.h"
#include "engine.h"
#include "event.h"
#include "json.h"
#include "labels.h"
#include "netd/log.h"
#include "netd/util.h"
#include "netns.h"
#include "wishes.h"

/* From a change to the look at it: bursts are one look. */
#define LOOK_S 0.05
/* What nobody asks for any more lives on: a container that restarts has its
 * service and its VIP back. As long as its address rests. */
#define LINGER_MS 30000
/* What waits or lingers is looked at. */
#define TICK_S 1.
/* From one step of a service to its next, and after a refusal. */
#define STEP_MS 1000
#define REFUSED_MS 5000

/* A service that is being brought about, or that lingers. */
struct care {
	/* "NET/NAME" */
	char key[2 * NAME_LEN];
	char net[NAME_LEN];
	struct discover *d;
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

struct discover {
	struct discover_config cfg;
	struct engine *engine;
	struct container *containers;
	struct care *cares;
	/* Networks to look at: {"NET": true}. */
	json_t *nets;
	bool pods;
	ev_timer look, tick;
	bool is_up;
	char version[64];
	char error[256];
};

static void look_soon(struct discover *d)
{
	if (ev_is_active(&d->look))
		return;
	ev_timer_set(&d->look, LOOK_S, 0.);
	ev_timer_start(d->cfg.loop, &d->look);
}

/* ---- containers and pods ---- */

/* The container's network namespace, as nothing else is called. */
static uint64_t cookie_of(uint32_t pid)
{
	char path[64];
	AUTO(fd_closep) int fd = -1;
	uint64_t cookie;

	snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* The host's own would make every process of it a pod. */
	if (fd < 0 || netns_is_own(fd) || netns_cookie(fd, &cookie))
		return 0;
	return cookie;
}

static void forget(struct discover *d, struct container *c)
{
	HASH_DEL(d->containers, c);
	container_free(c);
	d->pods = true;
	look_soon(d);
}

static void on_gone(void *arg, const char *id)
{
	struct discover *d = arg;
	struct container *c;

	HASH_FIND_STR(d->containers, id, c);
	if (c)
		forget(d, c);
}

static void on_seen(void *arg, struct container *c)
{
	struct discover *d = arg;

	on_gone(d, c->id);
	c->cookie = cookie_of(c->pid);
	HASH_ADD_STR(d->containers, id, c);
	d->pods = true;
	look_soon(d);
}

static void on_listed(void *arg, const json_t *ids)
{
	struct discover *d = arg;
	struct container *c, *tmp;

	HASH_ITER (hh, d->containers, c, tmp)
		if (!json_object_get(ids, c->id))
			forget(d, c);
	/* Without any container there is nothing to wait for. */
	d->pods = true;
	look_soon(d);
}

static void on_state(void *arg, bool is_up, const char *text)
{
	struct discover *d = arg;

	if (is_up) {
		str_copy(d->version, sizeof(d->version), text);
		d->error[0] = '\0';
	} else {
		snprintf(d->error, sizeof(d->error), "%s", text);
	}
	if (d->is_up == is_up)
		return;
	d->is_up = is_up;
	event_tell(is_up ? EVENT_DOCKER_UP : EVENT_DOCKER_DOWN, d->cfg.host,
		   NULL, NULL, "%s%s", is_up ? "engine " : "", text);
	log_info("docker: engine is %s host=%s: %s", is_up ? "up" : "away",
		 d->cfg.host, text);
}

static struct container *container_of_pod(const struct discover *d,
					  const struct pod *pod)
{
	struct container *c;

	for (c = d->containers; c; c = c->hh.next)
		if (container_is_pod(c, pod))
			return c;
	return NULL;
}

/* Tells each pod what its container says, as far as it is news. */
static void look_at_pods(struct discover *d)
{
	bool whole = engine_is_whole(d->engine);
	struct pod *pod, *tmp;

	HASH_ITER (hh, d->cfg.model->pods, pod, tmp) {
		struct container *c = container_of_pod(d, pod);
		AUTO(json_freep) json_t *problems = json_array();
		json_t *found = NULL;

		/* A container not seen yet is not a container that is gone. */
		if (!c && (!whole || !pod->found))
			continue;
		if (c)
			found = container_found(c, pod, problems);
		reconcile_pod_found(d->cfg.reconcile, pod, found);
	}
}

/* ---- services ---- */

static struct care *care_get(struct discover *d, const char *net,
			     const char *name)
{
	struct care *care;
	char key[sizeof(care->key)];

	if (str_format(key, sizeof(key), "%s/%s", net, name))
		return NULL;
	HASH_FIND_STR(d->cares, key, care);
	if (care)
		return care;
	care = xzalloc(sizeof(*care));
	memcpy(care->key, key, sizeof(key));
	str_copy(care->net, sizeof(care->net), net);
	care->d = d;
	HASH_ADD_STR(d->cares, key, care);
	return care;
}

static void care_drop(struct discover *d, struct care *care)
{
	HASH_DEL(d->cares, care);
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
		event_tell(EVENT_DOCKER_CONFLICT, strchr(care->key, '/') + 1,
			   care->net, NULL, "%s", problem);
}

static void note_net(struct discover *d, const char *net)
{
	json_object_set_new(d->nets, net, json_true());
	look_soon(d);
}

static void step_done(void *arg, const struct refusal *r, json_t *reply)
{
	struct care *care = arg;
	struct discover *d = care->d;

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
	note_net(d, care->net);
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
	struct discover *d = care->d;

	if (care->without_ports)
		args = without_ports(args);
	care->busy = true;
	ops_run(d->cfg.ops, ops[step], args, step_done, care);
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

static void look_at_wish(struct discover *d, const struct net *net,
			 const struct wish *wish)
{
	struct care *care = care_get(d, net->name, wish->name);
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
static void look_at_leftover(struct discover *d, const struct net *net,
			     const struct service *s)
{
	struct care *care = care_get(d, net->name, s->name);
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
	const struct service *s = net_service(net, strchr(care->key, '/') + 1);

	return s && wish_is_ours(s);
}

static void look_at_net(struct discover *d, const struct net *net)
{
	struct wish *wishes = wishes_of(d->cfg.model, net);
	const struct wish *wish;
	const struct service *s;
	struct care *care, *tmp;

	for (care = d->cares; care; care = care->hh.next)
		if (str_eq(care->net, net->name))
			care->is_wished = false;
	for (wish = wishes; wish; wish = wish->hh.next)
		look_at_wish(d, net, wish);
	for (s = net->services; s; s = s->hh.next) {
		HASH_FIND_STR(wishes, s->name, wish);
		if (!wish && wish_is_ours(s))
			look_at_leftover(d, net, s);
	}
	HASH_ITER (hh, d->cares, care, tmp)
		if (str_eq(care->net, net->name) && !care->is_wished &&
		    !care->busy && !is_leftover(net, care))
			care_drop(d, care);
	wishes_free(&wishes);
}

/* A network that went took its services along. */
static void drop_cares_of(struct discover *d, const char *net)
{
	struct care *care, *tmp;

	HASH_ITER (hh, d->cares, care, tmp)
		if (str_eq(care->net, net) && !care->busy)
			care_drop(d, care);
}

/* ---- looking ---- */

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct discover *d = container_of(w, struct discover, look);
	AUTO(json_freep) json_t *nets = NULL;
	const char *name;
	json_t *unused;

	(void)loop, (void)revents;
	if (d->pods) {
		d->pods = false;
		look_at_pods(d);
	}
	/* What looking changes is noted anew. */
	nets = d->nets;
	d->nets = json_object();
	json_object_foreach (nets, name, unused) {
		const struct net *net = model_net(d->cfg.model, name);

		if (net)
			look_at_net(d, net);
		else
			drop_cares_of(d, name);
	}
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct discover *d = container_of(w, struct discover, tick);

	(void)loop, (void)revents;
	for (struct care *care = d->cares; care; care = care->hh.next)
		if (care->not_before || care->gone_at)
			note_net(d, care->net);
}

static void on_mark(void *arg, enum mark_kind kind, const char *net,
		    const char *name)
{
	struct discover *d = arg;

	(void)name;
	/* Endpoints come with their names; of ours, perhaps with a pod. */
	if (kind == MARK_NAME)
		d->pods = true;
	if (kind == MARK_NAME || kind == MARK_SERVICE)
		note_net(d, net);
}

int discover_open(const struct discover_config *config, struct discover **ret)
{
	struct discover *d = xzalloc(sizeof(*d));
	const struct engine_hooks hooks = {
		.arg = d,
		.seen = on_seen,
		.gone = on_gone,
		.listed = on_listed,
		.state = on_state,
	};
	int err;

	d->cfg = *config;
	err = engine_open(d->cfg.loop, d->cfg.host, &hooks, &d->engine);
	if (err) {
		free(d);
		return err;
	}
	d->nets = json_object();
	ev_init(&d->look, on_look);
	ev_timer_init(&d->tick, on_tick, TICK_S, TICK_S);
	ev_timer_start(d->cfg.loop, &d->tick);
	for (struct net *net = d->cfg.model->nets; net; net = net->hh.next)
		note_net(d, net->name);
	reconcile_watch(d->cfg.reconcile, on_mark, d);
	*ret = d;
	return 0;
}

void discover_close(struct discover *d)
{
	struct container *c, *c_tmp;
	struct care *care, *tmp;

	if (!d)
		return;
	reconcile_watch(d->cfg.reconcile, NULL, NULL);
	engine_close(d->engine);
	ev_timer_stop(d->cfg.loop, &d->look);
	ev_timer_stop(d->cfg.loop, &d->tick);
	HASH_ITER (hh, d->containers, c, c_tmp) {
		HASH_DEL(d->containers, c);
		container_free(c);
	}
	HASH_ITER (hh, d->cares, care, tmp)
		care_drop(d, care);
	json_decref(d->nets);
	free(d);
}

/* ---- for people ---- */

static json_t *pod_part(const struct container *c, struct pod *pod,
			json_t *problems)
{
	AUTO(json_freep) json_t *found = container_found(c, pod, problems);
	json_t *labels = json_object_get(found, "labels");
	json_t *nets = json_array();
	const char *service = "";

	for (size_t i = 0; i < pod->nets_len; i++) {
		const char *name =
			labels_service_name(labels, pod->nets[i].network);

		if (name)
			service = name;
		json_array_append_new(
			nets, json_pack("{s:s, s:o, s:o}", "network",
					pod->nets[i].network, "ip",
					json_ip(&pod->nets[i].addr), "names",
					pod_aliases(pod, &pod->nets[i])));
	}
	return json_pack("{s:s, s:s, s:o}", "pod", pod->name, "service",
			 service, "networks", nets);
}

/* A container that is no pod of ours is no row. */
static void add_container(const struct discover *d, const struct container *c,
			  json_t *list)
{
	struct pod *pod;

	for (pod = d->cfg.model->pods; pod; pod = pod->hh.next) {
		json_t *problems, *row;

		if (!container_is_pod(c, pod))
			continue;
		problems = json_deep_copy(c->problems);
		row = pod_part(c, pod, problems);
		json_object_set_new(row, "name", json_string(c->name));
		json_object_set_new(row, "id", json_string(c->id));
		json_object_set_new(row, "state",
				    json_string(*c->unready ? c->unready
							    : "up"));
		json_object_set_new(row, "problems", problems);
		json_array_append_new(list, row);
	}
}

json_t *discover_json(const struct discover *d)
{
	json_t *containers = json_array(), *services = json_array();

	for (const struct container *c = d ? d->containers : NULL; c;
	     c = c->hh.next)
		add_container(d, c, containers);
	for (const struct care *care = d ? d->cares : NULL; care;
	     care = care->hh.next)
		json_array_append_new(
			services,
			json_pack("{s:s, s:s, s:s, s:s}", "service",
				  strchr(care->key, '/') + 1, "network",
				  care->net, "state",
				  care->gone_at ? "lingers" : "wished",
				  "problem", care->problem));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "host",
			 d ? d->cfg.host : "", "state",
			 !d	    ? "off"
			 : d->is_up ? "up"
				    : "away",
			 "error", d ? d->error : "", "version",
			 d ? d->version : "", "containers", containers,
			 "services", services);
}
