/* SPDX-License-Identifier: Apache-2.0 */
#include "compare.h"

#include <arpa/nameser.h>
#include <ctype.h>

#include "netd/util.h"

/* Differences that are shown. */
#define SHOWN 20

uint32_t compare_pick(uint64_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16) % n;
}

void seen_drop(struct seen *s, size_t i)
{
	free(s->rrs[i].text);
	memmove(&s->rrs[i], &s->rrs[i + 1], (s->len - i - 1) * sizeof(*s->rrs));
	s->len--;
}

bool seen_drop_if(struct seen *s, enum seen_section section, int type)
{
	bool any = false;

	for (size_t i = s->len; i-- > 0;) {
		if (s->rrs[i].section != section ||
		    (type >= 0 && s->rrs[i].type != type))
			continue;
		seen_drop(s, i);
		any = true;
	}
	return any;
}

void seen_flags_drop(struct seen *s, uint16_t flags)
{
	s->flags &= (uint16_t)~flags;
}

void seen_rcode_set(struct seen *s, unsigned rcode)
{
	s->rcode = rcode;
	s->flags = (uint16_t)((s->flags & 0xfff0) | (rcode & 15));
}

static void lower(struct seen *s)
{
	for (size_t i = 0; i < s->len; i++)
		for (char *c = s->rrs[i].text; *c; c++)
			*c = (char)tolower(*c);
	seen_sort(s);
}

static bool same_ttl(const struct compare *c, uint32_t a, uint32_t b)
{
	return (a > b ? a - b : b - a) <= c->slack;
}

static bool is_same(const struct compare *c, const struct seen *a,
		    const struct seen *b)
{
	if (a->rcode != b->rcode || a->flags != b->flags ||
	    a->edns != b->edns || a->len != b->len ||
	    !str_eq(a->name, b->name) || a->type != b->type)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (a->rrs[i].section != b->rrs[i].section ||
		    !same_ttl(c, a->rrs[i].ttl, b->rrs[i].ttl) ||
		    !str_eq(a->rrs[i].text, b->rrs[i].text))
			return false;
	return true;
}

void compare_answers(struct compare *c, const struct asked asked[2])
{
	struct seen seen[2];

	for (size_t i = 0; i < 2; i++) {
		if (!asked[i].len ||
		    seen_read(asked[i].data, asked[i].len, &seen[i])) {
			printf("%s: no answer that can be read\n",
			       i ? c->peer : "netd-dns");
			exit(1);
		}
		lower(&seen[i]);
	}
	for (size_t i = 0; i < c->rules_len; i++)
		c->applied[i] += c->rules[i].apply(&seen[0], &seen[1]);
	if (!is_same(c, &seen[0], &seen[1]) && c->differ++ < SHOWN) {
		printf("differ, netd-dns then %s: %04x %04x\n", c->peer,
		       seen[0].flags, seen[1].flags);
		seen_print(&seen[0]);
		seen_print(&seen[1]);
	}
	seen_free(&seen[0]);
	seen_free(&seen[1]);
}

int compare_end(const struct compare *c, unsigned questions)
{
	for (size_t i = 0; i < c->rules_len; i++)
		printf("%6u  %-10s %s\n", c->applied[i], c->rules[i].name,
		       c->rules[i].why);
	printf("%u questions, %u answers differ without a reason\n", questions,
	       c->differ);
	return c->differ != 0;
}
