/* SPDX-License-Identifier: Apache-2.0 */
#include "ops.h"

#include <stdarg.h>
#include <sys/random.h>
#include <utlist.h>

#include "call.h"
#include "events.h"
#include "ipam.h"
#include "json.h"
#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"
#include "ula.h"

/* How often a request is run again because others were quicker. */
#define TRIES_MAX 50

/* How soon what must exist is tried again. */
#define DEFAULTS_RETRY_S 5.

struct ops {
	struct ops_config cfg;
	struct events *events;
	struct ev_timer defaults;
	/* Those that are run again later. */
	struct call *later;
	/* Requests that came in, and the next turn's part of them. */
	struct call *queue;
	struct ev_timer slice;
	/* Those that the store has. */
	struct call *committing;
	/* Done but for the links that they removed, oldest first. */
	struct call *removals;
	/* What exists from the start does, or was refused: ask away. */
	bool is_open;
};

static ops_fn *const handlers[] = {
	[API_NETWORK_CREATE] = op_network_create,
	[API_NETWORK_LIST] = op_network_list,
	[API_NETWORK_INSPECT] = op_network_inspect,
	[API_NETWORK_DELETE] = op_network_delete,
	[API_NETWORK_CONNECT] = op_network_connect,
	[API_NETWORK_DISCONNECT] = op_network_disconnect,
	[API_NETWORK_READY] = op_network_ready,
	[API_POD_CREATE] = op_pod_create,
	[API_POD_LIST] = op_pod_list,
	[API_POD_INSPECT] = op_pod_inspect,
	[API_POD_DELETE] = op_pod_delete,
	[API_POD_ATTACH] = op_pod_attach,
	[API_POD_DETACH] = op_pod_detach,
	[API_POD_CHECK] = op_pod_check,
	[API_POD_GC] = op_pod_gc,
	[API_SERVICE_CREATE] = op_service_create,
	[API_SERVICE_LIST] = op_service_list,
	[API_SERVICE_INSPECT] = op_service_inspect,
	[API_SERVICE_PS] = op_service_ps,
	[API_SERVICE_UPDATE] = op_service_update,
	[API_SERVICE_DRAIN] = op_service_drain,
	[API_SERVICE_UNDRAIN] = op_service_undrain,
	[API_SERVICE_DELETE] = op_service_delete,
	[API_DNS_RECORD_ADD] = op_dns_record_add,
	[API_DNS_RECORD_LIST] = op_dns_record_list,
	[API_DNS_RECORD_DELETE] = op_dns_record_delete,
	[API_DNS_UPSTREAM_SET] = op_dns_upstream_set,
	[API_DNS_UPSTREAM_LIST] = op_dns_upstream_list,
	[API_DNS_UPSTREAM_DELETE] = op_dns_upstream_delete,
	[API_DNS_QUERY] = op_dns_query,
	[API_DNS_STATS] = op_dns_stats,
	[API_DNS_CACHE_LIST] = op_dns_cache_list,
	[API_DNS_CACHE_FLUSH] = op_dns_cache_flush,
	[API_DNS_UPSTREAM_STATUS] = op_dns_upstream_status,
	[API_DNS_RESOLVED] = op_dns_resolved,
	[API_NODE_LIST] = op_node_list,
	[API_NODE_UPDATE] = op_node_update,
	[API_NODE_DRAIN] = op_node_drain,
	[API_STATUS] = op_status,
	[API_DROPS] = op_drops,
	[API_DROPS_WATCH] = op_drops_watch,
	[API_EVENTS] = op_events,
	[API_DOCKER_STATUS] = op_docker_status,
	[API_VERSION] = op_version,
};
_Static_assert(ARRAY_LEN(handlers) == API_OP_MAX, "a handler per operation");

const struct ops_config *call_config(const struct call *call)
{
	return &call->ops->cfg;
}

struct events *call_events(const struct call *call)
{
	return call->ops->events;
}

struct drops *call_drops(const struct call *call)
{
	return call->ops->cfg.drops;
}

static void call_free(struct call *call)
{
	json_decref(call->args);
	json_decref(call->reply);
	store_txn_free(call->txn);
	free(call);
}

/* An engine tells its user that much of it, and an operator nothing. */
static void tell_refused(const struct call *call)
{
	const char *container = call_str(call, "container");

	if (call->fn == op_pod_attach && call->refusal.code != API_OK)
		event_tell(EVENT_CNI_REFUSED, container, NULL, NULL, "%s",
			   call->refusal.message);
}

