/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's endpoints. All of one sandbox are one pod: its networks are
 * searched in the order in which they were joined, and each of its addresses
 * may ask for names of all of them.
 */
#include "docker_core.h"

#include <ctype.h>
#include <netinet/in.h>

#include "fault.h"
#include "ipam.h"
#include "netd/log.h"
#include "network.h"
#include "pair.h"
#include "pod.h"

#define DNS_SERVERS "com.docker.network.endpoint.dnsservers"
#define PORT_MAP "com.docker.network.portmap"

/* ---- what an endpoint is in the model ---- */

struct attachment *docker_ep_attachment(const struct docker *d,
					const struct docker_ep *ep,
					struct pod **pod)
{
	struct attachment *at;

	*pod = *ep->pod ? model_pod(d->cfg.model, ep->pod) : NULL;
	at = *pod ? pod_attachment(*pod, ep->network) : NULL;
	return at && ip_eq(&at->addr, &ep->addr) ? at : NULL;
}

static void detach(struct docker *d, const struct docker_ep *ep)
{
	struct pod *pod;
	struct attachment *at = docker_ep_attachment(d, ep, &pod);

	if (!at)
		return;
	if (pod->nets_len > 1)
		reconcile_pod_disconnect(d->cfg.reconcile, pod, at);
	else
		reconcile_pod_remove(d->cfg.reconcile, pod);
}

void docker_ep_end(struct docker *d, struct docker_ep *ep)
{
	struct docker_addr *a = docker_addr(d, &ep->addr);

	detach(d, ep);
	fault_after(FAULT_DOCKER_ENDED);
	if (a && str_eq(a->endpoint, ep->id)) {
		a->endpoint[0] = '\0';
		a->since = mono_ms();
		if (a->released)
			docker_addr_drop(d, a);
		else
			docker_addr_save(d, a);
	}
	docker_ep_drop(d, ep);
}

static void set_state(struct docker *d, struct docker_ep *ep,
		      enum docker_state state)
{
	ep->state = state;
	ep->since = mono_ms();
	ep->is_gone = false;
	docker_ep_save(d, ep);
}

/* ---- CreateEndpoint ---- */

static int read_aliases(json_t *options, struct docker_ep *ep,
			struct refusal *r)
{
	const char *text =
		json_string_value(json_object_get(options, OPTION_ALIAS));
	AUTO(str_freep) char *copy = xstrdup(text ? text : "");
	char *save = NULL;
	char *word;

	ep->aliases = json_array();
	for (word = strtok_r(copy, ",", &save); word;
	     word = strtok_r(NULL, ",", &save)) {
		if (!pod_name_is_valid(word))
			return refuse(r, API_INVALID, "Options",
				      "use letters, digits, - _ and .",
				      OPTION_ALIAS ": \"%.64s\" is not a name",
				      word);
		json_array_append_new(ep->aliases, json_string(word));
	}
	return 0;
}

static int read_mac(const struct docker *d, const char *text,
		    struct docker_ep *ep, struct refusal *r)
{
	const struct pod *owner;
	char mac[MAC_STRLEN];

	ep->mac = mac_from_ip(&ep->addr);
	if (text && *text && pod_mac_parse(text, &ep->mac, r))
		return -EINVAL;
	owner = model_mac_owner(d->cfg.model, ep->network, &ep->mac);
	if (!owner)
		return 0;
	return refuse(r, API_CONFLICT, "MacAddress",
		      "choose another --mac-address, or none",
		      "mac %s is pod \"%s\"'s on network \"%s\"",
		      mac_str(&ep->mac, mac), owner->name, ep->network);
}

/* Where there is one: it goes with the endpoint's other. */
static int read_address6(const struct docker *d, json_t *interface,
			 struct docker_ep *ep, struct refusal *r)
{
	json_t *field = json_object_get(interface, "AddressIPv6");
	const char *text = json_string_value(field);
	const struct net *net = model_net(d->cfg.model, ep->network);
	char ip[IP_STRLEN], ip6[IP_STRLEN];
	struct ip_addr primary;
	struct ip_prefix p;

