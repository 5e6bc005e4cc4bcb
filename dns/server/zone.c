/* SPDX-License-Identifier: Apache-2.0 */
#include "zone.h"

#include <arpa/nameser.h>
#include <errno.h>

#include "msg.h"
#include "netd/util.h"

struct client {
	struct want_client want;
	bool stale;
	UT_hash_handle hh;
};

/* An address's name. A later claim wins: names move by put, then del. */
struct reverse_key {
	uint32_t vni;
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
	struct record *names;
	struct reverse *reverses;
	bool synced;
};

#define KEY_HEAD (sizeof(uint32_t) + 1)
#define KEY_MAX (KEY_HEAD + DNS_NAME_MAX)

static size_t key_make(uint8_t key[KEY_MAX], uint32_t vni, enum name_kind kind,
		       const uint8_t *labels, size_t len)
{
	memcpy(key, &vni, sizeof(vni));
	key[sizeof(vni)] = (uint8_t)kind;
	memcpy(key + KEY_HEAD, labels, len);
	return KEY_HEAD + len;
}

const uint8_t *record_labels(const struct record *rec, size_t *len)
{
	*len = rec->key_len - KEY_HEAD;
	return rec->key + KEY_HEAD;
}

static uint32_t record_vni(const struct record *rec)
{
	uint32_t vni;

	memcpy(&vni, rec->key, sizeof(vni));
	return vni;
}

struct zones *zones_new(void)
{
	struct zones *z = xzalloc(sizeof(*z));

	dns_name_parse("", &z->domain);
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
	    want->vips_len > NET_VIPS_MAX)
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
		if (ip_eq(&zone->want.gateway, addr))
			return true;
	return false;
}

static bool holds(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
	return !ip_is_none(&outer->addr) && inner->len >= outer->len &&
	       prefix_contains(outer, &inner->addr);
}

