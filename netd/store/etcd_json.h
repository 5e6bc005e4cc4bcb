/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd_json - etcd's JSON gateway: bodies out, replies in; pure.
 *
 * Keys and values travel in base64, 64-bit numbers as strings, and what is
 * zero or empty is left out. Any bytes may come in: -EPROTO says that they
 * are no reply of etcd's. Keys outside the prefix or with bytes that none of
 * ours has are dropped; a value ends at its first 0 byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch.h"
#include "store_txn.h"

/* gRPC status codes that mean something to us. */
enum etcd_code {
	ETCD_INVALID = 3,
	ETCD_NOT_FOUND = 5,
	ETCD_DENIED = 7,
	ETCD_EXHAUSTED = 8,
	ETCD_PRECONDITION = 9,
	ETCD_COMPACTED = 11,
	ETCD_UNAVAILABLE = 14,
	ETCD_UNAUTHENTICATED = 16,
};

/* code 0: the text was no error of etcd's. */
struct etcd_error {
	int code;
	char text[160];
};

struct etcd_range {
	uint64_t cluster;
	int64_t rev;
	bool has_more;
	/* Keys without the prefix. */
	struct store_batch kvs;
	/* The last key as it came, in base64, for the next page; or NULL. */
	char *last;
};

struct etcd_watch {
	uint64_t cluster;
	int64_t rev;
	bool is_created;
	bool is_canceled;
	int64_t compacted;
	struct etcd_error error;
	struct store_batch kvs;
	/* The newest event's, of dropped keys too; 0: there was none. */
	int64_t last_rev;
};

struct etcd_txn {
	int64_t rev;
	bool is_done;
	/* Something was written, so the watch will show this revision. */
	bool has_written;
	/* Not done: the newest revision among the compared keys, 0: gone. */
	int64_t newest;
};

struct etcd_lease {
	int64_t id;
	/* 0: gone. */
	int64_t ttl;
};

/* Bodies are the caller's to free. */

/*
 * All keys below the prefix, `limit` at a time; after: the last page's
 * `last`, or NULL. rev 0: now.
 */
char *etcd_json_range(const char *prefix, const char *after, int64_t rev,
		      int limit);
char *etcd_json_get(const char *prefix, const char *key);
char *etcd_json_watch(const char *prefix, int64_t from);
char *etcd_json_txn(const char *prefix, const struct store_txn *txn,
		    int64_t lease);
char *etcd_json_lease_grant(int64_t ttl);
char *etcd_json_lease_keep(int64_t id);

int etcd_json_parse_range(const char *text, size_t len, const char *prefix,
			  struct etcd_range *ret);
void etcd_range_clear(struct etcd_range *range);
/* One line of the stream. */
int etcd_json_parse_watch(const char *text, size_t len, const char *prefix,
			  struct etcd_watch *ret);
void etcd_watch_clear(struct etcd_watch *watch);
int etcd_json_parse_txn(const char *text, size_t len, struct etcd_txn *ret);
/* Of a grant or a renewal. */
int etcd_json_parse_lease(const char *text, size_t len, struct etcd_lease *ret);
/* The reply of a call that failed, in any of the gateway's shapes. */
void etcd_json_parse_error(const char *text, size_t len,
			   struct etcd_error *ret);

/* The identity's value and back: -EPROTO if it is not one. */
char *etcd_json_identity(const char *id);
int etcd_json_parse_identity(const char *value, char **ret);

/* Standard base64; the result of decode ends with a 0 not counted in *len. */
char *etcd_b64_encode(const void *data, size_t len);
int etcd_b64_decode(const char *text, size_t len, char **ret, size_t *ret_len);
