/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <arpa/nameser.h>
#include <errno.h>

#include "netd/util.h"

size_t record_key(uint8_t key[RECORD_KEY_MAX], uint32_t vni,
		  enum name_kind kind, const uint8_t *labels, size_t len)
{
	struct wbuf w = wbuf_make(key, RECORD_KEY_MAX);

	wbuf_u32(&w, vni);
	wbuf_u8(&w, (uint8_t)kind);
	wbuf_bytes(&w, labels, len);
	return w.len;
}

uint32_t record_vni(const struct record *rec)
{
	struct rbuf r = rbuf_make(record_key_of(rec), rec->key_len);

	return rbuf_u32(&r);
}

enum name_kind record_kind(const struct record *rec)
{
	return (enum name_kind)record_key_of(
		rec)[offsetof(struct dns_ready_key, kind)];
}

const uint8_t *record_labels(const struct record *rec, size_t *len)
{
	*len = rec->key_len - RECORD_KEY_HEAD;
	return record_key_of(rec) + RECORD_KEY_HEAD;
}

/* Addresses. */

const uint8_t *record_addr_rr(const struct record *rec, uint32_t i, size_t *len)
{
	if (i < rec->a_len) {
		*len = RR_A_LEN;
		return record_a(rec) + i * RR_A_LEN;
	}
	*len = RR_AAAA_LEN;
	return record_aaaa(rec) + (i - rec->a_len) * RR_AAAA_LEN;
}

struct ip_addr record_addr(const struct record *rec, uint32_t i)
{
	struct ip_addr addr = { { 0 } };
	size_t len;
	const uint8_t *rr = record_addr_rr(rec, i, &len);
	uint32_t v4;

	if (len == RR_AAAA_LEN) {
		memcpy(addr.b, rr + RR_HEAD_LEN, sizeof(addr.b));
		return addr;
	}
	memcpy(&v4, rr + RR_HEAD_LEN, sizeof(v4));
	return ip_from_be32(v4);
}

/* Hosts: port, length, label; one after the other. */

bool record_host_next(const struct record *rec, struct record_host *host)
{
	struct rbuf r =
		rbuf_make(record_rrs(rec) + rec->rrs_len, rec->hosts_len);

	if (host->next >= rec->hosts_len)
		return false;
	host->i = host->label ? host->i + 1 : 0;
	r.pos = host->next;
	host->port = rbuf_u16(&r);
	host->len = rbuf_u8(&r);
	host->label = rbuf_ptr(&r, host->len);
	host->next = (uint32_t)r.pos;
	return true;
}

bool record_host_find(const struct record *rec, const uint8_t *label,
		      uint8_t len, struct record_host *ret)
{
	*ret = (struct record_host){ 0 };
	while (record_host_next(rec, ret))
		if (ret->len == len && memcmp(ret->label, label, len) == 0)
			return true;
	return false;
}

bool record_host_of(const struct record *rec, const struct ip_addr *addr,
		    struct record_host *ret)
{
	*ret = (struct record_host){ 0 };
	while (record_host_next(rec, ret)) {
		struct ip_addr at = record_addr(rec, ret->i);

		if (ip_eq(&at, addr))
			return true;
	}
	return false;
}

/* Making one. */

static void rr_head(struct wbuf *w, uint16_t type, uint32_t ttl, size_t len)
{
	wbuf_u16(w, DNS_READY_OWNER);
	wbuf_u16(w, type);
	wbuf_u16(w, ns_c_in);
	wbuf_u32(w, ttl);
	wbuf_u16(w, (uint16_t)len);
}

static void rr_addr(struct wbuf *w, uint32_t ttl, const struct ip_addr *addr)
{
	bool v4 = ip_is_v4(addr);
	size_t len = v4 ? 4 : 16;

	rr_head(w, v4 ? ns_t_a : ns_t_aaaa, ttl, len);
	wbuf_bytes(w, addr->b + sizeof(addr->b) - len, len);
}

/* What is put into a record before its size is known. */
struct parts {
	uint32_t v4;
	uint32_t v6;
	size_t hosts;
	struct wbuf rrs;
};

static struct record *record_make(const struct parts *p, uint32_t ports,
				  const uint8_t *key, size_t key_len)
{
	struct record *rec = xzalloc(
		sizeof(*rec) + ports * sizeof(rec->ports[0]) + key_len +
		p->v4 * RR_A_LEN + p->v6 * RR_AAAA_LEN + p->rrs.len + p->hosts);
	uint8_t *at = (uint8_t *)(rec->ports + ports);

	rec->ports_len = (uint8_t)ports;
	rec->key_len = (uint16_t)key_len;
	rec->a_len = (uint16_t)p->v4;
	rec->aaaa_len = (uint16_t)p->v6;
	rec->rrs_len = (uint32_t)p->rrs.len;
	rec->hosts_len = (uint32_t)p->hosts;
	memcpy(at, key, key_len);
	at += key_len + p->v4 * RR_A_LEN + p->v6 * RR_AAAA_LEN;
	if (p->rrs.len)
		memcpy(at, p->rrs.data, p->rrs.len);
	return rec;
}

/* A writer over one part of the record. */
static struct wbuf part(const struct record *rec, const uint8_t *start,
			size_t len)
{
	size_t at = (size_t)(start - (const uint8_t *)rec);

	return wbuf_make((uint8_t *)(uintptr_t)rec + at, len);
}

