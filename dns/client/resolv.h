/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolv - the nameserver lines of resolv.conf(5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "netd/addr.h"

#define RESOLV_PATH "/etc/resolv.conf"
/* What systemd-resolved asks itself. */
#define RESOLV_PATH_RESOLVED "/run/systemd/resolve/resolv.conf"

/* Returns how many were found, at most max; duplicates count once. */
size_t resolv_parse(const char *text, struct ip_addr *ret, size_t max);

/*
 * Only systemd-resolved's own address (127.0.0.53)? Its servers are better
 * asked directly: it may ask us in turn.
 */
bool resolv_is_stub(const struct ip_addr *addrs, size_t n);
