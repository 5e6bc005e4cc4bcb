/* SPDX-License-Identifier: Apache-2.0 */
/* Networks: create, show, remove, and a pod's attachments to them. */
#include "call.h"
#include "ipam.h"
#include "netd/util.h"
#include "json.h"
#include "network.h"
#include "pair.h"
#include "pod.h"
#include "static_record.h"
#include "ula.h"

/* `default` is the first /16 that fits; an IPv4 /16 in the 128-bit space. */
#define DEFAULT_LEN (96 + 16)

#define MTU_MIN_V6 1280

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

/* What was asked for of each family; none: to be picked, if is_wanted. */
struct subnets {
	struct ip_prefix v4, v6;
	bool is_v4_wanted, is_v6_wanted;
};

static int read_subnets(struct call *call, const char *name,
			struct subnets *ret)
{
	bool ipv6 = call_bool(call, "ipv6");
	json_t *text;
	size_t i;

	*ret = (struct subnets){ .is_v6_wanted = ipv6 };
	json_array_foreach (call_list(call, "subnet"), i, text) {
		struct ip_prefix p, *slot;

		if (net_subnet_check(call->m, json_string_value(text), &p,
				     &call->refusal))
			return -EINVAL;
		slot = ip_is_v4(&p.addr) ? &ret->v4 : &ret->v6;
		if (slot->len)
			return refuse(&call->refusal, API_INVALID, "subnet",
				      "give one of IPv4, one of IPv6, or both",
				      "network \"%s\": two subnets of one "
				      "family",
				      name);
		*slot = p;
	}
	ret->is_v6_wanted |= ret->v6.len != 0;
	/* An IPv6 subnet alone, and nothing said of IPv6 besides: no IPv4. */
	ret->is_v4_wanted = ret->v4.len || !ret->v6.len || ipv6;
	return 0;
}

static int pick_v4(struct call *call, const struct subnets *want,
		   struct net *net)
{
	uint8_t len = str_eq(net->name, "default") ? DEFAULT_LEN
						   : call->m->ipam.network_len;

	net->subnet = want->v4;
	if (!net->subnet.len &&
	    ipam_pick_subnet(call->m, len, &net->subnet, &call->refusal))
		return -EINVAL;
	net->vips_len = 1;
	return ipam_pick_vips(call->m, &net->vips[0], &call->refusal);
}

/* As the second family, or as the only one. */
static int pick_v6(struct call *call, const struct subnets *want,
		   struct net *net)
{
	struct ip_prefix ula = call_ula(call), subnet = want->v6, vips;
	struct refusal *r = &call->refusal;

	if (!subnet.len && ula_pick_subnet(call->m, &ula, &subnet, r))
		return -EINVAL;
	if (ula_pick_vips(call->m, &ula, &vips, r))
		return -EINVAL;
	if (!want->is_v4_wanted) {
		net->subnet = subnet;
		net->vips[net->vips_len++] = vips;
		return 0;
	}
	net->subnet6 = subnet;
	net->vips6[net->vips6_len++] = vips;
	return net_subnets_check(&net->subnet, &subnet, r);
}

int call_net_add_v6(struct call *call, struct net *net, const char *subnet)
{
	struct subnets want = { .is_v4_wanted = true };

	if (subnet &&
	    net_subnet_check(call->m, subnet, &want.v6, &call->refusal))
		return -EINVAL;
	return pick_v6(call, &want, net);
}

static int pick_subnets(struct call *call, struct net *net)
{
	struct subnets want;

	if (read_subnets(call, net->name, &want) ||
	    (want.is_v4_wanted && pick_v4(call, &want, net)) ||
	    (want.is_v6_wanted && pick_v6(call, &want, net)))
		return -EINVAL;
	return 0;
}

