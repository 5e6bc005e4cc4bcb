/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <arpa/nameser.h>
#include <ev.h>
#include <sched.h>

#include "msg.h"
#include "netd/util.h"

#define NETS_MAX 16
#define SETTLE_MS 5000
/* A name that only the world asks for, to see that all before it arrived. */
#define SETTLE_NAME "settled"

struct net {
	char name[NAME_LEN];
	uint32_t vni;
	struct ip_addr gateway;
};

/* All that was written under one name. */
struct written {
	uint32_t vni;
	char name[POD_NAME_LEN];
	struct want_value values[RECORD_VALUES_MAX];
	size_t len;
	struct written *next;
};

struct world {
	struct written *written;
	struct ev_loop *loop;
	struct dns *dns;
	char dir[32];
	const char *program;
	char domain[256];
	struct ip_addr upstreams[8];
	size_t upstreams_len;
	struct net nets[NETS_MAX];
	size_t nets_len;
	bool synced;
	bool dirty;
	uint32_t settled;
};

static int run(const char *command)
{
	return system(command) ? -EIO : 0;
}

static int own_net(void)
{
	if (unshare(CLONE_NEWNET))
		return -errno;
	return run("ip link set lo up && ip route add local 0.0.0.0/0 dev lo");
}

int world_new(struct ev_loop *loop, const char *program, bool own,
	      struct world **ret)
{
	struct world *w;
	int err = own ? own_net() : 0;

	if (err)
		return err;
	w = xzalloc(sizeof(*w));
	w->loop = loop;
	w->program = program;
	str_copy(w->domain, sizeof(w->domain), "cluster.local");
	str_copy(w->dir, sizeof(w->dir), "/tmp/netd-dns-XXXXXX");
	if (!mkdtemp(w->dir))
		w->dir[0] = '\0';
	*ret = w;
	return 0;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	dns_close(w->dns);
	dns_remove(w->dir);
	rmdir(w->dir);
	while (w->written) {
		struct written *next = w->written->next;

		free(w->written);
		w->written = next;
	}
	free(w);
}

struct dns *world_dns(struct world *w)
{
	return w->dns;
}

const struct ip_addr *world_gateway(const struct world *w)
{
	return w->nets_len ? &w->nets[0].gateway : NULL;
}

/* Started by the first thing it is told: its configuration comes before. */
static int server_need(struct world *w)
{
	struct dns_config config = {
		.run_dir = w->dir,
		.program = w->program,
		.domain = w->domain,
		.upstreams = w->upstreams,
		.upstreams_len = w->upstreams_len,
		.user = "netd-dns",
		.settings = DNS_SETTINGS_DEFAULT,
	};
	/* Not the host's own resolvers, when a world has none. */
	static const struct ip_addr nobody = { { 1 } };
	int err;

	if (w->dns)
		return 0;
	if (!config.upstreams_len) {
		config.upstreams = &nobody;
		config.upstreams_len = 1;
	}
	err = dns_open(w->loop, &config, &w->dns);
	return err ? err : dns_audit_begin(w->dns);
}

static const struct net *net_find(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->nets_len; i++)
		if (str_eq(w->nets[i].name, name))
			return &w->nets[i];
	return NULL;
}

/* An IPv6 address must be on a link before it can be bound. */
static int address_need(const struct ip_addr *addr)
{
	AUTO(str_freep) char *command = NULL;
	char text[IP_STRLEN];

	if (ip_is_v4(addr))
		return 0;
	command = xasprintf("ip -6 addr replace %s dev lo nodad",
			    ip_str(addr, text));
	return run(command);
}

/* Verbs. */

static int do_domain(struct world *w, char **words, size_t n)
{
	(void)n;
	return str_copy(w->domain, sizeof(w->domain), words[1]) ? 0 : -EINVAL;
}

static int do_upstreams(struct world *w, char **words, size_t n)
{
	for (size_t i = 1; i < n && i <= ARRAY_LEN(w->upstreams); i++)
		if (ip_parse(words[i], &w->upstreams[w->upstreams_len++]))
			return -EINVAL;
	return 0;
}

/* GATEWAY SUBNET [VIPS].. up to "and", "internal" or the end. */
static int range_parse(char **words, size_t n, size_t *at,
		       struct want_zone *want)
{
	struct want_range *range = &want->ranges[want->ranges_len];

	if (want->ranges_len++ == RANGES_MAX || *at + 2 > n ||
	    ip_parse(words[*at], &range->gateway) ||
	    prefix_parse(words[*at + 1], &range->subnet))
		return -EINVAL;
	for (*at += 2; *at < n && !str_eq(words[*at], "and") &&
		       !str_eq(words[*at], "internal");
	     (*at)++)
		if (range->vips_len == NET_VIPS_MAX ||
		    prefix_parse(words[*at], &range->vips[range->vips_len++]))
			return -EINVAL;
	return address_need(&range->gateway) ? -EIO : 0;
}

