/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An etcd cluster by its JSON gateway, one endpoint at a time:
 *
 *   away -> identify -> snapshot -> watch -> up -> away ...
 *
 * identify reads the key that says whose store it is and refuses one that is
 * not the mirror's; snapshot reads the prefix at one revision and takes the
 * difference to the mirror; watch goes on from there. After a short absence
 * snapshot is left out and the watch resumes where it was. While up, a small
 * read every two seconds on another connection tells a store that hangs from
 * one that is quiet: a connection whose other end is frozen never ends.
 */
#include "etcd.h"

#include <stdarg.h>
#include <sys/random.h>
#include <time.h>

#include "netd/log.h"

#define ETCD_BACKOFF_MIN 0.1
#define ETCD_BACKOFF_MAX 2.0
/* Up for so long, the next absence begins with the shortest wait. */
#define ETCD_STEADY_MS 10000
/* How often the file is told that its content is current. */
#define ETCD_PROOF_SAVE_MS 60000

static const char *const phase_names[] = {
	[ETCD_AWAY] = "away",
	[ETCD_IDENTIFY] = "identify",
	[ETCD_SNAPSHOT] = "snapshot",
	[ETCD_WATCH] = "watch",
	[ETCD_UP] = "up",
};
_Static_assert(ARRAY_LEN(phase_names) == ETCD_UP + 1, "a name for each");

static const char *etcd_endpoint(const struct etcd *etcd)
{
	return etcd->endpoints[etcd->endpoint];
}

/* "192.0.2.250:2379" */
static const char *etcd_host(const struct etcd *etcd)
{
	const char *url = etcd_endpoint(etcd);
	const char *at = strstr(url, "://");

	return at ? at + 3 : url;
}

int etcd_post(struct etcd *etcd, const char *path, char *body,
	      uint32_t timeout_ms, etcd_reply_fn *done, void *arg,
	      struct fetch_call **ret)
{
	AUTO(str_freep)
	char *url = xasprintf("%s%s", etcd_endpoint(etcd), path);
	struct fetch_request req = {
		.url = url,
		.body = body,
		.timeout_ms = timeout_ms,
		/* A frozen path may have left more than one line behind. */
		.reuse_ms = (uint32_t)MIN(MAX(mono_ms() - etcd->attempt, 1),
					  INT32_MAX),
		.max = ETCD_REPLY_MAX,
		.done = done,
		.arg = arg,
	};
	int err = fetch_start(etcd->fetch, &req, ret);

	free(body);
	return err;
}

bool etcd_reply_is_good(const struct fetch_reply *reply)
{
	return !reply->err && reply->status == 200;
}

void etcd_reply_error(const struct fetch_reply *reply, struct etcd_error *ret)
{
	*ret = (struct etcd_error){ 0 };
	if (reply->err) {
		snprintf(ret->text, sizeof(ret->text), "%s", reply->error);
		return;
	}
	etcd_json_parse_error(reply->body, reply->len, ret);
	if (!ret->text[0])
		snprintf(ret->text, sizeof(ret->text),
			 "no answer of etcd's JSON gateway (HTTP %d)",
			 reply->status);
}

static void etcd_set_state(struct etcd *etcd, enum store_state state)
{
	static struct log_limit limit;
	bool is_news = etcd->state != state;

	etcd->state = state;
	if (!is_news)
		return;
	switch (state) {
	case STORE_STARTING:
		break;
	case STORE_UP:
		if (log_allow(&limit, 5, 60000))
			log_info("store: up endpoint=%s revision=%lld",
				 etcd_host(etcd), (long long)etcd->store->rev);
		break;
	case STORE_MIRROR:
		log_warn_limited("store: away, mirror of revision %lld "
				 "error=\"%s\"",
				 (long long)etcd->store->rev, etcd->error);
		break;
	case STORE_FOREIGN:
		log_err("store: not the mirror's store, nothing is applied "
			"error=\"%s\"",
			etcd->error);
		break;
	}
}

/* Between half and the whole of it, so that many nodes do not come at once. */
static double jitter(double wait)
{
	uint16_t dice = 0;

	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) < 0)
		dice = (uint16_t)mono_ms();
	return wait * (0.5 + (double)dice / UINT16_MAX / 2);
}

static void etcd_retry(struct etcd *etcd)
{
	struct ev_loop *loop = etcd->store->loop;

	if (etcd->up_since && mono_ms() - etcd->up_since > ETCD_STEADY_MS)
		etcd->backoff = ETCD_BACKOFF_MIN;
	etcd->up_since = 0;
	ev_now_update(loop);
	ev_timer_stop(loop, &etcd->retry);
	ev_timer_set(&etcd->retry, jitter(etcd->backoff), 0);
	ev_timer_start(loop, &etcd->retry);
	etcd->backoff = MIN(etcd->backoff * 2, ETCD_BACKOFF_MAX);
}

static void etcd_leave(struct etcd *etcd, enum store_state state)
{
	log_debug("store: leaves etcd endpoint=%s phase=%s error=\"%s\"",
		  etcd_host(etcd), phase_names[etcd->phase], etcd->error);
	etcd->phase = ETCD_AWAY;
	etcd_sync_stop(etcd);
	etcd_set_state(etcd, state);
	etcd_calls_away(etcd);
	etcd->endpoint = (etcd->endpoint + 1) % etcd->endpoints_len;
	etcd_retry(etcd);
}

