/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks, their order, and the audit.
 *
 * A mark says "look at this again"; the set of them is worked off in the order
 * of enum mark_kind (nodes before networks before services before names), so
 * that what a want refers to is in the kernel before it. The audit (audit.c)
 * marks nothing. It runs at start, after a lost event and once a minute.
 */
#include "rc.h"

#include <arpa/inet.h>
#include <time.h>

#include "json.h"
#include "lag.h"
#include "netd/dns.h"
#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/probe.h"
#include "netd/util.h"
#include "nl.h"
#include "overlay.h"

#define TICK_S 1.0
/* Between passes through the table of connections, and slices of one. */
#define AGE_PASS_S 5.0
#define AGE_SLICE_S 0.02
#define AUDIT_MS 60000

static void mark_cb(void *arg, enum mark_kind kind, const char *net,
		    const char *name)
{
	rc_mark(arg, kind, net, name);
}

/* What is read at the start has not just happened. */
static void told_cb(void *arg, enum event_id id, const char *name,
		    const char *net, const char *node, const char *message)
{
	const struct reconcile *rc = arg;

	if (rc->is_ready)
		event_tell(id, name, net, node ? node : "", "%s", message);
}

struct model_marks rc_marks(struct reconcile *rc)
{
	return (struct model_marks){ .arg = rc,
				     .mark = mark_cb,
				     .told = told_cb };
}

/* The store's state, when it is another than it was. */
static void tell_store(struct reconcile *rc)
{
	static const enum event_id ids[] = {
		[STORE_STARTING] = EVENT_ID_MAX,
		[STORE_UP] = EVENT_STORE_UP,
		[STORE_MIRROR] = EVENT_STORE_MIRROR,
		[STORE_FOREIGN] = EVENT_STORE_FOREIGN,
	};
	struct store_status st = store_status(rc->store);

	if (rc->store_told == st.state || st.state == STORE_STARTING)
		return;
	rc->store_told = st.state;
	event_tell(ids[st.state], st.where, NULL, NULL, "%s", st.error);
}

static void work_soon(struct reconcile *rc)
{
	if (ev_is_active(&rc->work))
		return;
	ev_timer_set(&rc->work, 0., 0.);
	ev_timer_start(rc->loop, &rc->work);
}

static void mark_add(struct reconcile *rc, struct mark **marks, const char *net,
		     const char *name)
{
	struct mark *mark;
	char key[sizeof(mark->key)];

	if (str_format(key, sizeof(key), "%s/%s", net, name))
		return;
	HASH_FIND_STR(*marks, key, mark);
	if (mark)
		return;
	mark = xzalloc(sizeof(*mark));
	memcpy(mark->key, key, sizeof(key));
	str_copy(mark->net, sizeof(mark->net), net);
	str_copy(mark->name, sizeof(mark->name), name);
	mark->seq = ++rc->mark_seq;
	HASH_ADD_STR(*marks, key, mark);
}

void rc_mark(struct reconcile *rc, enum mark_kind kind, const char *net,
	     const char *name)
{
	mark_add(rc, &rc->marks[kind], net, name);
	if (rc->watch)
		rc->watch(rc->watch_arg, kind, net, name);
	if (rc->is_ready)
		work_soon(rc);
}

void rc_mark_later(struct reconcile *rc, enum mark_kind kind, const char *net,
		   const char *name)
{
	mark_add(rc, &rc->later[kind], net, name);
}

static void marks_free(struct mark **marks)
{
	struct mark *mark, *tmp;

	HASH_ITER (hh, *marks, mark, tmp) {
		HASH_DEL(*marks, mark);
		free(mark);
	}
}

/* What failed a moment ago has its next try. */
static void mark_failed_again(struct reconcile *rc)
{
	for (size_t i = 0; i < MARK_KIND_MAX; i++) {
		struct mark *mark = rc->later[i];

		for (; mark; mark = mark->hh.next)
			rc_mark(rc, (enum mark_kind)i, mark->net, mark->name);
		marks_free(&rc->later[i]);
	}
}

