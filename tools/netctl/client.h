/* SPDX-License-Identifier: Apache-2.0 */
/* client - one request to the daemon and its reply. */
#pragma once

#include <jansson.h>

#include "ctl.h"

/*
 * Arguments that stand in the operation's path are taken from args, the rest
 * is the body. 0 with the reply in *ret (NULL when it is empty; owned by the
 * caller), or an exit code with *why filled.
 */
int client_call(const struct ctl *ctl, enum api_op op, const json_t *args,
		json_t **ret, struct failure *why);

/*
 * A reply that goes on, line by line, until netd ends it or line() returns
 * false. What is said of the user is as in client_ask().
 */
int client_stream(const struct ctl *ctl, enum api_op op, const json_t *args,
		  bool (*line)(void *arg, const char *text), void *arg);

/* As client_call, and tells the user what went wrong. */
int client_ask(const struct ctl *ctl, enum api_op op, const json_t *args,
	       json_t **ret);
