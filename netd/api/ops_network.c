/* SPDX-License-Identifier: Apache-2.0 */
/* Networks: create, show, remove, and a pod's attachments to them. */
#include "call.h"
#include "ipam.h"
#include "netd/util.h"
#include "network.h"
#include "pod.h"
#include "static_record.h"

/* `default` is the first /16 that fits; an IPv4 /16 in the 128-bit space. */
#define DEFAULT_LEN (96 + 16)

static json_t *labels_of(const struct call *call)
{
	json_t *labels = call_list(call, "label");

	return labels ? json_incref(labels) : json_object();
}

static int check_options(struct call *call, const char *name)
{
	const char *driver = call_str(call, "driver");
	struct refusal *r = &call->refusal;
	const char *key;
	json_t *value;

	if (driver && !str_eq(driver, "overlay"))
		return refuse(r, API_UNSUPPORTED, "driver", "drivers: overlay",
			      "network \"%s\": there is no driver \"%.32s\"",
			      name, driver);
	json_object_foreach (call_list(call, "opt"), key, value) {
		if (str_eq(key, "encrypted"))
			return refuse(r, API_UNSUPPORTED, "opt",
				      "leave it out, or encrypt the underlay",
				      "network \"%s\": encryption is not "
				      "built: traffic would go in clear text",
				      name);
		return refuse(r, API_UNSUPPORTED, "opt",
			      "drop it; --mtu and --internal are options of "
			      "their own",
			      "network \"%s\": unknown driver option \"%.32s\"",
			      name, key);
	}
	return 0;
}

static int pick_subnet(struct call *call, const char *name,
		       struct ip_prefix *ret)
{
	json_t *subnets = call_list(call, "subnet");
	uint8_t len = str_eq(name, "default") ? DEFAULT_LEN
					      : call->m->ipam.network_len;

	if (json_array_size(subnets) > 1)
		return refuse(&call->refusal, API_UNSUPPORTED, "subnet",
			      "give one IPv4 subnet",
			      "network \"%s\": one subnet so far", name);
	if (json_array_size(subnets))
		return net_subnet_check(
			call->m, json_string_value(json_array_get(subnets, 0)),
			ret, &call->refusal);
	return ipam_pick_subnet(call->m, len, ret, &call->refusal);
}

static json_t *network_json(const struct call *call, const struct net *net)
{
	struct ip_addr gateway = net_gateway(net);
	json_t *vips = json_array();

	for (uint32_t i = 0; i < net->vips_len; i++)
		json_array_append_new(vips, json_prefix(&net->vips[i]));
	return json_pack(
		"{s:s, s:I, s:s, s:[o], s:o, s:o, s:b, s:I, s:O, s:I, s:I}",
		"name", net->name, "vni", (json_int_t)net->vni, "driver",
		"overlay", "subnets", json_prefix(&net->subnet), "gateway",
		json_ip(&gateway), "vip_ranges", vips, "internal",
		net->internal, "mtu",
		(json_int_t)(net->mtu ? net->mtu : reconcile_mtu(call->rc)),
		"labels", net->labels, "pods",
		(json_int_t)HASH_COUNT(net->endpoints), "services",
		(json_int_t)HASH_COUNT(net->services));
}

enum ops_next op_network_create(struct call *call)
{
	const char *name = call_str(call, "name");
	struct net net = { 0 };

	if (net_name_check(call->m, name, &call->refusal) ||
	    check_options(call, name))
		return OPS_REFUSE;
	if (model_net(call->m, name)) {
		refuse(&call->refusal, API_CONFLICT, "name",
		       "choose another name, or remove it first",
		       "network \"%s\" exists already", name);
		return OPS_REFUSE;
	}
	if (pick_subnet(call, name, &net.subnet) ||
	    ipam_pick_vips(call->m, &net.vips[0], &call->refusal) ||
	    ipam_pick_vni(call->m, &net.vni, &call->refusal))
		return OPS_REFUSE;
	str_copy(net.name, sizeof(net.name), name);
	net.vips_len = 1;
	net.internal = call_bool(call, "internal");
	json_get_u32(call->args, "mtu", &net.mtu);
	net.labels = labels_of(call);

	call_is(call, 0, "c/nets/%s", name);
	call_is(call, 0, "c/vni/%u", net.vni);
	call_gen(call, "subnets", call->m->gen_subnets_rev);
	call_put(call, net_to_json(&net), "c/nets/%s", name);
	call_put(call, json_pack("{s:i, s:s}", "schema", 1, "network", name),
		 "c/vni/%u", net.vni);
	call->reply = network_json(call, &net);
	json_decref(net.labels);
	return OPS_COMMIT;
}

enum ops_next op_network_list(struct call *call)
{
	model_sort(call->m);
	call->reply = json_array();
	for (struct net *net = call->m->nets; net; net = net->hh.next)
		if (net->rev)
			json_array_append_new(call->reply,
					      network_json(call, net));
	return OPS_REPLY;
}

enum ops_next op_network_inspect(struct call *call)
{
	struct net *net = call_net(call, "name");

	if (!net)
		return OPS_REFUSE;
	call->reply = network_json(call, net);
	return OPS_REPLY;
}

/* What was written for the network goes with it. */
static void delete_written(struct call *call, const struct net *net)
{
	const struct static_record *rec;
	const struct stub_zone *stub;

	for (rec = net->records; rec; rec = rec->hh.next)
		call_del(call, "n/%s/s/records/%s", net->name, rec->name);
	for (stub = net->stubs; stub; stub = stub->hh.next)
		call_del(call, "n/%s/s/upstreams/%s", net->name, stub->zone);
}

