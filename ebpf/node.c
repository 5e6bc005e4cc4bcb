/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node - the nodes' tunnel ends and addresses.
 *
 * Several nodes may have the same address (a container engine's bridge has
 * it on every host). The map has one entry per address: this node's own
 * claim comes first, then that of the lowest VTEP.
 */
#include <uthash.h>

#include "load.h"

struct node {
	UT_hash_handle hh;
	struct want_node want;
	uint32_t epoch;
};

/* An address and all nodes that have it. */
struct claim {
	UT_hash_handle hh;
	struct ip_addr addr;
	const struct node **nodes;
	size_t len;
};

static struct claim *claim_find(const struct ebpf *bpf,
				const struct ip_addr *addr)
{
	struct claim *c;

	HASH_FIND(hh, bpf->claims, addr, sizeof(*addr), c);
	return c;
}

static void claim_free(struct ebpf *bpf, struct claim *c)
{
	HASH_DEL(bpf->claims, c);
	free(c->nodes);
	free(c);
}

static bool claim_precedes(const struct node *a, const struct node *b)
{
	if (a->want.self != b->want.self)
		return a->want.self;
	return ip_cmp(&a->want.vtep, &b->want.vtep) < 0;
}

/* The entry says who has the address first, or goes with the last claim. */
static int claim_write(struct ebpf *bpf, const struct ip_addr *addr)
{
	struct claim *c = claim_find(bpf, addr);
	struct abi_route_key key = { .prefixlen = 32 + 128,
				     .addr = abi_addr(addr) };
	struct abi_route route = { .kind = ABI_ROUTE_NODE };
	const struct node *first;

	if (!c || !c->len) {
		if (c)
			claim_free(bpf, c);
		return ebpf_table_del(bpf, TABLE_ROUTES, &key);
	}
	first = c->nodes[0];
	for (size_t i = 1; i < c->len; i++) {
		if (claim_precedes(c->nodes[i], first))
			first = c->nodes[i];
	}
	route.vtep = abi_addr(&first->want.vtep);
	route.self = first->want.self;
	return ebpf_table_put(bpf, TABLE_ROUTES, &key, &route);
}

static int claim_put(struct ebpf *bpf, const struct node *node,
		     const struct ip_addr *addr)
{
	struct claim *c = claim_find(bpf, addr);

	if (!c) {
		c = xzalloc(sizeof(*c));
		c->addr = *addr;
		HASH_ADD(hh, bpf->claims, addr, sizeof(c->addr), c);
	}
	for (size_t i = 0; i < c->len; i++) {
		if (c->nodes[i] == node)
			return claim_write(bpf, addr);
	}
	c->nodes = xrealloc(c->nodes, (c->len + 1) * sizeof(*c->nodes));
	c->nodes[c->len++] = node;
	return claim_write(bpf, addr);
}

static int claim_del(struct ebpf *bpf, const struct node *node,
		     const struct ip_addr *addr)
{
	struct claim *c = claim_find(bpf, addr);

	for (size_t i = 0; c && i < c->len; i++) {
		if (c->nodes[i] == node)
			c->nodes[i--] = c->nodes[--c->len];
	}
	return claim_write(bpf, addr);
}

static bool has_addr(const struct want_node *want, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < want->addrs_len; i++) {
		if (ip_eq(&want->addrs[i], addr))
			return true;
	}
	return ip_eq(&want->vtep, addr);
}

/* Some other node may have the same tunnel end while one replaces another. */
static bool vtep_is_shared(const struct ebpf *bpf, const struct node *node,
			   const struct ip_addr *vtep)
{
	const struct claim *c = claim_find(bpf, vtep);

	for (size_t i = 0; c && i < c->len; i++) {
		if (c->nodes[i] != node && !c->nodes[i]->want.self &&
		    ip_eq(&c->nodes[i]->want.vtep, vtep))
			return true;
	}
	return false;
}

/* A packet has to pass both ends. */
static uint32_t vtep_mtu(const struct ebpf *bpf, const struct want_node *want)
{
	if (!want->mtu || !bpf->mtu)
		return want->mtu ? want->mtu : bpf->mtu;
	return MIN(want->mtu, bpf->mtu);
}

static int vtep_put(struct ebpf *bpf, const struct want_node *want)
{
	struct abi_addr vtep = abi_addr(&want->vtep);
	uint32_t mtu = vtep_mtu(bpf, want);

	/* What claims to come from here by the tunnel does not. */
	return want->self ? 0 : ebpf_table_put(bpf, TABLE_VTEPS, &vtep, &mtu);
}

