/* SPDX-License-Identifier: Apache-2.0 */
#include "shadow.h"

#include <ctype.h>
#include <uthash.h>
#include <utlist.h>

#include "netd/util.h"

enum item_kind { ITEM_ZONE, ITEM_PLAIN, ITEM_MAX };

struct item {
	enum item_kind kind;
	bool queued;
	/* Deleted; goes when that is told. */
	bool dead;
	/* Put since the audit began. */
	bool seen;
	struct item *prev, *next;
};

/* At one of a zone's gateways; none open: descriptors of -1. */
struct zone_sockets {
	struct ip_addr gateway;
	int fds[PROTO_FDS_MAX];
	bool told;
};

struct zone_item {
	struct item item;
	struct want_zone want;
	struct zone_sockets at[RANGES_MAX];
	UT_hash_handle hh;
};

/*
 * All that needs no descriptors: its message's type and body, which begins
 * with the key. A DEL has the type behind its PUT, and the key as its body.
 */
struct plain_item {
	struct item item;
	UT_hash_handle hh;
	enum proto_type put;
	/* Of the body; key_len is the table's: with the type before it. */
	uint32_t len;
	uint32_t key_len;
	uint8_t bytes[];
};
#define PLAIN_HEAD 1

struct shadow {
	struct zone_item *zones;
	struct plain_item *plains;
	struct item *queue;
};

struct shadow *shadow_new(void)
{
	return xzalloc(sizeof(struct shadow));
}

static bool enqueue(struct shadow *s, struct item *item)
{
	if (!item->queued)
		DL_APPEND(s->queue, item);
	item->queued = true;
	return true;
}

static void item_free(struct shadow *s, struct item *item)
{
	struct zone_item *zone;
	struct plain_item *plain;

	if (item->queued)
		DL_DELETE(s->queue, item);
	switch (item->kind) {
	case ITEM_ZONE:
		zone = container_of(item, struct zone_item, item);
		for (size_t i = 0; i < RANGES_MAX; i++)
			proto_fds_close(zone->at[i].fds);
		HASH_DEL(s->zones, zone);
		free(zone);
		return;
	case ITEM_PLAIN:
		plain = container_of(item, struct plain_item, item);
		HASH_DEL(s->plains, plain);
		free(plain);
		return;
	case ITEM_MAX:
		return;
	}
}

/* Called for every item of any kind; may free the one it is given. */
typedef void item_fn(struct shadow *s, struct item *item, bool arg);

static void each(struct shadow *s, item_fn *fn, bool arg)
{
	struct zone_item *zone, *zone_tmp;
	struct plain_item *plain, *plain_tmp;

	HASH_ITER (hh, s->zones, zone, zone_tmp)
		fn(s, &zone->item, arg);
	HASH_ITER (hh, s->plains, plain, plain_tmp)
		fn(s, &plain->item, arg);
}

static void drop_each(struct shadow *s, struct item *item, bool arg)
{
	(void)arg;
	item_free(s, item);
}

void shadow_free(struct shadow *s)
{
	if (!s)
		return;
	each(s, drop_each, false);
	free(s);
}

static bool kill_item(struct shadow *s, struct item *item)
{
	if (item->dead)
		return false;
	item->dead = true;
	return enqueue(s, item);
}

/* Zones. */

static struct zone_item *zone_find(const struct shadow *s, uint32_t vni)
{
	struct zone_item *zone;

	HASH_FIND(hh, s->zones, &vni, sizeof(vni), zone);
	return zone;
}

/* Bytes compare only when what is unused is zero, as *ret is. */
static void range_clean(const struct want_range *want, struct want_range *ret)
{
	ret->gateway = want->gateway;
	ret->subnet.addr = want->subnet.addr;
	ret->subnet.len = want->subnet.len;
	ret->vips_len = MIN(want->vips_len, NET_VIPS_MAX);
	for (uint32_t i = 0; i < ret->vips_len; i++) {
		ret->vips[i].addr = want->vips[i].addr;
		ret->vips[i].len = want->vips[i].len;
	}
}

static struct want_zone zone_clean(const struct want_zone *want)
{
	struct want_zone clean;

	memset(&clean, 0, sizeof(clean));
	clean.vni = want->vni;
	memcpy(clean.name, want->name,
	       strnlen(want->name, sizeof(clean.name) - 1));
	clean.ranges_len = MIN(want->ranges_len, RANGES_MAX);
	for (uint32_t i = 0; i < clean.ranges_len; i++)
		range_clean(&want->ranges[i], &clean.ranges[i]);
	clean.internal = want->internal;
	return clean;
}

