/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record - what one name means, as ready bytes; pure.
 *
 * A record is one piece of memory: ports, key, ready addresses (see ready.h),
 * other ready records, the addresses' host names. It is made whole and never
 * changed, so what a lookup returns is either the old or the new one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "name.h"
#include "netd/want.h"
#include "ready.h"

#define RR_HEAD_LEN sizeof(struct dns_ready)
#define RR_A_LEN sizeof(struct dns_ready_a)
#define RR_AAAA_LEN sizeof(struct dns_ready_aaaa)

#define RECORD_KEY_HEAD sizeof(struct dns_ready_key)
#define RECORD_KEY_MAX (RECORD_KEY_HEAD + DNS_NAME_MAX)

struct record {
	uint32_t ttl;
	/* Bytes of the other records and of the hosts. */
	uint32_t rrs_len;
	uint32_t hosts_len;
	uint16_t key_len;
	/* Addresses of each family. */
	uint16_t a_len;
	uint16_t aaaa_len;
	uint8_t ports_len;
	/* The one record of rrs says that it is another name. */
	bool is_alias : 1;
	bool headless : 1;
	bool ptr : 1;
	bool stale : 1;
	/* Ports come first, for their alignment. */
	struct want_name_port ports[];
};

/* The caller's key; addrs, and hosts if there are any, as in want. */
int record_new(const struct want_name *want, const struct ip_addr *addrs,
	       const struct want_host *hosts, const uint8_t *key,
	       size_t key_len, struct record **ret);
/* -EINVAL: a target is no name, or a type is unknown. */
int record_new_values(const struct want_value *values, size_t len,
		      const uint8_t *key, size_t key_len, struct record **ret);

/* Network, kind, then labels without the root: the bytes to look up. */
size_t record_key(uint8_t key[RECORD_KEY_MAX], uint32_t vni,
		  enum name_kind kind, const uint8_t *labels, size_t len);

static inline const uint8_t *record_key_of(const struct record *rec)
{
	return (const uint8_t *)(rec->ports + rec->ports_len);
}

uint32_t record_vni(const struct record *rec);
enum name_kind record_kind(const struct record *rec);
/* Its own labels, without the root. */
const uint8_t *record_labels(const struct record *rec, size_t *len);

static inline const uint8_t *record_a(const struct record *rec)
{
	return record_key_of(rec) + rec->key_len;
}

static inline const uint8_t *record_aaaa(const struct record *rec)
{
	return record_a(rec) + rec->a_len * RR_A_LEN;
}

/* The ready records that are no addresses. */
static inline const uint8_t *record_rrs(const struct record *rec)
{
	return record_aaaa(rec) + rec->aaaa_len * RR_AAAA_LEN;
}

static inline uint32_t record_addrs_len(const struct record *rec)
{
	return (uint32_t)rec->a_len + rec->aaaa_len;
}

/* Address i, IPv4 before IPv6, as its ready record. */
const uint8_t *record_addr_rr(const struct record *rec, uint32_t i,
			      size_t *len);
struct ip_addr record_addr(const struct record *rec, uint32_t i);

/* A host's label and port, one per address in the same order. */
struct record_host {
	uint32_t i;
	uint16_t port;
	uint8_t len;
	const uint8_t *label;
	/* Where the next one stands. */
	uint32_t next;
};

/* Begins with a zeroed struct; false at the end, or without hosts. */
bool record_host_next(const struct record *rec, struct record_host *host);
bool record_host_find(const struct record *rec, const uint8_t *label,
		      uint8_t len, struct record_host *ret);
/* The host with this address. */
bool record_host_of(const struct record *rec, const struct ip_addr *addr,
		    struct record_host *ret);
