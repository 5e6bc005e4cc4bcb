/* SPDX-License-Identifier: Apache-2.0 */
/* The tunnel, networks, uplinks, repair and audit; leaving without a trace. */
#include <arpa/inet.h>
#include <ev.h>

#include "overlay_host.h"
#include "sysctl.h"

static void test_open_makes_tunnel(void **state)
{
	struct overlay_tunnel t = overlay_tunnel(ov);
	struct nl_link l;
	char value[16];

	(void)state;
	assert_int_equal(nl_link_get(nl, "netd0", &l), 0);
	assert_int_equal(l.ifindex, t.ifindex);
	assert_int_equal(t.mtu, 1450);
	assert_int_equal(l.mtu, 1450);
	assert_true(l.is_up && l.is_external);
	assert_string_equal(l.alias, "netd:tunnel");
	assert_int_equal(t.mac.b[0] & 3, 2);
	assert_true(shows("ip link show netd0", "NOARP"));
	assert_int_equal(sysctl_get("ipv4/conf", "netd0", "forwarding", value,
				    sizeof(value)),
			 0);
	assert_string_equal(value, "1");
	assert_true(nft_is_put());
}

static void test_open_adopts(void **state)
{
	struct overlay_tunnel was = overlay_tunnel(ov), is;

	(void)state;
	must("ip link set netd0 mtu 1200 down; ip link set netd0 alias ''");
	reopen();
	is = overlay_tunnel(ov);
	assert_int_equal(is.ifindex, was.ifindex);
	assert_memory_equal(&is.mac, &was.mac, sizeof(is.mac));
	assert_int_equal(is.mtu, 1450);
	assert_true(shows("ip link show netd0", "mtu 1450"));
	assert_true(shows("ip link show netd0", ",UP"));
	assert_true(shows("ip link show netd0", "alias netd:tunnel"));
}

static void test_open_other_port_is_made_again(void **state)
{
	uint32_t was = overlay_tunnel(ov).ifindex;

	(void)state;
	config.port = 4800;
	reopen();
	assert_true(overlay_tunnel(ov).ifindex != was);
	assert_true(shows("ip -d link show netd0", "dstport 4800"));
}

static void expect_refused(int want, const char *word)
{
	struct overlay *none = NULL;
	struct nl_link l;

	assert_int_equal(overlay_open(nl, &config, &none), want);
	assert_null(none);
	if (!strstr(overlay_error(NULL), word))
		fail_msg("\"%s\" lacks \"%s\"", overlay_error(NULL), word);
	if (want != -EEXIST)
		assert_int_equal(nl_link_get(nl, "netd0", &l), -ENODEV);
}

static void test_open_foreign_link(void **state)
{
	(void)state;
	close_and_clear();
	must("ip link add netd0 type bridge");
	expect_refused(-EEXIST, "bridge");
	must("ip link set netd0 alias somebody");
	assert_true(shows("ip link show netd0", "somebody"));
}

static void test_open_port_of_device(void **state)
{
	(void)state;
	close_and_clear();
	must("ip link add flannel.1 type vxlan id 1 dstport 4789 dev up0; "
	     "ip link set flannel.1 up");
	expect_refused(-EADDRINUSE, "flannel.1");
	/* A collect-metadata one is refused already when it is made. */
	must("ip link del flannel.1; "
	     "ip link add other type vxlan external dstport 4789");
	expect_refused(-EADDRINUSE, "other");
}

static void test_open_port_of_process(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(4789) };
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	close_and_clear();
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	snprintf(text, sizeof(text), "(pid %d)", getpid());
	expect_refused(-EADDRINUSE, text);
}

static void test_open_no_vtep(void **state)
{
	(void)state;
	close_and_clear();
	config.vtep = addr("192.0.2.99");
	expect_refused(-EADDRNOTAVAIL, "192.0.2.99");
}

