/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <ares.h>
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utlist.h>

#include "msg.h"
#include "netd/log.h"
#include "netd/util.h"

/*
 * A channel of c-ares 1.18 has 74 KiB of tables. From this many at one server
 * on they are shared, each for so many questions and no more.
 */
#define SHARE_FROM 64
#define SHARE_QUESTIONS 64
/* Kept for the next question. */
#define IDLE_MAX 16
/* Packets that fit no question before it is asked over TCP. */
#define FORGED_MAX 16
/* Packets read before the loop looks at its other watchers. */
#define READS 64
/* Ports a question is asked from: none that services are given. */
#define PORT_FIRST 16384
#define PORT_TRIES 8

struct sock {
	ev_io io;
	int fd;
};

struct channel {
	struct asks *asks;
	ares_channel ares;
	struct want_server server;
	ev_timer timer;
	/* One for UDP, one for TCP. */
	struct sock socks[2];
	struct ask *open;
	unsigned open_len;
	/* Since its socket was opened. */
	unsigned asked;
	/* c-ares left EDNS out for one server, and would for the next. */
	bool spoiled;
	struct channel *prev, *next;
};

struct ask {
	struct channel *channel;
	struct ask_how how;
	/* NULL: cancelled. */
	ask_fn *done;
	void *ctx;
	uint8_t sent[DNS_QUERY_MAX];
	size_t sent_len;
	unsigned forged;
	/* Counts what is sent when nobody else does any more. */
	unsigned packets;
	bool case_lost;
	/* What c-ares said from within ask_send() is told later. */
	bool sending;
	bool finished;
	struct ask *prev, *next;
};

struct asks {
	struct ev_loop *loop;
	uint64_t *forged;
	struct channel *busy;
	struct channel *idle;
	unsigned idle_len;
	/* Ended before they were begun. */
	struct ask *failed;
	/* Does outside of c-ares' calls what must not be done inside. */
	ev_prepare reaper;
	ev_timer waker;
	bool dirty;
};

/* What came, and whose it may be. */

static struct ask *ask_by_id(const struct channel *ch, const uint8_t *id)
{
	struct ask *ask;

	DL_FOREACH (ch->open, ask)
		if (memcmp(ask->sent, id, 2) == 0)
			return ask;
	return NULL;
}

/* The question again, as an answer that says nothing but this. */
static ssize_t answer_make(const struct ask *ask, unsigned flags, uint8_t *buf)
{
	size_t len = ask->sent_len - DNS_OPT_LEN;

	memcpy(buf, ask->sent, len);
	buf[2] = (uint8_t)((DNS_FLAG_QR | DNS_FLAG_RD | flags) >> 8);
	buf[3] = (uint8_t)flags;
	memset(buf + 6, 0, DNS_HEADER_LEN - 6);
	return (ssize_t)len;
}

static ssize_t forged(struct channel *ch, uint8_t *buf)
{
	struct ask *ask;

	++*ch->asks->forged;
	DL_FOREACH (ch->open, ask)
		if (++ask->forged == FORGED_MAX)
			return answer_make(ask, DNS_FLAG_TC, buf);
	return 0;
}

/* The length c-ares is to see, 0: nothing. */
static ssize_t judge(struct channel *ch, uint8_t *buf, ssize_t n)
{
	struct ask *ask = n >= DNS_HEADER_LEN ? ask_by_id(ch, buf) : NULL;

	if (!ask)
		return forged(ch, buf);
	switch (dns_answer_match(ask->sent, ask->sent_len, buf, (size_t)n)) {
	case DNS_MATCH_NONE:
		break;
	case DNS_MATCH_HEADER:
		return answer_make(ask, buf[3] & 15, buf);
	case DNS_MATCH_CASE:
		if (ask->how.keep_case)
			return n;
		/* A server that is like that, or a forger: TCP tells. */
		++*ch->asks->forged;
		ask->case_lost = true;
		return answer_make(ask, DNS_FLAG_TC, buf);
	case DNS_MATCH_WHOLE:
		return n;
	}
	return forged(ch, buf);
}

/* Sockets, as c-ares wants them: UDP reads come with an address. */

