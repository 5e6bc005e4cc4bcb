/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of an upstream's answer: records that were asked for. Nothing
 * that it volunteers about other names reaches a client or the cache.
 */
#include <errno.h>
#include <string.h>

#include "msg.h"
#include "netd/util.h"

/* Longer chains of aliases are nobody's who wants to be found. */
#define CHAIN_MAX 16

struct chain {
	unsigned len;
	struct dns_name names[CHAIN_MAX];
};

struct record {
	struct dns_name owner;
	uint16_t type;
	size_t ttl_at;
	uint16_t data_len;
	size_t data_at;
};

static int record_read(struct rbuf *r, struct record *ret)
{
	if (dns_name_read(r, &ret->owner))
		return -EBADMSG;
	ret->type = rbuf_u16(r);
	rbuf_u16(r);
	ret->ttl_at = r->pos;
	rbuf_u32(r);
	ret->data_len = rbuf_u16(r);
	ret->data_at = r->pos;
	return rbuf_ptr(r, ret->data_len) ? 0 : -EBADMSG;
}

/* A DNAME stands above the name it gives an alias (RFC 6672 2.2). */
static bool is_asked(const struct chain *chain, const struct record *rr)
{
	unsigned first;

	for (unsigned i = 0; i < chain->len; i++) {
		if (dns_name_eq(&chain->names[i], &rr->owner))
			return true;
		if (rr->type == ns_t_dname &&
		    dns_name_below(&chain->names[i], &rr->owner, &first))
			return true;
	}
	return false;
}

static int alias_follow(struct chain *chain, const struct rbuf *r,
			const struct record *rr)
{
	struct rbuf data = rbuf_make(r->data, rr->data_at + rr->data_len);

	if (rr->type != ns_t_cname)
		return 0;
	if (chain->len == CHAIN_MAX)
		return -EBADMSG;
	data.pos = rr->data_at;
	return dns_name_read(&data, &chain->names[chain->len++]);
}

/* Positions the reader at the first record. */
static int records_begin(struct rbuf *r, uint16_t count[3],
			 struct dns_name *name)
{
	r->pos = 6;
	for (size_t i = 0; i < 3; i++)
		count[i] = rbuf_u16(r);
	if (dns_name_read(r, name))
		return -EBADMSG;
	return rbuf_ptr(r, 4) ? 0 : -EBADMSG;
}

static void counts_write(uint8_t *data, unsigned authority)
{
	struct wbuf w = wbuf_make(data + 8, 4);

	wbuf_u16(&w, (uint16_t)authority);
	wbuf_u16(&w, 0);
}

int dns_answer_scrub(uint8_t *data, size_t *len,
		     const struct dns_answer *answer)
{
	struct rbuf r = rbuf_make(data, *len);
	struct chain chain = { .len = 1 };
	struct record rr;
	uint16_t count[3];
	unsigned keep;

	if (records_begin(&r, count, &chain.names[0]))
		return -EBADMSG;
	while (count[0]--)
		if (record_read(&r, &rr) || !is_asked(&chain, &rr) ||
		    alias_follow(&chain, &r, &rr))
			return -EBADMSG;
	keep = answer->negative ? count[1] : 0;
	for (unsigned i = 0; i < keep; i++)
		if (record_read(&r, &rr))
			return -EBADMSG;
	counts_write(data, keep);
	*len = r.pos;
	return 0;
}

void dns_answer_clamp(uint8_t *data, size_t len, uint32_t min, uint32_t max)
{
	struct rbuf r = rbuf_make(data, len);
	struct dns_name name;
	uint16_t count[3];
	unsigned n;

	if (records_begin(&r, count, &name))
		return;
	n = (unsigned)count[0] + count[1] + count[2];
	for (unsigned i = 0; i < n; i++) {
		struct record rr;
		struct wbuf w;
		struct rbuf ttl;
		uint32_t value;

		if (record_read(&r, &rr))
			return;
		ttl = rbuf_make(data + rr.ttl_at, 4);
		value = rbuf_u32(&ttl);
		/* RFC 2181 8: the upper bit means 0. */
		if (value > INT32_MAX)
			value = 0;
		w = wbuf_make(data + rr.ttl_at, 4);
		wbuf_u32(&w, MIN(MAX(value, min), max));
	}
}
