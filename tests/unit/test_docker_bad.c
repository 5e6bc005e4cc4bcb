/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that no engine makes: each is refused, and changes nothing. */
#include "docker_host.h"

static unsigned int seed = 20;

static unsigned int pick(size_t n)
{
	return (unsigned int)rand_r(&seed) % (unsigned int)n;
}

/* A value that is right nowhere. */
static json_t *bad_value(void)
{
	static const char *const texts[] = {
		"",
		"/",
		"..",
		"../../etc",
		"a/b",
		"\xc3\xa9",
		"10.65.0.1",
		"999.1.1.1/22",
		"netd/blue/10.66.0.0/22",
		"netd//",
		"::1",
	};
	json_t *deep = json_object();

	switch (pick(6)) {
	case 0:
		json_decref(deep);
		return json_string(texts[pick(ARRAY_LEN(texts))]);
	case 1:
		json_decref(deep);
		return json_integer((json_int_t)pick(100000) - 50000);
	case 2:
		json_decref(deep);
		return json_array();
	case 3:
		json_object_set_new(deep, "x", json_pack("[[{s:n}]]", "y"));
		return deep;
	case 4:
		json_decref(deep);
		return json_sprintf("%0300d", 7);
	}
	json_decref(deep);
	return json_true();
}

/* Each call with the field that makes it wrong when it is bad. */
static const struct {
	const char *call, *field;
} bad_calls[] = {
	{ "NetworkDriver.CreateNetwork", "NetworkID" },
	{ "NetworkDriver.CreateNetwork", "IPv4Data" },
	{ "NetworkDriver.DeleteNetwork", "NetworkID" },
	{ "NetworkDriver.CreateEndpoint", "NetworkID" },
	{ "NetworkDriver.CreateEndpoint", "EndpointID" },
	{ "NetworkDriver.CreateEndpoint", "Interface" },
	{ "NetworkDriver.Join", "NetworkID" },
	{ "NetworkDriver.Join", "EndpointID" },
	{ "NetworkDriver.Leave", "EndpointID" },
	{ "NetworkDriver.DeleteEndpoint", "EndpointID" },
	{ "NetworkDriver.ProgramExternalConnectivity", "EndpointID" },
	{ "NetworkDriver.RevokeExternalConnectivity", "EndpointID" },
	{ "IpamDriver.RequestPool", "Options" },
	{ "IpamDriver.RequestAddress", "PoolID" },
};

/* Right but for one field, and sometimes cut off or not JSON at all. */
static char *bad_body(size_t row)
{
	AUTO(json_freep)
	json_t *body = json_pack(
		"{s:s, s:s, s:s, s:{s:s}, s:{}, s:s, s:s, s:[{s:s, s:s}]}",
		"NetworkID", NET, "EndpointID", EP2, "SandboxKey", "/x",
		"Interface", "Address", "10.65.0.250/22", "Options", "PoolID",
		POOL, "Address", "", "IPv4Data", "AddressSpace", "netd",
		"Gateway", "10.65.0.1/22");
	char *line;

	json_object_set_new(body, bad_calls[row].field, bad_value());
	line = json_line(body);
	if (pick(8) == 0)
		line[strlen(line) - 1 - pick(20)] = "\0\x01]"[pick(3)];
	return line;
}

/* What a malformed call could have changed. */
static char *snapshot(void)
{
	AUTO(json_freep) json_t *doc = docker_json(t.docker);

	json_object_set_new(doc, "journal",
			    json_integer((json_int_t)in_journal()));
	json_object_set_new(doc, "nets", json_integer(HASH_COUNT(t.m->nets)));
	json_object_set_new(doc, "pods", json_integer(HASH_COUNT(t.m->pods)));
	return json_line(doc);
}

static void test_malformed_calls(void **state)
{
	AUTO(str_freep) char *before = NULL;
	char cidr[IP_STRLEN + 4];

	(void)state;
	make_network();
	take_address(cidr);
	create_endpoint(EP, cidr);
	join(EP, "/run/netns/one");
	before = snapshot();
	for (size_t i = 0; i < 1000; i++) {
		size_t row = pick(ARRAY_LEN(bad_calls));
		AUTO(str_freep) char *body = bad_body(row);
		AUTO(str_freep) char *after = NULL;

		ask_text(bad_calls[row].call, body);
		if (!*error_of(t.reply))
			fail_msg("%s %s was taken", bad_calls[row].call, body);
		after = snapshot();
		if (!str_eq(before, after))
			fail_msg("%s %s changed\n%s\n%s", bad_calls[row].call,
				 body, before, after);
	}
}

static void test_too_much(void **state)
{
	size_t len = 2 * 1024 * 1024;
	AUTO(str_freep) char *body = xzalloc(len + 64);

	(void)state;
	strcpy(body, "{\"Options\":{\"netd.network\":\"");
	memset(body + strlen(body), 'x', len);
	strcat(body, "\"}}");
	ask_text("IpamDriver.RequestPool", body);
	assert_int_equal(t.status, 413);
	assert_string_not_equal(error_of(t.reply), "");
}

static void test_no_such_call(void **state)
{
	(void)state;
	ask_text("NetworkDriver.Nothing", "{}");
	assert_int_equal(t.status, 404);
	ask_text("Plugin.Activate/x", "{}");
	assert_int_equal(t.status, 404);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_malformed_calls),
		TEST(test_too_much),
		TEST(test_no_such_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
