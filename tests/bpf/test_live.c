/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs on their hooks: what reaches pods, host and wire when the test
 * plays the other node. Per packet throughout: no socket is translated here.
 */
#include "live.h"

static struct world world;
static struct world *const w = &world;

/* Tunnel ends of the other node and of a stranger. */
static int member, stranger;
/* Sockets of pods, the host and a client on the wire. */
static int pod_a, pod_b, pod_c, pod_d, host, gateway, client;

#define DGRAM(from, sp, to, dp)                                                \
	(struct spec)                                                          \
	{                                                                      \
		.smac = PEER_MAC, .dmac = TUNNEL_MAC, .proto = UDP,            \
		.src = from, .sport = sp, .dst = to, .dport = dp,              \
		.no_check = true                                               \
	}

/* The frame is dropped, for this reason. */
static void tunnel_drops(int from, uint32_t vni, const struct spec *inner,
			 const char *reason)
{
	struct world_drops before = world_drops(w, reason), after;

	vxlan_send(from, vni, inner);
	for (int i = 0; i < 50; i++) {
		after = world_drops(w, reason);
		if (after.one > before.one)
			break;
		usleep(2000);
	}
	if (after.one - before.one != 1)
		fail_msg("%s: not counted", reason);
	sock_expect_nothing(pod_a);
}

static void test_tunnel_to_pod(void **state)
{
	(void)state;
	vxlan_send(member, BLUE, &DGRAM("10.1.1.10", 4000, "10.1.0.10", 7000));
	sock_expect(pod_a, "", "10.1.1.10", 4000);
	/* A process of the other node itself. */
	vxlan_send(member, BLUE, &DGRAM("192.0.2.2", 4000, "10.1.0.10", 7000));
	sock_expect(pod_a, "", "192.0.2.2", 4000);
	vxlan_send(member, BLUE,
		   &DGRAM("198.51.100.2", 4000, "10.1.0.10", 7000));
	sock_expect(pod_a, "", "198.51.100.2", 4000);
}

static void test_tunnel_to_host(void **state)
{
	(void)state;
	vxlan_send(member, BLUE, &DGRAM("10.1.1.10", 4000, "192.0.2.1", 7000));
	sock_expect(host, "", "10.1.1.10", 4000);
	sock_send(host, "10.1.1.10", 4000, "back");
	vxlan_expect(member, BLUE,
		     &DGRAM("192.0.2.1", 7000, "10.1.1.10", 4000));
}

