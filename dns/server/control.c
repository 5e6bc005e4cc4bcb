/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to netd. One that says an equal HELLO is the one that is
 * listened to, in place of any before it: its predecessor's netd is gone or
 * going. One of another version may take our sockets and tell us to end.
 */
#include <poll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "netd/log.h"
#include "netd/util.h"
#include "parts.h"

/* Messages before the loop looks at its other watchers. */
#define MESSAGES 64
#define LINKS_MAX 8
/* netd reads the greeting at once; one that does not is stuck. */
#define GREETING_MS 1000
#define STATS_EVERY 1.

struct link {
	int fd;
	ev_io io;
	struct control *control;
	/* Its HELLO came; it was equal to ours. */
	bool greeted;
	bool same;
	struct link *prev, *next;
};

struct control {
	struct server *server;
	int listen_fd;
	ev_io listen_io;
	struct link *links;
	ev_timer stats_timer;
	struct dns_stats stats_sent;
	struct proto_msg msg;
	struct packed packed;
};

static void link_free(struct link *l)
{
	ev_io_stop(l->control->server->loop, &l->io);
	close(l->fd);
	DL_DELETE(l->control->links, l);
	free(l);
}

static int send_wait(int fd, enum proto_type type, const void *body, size_t len,
		     const int *fds)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int err = proto_send(fd, type, body, len, fds);

	if (err != -EAGAIN)
		return err;
	if (poll(&p, 1, GREETING_MS) <= 0)
		return -ETIMEDOUT;
	return proto_send(fd, type, body, len, fds);
}

static int greet(struct link *l)
{
	struct server *s = l->control->server;
	struct proto_hello hello;
	struct listener *at;
	uint32_t n = 0;
	int err;

	DL_FOREACH (s->listeners, at)
		n++;
	proto_hello_fill(&hello, n);
	err = send_wait(l->fd, PROTO_HELLO, &hello, sizeof(hello), NULL);
	DL_FOREACH (s->listeners, at) {
		struct proto_sockets what = { at->vni, at->gateway };
		int fds[PROTO_FDS_MAX] = { at->udp, at->tcp };

		if (!err)
			err = send_wait(l->fd, PROTO_SOCKETS, &what,
					sizeof(what), fds);
	}
	return err;
}

static int take_hello(struct link *l, const struct proto_hello *hello)
{
	struct link *other, *tmp;
	struct proto_hello mine;
	int err;

	if (hello->magic != PROTO_MAGIC || l->greeted)
		return -EPROTO;
	proto_hello_fill(&mine, 0);
	l->greeted = true;
	l->same = proto_hello_same(hello, &mine);
	err = greet(l);
	if (err || !l->same)
		return err;
	DL_FOREACH_SAFE (l->control->links, other, tmp)
		if (other != l)
			link_free(other);
	return 0;
}

/* What netd tells, by type. Bad content is netd's bug, and ends the link. */

static int take_config(struct server *s, struct proto_msg *m)
{
	struct proto_config *config = &m->body.config;

	config->domain[sizeof(config->domain) - 1] = '\0';
	server_hold(s, config->hold);
	server_settings(s, &config->settings);
	return zones_set_domain(s->zones, config->domain);
}

static int take_upstreams(struct server *s, struct proto_msg *m)
{
	server_upstreams(s, &m->body.upstreams);
	return 0;
}

static int take_begin(struct server *s, struct proto_msg *m)
{
	(void)m;
	zones_sync_begin(s->zones);
	stubs_sync_begin(s->stubs);
	owned_sync_begin(s->owned);
	return 0;
}

static int take_end(struct server *s, struct proto_msg *m)
{
	(void)m;
	server_sync_end(s);
	return 0;
}

static int take_zone_put(struct server *s, struct proto_msg *m)
{
	struct want_zone *want = &m->body.zone;

	want->name[sizeof(want->name) - 1] = '\0';
	return server_zone_put(s, want);
}

