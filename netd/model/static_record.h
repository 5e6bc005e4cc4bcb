/* SPDX-License-Identifier: Apache-2.0 */
/*
 * static_record - DNS records that operators write, and zones they have others
 * asked for. Pure.
 *
 * Records of one name are one object: they are changed together, compared
 * with what was looked at. A name is kept in lower case, relative to its
 * network, without a last dot.
 */
#pragma once

#include "model.h"

#define RECORD_TTL_MAX 86400
#define STUB_PORT 53

struct static_record_value {
	struct want_value want;
	/* Else the node's own. */
	bool has_ttl;
	/* As it was given. */
	char text[RECORD_TEXT_LEN];
};

struct static_record {
	char name[POD_NAME_LEN];
	struct static_record_value *values;
	size_t len;
	json_t *doc;
	int64_t rev;
	UT_hash_handle hh;
};

struct stub_zone {
	/* "." for all names. */
	char zone[POD_NAME_LEN];
	struct want_server servers[UPSTREAM_SERVERS_MAX];
	size_t len;
	json_t *doc;
	int64_t rev;
	UT_hash_handle hh;
};

struct static_record *static_record_from_json(const char *name, json_t *doc);
json_t *static_record_to_json(const struct static_record *rec);
void static_record_free(struct static_record *rec);

/* "A", "SRV", ...; 0: there is no such type here. */
uint16_t static_record_type(const char *word);
const char *static_record_type_name(uint16_t type);

/*
 * A name as somebody types it: on this network also NAME.NET, NAME.NET.svc
 * and NAME.NET.svc.DOMAIN; an address for the name that leads back from it.
 */
int static_record_name_parse(const struct model *m, const struct net *net,
			     const char *text, char ret[POD_NAME_LEN],
			     struct refusal *r);
/* Is it nobody else's? */
int static_record_name_check(const struct net *net, const char *name,
			     struct refusal *r);

/* One more value; ttl NULL: the others' of its type. */
int static_record_add(struct static_record *rec, const char *type,
		      const char *value, const uint32_t *ttl,
		      struct refusal *r);
/* Takes away what fits; value NULL: any of the type, type NULL: all. */
int static_record_del(struct static_record *rec, const char *type,
		      const char *value, struct refusal *r);

struct static_record *net_record(const struct net *net, const char *name);

struct stub_zone *stub_zone_from_json(const char *zone, json_t *doc);
json_t *stub_zone_to_json(const struct stub_zone *stub);
void stub_zone_free(struct stub_zone *stub);

/* net NULL: for every network. servers: "IP[:PORT],[IP6]:PORT". */
int stub_zone_parse(const struct model *m, const struct net *net,
		    const char *zone, const char *servers,
		    struct stub_zone *ret, struct refusal *r);
/* As it is kept: lower case, no last dot but the root's. */
int stub_zone_name(const char *text, char ret[POD_NAME_LEN], struct refusal *r);

/* "192.0.2.53", "192.0.2.53:5353", "[fd00::1]:5353" */
char *server_text(const struct want_server *server);

struct stub_zone *model_stub(const struct model *m, const struct net *net,
			     const char *zone);