static void test_mtu_follows(void **state)
{
	(void)state;
	must("ip link set up0 mtu 1400");
	assert_int_equal(overlay_refresh(ov), 0);
	assert_int_equal(overlay_tunnel(ov).mtu, 1350);
	assert_true(shows("ip link show netd0", "mtu 1350"));
	config.mtu = 1111;
	reopen();
	assert_int_equal(overlay_tunnel(ov).mtu, 1111);
}

static void test_mtu_of_loopback_vtep(void **state)
{
	(void)state;
	must("ip addr add 198.51.100.1/32 dev lo; ip link set up0 mtu 1390");
	config.vtep = addr("198.51.100.1");
	reopen();
	assert_int_equal(overlay_tunnel(ov).mtu, 1340);
}

static void test_net_put_del(void **state)
{
	struct want_net net = net_want();

	(void)state;
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_true(
		shows("ip route get 10.64.5.5", "dev netd0 src 192.0.2.10"));
	assert_true(
		shows("ip route get 10.80.5.5", "dev netd0 src 192.0.2.10"));
	assert_true(shows("ip addr show netd0", "10.64.4.1/32"));
	assert_true(shows("ip -N route show dev netd0", "proto 78"));

	/* Another range, no longer a member: only that changes. */
	net.ranges[0].vips[0] = prefix("10.80.8.0/22");
	net.joined = false;
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_false(shows("ip route show dev netd0", "10.80.4.0/22"));
	assert_true(shows("ip route show dev netd0", "10.80.8.0/22"));
	assert_true(shows("ip route show dev netd0", "10.64.4.0/22"));
	assert_false(shows("ip addr show netd0", "10.64.4.1"));

	assert_int_equal(overlay_net_del(ov, 42), 0);
	assert_int_equal(overlay_net_del(ov, 42), 0);
	must("ip route show dev netd0");
	assert_string_equal(text, "");
}

/* Each attribute changed behind our back is put back. */
static void test_refresh_repairs(void **state)
{
	static const char *const harm[] = {
		"ip route flush dev netd0",
		"ip route replace 10.64.4.0/22 dev netd0 proto 78",
		"ip route replace 10.80.4.0/22 dev netd0 proto 78 "
		"src 10.64.4.1",
		"ip route replace 10.64.4.0/22 dev netd0 proto static "
		"src 192.0.2.10",
		"ip addr flush dev netd0",
		"ip link set netd0 down",
		"ip link set netd0 mtu 900",
		"nft flush ruleset",
		"sysctl -q -w net.ipv4.conf.netd0.forwarding=0",
		"sysctl -q -w net.ipv4.ip_forward=0",
		"ip link del netd0",
	};
	static const char *const routes[] = {
		"10.64.4.0/22 proto 78 scope 253 src 192.0.2.10",
		"10.80.4.0/22 proto 78 scope 253 src 192.0.2.10",
	};
	struct want_net net = net_want();
	char value[16];

	(void)state;
	assert_int_equal(overlay_net_put(ov, &net), 0);
	for (size_t i = 0; i < ARRAY_LEN(harm); i++) {
		must(harm[i]);
		if (overlay_refresh(ov))
			fail_msg("%s: %s", harm[i], overlay_error(ov));
		assert_string_equal(overlay_error(ov), "");
		must("ip -N route show dev netd0");
		for (size_t r = 0; r < ARRAY_LEN(routes); r++) {
			if (!strstr(text, routes[r]))
				fail_msg("%s: %s", harm[i], text);
		}
		assert_true(shows("ip addr show netd0", "10.64.4.1/32"));
		assert_true(shows("ip link show netd0", "mtu 1450"));
		assert_true(nft_is_put());
		sysctl_get("ipv4/conf", "netd0", "forwarding", value,
			   sizeof(value));
		assert_string_equal(value, "1");
		sysctl_get("ipv4", NULL, "ip_forward", value, sizeof(value));
		assert_string_equal(value, "1");
	}
}

