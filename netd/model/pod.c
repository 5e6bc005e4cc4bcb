/* SPDX-License-Identifier: Apache-2.0 */
#include "pod.h"

#include "json.h"
#include "netd/util.h"
#include "network.h"
#include "pair.h"

struct pod *pod_new(const char *name)
{
	struct pod *pod = xzalloc(sizeof(*pod));

	str_copy(pod->name, sizeof(pod->name), name);
	str_copy(pod->key, sizeof(pod->key), name);
	name_lower(pod->key);
	pod->labels = json_object();
	return pod;
}

void pod_free(struct pod *pod)
{
	if (!pod)
		return;
	while (pod->nets_len)
		pod_detach(pod, &pod->nets[pod->nets_len - 1]);
	json_decref(pod->labels);
	json_decref(pod->found);
	free(pod->ports);
	free(pod->netns_path);
	free(pod);
}

static int attachment_read(json_t *doc, struct attachment *at)
{
	uint32_t hand;

	if (json_get_str(doc, "id", at->id, sizeof(at->id)) ||
	    json_get_str(doc, "network", at->network, sizeof(at->network)) ||
	    json_get_u32(doc, "vni", &at->vni) ||
	    json_read_ip(json_object_get(doc, "ip"), &at->addr))
		return -EINVAL;
	if (json_object_get(doc, "ip6") &&
	    json_read_ip(json_object_get(doc, "ip6"), &at->addr6))
		return -EINVAL;
	/* Written since an endpoint can have a MAC of its own. */
	if (json_get_mac(doc, &at->mac))
		at->mac = mac_from_ip(&at->addr);
	json_get_str(doc, "config", at->config, sizeof(at->config));
	json_get_u32(doc, "ifindex", &at->ifindex);
	json_get_u64(doc, "cookie", &at->cookie);
	json_get_str(doc, "ifname", at->ifname, sizeof(at->ifname));
	if (!json_get_u32(doc, "hand", &hand) && hand <= HAND_LEFT)
		at->hand = (enum attachment_hand)hand;
	at->asks_host = json_is_true(json_object_get(doc, "asks_host"));
	at->aliases = json_incref(json_object_get(doc, "aliases"));
	return 0;
}

static json_t *attachment_json(const struct attachment *at)
{
	char mac[MAC_STRLEN];
	json_t *doc =
		json_pack("{s:s, s:s, s:I, s:o, s:s, s:s, s:I, s:I, s:s}", "id",
			  at->id, "network", at->network, "vni",
			  (json_int_t)at->vni, "ip", json_ip(&at->addr), "mac",
			  mac_str(&at->mac, mac), "config", at->config,
			  "ifindex", (json_int_t)at->ifindex, "cookie",
			  (json_int_t)at->cookie, "ifname", at->ifname);

	if (!ip_is_none(&at->addr6))
		json_object_set_new(doc, "ip6", json_ip(&at->addr6));
	json_object_set(doc, "aliases", at->aliases);
	if (at->hand != HAND_OURS)
		json_object_set_new(doc, "hand", json_integer(at->hand));
	if (at->asks_host)
		json_object_set_new(doc, "asks_host", json_true());
	return doc;
}

static int ports_read(json_t *list, struct pod *pod)
{
	json_t *item;
	size_t i;

	if (!json_array_size(list))
		return 0;
	pod->ports = xzalloc(json_array_size(list) * sizeof(*pod->ports));
	json_array_foreach (list, i, item)
		if (pod_port_from_json(item, &pod->ports[pod->ports_len++]))
			return -EINVAL;
	return 0;
}

struct pod *pod_from_json(json_t *doc)
{
	const char *name = json_string_value(json_object_get(doc, "name"));
	json_t *nets = json_object_get(doc, "networks");
	json_t *labels = json_object_get(doc, "labels");
	json_t *found = json_object_get(doc, "found");
	struct pod *pod;
	json_t *item;
	size_t i;

	if (!name || !pod_name_is_valid(name))
		return NULL;
	pod = pod_new(name);
	pod->own_ns = json_is_true(json_object_get(doc, "own_ns"));
	pod->leaving = json_is_true(json_object_get(doc, "leaving"));
	json_get_str(doc, "owner", pod->owner, sizeof(pod->owner));
	json_get_str(doc, "container", pod->container, sizeof(pod->container));
	if (json_is_object(labels))
		json_object_update(pod->labels, labels);
	if (json_is_object(found))
		pod->found = json_incref(found);
	if (ports_read(json_object_get(doc, "ports"), pod)) {
		pod_free(pod);
		return NULL;
	}
	json_array_foreach (nets, i, item) {
		if (i == CLIENT_NETS_MAX ||
		    attachment_read(item, &pod->nets[pod->nets_len++])) {
			pod_free(pod);
			return NULL;
		}
	}
	return pod;
}