static struct zone_sockets *sockets_at(struct zone_item *zone,
				       const struct ip_addr *gateway)
{
	for (size_t i = 0; zone && i < RANGES_MAX; i++)
		if (zone->at[i].fds[0] >= 0 &&
		    ip_eq(&zone->at[i].gateway, gateway))
			return &zone->at[i];
	return NULL;
}

bool shadow_zone_is_open(const struct shadow *s, uint32_t vni,
			 const struct ip_addr *gateway)
{
	return sockets_at(zone_find(s, vni), gateway);
}

static struct zone_item *zone_new(struct shadow *s, uint32_t vni)
{
	struct zone_item *zone = xzalloc(sizeof(*zone));

	zone->item.kind = ITEM_ZONE;
	zone->want.vni = vni;
	for (size_t i = 0; i < RANGES_MAX; i++)
		zone->at[i].fds[0] = zone->at[i].fds[1] = -1;
	HASH_ADD(hh, s->zones, want.vni, sizeof(vni), zone);
	return zone;
}

/* The server closes them as well when it is told the zone. */
static void sockets_close_others(struct zone_item *zone)
{
	for (size_t i = 0; i < RANGES_MAX; i++) {
		bool wanted = false;

		for (uint32_t k = 0; k < zone->want.ranges_len; k++)
			wanted |= ip_eq(&zone->want.ranges[k].gateway,
					&zone->at[i].gateway);
		if (!wanted)
			proto_fds_close(zone->at[i].fds);
	}
}

bool shadow_zone_put(struct shadow *s, const struct want_zone *want)
{
	struct zone_item *zone = zone_find(s, want->vni);
	struct want_zone clean = zone_clean(want);
	bool same;

	if (!zone)
		zone = zone_new(s, want->vni);
	same = !zone->item.dead &&
	       memcmp(&zone->want, &clean, sizeof(clean)) == 0;
	zone->want = clean;
	zone->item.dead = false;
	zone->item.seen = true;
	sockets_close_others(zone);
	return !same && enqueue(s, &zone->item);
}

void shadow_zone_open(struct shadow *s, uint32_t vni,
		      const struct ip_addr *gateway, int fds[PROTO_FDS_MAX],
		      bool sent)
{
	struct zone_item *zone = zone_find(s, vni);
	size_t i = 0;

	/* Those at other gateways are wanted: one place is left. */
	while (zone->at[i].fds[0] >= 0 && !ip_eq(&zone->at[i].gateway, gateway))
		i++;
	proto_fds_close(zone->at[i].fds);
	zone->at[i].gateway = *gateway;
	zone->at[i].fds[0] = take_fd(fds[0]);
	zone->at[i].fds[1] = take_fd(fds[1]);
	zone->at[i].told = sent;
	enqueue(s, &zone->item);
}

bool shadow_zone_del(struct shadow *s, uint32_t vni)
{
	struct zone_item *zone = zone_find(s, vni);

	if (!zone)
		return false;
	/* The sockets stay until the server was told: see take_dead. */
	return kill_item(s, &zone->item);
}

bool shadow_zone_take_dead(struct shadow *s, const struct ip_addr *gateway,
			   int ret[PROTO_FDS_MAX])
{
	for (struct zone_item *zone = s->zones; zone; zone = zone->hh.next) {
		struct zone_sockets *at =
			zone->item.dead ? sockets_at(zone, gateway) : NULL;

		if (!at)
			continue;
		ret[0] = take_fd(at->fds[0]);
		ret[1] = take_fd(at->fds[1]);
		return true;
	}
	return false;
}

static int sockets_tell(const struct zone_item *zone, struct zone_sockets *at,
			int fd)
{
	struct proto_sockets what;
	int err;

	if (at->fds[0] < 0 || at->told)
		return 0;
	memset(&what, 0, sizeof(what));
	what.vni = zone->want.vni;
	what.gateway = at->gateway;
	err = proto_send(fd, PROTO_ZONE_OPEN, &what, sizeof(what), at->fds);
	at->told = !err;
	return err;
}

