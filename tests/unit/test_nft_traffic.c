/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules with packets: a pod behind a link called netd0, this namespace as
 * the node, and a neighbour beyond it.
 *
 *   pod 10.64.0.9 -- netd0 10.64.0.1 | node | 192.0.2.10 up0 -- 192.0.2.1 out
 */
#include "cm.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "netd/util.h"
#include "netns.h"
#include "nft.h"
#include "nl.h"
#include "own_net.h"
#include "run.h"
#include "sysctl.h"

#define WAIT_MS 200

static struct nl *nl;
static int pod_ns, out_ns;
static char text[16 * 1024];

static void must(const char *command)
{
	const char *const argv[] = { "sh", "-c", command, NULL };

	if (run_program(argv, NULL, text, sizeof(text)))
		fail_msg("%s: %s", command, text);
}

static int must_run(void *command)
{
	must(command);
	return 0;
}

static void wire(const char *name, const char *peer, int netns)
{
	struct nl_veth veth = { .netns = netns };
	uint32_t ifindex;

	str_copy(veth.name, sizeof(veth.name), name);
	str_copy(veth.peer, sizeof(veth.peer), peer);
	veth.peer_mac.b[0] = 2;
	veth.peer_mac.b[5] = (uint8_t)name[0];
	assert_int_equal(nl_veth_add(nl, &veth, &ifindex), 0);
}

static void put_table(void)
{
	struct ip_prefix pool;
	struct nft_config config = {
		.tunnel = "netd0",
		.port = 4789,
		/* 192.0.2.10 */
		.vtep = ip_from_v4(0xc000020a),
		.pools = &pool,
		.pools_len = 1,
	};
	char error[512];

	assert_int_equal(prefix_parse("10.64.0.0/16", &pool), 0);
	assert_int_equal(nft_put(&config, error, sizeof(error)), 0);
}

static int setup(void **state)
{
	static char in_pod[] = "ip link set lo up; ip addr add 10.64.0.9/24 "
			       "dev eth0; ip link set eth0 up; "
			       "ip route add default via 10.64.0.1";
	static char in_out[] = "ip link set lo up; ip addr add 192.0.2.1/24 "
			       "dev far0; ip link set far0 up; "
			       "ip route add 10.64.0.0/16 via 192.0.2.10";

	(void)state;
	assert_int_equal(nl_open(&nl), 0);
	pod_ns = own_net_other();
	out_ns = own_net_other();
	wire("netd0", "eth0", pod_ns);
	wire("up0", "far0", out_ns);
	must("ip link set lo up; ip addr add 10.64.0.1/24 dev netd0; "
	     "ip link set netd0 up; ip addr add 192.0.2.10/24 dev up0; "
	     "ip link set up0 up");
	assert_int_equal(sysctl_put("ipv4", NULL, "ip_forward", "1"), 0);
	assert_int_equal(netns_run(pod_ns, must_run, in_pod), 0);
	assert_int_equal(netns_run(out_ns, must_run, in_out), 0);
	put_table();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	must("ip link del netd0; ip link del up0; "
	     "iptables -w -P FORWARD ACCEPT; nft flush ruleset");
	nl_free(nl);
	close(pod_ns);
	close(out_ns);
	return 0;
}

static int udp_open(void *arg)
{
	struct timeval wait = { .tv_usec = WAIT_MS * 1000 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
	    bind(fd, arg, sizeof(struct sockaddr_in)))
		return -errno;
	return fd;
}

static struct sockaddr_in at(const char *ip, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, ip, &a.sin_addr), 1);
	return a;
}

static int udp(int netns, const char *ip, uint16_t port)
{
	struct sockaddr_in a = at(ip, port);
	int fd = netns < 0 ? udp_open(&a) : netns_run(netns, udp_open, &a);

	assert_true(fd >= 0);
	return fd;
}

/* Sends one datagram; where did it come from at the other end? "": lost. */
static const char *sent(int from, const char *ip, uint16_t port, int to)
{
	static char seen[INET_ADDRSTRLEN];
	struct sockaddr_in a = at(ip, port);
	socklen_t len = sizeof(a);
	char byte = 'x';

	assert_int_equal(sendto(from, &byte, 1, 0, (struct sockaddr *)&a, len),
			 1);
	if (recvfrom(to, &byte, 1, 0, (struct sockaddr *)&a, &len) != 1)
		return "";
	return inet_ntop(AF_INET, &a.sin_addr, seen, sizeof(seen));
}

