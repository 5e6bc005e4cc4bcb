/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IPAM half. A pool is a network of the cluster, which is made when there
 * is none of that name: netd/NETWORK/SUBNET. Two engines that join one network
 * get one pool, out of which netd gives each address once.
 */
#include "docker_core.h"

#include "ipam.h"
#include "netd/log.h"
#include "network.h"
#include "pair.h"

#define ADDRESS_TYPE "RequestAddressType"
#define ADDRESS_GATEWAY "com.docker.network.gateway"

static const char *option(json_t *options, const char *name)
{
	return json_string_value(json_object_get(options, name));
}

/* ---- pools ---- */

#define POOL_ID_LEN (NAME_LEN + PREFIX_STRLEN + 8)

static const char *pool_id(const struct net *net, char buf[POOL_ID_LEN])
{
	char subnet[PREFIX_STRLEN];

	str_format(buf, POOL_ID_LEN, DOCKER_SPACE "/%s/%s", net->name,
		   prefix_str(&net->subnet, subnet));
	return buf;
}

/* The network of a pool that was given out, while both are the same still. */
static const struct net *pool_net(const struct docker *d, const char *id,
				  struct refusal *r)
{
	const char *rest = str_after(id, DOCKER_SPACE "/");
	const char *slash = rest ? strchr(rest, '/') : NULL;
	AUTO(str_freep) char *name = NULL;
	const struct net *net;
	char now[POOL_ID_LEN];

	if (!slash) {
		refuse(r, API_INVALID, "PoolID", NULL,
		       "pool \"%.80s\" is none of netd's", id);
		return NULL;
	}
	name = xstrndup(rest, (size_t)(slash - rest));
	net = model_net(d->cfg.model, name);
	if (net && str_eq(pool_id(net, now), id))
		return net;
	refuse(r, API_NOT_FOUND, "PoolID",
	       "docker network rm it, and create it again",
	       "network \"%.64s\" %s", name,
	       net ? "has another subnet by now" : "is not there any more");
	return NULL;
}

static const struct net *net_of_subnet(const struct model *m, const char *text)
{
	struct ip_prefix p;

	if (prefix_parse(text, &p))
		return NULL;
	for (const struct net *net = m->nets; net; net = net->hh.next)
		if (net->rev && prefix_eq(&net->subnet, &p))
			return net;
	return NULL;
}

static int check_same_subnet(struct call *call, const struct net *net)
{
	json_t *subnets = call_list(call, "subnet");
	const char *text = json_string_value(json_array_get(subnets, 0));
	char buf[PREFIX_STRLEN];
	struct ip_prefix p;

	if (!text || (!prefix_parse(text, &p) && prefix_eq(&p, &net->subnet)))
		return 0;
	return refuse(&call->refusal, API_CONFLICT, "Pool",
		      "leave --subnet out to join it, or choose another "
		      "netd.network",
		      "network \"%s\" has the subnet %s", net->name,
		      prefix_str(&net->subnet, buf));
}

/* Docker's own bookkeeping of a network wants an IPv4 pool. */
static int check_has_v4(struct call *call, const struct net *net)
{
	if (net_has_family(net, false))
		return 0;
	return refuse(
		&call->refusal, API_UNSUPPORTED, "Options",
		"join a network that has IPv4 as well: netctl network "
		"create --ipv6",
		"network \"%s\" is of IPv6 alone, and Docker's containers "
		"get IPv4",
		net->name);
}

/* Joins the network, or makes it as `network create` does. */
static enum ops_next op_pool(struct call *call)
{
	const struct net *net = model_net(call->m, call_str(call, "name"));
	enum ops_next next;

	if (net) {
		if (check_same_subnet(call, net) || check_has_v4(call, net))
			return OPS_REFUSE;
		call->reply = json_object();
		return OPS_REPLY;
	}
	next = op_network_create(call);
	if (next == OPS_COMMIT)
		json_object_set_new(call->reply, "made", json_true());
	return next;
}

/* An address as the engine wants it: with the subnet's length. */
static json_t *cidr(const struct net *net, const struct ip_addr *addr)
{
	char ip[IP_STRLEN];

	return json_sprintf("%s/%d", ip_str(addr, ip),
			    prefix_shown_len(&net->subnet));
}

