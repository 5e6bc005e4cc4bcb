/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shadow - what the server should know, and what it was not told yet.
 *
 * Every zone, client, name and so on is an item. One that changed stands in
 * the queue once, however often it changed; a deleted one stays until the
 * server heard of it. A new server is told all of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/want.h"
#include "proto.h"

struct shadow;

struct shadow *shadow_new(void);
void shadow_free(struct shadow *s);

/*
 * true (or 1): something is to be told. A zone's descriptors become the
 * shadow's; sent: the server has them already.
 */
bool shadow_zone_put(struct shadow *s, const struct want_zone *want);
/* Sockets of a zone's gateway, which is among its ranges. */
void shadow_zone_open(struct shadow *s, uint32_t vni,
		      const struct ip_addr *gateway, int fds[PROTO_FDS_MAX],
		      bool sent);
bool shadow_zone_del(struct shadow *s, uint32_t vni);
bool shadow_client_put(struct shadow *s, const struct want_client *want);
bool shadow_client_del(struct shadow *s, const struct ip_addr *addr);
int shadow_name_put(struct shadow *s, const struct want_name *want,
		    const struct ip_addr *addrs, const struct want_host *hosts);
int shadow_record_put(struct shadow *s, uint32_t vni, const char *name,
		      const struct want_value *values, size_t len);
bool shadow_name_del(struct shadow *s, uint32_t vni, enum name_kind kind,
		     const char *name);
bool shadow_stub_put(struct shadow *s, const struct want_upstream *want);
bool shadow_stub_del(struct shadow *s, uint32_t vni, const char *zone);
bool shadow_reverse_put(struct shadow *s, const struct want_reverse *want);
bool shadow_reverse_del(struct shadow *s, uint32_t vni);

/*
 * The sockets of a deleted zone of which the server still has them: while it
 * does, the address cannot be bound anew.
 */
bool shadow_zone_take_dead(struct shadow *s, const struct ip_addr *gateway,
			   int ret[PROTO_FDS_MAX]);

/* Does the zone have sockets on this gateway? */
bool shadow_zone_is_open(const struct shadow *s, uint32_t vni,
			 const struct ip_addr *gateway);

void shadow_audit_begin(struct shadow *s);
void shadow_audit_end(struct shadow *s);

/* A server that knows nothing: all is to be told, sockets too if wanted. */
void shadow_tell_all(struct shadow *s, bool sockets);

bool shadow_is_told(const struct shadow *s);
/* Sends the first of the queue. 0, -EAGAIN (it stays), or -errno. */
int shadow_tell_one(struct shadow *s, int fd);
