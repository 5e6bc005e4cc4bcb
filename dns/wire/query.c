/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A query as a client sent it: header, one question, at most one OPT.
 */
#include <errno.h>
#include <string.h>

#include "msg.h"
#include "netd/util.h"

/* RFC 7873 4: a client's half, with or without a server's 8 to 32 bytes. */
#define OPTION_COOKIE 10
#define COOKIE_CLIENT 8
#define COOKIE_MIN 16
#define COOKIE_MAX 40

struct header {
	uint16_t id;
	uint16_t flags;
	uint16_t count[4];
};

static unsigned opcode(const struct header *h)
{
	return h->flags >> 11 & 15;
}

static int options_check(struct rbuf r)
{
	while (rbuf_left(&r)) {
		uint16_t code = rbuf_u16(&r);
		uint16_t len = rbuf_u16(&r);

		if (!rbuf_ptr(&r, len))
			return ns_r_formerr;
		if (code == OPTION_COOKIE && len != COOKIE_CLIENT &&
		    (len < COOKIE_MIN || len > COOKIE_MAX))
			return ns_r_formerr;
	}
	return r.bad ? ns_r_formerr : ns_r_noerror;
}

static int opt_read(const struct dns_name *owner, uint16_t class, uint32_t ttl,
		    struct rbuf data, struct dns_query *q)
{
	if (q->edns || owner->labels)
		return ns_r_formerr;
	q->edns = true;
	q->udp_size = MIN(MAX(class, DNS_UDP_MIN), DNS_UDP_MAX);
	if (ttl >> 16 & 0xff)
		return DNS_BADVERS;
	return options_check(data);
}

static int record_read(struct rbuf *r, bool additional, struct dns_query *q)
{
	struct dns_name owner;
	uint16_t type, class, len;
	const uint8_t *data;
	uint32_t ttl;

	if (dns_name_read(r, &owner))
		return ns_r_formerr;
	type = rbuf_u16(r);
	class = rbuf_u16(r);
	ttl = rbuf_u32(r);
	len = rbuf_u16(r);
	data = rbuf_ptr(r, len);
	if (!data)
		return ns_r_formerr;
	if (type != ns_t_opt)
		return ns_r_noerror;
	if (!additional)
		return ns_r_formerr;
	return opt_read(&owner, class, ttl, rbuf_make(data, len), q);
}

static int question_read(struct rbuf *r, struct dns_query *q)
{
	size_t start = r->pos;

	if (dns_name_read(r, &q->name))
		return ns_r_formerr;
	q->type = rbuf_u16(r);
	q->class = rbuf_u16(r);
	if (r->bad)
		return ns_r_formerr;
	q->question_len = (uint16_t)(r->pos - start);
	memcpy(q->question, r->data + start, q->question_len);
	return ns_r_noerror;
}

int dns_query_read(const void *data, size_t len, struct dns_query *ret)
{
	struct rbuf r = rbuf_make(data, len);
	struct header h;
	unsigned records;
	int rcode, worst = ns_r_noerror;

	h.id = rbuf_u16(&r);
	h.flags = rbuf_u16(&r);
	for (size_t i = 0; i < ARRAY_LEN(h.count); i++)
		h.count[i] = rbuf_u16(&r);
	if (r.bad || h.flags & DNS_FLAG_QR)
		return DNS_DROP;
	ret->id = h.id;
	ret->flags = h.flags;
	ret->edns = false;
	ret->udp_size = DNS_UDP_MIN;
	ret->question_len = 0;
	ret->chain.count = 0;
	if (opcode(&h) != ns_o_query)
		return ns_r_notimpl;
	if (h.count[0] != 1)
		return ns_r_formerr;
	rcode = question_read(&r, ret);
	if (rcode)
		return rcode;

	/* The bytes end the loop before a lying count does. */
	records = (unsigned)h.count[1] + h.count[2] + h.count[3];
	for (unsigned i = 0; i < records; i++) {
		bool additional = i >= (unsigned)h.count[1] + h.count[2];

		rcode = record_read(&r, additional, ret);
		if (rcode == ns_r_formerr)
			return rcode;
		worst = MAX(worst, rcode);
	}
	return rbuf_left(&r) ? ns_r_formerr : worst;
}

size_t dns_query_write(const struct dns_name *name, uint16_t type, uint16_t id,
		       uint8_t buf[DNS_QUERY_MAX])
{
	struct wbuf w = wbuf_make(buf, DNS_QUERY_MAX);

	wbuf_u16(&w, id);
	wbuf_u16(&w, DNS_FLAG_RD);
	wbuf_u16(&w, 1);
	wbuf_u32(&w, 0);
	wbuf_u16(&w, 1);
	dns_name_write(&w, name, true);
	wbuf_u16(&w, type);
	wbuf_u16(&w, ns_c_in);
	wbuf_u8(&w, 0);
	wbuf_u16(&w, ns_t_opt);
	wbuf_u16(&w, DNS_UDP_MAX);
	wbuf_u32(&w, 0);
	wbuf_u16(&w, 0);
	return w.len;
}
