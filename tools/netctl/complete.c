/* SPDX-License-Identifier: Apache-2.0 */
#include "complete.h"

#include "client.h"
#include "cmd.h"
#include "help.h"
#include "netd/util.h"

#define PATIENCE_S 1
/* Words of the longest command. */
#define WORDS_MAX 4

/* Where the cursor is, by the words before it. */
struct place {
	char *words[WORDS_MAX];
	size_t words_len;
	/* NULL: its words are not all there. */
	const struct cmd *cmd;
	/* Words behind the command. */
	size_t names;
	/* The option whose value it is, or NULL. */
	const struct api_arg *value_of;
	const char *host;
	/* Behind "--": not ours. */
	bool ended;
};

struct offer {
	/* What is begun, and what has been offered. */
	const char *begun;
	json_t *seen;
};

static void offer(struct offer *o, const char *word)
{
	if (!str_after(word, o->begun) || json_object_get(o->seen, word))
		return;
	json_object_set_new(o->seen, word, json_true());
	puts(word);
}

/* ---- options ---- */

struct rows {
	const struct api_arg *rows;
	size_t len;
};

/* Those of the command, if there is one, and the global ones. */
static size_t rows_of(const struct cmd *cmd, struct rows sets[3])
{
	size_t n = 0;

	if (cmd && cmd->op != CMD_NO_OP)
		sets[n++] = (struct rows){ api_ops[cmd->op].args,
					   cmd_rows_len(cmd->op) };
	if (cmd && cmd->own)
		sets[n++] = (struct rows){ cmd->own, cmd->own_len };
	sets[n++] = (struct rows){ global_rows, global_rows_len };
	return n;
}

static bool is_option(const struct api_arg *row)
{
	return !row->positional && !row->hidden;
}

static bool row_is(const struct api_arg *row, const char *word)
{
	AUTO(str_freep) char *option = args_option(row);

	if (!is_option(row))
		return false;
	if (strncmp(word, "--", 2) == 0)
		return str_eq(word + 2, option);
	return row->letter && word[1] == row->letter && !word[2];
}

static const struct api_arg *option_find(const struct cmd *cmd,
					 const char *word)
{
	struct rows sets[3];
	size_t n = rows_of(cmd, sets);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sets[i].len; k++)
			if (row_is(&sets[i].rows[k], word))
				return &sets[i].rows[k];
	return NULL;
}

static void offer_options(struct offer *o, const struct cmd *cmd)
{
	struct rows sets[3];
	size_t n = rows_of(cmd, sets);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sets[i].len; k++) {
			AUTO(str_freep)
			char *option = args_option(&sets[i].rows[k]);
			AUTO(str_freep) char *word = xasprintf("--%s", option);

			if (is_option(&sets[i].rows[k]))
				offer(o, word);
		}
}

/* ---- commands ---- */

/* The words that may follow those that are there. */
static void offer_commands(struct offer *o, struct place *p)
{
	AUTO(str_freep) char *words = cmd_words(p->words, p->words_len);
	AUTO(str_freep)
	char *before = xasprintf("%s%s", words, *words ? " " : "");

	for (size_t i = 0; i < cmd_tables_len; i++)
		for (const struct cmd *c = cmd_tables[i]; c->words; c++) {
			const char *rest = str_after(c->words, before);
			AUTO(str_freep) char *word = NULL;

			if (!rest)
				continue;
			word = xstrdup(rest);
			word[strcspn(word, " ")] = '\0';
			offer(o, word);
		}
}

/* ---- names ---- */

/* What lists the things that an argument of this name is one of. */
static enum api_op list_of(const char *name)
{
	static const struct {
		const char *name;
		enum api_op list;
	} lists[] = {
		{ "network", API_NETWORK_LIST }, { "pod", API_POD_LIST },
		{ "from", API_POD_LIST },	 { "node", API_NODE_LIST },
		{ "service", API_SERVICE_LIST },
	};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (str_eq(lists[i].name, name))
			return lists[i].list;
	return API_OP_MAX;
}

