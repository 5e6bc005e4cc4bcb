/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "http_status.h"
#include "netd/log.h"
#include "netd/util.h"

/* Of a check's time, what the handshake may take, and what it does on a busy
 * host. */
#define CONNECT_PERCENT 40
#define CONNECT_MIN_MS 100

struct check {
	struct ev_loop *loop;
	struct want_probe want;
	struct probe_state state;
	uint32_t successes;
	uint32_t failures;
	int64_t began;
	/* The next check's beginning, or the end of this one's patience. */
	ev_timer timer;
	/* A check is under way while fd >= 0. */
	int fd;
	ev_io io;
	/* The request is sent: the answer is awaited. */
	bool asked;
	size_t len;
	char answer[HTTP_STATUS_LEN];
	check_fn *fn;
	void *arg;
};

static void later(struct check *c, int64_t ms)
{
	ev_timer_stop(c->loop, &c->timer);
	ev_timer_set(&c->timer, (double)MAX(ms, 0) / 1000., 0.);
	ev_timer_start(c->loop, &c->timer);
}

static void hang_up(struct check *c)
{
	ev_io_stop(c->loop, &c->io);
	fd_closep(&c->fd);
	c->fd = -1;
}

static bool is_success(enum probe_reason reason, uint32_t detail)
{
	return reason == PROBE_REASON_CONNECTED ||
	       (reason == PROBE_REASON_HTTP && detail >= 200 && detail < 400);
}

static void become(struct check *c, enum probe_status status,
		   enum probe_reason reason, uint32_t detail)
{
	c->state = (struct probe_state){ .status = status,
					 .reason = reason,
					 .detail = detail,
					 .since = time(NULL) };
	c->fn(c->arg, c);
}

/* How one check ended. */
static void end(struct check *c, enum probe_reason reason, uint32_t detail)
{
	const struct probe_check *want = &c->want.check;
	int64_t pause = want->interval_ms;
	int64_t spent = mono_ms() - c->began;

	hang_up(c);
	if (is_success(reason, detail)) {
		c->failures = 0;
		c->successes++;
		if (c->state.status != PROBE_UP && c->successes >= want->rise)
			become(c, PROBE_UP, reason, detail);
	} else if (reason == PROBE_REASON_LOCAL) {
		/* Our own trouble says nothing about the backend. */
		log_warn_limited("probe: cannot check error=%u", detail);
	} else {
		c->successes = 0;
		c->failures++;
		if (c->state.status != PROBE_DOWN && c->failures >= want->fall)
			become(c, PROBE_DOWN, reason, detail);
		else if (c->state.status != PROBE_DOWN)
			pause /= 4;
	}
	later(c, pause - spent);
}

static void fail(struct check *c, int err)
{
	switch (err) {
	case ECONNREFUSED:
		end(c, PROBE_REASON_REFUSED, 0);
		return;
	case ETIMEDOUT:
		end(c, PROBE_REASON_TIMEOUT, 0);
		return;
	case EHOSTUNREACH:
	case ENETUNREACH:
		end(c, PROBE_REASON_UNREACHABLE, 0);
		return;
	case ECONNRESET:
	case EPIPE:
		end(c, PROBE_REASON_CLOSED, 0);
		return;
	default:
		end(c, PROBE_REASON_LOCAL, (uint32_t)err);
		return;
	}
}

union target {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t target_of(const struct check *c, union target *ret)
{
	const struct probe_key *key = &c->want.key;

