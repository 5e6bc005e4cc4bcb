/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that were dropped: counted by reason, and one by one. */
#include "client.h"
#include "cmd.h"
#include "netd/util.h"

static const struct out_column columns[] = {
	{ "REASON", "reason", 0, NULL },
	{ "PACKETS", "packets", OUT_RIGHT, NULL },
	{ "UNSEEN", "unseen", OUT_RIGHT | OUT_WIDE, NULL },
	{ "MEANING", "meaning", OUT_CUT, NULL },
};

static const struct out_view view = { "reason", columns, ARRAY_LEN(columns) };

static const struct api_arg own[] = {
	{ .name = "all",
	  .type = API_BOOL,
	  .letter = 'a',
	  .help = "reasons that dropped nothing too" },
	{ .name = "watch",
	  .type = API_BOOL,
	  .letter = 'w',
	  .help = "packet by packet, as they are dropped now" },
	{ .name = "recent",
	  .type = API_BOOL,
	  .help = "packet by packet, the last ones of each reason" },
	{ .name = "filter",
	  .type = API_LIST,
	  .letter = 'f',
	  .value = "KEY=VALUE",
	  .help = "packet by packet: reason, pod, network, service, node, "
		  "address, protocol or hook" },
};

static const char *str_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* ---- counters ---- */

static int show_counters(const struct ctl *ctl, const struct cmd *cmd,
			 struct args *args)
{
	bool all = json_is_true(json_object_get(cmd_own(args), "all"));
	json_t *reply, *rows, *row;
	size_t i;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	rows = json_array();
	json_array_foreach (reply, i, row)
		if (all || json_integer_value(json_object_get(row, "packets")))
			json_array_append(rows, row);
	out_list(ctl, cmd->view, rows);
	json_decref(rows);
	json_decref(reply);
	return EXIT_OK;
}

/* ---- packet by packet ---- */

/* " web-1.default 10.64.0.2:40000", as much of it as is known. */
static void print_end(const json_t *end)
{
	static const char *const kinds[] = { "pod", "service" };
	json_int_t port = json_integer_value(json_object_get(end, "port"));
	const char *network = str_of(end, "network");
	const char *ip = str_of(end, "ip"), *name = "";
	bool v6 = strchr(ip, ':') && port;

	for (size_t i = 0; i < ARRAY_LEN(kinds) && !*name; i++)
		name = str_of(end, kinds[i]);
	if (json_is_true(json_object_get(end, "gateway")))
		name = "gateway";
	if (!*name && !*network)
		name = str_of(end, "node");
	/* An address of a network that nobody has. */
	if (!*name && *network)
		name = "nobody";
	if (*name)
		printf(" %s%s%s", name, *network ? "." : "", network);
	printf(" %s%s%s", v6 ? "[" : "", ip, v6 ? "]" : "");
	if (port)
		printf(":%lld", (long long)port);
}

/*
 * "2026-01-31T12:00:00.123Z isolation tcp web-1.default 10.64.0.2:40000 >
 * db.blue 10.65.0.2:80 SYN: address of another network (74 bytes, from_pod)"
 */
static void print_sample(const json_t *s)
{
	const json_t *source = json_object_get(s, "source");
	const json_t *destination = json_object_get(s, "destination");
	const char *by = str_of(s, "pod");

	printf("%s %s %s", str_of(s, "time"), str_of(s, "reason"),
	       str_of(s, "protocol"));
	if (*str_of(source, "ip"))
		print_end(source);
	else
		printf(" %s", str_of(s, "mac"));
	if (*str_of(destination, "ip")) {
		printf(" >");
		print_end(destination);
	}
	if (*str_of(s, "detail"))
		printf(" %s", str_of(s, "detail"));
	printf(": %s (%lld bytes, %s", str_of(s, "meaning"),
	       (long long)json_integer_value(json_object_get(s, "length")),
	       str_of(s, "hook"));
	if (*by && !str_eq(by, str_of(source, "pod")))
		printf(", sent by %s.%s", by, str_of(s, "network"));
	puts(")");
}

/* Line by line: who reads may be a pipe that waits for each. */
static bool show_sample(void *arg, const char *text)
{
	const struct ctl *ctl = arg;
	json_t *doc;

	if (ctl->form == FORM_JSON) {
		puts(text);
		return !fflush(stdout);
	}
	doc = json_loads(text, 0, NULL);
	if (json_object_get(doc, "lost"))
		printf("%lld %s\n",
		       (long long)json_integer_value(
			       json_object_get(doc, "lost")),
		       str_of(doc, "message"));
	else if (doc)
		print_sample(doc);
	json_decref(doc);
	return !fflush(stdout);
}

static int show_packets(const struct ctl *ctl, const json_t *wish)
{
	bool watch = json_is_true(json_object_get(wish, "watch"));
	bool recent = json_is_true(json_object_get(wish, "recent")) || !watch;
	json_t *fields =
		json_pack("{s:b, s:b, s:O*}", "recent", recent, "no_follow",
			  !watch, "filter", json_object_get(wish, "filter"));
	int code = client_stream(ctl, API_DROPS_WATCH, fields, show_sample,
				 (void *)(uintptr_t)ctl);

	json_decref(fields);
	return code;
}

static int run_drops(const struct ctl *ctl, const struct cmd *cmd,
		     struct args *args)
{
	static const char *const packets[] = { "watch", "recent", "filter" };
	const json_t *wish = cmd_own(args);

	for (size_t i = 0; i < ARRAY_LEN(packets); i++)
		if (json_object_get(wish, packets[i]))
			return show_packets(ctl, wish);
	return show_counters(ctl, cmd, args);
}

const struct cmd drops_cmds[] = {
	{ .words = "drops",
	  .op = API_DROPS,
	  .run = run_drops,
	  .view = &view,
	  .own = own,
	  .own_len = ARRAY_LEN(own),
	  .help = "Packets that were dropped: why, how many, and which" },
	{ .words = NULL },
};
