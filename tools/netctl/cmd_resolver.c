/* SPDX-License-Identifier: Apache-2.0 */
/* The DNS server as it runs: why a name is what it is, what it keeps. */
#include "client.h"
#include "cmd.h"
#include "netd/util.h"

static char *ms_text(const json_t *value)
{
	return xasprintf("%.1f ms", json_real_value(value));
}

static const struct out_column cache_columns[] = {
	{ "NAME", "name", OUT_CUT, NULL },
	{ "TYPE", "type", 0, NULL },
	{ "RCODE", "rcode", 0, NULL },
	{ "TTL", "ttl", OUT_RIGHT, NULL },
	{ "STALE", "stale", 0, NULL },
	{ "HITS", "hits", OUT_RIGHT, NULL },
	{ "BYTES", "bytes", OUT_RIGHT, NULL },
	{ "SERVER", "server", 0, NULL },
};

static const struct out_column server_columns[] = {
	{ "SERVER", "server", 0, NULL },
	{ "PORT", "port", OUT_WIDE | OUT_RIGHT, NULL },
	{ "STATE", "state", OUT_STATE, NULL },
	{ "LATENCY", "latency_ms", OUT_RIGHT, ms_text },
	{ "ASKED", "asked", OUT_RIGHT, NULL },
	{ "ANSWERED", "answered", OUT_RIGHT, NULL },
	{ "FAILED", "failed", OUT_RIGHT, NULL },
	{ "LOSES CASE", "loses_case", OUT_WIDE, NULL },
};

static const struct out_view cache_view = { "name", cache_columns,
					    ARRAY_LEN(cache_columns) };
static const struct out_view server_view = { "server", server_columns,
					     ARRAY_LEN(server_columns) };

static const char *str_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* ---- dns query ---- */

/* What the server's steps and sources are in words. */
static const struct {
	const char *source, *step, *words;
} reasons[] = {
	{ "none", "client", "nobody netd knows asks there" },
	{ "none", "class", "this kind of question is not answered" },
	{ "none", "outside",
	  "an outside name, and no upstream answered or the network is "
	  "internal" },
	{ "limit", NULL, "an outside name, and too many questions wait" },
	{ "zone", "reverse", "an address of ours" },
	{ "zone", "domain", "a name below the domain" },
	{ "zone", "network", "a name of a network" },
	{ "zone", "special", "a name that never leaves a host" },
	{ "zone", "short", "a name without a network" },
	{ "cache", NULL, "an outside name, kept" },
	{ "stale", NULL,
	  "an outside name, kept too long: no upstream answers" },
	{ "upstream", NULL, "an outside name" },
};

static const char *reason_of(const char *source, const char *step)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (str_eq(reasons[i].source, source) &&
		    (!reasons[i].step || str_eq(reasons[i].step, step)))
			return reasons[i].words;
	return step;
}

static void show_query(const json_t *reply)
{
	const char *server = str_of(reply, "server");
	json_t *line;
	size_t i;

	json_array_foreach (json_object_get(reply, "records"), i, line)
		printf("%s\n", json_string_value(line));
	printf("answer     %s%s\n", str_of(reply, "rcode"),
	       json_array_size(json_object_get(reply, "records")) ||
			       !str_eq(str_of(reply, "rcode"), "NOERROR")
		       ? ""
		       : ", no record of this type");
	printf("because    %s\n",
	       reason_of(str_of(reply, "source"), str_of(reply, "step")));
	if (*str_of(reply, "what"))
		printf("found      %s of network %s\n", str_of(reply, "what"),
		       str_of(reply, "network"));
	printf("from       %s%s%s\n", str_of(reply, "source"),
	       *server ? " " : "", server);
	printf("took       %.1f ms\n",
	       json_real_value(json_object_get(reply, "took_ms")));
}

/* An answer that something is not is an answer: only failures fail. */
static int run_query(const struct ctl *ctl, const struct cmd *cmd,
		     struct args *args)
{
	json_t *reply;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	if (ctl->form == FORM_JSON)
		out_json(reply);
	else
		show_query(reply);
	code = str_eq(str_of(reply, "source"), "none") ||
			       str_eq(str_of(reply, "source"), "limit")
		       ? EXIT_FAILED
		       : EXIT_OK;
	json_decref(reply);
	return code;
}

/* ---- dns stats, dns cache flush ---- */

static int run_stats(const struct ctl *ctl, const struct cmd *cmd,
		     struct args *args)
{
	json_t *reply, *value;
	const char *name;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	if (ctl->form == FORM_JSON)
		out_json(reply);
	else
		json_object_foreach (reply, name, value)
			printf("%-13s %lld\n", name, json_integer_value(value));
	json_decref(reply);
	return EXIT_OK;
}

static int run_flush(const struct ctl *ctl, const struct cmd *cmd,
		     struct args *args)
{
	json_t *reply;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	if (ctl->form == FORM_JSON)
		out_json(reply);
	else
		printf("%lld\n",
		       json_integer_value(json_object_get(reply, "flushed")));
	json_decref(reply);
	return EXIT_OK;
}

/* ---- dns resolved ---- */

static int run_resolved(const struct ctl *ctl, const struct cmd *cmd,
			struct args *args)
{
	json_t *reply, *domain;
	size_t i;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	if (ctl->form == FORM_JSON) {
		out_json(reply);
	} else {
		printf("# /etc/systemd/resolved.conf.d/netd.conf\n"
		       "[Resolve]\nDNS=%s\nDomains=",
		       str_of(reply, "dns"));
		json_array_foreach (json_object_get(reply, "domains"), i,
				    domain)
			printf("%s~%s", i ? " " : "",
			       json_string_value(domain));
		putchar('\n');
	}
	json_decref(reply);
	return EXIT_OK;
}

const struct cmd resolver_cmds[] = {
	{ .words = "dns query",
	  .op = API_DNS_QUERY,
	  .run = run_query,
	  .help = "What a pod gets for a name, and why" },
	{ .words = "dns stats",
	  .op = API_DNS_STATS,
	  .run = run_stats,
	  .help = "What the DNS server counted" },
	{ .words = "dns cache ls",
	  .op = API_DNS_CACHE_LIST,
	  .run = cmd_list,
	  .view = &cache_view,
	  .help = "List answers from outside that are kept" },
	{ .words = "dns cache flush",
	  .op = API_DNS_CACHE_FLUSH,
	  .run = run_flush,
	  .help = "Forget answers from outside; tells how many" },
	{ .words = "dns upstream status",
	  .op = API_DNS_UPSTREAM_STATUS,
	  .run = cmd_list,
	  .view = &server_view,
	  .help = "How the servers outside are doing" },
	{ .words = "dns resolved",
	  .op = API_DNS_RESOLVED,
	  .run = run_resolved,
	  .help = "Settings with which systemd-resolved finds pods' names" },
	{ .words = NULL },
};