static int take_zone_open(struct server *s, struct proto_msg *m)
{
	const struct proto_sockets *at = &m->body.sockets;

	if (m->fds[0] < 0)
		return -EBADMSG;
	server_zone_open(s, at->vni, &at->gateway, m->fds);
	return 0;
}

static int take_zone_del(struct server *s, struct proto_msg *m)
{
	server_zone_del(s, m->body.vni.vni);
	return 0;
}

static int take_client_put(struct server *s, struct proto_msg *m)
{
	zones_client_put(s->zones, &m->body.client);
	return 0;
}

static int take_client_del(struct server *s, struct proto_msg *m)
{
	zones_client_del(s->zones, &m->body.addr);
	return 0;
}

static int take_name_put(struct server *s, struct proto_msg *m)
{
	struct packed *p = &s->control->packed;
	int err = packed_read(m->body.name, m->head.len, p);

	if (err)
		return err;
	if (p->want.kind == NAME_RECORD)
		return zones_record_put(s->zones, p->want.vni, p->want.name,
					p->values, p->values_len);
	return zones_name_put(s->zones, &p->want, p->addrs,
			      p->has_hosts ? p->hosts : NULL);
}

static int take_name_del(struct server *s, struct proto_msg *m)
{
	struct rbuf r = rbuf_make(m->body.name, m->head.len);
	struct want_name want;
	int err = packed_read_key(&r, &want);

	if (!err)
		zones_name_del(s->zones, want.vni, want.kind, want.name);
	return err;
}

static int take_stub_put(struct server *s, struct proto_msg *m)
{
	struct want_upstream *want = &m->body.stub;
	int err;

	want->zone[sizeof(want->zone) - 1] = '\0';
	err = stubs_put(s->stubs, want);
	server_stubs_changed(s);
	return err;
}

static int take_stub_del(struct server *s, struct proto_msg *m)
{
	struct proto_stub_key *key = &m->body.stub_key;

	key->zone[sizeof(key->zone) - 1] = '\0';
	stubs_del(s->stubs, key->vni, key->zone);
	server_stubs_changed(s);
	return 0;
}

static int take_listen(struct server *s, struct proto_msg *m)
{
	server_listen(s, &m->body.addr, m->fds);
	return 0;
}

static int take_ask(struct server *s, struct proto_msg *m)
{
	struct dns_ask *ask = &m->body.ask.ask;

	ask->name[sizeof(ask->name) - 1] = '\0';
	explain_ask(s->explain, &m->body.ask);
	return 0;
}

static int take_reverse_put(struct server *s, struct proto_msg *m)
{
	return owned_put(s->owned, &m->body.reverse);
}

static int take_reverse_del(struct server *s, struct proto_msg *m)
{
	owned_del(s->owned, m->body.vni.vni);
	return 0;
}

static int (*const takes[])(struct server *s, struct proto_msg *m) = {
	[PROTO_CONFIG] = take_config,
	[PROTO_UPSTREAMS] = take_upstreams,
	[PROTO_BEGIN] = take_begin,
	[PROTO_END] = take_end,
	[PROTO_ZONE_PUT] = take_zone_put,
	[PROTO_ZONE_DEL] = take_zone_del,
	[PROTO_ZONE_OPEN] = take_zone_open,
	[PROTO_CLIENT_PUT] = take_client_put,
	[PROTO_CLIENT_DEL] = take_client_del,
	[PROTO_NAME_PUT] = take_name_put,
	[PROTO_NAME_DEL] = take_name_del,
	[PROTO_STUB_PUT] = take_stub_put,
	[PROTO_STUB_DEL] = take_stub_del,
	[PROTO_REVERSE_PUT] = take_reverse_put,
	[PROTO_REVERSE_DEL] = take_reverse_del,
	[PROTO_LISTEN] = take_listen,
	[PROTO_ASK] = take_ask,
	[PROTO_MAX] = NULL,
};

