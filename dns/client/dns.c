/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netd's side of the DNS server: keeps one running, and tells it what it
 * should know.
 *
 * Calls only change the shadow; the socket takes from its queue as fast as
 * the server reads. A server found at the start is adopted when it is of this
 * version. One of another version goes on answering, while its successor is
 * told everything on the same sockets; when the successor has it all (SYNCED)
 * it begins to read them and the old one is told to end. A server that dies
 * is followed by a new one, at once the first time.
 */
#include "netd/dns.h"

#include <ev.h>
#include <fcntl.h>
#include <utlist.h>

#include "inquiry.h"
#include "netd/log.h"
#include "netd/util.h"
#include "proto.h"
#include "resolv.h"
#include "shadow.h"
#include "sockets.h"
#include "child.h"
#include "child_link.h"

/* Names in the run folder: the server, and one that will take its place. */
#define SOCKET_NOW "dns.sock"
#define SOCKET_NEXT "dns.sock.next"

/*
 * How often resolv.conf is read: its size and its second of change may stay
 * what they were when it is written again, so looking at them is not enough.
 */
#define RESOLV_S 2.
/* How often a busy address is tried again. */
#define LISTEN_S 5.
/* A greeting takes a server less than a millisecond. */
#define GREETING_MS 2000
/* Messages read before the loop looks at its other watchers. */
#define MESSAGES 128
/* Networks a server may say it has sockets of: two descriptors each. */
#define SOCKETS_MAX 16384
#define RESOLV_BYTES (64u << 10)

/* Sockets that a server handed back and no zone claimed yet. */
struct found {
	uint32_t vni;
	int fds[PROTO_FDS_MAX];
	struct ip_addr gateway;
	struct found *prev, *next;
};

struct dns {
	struct ev_loop *loop;
	struct shadow *shadow;
	char *program;
	char *user;
	char *domain;
	struct dns_settings settings;
	struct proto_upstreams upstreams;
	ev_timer resolv;
	int dir;

	/* The server we talk to. */
	struct child_link link;
	struct found *found;
	/* What its sockets were found with need not be sent. */
	bool adopted;

	/* One of another version, that answers until ours can. */
	int old_fd;
	ev_io old_reader;

	/* The host's own: sockets, or why there are none. */
	struct ip_addr listen;
	int listen_fds[PROTO_FDS_MAX];
	int listen_err;
	bool listen_told;
	ev_timer listen_retry;

	struct inquiries *inquiries;

	/* Told before the queue, and after it. */
	bool tell_config;
	bool tell_listen;
	bool tell_upstreams;
	bool tell_begin;
	bool tell_end;
	/* The first audit ended: the shadow is all there is. */
	bool complete;
	struct dns_stats stats;
	struct proto_msg msg;
};

static void changed(struct dns *dns)
{
	child_link_changed(&dns->link);
}

/* Sockets that were handed back. */

static void found_add(struct dns *dns, struct proto_msg *msg)
{
	struct found *f = xzalloc(sizeof(*f));

	f->vni = msg->body.sockets.vni;
	f->gateway = msg->body.sockets.gateway;
	f->fds[0] = take_fd(msg->fds[0]);
	f->fds[1] = take_fd(msg->fds[1]);
	DL_APPEND(dns->found, f);
}

static void found_free(struct dns *dns, struct found *f)
{
	proto_fds_close(f->fds);
	DL_DELETE(dns->found, f);
	free(f);
}

static void found_drop_all(struct dns *dns)
{
	while (dns->found)
		found_free(dns, dns->found);
}

/* sent: the server we talk to has them under this very VNI. */
static bool found_take(struct dns *dns, uint32_t vni,
		       const struct ip_addr *gateway, int fds[PROTO_FDS_MAX],
		       bool *sent)
{
	struct found *f;

	DL_FOREACH (dns->found, f) {
		if (!ip_eq(&f->gateway, gateway))
			continue;
		*sent = dns->adopted && f->vni == vni;
		fds[0] = take_fd(f->fds[0]);
		fds[1] = take_fd(f->fds[1]);
		found_free(dns, f);
		return true;
	}
	return false;
}

/* The connection. */

static void old_down(struct dns *dns)
{
	if (dns->old_fd < 0)
		return;
	ev_io_stop(dns->loop, &dns->old_reader);
	close(take_fd(dns->old_fd));
}

