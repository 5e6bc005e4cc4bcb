/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports that somebody else has on this node: a program of the host
 * that listens, whom the mesh answers for, or a pod with a port of this node
 * alone, which goes before. Either's owner should know.
 */
#include "rc.h"

#include "json.h"
#include "listeners.h"
#include "netd/util.h"

static json_t *list_of(json_t *all, const struct port_claim *claim)
{
	json_t *net = json_object_get(all, claim->network);
	json_t *list;

	if (!net) {
		net = json_object();
		json_object_set_new(all, claim->network, net);
	}
	list = json_object_get(net, claim->service);
	if (!list) {
		list = json_array();
		json_object_set_new(net, claim->service, list);
	}
	return list;
}

/* Takes text. One program often listens on both families: once is enough. */
static void add_held(json_t *all, const struct port_claim *claim, json_t *text)
{
	json_t *list = list_of(all, claim);

	for (size_t i = 0; i < json_array_size(list); i++) {
		if (json_equal(json_array_get(list, i), text)) {
			json_decref(text);
			return;
		}
	}
	json_array_append_new(list, text);
}

static bool covers(const struct port_claim *claim, uint8_t proto,
		   unsigned int port, const struct ip_addr *addr)
{
	return claim->proto == proto && port >= claim->first &&
	       port <= claim->last &&
	       (ip_is_none(&claim->host) || ip_is_none(addr) ||
		ip_eq(&claim->host, addr));
}

struct held {
	const struct model *m;
	json_t *all;
};

static bool add_listener(void *arg, const struct listener *l)
{
	struct held *held = arg;
	char owner[64];

	for (struct port_claim *c = held->m->ports; c; c = c->hh.next) {
		if (!covers(c, l->proto, l->port, &l->addr))
			continue;
		listener_name(l, owner, sizeof(owner));
		add_held(held->all, c,
			 json_sprintf("%u/%s held by %s", l->port,
				      proto_name(l->proto), owner));
	}
	return true;
}

static void add_pod(struct held *held, const struct pod *pod)
{
	for (size_t i = 0; i < pod->ports_len; i++) {
		const struct pod_port *p = &pod->ports[i];
		char text[POD_PORT_STRLEN];

		for (struct port_claim *c = held->m->ports; c; c = c->hh.next)
			if (covers(c, p->proto, p->port, &p->host))
				add_held(held->all, c,
					 json_sprintf("%s held by pod %s",
						      pod_port_str(p, text),
						      pod->name));
	}
}

json_t *held_ports(const struct model *m)
{
	struct held held = { .m = m, .all = json_object() };

	if (m->ports)
		listeners_each(add_listener, &held);
	for (const struct pod *pod = m->pods; m->ports && pod;
	     pod = pod->hh.next)
		add_pod(&held, pod);
	return held.all;
}
