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

#include "http.h"

/* Levels of nesting, and values, that a body may have. */
#define HTTP_DEPTH_MAX 32
#define HTTP_VALUES_MAX 65536

/* The rows of api_router, for tests and for routers whose bodies are JSON. */
int http_route(const char *method, const char *path, int *op, json_t **args,
	       struct http_refusal *why, char *allow, size_t allow_size);
int http_body(int op, const char *body, size_t len, json_t *args,
	      struct http_refusal *why);

/*
 * A body as a JSON object (the caller's; an empty one is {}), its nesting and
 * its number of values looked at before anything is allocated.
 */
int http_body_parse(const char *body, size_t len, json_t **ret,
		    struct http_refusal *why);
