/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub - zones whose names are asked of servers of their own; pure.
 *
 * There are few, so they are a list that is walked for each name that goes
 * outside. put and del may be repeated; between sync_begin and sync_end all
 * are told again, and what was not goes at the end. What stubs_find() returns
 * holds until the next put, del or end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "name.h"
#include "netd/want.h"
#include "zone.h"

struct stub {
	/* Never used again: answers of other servers are other answers. */
	uint64_t id;
	struct want_upstream want;
	struct dns_name zone;
	bool stale;
	struct stub *prev, *next;
};

struct stubs;

struct stubs *stubs_new(void);
void stubs_free(struct stubs *s);

/* -EINVAL: the zone is no name, or there is no server. */
int stubs_put(struct stubs *s, const struct want_upstream *want);
void stubs_del(struct stubs *s, uint32_t vni, const char *zone);

void stubs_sync_begin(struct stubs *s);
void stubs_sync_end(struct stubs *s);

/* All of them, in no order. */
const struct stub *stubs_first(const struct stubs *s);

/*
 * The longest zone at or above the name that the asker sees; of two equal
 * ones that of a network. NULL: none, or s is NULL.
 */
const struct stub *stubs_find(const struct stubs *s, const struct view *view,
			      const struct dns_name *name);
