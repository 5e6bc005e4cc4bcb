/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay over the real kernel, in namespaces of the test's own, and over
 * an ebpf room of the test's own that keeps what it was told and can fail.
 */
#include "cm.h"

#include <arpa/inet.h>
#include <ev.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "netd/ebpf.h"
#include "netd/util.h"
#include "nft.h"
#include "nl.h"
#include "overlay.h"
#include "own_net.h"
#include "run.h"
#include "sysctl.h"

/* The fake ebpf room. */
struct ebpf {
	int fail_attach;
	int fail_put;
	char pods[64];
	bool fast_path;
	char uplinks[256];
	int attached;
	int put;
	int deleted;
	uint32_t ifindex;
	uint64_t cookie;
};

const char *ebpf_error(const struct ebpf *bpf)
{
	return bpf->fail_attach || bpf->fail_put ? "as the test asked" : "";
}

int ebpf_pod_attach(struct ebpf *bpf, const char *id, uint32_t ifindex)
{
	(void)id;
	if (bpf->fail_attach)
		return bpf->fail_attach;
	bpf->attached++;
	bpf->ifindex = ifindex;
	return 0;
}

int ebpf_pod_put(struct ebpf *bpf, const struct want_pod *want,
		 uint32_t ifindex, uint64_t cookie)
{
	if (bpf->fail_put)
		return bpf->fail_put;
	assert_int_equal(ifindex, bpf->ifindex);
	str_copy(bpf->pods, sizeof(bpf->pods), want->id);
	bpf->cookie = cookie;
	bpf->put++;
	return 0;
}

int ebpf_pod_del(struct ebpf *bpf, const char *id)
{
	if (str_eq(bpf->pods, id))
		bpf->pods[0] = 0;
	bpf->deleted++;
	return 0;
}

void ebpf_fast_path(struct ebpf *b, bool on)
{
	b->fast_path = on;
}

/* "eth0 docker0 ": a name once. */
int ebpf_uplink_put(struct ebpf *bpf, const char *name, uint32_t ifindex)
{
	char word[32];

	assert_true(ifindex != 0);
	snprintf(word, sizeof(word), "%s ", name);
	if (!strstr(bpf->uplinks, word))
		strcat(bpf->uplinks, word);
	return 0;
}

int ebpf_uplink_del(struct ebpf *bpf, const char *name)
{
	char word[32];
	char *at;

	snprintf(word, sizeof(word), "%s ", name);
	at = strstr(bpf->uplinks, word);
	if (at)
		memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
	return 0;
}

static struct ebpf bpf;
static struct nl *nl;
static struct overlay *ov;
static struct overlay_config config;
static struct ip_prefix pool;
static int pod_ns, far_ns;
static char text[64 * 1024];

static int sh(const char *command)
{
	const char *const argv[] = { "sh", "-c", command, NULL };

	return run_program(argv, NULL, text, sizeof(text));
}

static void must(const char *command)
{
	if (sh(command))
		fail_msg("%s: %s", command, text);
}

static bool shows(const char *command, const char *what)
{
	must(command);
	return strstr(text, what) != NULL;
}

static int sh_in_pod_run(void *command)
{
	return sh(command);
}

static bool pod_shows(char *command, const char *what)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int ret;

	assert_int_equal(setns(pod_ns, CLONE_NEWNET), 0);
	ret = sh_in_pod_run(command);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	close(own);
	assert_int_equal(ret, 0);
	return strstr(text, what) != NULL;
}

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static struct ip_addr addr(const char *s)
{
	return prefix(s).addr;
}

static struct want_net net_want(void)
{
	struct want_net net = {
		.vni = 42,
		.name = "blue",
		.ranges = { { .subnet = prefix("10.64.4.0/22"),
			      .gateway = addr("10.64.4.1"),
			      .vips = { prefix("10.80.4.0/22") },
			      .vips_len = 1 } },
		.ranges_len = 1,
		.joined = true,
	};

	return net;
}

static struct want_pod pod_want(void)
{
	struct want_pod pod = {
		.id = "0123456789ab",
		.pod = "web.1",
		.vni = 42,
		.addrs = { { addr("10.64.4.9"), prefix("10.64.4.0/22").len,
			     addr("10.64.4.1") } },
		.addrs_len = 1,
		.default_route = true,
		.vips_len = 1,
	};

