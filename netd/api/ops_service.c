/* SPDX-License-Identifier: Apache-2.0 */
/* Services: VIP, ports and published ports are claimed with the service, in
 * one transaction. */
#include <netinet/in.h>

#include "call.h"
#include "ipam.h"
#include "netd/util.h"
#include "json.h"
#include "network.h"
#include "pair.h"
#include "pod_port.h"
#include "service.h"
#include "service_dns.h"
#include "service_tune.h"
#include "ula.h"

typedef int edit_fn(struct service *s, const char *text, struct refusal *r);

/* Runs one of service_*_add/del for every word of a list argument. */
static int edit(struct call *call, struct service *s, const char *arg,
		edit_fn *fn)
{
	json_t *text;
	size_t i;

	json_array_foreach (call_list(call, arg), i, text) {
		if (fn(s, json_string_value(text), &call->refusal))
			return -EINVAL;
	}
	return 0;
}

struct service *call_service(struct call *call, struct net **net)
{
	const char *name = call_str(call, "name");
	struct service *s;

	*net = call_net(call, "network");
	if (!*net)
		return NULL;
	s = net_service(*net, name);
	if (!s)
		refuse(&call->refusal, API_NOT_FOUND, "name",
		       "see: netctl service ls",
		       "service \"%.64s\" not found on network \"%s\"", name,
		       (*net)->name);
	return s;
}

/* "tcp/8080-8080@192.0.2.1" */
static const char *claim_key(const struct port *p, char key[PATH_LEN])
{
	char ip[IP_STRLEN] = "";

	if (!ip_is_none(&p->host))
		ip_str(&p->host, ip);
	snprintf(key, PATH_LEN, "%s/%u-%u%s%s", proto_name(p->proto), p->port,
		 p->port, *ip ? "@" : "", ip);
	return key;
}

static bool is_published(const struct service *s, const struct port *p)
{
	for (size_t i = 0; s && i < s->published_len; i++)
		if (s->published[i].port == p->port &&
		    s->published[i].proto == p->proto &&
		    ip_eq(&s->published[i].host, &p->host))
			return true;
	return false;
}

static bool is_nodes(const struct model *m, const struct ip_addr *addr)
{
	for (const struct node *n = m->nodes; n; n = n->hh.next) {
		if (n->rev && ip_eq(&n->vtep, addr))
			return true;
		for (uint32_t i = 0; n->rev && i < n->addrs_len; i++)
			if (ip_eq(&n->addrs[i], addr))
				return true;
	}
	return false;
}

/* An address that some node has, where no pod of ours has the port. */
static int check_host(struct call *call, const struct port *p)
{
	const struct pod_port port = { .host = p->host,
				       .port = p->port,
				       .proto = p->proto };
	const struct pod *pod;
	char ip[IP_STRLEN];

	if (ip_is_none(&p->host))
		return 0;
	ip_str(&p->host, ip);
	if (!ip_is_loopback(&p->host) && !is_nodes(call->m, &p->host))
		return refuse(&call->refusal, API_INVALID, "publish",
			      "see: netctl node ls -o wide",
			      "port %u/%s: no node has the address %s", p->port,
			      proto_name(p->proto), ip);
	pod = pod_port_owner(call->m, &port);
	if (pod)
		return refuse(
			&call->refusal, API_CONFLICT, "publish",
			"publish another port, or remove it there first",
			"port %u/%s on %s is published by pod \"%s\" of this "
			"node",
			p->port, proto_name(p->proto), ip, pod->name);
	return 0;
}

static int claim_port(struct call *call, const struct net *net,
		      const struct service *s, const struct port *p)
{
	const struct port_claim *c =
		model_port_claim(call->m, &p->host, p->port, p->proto);
	char key[PATH_LEN];

	if (c)
		return refuse(&call->refusal, API_CONFLICT, "publish",
			      "publish another port, or remove it there first",
			      "port %u/%s is published by service \"%s\" on "
			      "network \"%s\"",
			      p->port, proto_name(p->proto), c->service,
			      c->network);
	if (check_host(call, p))
		return -EINVAL;
	claim_key(p, key);
	call_is(call, 0, "c/ports/%s", key);
	call_put(call,
		 json_pack("{s:i, s:s, s:s}", "schema", 1, "network", net->name,
			   "service", s->name),
		 "c/ports/%s", key);
	return 0;
}