/* This node's own tunnel is narrower or wider now. */
static int vteps_resize(struct ebpf *bpf, uint32_t mtu)
{
	struct node *node, *next;
	int err = 0;

	if (bpf->mtu == mtu)
		return 0;
	bpf->mtu = mtu;
	HASH_ITER (hh, bpf->nodes, node, next) {
		int rc = vtep_put(bpf, &node->want);

		err = err ? err : rc;
	}
	return err;
}

static int vtep_del(struct ebpf *bpf, const struct node *node,
		    const struct ip_addr *addr)
{
	struct abi_addr vtep = abi_addr(addr);
	int err;

	if (vtep_is_shared(bpf, node, addr))
		return 0;
	err = ebpf_table_del(bpf, TABLE_VTEPS, &vtep);
	ebpf_underlay_changed(bpf);
	return err;
}

/* What the node had and has not any more; want NULL: all of it. */
static int node_erase(struct ebpf *bpf, const struct node *node,
		      const struct want_node *had, const struct want_node *want)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < had->addrs_len; i++) {
		if (!want || !has_addr(want, &had->addrs[i]))
			err = claim_del(bpf, node, &had->addrs[i]);
	}
	if (!err && (!want || !has_addr(want, &had->vtep)))
		err = claim_del(bpf, node, &had->vtep);
	if (!err && (!want || want->self || !ip_eq(&had->vtep, &want->vtep)))
		err = vtep_del(bpf, node, &had->vtep);
	return err;
}

static struct node *node_find(const struct ebpf *bpf, const char *name)
{
	struct node *node;

	HASH_FIND(hh, bpf->nodes, name, (unsigned int)strlen(name), node);
	return node;
}

int ebpf_node_put(struct ebpf *bpf, const struct want_node *want)
{
	struct node *node = node_find(bpf, want->name);
	struct want_node had;
	int err;

	ebpf_begin();
	if (!node) {
		node = xzalloc(sizeof(*node));
		node->want = *want;
		HASH_ADD(hh, bpf->nodes, want.name,
			 (unsigned int)strlen(want->name), node);
	}
	had = node->want;
	node->want = *want;
	node->want.addrs_len = MIN(want->addrs_len, NODE_ADDRS_MAX);
	node->epoch = bpf->epoch;

	err = want->self ? vteps_resize(bpf, want->mtu)
			 : vtep_put(bpf, &node->want);
	for (uint32_t i = 0; !err && i < node->want.addrs_len; i++)
		err = claim_put(bpf, node, &node->want.addrs[i]);
	if (!err)
		err = claim_put(bpf, node, &node->want.vtep);
	if (!err)
		err = node_erase(bpf, node, &had, &node->want);
	/* Guards of this host's own addresses depend on which they are. */
	if (!err && (want->self || had.self))
		err = guard_apply(bpf);
	return err;
}

static int node_drop(struct ebpf *bpf, struct node *node)
{
	bool self = node->want.self;
	int err = node_erase(bpf, node, &node->want, NULL);

	if (err)
		return err;
	HASH_DEL(bpf->nodes, node);
	free(node);
	return self ? guard_apply(bpf) : 0;
}

int ebpf_node_del(struct ebpf *bpf, const char *name)
{
	struct node *node = node_find(bpf, name);

	ebpf_begin();
	return node ? node_drop(bpf, node) : 0;
}

bool node_is_self(const struct ebpf *bpf, const struct ip_addr *addr)
{
	const struct claim *c = claim_find(bpf, addr);

	for (size_t i = 0; c && i < c->len; i++) {
		if (c->nodes[i]->want.self)
			return true;
	}
	return false;
}

int node_audit_end(struct ebpf *bpf)
{
	struct node *node, *next;
	int err = 0;

	HASH_ITER (hh, bpf->nodes, node, next) {
		int rc = node->epoch == bpf->epoch ? 0 : node_drop(bpf, node);

		err = err ? err : rc;
	}
	return err;
}

void node_free_all(struct ebpf *bpf)
{
	struct node *node, *next;
	struct claim *c, *next_claim;

	HASH_ITER (hh, bpf->nodes, node, next) {
		HASH_DEL(bpf->nodes, node);
		free(node);
	}
	HASH_ITER (hh, bpf->claims, c, next_claim)
		claim_free(bpf, c);
}
