/* SPDX-License-Identifier: Apache-2.0 */
/* Model to wants: what three nodes' keys mean for the balancer of one. */
#include <netinet/in.h>

#include "cm.h"
#include "json.h"
#include "network.h"
#include "plan.h"
#include "pod.h"
#include "service.h"

static struct model *make(void)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "c/nodes/n2", "{\"vtep\":\"192.0.2.2\",\"incarnation\":2,"
				"\"addresses\":[\"192.0.2.2\"]}" },
		{ "c/nodes/n3", "{\"vtep\":\"192.0.2.3\",\"incarnation\":3,"
				"\"addresses\":[\"192.0.2.3\"]}" },
		{ "c/alive/n2", "{\"incarnation\":2}" },
		{ "c/alive/n3", "{\"incarnation\":3}" },
		{ "c/nets/blue",
		  "{\"vni\":4096,\"subnets\":[\"10.5.0.0/"
		  "24\"],\"vips\":[\"10.80.0.0/22\"],\"labels\":{}}" },
		{ "n/blue/e/blocks/10.5.0.0/28",
		  "{\"node\":\"n1\",\"own\":8,\"lent\":[{\"ip\":\"10.5.0.15\","
		  "\"node\":\"n3\"}]}" },
		{ "n/blue/e/blocks/10.5.0.16/28",
		  "{\"node\":\"n2\",\"own\":8,\"lent\":[]}" },
		{ "n/blue/e/pods/n2/aa",
		  "{\"pod\":\"Web-2\",\"ip\":\"10.5.0.16\",\"labels\":{},"
		  "\"aliases\":[\"cache\"]}" },
		{ "n/blue/e/pods/n3/bb",
		  "{\"pod\":\"web-3\",\"ip\":\"10.5.0.15\",\"labels\":{},"
		  "\"aliases\":[\"cache\"]}" },
		{ "n/blue/s/up/n2", "{\"services\":{\"web\":[{\"id\":\"aa\","
				    "\"ip\":\"10.5.0.16\",\"weight\":1}]}}" },
		{ "n/blue/s/up/n3", "{\"services\":{\"web\":[{\"id\":\"bb\","
				    "\"ip\":\"10.5.0.15\",\"weight\":1}]}}" },
		{ "n/blue/s/services/web",
		  "{\"vip\":\"10.80.0.1\",\"mode\":\"vip\",\"selector\":{"
		  "\"app\":\"web\"},"
		  "\"ports\":[{\"port\":80,\"target\":8080,\"protocol\":"
		  "\"tcp\"}],"
		  "\"published\":[{\"published\":9000,\"target\":8080,"
		  "\"protocol\":\"tcp\"}],"
		  "\"backends\":[\"198.51.100.7:99\"]}" },
	};
	struct model *m = model_new("n1");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		model_apply(m, rows[i].key, rows[i].value, (int64_t)i + 1,
			    NULL);
	return m;
}

static void test_routes_lead_to_owners_and_borrowers(void **state)
{
	struct model *m = make();
	size_t len;
	struct want_route *r = plan_routes(m, model_net(m, "blue"), &len);
	char dst[PREFIX_STRLEN], vtep[IP_STRLEN];

	(void)state;
	/* Not our own block; the lent address is the longer prefix. */
	assert_int_equal(len, 2);
	assert_string_equal(prefix_str(&r[0].dst, dst), "10.5.0.15/32");
	assert_string_equal(ip_str(&r[0].vtep, vtep), "192.0.2.3");
	assert_string_equal(prefix_str(&r[1].dst, dst), "10.5.0.16/28");
	assert_string_equal(ip_str(&r[1].vtep, vtep), "192.0.2.2");
	free(r);
	model_free(m);
}

