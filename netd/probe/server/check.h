/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - one target and its checks, one after another.
 *
 * A check begins every interval. One that fails is followed by the next a
 * quarter of the interval after its beginning, until the verdict is clear: so
 * a backend that is gone is out soon, and one lost packet ends nothing.
 *
 * A check has its timeout to be answered, and two fifths of that to connect:
 * until then nobody but a kernel has to answer. So with two failures a backend
 * that drops everything is out in less than an interval and a timeout.
 * Patience would not help against loss: a SYN is sent again after one second
 * only (RFC 6298, 2.1), the next check's at once.
 */
#pragma once

#include <ev.h>

#include "netd/probe.h"

struct check;

/* A verdict was reached that differs from the one before. */
typedef void check_fn(void *arg, struct check *check);

/* Begins after `delay` seconds. */
struct check *check_new(struct ev_loop *loop, const struct want_probe *want,
			double delay, check_fn *fn, void *arg);
void check_free(struct check *c);

/* Other settings; the verdict stays until checks say else. */
void check_change(struct check *c, const struct want_probe *want);

const struct want_probe *check_want(const struct check *c);
const struct probe_state *check_state(const struct check *c);
