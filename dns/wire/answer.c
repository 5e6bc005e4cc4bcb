/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of upstreams: the bytes come from anywhere, so all of them are
 * walked once, names inside known record data too, before they are kept or
 * passed on. What was checked keeps its bytes; only the id, flags, question
 * (its case) and TTLs change later, which moves nothing.
 */
#include <errno.h>
#include <string.h>

#include "msg.h"
#include "netd/util.h"

struct record {
	size_t start;
	size_t ttl_at;
	uint16_t type;
	uint32_t ttl;
	size_t data_at;
	uint16_t data_len;
	struct dns_name owner;
};

static int record_read(struct rbuf *r, struct record *ret)
{
	ret->start = r->pos;
	if (dns_name_read(r, &ret->owner))
		return -EBADMSG;
	ret->type = rbuf_u16(r);
	rbuf_u16(r);
	ret->ttl_at = r->pos;
	ret->ttl = rbuf_u32(r);
	ret->data_len = rbuf_u16(r);
	ret->data_at = r->pos;
	if (!rbuf_ptr(r, ret->data_len))
		return -EBADMSG;
	/* RFC 2181 8: the upper bit means 0. */
	if (ret->ttl > INT32_MAX)
		ret->ttl = 0;
	return 0;
}

/*
 * Types whose data may hold compressed names (RFC 3597 4): bytes before the
 * first name, names, bytes behind them.
 */
static const struct shape {
	uint16_t type;
	uint8_t before;
	uint8_t names;
	uint8_t behind;
} shapes[] = {
	{ ns_t_ns, 0, 1, 0 },	 { ns_t_cname, 0, 1, 0 },
	{ ns_t_ptr, 0, 1, 0 },	 { ns_t_dname, 0, 1, 0 },
	{ ns_t_mx, 2, 1, 0 },	 { ns_t_srv, 6, 1, 0 },
	{ ns_t_soa, 0, 2, 20 },	 { ns_t_a, 4, 0, 0 },
	{ ns_t_aaaa, 16, 0, 0 },
};

static const struct shape *shape_of(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (shapes[i].type == type)
			return &shapes[i];
	return NULL;
}

/*
 * Where TTLs stand, as far as pointers reach. They are written anew when an
 * answer ages, so no name may be read through one.
 */
#define TTLS_REACH (0x4000 + DNS_NAME_MAX + 1)

struct ttls {
	uint8_t bits[TTLS_REACH / 8];
};

static void ttl_note(struct ttls *t, size_t at)
{
	for (size_t i = at; i < at + 4 && i < TTLS_REACH; i++)
		t->bits[i / 8] |= (uint8_t)(1 << i % 8);
}

static bool has_ttl(const struct ttls *t, size_t at, size_t n)
{
	for (size_t i = at; i < at + n; i++)
		if (t->bits[i / 8] >> i % 8 & 1)
			return true;
	return false;
}

/* For a name that was read: all of it lies inside. */
static int name_check(const struct ttls *t, const uint8_t *data, size_t at)
{
	bool hopped = false;

	for (;;) {
		uint8_t n = data[at];
		bool pointer = n >= 0xc0;

		/* What stands here itself is no TTL: those come later. */
		if (hopped && has_ttl(t, at, pointer ? 2 : n + 1u))
			return -EBADMSG;
		if (n == 0)
			return 0;
		hopped = hopped || pointer;
		at = pointer ? (size_t)(n & 0x3f) << 8 | data[at + 1]
			     : at + n + 1u;
	}
}

static int owner_check(struct ttls *t, const struct rbuf *msg,
		       const struct record *rr)
{
	if (name_check(t, msg->data, rr->start))
		return -EBADMSG;
	ttl_note(t, rr->ttl_at);
	return 0;
}

static int data_check(const struct ttls *t, const struct rbuf *msg,
		      const struct record *rr)
{
	size_t end = rr->data_at + rr->data_len;
	struct rbuf r = rbuf_make(msg->data, end);
	const struct shape *s = shape_of(rr->type);
	struct dns_name name;

	if (!s)
		return 0;
	r.pos = rr->data_at;
	rbuf_ptr(&r, s->before);
	for (unsigned k = 0; k < s->names && !r.bad; k++) {
		size_t at = r.pos;

		if (dns_name_read(&r, &name) || name_check(t, r.data, at))
			return -EBADMSG;
	}
	rbuf_ptr(&r, s->behind);
	return r.bad || r.pos != end ? -EBADMSG : 0;
}

static void ttl_take(struct dns_answer *a, uint32_t ttl)
{
	a->ttl = a->has_ttl ? MIN(a->ttl, ttl) : ttl;
	a->has_ttl = true;
}

