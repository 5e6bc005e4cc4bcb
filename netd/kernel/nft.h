/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft - our own nftables table, replaced in one transaction by the nft
 * program, and the accepts that others' DROP policies make necessary.
 *
 * Failures: -errno; what the program printed is in `error` (size bytes).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/want.h"

struct nft_config {
	/* The tunnel device and its UDP port. */
	const char *tunnel;
	uint16_t port;
	/* This node's tunnel end: what comes to it is not tracked. */
	struct ip_addr vtep;
	/* On tunnel packets that were looked at before they come here. */
	uint32_t member_mark;
	/* Sources that are masqueraded when they leave by another device. */
	const struct ip_prefix *pools;
	size_t pools_len;
};

/* Replaces table `inet netd` (or makes it). */
int nft_put(const struct nft_config *config, char *error, size_t size);
/* Is the table there as we made it? */
bool nft_is_put(void);
int nft_del(void);

/*
 * Somebody's (dockerd's, above all) FORWARD policy DROP would stop egress:
 * keeps accepts for the tunnel device in DOCKER-USER, or in FORWARD where
 * there is no such chain. Does nothing when the policy is ACCEPT.
 */
int nft_forward_put(const char *tunnel, char *error, size_t size);
int nft_forward_del(const char *tunnel);
/* IPv4's "ACCEPT", "DROP", or "" without iptables' FORWARD chain. */
void nft_forward_policy(char *ret, size_t size);