static void offer_names(struct offer *o, const struct place *p,
			enum api_op list)
{
	const char *host = p->host ? p->host : getenv("NETD_HOST");
	const char *path =
		str_after(host && *host ? host : "unix://", "unix://");
	struct ctl ctl = { .timeout = PATIENCE_S };
	struct failure why = { 0 };
	json_t *args = json_object(), *reply = NULL, *row;
	size_t i;

	if (list == API_OP_MAX || !path)
		goto out;
	ctl.socket = xstrdup(*path ? path : API_SOCKET_DEFAULT);
	if (client_call(&ctl, list, args, &reply, &why))
		failure_free(&why);
	json_array_foreach (reply, i, row) {
		const char *name =
			json_string_value(json_object_get(row, "name"));

		if (name)
			offer(o, name);
	}
	json_decref(reply);
	free(ctl.socket);
out:
	json_decref(args);
}

/* The argument that the next word is, or NULL. */
static const struct api_arg *next_arg(const struct place *p)
{
	const struct api_arg *arg = NULL;
	size_t n = 0;

	if (p->cmd->op == CMD_NO_OP || (p->cmd->runs && p->names))
		return NULL;
	for (size_t i = 0; i < cmd_rows_len(p->cmd->op); i++) {
		const struct api_arg *row = &api_ops[p->cmd->op].args[i];

		if (!row->positional)
			continue;
		arg = row;
		if (n++ == p->names)
			return row;
	}
	return p->cmd->many ? arg : NULL;
}

/* NAME is one of the command's own kind, unless it is to be made. */
static void offer_arg(struct offer *o, const struct place *p)
{
	const struct api_arg *arg = next_arg(p);
	AUTO(str_freep) char *kind = NULL;

	if (!arg)
		return;
	kind = xstrdup(p->cmd->words);
	kind[strcspn(kind, " ")] = '\0';
	if (!str_eq(arg->name, "name"))
		offer_names(o, p, list_of(arg->name));
	else if (strstr(api_ops[p->cmd->op].path, "{name}"))
		offer_names(o, p, list_of(kind));
}

/* ---- the cursor ---- */

/* The word after it is its value, if it has one. */
static void take_option(struct place *p, const char *word)
{
	const struct api_arg *row = option_find(p->cmd, word);

	if (row && row->type != API_BOOL)
		p->value_of = row;
}

static void take_word(struct place *p, char *word)
{
	AUTO(str_freep) char *words = NULL;

	if (p->cmd) {
		p->names++;
		return;
	}
	if (p->words_len == WORDS_MAX)
		return;
	p->words[p->words_len++] = word;
	words = cmd_words(p->words, p->words_len);
	p->cmd = cmd_find(words);
}

static void look(struct place *p, int argc, char **argv)
{
	for (int i = 0; i < argc && !p->ended; i++) {
		if (p->value_of) {
			if (str_eq(p->value_of->name, "host"))
				p->host = argv[i];
			p->value_of = NULL;
		} else if (str_eq(argv[i], "--")) {
			p->ended = true;
		} else if (argv[i][0] == '-') {
			take_option(p, argv[i]);
		} else {
			take_word(p, argv[i]);
		}
	}
}

int complete(int argc, char **argv)
{
	struct offer o = { .begun = argc ? argv[argc - 1] : "" };
	struct place p = { 0 };

	look(&p, argc - 1, argv);
	if (p.ended)
		return EXIT_OK;
	o.seen = json_object();
	if (p.value_of)
		offer_names(&o, &p, list_of(p.value_of->name));
	else if (o.begun[0] == '-')
		offer_options(&o, p.cmd);
	else if (!p.cmd)
		offer_commands(&o, &p);
	else
		offer_arg(&o, &p);
	json_decref(o.seen);
	return EXIT_OK;
}
