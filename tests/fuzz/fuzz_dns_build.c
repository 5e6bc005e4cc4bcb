/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as a query and the records that answer it, in any number and size:
 * whatever is built fits its limit, and the C library can read it and finds
 * as many records as were written.
 */
#include <arpa/nameser.h>
#include <stdint.h>
#include <stdlib.h>

#include "msg.h"
#include "netd/util.h"

static void answer_check(const uint8_t *out, size_t len,
			 const struct dns_reply *reply)
{
	static const ns_sect sections[] = { ns_s_an, ns_s_ns, ns_s_ar };
	ns_msg msg;
	ns_rr rr;

	if (ns_initparse(out, (int)len, &msg))
		abort();
	for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
		if (ns_msg_count(msg, sections[s]) != reply->count[s])
			abort();
		for (int i = 0; i < reply->count[s]; i++)
			if (ns_parserr(&msg, sections[s], i, &rr))
				abort();
	}
	if (ns_msg_getflag(msg, ns_f_tc) != reply->truncated ||
	    ns_msg_getflag(msg, ns_f_aa) != reply->authoritative)
		abort();
}

/* One record: section and owner, type, length, and that many bytes. */
static bool record_write(struct dns_reply *reply, struct rbuf *r)
{
	uint8_t where = rbuf_u8(r);
	uint16_t type = rbuf_u16(r), len = rbuf_u8(r);
	enum dns_section section = where % DNS_SECTION_MAX;
	const uint8_t *data;

	/* Names in data would have to be names. */
	if (type != ns_t_a && type != ns_t_aaaa)
		type = 65280;
	if (where & 0x80)
		len = (uint16_t)(len * 8);
	data = rbuf_ptr(r, len);
	/* Sections follow one another. */
	for (size_t s = section + 1; s < DNS_SECTION_MAX; s++)
		if (reply->count[s])
			return true;
	if (!data)
		return false;
	dns_reply_rr(reply, section,
		     where & 0x40 ? DNS_OWNER_ROOT : DNS_OWNER(0), type, 5,
		     data, len);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[DNS_TCP_MAX];
	static struct dns_query q;
	struct rbuf r = rbuf_make(data, size);
	struct dns_reply reply;
	uint8_t flags = rbuf_u8(&r);
	size_t limit, len;

	q.question_len = 0;
	if (dns_name_read(&r, &q.name))
		return 0;
	q.flags = (uint16_t)(flags & 0x10 ? DNS_FLAG_RD : 0);
	q.edns = flags & 0x20;
	q.udp_size = (uint16_t)MAX(DNS_UDP_MIN, flags * 5);
	memcpy(q.question, q.name.b, q.name.len);
	memcpy(q.question + q.name.len, "\0\1\0\1", 4);
	q.question_len = (uint16_t)(q.name.len + 4);
	limit = flags & 0x40 ? DNS_TCP_MAX : q.udp_size;
	dns_reply_begin(&reply, &q, out, limit);
	reply.authoritative = flags & 1;
	while (rbuf_left(&r) && record_write(&reply, &r))
		if (rbuf_left(&r) == 7)
			dns_reply_clear(&reply);
	len = dns_reply_end(&reply);
	if (len > limit)
		abort();
	answer_check(out, len, &reply);
	return 0;
}
