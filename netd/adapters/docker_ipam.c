/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IPAM half. A pool is a network of the cluster, which is made when there
 * is none of that name: netd/NETWORK/SUBNET. Two engines that join one network
 * get one pool, out of which netd gives each address once.
 *
 * A network's IPv6 is a second pool, in which nothing is chosen: addresses go
 * in pairs, and what an endpoint has there follows from its IPv4 address, for
 * which the engine has asked before. So there is one record of both, that the
 * IPv4 address is released with.
 */
#include "docker_core.h"

#include "fault.h"
#include "ipam.h"
#include "netd/log.h"
#include "network.h"
#include "pair.h"

#define ADDRESS_TYPE "RequestAddressType"
#define ADDRESS_GATEWAY "com.docker.network.gateway"
#define ADDRESS_MAC "com.docker.network.endpoint.macaddress"

static const char *option(json_t *options, const char *name)
{
	return json_string_value(json_object_get(options, name));
}

/* ---- pools ---- */

#define POOL_ID_LEN (NAME_LEN + PREFIX_STRLEN + 8)

/* One family of a network that has IPv4. */
struct pool {
	const struct net *net;
	bool v6;
};

static const struct ip_prefix *pool_subnet(const struct pool *pool)
{
	return pool->v6 ? &pool->net->subnet6 : &pool->net->subnet;
}

static struct ip_addr pool_gateway(const struct pool *pool)
{
	return pool->v6 ? net_gateway6(pool->net) : net_gateway(pool->net);
}

static const char *pool_id(const struct pool *pool, char buf[POOL_ID_LEN])
{
	char subnet[PREFIX_STRLEN];

	str_format(buf, POOL_ID_LEN, DOCKER_SPACE "/%s/%s", pool->net->name,
		   prefix_str(pool_subnet(pool), subnet));
	return buf;
}

/* A pool that was given out, while its network is the same still. */
static int find_pool(const struct docker *d, const char *id, struct pool *ret,
		     struct refusal *r)
{
	const char *rest = str_after(id, DOCKER_SPACE "/");
	const char *slash = rest ? strchr(rest, '/') : NULL;
	AUTO(str_freep) char *name = NULL;
	const struct net *net;
	char now[POOL_ID_LEN];

	if (!slash)
		return refuse(r, API_INVALID, "PoolID", NULL,
			      "pool \"%.80s\" is none of netd's", id);
	name = xstrndup(rest, (size_t)(slash - rest));
	net = model_net(d->cfg.model, name);
	*ret = (struct pool){ .net = net };
	if (net && str_eq(pool_id(ret, now), id))
		return 0;
	ret->v6 = true;
	if (net && net_is_dual(net) && str_eq(pool_id(ret, now), id))
		return 0;
	return refuse(r, API_NOT_FOUND, "PoolID",
		      "docker network rm it, and create it again",
		      "network \"%.64s\" %s", name,
		      net ? "has another subnet by now"
			  : "is not there any more");
}

static const struct net *net_of_subnet(const struct model *m, const char *text)
{
	struct ip_prefix p;

	if (prefix_parse(text, &p))
		return NULL;
	for (const struct net *net = m->nets; net; net = net->hh.next)
		if (net->rev &&
		    (prefix_eq(&net->subnet, &p) ||
		     (net_is_dual(net) && prefix_eq(&net->subnet6, &p))))
			return net;
	return NULL;
}

static const char *asked_subnet(const struct call *call)
{
	return json_string_value(json_array_get(call_list(call, "subnet"), 0));
}

static int check_same_subnet(struct call *call, const struct net *net,
			     const struct ip_prefix *subnet)
{
	const char *text = asked_subnet(call);
	char buf[PREFIX_STRLEN];
	struct ip_prefix p;

	if (!text || (!prefix_parse(text, &p) && prefix_eq(&p, subnet)))
		return 0;
	return refuse(&call->refusal, API_CONFLICT, "Pool",
		      "leave --subnet out to join it, or choose another "
		      "netd.network",
		      "network \"%s\" has the subnet %s", net->name,
		      prefix_str(subnet, buf));
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
		"have IPv4",
		net->name);
}

/* Joins the network, or makes it as `network create` does. */
static enum ops_next op_pool(struct call *call)
{
	const struct net *net = model_net(call->m, call_str(call, "name"));
	enum ops_next next;

