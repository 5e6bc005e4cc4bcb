/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan - model to wants: what a network, a service, a name mean for this
 * node's backends. Pure; memory returned is the caller's to free().
 */
#pragma once

#include "model.h"

/* Blocks and lent addresses of other nodes, by their VTEPs. */
struct want_route *plan_routes(const struct model *m, const struct net *net,
			       size_t *len);

/*
 * Every address and port the service answers on: the VIP's ports, a VIP port
 * for each published target (as in Docker, `web:80` works where 8080:80 is
 * published), the published ports, and the echo; all of it for each family of
 * the network. *target[i] is the pods' port.
 */
size_t plan_frontends(const struct net *net, const struct service *s,
		      struct want_frontend *fe, uint16_t *target, size_t max);

/* The backends behind one of them. */
struct want_backend *plan_backends(const struct model *m, const struct net *net,
				   const struct service *s,
				   const struct want_frontend *fe,
				   uint16_t target, size_t *len);

/*
 * All backends that are up, each address once, and what they are called below
 * the service: as their pod, where that is a label and no other's, else
 * 10-64-0-5. is_cut: there are more than a name may have, and this node took
 * some.
 */
struct plan_tasks {
	/* The second addresses of pods that have two come behind the first
	 * ones, in their order and with the same hosts. */
	struct ip_addr *addrs;
	struct want_host *hosts;
	uint32_t len;
	bool is_cut;
};

struct plan_tasks plan_tasks(const struct model *m, const struct net *net,
			     const struct service *s);
void plan_tasks_free(struct plan_tasks *t);

/* Addresses, of both families, of the endpoints of that name whose node is up.
 */
struct ip_addr *plan_pod_addrs(const struct model *m,
			       const struct pod_name *name, uint32_t *len);

/*
 * What a name says besides its addresses: TTL, a service's ports for SRV, what
 * it is another name of. s NULL: a pod's name, and yet to be filled in.
 */
struct want_name plan_name(const struct model *m, const struct net *net,
			   const struct service *s, enum name_kind kind);

struct static_record;
struct stub_zone;

/* What operators wrote; net NULL: for every network. */
struct want_value *plan_record(const struct model *m,
			       const struct static_record *rec, size_t *len);
struct want_upstream plan_stub(const struct net *net,
			       const struct stub_zone *stub);

/* How the backends that this node checks are. */
struct plan_health {
	void *arg;
	struct probe_state (*state)(void *arg, const struct probe_key *key);
};

/*
 * What this node offers to a network's services: {"SERVICE": [{"id", "ip",
 * "weight"}]}, and what of its own is not fit to serve, with the reason.
 */
struct plan_offer {
	json_t *services;
	json_t *down;
};

struct plan_offer plan_up(const struct model *m, const struct net *net,
			  const struct plan_health *health);

/* The checks that this node makes: of its own pods, and of what is outside. */
struct want_probe *plan_probes(const struct model *m, const struct net *net,
			       size_t *len);
