/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of nouns, and how a key of the store finds its place in them.
 * Each kind of key is one row of kinds[]: its pattern, and what to do with
 * its value or with its end.
 */
#include "model.h"

#include <netinet/in.h>

#include "change.h"
#include "ipam.h"
#include "json.h"
#include "netd/log.h"
#include "netd/util.h"
#include "network.h"
#include "node.h"
#include "pod.h"
#include "service.h"
#include "static_record.h"
#include "ula.h"

struct model *model_new(const char *self)
{
	struct model *m = xzalloc(sizeof(*m));

	str_copy(m->self, sizeof(m->self), self);
	return m;
}

static void mark(const struct change *c, enum mark_kind kind, const char *net,
		 const char *name)
{
	if (c->marks)
		c->marks->mark(c->marks->arg, kind, net, name);
}

/* What became of an object: `first` of created, updated, removed. */
static void tell_change(const struct change *c, enum event_id first,
			const char *name, const char *net, const json_t *old,
			const json_t *next)
{
	if (!old && next)
		change_tell(c->marks, first, name, net, NULL, "");
	else if (old && !next)
		change_tell(c->marks, first + 2, name, net, NULL, "");
	else if (old && !json_equal(old, next))
		change_tell(c->marks, first + 1, name, net, NULL, "");
}

struct net *model_net(const struct model *m, const char *name)
{
	struct net *net = FIND(m->nets, name);

	return net && net->rev ? net : NULL;
}

struct net *model_net_by_vni(const struct model *m, uint32_t vni)
{
	for (struct net *net = m->nets; net; net = net->hh.next)
		if (net->rev && net->vni == vni)
			return net;
	return NULL;
}

struct service *net_service(const struct net *net, const char *name)
{
	return FIND(net->services, name);
}

struct node *model_node(const struct model *m, const char *name)
{
	struct node *node = FIND(m->nodes, name);

	return node && node->rev ? node : NULL;
}

static int by_net(const struct net *a, const struct net *b)
{
	return strcmp(a->name, b->name);
}

static int by_service(const struct service *a, const struct service *b)
{
	return strcmp(a->name, b->name);
}

static int by_node(const struct node *a, const struct node *b)
{
	return strcmp(a->name, b->name);
}

static int by_pod(const struct pod *a, const struct pod *b)
{
	return strcmp(a->key, b->key);
}

static int by_record(const struct static_record *a,
		     const struct static_record *b)
{
	return strcmp(a->name, b->name);
}

static int by_zone(const struct stub_zone *a, const struct stub_zone *b)
{
	return strcmp(a->zone, b->zone);
}

void model_sort(struct model *m)
{
	HASH_SORT(m->nodes, by_node);
	HASH_SORT(m->pods, by_pod);
	HASH_SORT(m->nets, by_net);
	HASH_SORT(m->stubs, by_zone);
	for (struct net *net = m->nets; net; net = net->hh.next) {
		HASH_SORT(net->services, by_service);
		HASH_SORT(net->records, by_record);
		HASH_SORT(net->stubs, by_zone);
	}
}

bool model_node_is_up(const struct model *m, const char *name)
{
	struct node *node = model_node(m, name);

	return str_eq(name, m->self) || (node && node->alive_rev);
}

bool model_node_drains(const struct model *m, const char *name)
{
	struct node *node = FIND(m->nodes, name);

	return node && node->drain_rev;
}

bool model_node_is_drained(const struct model *m, const char *name)
{
	struct node *node = FIND(m->nodes, name);

	return node && node->drain_rev && node->drain_until &&
	       node->drain_until <= m->now;
}

/* Keys below a network may come before it does, and stay after it. */
struct net *change_net(struct model *m, const char *name)
{
	struct net *net = FIND(m->nets, name);

	if (net)
		return net;
	net = xzalloc(sizeof(*net));
	str_copy(net->name, sizeof(net->name), name);
	HASH_ADD_STR(m->nets, name, net);
	return net;
}

static void net_clear(struct net *net)
{
	json_decref(net->labels);
	json_decref(net->doc);
	net->labels = net->doc = NULL;
	net->rev = 0;
}

void change_net_sweep(struct model *m, struct net *net)
{
	if (net->rev || net->services || net->endpoints || net->blocks ||
	    net->ups || net->vip_claims || net->records || net->stubs)
		return;
	HASH_DEL(m->nets, net);
	free(net);
}