void rc_complain(struct reconcile *rc, int err, const char *verb,
		 const char *object, const char *detail)
{
	char line[sizeof(rc->last_error)];

	snprintf(line, sizeof(line), "reconcile: cannot %s %s: %s%s%s", verb,
		 object, strerror(-err), *detail ? ": " : "", detail);
	if (!str_eq(line, rc->last_error))
		log_warn("%s", line);
	memcpy(rc->last_error, line, sizeof(line));
}

static void run_node(struct reconcile *rc, const struct mark *mark)
{
	rc_node(rc, mark->name);
}

static void run_net(struct reconcile *rc, const struct mark *mark)
{
	rc_net(rc, mark->net);
}

static void run_pods(struct reconcile *rc, const struct mark *mark)
{
	(void)mark;
	rc_pods_check(rc);
}

static void run_service(struct reconcile *rc, const struct mark *mark)
{
	rc_service(rc, mark->net, mark->name);
}

static void run_name(struct reconcile *rc, const struct mark *mark)
{
	rc_name(rc, mark->net, mark->name);
}

static void run_record(struct reconcile *rc, const struct mark *mark)
{
	rc_record(rc, mark->net, mark->name);
}

static void run_stub(struct reconcile *rc, const struct mark *mark)
{
	rc_stub(rc, mark->net, mark->name);
}

static void run_publish(struct reconcile *rc, const struct mark *mark)
{
	if (*mark->net)
		rc_publish_net(rc, mark->net);
	rc->publish_wanted = true;
}

static const struct {
	void (*run)(struct reconcile *rc, const struct mark *mark);
	enum lag_step step;
} runs[] = {
	[MARK_NODE] = { run_node, LAG_NODES },
	[MARK_NET] = { run_net, LAG_NETWORKS },
	[MARK_POD] = { run_pods, LAG_PODS },
	[MARK_SERVICE] = { run_service, LAG_SERVICES },
	[MARK_NAME] = { run_name, LAG_NAMES },
	[MARK_RECORD] = { run_record, LAG_NAMES },
	[MARK_STUB] = { run_stub, LAG_NAMES },
	[MARK_PUBLISH] = { run_publish, LAG_PUBLISH },
};
_Static_assert(ARRAY_LEN(runs) == MARK_KIND_MAX, "a run for every mark");

static void run_mark(struct reconcile *rc, enum mark_kind kind,
		     const struct mark *mark)
{
	LAG(runs[kind].step);

	runs[kind].run(rc, mark);
}

/* Publishing first shows what is ours to the plans of services. */
static const enum mark_kind order[] = {
	MARK_NODE,    MARK_NET,	 MARK_POD,    MARK_PUBLISH,
	MARK_SERVICE, MARK_NAME, MARK_RECORD, MARK_STUB,
};
_Static_assert(ARRAY_LEN(order) == MARK_KIND_MAX, "a place for every mark");

/* Takes the first mark of the first kind that has one. */
static struct mark *take_mark(struct reconcile *rc, enum mark_kind *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		struct mark *mark = rc->marks[order[i]];

		if (mark) {
			*kind = order[i];
			HASH_DEL(rc->marks[order[i]], mark);
			return mark;
		}
	}
	return NULL;
}

/* A kind's first mark is its oldest. */
bool rc_marks_wait(const struct reconcile *rc, uint64_t seq)
{
	for (size_t i = 0; i < MARK_KIND_MAX; i++)
		if (rc->marks[i] && rc->marks[i]->seq <= seq)
			return true;
	return false;
}

static void run_marks(struct reconcile *rc)
{
	int64_t end = lag_slice_end();
	enum mark_kind kind;
	struct mark *mark;

	while (mono_us() < end && (mark = take_mark(rc, &kind))) {
		run_mark(rc, kind, mark);
		free(mark);
	}
	if (rc_marks_wait(rc, rc->mark_seq))
		work_soon(rc);
	else if (rc->publish_wanted)
		rc_publish(rc);
}

/* The maps are filled: now packets may meet the programs. */
static void start_programs(struct reconcile *rc)
{
	LAG(LAG_PROGRAMS);
	int err = ebpf_start(rc->cfg.bpf);

	rc->is_started = !err;
	if (err)
		rc_complain(rc, err, "attach", "programs",
			    ebpf_error(rc->cfg.bpf));
}

