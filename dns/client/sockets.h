/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets - the DNS port on a gateway address.
 */
#pragma once

#include "netd/addr.h"
#include "proto.h"

#define DNS_PORT 53

/* UDP and TCP, ready to be read. 0 or -errno; ret only on success. */
int sockets_open(const struct ip_addr *gateway, int ret[PROTO_FDS_MAX]);
