/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_args - what a request asks for: its operation and checked arguments.
 *
 * Pure: bytes in, an operation of api_ops[] and a JSON object out. Everything
 * here was sent by somebody else. What passes is an object that holds only
 * fields of the operation's row, each of its type and range, the required
 * ones all there; what its values mean is the model's to judge.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "netd/api.h"

/* Levels of nesting, and values, that a body may have. */
#define HTTP_DEPTH_MAX 32
#define HTTP_VALUES_MAX 65536

/* Why a request is refused. The texts are empty where there is none. */
struct http_refusal {
	enum api_error error;
	/* Not error's own status when it is not 0 (405). */
	int status;
	char field[64];
	char message[256];
	char hint[160];
};

/*
 * Finds the operation for a method and a path as sent, still escaped. *args
 * becomes an object with what stood in the path. -EINVAL fills *why; "allow"
 * of a 405 are the path's methods, comma separated.
 */
int http_route(const char *method, const char *path, enum api_op *op,
	       json_t **args, struct http_refusal *why, char *allow,
	       size_t allow_size);

/* Adds a body's fields to args and checks them all. -EINVAL fills *why. */
int http_body(enum api_op op, const char *body, size_t len, json_t *args,
	      struct http_refusal *why);