/* zone NET VNI RANGE [and RANGE] [internal]; see range_parse() */
static int do_zone(struct world *w, char **words, size_t n)
{
	struct want_zone want = { .ranges_len = 0 };
	struct net *net = &w->nets[w->nets_len];
	size_t at = 3;
	int err;

	if (n < 5 || w->nets_len == NETS_MAX ||
	    str_to_u32(words[2], 1, 1 << 24, &want.vni))
		return -EINVAL;
	str_copy(want.name, sizeof(want.name), words[1]);
	err = range_parse(words, n, &at, &want);
	for (; !err && at < n; at++) {
		want.internal |= str_eq(words[at], "internal");
		if (str_eq(words[at], "and")) {
			at++;
			err = range_parse(words, n, &at, &want);
			at--;
		}
	}
	if (err)
		return err;
	if (!net_find(w, words[1])) {
		str_copy(net->name, sizeof(net->name), words[1]);
		net->vni = want.vni;
		net->gateway = want.ranges[0].gateway;
		w->nets_len++;
	}
	return dns_zone_put(w->dns, &want);
}

/* pod ADDR NET|VNI.. */
static int do_pod(struct world *w, char **words, size_t n)
{
	struct want_client want = { .host = str_eq(words[0], "host") };

	if (ip_parse(words[1], &want.addr) || n - 2 > CLIENT_NETS_MAX)
		return -EINVAL;
	for (size_t i = 2; i < n; i++) {
		const struct net *net = net_find(w, words[i]);

		if (net)
			want.vni[want.vni_len++] = net->vni;
		else if (str_to_u32(words[i], 1, 1 << 24,
				    &want.vni[want.vni_len++]))
			return -EINVAL;
	}
	return address_need(&want.addr) ? -EIO : dns_client_put(w->dns, &want);
}

/* PORT[:TARGET]/PROTO[/NAME],.. */
static int ports_parse(char *text, struct want_name *want)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} protos[] = { { "tcp", 6 }, { "udp", 17 }, { "sctp", 132 } };
	char *save, *port = strtok_r(text, ",", &save);

	for (; port; port = strtok_r(NULL, ",", &save)) {
		struct want_name_port *p = &want->ports[want->ports_len++];
		char *proto = strchr(port, '/'), *name, *target;
		uint32_t number, other = 0;

		if (!proto || want->ports_len > NAME_PORTS_MAX)
			return -EINVAL;
		*proto++ = '\0';
		name = strchr(proto, '/');
		if (name)
			*name++ = '\0';
		if (name && !str_copy(p->name, sizeof(p->name), name))
			return -EINVAL;
		target = strchr(port, ':');
		if (target)
			*target++ = '\0';
		if (str_to_u32(port, 1, UINT16_MAX, &number) ||
		    (target && str_to_u32(target, 1, UINT16_MAX, &other)))
			return -EINVAL;
		p->port = (uint16_t)number;
		p->target = (uint16_t)other;
		for (size_t i = 0; i < ARRAY_LEN(protos); i++)
			if (str_eq(protos[i].name, proto))
				p->proto = protos[i].proto;
		if (!p->proto)
			return -EINVAL;
	}
	return 0;
}

/* ADDR, or ADDR+N: N addresses, this one first. */
static int addrs_parse(char *text, struct want_name *want,
		       struct ip_addr *addrs)
{
	char *plus = strchr(text, '+');
	struct ip_addr first;
	uint32_t count = 1;

	if (plus)
		*plus++ = '\0';
	if (ip_parse(text, &first) ||
	    (plus && str_to_u32(plus, 1, NAME_ADDRS_MAX, &count)) ||
	    want->addrs_len + count > NAME_ADDRS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		addrs[want->addrs_len++] = ip_add(&first, i);
	return 0;
}

/* NAME[:PORT],..: one per address. */
static int hosts_parse(char *text, struct want_host *hosts)
{
	char *save, *host = strtok_r(text, ",", &save);

	for (size_t i = 0; host; host = strtok_r(NULL, ",", &save), i++) {
		char *colon = strchr(host, ':');
		uint32_t port = 0;

		if (colon)
			*colon++ = '\0';
		if (i == NAME_ADDRS_MAX ||
		    (colon && str_to_u32(colon, 1, UINT16_MAX, &port)) ||
		    !str_copy(hosts[i].name, sizeof(hosts[i].name), host))
			return -EINVAL;
		hosts[i].port = (uint16_t)port;
	}
	return 0;
}

static const char *const kinds[NAME_KIND_MAX] = {
	[NAME_SERVICE] = "service",
	[NAME_TASKS] = "tasks",
	[NAME_RECORD] = "record",
	[NAME_POD] = "name",
};

static enum name_kind kind_of(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i] && str_eq(kinds[i], word))
			return (enum name_kind)i;
	return NAME_KIND_MAX;
}

