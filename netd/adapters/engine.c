/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One round: ask the version, open the stream of events, list. The stream is
 * asked for from the moment before on (since=), and the engine keeps its last
 * events, so that nothing falls between stream and list. Asking about a
 * container waits DEBOUNCE_S: compose starts and connects in bursts.
 */
#include "engine.h"

#include <ev.h>
#include <time.h>

#include "fetch.h"
#include "json.h"
#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"

#define DEBOUNCE_S 0.1
/* After a failure: doubled each time, up to the last. */
#define RETRY_MIN_S 0.5
#define RETRY_MAX_S 10.
/* A container whose answer made no sense, or did not come. */
#define ASK_AGAIN_S 2.

#define ANSWER_MS 10000
#define ASKS_AT_ONCE 4

#define VERSION_MAX (64 * 1024)
#define LINE_MAX_LEN (8 * 1024 * 1024)
#define LIST_MAX_LEN (64 * 1024 * 1024)
#define INSPECT_MAX_LEN (8 * 1024 * 1024)

/* The version of the API that these requests are of; a newer engine that has
 * forgotten it says what it still knows. */
#define API_OURS "1.41"

/* {"type":["container","network"],"event":[..]}, percent-encoded. */
#define EVENTS_FILTER                                                          \
	"%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%2C"             \
	"%22event%22%3A%5B%22start%22%2C%22die%22%2C%22destroy%22%2C"          \
	"%22health_status%22%2C%22rename%22%2C%22pause%22%2C%22unpause%22%2C"  \
	"%22connect%22%2C%22disconnect%22%5D%7D"
/* {"status":["running","paused"]} */
#define LIST_FILTER "%7B%22status%22%3A%5B%22running%22%2C%22paused%22%5D%7D"

/* A container to ask about. */
struct ask {
	struct engine *engine;
	char id[CONTAINER_ID_LEN];
	struct fetch_call *call;
	/* Something happened to it while the answer was on its way. */
	bool again;
	bool failed;
	UT_hash_handle hh;
};

struct engine {
	struct ev_loop *loop;
	struct engine_hooks hooks;
	char *path;
	struct fetch *fetch;
	struct fetch_call *version, *events, *list;
	char api[16];
	struct ask *asks;
	size_t asking;
	ev_timer retry, debounce, again;
	double wait;
	bool is_up, is_listed;
};

static void engine_work(struct engine *e);

/* ---- requests ---- */

static int engine_get(struct engine *e, const char *path, size_t max,
		      void (*line)(void *arg, const char *line, size_t len),
		      void (*done)(void *arg, const struct fetch_reply *reply),
		      void *arg, struct fetch_call **ret)
{
	AUTO(str_freep) char *url = xasprintf("http://docker%s", path);
	struct fetch_request req = {
		.url = url,
		.unix_path = e->path,
		.connect_ms = ANSWER_MS,
		.timeout_ms = line ? 0 : ANSWER_MS,
		.max = max,
		.line = line,
		.done = done,
		.arg = arg,
	};

	return fetch_start(e->fetch, &req, ret);
}

/* Why a reply is none, or NULL. */
static const char *trouble(const struct fetch_reply *reply, char buf[128])
{
	if (reply->err)
		return reply->error;
	if (reply->status == 200)
		return NULL;
	snprintf(buf, 128, "it answered HTTP %d: %.80s", reply->status,
		 reply->body);
	return buf;
}

/* ---- away ---- */

static void asks_free(struct engine *e)
{
	struct ask *ask, *tmp;

	HASH_ITER (hh, e->asks, ask, tmp) {
		HASH_DEL(e->asks, ask);
		fetch_cancel(ask->call);
		free(ask);
	}
	e->asking = 0;
}

static void hang_up(struct engine *e)
{
	fetch_cancel(take_ptr(e->version));
	fetch_cancel(take_ptr(e->events));
	fetch_cancel(take_ptr(e->list));
	asks_free(e);
	ev_timer_stop(e->loop, &e->debounce);
	ev_timer_stop(e->loop, &e->again);
	e->is_up = e->is_listed = false;
}

static void engine_lost(struct engine *e, const char *why)
{
	AUTO(str_freep) char *text = xstrdup(why);

	hang_up(e);
	ev_timer_set(&e->retry, e->wait, 0.);
	ev_timer_start(e->loop, &e->retry);
	e->wait = MIN(e->wait * 2, RETRY_MAX_S);
	e->hooks.state(e->hooks.arg, false, text);
}

/* ---- asking about containers ---- */