	if (net) {
		if (check_has_v4(call, net) ||
		    check_same_subnet(call, net, &net->subnet))
			return OPS_REFUSE;
		call->reply = json_object();
		return OPS_REPLY;
	}
	next = op_network_create(call);
	if (next == OPS_COMMIT)
		json_object_set_new(call->reply, "made", json_true());
	return next;
}

/*
 * The second pool of a network, for which the engine asks after the first: one
 * that was made for that gets IPv6 now, no other.
 */
static enum ops_next op_pool6(struct call *call)
{
	const struct net *net = call_net(call, "name");
	struct net next;

	if (!net)
		return OPS_REFUSE;
	if (net_is_dual(net)) {
		if (check_same_subnet(call, net, &net->subnet6))
			return OPS_REFUSE;
		call->reply = json_object();
		return OPS_REPLY;
	}
	if (!docker_net_is_fresh(net)) {
		refuse(&call->refusal, API_CONFLICT, "V6",
		       "leave --ipv6 out, or choose another netd.network",
		       "network \"%s\" exists and has no IPv6", net->name);
		return OPS_REFUSE;
	}
	next = *net;
	if (call_net_add_v6(call, &next, asked_subnet(call)))
		return OPS_REFUSE;
	call_is(call, net->rev, "c/nets/%s", net->name);
	call_gen(call, "subnets", call->m->gen_subnets_rev);
	call_put(call, net_to_json(&next), "c/nets/%s", net->name);
	call->reply = json_object();
	return OPS_COMMIT;
}

/* An address as the engine wants it: with the subnet's length. */
static json_t *cidr(const struct pool *pool, const struct ip_addr *addr)
{
	char ip[IP_STRLEN];

	return json_sprintf("%s/%d", ip_str(addr, ip),
			    prefix_shown_len(pool_subnet(pool)));
}

/*
 * A pool that nobody named is looked for among the host's routes, and the
 * engine (20.10) asks for another one as long as it finds it there. Ours is
 * there: by netd0. What is not looked for is a pool of everything, as the
 * engine's own "null" IPAM gives it; the pool's id says what is meant.
 */
#define POOL_ANY "0.0.0.0/0"

static void reply_pool(struct docker *d, struct http_request *req,
		       const struct pool *pool)
{
	struct ip_addr gateway = pool_gateway(pool);
	bool is_any = !pool->v6 && !*docker_str(req, "Pool");
	char id[POOL_ID_LEN], subnet[PREFIX_STRLEN];

	/* One of each network: the first. */
	if (!pool->v6)
		docker_pool_count(d, pool->net->name, 1);
	prefix_str(pool_subnet(pool), subnet);
	docker_reply(req, json_pack("{s:s, s:s, s:{s:o}}", "PoolID",
				    pool_id(pool, id), "Pool",
				    is_any ? POOL_ANY : subnet, "Data",
				    ADDRESS_GATEWAY, cidr(pool, &gateway)));
}

static void reply_address(struct http_request *req, const struct pool *pool,
			  const struct ip_addr *addr)
{
	docker_reply(req, json_pack("{s:o, s:{}}", "Address", cidr(pool, addr),
				    "Data"));
}

/* A network that was made for a client that has left is one to take back. */
static void pool_done(struct docker *d, struct http_request *req, json_t *args,
		      const struct refusal *r, json_t *reply)
{
	const char *name = json_string_value(json_object_get(args, "name"));
	struct pool pool = { model_net(d->cfg.model, name),
			     json_is_true(json_object_get(args, "v6")) };

	if (r->code == API_OK && json_is_true(json_object_get(reply, "made")))
		docker_made_put(d, name);
	if (req && r->code == API_OK && pool.net)
		reply_pool(d, req, &pool);
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
	bool v6 = json_is_true(json_object_get(req->args, "V6"));
	const char *pool = docker_str(req, "Pool");
	const char *name;
	json_t *args;

	name = check_pool(req, &r) ? NULL : pool_name(d, req, &r);
	if (!name) {
		docker_refuse(req, &r);
		return;
	}
	args = json_pack("{s:s, s:{s:s}, s:b}", "name", name, "label",
			 "netd.origin", "docker", "v6", v6);
	if (*pool)
		json_object_set_new(args, "subnet", json_pack("[s]", pool));
	docker_ops(d, req, "docker pool", v6 ? op_pool6 : op_pool, args,
		   pool_done);
}

