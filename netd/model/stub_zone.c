/* SPDX-License-Identifier: Apache-2.0 */
/* Zones whose names are asked of servers of their own; see static_record.h. */
#include "json.h"
#include "netd/util.h"
#include "network.h"
#include "static_record.h"

/* More is a mistake: every name that goes outside is compared with them. */
#define STUBS_MAX 64

void stub_zone_free(struct stub_zone *stub)
{
	if (!stub)
		return;
	json_decref(stub->doc);
	free(stub);
}

struct stub_zone *model_stub(const struct model *m, const struct net *net,
			     const char *zone)
{
	struct stub_zone *stub;

	HASH_FIND_STR(net ? net->stubs : m->stubs, zone, stub);
	return stub;
}

char *server_text(const struct want_server *server)
{
	char ip[IP_STRLEN];

	ip_str(&server->addr, ip);
	if (server->port == STUB_PORT)
		return xstrdup(ip);
	return xasprintf(ip_is_v4(&server->addr) ? "%s:%u" : "[%s]:%u", ip,
			 server->port);
}

/* "IP", "IP:PORT", "[IP6]", "[IP6]:PORT" */
static int server_parse(const char *text, struct want_server *ret)
{
	AUTO(str_freep) char *copy = xstrdup(text);
	char *host = copy, *port = NULL;
	uint32_t number = STUB_PORT;

	if (*host == '[') {
		char *end = strchr(++host, ']');

		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
	} else if (strchr(host, ':') == strrchr(host, ':')) {
		port = strchr(host, ':');
		if (port)
			*port++ = '\0';
	}
	if (ip_parse(host, &ret->addr) ||
	    (port && str_to_u32(port, 1, UINT16_MAX, &number)))
		return -EINVAL;
	ret->port = (uint16_t)number;
	return 0;
}

static bool is_a_host(const struct ip_addr *addr)
{
	if (ip_is_v4(addr))
		return ip_v4(addr) >> 24 && ip_v4(addr) < 0xe0000000;
	return !ip_is_none(addr) && addr->b[0] != 0xff;
}

static const struct net *net_of_gateway(const struct model *m,
					const struct ip_addr *addr)
{
	for (const struct net *net = m->nets; net; net = net->hh.next) {
		struct ip_addr gateway = net_gateway(net);
		struct ip_addr gateway6 = net_gateway6(net);

		if (net->rev &&
		    (ip_eq(&gateway, addr) || ip_eq(&gateway6, addr)))
			return net;
	}
	return NULL;
}

static int server_add(const struct model *m, struct stub_zone *stub,
		      const char *text, struct refusal *r)
{
	struct want_server *server = &stub->servers[stub->len];
	const struct net *net;

	if (stub->len == UPSTREAM_SERVERS_MAX)
		return refuse(r, API_INVALID, "servers", "leave some out",
			      "zone \"%s\": at most %d servers", stub->zone,
			      UPSTREAM_SERVERS_MAX);
	if (server_parse(text, server) || !is_a_host(&server->addr))
		return refuse(r, API_INVALID, "servers",
			      "write IP, IP:PORT or [IP6]:PORT, with commas "
			      "between them",
			      "zone \"%s\": \"%.64s\" is no server's address",
			      stub->zone, text);
	net = m ? net_of_gateway(m, &server->addr) : NULL;
	if (net)
		return refuse(r, API_INVALID, "servers",
			      "give a server outside",
			      "zone \"%s\": %.64s is the gateway of network "
			      "\"%s\", which is netd itself",
			      stub->zone, text, net->name);
	stub->len++;
	return 0;
}

int stub_zone_name(const char *text, char ret[POD_NAME_LEN], struct refusal *r)
{
	size_t len = strlen(text);

	if (!str_eq(text, ".") && domain_check("zone", text, r))
		return -EINVAL;
	str_copy(ret, POD_NAME_LEN, text);
	name_lower(ret);
	if (len > 1 && ret[len - 1] == '.')
		ret[len - 1] = '\0';
	return 0;
}

static bool is_below(const char *name, const char *zone)
{
	size_t len = strlen(name), n = strlen(zone);

	return len >= n && str_eq(name + len - n, zone) &&
	       (len == n || name[len - n - 1] == '.');
}

static int scope_check(const struct model *m, const struct net *net,
		       const struct stub_zone *stub, struct refusal *r)
{
	const struct stub_zone *others = net ? net->stubs : m->stubs;

	if (is_below(stub->zone, m->domain))
		return refuse(r, API_INVALID, "zone", "choose another zone",
			      "zone \"%s\": names below %s are netd's own",
			      stub->zone, m->domain);
	if (net && is_below(stub->zone, net->name))
		return refuse(r, API_INVALID, "zone", "choose another zone",
			      "zone \"%s\": names below it are network "
			      "\"%s\"'s own",
			      stub->zone, net->name);
	if (net && net->internal)
		return refuse(r, API_INVALID, "network",
			      "write records: netctl dns record add",
			      "network \"%s\" is internal: no name of it is "
			      "asked of others",
			      net->name);
	if (!model_stub(m, net, stub->zone) && HASH_COUNT(others) >= STUBS_MAX)
		return refuse(r, API_EXHAUSTED, "zone",
			      "remove one that is not needed",
			      "there are %d zones with servers of their own, "
			      "the most there can be",
			      STUBS_MAX);
	return 0;
}

int stub_zone_parse(const struct model *m, const struct net *net,
		    const char *zone, const char *servers,
		    struct stub_zone *ret, struct refusal *r)
{
	AUTO(str_freep) char *copy = xstrdup(servers);
	char *save = NULL, *word;

	*ret = (struct stub_zone){ 0 };
	if (stub_zone_name(zone, ret->zone, r) || scope_check(m, net, ret, r))
		return -EINVAL;
	for (word = strtok_r(copy, ",", &save); word;
	     word = strtok_r(NULL, ",", &save))
		if (server_add(m, ret, word, r))
			return -EINVAL;
	if (!ret->len)
		return refuse(r, API_INVALID, "servers",
			      "to forget the zone: netctl dns upstream rm",
			      "zone \"%s\": no server is given", ret->zone);
	return 0;
}

struct stub_zone *stub_zone_from_json(const char *zone, json_t *doc)
{
	struct stub_zone *stub = xzalloc(sizeof(*stub));
	struct refusal ignored;
	json_t *item;
	size_t i;

	if (stub_zone_name(zone, stub->zone, &ignored) ||
	    !str_eq(stub->zone, zone))
		goto bad;
	json_array_foreach (json_object_get(doc, "servers"), i, item) {
		const char *text = json_string_value(item);

		if (!text || server_add(NULL, stub, text, &ignored))
			goto bad;
	}
	if (!stub->len)
		goto bad;
	stub->doc = json_incref(doc);
	return stub;
bad:
	stub_zone_free(stub);
	return NULL;
}

json_t *stub_zone_to_json(const struct stub_zone *stub)
{
	json_t *doc = stub->doc ? json_copy(stub->doc) : json_object();
	json_t *list = json_array();

	for (size_t i = 0; i < stub->len; i++) {
		AUTO(str_freep) char *text = server_text(&stub->servers[i]);

		json_array_append_new(list, json_string(text));
	}
	json_object_set_new(doc, "schema", json_integer(1));
	json_object_set_new(doc, "servers", list);
	return doc;
}
