/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: what their networks and ports are asked for with, and who has them. */
#include <netinet/in.h>

#include "cm.h"
#include "json.h"
#include "network.h"
#include "pod.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr a = { 0 };

	if (*text)
		assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static void test_network_parse(void **state)
{
	static const struct {
		const char *text;
		const char *network, *addr, *mac, *ifname;
		size_t aliases;
	} rows[] = {
		{ "blue", "blue", "", "00:00:00:00:00:00", "", 0 },
		{ "blue,ip=10.5.0.7", "blue", "10.5.0.7", "00:00:00:00:00:00",
		  "", 0 },
		{ "blue,mac=02:00:0a:05:00:07,ifname=net0,alias=a,alias=b",
		  "blue", "", "02:00:0a:05:00:07", "net0", 2 },
		{ "blue,ifname=fifteen-letters", "blue", "",
		  "00:00:00:00:00:00", "fifteen-letters", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pod_network net;
		struct refusal r = { 0 };
		struct ip_addr addr;
		char mac[MAC_STRLEN];
		int err = pod_network_parse(rows[i].text, &net, &r);

		if (err)
			fail_msg("%s: %d %s", rows[i].text, err, r.message);
		addr = ip(rows[i].addr);
		assert_string_equal(net.network, rows[i].network);
		assert_true(ip_eq(&net.addr, &addr));
		assert_string_equal(mac_str(&net.mac, mac), rows[i].mac);
		assert_string_equal(net.ifname, rows[i].ifname);
		assert_int_equal(json_array_size(net.aliases), rows[i].aliases);
		json_decref(net.aliases);
	}
}

static void test_network_parse_refuses(void **state)
{
	static const char *const refused[] = {
		"",
		"Blue",
		"blue,ip",
		"blue,ip=10.5.0",
		"blue,mac=",
		"blue,mac=02:00:0a:05:00",
		"blue,mac=02:00:0a:05:00:0",
		"blue,mac=02: 0:0a:05:00:07",
		"blue,mac=01:00:5e:00:00:01",
		"blue,mac=ff:ff:ff:ff:ff:ff",
		"blue,mac=00:00:00:00:00:00",
		"blue,ifname=",
		"blue,ifname=lo",
		"blue,ifname=.",
		"blue,ifname=..",
		"blue,ifname=a/b",
		"blue,ifname=a:b",
		"blue,ifname=a b",
		"blue,ifname=eth%d",
		"blue,ifname=sixteen-letters-",
		"blue,alias=a..b",
		"blue,vlan=5",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct pod_network net;
		struct refusal r = { 0 };

		if (pod_network_parse(refused[i], &net, &r) != -EINVAL)
			fail_msg("%s is taken", refused[i]);
		assert_string_not_equal(r.message, "");
		assert_string_not_equal(r.hint, "");
	}
}

static void test_port_parse(void **state)
{
	static const struct {
		const char *text;
		const char *host;
		uint16_t port, target;
		uint8_t proto;
	} rows[] = {
		{ "8080:80", "", 8080, 80, IPPROTO_TCP },
		{ "8080:80/tcp", "", 8080, 80, IPPROTO_TCP },
		{ "53:5353/udp", "", 53, 5353, IPPROTO_UDP },
		{ "80", "", 0, 80, IPPROTO_TCP },
		{ ":80", "", 0, 80, IPPROTO_TCP },
		{ "0:80", "", 0, 80, IPPROTO_TCP },
		{ "127.0.0.1:8080:80", "127.0.0.1", 8080, 80, IPPROTO_TCP },
		{ "127.0.0.1::80/udp", "127.0.0.1", 0, 80, IPPROTO_UDP },
		{ "0.0.0.0:8080:80", "", 8080, 80, IPPROTO_TCP },
		{ ":8080:80", "", 8080, 80, IPPROTO_TCP },
		{ "65535:65535", "", 65535, 65535, IPPROTO_TCP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pod_port port;
		struct refusal r = { 0 };
		struct ip_addr host;
		int err = pod_port_parse(rows[i].text, &port, &r);

		if (err)
			fail_msg("%s: %d %s", rows[i].text, err, r.message);
		host = ip(rows[i].host);
		assert_true(ip_eq(&port.host, &host));
		assert_int_equal(port.port, rows[i].port);
		assert_int_equal(port.target, rows[i].target);
		assert_int_equal(port.proto, rows[i].proto);
	}
}

static void test_port_parse_refuses(void **state)
{
	static const char *const refused[] = {
		"",
		":",
		"8080:",
		"8080:0",
		"8080:65536",
		"65536:80",
		"-1:80",
		"8080:80/sctp",
		"8080:80/",
		"8080-8090:80",
		"host:8080:80",
		"[::1]:8080:80",
		"10.5.0.256:8080:80",
		"1:2:3:4",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct pod_port port;
		struct refusal r = { 0 };

		if (pod_port_parse(refused[i], &port, &r) != -EINVAL)
			fail_msg("%s is taken", refused[i]);
		assert_string_not_equal(r.message, "");
		assert_string_not_equal(r.hint, "");
	}
}

/* One node with two addresses; pod "web" has 8080 on all of them and 9090 on
 * one; service "shop" publishes 443; sshd listens on 22. */
static struct model *make(void)
{
	struct model *m = model_new("n1");
	struct node *self = xzalloc(sizeof(*self));
	struct pod *web = pod_new("web");
	static const struct pod_port ports[] = {
		{ .port = 8080, .target = 80, .proto = IPPROTO_TCP },
		{ .port = 9090, .target = 80, .proto = IPPROTO_TCP },
	};

	self->vtep = self->addrs[0] = ip("192.0.2.1");
	self->addrs[1] = ip("198.51.100.1");
	self->addrs_len = 2;
	model_self_put(m, self);
	model_apply(m, "c/ports/tcp/443-443",
		    "{\"network\":\"blue\",\"service\":\"shop\"}", 1, NULL);
	web->ports = xzalloc(sizeof(ports));
	memcpy(web->ports, ports, sizeof(ports));
	web->ports[1].host = ip("192.0.2.1");
	web->ports_len = ARRAY_LEN(ports);
	model_pod_add(m, web);
	return m;
}

static bool listens(const void *arg, const struct pod_port *port, char *owner,
		    size_t size)
{
	const struct model *m = arg;

	assert_string_equal(m->self, "n1");
	if (port->port != 22)
		return false;
	if (owner)
		snprintf(owner, size, "sshd");
	return true;
}

static void test_port_claim(void **state)
{
	static const struct {
		const char *text;
		/* NULL: given. */
		const char *owner;
		uint16_t port;
	} rows[] = {
		{ "8081:80", NULL, 8081 },
		{ "8080:80", "pod \"web\"", 0 },
		{ "8080:80/udp", NULL, 8080 },
		{ "127.0.0.1:8080:80", "pod \"web\"", 0 },
		{ "192.0.2.1:9090:80", "pod \"web\"", 0 },
		{ "198.51.100.1:9090:80", NULL, 9090 },
		{ "127.0.0.1:9090:80", NULL, 9090 },
		{ "9090:80", "pod \"web\"", 0 },
		{ "443:80", "service \"shop\" on network \"blue\"", 0 },
		{ "127.0.0.1:443:80", "service \"shop\"", 0 },
		{ "443:80/udp", NULL, 443 },
		{ "22:22", "sshd", 0 },
		{ "192.0.2.9:8081:80", "no address of node n1", 0 },
		{ "80", NULL, POD_PORT_LAST },
	};
	struct model *m = make();
	struct pod_port_listeners listeners = { .arg = m, .find = listens };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pod *pod = pod_new("new");
		struct refusal r = { 0 };
		struct pod_port port;
		int err;

		assert_int_equal(pod_port_parse(rows[i].text, &port, &r), 0);
		err = pod_port_claim(m, pod, &port, &listeners,
				     POD_PORT_LAST - POD_PORT_FIRST, &r);
		if (rows[i].owner &&
		    (!err || !strstr(r.message, rows[i].owner)))
			fail_msg("%s: %d %s", rows[i].text, err, r.message);
		if (!rows[i].owner && (err || port.port != rows[i].port))
			fail_msg("%s: %d %s", rows[i].text, err, r.message);
		assert_int_equal(pod->ports_len, err ? 0 : 1);
		pod_free(pod);
	}
	model_free(m);
}

static void test_port_claim_itself(void **state)
{
	struct model *m = make();
	struct pod_port_listeners listeners = { .arg = m, .find = listens };
	struct pod *pod = pod_new("new");
	struct refusal r = { 0 };
	struct pod_port port = { .target = 80, .proto = IPPROTO_TCP };

	(void)state;
	/* Free ports differ, and wrap round. */
	assert_int_equal(pod_port_claim(m, pod, &port, &listeners,
					POD_PORT_LAST - POD_PORT_FIRST, &r),
			 0);
	port.port = 0;
	assert_int_equal(pod_port_claim(m, pod, &port, &listeners,
					POD_PORT_LAST - POD_PORT_FIRST, &r),
			 0);
	assert_int_equal(pod->ports[0].port, POD_PORT_LAST);
	assert_int_equal(pod->ports[1].port, POD_PORT_FIRST);
	port.host = ip("127.0.0.1");
	assert_int_equal(pod_port_claim(m, pod, &port, &listeners, 0, &r),
			 -EINVAL);
	assert_non_null(strstr(r.message, "pod \"new\""));
	pod_free(pod);
	model_free(m);
}

/* What the journal has is what there was. */
static void test_json(void **state)
{
	static const struct ip_prefix subnet = { .len = 120 };
	struct net net = { .name = "blue", .vni = 4096, .subnet = subnet };
	struct pod_network wish = { .aliases = json_pack("[s]", "cache"),
				    .ifname = "net0" };
	struct ip_addr addr = ip("10.5.0.7");
	struct pod *pod = pod_new("Web"), *back;
	struct attachment *at;
	json_t *doc, *again;

	(void)state;
	at = &pod->nets[pod->nets_len++];
	*at = attachment_make(&net, &wish, &addr);
	str_copy(at->id, sizeof(at->id), "0123456789ab");
	str_copy(at->config, sizeof(at->config), "podman");
	str_copy(pod->owner, sizeof(pod->owner), "cni");
	str_copy(pod->container, sizeof(pod->container), "c0ffee");
	pod->ports = xzalloc(sizeof(*pod->ports));
	pod->ports[pod->ports_len++] =
		(struct pod_port){ .host = ip("127.0.0.1"),
				   .port = 8080,
				   .target = 80,
				   .proto = IPPROTO_UDP,
				   .network = "blue" };
	doc = pod_to_json(pod);
	back = pod_from_json(doc);
	assert_non_null(back);
	again = pod_to_json(back);
	assert_true(json_equal(doc, again));
	assert_int_equal(back->ports_len, 1);
	assert_string_equal(back->nets[0].ifname, "net0");

	/* A port ends with the attachment that it leads to. */
	pod_detach(back, &back->nets[0]);
	assert_int_equal(back->ports_len, 0);

	/* As an older journal has it. */
	json_object_del(doc, "ports");
	json_object_del(doc, "owner");
	json_object_del(json_array_get(json_object_get(doc, "networks"), 0),
			"mac");
	pod_free(back);
	back = pod_from_json(doc);
	assert_non_null(back);
	assert_memory_equal(&back->nets[0].mac, &at->mac, sizeof(at->mac));
	assert_string_equal(back->owner, "");
	json_decref(doc);
	json_decref(again);
	pod_free(back);
	pod_free(pod);
}

/* What was asked for holds where an engine says something else. */
static void test_found(void **state)
{
	static const char doc_text[] =
		"{\"name\":\"docker-1\",\"labels\":{\"app\":\"web\"},"
		"\"networks\":[{\"id\":\"aa\",\"network\":\"blue\",\"vni\":1,"
		"\"ip\":\"10.5.0.7\",\"aliases\":[\"asked\"]}],\"found\":{"
		"\"name\":\"shop-web-1\",\"unready\":\"starting\","
		"\"labels\":{\"app\":\"other\",\"tier\":\"1\"},"
		"\"aliases\":{\"blue\":[\"web\"],\"red\":[\"not-here\"]}}}";
	static const struct {
		const char *owner, *name, *aliases;
	} rows[] = {
		{ "", "docker-1", "[\"asked\",\"shop-web-1\",\"web\"]" },
		{ "docker", "shop-web-1", "[\"asked\",\"docker-1\",\"web\"]" },
	};
	AUTO(json_freep) json_t *doc = json_loads(doc_text, 0, NULL);
	struct pod *first = pod_from_json(doc);
	AUTO(json_freep) json_t *again = pod_to_json(first);
	struct pod *pod = pod_from_json(again);
	AUTO(json_freep) json_t *labels = pod_labels(pod);
	AUTO(str_freep) char *text = json_line(labels);
	struct model *m = model_new("n1");

	(void)state;
	model_pod_add(m, pod);
	assert_null(model_pod_shown(m, "shop-web-1"));
	assert_string_equal(text, "{\"app\":\"web\",\"tier\":\"1\"}");
	assert_string_equal(pod_unready(pod), "starting");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json_freep) json_t *aliases = NULL;
		AUTO(str_freep) char *line = NULL;

		str_copy(pod->owner, sizeof(pod->owner), rows[i].owner);
		aliases = pod_aliases(pod, &pod->nets[0]);
		line = json_line(aliases);
		assert_string_equal(pod_shown_name(pod), rows[i].name);
		assert_ptr_equal(model_pod_shown(m, rows[i].name), pod);
		assert_ptr_equal(model_pod_shown(m, "DOCKER-1"), pod);
		assert_string_equal(line, rows[i].aliases);
	}
	json_decref(pod->found);
	pod->found = NULL;
	assert_string_equal(pod_unready(pod), "");
	assert_string_equal(pod_shown_name(pod), "docker-1");
	model_free(m);
	pod_free(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network_parse),
		cmocka_unit_test(test_network_parse_refuses),
		cmocka_unit_test(test_port_parse),
		cmocka_unit_test(test_port_parse_refuses),
		cmocka_unit_test(test_port_claim),
		cmocka_unit_test(test_port_claim_itself),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
