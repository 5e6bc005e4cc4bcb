/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd.h"
#include "netd/util.h"

/* {from, to, protocol} as "8080:80/tcp", or "80/tcp" when both are one; a
 * name before it: "http=80/tcp". */
static char *ports_text(const json_t *ports, const char *from, const char *to)
{
	char *all = xstrdup("");
	json_t *port;
	size_t i;

	json_array_foreach (ports, i, port) {
		AUTO(str_freep) char *a = out_text(json_object_get(port, from));
		AUTO(str_freep) char *b = out_text(json_object_get(port, to));
		AUTO(str_freep)
		char *protocol = out_text(json_object_get(port, "protocol"));
		AUTO(str_freep)
		char *name = out_text(json_object_get(port, "name"));
		AUTO(str_freep)
		char *host = out_text(json_object_get(port, "host_ip"));
		bool v6 = strchr(host, ':');
		bool both = *b && !str_eq(a, b) && !str_eq(b, "0");

		all = out_join(all,
			       xasprintf("%s%s%s%s%s%s%s%s%s%s", name,
					 *name ? "=" : "", v6 ? "[" : "", host,
					 v6	 ? "]:"
					 : *host ? ":"
						 : "",
					 a, both ? ":" : "", both ? b : "",
					 *protocol ? "/" : "", protocol));
	}
	return all;
}

static char *port_text(const json_t *value)
{
	return ports_text(value, "port", "target");
}

static char *published_text(const json_t *value)
{
	return ports_text(value, "published", "target");
}

static const struct out_column columns[] = {
	{ "NAME", "name", 0, NULL },
	{ "NETWORK", "network", 0, NULL },
	{ "VIP", "vip", 0, NULL },
	{ "VIP6", "vip6", OUT_IF_ANY, NULL },
	{ "MODE", "mode", 0, NULL },
	{ "PORTS", "ports", OUT_CUT, port_text },
	{ "PUBLISHED", "published", OUT_CUT, published_text },
	{ "BACKENDS", "backends_up", OUT_RIGHT, NULL },
	{ "EXTERNAL", "external_name", OUT_IF_ANY | OUT_CUT, NULL },
	{ "PROBLEMS", "problems", OUT_IF_ANY | OUT_CUT, NULL },
	{ "ALIASES", "aliases", OUT_WIDE, NULL },
	{ "SELECTOR", "selector", OUT_WIDE, NULL },
	{ "STATIC", "static_backends", OUT_WIDE, NULL },
	{ "FROM", "publish_from", OUT_WIDE, NULL },
	{ "LABELS", "labels", OUT_WIDE, NULL },
};

static const struct out_column backend_columns[] = {
	{ "ADDRESS", "address", 0, NULL },
	{ "ADDRESS6", "address6", OUT_IF_ANY, NULL },
	{ "POD", "pod", 0, NULL },
	{ "NODE", "node", 0, NULL },
	{ "STATE", "state", OUT_STATE, NULL },
	{ "SOURCE", "source", 0, NULL },
	{ "WEIGHT", "weight", OUT_RIGHT | OUT_IF_ANY, NULL },
	{ "HEALTH", "health", OUT_IF_ANY, NULL },
	{ "SINCE", "since", OUT_IF_ANY, NULL },
	{ "REASON", "reason", OUT_IF_ANY, NULL },
};

static const struct out_view view = { "name", columns, ARRAY_LEN(columns) };
static const struct out_view backend_view = { "address", backend_columns,
					      ARRAY_LEN(backend_columns) };

static const struct api_arg force[] = {
	{ .name = "force",
	  .type = API_BOOL,
	  .letter = 'f',
	  .help = "what is not there is no error" },
};

const struct cmd service_cmds[] = {
	{ .words = "service create",
	  .op = API_SERVICE_CREATE,
	  .run = cmd_create,
	  .help = "Make a service" },
	{ .words = "service ls",
	  .op = API_SERVICE_LIST,
	  .run = cmd_list,
	  .view = &view,
	  .help = "List services" },
	{ .words = "service inspect",
	  .op = API_SERVICE_INSPECT,
	  .run = cmd_inspect,
	  .many = true,
	  .help = "Show services in full, as JSON" },
	{ .words = "service ps",
	  .op = API_SERVICE_PS,
	  .run = cmd_list,
	  .view = &backend_view,
	  .help = "List the backends of a service" },
	{ .words = "service update",
	  .op = API_SERVICE_UPDATE,
	  .run = cmd_create,
	  .help = "Change a service" },
	{ .words = "service drain",
	  .op = API_SERVICE_DRAIN,
	  .run = cmd_create,
	  .help = "Let a backend finish what it has" },
	{ .words = "service undrain",
	  .op = API_SERVICE_UNDRAIN,
	  .run = cmd_create,
	  .help = "Give a backend new connections again" },
	{ .words = "service rm",
	  .op = API_SERVICE_DELETE,
	  .run = cmd_remove,
	  .own = force,
	  .own_len = 1,
	  .many = true,
	  .help = "Remove services" },
	{ .words = NULL },
};
