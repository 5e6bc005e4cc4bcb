/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd_json.h"

#include <jansson.h>

#include "netd/util.h"

/* Longest key of ours; etcd has no limit of its own. */
#define ETCD_KEY_MAX 1024

static inline void json_freep(json_t **json)
{
	json_decref(*json);
}

static char *json_text(json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	/* Only memory can be short here, and then nothing else works. */
	if (!text)
		abort();
	return text;
}

static json_t *json_b64(const void *data, size_t len)
{
	AUTO(str_freep) char *text = etcd_b64_encode(data, len);

	return json_string(text);
}

static json_t *json_key(const char *prefix, const char *key)
{
	AUTO(str_freep) char *full = xasprintf("%s/%s", prefix, key);

	return json_b64(full, strlen(full));
}

/* The first key after all below the prefix: '/' and the next is '0'. */
static json_t *json_prefix_end(const char *prefix)
{
	AUTO(str_freep) char *end = xasprintf("%s0", prefix);

	return json_b64(end, strlen(end));
}

static json_t *json_int64(int64_t n)
{
	AUTO(str_freep) char *text = xasprintf("%lld", (long long)n);

	return json_string(text);
}

/* The key just after this one (in base64) is it with a 0 byte behind. */
static json_t *json_key_after(const char *after)
{
	AUTO(str_freep) char *raw = NULL;
	size_t len = 0;

	if (etcd_b64_decode(after, strlen(after), &raw, &len))
		return json_string("");
	return json_b64(raw, len + 1);
}

char *etcd_json_range(const char *prefix, const char *after, int64_t rev,
		      int limit)
{
	return json_text(
		json_pack("{s:o, s:o, s:o, s:i}", "key",
			  after ? json_key_after(after) : json_key(prefix, ""),
			  "range_end", json_prefix_end(prefix), "revision",
			  json_int64(rev), "limit", limit));
}

char *etcd_json_get(const char *prefix, const char *key)
{
	return json_text(json_pack("{s:o}", "key", json_key(prefix, key)));
}

char *etcd_json_watch(const char *prefix, int64_t from)
{
	return json_text(json_pack("{s:{s:o, s:o, s:o, s:b}}", "create_request",
				   "key", json_key(prefix, ""), "range_end",
				   json_prefix_end(prefix), "start_revision",
				   json_int64(from), "progress_notify", 1));
}

static json_t *json_is(const char *prefix, const struct store_is *is)
{
	/* "Does not exist" is said by version 0 in etcd's own recipes. */
	const char *target = is->rev ? "MOD" : "VERSION";
	const char *field = is->rev ? "mod_revision" : "version";

	return json_pack("{s:o, s:s, s:s, s:o}", "key",
			 json_key(prefix, is->key), "target", target, "result",
			 "EQUAL", field, json_int64(is->rev));
}

static json_t *json_op(const char *prefix, const struct store_op *op,
		       int64_t lease)
{
	json_t *key = json_key(prefix, op->key);
	json_t *put;

	if (!op->value)
		return json_pack("{s:{s:o}}", "request_delete_range", "key",
				 key);
	put = json_pack("{s:o, s:o}", "key", key, "value",
			json_b64(op->value, strlen(op->value)));
	if (op->is_leased)
		json_object_set_new(put, "lease", json_int64(lease));
	return json_pack("{s:o}", "request_put", put);
}

char *etcd_json_txn(const char *prefix, const struct store_txn *txn,
		    int64_t lease)
{
	json_t *compare = json_array(), *success = json_array();
	json_t *failure = json_array();

	for (size_t i = 0; i < txn->is_len; i++) {
		json_array_append_new(compare, json_is(prefix, &txn->is[i]));
		json_array_append_new(
			failure,
			json_pack("{s:{s:o, s:b}}", "request_range", "key",
				  json_key(prefix, txn->is[i].key), "keys_only",
				  1));
	}
	for (size_t i = 0; i < txn->ops_len; i++)
		json_array_append_new(success,
				      json_op(prefix, &txn->ops[i], lease));
	return json_text(json_pack("{s:o, s:o, s:o}", "compare", compare,
				   "success", success, "failure", failure));
}