static void test_tunnel_drops(void **state)
{
	static const struct {
		uint32_t vni;
		const char *src;
		const char *dst;
		const char *reason;
	} rows[] = {
		{ 999, "10.1.1.10", "10.1.0.10", "unknown_vni" },
		{ 0, "10.1.1.10", "10.1.0.10", "unknown_vni" },
		{ RED, "10.1.1.10", "10.1.0.10", "spoof_overlay" },
		{ RED, "10.2.5.5", "10.1.0.10", "no_route" },
		{ BLUE, "10.2.5.5", "10.1.0.10", "spoof_overlay" },
		{ BLUE, "192.0.2.1", "10.1.0.10", "spoof_overlay" },
		{ BLUE, "203.0.113.1", "10.1.0.10", "spoof_overlay" },
		{ BLUE, "10.80.0.5", "10.1.0.10", "spoof_overlay" },
		{ BLUE, "10.1.0.1", "10.1.0.10", "spoof_overlay" },
		{ BLUE, "10.1.1.10", "10.1.0.99", "no_route" },
		{ BLUE, "10.1.1.10", "198.51.100.2", "no_route" },
		{ BLUE, "10.1.1.10", "203.0.113.1", "no_route" },
		{ VNI_REQUEST, "203.0.113.50", "192.0.2.2", "no_frontend" },
		{ VNI_REPLY, "192.0.2.2", "10.1.0.10", "no_frontend" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		tunnel_drops(member, rows[i].vni,
			     &DGRAM(rows[i].src, 4000, rows[i].dst, 7000),
			     rows[i].reason);
	/* Published, but not for an address that is no node's. */
	tunnel_drops(member, VNI_REQUEST,
		     &DGRAM("203.0.113.50", 1, "203.0.113.1", 8003),
		     "no_frontend");
	tunnel_drops(member, VNI_REPLY,
		     &DGRAM("203.0.113.1", 8003, "10.1.0.10", 7000),
		     "no_frontend");
	tunnel_drops(member, VNI_REQUEST,
		     &(struct spec){ .smac = PEER_MAC,
				     .dmac = TUNNEL_MAC,
				     .proto = UDP,
				     .src = "203.0.113.50",
				     .dst = "192.0.2.2",
				     .dport = 8003,
				     .frag = 0x0002,
				     .payload = 16 },
		     "fragments");
	tunnel_drops(member, BLUE,
		     &(struct spec){ .smac = PEER_MAC,
				     .dmac = TUNNEL_MAC,
				     .proto = UDP,
				     .src = "fd00:1::10a",
				     .dst = "fd00:1::a",
				     .payload = 40 },
		     "ipv6");
	tunnel_drops(member, BLUE,
		     &(struct spec){ .smac = PEER_MAC,
				     .dmac = TUNNEL_MAC,
				     .arp = 1,
				     .src = "10.1.1.10",
				     .dst = "10.1.0.10" },
		     "ethertype");
	tunnel_drops(member, BLUE,
		     &(struct spec){ .smac = PEER_MAC,
				     .dmac = TUNNEL_MAC,
				     .proto = UDP,
				     .src = "10.1.1.10",
				     .dst = "10.1.0.10",
				     .version_ihl = 0x4f },
		     "runt");
}

static void test_stranger(void **state)
{
	(void)state;
	/* By the tunnel's own program, then by the uplink's before it. */
	tunnel_drops(stranger, BLUE,
		     &DGRAM("10.1.1.10", 4000, "10.1.0.10", 7000),
		     "not_member");
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	tunnel_drops(stranger, BLUE,
		     &DGRAM("10.1.1.10", 4000, "10.1.0.10", 7000),
		     "not_member");
	test_tunnel_to_pod(state);
}

static void test_pods(void **state)
{
	(void)state;
	sock_send(pod_a, "10.1.0.11", 7000, "here");
	sock_expect(pod_b, "here", "10.1.0.10", 7000);
	sock_send(pod_a, "10.1.1.10", 4000, "there");
	vxlan_expect(member, BLUE,
		     &DGRAM("10.1.0.10", 7000, "10.1.1.10", 4000));
	sock_send(pod_a, "10.2.0.10", 5353, "isolated");
	sock_expect_nothing(pod_c);
}

static void test_host(void **state)
{
	(void)state;
	sock_send(pod_a, "10.1.0.1", 53, "gateway?");
	sock_expect(gateway, "gateway?", "10.1.0.10", 7000);
	sock_send(gateway, "10.1.0.10", 7000, "yes");
	sock_expect(pod_a, "yes", "10.1.0.1", 53);

	sock_send(host, "10.1.0.10", 7000, "pod?");
	sock_expect(pod_a, "pod?", "192.0.2.1", 7000);
	sock_send(pod_a, "192.0.2.1", 7000, "yes");
	sock_expect(host, "yes", "10.1.0.10", 7000);
}

static void test_host_to_internal(void **state)
{
	(void)state;
	sock_send(pod_d, "192.0.2.1", 7000, "unasked");
	sock_expect_nothing(host);
	sock_send(host, "10.3.0.10", 7000, "pod?");
	sock_expect(pod_d, "pod?", "192.0.2.1", 7000);
	sock_send(pod_d, "192.0.2.1", 7000, "yes");
	sock_expect(host, "yes", "10.3.0.10", 7000);
}

static void test_vip(void **state)
{
	(void)state;
	world_frontend(w, BLUE, "10.80.0.5", 54, UDP,
		       backend(BLUE, "10.1.0.11", 7000, NULL));
	world_frontend(w, BLUE, "10.80.0.8", 53, UDP,
		       backend(BLUE, "10.1.1.10", 5353, "192.0.2.2"));
	world_frontend(w, BLUE, "10.80.0.6", 53, UDP,
		       backend(BLUE, "10.1.0.10", 7000, NULL));

	sock_send(pod_a, "10.80.0.5", 54, "vip?");
	sock_expect(pod_b, "vip?", "10.1.0.10", 7000);
	sock_send(pod_b, "10.1.0.10", 7000, "yes");
	sock_expect(pod_a, "yes", "10.80.0.5", 54);

	sock_send(pod_a, "10.80.0.8", 53, "there?");
	vxlan_expect(member, BLUE,
		     &DGRAM("10.1.0.10", 7000, "10.1.1.10", 5353));
	vxlan_send(member, BLUE, &DGRAM("10.1.1.10", 5353, "10.1.0.10", 7000));
	sock_expect(pod_a, "", "10.80.0.8", 53);

	/* A pod that reaches itself. */
	sock_send(pod_a, "10.80.0.6", 53, "me?");
	sock_expect(pod_a, "me?", "10.80.0.6", 7000);
	sock_send(pod_a, "10.80.0.6", 7000, "me");
	sock_expect(pod_a, "me", "10.80.0.6", 53);
}

static void test_host_to_vip(void **state)
{
	(void)state;
	sock_send(host, "10.80.0.5", 54, "vip?");
	sock_expect(pod_b, "vip?", "192.0.2.1", 7000);
	sock_send(pod_b, "192.0.2.1", 7000, "yes");
	sock_expect(host, "yes", "10.80.0.5", 54);

	sock_send(host, "10.80.0.8", 53, "there?");
	vxlan_expect(member, BLUE,
		     &DGRAM("192.0.2.1", 7000, "10.1.1.10", 5353));
	vxlan_send(member, BLUE, &DGRAM("10.1.1.10", 5353, "192.0.2.1", 7000));
	sock_expect(host, "", "10.80.0.8", 53);
}

static void test_published(void **state)
{
	(void)state;
	sock_send(client, "192.0.2.1", 8003, "published?");
	sock_expect(pod_c, "published?", "192.0.2.50", 6000);
	sock_send(pod_c, "192.0.2.50", 6000, "yes");
	sock_expect(client, "yes", "192.0.2.1", 8003);

	/* A pod of another network. */
	sock_send(pod_a, "192.0.2.1", 8003, "published?");
	sock_expect(pod_c, "published?", "10.1.0.10", 7000);
	sock_send(pod_c, "10.1.0.10", 7000, "yes");
	sock_expect(pod_a, "yes", "192.0.2.1", 8003);
}

/* This node is where the client came in. */
static void test_mesh_entry(void **state)
{
	(void)state;
	world_frontend(w, BLUE, NULL, 8004, UDP,
		       backend(BLUE, "10.1.1.10", 5353, "192.0.2.2"));
	sock_send(client, "192.0.2.1", 8004, "mesh?");
	vxlan_expect(member, VNI_REQUEST,
		     &DGRAM("192.0.2.50", 6000, "192.0.2.1", 8004));
	vxlan_send(member, VNI_REPLY,
		   &DGRAM("192.0.2.1", 8004, "192.0.2.50", 6000));
	sock_expect(client, "", "192.0.2.1", 8004);

	sock_send(pod_a, "192.0.2.1", 8004, "mesh?");
	vxlan_expect(member, VNI_REQUEST,
		     &DGRAM("10.1.0.10", 7000, "192.0.2.1", 8004));
	vxlan_send(member, VNI_REPLY,
		   &DGRAM("192.0.2.1", 8004, "10.1.0.10", 7000));
	sock_expect(pod_a, "", "192.0.2.1", 8004);
}

/* This node is where the backend is. */
static void test_mesh_backend(void **state)
{
	(void)state;
	vxlan_send(member, VNI_REQUEST,
		   &DGRAM("203.0.113.50", 5000, "192.0.2.2", 8003));
	sock_expect(pod_c, "", "203.0.113.50", 5000);
	sock_send(pod_c, "203.0.113.50", 5000, "yes");
	vxlan_expect(member, VNI_REPLY,
		     &DGRAM("192.0.2.2", 8003, "203.0.113.50", 5000));
	/* The same client by this node: the answer leaves here. */
	sock_send(client, "192.0.2.1", 8003, "again?");
	sock_expect(pod_c, "again?", "192.0.2.50", 6000);
	sock_send(pod_c, "192.0.2.50", 6000, "yes");
	sock_expect(client, "yes", "192.0.2.1", 8003);
}

/* The node of entry chose a backend that this node thinks is elsewhere. */
static void test_mesh_disagree(void **state)
{
	const struct want_frontend fe = { .vni = RED,
					  .port = 8005,
					  .proto = UDP };
	struct want_backend set[9];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		set[i] = backend(RED, "10.2.7.1", (uint16_t)(100 + i),
				 "192.0.2.2");
	set[8] = backend(RED, "10.2.0.10", 5353, NULL);
	OK(ebpf_frontend_put(w->bpf, &fe, set, 8));
	tunnel_drops(member, VNI_REQUEST,
		     &DGRAM("203.0.113.50", 5000, "192.0.2.2", 8005),
		     "no_backend");
	OK(ebpf_frontend_put(w->bpf, &fe, set, 9));
	for (uint16_t port = 5001; port < 5021; port++) {
		vxlan_send(member, VNI_REQUEST,
			   &DGRAM("203.0.113.50", port, "192.0.2.2", 8005));
		sock_expect(pod_c, "", "203.0.113.50", port);
	}
}

static void test_refused(void **state)
{
	struct sockaddr_in vip = inet4("10.80.0.7", 80);
	int tcp = sock("a", SOCK_STREAM, "10.1.0.10", 0);
	int udp = sock("a", SOCK_DGRAM, "10.1.0.10", 0);
	char c;

	(void)state;
	assert_int_equal(connect(tcp, (struct sockaddr *)&vip, sizeof(vip)),
			 -1);
	assert_int_equal(errno, ECONNREFUSED);
	vip = inet4("10.80.0.7", 53);
	assert_int_equal(connect(udp, (struct sockaddr *)&vip, sizeof(vip)), 0);
	assert_int_equal(send(udp, "x", 1, 0), 1);
	assert_true(sock_ready(udp, WAIT_MS));
	assert_int_equal(recv(udp, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(tcp);
	close(udp);

	vip = inet4("10.80.0.7", 80);
	tcp = sock(NULL, SOCK_STREAM, "192.0.2.1", 0);
	assert_int_equal(connect(tcp, (struct sockaddr *)&vip, sizeof(vip)),
			 -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(tcp);

	vip = inet4("192.0.2.1", 8002);
	tcp = sock("wire", SOCK_STREAM, "192.0.2.50", 0);
	assert_int_equal(connect(tcp, (struct sockaddr *)&vip, sizeof(vip)),
			 -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(tcp);
}

static void test_echo(void **state)
{
	(void)state;
	sh("ip netns exec a ping -q -c1 -W2 10.80.0.5 >/run/ping");
	sh("ping -q -c1 -W2 10.80.0.5 >/run/ping");
	sh("! ip netns exec a ping -q -c1 -W1 10.80.0.77 >/run/ping");
	sh("ip netns exec a ping -q -c1 -W2 10.1.0.11 >/run/ping");
	sh("ip netns exec a ping -q -c1 -W2 10.1.0.1 >/run/ping");
}

static void test_stream_vip(void **state)
{
	(void)state;
	stream(sock("a", SOCK_STREAM, "10.1.0.10", 0), "10.80.0.5", 80,
	       sock("b", SOCK_STREAM, "10.1.0.11", 8080), NULL, NULL);
}

static void test_stream_published(void **state)
{
	(void)state;
	stream(sock("wire", SOCK_STREAM, "192.0.2.50", 0), "192.0.2.1", 8000,
	       sock("b", SOCK_STREAM, "10.1.0.11", 8080), NULL, NULL);
}

static void test_stream_host(void **state)
{
	(void)state;
	stream(sock(NULL, SOCK_STREAM, "192.0.2.1", 0), "10.80.0.5", 80,
	       sock("b", SOCK_STREAM, "10.1.0.11", 8080), NULL, NULL);
}

static void make(void)
{
	live_make(w);
	member = sock("wire", SOCK_DGRAM, "192.0.2.2", 4789);
	stranger = sock("wire", SOCK_DGRAM, "192.0.2.77", 4789);
	pod_a = sock("a", SOCK_DGRAM, "10.1.0.10", 7000);
	pod_b = sock("b", SOCK_DGRAM, "10.1.0.11", 7000);
	pod_c = sock("c", SOCK_DGRAM, "10.2.0.10", 5353);
	pod_d = sock("d", SOCK_DGRAM, "10.3.0.10", 7000);
	host = sock(NULL, SOCK_DGRAM, "192.0.2.1", 7000);
	gateway = sock(NULL, SOCK_DGRAM, "10.1.0.1", 53);
	client = sock("wire", SOCK_DGRAM, "192.0.2.50", 6000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_to_pod),
		cmocka_unit_test(test_tunnel_to_host),
		cmocka_unit_test(test_tunnel_drops),
		cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_pods),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_host_to_internal),
		cmocka_unit_test(test_vip),
		cmocka_unit_test(test_host_to_vip),
		cmocka_unit_test(test_published),
		cmocka_unit_test(test_mesh_entry),
		cmocka_unit_test(test_mesh_backend),
		cmocka_unit_test(test_mesh_disagree),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_stream_vip),
		cmocka_unit_test(test_stream_published),
		cmocka_unit_test(test_stream_host),
	};

	make();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
