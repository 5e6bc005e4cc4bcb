/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <netinet/in.h>

#include "json.h"
#include "netd/util.h"
#include "pair.h"
#include "service_dns.h"
#include "service_tune.h"

void service_free(struct service *s)
{
	if (!s)
		return;
	json_decref(s->selector);
	json_decref(s->labels);
	json_decref(s->aliases);
	json_decref(s->drains);
	json_decref(s->doc);
	free(s);
}

static uint8_t proto_parse(const char *word)
{
	if (word && str_eq(word, "udp"))
		return IPPROTO_UDP;
	if (word && str_eq(word, "tcp"))
		return IPPROTO_TCP;
	return 0;
}

/* [{"port"|"published", "target", "protocol"}] */
static int ports_read(json_t *list, const char *first, struct port *ports,
		      size_t *len)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		uint32_t port, target;
		const char *proto =
			json_string_value(json_object_get(item, "protocol"));

		if (i == PORTS_MAX || json_get_u32(item, first, &port) ||
		    json_get_u32(item, "target", &target) || !port ||
		    port > 65535 || !target || target > 65535 ||
		    !proto_parse(proto))
			return -EINVAL;
		ports[*len] = (struct port){ .port = (uint16_t)port,
					     .target = (uint16_t)target,
					     .proto = proto_parse(proto) };
		if (json_object_get(item, "host_ip") &&
		    json_read_ip(json_object_get(item, "host_ip"),
				 &ports[*len].host))
			return -EINVAL;
		if (!json_get_str(item, "name", ports[*len].name,
				  PORT_NAME_LEN) &&
		    !port_name_is_valid(ports[*len].name))
			return -EINVAL;
		(*len)++;
	}
	return 0;
}

static json_t *ports_json(const struct port *ports, size_t len,
			  const char *first)
{
	json_t *list = json_array();

	for (size_t i = 0; i < len; i++) {
		json_t *port =
			json_pack("{s:i, s:i, s:s}", first, ports[i].port,
				  "target", ports[i].target, "protocol",
				  proto_name(ports[i].proto));

		if (*ports[i].name)
			json_object_set_new(port, "name",
					    json_string(ports[i].name));
		if (!ip_is_none(&ports[i].host))
			json_object_set_new(port, "host_ip",
					    json_ip(&ports[i].host));
		json_array_append_new(list, port);
	}
	return list;
}

struct service *service_from_json(const char *name, json_t *doc)
{
	struct service *s = xzalloc(sizeof(*s));
	const char *mode = json_string_value(json_object_get(doc, "mode"));
	json_t *vip = json_object_get(doc, "vip");
	json_t *list = json_object_get(doc, "backends");
	json_t *item;
	struct refusal ignored;
	size_t i;

	if (!str_copy(s->name, sizeof(s->name), name) ||
	    (vip && json_read_ip(vip, &s->vip)) ||
	    ports_read(json_object_get(doc, "ports"), "port", s->ports,
		       &s->ports_len) ||
	    ports_read(json_object_get(doc, "published"), "published",
		       s->published, &s->published_len) ||
	    tune_from_json(&s->tune, doc) ||
	    (json_object_get(doc, "publish_from") &&
	     service_sources_set(s, json_object_get(doc, "publish_from"),
				 &ignored)))
		goto bad;
	json_array_foreach (list, i, item) {
		const char *text = json_string_value(item);

		if (!text || service_backend_add(s, text, &ignored))
			goto bad;
	}
	s->selector = json_incref(json_object_get(doc, "selector"));
	s->labels = json_incref(json_object_get(doc, "labels"));
	if (service_dns_read(s, doc))
		goto bad;
	/* Another name has no VIP either. */
	s->dnsrr = (mode && str_eq(mode, "dnsrr")) || *s->external;
	s->drains = json_incref(json_object_get(doc, "drains"));
	s->doc = json_incref(doc);
	return s;
bad:
	service_free(s);
	return NULL;
}

static void sources_write(const struct service *s, json_t *doc)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->sources_len; i++)
		json_array_append_new(list, json_prefix(&s->sources[i]));
	if (s->sources_len)
		json_object_set(doc, "publish_from", list);
	else
		json_object_del(doc, "publish_from");
	json_decref(list);
}

