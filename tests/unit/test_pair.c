/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of two families, and of IPv6 alone: what pairs with what, what is
 * picked, which requests are refused, and documents of nodes old and new.
 */
#include "cm.h"
#include "ipam.h"
#include "json.h"
#include "network.h"
#include "pair.h"
#include "pod.h"
#include "ula.h"

#define NET(rest) "{\"schema\":1,\"vni\":4096," rest "}"
#define V4 "\"subnets\":[\"10.5.0.0/24\"],\"vips\":[\"10.80.4.0/22\"]"
#define V6 "\"subnets\":[\"fd00:5::/64\"],\"vips\":[\"fd00:6::/118\"]"
#define DUAL V4 ",\"subnet6\":\"fd00:5::/64\",\"vips6\":[\"fd00:6::400/118\"]"

static struct ip_addr ip(const char *text)
{
	struct ip_addr a = { { 0 } };

	if (*text)
		assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	assert_int_equal(prefix_parse(text, &p), 0);
	return p;
}

static void assert_ip(const struct ip_addr *a, const char *want)
{
	char text[IP_STRLEN];

	assert_string_equal(ip_is_none(a) ? "" : ip_str(a, text), want);
}

static struct model *make(const char *doc)
{
	struct model *m = model_new("n1");

	prefix_parse("10.64.0.0/12", &m->ipam.pools[0]);
	m->ipam.pools_len = 1;
	m->ipam.network_len = m->ipam.vips_len = 96 + 22;
	prefix_parse("10.80.0.0/12", &m->ipam.vip_pool);
	model_apply(m, "c/ula", "{\"prefix\":\"fd01:203:405::/48\"}", 1, NULL);
	if (doc)
		model_apply(m, "c/nets/blue", doc, 1, NULL);
	return m;
}

