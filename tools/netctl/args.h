/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args - words of the command line into values, by rows of struct api_arg.
 *
 * The same rows that say what an operation takes are its options: dashed
 * names, before or after the words, "--name=x", "--name x", "-n x", "-nx",
 * flags bundled, "--" ends them. Values become JSON of the row's type.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "netd/api.h"

#define ARGS_SETS_MAX 3

/* Rows and where their values go. The first set that knows an option has it. */
struct args_set {
	const struct api_arg *rows;
	size_t len;
	json_t *values;
};

struct args {
	struct args_set sets[ARGS_SETS_MAX];
	size_t sets_len;
	/* What is no option; argv's strings, this array is ours. */
	char **words;
	size_t words_len;
	/* What follows "--", or the words from words_max on. */
	char **rest;
	size_t rest_len;
	char error[256];
};

/* Adds a set; its values object is args' own. */
void args_add(struct args *args, const struct api_arg *rows, size_t len);
void args_free(struct args *args);

/*
 * Parses. With words_max the first word beyond it ends the parsing: it and
 * all that follows is the rest. 0, or -EINVAL with args->error.
 */
int args_parse(struct args *args, int argc, char **argv, size_t words_max);

/*
 * Parses options up to the first word; returns its index in argv (argc when
 * there is none) or -EINVAL.
 */
int args_parse_front(struct args *args, int argc, char **argv);

/* An option's name as it is typed: "endpoint-mode". */
char *args_option(const struct api_arg *row);