void etcd_away(struct etcd *etcd, const char *fmt, ...)
{
	AUTO(str_freep) char *words = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&words, fmt, args) < 0)
		abort();
	va_end(args);
	snprintf(etcd->error, sizeof(etcd->error), "etcd %s: %s",
		 etcd_host(etcd), words);
	/* What was found to be another's stays so until it proves ours. */
	etcd_leave(etcd, etcd->objection ? STORE_FOREIGN : STORE_MIRROR);
}

void etcd_away_reply(struct etcd *etcd, const struct fetch_reply *reply)
{
	struct etcd_error error;

	etcd_reply_error(reply, &error);
	etcd_away(etcd, "%s", error.text);
}

void etcd_foreign(struct etcd *etcd, char *why)
{
	free(etcd->objection);
	etcd->objection = why;
	snprintf(etcd->error, sizeof(etcd->error),
		 "etcd %s: %s; an operator "
		 "must decide: restore it, or start netd with --adopt-store",
		 etcd_host(etcd), why);
	etcd_leave(etcd, STORE_FOREIGN);
}

void etcd_proof(struct etcd *etcd)
{
	struct store *store = etcd->store;

	etcd->proof = mono_ms();
	if (etcd->proof - etcd->proof_saved < ETCD_PROOF_SAVE_MS)
		return;
	etcd->proof_saved = etcd->proof;
	/* Only the age that a later start shows hangs on it. */
	if (db_begin(store->db, false))
		return;
	if (db_meta_put_int(store->db, "seen", time(NULL)))
		db_rollback(store->db);
	else
		db_commit(store->db);
}

void etcd_up(struct etcd *etcd)
{
	etcd->phase = ETCD_UP;
	etcd->up_since = mono_ms();
	etcd->error[0] = 0;
	etcd_set_state(etcd, STORE_UP);
	etcd_proof(etcd);
	store_tell_synced(etcd->store);
	etcd_probe_start(etcd);
	etcd_lease_kick(etcd);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	etcd_identify(container_of(timer, struct etcd, retry));
}

static char *without_slash(const char *text)
{
	size_t len = strlen(text);

	while (len && text[len - 1] == '/')
		len--;
	return xstrndup(text, len);
}

static int etcd_load_mirror(struct etcd *etcd)
{
	AUTO(str_freep) char *kind = NULL;
	AUTO(str_freep) char *cluster = NULL;
	struct db *db = etcd->store->db;
	int64_t seen = 0, age;
	int err = db_meta_get(db, "kind", &kind);

	if (!err)
		err = db_meta_get(db, "id", &etcd->mirror_id);
	if (!err)
		err = db_meta_get(db, "cluster", &cluster);
	if (!err)
		err = db_meta_get_int(db, "seen", &seen);
	if (err)
		return err;
	/* One that holds nothing yet is no loss. */
	etcd->is_truth_file = kind && str_eq(kind, "truth") && etcd->store->rev;
	etcd->mirror_cluster = cluster ? strtoull(cluster, NULL, 10) : 0;
	age = seen ? MAX(time(NULL) - seen, 0) * 1000 : 0;
	etcd->proof = mono_ms() - age;
	return 0;
}

static int etcd_open(struct store *store, const struct store_config *config)
{
	struct fetch_tls tls = { config->ca, config->cert, config->key };
	struct etcd *etcd = xzalloc(sizeof(*etcd));
	uint16_t dice = 0;
	int err;

	store->impl = etcd;
	etcd->store = store;
	etcd->prefix = without_slash(config->prefix);
	etcd->adopt = config->adopt;
	etcd->backoff = ETCD_BACKOFF_MIN;
	etcd->page_len = ETCD_PAGE_LEN;
	etcd->lease_ttl_s = config->lease_ttl_s;
	etcd->endpoints_len = config->endpoints_len;
	etcd->endpoints = xzalloc(config->endpoints_len * sizeof(char *));
	for (size_t i = 0; i < config->endpoints_len; i++)
		etcd->endpoints[i] = without_slash(config->endpoints[i]);
	/* Nodes spread over the members. */
	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) > 0)
		etcd->endpoint = dice % etcd->endpoints_len;
	ev_init(&etcd->retry, on_retry);
	etcd_sync_init(etcd);
	etcd_lease_init(etcd);

	err = fetch_open(store->loop, &tls, &etcd->fetch);
	return err ? err : etcd_load_mirror(etcd);
}

static void etcd_begin(struct store *store)
{
	etcd_identify(store->impl);
}

static void etcd_status(const struct store *store, struct store_status *ret)
{
	const struct etcd *etcd = store->impl;

	ret->state = etcd->state;
	ret->is_etcd = true;
	ret->has_lease = etcd_has_lease(etcd);
	ret->error = etcd->error;
	ret->where = etcd_endpoint(etcd);
	if (etcd->state != STORE_UP)
		ret->age_ms = mono_ms() - etcd->proof;
}

static void etcd_close(struct store *store)
{
	struct etcd *etcd = store->impl;

	if (!etcd)
		return;
	ev_timer_stop(store->loop, &etcd->retry);
	etcd_sync_stop(etcd);
	etcd_lease_close(etcd);
	etcd_calls_free(etcd);
	fetch_close(etcd->fetch);
	for (size_t i = 0; i < etcd->endpoints_len; i++)
		free(etcd->endpoints[i]);
	free(etcd->endpoints);
	free(etcd->prefix);
	free(etcd->objection);
	free(etcd->mirror_id);
	free(etcd->id);
	free(etcd);
	store->impl = NULL;
}

const struct store_backend store_etcd = {
	.open = etcd_open,
	.start = etcd_begin,
	.commit = etcd_call_commit,
	.status = etcd_status,
	.close = etcd_close,
};
