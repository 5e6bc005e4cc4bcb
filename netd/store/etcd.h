/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd - the parts of the etcd backend, among themselves.
 *
 * etcd.c has the connection and its phases, etcd_sync.c identity, snapshot
 * and watch, etcd_call.c commits, etcd_lease.c the lease. Whatever fails ends
 * in etcd_away(), which is also the only way back to the start.
 */
#pragma once

#include "etcd_json.h"
#include "fetch.h"
#include "store_core.h"

/* The key that says whose store it is. */
#define ETCD_IDENTITY "c/cluster"

/* One small answer; a store that takes longer is away. */
#define ETCD_ANSWER_MS 3000
#define ETCD_PROBE_S 2.0
#define ETCD_PAGE_MS 15000
#define ETCD_PAGE_LEN 400
/* The largest reply, or line of the watch, that is taken. */
#define ETCD_REPLY_MAX (64u << 20)
/* The longest that a commit takes. */
#define ETCD_CALL_S 5.0

enum etcd_phase {
	/* Between attempts. */
	ETCD_AWAY,
	ETCD_IDENTIFY,
	ETCD_SNAPSHOT,
	/* The watch is asked for. */
	ETCD_WATCH,
	ETCD_UP,
};

struct etcd {
	struct store *store;
	struct fetch *fetch;
	char *prefix;
	char **endpoints;
	size_t endpoints_len, endpoint;
	bool adopt;

	enum etcd_phase phase;
	enum store_state state;
	char error[256];
	/* Why the store is another's; NULL: it is not. */
	char *objection;
	ev_timer retry;
	double backoff;
	int64_t up_since;
	/* When this attempt began. */
	int64_t attempt;
	/* When the content was last known to be current, and told the file. */
	int64_t proof, proof_saved;

	/* Identity or page; the one watch, and when it last said something. */
	struct fetch_call *request, *watch;
	ev_timer watch_deadline;
	int64_t watch_heard;
	struct fetch_call *probe;
	/* What an answer must have seen: ours when it was asked for. */
	int64_t probe_rev;
	ev_timer probe_timer;
	/* The revision that last made us doubt the watch, and our patience. */
	int64_t doubted, doubt_ms;

	/* Of the mirror, as in the file; NULL: it is of no etcd yet. */
	char *mirror_id;
	uint64_t mirror_cluster;
	bool is_truth_file;
	/* Of the store we talk to. */
	char *id;
	uint64_t cluster;
	/* The watch may go on from the mirror's revision. */
	bool is_whole;
	/* Equal revisions are not equal content: another history. */
	bool is_distrusted;

	int page_len;
	int64_t snap_rev;
	char *snap_after;
	char *snap_last;
	struct store_batch snap_diff;

	int64_t lease, lease_ttl_ms, lease_renewed, lease_asked;
	uint32_t lease_ttl_s;
	struct fetch_call *lease_call;
	ev_timer lease_timer;

	struct store_call *calls;
};

typedef void etcd_reply_fn(void *arg, const struct fetch_reply *reply);

/* Posts to the endpoint in use; frees body. */
int etcd_post(struct etcd *etcd, const char *path, char *body,
	      uint32_t timeout_ms, etcd_reply_fn *done, void *arg,
	      struct fetch_call **ret);

/* Was it an answer? If not, etcd_reply_error() says why. */
bool etcd_reply_is_good(const struct fetch_reply *reply);
void etcd_reply_error(const struct fetch_reply *reply, struct etcd_error *ret);

/* Ends what goes on, says why, and tries again later at the next endpoint. */
void etcd_away(struct etcd *etcd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* As etcd_away(): the answer was an error, or none. */
void etcd_away_reply(struct etcd *etcd, const struct fetch_reply *reply);
/* As etcd_away(): this store is not the mirror's. Takes `why` over. */
void etcd_foreign(struct etcd *etcd, char *why);

/* The watch runs. */
void etcd_up(struct etcd *etcd);
/* Has the content been shown to be current at this moment. */
void etcd_proof(struct etcd *etcd);

void etcd_sync_init(struct etcd *etcd);
void etcd_identify(struct etcd *etcd);
void etcd_watch_start(struct etcd *etcd);
void etcd_sync_stop(struct etcd *etcd);
void etcd_probe_start(struct etcd *etcd);

void etcd_call_commit(struct store *store, struct store_call *call);
/* The watch has come to store->rev. */
void etcd_calls_watched(struct etcd *etcd);
/* There is a lease. */
void etcd_calls_leased(struct etcd *etcd);
void etcd_calls_away(struct etcd *etcd);
void etcd_calls_free(struct etcd *etcd);

void etcd_lease_init(struct etcd *etcd);
/* The store is ours and answers: renew or get one now. */
void etcd_lease_kick(struct etcd *etcd);
void etcd_lease_lost(struct etcd *etcd, const char *why);
bool etcd_has_lease(const struct etcd *etcd);
void etcd_lease_close(struct etcd *etcd);
