/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal - why a request is not done: the answer to whoever asked.
 *
 * Every refusal names the object and the rule (message), the field, and the
 * way out (hint).
 */
#pragma once

#include "netd/api.h"

struct refusal {
	enum api_error code;
	char field[32];
	char message[320];
	char hint[320];
};

/* Fills r (field and hint may be NULL) and returns -EINVAL, to be returned. */
int refuse(struct refusal *r, enum api_error code, const char *field,
	   const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Adds a hint that needs values. */
void refuse_hint(struct refusal *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
