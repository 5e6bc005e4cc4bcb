/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address allocation: single picks as tables, and a race of nodes over one
 * store, played with compare-and-swap on its keys.
 */
#include "cm.h"
#include "ipam.h"
#include "json.h"
#include "network.h"
#include "pod.h"

static const char net_blue[] =
	"{\"schema\":1,\"vni\":4096,\"subnets\":[\"10.5.0.0/24\"],"
	"\"vips\":[\"10.80.0.0/30\"],\"internal\":false,\"labels\":{}}";

static struct model *make(const char *self)
{
	struct model *m = model_new(self);

	prefix_parse("10.64.0.0/12", &m->ipam.pools[0]);
	m->ipam.pools_len = 1;
	m->ipam.network_len = 96 + 22;
	m->ipam.vips_len = 96 + 22;
	prefix_parse("10.80.0.0/12", &m->ipam.vip_pool);
	str_copy(m->domain, sizeof(m->domain), "cluster.local");
	model_apply(m, "c/nets/blue", net_blue, 1, NULL);
	return m;
}

static struct ip_addr ip(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

/* Asks for an address and does what is asked for until there is one. */
static int pick(struct model *m, const char *want, struct ip_addr *ret,
		struct refusal *r)
{
	static int64_t rev = 100;
	struct ip_addr w = { 0 };

	if (want)
		w = ip(want);
	for (int i = 0; i < 10; i++) {
		struct ipam_change change = { 0 };
		int got = ipam_pick(m, model_net(m, "blue"), NULL, &w, ret,
				    &change, r);
		char *line;

		if (got != 1)
			return got;
		line = json_line(change.value);
		model_apply(m, change.key, line, ++rev, NULL);
		json_decref(change.value);
		free(line);
	}
	fail_msg("no end of changes");
	return -1;
}

static void take(struct model *m, const char *name, const struct ip_addr *a)
{
	struct pod *pod = pod_new(name);

	pod->nets_len = 1;
	str_copy(pod->nets[0].network, NAME_LEN, "blue");
	str_copy(pod->nets[0].id, ENDPOINT_ID_LEN, "1");
	pod->nets[0].addr = *a;
	model_pod_add(m, pod);
}

static void test_first_address_is_behind_the_gateway(void **state)
{
	struct model *m = make("n1");
	struct ip_addr a;
	struct refusal r;
	char buf[IP_STRLEN];

	(void)state;
	assert_int_equal(pick(m, NULL, &a, &r), 0);
	assert_string_equal(ip_str(&a, buf), "10.5.0.2");
	model_free(m);
}

static void test_block_is_a_sixteenth(void **state)
{
	static const struct {
		const char *subnet;
		unsigned int len;
	} rows[] = {
		{ "10.0.0.0/16", 26 }, { "10.0.0.0/22", 26 },
		{ "10.0.0.0/24", 28 }, { "10.0.0.0/26", 29 },
		{ "10.0.0.0/29", 29 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_prefix p;

		assert_int_equal(prefix_parse(rows[i].subnet, &p), 0);
		assert_int_equal(ipam_block_len(&p), 96 + rows[i].len);
	}
}

static void test_static_addresses(void **state)
{
	static const struct {
		const char *want;
		enum api_error code;
	} rows[] = {
		{ "10.5.0.7", API_OK },	       { "10.5.0.200", API_OK },
		{ "10.5.0.0", API_INVALID },   { "10.5.0.1", API_INVALID },
		{ "10.5.0.255", API_INVALID }, { "10.6.0.7", API_INVALID },
		{ "10.5.0.7", API_CONFLICT },
	};
	struct model *m = make("n1");
	char name[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r = { 0 };
		struct ip_addr a;

		pick(m, rows[i].want, &a, &r);
		assert_int_equal(r.code, rows[i].code);
		if (r.code == API_OK) {
			snprintf(name, sizeof(name), "p%zu", i);
			take(m, name, &a);
		} else {
			assert_true(*r.message && *r.hint && *r.field);
		}
	}
	model_free(m);
}

static void test_static_of_another_node(void **state)
{
	struct model *m = make("n1");
	struct refusal r = { 0 };
	struct ip_addr a;

	(void)state;
	model_apply(m, "n/blue/e/blocks/10.5.0.16/28",
		    "{\"node\":\"n2\",\"own\":8,\"lent\":[]}", 5, NULL);
	/* Below own: only n2 knows whether it is free. */
	assert_int_equal(pick(m, "10.5.0.17", &a, &r), -EINVAL);
	assert_int_equal(r.code, API_CONFLICT);
	assert_non_null(strstr(r.message, "n2"));
	/* At own or above: lent. */
	assert_int_equal(pick(m, "10.5.0.24", &a, &r), 0);
	model_free(m);
}

static void test_all_are_given_and_none_twice(void **state)
{
	/* 256 less network, gateway and broadcast. */
	struct model *m = make("n1");
	struct ip_addr a, seen[256];
	struct refusal r = { 0 };
	size_t n = 0;
	char name[8];

	(void)state;
	while (pick(m, NULL, &a, &r) == 0) {
		assert_true(n < 256);
		for (size_t i = 0; i < n; i++)
			assert_false(ip_eq(&seen[i], &a));
		seen[n] = a;
		snprintf(name, sizeof(name), "p%zu", n++);
		take(m, name, &a);
	}
	assert_int_equal(n, 253);
	assert_int_equal(r.code, API_EXHAUSTED);
	model_free(m);
}

static void test_resting_address_is_not_given(void **state)
{
	struct model *m = make("n1");
	struct rest *rests = NULL;
	struct ip_addr a, b;
	struct refusal r;
	struct ipam_change change = { 0 };
	struct ip_addr none = { 0 };

	(void)state;
	assert_int_equal(pick(m, NULL, &a, &r), 0);
	rest_put(&rests, &a, "blue", 1);
	assert_int_equal(ipam_pick(m, model_net(m, "blue"), rests, &none, &b,
				   &change, &r),
			 0);
	assert_false(ip_eq(&a, &b));
	/* Who names it gets it. */
	assert_int_equal(ipam_pick(m, model_net(m, "blue"), rests, &a, &b,
				   &change, &r),
			 0);
	assert_true(ip_eq(&a, &b));
	rests_free(&rests);
	model_free(m);
}

static void test_held_address_is_not_given(void **state)
{
	struct model *m = make("n1");
	struct ip_addr a, b;
	struct refusal r = { 0 };

	(void)state;
	assert_int_equal(pick(m, NULL, &a, &r), 0);
	model_hold_put(m, &a, "blue", "Docker");
	assert_int_equal(pick(m, NULL, &b, &r), 0);
	assert_false(ip_eq(&a, &b));
	assert_int_equal(pick(m, "10.5.0.2", &b, &r), -EINVAL);
	assert_int_equal(r.code, API_CONFLICT);
	assert_non_null(strstr(r.message, "Docker"));
	model_hold_del(m, &a);
	assert_int_equal(pick(m, "10.5.0.2", &b, &r), 0);
	model_free(m);
}

/* One store: key to value and revision, with compare-and-swap. */
struct fake {
	char key[32][PATH_LEN];
	char *value[32];
	int64_t key_rev[32];
	size_t len;
	int64_t rev;
};

static bool fake_swap(struct fake *f, const char *key, int64_t rev,
		      const char *value)
{
	size_t i = 0;

	while (i < f->len && !str_eq(f->key[i], key))
		i++;
	if ((i < f->len ? f->key_rev[i] : 0) != rev)
		return false;
	if (i == f->len) {
		assert_true(f->len < ARRAY_LEN(f->key));
		str_copy(f->key[f->len++], PATH_LEN, key);
	}
	free(f->value[i]);
	f->value[i] = xstrdup(value);
	f->key_rev[i] = ++f->rev;
	return true;
}

/*
 * Three nodes whose view of the store lags at random: whoever commits from an
 * old view loses the swap. No address may be owned twice, none is lost.
 */
static void test_nodes_race(void **state)
{
	struct model *m[3] = { make("n1"), make("n2"), make("n3") };
	struct fake f = { .rev = 10 };
	struct ip_addr seen[256];
	/* How many nodes have been refused since the last address. */
	bool refused[3] = { false };
	size_t n = 0, lost = 0;
	unsigned int seed = 42;
	char name[16];

	(void)state;
	while (!refused[0] || !refused[1] || !refused[2]) {
		size_t k = (size_t)rand_r(&seed) % 3;
		struct ip_addr none = { 0 }, a;
		struct ipam_change change = { 0 };
		struct refusal r = { 0 };
		int got;

		if (rand_r(&seed) % 2)
			for (size_t i = 0; i < f.len; i++)
				model_apply(m[k], f.key[i], f.value[i],
					    f.key_rev[i], NULL);
		got = ipam_pick(m[k], model_net(m[k], "blue"), NULL, &none, &a,
				&change, &r);
		if (got == 1) {
			char *line = json_line(change.value);

			lost += !fake_swap(&f, change.key, change.rev, line);
			free(line);
			json_decref(change.value);
			continue;
		}
		refused[k] = got < 0;
		if (got < 0)
			continue;
		for (size_t i = 0; i < n; i++)
			assert_false(ip_eq(&seen[i], &a));
		seen[n] = a;
		snprintf(name, sizeof(name), "p%zu", n++);
		take(m[k], name, &a);
	}
	assert_int_equal(n, 253);
	/* There was a race to lose. */
	assert_true(lost > 0);
	for (size_t i = 0; i < 3; i++)
		model_free(m[i]);
	for (size_t i = 0; i < f.len; i++)
		free(f.value[i]);
}

static void test_subnets_do_not_overlap(void **state)
{
	struct model *m = make("n1");
	struct ip_prefix p;
	struct refusal r;
	char buf[PREFIX_STRLEN], what[320];

	(void)state;
	assert_int_equal(ipam_pick_subnet(m, 96 + 16, &p, &r), 0);
	assert_string_equal(prefix_str(&p, buf), "10.64.0.0/16");
	/* A route of any node moves it on. */
	model_apply(
		m, "c/nodes/n2",
		"{\"vtep\":\"192.0.2.2\",\"incarnation\":1,"
		"\"addresses\":[\"192.0.2.2\"],\"routes\":[\"10.64.7.0/24\"]}",
		3, NULL);
	assert_int_equal(ipam_pick_subnet(m, 96 + 16, &p, &r), 0);
	assert_string_equal(prefix_str(&p, buf), "10.65.0.0/16");
	/* One over the whole pool leaves none. */
	model_apply(
		m, "c/nodes/n2",
		"{\"vtep\":\"192.0.2.2\",\"incarnation\":1,"
		"\"addresses\":[\"192.0.2.2\"],\"routes\":[\"10.0.0.0/8\"]}",
		4, NULL);
	assert_int_equal(ipam_pick_subnet(m, 96 + 16, &p, &r), -EINVAL);
	assert_int_equal(r.code, API_EXHAUSTED);
	assert_int_equal(prefix_parse("10.5.0.128/25", &p), 0);
	assert_true(ipam_overlap(m, &p, what, sizeof(what)));
	assert_non_null(strstr(what, "blue"));
	model_free(m);
}

static void test_vips(void **state)
{
	struct model *m = make("n1");
	struct net *net = model_net(m, "blue");
	struct ip_addr none = { 0 }, a, want = ip("10.80.0.9");
	struct refusal r = { 0 };
	char key[64], buf[IP_STRLEN];
	int given = 0;

	(void)state;
	assert_int_equal(ipam_pick_vip(net, &want, &a, &r), -EINVAL);
	assert_int_equal(r.code, API_INVALID);
	while (ipam_pick_vip(net, &none, &a, &r) == 0) {
		snprintf(key, sizeof(key), "n/blue/s/vips/%s", ip_str(&a, buf));
		model_apply(m, key, "{\"service\":\"web\"}", 10 + given, NULL);
		given++;
	}
	/* A /30 less its first address. */
	assert_int_equal(given, 3);
	want = ip("10.80.0.1");
	assert_int_equal(ipam_pick_vip(net, &want, &a, &r), -EINVAL);
	assert_int_equal(r.code, API_CONFLICT);
	assert_non_null(strstr(r.message, "web"));
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_address_is_behind_the_gateway),
		cmocka_unit_test(test_block_is_a_sixteenth),
		cmocka_unit_test(test_static_addresses),
		cmocka_unit_test(test_static_of_another_node),
		cmocka_unit_test(test_all_are_given_and_none_twice),
		cmocka_unit_test(test_resting_address_is_not_given),
		cmocka_unit_test(test_held_address_is_not_given),
		cmocka_unit_test(test_nodes_race),
		cmocka_unit_test(test_subnets_do_not_overlap),
		cmocka_unit_test(test_vips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
