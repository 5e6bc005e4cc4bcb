/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attachments as container engines ask for them: by the engine's own name for
 * the container. Its attachments, whichever of the engine's networks they come
 * from, are one pod; what is given up twice, or never was, is no fault.
 */
#include "call.h"
#include "ipam.h"
#include "json.h"
#include "netd/util.h"
#include "network.h"
#include "pod.h"
#include "pod_args.h"

static json_t *route_show(const struct ip_prefix *dst, const struct ip_addr *gw)
{
	return json_pack("{s:o, s:o}", "dst", json_prefix(dst), "gw",
			 json_ip(gw));
}

static json_t *routes_show(const struct want_pod *want)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < want->addrs_len; i++) {
		const struct ip_addr *gw = &want->addrs[i].gateway;
		struct ip_prefix all = prefix_all(gw);

		if (want->default_route)
			json_array_append_new(list, route_show(&all, gw));
		for (uint32_t k = 0; k < want->vips_len; k++)
			if (ip_is_v4(&want->vips[k].addr) == ip_is_v4(gw))
				json_array_append_new(
					list, route_show(&want->vips[k], gw));
	}
	return list;
}

/* The resolver's search list as an array. */
static json_t *search_show(const struct call *call, const char *network)
{
	json_t *list = json_array();
	char buf[2048];
	char *save = NULL;

	reconcile_search(call->rc, network, buf, sizeof(buf));
	for (char *word = strtok_r(buf, " \t", &save); word;
	     word = strtok_r(NULL, " \t", &save))
		json_array_append_new(list, json_string(word));
	return list;
}

/* All that an engine is to tell its container. */
static json_t *attachment_reply(const struct call *call, const struct pod *pod,
				const struct attachment *at)
{
	struct want_pod want = reconcile_pod_want(call->rc, pod, at);
	const struct want_pod_addr *first = &want.addrs[0];
	const struct want_pod_addr *second = &want.addrs[1];
	struct ip_prefix addr = { first->addr, first->prefix_len };
	struct ip_prefix addr6 = { second->addr, second->prefix_len };
	char link[LINK_NAME_LEN], mac[MAC_STRLEN];
	json_t *ports = json_array();

	reconcile_pod_link(at, link);
	for (size_t i = 0; i < pod->ports_len; i++)
		if (str_eq(pod->ports[i].network, at->network))
			json_array_append_new(ports,
					      pod_port_to_json(&pod->ports[i]));
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o}",
		"name", pod->name, "network", at->network, "link", link,
		"interface", at->ifname, "mac", mac_str(&at->mac, mac), "mtu",
		(int)want.mtu, "ip", json_prefix(&addr), "gateway",
		json_ip(&first->gateway), "ip6",
		want.addrs_len > 1 ? json_prefix(&addr6) : json_string(""),
		"gateway6", json_ip_or_none(&second->gateway), "routes",
		routes_show(&want), "search", search_show(call, at->network),
		"ports", ports);
}

static int read_text(struct call *call, const char *name, char *buf,
		     size_t size)
{
	const char *text = call_str(call, name);

	if (!text || str_copy(buf, size, text))
		return 0;
	return refuse(&call->refusal, API_INVALID, name, "use a shorter one",
		      "%s \"%.32s...\" has more than %zu characters", name,
		      text, size - 1);
}

/* Network, link name and the engine's network: an attachment not yet made. */
static int read_attachment(struct call *call, struct pod *pod,
			   struct attachment *at)
{
	const char *ifname = call_str(call, "ifname");
	int err;

	if (!link_name_is_valid(ifname))
		return refuse(&call->refusal, API_INVALID, "ifname",
			      "use at most 15 characters, no / : % or blanks",
			      "\"%.32s\" is not a name for a link", ifname);
	for (size_t i = 0; i < pod->nets_len; i++)
		if (str_eq(pod->nets[i].ifname, ifname))
			return refuse(
				&call->refusal, API_CONFLICT, "ifname",
				"remove that attachment first, or choose "
				"another name",
				"pod \"%s\" has a link \"%s\" already, on "
				"network \"%s\"",
				pod->name, ifname, pod->nets[i].network);
	err = pod_args_network(call, pod, call_str(call, "network"), at);
	if (err)
		return err;
	str_copy(at->ifname, sizeof(at->ifname), ifname);
	err = read_text(call, "config", at->config, sizeof(at->config));
	if (err)
		json_decref(at->aliases);
	return err;
}

