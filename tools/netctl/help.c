/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include "netd/util.h"

static void list_cmds(FILE *to, const char *group)
{
	size_t len = group ? strcspn(group, " ") : 0;

	for (size_t i = 0; i < cmd_tables_len; i++) {
		for (const struct cmd *c = cmd_tables[i]; c->words; c++) {
			bool other = strncmp(c->words, group ? group : "",
					     len) != 0 ||
				     (group && c->words[len] != ' ');

			if (!group || !other)
				fprintf(to, "  %-20s %s\n", c->words, c->help);
		}
	}
}

static bool has_cmds(const char *group)
{
	size_t len = strcspn(group, " ");

	for (size_t i = 0; i < cmd_tables_len; i++)
		for (const struct cmd *c = cmd_tables[i]; c->words; c++)
			if (strncmp(c->words, group, len) == 0 &&
			    c->words[len] == ' ')
				return true;
	return false;
}

static void list_options(FILE *to, const struct api_arg *rows, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		AUTO(str_freep) char *option = args_option(&rows[i]);
		AUTO(str_freep) char *left = NULL;
		char letter[8] = "    ";

		if (rows[i].positional || rows[i].hidden)
			continue;
		if (rows[i].letter)
			snprintf(letter, sizeof(letter), "-%c, ",
				 rows[i].letter);
		left = xasprintf("%s--%s%s%s", letter, option,
				 rows[i].value ? " " : "",
				 rows[i].value ? rows[i].value : "");
		fprintf(to, "  %-34s %s\n", left,
			rows[i].help ? rows[i].help : "");
	}
}

void help_all(FILE *to)
{
	fputs("Usage: netctl [OPTIONS] COMMAND\n"
	      "Networks, pods and services of netd.\n\nCommands:\n",
	      to);
	list_cmds(to, NULL);
	fputs("\nOptions, before or after a command:\n", to);
	list_options(to, global_rows, global_rows_len);
	fputs("\nnetctl help COMMAND tells what a command takes.\n", to);
}

void help_group(FILE *to, const char *words)
{
	int len = (int)strcspn(words, " ");

	if (!has_cmds(words)) {
		fputs("Usage: netctl [OPTIONS] COMMAND\n\nCommands:\n", to);
		list_cmds(to, NULL);
		return;
	}
	fprintf(to, "Usage: netctl %.*s COMMAND\n\nCommands:\n", len, words);
	list_cmds(to, words);
}

void help_usage(FILE *to, const struct cmd *cmd)
{
	size_t len = cmd_rows_len(cmd->op);

	fprintf(to, "Usage: netctl %s [OPTIONS]", cmd->words);
	for (size_t i = 0; i < len; i++) {
		const struct api_arg *row = &api_ops[cmd->op].args[i];

		if (row->positional)
			fprintf(to, row->required ? " %s%s" : " [%s%s]",
				row->value, cmd->many ? "..." : "");
	}
	if (cmd->runs && cmd->op == CMD_NO_OP)
		fputs(" NAME", to);
	if (cmd->runs)
		fputs(" -- COMMAND [ARGUMENT]...", to);
	fputc('\n', to);
}

void help_cmd(FILE *to, const struct cmd *cmd)
{
	help_usage(to, cmd);
	fprintf(to, "%s.\n", cmd->help);
	if (cmd->op != CMD_NO_OP && cmd_rows_len(cmd->op) + cmd->own_len > 1) {
		fputs("\nOptions:\n", to);
		list_options(to, api_ops[cmd->op].args, cmd_rows_len(cmd->op));
		list_options(to, cmd->own, cmd->own_len);
	}
	fputs("\nOptions of every command:\n", to);
	list_options(to, global_rows, global_rows_len);
}