char *etcd_json_lease_grant(int64_t ttl)
{
	return json_text(json_pack("{s:o}", "TTL", json_int64(ttl)));
}

char *etcd_json_lease_keep(int64_t id)
{
	return json_text(json_pack("{s:o}", "ID", json_int64(id)));
}

/* A number, or a string that holds one; missing: 0. */
static int get_int64(const json_t *object, const char *name, int64_t *ret)
{
	const json_t *field = json_object_get(object, name);
	const char *text = json_string_value(field);
	char *end;
	long long n;

	*ret = 0;
	if (!field)
		return 0;
	if (json_is_integer(field)) {
		*ret = json_integer_value(field);
		return 0;
	}
	if (!text || !*text)
		return -EPROTO;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *end)
		return -EPROTO;
	*ret = n;
	return 0;
}

static int get_uint64(const json_t *object, const char *name, uint64_t *ret)
{
	const char *text = json_string_value(json_object_get(object, name));
	int64_t n = 0;
	char *end;
	int err;

	if (!text) {
		err = get_int64(object, name, &n);
		*ret = (uint64_t)n;
		return err;
	}
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno || *end || end == text ? -EPROTO : 0;
}

static int get_header(const json_t *reply, uint64_t *cluster, int64_t *rev)
{
	const json_t *header = json_object_get(reply, "header");
	int err = get_uint64(header, "cluster_id", cluster);

	if (!json_is_object(header))
		return -EPROTO;
	if (!err)
		err = get_int64(header, "revision", rev);
	return err || *rev < 0 ? -EPROTO : 0;
}

static bool is_key(const char *key, size_t len)
{
	if (!len || len > ETCD_KEY_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (key[i] <= ' ' || key[i] > '~')
			return false;
	}
	return true;
}

/* The key without its prefix, or NULL if it is none of ours. */
static int get_key(const json_t *kv, const char *prefix, char **ret)
{
	const json_t *field = json_object_get(kv, "key");
	AUTO(str_freep) char *raw = NULL;
	size_t len = 0, skip = strlen(prefix) + 1;
	int err;

	*ret = NULL;
	if (!json_is_string(field))
		return -EPROTO;
	err = etcd_b64_decode(json_string_value(field),
			      json_string_length(field), &raw, &len);
	if (err)
		return err;
	if (len > skip && raw[skip - 1] == '/' &&
	    !memcmp(raw, prefix, skip - 1) && is_key(raw + skip, len - skip))
		*ret = xstrdup(raw + skip);
	return 0;
}

static int get_value(const json_t *kv, char **ret)
{
	const json_t *field = json_object_get(kv, "value");
	size_t len;

	if (!field) {
		*ret = xstrdup("");
		return 0;
	}
	if (!json_is_string(field))
		return -EPROTO;
	return etcd_b64_decode(json_string_value(field),
			       json_string_length(field), ret, &len);
}

static int parse_kv(const json_t *kv, const char *prefix, bool is_gone,
		    struct store_batch *ret, int64_t *ret_rev)
{
	AUTO(str_freep) char *key = NULL;
	AUTO(str_freep) char *value = NULL;
	int64_t rev = 0;
	int err = get_key(kv, prefix, &key);

	if (!err)
		err = get_int64(kv, "mod_revision", &rev);
	if (!err && rev <= 0)
		err = -EPROTO;
	if (!err && key && !is_gone)
		err = get_value(kv, &value);
	if (err)
		return err;
	if (key)
		store_batch_take(ret, take_ptr(key), take_ptr(value), rev);
	*ret_rev = rev;
	return 0;
}

/* Gives the object in `text`, or -EPROTO. */
static int parse_object(const char *text, size_t len, json_t **ret)
{
	json_t *json = json_loadb(text, len, 0, NULL);

	if (!json_is_object(json)) {
		json_decref(json);
		return -EPROTO;
	}
	*ret = json;
	return 0;
}

