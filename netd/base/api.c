/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of api_ops[] and api_errors[]; see netd/api.h. */
#include "netd/api.h"

#include "netd/util.h"

/* clang-format off */
#define NAME_ARG(what)                                                         \
	{ .name = "name", .type = API_STR, .positional = true,                 \
	  .required = true, .value = "NAME", .help = what }
#define NETWORK_ARG                                                            \
	{ .name = "network", .type = API_STR, .value = "NETWORK",              \
	  .help = "network of the service (default: default)" }
#define BACKEND_ARG                                                            \
	{ .name = "backend", .type = API_STR, .positional = true,              \
	  .required = true, .value = "BACKEND",                                \
	  .help = "a pod's name, or an address as service ps shows it" }
#define NODE_ARG                                                               \
	{ .name = "name", .type = API_STR, .positional = true,                 \
	  .required = true, .value = "NODE", .help = "name of the node" }
#define DRAIN_TIMEOUT_ARG                                                      \
	{ .name = "timeout", .type = API_STR, .value = "TIME",                 \
	  .help = "until connections are not waited for any more "             \
		  "(default: for ever)" }
#define LABEL_ARG                                                              \
	{ .name = "label", .type = API_MAP, .letter = 'l', .value = "K=V",     \
	  .help = "label; may be repeated" }
/* How backends are chosen, kept and checked, and for whom. */
#define TUNE_ARGS                                                              \
	{ .name = "publish_from", .type = API_LIST, .value = "CIDR",           \
	  .help = "who may ask published ports (default: any)" },              \
	{ .name = "algo", .type = API_STR, .value = "random|maglev",           \
	  .help = "how the virtual IP chooses (published ports: maglev)" },    \
	{ .name = "policy", .type = API_STR,                                   \
	  .value = "any|prefer-local|local",                                   \
	  .help = "whose backends: every node's, or this node's" },            \
	{ .name = "affinity", .type = API_STR, .value = "client-ip[=SECONDS]", \
	  .help = "a client keeps its backend (default: 10800 s)" },           \
	{ .name = "on_dead", .type = API_STR, .value = "keep|reset",           \
	  .help = "TCP connections to a backend that is gone" },               \
	{ .name = "idle_timeout", .type = API_STR, .value = "TIME",            \
	  .help = "TCP connections that say nothing are known so long "        \
		  "(default: overlay.flow_idle, at most 5d)" },                \
	{ .name = "idle_half_closed", .type = API_STR, .value = "TIME",        \
	  .help = "the same once one side has closed (default: 2m)" },         \
	{ .name = "idle_udp", .type = API_STR, .value = "TIME",                \
	  .help = "the same of UDP (default: 2m)" },                           \
	{ .name = "health", .type = API_STR,                                   \
	  .value = "tcp[:PORT]|http[:PORT]:/PATH",                             \
	  .help = "backends serve while this works" },                         \
	{ .name = "health_interval", .type = API_STR, .value = "TIME",         \
	  .help = "between two checks (default: 1s)" },                        \
	{ .name = "health_timeout", .type = API_STR, .value = "TIME",          \
	  .help = "for one check (default: 500ms)" },                          \
	{ .name = "health_rise", .type = API_INT, .value = "N",                \
	  .help = "successes until up (default: 1)", .min = 1, .max = 100 },   \
	{ .name = "health_fall", .type = API_INT, .value = "N",                \
	  .help = "failures until down (default: 2)", .min = 1, .max = 100 }

#define OWNER_ARG                                                              \
	{ .name = "owner", .type = API_STR, .required = true,                  \
	  .help = "the engine" }
#define CONTAINER_ARG                                                          \
	{ .name = "container", .type = API_STR, .required = true,              \
	  .help = "the engine's name for the container" }
#define IFNAME_ARG                                                             \
	{ .name = "ifname", .type = API_STR, .required = true,                 \
	  .help = "name of the link in the container" }
#define NETNS_ARG                                                              \
	{ .name = "netns_fd", .type = API_INT, .required = true,               \
	  .hidden = true, .min = 0, .max = 1048576 }

