/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries over TCP (RFC 7766): many per connection, answered as they get
 * ready, each behind two bytes of length. A connection that brings no whole
 * query for IDLE seconds is closed, however many bytes drip in; so is one
 * that does not read. Connections are bounded per client and in all; beyond
 * that the one idle for longest makes room.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <uthash.h>
#include <utlist.h>

#include "netd/util.h"
#include "parts.h"

#define IDLE 10.
#define CONNS_MAX 1024
#define CONNS_CLIENT_MAX 16
/* A question with options; what is longer is no query of a resolver's. */
#define QUERY_BYTES 4096
/* Unread answers after which no more questions are taken. */
#define OUT_HIGH (128u << 10)
#define ACCEPTS 16

struct conn {
	uint64_t id;
	int fd;
	struct ip_addr peer;
	struct tcp *tcp;
	ev_io io;
	ev_timer idle;
	/* The client sends no more, and still reads. */
	bool eof;
	bool dead;
	unsigned waiting;
	uint8_t in[2 + QUERY_BYTES];
	size_t in_len;
	uint8_t *out;
	size_t out_len;
	size_t out_size;
	UT_hash_handle hh;
	/* The one idle for longest first. */
	struct conn *prev, *next;
};

struct tcp {
	struct server *server;
	struct conn *by_id;
	struct conn *conns;
	size_t len;
	uint8_t answer[DNS_TCP_MAX];
};

struct tcp *tcp_new(struct server *s)
{
	struct tcp *t = xzalloc(sizeof(*t));

	t->server = s;
	return t;
}

static void conn_free(struct conn *c)
{
	struct tcp *t = c->tcp;

	ev_io_stop(t->server->loop, &c->io);
	ev_timer_stop(t->server->loop, &c->idle);
	HASH_DEL(t->by_id, c);
	DL_DELETE(t->conns, c);
	t->len--;
	close(c->fd);
	free(c->out);
	free(c);
}

void tcp_free(struct tcp *t)
{
	if (!t)
		return;
	while (t->conns)
		conn_free(t->conns);
	free(t);
}

static void used_now(struct conn *c)
{
	struct ev_loop *loop = c->tcp->server->loop;

	ev_timer_stop(loop, &c->idle);
	ev_timer_set(&c->idle, IDLE, 0.);
	ev_timer_start(loop, &c->idle);
	DL_DELETE(c->tcp->conns, c);
	DL_APPEND(c->tcp->conns, c);
}

static void out_put(struct conn *c, const uint8_t *data, size_t len)
{
	size_t need = c->out_len + 2 + len;

	if (need > c->out_size) {
		c->out_size = need + 4096;
		c->out = xrealloc(c->out, c->out_size);
	}
	c->out[c->out_len] = (uint8_t)(len >> 8);
	c->out[c->out_len + 1] = (uint8_t)len;
	memcpy(c->out + c->out_len + 2, data, len);
	c->out_len = need;
}

static void conn_write(struct conn *c)
{
	ssize_t n;

	if (!c->out_len)
		return;
	n = send(c->fd, c->out, c->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0) {
		c->dead = errno != EAGAIN && errno != EINTR;
		return;
	}
	c->out_len -= (size_t)n;
	memmove(c->out, c->out + n, c->out_len);
}

static void query_take(struct conn *c, const uint8_t *data, size_t len)
{
	struct tcp *t = c->tcp;
	struct forward_to to = { .tcp = true, .id = c->id };
	struct dns_stats *stats = &t->server->env.stats;
	uint64_t asked = stats->forwarded;
	struct query_in in;

	used_now(c);
	query_read(&t->server->env, data, len, &c->peer, &in);
	len = server_answer(t->server, &in, &to, t->answer);
	if (len)
		out_put(c, t->answer, len);
	else if (stats->forwarded != asked)
		c->waiting++;
}