/*
 * Somebody deleted netd0, and the overlay made another: the programs know the
 * old one by its number, so the rooms are opened anew.
 */
static bool tunnel_is_new(struct reconcile *rc)
{
	if (overlay_tunnel(rc->cfg.overlay).ifindex == rc->tunnel_ifindex)
		return false;
	log_warn("reconcile: the tunnel device was replaced");
	rc->cfg.on_tunnel_new(rc->cfg.arg);
	return true;
}

/* What packets go by must not wait for the rest. */
static void forget_ways(void *arg)
{
	const struct reconcile *rc = arg;

	ebpf_underlay_changed(rc->cfg.bpf);
}

/* The kernel changed something, ours or not. */
static void kernel_changed(void *arg)
{
	LAG(LAG_KERNEL);
	struct reconcile *rc = arg;

	rc->kernel_unseen = !rc->is_ready;
	if (!rc->is_ready)
		return;
	overlay_refresh(rc->cfg.overlay);
	if (tunnel_is_new(rc))
		return;
	rc_mark(rc, MARK_POD, "", "");
	rc_mark(rc, MARK_NODE, "", rc->m->self);
}

static void become_ready(struct reconcile *rc)
{
	rc->is_ready = true;
	start_programs(rc);
	if (rc->kernel_unseen)
		kernel_changed(rc);
	reconcile_tombstones(rc);
	log_info("reconcile: kernel and names are as the model says");
	if (rc->on_ready)
		rc->on_ready(rc->on_ready_arg);
}

static void audit(struct reconcile *rc)
{
	if (!rc->audit) {
		rc->audit_wanted = false;
		rc->audited_at = mono_ms();
		rc_audit_begin(rc);
	}
	if (rc_audit_slice(rc)) {
		rc->publish_wanted = true;
		if (!rc->is_ready)
			become_ready(rc);
	}
	work_soon(rc);
}

static void work_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct reconcile *rc = container_of(w, struct reconcile, work);

	(void)loop;
	(void)revents;
	/* What has just changed goes before what should be as it was. */
	if (rc->is_ready)
		run_marks(rc);
	if (rc->audit || rc->audit_wanted)
		audit(rc);
}

void reconcile_audit(struct reconcile *rc)
{
	rc->audit_wanted = true;
	work_soon(rc);
}

/*
 * The mirror may be served as soon as it is clear that the store is away; it
 * was whole once, so nothing is deleted that was not deleted before. A node
 * that never saw its store knows nothing and waits.
 */
static void check_mirror(struct reconcile *rc)
{
	struct store_status st = store_status(rc->store);

	if (!rc->is_ready && !rc->audit && !rc->audit_wanted && st.rev > 0 &&
	    (st.state == STORE_MIRROR || st.state == STORE_FOREIGN))
		reconcile_audit(rc);
}

static void aging_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	LAG(LAG_CONNECTIONS);
	struct reconcile *rc = container_of(w, struct reconcile, aging);

	(void)revents;
	if (ebpf_flows_age(rc->cfg.bpf)) {
		w->repeat = AGE_SLICE_S;
	} else {
		rc_flows_watch(rc);
		w->repeat = AGE_PASS_S;
	}
	ev_timer_again(loop, w);
}

static void tick_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	LAG(LAG_TICK);
	struct reconcile *rc = container_of(w, struct reconcile, tick);

	(void)loop;
	(void)revents;
	check_mirror(rc);
	tell_store(rc);
	if (!rc->is_ready)
		return;
	if (!rc->is_started)
		start_programs(rc);
	rc_drains_expire(rc);
	mark_failed_again(rc);
	rc_handed_check(rc);
	reconcile_tombstones(rc);
	rc_rests_expire(rc);
	if (mono_ms() - rc->audited_at >= AUDIT_MS)
		reconcile_audit(rc);
	if (mono_ms() - rc->held_at >= 5000) {
		AUTO(json_freep) json_t *old = rc->held;

		rc->held_at = mono_ms();
		rc->held = held_ports(rc->m);
		if (!json_equal(old, rc->held))
			for (struct net *n = rc->m->nets; n; n = n->hh.next)
				rc_mark(rc, MARK_PUBLISH, n->name, "");
	}
	if (rc->publish_wanted)
		work_soon(rc);
}

