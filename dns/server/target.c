/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "netd/util.h"

/* A new value counts an eighth, as TCP smooths its own (RFC 6298 2). */
#define SMOOTH 8

bool target_alive(struct target *t)
{
	bool was_down = t->down;

	t->down = false;
	t->failed_checks = 0;
	return was_down;
}

bool target_answered(struct target *t, uint32_t took_us)
{
	t->answered++;
	t->worse = 0;
	if (!t->latency_us)
		t->latency_us = took_us;
	t->latency_us -= t->latency_us / SMOOTH;
	t->latency_us += MAX(took_us / SMOOTH, 1u);
	return target_alive(t);
}

void target_worse(struct target *t, int64_t now)
{
	if (++t->worse < TARGET_WORSE_MAX)
		return;
	t->worse = 0;
	t->behind_until = now + TARGET_BEHIND_MS;
}

bool target_check_failed(struct target *t)
{
	if (++t->failed_checks < TARGET_CHECKS_MAX || t->down)
		return false;
	t->down = true;
	return true;
}

bool target_keeps_case(const struct target *t, int64_t now)
{
	return now >= t->keep_case_until;
}

enum rank { RANK_GOOD, RANK_BEHIND, RANK_DOWN, RANK_NEVER };

static enum rank rank_of(const struct target *t, int64_t now)
{
	if (t->loops)
		return RANK_NEVER;
	if (t->down)
		return RANK_DOWN;
	return t->behind_until > now ? RANK_BEHIND : RANK_GOOD;
}

size_t target_order(struct target *const *all, size_t n, int64_t now,
		    struct target **ret)
{
	size_t len = 0;

	for (enum rank rank = RANK_GOOD; rank < RANK_NEVER; rank++) {
		if (rank == RANK_DOWN && len)
			break;
		for (size_t i = 0; i < n; i++)
			if (rank_of(all[i], now) == rank)
				ret[len++] = all[i];
	}
	return len;
}
