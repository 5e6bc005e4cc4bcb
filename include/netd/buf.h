/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - a reader and a writer over bytes, both bounds-checked.
 *
 * A failed read or write sets `bad`, yields zero, and every later one fails
 * too: code reads straight through and looks at `bad` once, at the end.
 * Numbers are in network byte order. Neither owns the memory it is given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	return r->bad ? 0 : r->len - r->pos;
}

uint8_t rbuf_u8(struct rbuf *r);
uint16_t rbuf_u16(struct rbuf *r);
uint32_t rbuf_u32(struct rbuf *r);
void rbuf_bytes(struct rbuf *r, void *ret, size_t n);

/* n bytes in place, or NULL (and bad) when so many are not left. */
const uint8_t *rbuf_ptr(struct rbuf *r, size_t n);

static inline struct wbuf wbuf_make(void *data, size_t size)
{
	return (struct wbuf){ .data = data, .size = size };
}

void wbuf_u8(struct wbuf *w, uint8_t v);
void wbuf_u16(struct wbuf *w, uint16_t v);
void wbuf_u32(struct wbuf *w, uint32_t v);
void wbuf_bytes(struct wbuf *w, const void *data, size_t n);

/* Room for n bytes to be filled by the caller, or NULL (and bad). */
uint8_t *wbuf_ptr(struct wbuf *w, size_t n);
