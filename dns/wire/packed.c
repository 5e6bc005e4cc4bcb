/* SPDX-License-Identifier: Apache-2.0 */
#include "packed.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "netd/util.h"

enum { FLAG_PTR = 1, FLAG_HEADLESS = 2, FLAG_HOSTS = 4 };

static void put_text(struct wbuf *w, const char *text, size_t size)
{
	size_t len = strnlen(text, size - 1);

	wbuf_u8(w, (uint8_t)len);
	for (size_t i = 0; i < len; i++)
		wbuf_u8(w, (uint8_t)tolower((unsigned char)text[i]));
}

static void put_addr(struct wbuf *w, const struct ip_addr *addr)
{
	size_t len = ip_is_v4(addr) ? 4 : ip_is_none(addr) ? 0 : 16;

	wbuf_u8(w, (uint8_t)len);
	wbuf_bytes(w, addr->b + sizeof(addr->b) - len, len);
}

size_t packed_key(struct wbuf *w, uint32_t vni, enum name_kind kind,
		  const char *name)
{
	wbuf_u32(w, vni);
	wbuf_u8(w, (uint8_t)kind);
	put_text(w, name, POD_NAME_LEN);
	return w->len;
}

int packed_name(struct wbuf *w, const struct want_name *want,
		const struct ip_addr *addrs, const struct want_host *hosts,
		size_t *key_len)
{
	if (want->addrs_len > NAME_ADDRS_MAX ||
	    want->ports_len > NAME_PORTS_MAX || want->kind >= NAME_KIND_MAX)
		return -E2BIG;
	*key_len = packed_key(w, want->vni, want->kind, want->name);
	wbuf_u32(w, want->ttl);
	wbuf_u8(w, (uint8_t)((want->ptr ? FLAG_PTR : 0) |
			     (want->headless ? FLAG_HEADLESS : 0) |
			     (hosts ? FLAG_HOSTS : 0)));
	put_text(w, want->target, sizeof(want->target));
	wbuf_u8(w, (uint8_t)want->ports_len);
	for (uint32_t i = 0; i < want->ports_len; i++) {
		const struct want_name_port *p = &want->ports[i];

		put_text(w, p->name, sizeof(p->name));
		wbuf_u16(w, p->port);
		wbuf_u16(w, p->target);
		wbuf_u8(w, p->proto);
	}
	wbuf_u16(w, (uint16_t)want->addrs_len);
	for (uint32_t i = 0; i < want->addrs_len; i++) {
		put_addr(w, &addrs[i]);
		if (!hosts)
			continue;
		put_text(w, hosts[i].name, sizeof(hosts[i].name));
		wbuf_u16(w, hosts[i].port);
	}
	return w->bad ? -E2BIG : 0;
}

int packed_values(struct wbuf *w, uint32_t vni, const char *name,
		  const struct want_value *values, size_t len, size_t *key_len)
{
	if (len > RECORD_VALUES_MAX)
		return -E2BIG;
	*key_len = packed_key(w, vni, NAME_RECORD, name);
	wbuf_u8(w, (uint8_t)len);
	for (size_t i = 0; i < len; i++) {
		const struct want_value *v = &values[i];
		size_t n = strnlen(v->text, sizeof(v->text) - 1);

		wbuf_u16(w, v->type);
		wbuf_u16(w, v->priority);
		wbuf_u16(w, v->weight);
		wbuf_u16(w, v->port);
		wbuf_u32(w, v->ttl);
		put_addr(w, &v->addr);
		wbuf_u16(w, (uint16_t)n);
		wbuf_bytes(w, v->text, n);
	}
	return w->bad ? -E2BIG : 0;
}

/* n bytes as a text of its own; they must fit and hold no 0. */
static int get_bytes(struct rbuf *r, size_t n, char *buf, size_t size)
{
	const uint8_t *text = rbuf_ptr(r, n);

	if (!text || n >= size || memchr(text, 0, n))
		return -EBADMSG;
	memcpy(buf, text, n);
	buf[n] = '\0';
	return 0;
}