	if (!field || json_is_null(field) || (text && !*text))
		return 0;
	if (json_read_prefix(field, &p) || ip_is_v4(&p.addr))
		return refuse(r, API_INVALID, "Interface", NULL,
			      "AddressIPv6 is no address of netd's IPAM");
	if (!net)
		return refuse(r, API_NOT_FOUND, "Interface",
			      "see: netctl network ls",
			      "network \"%s\" is not there any more",
			      ep->network);
	/* Nobody is told of what this host cannot do. */
	if (!d->cfg.has_v6)
		return refuse(r, API_CONFLICT, "Interface",
			      "boot the host with IPv6, or make Docker's "
			      "network again without --ipv6",
			      "this host's kernel has no IPv6, which Docker "
			      "uses on network \"%s\"",
			      ep->network);
	primary = pair_primary(net, &p.addr);
	if (!net_is_dual(net) || !ip_eq(&primary, &ep->addr))
		return refuse(r, API_CONFLICT, "Interface",
			      "start the container again",
			      "addresses %s and %s are no pair on network "
			      "\"%s\"",
			      ip_str(&ep->addr, ip), ip_str(&p.addr, ip6),
			      ep->network);
	ep->addr6 = p.addr;
	return 0;
}

static int read_address(const struct docker *d, json_t *interface,
			struct docker_ep *ep, struct refusal *r)
{
	const struct docker_addr *a;
	struct ip_prefix p;
	char ip[IP_STRLEN];

	if (json_read_prefix(json_object_get(interface, "Address"), &p))
		return refuse(r, API_INVALID, "Interface", NULL,
			      "the endpoint has no address of netd's IPAM");
	ep->addr = p.addr;
	a = docker_addr(d, &p.addr);
	if (!a || !str_eq(a->network, ep->network))
		return refuse(r, API_NOT_FOUND, "Interface",
			      "start the container again",
			      "address %s is not held for Docker on network "
			      "\"%s\"",
			      ip_str(&p.addr, ip), ep->network);
	if (*a->endpoint && docker_ep(d, a->endpoint))
		return refuse(r, API_CONFLICT, "Interface",
			      "start the container again",
			      "address %s is endpoint %.12s's",
			      ip_str(&p.addr, ip), a->endpoint);
	return read_address6(d, interface, ep, r);
}

static void reply_endpoint(struct http_request *req, const struct docker_ep *ep)
{
	const char *given = json_string_value(json_object_get(
		json_object_get(req->args, "Interface"), "MacAddress"));
	char mac[MAC_STRLEN];

	/* What the engine knows already must not be said again. */
	if (given && *given)
		docker_reply(req, json_pack("{s:{}}", "Interface"));
	else
		docker_reply(req,
			     json_pack("{s:{s:s}}", "Interface", "MacAddress",
				       mac_str(&ep->mac, mac)));
}

static struct docker_net *find_net(struct docker *d, struct http_request *req,
				   struct refusal *r)
{
	const char *id = docker_str(req, "NetworkID");
	struct docker_net *net = docker_net(d, id);

	if (!net)
		refuse(r, API_NOT_FOUND, "NetworkID",
		       "docker network rm it, and create it again",
		       "Docker's network %.12s is not known here", id);
	return net;
}

static void ep_freep(struct docker_ep **ep)
{
	if (*ep)
		json_decref((*ep)->aliases);
	free(*ep);
}

/* A new endpoint as it was asked for, or NULL and refused. */
static struct docker_ep *read_endpoint(const struct docker *d,
				       const struct http_request *req,
				       const struct docker_net *net,
				       struct refusal *r)
{
	json_t *options = json_object_get(req->args, "Options");
	json_t *interface = json_object_get(req->args, "Interface");
	const char *mac =
		json_string_value(json_object_get(interface, "MacAddress"));
	const char *id = docker_str(req, "EndpointID");
	AUTO(ep_freep) struct docker_ep *ep = xzalloc(sizeof(*ep));

	str_copy(ep->id, sizeof(ep->id), id);
	memcpy(ep->net, net->id, sizeof(ep->net));
	memcpy(ep->network, net->network, sizeof(ep->network));
	ep->asks_host = !json_array_size(json_object_get(options, DNS_SERVERS));
	ep->since = mono_ms();
	if (docker_ep(d, id))
		refuse(r, API_CONFLICT, "EndpointID", NULL,
		       "endpoint %.12s is on another network", id);
	else if (!read_address(d, interface, ep, r) && !read_mac(d, mac, ep, r))
		read_aliases(options, ep, r);
	return r->code == API_OK ? take_ptr(ep) : NULL;
}

