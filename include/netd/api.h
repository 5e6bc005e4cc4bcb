/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api - the operations of netd, said once for the daemon and for netctl.
 *
 * Every operation is an HTTP request with a JSON body over the socket. What
 * it takes is its row in api_ops[]: the daemon refuses fields that are not
 * there or are of another type, netctl makes its options from the same row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define API_SOCKET_DEFAULT "/run/netd/netd.sock"
#define API_BODY_MAX (1024 * 1024)

enum api_op {
	API_NETWORK_CREATE,
	API_NETWORK_LIST,
	API_NETWORK_INSPECT,
	API_NETWORK_DELETE,
	API_NETWORK_CONNECT,
	API_NETWORK_DISCONNECT,
	API_NETWORK_READY,
	API_POD_CREATE,
	API_POD_LIST,
	API_POD_INSPECT,
	API_POD_DELETE,
	API_POD_ATTACH,
	API_POD_DETACH,
	API_POD_CHECK,
	API_POD_GC,
	API_SERVICE_CREATE,
	API_SERVICE_LIST,
	API_SERVICE_INSPECT,
	API_SERVICE_PS,
	API_SERVICE_UPDATE,
	API_SERVICE_DRAIN,
	API_SERVICE_UNDRAIN,
	API_SERVICE_DELETE,
	API_DNS_RECORD_ADD,
	API_DNS_RECORD_LIST,
	API_DNS_RECORD_DELETE,
	API_DNS_UPSTREAM_SET,
	API_DNS_UPSTREAM_LIST,
	API_DNS_UPSTREAM_DELETE,
	API_DNS_QUERY,
	API_DNS_STATS,
	API_DNS_CACHE_LIST,
	API_DNS_CACHE_FLUSH,
	API_DNS_UPSTREAM_STATUS,
	API_DNS_RESOLVED,
	API_NODE_LIST,
	API_NODE_UPDATE,
	API_NODE_DRAIN,
	API_STATUS,
	API_DROPS,
	API_DROPS_WATCH,
	API_EVENTS,
	API_DOCKER_STATUS,
	API_VERSION,
	API_OP_MAX
};

enum api_type {
	/* JSON string; a word. */
	API_STR,
	/* JSON true; an option without a value. */
	API_BOOL,
	/* JSON integer within [min, max]. */
	API_INT,
	/* JSON array of strings; an option that may be repeated. */
	API_LIST,
	/* JSON object of strings; a repeatable option K=V. */
	API_MAP,
};

#define API_ARGS_MAX 32

struct api_arg {
	/* JSON field ("endpoint_mode"); the option is its dashed form. */
	const char *name;
	enum api_type type;
	/* Short option, or 0. */
	char letter;
	/* A word without an option: NAME. In path order. */
	bool positional;
	bool required;
	/* In the body, but no option of netctl's. */
	bool hidden;
	/* What stands for the value in a usage line: "CIDR". */
	const char *value;
	const char *help;
	long min, max;
};

struct api_op_info {
	const char *name;
	const char *method;
	/* {x} is replaced by argument x, percent-encoded. */
	const char *path;
	struct api_arg args[API_ARGS_MAX];
};

extern const struct api_op_info api_ops[API_OP_MAX];

/* Stable words for what went wrong, each with its HTTP status. */
enum api_error {
	API_OK,
	API_INVALID,
	API_NOT_FOUND,
	API_CONFLICT,
	API_IN_USE,
	API_FORBIDDEN,
	API_UNSUPPORTED,
	API_EXHAUSTED,
	API_UNAVAILABLE,
	API_TIMEOUT,
	API_TOO_LARGE,
	API_INTERNAL,
	API_ERROR_MAX
};

struct api_error_info {
	const char *code;
	int http;
	/* netctl's exit code for it. */
	int exit;
};

extern const struct api_error_info api_errors[API_ERROR_MAX];

/* The argument's row, or NULL. */
const struct api_arg *api_arg_find(const struct api_op_info *op,
				   const char *name);
