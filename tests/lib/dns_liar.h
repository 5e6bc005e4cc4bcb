/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_liar - servers on loopback that lie, delay, cut, refuse and keep silent.
 */
#pragma once

#include "cm.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <ev.h>
#include <sys/socket.h>

#include "msg.h"
#include "netd/util.h"
#include "query.h"

enum deed {
	NOBODY,
	GOOD,
	/* Hears and says nothing. */
	SILENT,
	/* Nobody listens. */
	CLOSED,
	SLOW_300,
	SLOW_1500,
	SLOW_3000,
	SAYS_SERVFAIL,
	SAYS_REFUSED,
	SAYS_NOTIMP,
	SAYS_NXDOMAIN,
	SAYS_NOTHING_THERE,
	/* To EDNS; by a header alone. */
	NO_EDNS,
	NO_EDNS_HEADER,
	BADVERS,
	SERVFAIL_HEADER,
	/* Over UDP cut; over TCP whole, silent, or nobody. */
	CUT,
	CUT_TCP_SILENT,
	CUT_TCP_CLOSED,
	CUT_TCP_HALF,
	BIG,
	/* Small letters in the question. */
	LOWER,
	LOWER_NO_TCP,
	LOWER_UDP_ONLY,
	/* Beside the answer; and in place of it. */
	WRONG_ID,
	WRONG_ID_ONLY,
	WRONG_NAME,
	WRONG_NAME_ONLY,
	WRONG_TYPE_ONLY,
	WRONG_CLASS_ONLY,
	WRONG_PORT,
	WRONG_PORT_ONLY,
	NOT_AN_ANSWER_ONLY,
	NO_QUESTION_ONLY,
	TWO_QUESTIONS_ONLY,
	SHORT_ONLY,
	EMPTY,
	GARBAGE,
	FLOOD,
	TWICE,
	/* Well-formed until one looks. */
	TRAILING,
	POINTER_LOOP,
	COUNT_LIES,
	OPT_TWICE,
	LOST_FIRST,
	LOST_TWO,
};

/* UDP and TCP on one port; either may not be there. */
struct liar {
	struct ev_loop *loop;
	enum deed deed;
	struct want_server at;
	int udp, tcp;
	ev_io udp_io, tcp_io;
	/* An answer that waits. */
	ev_timer slow;
	struct sockaddr_in peer, late_peer;
	uint8_t late[1500];
	size_t late_len;
	/* Questions other than probes, and connections. */
	unsigned packets, questions;
};

static inline void rr_add(struct dns_reply *reply)
{
	dns_reply_rr(reply, DNS_ANSWER, DNS_OWNER(0), ns_t_a, 60,
		     "\xc6\x33\x64\1", 4);
}

static inline size_t answer_make(const struct dns_query *q, int rcode,
				 unsigned n, bool cut, uint8_t *out,
				 size_t size)
{
	struct dns_reply reply;

	dns_reply_begin(&reply, q, out, size);
	reply.rcode = (uint16_t)rcode;
	reply.truncated = cut;
	while (n--)
		rr_add(&reply);
	return dns_reply_end(&reply);
}

static inline void letters_lower(const struct dns_query *q, uint8_t *out)
{
	for (size_t i = 0; i + 4 < q->question_len; i++)
		out[DNS_HEADER_LEN + i] =
			(uint8_t)tolower(out[DNS_HEADER_LEN + i]);
}

static inline void say(struct liar *s, const uint8_t *data, size_t len)
{
	sendto(s->udp, data, len, 0, (struct sockaddr *)&s->peer,
	       sizeof(s->peer));
}

static inline void say_late(struct liar *s, struct ev_loop *loop, double after,
			    const uint8_t *data, size_t len)
{
	if (ev_is_active(&s->slow))
		return;
	/* Others ask before it is time. */
	s->late_peer = s->peer;
	memcpy(s->late, data, len);
	s->late_len = len;
	ev_timer_set(&s->slow, after, 0.);
	ev_timer_start(loop, &s->slow);
}

static inline void liar_on_slow(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct liar *s = w->data;

	(void)loop;
	(void)revents;
	s->peer = s->late_peer;
	say(s, s->late, s->late_len);
}

static inline void say_from_elsewhere(struct liar *s, const uint8_t *data,
				      size_t len)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sendto(fd, data, len, 0, (struct sockaddr *)&s->peer, sizeof(s->peer));
}

