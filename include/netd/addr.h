/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr - addresses, prefixes and MACs as plain values.
 *
 * An address is always 16 bytes in network order; IPv4 is carried v4-mapped
 * (::ffff:a.b.c.d, RFC 4291 2.5.5.2), so that one code path serves both
 * families. All zero means "none". Prefix lengths are in the 128-bit space:
 * an IPv4 /24 has len 120. Text shows the family's own form and length.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define IP_STRLEN 46
#define PREFIX_STRLEN 50
#define MAC_STRLEN 18

struct ip_addr {
	uint8_t b[16];
};

struct ip_prefix {
	struct ip_addr addr;
	uint8_t len;
};

struct mac_addr {
	uint8_t b[6];
};

struct ip_addr ip_from_v4(uint32_t host_order);
struct ip_addr ip_from_be32(uint32_t net_order);

bool ip_is_v4(const struct ip_addr *a);
bool ip_is_none(const struct ip_addr *a);
bool ip_is_loopback(const struct ip_addr *a);

/* The IPv4 address in host or in network order; only for ip_is_v4(). */
uint32_t ip_v4(const struct ip_addr *a);
uint32_t ip_be32(const struct ip_addr *a);

static inline bool ip_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline int ip_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* The address n after (or before) this one; wraps within 128 bits. */
struct ip_addr ip_add(const struct ip_addr *a, int64_t n);

/* How far b lies after a, saturated at INT64_MAX; a <= b is the caller's. */
int64_t ip_distance(const struct ip_addr *a, const struct ip_addr *b);

/* Strict: no leading zeros, no spaces, no scope. 0 or -EINVAL. */
int ip_parse(const char *text, struct ip_addr *ret);
const char *ip_str(const struct ip_addr *a, char buf[IP_STRLEN]);

/* "10.1.0.0/16"; a bare address is a host prefix. Host bits stay. */
int prefix_parse(const char *text, struct ip_prefix *ret);
const char *prefix_str(const struct ip_prefix *p, char buf[PREFIX_STRLEN]);

struct ip_prefix prefix_make(const struct ip_addr *addr, uint8_t len);
struct ip_prefix prefix_host(const struct ip_addr *addr);
/* All addresses of this one's family. */
struct ip_prefix prefix_all(const struct ip_addr *addr);

/* The length the family shows: 24 for a v4-mapped /120. */
uint8_t prefix_shown_len(const struct ip_prefix *p);
bool prefix_has_host_bits(const struct ip_prefix *p);
bool prefix_contains(const struct ip_prefix *p, const struct ip_addr *a);
bool prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);
bool prefix_eq(const struct ip_prefix *a, const struct ip_prefix *b);
struct ip_addr prefix_last(const struct ip_prefix *p);

/* Number of addresses, saturated at INT64_MAX. */
int64_t prefix_size(const struct ip_prefix *p);

/* "02:00:00:00:00:01"; 0 or -EINVAL. */
int mac_parse(const char *text, struct mac_addr *ret);
const char *mac_str(const struct mac_addr *m, char buf[MAC_STRLEN]);

/*
 * The MAC of the endpoint with this address: locally administered, the
 * address's last four bytes in it, so that no two endpoints of a network
 * share one and nothing has to be stored.
 */
struct mac_addr mac_from_ip(const struct ip_addr *a);
