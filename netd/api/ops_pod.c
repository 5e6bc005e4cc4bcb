/* SPDX-License-Identifier: Apache-2.0 */
/* Pods of this node, and the cluster's list of them. */
#include <fcntl.h>
#include <sys/random.h>

#include "call.h"
#include "netd/util.h"
#include "netns.h"
#include "network.h"
#include "pod.h"

/* The asker's own descriptor, by its number: netd opens no path for it. */
static int open_netns(struct call *call, int *ret)
{
	json_t *number = json_object_get(call->args, "netns_fd");
	char path[64];
	int fd;

	*ret = -1;
	if (!number || !call->req)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/fd/%lld",
		 (int)call->req->peer_pid,
		 (long long)json_integer_value(number));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || netns_check(fd)) {
		if (fd >= 0)
			close(fd);
		return refuse(
			&call->refusal, API_INVALID, "netns_fd",
			"give --netns PATH or --pid PID of a running container",
			"the descriptor is not a network namespace");
	}
	if (netns_is_own(fd)) {
		close(fd);
		return refuse(&call->refusal, API_INVALID, "netns_fd",
			      "give the namespace of a container",
			      "the namespace is the host's own");
	}
	*ret = fd;
	return 0;
}

/* What a wish for a network asks for that somebody else has. */
static int check_network(struct call *call, const struct pod *pod,
			 const struct net *net, const struct pod_network *want)
{
	const struct pod *other =
		model_mac_owner(call->m, net->name, &want->mac);
	char mac[MAC_STRLEN];

	if (other)
		return refuse(&call->refusal, API_CONFLICT, "network",
			      "choose another MAC, or leave it out",
			      "mac %s is pod \"%s\"'s on network \"%s\"",
			      mac_str(&want->mac, mac), other->name, net->name);
	for (size_t i = 0; i < pod->nets_len; i++)
		if (want->ifname[0] &&
		    str_eq(pod->nets[i].ifname, want->ifname))
			return refuse(&call->refusal, API_INVALID, "network",
				      "name each link once",
				      "ifname \"%s\" is named twice",
				      want->ifname);
	return 0;
}

static int add_network(struct call *call, struct pod *pod, const char *text)
{
	struct pod_network want;
	struct attachment *at;
	struct ip_addr addr;
	struct net *net;
	int picked = 0;

	if (pod_network_parse(text, &want, &call->refusal))
		return -EINVAL;
	net = model_net(call->m, want.network);
	if (!net)
		refuse(&call->refusal, API_NOT_FOUND, "network",
		       "see: netctl network ls", "network \"%s\" not found",
		       want.network);
	else if (pod_attachment(pod, net->name))
		refuse(&call->refusal, API_INVALID, "network",
		       "name each network once",
		       "network \"%s\" is named twice", net->name);
	else if (pod->nets_len == CLIENT_NETS_MAX)
		refuse(&call->refusal, API_INVALID, "network",
		       "use fewer networks",
		       "a pod can be on %d networks at most", CLIENT_NETS_MAX);
	else if (!check_network(call, pod, net, &want))
		picked = call_pick(call, net, &want.addr, &addr);
	if (call->refusal.code != API_OK || picked) {
		json_decref(want.aliases);
		return call->refusal.code != API_OK ? -EINVAL : picked;
	}
	at = pod_attachment_add(pod, net, &want, &addr);
	reconcile_new_id(at->id);
	return 0;
}

/* They lead to the pod's first network. */
static int add_ports(struct call *call, struct pod *pod)
{
	struct pod_port_listeners listeners = reconcile_listeners(call->rc);
	struct pod_port port;
	unsigned int start;
	json_t *text;
	size_t i;

	if (getrandom(&start, sizeof(start), 0) != sizeof(start))
		abort();
	json_array_foreach (call_list(call, "publish"), i, text) {
		if (pod_port_parse(json_string_value(text), &port,
				   &call->refusal))
			return -EINVAL;
		memcpy(port.network, pod->nets[0].network,
		       sizeof(port.network));
		if (pod_port_claim(call->m, pod, &port, &listeners, start,
				   &call->refusal))
			return -EINVAL;
	}
	return 0;
}