json_t *service_to_json(const struct service *s)
{
	json_t *doc = s->doc ? json_copy(s->doc) : json_object();
	json_t *statics = json_array();

	for (size_t i = 0; i < s->statics_len; i++) {
		char text[STATIC_STRLEN];

		static_backend_str(&s->statics[i], text);
		json_array_append_new(statics, json_string(text));
	}
	json_object_set_new(doc, "schema", json_integer(1));
	if (!ip_is_none(&s->vip))
		json_object_set_new(doc, "vip", json_ip(&s->vip));
	json_object_set_new(doc, "mode",
			    json_string(*s->external ? "external"
					: s->dnsrr   ? "dnsrr"
						     : "vip"));
	json_object_set_new(doc, "ports",
			    ports_json(s->ports, s->ports_len, "port"));
	json_object_set_new(doc, "published",
			    ports_json(s->published, s->published_len,
				       "published"));
	json_object_set_new(doc, "backends", statics);
	json_object_set(doc, "selector", s->selector);
	json_object_set(doc, "labels", s->labels);
	service_dns_write(s, doc);
	if (json_object_size(s->drains))
		json_object_set(doc, "drains", s->drains);
	else
		json_object_del(doc, "drains");
	tune_to_json(&s->tune, doc);
	sources_write(s, doc);
	return doc;
}

/* Cuts "/proto" off the text; 0 in *proto for a word that is none. */
static void proto_cut(char *text, uint8_t *proto)
{
	char *slash = strchr(text, '/');

	*proto = IPPROTO_TCP;
	if (!slash)
		return;
	*slash = '\0';
	*proto = proto_parse(slash + 1);
}

/*
 * "ADDR:" or "[ADDR]:" before the numbers is cut off: an address has a dot or
 * brackets, or more numbers come behind it than a port and its target.
 */
static int host_cut(char **text, struct ip_addr *host)
{
	char *at = *text, *end = strchr(at, ':');
	bool brackets = *at == '[';

	if (brackets) {
		at++;
		end = strchr(at, ']');
		if (!end || end[1] != ':')
			return -EINVAL;
		*end++ = '\0';
	} else if (!end || (!memchr(at, '.', (size_t)(end - at)) &&
			    !strchr(end + 1, ':'))) {
		return 0;
	}
	*end = '\0';
	*text = end + 1;
	if (ip_parse(at, host) || ip_is_v4(host) == brackets)
		return -EINVAL;
	/* 0.0.0.0 is every address, as none is. */
	if (ip_is_v4(host) && !ip_v4(host))
		*host = (struct ip_addr){ 0 };
	return 0;
}

static int check_host(const char *field, const char *text,
		      const struct ip_addr *host, struct refusal *r)
{
	if (ip_is_none(host) || str_eq(field, "publish"))
		return 0;
	return refuse(r, API_INVALID, field,
		      "publish it: -p ADDRESS:PORT:TARGET",
		      "%s \"%s\": a virtual IP's port has no other address",
		      field, text);
}

int service_port_parse(const char *field, const char *text, struct port *ret,
		       struct refusal *r)
{
	char buf[IP_STRLEN + 32];
	char *numbers = buf;
	char *colon;
	uint8_t proto = 0;
	uint32_t port = 0, target;
	const char *number = text;
	int err;

	memset(ret, 0, sizeof(*ret));
	err = service_port_name(field, &number, ret->name, r);
	if (err)
		return err;
	if (!str_copy(buf, sizeof(buf), number))
		buf[0] = '\0';
	proto_cut(buf, &proto);
	if (!proto)
		return refuse(r, API_INVALID, field,
			      "end it with /tcp (the default) or /udp",
			      "%s \"%s\": the protocol is not tcp or udp",
			      field, text);
	if (host_cut(&numbers, &ret->host))
		return refuse(r, API_INVALID, field,
			      "write ADDRESS:PORT:TARGET, such as "
			      "192.0.2.1:8080:80; IPv6 in brackets",
			      "%s \"%s\": what stands before the port is no "
			      "address",
			      field, text);
	if (check_host(field, text, &ret->host, r))
		return -EINVAL;
	colon = strchr(numbers, ':');
	if (colon)
		*colon++ = '\0';
	if (str_to_u32(numbers, 1, 65535, &port) ||
	    str_to_u32(colon ? colon : numbers, 1, 65535, &target))
		return refuse(r, API_INVALID, field,
			      "write PORT:TARGET with numbers from 1 to 65535, "
			      "such as 8080:80 or http=8080:80",
			      "%s \"%s\": not a port from 1 to 65535", field,
			      text);
	ret->port = (uint16_t)port;
	ret->target = (uint16_t)target;
	ret->proto = proto;
	return 0;
}

void static_backend_str(const struct static_backend *b, char buf[STATIC_STRLEN])
{
	char ip[IP_STRLEN], weight[16] = "";

	if (b->weight != 1)
		snprintf(weight, sizeof(weight), ",weight=%u", b->weight);
	snprintf(buf, STATIC_STRLEN,
		 ip_is_v4(&b->addr) ? "%s:%u%s" : "[%s]:%u%s",
		 ip_str(&b->addr, ip), b->port, weight);
}