json_t *pod_to_json(const struct pod *pod)
{
	json_t *nets = json_array(), *ports = json_array();
	json_t *doc;

	for (size_t i = 0; i < pod->nets_len; i++)
		json_array_append_new(nets, attachment_json(&pod->nets[i]));
	for (size_t i = 0; i < pod->ports_len; i++)
		json_array_append_new(ports, pod_port_to_json(&pod->ports[i]));
	doc = json_pack("{s:i, s:s, s:b, s:b, s:s, s:s, s:O, s:o, s:o}",
			"schema", 1, "name", pod->name, "own_ns", pod->own_ns,
			"leaving", pod->leaving, "owner", pod->owner,
			"container", pod->container, "labels", pod->labels,
			"networks", nets, "ports", ports);
	json_object_set(doc, "found", pod->found);
	return doc;
}

/* ---- as others see it ---- */

static const char *found_str(const struct pod *pod, const char *field)
{
	const char *text =
		json_string_value(json_object_get(pod->found, field));

	return text ? text : "";
}

json_t *pod_labels(const struct pod *pod)
{
	json_t *found = json_object_get(pod->found, "labels");
	json_t *all;

	if (!json_object_size(found))
		return json_incref(pod->labels);
	all = json_copy(found);
	json_object_update(all, pod->labels);
	return all;
}

const char *pod_shown_name(const struct pod *pod)
{
	const char *name = found_str(pod, "name");

	return *pod->owner && *name ? name : pod->name;
}

json_t *pod_aliases(const struct pod *pod, const struct attachment *at)
{
	json_t *found = json_object_get(json_object_get(pod->found, "aliases"),
					at->network);
	const char *other = found_str(pod, "name");
	json_t *all;

	if (!pod->found)
		return json_incref(at->aliases);
	if (str_eq(other, pod_shown_name(pod)))
		other = pod->name;
	all = at->aliases ? json_copy(at->aliases) : json_array();
	if (*other)
		json_array_append_new(all, json_string(other));
	json_array_extend(all, found);
	return all;
}

const char *pod_unready(const struct pod *pod)
{
	return found_str(pod, "unready");
}

struct pod *model_pod(const struct model *m, const char *name)
{
	char key[POD_NAME_LEN];
	struct pod *pod;

	if (!str_copy(key, sizeof(key), name))
		return NULL;
	name_lower(key);
	HASH_FIND_STR(m->pods, key, pod);
	return pod;
}

struct pod *model_pod_of(const struct model *m, const char *owner,
			 const char *container)
{
	for (struct pod *pod = m->pods; *container && pod; pod = pod->hh.next)
		if (str_eq(pod->container, container) &&
		    str_eq(pod->owner, owner))
			return pod;
	return NULL;
}

struct pod *model_pod_shown(const struct model *m, const char *name)
{
	struct pod *pod = model_pod(m, name);

	if (pod)
		return pod;
	for (pod = m->pods; pod; pod = pod->hh.next)
		if (strcasecmp(pod_shown_name(pod), name) == 0)
			return pod;
	return NULL;
}

void model_pod_add(struct model *m, struct pod *pod)
{
	HASH_ADD_STR(m->pods, key, pod);
}

void model_pod_remove(struct model *m, struct pod *pod)
{
	HASH_DEL(m->pods, pod);
}

struct attachment *pod_attachment(struct pod *pod, const char *network)
{
	for (size_t i = 0; i < pod->nets_len; i++)
		if (str_eq(pod->nets[i].network, network))
			return &pod->nets[i];
	return NULL;
}

/* Ports that lead to its address on this network. */
static void pod_ports_drop(struct pod *pod, const char *network)
{
	for (size_t i = pod->ports_len; i-- > 0;)
		if (str_eq(pod->ports[i].network, network))
			pod->ports[i] = pod->ports[--pod->ports_len];
}

void pod_detach(struct pod *pod, struct attachment *at)
{
	size_t behind = (size_t)(pod->nets + pod->nets_len - (at + 1));

	json_decref(at->aliases);
	pod_ports_drop(pod, at->network);
	/* The order stays: it is the order in which names are looked for. */
	memmove(at, at + 1, behind * sizeof(*at));
	pod->nets_len--;
	memset(&pod->nets[pod->nets_len], 0, sizeof(*at));
}

bool link_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	/* dev_valid_name() of the kernel; '%' would be a pattern to it. */
	return len && len < LINK_NAME_LEN && !str_eq(name, ".") &&
	       !str_eq(name, "..") && !str_eq(name, "lo") &&
	       !strpbrk(name, "/:% \t\n\v\f\r");
}

int pod_mac_parse(const char *text, struct mac_addr *ret, struct refusal *r)
{
	static const struct mac_addr none;
	struct mac_addr mac;

	if (mac_parse(text, &mac))
		return refuse(r, API_INVALID, "mac",
			      "write mac=02:00:0a:05:00:07",
			      "mac \"%.32s\" is not an Ethernet address", text);
	if ((mac.b[0] & 1) || memcmp(&mac, &none, sizeof(mac)) == 0)
		return refuse(r, API_INVALID, "mac",
			      "begin it with 02, as in 02:00:0a:05:00:07",
			      "mac %s is not the address of one station", text);
	*ret = mac;
	return 0;
}