const struct zone *zones_reverse(const struct zones *z,
				 const struct ip_prefix *prefix)
{
	for (const struct zone *zone = z->zones; zone; zone = zone->hh.next) {
		if (holds(&zone->want.subnet, prefix))
			return zone;
		for (uint32_t i = 0; i < zone->want.vips_len; i++)
			if (holds(&zone->want.vips[i], prefix))
				return zone;
	}
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

	*ret = (struct view){ .internal = true };
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

static void reverse_put(struct zones *z, const struct ip_addr *addr,
			const struct record *rec)
{
	struct reverse_key key;
	struct reverse *r;

	memset(&key, 0, sizeof(key));
	key.vni = record_vni(rec);
	key.addr = *addr;
	HASH_FIND(hh, z->reverses, &key, sizeof(key), r);
	if (!r) {
		r = xzalloc(sizeof(*r));
		r->key = key;
		HASH_ADD(hh, z->reverses, key, sizeof(key), r);
	}
	r->rec = rec;
}

static void reverse_del(struct zones *z, const struct ip_addr *addr,
			const struct record *rec)
{
	struct reverse_key key;
	struct reverse *r;

	memset(&key, 0, sizeof(key));
	key.vni = record_vni(rec);
	key.addr = *addr;
	HASH_FIND(hh, z->reverses, &key, sizeof(key), r);
	if (!r || r->rec != rec)
		return;
	HASH_DEL(z->reverses, r);
	free(r);
}

static void reverses_each(struct zones *z, const struct record *rec,
			  void (*fn)(struct zones *z,
				     const struct ip_addr *addr,
				     const struct record *rec))
{
	const size_t data_at = 12;

	if (!rec->ptr)
		return;
	for (uint32_t i = 0; i < rec->a_len; i++) {
		struct ip_addr addr;
		uint32_t v4;

		memcpy(&v4, rec->a + i * RR_A_LEN + data_at, sizeof(v4));
		addr = ip_from_be32(v4);
		fn(z, &addr, rec);
	}
	for (uint32_t i = 0; i < rec->aaaa_len; i++) {
		struct ip_addr addr;

		memcpy(addr.b, rec->aaaa + i * RR_AAAA_LEN + data_at,
		       sizeof(addr.b));
		fn(z, &addr, rec);
	}
}

static void record_drop(struct zones *z, struct record *rec)
{
	reverses_each(z, rec, reverse_del);
	HASH_DEL(z->names, rec);
	free(rec);
}

static void rr_write(struct wbuf *w, uint32_t ttl, const struct ip_addr *addr)
{
	bool v4 = ip_is_v4(addr);
	size_t len = v4 ? 4 : 16;

	wbuf_u16(w, DNS_OWNER(0));
	wbuf_u16(w, v4 ? ns_t_a : ns_t_aaaa);
	wbuf_u16(w, ns_c_in);
	wbuf_u32(w, ttl);
	wbuf_u16(w, (uint16_t)len);
	wbuf_bytes(w, addr->b + sizeof(addr->b) - len, len);
}

static struct record *record_new(const struct want_name *want,
				 const struct ip_addr *addrs,
				 const uint8_t *key, size_t key_len)
{
	struct record *rec;
	struct wbuf a, aaaa;
	uint32_t v4 = 0;
	size_t a_size, aaaa_size;

	for (uint32_t i = 0; i < want->addrs_len; i++)
		v4 += ip_is_v4(&addrs[i]);
	a_size = (size_t)v4 * RR_A_LEN;
	aaaa_size = (size_t)(want->addrs_len - v4) * RR_AAAA_LEN;
	rec = xzalloc(sizeof(*rec) + key_len + a_size + aaaa_size);
	memcpy(rec->key, key, key_len);
	rec->key_len = (uint32_t)key_len;
	rec->ttl = want->ttl;
	rec->ports_len = want->ports_len;
	memcpy(rec->ports, want->ports, sizeof(rec->ports));
	rec->ptr = want->ptr;
	rec->a = rec->key + key_len;
	rec->a_len = v4;
	rec->aaaa = rec->a + a_size;
	rec->aaaa_len = want->addrs_len - v4;
	a = wbuf_make(rec->a, a_size);
	aaaa = wbuf_make(rec->aaaa, aaaa_size);
	for (uint32_t i = 0; i < want->addrs_len; i++)
		rr_write(ip_is_v4(&addrs[i]) ? &a : &aaaa, want->ttl,
			 &addrs[i]);
	return rec;
}

static int name_key(uint8_t key[KEY_MAX], uint32_t vni, enum name_kind kind,
		    const char *text, size_t *len)
{
	struct dns_name name;

	if (kind >= NAME_KIND_MAX || dns_name_parse(text, &name) ||
	    !name.labels)
		return -EINVAL;
	*len = key_make(key, vni, kind, name.b, name.len - 1u);
	return 0;
}

int zones_name_put(struct zones *z, const struct want_name *want,
		   const struct ip_addr *addrs)
{
	uint8_t key[KEY_MAX];
	struct record *rec, *old;
	size_t len;
	int err;

	if (want->ports_len > NAME_PORTS_MAX ||
	    want->addrs_len > NAME_ADDRS_MAX)
		return -EINVAL;
	err = name_key(key, want->vni, want->kind, want->name, &len);
	if (err)
		return err;
	HASH_FIND(hh, z->names, key, len, old);
	if (old)
		record_drop(z, old);
	rec = record_new(want, addrs, key, len);
	HASH_ADD_KEYPTR(hh, z->names, rec->key, rec->key_len, rec);
	reverses_each(z, rec, reverse_put);
	return 0;
}

void zones_name_del(struct zones *z, uint32_t vni, enum name_kind kind,
		    const char *name)
{
	uint8_t key[KEY_MAX];
	struct record *rec;
	size_t len;

	if (name_key(key, vni, kind, name, &len))
		return;
	HASH_FIND(hh, z->names, key, len, rec);
	if (rec)
		record_drop(z, rec);
}

const struct record *zones_name(const struct zones *z, uint32_t vni,
				enum name_kind kind, const uint8_t *labels,
				size_t len)
{
	uint8_t key[KEY_MAX];
	const struct record *rec;

	len = key_make(key, vni, kind, labels, len);
	HASH_FIND(hh, z->names, key, len, rec);
	return rec;
}

const struct record *zones_ptr(const struct zones *z, uint32_t vni,
			       const struct ip_addr *addr)
{
	struct reverse_key key;
	const struct reverse *r;

	memset(&key, 0, sizeof(key));
	key.vni = vni;
	key.addr = *addr;
	HASH_FIND(hh, z->reverses, &key, sizeof(key), r);
	return r ? r->rec : NULL;
}

/* Everything at once. */

void zones_sync_begin(struct zones *z)
{
	for (struct zone *zone = z->zones; zone; zone = zone->hh.next)
		zone->stale = true;
	for (struct client *c = z->clients; c; c = c->hh.next)
		c->stale = true;
	for (struct record *rec = z->names; rec; rec = rec->hh.next)
		rec->stale = true;
}

void zones_sync_end(struct zones *z)
{
	struct zone *zone, *zone_tmp;
	struct client *c, *c_tmp;
	struct record *rec, *rec_tmp;

	HASH_ITER (hh, z->names, rec, rec_tmp)
		if (rec->stale)
			record_drop(z, rec);
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
	free(z);
}