/* out: the good answer, of len bytes, to be spoiled. */
static inline void say_wrong(struct liar *s, const struct dns_query *q,
			     uint8_t *out, size_t len)
{
	size_t tail = DNS_HEADER_LEN + q->question_len;

	switch (s->deed) {
	case WRONG_ID:
	case WRONG_ID_ONLY:
		out[1] ^= 1;
		break;
	case WRONG_NAME:
	case WRONG_NAME_ONLY:
		out[DNS_HEADER_LEN + 1] = 'v';
		break;
	case WRONG_TYPE_ONLY:
		out[tail - 3] ^= 1;
		break;
	case WRONG_CLASS_ONLY:
		out[tail - 1] = 3;
		break;
	case NOT_AN_ANSWER_ONLY:
		out[2] &= 0x7f;
		break;
	case NO_QUESTION_ONLY:
		out[5] = 0;
		break;
	case TWO_QUESTIONS_ONLY:
		out[5] = 2;
		break;
	case SHORT_ONLY:
		len = 5;
		break;
	case EMPTY:
		len = 0;
		break;
	case GARBAGE:
		memset(out, 0xa5, len);
		break;
	case TRAILING:
		out[len++] = 0;
		break;
	case POINTER_LOOP:
		out[tail] = 0xc0;
		out[tail + 1] = (uint8_t)tail;
		break;
	case COUNT_LIES:
		out[7] = 9;
		break;
	case OPT_TWICE:
		memcpy(out + len, out + len - DNS_OPT_LEN, DNS_OPT_LEN);
		len += DNS_OPT_LEN;
		out[11]++;
		break;
	default:
		break;
	}
	say(s, out, len);
}

/* A deed that is an answer of its own kind: late, empty, cut or too big. */
static const struct manner {
	enum deed deed;
	int rcode;
	unsigned records;
	bool cut;
	bool header_alone;
	double after;
} manners[] = {
	{ .deed = GOOD, .records = 1 },
	{ .deed = SLOW_300, .records = 1, .after = .3 },
	{ .deed = SLOW_1500, .records = 1, .after = 1.5 },
	{ .deed = SLOW_3000, .records = 1, .after = 3. },
	{ .deed = SAYS_SERVFAIL, .rcode = ns_r_servfail },
	{ .deed = SAYS_REFUSED, .rcode = ns_r_refused },
	{ .deed = SAYS_NOTIMP, .rcode = ns_r_notimpl },
	{ .deed = SAYS_NXDOMAIN, .rcode = ns_r_nxdomain },
	{ .deed = SAYS_NOTHING_THERE },
	{ .deed = NO_EDNS, .rcode = ns_r_formerr },
	{ .deed = NO_EDNS_HEADER, .rcode = ns_r_formerr, .header_alone = true },
	{ .deed = BADVERS, .rcode = DNS_BADVERS },
	{ .deed = SERVFAIL_HEADER,
	  .rcode = ns_r_servfail,
	  .header_alone = true },
	{ .deed = CUT, .cut = true },
	{ .deed = CUT_TCP_SILENT, .cut = true },
	{ .deed = CUT_TCP_CLOSED, .cut = true },
	{ .deed = CUT_TCP_HALF, .cut = true },
	{ .deed = BIG, .records = 150 },
};

/* Without a row of its own: as a good one. */
static inline const struct manner *manner_of(enum deed deed)
{
	for (size_t i = 0; i < ARRAY_LEN(manners); i++)
		if (manners[i].deed == deed)
			return &manners[i];
	return &manners[0];
}

/* What is said besides a good answer; false: instead of it. */
static inline bool liar_adds(struct liar *s, const struct dns_query *q,
			     uint8_t *out, size_t len)
{
	uint8_t wrong[4096];

	memcpy(wrong, out, len);
	switch (s->deed) {
	case NOBODY:
	case SILENT:
	case CLOSED:
		return false;
	case LOST_FIRST:
		return s->questions > 1;
	case LOST_TWO:
		return s->questions > 2;
	case LOWER:
	case LOWER_NO_TCP:
	case LOWER_UDP_ONLY:
		letters_lower(q, out);
		return true;
	case WRONG_PORT:
	case WRONG_PORT_ONLY:
		say_from_elsewhere(s, out, len);
		return s->deed == WRONG_PORT;
	case FLOOD:
		wrong[0] ^= 1;
		for (int i = 0; i < 20; i++)
			say(s, wrong, len);
		return false;
	case TWICE:
		say(s, out, len);
		return true;
	case WRONG_ID:
	case WRONG_NAME:
	case EMPTY:
	case GARBAGE:
		say_wrong(s, q, wrong, len);
		return true;
	case WRONG_ID_ONLY:
	case WRONG_NAME_ONLY:
	case WRONG_TYPE_ONLY:
	case WRONG_CLASS_ONLY:
	case NOT_AN_ANSWER_ONLY:
	case NO_QUESTION_ONLY:
	case TWO_QUESTIONS_ONLY:
	case SHORT_ONLY:
	case TRAILING:
	case POINTER_LOOP:
	case COUNT_LIES:
	case OPT_TWICE:
		say_wrong(s, q, wrong, len);
		return false;
	case GOOD:
	case SLOW_300:
	case SLOW_1500:
	case SLOW_3000:
	case SAYS_SERVFAIL:
	case SAYS_REFUSED:
	case SAYS_NOTIMP:
	case SAYS_NXDOMAIN:
	case SAYS_NOTHING_THERE:
	case NO_EDNS:
	case NO_EDNS_HEADER:
	case BADVERS:
	case SERVFAIL_HEADER:
	case CUT:
	case CUT_TCP_SILENT:
	case CUT_TCP_CLOSED:
	case CUT_TCP_HALF:
	case BIG:
		break;
	}
	return true;
}