/* RFC 2308 5: the lower of the SOA's own TTL and its last field. */
static uint32_t soa_ttl(const struct rbuf *msg, const struct record *rr)
{
	struct rbuf r = rbuf_make(msg->data, rr->data_at + rr->data_len);

	uint32_t minimum;

	r.pos = r.len - 4;
	minimum = rbuf_u32(&r);
	return MIN(rr->ttl, minimum);
}

static int section_check(struct ttls *t, struct rbuf *r, unsigned n,
			 enum dns_section section, uint16_t type,
			 struct dns_answer *ret)
{
	for (unsigned i = 0; i < n; i++) {
		struct record rr;

		if (record_read(r, &rr) || rr.type == ns_t_opt ||
		    owner_check(t, r, &rr) || data_check(t, r, &rr))
			return -EBADMSG;
		if (section == DNS_ANSWER) {
			if (rr.type == type || type == ns_t_any)
				ret->negative = false;
			ttl_take(ret, rr.ttl);
		} else if (rr.type == ns_t_soa && ret->negative) {
			ttl_take(ret, soa_ttl(r, &rr));
			ret->has_soa = true;
		}
	}
	return 0;
}

/*
 * Additional records are optional: from the OPT on they are cut away, since
 * taking one out of the middle would move what names point to.
 */
static int additional_check(struct ttls *t, struct rbuf *r, unsigned n,
			    unsigned *kept, size_t *end)
{
	bool cut = false;

	*kept = 0;
	*end = r->pos;
	for (unsigned i = 0; i < n; i++) {
		struct record rr;

		if (record_read(r, &rr) || owner_check(t, r, &rr))
			return -EBADMSG;
		if (rr.type == ns_t_opt) {
			/* An extended code is a failure we cannot pass on. */
			if (cut || rr.owner.labels || rr.ttl >> 24)
				return -EREMOTEIO;
			cut = true;
			continue;
		}
		if (data_check(t, r, &rr))
			return -EBADMSG;
		if (!cut) {
			*kept = i + 1;
			*end = r->pos;
		}
	}
	return 0;
}

static int question_check(struct rbuf *r, const struct dns_name *name,
			  uint16_t type)
{
	struct dns_name asked;

	if (dns_name_read(r, &asked) || !dns_name_eq(&asked, name) ||
	    rbuf_u16(r) != type || rbuf_u16(r) != ns_c_in || r->bad)
		return -EBADMSG;
	return 0;
}

int dns_answer_check(uint8_t *data, size_t *len, const struct dns_name *name,
		     uint16_t type, struct dns_answer *ret)
{
	struct rbuf r = rbuf_make(data, *len);
	struct dns_answer a = { .negative = true };
	struct ttls ttls = { { 0 } };
	uint16_t count[4];
	unsigned kept;
	size_t end;
	int err;

	rbuf_u16(&r);
	a.flags = rbuf_u16(&r);
	for (size_t i = 0; i < ARRAY_LEN(count); i++)
		count[i] = rbuf_u16(&r);
	if (r.bad || !(a.flags & DNS_FLAG_QR) || count[0] != 1)
		return -EBADMSG;
	a.rcode = a.flags & 15;
	err = question_check(&r, name, type);
	if (!err)
		err = section_check(&ttls, &r, count[1], DNS_ANSWER, type, &a);
	if (!err)
		err = section_check(&ttls, &r, count[2], DNS_AUTHORITY, type,
				    &a);
	if (!err)
		err = additional_check(&ttls, &r, count[3], &kept, &end);
	if (err)
		return err;
	if (rbuf_left(&r))
		return -EBADMSG;
	if (a.rcode != ns_r_noerror && a.rcode != ns_r_nxdomain)
		return -EREMOTEIO;
	/* RFC 2308 5: without an SOA nobody said for how long it is not. */
	if (a.negative && !a.has_soa)
		a.has_ttl = false;
	data[10] = (uint8_t)(kept >> 8);
	data[11] = (uint8_t)kept;
	*len = end;
	*ret = a;
	return 0;
}

void dns_answer_age(uint8_t *data, size_t len, uint32_t age, uint32_t max)
{
	struct rbuf r = rbuf_make(data, len);
	struct dns_name name;
	unsigned n;

	r.pos = 6;
	n = rbuf_u16(&r);
	n += rbuf_u16(&r);
	n += rbuf_u16(&r);
	if (r.bad || dns_name_read(&r, &name) || !rbuf_ptr(&r, 4))
		return;
	for (unsigned i = 0; i < n; i++) {
		struct record rr;
		struct wbuf w;

		if (record_read(&r, &rr))
			return;
		w = wbuf_make(data + rr.ttl_at, 4);
		rr.ttl = MIN(rr.ttl, max);
		wbuf_u32(&w, rr.ttl > age ? rr.ttl - age : 0);
	}
}