/* Claims what is published anew and gives up what is not any more. */
static int claim_ports(struct call *call, const struct net *net,
		       const struct service *old, const struct service *s)
{
	bool added = false;
	char key[PATH_LEN];

	for (size_t i = 0; i < s->published_len; i++) {
		if (is_published(old, &s->published[i]))
			continue;
		if (claim_port(call, net, s, &s->published[i]))
			return -EINVAL;
		added = true;
	}
	for (size_t i = 0; old && i < old->published_len; i++) {
		const struct port *p = &old->published[i];

		if (!is_published(s, p))
			call_del(call, "c/ports/%s", claim_key(p, key));
	}
	if (added)
		call_gen(call, "ports", call->m->gen_ports_rev);
	return 0;
}

/* A pair to the range that was picked, as far as there are pairs. */
static int grow_vips6(struct call *call, struct net *net)
{
	struct ip_prefix ula;

	if (!net_is_dual(net) || net->vips6_len != net->vips_len - 1)
		return 0;
	ula = call_ula(call);
	return ula_pick_vips(call->m, &ula, &net->vips6[net->vips6_len++],
			     &call->refusal);
}

/* One more range for a network whose VIPs are all taken. */
static enum ops_next grow_vips(struct call *call, struct net *net)
{
	struct net next = *net;
	struct refusal *r = &call->refusal;

	if (net->vips_len == NET_VIPS_MAX) {
		refuse(&call->refusal, API_EXHAUSTED, "vip",
		       "remove services, or use another network",
		       "network \"%s\" has no free VIP", net->name);
		return OPS_REFUSE;
	}
	if (!ip_is_v4(&net->subnet.addr)) {
		struct ip_prefix ula = call_ula(call);

		if (ula_pick_vips(call->m, &ula, &next.vips[next.vips_len++],
				  r))
			return OPS_REFUSE;
	} else if (ipam_pick_vips(call->m, &next.vips[next.vips_len++], r) ||
		   grow_vips6(call, &next)) {
		return OPS_REFUSE;
	}
	call_is(call, net->rev, "c/nets/%s", net->name);
	call_gen(call, "subnets", call->m->gen_subnets_rev);
	call_put(call, net_to_json(&next), "c/nets/%s", net->name);
	return OPS_AGAIN;
}

struct status {
	json_t *list;
	size_t up;
	size_t all;
};

static json_t *problems(const struct net *net, const struct service *s)
{
	json_t *all = json_array();

	for (const struct up *up = net->ups; up; up = up->hh.next) {
		json_t *text;
		size_t i;

		json_array_foreach (json_object_get(up->held, s->name), i,
				    text) {
			json_array_append_new(
				all, json_sprintf("%s: %s", up->node,
						  json_string_value(text)));
		}
	}
	return all;
}

static void count_backend(void *arg, const struct backend *b)
{
	struct status *st = arg;

	st->all++;
	st->up += b->state == BACKEND_UP;
}

static json_t *service_json(const struct call *call, const struct net *net,
			    const struct service *s)
{
	struct status st = { 0 };
	json_t *doc = service_to_json(s);
	struct ip_addr vip6;

	service_backends(call->m, net, s, count_backend, &st);
	json_object_set_new(doc, "name", json_string(s->name));
	json_object_set_new(doc, "network", json_string(net->name));
	if (ip_is_none(&s->vip))
		json_object_set_new(doc, "vip", json_string(""));
	vip6 = pair_vip(net, &s->vip);
	json_object_set_new(doc, "vip6", json_ip_or_none(&vip6));
	json_object_set(doc, "static_backends",
			json_object_get(doc, "backends"));
	json_object_del(doc, "backends");
	json_object_del(doc, "schema");
	json_object_set_new(doc, "backends_up",
			    json_integer((json_int_t)st.up));
	json_object_set_new(doc, "backends_all",
			    json_integer((json_int_t)st.all));
	json_object_set_new(doc, "problems", problems(net, s));
	return doc;
}

