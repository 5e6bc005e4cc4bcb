/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netd's side of the prober: keeps one running, tells it what to check, and
 * keeps what it found out.
 *
 * Every check is an item; one that changed stands in the queue once, and the
 * socket takes from it as fast as the prober reads. A prober found at the
 * start is adopted when it is of this version, with its findings, so that a
 * restart of netd is no event for any backend. Another version is ended: it
 * holds nothing that its successor cannot find out by itself.
 */
#include "netd/probe.h"

#include <ev.h>
#include <fcntl.h>
#include <uthash.h>
#include <utlist.h>

#include "netd/log.h"
#include "netd/util.h"
#include "probe_proto.h"
#include "child.h"
#include "child_link.h"

/* A greeting takes a prober less than a millisecond. */
#define GREETING_MS 2000

struct item {
	struct want_probe want;
	struct probe_state state;
	/* To be told: stands in the queue. */
	bool queued;
	/* Not wanted any more; goes when that is told. */
	bool dead;
	/* Found by an adopted prober, wanted by nobody yet. */
	bool found;
	/* Put since probe_begin(). */
	bool seen;
	struct item *prev, *next;
	UT_hash_handle hh;
};

struct probe {
	struct child_link link;
	struct probe_config config;
	char *program;
	char *user;
	int dir;
	struct item *items;
	struct item *queue;
};

static void enqueue(struct probe *p, struct item *item)
{
	if (!item->queued)
		DL_APPEND(p->queue, item);
	item->queued = true;
	child_link_changed(&p->link);
}

static void item_free(struct probe *p, struct item *item)
{
	if (item->queued)
		DL_DELETE(p->queue, item);
	HASH_DEL(p->items, item);
	free(item);
}

static struct item *item_find(const struct probe *p,
			      const struct probe_key *key)
{
	struct probe_key clean;
	struct item *item;

	probe_key_clean(&clean, key);
	HASH_FIND(hh, p->items, &clean, sizeof(clean), item);
	return item;
}

static struct item *item_new(struct probe *p, const struct probe_key *key)
{
	struct item *item = xzalloc(sizeof(*item));

	probe_key_clean(&item->want.key, key);
	HASH_ADD(hh, p->items, want.key, sizeof(item->want.key), item);
	return item;
}

/* The connection. */

static int prober_tell(void *arg, int fd)
{
	struct probe *p = arg;
	struct probe_msg msg;
	struct item *item = p->queue;
	int err;

	memset(&msg, 0, sizeof(msg));
	if (!item)
		return 1;
	msg.type = item->dead ? PROBE_MSG_DEL : PROBE_MSG_PUT;
	msg.body.want = item->want;
	err = probe_send(fd, &msg);
	if (err)
		return err;
	if (item->dead) {
		item_free(p, item);
		return 0;
	}
	DL_DELETE(p->queue, item);
	item->queued = false;
	return 0;
}

static void take_state(struct probe *p, const struct probe_msg *msg)
{
	struct item *item = item_find(p, &msg->body.found.key);

	/* What it said before it heard that nobody wants to know. */
	if (!item || item->dead)
		return;
	item->state = msg->body.found.state;
	p->config.changed(p->config.arg, &item->want.key);
}

static int take(struct probe *p, const struct probe_msg *msg)
{
	struct probe_hello mine;

	switch (msg->type) {
	case PROBE_MSG_HELLO:
		probe_hello_fill(&mine, 0);
		return probe_hello_same(&msg->body.hello, &mine) ? 0 : -EPROTO;
	case PROBE_MSG_STATE:
		take_state(p, msg);
		return 0;
	case PROBE_MSG_QUIT:
	case PROBE_MSG_PUT:
	case PROBE_MSG_DEL:
	case PROBE_MSG_MAX:
		break;
	}
	return -EPROTO;
}

static int prober_hear(void *arg, int fd)
{
	struct probe_msg msg;
	int err = probe_recv(fd, &msg);

	return err ? err : take(arg, &msg);
}

static void prober_up(void *arg, bool adopted)
{
	struct probe *p = arg;
	struct item *item, *next;

	if (adopted)
		return;
	HASH_ITER (hh, p->items, item, next)
		enqueue(p, item);
}

static void prober_down(void *arg)
{
	(void)arg;
}

/* Starting one. */

static int hello_send(int fd)
{
	struct probe_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = PROBE_MSG_HELLO;
	probe_hello_fill(&msg.body.hello, 0);
	return probe_send(fd, &msg);
}

static int prober_start(void *arg, pid_t *pid, int *fd)
{
	struct probe *p = arg;
	int err =
		child_start(p->dir, PROBE_SOCKET, p->program, p->user, pid, fd);

	/* The socket is new and empty: this is taken. */
	if (!err)
		hello_send(*fd);
	return err;
}

static const struct child_link_ops prober_ops = {
	.what = "probe: prober",
	.start = prober_start,
	.up = prober_up,
	.down = prober_down,
	.tell = prober_tell,
	.hear = prober_hear,
};

/* Adopting one: the only place that waits, once, when netd starts. */

static int recv_wait(int fd, struct probe_msg *msg, int64_t until)
{
	int err;

	while ((err = probe_recv(fd, msg)) == -EAGAIN) {
		err = child_wait(fd, until);
		if (err)
			return err;
	}
	return err;
}

