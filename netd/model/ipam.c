/* SPDX-License-Identifier: Apache-2.0 */
#include "ipam.h"

#include "json.h"
#include "netd/util.h"
#include "network.h"
#include "pair.h"
#include "pod.h"
#include "ula.h"

void rest_put(struct rest **rests, const struct ip_addr *addr,
	      const char *network, int64_t until)
{
	struct rest *rest;

	HASH_FIND(hh, *rests, addr, sizeof(*addr), rest);
	if (!rest) {
		rest = xzalloc(sizeof(*rest));
		rest->addr = *addr;
		str_copy(rest->network, sizeof(rest->network), network);
		HASH_ADD(hh, *rests, addr, sizeof(*addr), rest);
	}
	rest->until = until;
}

bool rest_has(const struct rest *rests, const struct ip_addr *addr)
{
	struct rest *rest;

	HASH_FIND(hh, rests, addr, sizeof(*addr), rest);
	return rest;
}

void rests_free(struct rest **rests)
{
	struct rest *rest, *tmp;

	HASH_ITER (hh, *rests, rest, tmp) {
		HASH_DEL(*rests, rest);
		free(rest);
	}
}

const struct hold *model_hold(const struct model *m, const struct ip_addr *addr)
{
	struct hold *hold;

	HASH_FIND(hh, m->holds, addr, sizeof(*addr), hold);
	return hold;
}

void model_hold_put(struct model *m, const struct ip_addr *addr,
		    const char *network, const char *holder)
{
	struct hold *hold;

	model_hold_del(m, addr);
	hold = xzalloc(sizeof(*hold));
	hold->addr = *addr;
	str_copy(hold->network, sizeof(hold->network), network);
	str_copy(hold->holder, sizeof(hold->holder), holder);
	HASH_ADD(hh, m->holds, addr, sizeof(*addr), hold);
}

void model_hold_del(struct model *m, const struct ip_addr *addr)
{
	struct hold *hold;

	HASH_FIND(hh, m->holds, addr, sizeof(*addr), hold);
	if (!hold)
		return;
	HASH_DEL(m->holds, hold);
	free(hold);
}

struct block *block_from_json(const char *key, json_t *doc)
{
	struct block *b = xzalloc(sizeof(*b));
	json_t *lent = json_object_get(doc, "lent");
	json_t *item;
	size_t i;

	if (!str_copy(b->key, sizeof(b->key), key) ||
	    prefix_parse(key, &b->prefix) ||
	    json_get_str(doc, "node", b->node, sizeof(b->node)) ||
	    json_get_u32(doc, "own", &b->own) ||
	    b->own > prefix_size(&b->prefix))
		goto bad;
	json_get_u64(doc, "incarnation", &b->incarnation);
	json_array_foreach (lent, i, item) {
		struct lent *l = &b->lent[b->lent_len];

		if (i == LENT_MAX ||
		    json_read_ip(json_object_get(item, "ip"), &l->addr) ||
		    json_get_str(item, "node", l->node, sizeof(l->node)))
			goto bad;
		b->lent_len++;
	}
	return b;
bad:
	free(b);
	return NULL;
}

json_t *block_to_json(const struct block *b)
{
	json_t *lent = json_array();

	for (size_t i = 0; i < b->lent_len; i++)
		json_array_append_new(lent, json_pack("{s:o, s:s}", "ip",
						      json_ip(&b->lent[i].addr),
						      "node", b->lent[i].node));
	return json_pack("{s:i, s:s, s:I, s:I, s:o}", "schema", 1, "node",
			 b->node, "incarnation", (json_int_t)b->incarnation,
			 "own", (json_int_t)b->own, "lent", lent);
}

uint8_t ipam_block_len(const struct ip_prefix *subnet)
{
	/* A sixteenth, but at most /26 and at least /29 (of IPv4's 32). */
	unsigned int len = subnet->len + 4u;

	return (uint8_t)MIN(MAX(len, 122u), 125u);
}

bool ipam_is_reserved(const struct net *net, const struct ip_addr *a)
{
	struct ip_addr gateway = net_gateway(net);
	struct ip_addr last = prefix_last(&net->subnet);

	return ip_eq(a, &net->subnet.addr) || ip_eq(a, &gateway) ||
	       ip_eq(a, &last);
}