static ares_ssize_t on_recv(ares_socket_t fd, void *buf, size_t size, int flags,
			    struct sockaddr *from, ares_socklen_t *from_len,
			    void *data)
{
	struct channel *ch = data;

	if (!from)
		return recv(fd, buf, size, flags | MSG_DONTWAIT);
	for (int i = 0; i < READS; i++) {
		ssize_t n = recvfrom(fd, buf, size, flags | MSG_DONTWAIT, from,
				     from_len);

		if (n < 0)
			return n;
		n = judge(ch, buf, n);
		if (n > 0)
			return n;
	}
	errno = EAGAIN;
	return -1;
}

static struct sockaddr_storage any_make(int family, uint16_t port,
					socklen_t *len)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };

	/* The port lies at the same place in both. */
	((struct sockaddr_in *)&ss)->sin_port = htons(port);
	*len = family == AF_INET ? sizeof(struct sockaddr_in)
				 : sizeof(struct sockaddr_in6);
	return ss;
}

/* The kernel's own choice is no worse, only from fewer ports. */
static void port_choose(int fd, int family)
{
	uint16_t random[PORT_TRIES];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return;
	for (int i = 0; i < PORT_TRIES; i++) {
		socklen_t len;
		uint32_t spread = UINT16_MAX + 1u - PORT_FIRST;
		struct sockaddr_storage ss = any_make(
			family,
			(uint16_t)(PORT_FIRST + (random[i] * spread >> 16)),
			&len);

		if (bind(fd, (struct sockaddr *)&ss, len) == 0)
			return;
	}
}

static ares_socket_t on_socket(int family, int type, int protocol, void *data)
{
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	(void)data;
	if (fd >= 0 && type == SOCK_DGRAM)
		port_choose(fd, family);
	return fd;
}

static int on_close(ares_socket_t fd, void *data)
{
	(void)data;
	return close(fd);
}

static int on_connect(ares_socket_t fd, const struct sockaddr *addr,
		      ares_socklen_t len, void *data)
{
	(void)data;
	return connect(fd, addr, len);
}

/* Counts, and refuses what would be one packet too many. */
static ares_ssize_t on_send(ares_socket_t fd, const struct iovec *iov, int n,
			    void *data)
{
	struct channel *ch = data;

	for (int i = 0; i < n; i++) {
		size_t skip = fd == ch->socks[1].fd ? 2 : 0;
		const uint8_t *query = iov[i].iov_base;
		struct ask *ask = NULL;

		if (iov[i].iov_len > DNS_HEADER_LEN)
			ask = ask_by_id(ch, query + skip);
		if (!ask)
			continue;
		ch->spoiled |= iov[i].iov_len - skip < ask->sent_len;
		if (*ask->how.packets >= ask->how.packets_max) {
			errno = EPERM;
			return -1;
		}
		++*ask->how.packets;
	}
	return writev(fd, iov, n);
}

static const struct ares_socket_functions functions = {
	.asocket = on_socket,
	.aclose = on_close,
	.aconnect = on_connect,
	.arecvfrom = on_recv,
	.asendv = on_send,
};

/* Watching. */

static void channel_timer(struct channel *ch)
{
	struct timeval tv, max = { ASK_TIME_MS / 1000 + 1, 0 };
	struct ev_loop *loop = ch->asks->loop;

	ev_timer_stop(loop, &ch->timer);
	if (!ch->open_len)
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
	struct channel *ch = w->data;
	int fd = w->fd;

	(void)loop;
	ares_process_fd(ch->ares, revents & EV_READ ? fd : ARES_SOCKET_BAD,
			revents & EV_WRITE ? fd : ARES_SOCKET_BAD);
	channel_timer(ch);
}

static bool is_tcp(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) &&
	       type == SOCK_STREAM;
}

static void on_sock_state(void *data, ares_socket_t fd, int readable,
			  int writable)
{
	struct channel *ch = data;
	struct ev_loop *loop = ch->asks->loop;
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
	struct sock *s;

	if (ch->socks[0].fd == fd || ch->socks[1].fd == fd)
		s = &ch->socks[ch->socks[1].fd == fd];
	else
		s = &ch->socks[is_tcp(fd)];
	ev_io_stop(loop, &s->io);
	s->fd = events ? fd : -1;
	if (!events)
		return;
	ev_io_set(&s->io, fd, events);
	ev_io_start(loop, &s->io);
}

/* Channels. */

