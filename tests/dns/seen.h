/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen - a DNS message as a reader that is not ours sees it.
 *
 * The C library takes it apart, so that a mistake shared by our reader and
 * our writer shows. A record becomes text, "redis. A 10.1.0.7", its TTL kept
 * apart; the OPT becomes fields.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 255 bytes, each up to four characters (\123), and the last dot. */
#define SEEN_NAME_LEN 1026

enum seen_section { SEEN_ANSWER, SEEN_AUTHORITY, SEEN_ADDITIONAL, SEEN_MAX };

struct seen_rr {
	enum seen_section section;
	uint32_t ttl;
	uint16_t type;
	/* NAME TYPE DATA, the name with its last dot. */
	char *text;
};

struct seen {
	uint16_t id;
	uint16_t flags;
	/* Of 12 bits, with the OPT's. */
	unsigned rcode;
	bool edns;
	uint16_t udp_size;
	/* "" when there is no question. */
	char name[SEEN_NAME_LEN];
	uint16_t type;
	uint16_t class;
	struct seen_rr *rrs;
	size_t len;
};

/* 0, or -EBADMSG. */
int seen_read(const uint8_t *data, size_t len, struct seen *ret);
void seen_free(struct seen *seen);

/* In one order, whatever order it was sent in. */
void seen_sort(struct seen *seen);

/* Everything, line by line, for people. */
void seen_print(const struct seen *seen);

/* "A", or "TYPE65" for those without a name here (RFC 3597 5). */
const char *seen_type_str(uint16_t type);
/* -1: no type. */
int seen_type_parse(const char *text);
const char *seen_rcode_str(unsigned rcode);
int seen_rcode_parse(const char *text);
