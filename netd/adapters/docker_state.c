/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver remembers, in memory and in the journal:
 * docker/nets/ID, docker/addrs/IP, docker/eps/ID, docker/made/NETWORK.
 */
#include "docker_core.h"

#include "ipam.h"
#include "netd/log.h"

#define HOLDER "Docker"

const char *const docker_gateways[] = {
	[DOCKER_GATEWAY_NETD] = "netd",
	[DOCKER_GATEWAY_DOCKER] = "docker",
	[DOCKER_GATEWAY_NONE] = "none",
};

static int save(struct docker *d, const char *table, const char *id,
		json_t *doc)
{
	AUTO(json_freep) json_t *owned = doc;
	AUTO(str_freep) char *line = json_line(owned);
	char key[PATH_LEN];

	str_format(key, sizeof(key), "docker/%s/%s", table, id);
	return store_journal_put(d->cfg.store, key, line);
}

static void forget(struct docker *d, const char *table, const char *id)
{
	char key[PATH_LEN];

	str_format(key, sizeof(key), "docker/%s/%s", table, id);
	store_journal_del(d->cfg.store, key);
}

/* ---- networks ---- */

struct docker_net *docker_net(const struct docker *d, const char *id)
{
	struct docker_net *net;

	HASH_FIND_STR(d->nets, id, net);
	return net;
}

int docker_net_save(struct docker *d, struct docker_net *net)
{
	if (!docker_net(d, net->id))
		HASH_ADD_STR(d->nets, id, net);
	return save(d, "nets", net->id,
		    json_pack("{s:s, s:s, s:b}", "network", net->network,
			      "gateway", docker_gateways[net->gateway],
			      "internal", net->internal));
}

void docker_net_drop(struct docker *d, struct docker_net *net)
{
	HASH_DEL(d->nets, net);
	forget(d, "nets", net->id);
	free(net);
}

unsigned int docker_nets_of(const struct docker *d, const char *network)
{
	unsigned int n = 0;

	for (const struct docker_net *net = d->nets; net; net = net->hh.next)
		n += str_eq(net->network, network);
	return n;
}

void docker_pool_count(struct docker *d, const char *network, int change)
{
	struct docker_pool *pool;

	HASH_FIND_STR(d->pools, network, pool);
	if (!pool) {
		pool = xzalloc(sizeof(*pool));
		str_copy(pool->network, sizeof(pool->network), network);
		HASH_ADD_STR(d->pools, network, pool);
	}
	if (change > 0)
		pool->open++;
	else if (pool->open)
		pool->open--;
}

static void load_net(void *arg, const char *key, const char *value)
{
	AUTO(json_freep) json_t *doc = json_loads(value, 0, NULL);
	const char *gateway =
		json_string_value(json_object_get(doc, "gateway"));
	struct docker_net *net = xzalloc(sizeof(*net));
	struct docker *d = arg;

	if (!str_copy(net->id, sizeof(net->id),
		      str_after(key, "docker/nets/")) ||
	    json_get_str(doc, "network", net->network, sizeof(net->network))) {
		free(net);
		return;
	}
	for (size_t i = 0; gateway && i < DOCKER_GATEWAY_MAX; i++)
		if (str_eq(gateway, docker_gateways[i]))
			net->gateway = (enum docker_gateway)i;
	net->internal = json_is_true(json_object_get(doc, "internal"));
	net->is_used = true;
	HASH_ADD_STR(d->nets, id, net);
	docker_pool_count(d, net->network, 1);
}

/* ---- addresses ---- */

struct docker_addr *docker_addr(const struct docker *d,
				const struct ip_addr *addr)
{
	struct docker_addr *a;

	HASH_FIND(hh, d->addrs, addr, sizeof(*addr), a);
	return a;
}

bool docker_addr_waits(const struct docker *d, const struct docker_addr *a)
{
	return !a->aux && !a->by6 && !docker_ep(d, a->endpoint);
}