/*
 * Every option that c-ares would otherwise look up in resolv.conf is given,
 * empty ones too: this process cannot open files.
 */
static int ares_start(struct channel *ch)
{
	static char lookups[] = "b";
	struct ares_options opt = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
			 ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP,
		.timeout = ASK_TIME_MS,
		.tries = 1,
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
	ares_set_socket_functions(ch->ares, &functions, ch);
	return 0;
}

static struct channel *channel_new(struct asks *a)
{
	struct channel *ch = xzalloc(sizeof(*ch));

	ch->asks = a;
	if (ares_start(ch)) {
		free(ch);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(ch->socks); i++) {
		ch->socks[i].fd = -1;
		ev_init(&ch->socks[i].io, on_sock);
		ch->socks[i].io.data = ch;
	}
	ev_init(&ch->timer, on_timer);
	ch->timer.data = ch;
	return ch;
}

/* Not in a list any more; ends what is open with ARES_EDESTRUCTION. */
static void channel_free(struct channel *ch)
{
	ares_destroy(ch->ares);
	ev_timer_stop(ch->asks->loop, &ch->timer);
	for (size_t i = 0; i < ARRAY_LEN(ch->socks); i++)
		ev_io_stop(ch->asks->loop, &ch->socks[i].io);
	free(ch);
}

static int server_set(struct channel *ch, const struct want_server *server)
{
	bool v4 = ip_is_v4(&server->addr);
	struct ares_addr_port_node node = {
		.family = v4 ? AF_INET : AF_INET6,
		.udp_port = server->port,
		.tcp_port = server->port,
	};

	if (v4)
		node.addr.addr4.s_addr = ip_be32(&server->addr);
	else
		memcpy(&node.addr.addr6, server->addr.b,
		       sizeof(server->addr.b));
	ch->server = *server;
	ch->asked = 0;
	return ares_set_servers_ports(ch->ares, &node) == ARES_SUCCESS
		       ? 0
		       : -EINVAL;
}

static bool same_server(const struct want_server *a,
			const struct want_server *b)
{
	return a->port == b->port && ip_eq(&a->addr, &b->addr);
}

/* One that many ask by, when there are many already. */
static struct channel *channel_shared(struct asks *a,
				      const struct want_server *server)
{
	struct channel *ch, *best = NULL;
	unsigned n = 0;

	DL_FOREACH (a->busy, ch) {
		if (!same_server(&ch->server, server))
			continue;
		n++;
		if (ch->asked < SHARE_QUESTIONS && !ch->spoiled &&
		    (!best || ch->open_len < best->open_len))
			best = ch;
	}
	return n >= SHARE_FROM ? best : NULL;
}

static struct channel *channel_get(struct asks *a,
				   const struct want_server *server)
{
	struct channel *ch = channel_shared(a, server);

	if (ch)
		return ch;
	ch = a->idle;
	if (ch) {
		DL_DELETE(a->idle, ch);
		a->idle_len--;
	} else {
		ch = channel_new(a);
	}
	if (!ch)
		return NULL;
	if (server_set(ch, server)) {
		channel_free(ch);
		return NULL;
	}
	DL_APPEND(a->busy, ch);
	return ch;
}

/* Nobody waits for any of its answers any more. */
static bool is_abandoned(const struct channel *ch)
{
	const struct ask *ask;

	DL_FOREACH (ch->open, ask)
		if (ask->done)
			return false;
	return true;
}

static void channel_settle(struct asks *a, struct channel *ch)
{
	if (ch->open_len && is_abandoned(ch))
		ares_cancel(ch->ares);
	if (ch->open_len)
		return;
	DL_DELETE(a->busy, ch);
	ev_timer_stop(a->loop, &ch->timer);
	if (ch->spoiled || a->idle_len >= IDLE_MAX) {
		channel_free(ch);
		return;
	}
	DL_APPEND(a->idle, ch);
	a->idle_len++;
}

/* Asks. */

static void dirty(struct asks *a)
{
	if (a->dirty)
		return;
	a->dirty = true;
	/* The loop may be about to wait already. */
	ev_timer_set(&a->waker, 0., 0.);
	ev_timer_start(a->loop, &a->waker);
}

static void ask_end(struct ask *ask, const struct ask_answer *answer)
{
	ask_fn *done = ask->done;
	void *ctx = ask->ctx;

	free(ask);
	if (done)
		done(ctx, answer);
}