static void hosts_write(struct record *rec, const struct ip_addr *addrs,
			const struct want_host *hosts, uint32_t n)
{
	struct wbuf w =
		part(rec, record_rrs(rec) + rec->rrs_len, rec->hosts_len);

	/* In the order of the addresses: IPv4 first. */
	for (int v4 = 1; v4 >= 0; v4--) {
		for (uint32_t i = 0; i < n; i++) {
			size_t len = strlen(hosts[i].name);

			if (ip_is_v4(&addrs[i]) != v4)
				continue;
			wbuf_u16(&w, hosts[i].port);
			wbuf_u8(&w, (uint8_t)len);
			wbuf_bytes(&w, hosts[i].name, len);
		}
	}
}

static void addrs_write(struct record *rec, const struct ip_addr *addrs,
			uint32_t n, uint32_t ttl)
{
	struct wbuf a = part(rec, record_a(rec), rec->a_len * RR_A_LEN);
	struct wbuf aaaa =
		part(rec, record_aaaa(rec), rec->aaaa_len * RR_AAAA_LEN);

	for (uint32_t i = 0; i < n; i++)
		rr_addr(ip_is_v4(&addrs[i]) ? &a : &aaaa, ttl, &addrs[i]);
}

static int name_rr(struct wbuf *w, uint16_t type, uint32_t ttl,
		   const char *target)
{
	struct dns_name name;

	if (dns_name_parse(target, &name) || !name.labels)
		return -EINVAL;
	rr_head(w, type, ttl, name.len);
	dns_name_write(w, &name, true);
	return 0;
}

int record_new(const struct want_name *want, const struct ip_addr *addrs,
	       const struct want_host *hosts, const uint8_t *key,
	       size_t key_len, struct record **ret)
{
	uint8_t alias[RR_HEAD_LEN + DNS_NAME_MAX];
	struct parts p = { .rrs = wbuf_make(alias, sizeof(alias)) };
	struct record *rec;

	if (want->ports_len > NAME_PORTS_MAX ||
	    want->addrs_len > NAME_ADDRS_MAX)
		return -EINVAL;
	if (*want->target &&
	    (want->addrs_len ||
	     name_rr(&p.rrs, ns_t_cname, want->ttl, want->target)))
		return -EINVAL;
	for (uint32_t i = 0; i < want->addrs_len; i++) {
		p.v4 += ip_is_v4(&addrs[i]);
		p.hosts += hosts ? 3 + strlen(hosts[i].name) : 0;
	}
	p.v6 = want->addrs_len - p.v4;
	rec = record_make(&p, want->ports_len, key, key_len);
	memcpy(rec->ports, want->ports,
	       want->ports_len * sizeof(want->ports[0]));
	rec->ttl = want->ttl;
	rec->is_alias = *want->target;
	rec->headless = want->headless;
	rec->ptr = want->ptr;
	addrs_write(rec, addrs, want->addrs_len, want->ttl);
	if (hosts)
		hosts_write(rec, addrs, hosts, want->addrs_len);
	*ret = rec;
	return 0;
}

/* Text in pieces of 255 bytes (RFC 1035 3.3.14); an empty one has a piece. */
static void text_rr(struct wbuf *w, uint32_t ttl, const char *text)
{
	size_t len = strlen(text);
	size_t pieces = MAX((len + 254) / 255, (size_t)1);

	rr_head(w, ns_t_txt, ttl, len + pieces);
	for (size_t i = 0; i < pieces; i++) {
		size_t n = MIN(len - i * 255, (size_t)255);

		wbuf_u8(w, (uint8_t)n);
		wbuf_bytes(w, text + i * 255, n);
	}
}

static int srv_rr(struct wbuf *w, const struct want_value *v)
{
	struct dns_name name;

	if (dns_name_parse(v->text, &name))
		return -EINVAL;
	rr_head(w, ns_t_srv, v->ttl, 6u + name.len);
	wbuf_u16(w, v->priority);
	wbuf_u16(w, v->weight);
	wbuf_u16(w, v->port);
	dns_name_write(w, &name, true);
	return 0;
}

static int value_rr(struct wbuf *w, const struct want_value *v)
{
	switch (v->type) {
	case ns_t_cname:
	case ns_t_ptr:
		return name_rr(w, v->type, v->ttl, v->text);
	case ns_t_srv:
		return srv_rr(w, v);
	case ns_t_txt:
		text_rr(w, v->ttl, v->text);
		return 0;
	default:
		return -EINVAL;
	}
}

static bool is_address(const struct want_value *v)
{
	return v->type == ns_t_a || v->type == ns_t_aaaa;
}

int record_new_values(const struct want_value *values, size_t len,
		      const uint8_t *key, size_t key_len, struct record **ret)
{
	/* A text is the longest there is. */
	uint8_t rrs[RECORD_VALUES_MAX * (RR_HEAD_LEN + RECORD_TEXT_LEN + 8)];
	struct parts p = { .rrs = wbuf_make(rrs, sizeof(rrs)) };
	struct wbuf a, aaaa;
	struct record *rec;

	if (len > RECORD_VALUES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		const struct want_value *v = &values[i];

		if (is_address(v) && ip_is_v4(&v->addr) != (v->type == ns_t_a))
			return -EINVAL;
		p.v4 += v->type == ns_t_a;
		p.v6 += v->type == ns_t_aaaa;
		if (!is_address(v) && value_rr(&p.rrs, v))
			return -EINVAL;
	}
	rec = record_make(&p, 0, key, key_len);
	rec->ttl = len ? values[0].ttl : 0;
	rec->is_alias = len == 1 && values[0].type == ns_t_cname;
	a = part(rec, record_a(rec), rec->a_len * RR_A_LEN);
	aaaa = part(rec, record_aaaa(rec), rec->aaaa_len * RR_AAAA_LEN);
	for (size_t i = 0; i < len; i++)
		if (is_address(&values[i]))
			rr_addr(values[i].type == ns_t_a ? &a : &aaaa,
				values[i].ttl, &values[i].addr);
	*ret = rec;
	return 0;
}
