/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include "ipam.h"
#include "json.h"
#include "netd/util.h"
#include "pair.h"

/* Names that mean something else in DNS (RFC 6761, 7686) or in our zones. */
static const char *const reserved[] = {
	"localhost", "local", "arpa",  "invalid",
	"onion",     "svc",   "tasks", "cluster",
};

static int ranges_read(json_t *list, struct ip_prefix *ranges, uint32_t *len)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (i == NET_VIPS_MAX ||
		    json_read_prefix(item, &ranges[(*len)++]))
			return -EINVAL;
	}
	return 0;
}

/* Of nodes that know but one family there is neither. */
static int second_read(struct net *net, json_t *doc)
{
	json_t *subnet = json_object_get(doc, "subnet6");
	struct refusal ignored;

	if (!subnet)
		return 0;
	if (json_read_prefix(subnet, &net->subnet6) ||
	    net_subnets_check(&net->subnet, &net->subnet6, &ignored))
		return -EINVAL;
	if (ranges_read(json_object_get(doc, "vips6"), net->vips6,
			&net->vips6_len))
		return -EINVAL;
	for (uint32_t i = 0; i < MIN(net->vips_len, net->vips6_len); i++)
		if (net_subnets_check(&net->vips[i], &net->vips6[i], &ignored))
			return -EINVAL;
	return 0;
}

struct net *net_from_json(const char *name, json_t *doc)
{
	struct net *net = xzalloc(sizeof(*net));
	json_t *subnets = json_object_get(doc, "subnets");

	if (!str_copy(net->name, sizeof(net->name), name) ||
	    json_get_u32(doc, "vni", &net->vni) ||
	    json_read_prefix(json_array_get(subnets, 0), &net->subnet) ||
	    ranges_read(json_object_get(doc, "vips"), net->vips,
			&net->vips_len) ||
	    second_read(net, doc))
		goto bad;
	json_get_u32(doc, "mtu", &net->mtu);
	net->internal = json_is_true(json_object_get(doc, "internal"));
	net->labels = json_incref(json_object_get(doc, "labels"));
	net->doc = json_incref(doc);
	return net;
bad:
	free(net);
	return NULL;
}

static json_t *ranges_json(const struct ip_prefix *ranges, uint32_t len)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < len; i++)
		json_array_append_new(list, json_prefix(&ranges[i]));
	return list;
}

json_t *net_to_json(const struct net *net)
{
	json_t *doc = net->doc ? json_copy(net->doc) : json_object();

	json_object_set_new(doc, "schema", json_integer(1));
	json_object_set_new(doc, "vni", json_integer(net->vni));
	json_object_set_new(doc, "subnets",
			    json_pack("[o]", json_prefix(&net->subnet)));
	json_object_set_new(doc, "vips", ranges_json(net->vips, net->vips_len));
	if (net_is_dual(net)) {
		json_object_set_new(doc, "subnet6", json_prefix(&net->subnet6));
		json_object_set_new(doc, "vips6",
				    ranges_json(net->vips6, net->vips6_len));
	}
	json_object_set_new(doc, "internal", json_boolean(net->internal));
	json_object_set_new(doc, "mtu", json_integer(net->mtu));
	json_object_set(doc, "labels", net->labels);
	return doc;
}

struct ip_addr net_gateway(const struct net *net)
{
	return ip_add(&net->subnet.addr, 1);
}

struct ip_addr net_gateway6(const struct net *net)
{
	struct ip_addr gateway = net_gateway(net);

	return pair_addr(net, &gateway);
}

int net_name_check(const struct model *m, const char *name, struct refusal *r)
{
	size_t first = strcspn(m->domain, ".");
	int err = name_check("network", name, r);

	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (str_eq(reserved[i], name))
			return refuse(
				r, API_INVALID, "name", "choose another name",
				"network \"%s\": the name is reserved in DNS",
				name);
	if (strlen(name) == first && !strncmp(name, m->domain, first))
		return refuse(r, API_INVALID, "name", "choose another name",
			      "network \"%s\": the name begins the domain %s",
			      name, m->domain);
	return 0;
}

/* Ranges no pod can live in, and why. */
static const struct {
	const char *prefix;
	const char *what;
} special[] = {
	{ "0.0.0.0/8", "\"this network\" (RFC 1122)" },
	{ "127.0.0.0/8", "loopback" },
	{ "169.254.0.0/16", "link-local" },
	{ "224.0.0.0/3", "multicast or reserved" },
};

static int host_bits_check(const char *text, const struct ip_prefix *p,
			   struct refusal *r)
{
	struct ip_prefix clean = prefix_make(&p->addr, p->len);
	char buf[PREFIX_STRLEN];

