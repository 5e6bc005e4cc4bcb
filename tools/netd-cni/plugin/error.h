/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error - why the plugin fails, as the CNI specification has it said: a code
 * with a meaning of its own, a short message, and the way out.
 */
#pragma once

#include <jansson.h>

enum cni_code {
	/* The specification's. */
	CNI_CODE_VERSION = 1,
	CNI_CODE_UNSUPPORTED = 2,
	CNI_CODE_ENV = 4,
	CNI_CODE_IO = 5,
	CNI_CODE_DECODE = 6,
	CNI_CODE_CONFIG = 7,
	CNI_CODE_NETNS = 8,
	CNI_CODE_LATER = 11,
	CNI_CODE_NOT_READY = 50,
	CNI_CODE_BROKEN = 51,
	/* Ours. */
	CNI_CODE_TAKEN = 101,
	CNI_CODE_FULL = 102,
	CNI_CODE_DIFFERS = 103,
	CNI_CODE_FORBIDDEN = 104,
	CNI_CODE_INTERNAL = 999,
};

struct cni_error {
	enum cni_code code;
	char msg[400];
	char details[400];
};

/* Fills e (details may be NULL) and returns -EINVAL, to be returned. */
int cni_fail(struct cni_error *e, enum cni_code code, const char *details,
	     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The error as the runtime reads it. */
json_t *cni_error_json(const struct cni_error *e, const char *version);