static int read_mode(struct call *call, struct service *s)
{
	const char *mode = call_str(call, "endpoint_mode");

	if (mode && !str_eq(mode, "vip") && !str_eq(mode, "dnsrr"))
		return refuse(
			&call->refusal, API_INVALID, "endpoint_mode",
			"say vip or dnsrr",
			"service \"%s\": there is no endpoint mode \"%.32s\"",
			s->name, mode);
	if (call_str(call, "external_name") && (mode || call_str(call, "vip")))
		return refuse(
			&call->refusal, API_INVALID,
			mode ? "endpoint_mode" : "vip",
			"leave it out, or leave out --external-name",
			"service \"%s\": another name has neither VIP nor "
			"backends",
			s->name);
	s->dnsrr = mode && str_eq(mode, "dnsrr");
	if (s->dnsrr && call_str(call, "vip"))
		return refuse(&call->refusal, API_INVALID, "vip",
			      "leave out --vip, or --endpoint-mode dnsrr",
			      "service \"%s\": dnsrr has no VIP", s->name);
	return 0;
}

static int read_selector(struct call *call, struct service *s)
{
	json_t *selector = call_list(call, "selector");
	const char *key;
	json_t *value;

	if (!selector)
		return 0;
	json_object_foreach (selector, key, value) {
		/* `--selector app` is a slip, not a wish for empty labels. */
		if (!*json_string_value(value))
			return refuse(&call->refusal, API_INVALID, "selector",
				      "write KEY=VALUE, such as app=web",
				      "selector \"%.64s\" has no value", key);
	}
	json_decref(s->selector);
	s->selector = json_incref(selector);
	return 0;
}

static int read_names(struct call *call, struct service *s)
{
	const char *external = call_str(call, "external_name");

	if (!json_get_u32(call->args, "ttl", &s->ttl))
		s->has_ttl = true;
	if (edit(call, s, "alias", service_alias_add) ||
	    edit(call, s, "alias_rm", service_alias_del) ||
	    edit(call, s, "alias_add", service_alias_add))
		return -EINVAL;
	if (!external)
		return 0;
	s->dnsrr = true;
	return service_external_set(s, external, &call->refusal);
}

static int read_service(struct call *call, const struct net *net,
			struct service *s)
{
	json_t *labels = call_list(call, "label");

	s->labels = labels ? json_incref(labels) : json_object();
	s->selector = json_object();
	if (read_mode(call, s) || read_selector(call, s) ||
	    edit(call, s, "port", service_port_add) ||
	    edit(call, s, "publish", service_publish_add) ||
	    edit(call, s, "backend", service_backend_add) ||
	    tune_read(&s->tune, call->args, &call->refusal) ||
	    service_sources_set(s, call_list(call, "publish_from"),
				&call->refusal) ||
	    read_names(call, s))
		return -EINVAL;
	return service_check(call->m, net, s, &call->refusal);
}

static int pick_vip(struct call *call, const struct net *net, struct service *s)
{
	const char *text = call_str(call, "vip");
	struct ip_addr want = { 0 };

	if (s->dnsrr)
		return 0;
	if (text && ip_parse(text, &want))
		return refuse(&call->refusal, API_INVALID, "vip",
			      "write --vip 10.80.0.10",
			      "\"%.64s\" is not an address", text);
	if (pair_wish_vip(net, &want, &want, &call->refusal))
		return -EINVAL;
	return ipam_pick_vip(net, &want, &s->vip, &call->refusal);
}

static enum ops_next create(struct call *call, struct net *net,
			    struct service *s)
{
	int err = pick_vip(call, net, s);
	char vip[IP_STRLEN];

	if (err == -ENOSPC)
		return grow_vips(call, net);
	if (err || claim_ports(call, net, NULL, s))
		return OPS_REFUSE;
	call_is(call, net->rev, "c/nets/%s", net->name);
	call_is(call, 0, "n/%s/s/services/%s", net->name, s->name);
	call_is(call, 0, "n/%s/s/records/%s", net->name, s->name);
	call_put(call, service_to_json(s), "n/%s/s/services/%s", net->name,
		 s->name);
	if (!s->dnsrr) {
		ip_str(&s->vip, vip);
		call_is(call, 0, "n/%s/s/vips/%s", net->name, vip);
		call_put(call,
			 json_pack("{s:i, s:s}", "schema", 1, "service",
				   s->name),
			 "n/%s/s/vips/%s", net->name, vip);
	}
	call->reply = service_json(call, net, s);
	return OPS_COMMIT;
}

enum ops_next op_service_create(struct call *call)
{
	const char *name = call_str(call, "name");
	struct net *net = call_net(call, "network");
	enum ops_next next = OPS_REFUSE;
	struct service *s;

