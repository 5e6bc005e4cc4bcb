/* SPDX-License-Identifier: Apache-2.0 */
/* Attachments as a container engine knows them: given up, and looked at. */
#include "rc.h"

#include "netd/ebpf.h"
#include "netd/util.h"
#include "overlay.h"

size_t reconcile_pod_detach(struct reconcile *rc, const char *owner,
			    const char *container, const char *ifname)
{
	struct pod *pod = model_pod_of(rc->m, owner, container);
	size_t n = 0;

	for (size_t i = pod ? pod->nets_len : 0; i-- > 0;) {
		if (!str_eq(pod->nets[i].ifname, ifname))
			continue;
		n++;
		if (pod->nets_len == 1) {
			reconcile_pod_remove(rc, pod);
			break;
		}
		reconcile_pod_disconnect(rc, pod, &pod->nets[i]);
	}
	return n;
}

int64_t reconcile_pod_detaches(struct reconcile *rc, const char *owner,
			       const char *container, const char *ifname)
{
	struct pod *pod = model_pod_of(rc->m, owner, container);
	int64_t wait = 0;

	for (size_t i = 0; pod && i < pod->nets_len; i++)
		if (str_eq(pod->nets[i].ifname, ifname))
			wait = reconcile_pod_leave(rc, pod, &pod->nets[i],
						   NULL);
	return wait;
}

struct want_pod reconcile_pod_want(struct reconcile *rc, const struct pod *pod,
				   const struct attachment *at)
{
	return rc_pod_want(rc, pod, at);
}

void reconcile_pod_link(const struct attachment *at, char ret[LINK_NAME_LEN])
{
	if (overlay_pod_link(at->id, ret))
		ret[0] = '\0';
}

int reconcile_pod_check(struct reconcile *rc, const struct pod *pod,
			const struct attachment *at, int netns,
			struct refusal *r)
{
	struct want_pod want = rc_pod_want(rc, pod, at);
	struct overlay_link link = { .ifindex = at->ifindex,
				     .cookie = at->cookie };
	const char *why = "";
	int err;

	memcpy(link.ifname, at->ifname, sizeof(link.ifname));
	err = overlay_pod_check(rc->cfg.overlay, &want, netns, &link);
	if (err)
		why = overlay_error(rc->cfg.overlay);
	if (!err && rc_ports_check(rc, pod, at)) {
		err = -ENOENT;
		why = ebpf_error(rc->cfg.bpf);
	}
	if (err)
		refuse(r, API_NOT_FOUND, "ifname",
		       "attach it anew: remove the attachment and add it again",
		       "pod \"%s\" on network \"%s\": %s", pod->name,
		       at->network, why);
	return err;
}

uint64_t reconcile_doomed(const struct reconcile *rc)
{
	return overlay_doomed(rc->cfg.overlay);
}

uint64_t reconcile_gone(const struct reconcile *rc)
{
	return overlay_gone(rc->cfg.overlay);
}

void reconcile_on_gone(struct reconcile *rc, void (*fn)(void *arg), void *arg)
{
	overlay_on_gone(rc->cfg.overlay, fn, arg);
}
