/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/random.h>
#include <utlist.h>

#include "netd/log.h"
#include "netd/util.h"
#include "parts.h"

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

static struct forward_group group_of(const struct server *s,
				     const struct stub *stub)
{
	if (!stub)
		return (struct forward_group){ .id = s->servers_id,
					       .servers = s->servers,
					       .len = s->servers_len };
	return (struct forward_group){ .id = stub->id,
				       .servers = stub->want.servers,
				       .len = stub->want.servers_len,
				       .inside = true };
}

size_t server_forward(struct server *s, struct query_in *in,
		      const struct stub *stub, const struct forward_to *to,
		      void *out, struct forward_note *note)
{
	struct forward_group group = group_of(s, stub);

	return forward_query(s->forward, &group, &in->q, &in->src, to,
			     mono_ms(), out, note);
}

size_t server_answer_traced(struct server *s, struct query_in *in,
			    const struct forward_to *to, void *out,
			    struct server_trace *trace)
{
	struct query_result *result = &trace->result;

	trace->forwarded = false;
	switch (query_answer(&s->env, in, to->tcp, out, result)) {
	case QUERY_DROP:
		return 0;
	case QUERY_REPLY:
		return result->len;
	case QUERY_FORWARD:
		trace->forwarded = true;
		return server_forward(s, in, result->stub, to, out,
				      &trace->note);
	case QUERY_LOOP:
		upstream_loop(s->upstream, result->upstream);
		return result->len;
	}
	return 0;
}

size_t server_answer(struct server *s, struct query_in *in,
		     const struct forward_to *to, void *out)
{
	struct server_trace trace;

	return server_answer_traced(s, in, to, out, &trace);
}

static int on_forward_send(void *ctx, const struct forward_group *group,
			   const struct dns_name *name, uint16_t type,
			   uint64_t token)
{
	struct server *s = ctx;

	return upstream_send(s->upstream, group->servers, group->len, name,
			     type, token);
}

static void on_forward_cancel(void *ctx, uint64_t token)
{
	struct server *s = ctx;

	upstream_cancel(s->upstream, token);
}

