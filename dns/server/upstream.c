/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream.h"

#include <ares.h>
#include <ares_nameser.h>
#include <arpa/inet.h>
#include <ev.h>
#include <stdio.h>
#include <utlist.h>

#include "netd/log.h"
#include "netd/util.h"

/* Three servers, asked twice, within 4.5 s: c-ares doubles the second wait. */
#define SERVERS_MAX 3
#define TRIES 2
#define TIME_MS 1500
/* Questions per channel, and silent ones before the next goes first. */
#define CHANNEL_QUESTIONS 256
#define SILENT_MAX 3

struct sock {
	ev_io io;
	struct channel *channel;
	struct sock *prev, *next;
};

struct channel {
	struct upstream *up;
	ares_channel ares;
	ev_timer timer;
	struct sock *socks;
	unsigned asked;
	unsigned open;
	/* No new questions; goes when the last one is answered. */
	bool retired;
	struct channel *prev, *next;
};

struct request {
	struct channel *channel;
	uint64_t token;
	bool probe;
};

struct upstream {
	struct ev_loop *loop;
	upstream_fn *done;
	void *ctx;
	struct ip_addr addrs[UPSTREAMS_MAX];
	bool loops[UPSTREAMS_MAX];
	size_t len;
	/* Which of them goes first. */
	size_t first;
	unsigned silent;
	struct channel *current;
	struct channel *channels;
	/* Ends channels outside of c-ares' own calls. */
	ev_prepare reaper;
};

