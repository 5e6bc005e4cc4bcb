/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists: `next` is what was given and waits, `now` is what the thread is
 * at. The thread takes all of `next` at once, and says with an event of the
 * loop that it is done. The loop alone counts, so that what is gone for its
 * users changes between their calls only.
 *
 * A link that could not be deleted is not tried again here: it still carries
 * netd's mark, and the next audit hands it over anew.
 */
#include "reaper.h"

#include <ev.h>

#include "netd/log.h"
#include "netd/util.h"
#include "nl.h"
#include "thread.h"

struct links {
	uint32_t *ifindex;
	size_t len;
};

struct reaper {
	struct ev_loop *loop;
	struct ev_async done;
	struct nl *nl;
	pthread_t thread;

	/* Of both sides, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct links next;
	struct links now;
	uint64_t finished;
	int err;
	char error[256];
	bool ends;

	/* The loop's. */
	uint64_t given;
	uint64_t gone;
	void (*fn)(void *arg);
	void *arg;
};

static void links_add(struct links *l, uint32_t ifindex)
{
	/* Powers of two: grown at 1, 2, 4, 8 ... */
	if (!(l->len & (l->len - 1)))
		l->ifindex = xrealloc(l->ifindex,
				      MAX(2 * l->len, 1) * sizeof(*l->ifindex));
	l->ifindex[l->len++] = ifindex;
}

static bool links_have(const struct links *l, uint32_t ifindex)
{
	for (size_t i = 0; i < l->len; i++)
		if (l->ifindex[i] == ifindex)
			return true;
	return false;
}

/* One alone costs one request less. */
static int links_delete(struct nl *nl, const struct links *l)
{
	return l->len == 1 ? nl_link_del(nl, l->ifindex[0])
			   : nl_link_del_many(nl, l->ifindex, l->len);
}

static void take_next(struct reaper *r)
{
	r->now = r->next;
	r->next = (struct links){ 0 };
}

static void *reaper_run(void *arg)
{
	struct reaper *r = arg;
	int err;

	pthread_mutex_lock(&r->lock);
	while (r->next.len || !r->ends) {
		if (!r->next.len) {
			pthread_cond_wait(&r->changed, &r->lock);
			continue;
		}
		take_next(r);
		pthread_mutex_unlock(&r->lock);
		err = links_delete(r->nl, &r->now);
		pthread_mutex_lock(&r->lock);
		if (err) {
			r->err = err;
			str_copy(r->error, sizeof(r->error), nl_error(r->nl));
		}
		r->finished += r->now.len;
		free(r->now.ifindex);
		r->now = (struct links){ 0 };
		pthread_cond_broadcast(&r->changed);
		ev_async_send(r->loop, &r->done);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* What the thread has finished is gone for everybody from here on. */
static void reaper_count(struct reaper *r)
{
	char error[sizeof(r->error)];
	int err;

	pthread_mutex_lock(&r->lock);
	err = r->err;
	memcpy(error, r->error, sizeof(error));
	r->err = 0;
	r->gone = r->finished;
	pthread_mutex_unlock(&r->lock);
	if (err)
		log_warn_limited("kernel: cannot delete links: %s: %s",
				 strerror(-err), error);
}

static void done_cb(struct ev_loop *loop, struct ev_async *w, int revents)
{
	struct reaper *r = container_of(w, struct reaper, done);

	(void)loop;
	(void)revents;
	reaper_count(r);
	if (r->fn)
		r->fn(r->arg);
}

int reaper_new(struct ev_loop *loop, struct reaper **ret)
{
	struct reaper *r = xzalloc(sizeof(*r));
	int err = nl_open(&r->nl);

	r->loop = loop;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	ev_async_init(&r->done, done_cb);
	if (!err)
		err = thread_start(&r->thread, reaper_run, r);
	if (err) {
		nl_free(r->nl);
		free(r);
		return err;
	}
	ev_async_start(loop, &r->done);
	/* It alone keeps no loop running. */
	ev_unref(loop);
	*ret = r;
	return 0;
}

void reaper_free(struct reaper *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->ends = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	ev_ref(r->loop);
	ev_async_stop(r->loop, &r->done);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	nl_free(r->nl);
	free(r);
}

void reaper_add(struct reaper *r, uint32_t ifindex)
{
	pthread_mutex_lock(&r->lock);
	links_add(&r->next, ifindex);
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	r->given++;
}

bool reaper_has(struct reaper *r, uint32_t ifindex)
{
	bool has;

	pthread_mutex_lock(&r->lock);
	has = links_have(&r->now, ifindex) || links_have(&r->next, ifindex);
	pthread_mutex_unlock(&r->lock);
	return has;
}

uint64_t reaper_given(const struct reaper *r)
{
	return r->given;
}

uint64_t reaper_gone(const struct reaper *r)
{
	return r->gone;
}

void reaper_watch(struct reaper *r, void (*fn)(void *arg), void *arg)
{
	r->fn = fn;
	r->arg = arg;
}

void reaper_wait(struct reaper *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->finished != r->given)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}
