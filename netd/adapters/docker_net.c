/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's networks. Several engines' networks, and several of one engine's,
 * may be one of the cluster's: whose they are is kept in its record
 * ("engines"), so that a network which Docker made goes with the last of them.
 */
#include "docker_core.h"

#include "netd/log.h"
#include "network.h"
#include "pair.h"

#define GENERIC "com.docker.network.generic"
#define INTERNAL "com.docker.network.internal"
#define IPV6 "com.docker.network.enable_ipv6"
#define CREATE                                                                 \
	"docker network create -d netd --ipam-driver netd "                    \
	"--ipam-opt " OPTION_NETWORK "=NAME NAME"

/* ---- the cluster's record ---- */

static json_t *engines_of(const struct net *net)
{
	return json_object_get(net->doc, "engines");
}

static bool is_dockers(const struct net *net)
{
	const char *origin =
		json_string_value(json_object_get(net->labels, "netd.origin"));

	return origin && str_eq(origin, "docker");
}

static void put_engines(struct call *call, struct net *net, json_t *engines,
			bool internal)
{
	json_t *doc = net_to_json(net);

	json_object_set_new(doc, "engines", engines);
	json_object_set_new(doc, "internal", json_boolean(internal));
	call_is(call, net->rev, "c/nets/%s", net->name);
	call_put(call, doc, "c/nets/%s", net->name);
}

bool docker_net_is_fresh(const struct net *net)
{
	return is_dockers(net) && !json_object_size(engines_of(net)) &&
	       !net->endpoints && !net->services;
}

/* One that Docker has just made for this is made internal, no other. */
static int check_internal(struct call *call, const struct net *net)
{
	if (!call_bool(call, "internal") || net->internal ||
	    docker_net_is_fresh(net))
		return 0;
	return refuse(&call->refusal, API_CONFLICT, "Options",
		      "leave --internal out, or choose another netd.network",
		      "network \"%s\" exists and is not internal", net->name);
}

static enum ops_next op_join(struct call *call)
{
	struct net *net = call_net(call, "name");
	const char *key = call_str(call, "engine");
	json_t *engines;

	if (!net || check_internal(call, net))
		return OPS_REFUSE;
	if (json_object_get(engines_of(net), key)) {
		call->reply = json_object();
		return OPS_REPLY;
	}
	engines = engines_of(net) ? json_deep_copy(engines_of(net))
				  : json_object();
	json_object_set_new(engines, key, json_true());
	put_engines(call, net, engines,
		    net->internal || call_bool(call, "internal"));
	call->reply = json_object();
	return OPS_COMMIT;
}

/* A network that is not Docker's, or that others use, stays. */
static enum ops_next op_leave(struct call *call)
{
	struct net *net = model_net(call->m, call_str(call, "name"));
	const char *key = call_str(call, "engine");
	json_t *engines;

	call->reply = json_object();
	if (!net)
		return OPS_REPLY;
	engines = engines_of(net) ? json_deep_copy(engines_of(net))
				  : json_object();
	json_object_del(engines, key);
	if (is_dockers(net) && !json_object_size(engines) && !net->services &&
	    !net->endpoints) {
		json_decref(engines);
		json_decref(call->reply);
		call->reply = NULL;
		return op_network_delete(call);
	}
	if (json_object_size(engines) == json_object_size(engines_of(net))) {
		json_decref(engines);
		return OPS_REPLY;
	}
	put_engines(call, net, engines, net->internal);
	return OPS_COMMIT;
}

static void leave_done(struct docker *d, struct http_request *req, json_t *args,
		       const struct refusal *r, json_t *reply)
{
	(void)d;
	(void)reply;
	/* The engine has forgotten it by now, whatever is answered. */
	if (r->code != API_OK)
		log_warn("docker: network %s: %s",
			 json_string_value(json_object_get(args, "name")),
			 r->message);
	if (req)
		docker_reply(req, json_object());
}

static void leave(struct docker *d, struct http_request *req,
		  const char *network, const char *id)
{
	json_t *args = json_pack("{s:s, s:o}", "name", network, "engine",
				 json_sprintf("%s/%s", d->cfg.model->self, id));

	docker_ops(d, req, "docker network", op_leave, args, leave_done);
}

/*
 * When the answer to CreateNetwork was lost, the engine releases the pool and
 * says no more: the last network of the pool that nobody used is it.
 */