static void test_net_outside_pools(void **state)
{
	struct want_net net = net_want();

	(void)state;
	net.ranges[0].subnet = prefix("172.31.0.0/24");
	net.ranges[0].gateway = addr("172.31.0.1");
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_true(shows("nft list set inet netd pools4", "172.31.0.0/24"));
	net.internal = true;
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_false(shows("nft list set inet netd pools4", "172.31.0.0/24"));
	net.internal = false;
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_true(shows("nft list set inet netd pools4", "172.31.0.0/24"));
	assert_int_equal(overlay_net_del(ov, 42), 0);
	assert_false(shows("nft list set inet netd pools4", "172.31.0.0/24"));
}

static void test_uplinks(void **state)
{
	struct ip_addr addrs[NODE_ADDRS_MAX];
	struct want_net net = net_want();

	(void)state;
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_int_equal(overlay_refresh(ov), 0);
	assert_string_equal(bpf.uplinks, "up0 ");
	assert_int_equal(overlay_addrs(ov, addrs, NODE_ADDRS_MAX), 1);
	assert_true(ip_eq(&addrs[0], &config.vtep));

	must("ip link add br9 type bridge; ip addr add 172.30.0.1/24 dev br9; "
	     "ip link set br9 up; ip addr add 192.0.2.11/24 dev up0; "
	     "ip link add br8 type bridge; ip link set br8 up");
	assert_int_equal(overlay_refresh(ov), 0);
	assert_string_equal(bpf.uplinks, "up0 br9 ");
	assert_int_equal(overlay_addrs(ov, addrs, NODE_ADDRS_MAX), 3);
	assert_int_equal(overlay_addrs(ov, addrs, 2), 2);

	must("ip link set br9 down; ip addr del 192.0.2.11/24 dev up0");
	assert_int_equal(overlay_refresh(ov), 0);
	assert_string_equal(bpf.uplinks, "up0 ");
	assert_int_equal(overlay_addrs(ov, addrs, NODE_ADDRS_MAX), 1);
}

static void test_uplinks_configured(void **state)
{
	static const char *const only[] = { "br9" };

	(void)state;
	must("ip link add br9 type bridge; ip addr add 172.30.0.1/24 dev br9; "
	     "ip link set br9 up");
	config.uplinks = only;
	config.uplinks_len = 1;
	reopen();
	assert_int_equal(overlay_refresh(ov), 0);
	assert_string_equal(bpf.uplinks, "br9 ");
}

static void test_routes_are_others(void **state)
{
	struct want_net net = net_want();
	struct ip_prefix *list, want = prefix("10.99.0.0/16");
	size_t n, hits = 0;

	(void)state;
	assert_int_equal(overlay_net_put(ov, &net), 0);
	must("ip route add 10.99.0.0/16 via 192.0.2.1; "
	     "ip route add default via 192.0.2.1");
	n = overlay_routes(ov, &list);
	for (size_t i = 0; i < n; i++) {
		assert_false(prefix_eq(&list[i], &net.ranges[0].subnet));
		assert_true(prefix_shown_len(&list[i]) > 0);
		hits += prefix_eq(&list[i], &want);
	}
	free(list);
	assert_int_equal(hits, 1);
}

static void test_audit_sweeps(void **state)
{
	struct want_net net = net_want(), other = net_want();
	struct want_pod want = pod_want(), gone = pod_want();
	struct overlay_link link, gone_link;

	(void)state;
	other.vni = 43;
	other.ranges[0].subnet = prefix("10.66.0.0/22");
	other.ranges[0].gateway = addr("10.66.0.1");
	other.ranges[0].vips_len = 0;
	str_copy(gone.id, sizeof(gone.id), "dddddddddddd");
	gone.addrs[0].addr = addr("10.64.4.10");
	gone.default_route = false;
	gone.vips_len = 0;
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_int_equal(overlay_net_put(ov, &other), 0);
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
	assert_int_equal(overlay_pod_attach(ov, &gone, pod_ns, &gone_link), 0);
	must("ip route add 10.77.0.0/16 via 192.0.2.1");

	/* A new process hears of one network and one pod. */
	reopen();
	assert_int_equal(overlay_audit_begin(ov), 0);
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_int_equal(overlay_pod_adopt(ov, &want, &link), 0);
	assert_true(shows("ip link", "nddddddddddddd"));
	assert_true(shows("ip route show dev netd0", "10.66.0.0/22"));
	assert_int_equal(overlay_audit_end(ov), 0);
	assert_false(shows("ip link", "nddddddddddddd"));
	assert_true(shows("ip link", "nd0123456789ab"));
	assert_false(shows("ip route", "10.66.0.0/22"));
	assert_true(shows("ip route", "10.77.0.0/16"));
	assert_false(shows("ip addr show netd0", "10.66.0.1"));
	assert_true(shows("ip addr show netd0", "10.64.4.1"));

	/* The same process: what is not said again goes. */
	assert_int_equal(overlay_audit_begin(ov), 0);
	assert_int_equal(overlay_audit_end(ov), 0);
	assert_false(shows("ip link", "nd0123456789ab"));
	assert_false(shows("ip addr show netd0", "10.64.4.1"));
	must("ip route show dev netd0");
	assert_string_equal(text, "");
	assert_false(overlay_pod_is_up(ov, want.id));
}