static void answer(struct call *call)
{
	tell_refused(call);
	if (call->done)
		call->done(call->done_arg, &call->refusal, call->reply);
	else if (call->req && call->refusal.code != API_OK)
		http_reply_error(call->req, call->refusal.code,
				 call->refusal.field, call->refusal.message,
				 call->refusal.hint);
	else if (call->req)
		http_reply(call->req, 200, take_ptr(call->reply));
	else if (call->refusal.code != API_OK)
		log_warn_limited("api: %s: %s", call->name,
				 call->refusal.message);
	call_free(call);
}

/* Whoever hears that it is gone may make the same again. */
static void finish(struct call *call)
{
	if (call->links && call->links > reconcile_gone(call->rc))
		DL_APPEND(call->ops->removals, call);
	else
		answer(call);
}

static void links_gone(void *arg)
{
	struct ops *ops = arg;
	struct call *call, *next;

	DL_FOREACH_SAFE (ops->removals, call, next) {
		if (call->links > reconcile_gone(call->rc))
			continue;
		DL_DELETE(ops->removals, call);
		answer(call);
	}
}

static void run(struct call *call);

static void refuse_commit(struct call *call, int err)
{
	struct store_status st = store_status(call->ops->cfg.store);
	struct refusal *r = &call->refusal;

	switch (err) {
	case -ETIMEDOUT:
		refuse(r, API_TIMEOUT, NULL,
		       "look whether it happened before you try again",
		       "the store did not answer in time");
		break;
	case -EAGAIN:
		refuse(r, API_CONFLICT, NULL, "try again",
		       "others changed the same objects all the time");
		break;
	case -EHOSTDOWN:
		refuse(r, API_UNAVAILABLE, NULL,
		       "packets and names go on; try again when the store is "
		       "back (netctl status)",
		       "the store is away, nothing was changed: %s", st.error);
		break;
	case -ENOSPC:
		refuse(r, API_EXHAUSTED, NULL,
		       "free space: etcd wants compaction, defragmentation and "
		       "`etcdctl alarm disarm`",
		       "the store is full, nothing was changed: %s", st.where);
		break;
	default:
		refuse(r, API_INTERNAL, NULL, "see the log of netd",
		       "the store refused, nothing was changed: %s",
		       strerror(-err));
	}
}

static void committed(void *arg, int err, int64_t rev)
{
	struct call *call = arg;

	(void)rev;
	DL_DELETE(call->ops->committing, call);
	if ((err == -EAGAIN || (!err && call->again)) &&
	    ++call->tries < TRIES_MAX) {
		run(call);
		return;
	}
	if (err)
		refuse_commit(call, err);
	finish(call);
}

static void later_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct call *call = container_of(w, struct call, timer);

	(void)loop;
	(void)revents;
	DL_DELETE(call->ops->later, call);
	run(call);
}

static void run_later(struct call *call)
{
	call->is_later = true;
	store_txn_free(take_ptr(call->txn));
	DL_APPEND(call->ops->later, call);
	ev_timer_init(&call->timer, later_cb, (double)call->later_ms / 1000.,
		      0.);
	ev_timer_start(call->ops->cfg.loop, &call->timer);
}

/* One look at the model, and what follows from it. */
static void run(struct call *call)
{
	LAG(LAG_REQUESTS);
	uint64_t doomed = call->rc ? reconcile_doomed(call->rc) : 0;
	enum ops_next next;

	json_decref(call->reply);
	call->reply = NULL;
	call->refusal = (struct refusal){ 0 };
	call->txn = store_txn_new();
	next = call->fn(call);
	if (call->rc && reconcile_doomed(call->rc) != doomed)
		call->links = reconcile_doomed(call->rc);
	call->again = next == OPS_AGAIN;
	if (next == OPS_TAKEN) {
		call_free(call);
		return;
	}
	if (next == OPS_LATER) {
		run_later(call);
		return;
	}
	if (next == OPS_REFUSE || next == OPS_REPLY) {
		if (next == OPS_REFUSE && call->refusal.code == API_OK)
			refuse(&call->refusal, API_INTERNAL, NULL,
			       "see the log of netd", "%s failed", call->name);
		finish(call);
		return;
	}
	DL_APPEND(call->ops->committing, call);
	store_commit(call->ops->cfg.store, take_ptr(call->txn), committed,
		     call);
}

