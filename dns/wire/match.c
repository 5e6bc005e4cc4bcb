/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question on its way out, and what comes back before anything reads it:
 * whoever forges an answer from afar must guess its id, its port and the case
 * of its letters (draft-vixie-dnsext-dns0x20).
 */
#include <ctype.h>
#include <string.h>

#include "msg.h"
#include "netd/util.h"

/* Type and class. */
#define QUESTION_TAIL 4

void dns_query_mix(uint8_t *query, const uint8_t random[DNS_NAME_MAX / 8 + 1])
{
	uint8_t *at = query + DNS_HEADER_LEN;
	unsigned bit = 0;

	while (*at) {
		uint8_t *end = at + 1 + *at;

		for (at++; at < end; at++, bit++)
			if (isalpha(*at) && random[bit / 8] >> bit % 8 & 1)
				*at ^= 0x20;
	}
}

/* Length bytes are below every letter: they compare as themselves. */
static bool is_same_name(const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (tolower(a[i]) != tolower(b[i]))
			return false;
	return true;
}

enum dns_match dns_answer_match(const uint8_t *sent, size_t sent_len,
				const uint8_t *data, size_t len)
{
	size_t end = sent_len - DNS_OPT_LEN;
	size_t tail = end - QUESTION_TAIL;

	if (len < DNS_HEADER_LEN || memcmp(sent, data, 2) != 0 ||
	    !(data[2] & DNS_FLAG_QR >> 8))
		return DNS_MATCH_NONE;
	if (len == DNS_HEADER_LEN && (data[3] & 15) != ns_r_noerror)
		return DNS_MATCH_HEADER;
	if (len < end || memcmp(sent + 4, data + 4, 2) != 0 ||
	    memcmp(sent + tail, data + tail, QUESTION_TAIL) != 0)
		return DNS_MATCH_NONE;
	if (memcmp(sent + DNS_HEADER_LEN, data + DNS_HEADER_LEN,
		   tail - DNS_HEADER_LEN) == 0)
		return DNS_MATCH_WHOLE;
	return is_same_name(sent + DNS_HEADER_LEN, data + DNS_HEADER_LEN,
			    tail - DNS_HEADER_LEN)
		       ? DNS_MATCH_CASE
		       : DNS_MATCH_NONE;
}
