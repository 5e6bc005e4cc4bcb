/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_dns - what a service says of itself in names: its ports' names, how
 * long answers hold, other names of its own, or that it is but another name.
 * Pure.
 */
#pragma once

#include "model.h"

#define SERVICE_TTL_MAX 3600
#define SERVICE_ALIASES_MAX 16

/* Cuts "NAME=" off a port's text: *text is moved behind it. */
int service_port_name(const char *field, const char **text,
		      char name[PORT_NAME_LEN], struct refusal *r);
bool port_name_is_valid(const char *name);

int service_alias_add(struct service *s, const char *name, struct refusal *r);
int service_alias_del(struct service *s, const char *name, struct refusal *r);
bool service_has_alias(const struct service *s, const char *name);

/* It is another name of this one. */
int service_external_set(struct service *s, const char *name,
			 struct refusal *r);

/* Its names against all others of the network. */
int service_names_check(const struct net *net, const struct service *s,
			struct refusal *r);

/* What is stored; reading takes what is there and leaves what is not. */
int service_dns_read(struct service *s, json_t *doc);
void service_dns_write(const struct service *s, json_t *doc);

/* The service that answers to this name: by its own, else by an alias. */
struct service *net_service_named(const struct net *net, const char *name);