/* What a network is told to the kernel with; labels are not. */
static bool net_moved(const struct net *a, const struct net *b)
{
	return a->vni != b->vni || !prefix_eq(&a->subnet, &b->subnet) ||
	       !prefix_eq(&a->subnet6, &b->subnet6) ||
	       a->vips_len != b->vips_len || a->vips6_len != b->vips6_len ||
	       a->internal != b->internal;
}

static int apply_net(struct change *c)
{
	const char *name = c->key.word[0];
	struct net *net, *next = NULL;
	struct service *s;
	bool moved;

	if (c->doc && !(next = net_from_json(name, c->doc)))
		return -EINVAL;
	net = change_net(c->m, name);
	moved = !next || !net->rev || net_moved(net, next);
	tell_change(c, EVENT_NETWORK_CREATED, name, name, net->doc,
		    next ? next->doc : NULL);
	net_clear(net);
	if (next) {
		net->vni = next->vni;
		net->subnet = next->subnet;
		memcpy(net->vips, next->vips, sizeof(net->vips));
		net->vips_len = next->vips_len;
		net->subnet6 = next->subnet6;
		memcpy(net->vips6, next->vips6, sizeof(net->vips6));
		net->vips6_len = next->vips6_len;
		net->internal = next->internal;
		net->mtu = next->mtu;
		net->labels = next->labels;
		net->doc = next->doc;
		net->rev = c->rev;
		free(next);
	}
	mark(c, MARK_NET, name, "");
	for (s = net->services; moved && s; s = s->hh.next)
		mark(c, MARK_SERVICE, name, s->name);
	change_net_sweep(c->m, net);
	return 0;
}

static void mark_all_services(struct change *c)
{
	for (struct net *net = c->m->nets; net; net = net->hh.next) {
		struct pod_name *pn;

		for (struct service *s = net->services; s; s = s->hh.next)
			mark(c, MARK_SERVICE, net->name, s->name);
		for (pn = net->names; pn; pn = pn->hh.next)
			mark(c, MARK_NAME, net->name, pn->name);
	}
}

static struct node *node_shell(struct model *m, const char *name)
{
	struct node *node = FIND(m->nodes, name);

	if (node)
		return node;
	node = xzalloc(sizeof(*node));
	str_copy(node->name, sizeof(node->name), name);
	HASH_ADD_STR(m->nodes, name, node);
	return node;
}

static void node_sweep(struct model *m, struct node *node)
{
	if (node->rev || node->alive_rev || node->drain_rev)
		return;
	HASH_DEL(m->nodes, node);
	node_free(node);
}

/* next is taken; NULL: the node's record is gone. */
static void node_put(struct change *c, const char *name, struct node *next)
{
	struct node *node = node_shell(c->m, name);
	bool moved = !next || !ip_eq(&node->vtep, &next->vtep);

	if (!next != !node->rev)
		change_tell(c->marks,
			    next ? EVENT_NODE_JOINED : EVENT_NODE_LEFT, name,
			    NULL, name, "");
	free(node->routes);
	node->routes = NULL;
	node->routes_len = node->addrs_len = 0;
	node->rev = 0;
	if (next) {
		next->hh = node->hh;
		next->alive_rev = node->alive_rev;
		next->alive_incarnation = node->alive_incarnation;
		next->drain_rev = node->drain_rev;
		next->drain_until = node->drain_until;
		next->rev = c->rev;
		*node = *next;
		free(next);
	}
	mark(c, MARK_NODE, "", name);
	/* Blocks and backends lead to the node's VTEP. */
	for (struct net *net = c->m->nets; moved && net; net = net->hh.next)
		mark(c, MARK_NET, net->name, "");
	if (moved)
		mark_all_services(c);
	node_sweep(c->m, node);
}

static int apply_node(struct change *c)
{
	const char *name = c->key.word[0];
	struct node *next = NULL;

	/* Ours is what the kernel shows, not what the store repeats. */
	if (str_eq(name, c->m->self))
		return 0;
	if (c->doc && !(next = node_from_json(name, c->doc)))
		return -EINVAL;
	node_put(c, name, next);
	return 0;
}

void model_self_put(struct model *m, struct node *self)
{
	struct change c = { .m = m, .rev = 1 };

	str_copy(self->name, sizeof(self->name), m->self);
	node_put(&c, m->self, self);
}

