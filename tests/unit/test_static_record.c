/* SPDX-License-Identifier: Apache-2.0 */
/* Records and zones that operators write: what is taken, kept and refused. */
#include "cm.h"
#include "json.h"
#include "plan.h"
#include "static_record.h"

static struct model *model_make(void)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "c/nets/blue", "{\"vni\":4096,\"subnets\":[\"10.5.0.0/24\"],"
				 "\"vips\":[\"10.80.0.0/22\"],\"labels\":{}}" },
		{ "c/nets/dark", "{\"vni\":4097,\"subnets\":[\"10.6.0.0/24\"],"
				 "\"vips\":[\"10.81.0.0/22\"],\"labels\":{},"
				 "\"internal\":true}" },
		{ "n/blue/s/services/web",
		  "{\"mode\":\"dnsrr\",\"aliases\":[\"www\"]}" },
		{ "n/blue/s/records/box",
		  "{\"records\":[{\"type\":\"A\",\"value\":\"192.0.2.1\"},"
		  "{\"type\":\"TXT\",\"value\":\"x\",\"ttl\":60}]}" },
		{ "c/upstreams/corp.example",
		  "{\"servers\":[\"192.0.2.53\",\"[fd00::53]:5353\"]}" },
		{ "n/blue/s/upstreams/.", "{\"servers\":[\"192.0.2.54\"]}" },
		/* Not ours: skipped, whatever they are. */
		{ "n/blue/s/records/bad",
		  "{\"records\":[{\"type\":\"A\",\"value\":\"x\"}]}" },
		{ "n/blue/s/records/a..b", "{\"records\":[]}" },
		{ "c/upstreams/UPPER", "{\"servers\":[\"192.0.2.53\"]}" },
		{ "c/upstreams/none", "{\"servers\":[]}" },
		{ "c/upstreams/b.d", "{\"servers\":[\"nonsense\"]}" },
	};
	struct model *m = model_new("n1");

	str_copy(m->domain, sizeof(m->domain), "cluster.local");
	m->name_ttl = 5;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		model_apply(m, rows[i].key, rows[i].value, (int64_t)i + 1,
			    NULL);
	return m;
}

static void test_name_parse(void **state)
{
	static const struct {
		const char *text;
		/* NULL: refused. */
		const char *name;
	} rows[] = {
		{ "box", "box" },
		{ "Box.", "box" },
		{ "box.blue", "box" },
		{ "box.blue.svc", "box" },
		{ "box.blue.svc.Cluster.Local.", "box" },
		{ "box.green", "box.green" },
		{ "a.b.example.com", "a.b.example.com" },
		{ "_sip._tcp.box", "_sip._tcp.box" },
		{ "10.5.0.9", "9.0.5.10.in-addr.arpa" },
		{ "fd00::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
			     "0.0.0.0.0.0.d.f.ip6.arpa" },
		{ "blue", "blue" },
		{ "", NULL },
		{ ".", NULL },
		{ "a..b", NULL },
		{ "cluster.local", NULL },
		{ "x.cluster.local", NULL },
		{ "box.green.svc", NULL },
		{ "box.green.svc.cluster.local", NULL },
		{ "box.blue.cluster.local", NULL },
	};
	struct model *m = model_make();
	struct net *net = model_net(m, "blue");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r = { 0 };
		char name[POD_NAME_LEN];
		int err = static_record_name_parse(m, net, rows[i].text, name,
						   &r);

		if (!err != (rows[i].name != NULL))
			fail_msg("\"%s\": %d", rows[i].text, err);
		if (err)
			assert_true(r.code == API_INVALID && *r.hint);
		else
			assert_string_equal(name, rows[i].name);
	}
	model_free(m);
}

static void test_name_check(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} rows[] = {
		{ "free", true },
		{ "box", true },
		{ "a.web", true },
		{ "web", false },
		{ "www", false },
		{ "tasks.web", false },
		{ "_x._tcp.web", false },
		{ "_tcp.www", false },
		{ "_x._tcp.free", true },
		{ "tasks.free", true },
		{ "web.example.com", true },
	};
	struct model *m = model_make();
	struct net *net = model_net(m, "blue");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r = { 0 };

		if (!static_record_name_check(net, rows[i].name, &r) !=
		    rows[i].ok)
			fail_msg("%s", rows[i].name);
	}
	model_free(m);
}

