/* SPDX-License-Identifier: Apache-2.0 */
#include "shadow.h"

#include <ctype.h>
#include <uthash.h>
#include <utlist.h>

#include "netd/util.h"

enum item_kind { ITEM_ZONE, ITEM_CLIENT, ITEM_NAME, ITEM_STUB, ITEM_MAX };

struct item {
	enum item_kind kind;
	bool queued;
	/* Deleted; goes when that is told. */
	bool dead;
	/* Put since the audit began. */
	bool seen;
	struct item *prev, *next;
};

struct zone_item {
	struct item item;
	struct want_zone want;
	int fds[PROTO_FDS_MAX];
	bool fds_told;
	UT_hash_handle hh;
};

struct client_item {
	struct item item;
	struct want_client want;
	UT_hash_handle hh;
};

/* There may be many: only what is used is kept. */
struct name_item {
	struct item item;
	UT_hash_handle hh;
	uint32_t len;
	/* Of the bytes, the key's; see packed.h. */
	uint32_t key_len;
	uint8_t bytes[];
};

struct stub_item {
	struct item item;
	struct proto_stub_key key;
	struct want_upstream want;
	UT_hash_handle hh;
};

struct shadow {
	struct zone_item *zones;
	struct client_item *clients;
	struct name_item *names;
	struct stub_item *stubs;
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
	struct client_item *client;
	struct name_item *name;
	struct stub_item *stub;