void docker_release_pool(struct docker *d, struct http_request *req)
{
	struct refusal r = { 0 };
	struct pool pool;

	if (!find_pool(d, docker_str(req, "PoolID"), &pool, &r) && !pool.v6) {
		docker_pool_count(d, pool.net->name, -1);
		/* Asked for anew right after this, it is made anew. */
		if (docker_made_del(d, pool.net->name)) {
			docker_unmake(d, req, pool.net->name);
			return;
		}
	}
	docker_reply(req, json_object());
}

/* ---- addresses ---- */

/* Held from the moment it is chosen: others may ask before it is used. */
static enum ops_next op_hold(struct call *call)
{
	struct net *net = call_net(call, "network");
	struct ip_addr want = { 0 }, addr;
	int picked;

	if (!net)
		return OPS_REFUSE;
	if (call_str(call, "ip"))
		ip_parse(call_str(call, "ip"), &want);
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
	struct pool pool = { model_net(d->cfg.model, name),
			     json_is_true(json_object_get(args, "v6")) };
	struct docker_addr *a;
	struct ip_addr addr;
	int err;

	if (r->code != API_OK) {
		if (req)
			docker_refuse(req, r);
		return;
	}
	json_read_ip(json_object_get(reply, "ip"), &addr);
	/* Nobody is there to give it back. */
	if (!req || !pool.net) {
		model_hold_del(d->cfg.model, &addr);
		return;
	}
	a = xzalloc(sizeof(*a));
	a->addr = addr;
	memcpy(a->network, pool.net->name, sizeof(a->network));
	json_get_mac(args, &a->mac);
	a->by6 = pool.v6;
	a->since = mono_ms();
	err = docker_addr_save(d, a);
	if (!docker_is_kept(req, err ? err : fault_at(FAULT_DOCKER_HELD))) {
		docker_addr_drop(d, a);
		return;
	}
	if (pool.v6)
		addr = pair_addr(pool.net, &addr);
	reply_address(req, &pool, &addr);
}

/* The address wished for, or none, and whose it is to be. */
struct wish {
	struct ip_addr addr;
	struct mac_addr mac;
	bool has_mac;
};

static int read_wish(const struct http_request *req, const struct pool *pool,
		     struct wish *ret, struct refusal *r)
{
	const char *text = docker_str(req, "Address");
	const char *mac =
		option(json_object_get(req->args, "Options"), ADDRESS_MAC);

	*ret = (struct wish){ .has_mac = mac != NULL };
	if (*text && ip_parse(text, &ret->addr))
		return refuse(r, API_INVALID, "Address",
			      pool->v6 ? "write --ip6 fd00:5::7"
				       : "write --ip 10.5.0.7",
			      "\"%.64s\" is not an address", text);
	if (mac && mac_parse(mac, &ret->mac))
		return refuse(r, API_INVALID, "Options",
			      "write --mac-address 02:00:00:00:00:07",
			      "\"%.64s\" is not a MAC", mac);
	return 0;
}

static void hold(struct docker *d, struct http_request *req,
		 const struct pool *pool, const struct wish *wish)
{
	char mac[MAC_STRLEN];
	json_t *args =
		json_pack("{s:s, s:b, s:s}", "network", pool->net->name, "v6",
			  pool->v6, "mac", mac_str(&wish->mac, mac));

	if (!ip_is_none(&wish->addr))
		json_object_set_new(args, "ip", json_ip(&wish->addr));
	docker_ops(d, req, "docker address", op_hold, args, hold_done);
}

static int refuse_unpaired(const struct net *net, const struct docker_addr *a,
			   const struct ip_addr *wish, struct refusal *r)
{
	struct ip_addr pair = pair_primary(net, wish);
	char ip6[IP_STRLEN], goes[IP_STRLEN], has[IP_STRLEN];

	refuse(r, API_CONFLICT, "Address", NULL,
	       "address %s goes with %s on network \"%s\", and the container "
	       "has %s",
	       ip_str(wish, ip6), ip_str(&pair, goes), net->name,
	       ip_str(&a->addr, has));
	refuse_hint(r, "give --ip %s as well, or no --ip6", goes);
	return -EINVAL;
}

/* The record whose other half is asked for; NULL with no refusal: there is
 * none yet, which is right for --aux-address. */
static struct docker_addr *find_half(const struct docker *d,
				     const struct net *net,
				     const struct wish *wish,
				     const struct ip_addr *primary,
				     struct refusal *r)
{
	bool is_any = ip_is_none(primary);
	struct docker_addr *a;