/* service|tasks|name NAME NET [ADDR[+N]].. [ttl N] [ports ..] [alias NAME]
 * [hosts ..] [headless] [ptr] */
static int do_name(struct world *w, char **words, size_t n)
{
	static struct ip_addr addrs[NAME_ADDRS_MAX];
	static struct want_host hosts[NAME_ADDRS_MAX];
	bool has_hosts = false;
	struct want_name want = { .kind = kind_of(words[0]), .ttl = 5 };
	const struct net *net = net_find(w, words[2]);
	int err = 0;

	if (!net || !str_copy(want.name, sizeof(want.name), words[1]))
		return -EINVAL;
	want.vni = net->vni;
	for (size_t i = 3; i < n && !err; i++) {
		if (str_eq(words[i], "ptr"))
			want.ptr = true;
		else if (str_eq(words[i], "headless"))
			want.headless = true;
		else if (str_eq(words[i], "alias") && i + 1 < n)
			err = str_copy(want.target, sizeof(want.target),
				       words[++i])
				      ? 0
				      : -EINVAL;
		else if (str_eq(words[i], "ttl") && i + 1 < n)
			err = str_to_u32(words[++i], 0, INT32_MAX, &want.ttl);
		else if (str_eq(words[i], "ports") && i + 1 < n)
			err = ports_parse(words[++i], &want);
		else if (str_eq(words[i], "hosts") && i + 1 < n)
			err = hosts_parse(words[++i], hosts), has_hosts = true;
		else
			err = addrs_parse(words[i], &want, addrs);
	}
	if (err)
		return err;
	return dns_name_put(w->dns, &want, addrs, has_hosts ? hosts : NULL);
}

static int value_parse(char **words, size_t n, struct want_value *v)
{
	static const struct {
		const char *word;
		uint16_t type;
	} types[] = { { "A", ns_t_a },	       { "AAAA", ns_t_aaaa },
		      { "CNAME", ns_t_cname }, { "PTR", ns_t_ptr },
		      { "TXT", ns_t_txt },     { "SRV", ns_t_srv } };
	uint32_t numbers[3] = { 0 };
	size_t at = 2;

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(types[i].word, words[1]))
			v->type = types[i].type;
	if (!v->type || str_to_u32(words[0], 0, INT32_MAX, &v->ttl))
		return -EINVAL;
	for (size_t i = 0; v->type == ns_t_srv && i < 3; i++)
		if (at >= n || str_to_u32(words[at++], 0, 65535, &numbers[i]))
			return -EINVAL;
	v->priority = (uint16_t)numbers[0];
	v->weight = (uint16_t)numbers[1];
	v->port = (uint16_t)numbers[2];
	if (v->type == ns_t_a || v->type == ns_t_aaaa)
		return at < n ? ip_parse(words[at], &v->addr) : -EINVAL;
	for (size_t len = 0; at < n; at++)
		len += (size_t)snprintf(v->text + len, sizeof(v->text) - len,
					"%s%s", len ? " " : "", words[at]);
	return 0;
}

static struct written *written_of(struct world *w, uint32_t vni,
				  const char *name)
{
	struct written *at = w->written;

	while (at && (at->vni != vni || !str_eq(at->name, name)))
		at = at->next;
	if (at)
		return at;
	at = xzalloc(sizeof(*at));
	at->vni = vni;
	str_copy(at->name, sizeof(at->name), name);
	at->next = w->written;
	w->written = at;
	return at;
}

/* record NAME NET TTL TYPE DATA..: one more of that name */
static int do_record(struct world *w, char **words, size_t n)
{
	const struct net *net = net_find(w, words[2]);
	struct written *at = net ? written_of(w, net->vni, words[1]) : NULL;

	if (!at || at->len == RECORD_VALUES_MAX ||
	    value_parse(words + 3, n - 3, &at->values[at->len]))
		return -EINVAL;
	at->len++;
	return dns_record_put(w->dns, at->vni, at->name, at->values, at->len);
}

/* stub ZONE NET|all SERVER.. */
static int do_stub(struct world *w, char **words, size_t n)
{
	const struct net *net = net_find(w, words[2]);
	struct want_upstream want = { .vni = net ? net->vni : 0 };

	if (!str_copy(want.zone, sizeof(want.zone), words[1]) ||
	    (!net && !str_eq(words[2], "all")) || n - 3 > UPSTREAM_SERVERS_MAX)
		return -EINVAL;
	for (size_t i = 3; i < n; i++) {
		struct want_server *server = &want.servers[want.servers_len++];

		server->port = 53;
		if (ip_parse(words[i], &server->addr))
			return -EINVAL;
	}
	return dns_upstream_put(w->dns, &want);
}

