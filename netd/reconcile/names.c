/* SPDX-License-Identifier: Apache-2.0 */
/* Names to the DNS server, of networks that pods of this node are on. */
#include "netd/dns.h"

#include "netd/log.h"
#include "netd/util.h"
#include "pair.h"
#include "plan.h"
#include "rc.h"
#include "service_dns.h"
#include "static_record.h"

/* The service under this name, its own or an alias. */
static int tell_as(struct reconcile *rc, const struct net *net,
		   const struct service *s, const char *name,
		   const struct plan_tasks *t)
{
	struct want_name service = plan_name(rc->m, net, s, NAME_SERVICE);
	struct want_name tasks = plan_name(rc->m, net, s, NAME_TASKS);
	const struct ip_addr vips[] = { s->vip, pair_vip(net, &s->vip) };
	bool is_own = str_eq(name, s->name);
	int err;

	str_copy(service.name, sizeof(service.name), name);
	str_copy(tasks.name, sizeof(tasks.name), name);
	/* An address has one name. */
	service.ptr = service.ptr && is_own;
	tasks.ptr = tasks.ptr && is_own;
	tasks.addrs_len = t->len;
	service.addrs_len = *s->external	   ? 0
			    : s->dnsrr		   ? t->len
			    : ip_is_none(&vips[1]) ? 1
						   : 2;
	/* The backends first: the service's SRV leads to them. */
	err = dns_name_put(rc->cfg.dns, &tasks, t->addrs, t->hosts);
	if (err)
		return err;
	return dns_name_put(rc->cfg.dns, &service, s->dnsrr ? t->addrs : vips,
			    NULL);
}

int rc_service_names(struct reconcile *rc, const struct net *net,
		     const struct service *s)
{
	struct plan_tasks t = plan_tasks(rc->m, net, s);
	json_t *alias;
	size_t i;
	int err = tell_as(rc, net, s, s->name, &t);

	if (t.is_cut)
		log_warn_limited("reconcile: more backends than a name may "
				 "have, it has some of them service=%s net=%s "
				 "max=%d",
				 s->name, net->name, NAME_ADDRS_MAX);
	json_array_foreach (s->aliases, i, alias) {
		const char *name = json_string_value(alias);

		if (!err && net_service_named(net, name) == s)
			err = tell_as(rc, net, s, name, &t);
	}
	plan_tasks_free(&t);
	return err;
}

void rc_service_name_del(struct reconcile *rc, uint32_t vni, const char *name)
{
	dns_name_del(rc->cfg.dns, vni, NAME_SERVICE, name);
	dns_name_del(rc->cfg.dns, vni, NAME_TASKS, name);
}

void rc_alias(struct reconcile *rc, const struct net *net, const char *name)
{
	const struct service *s = net_service_named(net, name);

	if (s)
		rc_mark(rc, MARK_SERVICE, net->name, s->name);
	else
		rc_service_name_del(rc, net->vni, name);
}

/* Does one of the endpoints call itself so, rather than by an alias? */
static bool is_own_name(const struct pod_name *pn)
{
	for (size_t i = 0; i < pn->len; i++)
		if (strcasecmp(pn->eps[i]->pod, pn->name) == 0)
			return true;
	return false;
}

static void complain(struct reconcile *rc, int err, enum mark_kind kind,
		     const char *net, const char *name)
{
	rc_complain(rc, err, "tell the name", name, "");
	rc_mark_later(rc, kind, net, name);
}

void rc_name(struct reconcile *rc, const char *net_name, const char *name)
{
	const struct net *net = model_net(rc->m, net_name);
	struct pod_name *pn = net ? net_name_of(net, name) : NULL;
	struct want_name want;
	struct ip_addr *addrs;
	int err;

	if (!net || !rc_net_has_zone(rc, net))
		return;
	want = plan_name(rc->m, net, NULL, NAME_POD);
	addrs = plan_pod_addrs(rc->m, pn, &want.addrs_len);
	str_copy(want.name, sizeof(want.name), name);
	want.ptr = pn && is_own_name(pn);
	if (want.addrs_len)
		err = dns_name_put(rc->cfg.dns, &want, addrs, NULL);
	else
		err = dns_name_del(rc->cfg.dns, net->vni, NAME_POD, name);
	free(addrs);
	if (err)
		complain(rc, err, MARK_NAME, net_name, name);
}

void rc_record(struct reconcile *rc, const char *net_name, const char *name)
{
	const struct net *net = model_net(rc->m, net_name);
	const struct static_record *rec = net ? net_record(net, name) : NULL;
	struct want_value *values;
	size_t len;
	int err;

	if (!net || !rc_net_has_zone(rc, net))
		return;
	if (!rec) {
		dns_name_del(rc->cfg.dns, net->vni, NAME_RECORD, name);
		return;
	}
	values = plan_record(rc->m, rec, &len);
	err = dns_record_put(rc->cfg.dns, net->vni, name, values, len);
	free(values);
	if (err)
		complain(rc, err, MARK_RECORD, net_name, name);
}

void rc_stub(struct reconcile *rc, const char *net_name, const char *zone)
{
	const struct net *net = *net_name ? model_net(rc->m, net_name) : NULL;
	const struct stub_zone *stub;
	struct want_upstream want;
	int err;

	if (*net_name && (!net || !rc_net_has_zone(rc, net)))
		return;
	stub = model_stub(rc->m, net, zone);
	if (!stub) {
		dns_upstream_del(rc->cfg.dns, net ? net->vni : 0, zone);
		return;
	}
	want = plan_stub(net, stub);
	err = dns_upstream_put(rc->cfg.dns, &want);
	if (err)
		complain(rc, err, MARK_STUB, net_name, zone);
}

void rc_written(struct reconcile *rc, const struct net *net)
{
	for (struct static_record *r = net->records; r; r = r->hh.next)
		rc_record(rc, net->name, r->name);
	for (struct stub_zone *stub = net->stubs; stub; stub = stub->hh.next)
		rc_stub(rc, net->name, stub->zone);
}
