/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit, a slice at a time: everything is put between begin and end, and
 * the backends delete what was not put. What there is to put is written down
 * by name, list by list, when its turn comes, because the loop hears others
 * between two slices: what is gone by then is told as gone, and what is new
 * or another has a mark, whose put counts as well as the audit's own. So each
 * step of the sweep waits for the marks that were there when its turn came.
 * Before the first audit has ended no marks run; they do right after it.
 *
 * Lists are in the order of marks (see reconcile.c): what a want refers to is
 * in the kernel before it.
 */
#include "rc.h"

#include "lag.h"
#include "netd/dns.h"
#include "netd/ebpf.h"
#include "netd/probe.h"
#include "netd/util.h"
#include "nl.h"
#include "overlay.h"
#include "static_record.h"

/* Names, each with its terminating 0, and how far they have been read. */
struct names {
	char *text;
	size_t len, room, at;
};

struct audit {
	size_t phase;
	bool is_begun;
	/* The newest mark there was when the phase before it ended. */
	uint64_t mark_seq;
	/* Whose content is looked at, if the phase is one of networks'. */
	struct names nets;
	char net[NAME_LEN];
	struct names items;
};

static void names_add(struct names *names, const char *name)
{
	size_t size = strlen(name) + 1;

	if (names->len + size > names->room) {
		names->room = MAX(2 * names->room, names->len + size);
		names->text = xrealloc(names->text, names->room);
	}
	memcpy(names->text + names->len, name, size);
	names->len += size;
}

/* NULL after the last. */
static const char *names_next(struct names *names)
{
	const char *name;

	if (names->at == names->len)
		return NULL;
	name = names->text + names->at;
	names->at += strlen(name) + 1;
	return name;
}

static void names_clear(struct names *names)
{
	names->len = names->at = 0;
}

/* ---- what there is ---- */

typedef void list_fn(const struct reconcile *rc, const struct net *net,
		     struct names *ret);

static void list_nodes(const struct reconcile *rc, const struct net *net,
		       struct names *ret)
{
	(void)net;
	for (struct node *n = rc->m->nodes; n; n = n->hh.next)
		names_add(ret, n->name);
}

static void list_nets(const struct reconcile *rc, const struct net *net,
		      struct names *ret)
{
	(void)net;
	for (struct net *n = rc->m->nets; n; n = n->hh.next)
		names_add(ret, n->name);
}

static void list_pods(const struct reconcile *rc, const struct net *net,
		      struct names *ret)
{
	(void)net;
	for (struct pod *pod = rc->m->pods; pod; pod = pod->hh.next)
		names_add(ret, pod->key);
}

static void list_services(const struct reconcile *rc, const struct net *net,
			  struct names *ret)
{
	(void)rc;
	for (struct service *s = net->services; s; s = s->hh.next)
		names_add(ret, s->name);
}

static void list_names(const struct reconcile *rc, const struct net *net,
		       struct names *ret)
{
	(void)rc;
	for (struct pod_name *pn = net->names; pn; pn = pn->hh.next)
		names_add(ret, pn->name);
}

static void list_records(const struct reconcile *rc, const struct net *net,
			 struct names *ret)
{
	(void)rc;
	for (struct static_record *r = net->records; r; r = r->hh.next)
		names_add(ret, r->name);
}

/* ---- what is done about each ---- */

typedef void look_fn(struct reconcile *rc, const char *net, const char *name);

static void put_host(struct reconcile *rc)
{
	uint64_t cookie;

	if (!nl_cookie(rc->cfg.nl, &cookie))
		ebpf_host_put(rc->cfg.bpf, cookie);
	for (size_t i = 0; i < rc->cfg.guards_len; i++)
		ebpf_guard_put(rc->cfg.bpf, &rc->cfg.guards[i]);
}

static void look_begin(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	(void)name;
	overlay_audit_begin(rc->cfg.overlay);
	ebpf_audit_begin(rc->cfg.bpf);
	dns_audit_begin(rc->cfg.dns);
	put_host(rc);
	rc_resolvers(rc);
}

static void look_kernel(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	(void)name;
	overlay_refresh(rc->cfg.overlay);
}

static void look_node(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	rc_node(rc, name);
}

static void look_self(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	(void)name;
	rc_self(rc);
}

static void look_net(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	rc_net(rc, name);
}

static void look_pod(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	rc_pod_look(rc, name);
}

static void look_pods(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	(void)name;
	rc_pods_check(rc);
}

static void look_offer(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	rc_publish_net(rc, name);
}

static void look_stubs(struct reconcile *rc, const char *net, const char *name)
{
	const struct net *of = name ? model_net(rc->m, name) : NULL;
	const struct stub_zone *stub = of ? of->stubs : rc->m->stubs;

	(void)net;
	if (name && !of)
		return;
	for (; stub; stub = stub->hh.next)
		rc_stub(rc, name ? name : "", stub->zone);
}

