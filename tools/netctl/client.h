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

/* As client_call, and tells the user what went wrong. */
int client_ask(const struct ctl *ctl, enum api_op op, const json_t *args,
	       json_t **ret);