static int read_range(const json_t *reply, const char *prefix,
		      struct etcd_range *range)
{
	const json_t *kvs = json_object_get(reply, "kvs"), *kv;
	size_t i, len = json_array_size(kvs);
	int err = get_header(reply, &range->cluster, &range->rev);

	if (!err && kvs && !json_is_array(kvs))
		err = -EPROTO;
	range->has_more = json_is_true(json_object_get(reply, "more"));
	for (i = 0; !err && i < len; i++) {
		int64_t rev;

		kv = json_array_get(kvs, i);
		err = parse_kv(kv, prefix, false, &range->kvs, &rev);
	}
	if (err)
		return err;
	if (len) {
		kv = json_object_get(json_array_get(kvs, len - 1), "key");
		range->last = xstrdup(json_string_value(kv));
	}
	/* More, after nothing: asking again would go on for ever. */
	return range->has_more && !len ? -EPROTO : 0;
}

int etcd_json_parse_range(const char *text, size_t len, const char *prefix,
			  struct etcd_range *ret)
{
	AUTO(json_freep) json_t *reply = NULL;
	struct etcd_range range = { 0 };
	int err = parse_object(text, len, &reply);

	if (!err)
		err = read_range(reply, prefix, &range);
	if (err) {
		etcd_range_clear(&range);
		return err;
	}
	*ret = range;
	return 0;
}

void etcd_range_clear(struct etcd_range *range)
{
	store_batch_clear(&range->kvs);
	free(range->last);
	*range = (struct etcd_range){ 0 };
}

/* Words of others: one line, printable. */
static void copy_words(char *buf, size_t size, const char *words)
{
	size_t n = 0;

	for (; words[n] && n + 1 < size; n++)
		buf[n] = words[n] < ' ' || words[n] == 127 ? ' ' : words[n];
	buf[n] = 0;
}

/*
 * {"code","message"} of 3.6, with "error" as text in 3.4 and 3.5; in streams
 * {"error": {"grpc_code","message"}} or {"error": {"code","message"}}.
 */
static void read_error(const json_t *reply, struct etcd_error *ret)
{
	const json_t *error = json_object_get(reply, "error");
	const json_t *at = json_is_object(error) ? error : reply;
	const char *words = json_string_value(json_object_get(at, "message"));
	int64_t code = 0;

	get_int64(at, "code", &code);
	if (!code)
		get_int64(at, "grpc_code", &code);
	if (!words)
		words = json_string_value(error);
	if (!code && !words)
		return;
	ret->code = code > 0 && code < 100 ? (int)code : 2;
	copy_words(ret->text, sizeof(ret->text), words ? words : "error");
}

void etcd_json_parse_error(const char *text, size_t len, struct etcd_error *ret)
{
	AUTO(json_freep) json_t *reply = NULL;

	*ret = (struct etcd_error){ 0 };
	if (!parse_object(text, len, &reply))
		read_error(reply, ret);
}

static int read_event(const json_t *event, const char *prefix,
		      struct etcd_watch *watch)
{
	const char *type = json_string_value(json_object_get(event, "type"));
	bool is_gone = type && str_eq(type, "DELETE");
	int64_t rev;
	int err;

	if (type && !is_gone && !str_eq(type, "PUT"))
		return -EPROTO;
	err = parse_kv(json_object_get(event, "kv"), prefix, is_gone,
		       &watch->kvs, &rev);
	if (err)
		return err;
	/* Within a watch, revisions never go back. */
	if (rev < watch->last_rev)
		return -EPROTO;
	watch->last_rev = rev;
	return 0;
}

static int read_watch(const json_t *reply, const char *prefix,
		      struct etcd_watch *watch)
{
	const json_t *result = json_object_get(reply, "result");
	const json_t *events = json_object_get(result, "events");
	const char *reason;
	int err;