/*
 * A pool that nobody named is looked for among the host's routes, and the
 * engine (20.10) asks for another one as long as it finds it there. Ours is
 * there: by netd0. What is not looked for is a pool of everything, as the
 * engine's own "null" IPAM gives it; the pool's id says what is meant.
 */
#define POOL_ANY "0.0.0.0/0"

static void reply_pool(struct docker *d, struct http_request *req,
		       const struct net *net)
{
	struct ip_addr gateway = net_gateway(net);
	bool is_named = *docker_str(req, "Pool");
	char id[POOL_ID_LEN], subnet[PREFIX_STRLEN];

	docker_pool_count(d, net->name, 1);
	prefix_str(&net->subnet, subnet);
	docker_reply(req, json_pack("{s:s, s:s, s:{s:o}}", "PoolID",
				    pool_id(net, id), "Pool",
				    is_named ? subnet : POOL_ANY, "Data",
				    ADDRESS_GATEWAY, cidr(net, &gateway)));
}

static void reply_address(struct http_request *req, const struct net *net,
			  const struct ip_addr *addr)
{
	docker_reply(req, json_pack("{s:o, s:{}}", "Address", cidr(net, addr),
				    "Data"));
}

/* A network that was made for a client that has left is one to take back. */
static void pool_done(struct docker *d, struct http_request *req, json_t *args,
		      const struct refusal *r, json_t *reply)
{
	const char *name = json_string_value(json_object_get(args, "name"));
	const struct net *net = model_net(d->cfg.model, name);

	if (r->code == API_OK && json_is_true(json_object_get(reply, "made")))
		docker_made_put(d, name);
	if (req && r->code == API_OK && net)
		reply_pool(d, req, net);
	else if (req)
		docker_refuse(req, r);
}

/* Which of the cluster's networks is meant. */
static const char *pool_name(const struct docker *d, struct http_request *req,
			     struct refusal *r)
{
	json_t *options = json_object_get(req->args, "Options");
	const char *name = option(options, OPTION_NETWORK);
	const char *pool = docker_str(req, "Pool");
	const struct net *net;
	const char *key;
	json_t *value;

	json_object_foreach (options, key, value) {
		if (str_eq(key, OPTION_NETWORK))
			continue;
		refuse(r, API_UNSUPPORTED, "Options",
		       "there is --ipam-opt " OPTION_NETWORK "=NAME",
		       "unknown IPAM option \"%.64s\"", key);
		return NULL;
	}
	if (name)
		return name;
	net = *pool ? net_of_subnet(d->cfg.model, pool) : NULL;
	if (net)
		return net->name;
	refuse(r, API_INVALID, "Options",
	       "docker network create -d netd --ipam-driver netd "
	       "--ipam-opt " OPTION_NETWORK "=NAME NAME",
	       "Docker does not tell a driver the network's name");
	return NULL;
}

static int check_pool(struct http_request *req, struct refusal *r)
{
	if (json_is_true(json_object_get(req->args, "V6")))
		return refuse(r, API_UNSUPPORTED, "V6", "leave --ipv6 out",
			      "Docker's containers get IPv4 alone");
	if (*docker_str(req, "SubPool"))
		return refuse(r, API_UNSUPPORTED, "SubPool",
			      "leave --ip-range out",
			      "ranges: netd gives every node its own part of "
			      "the subnet");
	return 0;
}

void docker_request_pool(struct docker *d, struct http_request *req)
{
	struct refusal r = { 0 };
	const char *pool = docker_str(req, "Pool");
	const char *name;
	json_t *args;

	name = check_pool(req, &r) ? NULL : pool_name(d, req, &r);
	if (!name) {
		docker_refuse(req, &r);
		return;
	}
	args = json_pack("{s:s, s:{s:s}}", "name", name, "label", "netd.origin",
			 "docker");
	if (*pool)
		json_object_set_new(args, "subnet", json_pack("[s]", pool));
	docker_ops(d, req, "docker pool", op_pool, args, pool_done);
}

