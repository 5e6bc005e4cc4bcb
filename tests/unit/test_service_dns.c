/* SPDX-License-Identifier: Apache-2.0 */
/* What a service says of itself in names: checks, JSON, and the plan. */
#include <netinet/in.h>

#include "cm.h"
#include "json.h"
#include "plan.h"
#include "service.h"
#include "service_dns.h"

static void test_port_name(void **state)
{
	static const struct {
		const char *text;
		const char *name;
		int port;
	} rows[] = {
		{ "http=80:8080", "http", 80 },
		{ "80:8080", "", 80 },
		{ "a-1=53/udp", "a-1", 53 },
		{ "fifteen-letters=1", "fifteen-letters", 1 },
		{ "sixteen-letters-=1", NULL, 0 },
		{ "sixteen-lettersx=1", NULL, 0 },
		{ "HTTP=80", NULL, 0 },
		{ "=80", NULL, 0 },
		{ "80=80", NULL, 0 },
		{ "a--b=80", NULL, 0 },
		{ "-a=80", NULL, 0 },
		{ "a_b=80", NULL, 0 },
		{ "http=", NULL, 0 },
		{ "http=x", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r = { 0 };
		struct port p;
		int err = service_port_parse("port", rows[i].text, &p, &r);

		if (!err != (rows[i].name != NULL))
			fail_msg("%s: %d", rows[i].text, err);
		if (err) {
			assert_int_equal(r.code, API_INVALID);
			assert_true(*r.hint);
			continue;
		}
		assert_string_equal(p.name, rows[i].name);
		assert_int_equal(p.port, rows[i].port);
	}
}

static void test_port_names_are_unique(void **state)
{
	struct service s = { .name = "dns" };
	struct refusal r = { 0 };

	(void)state;
	assert_int_equal(service_port_add(&s, "dns=53", &r), 0);
	assert_int_equal(service_port_add(&s, "dns=53/udp", &r), 0);
	assert_int_equal(service_port_add(&s, "dns=54", &r), -EINVAL);
	assert_int_equal(r.code, API_CONFLICT);
	assert_int_equal(service_port_del(&s, "53", &r), 0);
	assert_int_equal(service_port_add(&s, "dns=54", &r), 0);
}

static void test_domain(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
		{ "a", true },
		{ "a.b", true },
		{ "A.B.", true },
		{ "_sip._tcp.a", true },
		{ "xn--bcher-kva.example", true },
		{ "1.2.3", true },
		{ "", false },
		{ ".", false },
		{ ".a", false },
		{ "a..b", false },
		{ "a b", false },
		{ "b\xc3\xbc"
		  "cher.example",
		  false },
		{ "a/b", false },
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "x"
		  "xxx.a",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (domain_is_valid(rows[i].text) != rows[i].ok)
			fail_msg("\"%s\"", rows[i].text);
}

static void test_external(void **state)
{
	struct service s = { .name = "db" };
	struct refusal r = { 0 };
	json_t *doc;
	struct service *back;

	(void)state;
	assert_int_equal(service_external_set(&s, "no such", &r), -EINVAL);
	assert_string_equal(r.field, "external_name");
	assert_int_equal(service_external_set(&s, "db.example.com", &r), 0);
	s.dnsrr = true;
	doc = service_to_json(&s);
	assert_string_equal(json_string_value(json_object_get(doc, "mode")),
			    "external");
	back = service_from_json("db", doc);
	assert_non_null(back);
	assert_string_equal(back->external, "db.example.com");
	assert_true(back->dnsrr);
	service_free(back);
	json_decref(doc);
	/* It has nothing of its own. */
	assert_int_equal(service_port_add(&s, "80", &r), 0);
	assert_int_equal(service_external_set(&s, "a.b", &r), -EINVAL);
	assert_string_equal(r.field, "port");
}

static void test_aliases(void **state)
{
	struct service s = { .name = "web" };
	struct refusal r = { 0 };

	(void)state;
	assert_int_equal(service_alias_add(&s, "www", &r), 0);
	assert_int_equal(service_alias_add(&s, "www", &r), -EINVAL);
	assert_int_equal(r.code, API_CONFLICT);
	assert_int_equal(service_alias_add(&s, "web", &r), -EINVAL);
	assert_int_equal(service_alias_add(&s, "a.b", &r), -EINVAL);
	assert_int_equal(service_alias_add(&s, "tasks", &r), -EINVAL);
	assert_int_equal(service_alias_del(&s, "none", &r), -EINVAL);
	assert_int_equal(r.code, API_NOT_FOUND);
	assert_int_equal(service_alias_del(&s, "www", &r), 0);
	json_decref(s.aliases);
}

static struct model *model_make(void)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "c/nodes/n2", "{\"vtep\":\"192.0.2.2\",\"incarnation\":2,"
				"\"addresses\":[\"192.0.2.2\"]}" },
		{ "c/alive/n2", "{\"incarnation\":2}" },
		{ "c/nets/blue", "{\"vni\":4096,\"subnets\":[\"10.5.0.0/24\"],"
				 "\"vips\":[\"10.80.0.0/22\"],\"labels\":{}}" },
