/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lb - frontends, their backends and slots.
 */
#pragma once

struct ebpf;
struct lb;

/* Maps arena and backends, and takes over what their tables refer to. */
int lb_open(struct ebpf *bpf, struct lb **ret);
void lb_close(struct lb *lb);
int lb_audit_end(struct ebpf *bpf);
