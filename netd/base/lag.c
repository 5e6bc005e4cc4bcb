/* SPDX-License-Identifier: Apache-2.0 */
#include "lag.h"

#include "netd/log.h"
#include "netd/util.h"

#define MINUTE_US INT64_C(60000000)

static void next_minute(struct lag *lag, int64_t now_us)
{
	int64_t minute = now_us / MINUTE_US;

	if (minute == lag->minute)
		return;
	lag->longest_us[1] = minute == lag->minute + 1 ? lag->longest_us[0] : 0;
	lag->longest_us[0] = 0;
	lag->minute = minute;
}

void lag_add(struct lag *lag, int64_t now_us, int64_t turn_us)
{
	next_minute(lag, now_us);
	lag->turns++;
	lag->longest_us[0] = MAX(lag->longest_us[0], turn_us);
	if (turn_us <= LAG_LATE_US)
		return;
	lag->late++;
	log_debug("base: a turn of the loop took %lld us", (long long)turn_us);
}

int64_t lag_longest_us(const struct lag *lag, int64_t now_us)
{
	int64_t minutes = now_us / MINUTE_US - lag->minute;

	if (minutes > 1)
		return 0;
	return minutes ? lag->longest_us[0]
		       : MAX(lag->longest_us[0], lag->longest_us[1]);
}

static void woken_cb(struct ev_loop *loop, struct ev_check *w, int revents)
{
	struct lag *lag = container_of(w, struct lag, woken);

	(void)loop;
	(void)revents;
	lag->since_us = mono_us();
}

static void waits_cb(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct lag *lag = container_of(w, struct lag, waits);
	int64_t now = mono_us();

	(void)loop;
	(void)revents;
	if (lag->since_us)
		lag_add(lag, now, now - lag->since_us);
	lag->since_us = 0;
}

/* First of all that a wait ends with, last before the next one. */
void lag_start(struct lag *lag, struct ev_loop *loop)
{
	ev_check_init(&lag->woken, woken_cb);
	ev_prepare_init(&lag->waits, waits_cb);
	ev_set_priority(&lag->woken, EV_MAXPRI);
	ev_set_priority(&lag->waits, EV_MINPRI);
	ev_check_start(loop, &lag->woken);
	ev_prepare_start(loop, &lag->waits);
	/* They alone keep no loop running. */
	ev_unref(loop);
	ev_unref(loop);
}

void lag_stop(struct lag *lag, struct ev_loop *loop)
{
	if (!ev_is_active(&lag->woken))
		return;
	ev_ref(loop);
	ev_ref(loop);
	ev_check_stop(loop, &lag->woken);
	ev_prepare_stop(loop, &lag->waits);
}