static int get_text(struct rbuf *r, char *buf, size_t size)
{
	return get_bytes(r, rbuf_u8(r), buf, size);
}

static int get_addr(struct rbuf *r, struct ip_addr *ret)
{
	static const struct ip_addr none;
	uint8_t len = rbuf_u8(r);
	uint32_t v4;

	*ret = none;
	if (len == 4) {
		rbuf_bytes(r, &v4, sizeof(v4));
		*ret = ip_from_be32(v4);
	} else if (len == sizeof(ret->b)) {
		rbuf_bytes(r, ret->b, sizeof(ret->b));
	} else if (len) {
		return -EBADMSG;
	}
	return r->bad ? -EBADMSG : 0;
}

int packed_read_key(struct rbuf *r, struct want_name *ret)
{
	uint8_t kind;

	ret->vni = rbuf_u32(r);
	kind = rbuf_u8(r);
	if (kind >= NAME_KIND_MAX)
		return -EBADMSG;
	ret->kind = (enum name_kind)kind;
	return get_text(r, ret->name, sizeof(ret->name));
}

static int read_ports(struct rbuf *r, struct want_name *want)
{
	want->ports_len = rbuf_u8(r);
	if (want->ports_len > NAME_PORTS_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < want->ports_len; i++) {
		struct want_name_port *p = &want->ports[i];

		if (get_text(r, p->name, sizeof(p->name)))
			return -EBADMSG;
		p->port = rbuf_u16(r);
		p->target = rbuf_u16(r);
		p->proto = rbuf_u8(r);
	}
	return 0;
}

static int read_addrs(struct rbuf *r, struct packed *ret)
{
	struct want_name *want = &ret->want;

	want->addrs_len = rbuf_u16(r);
	if (want->addrs_len > NAME_ADDRS_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < want->addrs_len; i++) {
		struct want_host *host = &ret->hosts[i];

		if (get_addr(r, &ret->addrs[i]))
			return -EBADMSG;
		if (!ret->has_hosts)
			continue;
		if (get_text(r, host->name, sizeof(host->name)))
			return -EBADMSG;
		host->port = rbuf_u16(r);
	}
	return 0;
}

static int read_name(struct rbuf *r, struct packed *ret)
{
	struct want_name *want = &ret->want;
	uint8_t flags;

	want->ttl = rbuf_u32(r);
	flags = rbuf_u8(r);
	want->ptr = flags & FLAG_PTR;
	want->headless = flags & FLAG_HEADLESS;
	ret->has_hosts = flags & FLAG_HOSTS;
	if (get_text(r, want->target, sizeof(want->target)) ||
	    read_ports(r, want))
		return -EBADMSG;
	return read_addrs(r, ret);
}

static int read_values(struct rbuf *r, struct packed *ret)
{
	ret->values_len = rbuf_u8(r);
	if (ret->values_len > RECORD_VALUES_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < ret->values_len; i++) {
		struct want_value *v = &ret->values[i];

		v->type = rbuf_u16(r);
		v->priority = rbuf_u16(r);
		v->weight = rbuf_u16(r);
		v->port = rbuf_u16(r);
		v->ttl = rbuf_u32(r);
		if (get_addr(r, &v->addr) ||
		    get_bytes(r, rbuf_u16(r), v->text, sizeof(v->text)))
			return -EBADMSG;
	}
	return 0;
}

int packed_read(const void *data, size_t len, struct packed *ret)
{
	struct rbuf r = rbuf_make(data, len);
	int err = packed_read_key(&r, &ret->want);

	if (err)
		return err;
	if (ret->want.kind == NAME_RECORD)
		err = read_values(&r, ret);
	else
		err = read_name(&r, ret);
	if (err)
		return err;
	return r.bad || rbuf_left(&r) ? -EBADMSG : 0;
}
