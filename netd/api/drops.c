/* SPDX-License-Identifier: Apache-2.0 */
#include "drops.h"

#include <ev.h>
#include <time.h>
#include <utlist.h>

#include "call.h"
#include "drop_sample.h"
#include "json.h"
#include "lag.h"
#include "lines.h"
#include "netd/util.h"

/* Samples that the list of counters shows of each reason. */
#define RECENT_SHOWN 4
/* Samples that are put into words for one watcher in one turn of the loop:
 * each may look through all pods of a network. */
#define WORDS_TURN 16

struct kept {
	/* One more than that of the sample before it, whatever its reason. */
	uint64_t number;
	int64_t at_ms;
	struct ebpf_sample sample;
};

/* Sample N of a reason is at N % DROPS_KEPT. */
struct reason {
	const char *name;
	uint64_t count;
	struct kept kept[DROPS_KEPT];
	struct reason *next;
};

struct watcher {
	struct drops *drops;
	struct http_request *req;
	json_t *filter;
	/* The sample it gets next. */
	uint64_t at;
	/* It has had its share of this turn. */
	unsigned int turn;
	bool follow;
	struct lines lines;
	struct watcher *prev, *next;
};

struct drops {
	struct ev_loop *loop;
	const struct model *m;
	struct ebpf *bpf;
	struct ev_io io;
	/* Some watcher has not had all there is. */
	struct ev_timer again;
	struct reason *reasons;
	uint64_t next;
	struct watcher *watchers;
};

/* ---- what is kept ---- */

static int64_t real_ms(uint64_t boot_ns)
{
	struct timespec ts;
	int64_t now;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	return event_now() - (now - (int64_t)boot_ns) / 1000000;
}

static struct reason *reason_get(struct drops *drops, const char *name)
{
	struct reason *r;

	LL_FOREACH (drops->reasons, r)
		if (str_eq(r->name, name))
			return r;
	r = xzalloc(sizeof(*r));
	r->name = name;
	LL_PREPEND(drops->reasons, r);
	return r;
}

void drops_add(struct drops *drops, const struct ebpf_sample *sample)
{
	struct reason *r = reason_get(drops, sample->reason);

	r->kept[r->count++ % DROPS_KEPT] = (struct kept){
		.number = drops->next++,
		.at_ms = real_ms(sample->time),
		.sample = *sample,
	};
}

static uint64_t reason_oldest(const struct reason *r)
{
	return r->count > DROPS_KEPT ? r->count - DROPS_KEPT : 0;
}

/* The first kept sample with this number or a higher one, or NULL. */
static const struct kept *kept_from(const struct drops *drops, uint64_t number)
{
	const struct kept *first = NULL;
	struct reason *r;

	LL_FOREACH (drops->reasons, r) {
		for (uint64_t n = reason_oldest(r); n < r->count; n++) {
			const struct kept *k = &r->kept[n % DROPS_KEPT];

			if (k->number < number)
				continue;
			if (!first || k->number < first->number)
				first = k;
			break;
		}
	}
	return first;
}

static json_t *kept_json(const struct drops *drops, const struct kept *k)
{
	return drop_sample_json(drops->m, &k->sample, k->at_ms);
}

/* ---- counters ---- */

static json_t *recent_json(const struct drops *drops, const char *reason)
{
	json_t *list = json_array();
	struct reason *r;
	uint64_t n;

	LL_FOREACH (drops->reasons, r) {
		if (!str_eq(r->name, reason))
			continue;
		n = r->count > RECENT_SHOWN ? r->count - RECENT_SHOWN : 0;
		for (; n < r->count; n++)
			json_array_append_new(
				list,
				kept_json(drops, &r->kept[n % DROPS_KEPT]));
	}
	return list;
}

struct listing {
	const struct drops *drops;
	json_t *list;
};

static void list_count(void *arg, const struct ebpf_drop_count *count)
{
	const struct listing *l = arg;

	json_array_append_new(l->list,
			      json_pack("{s:s, s:s, s:I, s:I, s:o}", "reason",
					count->reason, "meaning",
					count->meaning, "packets",
					(json_int_t)count->packets, "unseen",
					(json_int_t)count->unseen, "recent",
					recent_json(l->drops, count->reason)));
}

enum ops_next op_drops(struct call *call)
{
	const struct drops *drops = call_drops(call);
	struct listing l = { drops, json_array() };

	if (drops->bpf)
		ebpf_drops_each(drops->bpf, list_count, &l);
	call->reply = l.list;
	return OPS_REPLY;
}

/* ---- watchers ---- */

