/* SPDX-License-Identifier: Apache-2.0 */
/* out - replies on standard output: as a table, as names, as JSON. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"

enum out_flags {
	/* Numbers. */
	OUT_RIGHT = 1,
	/* Only with -o wide. */
	OUT_WIDE = 2,
	/* Only when a row has something there. */
	OUT_IF_ANY = 4,
	/* Cut first when the terminal is narrow. */
	OUT_CUT = 8,
	/* "up" is green, all else is not. */
	OUT_STATE = 16,
};

struct out_column {
	const char *title;
	/* The row's field; its plain text unless text() makes another. */
	const char *key;
	unsigned int flags;
	char *(*text)(const json_t *value);
};

struct out_view {
	/* The field that names a row, for -q and -o name. */
	const char *name;
	const struct out_column *columns;
	size_t len;
};

/* An array of objects, in the form that was asked for. */
void out_list(const struct ctl *ctl, const struct out_view *view,
	      const json_t *rows);

/* The forms behind it. */
void out_table(const struct ctl *ctl, const struct out_view *view,
	       const json_t *rows);
void out_json(const json_t *value);
void out_name(const json_t *object, const char *key);

/* A value in words: lists joined by commas, yes and no. The caller's. */
char *out_text(const json_t *value);

/* Joins with commas; takes both. */
char *out_join(char *list, char *item);