static int tell_config(struct dns *dns)
{
	struct proto_config config;

	memset(&config, 0, sizeof(config));
	str_copy(config.domain, sizeof(config.domain), dns->domain);
	config.hold = dns->old_fd >= 0;
	config.settings = dns->settings;
	return proto_send(dns->link.fd, PROTO_CONFIG, &config, sizeof(config),
			  NULL);
}

static int tell_listen(struct dns *dns)
{
	bool fds = dns->listen_fds[0] >= 0 && !dns->listen_told;
	struct ip_addr addr = { { 0 } };
	int err;

	if (dns->listen_fds[0] >= 0)
		addr = dns->listen;
	err = proto_send(dns->link.fd, PROTO_LISTEN, &addr, sizeof(addr),
			 fds ? dns->listen_fds : NULL);
	dns->listen_told |= !err && fds;
	return err;
}

static int server_tell(void *arg, int fd)
{
	struct dns *dns = arg;
	bool *flag = NULL;
	int err;

	if (dns->tell_config) {
		flag = &dns->tell_config;
		err = tell_config(dns);
	} else if (dns->tell_upstreams) {
		flag = &dns->tell_upstreams;
		err = proto_send(fd, PROTO_UPSTREAMS, &dns->upstreams,
				 sizeof(dns->upstreams), NULL);
	} else if (dns->tell_listen) {
		flag = &dns->tell_listen;
		err = tell_listen(dns);
	} else if (dns->tell_begin) {
		flag = &dns->tell_begin;
		err = proto_send(fd, PROTO_BEGIN, NULL, 0, NULL);
	} else if (!shadow_is_told(dns->shadow)) {
		return shadow_tell_one(dns->shadow, fd);
	} else if (dns->tell_end && dns->complete) {
		flag = &dns->tell_end;
		err = proto_send(fd, PROTO_END, NULL, 0, NULL);
	} else {
		return 1;
	}
	if (!err)
		*flag = false;
	return err;
}

/* The successor has everything and answers: the old one may end. */
static void take_synced(struct dns *dns)
{
	if (dns->old_fd < 0)
		return;
	proto_send(dns->old_fd, PROTO_QUIT, NULL, 0, NULL);
	old_down(dns);
	if (renameat(dns->dir, SOCKET_NEXT, dns->dir, SOCKET_NOW))
		log_warn("dns: socket not renamed error=%d", errno);
	log_info("dns: server replaced pid=%d", dns->link.pid);
}

static int take(struct dns *dns, struct proto_msg *msg)
{
	struct proto_hello mine;

	switch (msg->head.type) {
	case PROTO_HELLO:
		proto_hello_fill(&mine, 0);
		return proto_hello_same(&msg->body.hello, &mine) ? 0 : -EPROTO;
	case PROTO_SYNCED:
		take_synced(dns);
		return 0;
	case PROTO_STATS:
		dns->stats = msg->body.stats;
		return 0;
	case PROTO_TOLD:
		return inquiries_told(dns->inquiries, &msg->body.told)
			       ? 0
			       : -EPROTO;
	default:
		return -EPROTO;
	}
}

static int server_hear(void *arg, int fd)
{
	struct dns *dns = arg;
	int err = proto_recv(fd, &dns->msg);

	if (err)
		return err;
	err = take(dns, &dns->msg);
	proto_fds_close(dns->msg.fds);
	return err;
}

static void server_up(void *arg, bool adopted)
{
	struct dns *dns = arg;

	dns->adopted = adopted;
	dns->tell_config = true;
	dns->tell_upstreams = true;
	dns->tell_listen = true;
	dns->listen_told = false;
	dns->tell_begin = true;
	dns->tell_end = true;
	shadow_tell_all(dns->shadow, !adopted);
}

static void server_down(void *arg)
{
	struct dns *dns = arg;

	dns->adopted = false;
	inquiries_lost(dns->inquiries);
}

static void on_old(struct ev_loop *loop, ev_io *w, int revents)
{
	struct dns *dns = w->data;
	int err = 0;

	(void)loop;
	(void)revents;
	for (int i = 0; i < MESSAGES && !err; i++) {
		err = proto_recv(dns->old_fd, &dns->msg);
		if (!err)
			proto_fds_close(dns->msg.fds);
	}
	if (!err || err == -EAGAIN)
		return;
	/* Nobody answers any more: ours need not wait to be told all. */
	log_warn("dns: the server to be replaced ended early");
	old_down(dns);
	dns->tell_config = true;
	renameat(dns->dir, SOCKET_NEXT, dns->dir, SOCKET_NOW);
	changed(dns);
}