static void test_pairs(void **state)
{
	static const struct {
		const char *doc, *v4, *v6;
	} rows[] = {
		{ NET(DUAL), "10.5.0.0", "fd00:5::" },
		{ NET(DUAL), "10.5.0.7", "fd00:5::7" },
		{ NET(DUAL), "10.5.0.255", "fd00:5::ff" },
		{ NET(DUAL), "10.5.1.0", "" },
		{ NET(V4), "10.5.0.7", "" },
		{ NET(V6), "fd00:5::7", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct model *m = make(rows[i].doc);
		struct net *net = model_net(m, "blue");
		struct ip_addr a = ip(rows[i].v4), b;

		assert_non_null(net);
		b = pair_addr(net, &a);
		assert_ip(&b, rows[i].v6);
		assert_true(!*rows[i].v6 || net_holds(net, &b));
		model_free(m);
	}
}

static void test_families(void **state)
{
	static const struct {
		const char *doc;
		bool v4, v6, dual;
		const char *gateway, *gateway6, *vip, *vip6;
	} rows[] = {
		{ NET(V4), true, false, false, "10.5.0.1", "", "10.80.4.1",
		  "" },
		{ NET(V6), false, true, false, "fd00:5::1", "", "fd00:6::1",
		  "" },
		{ NET(DUAL), true, true, true, "10.5.0.1", "fd00:5::1",
		  "10.80.4.1", "fd00:6::401" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct model *m = make(rows[i].doc);
		struct net *net = model_net(m, "blue");
		struct ip_addr none = { { 0 } }, vip, a;
		struct want_net want;
		struct refusal r;

		assert_int_equal(net_has_family(net, false), rows[i].v4);
		assert_int_equal(net_has_family(net, true), rows[i].v6);
		assert_int_equal(net_is_dual(net), rows[i].dual);
		a = net_gateway(net);
		assert_ip(&a, rows[i].gateway);
		a = net_gateway6(net);
		assert_ip(&a, rows[i].gateway6);
		assert_int_equal(ipam_pick_vip(net, &none, &vip, &r), 0);
		assert_ip(&vip, rows[i].vip);
		a = pair_vip(net, &vip);
		assert_ip(&a, rows[i].vip6);
		want = net_want(net, true);
		assert_int_equal(want.ranges_len, rows[i].dual ? 2 : 1);
		assert_ip(&want.ranges[want.ranges_len - 1].gateway,
			  rows[i].dual ? rows[i].gateway6 : rows[i].gateway);
		model_free(m);
	}
}

/* A wish by either address, or by both, is one of the primary subnet. */
static void test_wishes(void **state)
{
	static const struct {
		const char *doc, *v4, *v6, *got, *refused;
	} rows[] = {
		{ NET(DUAL), "", "", "", NULL },
		{ NET(DUAL), "10.5.0.7", "", "10.5.0.7", NULL },
		{ NET(DUAL), "", "fd00:5::7", "10.5.0.7", NULL },
		{ NET(DUAL), "fd00:5::7", "", "10.5.0.7", NULL },
		{ NET(DUAL), "10.5.0.7", "fd00:5::7", "10.5.0.7", NULL },
		{ NET(DUAL), "10.5.0.7", "fd00:5::8", "",
		  "10.5.0.7 goes with fd00:5::7" },
		{ NET(DUAL), "", "fd00:5::100", "",
		  "choose one from fd00:5:: to fd00:5::ff, or none" },
		{ NET(DUAL), "", "fd00:9::7", "",
		  "choose one from fd00:5:: to fd00:5::ff, or none" },
		{ NET(DUAL), "", "10.5.0.7", "", "write it as ip" },
		{ NET(V6), "", "fd00:5::7", "fd00:5::7", NULL },
		{ NET(V6), "fd00:5::7", "", "fd00:5::7", NULL },
		{ NET(V4), "", "fd00:5::7", "",
		  "leave it out, or make a network with --ipv6" },
		{ NET(V4), "fd00:5::7", "", "",
		  "leave it out, or make a network with --ipv6" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct model *m = make(rows[i].doc);
		struct ip_addr v4 = ip(rows[i].v4), v6 = ip(rows[i].v6), got;
		struct refusal r = { 0 };
		int err = pair_wish(model_net(m, "blue"), &v4, &v6, &got, &r);

		assert_int_equal(err, rows[i].refused ? -EINVAL : 0);
		if (err)
			assert_string_equal(r.hint, rows[i].refused);
		else
			assert_ip(&got, rows[i].got);
		model_free(m);
	}
}

static void test_subnet_check(void **state)
{
	static const struct {
		const char *text, *refused;
	} rows[] = {
		{ "fd00:7::/64", NULL },
		{ "fd00:7::/112", NULL },
		{ "2001:db8:1::/64", NULL },
		{ "fd00:7::/113", "no smaller than a /112" },
		{ "fd00:7::/63", "no larger than a /64" },
		{ "fd00:7::1/64", "bits are set behind the prefix" },
		{ "fe80::/64", "neither global unicast nor unique local" },
		{ "ff02::/64", "neither global unicast nor unique local" },
		{ "::/64", "neither global unicast nor unique local" },
		{ "fd00:5:0:0:8000::/112", "overlaps fd00:5::/64 of network" },
		{ "fd00:6::/64", "overlaps the VIP range fd00:6::400/118" },
		{ "fd01:203:405::/64", "what IPv6 VIPs are picked from" },
		{ "fd00:88::/64",
		  "overlaps the route fd00:88::/32 of node n2" },
		{ "fd00:99::/64", "overlaps the address fd00:99::2 of node" },
	};
	struct model *m = make(NET(DUAL));

	(void)state;
	model_apply(m, "c/nodes/n2",
		    "{\"vtep\":\"192.0.2.2\",\"incarnation\":1,\"addresses\":["
		    "\"192.0.2.2\","
		    "\"fd00:99::2\"],\"routes\":[\"fd00:88::/32\"]}",
		    1, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r = { 0 };
		struct ip_prefix p;
		int err = net_subnet_check(m, rows[i].text, &p, &r);

		if (err && !rows[i].refused)
			fail_msg("%s: %s", rows[i].text, r.message);
		assert_int_equal(err, rows[i].refused ? -EINVAL : 0);
		if (err && !strstr(r.message, rows[i].refused))
			fail_msg("%s: %s", rows[i].text, r.message);
	}
	model_free(m);
}

static void test_subnets_check(void **state)
{
	static const struct {
		const char *v4, *v6;
		bool ok;
	} rows[] = {
		{ "10.5.0.0/24", "fd00:5::/64", true },
		{ "10.5.0.0/16", "fd00:5::/112", true },
		{ "10.0.0.0/15", "fd00:5::/112", false },
		{ "10.5.0.0/24", "10.6.0.0/24", false },
		{ "fd00:5::/64", "fd00:6::/64", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_prefix a = prefix(rows[i].v4), b = prefix(rows[i].v6);
		struct refusal r;

		assert_int_equal(net_subnets_check(&a, &b, &r),
				 rows[i].ok ? 0 : -EINVAL);
	}
}

/* What is there already is passed over; VIPs come from the first /64. */
static void test_picks(void **state)
{
	struct model *m = make(NET(DUAL));
	char text[PREFIX_STRLEN];
	struct ip_prefix p;
	struct refusal r;

	(void)state;
	assert_int_equal(ula_pick_subnet(m, &m->ula, &p, &r), 0);
	assert_string_equal(prefix_str(&p, text), "fd01:203:405:1::/64");
	model_apply(m, "c/nets/red",
		    "{\"vni\":4097,\"subnets\":[\"10.6.0.0/24\"],\"vips\":[],"
		    "\"subnet6\":\"fd01:203:405:1::/64\","
		    "\"vips6\":[\"fd01:203:405::/118\"]}",
		    2, NULL);
	assert_int_equal(ula_pick_subnet(m, &m->ula, &p, &r), 0);
	assert_string_equal(prefix_str(&p, text), "fd01:203:405:2::/64");
	assert_int_equal(ula_pick_vips(m, &m->ula, &p, &r), 0);
	assert_string_equal(prefix_str(&p, text), "fd01:203:405::400/118");
	model_free(m);
}

static void test_ula(void **state)
{
	static const uint8_t random[ULA_RANDOM] = { 1, 2, 3, 4, 5 };
	struct ip_prefix p = ula_make(random);
	char text[PREFIX_STRLEN];
	struct model *m = make(NULL);

	(void)state;
	assert_string_equal(prefix_str(&p, text), "fd01:203:405::/48");
	assert_true(ula_is_one(&p));
	/* What is none is not taken for one. */
	model_apply(m, "c/ula", "{\"prefix\":\"2001:db8::/48\"}", 2, NULL);
	model_apply(m, "c/ula", "{\"prefix\":\"fd00::/47\"}", 2, NULL);
	model_apply(m, "c/ula", "{}", 2, NULL);
	assert_true(prefix_eq(&m->ula, &p));
	model_apply(m, "c/ula", NULL, 3, NULL);
	assert_int_equal(m->ula.len, 0);
	model_free(m);
}

/* Documents come back as they were; what makes no sense is not taken. */
static void test_documents(void **state)
{
	static const struct {
		const char *doc;
		bool ok;
	} rows[] = {
		{ NET(V4), true },
		{ NET(V6), true },
		{ NET(DUAL), true },
		/* A node that knows but IPv4 added a range. */
		{ NET("\"subnets\":[\"10.5.0.0/24\"],\"vips\":"
		      "[\"10.80.0.0/22\",\"10.80.4.0/22\"],\"subnet6\":"
		      "\"fd00:5::/64\",\"vips6\":[\"fd00:6::/118\"]"),
		  true },
		{ NET(V4 ",\"subnet6\":\"10.6.0.0/24\""), false },
		{ NET(V4 ",\"subnet6\":\"fd00:5::/121\""), false },
		{ NET(V4 ",\"subnet6\":7"), false },
		{ NET(V4 ",\"subnet6\":\"fd00:5::/64\",\"vips6\":[1]"), false },
		{ NET(V6 ",\"subnet6\":\"fd00:7::/64\""), false },
		{ NET(V4 ",\"subnet6\":\"fd00:5::/64\",\"vips6\":"
			 "[\"fd00:6::/119\"]"),
		  false },
		{ NET(V4 ",\"subnet6\":\"fd00:5::/64\",\"vips6\":"
			 "[\"10.81.0.0/22\"]"),
		  false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *doc = json_loads(rows[i].doc, 0, NULL), *again;
		struct model *m = make(rows[i].doc);
		struct net *net = model_net(m, "blue");

		assert_non_null(doc);
		assert_int_equal(net != NULL, rows[i].ok);
		if (net) {
			again = net_to_json(net);
			json_object_update_missing(doc, again);
			assert_true(json_equal(doc, again));
			json_decref(again);
		}
		json_decref(doc);
		model_free(m);
	}
}

/* In a range without its pair a service has one family; the claim is one. */
static void test_vip_without_pair(void **state)
{
	struct model *m =
		make(NET("\"subnets\":[\"10.5.0.0/24\"],\"vips\":"
			 "[\"10.80.0.0/22\",\"10.80.4.0/22\"],\"subnet6\":"
			 "\"fd00:5::/64\",\"vips6\":[\"fd00:6::/118\"]"));
	struct net *net = model_net(m, "blue");
	struct ip_addr a = ip("10.80.4.9"), b = pair_vip(net, &a), got;
	struct refusal r;

	(void)state;
	assert_ip(&b, "");
	a = ip("10.80.0.9");
	b = pair_vip(net, &a);
	assert_ip(&b, "fd00:6::9");
	assert_int_equal(pair_wish_vip(net, &b, &got, &r), 0);
	assert_ip(&got, "10.80.0.9");
	b = ip("fd00:7::9");
	assert_int_equal(pair_wish_vip(net, &b, &got, &r), 0);
	assert_int_equal(ipam_pick_vip(net, &got, &a, &r), -EINVAL);
	assert_string_equal(r.field, "vip");
	model_free(m);
}

/* A pod of IPv6 alone: addresses and blocks of its subnet, as ever. */
static void test_v6_only_pick(void **state)
{
	struct model *m = make(NET(V6));
	struct ip_addr none = { { 0 } }, got;
	struct ipam_change change = { 0 };
	struct refusal r;
	char *line;

	(void)state;
	assert_int_equal(ipam_pick(m, model_net(m, "blue"), NULL, &none, &got,
				   &change, &r),
			 1);
	assert_string_equal(change.key, "n/blue/e/blocks/fd00:5::/122");
	line = json_line(change.value);
	model_apply(m, change.key, line, 2, NULL);
	json_decref(change.value);
	free(line);
	assert_int_equal(ipam_pick(m, model_net(m, "blue"), NULL, &none, &got,
				   &change, &r),
			 0);
	assert_ip(&got, "fd00:5::2");
	model_free(m);
}

/* What the journal keeps of a pod, and what of it is wanted. */
static void test_attachment(void **state)
{
	struct model *m = make(NET(DUAL));
	struct net *net = model_net(m, "blue");
	struct pod_network wish = { .network = "blue" };
	struct ip_addr addr = ip("10.5.0.7");
	struct pod *pod = pod_new("web"), *again;
	struct want_pod want;
	json_t *doc;

	(void)state;
	pod->nets[pod->nets_len++] = attachment_make(net, &wish, &addr);
	assert_ip(&pod->nets[0].addr6, "fd00:5::7");
	doc = pod_to_json(pod);
	again = pod_from_json(doc);
	assert_non_null(again);
	assert_ip(&again->nets[0].addr6, "fd00:5::7");
	assert_ip(attachment_addr(&again->nets[0], false), "10.5.0.7");
	assert_ip(attachment_addr(&again->nets[0], true), "fd00:5::7");
	want = pod_want(m, again, &again->nets[0], net, 1450);
	assert_int_equal(want.addrs_len, 2);
	assert_ip(&want.addrs[1].addr, "fd00:5::7");
	assert_ip(&want.addrs[1].gateway, "fd00:5::1");
	assert_int_equal(want.addrs[1].prefix_len, 64);
	assert_int_equal(want.vips_len, 2);
	/* Attached by an engine, or a node, that knows but IPv4. */
	memset(&again->nets[0].addr6, 0, sizeof(struct ip_addr));
	want = pod_want(m, again, &again->nets[0], net, 1450);
	assert_int_equal(want.addrs_len, 1);
	assert_int_equal(want.vips_len, 1);
	assert_null(attachment_addr(&again->nets[0], true));
	json_decref(doc);
	pod_free(again);
	pod_free(pod);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_subnet_check),
		cmocka_unit_test(test_subnets_check),
		cmocka_unit_test(test_picks),
		cmocka_unit_test(test_ula),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_vip_without_pair),
		cmocka_unit_test(test_v6_only_pick),
		cmocka_unit_test(test_attachment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
