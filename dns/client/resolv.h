/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolv - the nameserver lines of resolv.conf(5).
 */
#pragma once

#include <stddef.h>

#include "netd/addr.h"

#define RESOLV_PATH "/etc/resolv.conf"

/* Returns how many were found, at most max; duplicates count once. */
size_t resolv_parse(const char *text, struct ip_addr *ret, size_t max);
