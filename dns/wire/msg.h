/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg - DNS messages: a query in, an answer out; pure.
 *
 * A query is checked as a whole before anything looks at it: every count,
 * record and option must lie inside, and nothing may follow. An answer is
 * written into the caller's buffer, its question copied byte for byte (its
 * case is a check of the asker's: 0x20). Nothing here allocates.
 */
#pragma once

#include <arpa/nameser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "name.h"

/* What fits any path without fragments (DNS flag day 2020). */
#define DNS_UDP_MAX 1232
/* Without EDNS (RFC 1035 2.3.4). */
#define DNS_UDP_MIN 512
/* With the two bytes of length before it (RFC 1035 4.2.2). */
#define DNS_TCP_MAX 65535
/* Type and class behind the name. */
#define DNS_QUESTION_MAX (DNS_NAME_MAX + 4)
/* An OPT without options. */
#define DNS_OPT_LEN 11

enum {
	DNS_FLAG_QR = 0x8000,
	DNS_FLAG_AA = 0x0400,
	DNS_FLAG_TC = 0x0200,
	DNS_FLAG_RD = 0x0100,
	DNS_FLAG_RA = 0x0080,
	DNS_FLAG_AD = 0x0020,
	DNS_FLAG_CD = 0x0010,
};

/* RFC 6891 9: its upper bits travel in the OPT. */
#define DNS_BADVERS 16

/* Further names for one name are followed; more is a loop. */
#define DNS_ALIASES_MAX 8
/* Owner, type, class, TTL, length; then the name it stands for. */
#define DNS_ALIAS_LEN (12 + DNS_NAME_MAX)

/*
 * Aliases of ours that were followed from the question's name: what an
 * upstream then says about the last one comes behind them.
 */
struct dns_chain {
	/* CNAME records as they stand behind the question; 0: none. */
	uint16_t count;
	uint16_t len;
	/* Where in the answer the last one's target stands. */
	uint16_t target_at;
	struct dns_name target;
	uint8_t rrs[DNS_ALIASES_MAX * DNS_ALIAS_LEN];
};

struct dns_query {
	uint16_t id;
	uint16_t flags;
	uint16_t type;
	uint16_t class;
	/* As asked, case kept; 0 long when it could not be read. */
	uint8_t question[DNS_QUESTION_MAX];
	uint16_t question_len;
	bool edns;
	/* How long an answer over UDP may be. */
	uint16_t udp_size;
	struct dns_name name;
	struct dns_chain chain;
};

/* What an upstream is asked for. */
static inline const struct dns_name *dns_query_target(const struct dns_query *q)
{
	return q->chain.count ? &q->chain.target : &q->name;
}

/* Nothing is answered: too short, or itself an answer. */
#define DNS_DROP (-1)

/* DNS_DROP, or the code to answer with; ns_r_noerror: a query to look at. */
int dns_query_read(const void *data, size_t len, struct dns_query *ret);

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL, DNS_SECTION_MAX };

struct dns_reply {
	struct wbuf w;
	const struct dns_query *query;
	uint16_t count[DNS_SECTION_MAX];
	/* Of 12 bits; the upper eight need EDNS. */
	uint16_t rcode;
	bool authoritative;
	bool truncated;
};

/* limit: what the asker takes; the buffer has at least as many bytes. */
void dns_reply_begin(struct dns_reply *reply, const struct dns_query *query,
		     void *buf, size_t limit);

/* An owner that is the question's label at this place in the name. */
#define DNS_OWNER(at) ((uint16_t)(0xc000 | (DNS_HEADER_LEN + (at))))
#define DNS_OWNER_ROOT 0

/*
 * One record. When it does not fit, the answer is cut: TC is set for the
 * answer section, others are left out (RFC 2181 9). Then false.
 */
bool dns_reply_rr(struct dns_reply *reply, enum dns_section section,
		  uint16_t owner, uint16_t type, uint32_t ttl, const void *data,
		  size_t len);

/* n ready records of `size` bytes each, as many as fit. */
bool dns_reply_rrs(struct dns_reply *reply, enum dns_section section,
		   const uint8_t *rrs, size_t n, size_t size);

