/* SPDX-License-Identifier: Apache-2.0 */
#include "discover.h"

#include <ev.h>
#include <fcntl.h>

#include "cares.h"
#include "container.h"
#include "engine.h"
#include "event.h"
#include "json.h"
#include "labels.h"
#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"
#include "netns.h"

/* From a change to the look at it: bursts are one look. */
#define LOOK_S 0.05
/* What waits for its time is looked at this often. */
#define TICK_S 1.

struct discover {
	struct discover_config cfg;
	struct engine *engine;
	struct container *containers;
	struct cares *cares;
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

/* ---- looking ---- */

static void note_net(void *arg, const char *net)
{
	struct discover *d = arg;

	json_object_set_new(d->nets, net, json_true());
	look_soon(d);
}

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
	LAG(LAG_DOCKER);
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
	json_object_foreach (nets, name, unused)
		cares_look(d->cares, name);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	LAG(LAG_DOCKER);
	(void)loop, (void)revents;
	cares_tick(container_of(w, struct discover, tick)->cares);
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
	struct cares_config cares = {
		.model = config->model,
		.ops = config->ops,
		.again = note_net,
	};
	int err;

	d->cfg = *config;
	err = engine_open(d->cfg.loop, d->cfg.host, &hooks, &d->engine);
	if (err) {
		free(d);
		return err;
	}
	cares.arg = d;
	d->cares = cares_new(&cares);
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
	struct container *c, *tmp;

	if (!d)
		return;
	reconcile_watch(d->cfg.reconcile, NULL, NULL);
	engine_close(d->engine);
	ev_timer_stop(d->cfg.loop, &d->look);
	ev_timer_stop(d->cfg.loop, &d->tick);
	HASH_ITER (hh, d->containers, c, tmp) {
		HASH_DEL(d->containers, c);
		container_free(c);
	}
	cares_free(d->cares);
	json_decref(d->nets);
	free(d);
}

void discover_forget(struct model *m, struct reconcile *rc)
{
	struct pod *pod, *tmp;

	HASH_ITER (hh, m->pods, pod, tmp)
		if (pod->found)
			reconcile_pod_found(rc, pod, NULL);
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
			nets,
			json_pack("{s:s, s:o, s:o, s:o}", "network",
				  pod->nets[i].network, "ip",
				  json_ip(&pod->nets[i].addr), "ip6",
				  json_ip_or_none(&pod->nets[i].addr6), "names",
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
	json_t *containers = json_array();

	for (const struct container *c = d ? d->containers : NULL; c;
	     c = c->hh.next)
		add_container(d, c, containers);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "host",
			 d ? d->cfg.host : "", "state",
			 !d	    ? "off"
			 : d->is_up ? "up"
				    : "away",
			 "error", d ? d->error : "", "version",
			 d ? d->version : "", "containers", containers,
			 "services", d ? cares_json(d->cares) : json_array());
}
