/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to servers that lie, delay, cut, refuse and keep silent, all on
 * loopback and all at once: each row of the table is a scene of its own, with
 * up to three servers, and what has to come out of it in what time.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <ev.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "netd/util.h"
#include "target.h"
#include "upstream.h"

#define SERVERS 3
#define NAME "www.example.test"
/* Nothing takes longer: forward would have given up. */
#define LIMIT_MS 4500

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

enum outcome { NONE, ADDRESS, NEGATIVE };

static const struct row {
	const char *what;
	enum deed deeds[SERVERS];
	enum outcome outcome;
	/* Whose answer it is. */
	int from;
	int ms_min, ms_max;
	/* UDP questions and TCP connections, at most. */
	unsigned packets;
	unsigned forged_min;
} rows[] = {
	{ "one good", { GOOD }, ADDRESS, 0, 0, 450, 1, 0 },
	{ "no such name", { SAYS_NXDOMAIN }, NEGATIVE, 0, 0, 450, 1, 0 },
	{ "no such data", { SAYS_NOTHING_THERE }, NEGATIVE, 0, 0, 450, 1, 0 },
	{ "three good", { GOOD, GOOD, GOOD }, ADDRESS, 0, 0, 450, 1, 0 },
	{ "nxdomain is an answer",
	  { SAYS_NXDOMAIN, GOOD },
	  NEGATIVE,
	  0,
	  0,
	  200,
	  1,
	  0 },
	/* The dead. */
	{ "silent", { SILENT }, NONE, 0, 1000, 4600, 4, 0 },
	{ "silent, good", { SILENT, GOOD }, ADDRESS, 1, 400, 1200, 2, 0 },
	{ "silent twice, good",
	  { SILENT, SILENT, GOOD },
	  ADDRESS,
	  2,
	  900,
	  1300,
	  3,
	  0 },
	{ "silent all", { SILENT, SILENT, SILENT }, NONE, 0, 1000, 4600, 4, 0 },
	{ "closed", { CLOSED }, NONE, 0, 0, 450, 1, 0 },
	{ "closed, good", { CLOSED, GOOD }, ADDRESS, 1, 0, 450, 2, 0 },
	{ "closed all", { CLOSED, CLOSED, CLOSED }, NONE, 0, 0, 450, 3, 0 },
	{ "closed, silent, good",
	  { CLOSED, SILENT, GOOD },
	  ADDRESS,
	  2,
	  400,
	  1200,
	  3,
	  0 },
	{ "silent, closed", { SILENT, CLOSED }, NONE, 0, 1000, 4600, 5, 0 },
	{ "one lost", { LOST_FIRST }, ADDRESS, 0, 400, 1200, 2, 0 },
	{ "two lost", { LOST_TWO }, ADDRESS, 0, 1300, 2400, 3, 0 },
	/* The slow: late answers count. */
	{ "slow", { SLOW_300 }, ADDRESS, 0, 250, 500, 1, 0 },
	{ "slower", { SLOW_1500 }, ADDRESS, 0, 1400, 2400, 3, 0 },
	{ "slowest", { SLOW_3000 }, ADDRESS, 0, 2900, 3900, 4, 0 },
	{ "slower, good", { SLOW_1500, GOOD }, ADDRESS, 1, 400, 1200, 2, 0 },
	{ "slower, silent",
	  { SLOW_1500, SILENT },
	  ADDRESS,
	  0,
	  1400,
	  1800,
	  4,
	  0 },
	{ "slow, good", { SLOW_300, GOOD }, ADDRESS, 0, 250, 480, 1, 0 },
	{ "slowest both",
	  { SLOW_3000, SLOW_3000 },
	  ADDRESS,
	  -1,
	  2900,
	  3400,
	  4,
	  0 },
	/* Failures by their own words. */
	{ "servfail", { SAYS_SERVFAIL }, NONE, 0, 0, 450, 1, 0 },
	{ "servfail, good", { SAYS_SERVFAIL, GOOD }, ADDRESS, 1, 0, 450, 2, 0 },
	{ "refused, good", { SAYS_REFUSED, GOOD }, ADDRESS, 1, 0, 450, 2, 0 },
	{ "notimp, good", { SAYS_NOTIMP, GOOD }, ADDRESS, 1, 0, 450, 2, 0 },
	{ "servfail, refused, notimp",
	  { SAYS_SERVFAIL, SAYS_REFUSED, SAYS_NOTIMP },
	  NONE,
	  0,
	  0,
	  300,
	  3,
	  0 },
	{ "servfail, silent, good",
	  { SAYS_SERVFAIL, SILENT, GOOD },
	  ADDRESS,
	  2,
	  400,
	  1200,
	  3,
	  0 },
	{ "servfail by header",
	  { SERVFAIL_HEADER, GOOD },
	  ADDRESS,
	  1,
	  0,
	  200,
	  2,
	  0 },
	{ "slow, then servfail",
	  { SILENT, SAYS_SERVFAIL, SLOW_300 },
	  ADDRESS,
	  2,
	  700,
	  1100,
	  3,
	  0 },
	/* EDNS. */
	{ "no edns", { NO_EDNS }, ADDRESS, 0, 0, 450, 2, 0 },
	{ "no edns, by header", { NO_EDNS_HEADER }, ADDRESS, 0, 0, 450, 2, 0 },
	{ "badvers", { BADVERS }, NONE, 0, 0, 450, 1, 0 },
	{ "badvers, good", { BADVERS, GOOD }, ADDRESS, 1, 0, 450, 2, 0 },
	/* Cut. */
	{ "cut", { CUT }, ADDRESS, 0, 0, 450, 2, 0 },
	{ "big without being cut", { BIG }, ADDRESS, 0, 0, 450, 2, 0 },
	{ "cut, no tcp", { CUT_TCP_CLOSED }, NONE, 0, 0, 450, 2, 0 },
	{ "cut, no tcp, good",
	  { CUT_TCP_CLOSED, GOOD },
	  ADDRESS,
	  1,
	  0,
	  300,
	  3,
	  0 },
	{ "cut, tcp silent, good",
	  { CUT_TCP_SILENT, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  3,
	  0 },
	{ "cut, tcp ends, good",
	  { CUT_TCP_HALF, GOOD },
	  ADDRESS,
	  1,
	  0,
	  300,
	  3,
	  0 },
	{ "cut, cut", { CUT_TCP_CLOSED, CUT }, ADDRESS, 1, 0, 450, 4, 0 },
	/* Letters. */
	{ "small letters", { LOWER }, ADDRESS, 0, 0, 450, 2, 1 },
	{ "small letters, no tcp", { LOWER_NO_TCP }, ADDRESS, 0, 0, 450, 3, 1 },
	{ "small letters over udp",
	  { LOWER_UDP_ONLY },
	  ADDRESS,
	  0,
	  0,
	  300,
	  2,
	  1 },
	/* Forgers and the confused. */
	{ "wrong id first", { WRONG_ID }, ADDRESS, 0, 0, 450, 1, 1 },
	{ "wrong id", { WRONG_ID_ONLY }, NONE, 0, 1000, 4600, 4, 1 },
	{ "wrong id, good",
	  { WRONG_ID_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  1 },
	{ "wrong name first", { WRONG_NAME }, ADDRESS, 0, 0, 450, 1, 1 },
	{ "wrong name, good",
	  { WRONG_NAME_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  1 },
	{ "wrong type, good",
	  { WRONG_TYPE_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  1 },
	{ "wrong class, good",
	  { WRONG_CLASS_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  1 },
	/* The kernel drops these: the socket is connected. */
	{ "wrong port first", { WRONG_PORT }, ADDRESS, 0, 0, 450, 1, 0 },
	{ "wrong port, good",
	  { WRONG_PORT_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  0 },
	{ "a query back, good",
	  { NOT_AN_ANSWER_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  1 },
	{ "no question, good",
	  { NO_QUESTION_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  1 },
	{ "two questions, good",
	  { TWO_QUESTIONS_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  1 },
	{ "five bytes, good",
	  { SHORT_ONLY, GOOD },
	  ADDRESS,
	  1,
	  400,
	  1200,
	  2,
	  1 },
	{ "no bytes first", { EMPTY }, ADDRESS, 0, 0, 450, 1, 1 },
	{ "garbage first", { GARBAGE }, ADDRESS, 0, 0, 450, 1, 1 },
	{ "a flood: by tcp", { FLOOD }, ADDRESS, 0, 0, 450, 2, 16 },
	{ "answered twice", { TWICE }, ADDRESS, 0, 0, 450, 1, 0 },
	/* Malformed: as a failure. */
	{ "bytes behind, good", { TRAILING, GOOD }, ADDRESS, 1, 0, 450, 2, 0 },
	{ "pointer loop, good",
	  { POINTER_LOOP, GOOD },
	  ADDRESS,
	  1,
	  0,
	  200,
	  2,
	  0 },
	{ "counts lie, good", { COUNT_LIES, GOOD }, ADDRESS, 1, 0, 450, 2, 0 },
	{ "two opt, good", { OPT_TWICE, GOOD }, ADDRESS, 1, 0, 450, 2, 0 },
	{ "malformed all",
	  { TRAILING, COUNT_LIES, POINTER_LOOP },
	  NONE,
	  0,
	  0,
	  300,
	  3,
	  0 },
};

struct scene;

struct server {
	struct scene *scene;
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

struct scene {
	const struct row *row;
	struct ev_loop *loop;
	struct upstream *up;
	struct query_probes probes;
	struct dns_stats stats;
	struct server servers[SERVERS];
	size_t servers_len;
	ev_timer limit;
	int64_t started;
	bool done;
	enum outcome outcome;
	int from;
	int64_t took;
};

/* The servers. */

static void rr_add(struct dns_reply *reply)
{
	dns_reply_rr(reply, DNS_ANSWER, DNS_OWNER(0), ns_t_a, 60,
		     "\xc6\x33\x64\1", 4);
}

static size_t answer_make(const struct dns_query *q, int rcode, unsigned n,
			  bool cut, uint8_t *out, size_t size)
{
	struct dns_reply reply;

	dns_reply_begin(&reply, q, out, size);
	reply.rcode = (uint16_t)rcode;
	reply.truncated = cut;
	while (n--)
		rr_add(&reply);
	return dns_reply_end(&reply);
}

static void letters_lower(const struct dns_query *q, uint8_t *out)
{
	for (size_t i = 0; i + 4 < q->question_len; i++)
		out[DNS_HEADER_LEN + i] =
			(uint8_t)tolower(out[DNS_HEADER_LEN + i]);
}

static void say(struct server *s, const uint8_t *data, size_t len)
{
	sendto(s->udp, data, len, 0, (struct sockaddr *)&s->peer,
	       sizeof(s->peer));
}

static void say_late(struct server *s, struct ev_loop *loop, double after,
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

static void on_slow(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct server *s = w->data;

	(void)loop;
	(void)revents;
	s->peer = s->late_peer;
	say(s, s->late, s->late_len);
}

static void say_from_elsewhere(struct server *s, const uint8_t *data,
			       size_t len)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sendto(fd, data, len, 0, (struct sockaddr *)&s->peer, sizeof(s->peer));
}

/* out: the good answer, of len bytes, to be spoiled. */
static void say_wrong(struct server *s, struct dns_query *q, uint8_t *out,
		      size_t len)
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

static void udp_act(struct server *s, struct ev_loop *loop, struct dns_query *q)
{
	uint8_t out[4096];
	size_t len = answer_make(q, ns_r_noerror, 1, false, out, 1232);

	switch (s->deed) {
	case NOBODY:
	case SILENT:
	case CLOSED:
		return;
	case GOOD:
		break;
	case SLOW_300:
		say_late(s, loop, .3, out, len);
		return;
	case SLOW_1500:
		say_late(s, loop, 1.5, out, len);
		return;
	case SLOW_3000:
		say_late(s, loop, 3., out, len);
		return;
	case SAYS_SERVFAIL:
		len = answer_make(q, ns_r_servfail, 0, false, out, 1232);
		break;
	case SAYS_REFUSED:
		len = answer_make(q, ns_r_refused, 0, false, out, 1232);
		break;
	case SAYS_NOTIMP:
		len = answer_make(q, ns_r_notimpl, 0, false, out, 1232);
		break;
	case SAYS_NXDOMAIN:
		len = answer_make(q, ns_r_nxdomain, 0, false, out, 1232);
		break;
	case SAYS_NOTHING_THERE:
		len = answer_make(q, ns_r_noerror, 0, false, out, 1232);
		break;
	case NO_EDNS:
	case NO_EDNS_HEADER:
		if (!q->edns)
			break;
		q->edns = false;
		len = answer_make(q, ns_r_formerr, 0, false, out, 1232);
		if (s->deed == NO_EDNS_HEADER) {
			out[5] = 0;
			len = DNS_HEADER_LEN;
		}
		break;
	case BADVERS:
		len = answer_make(q, DNS_BADVERS, 0, false, out, 1232);
		break;
	case SERVFAIL_HEADER:
		len = answer_make(q, ns_r_servfail, 0, false, out, 1232);
		out[5] = 0;
		out[11] = 0;
		len = DNS_HEADER_LEN;
		break;
	case CUT:
	case CUT_TCP_SILENT:
	case CUT_TCP_CLOSED:
	case CUT_TCP_HALF:
		len = answer_make(q, ns_r_noerror, 0, true, out, 1232);
		break;
	case BIG:
		len = answer_make(q, ns_r_noerror, 150, false, out,
				  sizeof(out));
		break;
	case LOWER:
	case LOWER_NO_TCP:
	case LOWER_UDP_ONLY:
		letters_lower(q, out);
		break;
	case WRONG_ID:
	case WRONG_NAME:
	case EMPTY:
	case GARBAGE:
		say_wrong(s, q, out, len);
		len = answer_make(q, ns_r_noerror, 1, false, out, 1232);
		break;
	case WRONG_PORT:
		say_from_elsewhere(s, out, len);
		break;
	case WRONG_PORT_ONLY:
		say_from_elsewhere(s, out, len);
		return;
	case FLOOD:
		for (int i = 0; i < 20; i++) {
			out[0] = (uint8_t)(q->id >> 8 ^ 1);
			say(s, out, len);
		}
		return;
	case TWICE:
		say(s, out, len);
		break;
	case LOST_FIRST:
	case LOST_TWO:
		if (s->questions <= (s->deed == LOST_FIRST ? 1u : 2u))
			return;
		break;
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
		say_wrong(s, q, out, len);
		return;
	}
	say(s, out, len);
}

static void on_udp(struct ev_loop *loop, ev_io *w, int revents)
{
	struct server *s = w->data;
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
	udp_act(s, loop, &q);
}

static void on_tcp(struct ev_loop *loop, ev_io *w, int revents)
{
	struct server *s = w->data;
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

/* Scenes. */

static int socket_at(int type, struct sockaddr_in *sin)
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

/* UDP and TCP on one port; either may not be there. */
static void server_open(struct server *s)
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

static void server_start(struct scene *scene, enum deed deed)
{
	struct server *s = &scene->servers[scene->servers_len++];

	s->scene = scene;
	s->deed = deed;
	server_open(s);
	ev_timer_init(&s->slow, on_slow, 0., 0.);
	s->slow.data = s;
	if (s->udp >= 0) {
		ev_io_init(&s->udp_io, on_udp, s->udp, EV_READ);
		s->udp_io.data = s;
		ev_io_start(scene->loop, &s->udp_io);
	}
	ev_io_init(&s->tcp_io, on_tcp, s->tcp, EV_READ);
	s->tcp_io.data = s;
	if (deed != CUT_TCP_CLOSED && deed != LOWER_NO_TCP)
		ev_io_start(scene->loop, &s->tcp_io);
}

static void server_stop(struct server *s)
{
	ev_timer_stop(s->scene->loop, &s->slow);
	ev_io_stop(s->scene->loop, &s->udp_io);
	ev_io_stop(s->scene->loop, &s->tcp_io);
	fd_closep(&s->udp);
	fd_closep(&s->tcp);
}

static void on_done(void *ctx, uint64_t token, struct upstream_answer *answer)
{
	struct scene *scene = ctx;

	assert_int_equal(token, 7);
	assert_false(scene->done);
	scene->done = true;
	scene->took = mono_ms() - scene->started;
	ev_timer_stop(scene->loop, &scene->limit);
	scene->outcome = NONE;
	if (!answer->data)
		return;
	scene->outcome = answer->info.negative ? NEGATIVE : ADDRESS;
	for (size_t i = 0; i < scene->servers_len; i++)
		if (scene->servers[i].at.port == answer->server.port)
			scene->from = (int)i;
}

/* As forward does when the time is up. */
static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct scene *scene = w->data;

	(void)loop;
	(void)revents;
	scene->done = true;
	scene->took = mono_ms() - scene->started;
	upstream_cancel(scene->up, 7);
}

static void scene_start(struct scene *scene, const struct row *row,
			struct ev_loop *loop)
{
	struct want_server list[SERVERS];
	struct dns_name name;

	scene->row = row;
	scene->loop = loop;
	for (size_t i = 0; i < SERVERS && row->deeds[i]; i++) {
		server_start(scene, row->deeds[i]);
		list[i] = scene->servers[i].at;
	}
	scene->up = upstream_new(loop, &scene->probes, &scene->stats, on_done,
				 scene);
	upstream_set(scene->up, list, scene->servers_len);
	ev_timer_init(&scene->limit, on_limit, LIMIT_MS / 1000., 0.);
	scene->limit.data = scene;
	ev_timer_start(loop, &scene->limit);
	scene->started = mono_ms();
	assert_int_equal(dns_name_parse(NAME, &name), 0);
	assert_int_equal(upstream_send(scene->up, list, scene->servers_len,
				       &name, ns_t_a, 7),
			 0);
}

static bool scene_is_right(const struct scene *scene)
{
	const struct row *row = scene->row;
	unsigned packets = 0;
	bool right;

	for (size_t i = 0; i < scene->servers_len; i++)
		packets += scene->servers[i].packets;
	right = scene->done && scene->outcome == row->outcome &&
		(row->outcome == NONE || row->from < 0 ||
		 scene->from == row->from) &&
		scene->took >= row->ms_min && scene->took <= row->ms_max &&
		packets <= row->packets && packets <= UPSTREAM_PACKETS_MAX &&
		scene->stats.forged >= row->forged_min;
	if (!right)
		print_error("%s: outcome %d from %d after %lld ms, %u packets, "
			    "%llu forged\n",
			    row->what, scene->outcome, scene->from,
			    (long long)scene->took, packets,
			    (unsigned long long)scene->stats.forged);
	return right;
}

static void test_scenes(void **state)
{
	struct scene *scenes = xzalloc(ARRAY_LEN(rows) * sizeof(*scenes));
	struct ev_loop *loop = ev_loop_new(0);
	int64_t until = mono_ms() + LIMIT_MS + 1000;
	unsigned wrong = 0, open = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		scene_start(&scenes[i], &rows[i], loop);
	while (open && mono_ms() < until) {
		ev_run(loop, EVRUN_ONCE);
		open = 0;
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			open += !scenes[i].done;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		wrong += !scene_is_right(&scenes[i]);
		upstream_free(scenes[i].up);
		for (size_t k = 0; k < scenes[i].servers_len; k++)
			server_stop(&scenes[i].servers[k]);
		ev_timer_stop(loop, &scenes[i].limit);
	}
	free(scenes);
	ev_loop_destroy(loop);
	assert_int_equal(wrong, 0);
}

/* Every question from another port, with another id and other letters. */
static void test_spread(void **state)
{
	enum { QUESTIONS = 400 };
	struct scene scene = { .loop = ev_loop_new(0) };
	uint16_t ports[QUESTIONS], ids[QUESTIONS];
	unsigned same_ports = 0, same_ids = 0, capitals = 0;
	struct dns_name name;

	(void)state;
	server_start(&scene, GOOD);
	/* Read here, not by the server's own. */
	ev_io_stop(scene.loop, &scene.servers[0].udp_io);
	scene.up = upstream_new(scene.loop, &scene.probes, &scene.stats,
				on_done, &scene);
	upstream_set(scene.up, &scene.servers[0].at, 1);
	assert_int_equal(dns_name_parse("abcdefghijklmnop.test", &name), 0);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);
		uint8_t query[512];

		assert_int_equal(upstream_send(scene.up, &scene.servers[0].at,
					       1, &name, ns_t_a, i + 1),
				 0);
		assert_true(recvfrom(scene.servers[0].udp, query, sizeof(query),
				     0, (struct sockaddr *)&peer, &len) > 0);
		ports[i] = ntohs(peer.sin_port);
		ids[i] = (uint16_t)(query[0] << 8 | query[1]);
		for (unsigned k = 0; k < 16; k++)
			capitals += isupper(query[DNS_HEADER_LEN + 1 + k]) != 0;
		upstream_cancel(scene.up, i + 1);
		ev_run(scene.loop, EVRUN_NOWAIT);
	}
	for (unsigned i = 0; i < QUESTIONS; i++) {
		for (unsigned k = 0; k < i; k++) {
			same_ports += ports[i] == ports[k];
			same_ids += ids[i] == ids[k];
		}
		assert_true(ports[i] >= 16384);
	}
	/* About 1.6 and 1.2 of 79,800 pairs by chance. */
	assert_in_range(same_ports, 0, 12);
	assert_in_range(same_ids, 0, 12);
	/* Half of 6,400, give or take six deviations. */
	assert_in_range(capitals, 2960, 3440);
	upstream_free(scene.up);
	server_stop(&scene.servers[0]);
	ev_loop_destroy(scene.loop);
}

/* States, by the clock of the test. */

static void test_target_states(void **state)
{
	struct target a = { 0 }, b = { 0 }, c = { 0 };
	struct target *all[] = { &a, &b, &c }, *order[3];

	(void)state;
	assert_int_equal(target_order(all, 3, 0, order), 3);
	assert_ptr_equal(order[0], &a);
	/* One check lost is a packet lost. */
	assert_false(target_check_failed(&a));
	assert_int_equal(target_order(all, 3, 0, order), 3);
	assert_true(target_check_failed(&a));
	assert_false(target_check_failed(&a));
	assert_int_equal(target_order(all, 3, 0, order), 2);
	assert_ptr_equal(order[0], &b);
	/* Worse than others three times in a row: behind, for a time. */
	for (int i = 0; i < TARGET_WORSE_MAX; i++)
		target_worse(&b, 1000);
	assert_int_equal(target_order(all, 3, 1000, order), 2);
	assert_ptr_equal(order[0], &c);
	assert_ptr_equal(order[1], &b);
	target_order(all, 3, 1000 + TARGET_BEHIND_MS, order);
	assert_ptr_equal(order[0], &b);
	/* All down: better than nobody. Those that loop never. */
	b.down = c.down = true;
	assert_int_equal(target_order(all, 3, 99999999, order), 3);
	b.loops = true;
	assert_int_equal(target_order(all, 3, 99999999, order), 2);
	assert_true(target_answered(&a, 800));
	assert_false(target_answered(&a, 800));
	assert_int_equal(target_order(all, 3, 99999999, order), 1);
	assert_in_range(a.latency_us, 790, 810);
	for (int i = 0; i < 100; i++)
		target_answered(&a, 80);
	assert_in_range(a.latency_us, 70, 90);
	c.keep_case_until = 5;
	assert_false(target_keeps_case(&c, 4));
	assert_true(target_keeps_case(&c, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target_states),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_scenes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
