/* SPDX-License-Identifier: Apache-2.0 */
#include "pod_port.h"

#include <netinet/in.h>

#include "json.h"
#include "netd/util.h"
#include "pod.h"

#define FREE_PORTS (POD_PORT_LAST - POD_PORT_FIRST + 1)

/* Cuts "/proto" off the text; 0 for a word that is none. */
static uint8_t cut_proto(char *text)
{
	char *slash = strchr(text, '/');

	if (!slash)
		return IPPROTO_TCP;
	*slash++ = '\0';
	if (str_eq(slash, "tcp"))
		return IPPROTO_TCP;
	return str_eq(slash, "udp") ? IPPROTO_UDP : 0;
}

/* What stands behind the last colon is cut off and returned. */
static char *cut_last(char *text)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

static int read_host(const char *text, struct pod_port *port)
{
	if (!*text)
		return 0;
	if (ip_parse(text, &port->host) || !ip_is_v4(&port->host))
		return -EINVAL;
	if (!ip_v4(&port->host))
		port->host = (struct ip_addr){ 0 };
	return 0;
}

static int read_words(char *text, struct pod_port *port)
{
	char *target = cut_last(text);
	char *number = target ? cut_last(text) : NULL;
	uint32_t n = 0;

	/* "TARGET", "PORT:TARGET" or "HOSTIP:PORT:TARGET". */
	if (number ? read_host(text, port) : 0)
		return -EINVAL;
	if (!number && target)
		number = text;
	if (number && *number && str_to_u32(number, 0, 65535, &n))
		return -EINVAL;
	port->port = (uint16_t)n;
	if (str_to_u32(target ? target : text, 1, 65535, &n))
		return -EINVAL;
	port->target = (uint16_t)n;
	return 0;
}

int pod_port_parse(const char *text, struct pod_port *ret, struct refusal *r)
{
	struct pod_port port = { 0 };
	char buf[80];

	if (!str_copy(buf, sizeof(buf), text))
		buf[0] = '\0';
	port.proto = cut_proto(buf);
	if (!port.proto)
		return refuse(r, API_UNSUPPORTED, "publish",
			      "end it with /tcp (the default) or /udp",
			      "publish \"%.64s\": the protocol is not tcp or "
			      "udp",
			      text);
	if (read_words(buf, &port))
		return refuse(
			r, API_INVALID, "publish",
			"write PORT:TARGET, HOSTIP:PORT:TARGET, or TARGET "
			"for a free port; with numbers up to 65535 and an "
			"IPv4 address",
			"publish \"%.64s\": not a port of this node and "
			"one of the pod",
			text);
	*ret = port;
	return 0;
}

int pod_port_from_json(json_t *doc, struct pod_port *ret)
{
	const char *proto = json_string_value(json_object_get(doc, "protocol"));
	const char *host = json_string_value(json_object_get(doc, "host_ip"));
	struct pod_port port = { 0 };
	uint32_t number, target;

	if (!proto || !host || json_get_u32(doc, "port", &number) || !number ||
	    number > 65535 || json_get_u32(doc, "target", &target) || !target ||
	    target > 65535 ||
	    json_get_str(doc, "network", port.network, sizeof(port.network)))
		return -EINVAL;
	if (*host && ip_parse(host, &port.host))
		return -EINVAL;
	port.port = (uint16_t)number;
	port.target = (uint16_t)target;
	port.proto = str_eq(proto, "udp") ? IPPROTO_UDP : IPPROTO_TCP;
	*ret = port;
	return 0;
}

json_t *pod_port_to_json(const struct pod_port *port)
{
	char ip[IP_STRLEN] = "";

	if (!ip_is_none(&port->host))
		ip_str(&port->host, ip);
	return json_pack("{s:s, s:i, s:i, s:s, s:s}", "host_ip", ip, "port",
			 port->port, "target", port->target, "protocol",
			 proto_name(port->proto), "network", port->network);
}

const char *pod_port_str(const struct pod_port *port, char buf[POD_PORT_STRLEN])
{
	char ip[IP_STRLEN] = "";

	if (!ip_is_none(&port->host))
		ip_str(&port->host, ip);
	snprintf(buf, POD_PORT_STRLEN, "%s%s%u/%s", ip, *ip ? ":" : "",
		 port->port, proto_name(port->proto));
	return buf;
}

