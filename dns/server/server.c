/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/random.h>
#include <utlist.h>

#include "netd/log.h"
#include "netd/util.h"
#include "parts.h"

/* A loop shows within a second of the first question that went round. */
#define PROBE_AFTER .2

struct ip_addr sockaddr_ip(const struct sockaddr_storage *ss)
{
	struct ip_addr addr = { { 0 } };

	if (ss->ss_family == AF_INET)
		return ip_from_be32(
			((const struct sockaddr_in *)ss)->sin_addr.s_addr);
	if (ss->ss_family == AF_INET6)
		memcpy(addr.b, &((const struct sockaddr_in6 *)ss)->sin6_addr,
		       sizeof(addr.b));
	return addr;
}

/* Questions. */

size_t server_answer(struct server *s, const void *data, size_t len,
		     const struct ip_addr *src, const struct forward_to *to,
		     void *out)
{
	struct query_result result;
	struct dns_query q;

	switch (query_answer(&s->env, data, len, src, to->tcp, &q, out,
			     &result)) {
	case QUERY_DROP:
		return 0;
	case QUERY_REPLY:
		return result.len;
	case QUERY_FORWARD:
		return forward_query(s->forward, &q, src, to, mono_ms(), out);
	case QUERY_LOOP:
		upstream_loop(s->upstream, result.upstream);
		return result.len;
	}
	return 0;
}

static int on_forward_send(void *ctx, const uint8_t *query, size_t len,
			   uint64_t token)
{
	struct server *s = ctx;

	return upstream_send(s->upstream, query, len, token);
}

static void on_forward_reply(void *ctx, const struct forward_to *to,
			     const uint8_t *data, size_t len)
{
	struct server *s = ctx;
	struct listener *l;

	if (to->tcp) {
		tcp_send(s->tcp, to->id, data, len);
		return;
	}
	DL_FOREACH (s->listeners, l) {
		if (l->id == to->id) {
			udp_send(l, &to->peer, to->peer_len, data, len);
			return;
		}
	}
}

static void on_forward_wake(void *ctx, int64_t at)
{
	struct server *s = ctx;

	if (at < 0) {
		ev_timer_stop(s->loop, &s->expire);
		return;
	}
	/* The first deadline only moves away; an early call does no harm. */
	if (ev_is_active(&s->expire))
		return;
	at -= mono_ms();
	ev_timer_set(&s->expire, at > 0 ? (double)at / 1000. + .001 : 0., 0.);
	ev_timer_start(s->loop, &s->expire);
}

static void on_expire(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct server *s = w->data;

	(void)loop;
	(void)revents;
	forward_expire(s->forward, mono_ms());
}

static void on_upstream(void *ctx, uint64_t token, uint8_t *data, size_t len)
{
	struct server *s = ctx;

	forward_done(s->forward, token, data, len, mono_ms());
}

/* Upstreams. */

static void random_hex(char *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[PROBE_LEN];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		abort();
	for (size_t i = 0; i < len; i++)
		text[i] = digits[bytes[i] & 15];
}

static void on_probe(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct server *s = w->data;

	(void)loop;
	(void)revents;
	random_hex(s->env.probe, PROBE_LEN);
	upstream_probe(s->upstream, s->env.probe);
}

/* Told ones that are not our own gateways, which would lead back here. */
static void upstreams_apply(struct server *s)
{
	struct proto_upstreams use;

	memset(&use, 0, sizeof(use));
	for (uint32_t i = 0; i < s->upstreams.len; i++)
		if (!zones_has_gateway(s->zones, &s->upstreams.addr[i]))
			use.addr[use.len++] = s->upstreams.addr[i];
	if (memcmp(&use, &s->used, sizeof(use)) == 0)
		return;
	s->used = use;
	upstream_set(s->upstream, use.addr, use.len);
	/* What the old ones said need not hold with the new ones. */
	cache_flush(s->cache);
	ev_timer_stop(s->loop, &s->probe);
	ev_timer_set(&s->probe, PROBE_AFTER, 0.);
	ev_timer_start(s->loop, &s->probe);
}

void server_upstreams(struct server *s, const struct proto_upstreams *want)
{
	s->upstreams = *want;
	s->upstreams.len = MIN(want->len, PROTO_UPSTREAMS_MAX);
	upstreams_apply(s);
}

/* Zones and their sockets. */

static void on_udp(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	udp_read(w->data);
}

static void on_tcp(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	tcp_accept(w->data);
}