	if (item->queued)
		DL_DELETE(s->queue, item);
	switch (item->kind) {
	case ITEM_ZONE:
		zone = container_of(item, struct zone_item, item);
		proto_fds_close(zone->fds);
		HASH_DEL(s->zones, zone);
		free(zone);
		return;
	case ITEM_CLIENT:
		client = container_of(item, struct client_item, item);
		HASH_DEL(s->clients, client);
		free(client);
		return;
	case ITEM_NAME:
		name = container_of(item, struct name_item, item);
		HASH_DEL(s->names, name);
		free(name);
		return;
	case ITEM_STUB:
		stub = container_of(item, struct stub_item, item);
		HASH_DEL(s->stubs, stub);
		free(stub);
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
	struct client_item *client, *client_tmp;
	struct name_item *name, *name_tmp;
	struct stub_item *stub, *stub_tmp;

	HASH_ITER (hh, s->zones, zone, zone_tmp)
		fn(s, &zone->item, arg);
	HASH_ITER (hh, s->clients, client, client_tmp)
		fn(s, &client->item, arg);
	HASH_ITER (hh, s->names, name, name_tmp)
		fn(s, &name->item, arg);
	HASH_ITER (hh, s->stubs, stub, stub_tmp)
		fn(s, &stub->item, arg);
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

/* Bytes compare only when what is unused is zero. */
static struct want_zone zone_clean(const struct want_zone *want)
{
	struct want_zone clean;

	memset(&clean, 0, sizeof(clean));
	clean.vni = want->vni;
	memcpy(clean.name, want->name,
	       strnlen(want->name, sizeof(clean.name) - 1));
	clean.gateway = want->gateway;
	clean.subnet.addr = want->subnet.addr;
	clean.subnet.len = want->subnet.len;
	clean.vips_len = MIN(want->vips_len, NET_VIPS_MAX);
	for (uint32_t i = 0; i < clean.vips_len; i++) {
		clean.vips[i].addr = want->vips[i].addr;
		clean.vips[i].len = want->vips[i].len;
	}
	clean.internal = want->internal;
	return clean;
}

bool shadow_zone_is_open(const struct shadow *s, uint32_t vni,
			 const struct ip_addr *gateway)
{
	const struct zone_item *zone = zone_find(s, vni);

	return zone && zone->fds[0] >= 0 && ip_eq(&zone->want.gateway, gateway);
}

bool shadow_zone_put(struct shadow *s, const struct want_zone *want,
		     int fds[PROTO_FDS_MAX], bool sent)
{
	struct zone_item *zone = zone_find(s, want->vni);
	struct want_zone clean = zone_clean(want);
	bool same;

	if (!zone) {
		zone = xzalloc(sizeof(*zone));
		zone->item.kind = ITEM_ZONE;
		zone->want.vni = want->vni;
		zone->fds[0] = zone->fds[1] = -1;
		HASH_ADD(hh, s->zones, want.vni, sizeof(want->vni), zone);
	}
	same = !zone->item.dead && fds[0] < 0 &&
	       memcmp(&zone->want, &clean, sizeof(clean)) == 0;
	zone->want = clean;
	zone->item.dead = false;
	zone->item.seen = true;
	if (fds[0] >= 0) {
		proto_fds_close(zone->fds);
		zone->fds[0] = take_fd(fds[0]);
		zone->fds[1] = take_fd(fds[1]);
		zone->fds_told = sent;
	}
	return !same && enqueue(s, &zone->item);
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
		if (!zone->item.dead || zone->fds[0] < 0 ||
		    !ip_eq(&zone->want.gateway, gateway))
			continue;
		ret[0] = take_fd(zone->fds[0]);
		ret[1] = take_fd(zone->fds[1]);
		zone->fds_told = false;
		return true;
	}
	return false;
}

static int zone_tell(struct zone_item *zone, int fd)
{
	bool fds = zone->fds[0] >= 0 && !zone->fds_told;
	struct proto_vni key = { zone->want.vni };
	int err;

	if (zone->item.dead)
		return proto_send(fd, PROTO_ZONE_DEL, &key, sizeof(key), NULL);
	err = proto_send(fd, PROTO_ZONE_PUT, &zone->want, sizeof(zone->want),
			 fds ? zone->fds : NULL);
	if (!err && fds)
		zone->fds_told = true;
	return err;
}

/* Clients. */

bool shadow_client_put(struct shadow *s, const struct want_client *want)
{
	struct client_item *client;
	struct want_client clean;
	bool same;

	memset(&clean, 0, sizeof(clean));
	clean.addr = want->addr;
	clean.vni_len = MIN(want->vni_len, CLIENT_NETS_MAX);
	memcpy(clean.vni, want->vni, clean.vni_len * sizeof(want->vni[0]));
	clean.host = want->host;
	HASH_FIND(hh, s->clients, &want->addr, sizeof(want->addr), client);
	if (!client) {
		client = xzalloc(sizeof(*client));
		client->item.kind = ITEM_CLIENT;
		client->item.dead = true;
		client->want.addr = want->addr;
		HASH_ADD(hh, s->clients, want.addr, sizeof(want->addr), client);
	}
	same = !client->item.dead &&
	       memcmp(&client->want, &clean, sizeof(clean)) == 0;
	client->want = clean;
	client->item.dead = false;
	client->item.seen = true;
	return !same && enqueue(s, &client->item);
}

bool shadow_client_del(struct shadow *s, const struct ip_addr *addr)
{
	struct client_item *client;

	HASH_FIND(hh, s->clients, addr, sizeof(*addr), client);
	return client && kill_item(s, &client->item);
}

static int client_tell(const struct client_item *client, int fd)
{
	if (client->item.dead)
		return proto_send(fd, PROTO_CLIENT_DEL, &client->want.addr,
				  sizeof(client->want.addr), NULL);
	return proto_send(fd, PROTO_CLIENT_PUT, &client->want,
			  sizeof(client->want), NULL);
}

/* Names. */

static bool name_take(struct shadow *s, const struct wbuf *w, size_t key_len)
{
	struct name_item *name;

	HASH_FIND(hh, s->names, w->data, key_len, name);
	if (name && name->len == w->len &&
	    memcmp(name->bytes, w->data, w->len) == 0 && !name->item.dead) {
		name->item.seen = true;
		return false;
	}
	if (name)
		item_free(s, &name->item);
	name = xzalloc(sizeof(*name) + w->len);
	name->item.kind = ITEM_NAME;
	name->item.seen = true;
	name->len = (uint32_t)w->len;
	name->key_len = (uint32_t)key_len;
	memcpy(name->bytes, w->data, w->len);
	HASH_ADD_KEYPTR(hh, s->names, name->bytes, key_len, name);
	return enqueue(s, &name->item);
}

int shadow_name_put(struct shadow *s, const struct want_name *want,
		    const struct ip_addr *addrs, const struct want_host *hosts)
{
	uint8_t bytes[PACKED_NAME_MAX];
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	size_t key_len;
	int err = packed_name(&w, want, addrs, hosts, &key_len);

	return err ? err : name_take(s, &w, key_len);
}

int shadow_record_put(struct shadow *s, uint32_t vni, const char *name,
		      const struct want_value *values, size_t len)
{
	uint8_t bytes[PACKED_MAX];
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	size_t key_len;
	int err = packed_values(&w, vni, name, values, len, &key_len);

	return err ? err : name_take(s, &w, key_len);
}

bool shadow_name_del(struct shadow *s, uint32_t vni, enum name_kind kind,
		     const char *name)
{
	uint8_t bytes[PACKED_KEY_MAX];
	struct wbuf w = wbuf_make(bytes, sizeof(bytes));
	size_t len = packed_key(&w, vni, kind, name);
	struct name_item *item;

	HASH_FIND(hh, s->names, bytes, len, item);
	return item && kill_item(s, &item->item);
}

static int name_tell(const struct name_item *name, int fd)
{
	bool dead = name->item.dead;

	return proto_send(fd, dead ? PROTO_NAME_DEL : PROTO_NAME_PUT,
			  name->bytes, dead ? name->key_len : name->len, NULL);
}

/* Stub zones. */

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

static struct want_upstream stub_clean(const struct want_upstream *want,
				       const struct proto_stub_key *key)
{
	struct want_upstream clean;

	memset(&clean, 0, sizeof(clean));
	clean.vni = key->vni;
	memcpy(clean.zone, key->zone, sizeof(clean.zone));
	clean.servers_len = MIN(want->servers_len, UPSTREAM_SERVERS_MAX);
	for (uint32_t i = 0; i < clean.servers_len; i++) {
		clean.servers[i].addr = want->servers[i].addr;
		clean.servers[i].port = want->servers[i].port;
	}
	return clean;
}

bool shadow_stub_put(struct shadow *s, const struct want_upstream *want)
{
	struct proto_stub_key key = stub_key(want->vni, want->zone);
	struct want_upstream clean = stub_clean(want, &key);
	struct stub_item *stub;
	bool same;

	HASH_FIND(hh, s->stubs, &key, sizeof(key), stub);
	if (!stub) {
		stub = xzalloc(sizeof(*stub));
		stub->item.kind = ITEM_STUB;
		stub->item.dead = true;
		stub->key = key;
		HASH_ADD(hh, s->stubs, key, sizeof(key), stub);
	}
	same = !stub->item.dead &&
	       memcmp(&stub->want, &clean, sizeof(clean)) == 0;
	stub->want = clean;
	stub->item.dead = false;
	stub->item.seen = true;
	return !same && enqueue(s, &stub->item);
}

bool shadow_stub_del(struct shadow *s, uint32_t vni, const char *zone)
{
	struct proto_stub_key key = stub_key(vni, zone);
	struct stub_item *stub;

	HASH_FIND(hh, s->stubs, &key, sizeof(key), stub);
	return stub && kill_item(s, &stub->item);
}

static int stub_tell(const struct stub_item *stub, int fd)
{
	if (stub->item.dead)
		return proto_send(fd, PROTO_STUB_DEL, &stub->key,
				  sizeof(stub->key), NULL);
	return proto_send(fd, PROTO_STUB_PUT, &stub->want, sizeof(stub->want),
			  NULL);
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

static void tell_each(struct shadow *s, struct item *item, bool sockets)
{
	/* What the server is not told of it will not have. */
	if (item->dead) {
		item_free(s, item);
		return;
	}
	if (item->kind == ITEM_ZONE && sockets)
		container_of(item, struct zone_item, item)->fds_told = false;
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
	case ITEM_CLIENT:
		err = client_tell(container_of(item, struct client_item, item),
				  fd);
		break;
	case ITEM_NAME:
		err = name_tell(container_of(item, struct name_item, item), fd);
		break;
	case ITEM_STUB:
		err = stub_tell(container_of(item, struct stub_item, item), fd);
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
