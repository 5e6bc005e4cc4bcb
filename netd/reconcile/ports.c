/* SPDX-License-Identifier: Apache-2.0 */
/* Pods' own ports of this node: to the balancer, and who has them already. */
#include "rc.h"

#include <sys/random.h>

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

int rc_ports_check(struct reconcile *rc, const struct pod *pod,
		   const struct attachment *at)
{
	int err = 0;

	for (size_t i = 0; !err && i < pod->ports_len; i++) {
		struct want_frontend fe = frontend_of(&pod->ports[i], at);

		if (str_eq(pod->ports[i].network, at->network))
			err = ebpf_frontend_check(rc->cfg.bpf, &fe);
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

/* What programs of the host listen on, read once for all ports of a request:
 * /proc tells of every connection, too. */
struct snapshot {
	const struct model *m;
	struct listener *list;
	size_t len;
};

static bool snapshot_add(void *arg, const struct listener *l)
{
	struct snapshot *s = arg;

	s->list = xrealloc(s->list, (s->len + 1) * sizeof(*s->list));
	s->list[s->len++] = *l;
	return true;
}

/* Names are resolved, and much else is done, on addresses that are no node's:
 * a network's gateway, for one. Who listens there is in nobody's way. */
static bool is_in_the_way(const struct model *m, const struct listener *l,
			  const struct pod_port *port)
{
	const struct node *self = model_node(m, m->self);

	if (l->proto != port->proto || l->port != port->port)
		return false;
	if (ip_is_none(&l->addr) || ip_eq(&l->addr, &port->host))
		return true;
	if (!ip_is_none(&port->host))
		return false;
	for (uint32_t i = 0; self && i < self->addrs_len; i++)
		if (ip_eq(&self->addrs[i], &l->addr))
			return true;
	return ip_is_loopback(&l->addr);
}

static bool find_listener(const void *arg, const struct pod_port *port,
			  char *owner, size_t size)
{
	const struct snapshot *s = arg;

	for (size_t i = 0; i < s->len; i++) {
		if (!is_in_the_way(s->m, &s->list[i], port))
			continue;
		/* Who it is takes a walk through /proc: if it is asked. */
		if (owner)
			listener_name(&s->list[i], owner, size);
		return true;
	}
	return false;
}

int reconcile_ports_claim(struct reconcile *rc, struct pod *pod,
			  const struct pod_port *ports, size_t len,
			  struct refusal *r)
{
	struct snapshot snapshot = { .m = rc->m };
	struct pod_port_listeners listeners = { &snapshot, find_listener };
	size_t had = pod->ports_len;
	unsigned int start;
	int err = 0;

	if (!len)
		return 0;
	if (getrandom(&start, sizeof(start), 0) != sizeof(start))
		abort();
	listeners_each(snapshot_add, &snapshot);
	for (size_t i = 0; !err && i < len; i++) {
		struct pod_port port = ports[i];

		err = pod_port_claim(rc->m, pod, &port, &listeners, start, r);
	}
	free(snapshot.list);
	if (err)
		pod->ports_len = had;
	return err;
}

/* Forgets those from this place on, newest first. */
static void cut_ports(struct reconcile *rc, struct pod *pod, size_t len)
{
	struct pod all = *pod;

	if (pod->ports_len == len)
		return;
	/* What is taken back is told by a pod that has only those. */
	all.ports += len;
	all.ports_len -= len;
	for (size_t i = 0; i < pod->nets_len; i++)
		rc_ports_del(rc, &all, &pod->nets[i]);
	pod->ports_len = len;
}

static int put_ports(struct reconcile *rc, struct pod *pod)
{
	int err = 0;

	for (size_t i = 0; !err && i < pod->nets_len; i++)
		if (attachment_is_in(&pod->nets[i]))
			err = rc_ports_put(rc, pod, &pod->nets[i]);
	return err;
}

int reconcile_pod_publish(struct reconcile *rc, struct pod *pod,
			  const struct pod_port *ports, size_t len,
			  struct refusal *r)
{
	size_t had = pod->ports_len;
	int err = reconcile_ports_claim(rc, pod, ports, len, r);

	if (!err) {
		err = put_ports(rc, pod);
		if (!err)
			err = rc_pod_journal(rc, pod);
		if (err)
			refuse(r, API_INTERNAL, "publish",
			       "see the log of netd",
			       "pod \"%s\": cannot publish its ports: %s (%s)",
			       pod->name, strerror(-err),
			       ebpf_error(rc->cfg.bpf));
	}
	if (err)
		cut_ports(rc, pod, had);
	return err;
}

void reconcile_pod_unpublish(struct reconcile *rc, struct pod *pod,
			     const char *network)
{
	struct attachment *at = pod_attachment(pod, network);
	size_t kept = 0;

	if (at)
		rc_ports_del(rc, pod, at);
	for (size_t i = 0; i < pod->ports_len; i++)
		if (!str_eq(pod->ports[i].network, network))
			pod->ports[kept++] = pod->ports[i];
	pod->ports_len = kept;
	rc_pod_journal(rc, pod);
}