static void ask_free(struct ask *ask)
{
	HASH_DEL(ask->engine->asks, ask);
	free(ask);
}

static void ask_failed(struct ask *ask, const char *why)
{
	struct engine *e = ask->engine;

	log_warn_limited("docker: container not understood id=%.12s: %s",
			 ask->id, why);
	ask->failed = true;
	if (!ev_is_active(&e->again)) {
		ev_timer_set(&e->again, ASK_AGAIN_S, 0.);
		ev_timer_start(e->loop, &e->again);
	}
}

static void ask_answered(struct ask *ask, const struct fetch_reply *reply)
{
	struct engine *e = ask->engine;
	struct container *c = NULL;
	char why[128], id[CONTAINER_ID_LEN];
	const char *wrong = trouble(reply, why);
	int err = wrong ? -EIO : container_read(reply->body, reply->len, &c);

	memcpy(id, ask->id, sizeof(id));
	if (!err && !str_eq(c->id, id)) {
		container_free(c);
		err = -EINVAL;
	}
	if (err == -ENOENT || (!reply->err && reply->status == 404)) {
		ask_free(ask);
		e->hooks.gone(e->hooks.arg, id);
	} else if (err) {
		ask_failed(ask, wrong ? wrong : "its description is none");
	} else {
		ask_free(ask);
		e->hooks.seen(e->hooks.arg, c);
	}
}

static void on_container(void *arg, const struct fetch_reply *reply)
{
	struct ask *ask = arg;
	struct engine *e = ask->engine;

	ask->call = NULL;
	e->asking--;
	if (!ask->again)
		ask_answered(ask, reply);
	else
		ask->again = false;
	engine_work(e);
}

/* As many at a time as do not disturb the engine. */
static void engine_work(struct engine *e)
{
	struct ask *ask;
	char path[160];

	for (ask = e->asks; ask && e->asking < ASKS_AT_ONCE;
	     ask = ask->hh.next) {
		if (ask->call || ask->failed)
			continue;
		snprintf(path, sizeof(path), "/v%s/containers/%s/json", e->api,
			 ask->id);
		if (engine_get(e, path, INSPECT_MAX_LEN, NULL, on_container,
			       ask, &ask->call))
			return;
		e->asking++;
	}
}

static void ask_about(struct engine *e, const char *id)
{
	struct ask *ask;

	if (!container_id_is_valid(id))
		return;
	HASH_FIND_STR(e->asks, id, ask);
	if (!ask) {
		ask = xzalloc(sizeof(*ask));
		ask->engine = e;
		str_copy(ask->id, sizeof(ask->id), id);
		HASH_ADD_STR(e->asks, id, ask);
	}
	ask->again = ask->call != NULL;
	ask->failed = false;
	if (!ev_is_active(&e->debounce)) {
		ev_timer_set(&e->debounce, DEBOUNCE_S, 0.);
		ev_timer_start(e->loop, &e->debounce);
	}
}

static void on_debounce(struct ev_loop *loop, ev_timer *w, int revents)
{
	LAG(LAG_DOCKER);
	(void)loop, (void)revents;
	engine_work(container_of(w, struct engine, debounce));
}

static void on_again(struct ev_loop *loop, ev_timer *w, int revents)
{
	LAG(LAG_DOCKER);
	struct engine *e = container_of(w, struct engine, again);

	(void)loop, (void)revents;
	for (struct ask *ask = e->asks; ask; ask = ask->hh.next)
		ask->failed = false;
	engine_work(e);
}

bool engine_is_whole(const struct engine *e)
{
	return e->is_listed && !e->asks;
}

/* ---- the list and the events ---- */

static void on_list(void *arg, const struct fetch_reply *reply)
{
	struct engine *e = arg;
	AUTO(json_freep) json_t *doc = NULL;
	AUTO(json_freep) json_t *ids = json_object();
	const char *id;
	char why[128];
	const char *wrong = trouble(reply, why);
	json_t *item;
	size_t i;

	e->list = NULL;
	if (!wrong) {
		doc = json_loadb(reply->body, reply->len, 0, NULL);
		if (!json_is_array(doc))
			wrong = "its list of containers is none";
	}
	if (wrong) {
		engine_lost(e, wrong);
		return;
	}
	json_array_foreach (doc, i, item) {
		id = json_string_value(json_object_get(item, "Id"));
		if (id && container_id_is_valid(id))
			json_object_set_new(ids, id, json_true());
	}
	e->is_listed = true;
	e->wait = RETRY_MIN_S;
	e->hooks.listed(e->hooks.arg, ids);
	json_object_foreach (ids, id, item)
		ask_about(e, id);
}