static void test_values(void **state)
{
	static const struct {
		const char *type, *value;
		enum api_error code;
	} rows[] = {
		{ "A", "192.0.2.1", API_OK },
		{ "a", "192.0.2.1", API_OK },
		{ "A", "fd00::1", API_INVALID },
		{ "A", "192.0.2.01", API_INVALID },
		{ "A", "", API_INVALID },
		{ "AAAA", "fd00::1", API_OK },
		{ "AAAA", "192.0.2.1", API_INVALID },
		{ "CNAME", "a.b", API_OK },
		{ "CNAME", "a.b.", API_OK },
		{ "CNAME", "a b", API_INVALID },
		{ "CNAME", ".", API_INVALID },
		{ "PTR", "a.b", API_OK },
		{ "SRV", "0 5 5060 sip.example", API_OK },
		{ "SRV", "0  5 5060 sip.example", API_OK },
		{ "SRV", "0 5 5060", API_INVALID },
		{ "SRV", "0 5 65536 a", API_INVALID },
		{ "SRV", "0 5 80 a b", API_INVALID },
		{ "SRV", "-1 5 80 a", API_INVALID },
		{ "TXT", "", API_OK },
		{ "TXT", "any \"text\"", API_OK },
		{ "TXT", "a\nb", API_INVALID },
		{ "TXT", "a\033[2J", API_INVALID },
		{ "MX", "10 a", API_UNSUPPORTED },
		{ "", "a", API_UNSUPPORTED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct static_record rec = { .name = "n" };
		struct refusal r = { 0 };
		int err = static_record_add(&rec, rows[i].type, rows[i].value,
					    NULL, &r);

		if (r.code != rows[i].code || !err != (r.code == API_OK))
			fail_msg("%s \"%s\": %d", rows[i].type, rows[i].value,
				 r.code);
		assert_true(!err || *r.hint);
		free(rec.values);
	}
}

static void test_sets(void **state)
{
	struct static_record *rec = xzalloc(sizeof(*rec));
	const uint32_t minute = 60, hour = 3600;
	struct refusal r = { 0 };

	(void)state;
	str_copy(rec->name, sizeof(rec->name), "n");
	assert_int_equal(static_record_add(rec, "A", "192.0.2.1", NULL, &r), 0);
	assert_false(rec->values[0].has_ttl);
	/* One TTL for a type: the last that was given. */
	assert_int_equal(static_record_add(rec, "A", "192.0.2.2", &minute, &r),
			 0);
	assert_int_equal(rec->values[0].want.ttl, 60);
	assert_int_equal(static_record_add(rec, "TXT", "t", &hour, &r), 0);
	assert_int_equal(static_record_add(rec, "A", "192.0.2.3", NULL, &r), 0);
	assert_int_equal(rec->values[3].want.ttl, 60);
	assert_int_equal(rec->values[2].want.ttl, 3600);
	/* Nothing twice, nothing beside a CNAME. */
	assert_int_equal(static_record_add(rec, "A", "192.0.2.3", NULL, &r),
			 -EINVAL);
	assert_int_equal(r.code, API_CONFLICT);
	assert_int_equal(static_record_add(rec, "CNAME", "a", NULL, &r),
			 -EINVAL);
	assert_int_equal(r.code, API_CONFLICT);
	/* One, those of a type, all. */
	assert_int_equal(static_record_del(rec, "A", "192.0.2.9", &r), -EINVAL);
	assert_int_equal(r.code, API_NOT_FOUND);
	assert_int_equal(static_record_del(rec, "A", "192.0.2.2", &r), 0);
	assert_int_equal(rec->len, 3);
	assert_int_equal(static_record_del(rec, "AAAA", NULL, &r), -EINVAL);
	assert_int_equal(static_record_del(rec, "MX", NULL, &r), -EINVAL);
	assert_int_equal(static_record_del(rec, "a", NULL, &r), 0);
	assert_int_equal(rec->len, 1);
	assert_int_equal(static_record_del(rec, NULL, NULL, &r), 0);
	assert_int_equal(rec->len, 0);
	assert_int_equal(static_record_add(rec, "CNAME", "a", NULL, &r), 0);
	assert_int_equal(static_record_add(rec, "A", "192.0.2.1", NULL, &r),
			 -EINVAL);
	static_record_free(rec);
}

static void test_limit(void **state)
{
	struct static_record *rec = xzalloc(sizeof(*rec));
	struct refusal r = { 0 };
	char text[16];

	(void)state;
	for (int i = 0; i < RECORD_VALUES_MAX; i++) {
		snprintf(text, sizeof(text), "192.0.2.%d", i);
		assert_int_equal(static_record_add(rec, "A", text, NULL, &r),
				 0);
	}
	assert_int_equal(static_record_add(rec, "A", "192.0.2.99", NULL, &r),
			 -EINVAL);
	assert_int_equal(r.code, API_INVALID);
	static_record_free(rec);
}

static void test_model(void **state)
{
	struct model *m = model_make();
	struct net *net = model_net(m, "blue");
	struct static_record *rec = net_record(net, "box");
	struct stub_zone *stub = model_stub(m, NULL, "corp.example");
	struct want_upstream up;
	struct want_value *values;
	json_t *doc;
	size_t len;

	(void)state;
	assert_int_equal(HASH_COUNT(net->records), 1);
	assert_int_equal(HASH_COUNT(m->stubs), 1);
	assert_int_equal(HASH_COUNT(net->stubs), 1);
	values = plan_record(m, rec, &len);
	assert_int_equal(len, 2);
	assert_int_equal(values[0].ttl, 5);
	assert_int_equal(values[1].ttl, 60);
	assert_string_equal(values[1].text, "x");
	free(values);
	doc = static_record_to_json(rec);
	assert_true(json_equal(json_object_get(doc, "records"),
			       json_object_get(rec->doc, "records")));
	json_decref(doc);

	up = plan_stub(NULL, stub);
	assert_int_equal(up.vni, 0);
	assert_int_equal(up.servers_len, 2);
	assert_int_equal(up.servers[0].port, 53);
	assert_int_equal(up.servers[1].port, 5353);
	doc = stub_zone_to_json(stub);
	assert_true(json_equal(json_object_get(doc, "servers"),
			       json_object_get(stub->doc, "servers")));
	json_decref(doc);
	up = plan_stub(net, model_stub(m, net, "."));
	assert_int_equal(up.vni, 4096);
	assert_string_equal(up.zone, ".");
	model_apply(m, "n/blue/s/records/box", NULL, 99, NULL);
	model_apply(m, "c/upstreams/corp.example", NULL, 99, NULL);
	assert_null(net_record(net, "box"));
	assert_null(model_stub(m, NULL, "corp.example"));
	model_free(m);
}

static void test_stub_parse(void **state)
{
	static const struct {
		const char *net, *zone, *servers;
		const char *field;
	} rows[] = {
		{ NULL, "corp.example", "192.0.2.53", NULL },
		{ NULL, "Corp.Example.", "192.0.2.53:5353,[fd00::1]:53", NULL },
		{ NULL, ".", "192.0.2.53,fd00::1,[fd00::2]", NULL },
		{ "blue", "green", "127.0.0.1:8600", NULL },
		{ NULL, "blue", "192.0.2.53", NULL },
		{ NULL, "local", "192.0.2.53", NULL },
		{ NULL, "a b", "192.0.2.53", "zone" },
		{ NULL, "", "192.0.2.53", "zone" },
		{ NULL, "cluster.local", "192.0.2.53", "zone" },
		{ NULL, "a.cluster.local", "192.0.2.53", "zone" },
		{ "blue", "a.blue", "192.0.2.53", "zone" },
		{ "blue", "blue", "192.0.2.53", "zone" },
		{ "dark", "corp.example", "192.0.2.53", "network" },
		{ NULL, "a", "", "servers" },
		{ NULL, "a", "x", "servers" },
		{ NULL, "a", "192.0.2.53:0", "servers" },
		{ NULL, "a", "192.0.2.53:", "servers" },
		{ NULL, "a", "[fd00::1", "servers" },
		{ NULL, "a", "[fd00::1]x", "servers" },
		{ NULL, "a", "0.0.0.0", "servers" },
		{ NULL, "a", "224.0.0.251", "servers" },
		{ NULL, "a", "ff02::fb", "servers" },
		{ NULL, "a", "10.5.0.1", "servers" },
		{ NULL, "a",
		  "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,"
		  "1.1.1.7,1.1.1.8,1.1.1.9",
		  "servers" },
	};
	struct model *m = model_make();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net *net =
			rows[i].net ? model_net(m, rows[i].net) : NULL;
		struct refusal r = { 0 };
		struct stub_zone stub;
		int err = stub_zone_parse(m, net, rows[i].zone, rows[i].servers,
					  &stub, &r);

		if (!err != !rows[i].field ||
		    (err && !str_eq(r.field, rows[i].field)))
			fail_msg("%s %s: %d %s", rows[i].zone, rows[i].servers,
				 err, r.field);
		assert_true(!err || *r.hint);
	}
	model_free(m);
}

static void test_server_text(void **state)
{
	static const char *const rows[] = { "192.0.2.53", "192.0.2.53:5353",
					    "fd00::1", "[fd00::1]:5353" };
	struct model *m = model_make();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(str_freep) char *text = NULL;
		struct refusal r = { 0 };
		struct stub_zone stub;

		assert_int_equal(
			stub_zone_parse(m, NULL, "a", rows[i], &stub, &r), 0);
		text = server_text(&stub.servers[0]);
		assert_string_equal(text, rows[i]);
	}
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_parse),
		cmocka_unit_test(test_name_check),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_stub_parse),
		cmocka_unit_test(test_server_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
