/* SPDX-License-Identifier: Apache-2.0 */
/* Dropped packets in words: whose addresses, which filters, and readers. */
#include "drop_sample.h"
#include "drops.h"
#include "json.h"
#include "pod.h"
#include "stream.h"
#include "whose.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr a = { 0 };

	if (*text)
		assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

/* A pod of this node, with the link 42. */
static void add_pod_here(struct model *m)
{
	struct pod *pod = pod_new("client");
	struct attachment *at = &pod->nets[pod->nets_len++];

	str_copy(at->network, sizeof(at->network), "blue");
	str_copy(at->id, sizeof(at->id), "cc");
	at->addr = ip("10.5.0.2");
	at->ifindex = 42;
	model_pod_add(m, pod);
}

static void fill(struct model *m)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "c/nodes/n2", "{\"vtep\":\"192.0.2.2\",\"incarnation\":2,"
				"\"addresses\":[\"198.51.100.2\"]}" },
		{ "c/nets/blue", "{\"vni\":4096,\"subnets\":[\"10.5.0.0/24\"],"
				 "\"vips\":[\"10.80.0.0/22\"],\"labels\":{}}" },
		{ "c/nets/red", "{\"vni\":4097,\"subnets\":[\"10.6.0.0/24\"],"
				"\"vips\":[\"10.80.4.0/22\"],\"labels\":{}}" },
		{ "c/nets/both",
		  "{\"vni\":4098,\"subnets\":[\"10.7.0.0/24\"],"
		  "\"vips\":[\"10.80.8.0/22\"],\"subnet6\":\"fd00:7::/64\","
		  "\"vips6\":[\"fd00:80::/118\"],\"labels\":{}}" },
		{ "n/both/e/pods/n2/bb",
		  "{\"pod\":\"two\",\"ip\":\"10.7.0.16\","
		  "\"labels\":{},\"aliases\":[]}" },
		{ "n/both/s/vips/10.80.8.1", "{\"service\":\"dual\"}" },
		{ "n/red/e/pods/n2/aa", "{\"pod\":\"db\",\"ip\":\"10.6.0.16\","
					"\"labels\":{},\"aliases\":[]}" },
		{ "n/blue/s/vips/10.80.0.1", "{\"service\":\"web\"}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		model_apply(m, rows[i].key, rows[i].value, (int64_t)i + 1,
			    NULL);
	add_pod_here(m);
}

static int setup(void **state)
{
	(void)state;
	stream_setup("/v1/drops/samples");
	fill(t.model);
	return 0;
}

static void test_whose(void **state)
{
	static const struct {
		const char *addr;
		enum whose_kind kind;
		const char *name, *network, *node;
	} rows[] = {
		{ "10.5.0.2", WHOSE_POD, "client", "blue", "n1" },
		{ "10.6.0.16", WHOSE_POD, "db", "red", "n2" },
		{ "10.6.0.17", WHOSE_NOBODY, "", "red", "" },
		{ "10.5.0.1", WHOSE_GATEWAY, "", "blue", "" },
		{ "10.80.0.1", WHOSE_SERVICE, "web", "blue", "" },
		{ "10.80.0.2", WHOSE_NOBODY, "", "blue", "" },
		{ "192.0.2.2", WHOSE_NODE, "n2", "", "n2" },
		{ "198.51.100.2", WHOSE_NODE, "n2", "", "n2" },
		{ "203.0.113.9", WHOSE_NOBODY, "", "", "" },
		{ "fd00::1", WHOSE_NOBODY, "", "", "" },
		{ "fd00:7::10", WHOSE_POD, "two", "both", "n2" },
		{ "fd00:7::1", WHOSE_GATEWAY, "", "both", "" },
		{ "fd00:7::11", WHOSE_NOBODY, "", "both", "" },
		{ "fd00:80::1", WHOSE_SERVICE, "dual", "both", "" },
		{ "", WHOSE_NOBODY, "", "", "" },
	};
	struct whose w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_addr addr = ip(rows[i].addr);

		w = model_whose(t.model, &addr);
		if (w.kind != rows[i].kind || !str_eq(w.name, rows[i].name) ||
		    !str_eq(w.network, rows[i].network) ||
		    !str_eq(w.node, rows[i].node))
			fail_msg("%s: %d %s %s %s", rows[i].addr, w.kind,
				 w.name, w.network, w.node);
	}
	w = model_whose_link(t.model, 42);
	assert_string_equal(w.name, "client");
	assert_string_equal(w.network, "blue");
	assert_int_equal(model_whose_link(t.model, 43).kind, WHOSE_NOBODY);
	assert_int_equal(model_whose_link(t.model, 0).kind, WHOSE_NOBODY);
}

