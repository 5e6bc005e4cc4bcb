/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile - truth to wants: keeps kernel and names as the model says.
 *
 * Whatever happens (a commit, a watch event, a kernel event, a timer) only
 * marks objects; the next loop turn plans them anew and tells the backends,
 * which send the difference. Start, repair and normal change are this one
 * path. Pods alone are attached and removed at once, because their request is
 * answered with how that went.
 *
 * Loop thread only. Failures: -errno, or -EINVAL with the refusal filled.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "ipam.h"
#include "model.h"
#include "pod.h"
#include "store.h"

struct dns;
struct ebpf;
struct ev_loop;
struct nl;
struct overlay;
struct probe;
struct probe_key;
struct reconcile;

struct reconcile_config {
	struct ev_loop *loop;
	struct model *model;
	struct nl *nl;
	struct overlay *overlay;
	struct ebpf *bpf;
	struct dns *dns;
	struct probe *probe;
	/* Where own namespaces and pods' resolv.conf are. */
	const char *ns_dir;
	const char *resolv_dir;
	/* Where netd-cni leaves what it could not tell; NULL: nowhere. */
	const char *tombstone_dir;
	struct ip_addr vtep;
	/* The store's addresses, kept from pods. */
	const struct want_guard *guards;
	size_t guards_len;
	/* Resolvers that netd was told to use: the host's, for one. */
	const struct ip_addr *upstreams;
	size_t upstreams_len;
	/* How long pods that serve go on after they left balancing. */
	uint32_t leave_ms;
	/* The tunnel device is another than at the start: close and open again.
	 */
	void (*on_tunnel_new)(void *arg);
	void *arg;
};

int reconcile_new(const struct reconcile_config *config,
		  struct reconcile **ret);
void reconcile_free(struct reconcile *rc);

/* What the store calls; pass these to store_open(). */
struct store_hooks reconcile_store_hooks(struct reconcile *rc);

/* The store is open: reads the journal. Before store_start(). */
int reconcile_load(struct reconcile *rc, struct store *store);

/* Has the model been whole once, so that requests can be answered? */
bool reconcile_is_ready(const struct reconcile *rc);

/* Calls fn(arg) at the first audit's end, then never again. */
void reconcile_on_ready(struct reconcile *rc, void (*fn)(void *arg), void *arg);

/*
 * Calls fn whenever something is to be looked at again, before that happens;
 * it must do no more than note it. fn NULL: nobody watches any more.
 */
void reconcile_watch(struct reconcile *rc,
		     void (*fn)(void *arg, enum mark_kind kind, const char *net,
				const char *name),
		     void *arg);

/* Look at everything again, soon. */
void reconcile_audit(struct reconcile *rc);

/* A check came to another result: its network's offer is made anew. */
void reconcile_health_changed(struct reconcile *rc,
			      const struct probe_key *key);

/* Addresses that rest after their pod went. */
struct rest *reconcile_rests(struct reconcile *rc);

/*
 * A pod whose addresses are chosen: journal, namespace (netns < 0: one of our
 * own), links; all undone when one fails. The pod is the model's on success,
 * freed on failure.
 */
int reconcile_pod_create(struct reconcile *rc, struct pod *pod, int netns,
			 struct refusal *r);
/*
 * Before a pod (at NULL), or one attachment of it, is taken away: nobody is
 * led there any more, and what is on its way arrives. Returns for how many
 * milliseconds that is to be waited for, 0 for what serves nobody. ms is how
 * long that is at most, NULL: as whoever asked first, or the configuration,
 * says.
 */
int64_t reconcile_pod_leave(struct reconcile *rc, struct pod *pod,
			    struct attachment *at, const uint32_t *ms);
/* Takes traffic, names and records away, then the links; these are gone when
 * reconcile_gone() has come to what reconcile_doomed() is now. Frees the pod.
 */
int reconcile_pod_remove(struct reconcile *rc, struct pod *pod);

/* Links that were to be deleted so far, and how many of these are gone; fn
 * runs from the loop whenever more are. */
uint64_t reconcile_doomed(const struct reconcile *rc);
uint64_t reconcile_gone(const struct reconcile *rc);
void reconcile_on_gone(struct reconcile *rc, void (*fn)(void *arg), void *arg);

/*
 * One more attachment (taken over as pod->nets[]'s last), or one less. netns
 * < 0: it is found by a process that lives in it.
 */
int reconcile_pod_connect(struct reconcile *rc, struct pod *pod,
			  const struct attachment *at, int netns,
			  struct refusal *r);
int reconcile_pod_disconnect(struct reconcile *rc, struct pod *pod,
			     struct attachment *at);

/*
 * For an engine that moves links itself: one more attachment (taken over as
 * pod->nets[]'s last, its hand set) of a pod that may be new; its ifname is
 * then the link to move. In the container as soon as the engine has moved it,
 * looked for at pod->netns_path first. On failure a pod without any other
 * attachment is freed.
 */
int reconcile_pod_offer(struct reconcile *rc, struct pod *pod,
			const struct attachment *at, struct refusal *r);
/* The engine is about to take it back: nobody is led there any more. */
void reconcile_pod_left(struct reconcile *rc, struct pod *pod,
			struct attachment *at);

/* Ports of this node for a pod, all or none; and back again, by network. */
int reconcile_pod_publish(struct reconcile *rc, struct pod *pod,
			  const struct pod_port *ports, size_t len,
			  struct refusal *r);
void reconcile_pod_unpublish(struct reconcile *rc, struct pod *pod,
			     const char *network);

/* What an engine gave up: how many of its attachments that were. The pod goes
 * with its last. */
size_t reconcile_pod_detach(struct reconcile *rc, const char *owner,
			    const char *container, const char *ifname);
/* As reconcile_pod_leave(): how long to wait before that. */
int64_t reconcile_pod_detaches(struct reconcile *rc, const char *owner,
			       const char *container, const char *ifname);
/* Undoes what netd-cni could not tell. */
void reconcile_tombstones(struct reconcile *rc);

/* Is the attachment in the kernel as the journal has it, looked at now? */
int reconcile_pod_check(struct reconcile *rc, const struct pod *pod,
			const struct attachment *at, int netns,
			struct refusal *r);

/* The name of its link on the host's side. */
void reconcile_pod_link(const struct attachment *at, char ret[LINK_NAME_LEN]);

/* The attachment as its pod sees it. */
struct want_pod reconcile_pod_want(struct reconcile *rc, const struct pod *pod,
				   const struct attachment *at);

/* The search list of a pod's resolver: ours, then the host's own. */
void reconcile_search(const struct reconcile *rc, const char *network,
		      char *buf, size_t size);

/* Ports of this node become the pod's, all or none; not in the kernel yet. */
int reconcile_ports_claim(struct reconcile *rc, struct pod *pod,
			  const struct pod_port *ports, size_t len,
			  struct refusal *r);

/*
 * What an engine says of the pod's container, as in struct pod; taken. Names,
 * labels and readiness follow here and in the store; kept over a restart.
 */
int reconcile_pod_found(struct reconcile *rc, struct pod *pod, json_t *found);

/* Fills a new endpoint id. */
void reconcile_new_id(char id[ENDPOINT_ID_LEN]);

/* MTU of pods on a network that sets none. */
uint32_t reconcile_mtu(const struct reconcile *rc);

/* Strings, for people: what may surprise about a network. The caller's. */
json_t *reconcile_net_warnings(const struct reconcile *rc, const char *name);

/* [{"name","ok","value","hint"}]: is the host fit, and what is not. */
json_t *reconcile_checks(struct reconcile *rc);