	pod.mac = mac_from_ip(&pod.addrs[0].addr);
	pod.vips[0] = prefix("10.80.4.0/22");
	return pod;
}

static void open_overlay(void)
{
	int err = overlay_open(nl, &config, &ov);

	if (err)
		print_error("open: %s\n", overlay_error(NULL));
	assert_int_equal(err, 0);
	overlay_set_ebpf(ov, &bpf);
}

/* up0: the underlay, 192.0.2.10, its other end in a third namespace. */
static int setup(void **state)
{
	struct ip_prefix p = prefix("192.0.2.10/24");
	struct nl_veth veth = { .name = "up0", .peer = "far0", .mtu = 1500 };
	uint32_t ifindex;

	(void)state;
	memset(&bpf, 0, sizeof(bpf));
	pod_ns = own_net_other();
	far_ns = own_net_other();
	veth.netns = far_ns;
	veth.peer_mac.b[0] = 2;
	assert_int_equal(nl_open(&nl), 0);
	assert_int_equal(nl_veth_add(nl, &veth, &ifindex), 0);
	assert_int_equal(nl_addr_add(nl, ifindex, &p), 0);
	assert_int_equal(nl_link_up(nl, ifindex), 0);
	nl_link_up(nl, 1);

	pool = prefix("10.64.0.0/12");
	memset(&config, 0, sizeof(config));
	config.vtep = addr("192.0.2.10");
	config.port = 4789;
	config.pools = &pool;
	config.pools_len = 1;
	open_overlay();
	return 0;
}

static bool del_all(void *arg, const struct nl_link *l)
{
	(void)arg;
	if (!l->is_loopback)
		nl_link_del(nl, l->ifindex);
	return true;
}

static int teardown(void **state)
{
	(void)state;
	overlay_close(ov);
	ov = NULL;
	overlay_remove(nl);
	nl_link_each(nl, del_all, NULL);
	nl_free(nl);
	close(pod_ns);
	close(far_ns);
	sh("nft flush ruleset");
	return 0;
}

static void reopen(void)
{
	overlay_close(ov);
	ov = NULL;
	open_overlay();
}

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