void docker_create_endpoint(struct docker *d, struct http_request *req)
{
	struct docker_ep *ep = docker_ep(d, docker_str(req, "EndpointID"));
	struct docker_addr *a;
	struct refusal r = { 0 };
	struct docker_net *net = find_net(d, req, &r);
	int err;

	if (net && ep && str_eq(ep->net, net->id)) {
		reply_endpoint(req, ep);
		return;
	}
	ep = net ? read_endpoint(d, req, net, &r) : NULL;
	if (!ep) {
		docker_refuse(req, &r);
		return;
	}
	err = docker_ep_save(d, ep);
	if (!docker_is_kept(req, err ? err : fault_at(FAULT_DOCKER_MADE))) {
		docker_ep_drop(d, ep);
		return;
	}
	net->is_used = true;
	a = docker_addr(d, &ep->addr);
	memcpy(a->endpoint, ep->id, sizeof(a->endpoint));
	a->released = false;
	docker_addr_save(d, a);
	reply_endpoint(req, ep);
}

void docker_delete_endpoint(struct docker *d, struct http_request *req)
{
	struct docker_ep *ep = docker_ep(d, docker_str(req, "EndpointID"));

	if (ep)
		docker_ep_end(d, ep);
	docker_reply(req, json_object());
}

void docker_oper_info(struct docker *d, struct http_request *req)
{
	(void)d;
	docker_reply(req, json_pack("{s:{}}", "Value"));
}

/* ---- Join ---- */

/* "/var/run/docker/netns/0123456789ab" is pod docker-0123456789ab. */
static void pod_name(const struct docker_ep *ep, const char *sandbox, char *buf,
		     size_t size)
{
	const char *slash = strrchr(sandbox, '/');
	const char *last = slash ? slash + 1 : sandbox;
	bool ok = *last && strlen(last) < DOCKER_ID_LEN;

	for (const char *p = last; ok && *p; p++)
		ok = isalnum((unsigned char)*p) || *p == '-' || *p == '_';
	str_format(buf, size, "docker-%.64s", ok ? last : ep->id);
}

/* As the engine sees it: it may have a mount namespace of its own. */
static char *sandbox_path(const struct http_request *req, const char *sandbox)
{
	if (*sandbox != '/' || strstr(sandbox, ".."))
		return NULL;
	return xasprintf("/proc/%d/root%s", (int)req->peer_pid, sandbox);
}

static int offer(struct docker *d, struct http_request *req,
		 struct docker_ep *ep, struct refusal *r)
{
	const struct net *net = model_net(d->cfg.model, ep->network);
	const char *sandbox = docker_str(req, "SandboxKey");
	struct pod *pod;
	struct attachment at = {
		.vni = net->vni,
		.addr = ep->addr,
		.addr6 = ep->addr6,
		.mac = ep->mac,
		.asks_host = ep->asks_host,
	};

	pod_name(ep, sandbox, ep->pod, sizeof(ep->pod));
	pod = model_pod(d->cfg.model, ep->pod);
	if (pod && !str_eq(pod->owner, "docker"))
		return refuse(r, API_CONFLICT, "SandboxKey",
			      "remove the pod, or start the container again",
			      "there is a pod \"%s\" that is not Docker's",
			      pod->name);
	if (pod && pod_attachment(pod, ep->network))
		return refuse(r, API_CONFLICT, "NetworkID",
			      "connect it to one of them",
			      "the container is on network \"%s\" already, by "
			      "another network of Docker's",
			      ep->network);
	if (pod && pod->nets_len == CLIENT_NETS_MAX)
		return refuse(r, API_EXHAUSTED, "NetworkID",
			      "connect it to fewer networks",
			      "a container can be on %d networks at most",
			      CLIENT_NETS_MAX);
	if (!pod) {
		pod = pod_new(ep->pod);
		str_copy(pod->owner, sizeof(pod->owner), "docker");
	}
	free(pod->netns_path);
	pod->netns_path = sandbox_path(req, sandbox);
	reconcile_new_id(at.id);
	memcpy(at.network, ep->network, sizeof(at.network));
	str_copy(at.config, sizeof(at.config), ep->net);
	at.aliases = json_incref(ep->aliases);
	/* First in the journal: a crash must find it by its endpoint. */
	set_state(d, ep, DOCKER_JOINED);
	if (reconcile_pod_offer(d->cfg.reconcile, pod, &at, r))
		return -EINVAL;
	if (!fault_at(FAULT_DOCKER_OFFERED))
		return 0;
	detach(d, ep);
	return refuse(r, API_INTERNAL, NULL, "see: the log of netd",
		      "the link that was made cannot be told of");
}