void docker_net_give_up(struct docker *d, const char *network)
{
	struct docker_net *net, *next, *last = NULL;

	HASH_ITER (hh, d->nets, net, next)
		if (str_eq(net->network, network) && !net->is_used)
			last = net;
	if (!last)
		return;
	log_info("docker: network given up net=%s id=%.12s", network, last->id);
	leave(d, NULL, network, last->id);
	docker_net_drop(d, last);
}

void docker_unmake(struct docker *d, struct http_request *req,
		   const char *network)
{
	leave(d, req, network, "");
}

/* ---- options ---- */

static int read_gateway(const char *text, enum docker_gateway *ret,
			struct refusal *r)
{
	for (size_t i = 0; i < DOCKER_GATEWAY_MAX; i++) {
		if (!str_eq(text, docker_gateways[i]))
			continue;
		*ret = (enum docker_gateway)i;
		return 0;
	}
	return refuse(r, API_INVALID, "Options",
		      OPTION_GATEWAY " is netd, docker or none",
		      "there is no gateway \"%.64s\"", text);
}

static int read_options(json_t *generic, struct docker_net *net,
			struct refusal *r)
{
	const char *key, *text;
	json_t *value;

	json_object_foreach (generic, key, value) {
		text = json_string_value(value);
		if (text && str_eq(key, OPTION_GATEWAY)) {
			if (read_gateway(text, &net->gateway, r))
				return -EINVAL;
		} else if (text && str_eq(key, OPTION_NETWORK)) {
			if (!str_eq(text, net->network))
				return refuse(
					r, API_CONFLICT, "Options",
					"give both the same name",
					"-o " OPTION_NETWORK
					"=%.64s and --ipam-opt " OPTION_NETWORK
					"=%s",
					text, net->network);
		} else {
			return refuse(r, API_UNSUPPORTED, "Options",
				      "there are " OPTION_NETWORK
				      " and " OPTION_GATEWAY,
				      "unknown driver option \"%.64s\"", key);
		}
	}
	return 0;
}

static bool is_set(json_t *options, const char *name)
{
	return json_is_true(json_object_get(options, name));
}

/*
 * The gateway of a family's one pool, which must be ours: another IPAM gives
 * one address out twice. The pool's id is not among what is said here.
 */
static int read_pool(const struct http_request *req, const char *field,
		     struct ip_addr *ret, struct refusal *r)
{
	json_t *data = json_object_get(req->args, field);
	json_t *first = json_array_get(data, 0);
	const char *space =
		json_string_value(json_object_get(first, "AddressSpace"));
	struct ip_prefix gateway;

	if (!space || !str_eq(space, DOCKER_SPACE))
		return refuse(r, API_UNSUPPORTED, field, CREATE,
			      "Docker's own IPAM gives the same addresses out "
			      "on every host");
	if (json_array_size(data) > 1)
		return refuse(r, API_UNSUPPORTED, field,
			      "give one --subnet of each family",
			      "a network of netd has one subnet");
	if (json_read_prefix(json_object_get(first, "Gateway"), &gateway))
		return refuse(r, API_INVALID, field, NULL,
			      "Gateway is no address of netd's IPAM");
	*ret = gateway.addr;
	return 0;
}

static const struct net *find_net(const struct docker *d,
				  const struct http_request *req,
				  struct refusal *r)
{
	struct ip_addr gateway;

	if (read_pool(req, "IPv4Data", &gateway, r))
		return NULL;
	for (const struct net *net = d->cfg.model->nets; net;
	     net = net->hh.next) {
		struct ip_addr own = net_gateway(net);

		if (net->rev && ip_eq(&own, &gateway))
			return net;
	}
	refuse(r, API_NOT_FOUND, "IPv4Data", "create the network again",
	       "no network of netd has the pool's gateway any more");
	return NULL;
}

/* --ipv6 and a pool of it, or neither. */
static int check_v6(const struct http_request *req, const struct net *net,
		    struct refusal *r)
{
	bool is_asked = is_set(json_object_get(req->args, "Options"), IPV6);
	bool has_pool = json_array_size(json_object_get(req->args, "IPv6Data"));
	struct ip_addr gateway, own = net_gateway6(net);