static int take(struct link *l, struct proto_msg *m)
{
	struct server *s = l->control->server;
	int err;

	if (m->head.type == PROTO_HELLO)
		return take_hello(l, &m->body.hello);
	if (m->head.type == PROTO_QUIT && l->greeted) {
		log_info("dns: told to end");
		ev_break(s->loop, EVBREAK_ALL);
		return 0;
	}
	if (!l->same || !takes[m->head.type])
		return -EPROTO;
	err = takes[m->head.type](s, m);
	if (!err && m->head.type == PROTO_END)
		err = send_wait(l->fd, PROTO_SYNCED, NULL, 0, NULL);
	return err;
}

static void on_link(struct ev_loop *loop, ev_io *w, int revents)
{
	struct link *l = w->data;
	struct proto_msg *m = &l->control->msg;

	(void)loop;
	(void)revents;
	for (int i = 0; i < MESSAGES; i++) {
		int err = proto_recv(l->fd, m);

		if (err == -EAGAIN)
			return;
		if (!err) {
			err = take(l, m);
			proto_fds_close(m->fds);
		}
		if (!err)
			continue;
		if (err != -ECONNRESET)
			log_warn_limited("dns: control link ended error=%d",
					 err);
		link_free(l);
		return;
	}
}

static void link_new(struct control *c, int fd)
{
	struct link *l = xzalloc(sizeof(*l));

	l->fd = fd;
	l->control = c;
	ev_io_init(&l->io, on_link, fd, EV_READ);
	l->io.data = l;
	ev_io_start(c->server->loop, &l->io);
	DL_APPEND(c->links, l);
}

static bool is_allowed(const struct control *c, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	const struct link *l;
	size_t n = 0;

	DL_COUNT(c->links, l, n);
	return n < LINKS_MAX &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == 0 || cred.uid == c->server->owner);
}

static void on_listen(struct ev_loop *loop, ev_io *w, int revents)
{
	struct control *c = w->data;
	int fd =
		accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)loop;
	(void)revents;
	if (fd < 0)
		return;
	if (is_allowed(c, fd))
		link_new(c, fd);
	else
		close(fd);
}

static void on_stats(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct control *c = w->data;
	const struct dns_stats *stats = &c->server->env.stats;
	struct link *l;

	(void)loop;
	(void)revents;
	if (memcmp(stats, &c->stats_sent, sizeof(*stats)) == 0)
		return;
	/* What a full socket does not take is told with the next change. */
	DL_FOREACH (c->links, l)
		if (l->same && !proto_send(l->fd, PROTO_STATS, stats,
					   sizeof(*stats), NULL))
			c->stats_sent = *stats;
}

/* What a full socket does not take is asked again, or given up. */
void control_tell(struct control *c, const struct proto_told *told)
{
	struct link *l;

	DL_FOREACH (c->links, l)
		if (l->same)
			proto_send(l->fd, PROTO_TOLD, told, sizeof(*told),
				   NULL);
}

struct control *control_new(struct server *s)
{
	struct control *c = xzalloc(sizeof(*c));

	c->server = s;
	c->listen_fd = -1;
	ev_timer_init(&c->stats_timer, on_stats, STATS_EVERY, STATS_EVERY);
	c->stats_timer.data = c;
	ev_timer_start(s->loop, &c->stats_timer);
	return c;
}

int control_open(struct control *c, int listen_fd, int control_fd)
{
	c->listen_fd = listen_fd;
	ev_io_init(&c->listen_io, on_listen, listen_fd, EV_READ);
	c->listen_io.data = c;
	ev_io_start(c->server->loop, &c->listen_io);
	if (control_fd >= 0)
		link_new(c, control_fd);
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->links)
		link_free(c->links);
	ev_timer_stop(c->server->loop, &c->stats_timer);
	if (c->listen_fd >= 0) {
		ev_io_stop(c->server->loop, &c->listen_io);
		close(c->listen_fd);
	}
	free(c);
}