static void close_and_clear(void)
{
	overlay_close(ov);
	ov = NULL;
	assert_int_equal(overlay_remove(nl), 0);
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

static void test_pod_attach(void **state)
{
	struct want_pod want = pod_want();
	struct overlay_link link;
	struct nl_link l;
	struct nl *in;
	uint64_t cookie;
	char mac[MAC_STRLEN];

	(void)state;
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
	assert_string_equal(link.ifname, "eth0");
	assert_int_equal(nl_link_get(nl, "nd0123456789ab", &l), 0);
	assert_int_equal(l.ifindex, link.ifindex);
	assert_int_equal(l.mtu, 1450);
	assert_true(l.is_up);
	assert_string_equal(l.alias, "netd:pod web.1 vni 42");

	assert_true(pod_shows("ip addr show eth0", "10.64.4.9/22"));
	assert_non_null(strstr(text, mac_str(&want.mac, mac)));
	assert_non_null(strstr(text, "mtu 1450"));
	assert_true(pod_shows("ip link show lo", ",UP"));
	assert_true(pod_shows("ip route", "default via 10.64.4.1 dev eth0"));
	assert_non_null(strstr(text, "10.80.4.0/22 via 10.64.4.1 dev eth0"));

	assert_int_equal(nl_open_netns(pod_ns, &in), 0);
	assert_int_equal(nl_cookie(in, &cookie), 0);
	nl_free(in);
	assert_true(link.cookie == cookie && bpf.cookie == cookie);
	assert_int_equal(bpf.ifindex, link.ifindex);
	assert_string_equal(bpf.pods, want.id);
	assert_true(overlay_pod_is_up(ov, want.id));

	assert_int_equal(overlay_pod_del(ov, want.id), 0);
	assert_string_equal(bpf.pods, "");
	assert_false(overlay_pod_is_up(ov, want.id));
	assert_int_equal(nl_link_get(nl, "nd0123456789ab", &l), -ENODEV);
	assert_int_equal(overlay_pod_del(ov, want.id), 0);
}

static void test_pod_attach_second_net(void **state)
{
	struct want_pod a = pod_want(), b = pod_want();
	struct overlay_link link;

	(void)state;
	str_copy(b.id, sizeof(b.id), "bbbbbbbbbbbb");
	b.addrs[0].addr = addr("10.65.0.9");
	b.addrs[0].gateway = addr("10.65.0.1");
	b.vips_len = 0;
	b.default_route = false;
	assert_int_equal(overlay_pod_attach(ov, &a, pod_ns, &link), 0);
	assert_int_equal(overlay_pod_attach(ov, &b, pod_ns, &link), 0);
	assert_string_equal(link.ifname, "eth1");
	assert_true(pod_shows("ip route", "default via 10.64.4.1 dev eth0"));

	/* The name that is asked for, and one that is taken. */
	assert_int_equal(overlay_pod_del(ov, b.id), 0);
	str_copy(b.ifname, sizeof(b.ifname), "net7");
	assert_int_equal(overlay_pod_attach(ov, &b, pod_ns, &link), 0);
	assert_string_equal(link.ifname, "net7");
	str_copy(b.id, sizeof(b.id), "cccccccccccc");
	str_copy(b.ifname, sizeof(b.ifname), "eth0");
	assert_int_equal(overlay_pod_attach(ov, &b, pod_ns, &link), -EEXIST);
	assert_non_null(strstr(overlay_error(ov), "eth0"));
	assert_false(shows("ip link", "ndcccc"));
}

/* A process that lives in the pod's namespace; ended by the caller. */
static pid_t live_in_pod(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (setns(pod_ns, CLONE_NEWNET))
		_exit(1);
	for (;;)
		pause();
}

static bool child_is_in_pod(pid_t pid)
{
	char a[64], path[64];
	struct stat theirs, pods;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	snprintf(a, sizeof(a), "/proc/self/fd/%d", pod_ns);
	return !stat(path, &theirs) && !stat(a, &pods) &&
	       theirs.st_ino == pods.st_ino;
}

static void test_pod_offer(void **state)
{
	struct want_pod want = pod_want();
	struct overlay_link link, moved = { 0 };
	struct nl_link l;
	char line[128];
	pid_t pid;

	(void)state;
	assert_int_equal(overlay_pod_offer(ov, &want, &link), 0);
	assert_string_equal(link.ifname, "np0123456789ab");
	assert_int_equal(nl_link_get(nl, link.ifname, &l), 0);
	assert_memory_equal(&l.mac, &want.mac, sizeof(l.mac));
	assert_int_equal(l.mtu, 1450);
	assert_false(l.is_up);
	assert_string_equal(bpf.pods, want.id);
	assert_int_equal(bpf.cookie, 0);
	assert_int_equal(overlay_pod_moved(ov, want.id, NULL, &moved), -EAGAIN);

	pid = live_in_pod();
	while (!child_is_in_pod(pid))
		usleep(1000);
	snprintf(line, sizeof(line), "ip link set %s netns %d", link.ifname,
		 (int)pid);
	must(line);
	/* Moved, and not brought up yet: the engine is at work. */
	assert_int_equal(overlay_pod_moved(ov, want.id, NULL, &moved), -EAGAIN);
	assert_true(pod_shows("ip link set np0123456789ab name eth3 && "
			      "ip link set eth3 up && ip link",
			      "eth3"));
	/* By a process, and by a path; a wrong path does not mislead. */
	assert_int_equal(overlay_pod_moved(ov, want.id, "/dev/null", &moved),
			 0);
	assert_string_equal(moved.ifname, "eth3");
	assert_int_equal(moved.ifindex, link.ifindex);
	assert_true(moved.cookie != 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(overlay_pod_moved(ov, want.id, NULL, &moved), -EAGAIN);
	snprintf(line, sizeof(line), "/proc/%d/fd/%d", (int)getpid(), pod_ns);
	assert_int_equal(overlay_pod_moved(ov, want.id, line, &moved), 0);

	assert_int_equal(overlay_pod_del(ov, want.id), 0);
	assert_int_equal(overlay_pod_moved(ov, want.id, NULL, &moved), -ENODEV);
	assert_false(pod_shows("ip link", "eth3"));
}

/* A failure at each step leaves neither link, program nor map entry. */
static void test_pod_attach_undo(void **state)
{
	static const struct {
		int attach, put;
		const char *gateway;
		int want;
	} cases[] = {
		{ -EPERM, 0, "10.64.4.1", -EPERM },
		{ 0, -E2BIG, "10.64.4.1", -E2BIG },
		/* Nobody reaches this gateway: configuring inside fails. */
		{ 0, 0, "192.0.2.200", -ENETUNREACH },
	};
	struct want_pod want = pod_want();
	struct overlay_link link = { .ifindex = 4242 };
	struct nl_link l;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bpf.fail_attach = cases[i].attach;
		bpf.fail_put = cases[i].put;
		want.addrs[0].gateway = addr(cases[i].gateway);
		bpf.deleted = 0;
		assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link),
				 cases[i].want);
		assert_string_not_equal(overlay_error(ov), "");
		assert_int_equal(bpf.deleted, 1);
		assert_string_equal(bpf.pods, "");
		assert_int_equal(link.ifindex, 4242);
		assert_int_equal(nl_link_get(nl, "nd0123456789ab", &l),
				 -ENODEV);
		assert_false(overlay_pod_is_up(ov, want.id));
		assert_false(pod_shows("ip link", "eth0"));
	}
	bpf.fail_attach = bpf.fail_put = 0;
	want.addrs[0].gateway = addr("10.64.4.1");
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
}

