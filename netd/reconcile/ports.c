/* SPDX-License-Identifier: Apache-2.0 */
/* Pods' own ports of this node: to the balancer, and who has them already. */
#include "rc.h"

#include "listeners.h"
#include "netd/ebpf.h"
#include "netd/util.h"

static struct want_frontend frontend_of(const struct pod_port *port,
					const struct attachment *at)
{
	return (struct want_frontend){
		.vni = at->vni,
		.addr = port->host,
		.port = port->port,
		.proto = port->proto,
		.node = true,
	};
}

int rc_ports_put(struct reconcile *rc, const struct pod *pod,
		 const struct attachment *at)
{
	int err = 0;

	for (size_t i = 0; !err && i < pod->ports_len; i++) {
		const struct pod_port *port = &pod->ports[i];
		struct want_frontend fe = frontend_of(port, at);
		struct want_backend backend = {
			.addr = at->addr,
			.vni = at->vni,
			.port = port->target,
			.weight = 1,
		};

		if (str_eq(port->network, at->network))
			err = ebpf_frontend_put(rc->cfg.bpf, &fe, &backend, 1);
	}
	return err;
}

void rc_ports_del(struct reconcile *rc, const struct pod *pod,
		  const struct attachment *at)
{
	for (size_t i = 0; i < pod->ports_len; i++) {
		const struct pod_port *port = &pod->ports[i];
		struct want_frontend fe = frontend_of(port, at);

		if (str_eq(port->network, at->network) &&
		    ebpf_frontend_del(rc->cfg.bpf, &fe))
			rc_complain(rc, -EIO, "take back a port of", pod->name,
				    ebpf_error(rc->cfg.bpf));
	}
}

struct search {
	const struct model *m;
	const struct pod_port *port;
	char *owner;
	size_t size;
	bool found;
};

/* Names are resolved, and much else is done, on addresses that are no node's:
 * a network's gateway, for one. Who listens there is in nobody's way. */
static bool is_in_the_way(const struct search *s, const struct listener *l)
{
	const struct node *self = model_node(s->m, s->m->self);

	if (ip_is_none(&l->addr) || ip_eq(&l->addr, &s->port->host))
		return true;
	if (!ip_is_none(&s->port->host))
		return false;
	for (uint32_t i = 0; self && i < self->addrs_len; i++)
		if (ip_eq(&self->addrs[i], &l->addr))
			return true;
	return ip_is_loopback(&l->addr);
}

static bool look_at(void *arg, const struct listener *l)
{
	struct search *s = arg;

	if (l->proto != s->port->proto || l->port != s->port->port ||
	    !is_in_the_way(s, l))
		return true;
	listener_name(l, s->owner, s->size);
	s->found = true;
	return false;
}

static bool find_listener(const void *arg, const struct pod_port *port,
			  char *owner, size_t size)
{
	struct search s = {
		.m = arg, .port = port, .owner = owner, .size = size
	};

	listeners_each(look_at, &s);
	return s.found;
}

struct pod_port_listeners reconcile_listeners(const struct reconcile *rc)
{
	return (struct pod_port_listeners){ .arg = rc->m,
					    .find = find_listener };
}
