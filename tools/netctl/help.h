/* SPDX-License-Identifier: Apache-2.0 */
/* help - usage texts, made from the same rows that are parsed. */
#pragma once

#include <stdio.h>

#include "cmd.h"

extern const struct api_arg global_rows[];
extern const size_t global_rows_len;
extern const struct cmd *const cmd_tables[];
extern const size_t cmd_tables_len;

const struct cmd *cmd_find(const char *words);
size_t cmd_rows_len(enum api_op op);

/* Words joined, aliases replaced by what they stand for. The caller's. */
char *cmd_words(char **words, size_t len);

void help_all(FILE *to);
/* The commands of the first word; all when it has none. */
void help_group(FILE *to, const char *words);
void help_usage(FILE *to, const struct cmd *cmd);
void help_cmd(FILE *to, const struct cmd *cmd);