struct docker_addr *docker_addr_waiting(const struct docker *d,
					const char *network,
					const struct mac_addr *mac)
{
	struct docker_addr *last = NULL;

	for (struct docker_addr *a = d->addrs; a; a = a->hh.next)
		if (!memcmp(&a->mac, mac, sizeof(*mac)) &&
		    str_eq(a->network, network) && docker_addr_waits(d, a))
			last = a;
	return last;
}

static void addr_add(struct docker *d, struct docker_addr *a)
{
	if (!docker_addr(d, &a->addr))
		HASH_ADD(hh, d->addrs, addr, sizeof(a->addr), a);
	model_hold_put(d->cfg.model, &a->addr, a->network, HOLDER);
}

int docker_addr_save(struct docker *d, struct docker_addr *a)
{
	char ip[IP_STRLEN], mac[MAC_STRLEN];

	addr_add(d, a);
	return save(d, "addrs", ip_str(&a->addr, ip),
		    json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "network",
			      a->network, "endpoint", a->endpoint, "mac",
			      mac_str(&a->mac, mac), "aux", a->aux, "by6",
			      a->by6, "released", a->released));
}

void docker_addr_drop(struct docker *d, struct docker_addr *a)
{
	char ip[IP_STRLEN];

	HASH_DEL(d->addrs, a);
	model_hold_del(d->cfg.model, &a->addr);
	forget(d, "addrs", ip_str(&a->addr, ip));
	free(a);
}

static void load_addr(void *arg, const char *key, const char *value)
{
	AUTO(json_freep) json_t *doc = json_loads(value, 0, NULL);
	struct docker_addr *a = xzalloc(sizeof(*a));
	struct docker *d = arg;

	if (ip_parse(str_after(key, "docker/addrs/"), &a->addr) ||
	    json_get_str(doc, "network", a->network, sizeof(a->network))) {
		free(a);
		return;
	}
	json_get_str(doc, "endpoint", a->endpoint, sizeof(a->endpoint));
	json_get_mac(doc, &a->mac);
	a->by6 = json_is_true(json_object_get(doc, "by6"));
	a->aux = json_is_true(json_object_get(doc, "aux"));
	a->released = json_is_true(json_object_get(doc, "released"));
	a->since = mono_ms();
	addr_add(d, a);
}

/* ---- endpoints ---- */

struct docker_ep *docker_ep(const struct docker *d, const char *id)
{
	struct docker_ep *ep;

	HASH_FIND_STR(d->eps, id, ep);
	return ep;
}

int docker_ep_save(struct docker *d, struct docker_ep *ep)
{
	char mac[MAC_STRLEN];
	json_t *doc = json_pack("{s:s, s:s, s:o, s:o, s:s, s:O, s:b, s:i, s:s}",
				"net", ep->net, "network", ep->network, "ip",
				json_ip(&ep->addr), "ip6",
				json_ip_or_none(&ep->addr6), "mac",
				mac_str(&ep->mac, mac), "aliases", ep->aliases,
				"asks_host", ep->asks_host, "state",
				(int)ep->state, "pod", ep->pod);

	if (!docker_ep(d, ep->id))
		HASH_ADD_STR(d->eps, id, ep);
	return save(d, "eps", ep->id, doc);
}

static void ep_free(struct docker_ep *ep)
{
	json_decref(ep->aliases);
	free(ep);
}

void docker_ep_drop(struct docker *d, struct docker_ep *ep)
{
	HASH_DEL(d->eps, ep);
	forget(d, "eps", ep->id);
	ep_free(ep);
}

