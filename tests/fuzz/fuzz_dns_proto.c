/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what netd and netd-dns say to each other. netd, which is root,
 * reads what a process without rights wrote: whatever passes its checks must
 * be safe to print. A name that netd-dns takes must pack to what it was.
 */
#include <stdint.h>
#include <stdlib.h>

#include "inquiry.h"
#include "netd/util.h"
#include "packed.h"
#include "zone.h"

static void text_check(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	if (len == size)
		abort();
	for (size_t i = 0; i < len; i++)
		if ((text[i] < ' ' || text[i] > '~') && text[i] != '\n')
			abort();
}

/* As a compiler sees them: UBSan minds a third value. */
static int flags_sum(const struct dns_upstream_state *row)
{
	return row->down + row->loops + row->behind + row->loses_case;
}

static void told_use(struct dns_told *told)
{
	volatile int sink = 0;

	if (!told_check(told))
		return;
	if (told->kind == DNS_ASK_QUERY) {
		text_check(told->query.step, sizeof(told->query.step));
		text_check(told->query.text, sizeof(told->query.text));
		sink = told->query.authoritative;
	} else if (told->kind == DNS_ASK_UPSTREAMS) {
		for (uint32_t i = 0; i < told->upstreams.len; i++)
			sink += flags_sum(&told->upstreams.rows[i]);
	} else if (told->kind == DNS_ASK_CACHE) {
		for (uint32_t i = 0; i < told->cache.len; i++) {
			text_check(told->cache.rows[i].name,
				   sizeof(told->cache.rows[i].name));
			sink += told->cache.rows[i].stale;
		}
	}
	(void)sink;
}

static void name_use(const uint8_t *data, size_t len)
{
	static struct packed p;
	static uint8_t again[PACKED_MAX];
	static struct zones *zones;
	struct wbuf w = wbuf_make(again, sizeof(again));
	size_t key_len;

	if (packed_read(data, len, &p))
		return;
	if (!zones)
		zones = zones_new();
	if (p.want.kind == NAME_RECORD) {
		zones_record_put(zones, p.want.vni, p.want.name, p.values,
				 p.values_len);
		zones_name_del(zones, p.want.vni, p.want.kind, p.want.name);
		return;
	}
	zones_name_put(zones, &p.want, p.addrs, p.has_hosts ? p.hosts : NULL);
	zones_name_del(zones, p.want.vni, p.want.kind, p.want.name);
	if (packed_name(&w, &p.want, p.addrs, p.has_hosts ? p.hosts : NULL,
			&key_len) ||
	    key_len > w.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct proto_msg msg;
	size_t room = offsetof(struct proto_msg, fds);
	size_t body = size > sizeof(msg.head) ? size - sizeof(msg.head) : 0;

	if (size < sizeof(msg.head) || size > room)
		return 0;
	memcpy(&msg, data, size);
	msg.fds[0] = msg.fds[1] = -1;
	/* A type and a length are soon right, so that bodies are reached. */
	msg.head.type %= PROTO_MAX;
	msg.head.len = (uint32_t)body;
	if (msg.head.type == PROTO_TOLD) {
		size = sizeof(msg.head) + sizeof(msg.body.told);
		msg.head.len = sizeof(msg.body.told);
	}
	if (!proto_is_whole(&msg, size))
		return 0;
	if (msg.head.type == PROTO_TOLD)
		told_use(&msg.body.told.told);
	else if (msg.head.type == PROTO_NAME_PUT)
		name_use(msg.body.name, body);
	return 0;
}