static inline void liar_answer(struct liar *s, struct ev_loop *loop,
			       struct dns_query *q)
{
	bool no_edns = s->deed == NO_EDNS || s->deed == NO_EDNS_HEADER;
	const struct manner *m =
		manner_of(no_edns && !q->edns ? GOOD : s->deed);
	uint8_t out[4096];
	size_t len;

	q->edns = q->edns && !no_edns;
	len = answer_make(q, m->rcode, m->records, m->cut, out,
			  s->deed == BIG ? sizeof(out) : 1232);
	if (m->header_alone) {
		/* Neither question nor OPT. */
		out[5] = out[11] = 0;
		len = DNS_HEADER_LEN;
	}
	if (m->after > 0)
		say_late(s, loop, m->after, out, len);
	else if (liar_adds(s, q, out, len))
		say(s, out, len);
}

static inline void liar_on_udp(struct ev_loop *loop, ev_io *w, int revents)
{
	struct liar *s = w->data;
	socklen_t peer_len = sizeof(s->peer);
	uint8_t query[2048], out[1232];
	struct dns_query q;
	ssize_t n = recvfrom(s->udp, query, sizeof(query), 0,
			     (struct sockaddr *)&s->peer, &peer_len);

	(void)revents;
	if (n <= 0 || dns_query_read(query, (size_t)n, &q) != ns_r_noerror)
		return;
	/* Servers that live answer checks. */
	if (dns_label_is(&q.name, q.name.labels - 1u, PROBE_ZONE)) {
		if (s->deed != SILENT && s->deed != CLOSED)
			say(s, out,
			    answer_make(&q, ns_r_nxdomain, 0, false, out,
					sizeof(out)));
		return;
	}
	s->packets++;
	s->questions++;
	liar_answer(s, loop, &q);
}

static inline void liar_on_tcp(struct ev_loop *loop, ev_io *w, int revents)
{
	struct liar *s = w->data;
	uint8_t in[2 + 2048], out[2 + 4096];
	AUTO(fd_closep) int fd = accept(s->tcp, NULL, NULL);
	struct dns_query q;
	ssize_t n;
	size_t len;

	(void)loop;
	(void)revents;
	s->packets++;
	if (s->deed == CUT_TCP_SILENT) {
		/* Open until the test's end. */
		take_fd(fd);
		return;
	}
	n = recv(fd, in, sizeof(in), 0);
	if (n < 2 + DNS_HEADER_LEN ||
	    dns_query_read(in + 2, (size_t)n - 2, &q) != ns_r_noerror)
		return;
	len = answer_make(&q, ns_r_noerror, 150, false, out + 2,
			  sizeof(out) - 2);
	if (s->deed == LOWER)
		letters_lower(&q, out + 2);
	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	send(fd, out, s->deed == CUT_TCP_HALF ? len / 2 : len + 2,
	     MSG_NOSIGNAL);
}

static inline int socket_at(int type, struct sockaddr_in *sin)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*sin);

	assert_true(fd >= 0);
	if (bind(fd, (struct sockaddr *)sin, sizeof(*sin))) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *)sin, &len), 0);
	return fd;
}

static inline void liar_open(struct liar *s)
{
	struct sockaddr_in sin;

	do {
		sin = (struct sockaddr_in){ .sin_family = AF_INET };
		sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		s->udp = socket_at(SOCK_DGRAM, &sin);
		s->tcp = socket_at(SOCK_STREAM, &sin);
		if (s->tcp < 0)
			close(take_fd(s->udp));
	} while (s->udp < 0);
	s->at.addr = ip_from_v4(INADDR_LOOPBACK);
	s->at.port = ntohs(sin.sin_port);
	if (s->deed == CLOSED)
		close(take_fd(s->udp));
	/* Bound and not listening: refused. */
	if (s->deed != CUT_TCP_CLOSED && s->deed != LOWER_NO_TCP)
		assert_int_equal(listen(s->tcp, 8), 0);
}

static inline void liar_start(struct liar *s, struct ev_loop *loop,
			      enum deed deed)
{
	s->loop = loop;
	s->deed = deed;
	liar_open(s);
	ev_timer_init(&s->slow, liar_on_slow, 0., 0.);
	s->slow.data = s;
	if (s->udp >= 0) {
		ev_io_init(&s->udp_io, liar_on_udp, s->udp, EV_READ);
		s->udp_io.data = s;
		ev_io_start(loop, &s->udp_io);
	}
	ev_io_init(&s->tcp_io, liar_on_tcp, s->tcp, EV_READ);
	s->tcp_io.data = s;
	if (deed != CUT_TCP_CLOSED && deed != LOWER_NO_TCP)
		ev_io_start(loop, &s->tcp_io);
}

static inline void liar_stop(struct liar *s)
{
	ev_timer_stop(s->loop, &s->slow);
	ev_io_stop(s->loop, &s->udp_io);
	ev_io_stop(s->loop, &s->tcp_io);
	fd_closep(&s->udp);
	fd_closep(&s->tcp);
}