static void add_routes(json_t *list, const struct ip_prefix *vips, uint32_t len,
		       const struct ip_addr *gateway)
{
	for (uint32_t i = 0; i < len; i++)
		json_array_append_new(
			list, json_pack("{s:o, s:i, s:o}", "Destination",
					json_prefix(&vips[i]), "RouteType", 0,
					"NextHop", json_ip(gateway)));
}

static void reply_join(struct docker *d, struct http_request *req,
		       const struct docker_net *dn, const struct docker_ep *ep)
{
	const struct net *net = model_net(d->cfg.model, ep->network);
	bool internal = dn->internal || net->internal;
	bool ours = !internal && dn->gateway == DOCKER_GATEWAY_NETD;
	bool dockers = !internal && dn->gateway == DOCKER_GATEWAY_DOCKER;
	bool dual = !ip_is_none(&ep->addr6);
	struct ip_addr gateway = net_gateway(net), gateway6 = net_gateway6(net);
	json_t *routes = json_array();
	struct pod *pod;
	struct attachment *at = docker_ep_attachment(d, ep, &pod);
	json_t *reply = json_pack("{s:{s:s, s:s}, s:o, s:b}", "InterfaceName",
				  "SrcName", at->ifname, "DstPrefix", "eth",
				  "StaticRoutes", routes,
				  "DisableGatewayService", !ours && !dockers);

	add_routes(routes, net->vips, net->vips_len, &gateway);
	if (dual)
		add_routes(routes, net->vips6, net->vips6_len, &gateway6);
	if (ours)
		json_object_set_new(reply, "Gateway", json_ip(&gateway));
	if (ours && dual)
		json_object_set_new(reply, "GatewayIPv6", json_ip(&gateway6));
	docker_reply(req, reply);
}

void docker_join(struct docker *d, struct http_request *req)
{
	struct docker_ep *ep = docker_ep(d, docker_str(req, "EndpointID"));
	struct refusal r = { 0 };
	struct docker_net *net = find_net(d, req, &r);
	struct attachment *at;
	struct pod *pod;

	if (net && (!ep || !str_eq(ep->net, net->id)))
		refuse(&r, API_NOT_FOUND, "EndpointID",
		       "start the container again",
		       "endpoint %.12s is not known here",
		       docker_str(req, "EndpointID"));
	else if (net && !model_net(d->cfg.model, net->network))
		refuse(&r, API_NOT_FOUND, "NetworkID", "see: netctl network ls",
		       "network \"%s\" is not there any more", net->network);
	if (r.code != API_OK) {
		docker_refuse(req, &r);
		return;
	}
	at = docker_ep_attachment(d, ep, &pod);
	/* Asked again, the answer was lost; or taken out, and put back. */
	if (at && at->hand != HAND_OFFERED) {
		detach(d, ep);
		at = NULL;
	}
	if (!at && offer(d, req, ep, &r)) {
		set_state(d, ep, DOCKER_MADE);
		docker_refuse(req, &r);
		return;
	}
	reply_join(d, req, net, ep);
}

/* Who serves leaves balancing first, and its link a while later. */
static enum ops_next op_left(struct call *call)
{
	struct pod *pod = model_pod(call->m, call_str(call, "pod"));
	struct attachment *at =
		pod ? pod_attachment(pod, call_str(call, "network")) : NULL;

	if (at && !str_eq(at->id, call_str(call, "attachment")))
		at = NULL;
	call->later_ms = at ? reconcile_pod_leave(call->rc, pod, at, NULL) : 0;
	if (call->later_ms)
		return OPS_LATER;
	if (at)
		reconcile_pod_left(call->rc, pod, at);
	call->reply = json_object();
	return OPS_REPLY;
}

static void left_done(struct docker *d, struct http_request *req, json_t *args,
		      const struct refusal *r, json_t *reply)
{
	const char *id = json_string_value(json_object_get(args, "endpoint"));
	struct docker_ep *ep = docker_ep(d, id);

	(void)r;
	(void)reply;
	if (ep)
		set_state(d, ep, DOCKER_LEFT);
	fault_after(FAULT_DOCKER_LEFT);
	if (req)
		docker_reply(req, json_object());
}

void docker_leave(struct docker *d, struct http_request *req)
{
	struct docker_ep *ep = docker_ep(d, docker_str(req, "EndpointID"));
	struct pod *pod;
	struct attachment *at = ep ? docker_ep_attachment(d, ep, &pod) : NULL;

	if (at) {
		docker_ops(d, req, "docker leave", op_left,
			   json_pack("{s:s, s:s, s:s, s:s}", "endpoint", ep->id,
				     "pod", ep->pod, "network", ep->network,
				     "attachment", at->id),
			   left_done);
		return;
	}
	if (ep)
		set_state(d, ep, DOCKER_LEFT);
	docker_reply(req, json_object());
}

