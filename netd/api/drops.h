/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drops - packets that were dropped: how many of each reason, the last few of
 * each as they were, and those that are dropped now to whoever watches.
 *
 * Samples come from the kernel as values of fixed size. Names are looked up
 * when somebody asks, not before: a flood that nobody looks at costs little.
 */
#pragma once

#include "netd/ebpf.h"

struct drops;
struct ev_loop;
struct model;

/* Samples of one reason that are kept. */
#define DROPS_KEPT 128

/* bpf NULL: nothing comes by itself. */
struct drops *drops_new(struct ev_loop *loop, const struct model *m,
			struct ebpf *bpf);
/* Its watchers must have gone. NULL is fine. */
void drops_free(struct drops *drops);

void drops_add(struct drops *drops, const struct ebpf_sample *sample);
/* Watchers hear of what was added. */
void drops_tell(struct drops *drops);