/* Blocks without a pod go with their network; pods and services hold it. */
enum ops_next op_network_delete(struct call *call)
{
	struct net *net = call_net(call, "name");
	const struct block *b;

	if (!net)
		return OPS_REFUSE;
	if (str_eq(net->name, "default")) {
		refuse(&call->refusal, API_FORBIDDEN, "name",
		       "it is where services and pods go that name no network",
		       "network \"default\" cannot be removed");
		return OPS_REFUSE;
	}
	if (net->services || net->endpoints) {
		refuse(&call->refusal, API_IN_USE, "name", NULL,
		       "network \"%s\" is in use (pods: %u, services: %u)",
		       net->name, HASH_COUNT(net->endpoints),
		       HASH_COUNT(net->services));
		refuse_hint(&call->refusal, "remove them first, such as %s %s",
			    net->endpoints ? "pod" : "service",
			    net->endpoints ? net->endpoints->pod
					   : net->services->name);
		return OPS_REFUSE;
	}
	call_is(call, net->rev, "c/nets/%s", net->name);
	call_del(call, "c/nets/%s", net->name);
	call_del(call, "c/vni/%u", net->vni);
	/* A pod or service that comes meanwhile raises or makes one of these.
	 */
	for (b = net->blocks; b; b = b->hh.next) {
		call_is(call, b->rev, "n/%s/e/blocks/%s", net->name, b->key);
		call_del(call, "n/%s/e/blocks/%s", net->name, b->key);
	}
	delete_written(call, net);
	call_gen(call, "subnets", call->m->gen_subnets_rev);
	call->reply = json_pack("{s:s}", "name", net->name);
	return OPS_COMMIT;
}

static int check_connect(struct call *call, const struct net *net,
			 struct pod *pod)
{
	if (pod_attachment(pod, net->name))
		return refuse(&call->refusal, API_CONFLICT, "pod",
			      "disconnect it first to change its address",
			      "pod \"%s\" is on network \"%s\" already",
			      pod->name, net->name);
	if (pod->nets_len == CLIENT_NETS_MAX)
		return refuse(
			&call->refusal, API_EXHAUSTED, "pod",
			"disconnect it from another network",
			"pod \"%s\" is on %d networks, the most there can be",
			pod->name, CLIENT_NETS_MAX);
	return 0;
}

static int connect_aliases(struct call *call)
{
	json_t *alias;
	size_t i;

	json_array_foreach (call_list(call, "alias"), i, alias) {
		if (pod_name_check(json_string_value(alias), &call->refusal))
			return -EINVAL;
	}
	return 0;
}

enum ops_next op_network_connect(struct call *call)
{
	struct net *net = call_net(call, "name");
	struct pod *pod = net ? call_pod(call, "pod") : NULL;
	const char *ip = call_str(call, "ip");
	const char *mac = call_str(call, "mac");
	struct attachment at = { 0 };
	struct ip_addr want = { 0 };
	int picked;

	if (!pod || check_connect(call, net, pod) || connect_aliases(call) ||
	    (mac && pod_mac_parse(mac, &at.mac, &call->refusal)))
		return OPS_REFUSE;
	if (ip && ip_parse(ip, &want)) {
		refuse(&call->refusal, API_INVALID, "ip", "write --ip 10.5.0.7",
		       "\"%.64s\" is not an address", ip);
		return OPS_REFUSE;
	}
	picked = call_pick(call, net, &want, &at.addr);
	if (picked)
		return picked < 0 ? OPS_REFUSE : OPS_AGAIN;
	reconcile_new_id(at.id);
	str_copy(at.network, sizeof(at.network), net->name);
	at.vni = net->vni;
	if (!mac)
		at.mac = mac_from_ip(&at.addr);
	at.aliases = json_incref(call_list(call, "alias"));
	if (reconcile_pod_connect(call->rc, pod, &at, -1, &call->refusal))
		return OPS_REFUSE;
	call->reply = json_pack("{s:s, s:o}", "name", pod->name, "ip",
				json_ip(&at.addr));
	return OPS_REPLY;
}

enum ops_next op_network_disconnect(struct call *call)
{
	struct net *net = call_net(call, "name");
	struct pod *pod = net ? call_pod(call, "pod") : NULL;
	struct attachment *at = pod ? pod_attachment(pod, net->name) : NULL;

	if (!pod)
		return OPS_REFUSE;
	if (!at && call->is_later) {
		call->reply = json_pack("{s:s}", "name", pod->name);
		return OPS_REPLY;
	}
	if (!at) {
		refuse(&call->refusal, API_NOT_FOUND, "pod",
		       "see: netctl pod inspect",
		       "pod \"%s\" is not on network \"%s\"", pod->name,
		       net->name);
		return OPS_REFUSE;
	}
	if (pod->nets_len == 1) {
		refuse(&call->refusal, API_IN_USE, "pod",
		       "remove the pod, or connect it elsewhere first",
		       "\"%s\" is the only network of pod \"%s\"", net->name,
		       pod->name);
		return OPS_REFUSE;
	}
	call->later_ms = reconcile_pod_leave(call->rc, pod, at, NULL);
	if (call->later_ms)
		return OPS_LATER;
	reconcile_pod_disconnect(call->rc, pod, at);
	call->reply = json_pack("{s:s}", "name", pod->name);
	return OPS_REPLY;
}
