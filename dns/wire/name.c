/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <errno.h>
#include <string.h>

#define POINTER_BITS 0xc0

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static int append(struct dns_name *name, const uint8_t *label, size_t n)
{
	uint8_t *to;

	/* A byte is kept for the root. */
	if (name->len + 1u + n + 1u > DNS_NAME_MAX)
		return -EBADMSG;
	to = name->b + name->len;
	name->at[name->labels++] = name->len;
	name->len = (uint8_t)(name->len + 1u + n);
	*to++ = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		to[i] = lower(label[i]);
	return 0;
}

static void finish(struct dns_name *name)
{
	name->at[name->labels] = name->len;
	name->b[name->len++] = 0;
}

int dns_name_read(struct rbuf *r, struct dns_name *ret)
{
	struct rbuf at = *r;
	/*
	 * Each hop must land before the place the last one landed on, and end
	 * there: a name is not part of itself.
	 */
	size_t start = at.pos, end = SIZE_MAX, behind = 0;
	unsigned hops = 0;
	uint8_t n;

	ret->len = 0;
	ret->labels = 0;
	while ((n = rbuf_u8(&at)) != 0) {
		const uint8_t *label;
		size_t to;

		if ((n & POINTER_BITS) != POINTER_BITS) {
			label = n & POINTER_BITS ? NULL : rbuf_ptr(&at, n);
			if (!label || at.pos > end || append(ret, label, n))
				return -EBADMSG;
			continue;
		}
		to = (size_t)(n & ~POINTER_BITS & 0xff) << 8 | rbuf_u8(&at);
		if (at.bad || at.pos > end || to >= start ||
		    to < DNS_HEADER_LEN || ++hops > DNS_HOPS_MAX)
			return -EBADMSG;
		if (!behind)
			behind = at.pos;
		end = start;
		at.pos = start = to;
	}
	if (at.bad || at.pos > end)
		return -EBADMSG;
	finish(ret);
	r->pos = behind ? behind : at.pos;
	return 0;
}

int dns_name_parse(const char *text, struct dns_name *ret)
{
	ret->len = 0;
	ret->labels = 0;
	if (strcmp(text, ".") == 0)
		text++;
	while (*text) {
		size_t n = strcspn(text, ".");

		if (n == 0 || n > DNS_LABEL_MAX ||
		    append(ret, (const uint8_t *)text, n))
			return -EINVAL;
		text += n;
		if (*text == '.')
			text++;
	}
	finish(ret);
	return 0;
}

const char *dns_name_str(const struct dns_name *name, char *buf, size_t size)
{
	struct wbuf w = wbuf_make(buf, size);

	for (unsigned i = 0; i < name->labels; i++) {
		uint8_t n;
		const uint8_t *label = dns_label(name, i, &n);

		if (i)
			wbuf_u8(&w, '.');
		for (uint8_t k = 0; k < n; k++)
			wbuf_u8(&w, label[k] > ' ' && label[k] < 127 &&
						    label[k] != '.'
					    ? label[k]
					    : '?');
	}
	if (!name->labels)
		wbuf_u8(&w, '.');
	wbuf_u8(&w, 0);
	if (w.bad && size)
		buf[size - 1] = '\0';
	return buf;
}

bool dns_label_is(const struct dns_name *name, unsigned i, const char *text)
{
	uint8_t n;
	const uint8_t *label;

	if (i >= name->labels)
		return false;
	label = dns_label(name, i, &n);
	return strlen(text) == n && memcmp(label, text, n) == 0;
}

bool dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

bool dns_name_below(const struct dns_name *name, const struct dns_name *zone,
		    unsigned *first)
{
	unsigned at;

	if (name->labels < zone->labels)
		return false;
	at = name->labels - zone->labels;
	if (name->len - name->at[at] != zone->len ||
	    memcmp(name->b + name->at[at], zone->b, zone->len) != 0)
		return false;
	*first = at;
	return true;
}

void dns_name_write(struct wbuf *w, const struct dns_name *name, bool root)
{
	wbuf_bytes(w, name->b, name->len - (root ? 0u : 1u));
}