/*
 * Behind aliases of ours nothing stands where it stood: records are written
 * anew, their names in full, but for the last alias' target, which is there.
 */
static void owner_write(struct wbuf *w, const struct record *rr,
			const struct dns_chain *chain)
{
	if (dns_name_eq(&rr->owner, &chain->target))
		wbuf_u16(w, (uint16_t)(0xc000 | chain->target_at));
	else
		dns_name_write(w, &rr->owner, true);
}

static void data_write(struct wbuf *w, const struct rbuf *msg,
		       const struct record *rr)
{
	struct rbuf r = rbuf_make(msg->data, rr->data_at + rr->data_len);
	const struct shape *s = shape_of(rr->type);
	struct dns_name name;

	r.pos = rr->data_at;
	if (s) {
		wbuf_bytes(w, rbuf_ptr(&r, s->before), s->before);
		for (unsigned k = 0; k < s->names; k++)
			if (!dns_name_read(&r, &name))
				dns_name_write(w, &name, true);
	}
	wbuf_bytes(w, r.data + r.pos, rbuf_left(&r));
}

static bool rr_rewrite(struct wbuf *w, const struct rbuf *msg,
		       const struct record *rr, const struct dns_chain *chain)
{
	size_t start = w->len, len_at;

	owner_write(w, rr, chain);
	wbuf_u16(w, rr->type);
	wbuf_u16(w, ns_c_in);
	wbuf_u32(w, rr->ttl);
	len_at = w->len;
	wbuf_u16(w, 0);
	data_write(w, msg, rr);
	if (w->bad) {
		w->len = start;
		return false;
	}
	w->data[len_at] = (uint8_t)((w->len - len_at - 2) >> 8);
	w->data[len_at + 1] = (uint8_t)(w->len - len_at - 2);
	return true;
}

/* Answers, and who says that there are none; the rest is optional. */
static void chain_write(struct dns_reply *reply, const struct dns_chain *chain,
			struct rbuf r, const uint16_t count[4])
{
	struct dns_name name;
	struct record rr;

	wbuf_bytes(&reply->w, chain->rrs, chain->len);
	reply->count[DNS_ANSWER] = chain->count;
	reply->truncated = reply->w.bad || dns_name_read(&r, &name);
	rbuf_u32(&r);
	for (unsigned i = 0; i < (unsigned)count[1] + count[2]; i++) {
		bool answer = i < count[1];

		if (reply->truncated || record_read(&r, &rr))
			return;
		if (!answer && rr.type != ns_t_soa)
			continue;
		if (!rr_rewrite(&reply->w, &r, &rr, chain))
			reply->truncated = true;
		else
			reply->count[answer ? DNS_ANSWER : DNS_AUTHORITY]++;
	}
}

static size_t chain_reply(const uint8_t *data, size_t len,
			  const struct dns_query *query, void *buf,
			  size_t limit)
{
	struct rbuf r = rbuf_make(data, len);
	struct dns_reply reply;
	uint16_t count[4];

	rbuf_u16(&r);
	dns_reply_begin(&reply, query, buf, limit);
	reply.rcode = rbuf_u16(&r) & 15;
	for (size_t i = 0; i < ARRAY_LEN(count); i++)
		count[i] = rbuf_u16(&r);
	chain_write(&reply, &query->chain, r, count);
	if (reply.truncated)
		dns_reply_clear(&reply);
	return dns_reply_end(&reply);
}

size_t dns_answer_reply(const uint8_t *data, size_t len,
			const struct dns_query *query, void *buf, size_t limit)
{
	size_t records = DNS_HEADER_LEN + query->question_len;
	size_t room = limit - (query->edns ? DNS_OPT_LEN : 0);
	struct rbuf head = rbuf_make(data, len);
	struct dns_reply reply;

	if (query->chain.count)
		return chain_reply(data, len, query, buf, limit);
	rbuf_u16(&head);
	dns_reply_begin(&reply, query, buf, limit);
	reply.rcode = rbuf_u16(&head) & 15;
	if (len > room || len < records) {
		reply.truncated = true;
		return dns_reply_end(&reply);
	}
	rbuf_u16(&head);
	for (size_t i = 0; i < ARRAY_LEN(reply.count); i++)
		reply.count[i] = rbuf_u16(&head);
	wbuf_bytes(&reply.w, data + records, len - records);
	return dns_reply_end(&reply);
}
