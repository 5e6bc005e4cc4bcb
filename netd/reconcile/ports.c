/* SPDX-License-Identifier: Apache-2.0 */
/* Pods' own ports of this node: to the balancer, and who has them already. */
#include "rc.h"

#include <sys/random.h>

#include "listeners.h"
#include "netd/ebpf.h"
#include "netd/util.h"

typedef int port_fn(struct ebpf *bpf, const struct want_frontend *fe,
		    const struct want_backend *backend);

static int put_one(struct ebpf *bpf, const struct want_frontend *fe,
		   const struct want_backend *backend)
{
	return ebpf_frontend_put(bpf, fe, backend, 1);
}

static int check_one(struct ebpf *bpf, const struct want_frontend *fe,
		     const struct want_backend *backend)
{
	(void)backend;
	return ebpf_frontend_check(bpf, fe);
}

static int del_one(struct ebpf *bpf, const struct want_frontend *fe,
		   const struct want_backend *backend)
{
	(void)backend;
	return ebpf_frontend_del(bpf, fe);
}

/* Clients of one family reach the pod by its address of that family. */
static int for_family(struct reconcile *rc, const struct pod_port *port,
		      const struct attachment *at, bool v6, port_fn *fn)
{
	const struct ip_addr *addr = attachment_addr(at, v6);
	struct want_frontend fe = {
		.vni = at->vni,
		.addr = port->host,
		.port = port->port,
		.proto = port->proto,
		.v6 = v6,
		.node = true,
	};
	struct want_backend backend = {
		.vni = at->vni,
		.port = port->target,
		.weight = 1,
	};

	if (!addr || (!ip_is_none(&port->host) && ip_is_v4(&port->host) == v6))
		return 0;
	backend.addr = *addr;
	return fn(rc->cfg.bpf, &fe, &backend);
}

/* For each port that leads to this attachment; the first failure is told. */
static int for_ports(struct reconcile *rc, const struct pod *pod,
		     const struct attachment *at, port_fn *fn)
{
	int ret = 0;

	for (size_t i = 0; i < 2 * pod->ports_len; i++) {
		const struct pod_port *port = &pod->ports[i / 2];
		int err = 0;

		if (str_eq(port->network, at->network))
			err = for_family(rc, port, at, i % 2, fn);
		ret = ret ? ret : err;
	}
	return ret;
}

int rc_ports_put(struct reconcile *rc, const struct pod *pod,
		 const struct attachment *at)
{
	return for_ports(rc, pod, at, put_one);
}

int rc_ports_check(struct reconcile *rc, const struct pod *pod,
		   const struct attachment *at)
{
	return for_ports(rc, pod, at, check_one);
}

/* A service that stood back for it answers there again. */
static void mark_next(struct reconcile *rc, const struct pod_port *port)
{
	const struct port_claim *c =
		model_port_claim(rc->m, &port->host, port->port, port->proto);

	if (c)
		rc_mark(rc, MARK_SERVICE, c->network, c->service);
}

void rc_ports_del(struct reconcile *rc, const struct pod *pod,
		  const struct attachment *at)
{
	if (for_ports(rc, pod, at, del_one))
		rc_complain(rc, -EIO, "take back a port of", pod->name,
			    ebpf_error(rc->cfg.bpf));
	for (size_t i = 0; i < pod->ports_len; i++)
		mark_next(rc, &pod->ports[i]);
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