/* ---- published ports ---- */

#define PORTS_ASKED_MAX 1024

static int read_port(json_t *row, const char *network, struct pod_port *ret,
		     struct refusal *r)
{
	const char *host = json_string_value(json_object_get(row, "HostIP"));
	json_int_t proto = json_integer_value(json_object_get(row, "Proto"));
	json_int_t port = json_integer_value(json_object_get(row, "HostPort"));
	json_int_t target = json_integer_value(json_object_get(row, "Port"));

	*ret = (struct pod_port){ .port = (uint16_t)port,
				  .target = (uint16_t)target,
				  .proto = (uint8_t)proto };
	str_copy(ret->network, sizeof(ret->network), network);
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return refuse(r, API_UNSUPPORTED, "Options",
			      "publish tcp or udp",
			      "protocol %lld cannot be published",
			      (long long)proto);
	if (port < 0 || port > 65535 || target < 1 || target > 65535)
		return refuse(r, API_INVALID, "Options",
			      "ports are from 1 to 65535",
			      "port %lld:%lld cannot be published",
			      (long long)port, (long long)target);
	if (host && *host && ip_parse(host, &ret->host))
		return refuse(r, API_INVALID, "Options",
			      "write -p 192.0.2.1:8080:80",
			      "\"%.64s\" is not an address", host);
	if (host && *host && !ip_is_v4(&ret->host))
		return refuse(r, API_UNSUPPORTED, "Options",
			      "leave the address out: the port answers on "
			      "all of the node's, of both families",
			      "a port cannot be published on %s alone", host);
	/* 0.0.0.0 is every address, as none is. */
	if (ip_is_v4(&ret->host) && !ip_v4(&ret->host))
		ret->host = (struct ip_addr){ 0 };
	return 0;
}

static int read_ports(json_t *list, const char *network, struct pod_port *ports,
		      size_t *len, struct refusal *r)
{
	json_t *row;
	size_t i;

	json_array_foreach (list, i, row) {
		if (*len == PORTS_ASKED_MAX)
			return refuse(r, API_TOO_LARGE, "Options",
				      "publish fewer",
				      "more than %d published ports",
				      PORTS_ASKED_MAX);
		if (read_port(row, network, &ports[*len], r))
			return -EINVAL;
		(*len)++;
	}
	return 0;
}

void docker_program(struct docker *d, struct http_request *req)
{
	struct docker_ep *ep = docker_ep(d, docker_str(req, "EndpointID"));
	struct docker_net *net = ep ? docker_net(d, ep->net) : NULL;
	json_t *list = json_object_get(json_object_get(req->args, "Options"),
				       PORT_MAP);
	AUTO(str_freep) char *memory = NULL;
	struct refusal r = { 0 };
	struct pod_port *ports;
	struct pod *pod = NULL;
	size_t len = 0;

	/* Whoever has the way out has the ports, too. */
	if (!json_array_size(list) ||
	    (net && net->gateway != DOCKER_GATEWAY_NETD)) {
		docker_reply(req, json_object());
		return;
	}
	if (!ep || !docker_ep_attachment(d, ep, &pod))
		refuse(&r, API_NOT_FOUND, "EndpointID",
		       "start the container again",
		       "endpoint %.12s is in no container",
		       docker_str(req, "EndpointID"));
	ports = xzalloc(PORTS_ASKED_MAX * sizeof(*ports));
	memory = (char *)ports;
	if (r.code == API_OK)
		read_ports(list, ep->network, ports, &len, &r);
	if (r.code == API_OK) {
		/* Asked again: what it has is what it asked for. */
		reconcile_pod_unpublish(d->cfg.reconcile, pod, ep->network);
		reconcile_pod_publish(d->cfg.reconcile, pod, ports, len, &r);
	}
	if (r.code != API_OK)
		docker_refuse(req, &r);
	else
		docker_reply(req, json_object());
}

void docker_revoke(struct docker *d, struct http_request *req)
{
	struct docker_ep *ep = docker_ep(d, docker_str(req, "EndpointID"));
	struct pod *pod;

	if (ep && docker_ep_attachment(d, ep, &pod))
		reconcile_pod_unpublish(d->cfg.reconcile, pod, ep->network);
	docker_reply(req, json_object());
}
