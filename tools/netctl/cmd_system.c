/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, the one-screen status, events, versions, help. */
#include "client.h"
#include "cmd.h"
#include "help.h"
#include "netd/util.h"

static const struct out_column node_columns[] = {
	{ "NAME", "name", 0, NULL },
	{ "STATE", "state", OUT_STATE, NULL },
	{ "AVAILABILITY", "availability", 0, NULL },
	{ "VTEP", "vtep", 0, NULL },
	{ "SELF", "self", 0, NULL },
	{ "VERSION", "version", 0, NULL },
	{ "ADDRESSES", "addresses", OUT_WIDE, NULL },
};

static const struct out_view node_view = { "name", node_columns,
					   ARRAY_LEN(node_columns) };

/* ---- status ---- */

static const char *str_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static json_int_t int_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void show_store(const json_t *store)
{
	const char *state = str_of(store, "state");
	const char *error = str_of(store, "error");

	printf("store      %s: ", str_of(store, "backend"));
	if (str_eq(state, "mirror"))
		printf("mirror of revision %lld, %lld s old",
		       int_of(store, "revision"),
		       int_of(store, "age_ms") / 1000);
	else
		printf("%s, revision %lld", state, int_of(store, "revision"));
	if (*str_of(store, "where"))
		printf(" (%s)", str_of(store, "where"));
	if (json_is_true(json_object_get(store, "clear_text")))
		printf(", in clear text");
	putchar('\n');
	if (*error)
		printf("           %s\n", error);
}

/* All is one line; what is wrong is told one by one. */
static void show_checks(const struct ctl *ctl, const json_t *checks)
{
	size_t good = 0;
	json_t *check;
	size_t i;

	json_array_foreach (checks, i, check)
		good += json_is_true(json_object_get(check, "ok"));
	printf("checks     %zu of %zu good\n", good, json_array_size(checks));
	json_array_foreach (checks, i, check) {
		AUTO(str_freep)
		char *value = out_text(json_object_get(check, "value"));

		if (json_is_true(json_object_get(check, "ok")))
			continue;
		printf("  %sFAIL%s %s: %s\n", ctl->color ? "\033[31m" : "",
		       ctl->color ? "\033[0m" : "", str_of(check, "name"),
		       value);
		if (*str_of(check, "hint"))
			printf("       hint: %s\n", str_of(check, "hint"));
	}
}

/* "12.3 ms (4.0 ms of work)" */
static void show_busy(const json_t *lag)
{
	printf("%.1f ms (%.1f ms of work)",
	       (double)int_of(lag, "longest_us") / 1000,
	       (double)int_of(lag, "longest_cpu_us") / 1000);
}

/* How long netd heard nobody, and what it did then. */
static void show_loop(const json_t *loop)
{
	const char *step;
	json_t *lag;

	printf("loop       busy for ");
	show_busy(loop);
	printf(" at most lately, %lld times above 10 ms\n",
	       int_of(loop, "late"));
	json_object_foreach (json_object_get(loop, "steps"), step, lag) {
		if (!int_of(lag, "late"))
			continue;
		printf("  %-12s ", step);
		show_busy(lag);
		printf(" at most lately, %lld times above 10 ms by it\n",
		       int_of(lag, "late"));
	}
}

static void show_status(const struct ctl *ctl, const json_t *s)
{
	const json_t *nodes = json_object_get(s, "nodes");
	const json_t *loop = json_object_get(s, "loop");
	bool healthy = json_is_true(json_object_get(s, "healthy"));
	json_int_t dns = int_of(s, "dns_pid");

	printf("node       %s: %s%s%s\n", str_of(s, "node"),
	       !ctl->color ? ""
	       : healthy   ? "\033[32m"
			   : "\033[31m",
	       healthy ? "healthy" : "degraded", ctl->color ? "\033[0m" : "");
	printf("version    %s\n", str_of(s, "version"));
	show_store(json_object_get(s, "store"));
	printf("nodes      %lld up, %lld down\n", int_of(nodes, "up"),
	       int_of(nodes, "down"));
	printf("networks   %lld\npods       %lld\nservices   %lld\n",
	       int_of(s, "networks"), int_of(s, "pods"), int_of(s, "services"));
	if (dns)
		printf("dns        process %lld\n", dns);
	else
		printf("dns        not running\n");
	printf("memory     %.1f MiB\n", (double)int_of(s, "rss_kb") / 1024.0);
	if (loop)
		show_loop(loop);
	show_checks(ctl, json_object_get(s, "checks"));
}