	if (!prefix_has_host_bits(p))
		return 0;
	refuse(r, API_INVALID, "subnet", NULL,
	       "subnet \"%s\": bits are set behind the prefix", text);
	refuse_hint(r, "say %s", prefix_str(&clean, buf));
	return -EINVAL;
}

/* Below a /64 an interface would not do, above a /112 blocks have no room. */
static int range6_check(const char *text, const struct ip_prefix *p,
			struct refusal *r)
{
	/* Global unicast 2000::/3 (RFC 4291 2.4), ULA fc00::/7 (RFC 4193). */
	if ((p->addr.b[0] & 0xe0) != 0x20 && (p->addr.b[0] & 0xfe) != 0xfc)
		return refuse(r, API_INVALID, "subnet",
			      "choose a unique local range (RFC 4193) such as "
			      "fd00:5::/64",
			      "subnet %s is neither global unicast nor unique "
			      "local",
			      text);
	if (p->len < 64 || p->len > 112)
		return refuse(r, API_INVALID, "subnet",
			      "give an IPv6 prefix from /64 to /112",
			      "subnet %s: a network's IPv6 is no larger than a "
			      "/64 and no smaller than a /112",
			      text);
	return 0;
}

int net_subnets_check(const struct ip_prefix *v4, const struct ip_prefix *v6,
		      struct refusal *r)
{
	char a[PREFIX_STRLEN], b[PREFIX_STRLEN];

	if (!ip_is_v4(&v4->addr) || ip_is_v4(&v6->addr))
		return refuse(r, API_INVALID, "subnet",
			      "give one of IPv4 and one of IPv6",
			      "subnets %s and %s are of one family",
			      prefix_str(v4, a), prefix_str(v6, b));
	if (v6->len > v4->len)
		return refuse(r, API_INVALID, "subnet",
			      "give a larger IPv6 subnet, such as a /64",
			      "subnet %s has fewer addresses than %s",
			      prefix_str(v6, b), prefix_str(v4, a));
	return 0;
}

static int range_check(const char *text, const struct ip_prefix *p,
		       struct refusal *r)
{
	if (host_bits_check(text, p, r))
		return -EINVAL;
	if (!ip_is_v4(&p->addr))
		return range6_check(text, p, r);
	for (size_t i = 0; i < ARRAY_LEN(special); i++) {
		struct ip_prefix s;

		if (!prefix_parse(special[i].prefix, &s) &&
		    prefix_overlaps(&s, p))
			return refuse(r, API_INVALID, "subnet",
				      "choose a private range (RFC 1918)",
				      "subnet %s overlaps %s, %s", text,
				      special[i].prefix, special[i].what);
	}
	if (p->len > 125 || p->len < 104)
		return refuse(
			r, API_INVALID, "subnet",
			"give a prefix from /8 to /29",
			"subnet %s: a network has from 8 to 2^24 addresses",
			text);
	return 0;
}

int net_subnet_check(const struct model *m, const char *text,
		     struct ip_prefix *ret, struct refusal *r)
{
	char what[320];
	struct ip_prefix p;
	int err;

	if (prefix_parse(text, &p) || !strchr(text, '/'))
		return refuse(r, API_INVALID, "subnet",
			      "give address/length, such as 10.5.0.0/24",
			      "subnet \"%s\" is not a prefix", text);
	err = range_check(text, &p, r);
	if (err)
		return err;
	if (ipam_overlap(m, &p, what, sizeof(what)))
		return refuse(r, API_CONFLICT, "subnet",
			      "choose another subnet, or leave it out and a "
			      "free one is picked",
			      "subnet %s overlaps %s", text, what);
	*ret = p;
	return 0;
}

static struct want_range range_of(const struct ip_prefix *subnet,
				  const struct ip_prefix *vips, uint32_t len)
{
	struct want_range range = { .subnet = *subnet,
				    .gateway = ip_add(&subnet->addr, 1),
				    .vips_len = len };

	memcpy(range.vips, vips, len * sizeof(vips[0]));
	return range;
}

struct want_net net_want(const struct net *net, bool joined)
{
	struct want_net want = {
		.vni = net->vni,
		.internal = net->internal,
		.joined = joined,
	};

	memcpy(want.name, net->name, sizeof(want.name));
	want.ranges[want.ranges_len++] =
		range_of(&net->subnet, net->vips, net->vips_len);
	if (net_is_dual(net))
		want.ranges[want.ranges_len++] =
			range_of(&net->subnet6, net->vips6, net->vips6_len);
	return want;
}