static const struct lent *block_lent(const struct block *b,
				     const struct ip_addr *a)
{
	for (size_t i = 0; i < b->lent_len; i++)
		if (ip_eq(&b->lent[i].addr, a))
			return &b->lent[i];
	return NULL;
}

/* The pod of this node that has the address on this network. */
static const struct pod *local_user(const struct model *m,
				    const struct net *net,
				    const struct ip_addr *a)
{
	for (const struct pod *pod = m->pods; pod; pod = pod->hh.next)
		for (size_t i = 0; i < pod->nets_len; i++)
			if (str_eq(pod->nets[i].network, net->name) &&
			    ip_eq(&pod->nets[i].addr, a))
				return pod;
	return NULL;
}

static bool is_mine(const struct model *m, const struct block *b)
{
	return str_eq(b->node, m->self);
}

struct pick {
	const struct model *m;
	const struct net *net;
	const struct rest *rests;
};

static bool is_free(const struct pick *p, const struct ip_addr *a)
{
	return !ipam_is_reserved(p->net, a) && !rest_has(p->rests, a) &&
	       !model_hold(p->m, a) && !local_user(p->m, p->net, a);
}

/* An address that is ours to give, now. */
static bool pick_owned(const struct pick *p, struct ip_addr *ret)
{
	for (const struct block *b = p->net->blocks; b; b = b->hh.next) {
		for (uint32_t i = 0; is_mine(p->m, b) && i < b->own; i++) {
			struct ip_addr a = ip_add(&b->prefix.addr, i);

			if (!block_lent(b, &a) && is_free(p, &a)) {
				*ret = a;
				return true;
			}
		}
		for (size_t i = 0; !is_mine(p->m, b) && i < b->lent_len; i++) {
			if (str_eq(b->lent[i].node, p->m->self) &&
			    is_free(p, &b->lent[i].addr)) {
				*ret = b->lent[i].addr;
				return true;
			}
		}
	}
	return false;
}

static void change_block(const struct net *net, const struct block *b,
			 struct ipam_change *change)
{
	str_format(change->key, sizeof(change->key), "n/%s/e/blocks/%s",
		   net->name, b->key);
	change->rev = b->rev;
	change->value = block_to_json(b);
}

static void change_own(const struct net *net, const struct block *b,
		       uint32_t own, struct ipam_change *change)
{
	struct block next = *b;
	uint32_t size = (uint32_t)prefix_size(&b->prefix);

	own = (own + IPAM_OWN_STEP - 1) / IPAM_OWN_STEP * IPAM_OWN_STEP;
	next.own = MIN(own, size);
	change_block(net, &next, change);
}

static void change_claim(const struct model *m, const struct net *net,
			 const struct ip_prefix *prefix, uint32_t own,
			 struct ipam_change *change)
{
	struct block b = { .prefix = *prefix, .incarnation = m->incarnation };

	prefix_str(prefix, b.key);
	str_copy(b.node, sizeof(b.node), m->self);
	change_own(net, &b, own, change);
}

static void change_lend(const struct model *m, const struct net *net,
			const struct block *b, const struct ip_addr *a,
			struct ipam_change *change)
{
	struct block next = *b;
	struct lent *l = &next.lent[next.lent_len++];

	*l = (struct lent){ .addr = *a };
	str_copy(l->node, sizeof(l->node), m->self);
	change_block(net, &next, change);
}

static struct block *block_at(const struct net *net,
			      const struct ip_prefix *prefix)
{
	char key[PREFIX_STRLEN];
	struct block *b;

	prefix_str(prefix, key);
	HASH_FIND_STR(net->blocks, key, b);
	return b;
}

/* More of a block of ours, else a free block: 1. 0: there is neither. */
static int grow(const struct pick *p, struct ipam_change *change)
{
	uint8_t len = ipam_block_len(&p->net->subnet);
	struct ip_prefix at = prefix_make(&p->net->subnet.addr, len);
	int64_t blocks = prefix_size(&p->net->subnet) / prefix_size(&at);

	for (const struct block *b = p->net->blocks; b; b = b->hh.next) {
		if (is_mine(p->m, b) && b->own < prefix_size(&b->prefix)) {
			change_own(p->net, b, b->own + 1, change);
			return 1;
		}
	}
	for (int64_t i = 0; i < blocks; i++) {
		if (!block_at(p->net, &at)) {
			change_claim(p->m, p->net, &at, 1, change);
			return 1;
		}
		at.addr = ip_add(&at.addr, prefix_size(&at));
	}
	return 0;
}

