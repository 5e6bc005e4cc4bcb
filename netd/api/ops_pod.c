/* SPDX-License-Identifier: Apache-2.0 */
/* Pods of this node, and the cluster's list of them. */
#include "call.h"
#include "json.h"
#include "netd/util.h"
#include "network.h"
#include "pod.h"
#include "service.h"
#include "pod_args.h"
#include "service_tune.h"

static int check_create(struct call *call, const char *name)
{
	uint16_t weight;

	if (pod_name_check(name, &call->refusal))
		return -EINVAL;
	if (model_pod(call->m, name))
		return refuse(&call->refusal, API_CONFLICT, "name",
			      "choose another name, or remove it first",
			      "pod \"%s\" exists already on node %s", name,
			      call->m->self);
	if (!json_array_size(call_list(call, "network")))
		return refuse(&call->refusal, API_INVALID, "network",
			      "add --network default",
			      "pod \"%s\": no network is given", name);
	return service_weight(call_list(call, "label"), &weight,
			      &call->refusal);
}

enum ops_next op_pod_create(struct call *call)
{
	const char *name = call_str(call, "name");
	AUTO(fd_closep) int netns = -1;
	struct pod *pod;
	json_t *text, *labels;
	int err = 0;
	size_t i;

	/* The asker is gone before its pod was: there is nobody to use it. */
	if (!call->req && !call->done)
		return OPS_REFUSE;
	if (check_create(call, name) || pod_args_netns(call, &netns))
		return OPS_REFUSE;
	pod = pod_new(name);
	labels = call_list(call, "label");
	if (labels)
		json_object_update(pod->labels, labels);
	json_array_foreach (call_list(call, "network"), i, text) {
		struct attachment at;

		err = pod_args_network(call, pod, json_string_value(text), &at);
		if (err)
			break;
		pod->nets[pod->nets_len++] = at;
	}
	if (!err && (pod_args_owner(call, pod) ||
		     pod_args_ports(call, pod, pod->nets[0].network)))
		err = -EINVAL;
	if (err) {
		pod_free(pod);
		return err < 0 ? OPS_REFUSE : OPS_AGAIN;
	}
	if (reconcile_pod_create(call->rc, pod, netns, &call->refusal))
		return OPS_REFUSE;
	call->reply = pod_show(call, pod);
	return OPS_REPLY;
}

/* A pod of another node, from its endpoints, gathered by name. */
static void list_remote(struct call *call, const struct net *net,
			const struct endpoint *ep, json_t *seen)
{
	char key[NAME_LEN + POD_NAME_LEN], buf[MAC_STRLEN];
	bool is_up = model_node_is_up(call->m, ep->node);
	const char *state = is_up ? ep->unready ? "unready" : "up" : "down";
	json_t *pod;

	snprintf(key, sizeof(key), "%s/%s", ep->node, ep->pod);
	pod = json_object_get(seen, key);
	if (!pod) {
		pod = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:[]}",
				"name", ep->pod, "id", ep->id, "node", ep->node,
				"state", state, "state_reason",
				is_up ? "" : "its node is down", "netns", "",
				"networks", "ports");
		json_object_set(pod, "labels",
				ep->labels ? ep->labels : json_null());
		json_object_set(seen, key, pod);
		json_array_append_new(call->reply, pod);
	}
	json_array_append_new(
		json_object_get(pod, "networks"),
		json_pack("{s:s, s:o, s:o, s:s, s:s, s:o}", "network",
			  net->name, "ip", json_ip(&ep->addr), "ip6",
			  json_ip_or_none(&ep->addr6), "mac",
			  mac_str(&ep->mac, buf), "interface", "", "aliases",
			  ep->aliases ? json_incref(ep->aliases)
				      : json_array()));
}

enum ops_next op_pod_list(struct call *call)
{
	AUTO(json_freep) json_t *seen = json_object();
	const struct endpoint *ep;
	const struct net *net;

	model_sort(call->m);
	call->reply = json_array();
	for (struct pod *pod = call->m->pods; pod; pod = pod->hh.next)
		json_array_append_new(call->reply, pod_show(call, pod));
	for (net = call->m->nets; net; net = net->hh.next)
		for (ep = net->endpoints; ep; ep = ep->hh.next)
			if (!str_eq(ep->node, call->m->self))
				list_remote(call, net, ep, seen);
	return OPS_REPLY;
}

enum ops_next op_pod_inspect(struct call *call)
{
	struct pod *pod = call_pod(call, "name");

	if (!pod)
		return OPS_REFUSE;
	call->reply = pod_show(call, pod);
	return OPS_REPLY;
}

/* The request waits for it. */
#define DRAIN_MAX_MS 3600000

static int read_drain(struct call *call, uint32_t *ms)
{
	const char *text = call_str(call, "drain");

	if (text && (tune_duration_parse(text, ms) || *ms > DRAIN_MAX_MS))
		return refuse(&call->refusal, API_INVALID, "drain",
			      "write a time such as 30s, or 0",
			      "drain \"%.32s\" is not a time up to 1h", text);
	return 0;
}

enum ops_next op_pod_delete(struct call *call)
{
	const char *name = call_str(call, "name");
	struct pod *pod = model_pod_shown(call->m, name);
	uint32_t ms;

	/* It went by itself while it was waited for. */
	if (!pod && call->is_later) {
		call->reply = json_pack("{s:s}", "name", name);
		return OPS_REPLY;
	}
	pod = call_pod(call, "name");
	if (!pod || read_drain(call, &ms))
		return OPS_REFUSE;
	call->later_ms = reconcile_pod_leave(
		call->rc, pod, NULL, call_str(call, "drain") ? &ms : NULL);
	if (call->later_ms)
		return OPS_LATER;
	call->reply = json_pack("{s:s}", "name", pod->name);
	reconcile_pod_remove(call->rc, pod);
	return OPS_REPLY;
}