static char *text_line(json_t *taken)
{
	AUTO(json_freep) json_t *doc = taken;
	AUTO(str_freep) char *text = json_dumps(doc, JSON_COMPACT);

	return xasprintf("%s\n", text);
}

static char *next_line(void *arg)
{
	struct watcher *w = arg;
	const struct kept *k;

	while ((k = kept_from(w->drops, w->at))) {
		AUTO(json_freep) json_t *doc = NULL;
		uint64_t lost = k->number - w->at;

		if (w->turn++ >= WORDS_TURN) {
			ev_timer_start(w->drops->loop, &w->drops->again);
			return NULL;
		}
		w->at = k->number;
		if (lost)
			return text_line(
				json_pack("{s:I, s:s}", "lost",
					  (json_int_t)lost, "message",
					  "samples that were not read before "
					  "others took their place"));
		w->at++;
		doc = kept_json(w->drops, k);
		if (drop_filter_match(w->filter, doc))
			return text_line(take_ptr(doc));
	}
	return NULL;
}

static ssize_t watcher_fill(void *arg, char *buf, size_t size)
{
	struct watcher *w = arg;
	size_t used;

	w->turn = 0;
	used = lines_fill(&w->lines, buf, size, next_line, w);
	if (used || w->follow || w->turn > WORDS_TURN)
		return (ssize_t)used;
	return HTTP_STREAM_END;
}

static void watcher_gone(void *arg)
{
	struct watcher *w = arg;

	DL_DELETE(w->drops->watchers, w);
	json_decref(w->filter);
	lines_clear(&w->lines);
	free(w);
}

void drops_tell(struct drops *drops)
{
	struct watcher *w;

	DL_FOREACH (drops->watchers, w)
		http_stream_more(w->req);
}

static void again_cb(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	LAG(LAG_DROPS);
	(void)loop, (void)revents;
	drops_tell(container_of(timer, struct drops, again));
}

/* What is kept begins where nothing was forgotten yet. */
static uint64_t first_kept(const struct drops *drops)
{
	const struct kept *k = kept_from(drops, 0);

	return k ? k->number : drops->next;
}

enum ops_next op_drops_watch(struct call *call)
{
	struct drops *drops = call_drops(call);
	struct watcher *w;

	if (drop_filter_check(call_list(call, "filter"), &call->refusal))
		return OPS_REFUSE;
	if (!call->req) {
		refuse(&call->refusal, API_UNSUPPORTED, NULL, "",
		       "nobody is there to watch");
		return OPS_REFUSE;
	}
	w = xzalloc(sizeof(*w));
	w->drops = drops;
	w->req = call->req;
	w->filter = json_incref(call_list(call, "filter"));
	w->at = call_bool(call, "recent") ? first_kept(drops) : drops->next;
	w->follow = !call_bool(call, "no_follow");
	DL_APPEND(drops->watchers, w);
	if (http_stream(call->req, "application/x-ndjson", watcher_fill,
			watcher_gone, w)) {
		watcher_gone(w);
		refuse(&call->refusal, API_EXHAUSTED, NULL,
		       "end another `netctl drops --watch`", "%d watch already",
		       HTTP_STREAMS_MAX);
		return OPS_REFUSE;
	}
	return OPS_TAKEN;
}

/* ---- from the kernel ---- */

static void on_sample(void *arg, const struct ebpf_sample *sample)
{
	drops_add(arg, sample);
}

/* What this turn leaves is there for the next. */
static void io_cb(struct ev_loop *loop, struct ev_io *io, int revents)
{
	LAG(LAG_DROPS);
	struct drops *drops = container_of(io, struct drops, io);

	(void)loop, (void)revents;
	ebpf_samples_read(drops->bpf, on_sample, drops);
	drops_tell(drops);
}

struct drops *drops_new(struct ev_loop *loop, const struct model *m,
			struct ebpf *bpf)
{
	struct drops *drops = xzalloc(sizeof(*drops));

	drops->loop = loop;
	drops->m = m;
	drops->bpf = bpf;
	ev_timer_init(&drops->again, again_cb, 0., 0.);
	if (bpf) {
		ev_io_init(&drops->io, io_cb, ebpf_samples_fd(bpf), EV_READ);
		ev_io_start(loop, &drops->io);
	}
	return drops;
}

void drops_free(struct drops *drops)
{
	struct reason *r, *tmp;

	if (!drops)
		return;
	ev_timer_stop(drops->loop, &drops->again);
	if (drops->bpf)
		ev_io_stop(drops->loop, &drops->io);
	LL_FOREACH_SAFE (drops->reasons, r, tmp)
		free(r);
	free(drops);
}