static void test_pod_attach_bad(void **state)
{
	AUTO(fd_closep) int own = open("/proc/self/ns/net", O_RDONLY);
	AUTO(fd_closep) int file = open("/dev/null", O_RDONLY);
	struct want_pod want = pod_want();
	struct overlay_link link;

	(void)state;
	assert_int_equal(overlay_pod_attach(ov, &want, own, &link), -EINVAL);
	assert_int_equal(overlay_pod_attach(ov, &want, file, &link), -EINVAL);
	assert_int_equal(overlay_pod_attach(ov, &want, -1, &link), -EINVAL);
	str_copy(want.id, sizeof(want.id), "0123456789abcde");
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), -EINVAL);
	assert_int_equal(bpf.attached, 0);
}

static void test_pod_attach_again(void **state)
{
	struct want_pod want = pod_want();
	struct overlay_link a, b;

	(void)state;
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &a), 0);
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &b), 0);
	assert_true(a.ifindex != b.ifindex);
	assert_string_equal(b.ifname, "eth0");
	/* By a process that never heard of it, a leftover in its way. */
	reopen();
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &a), 0);
	assert_true(overlay_pod_is_up(ov, want.id));
	must("ip -o link show type veth");
	assert_null(strstr(strstr(text, "nd01") + 1, "nd01"));
	assert_int_equal(overlay_pod_del(ov, want.id), 0);
	/* But a link that is somebody else's stays. */
	must("ip link add nd0123456789ab type bridge");
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &a), -EEXIST);
	assert_int_equal(overlay_pod_del(ov, want.id), 0);
	must("ip link show nd0123456789ab");
}

/* What a crash left before the link had its alias. */
static void test_pod_del_half_made(void **state)
{
	struct want_pod want = pod_want();
	struct nl_link l;

	(void)state;
	must("ip link add nd0123456789ab type veth peer name half");
	assert_int_equal(overlay_pod_del(ov, want.id), 0);
	assert_int_equal(nl_link_get(nl, "nd0123456789ab", &l), -ENODEV);
	/* One with somebody's mark is somebody's. */
	must("ip link add nd0123456789ab type veth peer name half");
	must("ip link set nd0123456789ab alias theirs");
	assert_int_equal(overlay_pod_del(ov, want.id), 0);
	assert_int_equal(nl_link_get(nl, "nd0123456789ab", &l), 0);
}

static void test_pod_long_name(void **state)
{
	struct want_pod want = pod_want();
	struct overlay_link link;

	(void)state;
	memset(want.pod, 'x', sizeof(want.pod) - 1);
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
	assert_true(shows("ip link show nd0123456789ab", "netd:pod xxx"));
	assert_non_null(strstr(text, "vni 42"));
}

