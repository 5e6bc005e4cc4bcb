/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: what there is, and taking one's backends out of balancing. */
#include "call.h"
#include "json.h"
#include "netd/util.h"

static const char *availability(const struct model *m, const struct node *node)
{
	if (model_node_is_drained(m, node->name))
		return "drained";
	return node->drain_rev ? "draining" : "active";
}

static json_t *node_show(const struct model *m, const struct node *node)
{
	json_t *addrs = json_array();

	for (uint32_t i = 0; i < node->addrs_len; i++)
		json_array_append_new(addrs, json_ip(&node->addrs[i]));
	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:b, s:s}", "name",
			 node->name, "vtep", json_ip(&node->vtep), "addresses",
			 addrs, "state",
			 model_node_is_up(m, node->name) ? "up" : "down",
			 "availability", availability(m, node), "self",
			 str_eq(node->name, m->self), "version", node->version);
}

enum ops_next op_node_list(struct call *call)
{
	model_sort(call->m);
	call->reply = json_array();
	for (struct node *node = call->m->nodes; node; node = node->hh.next)
		if (node->rev)
			json_array_append_new(call->reply,
					      node_show(call->m, node));
	return OPS_REPLY;
}

/* ---- drain ---- */

static enum ops_next set_drain(struct call *call, bool on)
{
	const char *name = call_str(call, "name");
	const struct node *node = model_node(call->m, name);
	int64_t until;

	if (!node) {
		refuse(&call->refusal, API_NOT_FOUND, "name",
		       "see: netctl node ls", "node \"%.64s\" not found", name);
		return OPS_REFUSE;
	}
	if (!on && call_str(call, "timeout")) {
		refuse(&call->refusal, API_INVALID, "timeout", "leave it out",
		       "node \"%s\" has nothing to wait for", name);
		return OPS_REFUSE;
	}
	if (call_until(call, &until))
		return OPS_REFUSE;
	call->reply = json_pack("{s:s, s:s}", "name", name, "availability",
				on ? "draining" : "active");
	if (!on && !node->drain_rev)
		return OPS_REPLY;
	call_is(call, node->drain_rev, "c/drains/%s", name);
	if (on)
		call_put(call,
			 json_pack("{s:i, s:I}", "schema", 1, "until",
				   (json_int_t)until),
			 "c/drains/%s", name);
	else
		call_del(call, "c/drains/%s", name);
	return OPS_COMMIT;
}

enum ops_next op_node_drain(struct call *call)
{
	return set_drain(call, !call_bool(call, "undo"));
}

enum ops_next op_node_update(struct call *call)
{
	const char *text = call_str(call, "availability");

	if (str_eq(text, "active") || str_eq(text, "drain"))
		return set_drain(call, str_eq(text, "drain"));
	refuse(&call->refusal, API_INVALID, "availability",
	       "say active or drain", "there is no availability \"%.32s\"",
	       text);
	return OPS_REFUSE;
}
