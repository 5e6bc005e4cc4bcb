/* SPDX-License-Identifier: Apache-2.0 */
/* DNS records that operators write, and zones that others are asked for. */
#include "call.h"
#include "netd/util.h"
#include "static_record.h"

/* A value of its own, or the name's first. */
static enum ops_next record_commit(struct call *call, const struct net *net,
				   const struct static_record *old,
				   const struct static_record *rec)
{
	/* Neither the network goes nor a service of the name comes between. */
	call_is(call, net->rev, "c/nets/%s", net->name);
	call_is(call, 0, "n/%s/s/services/%s", net->name, rec->name);
	call_is(call, old ? old->rev : 0, "n/%s/s/records/%s", net->name,
		rec->name);
	if (rec->len)
		call_put(call, static_record_to_json(rec), "n/%s/s/records/%s",
			 net->name, rec->name);
	else
		call_del(call, "n/%s/s/records/%s", net->name, rec->name);
	call->reply = json_pack("{s:s, s:s}", "name", rec->name, "network",
				net->name);
	return OPS_COMMIT;
}

/* The name's records as they are, or none: the caller's. */
static struct static_record *record_copy(const struct static_record *old,
					 const char *name)
{
	struct static_record *rec;

	if (old)
		return static_record_from_json(name, old->doc);
	rec = xzalloc(sizeof(*rec));
	str_copy(rec->name, sizeof(rec->name), name);
	return rec;
}

enum ops_next op_dns_record_add(struct call *call)
{
	struct net *net = call_net(call, "network");
	enum ops_next next = OPS_REFUSE;
	struct static_record *old, *rec;
	char name[POD_NAME_LEN];
	uint32_t ttl;
	bool has_ttl = !json_get_u32(call->args, "ttl", &ttl);

	if (!net ||
	    static_record_name_parse(call->m, net, call_str(call, "name"), name,
				     &call->refusal) ||
	    static_record_name_check(net, name, &call->refusal))
		return OPS_REFUSE;
	old = net_record(net, name);
	rec = record_copy(old, name);
	if (!static_record_add(rec, call_str(call, "type"),
			       call_str(call, "value"), has_ttl ? &ttl : NULL,
			       &call->refusal))
		next = record_commit(call, net, old, rec);
	static_record_free(rec);
	return next;
}

enum ops_next op_dns_record_delete(struct call *call)
{
	struct net *net = call_net(call, "network");
	enum ops_next next = OPS_REFUSE;
	struct static_record *old, *rec;
	char name[POD_NAME_LEN];

	if (!net ||
	    static_record_name_parse(call->m, net, call_str(call, "name"), name,
				     &call->refusal))
		return OPS_REFUSE;
	old = net_record(net, name);
	if (!old) {
		refuse(&call->refusal, API_NOT_FOUND, "name",
		       "see: netctl dns record ls",
		       "record \"%s\" not found on network \"%s\"", name,
		       net->name);
		return OPS_REFUSE;
	}
	rec = record_copy(old, name);
	if (!static_record_del(rec, call_str(call, "type"),
			       call_str(call, "value"), &call->refusal))
		next = record_commit(call, net, old, rec);
	static_record_free(rec);
	return next;
}

static void record_rows(json_t *list, const struct net *net,
			const struct static_record *rec)
{
	for (size_t i = 0; i < rec->len; i++) {
		const struct static_record_value *v = &rec->values[i];
		json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "name",
					rec->name, "network", net->name, "type",
					static_record_type_name(v->want.type),
					"value", v->text);

		if (v->has_ttl)
			json_object_set_new(row, "ttl",
					    json_integer(v->want.ttl));
		json_array_append_new(list, row);
	}
}

enum ops_next op_dns_record_list(struct call *call)
{
	model_sort(call->m);
	call->reply = json_array();
	for (struct net *net = call->m->nets; net; net = net->hh.next) {
		const struct static_record *rec =
			net->rev ? net->records : NULL;

		for (; rec; rec = rec->hh.next)
			record_rows(call->reply, net, rec);
	}
	return OPS_REPLY;
}

/* The network of a stub zone, NULL for every one; false: refused. */
static bool stub_net(struct call *call, struct net **ret)
{
	*ret = call_str(call, "network") ? call_net(call, "network") : NULL;
	return *ret || !call_str(call, "network");
}

static void stub_key(char key[PATH_LEN], const struct net *net,
		     const char *zone)
{
	if (net)
		snprintf(key, PATH_LEN, "n/%s/s/upstreams/%s", net->name, zone);
	else
		snprintf(key, PATH_LEN, "c/upstreams/%s", zone);
}

static json_t *stub_json(const struct net *net, const struct stub_zone *stub)
{
	json_t *doc = stub_zone_to_json(stub);

	json_object_del(doc, "schema");
	json_object_set_new(doc, "zone", json_string(stub->zone));
	json_object_set_new(doc, "network", json_string(net ? net->name : ""));
	return doc;
}

enum ops_next op_dns_upstream_set(struct call *call)
{
	struct stub_zone stub;
	const struct stub_zone *old;
	char key[PATH_LEN];
	struct net *net;

	if (!stub_net(call, &net) ||
	    stub_zone_parse(call->m, net, call_str(call, "zone"),
			    call_str(call, "servers"), &stub, &call->refusal))
		return OPS_REFUSE;
	old = model_stub(call->m, net, stub.zone);
	stub.doc = old ? old->doc : NULL;
	stub_key(key, net, stub.zone);
	if (net)
		call_is(call, net->rev, "c/nets/%s", net->name);
	call_is(call, old ? old->rev : 0, "%s", key);
	call_put(call, stub_zone_to_json(&stub), "%s", key);
	call->reply = stub_json(net, &stub);
	return OPS_COMMIT;
}

enum ops_next op_dns_upstream_delete(struct call *call)
{
	const struct stub_zone *stub;
	char zone[POD_NAME_LEN], key[PATH_LEN];
	struct net *net;

	if (!stub_net(call, &net) ||
	    stub_zone_name(call_str(call, "zone"), zone, &call->refusal))
		return OPS_REFUSE;
	stub = model_stub(call->m, net, zone);
	if (!stub) {
		refuse(&call->refusal, API_NOT_FOUND, "zone",
		       "see: netctl dns upstream ls",
		       "zone \"%s\" has no servers of its own%s%s", zone,
		       net ? " on network " : "", net ? net->name : "");
		return OPS_REFUSE;
	}
	stub_key(key, net, zone);
	call_is(call, stub->rev, "%s", key);
	call_del(call, "%s", key);
	call->reply = stub_json(net, stub);
	return OPS_COMMIT;
}

enum ops_next op_dns_upstream_list(struct call *call)
{
	const struct stub_zone *stub;

	model_sort(call->m);
	call->reply = json_array();
	for (stub = call->m->stubs; stub; stub = stub->hh.next)
		json_array_append_new(call->reply, stub_json(NULL, stub));
	for (struct net *net = call->m->nets; net; net = net->hh.next)
		for (stub = net->stubs; net->rev && stub; stub = stub->hh.next)
			json_array_append_new(call->reply,
					      stub_json(net, stub));
	return OPS_REPLY;
}