/* client of blue to db of red */
static struct ebpf_sample sample(void)
{
	return (struct ebpf_sample){ .reason = "isolation",
				     .meaning = "address of another network",
				     .hook = "from_pod",
				     .ifindex = 42,
				     .len = 74,
				     .mac = { { 2, 0, 0, 0, 0, 1 } },
				     .ethertype = 0x0800,
				     .src = ip("10.5.0.2"),
				     .dst = ip("10.6.0.16"),
				     .proto = 6,
				     .detail = 0x12,
				     .sport = 40000,
				     .dport = 80 };
}

static void test_json(void **state)
{
	struct ebpf_sample s = sample();
	AUTO(json_freep) json_t *doc = NULL;
	AUTO(str_freep) char *text = NULL;

	(void)state;
	/* No link of this host that has a name. */
	s.ifindex = 0;
	s.vni = 4097;
	doc = drop_sample_json(t.model, &s, 1769860800007);
	text = json_dumps(doc, JSON_COMPACT);
	assert_string_equal(
		text,
		"{\"time\":\"2026-01-31T12:00:00.007Z\",\"reason\":"
		"\"isolation\",\"meaning\":\"address of another network\","
		"\"hook\":\"from_pod\",\"interface\":\"\",\"pod\":\"\","
		"\"network\":\"red\",\"protocol\":\"tcp\",\"detail\":"
		"\"SYN,ACK\",\"length\":74,\"mac\":\"02:00:00:00:00:01\","
		"\"source\":{\"ip\":\"10.5.0.2\",\"port\":40000,\"pod\":"
		"\"client\",\"node\":\"n1\",\"network\":\"blue\"},"
		"\"destination\":{\"ip\":\"10.6.0.16\",\"port\":80,\"pod\":"
		"\"db\",\"node\":\"n2\",\"network\":\"red\"}}");
}

static void test_protocols(void **state)
{
	static const struct {
		uint16_t ethertype;
		uint8_t proto, detail, code;
		bool fragment;
		const char *protocol, *said;
	} rows[] = {
		{ 0x0800, 17, 0, 0, false, "udp", "" },
		{ 0x0800, 6, 0, 0, false, "tcp", "" },
		{ 0x0800, 6, 2, 0, false, "tcp", "SYN" },
		{ 0x0800, 6, 0xff, 0, false, "tcp",
		  "FIN,SYN,RST,PSH,ACK,URG,ECE,CWR" },
		{ 0x0800, 1, 8, 0, false, "icmp", "echo request" },
		{ 0x0800, 1, 3, 4, false, "icmp", "unreachable, code 4" },
		{ 0x0800, 1, 42, 1, false, "icmp", "type 42, code 1" },
		{ 0x86dd, 58, 135, 0, false, "icmpv6",
		  "neighbour solicitation" },
		{ 0x0800, 17, 0, 0, true, "udp", "fragment" },
		{ 0x0800, 99, 0, 0, false, "ip 99", "" },
		{ 0x0806, 0, 0, 0, false, "arp", "" },
		{ 0x8100, 0, 0, 0, false, "ethertype 0x8100", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ebpf_sample s = sample();
		AUTO(json_freep) json_t *doc = NULL;

		s.ethertype = rows[i].ethertype;
		s.proto = rows[i].proto;
		s.detail = rows[i].detail;
		s.code = rows[i].code;
		s.fragment = rows[i].fragment;
		s.sport = s.dport = 0;
		doc = drop_sample_json(t.model, &s, 0);
		assert_string_equal(
			json_string_value(json_object_get(doc, "protocol")),
			rows[i].protocol);
		assert_string_equal(
			json_string_value(json_object_get(doc, "detail")),
			rows[i].said);
	}
}

static void test_filter(void **state)
{
	static const struct {
		const char *words;
		bool match;
	} rows[] = {
		{ "[]", true },
		{ "[\"reason=isolation\"]", true },
		{ "[\"reason=spoof_ip\"]", false },
		{ "[\"reason!=spoof_ip\"]", true },
		{ "[\"reason!=isolation\"]", false },
		/* Either end, and the sender. */
		{ "[\"pod=client\"]", true },
		{ "[\"pod=db\"]", true },
		{ "[\"pod=web\"]", false },
		{ "[\"network=red\"]", true },
		{ "[\"network=blue\"]", true },
		{ "[\"network=green\"]", false },
		{ "[\"node=n2\"]", true },
		{ "[\"address=10.6.0.16\",\"protocol=tcp\"]", true },
		{ "[\"address=10.6.0.17\"]", false },
		{ "[\"service=web\"]", false },
		{ "[\"hook=from_pod\",\"hook=from_uplink\"]", true },
		/* One of a key's values, and each key. */
		{ "[\"pod=web\",\"pod=db\"]", true },
		{ "[\"pod=db\",\"reason=runt\"]", false },
		{ "[\"pod=db\",\"pod!=client\"]", false },
	};
	struct ebpf_sample s = sample();
	AUTO(json_freep) json_t *doc = drop_sample_json(t.model, &s, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json_freep)
		json_t *words = json_loads(rows[i].words, 0, NULL);
		struct refusal r = { 0 };

		assert_non_null(words);
		assert_int_equal(drop_filter_check(words, &r), 0);
		if (drop_filter_match(words, doc) != rows[i].match)
			fail_msg("%s", rows[i].words);
	}
}