static int read_ep(json_t *doc, struct docker_ep *ep)
{
	json_t *aliases = json_object_get(doc, "aliases");
	uint32_t state;

	if (json_get_str(doc, "net", ep->net, sizeof(ep->net)) ||
	    json_get_str(doc, "network", ep->network, sizeof(ep->network)) ||
	    json_read_ip(json_object_get(doc, "ip"), &ep->addr) ||
	    json_get_mac(doc, &ep->mac) || json_get_u32(doc, "state", &state) ||
	    state >= DOCKER_STATE_MAX)
		return -EINVAL;
	if (json_read_ip(json_object_get(doc, "ip6"), &ep->addr6))
		memset(&ep->addr6, 0, sizeof(ep->addr6));
	ep->state = (enum docker_state)state;
	ep->asks_host = json_is_true(json_object_get(doc, "asks_host"));
	ep->aliases =
		json_is_array(aliases) ? json_incref(aliases) : json_array();
	json_get_str(doc, "pod", ep->pod, sizeof(ep->pod));
	return 0;
}

static void load_ep(void *arg, const char *key, const char *value)
{
	AUTO(json_freep) json_t *doc = json_loads(value, 0, NULL);
	struct docker_ep *ep = xzalloc(sizeof(*ep));
	struct docker *d = arg;

	if (!str_copy(ep->id, sizeof(ep->id), str_after(key, "docker/eps/")) ||
	    read_ep(doc, ep)) {
		log_warn("docker: journal entry is not ours key=%s", key);
		ep_free(ep);
		return;
	}
	/* How long it has been so is not known: the whole time again. */
	ep->since = mono_ms();
	HASH_ADD_STR(d->eps, id, ep);
}

/* ---- networks made for a pool ---- */

static struct docker_made *made(const struct docker *d, const char *network)
{
	struct docker_made *m;

	HASH_FIND_STR(d->made, network, m);
	return m;
}

static void made_add(struct docker *d, const char *network)
{
	struct docker_made *m = made(d, network);

	if (!m) {
		m = xzalloc(sizeof(*m));
		str_copy(m->network, sizeof(m->network), network);
		HASH_ADD_STR(d->made, network, m);
	}
	m->since = mono_ms();
}

void docker_made_put(struct docker *d, const char *network)
{
	made_add(d, network);
	save(d, "made", network, json_object());
}

bool docker_made_del(struct docker *d, const char *network)
{
	struct docker_made *m = made(d, network);

	if (!m)
		return false;
	HASH_DEL(d->made, m);
	forget(d, "made", network);
	free(m);
	return true;
}

static void load_made(void *arg, const char *key, const char *value)
{
	(void)value;
	made_add(arg, str_after(key, "docker/made/"));
}

/* ---- all ---- */

void docker_load(struct docker *d)
{
	static const struct {
		const char *prefix;
		void (*fn)(void *arg, const char *key, const char *value);
	} tables[] = {
		{ "docker/nets/", load_net },
		{ "docker/addrs/", load_addr },
		{ "docker/eps/", load_ep },
		{ "docker/made/", load_made },
	};

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		store_journal_each(d->cfg.store, tables[i].prefix, tables[i].fn,
				   d);
}

void docker_forget(struct docker *d)
{
	struct docker_net *net, *net_next;
	struct docker_addr *addr, *addr_next;
	struct docker_ep *ep, *ep_next;
	struct docker_made *m, *m_next;
	struct docker_pool *pool, *pool_next;

	HASH_ITER (hh, d->pools, pool, pool_next) {
		HASH_DEL(d->pools, pool);
		free(pool);
	}
	HASH_ITER (hh, d->nets, net, net_next) {
		HASH_DEL(d->nets, net);
		free(net);
	}
	HASH_ITER (hh, d->addrs, addr, addr_next) {
		HASH_DEL(d->addrs, addr);
		model_hold_del(d->cfg.model, &addr->addr);
		free(addr);
	}
	HASH_ITER (hh, d->eps, ep, ep_next) {
		HASH_DEL(d->eps, ep);
		ep_free(ep);
	}
	HASH_ITER (hh, d->made, m, m_next) {
		HASH_DEL(d->made, m);
		free(m);
	}
}