static void store_changed(void *arg, const struct store_kv *kv, size_t len)
{
	struct reconcile *rc = arg;
	struct model_marks marks = rc_marks(rc);

	for (size_t i = 0; i < len; i++) {
		rc_publish_seen(rc, &kv[i]);
		model_apply(rc->m, kv[i].key, kv[i].value, kv[i].rev, &marks);
	}
}

static void store_synced(void *arg)
{
	tell_store(arg);
	reconcile_audit(arg);
}

static void store_lease_new(void *arg)
{
	rc_publish_lease_new(arg);
}

struct store_hooks reconcile_store_hooks(struct reconcile *rc)
{
	return (struct store_hooks){
		.arg = rc,
		.changed = store_changed,
		.synced = store_synced,
		.lease_new = store_lease_new,
	};
}

int reconcile_new(const struct reconcile_config *config, struct reconcile **ret)
{
	struct reconcile *rc = xzalloc(sizeof(*rc));

	rc->cfg = *config;
	rc->loop = config->loop;
	rc->m = config->model;
	rc->m->now = time(NULL);
	rc->held = json_object();
	rc->tunnel_ifindex = overlay_tunnel(config->overlay).ifindex;
	ev_timer_init(&rc->work, work_cb, 0., 0.);
	ev_timer_init(&rc->tick, tick_cb, TICK_S, TICK_S);
	ev_timer_init(&rc->aging, aging_cb, AGE_PASS_S, AGE_PASS_S);
	rc_handed_watch(rc);
	*ret = rc;
	return 0;
}

int reconcile_load(struct reconcile *rc, struct store *store)
{
	const struct nl_watch_calls calls = {
		.at_once = forget_ways,
		.soon = kernel_changed,
		.arg = rc,
	};

	rc->store = store;
	rc_pods_load(rc);
	ev_timer_start(rc->loop, &rc->tick);
	ev_timer_start(rc->loop, &rc->aging);
	return nl_watch(rc->cfg.nl, rc->loop, &calls);
}

void reconcile_free(struct reconcile *rc)
{
	struct told_net *net, *net_tmp;
	struct told_service *s, *s_tmp;

	if (!rc)
		return;
	ev_timer_stop(rc->loop, &rc->work);
	ev_timer_stop(rc->loop, &rc->tick);
	ev_timer_stop(rc->loop, &rc->aging);
	ev_timer_stop(rc->loop, &rc->handing);
	for (size_t i = 0; i < MARK_KIND_MAX; i++) {
		marks_free(&rc->marks[i]);
		marks_free(&rc->later[i]);
	}
	HASH_ITER (hh, rc->nets, net, net_tmp) {
		HASH_DEL(rc->nets, net);
		free(net->routes);
		free(net);
	}
	HASH_ITER (hh, rc->services, s, s_tmp) {
		HASH_DEL(rc->services, s);
		free(s);
	}
	rests_free(&rc->rests);
	rc_audit_free(rc);
	rc_publish_free(rc);
	json_decref(rc->held);
	free(rc);
}

bool reconcile_is_ready(const struct reconcile *rc)
{
	return rc->is_ready;
}

void reconcile_watch(struct reconcile *rc,
		     void (*fn)(void *arg, enum mark_kind kind, const char *net,
				const char *name),
		     void *arg)
{
	rc->watch = fn;
	rc->watch_arg = arg;
}

void reconcile_on_ready(struct reconcile *rc, void (*fn)(void *arg), void *arg)
{
	rc->on_ready = fn;
	rc->on_ready_arg = arg;
}

struct rest *reconcile_rests(struct reconcile *rc)
{
	return rc->rests;
}

uint32_t reconcile_mtu(const struct reconcile *rc)
{
	return overlay_tunnel(rc->cfg.overlay).mtu;
}
