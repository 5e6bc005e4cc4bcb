/* SPDX-License-Identifier: Apache-2.0 */
/* Services to the balancer. */
#include "rc.h"

#include <netinet/in.h>

#include "fault.h"
#include "netd/ebpf.h"
#include "netd/util.h"
#include "plan.h"
#include "service.h"

static struct told_service *told_service(struct reconcile *rc, const char *net,
					 const char *name, bool make)
{
	struct told_service *told;
	char key[sizeof(told->key)];

	if (str_format(key, sizeof(key), "%s/%s", net, name))
		return NULL;
	HASH_FIND_STR(rc->services, key, told);
	if (!told && make) {
		told = xzalloc(sizeof(*told));
		memcpy(told->key, key, sizeof(key));
		HASH_ADD_STR(rc->services, key, told);
	}
	return told;
}

static bool frontend_eq(const struct want_frontend *a,
			const struct want_frontend *b)
{
	return ip_eq(&a->addr, &b->addr) && a->port == b->port &&
	       a->proto == b->proto && a->v6 == b->v6;
}

/* A pod's own port of this node goes before. */
static bool is_taken(const struct reconcile *rc, const struct want_frontend *fe)
{
	const struct pod_port port = { .host = fe->addr,
				       .port = fe->port,
				       .proto = fe->proto };

	return fe->bound && pod_port_owner(rc->m, &port);
}

/* Takes back every frontend that is not among `keep`. */
static void untell(struct reconcile *rc, struct told_service *told,
		   const struct want_frontend *keep, size_t len)
{
	for (size_t i = 0; i < told->frontends_len; i++) {
		size_t k = 0;

		while (k < len && !frontend_eq(&keep[k], &told->frontends[i]))
			k++;
		if (k < len)
			continue;
		if (!is_taken(rc, &told->frontends[i]))
			ebpf_frontend_del(rc->cfg.bpf, &told->frontends[i]);
		if (ip_is_none(&told->frontends[i].addr))
			ebpf_sources_put(rc->cfg.bpf, &told->frontends[i], NULL,
					 0);
	}
	told->frontends_len = 0;
}

/* Published ports alone have any. */
static int tell_sources(struct reconcile *rc, const struct service *s,
			const struct want_frontend *fe)
{
	if (!ip_is_none(&fe->addr))
		return 0;
	return ebpf_sources_put(rc->cfg.bpf, fe, s->sources, s->sources_len);
}

static size_t drop_taken(const struct reconcile *rc, struct want_frontend *fe,
			 uint16_t *target, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		if (is_taken(rc, &fe[i]))
			continue;
		target[kept] = target[i];
		fe[kept++] = fe[i];
	}
	return kept;
}

static int tell_frontends(struct reconcile *rc, struct told_service *told,
			  const struct net *net, const struct service *s)
{
	struct want_frontend fe[FRONTENDS_MAX];
	uint16_t target[FRONTENDS_MAX];
	size_t len = plan_frontends(net, s, fe, target, FRONTENDS_MAX);
	int err = 0;

	len = drop_taken(rc, fe, target, len);
	untell(rc, told, fe, len);
	for (size_t i = 0; i < len; i++) {
		size_t n = 0;
		struct want_backend *b =
			plan_backends(rc->m, net, s, &fe[i], target[i], &n);
		int ret = tell_sources(rc, s, &fe[i]);

		if (!ret)
			ret = ebpf_frontend_put(rc->cfg.bpf, &fe[i], b, n);
		free(b);
		if (ret)
			err = ret;
	}
	memcpy(told->frontends, fe, len * sizeof(fe[0]));
	told->frontends_len = len;
	told->vni = net->vni;
	return err;
}

static void forget_service(struct reconcile *rc, struct told_service *told)
{
	const char *name = strchr(told->key, '/') + 1;

	/* Backwards: no new connection is sent where nobody will answer. */
	rc_service_name_del(rc, told->vni, name);
	fault_after(FAULT_SERVICE_GONE);
	untell(rc, told, NULL, 0);
	HASH_DEL(rc->services, told);
	free(told);
}

void rc_service(struct reconcile *rc, const char *net_name, const char *name)
{
	const struct net *net = model_net(rc->m, net_name);
	const struct service *s = net ? net_service(net, name) : NULL;
	struct told_service *told = told_service(rc, net_name, name, s);
	const char *detail = "";
	int err;

	if (!s) {
		if (told)
			forget_service(rc, told);
		if (net)
			rc_alias(rc, net, name);
		return;
	}
	if (!told)
		return;
	err = tell_frontends(rc, told, net, s);
	if (err)
		detail = ebpf_error(rc->cfg.bpf);
	if (!err)
		err = fault_at(FAULT_SERVICE_PUT);
	if (!err && rc_net_has_zone(rc, net))
		err = rc_service_names(rc, net, s);
	if (err) {
		rc_complain(rc, err, "tell the service", name, detail);
		rc_mark_later(rc, MARK_SERVICE, net_name, name);
	}
}

void rc_services_sweep(struct reconcile *rc)
{
	struct told_service *told, *tmp;

	HASH_ITER (hh, rc->services, told, tmp) {
		char net_name[NAME_LEN];
		size_t len = strcspn(told->key, "/");
		const struct net *net;

		memcpy(net_name, told->key, len);
		net_name[len] = '\0';
		net = model_net(rc->m, net_name);
		if (!net || !net_service(net, told->key + len + 1))
			forget_service(rc, told);
	}
}
