/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commit's life: wait for a lease if it needs one, be sent, and then wait
 * for the watch to show what came of it, so that changed() runs before
 * done(). One timer per call bounds each of the three.
 */
#include "etcd.h"

#include <utlist.h>

#include "netd/log.h"

/* How long the loser of a race waits to see what it lost to. */
#define CALL_AGAIN_S 0.25

enum call_state {
	CALL_LEASE,
	CALL_SENT,
	CALL_WATCH_DONE,
	CALL_WATCH_AGAIN,
};

static struct etcd *call_etcd(const struct store_call *call)
{
	return call->store->impl;
}

static void call_set_timer(struct store_call *call, double wait)
{
	struct ev_loop *loop = call->store->loop;

	ev_timer_stop(loop, &call->timer);
	ev_now_update(loop);
	ev_timer_set(&call->timer, wait, 0);
	ev_timer_start(loop, &call->timer);
}

static void call_end(struct store_call *call, int err, int64_t rev)
{
	struct etcd *etcd = call_etcd(call);

	DL_DELETE(etcd->calls, call);
	ev_timer_stop(call->store->loop, &call->timer);
	fetch_cancel(take_ptr(call->fetch));
	store_call_finish(call, err, rev);
}

/* etcd's own limit says it with one code, gRPC's with another. */
static bool is_too_large(const struct etcd_error *error)
{
	return strstr(error->text, "too large") ||
	       strstr(error->text, "larger than max");
}

/*
 * What an error says about the transaction. Only where etcd refused it, or
 * nothing was sent, is it sure that nothing happened.
 */
static int call_errno(const struct fetch_reply *reply,
		      const struct etcd_error *error)
{
	switch (reply->err) {
	case 0:
		break;
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -EKEYREJECTED:
		return -EHOSTDOWN;
	default:
		return -ETIMEDOUT;
	}
	switch (error->code) {
	case ETCD_INVALID:
	case ETCD_PRECONDITION:
		return is_too_large(error) ? -E2BIG : -EINVAL;
	case ETCD_DENIED:
	case ETCD_UNAUTHENTICATED:
		return -EACCES;
	case ETCD_EXHAUSTED:
		if (is_too_large(error))
			return -E2BIG;
		/* "too many requests" passes by itself, "no space" does not. */
		return strstr(error->text, "space") ? -ENOSPC : -EHOSTDOWN;
	case ETCD_UNAVAILABLE:
		return strstr(error->text, "no leader") ? -EHOSTDOWN
							: -ETIMEDOUT;
	}
	return -ETIMEDOUT;
}

static void call_on_error(struct store_call *call,
			  const struct fetch_reply *reply)
{
	struct etcd *etcd = call_etcd(call);
	struct etcd_error error;
	int err;

	etcd_reply_error(reply, &error);
	if (error.code == ETCD_NOT_FOUND && store_txn_has_leased(call->txn)) {
		/* Nothing happened; it goes out again with the next lease. */
		call->state = CALL_LEASE;
		etcd_lease_lost(etcd, error.text);
		return;
	}
	err = call_errno(reply, &error);
	if (err == -ENOSPC)
		log_warn_limited("store: etcd is full: compact, defragment and "
				 "disarm its alarm error=\"%s\"",
				 error.text);
	else
		log_debug("store: commit failed error=\"%s\"", error.text);
	call_end(call, err, 0);
}

static void call_watch(struct store_call *call, enum call_state state,
		       int64_t target, double wait)
{
	call->state = (int)state;
	call->target = target;
	call_set_timer(call, wait);
	etcd_calls_watched(call_etcd(call));
}

static void on_committed(void *arg, const struct fetch_reply *reply)
{
	struct store_call *call = arg;
	struct etcd_txn txn;

	call->fetch = NULL;
	if (!etcd_reply_is_good(reply)) {
		call_on_error(call, reply);
	} else if (etcd_json_parse_txn(reply->body, reply->len, &txn)) {
		call_end(call, -ETIMEDOUT, 0);
	} else if (!txn.is_done) {
		/* A key that is gone has no revision to wait for: time does. */
		call_watch(call, CALL_WATCH_AGAIN,
			   txn.newest ? txn.newest : txn.rev, CALL_AGAIN_S);
	} else if (txn.has_written) {
		call->rev = txn.rev;
		call_watch(call, CALL_WATCH_DONE, txn.rev, ETCD_CALL_S);
	} else {
		call_end(call, 0, txn.rev);
	}
}

static void call_send(struct store_call *call)
{
	struct etcd *etcd = call_etcd(call);
	int err;

	call->state = CALL_SENT;
	err = etcd_post(etcd, "/v3/kv/txn",
			etcd_json_txn(etcd->prefix, call->txn, etcd->lease),
			(uint32_t)(ETCD_CALL_S * 1000), on_committed, call,
			&call->fetch);
	if (err)
		call_end(call, err, 0);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct store_call *call = container_of(timer, struct store_call, timer);

	(void)loop;
	(void)revents;
	switch ((enum call_state)call->state) {
	case CALL_LEASE:
		call_end(call, -EHOSTDOWN, 0);
		break;
	case CALL_SENT:
		call_end(call, -ETIMEDOUT, 0);
		break;
	case CALL_WATCH_DONE:
		/* It is done, only the watch has not shown it. */
		call_end(call, 0, call->rev);
		break;
	case CALL_WATCH_AGAIN:
		call_end(call, -EAGAIN, 0);
		break;
	}
}

void etcd_call_commit(struct store *store, struct store_call *call)
{
	struct etcd *etcd = store->impl;

	if (etcd->phase != ETCD_UP) {
		store_call_finish(call, -EHOSTDOWN, 0);
		return;
	}
	DL_APPEND(etcd->calls, call);
	ev_init(&call->timer, on_deadline);
	call_set_timer(call, ETCD_CALL_S);
	if (store_txn_has_leased(call->txn) && !etcd_has_lease(etcd))
		call->state = CALL_LEASE;
	else
		call_send(call);
}

void etcd_calls_watched(struct etcd *etcd)
{
	struct store_call *call, *next;

	DL_FOREACH_SAFE (etcd->calls, call, next) {
		bool is_done = call->state == CALL_WATCH_DONE;

		if (!is_done && call->state != CALL_WATCH_AGAIN)
			continue;
		if (call->target <= etcd->store->rev)
			call_end(call, is_done ? 0 : -EAGAIN,
				 is_done ? call->rev : 0);
	}
}

void etcd_calls_leased(struct etcd *etcd)
{
	struct store_call *call, *next;

	DL_FOREACH_SAFE (etcd->calls, call, next) {
		if (call->state == CALL_LEASE)
			call_send(call);
	}
}

void etcd_calls_away(struct etcd *etcd)
{
	struct store_call *call, *next;

	/* Those that were sent may still be answered: their timers decide. */
	DL_FOREACH_SAFE (etcd->calls, call, next) {
		if (call->state == CALL_LEASE)
			call_end(call, -EHOSTDOWN, 0);
	}
}

void etcd_calls_free(struct etcd *etcd)
{
	struct store_call *call, *next;

	DL_FOREACH_SAFE (etcd->calls, call, next) {
		DL_DELETE(etcd->calls, call);
		ev_timer_stop(etcd->store->loop, &call->timer);
		fetch_cancel(call->fetch);
		store_call_free(call);
	}
}
