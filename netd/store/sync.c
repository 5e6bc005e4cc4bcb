/* SPDX-License-Identifier: Apache-2.0 */
#include "sync.h"

#include <ev.h>
#include <unistd.h>

#include "netd/util.h"
#include "thread.h"

struct sync {
	struct ev_loop *loop;
	struct ev_async done_io;
	void (*done)(void *arg, int err);
	void *arg;
	pthread_t thread;

	/* Of both sides, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Which file waits; -1: none. */
	int fd;
	bool is_done;
	int err;
	bool ends;
};

static void *sync_run(void *arg)
{
	struct sync *s = arg;
	int fd, err;

	pthread_mutex_lock(&s->lock);
	while (!s->ends) {
		fd = s->fd;
		if (fd < 0) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		err = fdatasync(fd) ? -errno : 0;
		pthread_mutex_lock(&s->lock);
		s->fd = -1;
		s->err = err;
		s->is_done = true;
		ev_async_send(s->loop, &s->done_io);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void on_done(struct ev_loop *loop, struct ev_async *w, int revents)
{
	struct sync *s = container_of(w, struct sync, done_io);
	bool is_done;
	int err;

	(void)loop;
	(void)revents;
	pthread_mutex_lock(&s->lock);
	is_done = s->is_done;
	s->is_done = false;
	err = s->err;
	pthread_mutex_unlock(&s->lock);
	if (is_done)
		s->done(s->arg, err);
}

static void sync_destroy(struct sync *s)
{
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int sync_new(struct ev_loop *loop, void (*done)(void *arg, int err), void *arg,
	     struct sync **ret)
{
	struct sync *s = xzalloc(sizeof(*s));
	int err;

	s->loop = loop;
	s->done = done;
	s->arg = arg;
	s->fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	ev_async_init(&s->done_io, on_done);
	err = thread_start(&s->thread, sync_run, s);
	if (err) {
		sync_destroy(s);
		return err;
	}
	ev_async_start(loop, &s->done_io);
	/* It alone keeps no loop running. */
	ev_unref(loop);
	*ret = s;
	return 0;
}

void sync_free(struct sync *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ends = true;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	ev_ref(s->loop);
	ev_async_stop(s->loop, &s->done_io);
	sync_destroy(s);
}

void sync_start(struct sync *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	s->fd = fd;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}
