/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name - domain names as lower-case wire bytes.
 *
 * A name keeps its labels as RFC 1035 3.1 writes them (length, bytes, the
 * root's 0 at the end), because text cannot tell a dot inside a label from
 * one between two. Comparing bytes compares without case (RFC 4343).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/buf.h"

/* RFC 1035 2.3.4, with the root's 0. */
#define DNS_NAME_MAX 255
#define DNS_LABEL_MAX 63
#define DNS_LABELS_MAX 127
/* An honest name needs one or two; more is an attack on our time. */
#define DNS_HOPS_MAX 16
#define DNS_HEADER_LEN 12

struct dns_name {
	/* Bytes used, the root's 0 included; labels without the root. */
	uint8_t len;
	uint8_t labels;
	/* Where label i starts; at[labels] is the root. */
	uint8_t at[DNS_LABELS_MAX + 1];
	uint8_t b[DNS_NAME_MAX];
};

/*
 * Reads the name at the reader's position and leaves the reader behind it.
 * Compression pointers must lead backwards, and never into the header.
 * 0 or -EBADMSG.
 */
int dns_name_read(struct rbuf *r, struct dns_name *ret);

/* "redis.default", with or without a last dot; "" and "." are the root. */
int dns_name_parse(const char *text, struct dns_name *ret);

/* Text for people; odd bytes are shown as '?'. size >= DNS_NAME_MAX + 1. */
const char *dns_name_str(const struct dns_name *name, char *buf, size_t size);

/* The label's bytes and length; i < labels. */
static inline const uint8_t *dns_label(const struct dns_name *name, unsigned i,
				       uint8_t *len)
{
	*len = name->b[name->at[i]];
	return name->b + name->at[i] + 1;
}

bool dns_label_is(const struct dns_name *name, unsigned i, const char *text);
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b);

/* Does name lie at or below zone? Then *first is the zone's first label. */
bool dns_name_below(const struct dns_name *name, const struct dns_name *zone,
		    unsigned *first);

/*
 * Appends all labels, and the root's 0 if wanted: names are put together
 * from pieces.
 */
void dns_name_write(struct wbuf *w, const struct dns_name *name, bool root);
