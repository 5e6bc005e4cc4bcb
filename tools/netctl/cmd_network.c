/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd.h"
#include "netd/util.h"

static const struct out_column columns[] = {
	{ "NAME", "name", 0, NULL },
	{ "VNI", "vni", OUT_RIGHT, NULL },
	{ "SUBNET", "subnets", 0, NULL },
	{ "VIPS", "vip_ranges", OUT_CUT, NULL },
	{ "INTERNAL", "internal", 0, NULL },
	{ "PODS", "pods", OUT_RIGHT, NULL },
	{ "SERVICES", "services", OUT_RIGHT, NULL },
	{ "GATEWAY", "gateway", OUT_WIDE, NULL },
	{ "GATEWAY6", "gateway6", OUT_WIDE, NULL },
	{ "MTU", "mtu", OUT_WIDE | OUT_RIGHT, NULL },
	{ "DRIVER", "driver", OUT_WIDE, NULL },
	{ "LABELS", "labels", OUT_WIDE, NULL },
};

static const struct out_view view = { "name", columns, ARRAY_LEN(columns) };

static const struct api_arg force[] = {
	{ .name = "force",
	  .type = API_BOOL,
	  .letter = 'f',
	  .help = "what is not there is no error" },
};

const struct cmd network_cmds[] = {
	{ .words = "network create",
	  .op = API_NETWORK_CREATE,
	  .run = cmd_create,
	  .help = "Make a network" },
	{ .words = "network ls",
	  .op = API_NETWORK_LIST,
	  .run = cmd_list,
	  .view = &view,
	  .help = "List networks" },
	{ .words = "network inspect",
	  .op = API_NETWORK_INSPECT,
	  .run = cmd_inspect,
	  .many = true,
	  .help = "Show networks in full, as JSON" },
	{ .words = "network rm",
	  .op = API_NETWORK_DELETE,
	  .run = cmd_remove,
	  .own = force,
	  .own_len = 1,
	  .many = true,
	  .help = "Remove networks" },
	{ .words = "network connect",
	  .op = API_NETWORK_CONNECT,
	  .run = cmd_quiet,
	  .help = "Attach a pod of this node to a network" },
	{ .words = "network disconnect",
	  .op = API_NETWORK_DISCONNECT,
	  .run = cmd_quiet,
	  .help = "Detach a pod of this node from a network" },
	{ .words = NULL },
};