	if (!net || name_check("service", name, &call->refusal))
		return OPS_REFUSE;
	if (str_eq(name, "tasks")) {
		refuse(&call->refusal, API_INVALID, "name",
		       "choose another name",
		       "service \"tasks\": the name is reserved in DNS");
		return OPS_REFUSE;
	}
	if (net_service(net, name)) {
		refuse(&call->refusal, API_CONFLICT, "name",
		       "choose another name, or use: netctl service update",
		       "service \"%s\" exists already on network \"%s\"", name,
		       net->name);
		return OPS_REFUSE;
	}
	s = xzalloc(sizeof(*s));
	str_copy(s->name, sizeof(s->name), name);
	if (!read_service(call, net, s))
		next = create(call, net, s);
	service_free(s);
	return next;
}

enum ops_next op_service_list(struct call *call)
{
	model_sort(call->m);
	call->reply = json_array();
	for (struct net *net = call->m->nets; net; net = net->hh.next)
		for (struct service *s = net->services; net->rev && s;
		     s = s->hh.next)
			json_array_append_new(call->reply,
					      service_json(call, net, s));
	return OPS_REPLY;
}

enum ops_next op_service_inspect(struct call *call)
{
	struct net *net;
	struct service *s = call_service(call, &net);

	if (!s)
		return OPS_REFUSE;
	call->reply = service_json(call, net, s);
	return OPS_REPLY;
}

/* A service does not turn into another name, nor back. */
static int read_update_names(struct call *call, struct service *s)
{
	if (call_str(call, "external_name") && !*s->external)
		return refuse(&call->refusal, API_INVALID, "external_name",
			      "remove the service and create it anew",
			      "service \"%s\" has backends of its own",
			      s->name);
	return read_names(call, s);
}

static int update(struct call *call, const struct net *net, struct service *s)
{
	json_t *labels = call_list(call, "label");

	if (labels) {
		json_t *merged =
			s->labels ? json_copy(s->labels) : json_object();

		json_object_update(merged, labels);
		json_decref(s->labels);
		s->labels = merged;
	}
	if (read_selector(call, s) ||
	    edit(call, s, "port_rm", service_port_del) ||
	    edit(call, s, "port_add", service_port_add) ||
	    edit(call, s, "publish_rm", service_publish_del) ||
	    edit(call, s, "publish_add", service_publish_add) ||
	    edit(call, s, "backend_rm", service_backend_del) ||
	    edit(call, s, "backend_add", service_backend_add) ||
	    tune_read(&s->tune, call->args, &call->refusal) ||
	    service_sources_set(s, call_list(call, "publish_from"),
				&call->refusal) ||
	    read_update_names(call, s))
		return -EINVAL;
	return service_check(call->m, net, s, &call->refusal);
}

enum ops_next op_service_update(struct call *call)
{
	struct net *net;
	struct service *old = call_service(call, &net);
	enum ops_next next = OPS_REFUSE;
	struct service *s;

	if (!old)
		return OPS_REFUSE;
	s = service_from_json(old->name, old->doc);
	if (!update(call, net, s) && !claim_ports(call, net, old, s)) {
		call_is(call, old->rev, "n/%s/s/services/%s", net->name,
			s->name);
		call_put(call, service_to_json(s), "n/%s/s/services/%s",
			 net->name, s->name);
		call->reply = service_json(call, net, s);
		next = OPS_COMMIT;
	}
	service_free(s);
	return next;
}

enum ops_next op_service_delete(struct call *call)
{
	struct net *net;
	struct service *s = call_service(call, &net);
	char vip[IP_STRLEN], key[PATH_LEN];

	if (!s)
		return OPS_REFUSE;
	call_is(call, s->rev, "n/%s/s/services/%s", net->name, s->name);
	call_del(call, "n/%s/s/services/%s", net->name, s->name);
	if (!ip_is_none(&s->vip))
		call_del(call, "n/%s/s/vips/%s", net->name,
			 ip_str(&s->vip, vip));
	for (size_t i = 0; i < s->published_len; i++)
		call_del(call, "c/ports/%s", claim_key(&s->published[i], key));
	call->reply =
		json_pack("{s:s, s:s}", "name", s->name, "network", net->name);
	return OPS_COMMIT;
}