#define POD(id, name, ip)                                                      \
	{ "n/blue/e/pods/n2/" id, "{\"pod\":\"" name "\",\"ip\":\"" ip         \
				  "\",\"labels\":{},\"aliases\":[]}" }
		POD("aa", "Web-1", "10.5.0.16"),
		POD("bb", "same", "10.5.0.17"),
		POD("cc", "SAME", "10.5.0.18"),
		POD("dd", "with.dots", "10.5.0.19"),
		{ "n/blue/s/up/n2",
		  "{\"services\":{\"web\":[{\"id\":\"aa\",\"ip\":"
		  "\"10.5.0.16\"},{\"id\":\"bb\",\"ip\":\"10.5.0.17\"},"
		  "{\"id\":\"cc\",\"ip\":\"10.5.0.18\"},{\"id\":\"dd\","
		  "\"ip\":\"10.5.0.19\"}]}}" },
		{ "n/blue/s/services/web",
		  "{\"mode\":\"dnsrr\",\"selector\":{\"app\":\"web\"},"
		  "\"ttl\":0,\"aliases\":[\"www\"],"
		  "\"ports\":[{\"port\":80,\"target\":8080,\"protocol\":"
		  "\"tcp\",\"name\":\"http\"}],"
		  "\"backends\":[\"198.51.100.7:99\"]}" },
		{ "n/blue/s/services/vip",
		  "{\"mode\":\"vip\",\"vip\":\"10.80.0.1\",\"published\":[{"
		  "\"published\":9000,\"target\":80,\"protocol\":\"tcp\"}]}" },
		{ "n/blue/s/services/other",
		  "{\"mode\":\"vip\",\"vip\":\"10.80.0.2\","
		  "\"aliases\":[\"www\",\"web\"]}" },
	};
	struct model *m = model_new("n1");

	m->name_ttl = 5;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		model_apply(m, rows[i].key, rows[i].value, (int64_t)i + 1,
			    NULL);
	return m;
}

static void test_plan_tasks(void **state)
{
	static const struct {
		const char *addr, *host;
		uint16_t port;
	} want[] = {
		{ "198.51.100.7", "198-51-100-7", 99 },
		{ "10.5.0.16", "web-1", 0 },
		{ "10.5.0.17", "10-5-0-17", 0 },
		{ "10.5.0.18", "10-5-0-18", 0 },
		{ "10.5.0.19", "10-5-0-19", 0 },
	};
	struct model *m = model_make();
	struct net *net = model_net(m, "blue");
	struct plan_tasks t = plan_tasks(m, net, net_service(net, "web"));

	(void)state;
	assert_int_equal(t.len, ARRAY_LEN(want));
	for (size_t i = 0; i < t.len; i++) {
		char ip[IP_STRLEN];

		assert_string_equal(ip_str(&t.addrs[i], ip), want[i].addr);
		assert_string_equal(t.hosts[i].name, want[i].host);
		assert_int_equal(t.hosts[i].port, want[i].port);
	}
	assert_false(t.is_cut);
	plan_tasks_free(&t);
	model_free(m);
}

static void test_plan_name(void **state)
{
	struct model *m = model_make();
	struct net *net = model_net(m, "blue");
	const struct service *web = net_service(net, "web");
	const struct service *vip = net_service(net, "vip");
	struct want_name n = plan_name(m, net, web, NAME_SERVICE);

	(void)state;
	assert_int_equal(n.ttl, 0);
	assert_true(n.headless && !n.ptr);
	assert_int_equal(n.ports_len, 1);
	assert_string_equal(n.ports[0].name, "http");
	assert_int_equal(n.ports[0].port, 80);
	assert_int_equal(n.ports[0].target, 8080);
	n = plan_name(m, net, web, NAME_TASKS);
	assert_true(n.ptr);
	/* A published target is a port of the VIP. */
	n = plan_name(m, net, vip, NAME_SERVICE);
	assert_int_equal(n.ttl, 5);
	assert_true(n.ptr && !n.headless);
	assert_int_equal(n.ports_len, 1);
	assert_int_equal(n.ports[0].port, 80);
	n = plan_name(m, net, vip, NAME_TASKS);
	assert_false(n.ptr);
	n = plan_name(m, net, NULL, NAME_POD);
	assert_int_equal(n.ttl, 5);
	model_free(m);
}

static void test_names_of_a_network(void **state)
{
	struct model *m = model_make();
	struct net *net = model_net(m, "blue");
	struct service next = { .name = "www" };
	struct refusal r = { 0 };

	(void)state;
	/* A name of its own before another's alias; of two, the first. */
	assert_string_equal(net_service_named(net, "web")->name, "web");
	assert_string_equal(net_service_named(net, "www")->name, "other");
	assert_null(net_service_named(net, "none"));
	assert_int_equal(service_names_check(net, &next, &r), -EINVAL);
	assert_string_equal(r.field, "name");
	str_copy(next.name, sizeof(next.name), "new");
	assert_int_equal(service_names_check(net, &next, &r), 0);
	assert_int_equal(service_alias_add(&next, "vip", &r), 0);
	assert_int_equal(service_names_check(net, &next, &r), -EINVAL);
	assert_string_equal(r.field, "alias");
	json_decref(next.aliases);
	model_free(m);
}