static void test_refused(void **state)
{
	static const char *const bodies[] = {
		"{\"filter\":[\"colour=red\"]}",
		"{\"filter\":[\"reason\"]}",
		"{\"filter\":[\"reason!\"]}",
		"{\"filter\":[\"\"]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		AUTO(fd_closep) int fd = dial(bodies[i]);
		AUTO(str_freep) char *text = hear(fd);

		assert_non_null(strstr(text, "HTTP/1.1 400"));
		assert_non_null(strstr(text, "names no field"));
	}
}

static void add(const char *reason, int n)
{
	struct ebpf_sample s = sample();

	s.reason = reason;
	for (int i = 0; i < n; i++)
		drops_add(t.drops, &s);
	drops_tell(t.drops);
}

static void test_new_and_kept(void **state)
{
	AUTO(fd_closep) int now = -1;
	AUTO(fd_closep) int all = -1;
	AUTO(str_freep) char *first = NULL;
	AUTO(str_freep) char *second = NULL;

	(void)state;
	add("runt", 3);
	now = dial("{}");
	all = dial("{\"recent\":true,\"no_follow\":true}");
	first = hear(all);
	assert_int_equal(count(first, "\"reason\":\"runt\""), 3);
	assert_non_null(strstr(first, "\r\n0\r\n"));
	turn(0.02);
	add("isolation", 2);
	second = hear(now);
	assert_non_null(strstr(second, "application/x-ndjson"));
	assert_int_equal(count(second, "\"reason\":\"runt\""), 0);
	assert_int_equal(count(second, "\"reason\":\"isolation\""), 2);
}

/* A noisy reason leaves what is kept of the others alone. */
static void test_each_reason_is_kept(void **state)
{
	AUTO(fd_closep) int fd = -1;
	AUTO(str_freep) char *text = NULL;

	(void)state;
	add("spoof_ip", 1);
	add("multicast", 5 * DROPS_KEPT);
	add("spoof_arp", 1);
	fd = dial("{\"recent\":true,\"no_follow\":true}");
	text = hear(fd);
	assert_int_equal(count(text, "\"reason\":\"spoof_ip\""), 1);
	assert_int_equal(count(text, "\"reason\":\"multicast\""), DROPS_KEPT);
	assert_int_equal(count(text, "\"reason\":\"spoof_arp\""), 1);
	/* In the order in which they came. */
	assert_true(strstr(text, "spoof_ip") < strstr(text, "multicast"));
	assert_true(strstr(text, "multicast") < strstr(text, "spoof_arp"));
	assert_non_null(strstr(text, "\r\n0\r\n"));
}

/* More than a turn puts into words arrives all the same. */
static void test_filtered_stream(void **state)
{
	AUTO(fd_closep)
	int fd = dial("{\"filter\":[\"reason=runt\",\"pod=client\"]}");
	AUTO(str_freep) char *text = NULL;

	(void)state;
	turn(0.02);
	add("multicast", DROPS_KEPT);
	add("runt", DROPS_KEPT);
	text = hear(fd);
	assert_int_equal(count(text, "\"reason\":\"multicast\""), 0);
	assert_int_equal(count(text, "\"reason\":\"runt\""), DROPS_KEPT);
	assert_int_equal(count(text, "\"lost\":"), 0);
}

static void test_slow_reader_is_told_what_it_lost(void **state)
{
	AUTO(fd_closep) int fd = dial_as("HTTP/1.0", "{}");
	AUTO(str_freep) char *text = NULL;
	const char *lost;
	size_t sum = 0;

	(void)state;
	turn(0.02);
	for (int i = 0; i < 100; i++)
		add("runt", DROPS_KEPT);
	text = hear(fd);
	for (lost = text; (lost = strstr(lost, "\"lost\":")); lost += 7)
		sum += strtoul(lost + 7, NULL, 10);
	assert_int_not_equal(sum, 0);
	assert_int_equal(count(text, "\"reason\":\"runt\"") + sum,
			 100 * DROPS_KEPT);
}

static void test_reader_that_leaves(void **state)
{
	int fd = dial("{}");
	char byte;

	(void)state;
	/* It is heard from: it listens. */
	wait_for(t.loop, recv(fd, &byte, 1, MSG_PEEK) == 1, 2000);
	assert_int_equal(http_connections(t.http), 1);
	close(fd);
	wait_for(t.loop, http_connections(t.http) == 0, 2000);
	add("runt", 1);
	turn(0.01);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_whose),
		TEST(test_json),
		TEST(test_protocols),
		TEST(test_filter),
		TEST(test_refused),
		TEST(test_new_and_kept),
		TEST(test_each_reason_is_kept),
		TEST(test_filtered_stream),
		TEST(test_slow_reader_is_told_what_it_lost),
		TEST(test_reader_that_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