static void look_gone(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	(void)name;
	rc_services_sweep(rc);
	rc_nets_sweep(rc);
}

/* Links and their map entries go by the overlay, hence first. */
static void end_overlay(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	(void)name;
	overlay_audit_end(rc->cfg.overlay);
}

static void end_ebpf(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	(void)name;
	ebpf_audit_end(rc->cfg.bpf);
}

static void end_names(struct reconcile *rc, const char *net, const char *name)
{
	(void)net;
	(void)name;
	dns_audit_end(rc->cfg.dns);
	probe_sweep(rc->cfg.probe);
}

static const struct phase {
	/* NULL: it is done once, without a name. */
	list_fn *list;
	look_fn *look;
	enum lag_step step;
	/* The list is one for each network. */
	bool in_nets;
	/* It deletes what was not put. */
	bool is_sweep;
} phases[] = {
	{ NULL, look_kernel, LAG_KERNEL, false, false },
	{ NULL, look_begin, LAG_AUDIT, false, false },
	{ list_nodes, look_node, LAG_NODES, false, false },
	{ NULL, look_self, LAG_NODES, false, false },
	{ list_nets, look_net, LAG_NETWORKS, false, false },
	{ list_pods, look_pod, LAG_PODS, false, false },
	{ NULL, look_pods, LAG_PODS, false, false },
	{ list_nets, look_offer, LAG_PUBLISH, false, false },
	{ list_services, rc_service, LAG_SERVICES, true, false },
	{ list_names, rc_name, LAG_NAMES, true, false },
	{ list_records, rc_record, LAG_NAMES, true, false },
	{ list_nets, look_stubs, LAG_NAMES, false, false },
	{ NULL, look_stubs, LAG_NAMES, false, false },
	{ NULL, look_gone, LAG_AUDIT, false, true },
	{ NULL, end_overlay, LAG_AUDIT, false, true },
	{ NULL, end_ebpf, LAG_AUDIT, false, true },
	{ NULL, end_names, LAG_AUDIT, false, true },
};

/* ---- going on ---- */

static void begin_phase(struct reconcile *rc, struct audit *a)
{
	const struct phase *phase = &phases[a->phase];

	names_clear(&a->nets);
	names_clear(&a->items);
	if (phase->in_nets)
		list_nets(rc, NULL, &a->nets);
	else if (phase->list)
		phase->list(rc, NULL, &a->items);
	else
		phase->look(rc, "", NULL);
}

/* The next network that has any. */
static const char *next_of_nets(struct reconcile *rc, struct audit *a)
{
	const char *name, *item = NULL;

	while (!item && (name = names_next(&a->nets))) {
		const struct net *net = model_net(rc->m, name);

		names_clear(&a->items);
		str_copy(a->net, sizeof(a->net), name);
		if (net)
			phases[a->phase].list(rc, net, &a->items);
		item = names_next(&a->items);
	}
	return item;
}

/* One thing more of the phase; false: there is none. */
static bool look_at_next(struct reconcile *rc, struct audit *a)
{
	const char *name = names_next(&a->items);

	if (!name)
		name = next_of_nets(rc, a);
	if (name)
		phases[a->phase].look(rc, a->net, name);
	return name;
}

/* As much of the phase as there is time for. */
static void go_on(struct reconcile *rc, struct audit *a, int64_t end)
{
	LAG(phases[a->phase].step);

	if (!a->is_begun)
		begin_phase(rc, a);
	a->is_begun = true;
	while (look_at_next(rc, a))
		if (mono_us() >= end)
			return;
	a->is_begun = false;
	a->phase++;
	a->mark_seq = rc->mark_seq;
}

static bool waits_for_marks(const struct reconcile *rc, const struct audit *a)
{
	return rc->is_ready && phases[a->phase].is_sweep &&
	       rc_marks_wait(rc, a->mark_seq);
}

void rc_audit_free(struct reconcile *rc)
{
	if (!rc->audit)
		return;
	free(rc->audit->nets.text);
	free(rc->audit->items.text);
	free(take_ptr(rc->audit));
}

void rc_audit_begin(struct reconcile *rc)
{
	rc->audit = xzalloc(sizeof(*rc->audit));
}

bool rc_audit_slice(struct reconcile *rc)
{
	int64_t end = lag_slice_end();
	struct audit *a = rc->audit;

	do {
		if (waits_for_marks(rc, a))
			return false;
		go_on(rc, a, end);
		if (a->phase == ARRAY_LEN(phases)) {
			rc_audit_free(rc);
			return true;
		}
	} while (mono_us() < end);
	return false;
}
