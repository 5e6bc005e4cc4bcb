/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network - checks of a network, its JSON, its gateway. Pure.
 */
#pragma once

#include "model.h"

struct net *net_from_json(const char *name, json_t *doc);
/* As stored: {"schema":1,"vni":...}. The caller's. */
json_t *net_to_json(const struct net *net);

/* The subnet's first address: gateway and DNS server on every node. */
struct ip_addr net_gateway(const struct net *net);
/* The same of a dual-stack network's IPv6, or none. */
struct ip_addr net_gateway6(const struct net *net);

/* Grammar, and the words that DNS needs for itself. */
int net_name_check(const struct model *m, const char *name, struct refusal *r);

/*
 * A subnet asked for, of either family: a network of sane size, no host bits,
 * no special range, free of every other network, of the VIP pools and of every
 * node's routes.
 */
int net_subnet_check(const struct model *m, const char *text,
		     struct ip_prefix *ret, struct refusal *r);

/* Do the two subnets of a dual-stack network go together? */
int net_subnets_check(const struct ip_prefix *v4, const struct ip_prefix *v6,
		      struct refusal *r);

/* Plain values for the backends. */
struct want_net net_want(const struct net *net, bool joined);
