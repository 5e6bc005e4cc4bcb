/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's networks of both families. */
#include "docker_host.h"

#define SUBNET6 "fd00:5::/64"
#define POOL6 "netd/blue/" SUBNET6
#define MAC "02:42:00:00:00:01"
#define MAC2 "02:42:00:00:00:02"

static json_t *request_pool6(const char *network, const char *pool)
{
	return ask("IpamDriver.RequestPool", "{s:s, s:s, s:{s:s}, s:b}", "Pool",
		   pool, "SubPool", "", "Options", "netd.network", network,
		   "V6", true);
}

static json_t *create_network6(const char *space, const char *gateway)
{
	return ask("NetworkDriver.CreateNetwork",
		   "{s:s, s:{s:b, s:{}}, s:[{s:s, s:s}], s:[{s:s, s:s}]}",
		   "NetworkID", NET, "Options",
		   "com.docker.network.enable_ipv6", true,
		   "com.docker.network.generic", "IPv4Data", "AddressSpace",
		   "netd", "Gateway", "10.65.0.1/22", "IPv6Data",
		   "AddressSpace", space, "Gateway", gateway);
}

static void make_network6(void)
{
	make_pool("blue");
	request_pool6("blue", SUBNET6);
	assert_string_equal(error_of(t.reply), "");
	assert_empty(create_network6("netd", "fd00:5::1/64"));
}

/* As the engine asks, with the MAC of the endpoint to be, or NULL. */
static const char *request_address(const char *pool, const char *address,
				   const char *mac)
{
	ask("IpamDriver.RequestAddress", "{s:s, s:s, s:{s:s*}}", "PoolID", pool,
	    "Address", address, "Options",
	    "com.docker.network.endpoint.macaddress", mac);
	return json_string_value(json_object_get(t.reply, "Address"));
}

static json_t *create_endpoint6(const char *cidr, const char *cidr6)
{
	return ask("NetworkDriver.CreateEndpoint",
		   "{s:s, s:s, s:{s:s, s:s, s:s}}", "NetworkID", NET,
		   "EndpointID", EP, "Interface", "Address", cidr,
		   "AddressIPv6", cidr6, "MacAddress", MAC);
}

static const struct address6 {
	const char *about;
	/* What came before, of which MACs; "": without one. */
	const char *before[2];
	const char *address, *mac;
	/* The answer, or what its refusal says. */
	const char *cidr, *error;
} address6_rows[] = {
	{ "beside the first", { MAC, MAC2 }, "", MAC, "fd00:5::2/64", "" },
	{ "beside the second", { MAC, MAC2 }, "", MAC2, "fd00:5::3/64", "" },
	{ "without MACs the last", { "", "" }, "", NULL, "fd00:5::3/64", "" },
	{ "the same by name", { MAC }, "fd00:5::2", MAC, "fd00:5::2/64", "" },
	{ "another one", { MAC }, "fd00:5::7", MAC, NULL, "--ip 10.65.0.7" },
	{ "beside none", { MAC }, "fd00:5::1:0", MAC, NULL, "none of 10.65" },
	{ "of no container", { MAC }, "", MAC2, NULL, "no IPv4 address" },
	{ "for nobody", { NULL }, "", NULL, NULL, "no IPv4 address" },
	{ "kept", { NULL }, "fd00:5::7", NULL, "fd00:5::7/64", "" },
	{ "kept of both", { "" }, "fd00:5::2", NULL, "fd00:5::2/64", "" },
	{ "the gateway", { NULL }, "fd00:5::1", NULL, NULL, "10.65.0.1" },
	{ "of IPv4", { MAC }, "10.65.0.2", MAC, NULL, "IPv4" },
	{ "of nonsense", { MAC }, "fd00::x", MAC, NULL, "not an address" },
	{ "with a bad MAC", { MAC }, "", "02:42", NULL, "not a MAC" },
};

static void check_address6(const struct address6 *row)
{
	const char *got;

	for (size_t i = 0; i < 2 && row->before[i]; i++)
		request_address(POOL, "",
				*row->before[i] ? row->before[i] : NULL);
	got = request_address(POOL6, row->address, row->mac);
	if (!str_eq(got ? got : "", row->cidr ? row->cidr : "") ||
	    !strstr(error_of(t.reply), row->error))
		fail_msg("%s: %s, %s", row->about, got ? got : "no address",
			 error_of(t.reply));
}

static void test_addresses_of_ipv6(void **state)
{
	(void)state;
	make_network6();
	for (size_t i = 0; i < ARRAY_LEN(address6_rows); i++) {
		check_address6(&address6_rows[i]);
		/* As if the engine had given all back, and time had gone by. */
		while (t.m->holds) {
			char ip[IP_STRLEN];

			release(ip_str(&t.m->holds->addr, ip));
			if (t.m->holds)
				ask("IpamDriver.ReleaseAddress", "{s:s, s:s}",
				    "PoolID", POOL6, "Address",
				    address6_rows[i].address);
		}
		rests_free(&t.rests);
	}
}

