/* SPDX-License-Identifier: Apache-2.0 */
/* keys - the table of configuration keys, and text to values by it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

#define KEYS_MAX 64
#define KEY_NAME_MAX 64

enum key_type {
	KEY_STR,
	KEY_U32,
	KEY_U16,
	KEY_U8,
	KEY_BOOL,
	/* "4s", kept as whole seconds. */
	KEY_SECONDS,
	/* "500ms", kept as milliseconds. */
	KEY_MILLIS,
	KEY_ADDR,
	KEY_PREFIX,
	KEY_BACKEND,
	KEY_LEVEL,
	/* Lists; the rest are scalars. */
	KEY_STRS,
	KEY_ADDRS,
	KEY_PREFIXES,
};

/* What a text is: YAML tells 5 from "5", the environment does not. */
enum key_text { KEY_TEXT, KEY_PLAIN, KEY_QUOTED };

struct key_scalar {
	const char *text;
	enum key_text kind;
};

struct config_key {
	/* "store.tls.ca" */
	const char *name;
	enum key_type type;
	size_t offset;
	/* Lists: where the length is, and what fits (0: any number). */
	size_t len_offset;
	size_t len_max;
	/* Numbers. */
	unsigned int min, max;
	/* Built in, in the words of the environment; NULL: nothing. */
	const char *preset;
	/* The word `auto` is nothing given. */
	bool has_auto;
	/* One more look at a string; what is wrong with it, or NULL. */
	const char *(*check)(const char *text);
};

extern const struct config_key config_keys[];
extern const size_t config_keys_len;

const struct config_key *key_find(const char *name);
bool key_is_list(const struct config_key *key);

/* Sets the key; -EINVAL: why says what is wrong, without the key's name. */
int key_set(struct config *cfg, const struct config_key *key,
	    const struct key_scalar *items, size_t len, char *why, size_t size);

/* As key_set, from one text; lists are comma separated. */
int key_set_text(struct config *cfg, const struct config_key *key,
		 const char *text, char *why, size_t size);

/* ": did you mean \"x\"?" into buf when one of the names is near, else "". */
const char *key_meant(const char *name, char *buf, size_t size);