static void test_frontends(void **state)
{
	static const struct {
		bool vip;
		uint16_t port, target;
		uint8_t proto;
	} want[] = {
		{ true, 80, 8080, IPPROTO_TCP },
		/* The published target, as with Docker. */
		{ true, 8080, 8080, IPPROTO_TCP },
		{ false, 9000, 8080, IPPROTO_TCP },
		{ true, 0, 0, IPPROTO_ICMP },
	};
	struct model *m = make();
	struct net *net = model_net(m, "blue");
	struct want_frontend fe[8];
	uint16_t target[8];
	size_t len =
		plan_frontends(net, net_service(net, "web"), fe, target, 8);

	(void)state;
	assert_int_equal(len, ARRAY_LEN(want));
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(ip_is_none(&fe[i].addr), !want[i].vip);
		assert_int_equal(fe[i].port, want[i].port);
		assert_int_equal(fe[i].proto, want[i].proto);
		assert_int_equal(target[i], want[i].target);
		assert_int_equal(fe[i].vni, 4096);
	}
	model_free(m);
}

static size_t backends(struct model *m, bool published)
{
	struct net *net = model_net(m, "blue");
	struct want_frontend fe = { .vni = 4096,
				    .port = 80,
				    .proto = IPPROTO_TCP };
	struct want_backend *b;
	size_t len;

	if (!published)
		fe.addr = ip_from_v4(0x0a500001);
	b = plan_backends(m, net, net_service(net, "web"), &fe, 8080, &len);
	for (size_t i = 0; i < len; i++) {
		/* Outside: its own port and no overlay. */
		assert_int_equal(b[i].port, b[i].vni ? 8080 : 99);
		assert_int_equal(ip_is_none(&b[i].vtep), !b[i].vni);
	}
	free(b);
	return len;
}

static void test_backends_follow_leases(void **state)
{
	struct model *m = make();

	(void)state;
	assert_int_equal(backends(m, false), 3);
	/* A published port leaves out what is not in the overlay. */
	assert_int_equal(backends(m, true), 2);
	model_apply(m, "c/alive/n2", NULL, 50, NULL);
	assert_int_equal(backends(m, true), 1);
	model_apply(m, "c/alive/n2", "{\"incarnation\":2}", 51, NULL);
	assert_int_equal(backends(m, true), 2);
	model_apply(m, "n/blue/s/up/n3", NULL, 52, NULL);
	assert_int_equal(backends(m, true), 1);
	model_free(m);
}

static uint32_t addrs_of(struct model *m, const char *name)
{
	struct pod_name *pn = net_name_of(model_net(m, "blue"), name);
	uint32_t len;
	struct ip_addr *a = plan_pod_addrs(m, pn, &len);

	free(a);
	return len;
}

/* Two families: every route, frontend and name has its pair. */
static struct model *make_dual(void)
{
	struct model *m = make();

	model_apply(m, "c/nets/blue",
		    "{\"vni\":4096,\"subnets\":[\"10.5.0.0/24\"],\"vips\":["
		    "\"10.80.0.0/22\"],\"subnet6\":\"fd00:5::/64\",\"vips6\":"
		    "[\"fd00:6::/118\"],\"labels\":{}}",
		    60, NULL);
	model_apply(m, "n/blue/e/pods/n2/aa",
		    "{\"pod\":\"web-2\",\"ip\":\"10.5.0.16\",\"ip6\":"
		    "\"fd00:5::10\",\"labels\":{}}",
		    61, NULL);
	model_apply(m, "n/blue/s/up/n2",
		    "{\"services\":{\"web\":[{\"id\":\"aa\",\"ip\":"
		    "\"10.5.0.16\",\"ip6\":\"fd00:5::10\",\"weight\":1}]}}",
		    62, NULL);
	return m;
}

static void test_dual_routes(void **state)
{
	static const char *const want[] = { "10.5.0.15/32", "fd00:5::f/128",
					    "10.5.0.16/28", "fd00:5::10/124" };
	struct model *m = make_dual();
	size_t len;
	struct want_route *r = plan_routes(m, model_net(m, "blue"), &len);
	char dst[PREFIX_STRLEN];

	(void)state;
	assert_int_equal(len, ARRAY_LEN(want));
	for (size_t i = 0; i < len; i++)
		assert_string_equal(prefix_str(&r[i].dst, dst), want[i]);
	free(r);
	model_free(m);
}

