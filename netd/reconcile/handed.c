/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links that an engine moves itself. It asks for one, says when it is about
 * to take it back, and says nothing of what it does in between: whether a
 * link is in its container is seen by where its other end is. While one is
 * expected to be taken it is looked for often, because a container asks for
 * names as soon as it runs and its sockets are known by its namespace alone.
 */
#include "rc.h"

#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"
#include "overlay.h"

#define LOOK_S 0.01
/* Looks in a row that find nothing: from then on at every tick. */
#define LOOKS_MAX 1000

/* In the container: its namespace, its name there, and all who may know. */
static void take(struct reconcile *rc, struct pod *pod, struct attachment *at,
		 const struct overlay_link *link)
{
	at->cookie = link->cookie;
	memcpy(at->ifname, link->ifname, sizeof(at->ifname));
	at->hand = HAND_TAKEN;
	rc_pod_journal(rc, pod);
	rc_pod_adopt(rc, pod, at);
	rc_pod_clients(rc, pod);
	log_debug("reconcile: taken pod=%s net=%s", pod->name, at->network);
}

/* Out of names and balancing; the link stays where it is. */
static void set_out(struct reconcile *rc, struct pod *pod,
		    struct attachment *at, enum attachment_hand hand)
{
	rc_ports_del(rc, pod, at);
	rc_pod_hide(rc, at);
	at->hand = hand;
	rc_pod_journal(rc, pod);
}

/* True while the engine is still expected to take it. */
static bool check(struct reconcile *rc, struct pod *pod, struct attachment *at)
{
	struct overlay *ov = rc->cfg.overlay;
	struct overlay_link link = { 0 };

	if (at->hand == HAND_TAKEN && at->is_up &&
	    !overlay_pod_is_away(ov, at->id)) {
		log_info("reconcile: link is back pod=%s net=%s", pod->name,
			 at->network);
		set_out(rc, pod, at, HAND_OFFERED);
	}
	if (at->hand != HAND_OFFERED)
		return false;
	if (overlay_pod_moved(ov, at->id, pod->netns_path, &link))
		return true;
	take(rc, pod, at, &link);
	return false;
}

void rc_handed_check(struct reconcile *rc)
{
	struct pod *pod, *tmp;
	bool waits = false;

	HASH_ITER (hh, rc->m->pods, pod, tmp)
		for (size_t i = 0; i < pod->nets_len; i++)
			waits |= check(rc, pod, &pod->nets[i]);
	if (!waits)
		ev_timer_stop(rc->loop, &rc->handing);
}

static void look_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	LAG(LAG_PODS);
	struct reconcile *rc = container_of(w, struct reconcile, handing);

	(void)revents;
	rc_handed_check(rc);
	if (++rc->looks >= LOOKS_MAX)
		ev_timer_stop(loop, w);
}

void rc_handed_watch(struct reconcile *rc)
{
	ev_timer_init(&rc->handing, look_cb, LOOK_S, LOOK_S);
}

static int offer(struct reconcile *rc, struct pod *pod, struct attachment *at,
		 struct refusal *r)
{
	struct want_pod want = rc_pod_want(rc, pod, at);
	struct overlay_link link;
	int err = rc_pod_journal(rc, pod);

	if (err)
		return refuse(r, API_INTERNAL, NULL, "is the disk full?",
			      "pod \"%s\": the journal cannot be written: %s",
			      pod->name, strerror(-err));
	/* Gateway and zone first: the pod's first query must be answered. */
	rc_net(rc, at->network);
	err = overlay_pod_offer(rc->cfg.overlay, &want, &link);
	if (err)
		return refuse(r, API_INTERNAL, "network",
			      "see: netctl status, and the log of netd",
			      "pod \"%s\": cannot make its link to network "
			      "\"%s\": %s (%s)",
			      pod->name, at->network, strerror(-err),
			      overlay_error(rc->cfg.overlay));
	at->ifindex = link.ifindex;
	memcpy(at->ifname, link.ifname, sizeof(at->ifname));
	at->is_up = true;
	return rc_pod_journal(rc, pod);
}

int reconcile_pod_offer(struct reconcile *rc, struct pod *pod,
			const struct attachment *at, struct refusal *r)
{
	struct attachment *mine = &pod->nets[pod->nets_len++];
	int err;

	*mine = *at;
	mine->hand = HAND_OFFERED;
	if (!model_pod(rc->m, pod->name))
		model_pod_add(rc->m, pod);
	err = offer(rc, pod, mine, r);
	if (err) {
		event_tell(EVENT_POD_FAILED, pod->name, at->network, NULL, "%s",
			   r->message);
		rc_pod_drop(rc, pod, mine);
		return err;
	}
	rc->looks = 0;
	ev_timer_again(rc->loop, &rc->handing);
	return 0;
}

void reconcile_pod_left(struct reconcile *rc, struct pod *pod,
			struct attachment *at)
{
	set_out(rc, pod, at, HAND_LEFT);
}
