/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "netd/util.h"
#include "netns.h"
#include "nl.h"
#include "own_net.h"
#include "sysctl.h"

static struct nl *nl;
static int other;

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	assert_int_equal(prefix_parse(text, &p), 0);
	return p;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static uint32_t add_veth(const char *name, const char *peer)
{
	struct nl_veth veth = { .mtu = 1400, .netns = other };
	uint32_t ifindex = 0;

	str_copy(veth.name, sizeof(veth.name), name);
	str_copy(veth.peer, sizeof(veth.peer), peer);
	str_copy(veth.alias, sizeof(veth.alias), "netd:test");
	assert_int_equal(mac_parse("02:00:00:00:00:07", &veth.peer_mac), 0);
	assert_int_equal(nl_veth_add(nl, &veth, &ifindex), 0);
	return ifindex;
}

static int setup(void **state)
{
	(void)state;
	other = own_net_other();
	return nl_open(&nl);
}

static bool del_link(void *arg, const struct nl_link *l)
{
	(void)arg;
	if (!l->is_loopback)
		nl_link_del(nl, l->ifindex);
	return true;
}

static int teardown(void **state)
{
	(void)state;
	nl_link_each(nl, del_link, NULL);
	nl_free(nl);
	close(other);
	return 0;
}

static void test_veth_add_is_inside(void **state)
{
	struct nl *in;
	struct nl_link host, pod;
	char text[MAC_STRLEN];
	uint32_t ifindex;

	(void)state;
	ifindex = add_veth("ndtest", "eth0");
	assert_int_equal(nl_link_get(nl, "ndtest", &host), 0);
	assert_int_equal(host.ifindex, ifindex);
	assert_string_equal(host.kind, "veth");
	assert_string_equal(host.alias, "netd:test");
	assert_int_equal(host.mtu, 1400);
	assert_false(host.is_up);
	assert_int_equal(nl_link_get(nl, "eth0", &pod), -ENODEV);

	assert_int_equal(nl_open_netns(other, &in), 0);
	assert_int_equal(nl_link_get(in, "eth0", &pod), 0);
	assert_int_equal(pod.mtu, 1400);
	assert_string_equal(mac_str(&pod.mac, text), "02:00:00:00:00:07");
	nl_free(in);
}

static void test_veth_add_taken(void **state)
{
	struct nl_veth veth = { .name = "nda", .peer = "eth0" };
	struct nl_link link;
	uint32_t ifindex;

	(void)state;
	add_veth("ndtest", "eth0");
	veth.netns = other;
	veth.peer_mac.b[0] = 2;
	assert_int_equal(nl_veth_add(nl, &veth, &ifindex), -EEXIST);
	assert_int_equal(nl_link_get(nl, "nda", &link), -ENODEV);
}

static bool addrgen_off(const char *device)
{
	char value[32];

	assert_int_equal(sysctl_get("ipv6/conf", device, "addr_gen_mode", value,
				    sizeof(value)),
			 0);
	return str_eq(value, "1");
}

static void test_vxlan_add_external(void **state)
{
	struct mac_addr mac;
	struct nl_link l;
	char text[MAC_STRLEN];

	(void)state;
	assert_int_equal(mac_parse("02:11:22:33:44:55", &mac), 0);
	assert_int_equal(nl_vxlan_add(nl, "vx0", 4790, 1450, &mac), 0);
	assert_int_equal(nl_link_get(nl, "vx0", &l), 0);
	assert_string_equal(l.kind, "vxlan");
	assert_true(l.is_external);
	assert_int_equal(l.vxlan_port, 4790);
	assert_int_equal(l.mtu, 1450);
	assert_string_equal(mac_str(&l.mac, text), "02:11:22:33:44:55");
	assert_true(addrgen_off("vx0"));
	assert_int_equal(nl_link_up(nl, l.ifindex), 0);

	/* The same port once more: the kernel's own words come back. */
	assert_int_equal(nl_vxlan_add(nl, "vx1", 4790, 1450, &mac), -EEXIST);
	assert_non_null(strstr(nl_error(nl), "VXLAN"));
}

static void test_link_changes(void **state)
{
	struct nl_link l;
	uint32_t ifindex;

	(void)state;
	ifindex = add_veth("ndtest", "eth0");
	assert_true(addrgen_off("ndtest"));
	assert_int_equal(nl_link_up(nl, ifindex), 0);
	assert_int_equal(nl_link_set_mtu(nl, ifindex, 1300), 0);
	assert_int_equal(nl_link_set_alias(nl, ifindex, "other"), 0);
	assert_int_equal(nl_link_get(nl, "ndtest", &l), 0);
	assert_true(l.is_up);
	assert_int_equal(l.mtu, 1300);
	assert_string_equal(l.alias, "other");
	assert_int_equal(nl_link_del(nl, ifindex), 0);
	assert_int_equal(nl_link_del(nl, ifindex), 0);
	assert_int_equal(nl_link_get(nl, "ndtest", &l), -ENODEV);
	assert_int_equal(nl_link_up(nl, ifindex), -ENODEV);
	assert_string_not_equal(nl_error(nl), "");
}