static int apply_alive(struct change *c)
{
	struct node *node = node_shell(c->m, c->key.word[0]);
	bool was_up = node->alive_rev;

	node->alive_rev = c->doc ? c->rev : 0;
	node->alive_incarnation = 0;
	json_get_u64(c->doc, "incarnation", &node->alive_incarnation);
	if (was_up != (node->alive_rev != 0)) {
		mark_all_services(c);
		change_tell(c->marks, c->doc ? EVENT_NODE_UP : EVENT_NODE_DOWN,
			    node->name, NULL, node->name,
			    c->doc ? "" : "its lease is lost");
	}
	mark(c, MARK_NODE, "", node->name);
	node_sweep(c->m, node);
	return 0;
}

static int apply_drain(struct change *c)
{
	const char *name = c->key.word[0];
	json_t *until = json_object_get(c->doc, "until");
	struct node *node;

	if (c->doc && !json_is_integer(until))
		return -EINVAL;
	node = node_shell(c->m, name);
	if (!node->drain_rev != !c->doc)
		change_tell(c->marks,
			    c->doc ? EVENT_NODE_DRAINING : EVENT_NODE_ACTIVE,
			    name, NULL, name, "");
	node->drain_rev = c->doc ? c->rev : 0;
	node->drain_until = json_integer_value(until);
	mark_all_services(c);
	node_sweep(c->m, node);
	return 0;
}

static int port_claim_read(struct port_claim *claim, json_t *doc)
{
	const char *at = strchr(claim->key, '@');
	unsigned int first, last;
	char proto[8];

	if (sscanf(claim->key, "%7[a-z]/%u-%u", proto, &first, &last) != 3 ||
	    (at && ip_parse(at + 1, &claim->host)) || first > last ||
	    last > 65535 ||
	    json_get_str(doc, "network", claim->network,
			 sizeof(claim->network)) ||
	    json_get_str(doc, "service", claim->service,
			 sizeof(claim->service)))
		return -EINVAL;
	claim->first = (uint16_t)first;
	claim->last = (uint16_t)last;
	claim->proto = str_eq(proto, "udp") ? IPPROTO_UDP : IPPROTO_TCP;
	return 0;
}

const struct port_claim *model_port_claim(const struct model *m,
					  const struct ip_addr *host,
					  uint16_t port, uint8_t proto)
{
	for (const struct port_claim *c = m->ports; c; c = c->hh.next)
		if (c->proto == proto && port >= c->first && port <= c->last &&
		    (ip_is_none(host) || ip_is_none(&c->host) ||
		     ip_eq(host, &c->host)))
			return c;
	return NULL;
}

static int apply_port(struct change *c)
{
	struct port_claim *claim, *next = NULL;
	char key[sizeof(claim->key)];

	if (str_format(key, sizeof(key), "%s/%s", c->key.word[0],
		       c->key.word[1]))
		return -EINVAL;
	if (c->doc) {
		next = xzalloc(sizeof(*next));
		memcpy(next->key, key, sizeof(key));
		next->rev = c->rev;
		if (port_claim_read(next, c->doc)) {
			free(next);
			return -EINVAL;
		}
	}
	claim = FIND(c->m->ports, key);
	if (claim) {
		HASH_DEL(c->m->ports, claim);
		free(claim);
	}
	if (next)
		HASH_ADD_STR(c->m->ports, key, next);
	return 0;
}

static int apply_ula(struct change *c)
{
	struct ip_prefix ula = { .len = 0 };

	if (c->doc &&
	    (json_read_prefix(json_object_get(c->doc, "prefix"), &ula) ||
	     !ula_is_one(&ula)))
		return -EINVAL;
	c->m->ula = ula;
	return 0;
}

static int apply_gen(struct change *c)
{
	int64_t rev = c->doc ? c->rev : 0;

	if (str_eq(c->key.word[0], "subnets"))
		c->m->gen_subnets_rev = rev;
	if (str_eq(c->key.word[0], "ports"))
		c->m->gen_ports_rev = rev;
	return 0;
}

static void mark_aliases(const struct change *c, const char *net,
			 const struct service *s)
{
	json_t *alias;
	size_t i;

	json_array_foreach (s ? s->aliases : NULL, i, alias)
		mark(c, MARK_SERVICE, net, json_string_value(alias));
}