const struct api_op_info api_ops[API_OP_MAX] = {
	[API_NETWORK_CREATE] = { "network.create", "POST", "/v1/networks", {
		NAME_ARG("name of the network"),
		{ .name = "driver", .type = API_STR, .letter = 'd',
		  .value = "DRIVER", .help = "overlay, the only one" },
		{ .name = "subnet", .type = API_LIST, .value = "CIDR",
		  .help = "addresses of its pods (default: a free /22); one "
			  "of IPv4, of IPv6, or both" },
		{ .name = "ipv6", .type = API_BOOL,
		  .help = "IPv6 beside IPv4 (without --subnet: a free /64)" },
		{ .name = "internal", .type = API_BOOL,
		  .help = "no way out: no egress, no outside names" },
		{ .name = "mtu", .type = API_INT, .value = "BYTES",
		  .help = "MTU of its pods (default: the underlay's less 50)",
		  .min = 576, .max = 65485 },
		{ .name = "attachable", .type = API_BOOL,
		  .help = "accepted for Docker's sake: always so" },
		{ .name = "opt", .type = API_MAP, .letter = 'o', .value = "K=V",
		  .help = "driver option" },
		LABEL_ARG,
	} },
	[API_NETWORK_LIST] = { "network.list", "GET", "/v1/networks", { { 0 } } },
	[API_NETWORK_INSPECT] = { "network.inspect", "GET",
		"/v1/networks/{name}", { NAME_ARG("name of the network") } },
	[API_NETWORK_DELETE] = { "network.delete", "DELETE",
		"/v1/networks/{name}", { NAME_ARG("name of the network") } },
	[API_NETWORK_CONNECT] = { "network.connect", "POST",
		"/v1/networks/{name}/connect", {
		NAME_ARG("name of the network"),
		{ .name = "pod", .type = API_STR, .positional = true,
		  .required = true, .value = "POD", .help = "pod of this node" },
		{ .name = "ip", .type = API_STR, .value = "IP",
		  .help = "address (default: a free one)" },
		{ .name = "ip6", .type = API_STR, .value = "IP",
		  .help = "the same, by its address of IPv6" },
		{ .name = "mac", .type = API_STR, .value = "MAC",
		  .help = "Ethernet address (default: made of the IP)" },
		{ .name = "alias", .type = API_LIST, .value = "NAME",
		  .help = "another name of the pod on this network" },
	} },
	[API_NETWORK_DISCONNECT] = { "network.disconnect", "POST",
		"/v1/networks/{name}/disconnect", {
		NAME_ARG("name of the network"),
		{ .name = "pod", .type = API_STR, .positional = true,
		  .required = true, .value = "POD", .help = "pod of this node" },
	} },
	[API_NETWORK_READY] = { "network.ready", "GET",
		"/v1/networks/{name}/ready", {
		NAME_ARG("name of the network") } },
	[API_POD_CREATE] = { "pod.create", "POST", "/v1/pods", {
		NAME_ARG("name of the pod"),
		{ .name = "network", .type = API_LIST, .required = true,
		  .value = "NET[,ip=IP][,ip6=IP][,mac=MAC][,ifname=NAME]"
			   "[,alias=NAME]",
		  .help = "network to attach to; may be repeated" },
		{ .name = "publish", .type = API_LIST, .letter = 'p',
		  .value = "[HOSTIP:]PORT:TARGET[/udp]",
		  .help = "port of this node that leads to the pod" },
		/* Number of a descriptor in the asking process: the daemon
		 * opens /proc/PID/fd/N of its peer, never a path. */
		{ .name = "netns_fd", .type = API_INT, .hidden = true,
		  .min = 0, .max = 1048576 },
		/* Who asks ("cni", "docker"), and its name for the pod. */
		{ .name = "owner", .type = API_STR, .hidden = true },
		{ .name = "container", .type = API_STR, .hidden = true },
		LABEL_ARG,
	} },
	[API_POD_LIST] = { "pod.list", "GET", "/v1/pods", { { 0 } } },
	[API_POD_INSPECT] = { "pod.inspect", "GET", "/v1/pods/{name}", {
		NAME_ARG("name of the pod") } },
	[API_POD_DELETE] = { "pod.delete", "DELETE", "/v1/pods/{name}", {
		NAME_ARG("name of the pod"),
		{ .name = "drain", .type = API_STR, .value = "TIME",
		  .help = "how long it goes on when nobody is led there any "
			  "more (default: lb.leave)" },
	} },
	/* What container engines ask; netctl does not. */
	[API_POD_ATTACH] = { "pod.attach", "POST", "/v1/pods/attach", {
		OWNER_ARG, CONTAINER_ARG, IFNAME_ARG, NETNS_ARG,
		{ .name = "name", .type = API_STR, .required = true,
		  .help = "name of the pod, if it is a new one" },
		{ .name = "config", .type = API_STR,
		  .help = "the engine's network" },
		{ .name = "network", .type = API_STR, .required = true,
		  .help = "NET[,ip=IP][,mac=MAC][,alias=NAME]" },
		{ .name = "publish", .type = API_LIST,
		  .help = "[HOSTIP:]PORT:TARGET[/udp]" },
		LABEL_ARG,
	} },
	[API_POD_DETACH] = { "pod.detach", "POST", "/v1/pods/detach", {
		OWNER_ARG, CONTAINER_ARG, IFNAME_ARG } },
	[API_POD_CHECK] = { "pod.check", "POST", "/v1/pods/check", {
		OWNER_ARG, CONTAINER_ARG, IFNAME_ARG, NETNS_ARG } },
	[API_POD_GC] = { "pod.gc", "POST", "/v1/pods/gc", {
		OWNER_ARG,
		{ .name = "config", .type = API_STR, .required = true,
		  .help = "the engine's network" },
		{ .name = "keep", .type = API_LIST, .required = true,
		  .help = "CONTAINER/IFNAME of what is still there" },
	} },
	[API_SERVICE_CREATE] = { "service.create", "POST", "/v1/services", {
		NAME_ARG("name of the service"),
		NETWORK_ARG,
		{ .name = "port", .type = API_LIST,
		  .value = "[NAME=]PORT[:TARGET][/udp]",
		  .help = "port of the VIP and of the pods behind it" },
		{ .name = "selector", .type = API_MAP, .value = "K=V",
		  .help = "pods with this label are its backends" },
		{ .name = "backend", .type = API_LIST,
		  .value = "IP:PORT[,weight=N]",
		  .help = "a backend by address" },
		{ .name = "publish", .type = API_LIST, .letter = 'p',
		  .value = "[IP:]PUBLISHED:TARGET[/udp]",
		  .help = "port that every node answers, or the one that has "
			  "this address" },
		{ .name = "endpoint_mode", .type = API_STR,
		  .value = "vip|dnsrr", .help = "one virtual IP, or all backends" },
		{ .name = "vip", .type = API_STR, .value = "IP",
		  .help = "virtual IP (default: a free one)" },
		{ .name = "alias", .type = API_LIST, .value = "NAME",
		  .help = "another name on its network" },
		{ .name = "external_name", .type = API_STR, .value = "NAME",
		  .help = "it is but another name of this one" },
		{ .name = "ttl", .type = API_INT, .value = "SECONDS",
		  .help = "how long answers about it hold (default: dns.ttl)",
		  .min = 0, .max = 3600 },
		TUNE_ARGS,
		LABEL_ARG,
	} },
	[API_SERVICE_LIST] = { "service.list", "GET", "/v1/services", { { 0 } } },
	[API_SERVICE_INSPECT] = { "service.inspect", "GET",
		"/v1/services/{network}/{name}", {
		NAME_ARG("name of the service"), NETWORK_ARG } },
	[API_SERVICE_PS] = { "service.ps", "GET",
		"/v1/services/{network}/{name}/backends", {
		NAME_ARG("name of the service"), NETWORK_ARG } },
	[API_SERVICE_UPDATE] = { "service.update", "PATCH",
		"/v1/services/{network}/{name}", {
		NAME_ARG("name of the service"),
		NETWORK_ARG,
		{ .name = "selector", .type = API_MAP, .value = "K=V",
		  .help = "replaces the selector" },
		{ .name = "backend_add", .type = API_LIST,
		  .value = "IP:PORT[,weight=N]",
		  .help = "one more backend, or another weight for one" },
		{ .name = "backend_rm", .type = API_LIST, .value = "IP:PORT" },
		{ .name = "publish_add", .type = API_LIST,
		  .value = "[IP:]PUBLISHED:TARGET[/udp]" },
		{ .name = "publish_rm", .type = API_LIST,
		  .value = "[IP:]PUBLISHED[/udp]" },
		{ .name = "port_add", .type = API_LIST,
		  .value = "[NAME=]PORT[:TARGET][/udp]" },
		{ .name = "port_rm", .type = API_LIST, .value = "PORT[/udp]" },
		{ .name = "alias_add", .type = API_LIST, .value = "NAME" },
		{ .name = "alias_rm", .type = API_LIST, .value = "NAME" },
		{ .name = "external_name", .type = API_STR, .value = "NAME",
		  .help = "what it is another name of" },
		{ .name = "ttl", .type = API_INT, .value = "SECONDS",
		  .help = "how long answers about it hold",
		  .min = 0, .max = 3600 },
		TUNE_ARGS,
		LABEL_ARG,
	} },
	[API_SERVICE_DRAIN] = { "service.drain", "POST",
		"/v1/services/{network}/{name}/drain", {
		NAME_ARG("name of the service"),
		BACKEND_ARG,
		NETWORK_ARG,
		DRAIN_TIMEOUT_ARG,
	} },
	[API_SERVICE_UNDRAIN] = { "service.undrain", "POST",
		"/v1/services/{network}/{name}/undrain", {
		NAME_ARG("name of the service"),
		BACKEND_ARG,
		NETWORK_ARG,
	} },
	[API_SERVICE_DELETE] = { "service.delete", "DELETE",
		"/v1/services/{network}/{name}", {
		NAME_ARG("name of the service"), NETWORK_ARG } },
	[API_DNS_RECORD_ADD] = { "dns.record.add", "POST", "/v1/dns/records", {
		NAME_ARG("name, or for PTR an address"),
		{ .name = "type", .type = API_STR, .positional = true,
		  .required = true, .value = "TYPE",
		  .help = "A, AAAA, CNAME, PTR, SRV or TXT" },
		{ .name = "value", .type = API_STR, .positional = true,
		  .required = true, .value = "VALUE",
		  .help = "address, name, text or \"PRIO WEIGHT PORT NAME\"" },
		{ .name = "network", .type = API_STR, .value = "NETWORK",
		  .help = "whose pods see it (default: default)" },
		{ .name = "ttl", .type = API_INT, .value = "SECONDS",
		  .help = "how long it holds (default: dns.ttl)",
		  .min = 0, .max = 86400 },
	} },
	[API_DNS_RECORD_LIST] = { "dns.record.list", "GET", "/v1/dns/records",
		{ { 0 } } },
	[API_DNS_RECORD_DELETE] = { "dns.record.delete", "DELETE",
		"/v1/dns/records/{network}/{name}", {
		NAME_ARG("name, or for PTR an address"),
		{ .name = "type", .type = API_STR, .positional = true,
		  .value = "TYPE", .help = "only records of this type" },
		{ .name = "value", .type = API_STR, .positional = true,
		  .value = "VALUE", .help = "only the record with this value" },
		{ .name = "network", .type = API_STR, .value = "NETWORK",
		  .help = "network of the record (default: default)" },
	} },
	[API_DNS_UPSTREAM_SET] = { "dns.upstream.set", "POST",
		"/v1/dns/upstreams", {
		{ .name = "zone", .type = API_STR, .positional = true,
		  .required = true, .value = "ZONE",
		  .help = "names at or below it; . for all" },
		{ .name = "servers", .type = API_STR, .positional = true,
		  .required = true, .value = "IP[:PORT][,...]",
		  .help = "servers to ask" },
		{ .name = "network", .type = API_STR, .value = "NETWORK",
		  .help = "only for its pods (default: every network)" },
	} },
	[API_DNS_UPSTREAM_LIST] = { "dns.upstream.list", "GET",
		"/v1/dns/upstreams", { { 0 } } },
	[API_DNS_UPSTREAM_DELETE] = { "dns.upstream.delete", "DELETE",
		"/v1/dns/upstreams/{zone}", {
		{ .name = "zone", .type = API_STR, .positional = true,
		  .required = true, .value = "ZONE",
		  .help = "zone of dns upstream set" },
		{ .name = "network", .type = API_STR, .value = "NETWORK",
		  .help = "the one of this network (default: every network's)" },
	} },
	[API_DNS_QUERY] = { "dns.query", "POST", "/v1/dns/query", {
		NAME_ARG("name that is asked for"),
		{ .name = "type", .type = API_STR, .positional = true,
		  .value = "TYPE", .help = "type of record (default: A)" },
		{ .name = "from", .type = API_STR, .value = "POD",
		  .help = "pod of this node that asks (default: the host)" },
	} },
	[API_DNS_STATS] = { "dns.stats", "GET", "/v1/dns/stats", { { 0 } } },
	[API_DNS_CACHE_LIST] = { "dns.cache.list", "GET", "/v1/dns/cache", {
		{ .name = "name", .type = API_STR, .value = "NAME",
		  .help = "only what is at or below it" },
	} },
	[API_DNS_CACHE_FLUSH] = { "dns.cache.flush", "DELETE",
		"/v1/dns/cache", {
		{ .name = "name", .type = API_STR, .positional = true,
		  .value = "NAME", .help = "only what is at or below it" },
	} },
	[API_DNS_UPSTREAM_STATUS] = { "dns.upstream.status", "GET",
		"/v1/dns/servers", { { 0 } } },
	[API_DNS_RESOLVED] = { "dns.resolved", "GET", "/v1/dns/resolved",
		{ { 0 } } },
	[API_NODE_LIST] = { "node.list", "GET", "/v1/nodes", { { 0 } } },
	[API_NODE_UPDATE] = { "node.update", "PATCH", "/v1/nodes/{name}", {
		NODE_ARG,
		{ .name = "availability", .type = API_STR, .required = true,
		  .value = "active|drain",
		  .help = "whether its backends get new connections" },
		DRAIN_TIMEOUT_ARG,
	} },
	[API_NODE_DRAIN] = { "node.drain", "POST", "/v1/nodes/{name}/drain", {
		NODE_ARG,
		DRAIN_TIMEOUT_ARG,
		{ .name = "undo", .type = API_BOOL,
		  .help = "give them new connections again" },
	} },
	[API_STATUS] = { "status", "GET", "/v1/status", { { 0 } } },
	[API_EVENTS] = { "events", "GET", "/v1/events", {
		{ .name = "since", .type = API_STR, .value = "TIME|AGE",
		  .help = "from 2026-01-31T12:00:00Z, or from 10m ago, on" },
		{ .name = "filter", .type = API_LIST, .letter = 'f',
		  .value = "KEY=VALUE",
		  .help = "kind, action, name, network or node; one of several "
			  "values of a key" },
		{ .name = "no_follow", .type = API_BOOL,
		  .help = "what is kept, then end" },
	} },
	[API_DOCKER_STATUS] = { "docker.status", "GET", "/v1/docker",
		{ { 0 } } },
	[API_DROPS] = { "drops", "GET", "/v1/drops", { { 0 } } },
	[API_DROPS_WATCH] = { "drops.watch", "GET", "/v1/drops/samples", {
		{ .name = "recent", .type = API_BOOL,
		  .help = "begin with those that are kept" },
		{ .name = "filter", .type = API_LIST, .letter = 'f',
		  .value = "KEY=VALUE",
		  .help = "reason, pod, network, service, node, address, "
			  "protocol or hook; one of several values of a key" },
		{ .name = "no_follow", .type = API_BOOL,
		  .help = "what is kept, then end" },
	} },
	[API_VERSION] = { "version", "GET", "/v1/version", { { 0 } } },
};
/* clang-format on */

const struct api_error_info api_errors[API_ERROR_MAX] = {
	[API_OK] = { "ok", 200, 0 },
	[API_INVALID] = { "invalid", 400, 2 },
	[API_NOT_FOUND] = { "not_found", 404, 3 },
	[API_CONFLICT] = { "conflict", 409, 4 },
	[API_IN_USE] = { "in_use", 409, 4 },
	[API_FORBIDDEN] = { "forbidden", 403, 6 },
	[API_UNSUPPORTED] = { "unsupported", 400, 1 },
	[API_EXHAUSTED] = { "exhausted", 507, 1 },
	[API_UNAVAILABLE] = { "unavailable", 503, 1 },
	[API_TIMEOUT] = { "timeout", 504, 7 },
	[API_TOO_LARGE] = { "too_large", 413, 2 },
	[API_INTERNAL] = { "internal", 500, 1 },
};

const struct api_arg *api_arg_find(const struct api_op_info *op,
				   const char *name)
{
	for (size_t i = 0; i < API_ARGS_MAX && op->args[i].name; i++)
		if (str_eq(op->args[i].name, name))
			return &op->args[i];
	return NULL;
}