void docker_release_pool(struct docker *d, struct http_request *req)
{
	struct refusal r = { 0 };
	const struct net *net = pool_net(d, docker_str(req, "PoolID"), &r);

	if (net)
		docker_pool_count(d, net->name, -1);
	if (net && docker_made_del(d, net->name))
		docker_unmake(d, net->name);
	docker_reply(req, json_object());
}

/* ---- addresses ---- */

/* Held from the moment it is chosen: others may ask before it is used. */
static enum ops_next op_hold(struct call *call)
{
	struct net *net = call_net(call, "network");
	const char *text = call_str(call, "ip");
	struct ip_addr want = { 0 }, addr;
	int picked;

	if (!net)
		return OPS_REFUSE;
	if (text && ip_parse(text, &want)) {
		refuse(&call->refusal, API_INVALID, "Address",
		       "write --ip 10.5.0.7", "\"%.64s\" is not an address",
		       text);
		return OPS_REFUSE;
	}
	picked = call_pick(call, net, &want, &addr);
	if (picked)
		return picked < 0 ? OPS_REFUSE : OPS_AGAIN;
	model_hold_put(call->m, &addr, net->name, "Docker");
	call->reply = json_pack("{s:o}", "ip", json_ip(&addr));
	return OPS_REPLY;
}

static void hold_done(struct docker *d, struct http_request *req, json_t *args,
		      const struct refusal *r, json_t *reply)
{
	const char *name = json_string_value(json_object_get(args, "network"));
	const struct net *net = model_net(d->cfg.model, name);
	struct docker_addr *a;
	struct ip_addr addr;

	if (r->code != API_OK) {
		if (req)
			docker_refuse(req, r);
		return;
	}
	json_read_ip(json_object_get(reply, "ip"), &addr);
	/* Nobody is there to give it back. */
	if (!req || !net) {
		model_hold_del(d->cfg.model, &addr);
		return;
	}
	a = xzalloc(sizeof(*a));
	a->addr = addr;
	memcpy(a->network, net->name, sizeof(a->network));
	a->since = mono_ms();
	if (docker_is_kept(req, docker_addr_save(d, a)))
		reply_address(req, net, &addr);
	else
		docker_addr_drop(d, a);
}

/* The gateway is the network's, and nobody's to hold. */
static void request_gateway(struct http_request *req, const struct net *net)
{
	const char *text = docker_str(req, "Address");
	struct ip_addr gateway = net_gateway(net), want;
	struct refusal r = { 0 };
	char ip[IP_STRLEN];

	if (*text && (ip_parse(text, &want) || !ip_eq(&want, &gateway))) {
		refuse(&r, API_UNSUPPORTED, "Address", "leave --gateway out",
		       "the gateway of network \"%s\" is %s on every node",
		       net->name, ip_str(&gateway, ip));
		docker_refuse(req, &r);
		return;
	}
	reply_address(req, net, &gateway);
}

void docker_request_address(struct docker *d, struct http_request *req)
{
	struct refusal r = { 0 };
	const struct net *net = pool_net(d, docker_str(req, "PoolID"), &r);
	json_t *options = json_object_get(req->args, "Options");
	const char *type = option(options, ADDRESS_TYPE);
	json_t *args;

	if (!net) {
		docker_refuse(req, &r);
		return;
	}
	if (type && str_eq(type, ADDRESS_GATEWAY)) {
		request_gateway(req, net);
		return;
	}
	args = json_pack("{s:s}", "network", net->name);
	if (*docker_str(req, "Address"))
		json_object_set_new(args, "ip",
				    json_string(docker_str(req, "Address")));
	docker_ops(d, req, "docker address", op_hold, args, hold_done);
}

/*
 * An address whose endpoint is there still is not free, whatever the engine
 * says: after a long absence it may speak of an earlier holder.
 */
void docker_release_address(struct docker *d, struct http_request *req)
{
	struct docker_addr *a = NULL;
	struct ip_addr addr;

	if (!ip_parse(docker_str(req, "Address"), &addr))
		a = docker_addr(d, &addr);
	if (a && docker_ep(d, a->endpoint)) {
		a->released = true;
		docker_addr_save(d, a);
	} else if (a) {
		docker_addr_drop(d, a);
	}
	docker_reply(req, json_object());
}