/* Whole queries in the buffer, as long as their answers are read. */
static void queries_take(struct conn *c)
{
	size_t at = 0;

	while (!c->dead && c->in_len - at >= 2 && c->out_len < OUT_HIGH) {
		size_t len = (size_t)c->in[at] << 8 | c->in[at + 1];

		if (len < DNS_HEADER_LEN || len > QUERY_BYTES) {
			c->dead = true;
			break;
		}
		if (c->in_len - at - 2 < len)
			break;
		query_take(c, c->in + at + 2, len);
		at += 2 + len;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
}

static void conn_read(struct conn *c)
{
	size_t room = sizeof(c->in) - c->in_len;
	ssize_t n;

	if (c->eof || !room)
		return;
	n = recv(c->fd, c->in + c->in_len, room, MSG_DONTWAIT);
	if (n > 0)
		c->in_len += (size_t)n;
	else if (n == 0)
		c->eof = true;
	else
		c->dead = errno != EAGAIN && errno != EINTR;
}

/* Watches for what can happen next, or ends the connection. */
static void conn_settle(struct conn *c)
{
	struct ev_loop *loop = c->tcp->server->loop;
	int events = 0;

	if (c->dead || (c->eof && !c->waiting && !c->out_len)) {
		conn_free(c);
		return;
	}
	if (!c->eof && c->out_len < OUT_HIGH)
		events |= EV_READ;
	if (c->out_len)
		events |= EV_WRITE;
	if ((c->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(loop, &c->io);
	ev_io_set(&c->io, c->fd, events);
	if (events)
		ev_io_start(loop, &c->io);
}

static void on_conn(struct ev_loop *loop, ev_io *w, int revents)
{
	struct conn *c = w->data;

	(void)loop;
	if (revents & EV_READ)
		conn_read(c);
	queries_take(c);
	if (!c->dead)
		conn_write(c);
	/* What was held back while the answers waited. */
	if (!c->dead && !c->out_len)
		queries_take(c);
	conn_settle(c);
}

static void on_idle(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct conn *c = w->data;

	(void)loop;
	(void)revents;
	c->tcp->server->env.stats.tcp_closed++;
	conn_free(c);
}

void tcp_send(struct tcp *t, uint64_t id, const uint8_t *data, size_t len)
{
	struct conn *c;

	HASH_FIND(hh, t->by_id, &id, sizeof(id), c);
	if (!c)
		return;
	if (c->waiting)
		c->waiting--;
	out_put(c, data, len);
	conn_write(c);
	conn_settle(c);
}

static size_t conns_of(const struct tcp *t, const struct ip_addr *peer)
{
	const struct conn *c;
	size_t n = 0;

	DL_FOREACH (t->conns, c)
		n += ip_eq(&c->peer, peer);
	return n;
}

static void conn_new(struct tcp *t, int fd, const struct ip_addr *peer)
{
	struct conn *c = xzalloc(sizeof(*c));

	c->id = ++t->server->last_id;
	c->fd = fd;
	c->peer = *peer;
	c->tcp = t;
	HASH_ADD(hh, t->by_id, id, sizeof(c->id), c);
	DL_APPEND(t->conns, c);
	t->len++;
	ev_io_init(&c->io, on_conn, fd, EV_READ);
	c->io.data = c;
	ev_io_start(t->server->loop, &c->io);
	ev_timer_init(&c->idle, on_idle, IDLE, 0.);
	c->idle.data = c;
	ev_timer_start(t->server->loop, &c->idle);
}

/* Who gets no answer needs no connection; who is known is not, at first. */
static bool is_stranger(const struct server *s, const struct ip_addr *peer)
{
	struct view view;

	return zones_is_synced(s->zones) && !zones_view(s->zones, peer, &view);
}

void tcp_accept(struct listener *l)
{
	struct tcp *t = l->server->tcp;
	struct dns_stats *stats = &l->server->env.stats;

	for (int i = 0; i < ACCEPTS; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct ip_addr peer;
		int fd = accept4(l->tcp, (struct sockaddr *)&ss, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		stats->tcp_accepted++;
		peer = sockaddr_ip(&ss);
		if (is_stranger(l->server, &peer) ||
		    conns_of(t, &peer) >= CONNS_CLIENT_MAX) {
			stats->tcp_closed++;
			close(fd);
			continue;
		}
		if (t->len >= CONNS_MAX) {
			stats->tcp_closed++;
			conn_free(t->conns);
		}
		conn_new(t, fd, &peer);
	}
}