/*
 * The engine's wish; where another container's pod has that name on this
 * node (two namespaces of Kubernetes may), the container's id makes it one.
 */
static int choose_name(struct call *call, char *ret)
{
	const char *name = call_str(call, "name");

	if (pod_name_check(name, &call->refusal))
		return -EINVAL;
	if (!model_pod(call->m, name))
		return str_copy(ret, POD_NAME_LEN, name) ? 0 : -EINVAL;
	if (!str_format(ret, POD_NAME_LEN, "%s-%.8s", name,
			call_str(call, "container")) &&
	    pod_name_is_valid(ret) && !model_pod(call->m, ret))
		return 0;
	return refuse(&call->refusal, API_CONFLICT, "name",
		      "choose another name, or remove it first",
		      "pod \"%s\" exists already on node %s", name,
		      call->m->self);
}

static enum ops_next attach_new(struct call *call, int netns)
{
	struct attachment at;
	char name[POD_NAME_LEN];
	struct pod *pod;
	int err;

	if (choose_name(call, name))
		return OPS_REFUSE;
	pod = pod_new(name);
	err = read_attachment(call, pod, &at);
	if (!err) {
		pod->nets[pod->nets_len++] = at;
		err = pod_args_owner(call, pod);
	}
	if (!err)
		err = pod_args_ports(call, pod, at.network);
	if (err) {
		pod_free(pod);
		return err < 0 ? OPS_REFUSE : OPS_AGAIN;
	}
	if (call_list(call, "label"))
		json_object_update(pod->labels, call_list(call, "label"));
	if (reconcile_pod_create(call->rc, pod, netns, &call->refusal))
		return OPS_REFUSE;
	call->reply = attachment_reply(call, pod, &pod->nets[0]);
	return OPS_REPLY;
}

static enum ops_next attach_more(struct call *call, struct pod *pod, int netns)
{
	struct attachment at;
	int err = read_attachment(call, pod, &at);

	if (err)
		return err < 0 ? OPS_REFUSE : OPS_AGAIN;
	if (pod_args_ports(call, pod, at.network)) {
		json_decref(at.aliases);
		return OPS_REFUSE;
	}
	if (reconcile_pod_connect(call->rc, pod, &at, netns, &call->refusal))
		return OPS_REFUSE;
	call->reply =
		attachment_reply(call, pod, &pod->nets[pod->nets_len - 1]);
	return OPS_REPLY;
}

enum ops_next op_pod_attach(struct call *call)
{
	AUTO(fd_closep) int netns = -1;
	struct pod *pod;

	/* The asker is gone before its pod was: there is nobody to use it. */
	if (!call->req && !call->done)
		return OPS_REFUSE;
	/* A container that was given up and begins anew has the same name. */
	reconcile_tombstones(call->rc);
	if (pod_args_netns(call, &netns))
		return OPS_REFUSE;
	pod = model_pod_of(call->m, call_str(call, "owner"),
			   call_str(call, "container"));
	return pod ? attach_more(call, pod, netns) : attach_new(call, netns);
}

enum ops_next op_pod_detach(struct call *call)
{
	const char *owner = call_str(call, "owner");
	const char *container = call_str(call, "container");
	const char *ifname = call_str(call, "ifname");
	size_t n;

	call->later_ms =
		reconcile_pod_detaches(call->rc, owner, container, ifname);
	if (call->later_ms)
		return OPS_LATER;
	n = reconcile_pod_detach(call->rc, owner, container, ifname);
	call->reply = json_pack("{s:i}", "removed", (int)n);
	return OPS_REPLY;
}

enum ops_next op_pod_check(struct call *call)
{
	const char *container = call_str(call, "container");
	const char *ifname = call_str(call, "ifname");
	AUTO(fd_closep) int netns = -1;
	const struct attachment *at = NULL;
	struct pod *pod;