static void test_dual_frontends(void **state)
{
	static const struct {
		const char *addr;
		uint16_t port;
		bool v6;
		/* What n1 balances over: n3's pod is of IPv4 alone. */
		size_t backends;
	} want[] = {
		{ "10.80.0.1", 80, false, 3 }, { "10.80.0.1", 8080, false, 3 },
		{ "", 9000, false, 2 },	       { "10.80.0.1", 0, false, 0 },
		{ "fd00:6::1", 80, true, 1 },  { "fd00:6::1", 8080, true, 1 },
		{ "", 9000, true, 1 },	       { "fd00:6::1", 0, true, 0 },
	};
	struct model *m = make_dual();
	struct net *net = model_net(m, "blue");
	const struct service *s = net_service(net, "web");
	struct want_frontend fe[16];
	uint16_t target[16];
	size_t len = plan_frontends(net, s, fe, target, 16);

	(void)state;
	assert_int_equal(len, ARRAY_LEN(want));
	for (size_t i = 0; i < len; i++) {
		char ip[IP_STRLEN] = "";
		struct want_backend *b;
		size_t n;

		if (!ip_is_none(&fe[i].addr))
			ip_str(&fe[i].addr, ip);
		assert_string_equal(ip, want[i].addr);
		assert_int_equal(fe[i].port, want[i].port);
		assert_int_equal(fe[i].v6, want[i].v6);
		b = plan_backends(m, net, s, &fe[i], target[i], &n);
		assert_int_equal(n, want[i].backends);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(ip_is_v4(&b[k].addr), !want[i].v6);
		free(b);
	}
	model_free(m);
}

static void test_dual_names(void **state)
{
	static const char *const want[] = { "198.51.100.7", "10.5.0.16",
					    "10.5.0.15", "fd00:5::10" };
	struct model *m = make_dual();
	struct net *net = model_net(m, "blue");
	struct plan_tasks t = plan_tasks(m, net, net_service(net, "web"));
	uint32_t len;
	struct ip_addr *addrs =
		plan_pod_addrs(m, net_name_of(net, "web-2"), &len);
	char ip[IP_STRLEN];

	(void)state;
	assert_int_equal(t.len, ARRAY_LEN(want));
	for (uint32_t i = 0; i < t.len; i++)
		assert_string_equal(ip_str(&t.addrs[i], ip), want[i]);
	assert_string_equal(t.hosts[1].name, "web-2");
	assert_string_equal(t.hosts[3].name, "web-2");
	plan_tasks_free(&t);
	assert_int_equal(len, 2);
	assert_string_equal(ip_str(&addrs[1], ip), "fd00:5::10");
	free(addrs);
	model_free(m);
}

static void test_pod_names(void **state)
{
	struct model *m = make();

	(void)state;
	assert_int_equal(addrs_of(m, "WEB-2"), 1);
	assert_int_equal(addrs_of(m, "cache"), 2);
	assert_int_equal(addrs_of(m, "nobody"), 0);
	/* Nor is a pod that its engine calls unhealthy, until it is not. */
	model_apply(m, "n/blue/e/pods/n2/aa",
		    "{\"pod\":\"Web-2\",\"ip\":\"10.5.0.16\",\"labels\":{},"
		    "\"aliases\":[\"cache\"],\"ready\":false}",
		    58, NULL);
	assert_int_equal(addrs_of(m, "web-2"), 0);
	assert_int_equal(addrs_of(m, "cache"), 1);
	model_apply(m, "n/blue/e/pods/n2/aa",
		    "{\"pod\":\"Web-2\",\"ip\":\"10.5.0.16\",\"labels\":{},"
		    "\"aliases\":[\"cache\"]}",
		    59, NULL);
	assert_int_equal(addrs_of(m, "cache"), 2);
	/* One that is about to go has no name any more. */
	model_apply(m, "n/blue/e/pods/n2/aa",
		    "{\"pod\":\"Web-2\",\"ip\":\"10.5.0.16\",\"labels\":{},"
		    "\"aliases\":[\"cache\"],\"leaving\":true}",
		    59, NULL);
	assert_int_equal(addrs_of(m, "web-2"), 0);
	assert_int_equal(addrs_of(m, "cache"), 1);
	/* A dead node's pods are not answered with. */
	model_apply(m, "c/alive/n3", NULL, 60, NULL);
	assert_int_equal(addrs_of(m, "cache"), 0);
	model_apply(m, "n/blue/e/pods/n2/aa", NULL, 61, NULL);
	assert_int_equal(addrs_of(m, "cache"), 0);
	assert_null(net_name_of(model_net(m, "blue"), "web-2"));
	model_free(m);
}

