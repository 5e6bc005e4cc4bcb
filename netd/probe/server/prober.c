/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets and the connection to netd. One connection that says an equal
 * HELLO is the one that is listened to, in place of any before it: its
 * predecessor's netd is gone or going. Nothing stops while there is none.
 */
#include "prober.h"

#include <ev.h>
#include <poll.h>
#include <sys/socket.h>
#include <uthash.h>
#include <utlist.h>

#include "check.h"
#include "netd/log.h"
#include "netd/util.h"
#include "probe_proto.h"

/* Messages before the loop looks at its other watchers. */
#define MESSAGES 64
#define LINKS_MAX 8
/* netd reads the greeting at once; one that does not is stuck. */
#define GREETING_MS 1000
/* First checks of many targets that are told at once begin so far apart. */
#define SPREAD_S .0002

struct target {
	struct probe_key key;
	struct check *check;
	struct prober *prober;
	/* Its state is to be told. */
	bool queued;
	struct target *prev, *next;
	UT_hash_handle hh;
};

struct link {
	int fd;
	ev_io io;
	struct prober *prober;
	bool greeted;
	bool same;
	struct link *prev, *next;
};

struct prober {
	struct ev_loop *loop;
	uid_t owner;
	int listen_fd;
	ev_io listen_io;
	ev_io writer;
	struct link *links;
	/* The one that is told; it is among links. */
	struct link *netd;
	struct target *targets;
	struct target *queue;
	/* Targets that wait for their first check. */
	uint32_t fresh;
};

static void link_free(struct link *l)
{
	struct prober *p = l->prober;

	if (p->netd == l) {
		ev_io_stop(p->loop, &p->writer);
		p->netd = NULL;
	}
	ev_io_stop(p->loop, &l->io);
	close(l->fd);
	DL_DELETE(p->links, l);
	free(l);
}

/* ---- targets ---- */

static struct target *target_find(const struct prober *p,
				  const struct probe_key *key)
{
	struct probe_key clean;
	struct target *t;

	probe_key_clean(&clean, key);
	HASH_FIND(hh, p->targets, &clean, sizeof(clean), t);
	return t;
}

static void target_free(struct prober *p, struct target *t)
{
	if (t->queued)
		DL_DELETE(p->queue, t);
	HASH_DEL(p->targets, t);
	check_free(t->check);
	free(t);
}

/* Without netd nothing is queued: its greeting tells all. */
static void target_tell(struct target *t)
{
	struct prober *p = t->prober;

	if (!p->netd || check_state(t->check)->status == PROBE_UNKNOWN)
		return;
	if (!t->queued)
		DL_APPEND(p->queue, t);
	t->queued = true;
	ev_io_start(p->loop, &p->writer);
}

static void on_verdict(void *arg, struct check *check)
{
	(void)check;
	target_tell(arg);
}

static void target_put(struct prober *p, const struct want_probe *told)
{
	struct target *t = target_find(p, &told->key);
	struct want_probe want;

	want_probe_clean(&want, told);
	if (t) {
		if (memcmp(check_want(t->check), &want, sizeof(want)) != 0)
			check_change(t->check, &want);
		target_tell(t);
		return;
	}
	t = xzalloc(sizeof(*t));
	t->key = want.key;
	t->prober = p;
	t->check =
		check_new(p->loop, &want, SPREAD_S * p->fresh++, on_verdict, t);
	HASH_ADD(hh, p->targets, key, sizeof(t->key), t);
}

static void target_del(struct prober *p, const struct probe_key *key)
{
	struct target *t = target_find(p, key);

	if (t)
		target_free(p, t);
}

static void state_fill(struct probe_msg *msg, const struct target *t)
{
	memset(msg, 0, sizeof(*msg));
	msg->type = PROBE_MSG_STATE;
	msg->body.found.key = t->key;
	msg->body.found.state = *check_state(t->check);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct prober *p = w->data;
	struct probe_msg msg;
	int err;

	(void)loop;
	(void)revents;
	for (int i = 0; i < MESSAGES && p->queue; i++) {
		struct target *t = p->queue;

		state_fill(&msg, t);
		err = probe_send(p->netd->fd, &msg);
		if (err == -EAGAIN)
			return;
		if (err) {
			link_free(p->netd);
			return;
		}
		DL_DELETE(p->queue, t);
		t->queued = false;
	}
	if (!p->queue)
		ev_io_stop(p->loop, &p->writer);
}

/* ---- netd ---- */

static int send_wait(int fd, const struct probe_msg *msg)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int err = probe_send(fd, msg);

	if (err != -EAGAIN)
		return err;
	if (poll(&pfd, 1, GREETING_MS) <= 0)
		return -ETIMEDOUT;
	return probe_send(fd, msg);
}

