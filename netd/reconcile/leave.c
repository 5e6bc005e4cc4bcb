/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that are told of before they go. Other nodes learn some milliseconds
 * late that a pod is a backend no more: a connection that they begun just
 * before would meet no link. So balancers and names leave it first, its link
 * a while later; in between it drains.
 *
 * What serves nobody has nothing to wait for. After a crash nothing waits: a
 * pod that was to go goes at once, of one attachment the asker asks again.
 */
#include "rc.h"

#include "json.h"
#include "netd/util.h"
#include "service.h"

static bool names_it(const struct service *s, const struct attachment *at)
{
	for (size_t i = 0; i < s->statics_len; i++)
		if (ip_eq(&s->statics[i].addr, &at->addr))
			return true;
	return false;
}

/* Is it one of a service's backends? */
static bool serves(const struct reconcile *rc, const struct pod *pod,
		   const struct attachment *at)
{
	AUTO(json_freep) json_t *labels = pod_labels(pod);
	const struct net *net = model_net(rc->m, at->network);
	const struct service *s = net ? net->services : NULL;

	for (; s; s = s->hh.next)
		if (service_selects(s, labels) || names_it(s, at))
			return true;
	return false;
}

static int64_t leave(struct reconcile *rc, const struct pod *pod,
		     struct attachment *at, uint32_t ms, bool is_asked)
{
	/* Who is in a hurry may cut another's wait short. */
	if (at->leaves_at && is_asked)
		at->leaves_at = MIN(at->leaves_at, mono_ms() + ms);
	if (!at->leaves_at) {
		if (!ms || !at->is_up || !attachment_is_in(at) ||
		    !serves(rc, pod, at))
			return 0;
		at->leaves_at = mono_ms() + ms;
		rc_pod_show(rc, pod, at);
	}
	return MAX(at->leaves_at - mono_ms(), 0);
}

int64_t reconcile_pod_leave(struct reconcile *rc, struct pod *pod,
			    struct attachment *at, const uint32_t *ms)
{
	uint32_t limit = ms ? *ms : rc->cfg.leave_ms;
	int64_t wait = 0;

	for (size_t i = 0; i < pod->nets_len; i++)
		if (!at || at == &pod->nets[i])
			wait = MAX(wait,
				   leave(rc, pod, &pod->nets[i], limit, ms));
	/* From here on a crash is followed by its removal. */
	if (wait && !at && !pod->leaving) {
		pod->leaving = true;
		rc_pod_journal(rc, pod);
	}
	return wait;
}
