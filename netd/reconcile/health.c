/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which backends can serve: the prober is told what to check, and what it
 * finds marks the network whose offer is then made anew. A drain's end is
 * the clock's.
 */
#include <time.h>

#include "netd/probe.h"
#include "plan.h"
#include "rc.h"

void rc_probes(struct reconcile *rc, const struct net *net)
{
	size_t len;
	struct want_probe *list = plan_probes(rc->m, net, &len);

	probe_begin(rc->cfg.probe, net->vni);
	for (size_t i = 0; i < len; i++)
		probe_put(rc->cfg.probe, &list[i]);
	probe_end(rc->cfg.probe, net->vni);
	free(list);
}

static struct probe_state state_of(void *arg, const struct probe_key *key)
{
	const struct reconcile *rc = arg;

	return probe_state(rc->cfg.probe, key);
}

struct plan_offer rc_offer(struct reconcile *rc, const struct net *net)
{
	const struct plan_health health = { .arg = rc, .state = state_of };

	return plan_up(rc->m, net, &health);
}

void reconcile_health_changed(struct reconcile *rc, const struct probe_key *key)
{
	const struct net *net = model_net_by_vni(rc->m, key->vni);

	if (net)
		rc_mark(rc, MARK_PUBLISH, net->name, "");
}

/* Does a drain's time end in (from, to]? */
static bool drain_ends(const struct service *s, int64_t from, int64_t to)
{
	const char *key;
	json_t *until;

	json_object_foreach (s->drains, key, until) {
		int64_t at = json_integer_value(until);

		if (at > from && at <= to)
			return true;
	}
	return false;
}

static bool node_drain_ends(const struct model *m, int64_t from, int64_t to)
{
	const struct node *node = m->nodes;

	for (; node; node = node->hh.next)
		if (node->drain_rev && node->drain_until > from &&
		    node->drain_until <= to)
			return true;
	return false;
}

void rc_drains_expire(struct reconcile *rc)
{
	int64_t before = rc->m->now;
	bool all;

	rc->m->now = time(NULL);
	all = node_drain_ends(rc->m, before, rc->m->now);
	for (struct net *net = rc->m->nets; net; net = net->hh.next)
		for (struct service *s = net->services; s; s = s->hh.next)
			if (all ||
			    (s->drains && drain_ends(s, before, rc->m->now)))
				rc_mark(rc, MARK_SERVICE, net->name, s->name);
}