	if (!wish->has_mac && !is_any) {
		a = docker_addr(d, primary);
		return a && docker_addr_waits(d, a) ? a : NULL;
	}
	a = docker_addr_waiting(d, net->name, &wish->mac);
	if (!a)
		refuse(r, API_NOT_FOUND, "Address", "start the container again",
		       "the container has no IPv4 address of network \"%s\"",
		       net->name);
	else if (!is_any && !ip_eq(&a->addr, primary))
		refuse_unpaired(net, a, &wish->addr, r);
	return a;
}

/* The engine (20.10) gives up the endpoint, and says nothing of its IPv4
 * address. */
static void refuse_v6(struct docker *d, struct http_request *req,
		      const struct pool *pool, const struct wish *wish,
		      const struct refusal *r)
{
	struct docker_addr *a = NULL;

	if (wish->has_mac)
		a = docker_addr_waiting(d, pool->net->name, &wish->mac);
	if (a)
		docker_addr_drop(d, a);
	docker_refuse(req, r);
}

/* The address beside the one that the endpoint has. */
static void request_v6(struct docker *d, struct http_request *req,
		       const struct pool *pool, struct wish *wish)
{
	static const struct ip_addr none;
	struct docker_addr *a = NULL;
	struct refusal r = { 0 };
	struct ip_addr primary;

	if (!pair_wish(pool->net, &none, &wish->addr, &primary, &r))
		a = find_half(d, pool->net, wish, &primary, &r);
	if (r.code != API_OK) {
		refuse_v6(d, req, pool, wish, &r);
	} else if (a) {
		primary = pair_addr(pool->net, &a->addr);
		reply_address(req, pool, &primary);
	} else {
		wish->addr = primary;
		hold(d, req, pool, wish);
	}
}

/* The gateway is the network's, and nobody's to hold. */
static void request_gateway(struct http_request *req, const struct pool *pool)
{
	const char *text = docker_str(req, "Address");
	struct ip_addr gateway = pool_gateway(pool), want;
	struct refusal r = { 0 };
	char ip[IP_STRLEN];

	if (*text && (ip_parse(text, &want) || !ip_eq(&want, &gateway))) {
		refuse(&r, API_UNSUPPORTED, "Address", "leave --gateway out",
		       "the gateway of network \"%s\" is %s on every node",
		       pool->net->name, ip_str(&gateway, ip));
		docker_refuse(req, &r);
		return;
	}
	reply_address(req, pool, &gateway);
}

void docker_request_address(struct docker *d, struct http_request *req)
{
	json_t *options = json_object_get(req->args, "Options");
	const char *type = option(options, ADDRESS_TYPE);
	struct refusal r = { 0 };
	struct pool pool;
	struct wish wish;

	if (find_pool(d, docker_str(req, "PoolID"), &pool, &r))
		docker_refuse(req, &r);
	else if (type && str_eq(type, ADDRESS_GATEWAY))
		request_gateway(req, &pool);
	else if (read_wish(req, &pool, &wish, &r))
		docker_refuse(req, &r);
	else if (pool.v6)
		request_v6(d, req, &pool, &wish);
	else
		hold(d, req, &pool, &wish);
}

/* The record that goes with the address: not with an address beside it. */
static struct docker_addr *released(const struct docker *d,
				    const struct http_request *req)
{
	struct refusal r = { 0 };
	struct docker_addr *a;
	struct ip_addr addr;
	struct pool pool;
	bool v6;

	if (ip_parse(docker_str(req, "Address"), &addr))
		return NULL;
	v6 = !ip_is_v4(&addr);
	if (v6 && find_pool(d, docker_str(req, "PoolID"), &pool, &r))
		return NULL;
	if (v6)
		addr = pair_primary(pool.net, &addr);
	a = docker_addr(d, &addr);
	return a && a->by6 == v6 ? a : NULL;
}

/*
 * An address whose endpoint is there still is not free, whatever the engine
 * says: after a long absence it may speak of an earlier holder.
 */
void docker_release_address(struct docker *d, struct http_request *req)
{
	struct docker_addr *a = released(d, req);

	if (a && docker_ep(d, a->endpoint)) {
		a->released = true;
		docker_addr_save(d, a);
	} else if (a) {
		docker_addr_drop(d, a);
	}
	docker_reply(req, json_object());
}