static void test_remove_leaves_nothing(void **state)
{
	struct want_net net = net_want();
	struct want_pod want = pod_want();
	struct overlay_link link;
	char before[4096];

	(void)state;
	close_and_clear();
	must("iptables -w -P FORWARD DROP; ip route add 10.77.0.0/16 "
	     "via 192.0.2.1");
	must("ip -o link; ip -o addr; ip route; nft list ruleset");
	assert_true(str_copy(before, sizeof(before), text));

	open_overlay();
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
	assert_int_equal(overlay_refresh(ov), 0);
	assert_true(shows("iptables -w -S FORWARD", "netd0"));
	overlay_close(ov);
	ov = NULL;
	assert_true(shows("ip route", "10.64.4.0/22"));

	assert_int_equal(overlay_remove(nl), 0);
	must("ip -o link; ip -o addr; ip route; nft list ruleset");
	assert_string_equal(text, before);
	assert_int_equal(overlay_remove(nl), 0);
}

static int events;

static void count_event(void *arg)
{
	(void)arg;
	events++;
}

static void stop_loop(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static int events_in(struct ev_loop *loop, double seconds)
{
	ev_timer timer;

	events = 0;
	ev_timer_init(&timer, stop_loop, seconds, 0.);
	ev_now_update(loop);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	return events;
}

/* A repair that causes the event that causes a repair would never end. */
static void test_refresh_is_quiet(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct want_net net = net_want();
	struct want_pod want = pod_want();
	struct overlay_link link;
	int tries = 20;
	struct nl *other;

	(void)state;
	must("iptables -w -P FORWARD DROP");
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
	assert_int_equal(overlay_refresh(ov), 0);
	assert_int_equal(nl_open(&other), 0);
	assert_int_equal(
		nl_watch(other, loop,
			 &(struct nl_watch_calls){ .soon = count_event }),
		0);
	/* The kernel has more to tell of what was just made. */
	while (events_in(loop, 0.2))
		assert_true(tries-- > 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(overlay_refresh(ov), 0);
	assert_int_equal(overlay_audit_begin(ov), 0);
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_int_equal(overlay_pod_adopt(ov, &want, &link), 0);
	assert_int_equal(overlay_audit_end(ov), 0);
	assert_int_equal(events_in(loop, 0.2), 0);
	nl_free(other);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_open_makes_tunnel),
		T(test_open_adopts),
		T(test_open_other_port_is_made_again),
		T(test_open_foreign_link),
		T(test_open_port_of_device),
		T(test_open_port_of_process),
		T(test_open_no_vtep),
		T(test_mtu_follows),
		T(test_mtu_of_loopback_vtep),
		T(test_net_put_del),
		T(test_refresh_repairs),
		T(test_net_outside_pools),
		T(test_uplinks),
		T(test_uplinks_configured),
		T(test_routes_are_others),
		T(test_audit_sweeps),
		T(test_remove_leaves_nothing),
		T(test_refresh_is_quiet),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