static int apply_service(struct change *c)
{
	struct service *s, *next = NULL;
	const char *name = c->key.word[1];
	struct net *net;

	if (c->doc && !(next = service_from_json(name, c->doc)))
		return -EINVAL;
	net = change_net(c->m, c->key.word[0]);
	s = FIND(net->services, name);
	tell_change(c, EVENT_SERVICE_CREATED, name, net->name,
		    s ? s->doc : NULL, next ? next->doc : NULL);
	mark_aliases(c, net->name, s);
	if (s) {
		HASH_DEL(net->services, s);
		service_free(s);
	}
	if (next) {
		next->rev = c->rev;
		HASH_ADD_STR(net->services, name, next);
	}
	mark(c, MARK_SERVICE, net->name, name);
	mark_aliases(c, net->name, next);
	/* A new selector may pick pods of ours. */
	mark(c, MARK_PUBLISH, net->name, "");
	change_net_sweep(c->m, net);
	return 0;
}

static int apply_vip(struct change *c)
{
	struct net *net = change_net(c->m, c->key.word[0]);
	struct vip *vip = FIND(net->vip_claims, c->key.word[1]);

	if (vip) {
		HASH_DEL(net->vip_claims, vip);
		free(vip);
	}
	if (c->doc) {
		vip = xzalloc(sizeof(*vip));
		str_copy(vip->key, sizeof(vip->key), c->key.word[1]);
		json_get_str(c->doc, "service", vip->service,
			     sizeof(vip->service));
		vip->rev = c->rev;
		HASH_ADD_STR(net->vip_claims, key, vip);
	}
	change_net_sweep(c->m, net);
	return 0;
}

static int apply_record(struct change *c)
{
	const char *name = c->key.word[1];
	struct static_record *rec, *next = NULL;
	struct net *net;

	if (c->doc && !(next = static_record_from_json(name, c->doc)))
		return -EINVAL;
	net = change_net(c->m, c->key.word[0]);
	rec = FIND(net->records, name);
	if (rec) {
		HASH_DEL(net->records, rec);
		static_record_free(rec);
	}
	if (next) {
		next->rev = c->rev;
		HASH_ADD_STR(net->records, name, next);
	}
	mark(c, MARK_RECORD, net->name, name);
	change_net_sweep(c->m, net);
	return 0;
}

static int stub_put(struct change *c, struct stub_zone **table, const char *net,
		    const char *zone)
{
	struct stub_zone *stub, *next = NULL;

	if (c->doc && !(next = stub_zone_from_json(zone, c->doc)))
		return -EINVAL;
	stub = FIND(*table, zone);
	if (stub) {
		HASH_DEL(*table, stub);
		stub_zone_free(stub);
	}
	if (next) {
		next->rev = c->rev;
		HASH_ADD_STR(*table, zone, next);
	}
	mark(c, MARK_STUB, net, zone);
	return 0;
}

static int apply_stub(struct change *c)
{
	return stub_put(c, &c->m->stubs, "", c->key.word[0]);
}

static int apply_net_stub(struct change *c)
{
	struct net *net = change_net(c->m, c->key.word[0]);
	int err = stub_put(c, &net->stubs, net->name, c->key.word[1]);

	change_net_sweep(c->m, net);
	return err;
}

static int apply_block(struct change *c)
{
	const char *key = c->key.word[1];
	struct block *b, *next = NULL;
	struct net *net;

	if (c->doc && !(next = block_from_json(key, c->doc)))
		return -EINVAL;
	net = change_net(c->m, c->key.word[0]);
	b = FIND(net->blocks, key);
	if (b) {
		HASH_DEL(net->blocks, b);
		free(b);
	}
	if (next) {
		next->rev = c->rev;
		HASH_ADD_STR(net->blocks, key, next);
	}
	mark(c, MARK_NET, net->name, "");
	change_net_sweep(c->m, net);
	return 0;
}

