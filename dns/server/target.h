/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target - what is known of one upstream server, and who is asked first; pure.
 *
 * A server that is silent or refuses is looked at by checks; two in a row
 * that fail and it is down: not asked while another lives. A server
 * that lives but answers later or worse than another is asked after it for a
 * while. One that leads back here is never asked. The caller brings the clock
 * (milliseconds).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/want.h"

/* Checks that fail in a row before a server is down. */
#define TARGET_CHECKS_MAX 2
/* Worse than another so often in a row, and it goes behind it so long. */
#define TARGET_WORSE_MAX 3
#define TARGET_BEHIND_MS 30000
/* A server that loses the case is asked without it so long. */
#define TARGET_CASE_MS 600000

struct target {
	struct want_server server;
	bool loops;
	bool down;
	/* Checks since the last answer that failed. */
	unsigned failed_checks;
	unsigned worse;
	int64_t behind_until;
	int64_t keep_case_until;
	/* Smoothed, of answers; 0: none yet. */
	uint32_t latency_us;
	uint64_t asked;
	uint64_t answered;
	uint64_t failed;
};

/* It answered, well or not: it lives. True: it was down. */
bool target_alive(struct target *t);

/* An answer that can be used, after so long. True: it was down. */
bool target_answered(struct target *t, uint32_t took_us);

/* Another gave a usable answer where this one did not, or not in time. */
void target_worse(struct target *t, int64_t now);

/* True: with this it is down. */
bool target_check_failed(struct target *t);

bool target_keeps_case(const struct target *t, int64_t now);

/*
 * Who is asked, best first: as given, those behind last, those that are down
 * only when all are. Returns how many.
 */
size_t target_order(struct target *const *all, size_t n, int64_t now,
		    struct target **ret);