struct sight {
	enum backend_state state;
	uint16_t weight;
};

static void look(void *arg, const struct backend *b)
{
	struct sight *n2 = arg;

	if (str_eq(b->node, "n2"))
		*n2 = (struct sight){ b->state, b->weight };
	else
		assert_int_equal(b->state, BACKEND_UP);
}

/* One change after the other, and how the backend of n2 is then. */
static void test_who_drains(void **state)
{
	static const struct {
		const char *key, *value;
		int64_t now;
		struct sight want;
	} rows[] = {
		{ "c/drains/n2",
		  "{\"until\":0}",
		  1000,
		  { BACKEND_DRAINING, 0 } },
		/* What does not parse changes nothing. */
		{ "c/drains/n2",
		  "{\"until\":\"soon\"}",
		  1000,
		  { BACKEND_DRAINING, 0 } },
		/* A node whose record comes anew drains as before. */
		{ "c/nodes/n2",
		  "{\"vtep\":\"192.0.2.2\",\"incarnation\":3}",
		  1000,
		  { BACKEND_DRAINING, 0 } },
		{ "c/drains/n2",
		  "{\"until\":1010}",
		  1009,
		  { BACKEND_DRAINING, 0 } },
		{ "c/drains/n2",
		  "{\"until\":1010}",
		  1010,
		  { BACKEND_DOWN, 0 } },
		{ "c/drains/n2", NULL, 1010, { BACKEND_UP, 1 } },
		/* A pod that is about to be taken away, and one that was. */
		{ "n/blue/s/up/n2",
		  "{\"services\":{\"web\":[{\"id\":\"aa\",\"ip\":"
		  "\"10.5.0.16\",\"weight\":0,\"leaving\":true}]}}",
		  1010,
		  { BACKEND_DRAINING, 0 } },
		{ "n/blue/s/up/n2",
		  "{\"services\":{\"web\":[{\"id\":\"aa\",\"ip\":"
		  "\"10.5.0.16\",\"weight\":4}]}}",
		  1010,
		  { BACKEND_UP, 4 } },
		/* One node's drain is not another's. */
		{ "c/drains/n9", "{\"until\":0}", 1010, { BACKEND_UP, 4 } },
	};
	struct model *m = make();
	struct net *net = model_net(m, "blue");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sight n2 = { 0 };

		m->now = rows[i].now;
		model_apply(m, rows[i].key, rows[i].value, 100 + (int64_t)i,
			    NULL);
		service_backends(m, net, net_service(net, "web"), look, &n2);
		assert_int_equal(n2.state, rows[i].want.state);
		assert_int_equal(n2.weight, rows[i].want.weight);
	}
	model_free(m);
}

/* Marks as they come, "3 blue/web" each. */
struct seen {
	char text[64][80];
	size_t len;
};

static void note(void *arg, enum mark_kind kind, const char *net,
		 const char *name)
{
	struct seen *seen = arg;

	assert_true(seen->len < 64);
	snprintf(seen->text[seen->len++], 80, "%d %s/%s", kind, net, name);
}

static bool has(const struct seen *seen, enum mark_kind kind, const char *what)
{
	char text[80];

	snprintf(text, sizeof(text), "%d %s", kind, what);
	for (size_t i = 0; i < seen->len; i++)
		if (str_eq(seen->text[i], text))
			return true;
	return false;
}

