/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - a reader and a writer over bytes, both bounds-checked.
 *
 * A failed read or write sets `bad`, yields zero, and every later one fails
 * too: code reads straight through and looks at `bad` once, at the end.
 * Numbers are in network byte order. Neither owns the memory it is given.
 * Inline: a DNS query is a few dozen of these calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rbuf {
	const uint8_t *data;
	size_t len;
	size_t pos;
	bool bad;
};

struct wbuf {
	uint8_t *data;
	size_t size;
	size_t len;
	bool bad;
};

static inline struct rbuf rbuf_make(const void *data, size_t len)
{
	return (struct rbuf){ .data = data, .len = len };
}

static inline size_t rbuf_left(const struct rbuf *r)
{
	return r->bad || r->pos > r->len ? 0 : r->len - r->pos;
}

/* n bytes in place, or NULL (and bad) when so many are not left. */
static inline const uint8_t *rbuf_ptr(struct rbuf *r, size_t n)
{
	const uint8_t *p;

	/* A reader may have been set to a place behind the end. */
	if (r->bad || n > r->len || r->pos > r->len - n) {
		r->bad = true;
		return NULL;
	}
	p = r->data + r->pos;
	r->pos += n;
	return p;
}

static inline uint8_t rbuf_u8(struct rbuf *r)
{
	const uint8_t *p = rbuf_ptr(r, 1);

	return p ? p[0] : 0;
}

static inline uint16_t rbuf_u16(struct rbuf *r)
{
	const uint8_t *p = rbuf_ptr(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t rbuf_u32(struct rbuf *r)
{
	const uint8_t *p = rbuf_ptr(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
			       (uint32_t)p[2] << 8 | p[3]
		 : 0;
}

static inline void rbuf_bytes(struct rbuf *r, void *ret, size_t n)
{
	const uint8_t *p = rbuf_ptr(r, n);

	if (p)
		memcpy(ret, p, n);
	else
		memset(ret, 0, n);
}

static inline struct wbuf wbuf_make(void *data, size_t size)
{
	return (struct wbuf){ .data = data, .size = size };
}

/* Room for n bytes to be filled by the caller, or NULL (and bad). */
static inline uint8_t *wbuf_ptr(struct wbuf *w, size_t n)
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

static inline void wbuf_u8(struct wbuf *w, uint8_t v)
{
	uint8_t *p = wbuf_ptr(w, 1);

	if (p)
		p[0] = v;
}

static inline void wbuf_u16(struct wbuf *w, uint16_t v)
{
	uint8_t *p = wbuf_ptr(w, 2);

	if (p) {
		p[0] = (uint8_t)(v >> 8);
		p[1] = (uint8_t)v;
	}
}

static inline void wbuf_u32(struct wbuf *w, uint32_t v)
{
	wbuf_u16(w, (uint16_t)(v >> 16));
	wbuf_u16(w, (uint16_t)v);
}

static inline void wbuf_bytes(struct wbuf *w, const void *data, size_t n)
{
	uint8_t *p = wbuf_ptr(w, n);

	if (p && n)
		memcpy(p, data, n);
}
