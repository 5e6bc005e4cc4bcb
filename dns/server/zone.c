/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

/* uthash's, for the keys here, which only netd chooses: three times faster. */
#define HASH_FUNCTION(key, len, ret)                                           \
	((ret) = hash_bytes(0, (const uint8_t *)(key), (len)))

#include "zone.h"

#include <errno.h>

#include "names.h"
#include "netd/util.h"

struct client {
	struct want_client want;
	bool stale;
	UT_hash_handle hh;
};

/*
 * An address's name, one per kind: a pod keeps its own while a service has
 * another for it. A later claim wins: names move by put, then del.
 */
struct reverse_key {
	uint32_t vni;
	uint32_t kind;
	struct ip_addr addr;
};

struct reverse {
	struct reverse_key key;
	const struct record *rec;
	UT_hash_handle hh;
};

struct zones {
	struct dns_name domain;
	struct zone *zones;
	struct client *clients;
	struct names names;
	struct reverse *reverses;
	bool synced;
};

struct zones *zones_new(void)
{
	struct zones *z = xzalloc(sizeof(*z));

	dns_name_parse("", &z->domain);
	names_open(&z->names);
	return z;
}

int zones_set_domain(struct zones *z, const char *domain)
{
	return dns_name_parse(domain, &z->domain);
}

const struct dns_name *zones_domain(const struct zones *z)
{
	return &z->domain;
}

/* Networks. */

int zones_put(struct zones *z, const struct want_zone *want)
{
	struct dns_name name;
	struct zone *zone;

	if (dns_name_parse(want->name, &name) || name.labels != 1 ||
	    want->ranges_len > RANGES_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < want->ranges_len; i++)
		if (want->ranges[i].vips_len > NET_VIPS_MAX)
			return -EINVAL;
	HASH_FIND(hh, z->zones, &want->vni, sizeof(want->vni), zone);
	if (!zone) {
		zone = xzalloc(sizeof(*zone));
		zone->want.vni = want->vni;
		HASH_ADD(hh, z->zones, want.vni, sizeof(want->vni), zone);
	}
	zone->want = *want;
	zone->label_len = name.b[0];
	memcpy(zone->label, name.b + 1, zone->label_len);
	zone->stale = false;
	return 0;
}

static void zone_drop(struct zones *z, struct zone *zone)
{
	HASH_DEL(z->zones, zone);
	free(zone);
}

void zones_del(struct zones *z, uint32_t vni)
{
	struct zone *zone;

	HASH_FIND(hh, z->zones, &vni, sizeof(vni), zone);
	if (zone)
		zone_drop(z, zone);
}

const struct zone *zones_find(const struct zones *z, uint32_t vni)
{
	struct zone *zone;

	HASH_FIND(hh, z->zones, &vni, sizeof(vni), zone);
	return zone;
}

const struct zone *zones_next(const struct zones *z, const struct zone *zone)
{
	return zone ? zone->hh.next : z->zones;
}

bool zones_has_gateway(const struct zones *z, const struct ip_addr *addr)
{
	for (const struct zone *zone = z->zones; zone; zone = zone->hh.next)
		for (uint32_t i = 0; i < zone->want.ranges_len; i++)
			if (ip_eq(&zone->want.ranges[i].gateway, addr))
				return true;
	return false;
}

static bool holds(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
	return !ip_is_none(&outer->addr) && inner->len >= outer->len &&
	       prefix_contains(outer, &inner->addr);
}

/* The range's prefix that holds it, or NULL. */
static const struct ip_prefix *range_holds(const struct want_range *range,
					   const struct ip_prefix *inner)
{
	if (holds(&range->subnet, inner))
		return &range->subnet;
	for (uint32_t i = 0; i < range->vips_len; i++)
		if (holds(&range->vips[i], inner))
			return &range->vips[i];
	return NULL;
}

const struct zone *zones_reverse(const struct zones *z,
				 const struct ip_prefix *prefix,
				 const struct ip_prefix **outer)
{
	for (const struct zone *zone = z->zones; zone; zone = zone->hh.next) {
		for (uint32_t i = 0; i < zone->want.ranges_len; i++) {
			*outer = range_holds(&zone->want.ranges[i], prefix);
			if (*outer)
				return zone;
		}
	}
	*outer = NULL;
	return NULL;
}

