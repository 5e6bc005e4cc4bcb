/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rc - what the files of this room share. Nobody else includes it.
 */
#pragma once

#include <ev.h>

#include "plan.h"
#include "reconcile.h"

/* Frontends of one service: its VIP's ports, its published ones, the echo. */
#define FRONTENDS_MAX (RANGES_MAX * (3 * PORTS_MAX + 1))

struct audit;

struct mark {
	/* network, name: "default/redis" */
	char key[NAME_LEN + POD_NAME_LEN];
	char net[NAME_LEN];
	char name[POD_NAME_LEN];
	uint64_t seq;
	UT_hash_handle hh;
};

/* What was told to the backends, to take back what is wanted no more. */
/* Is a network's name a zone outside? */
enum outside {
	OUTSIDE_UNKNOWN,
	OUTSIDE_WANTED,
	OUTSIDE_ASKED,
	OUTSIDE_NOTHING,
	OUTSIDE_ZONE,
};

struct told_net {
	char name[NAME_LEN];
	uint32_t vni;
	bool joined;
	enum outside outside;
	struct want_route *routes;
	size_t routes_len;
	UT_hash_handle hh;
};

struct told_service {
	/* "NET/NAME" */
	char key[2 * NAME_LEN];
	uint32_t vni;
	struct want_frontend frontends[FRONTENDS_MAX];
	size_t frontends_len;
	UT_hash_handle hh;
};

/* A key of the store that is this node's to write. */
struct own_key {
	char key[PATH_LEN];
	char *value;
	UT_hash_handle hh;
};

struct reconcile {
	struct reconcile_config cfg;
	struct ev_loop *loop;
	struct model *m;
	struct store *store;
	struct mark *marks[MARK_KIND_MAX];
	/* What failed, until the next tick: it must not hold up the rest. */
	struct mark *later[MARK_KIND_MAX];
	/* The newest mark's. */
	uint64_t mark_seq;
	bool is_started;
	struct told_net *nets;
	struct told_service *services;
	struct rest *rests;
	uint32_t tunnel_ifindex;
	/* The network whose name the upstreams are being asked for. */
	bool outside_asked;
	char outside_name[NAME_LEN];

	/* Runs the marks in the next loop turn. */
	struct ev_timer work;
	struct ev_timer tick;
	/* Goes through the table of connections, in slices. */
	struct ev_timer aging;
	/* That table is about to be full, and it has been told. */
	bool is_crowded;
	/* Runs while an engine is about to move a link. */
	struct ev_timer handing;
	unsigned int looks;
	bool audit_wanted;
	int64_t audited_at;
	/* The one that is under way, or NULL. */
	struct audit *audit;
	/* The kernel changed while nothing was ready to look at it. */
	bool kernel_unseen;
	bool is_ready;
	void (*watch)(void *arg, enum mark_kind kind, const char *net,
		      const char *name);
	void *watch_arg;
	void (*on_ready)(void *arg);
	void *on_ready_arg;

	/* The store's state that was last told as an event. */
	enum store_state store_told;

	/* What the store holds of ours, and the commit under way. */
	struct own_key *stored;
	struct store_call *publishing;
	struct store_call *returning;
	bool publish_wanted;
	int64_t publish_not_before;
	bool name_is_taken;

	/* {"NET": {"SERVICE": ["80/tcp held by nginx"]}} */
	json_t *held;
	int64_t held_at;
	/* The last complaint of each kind, so that a line is logged once. */
	char last_error[300];
};

void rc_mark(struct reconcile *rc, enum mark_kind kind, const char *net,
	     const char *name);
/* The same after a failure: tried again in a second. */
void rc_mark_later(struct reconcile *rc, enum mark_kind kind, const char *net,
		   const char *name);
/* Does one still wait that was made no later than the one of this seq? */
bool rc_marks_wait(const struct reconcile *rc, uint64_t seq);
struct model_marks rc_marks(struct reconcile *rc);
/* Logs when the text differs from the last one logged. */
void rc_complain(struct reconcile *rc, int err, const char *verb,
		 const char *object, const char *detail);

/* audit.c: as much as fits a turn of the loop; true when that was the rest. */
void rc_audit_begin(struct reconcile *rc);
bool rc_audit_slice(struct reconcile *rc);
void rc_audit_free(struct reconcile *rc);