void ops_forget(struct ops *ops, const void *arg)
{
	struct call *const lists[] = { ops->later, ops->committing,
				       ops->removals };
	struct call *call;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		DL_FOREACH (lists[i], call)
			if (call->done_arg == arg)
				call->done = NULL;
}

void ops_free(struct ops *ops)
{
	struct call *call, *tmp;

	if (!ops)
		return;
	DL_FOREACH_SAFE (ops->later, call, tmp) {
		DL_DELETE(ops->later, call);
		ev_timer_stop(ops->cfg.loop, &call->timer);
		call_free(call);
	}
	DL_FOREACH_SAFE (ops->queue, call, tmp)
		call_free(call);
	DL_FOREACH_SAFE (ops->committing, call, tmp)
		call_free(call);
	DL_FOREACH_SAFE (ops->removals, call, tmp)
		call_free(call);
	ev_timer_stop(ops->cfg.loop, &ops->slice);
	ev_timer_stop(ops->cfg.loop, &ops->defaults);
	events_free(ops->events);
	free(ops);
}

/* The asker went: what was begun ends by itself, only nobody is told. */
static void gone(void *arg)
{
	struct call *call = arg;

	call->req = NULL;
}

static struct call *call_new(struct ops *ops, const char *name, ops_fn *fn,
			     json_t *args)
{
	struct call *call = xzalloc(sizeof(*call));

	call->ops = ops;
	call->m = ops->cfg.model;
	call->rc = ops->cfg.reconcile;
	call->name = name;
	call->fn = fn;
	call->args = args;
	return call;
}

/* What can be told, or watched, before the store has been read. */
static bool needs_store(int op)
{
	static const enum api_op free_of_it[] = { API_STATUS, API_VERSION,
						  API_EVENTS, API_DROPS,
						  API_DROPS_WATCH };

	for (size_t i = 0; i < ARRAY_LEN(free_of_it); i++)
		if (op == (int)free_of_it[i])
			return false;
	return true;
}

static void slice_soon(struct ops *ops)
{
	if (ev_is_active(&ops->slice))
		return;
	ev_timer_set(&ops->slice, 0., 0.);
	ev_timer_start(ops->cfg.loop, &ops->slice);
}

static void slice_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct ops *ops = container_of(w, struct ops, slice);
	struct call *call;
	int64_t end = lag_slice_end();

	(void)loop;
	(void)revents;
	/* A request that came when the timer had ended, and this had not been
	 * called yet, started it again and is run here: none is left then. */
	while ((call = ops->queue) && mono_us() < end) {
		DL_DELETE(ops->queue, call);
		run(call);
	}
	if (ops->queue)
		slice_soon(ops);
}

void ops_handle(void *arg, struct http_request *req)
{
	struct ops *ops = arg;
	struct call *call;

	if (!ops->is_open && needs_store(req->op)) {
		http_reply_error(req, API_UNAVAILABLE, "",
				 "netd has not read its store yet",
				 store_status(ops->cfg.store).error);
		return;
	}
	call = call_new(ops, api_ops[req->op].name, handlers[req->op],
			json_incref(req->args));
	call->req = req;
	http_on_gone(req, gone, call);
	DL_APPEND(ops->queue, call);
	slice_soon(ops);
}

void ops_call(struct ops *ops, const char *name, ops_fn *fn, json_t *args,
	      ops_done_fn *done, void *arg)
{
	struct call *call = call_new(ops, name, fn, args);

	call->done = done;
	call->done_arg = arg;
	run(call);
}

void ops_run(struct ops *ops, enum api_op op, json_t *args, ops_done_fn *done,
	     void *arg)
{
	ops_call(ops, api_ops[op].name, handlers[op], args, done, arg);
}

/* Refused is an answer, too: without the network the rest can be asked. */
static void defaults_made(void *arg, const struct refusal *r, json_t *reply)
{
	struct ops *ops = arg;

	(void)reply;
	ops->is_open = true;
	if (r->code != API_OK)
		log_warn_limited("api: network \"default\": %s", r->message);
}

