/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - one target and its checks, one after another.
 *
 * A check begins every interval. One that fails is followed by the next after
 * a quarter of it, until the verdict is clear: so a backend that is gone is
 * out soon, and one lost packet ends nothing.
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