static void test_marks(void **state)
{
	static const struct {
		const char *key, *value;
		enum mark_kind kind;
		const char *what;
	} rows[] = {
		{ "n/blue/s/up/n2", "{\"services\":{}}", MARK_SERVICE,
		  "blue/web" },
		{ "n/blue/s/services/db",
		  "{\"mode\":\"dnsrr\",\"selector\":{}}", MARK_SERVICE,
		  "blue/db" },
		{ "n/blue/e/blocks/10.5.0.16/28", NULL, MARK_NET, "blue/" },
		{ "n/blue/e/pods/n2/aa", NULL, MARK_NAME, "blue/cache" },
		{ "c/nodes/n2", NULL, MARK_NODE, "/n2" },
		{ "c/alive/n3", NULL, MARK_SERVICE, "blue/web" },
		{ "c/drains/n3", "{\"until\":0}", MARK_SERVICE, "blue/web" },
		{ "n/blue/s/services/st",
		  "{\"vip\":\"10.80.0.2\",\"ports\":[],\"backends\":["
		  "\"10.5.0.15:80\"]}",
		  MARK_SERVICE, "blue/st" },
		/* Its address is a service's, whatever its labels. */
		{ "n/blue/e/pods/n3/bb", NULL, MARK_SERVICE, "blue/st" },
		{ "c/nets/blue", NULL, MARK_NET, "blue/" },
	};
	struct model *m = make();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct seen seen = { 0 };
		struct model_marks marks = { .arg = &seen, .mark = note };

		model_apply(m, rows[i].key, rows[i].value, 100 + (int64_t)i,
			    &marks);
		assert_true(has(&seen, rows[i].kind, rows[i].what));
	}
	model_free(m);
}

static void ignore(void *arg, enum mark_kind kind, const char *net,
		   const char *name)
{
	(void)arg, (void)kind, (void)net, (void)name;
}

static void told(void *arg, enum event_id id, const char *name, const char *net,
		 const char *node, const char *message)
{
	struct seen *seen = arg;

	assert_true(seen->len < 64);
	snprintf(seen->text[seen->len++], 80, "%s %s %s net=%s node=%s %s",
		 event_words[id].kind, event_words[id].action, name,
		 net ? net : "", node ? node : "", message);
}