/* Highest first: the owner comes from below. */
static int borrow(const struct pick *p, struct ipam_change *change)
{
	for (const struct block *b = p->net->blocks; b; b = b->hh.next) {
		int64_t i = prefix_size(&b->prefix) - 1;

		if (is_mine(p->m, b) || b->lent_len == LENT_MAX)
			continue;
		for (; i >= b->own; i--) {
			struct ip_addr a = ip_add(&b->prefix.addr, i);

			if (block_lent(b, &a) || ipam_is_reserved(p->net, &a))
				continue;
			change_lend(p->m, p->net, b, &a, change);
			return 1;
		}
	}
	return 0;
}

static int pick_any(const struct pick *p, struct ip_addr *ret,
		    struct ipam_change *change, struct refusal *r)
{
	char buf[PREFIX_STRLEN];

	if (pick_owned(p, ret))
		return 0;
	if (grow(p, change) || borrow(p, change))
		return 1;
	return refuse(r, API_EXHAUSTED, "network",
		      "remove pods, wait 30 s for freed addresses, or make a "
		      "larger network",
		      "network \"%s\": no free address left in %s",
		      p->net->name, prefix_str(&p->net->subnet, buf));
}

static int refuse_taken(struct refusal *r, const struct net *net,
			const char *ip, const char *node, const char *pod)
{
	return refuse(r, API_CONFLICT, "ip", "choose another address, or none",
		      "address %s on network \"%s\" is taken by %s%s%s%s", ip,
		      net->name, pod ? "pod " : "node ", pod ? pod : node,
		      pod ? " on node " : "", pod ? node : "");
}

static int static_check(const struct pick *p, const struct ip_addr *want,
			const char *ip, struct refusal *r)
{
	const struct net *net = p->net;
	const struct hold *hold = model_hold(p->m, want);
	const struct pod *user;
	const struct endpoint *ep;
	char buf[PREFIX_STRLEN];

	if (!prefix_contains(&net->subnet, want))
		return refuse(r, API_INVALID, "ip",
			      "choose an address of the network, or none",
			      "address %s is not in %s of network \"%s\"", ip,
			      prefix_str(&net->subnet, buf), net->name);
	if (ipam_is_reserved(net, want))
		return refuse(r, API_INVALID, "ip", "choose another address",
			      "address %s is the network, gateway or broadcast "
			      "address of \"%s\"",
			      ip, net->name);
	user = local_user(p->m, net, want);
	if (user)
		return refuse_taken(r, net, ip, p->m->self, user->name);
	for (ep = net->endpoints; ep; ep = ep->hh.next)
		if (ip_eq(&ep->addr, want))
			return refuse_taken(r, net, ip, ep->node, ep->pod);
	if (hold)
		return refuse(r, API_CONFLICT, "ip",
			      "choose another address, or none",
			      "address %s on network \"%s\" is held for %s", ip,
			      net->name, hold->holder);
	/* One that rests may be had by name: who restarts a container with its
	 * own address means that one. */
	return 0;
}

static int pick_static(const struct pick *p, const struct ip_addr *want,
		       struct ip_addr *ret, struct ipam_change *change,
		       struct refusal *r)
{
	const struct net *net = p->net;
	struct ip_prefix home = prefix_make(want, ipam_block_len(&net->subnet));
	const struct block *b = block_at(net, &home);
	uint32_t offset = (uint32_t)ip_distance(&home.addr, want);
	const struct lent *lent = b ? block_lent(b, want) : NULL;
	char ip[IP_STRLEN];
	int err = static_check(p, want, ip_str(want, ip), r);

