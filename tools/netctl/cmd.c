/* SPDX-License-Identifier: Apache-2.0 */
/* From words to a row, from the row to its run function. */
#include "cmd.h"

#include "complete.h"
#include "help.h"
#include "netd/util.h"
#include "netd/words.h"

#define TIMEOUT_S 60

const struct api_arg global_rows[] = {
	{ .name = "host",
	  .type = API_STR,
	  .letter = 'H',
	  .value = "unix://PATH",
	  .help = "socket of netd (NETD_HOST)" },
	{ .name = "output",
	  .type = API_STR,
	  .letter = 'o',
	  .value = "FORM",
	  .help = "table, wide, json or name" },
	{ .name = "quiet",
	  .type = API_BOOL,
	  .letter = 'q',
	  .help = "names only" },
	{ .name = "no_trunc", .type = API_BOOL, .help = "do not cut columns" },
	{ .name = "color",
	  .type = API_STR,
	  .value = "WHEN",
	  .help = "auto, always or never" },
	{ .name = "timeout",
	  .type = API_INT,
	  .value = "SECONDS",
	  .help = "how long to wait for netd (60)",
	  .min = 1,
	  .max = 86400 },
	{ .name = "debug",
	  .type = API_BOOL,
	  .letter = 'D',
	  .help = "show requests and replies" },
	{ .name = "version", .type = API_BOOL, .help = "version of netctl" },
	{ .name = "help", .type = API_BOOL, .letter = 'h', .help = "this" },
};
const size_t global_rows_len = ARRAY_LEN(global_rows);

const struct cmd *const cmd_tables[] = {
	network_cmds, pod_cmds, service_cmds, dns_cmds,	       resolver_cmds,
	docker_cmds,  cni_cmds, drops_cmds,   completion_cmds, system_cmds,
};
const size_t cmd_tables_len = ARRAY_LEN(cmd_tables);

/* ---- words ---- */

static const struct {
	const char *word, *stands_for;
} aliases[] = {
	{ "net", "network" }, { "svc", "service" }, { "ns", "pod" },
	{ "list", "ls" },     { "remove", "rm" },   { "delete", "rm" },
};

static const char *canonical(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (str_eq(aliases[i].word, word))
			return aliases[i].stands_for;
	return word;
}

const struct cmd *cmd_find(const char *words)
{
	for (size_t i = 0; i < cmd_tables_len; i++)
		for (const struct cmd *c = cmd_tables[i]; c->words; c++)
			if (str_eq(c->words, words))
				return c;
	return NULL;
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < cmd_tables_len; i++)
		for (const struct cmd *c = cmd_tables[i]; c->words; c++) {
			const char *rest = str_after(c->words, word);

			if (rest && *rest == ' ')
				return true;
		}
	return false;
}

static int unknown_command(const char *words)
{
	struct word_near near = word_near(words);
	const char *meant;

	for (size_t i = 0; i < cmd_tables_len; i++)
		for (const struct cmd *c = cmd_tables[i]; c->words; c++)
			word_offer(&near, c->words);
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		word_offer(&near, aliases[i].word);
	word_offer(&near, "network");
	word_offer(&near, "pod");
	word_offer(&near, "service");
	word_offer(&near, "node");
	meant = word_meant(&near);
	fprintf(stderr, "netctl: unknown command \"%s\"\n", words);
	if (meant)
		fprintf(stderr, "hint: did you mean \"netctl %s\"?\n", meant);
	help_group(stderr, words);
	return EXIT_USAGE;
}

/* ---- global options ---- */

static const char *global_str(json_t *values, const char *name)
{
	return json_string_value(json_object_get(values, name));
}

static bool global_bool(json_t *values, const char *name)
{
	return json_is_true(json_object_get(values, name));
}

static int set_host(struct ctl *ctl, const char *host)
{
	const char *path = str_after(host, "unix://");

	if (!path)
		path = host;
	if (*path != '/')
		return complain(EXIT_USAGE, "it is of the form unix://PATH",
				"\"%s\" is no socket of netd", host);
	ctl->socket = xstrdup(path);
	return 0;
}

static int set_form(struct ctl *ctl, const char *word)
{
	static const char *const forms[] = {
		[FORM_TABLE] = "table",
		[FORM_WIDE] = "wide",
		[FORM_JSON] = "json",
		[FORM_NAME] = "name",
	};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (!str_eq(forms[i], word))
			continue;
		ctl->form = (enum ctl_form)i;
		return 0;
	}
	return complain(EXIT_USAGE, "there are table, wide, json and name",
			"no output form \"%s\"", word);
}

static int set_color(struct ctl *ctl, const char *when)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");

	if (str_eq(when, "always"))
		ctl->color = true;
	else if (str_eq(when, "never"))
		ctl->color = false;
	else if (str_eq(when, "auto"))
		ctl->color = isatty(STDOUT_FILENO) &&
			     !(no_color && *no_color) && term &&
			     !str_eq(term, "dumb");
	else
		return complain(EXIT_USAGE, "there are auto, always and never",
				"no colour mode \"%s\"", when);
	return 0;
}