static json_t *attachment_show(const struct pod *pod,
			       const struct attachment *at)
{
	json_t *aliases = pod_aliases(pod, at);
	char buf[MAC_STRLEN];
	json_t *doc =
		json_pack("{s:s, s:o, s:s, s:s}", "network", at->network, "ip",
			  json_ip(&at->addr), "mac", mac_str(&at->mac, buf),
			  "interface", at->ifname);

	json_object_set_new(doc, "aliases", aliases ? aliases : json_array());
	return doc;
}

static const char *pod_state(const struct pod *pod)
{
	if (pod->leaving)
		return "leaving";
	return *pod_unready(pod) ? "unready" : "up";
}

static json_t *pod_json(const struct call *call, const struct pod *pod)
{
	json_t *nets = json_array(), *ports = json_array();

	for (size_t i = 0; i < pod->nets_len; i++)
		json_array_append_new(nets,
				      attachment_show(pod, &pod->nets[i]));
	for (size_t i = 0; i < pod->ports_len; i++)
		json_array_append_new(ports, pod_port_to_json(&pod->ports[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, "
			 "s:o}",
			 "name", pod->name, "id",
			 pod->nets_len ? pod->nets[0].id : "", "node",
			 call->m->self, "state", pod_state(pod), "state_reason",
			 pod_unready(pod), "owner", pod->owner, "container",
			 pod->container, "labels", pod_labels(pod), "netns",
			 pod->own_ns ? "own" : "foreign", "networks", nets,
			 "ports", ports);
}

static int read_owner(struct call *call, struct pod *pod)
{
	const char *owner = call_str(call, "owner");
	const char *container = call_str(call, "container");

	if (owner && !str_copy(pod->owner, sizeof(pod->owner), owner))
		return refuse(&call->refusal, API_INVALID, "owner",
			      "use at most 15 characters",
			      "owner \"%.32s\" is too long", owner);
	if (container &&
	    !str_copy(pod->container, sizeof(pod->container), container))
		return refuse(&call->refusal, API_INVALID, "container",
			      "use at most 255 characters",
			      "container \"%.32s...\" is too long", container);
	return 0;
}

static int check_create(struct call *call, const char *name)
{
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
	return 0;
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
	if (check_create(call, name) || open_netns(call, &netns))
		return OPS_REFUSE;
	pod = pod_new(name);
	labels = call_list(call, "label");
	if (labels)
		json_object_update(pod->labels, labels);
	json_array_foreach (call_list(call, "network"), i, text) {
		err = add_network(call, pod, json_string_value(text));
		if (err)
			break;
	}
	if (!err && (read_owner(call, pod) || add_ports(call, pod)))
		err = -EINVAL;
	if (err) {
		pod_free(pod);
		return err < 0 ? OPS_REFUSE : OPS_AGAIN;
	}
	if (reconcile_pod_create(call->rc, pod, netns, &call->refusal))
		return OPS_REFUSE;
	call->reply = pod_json(call, pod);
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
	json_array_append_new(json_object_get(pod, "networks"),
			      json_pack("{s:s, s:o, s:s, s:s, s:o}", "network",
					net->name, "ip", json_ip(&ep->addr),
					"mac", mac_str(&ep->mac, buf),
					"interface", "", "aliases",
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
		json_array_append_new(call->reply, pod_json(call, pod));
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
	call->reply = pod_json(call, pod);
	return OPS_REPLY;
}

enum ops_next op_pod_delete(struct call *call)
{
	struct pod *pod = call_pod(call, "name");

	if (!pod)
		return OPS_REFUSE;
	call->reply = json_pack("{s:s}", "name", pod->name);
	reconcile_pod_remove(call->rc, pod);
	return OPS_REPLY;
}
