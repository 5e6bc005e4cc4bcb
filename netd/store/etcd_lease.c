/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's lease: renewed at a third of its time, so that two renewals may
 * be lost. One that etcd no longer knows, or that had no renewal for its
 * whole time, is given up, and what hung on it is put again under a new one:
 * asking for an old lease's fate would only add a race with its end.
 */
#include "etcd.h"

#include "netd/log.h"

static bool etcd_is_ours(const struct etcd *etcd)
{
	return etcd->phase >= ETCD_SNAPSHOT;
}

bool etcd_has_lease(const struct etcd *etcd)
{
	return etcd->lease &&
	       mono_ms() - etcd->lease_renewed < etcd->lease_ttl_ms;
}

static uint32_t lease_wait_ms(const struct etcd *etcd)
{
	return MAX(etcd->lease_ttl_s * 1000 / 3, 100);
}

static void on_granted(void *arg, const struct fetch_reply *reply)
{
	struct etcd *etcd = arg;
	struct etcd_lease lease;
	struct etcd_error error;

	etcd->lease_call = NULL;
	if (!etcd_reply_is_good(reply) ||
	    etcd_json_parse_lease(reply->body, reply->len, &lease) ||
	    !lease.ttl) {
		etcd_reply_error(reply, &error);
		log_warn_limited("store: no lease error=\"%s\"", error.text);
		return;
	}
	etcd->lease = lease.id;
	etcd->lease_ttl_ms = MIN(lease.ttl, INT32_MAX) * 1000;
	etcd->lease_renewed = etcd->lease_asked;
	log_debug("store: lease granted id=%lld", (long long)lease.id);
	store_tell_lease_new(etcd->store);
	etcd_calls_leased(etcd);
}

static void lease_grant(struct etcd *etcd)
{
	etcd->lease_asked = mono_ms();
	etcd_post(etcd, "/v3/lease/grant",
		  etcd_json_lease_grant(etcd->lease_ttl_s), lease_wait_ms(etcd),
		  on_granted, etcd, &etcd->lease_call);
}

void etcd_lease_lost(struct etcd *etcd, const char *why)
{
	if (!etcd->lease)
		return;
	log_warn_limited("store: lease lost reason=\"%s\"", why);
	etcd->lease = 0;
	etcd_lease_kick(etcd);
}

static void on_kept(void *arg, const struct fetch_reply *reply)
{
	struct etcd *etcd = arg;
	struct etcd_lease lease;
	struct etcd_error error;

	etcd->lease_call = NULL;
	if (!etcd_reply_is_good(reply)) {
		etcd_reply_error(reply, &error);
		if (error.code == ETCD_NOT_FOUND)
			etcd_lease_lost(etcd, error.text);
		return;
	}
	if (etcd_json_parse_lease(reply->body, reply->len, &lease) ||
	    lease.id != etcd->lease)
		return;
	if (!lease.ttl)
		etcd_lease_lost(etcd, "it has ended");
	else
		etcd->lease_renewed = etcd->lease_asked;
}

static void lease_keep(struct etcd *etcd)
{
	etcd->lease_asked = mono_ms();
	etcd_post(etcd, "/v3/lease/keepalive",
		  etcd_json_lease_keep(etcd->lease), lease_wait_ms(etcd),
		  on_kept, etcd, &etcd->lease_call);
}

void etcd_lease_kick(struct etcd *etcd)
{
	if (etcd->lease && !etcd_has_lease(etcd)) {
		log_warn_limited("store: lease lost reason=\"no renewal\"");
		etcd->lease = 0;
	}
	if (!etcd_is_ours(etcd) || etcd->lease_call)
		return;
	if (etcd->lease)
		lease_keep(etcd);
	else if (etcd->phase == ETCD_UP)
		lease_grant(etcd);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	etcd_lease_kick(container_of(timer, struct etcd, lease_timer));
}

void etcd_lease_init(struct etcd *etcd)
{
	double wait = lease_wait_ms(etcd) / 1000.0;

	ev_timer_init(&etcd->lease_timer, on_tick, wait, wait);
	ev_timer_start(etcd->store->loop, &etcd->lease_timer);
}

void etcd_lease_close(struct etcd *etcd)
{
	ev_timer_stop(etcd->store->loop, &etcd->lease_timer);
	fetch_cancel(take_ptr(etcd->lease_call));
}
