/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own answers: the question copied, records behind it, the header last,
 * when its counts and flags are known.
 */
#include <string.h>

#include "msg.h"
#include "netd/util.h"

/* Flags that a client sees again (RFC 1035 4.1.1, RFC 4035 3.1.6). */
#define FLAGS_KEPT (0x7800 | DNS_FLAG_RD | DNS_FLAG_CD)

static size_t start_of_records(const struct dns_reply *reply)
{
	return DNS_HEADER_LEN + reply->query->question_len;
}

void dns_reply_begin(struct dns_reply *reply, const struct dns_query *query,
		     void *buf, size_t limit)
{
	size_t opt = query->edns ? DNS_OPT_LEN : 0;

	*reply = (struct dns_reply){
		.w = wbuf_make(buf, limit - opt),
		.query = query,
	};
	/* Always fits: a question is 259 bytes at most, a limit 512 at least.
	 */
	wbuf_ptr(&reply->w, DNS_HEADER_LEN);
	wbuf_bytes(&reply->w, query->question, query->question_len);
}

static bool cut(struct dns_reply *reply, enum dns_section section, size_t len)
{
	reply->w.len = len;
	reply->w.bad = false;
	if (section == DNS_ANSWER)
		reply->truncated = true;
	return false;
}

bool dns_reply_rr(struct dns_reply *reply, enum dns_section section,
		  uint16_t owner, uint16_t type, uint32_t ttl, const void *data,
		  size_t len)
{
	struct wbuf *w = &reply->w;
	size_t start = w->len;

	if (owner == DNS_OWNER_ROOT)
		wbuf_u8(w, 0);
	else
		wbuf_u16(w, owner);
	wbuf_u16(w, type);
	wbuf_u16(w, ns_c_in);
	wbuf_u32(w, ttl);
	wbuf_u16(w, (uint16_t)len);
	wbuf_bytes(w, data, len);
	if (w->bad)
		return cut(reply, section, start);
	reply->count[section]++;
	return true;
}

bool dns_reply_rrs(struct dns_reply *reply, enum dns_section section,
		   const uint8_t *rrs, size_t n, size_t size)
{
	struct wbuf *w = &reply->w;
	size_t fit = MIN(n, (w->size - w->len) / size);

	wbuf_bytes(w, rrs, fit * size);
	reply->count[section] = (uint16_t)(reply->count[section] + fit);
	return fit == n ? true : cut(reply, section, w->len);
}

void dns_reply_clear(struct dns_reply *reply)
{
	reply->w.len = start_of_records(reply);
	reply->w.bad = false;
	memset(reply->count, 0, sizeof(reply->count));
}

void dns_reply_chain(const struct dns_reply *reply, uint16_t target_at,
		     struct dns_query *q)
{
	struct dns_chain *chain = &q->chain;
	size_t start = start_of_records(reply);

	chain->count = reply->count[DNS_ANSWER];
	chain->len = (uint16_t)(reply->w.len - start);
	chain->target_at = target_at;
	memcpy(chain->rrs, reply->w.data + start, chain->len);
}

static void opt_write(struct dns_reply *reply)
{
	struct wbuf *w = &reply->w;

	w->size += DNS_OPT_LEN;
	wbuf_u8(w, 0);
	wbuf_u16(w, ns_t_opt);
	wbuf_u16(w, DNS_UDP_MAX);
	wbuf_u8(w, (uint8_t)(reply->rcode >> 4));
	wbuf_u8(w, 0);
	wbuf_u32(w, 0);
	reply->count[DNS_ADDITIONAL]++;
}

size_t dns_reply_end(struct dns_reply *reply)
{
	const struct dns_query *q = reply->query;
	struct wbuf head = wbuf_make(reply->w.data, DNS_HEADER_LEN);
	unsigned flags = (q->flags & FLAGS_KEPT) | DNS_FLAG_QR | DNS_FLAG_RA |
			 (reply->rcode & 15);

	if (q->edns)
		opt_write(reply);
	if (reply->authoritative)
		flags |= DNS_FLAG_AA;
	if (reply->truncated)
		flags |= DNS_FLAG_TC;
	wbuf_u16(&head, q->id);
	wbuf_u16(&head, (uint16_t)flags);
	wbuf_u16(&head, q->question_len ? 1 : 0);
	for (size_t i = 0; i < ARRAY_LEN(reply->count); i++)
		wbuf_u16(&head, reply->count[i]);
	return reply->w.len;
}

size_t dns_reply_error(const struct dns_query *query, int rcode, void *buf,
		       size_t size)
{
	struct dns_reply reply;

	dns_reply_begin(&reply, query, buf, size);
	reply.rcode = (uint16_t)rcode;
	return dns_reply_end(&reply);
}