/* "IP:PORT" or "[IP6]:PORT" */
static int socket_parse(const char *text, struct static_backend *ret)
{
	const char *colon = strrchr(text, ':');
	bool v6 = *text == '[';
	char ip[IP_STRLEN];
	uint32_t port;

	if (!colon || (v6 && (colon - text < 2 || colon[-1] != ']')) ||
	    str_format(ip, sizeof(ip), "%.*s", (int)(colon - text) - 2 * v6,
		       text + v6) ||
	    ip_parse(ip, &ret->addr) || ip_is_v4(&ret->addr) == v6 ||
	    str_to_u32(colon + 1, 1, 65535, &port))
		return -EINVAL;
	ret->port = (uint16_t)port;
	return 0;
}

/* An address of one host, that is not this one. */
static bool is_hosts(const struct ip_addr *a)
{
	if (ip_is_loopback(a) || ip_is_none(a))
		return false;
	if (ip_is_v4(a))
		return ip_v4(a) && ip_v4(a) < 0xe0000000;
	/* Multicast, and link-local, which has no meaning without a link. */
	return a->b[0] != 0xff &&
	       !(a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
}

int service_backend_parse(const char *text, struct static_backend *ret,
			  struct refusal *r)
{
	struct static_backend b = { .weight = 1 };
	const char *comma = strchr(text, ',');
	char socket[STATIC_STRLEN] = "";
	uint32_t weight = 1;

	str_format(socket, sizeof(socket), "%.*s", (int)strcspn(text, ","),
		   text);
	if (socket_parse(socket, &b))
		return refuse(r, API_INVALID, "backend",
			      "write IP:PORT, such as 10.0.0.4:5432 or "
			      "[fd00::4]:5432",
			      "backend \"%s\" is not an address and a port",
			      text);
	if (comma && (!str_after(comma, ",weight=") ||
		      str_to_u32(comma + 8, 0, WEIGHT_MAX, &weight)))
		return refuse(
			r, API_INVALID, "backend",
			"write IP:PORT,weight=N, such as "
			"10.0.0.4:5432,weight=10",
			"backend \"%s\": the weight is not a number from 0 "
			"to %d",
			text, WEIGHT_MAX);
	if (!is_hosts(&b.addr))
		return refuse(r, API_INVALID, "backend",
			      "give an address that pods can reach",
			      "backend %s: the address is not a host's", text);
	b.weight = (uint16_t)weight;
	*ret = b;
	return 0;
}

static struct port *port_find(struct port *ports, size_t len,
			      const struct port *p)
{
	for (size_t i = 0; i < len; i++)
		if (ports[i].port == p->port && ports[i].proto == p->proto &&
		    ip_eq(&ports[i].host, &p->host))
			return &ports[i];
	return NULL;
}

/* On all addresses and on one of them is twice, too. */
static bool port_meets(const struct port *ports, size_t len,
		       const struct port *p)
{
	for (size_t i = 0; i < len; i++)
		if (ports[i].port == p->port && ports[i].proto == p->proto &&
		    (ip_is_none(&ports[i].host) || ip_is_none(&p->host) ||
		     ip_eq(&ports[i].host, &p->host)))
			return true;
	return false;
}

static bool port_named(const struct port *ports, size_t len,
		       const struct port *p)
{
	for (size_t i = 0; i < len; i++)
		if (str_eq(ports[i].name, p->name) &&
		    ports[i].proto == p->proto)
			return true;
	return false;
}

static int port_add(const char *field, struct port *ports, size_t *len,
		    const char *text, struct refusal *r)
{
	struct port p;
	int err = service_port_parse(field, text, &p, r);

	if (err)
		return err;
	if (port_meets(ports, *len, &p))
		return refuse(r, API_CONFLICT, field,
			      "name each port once, or remove it first",
			      "%s %u/%s is there already", field, p.port,
			      proto_name(p.proto));
	if (*p.name && port_named(ports, *len, &p))
		return refuse(r, API_CONFLICT, field,
			      "give each port of a protocol a name of its own",
			      "%s \"%s\": there is a port %s/%s already", field,
			      text, p.name, proto_name(p.proto));
	if (*len == PORTS_MAX)
		return refuse(r, API_INVALID, field, "make a second service",
			      "a service has at most %d ports", PORTS_MAX);
	ports[(*len)++] = p;
	return 0;
}

static int port_del(const char *field, struct port *ports, size_t *len,
		    const char *text, struct refusal *r)
{
	struct port p, *found;
	int err = service_port_parse(field, text, &p, r);

	if (err)
		return err;
	found = port_find(ports, *len, &p);
	if (!found)
		return refuse(r, API_NOT_FOUND, field,
			      "see: netctl service inspect",
			      "%s %u/%s is not among the service's", field,
			      p.port, proto_name(p.proto));
	*found = ports[--*len];
	return 0;
}

int service_port_add(struct service *s, const char *text, struct refusal *r)
{
	return port_add("port", s->ports, &s->ports_len, text, r);
}

int service_port_del(struct service *s, const char *text, struct refusal *r)
{
	return port_del("port", s->ports, &s->ports_len, text, r);
}

int service_publish_add(struct service *s, const char *text, struct refusal *r)
{
	return port_add("publish", s->published, &s->published_len, text, r);
}

int service_publish_del(struct service *s, const char *text, struct refusal *r)
{
	return port_del("publish", s->published, &s->published_len, text, r);
}

static struct static_backend *static_find(struct service *s,
					  const struct static_backend *b)
{
	for (size_t i = 0; i < s->statics_len; i++)
		if (ip_eq(&s->statics[i].addr, &b->addr) &&
		    s->statics[i].port == b->port)
			return &s->statics[i];
	return NULL;
}

int service_backend_add(struct service *s, const char *text, struct refusal *r)
{
	struct static_backend b, *found;
	int err = service_backend_parse(text, &b, r);

	if (err)
		return err;
	found = static_find(s, &b);
	if (found && found->weight == b.weight)
		return refuse(r, API_CONFLICT, "backend",
			      "name each backend once",
			      "backend %s is there already", text);
	if (found) {
		found->weight = b.weight;
		return 0;
	}
	if (s->statics_len == STATICS_MAX)
		return refuse(r, API_INVALID, "backend",
			      "use pods and a selector",
			      "a service has at most %d static backends",
			      STATICS_MAX);
	s->statics[s->statics_len++] = b;
	return 0;
}

int service_backend_del(struct service *s, const char *text, struct refusal *r)
{
	struct static_backend b, *found;
	int err = service_backend_parse(text, &b, r);

	if (err)
		return err;
	found = static_find(s, &b);
	if (!found)
		return refuse(r, API_NOT_FOUND, "backend",
			      "see: netctl service inspect",
			      "backend %s is not among the service's", text);
	*found = s->statics[--s->statics_len];
	return 0;
}

/* The network whose pods have this address, or NULL. */
static const struct net *net_of_addr(const struct model *m,
				     const struct ip_addr *a)
{
	for (const struct net *net = m->nets; net; net = net->hh.next)
		if (net->rev && net_holds(net, a))
			return net;
	return NULL;
}

int service_sources_set(struct service *s, json_t *list, struct refusal *r)
{
	struct ip_prefix all[SOURCES_MAX];
	json_t *item;
	size_t i;

	if (!list)
		return 0;
	if (json_array_size(list) > SOURCES_MAX)
		return refuse(r, API_INVALID, "publish_from",
			      "use wider prefixes",
			      "service \"%s\": more than %d sources", s->name,
			      SOURCES_MAX);
	json_array_foreach (list, i, item) {
		const char *text = json_string_value(item);

		if (text && json_array_size(list) == 1 && str_eq(text, "any")) {
			s->sources_len = 0;
			return 0;
		}
		if (!text || prefix_parse(text, &all[i]))
			return refuse(r, API_INVALID, "publish_from",
				      "write 192.0.2.0/24 or 2001:db8::/32, "
				      "or any alone",
				      "publish_from \"%.64s\" is not a prefix",
				      text ? text : "");
	}
	memcpy(s->sources, all, json_array_size(list) * sizeof(all[0]));
	s->sources_len = json_array_size(list);
	return 0;
}

uint16_t service_health_port(const struct service *s)
{
	if (s->tune.health.port)
		return s->tune.health.port;
	for (size_t i = 0; i < s->ports_len; i++)
		if (s->ports[i].proto == IPPROTO_TCP)
			return s->ports[i].target;
	for (size_t i = 0; i < s->published_len; i++)
		if (s->published[i].proto == IPPROTO_TCP)
			return s->published[i].target;
	return 0;
}

/* Settings that need a balancer, or a port. */
static int check_tune(const struct service *s, struct refusal *r)
{
	const struct tune *t = &s->tune;
	const struct {
		bool is_set;
		const char *field;
	} rows[] = {
		{ t->algo != TUNE_RANDOM, "algo" },
		{ t->affinity_s != 0, "affinity" },
		{ t->policy != TUNE_ANY, "policy" },
		{ t->on_dead != TUNE_KEEP, "on_dead" },
		{ t->idle_s != 0, "idle_timeout" },
		{ t->idle_half_s != 0, "idle_half_closed" },
		{ t->idle_udp_s != 0, "idle_udp" },
	};

	if (s->sources_len && !s->published_len)
		return refuse(r, API_INVALID, "publish_from",
			      "add --publish, or leave it out",
			      "service \"%s\" publishes no port", s->name);
	for (size_t i = 0; s->sources_len && i < s->published_len; i++)
		if (!ip_is_none(&s->published[i].host))
			return refuse(
				r, API_UNSUPPORTED, "publish_from",
				"make one service for each",
				"service \"%s\": a port that is published "
				"on one address is for everybody there",
				s->name);
	for (size_t i = 0; s->dnsrr && i < ARRAY_LEN(rows); i++)
		if (rows[i].is_set)
			return refuse(r, API_INVALID, rows[i].field,
				      "leave it out, or --endpoint-mode dnsrr",
				      "service \"%s\": dnsrr has no balancer "
				      "that could keep to %s",
				      s->name, rows[i].field);
	if (t->health.kind != PROBE_NONE && !service_health_port(s) &&
	    !s->statics_len)
		return refuse(r, API_INVALID, "health",
			      "name the port: --health tcp:PORT",
			      "service \"%s\" has no TCP port to check",
			      s->name);
	return 0;
}

/* Ports of one address are for clients of its family. */
static int check_hosts(const struct net *net, const struct service *s,
		       struct refusal *r)
{
	for (size_t i = 0; i < s->published_len; i++) {
		const struct ip_addr *host = &s->published[i].host;
		char ip[IP_STRLEN];

		if (ip_is_none(host) || net_has_family(net, !ip_is_v4(host)))
			continue;
		return refuse(r, API_INVALID, "publish",
			      "leave the address out, or use a dual-stack "
			      "network (--ipv6)",
			      "port %u on %s: network \"%s\" has no IPv%d",
			      s->published[i].port, ip_str(host, ip), net->name,
			      ip_is_v4(host) ? 4 : 6);
	}
	return 0;
}

int service_check(const struct model *m, const struct net *net,
		  const struct service *s, struct refusal *r)
{
	if (s->dnsrr && s->published_len)
		return refuse(r, API_INVALID, "publish",
			      "leave out --endpoint-mode dnsrr, or the "
			      "published port",
			      "service \"%s\": a published port needs a "
			      "balancer, and dnsrr has none",
			      s->name);
	if (service_names_check(net, s, r))
		return -EINVAL;
	if (!s->dnsrr && !s->ports_len && !s->published_len)
		return refuse(
			r, API_INVALID, "port",
			"add --port PORT[:TARGET], or --endpoint-mode dnsrr",
			"service \"%s\" has no port to answer on", s->name);
	if (check_tune(s, r) || check_hosts(net, s, r))
		return -EINVAL;
	for (size_t i = 0; i < s->statics_len; i++) {
		const struct ip_addr *addr = &s->statics[i].addr;
		const struct net *home = net_of_addr(m, addr);
		char ip[IP_STRLEN];

		ip_str(addr, ip);
		if (!net_has_family(net, !ip_is_v4(addr)))
			return refuse(r, API_INVALID, "backend",
				      "give its other address, or use a "
				      "dual-stack network (--ipv6)",
				      "backend %s: network \"%s\" has no IPv%d",
				      ip, net->name, ip_is_v4(addr) ? 4 : 6);
		if (home == net && !prefix_contains(&net->subnet, addr))
			return refuse(
				r, API_INVALID, "backend",
				"give its IPv4 address: the pod serves "
				"by both",
				"backend %s is the pair of a pod's address "
				"on network \"%s\"",
				ip, net->name);
		if (home && home != net)
			return refuse(r, API_INVALID, "backend",
				      "make the service on that network",
				      "backend %s is on network \"%s\", the "
				      "service on \"%s\"",
				      ip, home->name, net->name);
		if (!home && s->published_len)
			return refuse(
				r, API_INVALID, "publish",
				"publish pods of the network, or leave out "
				"--publish",
				"service \"%s\": backend %s is outside the "
				"overlay and cannot be behind a published port",
				s->name, ip);
	}
	return 0;
}

bool service_selects(const struct service *s, const json_t *labels)
{
	const char *key;
	json_t *want;

	if (!json_object_size(s->selector))
		return false;
	json_object_foreach (s->selector, key, want) {
		if (!json_equal(json_object_get(labels, key), want))
			return false;
	}
	return true;
}