static void on_forward_reply(void *ctx, const struct forward_to *to,
			     const uint8_t *data, size_t len,
			     const struct forward_note *note)
{
	struct server *s = ctx;
	struct listener *l;

	if (to->control) {
		explain_done(s->explain, to->id, data, len, note);
		return;
	}
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

static void on_upstream(void *ctx, uint64_t token,
			struct upstream_answer *answer)
{
	struct server *s = ctx;

	forward_done(s->forward, token, answer, mono_ms());
}

/* Upstreams. */

/* A server at one of our own addresses would be us. */
static bool is_own(const struct server *s, const struct want_server *server)
{
	const struct listener *l;

	if (server->port != NS_DEFAULTPORT)
		return false;
	DL_FOREACH (s->listeners, l)
		if (ip_eq(&l->gateway, &server->addr))
			return true;
	return zones_has_gateway(s->zones, &server->addr);
}

static size_t servers_add(const struct server *s, struct want_server *all,
			  size_t n, const struct want_server *server)
{
	if (n == PROBES_MAX || is_own(s, server))
		return n;
	all[n] = *server;
	return n + 1;
}

/* The node's own ones, and those of the stub zones. */
static void upstreams_apply(struct server *s)
{
	struct want_server all[PROBES_MAX];
	const struct stub *stub;
	size_t n = 0;

	for (uint32_t i = 0; i < s->upstreams.len; i++) {
		struct want_server server = { s->upstreams.addr[i],
					      NS_DEFAULTPORT };

		n = servers_add(s, all, n, &server);
	}
	if (n != s->servers_len ||
	    memcmp(all, s->servers, n * sizeof(all[0])) != 0) {
		memcpy(s->servers, all, n * sizeof(all[0]));
		s->servers_len = n;
		s->servers_id = UINT64_C(1) << 63 | ++s->last_id;
	}
	DL_FOREACH (stubs_first(s->stubs), stub)
		for (uint32_t i = 0; i < stub->want.servers_len; i++)
			n = servers_add(s, all, n, &stub->want.servers[i]);
	upstream_set(s->upstream, all, n);
}

void server_upstreams(struct server *s, const struct proto_upstreams *want)
{
	s->upstreams = *want;
	s->upstreams.len = MIN(want->len, PROTO_UPSTREAMS_MAX);
	upstreams_apply(s);
}

void server_stubs_changed(struct server *s)
{
	upstreams_apply(s);
}

void server_settings(struct server *s, const struct dns_settings *want)
{
	struct cache_limits limits = {
		.entries = want->cache_size,
		.bytes = CACHE_BYTES_MAX,
		.ttl_min = want->ttl_min,
		.ttl_max = want->ttl_max,
		.negative_max = want->negative_ttl,
		.stale = want->stale_ttl,
	};

	cache_limit(s->cache, &limits);
	forward_set(s->forward, want);
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

static void listener_new(struct server *s, uint32_t vni,
			 const struct ip_addr *addr, int fds[PROTO_FDS_MAX])
{
	struct listener *l = xzalloc(sizeof(*l));

	l->id = ++s->last_id;
	l->vni = vni;
	l->gateway = *addr;
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

static bool has_gateway(const struct want_zone *zone,
			const struct ip_addr *gateway)
{
	for (uint32_t i = 0; zone && i < zone->ranges_len; i++)
		if (ip_eq(&zone->ranges[i].gateway, gateway))
			return true;
	return false;
}

/* Those at addresses that are not the zone's (any more; NULL: it is gone). */
static void listeners_drop(struct server *s, uint32_t vni,
			   const struct want_zone *zone)
{
	struct listener *l, *tmp;

	DL_FOREACH_SAFE (s->listeners, l, tmp)
		if (l->vni == vni && !has_gateway(zone, &l->gateway))
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

int server_zone_put(struct server *s, const struct want_zone *want)
{
	int err = zones_put(s->zones, want);

	if (err)
		return err;
	listeners_drop(s, want->vni, want);
	upstreams_apply(s);
	return 0;
}

void server_zone_open(struct server *s, uint32_t vni,
		      const struct ip_addr *gateway, int fds[PROTO_FDS_MAX])
{
	struct listener *l, *tmp;

	DL_FOREACH_SAFE (s->listeners, l, tmp)
		if (l->vni == vni && ip_eq(&l->gateway, gateway))
			listener_free(l);
	listener_new(s, vni, gateway, fds);
	upstreams_apply(s);
}

void server_zone_del(struct server *s, uint32_t vni)
{
	zones_del(s->zones, vni);
	listeners_drop(s, vni, NULL);
	upstreams_apply(s);
}

void server_listen(struct server *s, const struct ip_addr *addr,
		   int fds[PROTO_FDS_MAX])
{
	struct listener *l, *tmp;

	DL_FOREACH_SAFE (s->listeners, l, tmp)
		if (!l->vni && (fds[0] >= 0 || !ip_eq(&l->gateway, addr)))
			listener_free(l);
	if (fds[0] >= 0)
		listener_new(s, 0, addr, fds);
	upstreams_apply(s);
}

void server_sync_end(struct server *s)
{
	struct listener *l, *tmp;

	zones_sync_end(s->zones);
	stubs_sync_end(s->stubs);
	owned_sync_end(s->owned);
	DL_FOREACH_SAFE (s->listeners, l, tmp)
		if (l->vni && !zones_find(s->zones, l->vni))
			listener_free(l);
	server_hold(s, false);
	upstreams_apply(s);
}

/* Beginning and end. */

int server_new(struct ev_loop *loop, uid_t owner, struct server **ret)
{
	static const struct forward_ops ops = {
		.send = on_forward_send,
		.cancel = on_forward_cancel,
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
	s->owned = owned_new();
	s->env.owned = s->owned;
	if (getrandom(&s->env.random, sizeof(s->env.random), 0) < 0)
		abort();
	/* The one state this generator never leaves. */
	s->env.random |= 1;
	/* netd's settings come first of all. */
	s->cache = cache_new(&(struct cache_limits){ 0 });
	s->forward = forward_new(&ops, s, s->cache, &s->env.stats);
	s->upstream = upstream_new(loop, &s->env.probes, &s->env.stats,
				   on_upstream, s);
	s->udp = udp_new();
	s->tcp = tcp_new(s);
	s->explain = explain_new(s);
	s->control = control_new(s);
	ev_init(&s->expire, on_expire);
	s->expire.data = s;
	*ret = s;
	return 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	/* The addresses are free before anybody hears that we are gone. */
	while (s->listeners)
		listener_free(s->listeners);
	control_free(s->control);
	tcp_free(s->tcp);
	udp_free(s->udp);
	upstream_free(s->upstream);
	forward_free(s->forward);
	explain_free(s->explain);
	cache_free(s->cache);
	stubs_free(s->stubs);
	owned_free(s->owned);
	zones_free(s->zones);
	ev_timer_stop(s->loop, &s->expire);
	free(s);
}

int server_control_open(struct server *s, int listen_fd, int control_fd)
{
	return control_open(s->control, listen_fd, control_fd);
}