static void test_link_del_many(void **state)
{
	uint32_t all[3];
	struct nl_link l;

	(void)state;
	all[0] = add_veth("one", "p1");
	all[1] = add_veth("two", "p2");
	all[2] = add_veth("three", "p3");
	assert_int_equal(nl_link_del_many(nl, all, 0), 0);
	assert_int_equal(nl_link_del_many(nl, all, 2), 0);
	assert_int_equal(nl_link_get(nl, "one", &l), -ENODEV);
	assert_int_equal(nl_link_get(nl, "two", &l), -ENODEV);
	assert_int_equal(nl_link_get(nl, "three", &l), 0);
	/* Two of them are gone already. */
	assert_int_equal(nl_link_del_many(nl, all, 3), 0);
	assert_int_equal(nl_link_del_many(nl, all, 3), 0);
	assert_int_equal(nl_link_get(nl, "three", &l), -ENODEV);
}

struct addr_count {
	struct ip_prefix want;
	int n;
	bool is_global;
};

static bool count_addr(void *arg, const struct nl_ifaddr *a)
{
	struct addr_count *c = arg;

	if (prefix_eq(&a->addr, &c->want)) {
		c->n++;
		c->is_global = a->is_global;
	}
	return true;
}

static void test_addr_idempotent(void **state)
{
	static const char *const texts[] = { "10.9.0.1/24", "fd00::1/64" };
	uint32_t ifindex;

	(void)state;
	ifindex = add_veth("ndtest", "eth0");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct addr_count c = { .want = prefix(texts[i]) };

		assert_int_equal(nl_addr_add(nl, ifindex, &c.want), 0);
		assert_int_equal(nl_addr_add(nl, ifindex, &c.want), 0);
		assert_int_equal(nl_addr_each(nl, count_addr, &c), 0);
		assert_int_equal(c.n, 1);
		assert_true(c.is_global);
		assert_int_equal(nl_addr_del(nl, ifindex, &c.want), 0);
		assert_int_equal(nl_addr_del(nl, ifindex, &c.want), 0);
		c.n = 0;
		assert_int_equal(nl_addr_each(nl, count_addr, &c), 0);
		assert_int_equal(c.n, 0);
	}
}

struct route_find {
	struct ip_prefix dst;
	struct nl_route found;
	int n;
};

static bool find_route(void *arg, const struct nl_route *r)
{
	struct route_find *f = arg;

	if (prefix_eq(&r->dst, &f->dst)) {
		f->found = *r;
		f->n++;
	}
	return true;
}

static uint32_t up_with_addr(void)
{
	struct ip_prefix p = prefix("10.9.0.1/24");
	uint32_t ifindex = add_veth("ndtest", "eth0");

	assert_int_equal(nl_addr_add(nl, ifindex, &p), 0);
	assert_int_equal(nl_link_up(nl, ifindex), 0);
	return ifindex;
}

static void test_route_put_del(void **state)
{
	struct route_find f = { .dst = prefix("10.64.0.0/16") };
	struct nl_route route = { .dst = f.dst, .protocol = 78 };

	(void)state;
	route.ifindex = up_with_addr();
	route.src = addr("10.9.0.1");
	assert_int_equal(nl_route_put(nl, &route), 0);
	assert_int_equal(nl_route_put(nl, &route), 0);
	assert_int_equal(nl_route_each(nl, route.ifindex, find_route, &f), 0);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.found.protocol, 78);
	assert_int_equal(f.found.ifindex, route.ifindex);
	assert_true(ip_eq(&f.found.src, &route.src));
	assert_true(ip_is_none(&f.found.via));

	f.n = 0;
	assert_int_equal(nl_route_each(nl, route.ifindex + 100, find_route, &f),
			 0);
	assert_int_equal(f.n, 0);
	assert_int_equal(nl_route_del(nl, &route), 0);
	assert_int_equal(nl_route_del(nl, &route), 0);
	assert_int_equal(nl_route_each(nl, 0, find_route, &f), 0);
	assert_int_equal(f.n, 0);
}

