/* SPDX-License-Identifier: Apache-2.0 */
/* What an etcd, or whoever stands in for one, may answer. */
#include "etcd_json.h"
#include "netd/util.h"

#define PREFIX "/netd/v1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(str_freep) char *text = xzalloc(len + 1);
	AUTO(str_freep) char *raw = NULL;
	AUTO(str_freep) char *id = NULL;
	struct etcd_range range;
	struct etcd_watch watch;
	struct etcd_txn txn;
	struct etcd_lease lease;
	struct etcd_error error;
	size_t raw_len;

	memcpy(text, data, len);
	if (!etcd_json_parse_range(text, len, PREFIX, &range)) {
		if (range.last)
			free(etcd_json_range(PREFIX, range.last, 1, 1));
		etcd_range_clear(&range);
	}
	if (!etcd_json_parse_watch(text, len, PREFIX, &watch))
		etcd_watch_clear(&watch);
	etcd_json_parse_txn(text, len, &txn);
	etcd_json_parse_lease(text, len, &lease);
	etcd_json_parse_error(text, len, &error);
	etcd_json_parse_identity(text, &id);
	etcd_b64_decode(text, len, &raw, &raw_len);
	return 0;
}
