/* SPDX-License-Identifier: Apache-2.0 */
#include "whose.h"

#include "network.h"
#include "pair.h"
#include "pod.h"

/*
 * There is no index of endpoints by address: the data path has its own, and
 * only people ask here. In a network of more than these, where a look at all
 * of them would hold up the loop, others' pods stay without a name.
 */
#define SCAN_MAX 20000

static struct whose nobody(void)
{
	return (struct whose){ WHOSE_NOBODY, "", "", "" };
}

static struct whose whose_attachment(const struct model *m,
				     const struct pod *pod,
				     const struct attachment *at)
{
	return (struct whose){ WHOSE_POD, pod_shown_name(pod), at->network,
			       m->self };
}

static struct whose whose_pod_here(const struct model *m,
				   const struct ip_addr *addr)
{
	for (struct pod *pod = m->pods; pod; pod = pod->hh.next)
		for (size_t i = 0; i < pod->nets_len; i++)
			if (ip_eq(&pod->nets[i].addr, addr))
				return whose_attachment(m, pod, &pod->nets[i]);
	return nobody();
}

static struct whose whose_in_subnet(const struct model *m,
				    const struct net *net,
				    const struct ip_addr *addr)
{
	struct ip_addr gateway = net_gateway(net);
	struct whose w = nobody();

	if (ip_eq(&gateway, addr)) {
		w.kind = WHOSE_GATEWAY;
		w.network = net->name;
		return w;
	}
	w = whose_pod_here(m, addr);
	if (w.kind)
		return w;
	w.network = net->name;
	if (HASH_COUNT(net->endpoints) > SCAN_MAX)
		return w;
	for (struct endpoint *ep = net->endpoints; ep; ep = ep->hh.next)
		if (ip_eq(&ep->addr, addr))
			return (struct whose){ WHOSE_POD, ep->pod, net->name,
					       ep->node };
	return w;
}

static struct whose whose_vip(const struct net *net, const struct ip_addr *addr)
{
	struct whose w = nobody();
	char key[IP_STRLEN];
	struct vip *vip;

	ip_str(addr, key);
	HASH_FIND_STR(net->vip_claims, key, vip);
	w.network = net->name;
	if (vip) {
		w.kind = WHOSE_SERVICE;
		w.name = vip->service;
	}
	return w;
}

static struct whose whose_node(const struct model *m,
			       const struct ip_addr *addr)
{
	struct whose w = { WHOSE_NODE, "", "", "" };

	for (struct node *node = m->nodes; node; node = node->hh.next) {
		w.name = w.node = node->name;
		if (ip_eq(&node->vtep, addr))
			return w;
		for (uint32_t i = 0; i < node->addrs_len; i++)
			if (ip_eq(&node->addrs[i], addr))
				return w;
	}
	return nobody();
}

struct whose model_whose(const struct model *m, const struct ip_addr *addr)
{
	if (ip_is_none(addr))
		return nobody();
	for (struct net *net = m->nets; net; net = net->hh.next) {
		struct ip_addr pod, vip;

		if (!net->rev)
			continue;
		/* Both families of a network go in pairs. */
		pod = pair_primary(net, addr);
		vip = pair_primary_vip(net, addr);
		if (!ip_is_none(&pod))
			return whose_in_subnet(m, net, &pod);
		if (!ip_is_none(&vip))
			return whose_vip(net, &vip);
	}
	return whose_node(m, addr);
}

struct whose model_whose_link(const struct model *m, uint32_t ifindex)
{
	for (struct pod *pod = m->pods; ifindex && pod; pod = pod->hh.next)
		for (size_t i = 0; i < pod->nets_len; i++)
			if (pod->nets[i].ifindex == ifindex)
				return whose_attachment(m, pod, &pod->nets[i]);
	return nobody();
}