bool pod_port_meets(const struct pod_port *a, const struct pod_port *b)
{
	return a->port == b->port && a->proto == b->proto &&
	       (ip_is_none(&a->host) || ip_is_none(&b->host) ||
		ip_eq(&a->host, &b->host));
}

static bool pod_has(const struct pod *pod, const struct pod_port *port)
{
	for (size_t i = 0; i < pod->ports_len; i++)
		if (pod_port_meets(&pod->ports[i], port))
			return true;
	return false;
}

const struct pod *pod_port_owner(const struct model *m,
				 const struct pod_port *port)
{
	for (const struct pod *pod = m->pods; pod; pod = pod->hh.next)
		if (pod_has(pod, port))
			return pod;
	return NULL;
}

static const struct port_claim *service_of(const struct model *m,
					   const struct pod_port *port)
{
	return model_port_claim(m, &port->host, port->port, port->proto);
}

static bool is_ours(const struct model *m, const struct ip_addr *addr)
{
	const struct node *self = model_node(m, m->self);

	if (ip_is_none(addr) || ip_is_loopback(addr))
		return true;
	for (uint32_t i = 0; self && i < self->addrs_len; i++)
		if (ip_eq(&self->addrs[i], addr))
			return true;
	return self && ip_eq(&self->vtep, addr);
}

static bool is_free(const struct model *m, const struct pod *pod,
		    const struct pod_port *port,
		    const struct pod_port_listeners *listeners)
{
	return !service_of(m, port) && !pod_port_owner(m, port) &&
	       !pod_has(pod, port) &&
	       !listeners->find(listeners->arg, port, NULL, 0);
}

/* Whoever has the port already is named. */
static int check_free(const struct model *m, const struct pod *pod,
		      const struct pod_port *port,
		      const struct pod_port_listeners *listeners,
		      struct refusal *r)
{
	const struct port_claim *claim = service_of(m, port);
	const struct pod *other = pod_port_owner(m, port);
	const char *hint = "choose another port, or none for a free one";
	char text[POD_PORT_STRLEN], name[64];

	pod_port_str(port, text);
	if (claim)
		return refuse(r, API_CONFLICT, "publish", hint,
			      "pod \"%s\": port %s is published by service "
			      "\"%s\" on network \"%s\"",
			      pod->name, text, claim->service, claim->network);
	if (!other && pod_has(pod, port))
		other = pod;
	if (other)
		return refuse(r, API_CONFLICT, "publish", hint,
			      "pod \"%s\": port %s is published by pod \"%s\" "
			      "of this node",
			      pod->name, text, other->name);
	if (listeners->find(listeners->arg, port, name, sizeof(name)))
		return refuse(r, API_CONFLICT, "publish",
			      "end that program, name another address of this "
			      "node, or choose another port",
			      "pod \"%s\": port %s is held by %s", pod->name,
			      text, name);
	return 0;
}

static int pick(const struct model *m, const struct pod *pod,
		struct pod_port *port,
		const struct pod_port_listeners *listeners, unsigned int start,
		struct refusal *r)
{
	for (unsigned int i = 0; i < FREE_PORTS; i++) {
		port->port =
			(uint16_t)(POD_PORT_FIRST + (start + i) % FREE_PORTS);
		if (is_free(m, pod, port, listeners))
			return 0;
	}
	return refuse(r, API_EXHAUSTED, "publish", "name a port",
		      "pod \"%s\": no port from %d to %d is free", pod->name,
		      POD_PORT_FIRST, POD_PORT_LAST);
}

int pod_port_claim(const struct model *m, struct pod *pod,
		   struct pod_port *port,
		   const struct pod_port_listeners *listeners,
		   unsigned int start, struct refusal *r)
{
	char ip[IP_STRLEN];
	int err;

	if (!is_ours(m, &port->host))
		return refuse(r, API_INVALID, "publish",
			      "name an address that ip address shows, or none",
			      "pod \"%s\": %s is no address of node %s",
			      pod->name, ip_str(&port->host, ip), m->self);
	if (pod->ports_len == POD_PORTS_MAX)
		return refuse(r, API_INVALID, "publish", "publish fewer",
			      "pod \"%s\": more than %d ports", pod->name,
			      POD_PORTS_MAX);
	err = port->port ? check_free(m, pod, port, listeners, r)
			 : pick(m, pod, port, listeners, start, r);
	if (err)
		return err;
	pod->ports = xrealloc(pod->ports,
			      (pod->ports_len + 1) * sizeof(*pod->ports));
	pod->ports[pod->ports_len++] = *port;
	return 0;
}