/* What the engine forgets with the refusal is not held, either. */
static void test_refused_pair(void **state)
{
	char cidr[IP_STRLEN + 4];

	(void)state;
	make_network6();
	str_copy(cidr, sizeof(cidr), request_address(POOL, "", MAC));
	assert_null(request_address(POOL6, "fd00:5::7", MAC));
	assert_null(t.m->holds);
	/* An engine that asked without MACs may mix up two containers. */
	request_address(POOL, "", MAC);
	create_endpoint6(cidr, "fd00:5::9/64");
	assert_non_null(strstr(error_of(t.reply), "no pair"));
	create_endpoint6(cidr, "nonsense");
	assert_string_not_equal(error_of(t.reply), "");
	close_docker();
	t.has_v6 = false;
	open_docker();
	create_endpoint6(cidr, "fd00:5::2/64");
	assert_non_null(strstr(error_of(t.reply), "kernel has no IPv6"));
	assert_int_equal(HASH_COUNT(t.m->holds), 1);
	assert_null(t.m->pods);
	release(cidr);
	delete_network();
	assert_nothing_left();
}

static void test_endpoint_of_both(void **state)
{
	char cidr[IP_STRLEN + 4];
	const struct attachment *at;
	char ip[IP_STRLEN];

	(void)state;
	make_network6();
	str_copy(cidr, sizeof(cidr), request_address(POOL, "", MAC));
	close_docker();
	open_docker();
	assert_string_equal(request_address(POOL6, "", MAC), "fd00:5::2/64");
	create_endpoint6(cidr, "fd00:5::2/64");
	close_docker();
	open_docker();
	join(EP, "/run/netns/one");
	assert_string_equal(
		json_string_value(json_object_get(t.reply, "GatewayIPv6")),
		"fd00:5::1");
	assert_int_equal(
		json_array_size(json_object_get(t.reply, "StaticRoutes")), 2);
	at = &t.m->pods->nets[0];
	assert_string_equal(ip_str(&at->addr6, ip), "fd00:5::2");
	about("NetworkDriver.Leave", EP);
	about("NetworkDriver.DeleteEndpoint", EP);
	/* The IPv4 address gives back both, in whatever order. */
	ask("IpamDriver.ReleaseAddress", "{s:s, s:s}", "PoolID", POOL6,
	    "Address", "fd00:5::2");
	assert_int_equal(HASH_COUNT(t.m->holds), 1);
	release(cidr);
	assert_null(t.m->holds);
	ask("IpamDriver.ReleasePool", "{s:s}", "PoolID", POOL6);
	assert_int_equal(HASH_COUNT(t.m->nets), 2);
	delete_network();
	assert_nothing_left();
}

/* One that Docker makes for --ipv6 gets it; one that is there has it or not. */
static void test_pools_of_ipv6(void **state)
{
	static const struct {
		const char *network, *pool, *error;
	} rows[] = {
		{ "blue", "fe80::/64", "neither global unicast" },
		{ "blue", "fd00:5::/120", "from /64 to /112" },
		{ "blue", "10.9.0.0/24", "of one family" },
		{ "blue", SUBNET6, "" },
		{ "blue", SUBNET6, "" },
		{ "blue", "", "" },
		{ "blue", "fd00:6::/64", "has the subnet " SUBNET6 },
		{ "default", "", "has no IPv6" },
		{ "none", "", "not found" },
	};

	(void)state;
	make_pool("blue");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		request_pool6(rows[i].network, rows[i].pool);
		if (!*rows[i].error && !*error_of(t.reply))
			continue;
		if (!*rows[i].error ||
		    !strstr(error_of(t.reply), rows[i].error))
			fail_msg("%s %s: %s", rows[i].network, rows[i].pool,
				 error_of(t.reply));
	}
	create_network6("LocalDefault", "fd00:5::1/64");
	assert_non_null(strstr(error_of(t.reply), "Docker's own IPAM"));
	create_network6("netd", "fd00:5::9/64");
	assert_non_null(strstr(error_of(t.reply), "not that of network"));
	create_network6("netd", "nonsense");
	assert_non_null(strstr(error_of(t.reply), "Gateway"));
	assert_null(json_object_get(model_net(t.m, "blue")->doc, "engines"));
	assert_empty(create_network6("netd", "fd00:5::1/64"));
	/* Engines of others may go without. */
	make_pool("blue");
	assert_empty(create_network(NET2, "10.65.0.1/22"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_addresses_of_ipv6),
		TEST(test_refused_pair),
		TEST(test_endpoint_of_both),
		TEST(test_pools_of_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
