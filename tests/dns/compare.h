/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare - two servers' answers to one question, field by field.
 *
 * What may differ is a row of rules: it takes what it explains out of both
 * answers. Whatever else differs is shown and counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ask.h"
#include "seen.h"

struct compare_rule {
	const char *name;
	const char *why;
	/* True: there was something of it. */
	bool (*apply)(struct seen *ours, struct seen *theirs);
};

#define COMPARE_RULES_MAX 32

struct compare {
	/* Who is not netd-dns. */
	const char *peer;
	const struct compare_rule *rules;
	size_t rules_len;
	/* Seconds that TTLs may be apart. */
	uint32_t slack;
	unsigned applied[COMPARE_RULES_MAX];
	unsigned differ;
};

/* Ours first. Ends the program when an answer cannot be read. */
void compare_answers(struct compare *c, const struct asked asked[2]);

/* How often each rule applied; what is left. Returns what a program does. */
int compare_end(const struct compare *c, unsigned questions);

/* For rules. type -1: any; true: there was one. */
void seen_drop(struct seen *s, size_t i);
bool seen_drop_if(struct seen *s, enum seen_section section, int type);
void seen_flags_drop(struct seen *s, uint16_t flags);
/* Takes on the other's code, and its flags. */
void seen_rcode_set(struct seen *s, unsigned rcode);

/* A number below n, the same ones in each run. */
uint32_t compare_pick(uint64_t *state, uint32_t n);
