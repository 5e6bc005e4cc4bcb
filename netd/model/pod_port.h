/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_port - ports of this node that lead to one of its pods. Pure.
 *
 * A node's port is claimed in the node's own journal, so that attaching works
 * with the store away: a service that publishes the same port for the whole
 * cluster is refused here while it is known, and is shown as held otherwise.
 */
#pragma once

#include "model.h"

/* Where a port that nobody named is taken from, as Kubernetes does. */
#define POD_PORT_FIRST 30000
#define POD_PORT_LAST 32767

#define POD_PORTS_MAX 1024

struct pod;

struct pod_port {
	/* none: every address of this node. */
	struct ip_addr host;
	/* 0: a free one. */
	uint16_t port;
	uint16_t target;
	uint8_t proto;
	/* The pod's network that it leads to. */
	char network[NAME_LEN];
};

/* "[[HOSTIP:]PORT:]TARGET[/udp]"; PORT 0 or empty: a free one. */
int pod_port_parse(const char *text, struct pod_port *ret, struct refusal *r);

int pod_port_from_json(json_t *doc, struct pod_port *ret);
json_t *pod_port_to_json(const struct pod_port *port);

/* "127.0.0.1:8080/tcp", "8080/udp" */
#define POD_PORT_STRLEN 64
const char *pod_port_str(const struct pod_port *port,
			 char buf[POD_PORT_STRLEN]);

/* Would both answer the same packet? One without an address has them all. */
bool pod_port_meets(const struct pod_port *a, const struct pod_port *b);

/* The pod of this node that has a port which meets this one, or NULL. */
const struct pod *pod_port_owner(const struct model *m,
				 const struct pod_port *port);

/* What programs of the host listen on: asked for every candidate. */
struct pod_port_listeners {
	const void *arg;
	/* Does somebody listen where the port would? Who it is goes to owner,
	 * unless that is NULL. */
	bool (*find)(const void *arg, const struct pod_port *port, char *owner,
		     size_t size);
};

/*
 * Adds the port to the pod if this node can give it: its address is ours, no
 * service, pod or program has it. A port nobody named is searched from
 * `start` on. The pod may or may not be the model's already.
 */
int pod_port_claim(const struct model *m, struct pod *pod,
		   struct pod_port *port,
		   const struct pod_port_listeners *listeners,
		   unsigned int start, struct refusal *r);