/* Drops everything behind the question. */
void dns_reply_clear(struct dns_reply *reply);

/* Where the next record begins: a record's owner may point to it. */
static inline size_t dns_reply_at(const struct dns_reply *reply)
{
	return reply->w.len;
}

/* The CNAMEs written so far, if any, into q->chain; its target is there. */
void dns_reply_chain(const struct dns_reply *reply, uint16_t target_at,
		     struct dns_query *q);

/* Writes header and OPT; returns the answer's length. */
size_t dns_reply_end(struct dns_reply *reply);

/* What is answered when all that is known of a query is its code. */
size_t dns_reply_error(const struct dns_query *query, int rcode, void *buf,
		       size_t size);

/*
 * The question for an upstream: ours alone, RD set, a bare OPT behind it.
 * Last, because c-ares 1.18 cuts its last 11 bytes off when a server answers
 * FORMERR. Returns its length.
 */
#define DNS_QUERY_MAX (DNS_HEADER_LEN + DNS_QUESTION_MAX + DNS_OPT_LEN)
size_t dns_query_write(const struct dns_name *name, uint16_t type, uint16_t id,
		       uint8_t buf[DNS_QUERY_MAX]);

/* Gives the letters of such a question a case, by these bits (0x20). */
void dns_query_mix(uint8_t *query, const uint8_t random[DNS_NAME_MAX / 8 + 1]);

/* What bytes from the network are to a question that was sent. */
enum dns_match {
	DNS_MATCH_NONE,
	/* An error under its id that does not repeat the question. */
	DNS_MATCH_HEADER,
	/* The answer, but for the case of letters. */
	DNS_MATCH_CASE,
	DNS_MATCH_WHOLE,
};

/* sent: from dns_query_write(). */
enum dns_match dns_answer_match(const uint8_t *sent, size_t sent_len,
				const uint8_t *data, size_t len);

/* An upstream's answer, checked. */
struct dns_answer {
	uint16_t flags;
	uint8_t rcode;
	/* No record of the type asked for. */
	bool negative;
	bool has_soa;
	/* The shortest of its records; of the SOA's minimum when negative. */
	uint32_t ttl;
	bool has_ttl;
};

/*
 * Is this a well-formed answer to that question? Cuts its OPT off: *len may
 * shrink. 0, or -EBADMSG; -EREMOTEIO when it fails by its own words.
 */
int dns_answer_check(uint8_t *data, size_t *len, const struct dns_name *name,
		     uint16_t type, struct dns_answer *ret);

/*
 * Leaves of a checked answer what was asked: -EBADMSG when an answer record
 * belongs neither to the name nor to what it is an alias of; authority stays
 * for a negative answer, additional records go.
 */
int dns_answer_scrub(uint8_t *data, size_t *len,
		     const struct dns_answer *answer);

/* Brings all TTLs of a checked answer between these. */
void dns_answer_clamp(uint8_t *data, size_t len, uint32_t min, uint32_t max);

/*
 * Does a checked answer hold an address that only a private network has
 * (RFC 1918, 6598, 4193, loopback, link-local)?
 */
bool dns_answer_is_private(const uint8_t *data, size_t len);

/* Makes a checked answer `age` seconds older; TTLs above max are cut first. */
void dns_answer_age(uint8_t *data, size_t len, uint32_t age, uint32_t max);

/*
 * A checked answer, about dns_query_target(), as the answer to this query; TC
 * when it does not fit.
 */
size_t dns_answer_reply(const uint8_t *data, size_t len,
			const struct dns_query *query, void *buf, size_t limit);

/*
 * The answer section in words, a line per record, whole lines as many as fit:
 * printable ASCII whatever the bytes are. Stops at what is malformed.
 */
void dns_answer_text(const uint8_t *data, size_t len, char *text, size_t size);

/* "AAAA"; NULL: none that has a word here. */
const char *dns_type_str(uint16_t type);
/* The reverse, and TYPE65; 0 or -EINVAL. */
int dns_type_parse(const char *text, uint16_t *ret);