/* net.c */
void rc_node(struct reconcile *rc, const char *name);
void rc_net(struct reconcile *rc, const char *name);
/* Are its names told? That goes by what rc_net() did, not by the pods of this
 * moment: the last may leave and another come before it runs again. */
bool rc_net_has_zone(const struct reconcile *rc, const struct net *net);
void rc_self(struct reconcile *rc);
/* Records of what is gone from the model. */
void rc_nets_sweep(struct reconcile *rc);

/* outside.c: the network's name among the world's zones. */
void rc_outside_want(struct reconcile *rc, struct told_net *told);
void rc_outside_ask(struct reconcile *rc);

/* service.c */
void rc_service(struct reconcile *rc, const char *net, const char *name);
void rc_services_sweep(struct reconcile *rc);

/* names.c: on networks that are joined. */
void rc_name(struct reconcile *rc, const char *net, const char *name);
void rc_record(struct reconcile *rc, const char *net, const char *name);
/* net "": for every network. */
void rc_stub(struct reconcile *rc, const char *net, const char *zone);
/* All that operators wrote for the network. */
void rc_written(struct reconcile *rc, const struct net *net);
/* A service's own names, and its aliases that are no other's. */
int rc_service_names(struct reconcile *rc, const struct net *net,
		     const struct service *s);
void rc_service_name_del(struct reconcile *rc, uint32_t vni, const char *name);
/* A name that is no service's: it may be an alias, or one no more. */
void rc_alias(struct reconcile *rc, const struct net *net, const char *name);

/* pods.c */
void rc_pods_load(struct reconcile *rc);
/* Adopts the pod as the journal has it; undoes what was only begun. */
void rc_pod_look(struct reconcile *rc, const char *key);
/* Takes endpoints whose link is gone out of everything. */
void rc_pods_check(struct reconcile *rc);
void rc_rests_expire(struct reconcile *rc);

/* What handed.c needs of pods.c. */
int rc_pod_journal(struct reconcile *rc, const struct pod *pod);
struct want_pod rc_pod_want(struct reconcile *rc, const struct pod *pod,
			    const struct attachment *at);
void rc_pod_adopt(struct reconcile *rc, struct pod *pod, struct attachment *at);
void rc_pod_clients(struct reconcile *rc, const struct pod *pod);
/* What is shown of the attachment, or NULL. */
const struct endpoint *rc_endpoint(const struct reconcile *rc,
				   const struct net *net,
				   const struct attachment *at);
/* The attachment as everybody sees it; names follow by the marks. */
void rc_pod_show(struct reconcile *rc, const struct pod *pod,
		 const struct attachment *at);
void rc_pod_hide(struct reconcile *rc, const struct attachment *at);
/* Also what was only begun; a pod without any attachment goes. */
void rc_pod_drop(struct reconcile *rc, struct pod *pod, struct attachment *at);

/* resolvers.c: whom the host asks, for pods that ask as the host does. */
void rc_resolvers(struct reconcile *rc);

/* handed.c: what an engine has taken, and what is back. */
void rc_handed_check(struct reconcile *rc);
void rc_handed_watch(struct reconcile *rc);

/* ports.c: a pod's own ports of this node, as far as they lead to this. */
int rc_ports_put(struct reconcile *rc, const struct pod *pod,
		 const struct attachment *at);
/* Are they in the kernel now? */
int rc_ports_check(struct reconcile *rc, const struct pod *pod,
		   const struct attachment *at);
void rc_ports_del(struct reconcile *rc, const struct pod *pod,
		  const struct attachment *at);

/* checks.c: tells once that connections have little room left, and when they
 * have some again. */
void rc_flows_watch(struct reconcile *rc);

/* health.c */
void rc_probes(struct reconcile *rc, const struct net *net);
/* Once a second: drains that have ended by now. */
void rc_drains_expire(struct reconcile *rc);
struct plan_offer rc_offer(struct reconcile *rc, const struct net *net);

/* publish.c */
void rc_publish_net(struct reconcile *rc, const char *net);
void rc_publish(struct reconcile *rc);
/* Is the key ours to write? Then remembers what the store has. */
void rc_publish_seen(struct reconcile *rc, const struct store_kv *kv);
/* Is it one that this node alone writes? */
bool rc_key_is_own(const char *self, const char *key);
void rc_publish_lease_new(struct reconcile *rc);
void rc_publish_free(struct reconcile *rc);

/* held.c: {"NET": {"SERVICE": [..]}} of published ports others have here. */
json_t *held_ports(const struct model *m);