/* Starting one. */

static int server_start(void *arg, pid_t *pid, int *fd)
{
	struct dns *dns = arg;
	const char *name = dns->old_fd >= 0 ? SOCKET_NEXT : SOCKET_NOW;
	struct proto_hello hello;
	int err = child_start(dns->dir, name, dns->program, dns->user, pid, fd);

	if (err)
		return err;
	proto_hello_fill(&hello, 0);
	/* The socket is new and empty: this is taken. */
	proto_send(*fd, PROTO_HELLO, &hello, sizeof(hello), NULL);
	return 0;
}

static const struct child_link_ops server_ops = {
	.what = "dns: server",
	.start = server_start,
	.up = server_up,
	.down = server_down,
	.tell = server_tell,
	.hear = server_hear,
};

static void tell_end(int fd)
{
	struct proto_hello hello;

	proto_hello_fill(&hello, 0);
	proto_send(fd, PROTO_HELLO, &hello, sizeof(hello), NULL);
	proto_send(fd, PROTO_QUIT, NULL, 0, NULL);
}

static int server_end(int dir, const char *socket_name)
{
	return child_end(dir, socket_name, tell_end);
}

/* Adopting one: the only place that waits, once, when netd starts. */

static int recv_wait(int fd, struct proto_msg *msg, int64_t until)
{
	int err;

	while ((err = proto_recv(fd, msg)) == -EAGAIN) {
		err = child_wait(fd, until);
		if (err)
			return err;
	}
	return err;
}

/* same: it is of our version. */
static int greet(struct dns *dns, int fd, bool *same)
{
	struct proto_hello mine, theirs;
	int64_t until = mono_ms() + GREETING_MS;
	int err;

	proto_hello_fill(&mine, 0);
	err = proto_send(fd, PROTO_HELLO, &mine, sizeof(mine), NULL);
	if (!err)
		err = recv_wait(fd, &dns->msg, until);
	if (err)
		return err;
	proto_fds_close(dns->msg.fds);
	theirs = dns->msg.body.hello;
	if (dns->msg.head.type != PROTO_HELLO || theirs.magic != PROTO_MAGIC ||
	    theirs.sockets > SOCKETS_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < theirs.sockets; i++) {
		err = recv_wait(fd, &dns->msg, until);
		if (err)
			return err;
		if (dns->msg.head.type != PROTO_SOCKETS ||
		    dns->msg.fds[0] < 0) {
			proto_fds_close(dns->msg.fds);
			return -EPROTO;
		}
		found_add(dns, &dns->msg);
	}
	*same = proto_hello_same(&mine, &theirs);
	return 0;
}

/*
 * A replacement may have been under way when netd died: the successor goes
 * while the old server is there, and takes its name when it is not.
 */
static int server_connect(struct dns *dns, pid_t *pid, int *ret)
{
	int err = child_connect(dns->dir, SOCKET_NOW, pid, ret);

	if (!err) {
		server_end(dns->dir, SOCKET_NEXT);
		return 0;
	}
	renameat(dns->dir, SOCKET_NEXT, dns->dir, SOCKET_NOW);
	return child_connect(dns->dir, SOCKET_NOW, pid, ret);
}

static int adopt(struct dns *dns)
{
	AUTO(fd_closep) int fd = -1;
	bool same = false;
	pid_t pid = 0;
	int err = server_connect(dns, &pid, &fd);

	if (err)
		return err;
	err = greet(dns, fd, &same);
	if (err) {
		log_warn("dns: server does not greet and is ended error=%d",
			 err);
		found_drop_all(dns);
		server_end(dns->dir, SOCKET_NOW);
		return err;
	}
	if (same) {
		child_link_adopt(&dns->link, take_fd(fd), pid);
		return 0;
	}
	log_info("dns: server of another version is replaced pid=%d", pid);
	dns->old_fd = take_fd(fd);
	ev_io_set(&dns->old_reader, dns->old_fd, EV_READ);
	ev_io_start(dns->loop, &dns->old_reader);
	return -EPROTONOSUPPORT;
}

/* The host's own listener. Another's on its address is no reason to end. */

