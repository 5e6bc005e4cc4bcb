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
	  .run = cmd_list,
	  .view = &upstream_view,
	  .help = "List zones with servers of their own" },
	{ .words = "dns upstream rm",
	  .op = API_DNS_UPSTREAM_DELETE,
	  .run = cmd_zone,
	  .help = "Have the host's own upstreams asked again" },
	{ .words = NULL },
};
