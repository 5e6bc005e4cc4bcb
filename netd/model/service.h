/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service - checks of a service, its JSON, and who its backends are. Pure.
 */
#pragma once

#include "model.h"

struct service *service_from_json(const char *name, json_t *doc);
json_t *service_to_json(const struct service *s);
void service_free(struct service *s);

/* "[NAME=]PORT[:TARGET][/udp]"; publish needs no TARGET either: the same. */
int service_port_parse(const char *field, const char *text, struct port *ret,
		       struct refusal *r);
/* "IP:PORT" */
int service_backend_parse(const char *text, struct static_backend *ret,
			  struct refusal *r);

/* Add refuses doubles and more than PORTS_MAX; del refuses what is not there.
 */
int service_port_add(struct service *s, const char *text, struct refusal *r);
int service_port_del(struct service *s, const char *text, struct refusal *r);
int service_publish_add(struct service *s, const char *text, struct refusal *r);
int service_publish_del(struct service *s, const char *text, struct refusal *r);
int service_backend_add(struct service *s, const char *text, struct refusal *r);
int service_backend_del(struct service *s, const char *text, struct refusal *r);

/* What holds between the fields: dnsrr and ports, publishing and statics. */
int service_check(const struct model *m, const struct net *net,
		  const struct service *s, struct refusal *r);

/* Do these labels fulfil the selector? An empty one picks nobody. */
bool service_selects(const struct service *s, const json_t *labels);

/*
 * Backends that are up, one callback each. vtep is none for our own and for
 * addresses outside; port 0: the frontend's target.
 */
struct backend {
	struct ip_addr addr;
	struct ip_addr vtep;
	const char *node;
	const char *id;
	uint16_t port;
	uint16_t weight;
	bool in_overlay;
};

void service_backends(const struct model *m, const struct net *net,
		      const struct service *s,
		      void (*fn)(void *arg, const struct backend *b),
		      void *arg);