static int run_status(const struct ctl *ctl, const struct cmd *cmd,
		      struct args *args)
{
	json_t *reply;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	code = json_is_true(json_object_get(reply, "healthy")) ? EXIT_OK
							       : EXIT_FAILED;
	if (ctl->form == FORM_JSON)
		out_json(reply);
	else if (ctl->quiet || ctl->form == FORM_NAME)
		puts(code ? "degraded" : "healthy");
	else
		show_status(ctl, reply);
	json_decref(reply);
	return code;
}

/* ---- events ---- */

/* "2026-01-31T12:00:00.123Z pod attached web-1 network=default node=n1 .." */
static void print_event(const json_t *event)
{
	static const char *const tail[] = { "network", "node" };

	printf("%s %s %s", str_of(event, "time"), str_of(event, "kind"),
	       str_of(event, "action"));
	if (*str_of(event, "name"))
		printf(" %s", str_of(event, "name"));
	for (size_t i = 0; i < ARRAY_LEN(tail); i++)
		if (*str_of(event, tail[i]))
			printf(" %s=%s", tail[i], str_of(event, tail[i]));
	if (json_object_get(event, "lost"))
		printf(" %lld events", int_of(event, "lost"));
	if (*str_of(event, "message"))
		printf(": %s", str_of(event, "message"));
	putchar('\n');
}

/* Line by line: who reads may be a pipe that waits for each. */
static bool show_event(void *arg, const char *text)
{
	const struct ctl *ctl = arg;
	json_t *event;

	if (ctl->form == FORM_JSON) {
		puts(text);
		return !fflush(stdout);
	}
	event = json_loads(text, 0, NULL);
	if (event)
		print_event(event);
	json_decref(event);
	return !fflush(stdout);
}

static int run_events(const struct ctl *ctl, const struct cmd *cmd,
		      struct args *args)
{
	return client_stream(ctl, cmd->op, cmd_fields(args), show_event,
			     (void *)(uintptr_t)ctl);
}

/* ---- version and help ---- */

static int run_version(const struct ctl *ctl, const struct cmd *cmd,
		       struct args *args)
{
	json_t *reply, *both;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);
	const char *theirs = str_of(reply, "version");

	if (ctl->form == FORM_JSON) {
		both = json_pack("{s:s, s:s}", "netctl", NETD_VERSION, "netd",
				 theirs);
		out_json(both);
		json_decref(both);
	} else {
		printf("netctl %s\n", NETD_VERSION);
		if (!code)
			printf("netd   %s\n", theirs);
	}
	json_decref(reply);
	return code;
}

static int run_help(const struct ctl *ctl, const struct cmd *cmd,
		    struct args *args)
{
	AUTO(str_freep) char *words = cmd_words(args->words, args->words_len);
	const struct cmd *about = cmd_find(words);

	(void)ctl, (void)cmd;
	if (about)
		help_cmd(stdout, about);
	else if (*words)
		help_group(stdout, words);
	else
		help_all(stdout);
	return EXIT_OK;
}

const struct cmd system_cmds[] = {
	{ .words = "node ls",
	  .op = API_NODE_LIST,
	  .run = cmd_list,
	  .view = &node_view,
	  .help = "List nodes" },
	{ .words = "node drain",
	  .op = API_NODE_DRAIN,
	  .run = cmd_create,
	  .help = "Let the backends of a node finish what they have" },
	{ .words = "node update",
	  .op = API_NODE_UPDATE,
	  .run = cmd_create,
	  .help = "Take a node out of balancing, or back in" },
	{ .words = "status",
	  .op = API_STATUS,
	  .run = run_status,
	  .help = "Is all well, and what is not; exits 1 when degraded" },
	{ .words = "system events",
	  .op = API_EVENTS,
	  .run = run_events,
	  .help = "What happened lately, and what happens now" },
	{ .words = "version",
	  .op = API_VERSION,
	  .run = run_version,
	  .help = "Versions of netctl and netd" },
	{ .words = "help",
	  .op = CMD_NO_OP,
	  .run = run_help,
	  .help = "What a command takes" },
	{ .words = NULL },
};