	read_error(reply, &watch->error);
	if (watch->error.code)
		return 0;
	if (!json_is_object(result) || (events && !json_is_array(events)))
		return -EPROTO;
	err = get_header(result, &watch->cluster, &watch->rev);
	if (!err)
		err = get_int64(result, "compact_revision", &watch->compacted);
	watch->is_created = json_is_true(json_object_get(result, "created"));
	watch->is_canceled = json_is_true(json_object_get(result, "canceled"));
	reason = json_string_value(json_object_get(result, "cancel_reason"));
	if (reason)
		copy_words(watch->error.text, sizeof(watch->error.text),
			   reason);
	for (size_t i = 0; !err && i < json_array_size(events); i++)
		err = read_event(json_array_get(events, i), prefix, watch);
	return err;
}

int etcd_json_parse_watch(const char *text, size_t len, const char *prefix,
			  struct etcd_watch *ret)
{
	AUTO(json_freep) json_t *reply = NULL;
	struct etcd_watch watch = { 0 };
	int err = parse_object(text, len, &reply);

	if (!err)
		err = read_watch(reply, prefix, &watch);
	if (err) {
		etcd_watch_clear(&watch);
		return err;
	}
	*ret = watch;
	return 0;
}

void etcd_watch_clear(struct etcd_watch *watch)
{
	store_batch_clear(&watch->kvs);
	*watch = (struct etcd_watch){ 0 };
}

static bool has_written(const json_t *response)
{
	const json_t *del = json_object_get(response, "response_delete_range");
	int64_t deleted = 0;

	if (json_object_get(response, "response_put"))
		return true;
	return del && !get_int64(del, "deleted", &deleted) && deleted > 0;
}

/* The compared key's revision; 0: it is gone. */
static int64_t newest_in(const json_t *response)
{
	const json_t *range = json_object_get(response, "response_range");
	const json_t *kvs = json_object_get(range, "kvs");
	int64_t rev = 0;

	get_int64(json_array_get(kvs, 0), "mod_revision", &rev);
	return rev;
}

int etcd_json_parse_txn(const char *text, size_t len, struct etcd_txn *ret)
{
	AUTO(json_freep) json_t *reply = NULL;
	struct etcd_txn txn = { 0 };
	const json_t *responses;
	uint64_t cluster;
	int err = parse_object(text, len, &reply);

	if (!err)
		err = get_header(reply, &cluster, &txn.rev);
	if (err)
		return err;
	txn.is_done = json_is_true(json_object_get(reply, "succeeded"));
	responses = json_object_get(reply, "responses");
	for (size_t i = 0; i < json_array_size(responses); i++) {
		const json_t *response = json_array_get(responses, i);

		txn.has_written |= txn.is_done && has_written(response);
		if (!txn.is_done)
			txn.newest = MAX(txn.newest, newest_in(response));
	}
	*ret = txn;
	return 0;
}

int etcd_json_parse_lease(const char *text, size_t len, struct etcd_lease *ret)
{
	AUTO(json_freep) json_t *reply = NULL;
	struct etcd_lease lease;
	const json_t *at;
	int err = parse_object(text, len, &reply);

	if (err)
		return err;
	/* A renewal comes as the one line of a stream. */
	at = json_object_get(reply, "result");
	if (!at)
		at = reply;
	err = get_int64(at, "ID", &lease.id);
	if (!err)
		err = get_int64(at, "TTL", &lease.ttl);
	if (err || !lease.id || lease.ttl < 0)
		return -EPROTO;
	*ret = lease;
	return 0;
}

char *etcd_json_identity(const char *id)
{
	return json_text(json_pack("{s:i, s:s}", "schema", 1, "id", id));
}

int etcd_json_parse_identity(const char *value, char **ret)
{
	AUTO(json_freep) json_t *json = NULL;
	const char *id;
	int err = parse_object(value, strlen(value), &json);

	if (err)
		return err;
	id = json_string_value(json_object_get(json, "id"));
	if (!id || strlen(id) > 64 || !is_key(id, strlen(id)))
		return -EPROTO;
	*ret = xstrdup(id);
	return 0;
}