static int set_globals(struct ctl *ctl, json_t *values)
{
	const char *host = global_str(values, "host");
	const char *form = global_str(values, "output");
	const char *color = global_str(values, "color");
	json_t *timeout = json_object_get(values, "timeout");
	int code;

	if (!host)
		host = getenv("NETD_HOST");
	ctl->quiet = global_bool(values, "quiet");
	ctl->no_trunc = global_bool(values, "no_trunc");
	ctl->debug = global_bool(values, "debug");
	ctl->timeout =
		timeout ? (unsigned int)json_integer_value(timeout) : TIMEOUT_S;
	code = set_host(ctl, host && *host ? host : API_SOCKET_DEFAULT);
	if (!code)
		code = set_form(ctl, form ? form : "table");
	if (!code)
		code = set_color(ctl, color ? color : "auto");
	return code;
}

/* ---- one command ---- */

static int bad_usage(const struct cmd *cmd, const char *why)
{
	fprintf(stderr, "netctl: %s: %s\n", cmd->words, why);
	help_usage(stderr, cmd);
	fprintf(stderr, "hint: netctl %s --help\n", cmd->words);
	return EXIT_USAGE;
}

/* Words become the operation's positional arguments, in order. */
static int take_words(const struct cmd *cmd, struct args *args)
{
	const struct args_set *set = &args->sets[SET_FIELDS];
	char why[80];
	size_t n = 0;

	for (size_t i = 0; i < set->len; i++) {
		const struct api_arg *row = &set->rows[i];

		if (!row->positional)
			continue;
		if (n == args->words_len && !row->required)
			break;
		if (n == args->words_len) {
			snprintf(why, sizeof(why), "wants %s", row->value);
			return bad_usage(cmd, why);
		}
		json_object_set_new(set->values, row->name,
				    json_string(args->words[n]));
		if (!json_object_get(set->values, row->name))
			return bad_usage(cmd, "a name is not UTF-8");
		n++;
	}
	if (n < args->words_len && !cmd->many && cmd->op != CMD_NO_OP) {
		snprintf(why, sizeof(why), "\"%.40s\" is one word too many",
			 args->words[n]);
		return bad_usage(cmd, why);
	}
	for (size_t i = 0; i < set->len; i++) {
		const struct api_arg *row = &set->rows[i];
		AUTO(str_freep) char *option = args_option(row);

		if (!row->required || json_object_get(set->values, row->name))
			continue;
		snprintf(why, sizeof(why), "wants --%s %s", option, row->value);
		return bad_usage(cmd, why);
	}
	return 0;
}

size_t cmd_rows_len(enum api_op op)
{
	size_t len = 0;

	while (op != CMD_NO_OP && len < API_ARGS_MAX &&
	       api_ops[op].args[len].name)
		len++;
	return len;
}

static int run_cmd(const struct cmd *cmd, json_t *globals, int argc,
		   char **argv)
{
	AUTO(args_free) struct args args = { 0 };
	struct ctl ctl = { 0 };
	int code;

	args_add(&args, cmd->op == CMD_NO_OP ? NULL : api_ops[cmd->op].args,
		 cmd_rows_len(cmd->op));
	args_add(&args, cmd->own, cmd->own_len);
	args_add(&args, global_rows, global_rows_len);
	json_object_update(args.sets[SET_GLOBAL].values, globals);
	if (args_parse(&args, argc, argv, cmd->runs ? 1 : 0))
		return bad_usage(cmd, args.error);
	if (global_bool(args.sets[SET_GLOBAL].values, "help")) {
		help_cmd(stdout, cmd);
		return EXIT_OK;
	}
	code = set_globals(&ctl, args.sets[SET_GLOBAL].values);
	if (!code)
		code = take_words(cmd, &args);
	if (!code)
		code = cmd->run(&ctl, cmd, &args);
	free(ctl.socket);
	return code;
}

/* No command among the words: help, or what --version asks. */
static int run_none(json_t *globals)
{
	if (global_bool(globals, "version"))
		printf("netctl %s\n", NETD_VERSION);
	else
		help_all(stdout);
	return EXIT_OK;
}

/* argv[0] is the first word; groups may stand in groups. */
static int run_words(struct args *front, int argc, char **argv)
{
	AUTO(str_freep) char *words = xstrdup(canonical(argv[0]));
	json_t *globals = front->sets[0].values;
	const struct cmd *cmd;
	int at = 1;

	while (!(cmd = cmd_find(words))) {
		char *group = words;
		int i;

		if (!is_group(words))
			return unknown_command(words);
		i = args_parse_front(front, argc - at, argv + at);
		if (i < 0)
			return complain(EXIT_USAGE, "netctl --help", "%s",
					front->error);
		at += i;
		if (at == argc) {
			help_group(stdout, words);
			return EXIT_OK;
		}
		words = xasprintf("%s %s", group, canonical(argv[at++]));
		free(group);
	}
	return run_cmd(cmd, globals, argc - at, argv + at);
}

int cmd_main(int argc, char **argv)
{
	AUTO(args_free) struct args front = { 0 };
	int i;

	/* Its words are another command line, not yet finished. */
	if (argc > 1 && str_eq(argv[1], "__complete"))
		return complete(argc - 2, argv + 2);
	args_add(&front, global_rows, global_rows_len);
	i = args_parse_front(&front, argc - 1, argv + 1);
	if (i < 0)
		return complain(EXIT_USAGE, "netctl --help", "%s", front.error);
	if (i == argc - 1)
		return run_none(front.sets[0].values);
	return run_words(&front, argc - 1 - i, argv + 1 + i);
}

char *cmd_words(char **words, size_t len)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < len; i++) {
		AUTO(str_freep) char *before = all;

		all = xasprintf("%s%s%s", before, *before ? " " : "",
				canonical(words[i]));
	}
	return all;
}