static void channel_timer(struct channel *ch)
{
	struct timeval tv, max = { TIME_MS * 4 / 1000, 0 };
	struct ev_loop *loop = ch->up->loop;

	ev_timer_stop(loop, &ch->timer);
	if (!ch->open)
		return;
	ares_timeout(ch->ares, &max, &tv);
	ev_timer_set(&ch->timer, (double)tv.tv_sec + (double)tv.tv_usec / 1e6,
		     0.);
	ev_timer_start(loop, &ch->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct channel *ch = w->data;

	(void)loop;
	(void)revents;
	ares_process_fd(ch->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	channel_timer(ch);
}

static void on_sock(struct ev_loop *loop, ev_io *w, int revents)
{
	struct channel *ch = ((struct sock *)w->data)->channel;
	/* The watcher may be gone after the first call. */
	int fd = w->fd;

	(void)loop;
	ares_process_fd(ch->ares, revents & EV_READ ? fd : ARES_SOCKET_BAD,
			revents & EV_WRITE ? fd : ARES_SOCKET_BAD);
	channel_timer(ch);
}

static struct sock *sock_find(struct channel *ch, int fd)
{
	struct sock *s;

	DL_FOREACH (ch->socks, s)
		if (s->io.fd == fd)
			return s;
	return NULL;
}

static void on_sock_state(void *data, ares_socket_t fd, int readable,
			  int writable)
{
	struct channel *ch = data;
	struct sock *s = sock_find(ch, fd);
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);

	if (s)
		ev_io_stop(ch->up->loop, &s->io);
	if (!events) {
		if (s) {
			DL_DELETE(ch->socks, s);
			free(s);
		}
		return;
	}
	if (!s) {
		s = xzalloc(sizeof(*s));
		s->channel = ch;
		s->io.data = s;
		DL_APPEND(ch->socks, s);
	}
	ev_io_init(&s->io, on_sock, fd, events);
	ev_io_start(ch->up->loop, &s->io);
}

static void channel_free(struct channel *ch)
{
	struct upstream *up = ch->up;
	struct sock *s, *tmp;

	/* Answers what is open with ARES_EDESTRUCTION, closes the sockets. */
	ares_destroy(ch->ares);
	ev_timer_stop(up->loop, &ch->timer);
	DL_FOREACH_SAFE (ch->socks, s, tmp) {
		ev_io_stop(up->loop, &s->io);
		DL_DELETE(ch->socks, s);
		free(s);
	}
	DL_DELETE(up->channels, ch);
	free(ch);
}

static int servers_set(struct channel *ch, const struct ip_addr *addrs,
		       size_t n)
{
	struct ares_addr_node nodes[SERVERS_MAX] = { { 0 } };

	for (size_t i = 0; i < n; i++) {
		nodes[i].next = i + 1 < n ? &nodes[i + 1] : NULL;
		nodes[i].family = ip_is_v4(&addrs[i]) ? AF_INET : AF_INET6;
		if (nodes[i].family == AF_INET)
			nodes[i].addr.addr4.s_addr = ip_be32(&addrs[i]);
		else
			memcpy(&nodes[i].addr.addr6, addrs[i].b,
			       sizeof(addrs[i].b));
	}
	return ares_set_servers(ch->ares, nodes) == ARES_SUCCESS ? 0 : -EINVAL;
}

/*
 * Every option that c-ares would otherwise look up in resolv.conf is given,
 * empty ones too: this process cannot open files.
 */
static int ares_start(struct channel *ch, size_t servers)
{
	static char lookups[] = "b";
	struct ares_options opt = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
			 ARES_FLAG_EDNS,
		.timeout = (int)(TIME_MS / servers),
		.tries = TRIES,
		.ndots = 1,
		.lookups = lookups,
		.ednspsz = DNS_UDP_MAX,
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = ch,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		   ARES_OPT_NDOTS | ARES_OPT_LOOKUPS | ARES_OPT_EDNSPSZ |
		   ARES_OPT_SOCK_STATE_CB | ARES_OPT_SERVERS |
		   ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE;
	int err = ares_init_options(&ch->ares, &opt, mask);

	if (err != ARES_SUCCESS) {
		log_warn_limited("dns: c-ares failed error=\"%s\"",
				 ares_strerror(err));
		return -EIO;
	}
	return 0;
}

static struct channel *channel_new(struct upstream *up,
				   const struct ip_addr *addrs, size_t n)
{
	struct channel *ch = xzalloc(sizeof(*ch));

	ch->up = up;
	if (ares_start(ch, n)) {
		free(ch);
		return NULL;
	}
	ev_init(&ch->timer, on_timer);
	ch->timer.data = ch;
	DL_APPEND(up->channels, ch);
	if (servers_set(ch, addrs, n)) {
		channel_free(ch);
		return NULL;
	}
	return ch;
}

static void current_retire(struct upstream *up)
{
	if (!up->current)
		return;
	up->current->retired = true;
	up->current = NULL;
}

static struct channel *current_get(struct upstream *up)
{
	struct ip_addr addrs[SERVERS_MAX];
	size_t n = 0;

	if (up->current && up->current->asked >= CHANNEL_QUESTIONS)
		current_retire(up);
	if (up->current)
		return up->current;
	for (size_t i = 0; i < up->len && n < SERVERS_MAX; i++) {
		size_t at = (up->first + i) % up->len;

		if (!up->loops[at])
			addrs[n++] = up->addrs[at];
	}
	if (n)
		up->current = channel_new(up, addrs, n);
	return up->current;
}

/* The first server that keeps silent costs every question its timeout. */
static void silence_note(struct channel *ch, int timeouts)
{
	struct upstream *up = ch->up;

	if (ch != up->current)
		return;
	up->silent = timeouts ? up->silent + 1 : 0;
	if (up->silent < SILENT_MAX || up->len < 2)
		return;
	up->silent = 0;
	up->first = (up->first + 1) % up->len;
	current_retire(up);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *data,
		      int len)
{
	struct request *req = arg;
	struct channel *ch = req->channel;
	struct upstream *up = ch->up;
	bool good = status == ARES_SUCCESS && data && len > 0;

	ch->open--;
	if (!req->probe && status != ARES_EDESTRUCTION) {
		silence_note(ch, timeouts);
		up->done(up->ctx, req->token, good ? data : NULL,
			 good ? (size_t)len : 0);
	}
	free(req);
}

static void channel_send(struct channel *ch, const uint8_t *query, size_t len,
			 uint64_t token, bool probe)
{
	struct request *req = xzalloc(sizeof(*req));

	req->channel = ch;
	req->token = token;
	req->probe = probe;
	ch->asked++;
	ch->open++;
	ares_send(ch->ares, query, (int)len, on_answer, req);
	channel_timer(ch);
}

int upstream_send(struct upstream *u, const uint8_t *query, size_t len,
		  uint64_t token)
{
	struct channel *ch = current_get(u);

	if (!ch)
		return -ENETUNREACH;
	channel_send(ch, query, len, token, false);
	return 0;
}

void upstream_probe(struct upstream *u, const char probe[PROBE_LEN + 1])
{
	for (size_t i = 0; i < u->len; i++) {
		uint8_t bytes[DNS_QUERY_MAX];
		struct dns_name name;
		struct channel *ch;
		char text[64];
		size_t len;

		if (str_format(text, sizeof(text), "%s%zu.%s", probe, i,
			       PROBE_ZONE) ||
		    dns_name_parse(text, &name))
			return;
		ch = channel_new(u, &u->addrs[i], 1);
		if (!ch)
			return;
		/* The id protects nothing here: the answer is not read. */
		len = dns_query_write(&name, ns_t_a, (uint16_t)(i + 1), bytes);
		channel_send(ch, bytes, len, 0, true);
		ch->retired = true;
	}
}

void upstream_loop(struct upstream *u, unsigned number)
{
	char text[IP_STRLEN];

	if (number >= u->len || u->loops[number])
		return;
	log_warn("dns: upstream leads back here and is left out addr=%s",
		 ip_str(&u->addrs[number], text));
	u->loops[number] = true;
	current_retire(u);
}

void upstream_set(struct upstream *u, const struct ip_addr *addrs, size_t n)
{
	n = MIN(n, UPSTREAMS_MAX);
	memcpy(u->addrs, addrs, n * sizeof(*addrs));
	memset(u->loops, 0, sizeof(u->loops));
	u->len = n;
	u->first = 0;
	u->silent = 0;
	current_retire(u);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct upstream *u = w->data;
	struct channel *ch, *tmp;

	(void)loop;
	(void)revents;
	DL_FOREACH_SAFE (u->channels, ch, tmp)
		if (ch->retired && !ch->open)
			channel_free(ch);
}

struct upstream *upstream_new(struct ev_loop *loop, upstream_fn *done,
			      void *ctx)
{
	struct upstream *u = xzalloc(sizeof(*u));

	u->loop = loop;
	u->done = done;
	u->ctx = ctx;
	ev_prepare_init(&u->reaper, on_prepare);
	u->reaper.data = u;
	ev_prepare_start(loop, &u->reaper);
	return u;
}

void upstream_free(struct upstream *u)
{
	struct channel *ch, *tmp;

	if (!u)
		return;
	DL_FOREACH_SAFE (u->channels, ch, tmp)
		channel_free(ch);
	ev_prepare_stop(u->loop, &u->reaper);
	free(u);
}
