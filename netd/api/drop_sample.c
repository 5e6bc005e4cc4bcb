/* SPDX-License-Identifier: Apache-2.0 */
#include "drop_sample.h"

#include <net/if.h>
#include <stdio.h>

#include "events.h"
#include "json.h"
#include "netd/util.h"
#include "whose.h"

/* Words of a filter; more would only be a mistake. */
#define FILTERS_MAX 64

#define ETH_ARP 0x0806
#define ETH_IP4 0x0800
#define ETH_IP6 0x86dd

static const struct {
	uint8_t number;
	const char *name;
} protocols[] = {
	{ 0, "hop-by-hop" }, { 1, "icmp" }, { 2, "igmp" },    { 6, "tcp" },
	{ 17, "udp" },	     { 47, "gre" }, { 58, "icmpv6" }, { 132, "sctp" },
};

static json_t *protocol_of(const struct ebpf_sample *s)
{
	if (s->ethertype == ETH_ARP)
		return json_string("arp");
	if (s->ethertype != ETH_IP4 && s->ethertype != ETH_IP6)
		return json_sprintf("ethertype 0x%04x", s->ethertype);
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		if (protocols[i].number == s->proto)
			return json_string(protocols[i].name);
	return json_sprintf("ip %u", s->proto);
}

/* "SYN,ACK" */
static json_t *tcp_flags(uint8_t flags)
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH",
					     "ACK", "URG", "ECE", "CWR" };
	char text[64] = "";
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (flags & 1u << i)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s%s", len ? "," : "",
						names[i]);
	return json_string(text);
}

static json_t *icmp_words(uint8_t proto, uint8_t type, uint8_t code)
{
	static const struct {
		uint8_t proto, type;
		const char *name;
	} types[] = {
		{ 1, 0, "echo reply" },
		{ 1, 3, "unreachable" },
		{ 1, 8, "echo request" },
		{ 1, 11, "time exceeded" },
		{ 58, 1, "unreachable" },
		{ 58, 2, "packet too big" },
		{ 58, 3, "time exceeded" },
		{ 58, 128, "echo request" },
		{ 58, 129, "echo reply" },
		{ 58, 133, "router solicitation" },
		{ 58, 134, "router advertisement" },
		{ 58, 135, "neighbour solicitation" },
		{ 58, 136, "neighbour advertisement" },
		{ 58, 137, "redirect" },
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].proto == proto && types[i].type == type)
			return code ? json_sprintf("%s, code %u", types[i].name,
						   code)
				    : json_string(types[i].name);
	return json_sprintf("type %u, code %u", type, code);
}

/* What the header says besides addresses and ports. */
static json_t *detail_of(const struct ebpf_sample *s)
{
	bool is_ip = s->ethertype == ETH_IP4 || s->ethertype == ETH_IP6;

	if (s->fragment && !s->sport && !s->detail)
		return json_string("fragment");
	if (is_ip && s->proto == 6)
		return tcp_flags(s->detail);
	if (is_ip && (s->proto == 1 || s->proto == 58))
		return icmp_words(s->proto, s->detail, s->code);
	return json_string("");
}

static void put_some(json_t *obj, const char *key, const char *text)
{
	if (*text)
		json_object_set_new(obj, key, json_string(text));
}

static json_t *end_json(const struct model *m, const struct ip_addr *addr,
			uint16_t port)
{
	struct whose w = model_whose(m, addr);
	json_t *end = json_object();

	if (ip_is_none(addr))
		return end;
	json_object_set_new(end, "ip", json_ip(addr));
	if (port)
		json_object_set_new(end, "port", json_integer(port));
	if (w.kind == WHOSE_POD)
		put_some(end, "pod", w.name);
	if (w.kind == WHOSE_SERVICE)
		put_some(end, "service", w.name);
	if (w.kind == WHOSE_GATEWAY)
		json_object_set_new(end, "gateway", json_true());
	put_some(end, "node", w.node);
	put_some(end, "network", w.network);
	return end;
}