	if (err)
		return err;
	if (lent && !str_eq(lent->node, p->m->self))
		return refuse_taken(r, net, ip, lent->node, NULL);
	*ret = *want;
	if (lent)
		return 0;
	if (!b) {
		change_claim(p->m, net, &home, offset + 1, change);
		return 1;
	}
	if (is_mine(p->m, b)) {
		if (offset < b->own)
			return 0;
		change_own(net, b, offset + 1, change);
		return 1;
	}
	if (offset < b->own || b->lent_len == LENT_MAX)
		return refuse_taken(r, net, ip, b->node, NULL);
	change_lend(p->m, net, b, want, change);
	return 1;
}

int ipam_pick(const struct model *m, const struct net *net,
	      const struct rest *rests, const struct ip_addr *want,
	      struct ip_addr *ret, struct ipam_change *change,
	      struct refusal *r)
{
	struct pick p = { m, net, rests };

	if (ip_is_none(want))
		return pick_any(&p, ret, change, r);
	return pick_static(&p, want, ret, change, r);
}

int ipam_return(const struct model *m, const struct net *net,
		const struct ip_addr *addr, struct ipam_change *change)
{
	struct ip_prefix home = prefix_make(addr, ipam_block_len(&net->subnet));
	const struct block *b = block_at(net, &home);
	struct block next;

	if (!b || is_mine(m, b) || local_user(m, net, addr) ||
	    model_hold(m, addr))
		return 0;
	for (size_t i = 0; i < b->lent_len; i++) {
		if (!ip_eq(&b->lent[i].addr, addr) ||
		    !str_eq(b->lent[i].node, m->self))
			continue;
		next = *b;
		next.lent[i] = next.lent[--next.lent_len];
		change_block(net, &next, change);
		return 1;
	}
	return 0;
}

static bool overlaps_vips(const struct net *net, const struct ip_prefix *vips,
			  uint32_t len, const struct ip_prefix *p, char *what,
			  size_t size)
{
	char buf[PREFIX_STRLEN];

	for (uint32_t i = 0; i < len; i++) {
		if (!prefix_overlaps(&vips[i], p))
			continue;
		snprintf(what, size, "the VIP range %s of network \"%s\"",
			 prefix_str(&vips[i], buf), net->name);
		return true;
	}
	return false;
}

static bool overlaps_net(const struct net *net, const struct ip_prefix *p,
			 char *what, size_t size)
{
	char buf[PREFIX_STRLEN];

	if (!net->rev)
		return false;
	if (prefix_overlaps(&net->subnet, p)) {
		snprintf(what, size, "%s of network \"%s\"",
			 prefix_str(&net->subnet, buf), net->name);
		return true;
	}
	if (net_is_dual(net) && prefix_overlaps(&net->subnet6, p)) {
		snprintf(what, size, "%s of network \"%s\"",
			 prefix_str(&net->subnet6, buf), net->name);
		return true;
	}
	return overlaps_vips(net, net->vips, net->vips_len, p, what, size) ||
	       overlaps_vips(net, net->vips6, net->vips6_len, p, what, size);
}

static bool overlaps_node(const struct node *node, const struct ip_prefix *p,
			  char *what, size_t size)
{
	char buf[PREFIX_STRLEN];

	for (uint32_t i = 0; i < node->addrs_len; i++) {
		if (prefix_contains(p, &node->addrs[i])) {
			snprintf(what, size, "the address %s of node %s",
				 ip_str(&node->addrs[i], buf), node->name);
			return true;
		}
	}
	for (size_t i = 0; i < node->routes_len; i++) {
		if (prefix_overlaps(&node->routes[i], p)) {
			snprintf(what, size, "the route %s of node %s",
				 prefix_str(&node->routes[i], buf), node->name);
			return true;
		}
	}
	return false;
}

bool ipam_taken(const struct model *m, const struct ip_prefix *p, char *what,
		size_t size)
{
	for (const struct net *net = m->nets; net; net = net->hh.next)
		if (overlaps_net(net, p, what, size))
			return true;
	for (const struct node *node = m->nodes; node; node = node->hh.next)
		if (overlaps_node(node, p, what, size))
			return true;
	return false;
}

