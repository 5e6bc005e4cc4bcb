/* SPDX-License-Identifier: Apache-2.0 */
/* xdp - the XDP program on uplinks: uplink.c's part of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ebpf;

/* On this uplink, as the setting and its driver have it. Is it there now? */
bool xdp_put(struct ebpf *bpf, const char *name, uint32_t ifindex);
void xdp_del(struct ebpf *bpf, const char *name, uint32_t ifindex);