/* Clients. */

void zones_client_put(struct zones *z, const struct want_client *want)
{
	struct client *c;

	HASH_FIND(hh, z->clients, &want->addr, sizeof(want->addr), c);
	if (!c) {
		c = xzalloc(sizeof(*c));
		c->want.addr = want->addr;
		HASH_ADD(hh, z->clients, want.addr, sizeof(want->addr), c);
	}
	c->want = *want;
	c->want.vni_len = MIN(want->vni_len, CLIENT_NETS_MAX);
	c->stale = false;
}

static void client_drop(struct zones *z, struct client *c)
{
	HASH_DEL(z->clients, c);
	free(c);
}

void zones_client_del(struct zones *z, const struct ip_addr *addr)
{
	struct client *c;

	HASH_FIND(hh, z->clients, addr, sizeof(*addr), c);
	if (c)
		client_drop(z, c);
}

bool zones_view(const struct zones *z, const struct ip_addr *src,
		struct view *ret)
{
	const struct client *c;

	/* Not the zones: what is behind len is not looked at. */
	ret->host = false;
	ret->internal = true;
	ret->missing = false;
	ret->len = 0;
	HASH_FIND(hh, z->clients, src, sizeof(*src), c);
	if (!c) {
		/* What asks from a gateway's own address is this host. */
		ret->host = ip_is_loopback(src) || zones_has_gateway(z, src);
		ret->internal = false;
		return ret->host;
	}
	if (c->want.host) {
		ret->host = true;
		ret->internal = false;
		return true;
	}
	for (uint32_t i = 0; i < c->want.vni_len; i++) {
		const struct zone *zone = zones_find(z, c->want.vni[i]);

		if (!zone) {
			ret->missing = true;
			continue;
		}
		ret->internal = ret->internal && zone->want.internal;
		ret->zones[ret->len++] = zone;
	}
	return true;
}

static bool is_named(const struct zone *zone, const uint8_t *label, uint8_t len)
{
	return zone->label_len == len && memcmp(zone->label, label, len) == 0;
}

const struct zone *view_zone(const struct zones *z, const struct view *view,
			     const uint8_t *label, uint8_t len)
{
	if (view->host) {
		for (struct zone *s = z->zones; s; s = s->hh.next)
			if (is_named(s, label, len))
				return s;
		return NULL;
	}
	for (uint32_t i = 0; i < view->len; i++)
		if (is_named(view->zones[i], label, len))
			return view->zones[i];
	return NULL;
}

bool view_sees(const struct view *view, const struct zone *zone)
{
	for (uint32_t i = 0; i < view->len; i++)
		if (view->zones[i] == zone)
			return true;
	return view->host;
}

/* Names. */

static void reverse_put(struct zones *z, const struct reverse_key *key,
			const struct record *rec)
{
	struct reverse *r;

	HASH_FIND(hh, z->reverses, key, sizeof(*key), r);
	if (!r) {
		r = xzalloc(sizeof(*r));
		r->key = *key;
		HASH_ADD(hh, z->reverses, key, sizeof(*key), r);
	}
	r->rec = rec;
}

static void reverse_del(struct zones *z, const struct reverse_key *key,
			const struct record *rec)
{
	struct reverse *r;

	HASH_FIND(hh, z->reverses, key, sizeof(*key), r);
	if (!r || r->rec != rec)
		return;
	HASH_DEL(z->reverses, r);
	free(r);
}

static void reverses_each(struct zones *z, const struct record *rec,
			  void (*fn)(struct zones *z,
				     const struct reverse_key *key,
				     const struct record *rec))
{
	if (!rec->ptr)
		return;
	for (uint32_t i = 0; i < record_addrs_len(rec); i++) {
		struct reverse_key key = { .vni = record_vni(rec),
					   .kind = record_kind(rec),
					   .addr = record_addr(rec, i) };

		fn(z, &key, rec);
	}
}

static void record_drop(struct zones *z, struct record *rec)
{
	reverses_each(z, rec, reverse_del);
	names_del(&z->names, rec);
	free(rec);
}

static int name_key(uint8_t key[RECORD_KEY_MAX], uint32_t vni,
		    enum name_kind kind, const char *text, size_t *len)
{
	struct dns_name name;

