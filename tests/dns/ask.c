/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "netd/util.h"

#define DNS_PORT 53

struct one {
	ev_io io;
	const struct ask *ask;
	struct asked *ret;
	size_t *open;
	int64_t start;
	bool done;
	/* Over TCP: the length's two bytes, then the answer. */
	uint8_t head[2];
	size_t got;
};

static socklen_t sockaddr_of(const struct ip_addr *addr, uint16_t port,
			     struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (ip_is_v4(addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = ip_be32(addr);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, addr->b, sizeof(addr->b));
	return sizeof(*v6);
}

static void one_end(struct one *o)
{
	o->ret->took_ms = mono_ms() - o->start;
	o->done = true;
	--*o->open;
}

static void read_udp(struct one *o)
{
	ssize_t n = recv(o->io.fd, o->ret->data, ASK_BYTES, 0);

	if (n > 0)
		o->ret->len = (size_t)n;
	if (n > 0 || errno != EAGAIN)
		one_end(o);
}

static void read_tcp(struct one *o)
{
	size_t want = (size_t)o->head[0] << 8 | o->head[1];
	ssize_t n;

	if (o->got < 2)
		n = recv(o->io.fd, o->head + o->got, 2 - o->got, 0);
	else
		n = recv(o->io.fd, o->ret->data + o->got - 2,
			 want - (o->got - 2), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		one_end(o);
		return;
	}
	o->got += (size_t)n;
	want = (size_t)o->head[0] << 8 | o->head[1];
	if (o->got >= 2 && o->got - 2 == want) {
		o->ret->len = want;
		one_end(o);
	}
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
	struct one *o = w->data;

	(void)revents;
	if (o->ask->tcp)
		read_tcp(o);
	else
		read_udp(o);
	if (o->done)
		ev_io_stop(loop, w);
}

static bool dial(const struct ask *ask, int fd)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = sockaddr_of(&ask->from, 0, &from);
	socklen_t to_len = sockaddr_of(&ask->to, DNS_PORT, &to);
	uint8_t head[2] = { (uint8_t)(ask->len >> 8), (uint8_t)ask->len };

	if (bind(fd, (struct sockaddr *)&from, from_len) ||
	    connect(fd, (struct sockaddr *)&to, to_len) ||
	    (ask->tcp && send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE) != 2) ||
	    send(fd, ask->query, ask->len, MSG_NOSIGNAL) != (ssize_t)ask->len)
		return false;
	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

static void one_start(struct ev_loop *loop, struct one *o)
{
	int family = ip_is_v4(&o->ask->to) ? AF_INET : AF_INET6;
	int type = o->ask->tcp ? SOCK_STREAM : SOCK_DGRAM;
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	o->start = mono_ms();
	ev_io_init(&o->io, on_io, fd, EV_READ);
	o->io.data = o;
	if (dial(o->ask, fd))
		ev_io_start(loop, &o->io);
	else
		one_end(o);
}

static void on_time(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	*(bool *)w->data = true;
}

void ask_run(struct ev_loop *loop, const struct ask *ask, struct asked *ret,
	     size_t n)
{
	struct one *ones = xzalloc(n * sizeof(*ones));
	size_t open = n;
	bool late = false;
	ev_timer timer;

	ev_timer_init(&timer, on_time, ask->ms / 1000., 0.);
	timer.data = &late;
	ev_timer_start(loop, &timer);
	for (size_t i = 0; i < n; i++) {
		ret[i].len = 0;
		ones[i] = (struct one){ .ask = ask,
					.ret = &ret[i],
					.open = &open };
		one_start(loop, &ones[i]);
	}
	while (open && !late)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
	for (size_t i = 0; i < n; i++) {
		if (!ones[i].done)
			one_end(&ones[i]);
		ev_io_stop(loop, &ones[i].io);
		close(ones[i].io.fd);
	}
	free(ones);
}

void ask_spin(struct ev_loop *loop, int ms)
{
	bool late = false;
	ev_timer timer;

	ev_timer_init(&timer, on_time, ms / 1000., 0.);
	timer.data = &late;
	ev_timer_start(loop, &timer);
	while (!late)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
}
