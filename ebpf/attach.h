/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach - programs on their hooks, replaced in place and never missing.
 *
 * With tcx (6.6) and on cgroups an attachment is a link, pinned below links/
 * under the name of what it is for: "tunnel-in", "tunnel-out", "uplink-NAME",
 * "xdp-NAME", "sock-HOOK". A link that lives gets the new program; one whose
 * interface is gone stays pinned and dead, and is swept. Without tcx, and on
 * pods' links always, a clsact filter of fixed handle and priority is replaced;
 * it goes with its interface. Only for uplinks, which are not ours to remove,
 * the program is pinned under the same name, as the mark that a filter is
 * there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ebpf;

bool attach_has_tcx(const struct ebpf *bpf);

/* netd0's two programs, and those of the cgroup tree's root. */
int attach_tunnel(struct ebpf *bpf);
int attach_cgroup(struct ebpf *bpf);

/* A pod's program goes with its interface. */
int attach_pod(struct ebpf *bpf, const char *id, uint32_t ifindex);
/* Is it on this very interface now? */
bool attach_pod_is(const struct ebpf *bpf, uint32_t ifindex);

int attach_uplink(struct ebpf *bpf, const char *name, uint32_t ifindex);
void detach_uplink(struct ebpf *bpf, const char *name);

/* In the interface's driver, or not at all. */
int attach_xdp(struct ebpf *bpf, const char *name, uint32_t ifindex);
void detach_xdp(struct ebpf *bpf, const char *name);

/* Unpins dead links. */
void attach_sweep(struct ebpf *bpf);

/* Detaches uplinks that nobody has put since ebpf_open(). */
int attach_audit_end(struct ebpf *bpf);