static int greet(struct link *l)
{
	struct prober *p = l->prober;
	struct target *t, *next;
	struct probe_msg msg;
	uint32_t states = 0;
	int err;

	HASH_ITER (hh, p->targets, t, next)
		states += check_state(t->check)->status != PROBE_UNKNOWN;
	memset(&msg, 0, sizeof(msg));
	msg.type = PROBE_MSG_HELLO;
	probe_hello_fill(&msg.body.hello, l->same ? states : 0);
	err = send_wait(l->fd, &msg);
	HASH_ITER (hh, p->targets, t, next) {
		if (err || !l->same)
			break;
		if (check_state(t->check)->status == PROBE_UNKNOWN)
			continue;
		state_fill(&msg, t);
		err = send_wait(l->fd, &msg);
	}
	return err;
}

static int take_hello(struct link *l, const struct probe_hello *hello)
{
	struct link *other, *next;
	struct probe_hello mine;
	int err;

	if (hello->magic != PROBE_MAGIC || l->greeted)
		return -EPROTO;
	probe_hello_fill(&mine, 0);
	l->greeted = true;
	l->same = probe_hello_same(hello, &mine);
	err = greet(l);
	if (err || !l->same)
		return err;
	DL_FOREACH_SAFE (l->prober->links, other, next)
		if (other != l)
			link_free(other);
	l->prober->netd = l;
	ev_io_set(&l->prober->writer, l->fd, EV_WRITE);
	return 0;
}

static int take(struct link *l, const struct probe_msg *msg)
{
	struct prober *p = l->prober;

	if (msg->type == PROBE_MSG_HELLO)
		return take_hello(l, &msg->body.hello);
	if (msg->type == PROBE_MSG_QUIT && l->greeted) {
		log_info("probe: told to end");
		ev_break(p->loop, EVBREAK_ALL);
		return 0;
	}
	if (!l->same)
		return -EPROTO;
	if (msg->type == PROBE_MSG_PUT)
		target_put(p, &msg->body.want);
	else if (msg->type == PROBE_MSG_DEL)
		target_del(p, &msg->body.want.key);
	else
		return -EPROTO;
	return 0;
}

static void on_link(struct ev_loop *loop, ev_io *w, int revents)
{
	struct link *l = w->data;
	struct probe_msg msg;

	(void)loop;
	(void)revents;
	for (int i = 0; i < MESSAGES; i++) {
		int err = probe_recv(l->fd, &msg);

		if (err == -EAGAIN) {
			l->prober->fresh = 0;
			return;
		}
		if (!err)
			err = take(l, &msg);
		if (!err)
			continue;
		if (err != -ECONNRESET)
			log_warn_limited("probe: control link ended error=%d",
					 err);
		link_free(l);
		return;
	}
}

static void link_new(struct prober *p, int fd)
{
	struct link *l = xzalloc(sizeof(*l));

	l->fd = fd;
	l->prober = p;
	ev_io_init(&l->io, on_link, fd, EV_READ);
	l->io.data = l;
	ev_io_start(p->loop, &l->io);
	DL_APPEND(p->links, l);
}

static bool is_allowed(const struct prober *p, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	const struct link *l;
	size_t n = 0;

	DL_COUNT(p->links, l, n);
	return n < LINKS_MAX &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == 0 || cred.uid == p->owner);
}

static void on_listen(struct ev_loop *loop, ev_io *w, int revents)
{
	struct prober *p = w->data;
	int fd =
		accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)loop;
	(void)revents;
	if (fd < 0)
		return;
	if (is_allowed(p, fd))
		link_new(p, fd);
	else
		close(fd);
}

struct prober *prober_new(struct ev_loop *loop, uid_t owner)
{
	struct prober *p = xzalloc(sizeof(*p));

	p->loop = loop;
	p->owner = owner;
	p->listen_fd = -1;
	ev_init(&p->writer, on_writable);
	p->writer.data = p;
	return p;
}

void prober_open(struct prober *p, int listen_fd, int control_fd)
{
	p->listen_fd = listen_fd;
	ev_io_init(&p->listen_io, on_listen, listen_fd, EV_READ);
	p->listen_io.data = p;
	ev_io_start(p->loop, &p->listen_io);
	if (control_fd >= 0)
		link_new(p, control_fd);
}

void prober_free(struct prober *p)
{
	struct target *t, *next;

	if (!p)
		return;
	while (p->links)
		link_free(p->links);
	HASH_ITER (hh, p->targets, t, next)
		target_free(p, t);
	if (p->listen_fd >= 0) {
		ev_io_stop(p->loop, &p->listen_io);
		close(p->listen_fd);
	}
	free(p);
}