/* By the link it came in by, or what the tunnel says. */
static const char *network_of(const struct model *m,
			      const struct ebpf_sample *s,
			      const struct whose *link)
{
	const struct net *net = s->vni ? model_net_by_vni(m, s->vni) : NULL;

	return net ? net->name : link->network;
}

json_t *drop_sample_json(const struct model *m, const struct ebpf_sample *s,
			 int64_t at_ms)
{
	struct whose link = model_whose_link(m, s->ifindex);
	char time[EVENT_TIME_LEN], name[IF_NAMESIZE] = "";
	char mac[MAC_STRLEN];

	if_indextoname(s->ifindex, name);
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:s, s:o,"
		" s:o}",
		"time", event_time(at_ms, time), "reason", s->reason, "meaning",
		s->meaning, "hook", s->hook, "interface", name, "pod",
		link.name, "network", network_of(m, s, &link), "protocol",
		protocol_of(s), "detail", detail_of(s), "length", (int)s->len,
		"mac", mac_str(&s->mac, mac), "source",
		end_json(m, &s->src, s->sport), "destination",
		end_json(m, &s->dst, s->dport));
}

/* ---- filters ---- */

/* Fields that a key means: of the packet itself, or of one end. */
static const struct key {
	const char *name;
	bool own, ends;
	const char *field;
} keys[] = {
	{ "reason", true, false, "reason" },
	{ "pod", true, true, "pod" },
	{ "network", true, true, "network" },
	{ "service", false, true, "service" },
	{ "node", false, true, "node" },
	{ "address", false, true, "ip" },
	{ "protocol", true, false, "protocol" },
	{ "hook", true, false, "hook" },
};

/* What KEY=VALUE or KEY!=VALUE says. */
struct wish {
	const struct key *key;
	const char *value;
	bool not ;
};

static bool wish_parse(const char *word, struct wish *ret)
{
	for (size_t i = 0; word && i < ARRAY_LEN(keys); i++) {
		const char *rest = str_after(word, keys[i].name);

		if (!rest || (*rest != '=' && strncmp(rest, "!=", 2) != 0))
			continue;
		ret->key = &keys[i];
		ret->not = *rest == '!';
		ret->value = strchr(rest, '=') + 1;
		return true;
	}
	return false;
}

int drop_filter_check(json_t *words, struct refusal *r)
{
	struct wish wish;
	json_t *word;
	size_t i;

	if (json_array_size(words) > FILTERS_MAX)
		return refuse(r, API_INVALID, "filter", "give fewer",
			      "there are more than %d filters", FILTERS_MAX);
	json_array_foreach (words, i, word) {
		if (!wish_parse(json_string_value(word), &wish))
			return refuse(r, API_INVALID, "filter",
				      "write KEY=VALUE or KEY!=VALUE; KEY is "
				      "reason, pod, network, service, node, "
				      "address, protocol or hook",
				      "filter \"%.64s\" names no field of a "
				      "dropped packet",
				      json_string_value(word));
	}
	return 0;
}

static bool field_is(const json_t *obj, const char *field, const char *value)
{
	const char *text = json_string_value(json_object_get(obj, field));

	return text && str_eq(text, value);
}

static bool key_is(const struct key *key, const json_t *sample,
		   const char *value)
{
	if (key->own && field_is(sample, key->field, value))
		return true;
	return key->ends && (field_is(json_object_get(sample, "source"),
				      key->field, value) ||
			     field_is(json_object_get(sample, "destination"),
				      key->field, value));
}

bool drop_filter_match(json_t *words, const json_t *sample)
{
	bool asked[ARRAY_LEN(keys)] = { false };
	bool found[ARRAY_LEN(keys)] = { false };
	struct wish wish;
	json_t *word;
	size_t i;

	json_array_foreach (words, i, word) {
		size_t at;
		bool is;

		if (!wish_parse(json_string_value(word), &wish))
			continue;
		at = (size_t)(wish.key - keys);
		is = key_is(wish.key, sample, wish.value);
		if (wish.not &&is)
			return false;
		asked[at] = asked[at] || !wish.not ;
		found[at] = found[at] || is;
	}
	for (i = 0; i < ARRAY_LEN(keys); i++)
		if (asked[i] && !found[i])
			return false;
	return true;
}
