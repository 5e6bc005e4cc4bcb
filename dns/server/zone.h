/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone - what the server knows: networks, who may ask, names; pure.
 *
 * put and del may be repeated. Between sync_begin and sync_end everything is
 * told again; what was not, goes at the end. Records are ready bytes (see
 * record.h), so that an answer is a copy. Pointers that lookups return hold
 * until the next put, del or end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "name.h"
#include "names.h"
#include "netd/want.h"
#include "record.h"

struct zone {
	struct want_zone want;
	/* The label that is the network's name. */
	uint8_t label[DNS_LABEL_MAX];
	uint8_t label_len;
	bool stale;
	UT_hash_handle hh;
};

/* Who asks: the networks that answer, in order. */
struct view {
	bool host;
	/* All its networks are internal. */
	bool internal;
	/* Networks it is on that are not known yet. */
	bool missing;
	uint32_t len;
	const struct zone *zones[CLIENT_NETS_MAX];
};

struct zones;

struct zones *zones_new(void);
void zones_free(struct zones *z);

/* -EINVAL: the text is no name. */
int zones_set_domain(struct zones *z, const char *domain);
const struct dns_name *zones_domain(const struct zones *z);

int zones_put(struct zones *z, const struct want_zone *want);
void zones_del(struct zones *z, uint32_t vni);
void zones_client_put(struct zones *z, const struct want_client *want);
void zones_client_del(struct zones *z, const struct ip_addr *addr);
/* hosts: one per address, or NULL. -EINVAL: it cannot be told in DNS. */
int zones_name_put(struct zones *z, const struct want_name *want,
		   const struct ip_addr *addrs, const struct want_host *hosts);
int zones_record_put(struct zones *z, uint32_t vni, const char *name,
		     const struct want_value *values, size_t len);
void zones_name_del(struct zones *z, uint32_t vni, enum name_kind kind,
		    const char *name);

void zones_sync_begin(struct zones *z);
void zones_sync_end(struct zones *z);
/* Was everything told once? Until then what is not known may yet be. */
bool zones_is_synced(const struct zones *z);

const struct zone *zones_find(const struct zones *z, uint32_t vni);
/* All zones: NULL starts and ends. */
const struct zone *zones_next(const struct zones *z, const struct zone *zone);
bool zones_has_gateway(const struct zones *z, const struct ip_addr *addr);
/* The zone that holds this whole prefix, if one does, and its own prefix. */
const struct zone *zones_reverse(const struct zones *z,
				 const struct ip_prefix *prefix,
				 const struct ip_prefix **outer);

/* False: nobody we know. */
bool zones_view(const struct zones *z, const struct ip_addr *src,
		struct view *ret);
/* The network of this name among those seen. */
const struct zone *view_zone(const struct zones *z, const struct view *view,
			     const uint8_t *label, uint8_t len);
bool view_sees(const struct view *view, const struct zone *zone);

/* labels: wire bytes without the root. */
const struct record *zones_name(const struct zones *z, uint32_t vni,
				enum name_kind kind, const uint8_t *labels,
				size_t len);
/* The same in steps, see names.h. */
struct names_spot zones_seek(const struct zones *z, uint32_t vni,
			     enum name_kind kind, const uint8_t *labels,
			     size_t len);
void zones_near(const struct zones *z, struct names_spot spot);
/* Whose address this is: a service's before a pod's. */
const struct record *zones_ptr(const struct zones *z, uint32_t vni,
			       const struct ip_addr *addr);
