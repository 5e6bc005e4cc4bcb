/* SPDX-License-Identifier: Apache-2.0 */
/* config_yaml - a configuration file's bytes into keys, errors with their
 * place. */
#pragma once

#include <stddef.h>

#include "keys.h"

/*
 * Sets what the text sets; `set[i]` becomes true for those keys. A failure
 * fills error with "FILE:LINE:COLUMN: what is wrong".
 */
int config_yaml(const char *file, const char *text, size_t len,
		struct config *cfg, bool set[KEYS_MAX], char *error,
		size_t size);