/* Links below that have no IPv6 (RFC 8200 5). */
static int check_mtu(struct call *call, const struct net *net)
{
	if (!net->mtu || net->mtu >= MTU_MIN_V6 || !net_has_family(net, true))
		return 0;
	return refuse(&call->refusal, API_INVALID, "mtu",
		      "leave it out, or give 1280 or more",
		      "network \"%s\": IPv6 needs an MTU of %d, not %u",
		      net->name, MTU_MIN_V6, net->mtu);
}

static void add_prefixes(json_t *list, const struct ip_prefix *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		json_array_append_new(list, json_prefix(&p[i]));
}

static json_t *network_json(const struct call *call, const struct net *net)
{
	struct ip_addr gateway = net_gateway(net), gateway6 = net_gateway6(net);
	json_t *subnets = json_array(), *vips = json_array();

	add_prefixes(subnets, &net->subnet, 1);
	add_prefixes(subnets, &net->subnet6, net_is_dual(net));
	add_prefixes(vips, net->vips, net->vips_len);
	add_prefixes(vips, net->vips6, net->vips6_len);
	return json_pack(
		"{s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:b, s:I, s:O, s:I, s:I}",
		"name", net->name, "vni", (json_int_t)net->vni, "driver",
		"overlay", "subnets", subnets, "gateway", json_ip(&gateway),
		"gateway6", json_ip_or_none(&gateway6), "vip_ranges", vips,
		"internal", net->internal, "mtu",
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
	str_copy(net.name, sizeof(net.name), name);
	json_get_u32(call->args, "mtu", &net.mtu);
	if (pick_subnets(call, &net) || check_mtu(call, &net) ||
	    ipam_pick_vni(call->m, &net.vni, &call->refusal))
		return OPS_REFUSE;
	net.internal = call_bool(call, "internal");
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
	json_object_set_new(call->reply, "warnings",
			    reconcile_net_warnings(call->rc, net->name));
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

static int read_address(struct call *call, const char *field, bool v6,
			struct ip_addr *ret)
{
	const char *text = call_str(call, field);

	*ret = (struct ip_addr){ 0 };
	if (!text || !ip_parse(text, ret))
		return 0;
	return refuse(&call->refusal, API_INVALID, field,
		      v6 ? "write --ip6 fd00::7" : "write --ip 10.5.0.7",
		      "\"%.64s\" is not an address", text);
}

static int connect_address(struct call *call, const struct net *net,
			   struct ip_addr *ret)
{
	struct ip_addr ip, ip6;

	if (read_address(call, "ip", false, &ip) ||
	    read_address(call, "ip6", true, &ip6))
		return -EINVAL;
	return pair_wish(net, &ip, &ip6, ret, &call->refusal);
}

enum ops_next op_network_connect(struct call *call)
{
	struct net *net = call_net(call, "name");
	struct pod *pod = net ? call_pod(call, "pod") : NULL;
	const char *mac = call_str(call, "mac");
	struct attachment at = { 0 };
	struct ip_addr want;
	int picked;

	if (!pod || check_connect(call, net, pod) || connect_aliases(call) ||
	    (mac && pod_mac_parse(mac, &at.mac, &call->refusal)))
		return OPS_REFUSE;
	if (connect_address(call, net, &want))
		return OPS_REFUSE;
	picked = call_pick(call, net, &want, &at.addr);
	if (picked)
		return picked < 0 ? OPS_REFUSE : OPS_AGAIN;
	reconcile_new_id(at.id);
	str_copy(at.network, sizeof(at.network), net->name);
	at.vni = net->vni;
	at.addr6 = pair_addr(net, &at.addr);
	if (!mac)
		at.mac = mac_from_ip(&at.addr);
	at.aliases = json_incref(call_list(call, "alias"));
	if (reconcile_pod_connect(call->rc, pod, &at, -1, &call->refusal))
		return OPS_REFUSE;
	call->reply =
		json_pack("{s:s, s:o, s:o}", "name", pod->name, "ip",
			  json_ip(&at.addr), "ip6", json_ip_or_none(&at.addr6));
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