static void listen_open(struct dns *dns)
{
	bool sent = false;
	int err = 0;

	if (ip_is_none(&dns->listen) || dns->listen_fds[0] >= 0)
		return;
	if (!found_take(dns, 0, &dns->listen, dns->listen_fds, &sent))
		err = sockets_open(&dns->listen, dns->listen_fds);
	if (err && err != dns->listen_err) {
		char text[IP_STRLEN];

		log_warn("dns: no listener for this host addr=%s error=\"%s\"",
			 ip_str(&dns->listen, text), strerror(-err));
	}
	dns->listen_err = err;
	dns->listen_told = sent;
	if (err)
		return;
	ev_timer_stop(dns->loop, &dns->listen_retry);
	dns->tell_listen = true;
	changed(dns);
}

static void on_listen_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	listen_open(w->data);
}

int dns_listen_error(const struct dns *dns)
{
	return dns->listen_err;
}

void dns_ask(struct dns *dns, const struct dns_ask *ask, dns_told_fn *done,
	     void *arg)
{
	inquiries_send(dns->inquiries, dns->link.fd, ask, done, arg);
}

/* Upstreams. */

static int resolv_read(const char *path, struct proto_upstreams *ret)
{
	AUTO(str_freep) char *text = NULL;
	int err = file_read(path, RESOLV_BYTES, &text);

	memset(ret, 0, sizeof(*ret));
	if (!err)
		ret->len = (uint32_t)resolv_parse(text, ret->addr,
						  ARRAY_LEN(ret->addr));
	return err;
}

static void upstreams_read(struct dns *dns)
{
	struct proto_upstreams now, real;
	int err = resolv_read(RESOLV_PATH, &now);

	if (err)
		log_warn_limited("dns: no upstreams path=%s error=%d",
				 RESOLV_PATH, err);
	if (resolv_is_stub(now.addr, now.len) &&
	    !resolv_read(RESOLV_PATH_RESOLVED, &real) && real.len)
		now = real;
	if (memcmp(&now, &dns->upstreams, sizeof(now)) == 0)
		return;
	dns->upstreams = now;
	dns->tell_upstreams = true;
	changed(dns);
}

static void on_resolv(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	upstreams_read(w->data);
}

static void upstreams_open(struct dns *dns, const struct dns_config *config)
{
	dns->upstreams.len =
		(uint32_t)MIN(config->upstreams_len, PROTO_UPSTREAMS_MAX);
	if (dns->upstreams.len) {
		memcpy(dns->upstreams.addr, config->upstreams,
		       dns->upstreams.len * sizeof(*config->upstreams));
		return;
	}
	upstreams_read(dns);
	ev_timer_set(&dns->resolv, RESOLV_S, RESOLV_S);
	ev_timer_start(dns->loop, &dns->resolv);
}

/* The border. */

static struct dns *dns_new(struct ev_loop *loop,
			   const struct dns_config *config)
{
	struct dns *dns = xzalloc(sizeof(*dns));

	dns->loop = loop;
	dns->shadow = shadow_new();
	dns->program = xstrdup(config->program);
	dns->user = xstrdup(config->user ? config->user : "");
	dns->domain = xstrdup(config->domain);
	dns->settings = config->settings;
	dns->listen = config->listen;
	dns->inquiries = inquiries_new(loop);
	child_link_init(&dns->link, loop, &server_ops, dns);
	dns->dir = dns->old_fd = -1;
	dns->listen_fds[0] = dns->listen_fds[1] = -1;
	ev_init(&dns->old_reader, on_old);
	ev_init(&dns->resolv, on_resolv);
	ev_timer_init(&dns->listen_retry, on_listen_retry, LISTEN_S, LISTEN_S);
	dns->old_reader.data = dns;
	dns->resolv.data = dns;
	dns->listen_retry.data = dns;
	return dns;
}

void dns_close(struct dns *dns)
{
	if (!dns)
		return;
	child_link_close(&dns->link);
	old_down(dns);
	ev_timer_stop(dns->loop, &dns->resolv);
	ev_timer_stop(dns->loop, &dns->listen_retry);
	inquiries_free(dns->inquiries);
	proto_fds_close(dns->listen_fds);
	found_drop_all(dns);
	shadow_free(dns->shadow);
	fd_closep(&dns->dir);
	free(dns->program);
	free(dns->user);
	free(dns->domain);
	free(dns);
}

DEFINE_FREEP(struct dns, dns_close)

int dns_open(struct ev_loop *loop, const struct dns_config *config,
	     struct dns **ret)
{
	AUTO(dns_closep) struct dns *dns = dns_new(loop, config);
	int err = child_dir_open(config->run_dir, &dns->dir);

