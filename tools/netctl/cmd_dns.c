/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "cmd.h"
#include "netd/util.h"

static const struct out_column record_columns[] = {
	{ "NAME", "name", 0, NULL },	   { "NETWORK", "network", 0, NULL },
	{ "TYPE", "type", 0, NULL },	   { "VALUE", "value", OUT_CUT, NULL },
	{ "TTL", "ttl", OUT_RIGHT, NULL },
};

static const struct out_column upstream_columns[] = {
	{ "ZONE", "zone", 0, NULL },
	{ "NETWORK", "network", 0, NULL },
	{ "SERVERS", "servers", OUT_CUT, NULL },
	{ "STATES", "states", OUT_IF_ANY | OUT_CUT, NULL },
};

static const struct out_view record_view = { "name", record_columns,
					     ARRAY_LEN(record_columns) };
static const struct out_view upstream_view = { "zone", upstream_columns,
					       ARRAY_LEN(upstream_columns) };

/* What was changed is shown by its zone. */
static int cmd_zone(const struct ctl *ctl, const struct cmd *cmd,
		    struct args *args)
{
	json_t *reply;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (!code && ctl->form == FORM_JSON)
		out_json(reply);
	else if (!code)
		out_name(reply, "zone");
	json_decref(reply);
	return code;
}

/* "192.0.2.53", "192.0.2.53:5353", "[2001:db8::1]:5353". */
static char *server_text(const json_t *server)
{
	const char *addr = json_string_value(json_object_get(server, "server"));
	long long port = json_integer_value(json_object_get(server, "port"));
	bool v6 = addr && strchr(addr, ':');

	if (port == 53)
		return xstrdup(addr ? addr : "");
	return xasprintf("%s%s%s:%lld", v6 ? "[" : "", addr ? addr : "",
			 v6 ? "]" : "", port);
}

/* The state of each server of a zone, in their order. */
static json_t *states_of(const json_t *zone, const json_t *all)
{
	json_t *list = json_array(), *name, *server;
	size_t i, k;

	json_array_foreach (json_object_get(zone, "servers"), i, name) {
		const char *found = "";

		json_array_foreach (all, k, server) {
			AUTO(str_freep) char *text = server_text(server);

			if (str_eq(text, json_string_value(name)))
				found = json_string_value(
					json_object_get(server, "state"));
		}
		json_array_append_new(list, json_string(found));
	}
	return list;
}

/* Zones are the store's; how their servers do is this node's to say. */
static int run_upstreams(const struct ctl *ctl, const struct cmd *cmd,
			 struct args *args)
{
	json_t *zones, *zone, *all = NULL;
	size_t i;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &zones);

	if (!code)
		code = client_ask(ctl, API_DNS_UPSTREAM_STATUS,
				  cmd_fields(args), &all);
	json_array_foreach (zones, i, zone)
		json_object_set_new(zone, "states", states_of(zone, all));
	if (!code)
		out_list(ctl, cmd->view, zones);
	json_decref(zones);
	json_decref(all);
	return code;
}

const struct cmd dns_cmds[] = {
	{ .words = "dns record add",
	  .op = API_DNS_RECORD_ADD,
	  .run = cmd_create,
	  .help = "Write a DNS record" },
	{ .words = "dns record ls",
	  .op = API_DNS_RECORD_LIST,
	  .run = cmd_list,
	  .view = &record_view,
	  .help = "List the records that were written" },
	{ .words = "dns record rm",
	  .op = API_DNS_RECORD_DELETE,
	  .run = cmd_create,
	  .help = "Remove a name's records, or one of them" },
	{ .words = "dns upstream set",
	  .op = API_DNS_UPSTREAM_SET,
	  .run = cmd_zone,
	  .help = "Have servers of its own asked for a zone" },
	{ .words = "dns upstream ls",
	  .op = API_DNS_UPSTREAM_LIST,
	  .run = run_upstreams,
	  .view = &upstream_view,
	  .help = "List zones with servers of their own, and how those do" },
	{ .words = "dns upstream rm",
	  .op = API_DNS_UPSTREAM_DELETE,
	  .run = cmd_zone,
	  .help = "Have the host's own upstreams asked again" },
	{ .words = NULL },
};
