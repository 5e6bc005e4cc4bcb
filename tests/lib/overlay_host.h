/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay_host - the overlay over the real kernel, in namespaces of the test's
 * own, and over an ebpf room of the test's own that keeps what it was told and
 * can fail.
 */
#pragma once

#include "cm.h"

#include "netd/ebpf.h"
#include "netd/util.h"
#include "nft.h"
#include "nl.h"
#include "overlay.h"
#include "own_net.h"
#include "run.h"

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

static inline int sh(const char *command)
{
	const char *const argv[] = { "sh", "-c", command, NULL };

	return run_program(argv, NULL, text, sizeof(text));
}

static inline void must(const char *command)
{
	if (sh(command))
		fail_msg("%s: %s", command, text);
}

static inline bool shows(const char *command, const char *what)
{
	must(command);
	return strstr(text, what) != NULL;
}

static inline bool pod_shows(const char *command, const char *what)
{
	int own = own_net_fd();
	int ret;

	assert_int_equal(setns(pod_ns, CLONE_NEWNET), 0);
	ret = sh(command);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	close(own);
	assert_int_equal(ret, 0);
	return strstr(text, what) != NULL;
}

static inline struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static inline struct ip_addr addr(const char *s)
{
	return prefix(s).addr;
}

static inline struct want_net net_want(void)
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

static inline struct want_pod pod_want(void)
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

static inline void open_overlay(void)
{
	int err = overlay_open(nl, &config, &ov);

	if (err)
		print_error("open: %s\n", overlay_error(NULL));
	assert_int_equal(err, 0);
	overlay_set_ebpf(ov, &bpf);
}

/* up0: the underlay, 192.0.2.10, its other end in a third namespace. */
static inline int setup(void **state)
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

static inline bool del_all(void *arg, const struct nl_link *l)
{
	(void)arg;
	if (!l->is_loopback)
		nl_link_del(nl, l->ifindex);
	return true;
}

static inline int teardown(void **state)
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

static inline void reopen(void)
{
	overlay_close(ov);
	ov = NULL;
	open_overlay();
}

static inline void close_and_clear(void)
{
	overlay_close(ov);
	ov = NULL;
	assert_int_equal(overlay_remove(nl), 0);
}