	if (!is_asked && !has_pool)
		return 0;
	if (!has_pool)
		return refuse(r, API_INVALID, "IPv6Data",
			      "give the network's IPv6 --subnet as well",
			      "--ipv6 without an IPv6 subnet");
	if (read_pool(req, "IPv6Data", &gateway, r))
		return -EINVAL;
	if (net_is_dual(net) && ip_eq(&own, &gateway))
		return 0;
	return refuse(r, API_CONFLICT, "IPv6Data", "create the network again",
		      "the IPv6 pool is not that of network \"%s\"", net->name);
}

/* ---- calls ---- */

/* Addresses that were asked for before, for whatever is no container. */
static void keep_aux(struct docker *d, const struct net *net, json_t *data)
{
	json_t *aux = json_object_get(json_array_get(data, 0), "AuxAddresses");
	const char *key;
	json_t *value;

	json_object_foreach (aux, key, value) {
		struct docker_addr *a = NULL;
		struct ip_prefix p;

		if (!json_read_prefix(value, &p)) {
			p.addr = pair_primary(net, &p.addr);
			a = docker_addr(d, &p.addr);
		}
		if (a) {
			a->aux = true;
			docker_addr_save(d, a);
		}
	}
}

static void join_done(struct docker *d, struct http_request *req, json_t *args,
		      const struct refusal *r, json_t *reply)
{
	const char *name = json_string_value(json_object_get(args, "name"));
	const char *id = json_string_value(json_object_get(args, "id"));
	const struct net *model = model_net(d->cfg.model, name);
	struct docker_net *net;

	(void)reply;
	if (r->code != API_OK) {
		if (req)
			docker_refuse(req, r);
		return;
	}
	if (!req) {
		leave(d, NULL, name, id);
		return;
	}
	net = docker_net(d, id);
	if (!net) {
		net = xzalloc(sizeof(*net));
		str_copy(net->id, sizeof(net->id), id);
	}
	str_copy(net->network, sizeof(net->network), name);
	net->internal = json_is_true(json_object_get(args, "internal"));
	net->gateway = (enum docker_gateway)json_integer_value(
		json_object_get(args, "gateway"));
	if (!docker_is_kept(req, docker_net_save(d, net))) {
		docker_net_drop(d, net);
		leave(d, NULL, name, id);
		return;
	}
	docker_made_del(d, name);
	if (model) {
		keep_aux(d, model, json_object_get(req->args, "IPv4Data"));
		keep_aux(d, model, json_object_get(req->args, "IPv6Data"));
	}
	docker_reply(req, json_object());
}

void docker_create_network(struct docker *d, struct http_request *req)
{
	json_t *options = json_object_get(req->args, "Options");
	const char *id = docker_str(req, "NetworkID");
	const struct docker_net *had = docker_net(d, id);
	struct docker_net want = { 0 };
	struct refusal r = { 0 };
	const struct net *net;

	net = find_net(d, req, &r);
	if (net)
		memcpy(want.network, net->name, sizeof(want.network));
	if (net && had && !str_eq(had->network, net->name))
		refuse(&r, API_CONFLICT, "NetworkID", NULL,
		       "Docker's network %.12s is \"%s\" already", id,
		       had->network);
	else if (net && !check_v6(req, net, &r))
		read_options(json_object_get(options, GENERIC), &want, &r);
	if (r.code != API_OK) {
		docker_refuse(req, &r);
		return;
	}
	docker_ops(d, req, "docker network", op_join,
		   json_pack("{s:s, s:s, s:o, s:b, s:i}", "name", net->name,
			     "id", id, "engine",
			     json_sprintf("%s/%s", d->cfg.model->self, id),
			     "internal", is_set(options, INTERNAL), "gateway",
			     (int)want.gateway),
		   join_done);
}

void docker_delete_network(struct docker *d, struct http_request *req)
{
	const char *id = docker_str(req, "NetworkID");
	struct docker_net *net = docker_net(d, id);
	struct docker_ep *ep, *ep_next;
	struct docker_addr *a, *a_next;
	char network[NAME_LEN];

	if (!net) {
		docker_reply(req, json_object());
		return;
	}
	HASH_ITER (hh, d->eps, ep, ep_next)
		if (str_eq(ep->net, id))
			docker_ep_end(d, ep);
	memcpy(network, net->network, sizeof(network));
	HASH_ITER (hh, d->addrs, a, a_next)
		if (a->aux && str_eq(a->network, network))
			docker_addr_drop(d, a);
	docker_net_drop(d, net);
	leave(d, req, network, id);
}
