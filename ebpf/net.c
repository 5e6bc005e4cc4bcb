/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net - networks and routes: what every address is, and behind whom it is.
 *
 * Under VNI 0 stand the ranges of all networks, known to be somebody's even
 * where this node has no part in them: that is what isolation rests on.
 */
#include <uthash.h>

#include "load.h"

struct net {
	UT_hash_handle hh;
	uint32_t vni;
	struct want_net want;
	uint32_t epoch;
};

/* Subnets, gateways and VIP ranges. */
#define NET_ENTRIES_MAX (NET_PREFIXES_MAX + RANGES_MAX)

struct net_entry {
	struct ip_prefix prefix;
	enum abi_route_kind kind;
};

static struct abi_route_key route_key(uint32_t vni, const struct ip_prefix *p)
{
	/* The trie keeps host bits that it is given: there are none. */
	struct ip_prefix clean = prefix_make(&p->addr, p->len);
	struct abi_route_key key = {
		.prefixlen = 32U + clean.len,
		.vni = vni,
		.addr = abi_addr(&clean.addr),
	};

	return key;
}

static size_t range_entries(const struct want_range *range,
			    struct net_entry *ret)
{
	size_t n = 0;

	ret[n++] = (struct net_entry){ range->subnet, ABI_ROUTE_SUBNET };
	if (!ip_is_none(&range->gateway))
		ret[n++] = (struct net_entry){ prefix_host(&range->gateway),
					       ABI_ROUTE_GATEWAY };
	for (uint32_t i = 0; i < MIN(range->vips_len, NET_VIPS_MAX); i++)
		ret[n++] = (struct net_entry){ range->vips[i], ABI_ROUTE_VIPS };
	return n;
}

static size_t net_entries(const struct want_net *want,
			  struct net_entry ret[NET_ENTRIES_MAX])
{
	size_t n = 0;

	for (uint32_t i = 0; i < MIN(want->ranges_len, RANGES_MAX); i++)
		n += range_entries(&want->ranges[i], ret + n);
	return n;
}

static int net_write(struct ebpf *bpf, const struct want_net *want)
{
	struct net_entry entries[NET_ENTRIES_MAX];
	size_t n = net_entries(want, entries);
	struct abi_net net = { .flags = want->internal ? ABI_NET_INTERNAL : 0 };
	int err;

	abi_ranges_clear(net.ranges);
	for (uint32_t i = 0; i < MIN(want->ranges_len, RANGES_MAX); i++) {
		const struct want_range *range = &want->ranges[i];

		net.ranges[abi_family(&range->subnet.addr)] =
			abi_range(&range->subnet.addr, range->subnet.len,
				  &range->gateway);
	}
	err = ebpf_table_put(bpf, TABLE_NETS, &want->vni, &net);
	for (size_t i = 0; !err && i < n; i++) {
		struct abi_route_key key = route_key(0, &entries[i].prefix);
		struct abi_route route = { .vni = want->vni,
					   .kind = (uint8_t)entries[i].kind };

		err = ebpf_table_put(bpf, TABLE_ROUTES, &key, &route);
	}
	return err;
}

/* What `old` has and `want` (NULL: nobody) has not. */
static int net_erase(struct ebpf *bpf, const struct want_net *old,
		     const struct want_net *want)
{
	struct net_entry had[NET_ENTRIES_MAX], have[NET_ENTRIES_MAX];
	size_t n = net_entries(old, had);
	size_t m = want ? net_entries(want, have) : 0;
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		struct abi_route_key key = route_key(0, &had[i].prefix);
		bool stays = false;

		for (size_t k = 0; !stays && k < m; k++)
			stays = prefix_eq(&had[i].prefix, &have[k].prefix);
		if (!stays)
			err = ebpf_table_del(bpf, TABLE_ROUTES, &key);
	}
	return err;
}

int ebpf_net_put(struct ebpf *bpf, const struct want_net *want)
{
	struct net *net;
	int err;

	ebpf_begin();
	if (!want->vni || want->vni >= ABI_VNI_REQUEST)
		return ebpf_fail(bpf, -EINVAL, "vni %u", want->vni);
	err = net_write(bpf, want);
	if (err)
		return err;
	HASH_FIND(hh, bpf->nets, &want->vni, sizeof(want->vni), net);
	if (!net) {
		net = xzalloc(sizeof(*net));
		net->vni = want->vni;
		HASH_ADD(hh, bpf->nets, vni, sizeof(net->vni), net);
	} else {
		err = net_erase(bpf, &net->want, want);
		if (err)
			return err;
	}
	net->want = *want;
	net->epoch = bpf->epoch;
	return 0;
}

static int net_drop(struct ebpf *bpf, struct net *net)
{
	int err = ebpf_table_del(bpf, TABLE_NETS, &net->vni);

	if (!err)
		err = net_erase(bpf, &net->want, NULL);
	if (err)
		return err;
	HASH_DEL(bpf->nets, net);
	free(net);
	return 0;
}

int ebpf_net_del(struct ebpf *bpf, uint32_t vni)
{
	struct net *net;

	ebpf_begin();
	HASH_FIND(hh, bpf->nets, &vni, sizeof(vni), net);
	return net ? net_drop(bpf, net) : 0;
}

int net_audit_end(struct ebpf *bpf)
{
	struct net *net, *next;
	int err = 0;

	HASH_ITER (hh, bpf->nets, net, next) {
		int rc = net->epoch == bpf->epoch ? 0 : net_drop(bpf, net);

		err = err ? err : rc;
	}
	return err;
}

void net_free_all(struct ebpf *bpf)
{
	struct net *net, *next;

	HASH_ITER (hh, bpf->nets, net, next) {
		HASH_DEL(bpf->nets, net);
		free(net);
	}
}

int ebpf_route_put(struct ebpf *bpf, const struct want_route *want)
{
	struct abi_route_key key = route_key(want->vni, &want->dst);
	struct abi_route route = { .vtep = abi_addr(&want->vtep),
				   .vni = want->vni,
				   .kind = ABI_ROUTE_REMOTE };

	ebpf_begin();
	if (!want->vni)
		return ebpf_fail(bpf, -EINVAL, "route without a network");
	return ebpf_table_put(bpf, TABLE_ROUTES, &key, &route);
}

int ebpf_route_del(struct ebpf *bpf, uint32_t vni, const struct ip_prefix *dst)
{
	struct abi_route_key key = route_key(vni, dst);

	ebpf_begin();
	return vni ? ebpf_table_del(bpf, TABLE_ROUTES, &key) : 0;
}