static void test_pod_adopt(void **state)
{
	struct want_pod want = pod_want();
	struct overlay_link link;
	struct nl_link l;

	(void)state;
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
	reopen();
	assert_false(overlay_pod_is_up(ov, want.id));
	must("ip link set nd0123456789ab mtu 1000 down");
	bpf.attached = bpf.put = 0;
	assert_int_equal(overlay_pod_adopt(ov, &want, &link), 0);
	assert_int_equal(bpf.attached, 1);
	assert_int_equal(bpf.put, 1);
	assert_true(overlay_pod_is_up(ov, want.id));
	assert_int_equal(nl_link_get(nl, "nd0123456789ab", &l), 0);
	assert_true(l.is_up);

	/* Both its ends. */
	assert_false(overlay_pod_is_sized(ov, &want));
	want.mtu = 1400;
	assert_int_equal(overlay_pod_resize(ov, &want, &link, pod_ns), 0);
	assert_true(overlay_pod_is_sized(ov, &want));
	assert_int_equal(nl_link_get(nl, "nd0123456789ab", &l), 0);
	assert_int_equal(l.mtu, 1400);
	assert_int_equal(overlay_pod_resize(ov, &want, &link, -ENOENT),
			 -ENOENT);

	/* The same name, another link: not the one that was attached. */
	link.ifindex++;
	assert_int_equal(overlay_pod_adopt(ov, &want, &link), -ENODEV);
	assert_false(overlay_pod_is_up(ov, want.id));
	link.ifindex--;
	must("ip link del nd0123456789ab");
	assert_int_equal(overlay_pod_adopt(ov, &want, &link), -ENODEV);
}

static void test_pod_vanishes(void **state)
{
	struct want_pod want = pod_want();
	struct overlay_link link;

	(void)state;
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
	must("ip link set nd0123456789ab down");
	assert_int_equal(overlay_refresh(ov), 0);
	assert_true(overlay_pod_is_up(ov, want.id));
	assert_true(shows("ip link show nd0123456789ab", ",UP"));
	assert_true(pod_shows("ip link del eth0; ip link", "lo"));
	assert_int_equal(overlay_refresh(ov), 0);
	assert_false(overlay_pod_is_up(ov, want.id));
	assert_int_equal(overlay_pod_del(ov, want.id), 0);
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

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
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

/* A repair that causes the event that causes a repair would never end. */
static void test_refresh_is_quiet(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct want_net net = net_want();
	struct want_pod want = pod_want();
	struct overlay_link link;
	struct nl *other;
	ev_timer timer;

	(void)state;
	must("iptables -w -P FORWARD DROP");
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link), 0);
	assert_int_equal(overlay_refresh(ov), 0);
	assert_int_equal(nl_open(&other), 0);
	assert_int_equal(nl_watch(other, loop, count_event, NULL), 0);
	events = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(overlay_refresh(ov), 0);
	assert_int_equal(overlay_audit_begin(ov), 0);
	assert_int_equal(overlay_net_put(ov, &net), 0);
	assert_int_equal(overlay_pod_adopt(ov, &want, &link), 0);
	assert_int_equal(overlay_audit_end(ov), 0);
	ev_timer_init(&timer, stop_loop, 0.2, 0.);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	assert_int_equal(events, 0);
	nl_free(other);
	ev_loop_destroy(loop);
}

/* Shown, and held well above what is usual: 15 ms is the promise. */
static void test_pod_attach_is_quick(void **state)
{
	struct want_pod want = pod_want();
	struct overlay_link link;
	int64_t took[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(took); i++) {
		int64_t start = now_ns();

		assert_int_equal(overlay_pod_attach(ov, &want, pod_ns, &link),
				 0);
		took[i] = now_ns() - start;
		assert_int_equal(overlay_pod_del(ov, want.id), 0);
	}
	qsort(took, ARRAY_LEN(took), sizeof(took[0]), compare_ns);
	print_message("attach: median %ld us, slowest %ld us\n",
		      (long)(took[ARRAY_LEN(took) / 2] / 1000),
		      (long)(took[ARRAY_LEN(took) - 1] / 1000));
	assert_true(took[ARRAY_LEN(took) / 2] < 15000000);
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
		T(test_pod_attach),
		T(test_pod_attach_second_net),
		T(test_pod_offer),
		T(test_pod_attach_undo),
		T(test_pod_attach_bad),
		T(test_pod_attach_again),
		T(test_pod_del_half_made),
		T(test_pod_long_name),
		T(test_pod_adopt),
		T(test_pod_vanishes),
		T(test_uplinks),
		T(test_uplinks_configured),
		T(test_routes_are_others),
		T(test_audit_sweeps),
		T(test_remove_leaves_nothing),
		T(test_refresh_is_quiet),
		T(test_pod_attach_is_quick),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
