/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include "ipam.h"
#include "json.h"
#include "netd/util.h"

/* Names that mean something else in DNS (RFC 6761, 7686) or in our zones. */
static const char *const reserved[] = {
	"localhost", "local", "arpa",  "invalid",
	"onion",     "svc",   "tasks", "cluster",
};

struct net *net_from_json(const char *name, json_t *doc)
{
	struct net *net = xzalloc(sizeof(*net));
	json_t *subnets = json_object_get(doc, "subnets");
	json_t *vips = json_object_get(doc, "vips");
	json_t *vip;
	size_t i;

	if (!str_copy(net->name, sizeof(net->name), name) ||
	    json_get_u32(doc, "vni", &net->vni) ||
	    json_read_prefix(json_array_get(subnets, 0), &net->subnet))
		goto bad;
	json_array_foreach (vips, i, vip) {
		if (i == NET_VIPS_MAX ||
		    json_read_prefix(vip, &net->vips[net->vips_len++]))
			goto bad;
	}
	json_get_u32(doc, "mtu", &net->mtu);
	net->internal = json_is_true(json_object_get(doc, "internal"));
	net->labels = json_incref(json_object_get(doc, "labels"));
	net->doc = json_incref(doc);
	return net;
bad:
	free(net);
	return NULL;
}

json_t *net_to_json(const struct net *net)
{
	json_t *doc = net->doc ? json_copy(net->doc) : json_object();
	json_t *vips = json_array();

	for (uint32_t i = 0; i < net->vips_len; i++)
		json_array_append_new(vips, json_prefix(&net->vips[i]));
	json_object_set_new(doc, "schema", json_integer(1));
	json_object_set_new(doc, "vni", json_integer(net->vni));
	json_object_set_new(doc, "subnets",
			    json_pack("[o]", json_prefix(&net->subnet)));
	json_object_set_new(doc, "vips", vips);
	json_object_set_new(doc, "internal", json_boolean(net->internal));
	json_object_set_new(doc, "mtu", json_integer(net->mtu));
	json_object_set(doc, "labels", net->labels);
	return doc;
}

struct ip_addr net_gateway(const struct net *net)
{
	return ip_add(&net->subnet.addr, 1);
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

static int range_check(const char *text, const struct ip_prefix *p,
		       struct refusal *r)
{
	if (!ip_is_v4(&p->addr) || p->len < 96)
		return refuse(r, API_UNSUPPORTED, "subnet",
			      "give an IPv4 subnet such as 10.5.0.0/24",
			      "subnet \"%s\": only IPv4 so far", text);
	if (prefix_has_host_bits(p)) {
		struct ip_prefix clean = prefix_make(&p->addr, p->len);
		char buf[PREFIX_STRLEN];

		refuse(r, API_INVALID, "subnet", NULL,
		       "subnet \"%s\": bits are set behind the prefix", text);
		refuse_hint(r, "say %s", prefix_str(&clean, buf));
		return -EINVAL;
	}
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

struct want_net net_want(const struct net *net, bool joined)
{
	struct want_net want = {
		.vni = net->vni,
		.internal = net->internal,
		.joined = joined,
	};
	struct want_range *range = &want.ranges[want.ranges_len++];

	memcpy(want.name, net->name, sizeof(want.name));
	range->subnet = net->subnet;
	range->gateway = net_gateway(net);
	range->vips_len = net->vips_len;
	memcpy(range->vips, net->vips, sizeof(range->vips));
	return want;
}