/* One change, and the events that it is; NULL: none. */
static void test_told(void **state)
{
	static const struct {
		const char *key, *value, *told[3];
	} rows[] = {
		{ "n/blue/s/up/n2",
		  "{\"services\":{\"web\":[]}}",
		  { "backend left web net=blue node=n2 Web-2 10.5.0.16" } },
		{ "n/blue/s/up/n2",
		  "{\"services\":{\"web\":[{\"id\":\"aa\",\"ip\":"
		  "\"10.5.0.16\"}]}}",
		  { "backend joined web net=blue node=n2 Web-2 10.5.0.16" } },
		{ "n/blue/s/up/n3",
		  NULL,
		  { "backend left web net=blue node=n3 web-3 10.5.0.15" } },
		{ "n/blue/e/pods/n3/bb",
		  "{\"pod\":\"web-3\",\"ip\":\"10.5.0.15\",\"labels\":{},"
		  "\"aliases\":[\"cache\"]}",
		  { NULL } },
		{ "n/blue/e/pods/n3/bb",
		  "{\"pod\":\"web-3\",\"ip\":\"10.5.0.15\",\"labels\":{},"
		  "\"aliases\":[]}",
		  { "pod updated web-3 net=blue node=n3 10.5.0.15" } },
		{ "n/blue/e/pods/n3/bb",
		  "{\"pod\":\"web-3\",\"ip\":\"10.5.0.15\",\"labels\":{},"
		  "\"aliases\":[],\"ready\":false}",
		  { "pod unready web-3 net=blue node=n3 10.5.0.15" } },
		{ "n/blue/e/pods/n3/bb",
		  NULL,
		  { "pod detached web-3 net=blue node=n3 10.5.0.15" } },
		{ "n/blue/e/pods/n3/cc",
		  "{\"pod\":\"x\",\"ip\":\"10.5.0.15\"}",
		  { "pod attached x net=blue node=n3 10.5.0.15" } },
		{ "n/blue/s/services/db",
		  "{\"mode\":\"dnsrr\",\"selector\":{}}",
		  { "service created db net=blue node= " } },
		{ "n/blue/s/services/db",
		  "{\"mode\":\"dnsrr\",\"selector\":{}}",
		  { NULL } },
		{ "n/blue/s/services/db",
		  "{\"mode\":\"dnsrr\",\"selector\":{\"a\":\"b\"}}",
		  { "service updated db net=blue node= " } },
		{ "n/blue/s/services/db",
		  NULL,
		  { "service removed db net=blue node= " } },
		{ "n/blue/s/services/db", NULL, { NULL } },
		{ "c/alive/n3",
		  NULL,
		  { "node down n3 net= node=n3 its lease "
		    "is lost" } },
		{ "c/alive/n3", NULL, { NULL } },
		{ "c/alive/n3",
		  "{\"incarnation\":4}",
		  { "node up n3 net= node=n3 " } },
		{ "c/drains/n3",
		  "{\"until\":0}",
		  { "node draining n3 net= node=n3 " } },
		{ "c/drains/n3", "{\"until\":90}", { NULL } },
		{ "c/drains/n3", NULL, { "node active n3 net= node=n3 " } },
		{ "c/nodes/n3", NULL, { "node left n3 net= node=n3 " } },
		{ "c/nets/red",
		  "{\"vni\":4097,\"subnets\":[\"10.6.0.0/24\"],"
		  "\"vips\":[\"10.80.4.0/22\"],\"labels\":{}}",
		  { "network created red net=red node= " } },
		{ "c/nets/red",
		  NULL,
		  { "network removed red net=red node= " } },
	};
	struct model *m = make();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct seen seen = { 0 };
		struct model_marks marks = { .arg = &seen,
					     .mark = ignore,
					     .told = told };
		size_t n = 0;

		model_apply(m, rows[i].key, rows[i].value, 100 + (int64_t)i,
			    &marks);
		for (; rows[i].told[n]; n++)
			assert_string_equal(seen.text[n], rows[i].told[n]);
		if (seen.len != n)
			fail_msg("%s: %zu events, %s", rows[i].key, seen.len,
				 seen.text[0]);
	}
	model_free(m);
}

/* What does not parse leaves what was known; other keys go on. */
static void test_garbage_is_skipped(void **state)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "c/nets/blue", "{\"vni\":-1}" },
		{ "c/nets/blue", "not json" },
		{ "c/nets/blue", "[]" },
		{ "c/nets/blue", "{\"vni\":4096,\"vni\":4097}" },
		{ "n/blue/s/services/web", "{\"vip\":7}" },
		{ "n/blue/e/blocks/10.5.0.16/28", "{\"own\":99}" },
		{ "n/blue/e/blocks/nonsense", "{\"node\":\"n2\",\"own\":1}" },
		{ "n/blue/e/pods/n2/aa",
		  "{\"pod\":\"../x\",\"ip\":\"1.2.3.4\"}" },
		{ "c/nodes/n2", "{\"vtep\":\"x\"}" },
		{ "c/ports/tcp/9-1",
		  "{\"network\":\"blue\",\"service\":\"web\"}" },
		{ "foreign/key", "{}" },
		{ "n//s/services/x", "{}" },
		{ "", "{}" },
	};
	struct model *m = make();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		model_apply(m, rows[i].key, rows[i].value, 200, NULL);
	assert_int_equal(model_net(m, "blue")->vni, 4096);
	assert_int_equal(backends(m, false), 3);
	assert_int_equal(addrs_of(m, "cache"), 2);
	assert_null(m->ports);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_lead_to_owners_and_borrowers),
		cmocka_unit_test(test_frontends),
		cmocka_unit_test(test_backends_follow_leases),
		cmocka_unit_test(test_dual_routes),
		cmocka_unit_test(test_dual_frontends),
		cmocka_unit_test(test_dual_names),
		cmocka_unit_test(test_pod_names),
		cmocka_unit_test(test_who_drains),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_garbage_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