static int tracked(void)
{
	char value[32];

	assert_int_equal(sysctl_get("netfilter", NULL, "nf_conntrack_count",
				    value, sizeof(value)),
			 0);
	return atoi(value);
}

static void test_egress_is_masqueraded(void **state)
{
	AUTO(fd_closep) int pod = udp(pod_ns, "10.64.0.9", 7000);
	AUTO(fd_closep) int out = udp(out_ns, "192.0.2.1", 7000);

	(void)state;
	assert_string_equal(sent(pod, "192.0.2.1", 7000, out), "192.0.2.10");
	/* And the answer finds back. */
	assert_string_equal(sent(out, "192.0.2.10", 7000, pod), "192.0.2.1");
}

static void test_routed_into_overlay_is_dropped(void **state)
{
	AUTO(fd_closep) int pod = udp(pod_ns, "10.64.0.9", 7001);
	AUTO(fd_closep) int out = udp(out_ns, "192.0.2.1", 7001);
	AUTO(fd_closep) int node = udp(-1, "0.0.0.0", 7001);

	(void)state;
	assert_string_equal(sent(out, "10.64.0.9", 7001, pod), "");
	must("nft list counter inet netd from_outside");
	assert_non_null(strstr(text, "packets 1"));
	/* The node itself may. */
	assert_string_equal(sent(node, "10.64.0.9", 7001, pod), "10.64.0.1");
	must("nft delete table inet netd");
	assert_string_equal(sent(out, "10.64.0.9", 7001, pod), "192.0.2.1");
}

static void test_tunnel_is_not_tracked(void **state)
{
	AUTO(fd_closep) int out = udp(out_ns, "192.0.2.1", 7002);
	AUTO(fd_closep) int vtep = udp(-1, "192.0.2.10", 4789);
	AUTO(fd_closep) int far = udp(out_ns, "192.0.2.1", 4789);
	AUTO(fd_closep) int other = udp(-1, "192.0.2.10", 7002);
	int before = tracked();

	(void)state;
	assert_string_equal(sent(out, "192.0.2.10", 4789, vtep), "192.0.2.1");
	assert_string_equal(sent(other, "192.0.2.1", 4789, far), "192.0.2.10");
	assert_int_equal(tracked(), before);
	assert_string_equal(sent(out, "192.0.2.10", 7002, other), "192.0.2.1");
	assert_int_equal(tracked(), before + 1);
}

static void test_dns_of_node_is_not_tracked(void **state)
{
	AUTO(fd_closep) int pod = udp(pod_ns, "10.64.0.9", 7003);
	AUTO(fd_closep) int dns = udp(-1, "10.64.0.1", 53);
	AUTO(fd_closep) int out = udp(out_ns, "192.0.2.1", 53);
	int before = tracked();

	(void)state;
	assert_string_equal(sent(pod, "10.64.0.1", 53, dns), "10.64.0.9");
	assert_string_equal(sent(dns, "10.64.0.9", 7003, pod), "10.64.0.1");
	assert_int_equal(tracked(), before);
	/* A server outside is asked with the node's address. */
	assert_string_equal(sent(pod, "192.0.2.1", 53, out), "192.0.2.10");
	assert_string_equal(sent(out, "192.0.2.10", 7003, pod), "192.0.2.1");
}

static void test_forward_drop_is_opened(void **state)
{
	AUTO(fd_closep) int pod = udp(pod_ns, "10.64.0.9", 7004);
	AUTO(fd_closep) int out = udp(out_ns, "192.0.2.1", 7004);
	char error[512];

	(void)state;
	must("iptables -w -P FORWARD DROP");
	assert_string_equal(sent(pod, "192.0.2.1", 7004, out), "");
	assert_int_equal(nft_forward_put("netd0", error, sizeof(error)), 0);
	assert_string_equal(sent(pod, "192.0.2.1", 7004, out), "192.0.2.10");
	assert_string_equal(sent(out, "192.0.2.10", 7004, pod), "192.0.2.1");
	assert_string_equal(sent(out, "10.64.0.9", 7004, pod), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_egress_is_masqueraded),
		T(test_routed_into_overlay_is_dropped),
		T(test_tunnel_is_not_tracked),
		T(test_dns_of_node_is_not_tracked),
		T(test_forward_drop_is_opened),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