/* reverse VNI PREFIX..: addresses of a network that nobody here is on */
static int do_reverse(struct world *w, char **words, size_t n)
{
	struct want_reverse want = { .vni = 0 };

	if (str_to_u32(words[1], 1, 1 << 24, &want.vni) ||
	    n - 2 > NET_PREFIXES_MAX)
		return -EINVAL;
	for (size_t i = 2; i < n; i++)
		if (prefix_parse(words[i], &want.prefixes[want.len++]))
			return -EINVAL;
	return dns_reverse_put(w->dns, &want);
}

/* drop service|tasks|record|name NAME NET, drop pod ADDR, drop zone NET,
 * drop stub ZONE NET|all, drop reverse VNI */
static int do_drop(struct world *w, char **words, size_t n)
{
	const struct net *net = net_find(w, words[n - 1]);
	enum name_kind kind = kind_of(words[1]);
	struct ip_addr addr;

	if (kind != NAME_KIND_MAX && n == 4 && net)
		return dns_name_del(w->dns, net->vni, kind, words[2]);
	uint32_t vni;

	if (str_eq(words[1], "reverse") && !str_to_u32(words[2], 1, 99, &vni))
		return dns_reverse_del(w->dns, vni);
	if (str_eq(words[1], "stub") && n == 4)
		return dns_upstream_del(w->dns, net ? net->vni : 0, words[2]);
	if (str_eq(words[1], "zone") && net)
		return dns_zone_del(w->dns, net->vni);
	if (str_eq(words[1], "pod") && !ip_parse(words[2], &addr))
		return dns_client_del(w->dns, &addr);
	return -EINVAL;
}

static int do_synced(struct world *w, char **words, size_t n)
{
	(void)words;
	(void)n;
	return dns_audit_end(w->dns);
}

static const struct {
	const char *verb;
	size_t words;
	/* The server is there before it is done. */
	bool told;
	int (*run)(struct world *w, char **words, size_t n);
} verbs[] = {
	{ "domain", 2, false, do_domain },
	{ "upstreams", 2, false, do_upstreams },
	{ "zone", 5, true, do_zone },
	{ "pod", 2, true, do_pod },
	{ "host", 2, true, do_pod },
	{ "service", 3, true, do_name },
	{ "tasks", 3, true, do_name },
	{ "name", 3, true, do_name },
	{ "record", 6, true, do_record },
	{ "stub", 4, true, do_stub },
	{ "reverse", 3, true, do_reverse },
	{ "drop", 3, true, do_drop },
	{ "synced", 1, true, do_synced },
};

int world_line(struct world *w, char **words, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		int err = 0;

		if (!str_eq(verbs[i].verb, words[0]))
			continue;
		if (n < verbs[i].words)
			return -EINVAL;
		if (verbs[i].told) {
			err = server_need(w);
			w->dirty = true;
		}
		return err ? err : verbs[i].run(w, words, n);
	}
	return -ENOENT;
}

int world_settle(struct world *w)
{
	static struct asked asked;
	const struct ip_addr local = ip_from_v4(0x7f000001);
	struct want_name want = { .kind = NAME_POD, .addrs_len = 1 };
	struct ip_addr addr = ip_from_v4(++w->settled);
	int64_t until = mono_ms() + SETTLE_MS;
	uint8_t query[DNS_QUERY_MAX];
	struct dns_name name;
	struct ask ask = { .from = local, .query = query, .ms = 200 };
	char text[NAME_LEN + sizeof(SETTLE_NAME) + 1];
	int err;

	if (!w->dirty || !w->nets_len)
		return 0;
	want.vni = w->nets[0].vni;
	str_copy(want.name, sizeof(want.name), SETTLE_NAME);
	err = dns_name_put(w->dns, &want, &addr, NULL);
	snprintf(text, sizeof(text), "%s.%s", SETTLE_NAME, w->nets[0].name);
	dns_name_parse(text, &name);
	ask.len = dns_query_write(&name, ns_t_a, 1, query);
	ask.to = w->nets[0].gateway;
	if (!ip_is_v4(&ask.to))
		ask.from = ask.to;
	while (!err && mono_ms() < until) {
		size_t at = ask.len - DNS_OPT_LEN + 12;

		ask_run(w->loop, &ask, &asked, 1);
		/* The answer's only record: its address is this one. */
		if (asked.len >= at + 4 &&
		    memcmp(asked.data + at, addr.b + 12, 4) == 0) {
			w->dirty = false;
			return 0;
		}
		ask_spin(w->loop, 1);
	}
	return err ? err : -ETIMEDOUT;
}