static int greet(struct probe *p, int fd)
{
	int64_t until = mono_ms() + GREETING_MS;
	struct probe_hello mine;
	struct probe_msg msg;
	uint32_t states;
	int err = hello_send(fd);

	probe_hello_fill(&mine, 0);
	if (!err)
		err = recv_wait(fd, &msg, until);
	if (err)
		return err;
	if (msg.type != PROBE_MSG_HELLO ||
	    !probe_hello_same(&msg.body.hello, &mine))
		return -EPROTO;
	states = msg.body.hello.states;
	while (states--) {
		struct item *item;

		err = recv_wait(fd, &msg, until);
		if (err || msg.type != PROBE_MSG_STATE)
			return err ? err : -EPROTO;
		item = item_find(p, &msg.body.found.key);
		if (!item)
			item = item_new(p, &msg.body.found.key);
		item->state = msg.body.found.state;
		item->found = true;
	}
	return 0;
}

static int adopt(struct probe *p)
{
	AUTO(fd_closep) int fd = -1;
	struct item *item, *next;
	pid_t pid = 0;
	int err = child_connect(p->dir, PROBE_SOCKET, &pid, &fd);

	if (!err)
		err = greet(p, fd);
	if (err) {
		HASH_ITER (hh, p->items, item, next)
			item_free(p, item);
		return err;
	}
	child_link_adopt(&p->link, take_fd(fd), pid);
	return 0;
}

/* The border. */

static void tell_quit(int fd)
{
	struct probe_msg msg;

	hello_send(fd);
	memset(&msg, 0, sizeof(msg));
	msg.type = PROBE_MSG_QUIT;
	probe_send(fd, &msg);
}

static struct probe *probe_new(struct ev_loop *loop,
			       const struct probe_config *config)
{
	struct probe *p = xzalloc(sizeof(*p));

	child_link_init(&p->link, loop, &prober_ops, p);
	p->config = *config;
	p->program = xstrdup(config->program);
	p->user = xstrdup(config->user ? config->user : "");
	p->dir = -1;
	return p;
}

void probe_close(struct probe *p)
{
	struct item *item, *next;

	if (!p)
		return;
	child_link_close(&p->link);
	HASH_ITER (hh, p->items, item, next)
		item_free(p, item);
	fd_closep(&p->dir);
	free(p->program);
	free(p->user);
	free(p);
}

DEFINE_FREEP(struct probe, probe_close)

int probe_open(struct ev_loop *loop, const struct probe_config *config,
	       struct probe **ret)
{
	AUTO(probe_closep) struct probe *p = probe_new(loop, config);
	int err = child_dir_open(config->run_dir, &p->dir);

	if (err)
		return err;
	if (adopt(p)) {
		child_end(p->dir, PROBE_SOCKET, tell_quit);
		err = child_link_start(&p->link);
		if (err)
			return err;
	}
	*ret = take_ptr(p);
	return 0;
}

int probe_remove(const char *run_dir)
{
	AUTO(fd_closep)
	int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	return child_end(dir, PROBE_SOCKET, tell_quit);
}

int probe_pid(const struct probe *p)
{
	return p->link.pid;
}

void probe_begin(struct probe *p, uint32_t vni)
{
	for (struct item *item = p->items; item; item = item->hh.next)
		if (item->want.key.vni == vni)
			item->seen = false;
}

void probe_put(struct probe *p, const struct want_probe *want)
{
	struct item *item = item_find(p, &want->key);
	struct want_probe clean;

	want_probe_clean(&clean, want);
	if (!item)
		item = item_new(p, &want->key);
	item->seen = true;
	if (!item->dead && !item->found &&
	    memcmp(&item->want, &clean, sizeof(clean)) == 0)
		return;
	item->want = clean;
	item->dead = item->found = false;
	enqueue(p, item);
}

static void item_kill(struct probe *p, struct item *item)
{
	memset(&item->state, 0, sizeof(item->state));
	item->dead = true;
	enqueue(p, item);
}

void probe_end(struct probe *p, uint32_t vni)
{
	for (struct item *item = p->items; item; item = item->hh.next)
		if (item->want.key.vni == vni && !item->seen && !item->dead)
			item_kill(p, item);
}

void probe_sweep(struct probe *p)
{
	for (struct item *item = p->items; item; item = item->hh.next)
		if (item->found && !item->dead)
			item_kill(p, item);
}

struct probe_state probe_state(const struct probe *p,
			       const struct probe_key *key)
{
	const struct item *item = item_find(p, key);

	return item && !item->dead ? item->state : (struct probe_state){ 0 };
}

void probe_reason_text(const struct probe_state *state, char *buf, size_t size)
{
	static const char *const words[] = {
		[PROBE_REASON_NONE] = "not checked yet",
		[PROBE_REASON_CONNECTED] = "connected",
		[PROBE_REASON_REFUSED] = "connection refused",
		[PROBE_REASON_TIMEOUT] = "no answer in time",
		[PROBE_REASON_UNREACHABLE] = "unreachable",
		[PROBE_REASON_CLOSED] = "closed without an answer",
		[PROBE_REASON_NOT_HTTP] = "the answer is not HTTP",
		[PROBE_REASON_HTTP] = "HTTP status",
		[PROBE_REASON_LOCAL] = "cannot check",
	};

	_Static_assert(ARRAY_LEN(words) == PROBE_REASON_MAX, "words for each");
	if (state->reason == PROBE_REASON_HTTP)
		snprintf(buf, size, "HTTP status %u", state->detail);
	else if (state->reason == PROBE_REASON_LOCAL)
		snprintf(buf, size, "cannot check: %s",
			 strerror((int)state->detail));
	else
		snprintf(buf, size, "%s", words[state->reason]);
}