struct marked {
	char names[256];
};

static void mark(void *arg, enum mark_kind kind, const char *net,
		 const char *name)
{
	struct marked *all = arg;
	size_t len = strlen(all->names);

	(void)net;
	if (kind == MARK_SERVICE)
		snprintf(all->names + len, sizeof(all->names) - len, "%s ",
			 name);
}

/* Names that a service had and has are looked at when it changes. */
static void test_aliases_are_marked(void **state)
{
	struct model *m = model_make();
	struct marked all = { "" };
	struct model_marks marks = { .arg = &all, .mark = mark };

	(void)state;
	model_apply(m, "n/blue/s/services/web",
		    "{\"mode\":\"dnsrr\",\"aliases\":[\"w3\"]}", 99, &marks);
	assert_string_equal(all.names, "www web w3 ");
	model_free(m);
}

/* A service of one node whose 10.5.16.0 and on are up. */
static struct model *model_large(const char *self, uint32_t backends)
{
	AUTO(str_freep) char *up = NULL;
	struct model *m = model_new(self);
	json_t *list = json_array();
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "c/nodes/n2", "{\"vtep\":\"192.0.2.2\",\"incarnation\":2,"
				"\"addresses\":[\"192.0.2.2\"]}" },
		{ "c/alive/n2", "{\"incarnation\":2}" },
		{ "c/nets/blue", "{\"vni\":4096,\"subnets\":[\"10.5.0.0/16\"],"
				 "\"vips\":[\"10.80.0.0/22\"],\"labels\":{}}" },
		{ "n/blue/s/services/web",
		  "{\"mode\":\"dnsrr\",\"selector\":{\"app\":\"web\"}}" },
	};

	for (uint32_t i = 0; i < backends; i++) {
		struct ip_addr addr = ip_from_v4(0x0a051000 + i);

		json_array_append_new(list, json_pack("{s:o, s:o}", "id",
						      json_sprintf("e%u", i),
						      "ip", json_ip(&addr)));
	}
	list = json_pack("{s:{s:o}}", "services", "web", list);
	up = json_dumps(list, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		model_apply(m, rows[i].key, rows[i].value, (int64_t)i + 1,
			    NULL);
	model_apply(m, "n/blue/s/up/n2", up, 10, NULL);
	json_decref(list);
	return m;
}

static struct plan_tasks tasks_large(const char *self, uint32_t backends)
{
	struct model *m = model_large(self, backends);
	struct net *net = model_net(m, "blue");
	struct plan_tasks t = plan_tasks(m, net, net_service(net, "web"));

	model_free(m);
	return t;
}

static uint32_t in_both(const struct plan_tasks *a, const struct plan_tasks *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->len; i++)
		for (uint32_t k = 0; k < b->len; k++)
			n += ip_eq(&a->addrs[i], &b->addrs[k]);
	return n;
}

/* Of too many, each node has others; one more moves one at most. */
static void test_plan_tasks_too_many(void **state)
{
	struct plan_tasks fits = tasks_large("n1", NAME_ADDRS_MAX);
	struct plan_tasks here = tasks_large("n1", 2 * NAME_ADDRS_MAX);
	struct plan_tasks more = tasks_large("n1", 2 * NAME_ADDRS_MAX + 1);
	struct plan_tasks there = tasks_large("n3", 2 * NAME_ADDRS_MAX);
	uint32_t shared = in_both(&here, &there);

	(void)state;
	assert_int_equal(fits.len, NAME_ADDRS_MAX);
	assert_false(fits.is_cut);
	assert_int_equal(here.len, NAME_ADDRS_MAX);
	assert_true(here.is_cut);
	assert_int_equal(in_both(&here, &here), NAME_ADDRS_MAX);
	assert_true(in_both(&here, &more) >= NAME_ADDRS_MAX - 1);
	/* Half of them, give or take. */
	assert_in_range(shared, NAME_ADDRS_MAX / 4, NAME_ADDRS_MAX * 3 / 4);
	for (size_t i = 0; i < here.len; i++) {
		char ip[IP_STRLEN];

		ip_str(&here.addrs[i], ip);
		for (char *c = ip; *c; c++)
			*c = *c == '.' ? '-' : *c;
		assert_string_equal(here.hosts[i].name, ip);
	}
	plan_tasks_free(&fits);
	plan_tasks_free(&here);
	plan_tasks_free(&more);
	plan_tasks_free(&there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_name),
		cmocka_unit_test(test_port_names_are_unique),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_plan_tasks),
		cmocka_unit_test(test_plan_tasks_too_many),
		cmocka_unit_test(test_plan_name),
		cmocka_unit_test(test_names_of_a_network),
		cmocka_unit_test(test_aliases_are_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