bool ipam_overlap(const struct model *m, const struct ip_prefix *p, char *what,
		  size_t size)
{
	char buf[PREFIX_STRLEN];

	if (prefix_overlaps(&m->ipam.vip_pool, p)) {
		snprintf(what, size, "the VIP pool %s (ipam.vip_pool)",
			 prefix_str(&m->ipam.vip_pool, buf));
		return true;
	}
	if (ula_overlaps_vips(m, p)) {
		snprintf(what, size, "what IPv6 VIPs are picked from");
		return true;
	}
	return ipam_taken(m, p, what, size);
}

/* The first prefix of this length in the pool that nothing overlaps. */
static bool first_free(const struct model *m, const struct ip_prefix *pool,
		       uint8_t len, struct ip_prefix *ret)
{
	struct ip_prefix p = prefix_make(&pool->addr, len);
	int64_t count = prefix_size(pool) / MAX(prefix_size(&p), 1);
	char what[320];

	for (int64_t i = 0; len >= pool->len && i < count; i++) {
		if (!ipam_taken(m, &p, what, sizeof(what))) {
			*ret = p;
			return true;
		}
		p.addr = ip_add(&p.addr, prefix_size(&p));
	}
	return false;
}

int ipam_pick_subnet(const struct model *m, uint8_t len, struct ip_prefix *ret,
		     struct refusal *r)
{
	for (size_t i = 0; i < m->ipam.pools_len; i++)
		if (first_free(m, &m->ipam.pools[i], len, ret))
			return 0;
	return refuse(r, API_EXHAUSTED, "subnet",
		      "give --subnet, or add a range to ipam.pools",
		      "no free subnet: networks and the nodes' own routes "
		      "cover ipam.pools");
}

int ipam_pick_vips(const struct model *m, struct ip_prefix *ret,
		   struct refusal *r)
{
	if (first_free(m, &m->ipam.vip_pool, m->ipam.vips_len, ret))
		return 0;
	return refuse(r, API_EXHAUSTED, "vip",
		      "remove networks, or set a larger ipam.vip_pool",
		      "no free VIP range: networks and the nodes' own routes "
		      "cover ipam.vip_pool");
}

int ipam_pick_vni(const struct model *m, uint32_t *ret, struct refusal *r)
{
	for (uint32_t vni = VNI_FIRST; vni <= VNI_LAST; vni++) {
		if (!model_net_by_vni(m, vni)) {
			*ret = vni;
			return 0;
		}
	}
	return refuse(r, API_EXHAUSTED, "name", "remove networks",
		      "no free VNI is left");
}

static struct vip *vip_at(const struct net *net, const struct ip_addr *a)
{
	char key[IP_STRLEN];
	struct vip *vip;

	ip_str(a, key);
	HASH_FIND_STR(net->vip_claims, key, vip);
	return vip;
}

static int vip_check(const struct net *net, const struct ip_addr *want,
		     struct refusal *r)
{
	const struct vip *vip = vip_at(net, want);
	bool inside = false;
	char ip[IP_STRLEN], buf[PREFIX_STRLEN];

	for (uint32_t i = 0; i < net->vips_len; i++)
		inside |= prefix_contains(&net->vips[i], want);
	if (!inside)
		return refuse(
			r, API_INVALID, "vip",
			"choose an address of the range, or leave --vip out",
			"VIP %s is not in the VIP range %s of network \"%s\"",
			ip_str(want, ip), prefix_str(&net->vips[0], buf),
			net->name);
	if (vip)
		return refuse(r, API_CONFLICT, "vip",
			      "choose another, or leave --vip out",
			      "VIP %s is service \"%s\"'s on network \"%s\"",
			      ip_str(want, ip), vip->service, net->name);
	return 0;
}

int ipam_pick_vip(const struct net *net, const struct ip_addr *want,
		  struct ip_addr *ret, struct refusal *r)
{
	if (!ip_is_none(want)) {
		int err = vip_check(net, want, r);

		if (!err)
			*ret = *want;
		return err;
	}
	for (uint32_t i = 0; i < net->vips_len; i++) {
		int64_t size = prefix_size(&net->vips[i]);

		/* The first is left out: tools take it for a network's. */
		for (int64_t k = 1; k < size; k++) {
			struct ip_addr a = ip_add(&net->vips[i].addr, k);

			if (!vip_at(net, &a)) {
				*ret = a;
				return 0;
			}
		}
	}
	return -ENOSPC;
}