static void test_route_replace_default(void **state)
{
	struct route_find f = { .dst = prefix("0.0.0.0/0") };
	struct nl_route route = { .dst = f.dst, .protocol = 78 };

	(void)state;
	route.ifindex = up_with_addr();
	route.via = addr("10.9.0.2");
	assert_int_equal(nl_route_put(nl, &route), 0);
	route.via = addr("10.9.0.3");
	assert_int_equal(nl_route_put(nl, &route), 0);
	assert_int_equal(nl_route_each(nl, 0, find_route, &f), 0);
	assert_int_equal(f.n, 1);
	assert_true(ip_eq(&f.found.via, &route.via));

	/* A gateway nobody can reach is refused, in words. */
	route.via = addr("192.0.2.1");
	assert_int_equal(nl_route_put(nl, &route), -ENETUNREACH);
	assert_non_null(strstr(nl_error(nl), "gateway"));
	route.onlink = true;
	assert_int_equal(nl_route_put(nl, &route), 0);
	f.n = 0;
	assert_int_equal(nl_route_each(nl, 0, find_route, &f), 0);
	assert_true(f.found.onlink);
}

static bool stop_at_once(void *arg, const struct nl_link *l)
{
	(void)l;
	++*(int *)arg;
	return false;
}

static void test_each_stops_and_goes_on(void **state)
{
	struct nl_link l;
	int n = 0;

	(void)state;
	add_veth("ndtest", "eth0");
	assert_int_equal(nl_link_each(nl, stop_at_once, &n), 0);
	assert_int_equal(n, 1);
	/* The dump was read to its end: the next one is not refused. */
	assert_int_equal(nl_link_each(nl, stop_at_once, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(nl_link_get(nl, "lo", &l), 0);
	assert_true(l.is_loopback);
}

static bool count_links(void *arg, const struct nl_link *l)
{
	if (str_after(l->name, "many"))
		++*(int *)arg;
	return true;
}

static void test_each_many_links(void **state)
{
	char name[16], peer[16];
	int n = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		snprintf(peer, sizeof(peer), "p%d", i);
		add_veth(name, peer);
	}
	assert_int_equal(nl_link_each(nl, count_links, &n), 0);
	assert_int_equal(n, 200);
}

/* Changes addresses and links without a pause until it is ended. */
static pid_t start_churn(void)
{
	pid_t pid = fork();
	struct ip_prefix p;
	struct nl *mine;

	if (pid)
		return pid;
	if (nl_open(&mine) || prefix_parse("192.0.2.1/32", &p))
		_exit(1);
	for (;;) {
		struct nl_veth veth = { .name = "churn", .peer = "c0" };
		uint32_t ifindex = 0;

		veth.netns = other;
		veth.peer_mac.b[0] = 2;
		nl_veth_add(mine, &veth, &ifindex);
		nl_addr_add(mine, ifindex, &p);
		nl_addr_del(mine, ifindex, &p);
		nl_link_del(mine, ifindex);
	}
}

/* While others come and go, those that stay are always all there. */
static void test_each_under_change(void **state)
{
	char name[16], peer[16];
	int whole = 0, torn = 0;
	pid_t pid;

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		snprintf(peer, sizeof(peer), "p%d", i);
		add_veth(name, peer);
	}
	pid = start_churn();
	for (int i = 0; i < 300; i++) {
		int n = 0, err = nl_link_each(nl, count_links, &n);

		if (err) {
			assert_int_equal(err, -EAGAIN);
			torn++;
			continue;
		}
		assert_int_equal(n, 100);
		whole++;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	print_message("dumps: %d whole, %d given up\n", whole, torn);
	assert_true(whole > 270);
}

static int socket_cookie(void *arg)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(uint64_t);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, arg, &len);
}

static void test_cookie_is_the_namespace(void **state)
{
	uint64_t here, there, want;
	struct nl *in;

	(void)state;
	assert_int_equal(nl_open_netns(other, &in), 0);
	assert_int_equal(nl_cookie(nl, &here), 0);
	assert_int_equal(nl_cookie(in, &there), 0);
	assert_int_equal(netns_run(other, socket_cookie, &want), 0);
	assert_true(there == want);
	assert_true(here != there);
	nl_free(in);
}

/* This kernel has no IPsec, or its policies are counted. */
static void test_xfrm_policies(void **state)
{
	const char *add = "ip xfrm policy add src 192.0.2.1 dst 192.0.2.2 "
			  "dir out tmpl proto esp mode transport 2>/dev/null";
	uint32_t n = 1;

	(void)state;
	assert_int_equal(nl_xfrm_policies(nl, &n), 0);
	assert_int_equal(n, 0);
	if (system(add))
		return;
	assert_int_equal(nl_xfrm_policies(nl, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(system("ip xfrm policy flush"), 0);
	assert_int_equal(nl_xfrm_policies(nl, &n), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_veth_add_is_inside),	T(test_veth_add_taken),
		T(test_vxlan_add_external),	T(test_link_changes),
		T(test_link_del_many),		T(test_addr_idempotent),
		T(test_route_put_del),		T(test_route_replace_default),
		T(test_each_stops_and_goes_on), T(test_each_many_links),
		T(test_each_under_change),	T(test_cookie_is_the_namespace),
		T(test_xfrm_policies),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
