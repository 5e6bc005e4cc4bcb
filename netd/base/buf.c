/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/buf.h"

#include <string.h>

const uint8_t *rbuf_ptr(struct rbuf *r, size_t n)
{
	const uint8_t *p;

	if (r->bad || r->len - r->pos < n) {
		r->bad = true;
		return NULL;
	}
	p = r->data + r->pos;
	r->pos += n;
	return p;
}

uint8_t rbuf_u8(struct rbuf *r)
{
	const uint8_t *p = rbuf_ptr(r, 1);

	return p ? p[0] : 0;
}

uint16_t rbuf_u16(struct rbuf *r)
{
	const uint8_t *p = rbuf_ptr(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

uint32_t rbuf_u32(struct rbuf *r)
{
	const uint8_t *p = rbuf_ptr(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
			       (uint32_t)p[2] << 8 | p[3]
		 : 0;
}

void rbuf_bytes(struct rbuf *r, void *ret, size_t n)
{
	const uint8_t *p = rbuf_ptr(r, n);

	if (p)
		memcpy(ret, p, n);
	else
		memset(ret, 0, n);
}

uint8_t *wbuf_ptr(struct wbuf *w, size_t n)
{
	uint8_t *p;

	if (w->bad || w->size - w->len < n) {
		w->bad = true;
		return NULL;
	}
	p = w->data + w->len;
	w->len += n;
	return p;
}

void wbuf_u8(struct wbuf *w, uint8_t v)
{
	uint8_t *p = wbuf_ptr(w, 1);

	if (p)
		p[0] = v;
}

void wbuf_u16(struct wbuf *w, uint16_t v)
{
	uint8_t *p = wbuf_ptr(w, 2);

	if (p) {
		p[0] = (uint8_t)(v >> 8);
		p[1] = (uint8_t)v;
	}
}

void wbuf_u32(struct wbuf *w, uint32_t v)
{
	wbuf_u16(w, (uint16_t)(v >> 16));
	wbuf_u16(w, (uint16_t)v);
}

void wbuf_bytes(struct wbuf *w, const void *data, size_t n)
{
	uint8_t *p = wbuf_ptr(w, n);

	if (p && n)
		memcpy(p, data, n);
}