/* A route over every pool, or a store away, may end. */
static void defaults_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct ops *ops = container_of(w, struct ops, defaults);

	(void)revents;
	if (model_net(ops->cfg.model, "default")) {
		ops->is_open = true;
		ev_timer_stop(loop, w);
	} else if (store_status(ops->cfg.store).state == STORE_UP) {
		ops_run(ops, API_NETWORK_CREATE,
			json_pack("{s:s}", "name", "default"), defaults_made,
			ops);
	}
}

int ops_new(const struct ops_config *config, struct ops **ret)
{
	struct ops *ops = xzalloc(sizeof(*ops));

	ops->cfg = *config;
	ops->events = events_new();
	if (config->reconcile)
		reconcile_on_gone(config->reconcile, links_gone, ops);
	ev_timer_init(&ops->slice, slice_cb, 0., 0.);
	ev_timer_init(&ops->defaults, defaults_cb, 0., DEFAULTS_RETRY_S);
	*ret = ops;
	return 0;
}

void ops_make_defaults(struct ops *ops)
{
	ev_timer_start(ops->cfg.loop, &ops->defaults);
}

const char *call_str(const struct call *call, const char *name)
{
	return json_string_value(json_object_get(call->args, name));
}

bool call_bool(const struct call *call, const char *name)
{
	return json_is_true(json_object_get(call->args, name));
}

json_t *call_list(const struct call *call, const char *name)
{
	return json_object_get(call->args, name);
}

static void format_key(char key[PATH_LEN], const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void format_key(char key[PATH_LEN], const char *fmt, va_list ap)
{
	/* Every part is a name that was checked: it always fits. */
	vsnprintf(key, PATH_LEN, fmt, ap);
}

void call_put(struct call *call, json_t *value, const char *fmt, ...)
{
	AUTO(json_freep) json_t *owned = value;
	AUTO(str_freep) char *line = json_line(owned);
	char key[PATH_LEN];
	va_list ap;

	va_start(ap, fmt);
	format_key(key, fmt, ap);
	va_end(ap);
	store_txn_put(call->txn, key, line);
}

void call_del(struct call *call, const char *fmt, ...)
{
	char key[PATH_LEN];
	va_list ap;

	va_start(ap, fmt);
	format_key(key, fmt, ap);
	va_end(ap);
	store_txn_del(call->txn, key);
}

void call_is(struct call *call, int64_t rev, const char *fmt, ...)
{
	char key[PATH_LEN];
	va_list ap;

	va_start(ap, fmt);
	format_key(key, fmt, ap);
	va_end(ap);
	store_txn_is(call->txn, key, rev);
}

void call_gen(struct call *call, const char *name, int64_t rev)
{
	call_is(call, rev, "c/gen/%s", name);
	call_put(call, json_pack("{s:i, s:I}", "schema", 1, "after", rev),
		 "c/gen/%s", name);
}

struct net *call_net(struct call *call, const char *arg)
{
	const char *name = call_str(call, arg);
	struct net *net = model_net(call->m, name ? name : "default");

	if (!net)
		refuse(&call->refusal, API_NOT_FOUND, arg,
		       "see: netctl network ls", "network \"%.64s\" not found",
		       name ? name : "default");
	return net;
}

struct pod *call_pod(struct call *call, const char *arg)
{
	const char *name = call_str(call, arg);
	struct pod *pod = model_pod_shown(call->m, name);

	if (!pod)
		refuse(&call->refusal, API_NOT_FOUND, arg,
		       "see: netctl pod ls; a pod is managed on its own node",
		       "pod \"%.64s\" not found on node %s", name,
		       call->m->self);
	return pod;
}

struct ip_prefix call_ula(struct call *call)
{
	struct ip_prefix ula = call->m->ula;
	uint8_t random[ULA_RANDOM];

	if (ula.len)
		return ula;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		abort();
	ula = ula_make(random);
	call_is(call, 0, "c/ula");
	call_put(call,
		 json_pack("{s:i, s:o}", "schema", 1, "prefix",
			   json_prefix(&ula)),
		 "c/ula");
	return ula;
}

int call_pick(struct call *call, const struct net *net,
	      const struct ip_addr *want, struct ip_addr *ret)
{
	struct ipam_change change = { 0 };
	int r = ipam_pick(call->m, net, reconcile_rests(call->rc), want, ret,
			  &change, &call->refusal);

	if (r == 1) {
		call_is(call, change.rev, "%s", change.key);
		call_put(call, change.value, "%s", change.key);
	}
	return r;
}