/* What an event says is not believed: it says whom to ask about. */
static void on_event(void *arg, const char *line, size_t len)
{
	struct engine *e = arg;
	AUTO(json_freep) json_t *doc = json_loadb(line, len, 0, NULL);
	json_t *actor = json_object_get(doc, "Actor");
	const char *type = json_string_value(json_object_get(doc, "Type"));
	const char *id = json_string_value(json_object_get(actor, "ID"));

	if (type && str_eq(type, "network"))
		id = json_string_value(json_object_get(
			json_object_get(actor, "Attributes"), "container"));
	if (id)
		ask_about(e, id);
}

static void on_events_end(void *arg, const struct fetch_reply *reply)
{
	struct engine *e = arg;
	char why[128];
	const char *wrong = trouble(reply, why);

	e->events = NULL;
	engine_lost(e, wrong ? wrong : "it ended the stream of events");
}

static void follow(struct engine *e)
{
	AUTO(str_freep) char *events = NULL;
	AUTO(str_freep) char *list = NULL;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	events = xasprintf("/v%s/events?since=%lld.%09ld&filters=%s", e->api,
			   (long long)now.tv_sec, now.tv_nsec, EVENTS_FILTER);
	list = xasprintf("/v%s/containers/json?filters=%s", e->api,
			 LIST_FILTER);
	if (engine_get(e, events, LINE_MAX_LEN, on_event, on_events_end, e,
		       &e->events) ||
	    engine_get(e, list, LIST_MAX_LEN, NULL, on_list, e, &e->list))
		engine_lost(e, "the requests cannot be made");
}

/* ---- the version ---- */

/* "1.41" as 1041; 0: it is none. */
static unsigned int version_number(const char *text)
{
	unsigned int major, minor;
	int n = 0;

	if (!text || sscanf(text, "%1u.%3u%n", &major, &minor, &n) != 2 ||
	    text[n])
		return 0;
	return major * 1000 + minor;
}

/* Ours, unless the engine is too old or has forgotten it. */
static int pick_api(struct engine *e, json_t *doc)
{
	const char *newest =
		json_string_value(json_object_get(doc, "ApiVersion"));
	const char *oldest =
		json_string_value(json_object_get(doc, "MinAPIVersion"));
	const char *pick = API_OURS;

	if (!version_number(newest))
		return -EINVAL;
	if (version_number(newest) < version_number(API_OURS))
		pick = newest;
	if (version_number(oldest) > version_number(API_OURS))
		pick = oldest;
	str_copy(e->api, sizeof(e->api), pick);
	return 0;
}

static void on_version(void *arg, const struct fetch_reply *reply)
{
	struct engine *e = arg;
	AUTO(json_freep) json_t *doc = NULL;
	const char *name;
	char why[128];
	const char *wrong = trouble(reply, why);

	e->version = NULL;
	if (!wrong) {
		doc = json_loadb(reply->body, reply->len, 0, NULL);
		if (pick_api(e, doc))
			wrong = "it names no version of its API";
	}
	if (wrong) {
		engine_lost(e, wrong);
		return;
	}
	name = json_string_value(json_object_get(doc, "Version"));
	e->is_up = true;
	e->hooks.state(e->hooks.arg, true, name ? name : "");
	follow(e);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
	LAG(LAG_DOCKER);
	struct engine *e = container_of(w, struct engine, retry);

	(void)loop, (void)revents;
	if (engine_get(e, "/version", VERSION_MAX, NULL, on_version, e,
		       &e->version))
		engine_lost(e, "the request cannot be made");
}

/* ---- open and close ---- */

int engine_open(struct ev_loop *loop, const char *host,
		const struct engine_hooks *hooks, struct engine **ret)
{
	const char *path = str_after(host, "unix://");
	struct engine *e;
	int err;

	if (!path)
		return -EINVAL;
	e = xzalloc(sizeof(*e));
	err = fetch_open(loop, NULL, &e->fetch);
	if (err) {
		free(e);
		return err;
	}
	e->loop = loop;
	e->hooks = *hooks;
	e->path = xstrdup(path);
	e->wait = RETRY_MIN_S;
	ev_timer_init(&e->retry, on_retry, 0., 0.);
	ev_init(&e->debounce, on_debounce);
	ev_init(&e->again, on_again);
	ev_timer_start(loop, &e->retry);
	*ret = e;
	return 0;
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	hang_up(e);
	ev_timer_stop(e->loop, &e->retry);
	fetch_close(e->fetch);
	free(e->path);
	free(e);
}