	if (err)
		return err;
	upstreams_open(dns, config);
	if (adopt(dns)) {
		err = child_link_start(&dns->link);
		if (err)
			return err;
	}
	if (!ip_is_none(&dns->listen))
		ev_timer_start(loop, &dns->listen_retry);
	listen_open(dns);
	*ret = take_ptr(dns);
	return 0;
}

int dns_remove(const char *run_dir)
{
	AUTO(fd_closep)
	int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err, next;

	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	next = server_end(dir, SOCKET_NEXT);
	err = server_end(dir, SOCKET_NOW);
	return err ? err : next;
}

int dns_pid(const struct dns *dns)
{
	return dns->link.pid;
}

const struct dns_stats *dns_stats(const struct dns *dns)
{
	return &dns->stats;
}

static int zone_open(struct dns *dns, uint32_t vni,
		     const struct ip_addr *gateway)
{
	int fds[PROTO_FDS_MAX] = { -1, -1 };
	bool sent = false;
	int err = 0;

	if (shadow_zone_is_open(dns->shadow, vni, gateway))
		return 0;
	if (!found_take(dns, vni, gateway, fds, &sent) &&
	    !shadow_zone_take_dead(dns->shadow, gateway, fds))
		err = sockets_open(gateway, fds);
	if (err)
		return err;
	shadow_zone_open(dns->shadow, vni, gateway, fds, sent);
	changed(dns);
	return 0;
}

/* What cannot be had at one gateway does not keep the other from answering. */
int dns_zone_put(struct dns *dns, const struct want_zone *want)
{
	int ret = 0;

	if (shadow_zone_put(dns->shadow, want))
		changed(dns);
	for (uint32_t i = 0; i < want->ranges_len; i++) {
		int err = zone_open(dns, want->vni, &want->ranges[i].gateway);

		ret = ret ? ret : err;
	}
	return ret;
}

int dns_zone_del(struct dns *dns, uint32_t vni)
{
	if (shadow_zone_del(dns->shadow, vni))
		changed(dns);
	return 0;
}

int dns_client_put(struct dns *dns, const struct want_client *want)
{
	if (shadow_client_put(dns->shadow, want))
		changed(dns);
	return 0;
}

int dns_client_del(struct dns *dns, const struct ip_addr *addr)
{
	if (shadow_client_del(dns->shadow, addr))
		changed(dns);
	return 0;
}

/* 1: there is something to tell. */
static int told_later(struct dns *dns, int changes)
{
	if (changes > 0)
		changed(dns);
	return MIN(changes, 0);
}

int dns_name_put(struct dns *dns, const struct want_name *want,
		 const struct ip_addr *addrs, const struct want_host *hosts)
{
	return told_later(dns,
			  shadow_name_put(dns->shadow, want, addrs, hosts));
}

int dns_record_put(struct dns *dns, uint32_t vni, const char *name,
		   const struct want_value *values, size_t len)
{
	return told_later(dns, shadow_record_put(dns->shadow, vni, name, values,
						 len));
}

int dns_name_del(struct dns *dns, uint32_t vni, enum name_kind kind,
		 const char *name)
{
	if (shadow_name_del(dns->shadow, vni, kind, name))
		changed(dns);
	return 0;
}

int dns_upstream_put(struct dns *dns, const struct want_upstream *want)
{
	if (shadow_stub_put(dns->shadow, want))
		changed(dns);
	return 0;
}

int dns_upstream_del(struct dns *dns, uint32_t vni, const char *zone)
{
	if (shadow_stub_del(dns->shadow, vni, zone))
		changed(dns);
	return 0;
}

int dns_reverse_put(struct dns *dns, const struct want_reverse *want)
{
	if (shadow_reverse_put(dns->shadow, want))
		changed(dns);
	return 0;
}

int dns_reverse_del(struct dns *dns, uint32_t vni)
{
	if (shadow_reverse_del(dns->shadow, vni))
		changed(dns);
	return 0;
}

int dns_audit_begin(struct dns *dns)
{
	shadow_audit_begin(dns->shadow);
	return 0;
}

int dns_audit_end(struct dns *dns)
{
	shadow_audit_end(dns->shadow);
	/* The server closes its own of these when it is told the end. */
	found_drop_all(dns);
	dns->complete = true;
	changed(dns);
	return 0;
}
