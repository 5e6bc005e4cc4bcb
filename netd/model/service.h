/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service - checks of a service, its JSON, and who its backends are. Pure.
 */
#pragma once

#include "model.h"

#define WEIGHT_MAX 65535
/* The label of a pod that says its weight among its service's. */
#define WEIGHT_LABEL "netd.weight"

struct service *service_from_json(const char *name, json_t *doc);
json_t *service_to_json(const struct service *s);
void service_free(struct service *s);

/* "[NAME=]PORT[:TARGET][/udp]"; publish needs no TARGET either: the same. It
 * may begin with an address: "127.0.0.1:8080:80". */
int service_port_parse(const char *field, const char *text, struct port *ret,
		       struct refusal *r);
/* "IP:PORT[,weight=N]"; IPv6 stands in brackets. */
int service_backend_parse(const char *text, struct static_backend *ret,
			  struct refusal *r);

/* The same text again; weight 1 is left out. */
#define STATIC_STRLEN (IP_STRLEN + 24)
void static_backend_str(const struct static_backend *b,
			char buf[STATIC_STRLEN]);

/* Add refuses doubles and more than PORTS_MAX; del refuses what is not there.
 */
int service_port_add(struct service *s, const char *text, struct refusal *r);
int service_port_del(struct service *s, const char *text, struct refusal *r);
int service_publish_add(struct service *s, const char *text, struct refusal *r);
int service_publish_del(struct service *s, const char *text, struct refusal *r);
int service_backend_add(struct service *s, const char *text, struct refusal *r);
int service_backend_del(struct service *s, const char *text, struct refusal *r);

/* Replaces who may ask published ports: CIDRs, or "any" alone. */
int service_sources_set(struct service *s, json_t *list, struct refusal *r);

/* The pods' port that is checked: the one set, else the first of TCP, or 0. */
uint16_t service_health_port(const struct service *s);

/* What holds between the fields: dnsrr and ports, publishing and statics. */
int service_check(const struct model *m, const struct net *net,
		  const struct service *s, struct refusal *r);

/* Do these labels fulfil the selector? An empty one picks nobody. */
bool service_selects(const struct service *s, const json_t *labels);

/*
 * A pod's weight by its labels: 1 where they say nothing. -EINVAL with the
 * refusal when what they say is no weight.
 */
int service_weight(const json_t *labels, uint16_t *ret, struct refusal *r);

enum backend_state {
	BACKEND_UP,
	/* Takes no new connection, and keeps those it has. */
	BACKEND_DRAINING,
	/* Takes nothing: `why` says why, as far as its node knows. */
	BACKEND_DOWN,
};

/*
 * Backends of nodes that are up, one callback each. vtep is none for our own
 * and for addresses outside; port 0: the frontend's target. A draining one's
 * weight is 0.
 */
struct backend {
	struct ip_addr addr;
	/* Its pod's other one, or none. */
	struct ip_addr addr6;
	struct ip_addr vtep;
	const char *node;
	const char *id;
	uint16_t port;
	uint16_t weight;
	bool in_overlay;
	enum backend_state state;
	/* {"state","since","reason"} as far as there is a check, or NULL. */
	const json_t *why;
};

/* By which address it is reached in this family, or NULL. */
const struct ip_addr *backend_addr(const struct backend *b, bool v6);

void service_backends(const struct model *m, const struct net *net,
		      const struct service *s,
		      void (*fn)(void *arg, const struct backend *b),
		      void *arg);

/* What a drain calls the backend: "NODE/ID", or "IP:PORT" of a static one. */
#define DRAIN_KEY_LEN (NAME_LEN + ENDPOINT_ID_LEN + IP_STRLEN)
void backend_drain_key(const struct backend *b, char key[DRAIN_KEY_LEN]);
