/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ula - where IPv6 subnets and VIP ranges come from that nobody named: a
 * unique local /48 (RFC 4193), drawn once for the cluster and kept in the
 * store (c/ula). Its first /64 is that of the VIPs. Pure.
 */
#pragma once

#include "model.h"

/* Random bits of the prefix (RFC 4193 3.2.2). */
#define ULA_RANDOM 5

struct ip_prefix ula_make(const uint8_t random[ULA_RANDOM]);
bool ula_is_one(const struct ip_prefix *p);
bool ula_overlaps_vips(const struct model *m, const struct ip_prefix *p);

/* A free /64, and a range of as many VIPs as one of IPv4 has. */
int ula_pick_subnet(const struct model *m, const struct ip_prefix *ula,
		    struct ip_prefix *ret, struct refusal *r);
int ula_pick_vips(const struct model *m, const struct ip_prefix *ula,
		  struct ip_prefix *ret, struct refusal *r);
