/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reaper - deletes links beside the loop.
 *
 * The kernel lets go of a deleted link only after RCU grace periods (6.18:
 * 17 ms, however many links go together), and whoever asked waits for that. A
 * thread with a netlink mouth of its own does the waiting; what it is given
 * meanwhile goes together in its next request. It knows numbers of links and
 * nothing else, and all calls are from the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ev_loop;
struct reaper;

/* For links of the caller's network namespace. -errno. */
int reaper_new(struct ev_loop *loop, struct reaper **ret);
/* Waits until all that it was given is gone. NULL is fine. */
void reaper_free(struct reaper *r);

void reaper_add(struct reaper *r, uint32_t ifindex);
/* Was it given this one, which is not gone yet? */
bool reaper_has(struct reaper *r, uint32_t ifindex);

/* How many it was given, and how many of these, in that order, are gone. */
uint64_t reaper_given(const struct reaper *r);
uint64_t reaper_gone(const struct reaper *r);

/* Calls fn(arg) from the loop whenever more are gone. */
void reaper_watch(struct reaper *r, void (*fn)(void *arg), void *arg);

/* Waits here until all that it was given is gone: for rare cases. */
void reaper_wait(struct reaper *r);