static void listener_start(struct listener *l)
{
	struct server *s = l->server;

	if (s->hold)
		return;
	ev_io_start(s->loop, &l->udp_io);
	ev_io_start(s->loop, &l->tcp_io);
}

static void listener_new(struct server *s, const struct want_zone *want,
			 int fds[PROTO_FDS_MAX])
{
	struct listener *l = xzalloc(sizeof(*l));

	l->id = ++s->last_id;
	l->vni = want->vni;
	l->gateway = want->gateway;
	l->udp = take_fd(fds[0]);
	l->tcp = take_fd(fds[1]);
	l->server = s;
	ev_io_init(&l->udp_io, on_udp, l->udp, EV_READ);
	ev_io_init(&l->tcp_io, on_tcp, l->tcp, EV_READ);
	l->udp_io.data = l;
	l->tcp_io.data = l;
	DL_APPEND(s->listeners, l);
	listener_start(l);
}

static void listener_free(struct listener *l)
{
	struct server *s = l->server;

	ev_io_stop(s->loop, &l->udp_io);
	ev_io_stop(s->loop, &l->tcp_io);
	close(l->udp);
	close(l->tcp);
	DL_DELETE(s->listeners, l);
	free(l);
}

static void listeners_drop(struct server *s, uint32_t vni)
{
	struct listener *l, *tmp;

	DL_FOREACH_SAFE (s->listeners, l, tmp)
		if (l->vni == vni)
			listener_free(l);
}

void server_hold(struct server *s, bool hold)
{
	struct listener *l;

	if (s->hold == hold)
		return;
	s->hold = hold;
	DL_FOREACH (s->listeners, l) {
		if (hold) {
			ev_io_stop(s->loop, &l->udp_io);
			ev_io_stop(s->loop, &l->tcp_io);
		} else {
			listener_start(l);
		}
	}
}

int server_zone_put(struct server *s, const struct want_zone *want,
		    int fds[PROTO_FDS_MAX])
{
	int err = zones_put(s->zones, want);

	if (err)
		return err;
	if (fds[0] >= 0) {
		listeners_drop(s, want->vni);
		listener_new(s, want, fds);
	}
	upstreams_apply(s);
	return 0;
}

void server_zone_del(struct server *s, uint32_t vni)
{
	zones_del(s->zones, vni);
	listeners_drop(s, vni);
	upstreams_apply(s);
}

void server_sync_end(struct server *s)
{
	struct listener *l, *tmp;

	zones_sync_end(s->zones);
	stubs_sync_end(s->stubs);
	DL_FOREACH_SAFE (s->listeners, l, tmp)
		if (!zones_find(s->zones, l->vni))
			listener_free(l);
	server_hold(s, false);
	upstreams_apply(s);
}

/* Beginning and end. */

int server_new(struct ev_loop *loop, uid_t owner, struct server **ret)
{
	static const struct forward_ops ops = {
		.send = on_forward_send,
		.reply = on_forward_reply,
		.wake = on_forward_wake,
	};
	struct server *s = xzalloc(sizeof(*s));

	s->loop = loop;
	s->owner = owner;
	s->zones = zones_new();
	s->stubs = stubs_new();
	s->env.zones = s->zones;
	s->env.stubs = s->stubs;
	if (getrandom(&s->env.random, sizeof(s->env.random), 0) < 0)
		abort();
	/* The one state this generator never leaves. */
	s->env.random |= 1;
	s->cache = cache_new(CACHE_ENTRIES_MAX, CACHE_BYTES_MAX);
	s->forward = forward_new(&ops, s, s->cache, &s->env.stats);
	s->upstream = upstream_new(loop, on_upstream, s);
	s->udp = udp_new();
	s->tcp = tcp_new(s);
	s->control = control_new(s);
	ev_init(&s->expire, on_expire);
	s->expire.data = s;
	ev_init(&s->probe, on_probe);
	s->probe.data = s;
	*ret = s;
	return 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	control_free(s->control);
	while (s->listeners)
		listener_free(s->listeners);
	tcp_free(s->tcp);
	udp_free(s->udp);
	upstream_free(s->upstream);
	forward_free(s->forward);
	cache_free(s->cache);
	stubs_free(s->stubs);
	zones_free(s->zones);
	ev_timer_stop(s->loop, &s->expire);
	ev_timer_stop(s->loop, &s->probe);
	free(s);
}

int server_control_open(struct server *s, int listen_fd, int control_fd)
{
	return control_open(s->control, listen_fd, control_fd);
}
