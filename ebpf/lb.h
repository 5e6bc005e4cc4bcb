/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lb - frontends, their backends and slots.
 */
#pragma once

#include <stdint.h>

#include "netd/bpf_abi.h"

struct ebpf;
struct lb;

/* Maps arena and backends, and takes over what their tables refer to. */
int lb_open(struct ebpf *bpf, struct lb **ret);
void lb_close(struct lb *lb);
int lb_audit_end(struct ebpf *bpf);

/* For how many seconds of silence connections are known; 0: as usual. */
struct lb_idle {
	uint32_t open_s;
	uint32_t half_s;
};

/* Those to this address, as clients know it. Never, while a frontend that an
 * earlier process left has not been put. */
struct lb_idle lb_idle(struct lb *lb, const struct abi_addr *addr, __be16 port,
		       uint8_t proto);
