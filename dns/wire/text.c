/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers in words, as RFC 1035 5.1 writes them; data of types that are not
 * known here as RFC 3597 5 does.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "msg.h"
#include "netd/util.h"

/* A line longer than this is cut: data in hex, for example. */
#define TEXT_LINE 1024

struct line {
	char text[TEXT_LINE];
	size_t len;
};

static const struct {
	uint16_t type;
	const char *word;
	/* Only the word is known. */
	bool raw;
	/* The data: numbers of two bytes, then names, then of four. */
	uint8_t shorts, names, longs;
} types[] = {
	{ ns_t_a, "A", false, 0, 0, 0 },
	{ ns_t_aaaa, "AAAA", false, 0, 0, 0 },
	{ ns_t_txt, "TXT", false, 0, 0, 0 },
	{ ns_t_cname, "CNAME", false, 0, 1, 0 },
	{ ns_t_ns, "NS", false, 0, 1, 0 },
	{ ns_t_ptr, "PTR", false, 0, 1, 0 },
	{ ns_t_dname, "DNAME", false, 0, 1, 0 },
	{ ns_t_mx, "MX", false, 1, 1, 0 },
	{ ns_t_srv, "SRV", false, 3, 1, 0 },
	{ ns_t_soa, "SOA", false, 0, 2, 5 },
	{ ns_t_hinfo, "HINFO", true, 0, 0, 0 },
	{ ns_t_naptr, "NAPTR", true, 0, 0, 0 },
	{ ns_t_any, "ANY", true, 0, 0, 0 },
	/* RFC 9460, RFC 8659. */
	{ 64, "SVCB", true, 0, 0, 0 },
	{ 65, "HTTPS", true, 0, 0, 0 },
	{ 257, "CAA", true, 0, 0, 0 },
};

const char *dns_type_str(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].word;
	return NULL;
}

int dns_type_parse(const char *text, uint16_t *ret)
{
	const char *number = strncasecmp(text, "TYPE", 4) ? NULL : text + 4;
	uint32_t type;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcasecmp(types[i].word, text) != 0)
			continue;
		*ret = types[i].type;
		return 0;
	}
	if (!number || str_to_u32(number, 1, UINT16_MAX, &type))
		return -EINVAL;
	*ret = (uint16_t)type;
	return 0;
}

static void __attribute__((format(printf, 2, 3)))
put(struct line *line, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line->text + line->len, sizeof(line->text) - line->len,
		      fmt, ap);
	va_end(ap);
	if (n > 0)
		line->len = MIN(line->len + (size_t)n, sizeof(line->text) - 1);
}

static bool put_name(struct line *line, struct rbuf *r)
{
	char text[DNS_NAME_MAX + 1];
	struct dns_name name;

	if (dns_name_read(r, &name))
		return false;
	put(line, " %s.",
	    name.labels ? dns_name_str(&name, text, sizeof(text)) : "");
	return true;
}

static void put_string(struct line *line, struct rbuf *r)
{
	size_t len = rbuf_u8(r);
	const uint8_t *at = rbuf_ptr(r, len);

	put(line, " \"");
	for (size_t i = 0; at && i < len; i++)
		put(line,
		    isprint(at[i]) && !strchr("\"\\", at[i]) ? "%c" : "\\%03u",
		    at[i]);
	put(line, "\"");
}

static void put_unknown(struct line *line, struct rbuf *r)
{
	put(line, " \\# %zu ", rbuf_left(r));
	while (rbuf_left(r) && line->len < sizeof(line->text) - 1)
		put(line, "%02x", rbuf_u8(r));
}

static void put_address(struct line *line, struct rbuf *r, int family)
{
	const uint8_t *at = rbuf_ptr(r, family == AF_INET ? 4 : 16);
	char text[INET6_ADDRSTRLEN];

	if (at && inet_ntop(family, at, text, sizeof(text)))
		put(line, " %s", text);
}

/* r ends with the data, its names may lead to what is before. */
static void put_data(struct line *line, uint16_t type, struct rbuf *r)
{
	size_t i = 0;

	while (i < ARRAY_LEN(types) && types[i].type != type)
		i++;
	if (i == ARRAY_LEN(types) || types[i].raw) {
		put_unknown(line, r);
		return;
	}
	if (type == ns_t_a)
		put_address(line, r, AF_INET);
	else if (type == ns_t_aaaa)
		put_address(line, r, AF_INET6);
	while (type == ns_t_txt && rbuf_left(r))
		put_string(line, r);
	for (unsigned k = 0; k < types[i].shorts; k++)
		put(line, " %u", rbuf_u16(r));
	for (unsigned k = 0; k < types[i].names; k++)
		if (!put_name(line, r))
			return;
	for (unsigned k = 0; k < types[i].longs; k++)
		put(line, " %u", rbuf_u32(r));
}

static bool put_record(struct line *line, struct rbuf *r)
{
	struct rbuf data;
	uint16_t type, len;
	uint32_t ttl;

	line->len = 0;
	if (!put_name(line, r))
		return false;
	type = rbuf_u16(r);
	rbuf_u16(r);
	ttl = rbuf_u32(r);
	len = rbuf_u16(r);
	data = rbuf_make(r->data, r->pos + len);
	data.pos = r->pos;
	if (!rbuf_ptr(r, len))
		return false;
	if (dns_type_str(type))
		put(line, " %u IN %s", ttl, dns_type_str(type));
	else
		put(line, " %u IN TYPE%u", ttl, type);
	put_data(line, type, &data);
	return true;
}

void dns_answer_text(const uint8_t *data, size_t len, char *text, size_t size)
{
	struct rbuf r = rbuf_make(data, len);
	struct dns_name name;
	struct line line;
	size_t used = 0;
	unsigned n;

	*text = '\0';
	r.pos = 6;
	n = rbuf_u16(&r);
	r.pos = DNS_HEADER_LEN;
	if (r.bad || dns_name_read(&r, &name) || !rbuf_ptr(&r, 4))
		return;
	while (n-- && put_record(&line, &r)) {
		/* Without the blank in front, with a line's end behind. */
		if (used + line.len + 1 > size)
			return;
		memcpy(text + used, line.text + 1, line.len - 1);
		used += line.len - 1;
		text[used++] = '\n';
		text[used] = '\0';
	}
}