	if (kind >= NAME_KIND_MAX || dns_name_parse(text, &name) ||
	    !name.labels)
		return -EINVAL;
	*len = record_key(key, vni, kind, name.b, name.len - 1u);
	return 0;
}

/* Takes the record in place of the one of its key. */
static void record_put(struct zones *z, struct record *rec)
{
	struct record *old =
		names_find(&z->names, record_key_of(rec), rec->key_len);

	if (old)
		record_drop(z, old);
	names_add(&z->names, rec);
	reverses_each(z, rec, reverse_put);
}

int zones_name_put(struct zones *z, const struct want_name *want,
		   const struct ip_addr *addrs, const struct want_host *hosts)
{
	uint8_t key[RECORD_KEY_MAX];
	struct record *rec;
	size_t len;
	int err = name_key(key, want->vni, want->kind, want->name, &len);

	if (!err)
		err = record_new(want, addrs, hosts, key, len, &rec);
	if (!err)
		record_put(z, rec);
	return err;
}

int zones_record_put(struct zones *z, uint32_t vni, const char *name,
		     const struct want_value *values, size_t n)
{
	uint8_t key[RECORD_KEY_MAX];
	struct record *rec;
	size_t len;
	int err = name_key(key, vni, NAME_RECORD, name, &len);

	if (!err)
		err = record_new_values(values, n, key, len, &rec);
	if (!err)
		record_put(z, rec);
	return err;
}

void zones_name_del(struct zones *z, uint32_t vni, enum name_kind kind,
		    const char *name)
{
	uint8_t key[RECORD_KEY_MAX];
	struct record *rec;
	size_t len;

	if (name_key(key, vni, kind, name, &len))
		return;
	rec = names_find(&z->names, key, len);
	if (rec)
		record_drop(z, rec);
}

const struct record *zones_name(const struct zones *z, uint32_t vni,
				enum name_kind kind, const uint8_t *labels,
				size_t len)
{
	uint8_t key[RECORD_KEY_MAX];

	len = record_key(key, vni, kind, labels, len);
	return names_find(&z->names, key, len);
}

struct names_spot zones_seek(const struct zones *z, uint32_t vni,
			     enum name_kind kind, const uint8_t *labels,
			     size_t len)
{
	uint8_t key[RECORD_KEY_MAX];

	len = record_key(key, vni, kind, labels, len);
	return names_seek(&z->names, key, len);
}

void zones_near(const struct zones *z, struct names_spot spot)
{
	names_near(&z->names, spot);
}

const struct record *zones_ptr(const struct zones *z, uint32_t vni,
			       const struct ip_addr *addr)
{
	struct reverse_key key = { .vni = vni, .addr = *addr };

	for (key.kind = 0; key.kind < NAME_KIND_MAX; key.kind++) {
		const struct reverse *r;

		HASH_FIND(hh, z->reverses, &key, sizeof(key), r);
		if (r)
			return r->rec;
	}
	return NULL;
}

/* Everything at once. */

void zones_sync_begin(struct zones *z)
{
	struct record *rec;
	uint32_t at = 0;

	for (struct zone *zone = z->zones; zone; zone = zone->hh.next)
		zone->stale = true;
	for (struct client *c = z->clients; c; c = c->hh.next)
		c->stale = true;
	while ((rec = names_next(&z->names, &at)))
		rec->stale = true;
}

void zones_sync_end(struct zones *z)
{
	struct zone *zone, *zone_tmp;
	struct client *c, *c_tmp;
	struct record *rec;
	uint32_t at = 0;

	while ((rec = names_next(&z->names, &at))) {
		if (!rec->stale)
			continue;
		record_drop(z, rec);
		/* The next one may have moved here. */
		at--;
	}
	HASH_ITER (hh, z->clients, c, c_tmp)
		if (c->stale)
			client_drop(z, c);
	HASH_ITER (hh, z->zones, zone, zone_tmp)
		if (zone->stale)
			zone_drop(z, zone);
	z->synced = true;
}

bool zones_is_synced(const struct zones *z)
{
	return z->synced;
}

void zones_free(struct zones *z)
{
	if (!z)
		return;
	/* Nothing is told again, so all of it goes. */
	zones_sync_begin(z);
	zones_sync_end(z);
	names_close(&z->names);
	free(z);
}