static enum ask_result result_of(int status, int len)
{
	if (status == ARES_SUCCESS && len > 0)
		return ASK_ANSWER;
	return status == ARES_ETIMEOUT ? ASK_TIMEOUT : ASK_REFUSED;
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *data,
		      int len)
{
	struct ask *ask = arg;
	struct channel *ch = ask->channel;
	struct ask_answer answer = { .result = result_of(status, len),
				     .data = data,
				     .len = len > 0 ? (size_t)len : 0 };

	(void)timeouts;
	if (answer.result == ASK_ANSWER)
		answer.case_lost =
			dns_answer_match(ask->sent, ask->sent_len, data,
					 answer.len) == DNS_MATCH_CASE;
	else
		answer.case_lost = ask->case_lost;
	DL_DELETE(ch->open, ask);
	ch->open_len--;
	dirty(ch->asks);
	if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED)
		ask->done = NULL;
	if (ask->sending)
		ask->finished = true;
	else
		ask_end(ask, &answer);
}

/* An id that no other question of the channel has. */
static void disguise(struct ask *ask)
{
	uint8_t random[2 + DNS_NAME_MAX / 8 + 1];

	do {
		/* Never blocks: the pool was ready before the first query. */
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			abort();
	} while (ask_by_id(ask->channel, random));
	memcpy(ask->sent, random, 2);
	if (!ask->how.keep_case)
		dns_query_mix(ask->sent, random + 2);
}

struct ask *ask_send(struct asks *a, const struct want_server *server,
		     const uint8_t *query, size_t len,
		     const struct ask_how *how, ask_fn *done, void *ctx)
{
	struct channel *ch = channel_get(a, server);
	struct ask *ask;

	if (!ch)
		return NULL;
	ask = xzalloc(sizeof(*ask));
	ask->channel = ch;
	ask->how = *how;
	ask->done = done;
	ask->ctx = ctx;
	memcpy(ask->sent, query, len);
	ask->sent_len = len;
	disguise(ask);
	DL_APPEND(ch->open, ask);
	ch->open_len++;
	ch->asked++;
	ask->sending = true;
	ares_send(ch->ares, ask->sent, (int)len, on_answer, ask);
	ask->sending = false;
	if (ask->finished)
		DL_APPEND(a->failed, ask);
	else
		channel_timer(ch);
	return ask;
}

void ask_cancel(struct ask *ask)
{
	if (!ask)
		return;
	ask->done = NULL;
	ask->how.packets = &ask->packets;
	dirty(ask->channel->asks);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct asks *a = w->data;
	struct channel *ch, *tmp;
	struct ask *ask;

	(void)loop;
	(void)revents;
	if (!a->dirty)
		return;
	a->dirty = false;
	while ((ask = a->failed)) {
		struct ask_answer answer = { .result = ASK_REFUSED };

		DL_DELETE(a->failed, ask);
		ask_end(ask, &answer);
	}
	DL_FOREACH_SAFE (a->busy, ch, tmp)
		channel_settle(a, ch);
}

static void on_waker(struct ev_loop *loop, ev_timer *w, int revents)
{
	/* That the loop turns is all that is wanted. */
	(void)loop;
	(void)w;
	(void)revents;
}

struct asks *asks_new(struct ev_loop *loop, uint64_t *count)
{
	struct asks *a = xzalloc(sizeof(*a));

	a->loop = loop;
	a->forged = count;
	ev_prepare_init(&a->reaper, on_prepare);
	a->reaper.data = a;
	ev_prepare_start(loop, &a->reaper);
	ev_timer_init(&a->waker, on_waker, 0., 0.);
	return a;
}

void asks_free(struct asks *a)
{
	struct channel *ch;
	struct ask *ask;

	if (!a)
		return;
	while ((ask = a->failed)) {
		DL_DELETE(a->failed, ask);
		free(ask);
	}
	while ((ch = a->busy)) {
		DL_DELETE(a->busy, ch);
		channel_free(ch);
	}
	while ((ch = a->idle)) {
		DL_DELETE(a->idle, ch);
		channel_free(ch);
	}
	ev_prepare_stop(a->loop, &a->reaper);
	ev_timer_stop(a->loop, &a->waker);
	free(a);
}
