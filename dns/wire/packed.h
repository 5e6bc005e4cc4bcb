/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packed - a name and all that it means, in as many bytes as that takes.
 *
 * The form in which names are kept by netd, told to netd-dns and compared:
 * equal bytes mean the same. It begins with the key (network, kind, name),
 * whose length packing returns; a key alone says which name to forget.
 */
#pragma once

#include "netd/buf.h"
#include "netd/want.h"

/* Network, kind, the name and its length. */
#define PACKED_KEY_MAX (4 + 1 + 1 + POD_NAME_LEN)
#define PACKED_ADDR_MAX 17
#define PACKED_HOST_MAX (3 + NAME_LEN)
#define PACKED_PORT_MAX (1 + PORT_NAME_LEN + 5)
#define PACKED_NAME_MAX                                                        \
	(PACKED_KEY_MAX + POD_NAME_LEN + 16 +                                  \
	 NAME_PORTS_MAX * PACKED_PORT_MAX +                                    \
	 NAME_ADDRS_MAX * (PACKED_ADDR_MAX + PACKED_HOST_MAX))
#define PACKED_VALUE_MAX (12 + PACKED_ADDR_MAX + 2 + RECORD_TEXT_LEN)
#define PACKED_MAX                                                             \
	(PACKED_NAME_MAX >                                                     \
			 PACKED_KEY_MAX + RECORD_VALUES_MAX * PACKED_VALUE_MAX \
		 ? PACKED_NAME_MAX                                             \
		 : PACKED_KEY_MAX + 1 + RECORD_VALUES_MAX * PACKED_VALUE_MAX)

/* What was unpacked; values of a NAME_RECORD, all else of the others. */
struct packed {
	struct want_name want;
	bool has_hosts;
	struct ip_addr addrs[NAME_ADDRS_MAX];
	struct want_host hosts[NAME_ADDRS_MAX];
	struct want_value values[RECORD_VALUES_MAX];
	uint32_t values_len;
};

/* The name in lower case. Returns the key's length. */
size_t packed_key(struct wbuf *w, uint32_t vni, enum name_kind kind,
		  const char *name);
/* -E2BIG: more than there may be of something. */
int packed_name(struct wbuf *w, const struct want_name *want,
		const struct ip_addr *addrs, const struct want_host *hosts,
		size_t *key_len);
int packed_values(struct wbuf *w, uint32_t vni, const char *name,
		  const struct want_value *values, size_t len, size_t *key_len);

/* 0, or -EBADMSG. The key alone: only ret->want's key is filled. */
int packed_read_key(struct rbuf *r, struct want_name *ret);
int packed_read(const void *data, size_t len, struct packed *ret);