	memset(ret, 0, sizeof(*ret));
	if (ip_is_v4(&key->addr)) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(key->port);
		ret->v4.sin_addr.s_addr = ip_be32(&key->addr);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(key->port);
	memcpy(&ret->v6.sin6_addr, key->addr.b, sizeof(key->addr.b));
	return sizeof(ret->v6);
}

/*
 * A check that only connects ends by RST in place of the handshake's last
 * ACK, which is put off: the backend's program never sees it. No end of a
 * check leaves a connection in TIME_WAIT.
 */
static int dial(struct check *c)
{
	struct linger reset = { .l_onoff = 1 };
	union target to;
	socklen_t len = target_of(c, &to);
	int off = 0;

	c->fd = socket(to.sa.sa_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (c->want.check.kind == PROBE_TCP)
		setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
	if (connect(c->fd, &to.sa, len) && errno != EINPROGRESS)
		return -errno;
	return 0;
}

static int64_t connect_ms(const struct probe_check *want)
{
	uint32_t least = MIN(want->timeout_ms, CONNECT_MIN_MS);

	return MAX(want->timeout_ms / 100 * CONNECT_PERCENT, least);
}

static void begin(struct check *c)
{
	int err;

	c->began = mono_ms();
	c->asked = false;
	c->len = 0;
	err = dial(c);
	if (err) {
		fail(c, -err);
		return;
	}
	ev_io_set(&c->io, c->fd, EV_WRITE);
	ev_io_start(c->loop, &c->io);
	later(c, connect_ms(&c->want.check));
}

static void ask(struct check *c)
{
	char request[PROBE_PATH_LEN + 128], ip[IP_STRLEN];
	bool v6 = !ip_is_v4(&c->want.key.addr);
	int n = snprintf(request, sizeof(request),
			 "GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\n"
			 "User-Agent: netd-probe\r\nConnection: close\r\n\r\n",
			 c->want.check.path, v6 ? "[" : "",
			 ip_str(&c->want.key.addr, ip), v6 ? "]" : "",
			 c->want.key.port);

	/* A new connection's buffer takes this whole. */
	if (send(c->fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
		fail(c, errno);
		return;
	}
	c->asked = true;
	ev_io_stop(c->loop, &c->io);
	ev_io_set(&c->io, c->fd, EV_READ);
	ev_io_start(c->loop, &c->io);
	later(c, c->began + c->want.check.timeout_ms - mono_ms());
}

static void listen_to(struct check *c)
{
	ssize_t n =
		recv(c->fd, c->answer + c->len, sizeof(c->answer) - c->len, 0);
	int status;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		fail(c, errno);
		return;
	}
	c->len += (size_t)n;
	status = http_status_parse(c->answer, c->len);
	if (status > 0)
		end(c, PROBE_REASON_HTTP, (uint32_t)status);
	else if (status < 0)
		end(c, PROBE_REASON_NOT_HTTP, 0);
	else if (n == 0)
		end(c, PROBE_REASON_CLOSED, 0);
}

static void go_on(struct check *c)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (c->asked) {
		listen_to(c);
		return;
	}
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err)
		fail(c, err);
	else if (c->want.check.kind == PROBE_HTTP)
		ask(c);
	else
		end(c, PROBE_REASON_CONNECTED, 0);
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	go_on(w->data);
}

/* Whose time is over may have answered while it was us who were held up. */
static void give_up(struct check *c)
{
	struct pollfd pfd = { .fd = c->fd,
			      .events = c->asked ? POLLIN : POLLOUT };

	if (poll(&pfd, 1, 0) > 0)
		go_on(c);
	if (c->fd >= 0 && !ev_is_active(&c->timer))
		end(c, PROBE_REASON_TIMEOUT, 0);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct check *c = w->data;

	(void)loop;
	(void)revents;
	if (c->fd >= 0)
		give_up(c);
	else
		begin(c);
}

struct check *check_new(struct ev_loop *loop, const struct want_probe *want,
			double delay, check_fn *fn, void *arg)
{
	struct check *c = xzalloc(sizeof(*c));

	c->loop = loop;
	c->want = *want;
	c->fn = fn;
	c->arg = arg;
	c->fd = -1;
	ev_init(&c->io, on_io);
	ev_timer_init(&c->timer, on_timer, delay, 0.);
	c->io.data = c->timer.data = c;
	ev_timer_start(loop, &c->timer);
	return c;
}

void check_free(struct check *c)
{
	if (!c)
		return;
	hang_up(c);
	ev_timer_stop(c->loop, &c->timer);
	free(c);
}

void check_change(struct check *c, const struct want_probe *want)
{
	c->want = *want;
	c->successes = c->failures = 0;
	hang_up(c);
	later(c, 0);
}

const struct want_probe *check_want(const struct check *c)
{
	return &c->want;
}

const struct probe_state *check_state(const struct check *c)
{
	return &c->state;
}