/* Again from the zone on when the socket was full in between: no harm. */
static int zone_tell(struct zone_item *zone, int fd)
{
	struct proto_vni key = { zone->want.vni };
	int err;

	if (zone->item.dead)
		return proto_send(fd, PROTO_ZONE_DEL, &key, sizeof(key), NULL);
	err = proto_send(fd, PROTO_ZONE_PUT, &zone->want, sizeof(zone->want),
			 NULL);
	for (size_t i = 0; i < RANGES_MAX && !err; i++)
		err = sockets_tell(zone, &zone->at[i], fd);
	return err;
}

/* Plain ones. */

static bool plain_put(struct shadow *s, enum proto_type put, const void *body,
		      size_t len, size_t key_len)
{
	struct plain_item *old,
		*plain = xzalloc(sizeof(*plain) + PLAIN_HEAD + len);

	plain->item.kind = ITEM_PLAIN;
	plain->item.seen = true;
	plain->put = put;
	plain->len = (uint32_t)len;
	plain->key_len = (uint32_t)(PLAIN_HEAD + key_len);
	plain->bytes[0] = (uint8_t)put;
	memcpy(plain->bytes + PLAIN_HEAD, body, len);
	HASH_FIND(hh, s->plains, plain->bytes, plain->key_len, old);
	if (old && old->len == len && !old->item.dead &&
	    memcmp(old->bytes, plain->bytes, PLAIN_HEAD + len) == 0) {
		old->item.seen = true;
		free(plain);
		return false;
	}
	if (old)
		item_free(s, &old->item);
	HASH_ADD_KEYPTR(hh, s->plains, plain->bytes, plain->key_len, plain);
	return enqueue(s, &plain->item);
}

static bool plain_del(struct shadow *s, enum proto_type put, const void *key,
		      size_t key_len)
{
	uint8_t bytes[PLAIN_HEAD + PACKED_KEY_MAX];
	struct plain_item *plain;

	bytes[0] = (uint8_t)put;
	memcpy(bytes + PLAIN_HEAD, key, key_len);
	HASH_FIND(hh, s->plains, bytes, PLAIN_HEAD + key_len, plain);
	return plain && kill_item(s, &plain->item);
}

static int plain_tell(const struct plain_item *plain, int fd)
{
	const uint8_t *body = plain->bytes + PLAIN_HEAD;

	if (plain->item.dead)
		return proto_send(fd, (enum proto_type)(plain->put + 1), body,
				  plain->key_len - PLAIN_HEAD, NULL);
	return proto_send(fd, plain->put, body, plain->len, NULL);
}

_Static_assert(PROTO_CLIENT_DEL == PROTO_CLIENT_PUT + 1 &&
		       PROTO_NAME_DEL == PROTO_NAME_PUT + 1 &&
		       PROTO_STUB_DEL == PROTO_STUB_PUT + 1 &&
		       PROTO_REVERSE_DEL == PROTO_REVERSE_PUT + 1,
	       "a DEL stands behind its PUT");
_Static_assert(PACKED_KEY_MAX >= sizeof(struct proto_stub_key) &&
		       offsetof(struct want_upstream, servers) ==
			       sizeof(struct proto_stub_key),
	       "a body begins with its key");

bool shadow_client_put(struct shadow *s, const struct want_client *want)
{
	struct want_client clean;

	memset(&clean, 0, sizeof(clean));
	clean.addr = want->addr;
	clean.vni_len = MIN(want->vni_len, CLIENT_NETS_MAX);
	memcpy(clean.vni, want->vni, clean.vni_len * sizeof(want->vni[0]));
	clean.host = want->host;
	return plain_put(s, PROTO_CLIENT_PUT, &clean, sizeof(clean),
			 sizeof(clean.addr));
}

bool shadow_client_del(struct shadow *s, const struct ip_addr *addr)
{
	return plain_del(s, PROTO_CLIENT_PUT, addr, sizeof(*addr));
}

int shadow_name_put(struct shadow *s, const struct want_name *want,
		    const struct ip_addr *addrs, const struct want_host *hosts)
{
	uint8_t bytes[PACKED_NAME_MAX];
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	size_t key_len;
	int err = packed_name(&w, want, addrs, hosts, &key_len);

	return err ? err : plain_put(s, PROTO_NAME_PUT, bytes, w.len, key_len);
}

int shadow_record_put(struct shadow *s, uint32_t vni, const char *name,
		      const struct want_value *values, size_t len)
{
	uint8_t bytes[PACKED_MAX];
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	size_t key_len;
	int err = packed_values(&w, vni, name, values, len, &key_len);

	return err ? err : plain_put(s, PROTO_NAME_PUT, bytes, w.len, key_len);
}

