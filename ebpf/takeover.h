/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover - from the maps of another version, or of another size, to this
 * load's: in this order, by load.c.
 */
#pragma once

struct ebpf;

/* Pin paths are set, maps are not made. */
int takeover_begin(struct ebpf *bpf);
/* Maps are made: flows of before are in them, too. */
void takeover_flows(struct ebpf *bpf);
/* This load's programs are attached: nobody writes the old ones any more. */
void takeover_end(struct ebpf *bpf);