	if (pod_args_netns(call, &netns))
		return OPS_REFUSE;
	pod = model_pod_of(call->m, call_str(call, "owner"), container);
	for (size_t i = 0; pod && i < pod->nets_len; i++)
		if (str_eq(pod->nets[i].ifname, ifname))
			at = &pod->nets[i];
	if (!at) {
		refuse(&call->refusal, API_NOT_FOUND, "container",
		       "attach it first",
		       "container %.64s has no link \"%.32s\" of netd's",
		       container, ifname);
		return OPS_REFUSE;
	}
	if (reconcile_pod_check(call->rc, pod, at, netns, &call->refusal))
		return OPS_REFUSE;
	call->reply = attachment_reply(call, pod, at);
	return OPS_REPLY;
}

/* Is "CONTAINER/IFNAME" among those that the engine still knows? */
static bool is_kept(const json_t *keep, const struct pod *pod,
		    const struct attachment *at)
{
	char name[ENGINE_ID_LEN + LINK_NAME_LEN];
	json_t *text;
	size_t i;

	snprintf(name, sizeof(name), "%s/%s", pod->container, at->ifname);
	json_array_foreach (keep, i, text)
		if (str_eq(json_string_value(text), name))
			return true;
	return false;
}

static void collect(struct call *call, struct pod *pod)
{
	const char *config = call_str(call, "config");

	for (size_t i = pod->nets_len; i-- > 0;) {
		struct attachment *at = &pod->nets[i];

		if (!str_eq(at->config, config) ||
		    is_kept(call_list(call, "keep"), pod, at))
			continue;
		json_array_append_new(call->reply,
				      json_sprintf("%s/%s", pod->container,
						   at->ifname));
		if (pod->nets_len == 1) {
			reconcile_pod_remove(call->rc, pod);
			return;
		}
		reconcile_pod_disconnect(call->rc, pod, at);
	}
}

enum ops_next op_pod_gc(struct call *call)
{
	const char *owner = call_str(call, "owner");
	struct pod *pod, *tmp;

	call->reply = json_array();
	HASH_ITER (hh, call->m->pods, pod, tmp)
		if (*pod->container && str_eq(pod->owner, owner))
			collect(call, pod);
	return OPS_REPLY;
}

/* What pods that run need as well: the tunnel, the programs, the names. */
static int check_host(struct call *call)
{
	AUTO(json_freep) json_t *checks = reconcile_checks(call->rc);
	static const char *const vital[] = { "tunnel", "tc hook",
					     "dns server" };
	json_t *check;
	size_t i;

	json_array_foreach (checks, i, check) {
		const char *name =
			json_string_value(json_object_get(check, "name"));

		if (json_is_true(json_object_get(check, "ok")))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(vital); k++)
			if (str_eq(name, vital[k]))
				return refuse(&call->refusal, API_INTERNAL,
					      NULL, "see: netctl status",
					      "%s: %.200s", name,
					      json_string_value(json_object_get(
						      check, "value")));
	}
	return 0;
}

enum ops_next op_network_ready(struct call *call)
{
	struct net *net = call_net(call, "name");
	struct store_status st = store_status(call_config(call)->store);
	struct ipam_change change = { 0 };
	struct ip_addr any = { 0 }, addr;
	int picked;

	if (!net || check_host(call))
		return OPS_REFUSE;
	picked = ipam_pick(call->m, net, reconcile_rests(call->rc), &any, &addr,
			   &change, &call->refusal);
	json_decref(change.value);
	if (picked < 0)
		return OPS_REFUSE;
	if (picked && st.state != STORE_UP) {
		refuse(&call->refusal, API_UNAVAILABLE, "",
		       "it goes on by itself when the store is back",
		       "this node has no address of network \"%s\" to give "
		       "while the store is away: %s",
		       net->name, st.error);
		return OPS_REFUSE;
	}
	call->reply = json_pack("{s:s}", "name", net->name);
	return OPS_REPLY;
}