/* "*" is one word, "**" the rest. */
static const struct {
	const char *pattern;
	int (*apply)(struct change *c);
} kinds[] = {
	{ "c/nodes/*", apply_node },
	{ "c/alive/*", apply_alive },
	{ "c/drains/*", apply_drain },
	{ "c/nets/*", apply_net },
	{ "c/ports/*/*", apply_port },
	{ "c/gen/*", apply_gen },
	{ "c/ula", apply_ula },
	{ "c/upstreams/*", apply_stub },
	{ "n/*/s/services/*", apply_service },
	{ "n/*/s/vips/*", apply_vip },
	{ "n/*/s/up/*", up_apply },
	{ "n/*/e/blocks/**", apply_block },
	{ "n/*/s/records/*", apply_record },
	{ "n/*/s/upstreams/*", apply_net_stub },
	{ "n/*/e/pods/*/*", endpoint_apply },
};

static bool key_matches(const char *pattern, const char *key, struct key *ret)
{
	size_t words = 0;

	while (*pattern) {
		size_t len;

		if (*pattern != '*') {
			if (*pattern++ != *key++)
				return false;
			continue;
		}
		pattern++;
		len = *pattern == '*' ? strlen(key) : strcspn(key, "/");
		pattern += *pattern == '*';
		if (!len || len >= POD_NAME_LEN || words == KEY_WORDS_MAX)
			return false;
		memcpy(ret->word[words], key, len);
		ret->word[words++][len] = '\0';
		key += len;
	}
	return !*key;
}

void model_apply(struct model *m, const char *key, const char *value,
		 int64_t rev, const struct model_marks *marks)
{
	struct change c = { .m = m, .marks = marks, .rev = rev };
	AUTO(json_freep) json_t *doc = NULL;

	if (value) {
		doc = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(doc)) {
			log_warn_limited(
				"model: value is not ours, skipped key=%s",
				key);
			return;
		}
	}
	c.doc = doc;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!key_matches(kinds[i].pattern, key, &c.key))
			continue;
		if (kinds[i].apply(&c))
			log_warn_limited(
				"model: value is not ours, skipped key=%s",
				key);
		return;
	}
}

static void stubs_free(struct stub_zone **table)
{
	struct stub_zone *stub, *tmp;

	HASH_ITER (hh, *table, stub, tmp) {
		HASH_DEL(*table, stub);
		stub_zone_free(stub);
	}
}

static void net_free(struct net *net)
{
	struct static_record *rec, *rec_tmp;
	struct service *s, *s_tmp;
	struct endpoint *ep, *ep_tmp;
	struct block *b, *b_tmp;
	struct up *up, *up_tmp;
	struct vip *vip, *vip_tmp;

	HASH_ITER (hh, net->services, s, s_tmp) {
		HASH_DEL(net->services, s);
		service_free(s);
	}
	HASH_ITER (hh, net->endpoints, ep, ep_tmp)
		net_endpoint_del(net, ep->key, NULL);
	HASH_ITER (hh, net->blocks, b, b_tmp) {
		HASH_DEL(net->blocks, b);
		free(b);
	}
	HASH_ITER (hh, net->ups, up, up_tmp) {
		HASH_DEL(net->ups, up);
		up_free(up);
	}
	HASH_ITER (hh, net->vip_claims, vip, vip_tmp) {
		HASH_DEL(net->vip_claims, vip);
		free(vip);
	}
	HASH_ITER (hh, net->records, rec, rec_tmp) {
		HASH_DEL(net->records, rec);
		static_record_free(rec);
	}
	stubs_free(&net->stubs);
	net_clear(net);
	free(net);
}

void model_free(struct model *m)
{
	struct net *net, *net_tmp;
	struct node *node, *node_tmp;
	struct port_claim *claim, *claim_tmp;
	struct pod *pod, *pod_tmp;
	struct hold *hold, *hold_tmp;

	if (!m)
		return;
	HASH_ITER (hh, m->holds, hold, hold_tmp) {
		HASH_DEL(m->holds, hold);
		free(hold);
	}
	HASH_ITER (hh, m->pods, pod, pod_tmp) {
		HASH_DEL(m->pods, pod);
		pod_free(pod);
	}
	HASH_ITER (hh, m->nets, net, net_tmp) {
		HASH_DEL(m->nets, net);
		net_free(net);
	}
	HASH_ITER (hh, m->nodes, node, node_tmp) {
		HASH_DEL(m->nodes, node);
		node_free(node);
	}
	HASH_ITER (hh, m->ports, claim, claim_tmp) {
		HASH_DEL(m->ports, claim);
		free(claim);
	}
	stubs_free(&m->stubs);
	free(m);
}
