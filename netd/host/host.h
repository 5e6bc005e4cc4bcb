/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host - the machine as netd finds it before the rooms open, and as it leaves
 * it for good: folders, lock, address, what --cleanup takes away.
 *
 * Failures are said in the log, with the way out, and returned as -errno.
 */
#pragma once

#include "config.h"
#include "netd/want.h"
#include "store.h"

/* Says that `what` failed, and in `detail` what to do; returns err. */
int host_fail(int err, const char *what, const char *detail);

/* The folders of this root, made and private. */
int host_folders(const struct config *cfg);

/* The pid file is the lock: one netd per root. *ret holds it while open. */
int host_lock(const struct config *cfg, int *ret);

/* A bpffs where the pins go; ROOT/bpf is a mount of its own. */
int host_bpffs(const struct config *cfg);

/* This node's tunnel end: what is set, else the default route's source. */
int host_address(const struct config *cfg, struct ip_addr *ret);

/* Addresses of the store's endpoints, which pods are kept from: how many. */
#define HOST_GUARDS_MAX 32
size_t host_guards(const struct config *cfg,
		   struct want_guard ret[HOST_GUARDS_MAX]);

/* The store's part of the configuration; it keeps cfg's pointers. */
struct store_config host_store(const struct config *cfg);

/* Takes away what outlives the daemon. The state file stays. */
int host_clean(const struct config *cfg);
