/* SPDX-License-Identifier: Apache-2.0 */
#include "inquiry.h"

#include <ev.h>
#include <stdio.h>
#include <utlist.h>

#include "msg.h"
#include "netd/util.h"

/* Longer than a question may take outside. */
#define ASK_S 6.

struct ask {
	uint32_t serial;
	struct inquiries *inquiries;
	dns_told_fn *done;
	void *arg;
	/* Told when the time is up. */
	int err;
	ev_timer timer;
	struct ask *prev, *next;
};

struct inquiries {
	struct ev_loop *loop;
	struct ask *list;
	uint32_t last_serial;
};

struct inquiries *inquiries_new(struct ev_loop *loop)
{
	struct inquiries *a = xzalloc(sizeof(*a));

	a->loop = loop;
	return a;
}

static void ask_free(struct ask *ask)
{
	ev_timer_stop(ask->inquiries->loop, &ask->timer);
	DL_DELETE(ask->inquiries->list, ask);
	free(ask);
}

void inquiries_free(struct inquiries *a)
{
	if (!a)
		return;
	while (a->list)
		ask_free(a->list);
	free(a);
}

static void ask_end(struct ask *ask, int err, const struct dns_told *told)
{
	dns_told_fn *done = ask->done;
	void *arg = ask->arg;

	ask_free(ask);
	done(arg, err, told);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct ask *ask = w->data;

	(void)loop;
	(void)revents;
	ask_end(ask, ask->err, NULL);
}

void inquiries_send(struct inquiries *a, int fd, const struct dns_ask *ask,
		    dns_told_fn *done, void *arg)
{
	struct ask *at = xzalloc(sizeof(*at));
	struct proto_ask msg;

	memset(&msg, 0, sizeof(msg));
	msg.serial = at->serial = ++a->last_serial;
	msg.ask = *ask;
	at->inquiries = a;
	at->done = done;
	at->arg = arg;
	at->err = -ETIMEDOUT;
	DL_APPEND(a->list, at);
	/* A socket that takes nothing belongs to a server that is stuck. */
	if (fd < 0 || proto_send(fd, PROTO_ASK, &msg, sizeof(msg), NULL))
		at->err = -EHOSTDOWN;
	/* Nobody is told from within: it is the timer that does. */
	ev_timer_init(&at->timer, on_timer, at->err == -ETIMEDOUT ? ASK_S : 0.,
		      0.);
	at->timer.data = at;
	ev_timer_start(a->loop, &at->timer);
}

void inquiries_lost(struct inquiries *a)
{
	struct ask *ask;

	DL_FOREACH (a->list, ask) {
		ask->err = -EHOSTDOWN;
		ev_timer_stop(a->loop, &ask->timer);
		ev_timer_set(&ask->timer, 0., 0.);
		ev_timer_start(a->loop, &ask->timer);
	}
}

bool inquiries_told(struct inquiries *a, struct proto_told *told)
{
	struct ask *ask;

	if (!told_check(&told->told))
		return false;
	DL_FOREACH (a->list, ask)
		if (ask->serial == told->serial)
			break;
	/* Its time may have been up. */
	if (ask)
		ask_end(ask, 0, &told->told);
	return true;
}

static void text_clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *c = text; *c; c++)
		if ((*c < ' ' || *c > '~') && *c != '\n')
			*c = '?';
}

/* A byte that is neither 0 nor 1 is no bool to a compiler. */
static void bool_clean(bool *b)
{
	uint8_t byte;

	memcpy(&byte, b, 1);
	*b = byte != 0;
}

static bool upstreams_check(struct dns_told *told)
{
	if (told->upstreams.len > DNS_TOLD_UPSTREAMS)
		return false;
	for (uint32_t i = 0; i < told->upstreams.len; i++) {
		struct dns_upstream_state *row = &told->upstreams.rows[i];

		bool_clean(&row->down);
		bool_clean(&row->loops);
		bool_clean(&row->behind);
		bool_clean(&row->loses_case);
	}
	return true;
}

static bool cache_check(struct dns_told *told)
{
	if (told->cache.len > DNS_TOLD_ENTRIES)
		return false;
	for (uint32_t i = 0; i < told->cache.len; i++) {
		struct dns_cache_entry *row = &told->cache.rows[i];

		text_clean(row->name, sizeof(row->name));
		bool_clean(&row->stale);
	}
	return true;
}

bool told_check(struct dns_told *told)
{
	switch (told->kind) {
	case DNS_ASK_QUERY:
		text_clean(told->query.step, sizeof(told->query.step));
		text_clean(told->query.text, sizeof(told->query.text));
		bool_clean(&told->query.authoritative);
		return told->query.source < DNS_SOURCE_MAX &&
		       told->query.what >= -1 &&
		       told->query.what < NAME_KIND_MAX;
	case DNS_ASK_UPSTREAMS:
		return upstreams_check(told);
	case DNS_ASK_CACHE:
		return cache_check(told);
	case DNS_ASK_FLUSH:
		return true;
	case DNS_ASK_ZONE:
		bool_clean(&told->zone.is_known);
		bool_clean(&told->zone.is_unheard);
		return true;
	default:
		return false;
	}
}

int dns_type_read(const char *text, uint16_t *ret)
{
	return dns_type_parse(text, ret);
}

const char *dns_type_word(uint16_t type, char buf[DNS_TYPE_STRLEN])
{
	const char *word = dns_type_str(type);

	if (word)
		str_copy(buf, DNS_TYPE_STRLEN, word);
	else
		snprintf(buf, DNS_TYPE_STRLEN, "TYPE%u", type);
	return buf;
}
