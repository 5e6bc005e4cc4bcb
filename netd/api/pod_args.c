/* SPDX-License-Identifier: Apache-2.0 */
#include "pod_args.h"

#include <fcntl.h>

#include "netd/util.h"
#include "netns.h"
#include "json.h"
#include "network.h"
#include "pair.h"

/* The asker's own descriptor, by its number: netd opens no path for it. */
int pod_args_netns(struct call *call, int *ret)
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
			return refuse(&call->refusal, API_CONFLICT, "network",
				      "name each link once",
				      "pod \"%s\": link \"%s\" is named twice, "
				      "or there already",
				      pod->name, want->ifname);
	return 0;
}

int pod_args_network(struct call *call, struct pod *pod, const char *text,
		     struct attachment *ret)
{
	struct pod_network want;
	struct ip_addr addr, wish;
	struct net *net;
	int picked = 0;

	if (pod_network_parse(text, &want, &call->refusal))
		return -EINVAL;
	net = model_net(call->m, want.network);
	if (!net)
		refuse(&call->refusal, API_NOT_FOUND, "network",
		       "see: netctl network ls", "network \"%s\" not found",
		       want.network);
	else if (pod_attachment(pod, net->name) &&
		 model_pod(call->m, pod->name) != pod)
		refuse(&call->refusal, API_INVALID, "network",
		       "name each network once",
		       "network \"%s\" is named twice", net->name);
	else if (pod_attachment(pod, net->name))
		refuse(&call->refusal, API_CONFLICT, "network",
		       "a pod is on a network once",
		       "pod \"%s\" is on network \"%s\" already", pod->name,
		       net->name);
	else if (pod->nets_len == CLIENT_NETS_MAX)
		refuse(&call->refusal, API_INVALID, "network",
		       "use fewer networks",
		       "a pod can be on %d networks at most", CLIENT_NETS_MAX);
	else if (!check_network(call, pod, net, &want) &&
		 !pair_wish(net, &want.addr, &want.addr6, &wish,
			    &call->refusal))
		picked = call_pick(call, net, &wish, &addr);
	if (call->refusal.code != API_OK || picked) {
		json_decref(want.aliases);
		return call->refusal.code != API_OK ? -EINVAL : picked;
	}
	*ret = attachment_make(net, &want, &addr);
	reconcile_new_id(ret->id);
	return 0;
}

/* Clients of a family reach a pod by its address of that family. */
static int check_port(struct call *call, const char *network,
		      const struct pod_port *port)
{
	const struct net *net = model_net(call->m, network);
	char ip[IP_STRLEN];

	if (!net || ip_is_none(&port->host) ||
	    net_has_family(net, !ip_is_v4(&port->host)))
		return 0;
	return refuse(&call->refusal, API_INVALID, "publish",
		      "leave the address out",
		      "publish %s:%u: network \"%s\" has no IPv%d",
		      ip_str(&port->host, ip), port->port, net->name,
		      ip_is_v4(&port->host) ? 4 : 6);
}

int pod_args_ports(struct call *call, struct pod *pod, const char *network)
{
	json_t *list = call_list(call, "publish"), *text;
	size_t i, len = json_array_size(list);
	struct pod_port *ports;
	int err = 0;

	if (len > POD_PORTS_MAX)
		return refuse(&call->refusal, API_INVALID, "publish",
			      "publish fewer", "pod \"%s\": more than %d ports",
			      pod->name, POD_PORTS_MAX);
	ports = xzalloc((len + 1) * sizeof(*ports));
	json_array_foreach (list, i, text) {
		err = pod_port_parse(json_string_value(text), &ports[i],
				     &call->refusal);
		if (!err)
			err = check_port(call, network, &ports[i]);
		if (err)
			break;
		str_copy(ports[i].network, sizeof(ports[i].network), network);
	}
	if (!err)
		err = reconcile_ports_claim(call->rc, pod, ports, len,
					    &call->refusal);
	free(ports);
	return err;
}

int pod_args_owner(struct call *call, struct pod *pod)
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

static json_t *attachment_show(const struct pod *pod,
			       const struct attachment *at)
{
	json_t *aliases = pod_aliases(pod, at);
	char buf[MAC_STRLEN];
	json_t *doc =
		json_pack("{s:s, s:o, s:s, s:s}", "network", at->network, "ip",
			  json_ip(&at->addr), "mac", mac_str(&at->mac, buf),
			  "interface", at->ifname);

	json_object_set_new(doc, "ip6", json_ip_or_none(&at->addr6));
	json_object_set_new(doc, "aliases", aliases ? aliases : json_array());
	return doc;
}

static const char *pod_state(const struct pod *pod)
{
	size_t in = 0;

	if (pod->leaving)
		return "leaving";
	for (size_t i = 0; i < pod->nets_len; i++)
		in += attachment_is_in(&pod->nets[i]);
	/* An engine has a link of it that is in no container. */
	if (!in && pod->nets_len)
		return "waiting";
	return *pod_unready(pod) ? "unready" : "up";
}

json_t *pod_show(const struct call *call, const struct pod *pod)
{
	json_t *nets = json_array(), *ports = json_array();

	for (size_t i = 0; i < pod->nets_len; i++)
		json_array_append_new(nets,
				      attachment_show(pod, &pod->nets[i]));
	for (size_t i = 0; i < pod->ports_len; i++)
		json_array_append_new(ports, pod_port_to_json(&pod->ports[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, "
			 "s:o}",
			 "name", pod_shown_name(pod), "id",
			 pod->nets_len ? pod->nets[0].id : "", "node",
			 call->m->self, "state", pod_state(pod), "state_reason",
			 pod_unready(pod), "owner", pod->owner, "container",
			 pod->container, "labels", pod_labels(pod), "netns",
			 pod->own_ns ? "own" : "foreign", "networks", nets,
			 "ports", ports);
}
