/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reverse - names below in-addr.arpa and ip6.arpa (RFC 1035 3.5, RFC 3596 2.5).
 */
#pragma once

#include <stdbool.h>

#include "name.h"
#include "netd/addr.h"

/*
 * 1.0.64.10.in-addr.arpa: the labels before the suffix, read backwards as far
 * as they are numbers; *first is the label where they begin. The name has
 * three labels or more. False: no number, or another suffix.
 */
bool reverse_read(const struct dns_name *name, struct ip_prefix *ret,
		  unsigned *first);

/* The label at which the zone of these addresses is cut. */
unsigned reverse_cut(const struct dns_name *name, const struct ip_prefix *asked,
		     const struct ip_prefix *outer);