const struct pod *model_mac_owner(const struct model *m, const char *network,
				  const struct mac_addr *mac)
{
	for (const struct pod *pod = m->pods; pod; pod = pod->hh.next)
		for (size_t i = 0; i < pod->nets_len; i++)
			if (str_eq(pod->nets[i].network, network) &&
			    !memcmp(&pod->nets[i].mac, mac, sizeof(*mac)))
				return pod;
	return NULL;
}

static int ifname_option(const char *value, struct pod_network *net,
			 struct refusal *r)
{
	if (!link_name_is_valid(value))
		return refuse(r, API_INVALID, "network",
			      "use at most 15 characters, no / : % or blanks",
			      "network \"%s\": ifname \"%.32s\" is not a name "
			      "for a link",
			      net->network, value);
	str_copy(net->ifname, sizeof(net->ifname), value);
	return 0;
}

static int network_option(char *word, struct pod_network *net,
			  struct refusal *r)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	if (value && (str_eq(word, "ip") || str_eq(word, "ip6"))) {
		bool v6 = str_eq(word, "ip6");

		if (ip_parse(value, v6 ? &net->addr6 : &net->addr))
			return refuse(
				r, API_INVALID, "network",
				v6 ? "write ip6=fd00::7" : "write ip=10.5.0.7",
				"network \"%s\": %s \"%s\" is not an address",
				net->network, word, value);
		return 0;
	}
	if (value && str_eq(word, "mac"))
		return pod_mac_parse(value, &net->mac, r);
	if (value && str_eq(word, "ifname"))
		return ifname_option(value, net, r);
	if (value && str_eq(word, "alias")) {
		if (!pod_name_is_valid(value))
			return refuse(
				r, API_INVALID, "network",
				"use letters, digits, - _ and .",
				"network \"%s\": alias \"%s\" is not a name",
				net->network, value);
		json_array_append_new(net->aliases, json_string(value));
		return 0;
	}
	return refuse(r, API_INVALID, "network",
		      "write NET, and behind it ,ip=IP ,ip6=IP ,mac=MAC "
		      ",ifname=NAME or ,alias=NAME",
		      "network \"%s\": unknown option \"%s\"", net->network,
		      word);
}

int pod_network_parse(const char *text, struct pod_network *ret,
		      struct refusal *r)
{
	AUTO(str_freep) char *copy = xstrdup(text);
	struct pod_network net = { .aliases = json_array() };
	char *save = NULL;
	char *word = strtok_r(copy, ",", &save);
	int err;

	err = name_check("network", word ? word : "", r);
	if (!err)
		str_copy(net.network, sizeof(net.network), word);
	while (!err && (word = strtok_r(NULL, ",", &save)))
		err = network_option(word, &net, r);
	if (err)
		json_decref(net.aliases);
	else
		*ret = net;
	return err;
}

struct attachment attachment_make(const struct net *net,
				  const struct pod_network *wish,
				  const struct ip_addr *addr)
{
	static const struct mac_addr none;
	struct attachment at = { .vni = net->vni,
				 .addr = *addr,
				 .addr6 = pair_addr(net, addr),
				 .mac = wish->mac,
				 .aliases = wish->aliases };

	memcpy(at.network, net->name, sizeof(at.network));
	memcpy(at.ifname, wish->ifname, sizeof(at.ifname));
	if (memcmp(&at.mac, &none, sizeof(none)) == 0)
		at.mac = mac_from_ip(addr);
	return at;
}

/* The first that leads outside. */
static const struct attachment *default_attachment(const struct model *m,
						   const struct pod *pod)
{
	for (size_t i = 0; i < pod->nets_len; i++) {
		const struct net *net = model_net(m, pod->nets[i].network);

		if (net && !net->internal)
			return &pod->nets[i];
	}
	return NULL;
}

struct want_pod pod_want(const struct model *m, const struct pod *pod,
			 const struct attachment *at, const struct net *net,
			 uint32_t mtu)
{
	const struct attachment *way_out = default_attachment(m, pod);
	bool dual = net_is_dual(net) && !ip_is_none(&at->addr6);
	struct want_pod want = {
		.vni = net->vni,
		.addrs = { { at->addr, net->subnet.len, net_gateway(net) } },
		.addrs_len = 1,
		.mac = at->mac,
		.mtu = net->mtu ? MIN(net->mtu, mtu) : mtu,
		.default_route = at == way_out,
		/* One gateway is enough, and one that forwards is better. */
		.asks_host =
			at->asks_host && at == (way_out ? way_out : pod->nets),
		.vips_len = net->vips_len,
	};

	memcpy(want.id, at->id, sizeof(want.id));
	memcpy(want.pod, pod->name, sizeof(want.pod));
	memcpy(want.ifname, at->ifname, sizeof(want.ifname));
	memcpy(want.vips, net->vips, net->vips_len * sizeof(net->vips[0]));
	if (!dual)
		return want;
	want.addrs[want.addrs_len++] =
		(struct want_pod_addr){ at->addr6, net->subnet6.len,
					net_gateway6(net) };
	memcpy(want.vips + want.vips_len, net->vips6,
	       net->vips6_len * sizeof(net->vips6[0]));
	want.vips_len += net->vips6_len;
	return want;
}