bool shadow_name_del(struct shadow *s, uint32_t vni, enum name_kind kind,
		     const char *name)
{
	uint8_t bytes[PACKED_KEY_MAX];
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	size_t len = packed_key(&w, vni, kind, name);

	return plain_del(s, PROTO_NAME_PUT, bytes, len);
}

static struct proto_stub_key stub_key(uint32_t vni, const char *zone)
{
	struct proto_stub_key key;
	size_t len = strnlen(zone, sizeof(key.zone) - 1);

	memset(&key, 0, sizeof(key));
	key.vni = vni;
	for (size_t i = 0; i < len; i++)
		key.zone[i] = (char)tolower((unsigned char)zone[i]);
	return key;
}

bool shadow_stub_put(struct shadow *s, const struct want_upstream *want)
{
	struct proto_stub_key key = stub_key(want->vni, want->zone);
	struct want_upstream clean;

	memset(&clean, 0, sizeof(clean));
	memcpy(&clean, &key, sizeof(key));
	clean.servers_len = MIN(want->servers_len, UPSTREAM_SERVERS_MAX);
	for (uint32_t i = 0; i < clean.servers_len; i++) {
		clean.servers[i].addr = want->servers[i].addr;
		clean.servers[i].port = want->servers[i].port;
	}
	return plain_put(s, PROTO_STUB_PUT, &clean, sizeof(clean), sizeof(key));
}

bool shadow_stub_del(struct shadow *s, uint32_t vni, const char *zone)
{
	struct proto_stub_key key = stub_key(vni, zone);

	return plain_del(s, PROTO_STUB_PUT, &key, sizeof(key));
}

bool shadow_reverse_put(struct shadow *s, const struct want_reverse *want)
{
	struct want_reverse clean;

	memset(&clean, 0, sizeof(clean));
	clean.vni = want->vni;
	clean.len = MIN(want->len, NET_PREFIXES_MAX);
	for (uint32_t i = 0; i < clean.len; i++) {
		clean.prefixes[i].addr = want->prefixes[i].addr;
		clean.prefixes[i].len = want->prefixes[i].len;
	}
	return plain_put(s, PROTO_REVERSE_PUT, &clean, sizeof(clean),
			 sizeof(clean.vni));
}

bool shadow_reverse_del(struct shadow *s, uint32_t vni)
{
	return plain_del(s, PROTO_REVERSE_PUT, &vni, sizeof(vni));
}

/* All of them. */

static void unsee_each(struct shadow *s, struct item *item, bool arg)
{
	(void)s;
	(void)arg;
	item->seen = false;
}

static void kill_unseen_each(struct shadow *s, struct item *item, bool arg)
{
	(void)arg;
	if (item->seen || item->dead)
		return;
	if (item->kind == ITEM_ZONE)
		shadow_zone_del(
			s,
			container_of(item, struct zone_item, item)->want.vni);
	else
		kill_item(s, item);
}

void shadow_audit_begin(struct shadow *s)
{
	each(s, unsee_each, false);
}

void shadow_audit_end(struct shadow *s)
{
	each(s, kill_unseen_each, false);
}

static void untell_sockets(struct zone_item *zone)
{
	for (size_t i = 0; i < RANGES_MAX; i++)
		zone->at[i].told = false;
}

static void tell_each(struct shadow *s, struct item *item, bool sockets)
{
	/* What the server is not told of it will not have. */
	if (item->dead) {
		item_free(s, item);
		return;
	}
	if (item->kind == ITEM_ZONE && sockets)
		untell_sockets(container_of(item, struct zone_item, item));
	enqueue(s, item);
}

void shadow_tell_all(struct shadow *s, bool sockets)
{
	each(s, tell_each, sockets);
}

bool shadow_is_told(const struct shadow *s)
{
	return !s->queue;
}

int shadow_tell_one(struct shadow *s, int fd)
{
	struct item *item = s->queue;
	int err = 0;

	switch (item->kind) {
	case ITEM_ZONE:
		err = zone_tell(container_of(item, struct zone_item, item), fd);
		break;
	case ITEM_PLAIN:
		err = plain_tell(container_of(item, struct plain_item, item),
				 fd);
		break;
	case ITEM_MAX:
		break;
	}
	if (err)
		return err;
	if (item->dead) {
		item_free(s, item);
		return 0;
	}
	DL_DELETE(s->queue, item);
	item->queued = false;
	return 0;
}
