/* SPDX-License-Identifier: Apache-2.0 */
#include "child_link.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"

/* Messages told, or heard, before the loop looks at its other watchers. */
#define MESSAGES 128
/* Died sooner than this: the next start waits, twice as long each time. */
#define SOON_MS 5000
#define BACKOFF_MIN .1
#define BACKOFF_MAX 10.

static void link_down(struct child_link *link)
{
	if (link->fd < 0)
		return;
	ev_io_stop(link->loop, &link->reader);
	ev_io_stop(link->loop, &link->writer);
	close(take_fd(link->fd));
	link->pid = 0;
	link->ops->down(link->arg);
}

static void link_up(struct child_link *link, int fd, pid_t pid, bool adopted)
{
	link->fd = fd;
	link->pid = pid;
	link->started = mono_ms();
	ev_io_set(&link->reader, fd, EV_READ);
	ev_io_set(&link->writer, fd, EV_WRITE);
	ev_io_start(link->loop, &link->reader);
	link->ops->up(link->arg, adopted);
	child_link_changed(link);
}

static void restart_later(struct child_link *link)
{
	link->backoff = MIN(MAX(link->backoff * 2, BACKOFF_MIN), BACKOFF_MAX);
	ev_timer_stop(link->loop, &link->restart);
	ev_timer_set(&link->restart, link->backoff, 0.);
	ev_timer_start(link->loop, &link->restart);
}

static void restart(struct child_link *link)
{
	if (child_link_start(link))
		restart_later(link);
}

static void on_restart(struct ev_loop *loop, ev_timer *w, int revents)
{
	LAG(LAG_CHILDREN);
	(void)loop;
	(void)revents;
	restart(w->data);
}

static void link_lost(struct child_link *link, int err)
{
	/* One that lives and is not understood must not go on. */
	if (err != -ECONNRESET && err != -EPIPE && link->pid > 1)
		kill(link->pid, SIGKILL);
	log_warn("%s is gone and started again pid=%d error=%d",
		 link->ops->what, link->pid, err);
	link_down(link);
	if (mono_ms() - link->started < SOON_MS) {
		restart_later(link);
		return;
	}
	link->backoff = 0;
	restart(link);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	LAG(LAG_CHILDREN);
	struct child_link *link = w->data;

	(void)revents;
	for (int i = 0; i < MESSAGES; i++) {
		int err = link->ops->tell(link->arg, link->fd);

		if (err == -EAGAIN)
			return;
		if (err == 1) {
			ev_io_stop(loop, &link->writer);
			return;
		}
		if (err) {
			link_lost(link, err);
			return;
		}
	}
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	LAG(LAG_CHILDREN);
	struct child_link *link = w->data;
	int err = 0;

	(void)loop;
	(void)revents;
	for (int i = 0; i < MESSAGES && !err; i++)
		err = link->ops->hear(link->arg, link->fd);
	if (err && err != -EAGAIN)
		link_lost(link, err);
}

void child_link_init(struct child_link *link, struct ev_loop *loop,
		     const struct child_link_ops *ops, void *arg)
{
	*link = (struct child_link){
		.loop = loop, .ops = ops, .arg = arg, .fd = -1
	};
	ev_init(&link->reader, on_readable);
	ev_init(&link->writer, on_writable);
	ev_init(&link->restart, on_restart);
	link->reader.data = link->writer.data = link->restart.data = link;
}

int child_link_start(struct child_link *link)
{
	pid_t pid;
	int fd;
	int err = link->ops->start(link->arg, &pid, &fd);

	if (err) {
		log_warn_limited("%s does not start error=%d", link->ops->what,
				 err);
		return err;
	}
	link_up(link, fd, pid, false);
	log_info("%s started pid=%d", link->ops->what, pid);
	return 0;
}

void child_link_adopt(struct child_link *link, int fd, pid_t pid)
{
	link_up(link, fd, pid, true);
	log_info("%s adopted pid=%d", link->ops->what, pid);
}

void child_link_changed(struct child_link *link)
{
	if (link->fd >= 0)
		ev_io_start(link->loop, &link->writer);
}

void child_link_close(struct child_link *link)
{
	link_down(link);
	ev_timer_stop(link->loop, &link->restart);
}
