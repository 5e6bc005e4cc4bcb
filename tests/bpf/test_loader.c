/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader: what a new process takes over, what an audit writes and
 * deletes, what connections see of a change.
 */
#include "world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <linux/bpf.h>
#include <sys/stat.h>

#include "load.h"
#include "netd.skel.h"
#include "packet.h"

static struct world world;
static struct world *const w = &world;

static uint32_t map_id(const struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &len),
			 0);
	return info.id;
}

static uint32_t prog_id(const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	assert_int_equal(
		bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len), 0);
	return info.id;
}

/* The pinned link of that name; its id is 0 when there is none. */
static struct bpf_link_info link_info(const char *name)
{
	AUTO(str_freep) char *path = xasprintf("%s/links/%s", w->pin_dir, name);
	AUTO(fd_closep) int fd = bpf_obj_get(path);
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	if (fd >= 0)
		bpf_obj_get_info_by_fd(fd, &info, &len);
	return info;
}

static void reopen(void)
{
	ebpf_close(w->bpf);
	w->bpf = NULL;
	world_open(w);
}

static struct abi_frontend frontend(const char *addr, uint16_t port,
				    uint8_t proto)
{
	struct ip_addr a = ip(addr);
	struct abi_frontend_key key = { .addr = abi_addr(&a),
					.port = htons(port),
					.proto = proto };
	struct abi_frontend value = { 0 };

	if (bpf_map_lookup_elem(bpf_map__fd(w->bpf->skel->maps.frontends), &key,
				&value))
		value.offset = UINT32_MAX;
	return value;
}

static size_t in_kernel(const struct bpf_map *map)
{
	uint8_t key[64];
	size_t n = 0;
	int err = bpf_map_get_next_key(bpf_map__fd(map), NULL, key);

	for (; !err; n++)
		err = bpf_map_get_next_key(bpf_map__fd(map), key, key);
	return n;
}

static size_t everything(void)
{
	struct netd_bpf *s = w->bpf->skel;

	return in_kernel(s->maps.pods) + in_kernel(s->maps.endpoints) +
	       in_kernel(s->maps.routes) + in_kernel(s->maps.nets) +
	       in_kernel(s->maps.vteps) + in_kernel(s->maps.guards) +
	       in_kernel(s->maps.frontends) + in_kernel(s->maps.sockets);
}

static void audit(void (*put)(struct world *w))
{
	OK(ebpf_audit_begin(w->bpf));
	if (put)
		put(w);
	OK(ebpf_audit_end(w->bpf));
}

/* ---- restart ---- */

static void test_reopen_keeps_maps(void **state)
{
	uint32_t before = map_id(w->bpf->skel->maps.flows);
	uint32_t prog = prog_id(w->bpf->skel->progs.from_pod);
	size_t n = everything();

	(void)state;
	reopen();
	assert_int_equal(map_id(w->bpf->skel->maps.flows), before);
	assert_int_not_equal(prog_id(w->bpf->skel->progs.from_pod), prog);
	assert_int_equal(everything(), n);
}

/* The same again writes no slot, no backend and no entry. */
static void test_reopen_audit_is_quiet(void **state)
{
	struct abi_frontend before = frontend("10.80.0.5", 80, TCP);
	struct abi_frontend published = frontend(NULL, 8000, TCP);
	size_t n = everything();
	struct abi_frontend after;

	(void)state;
	reopen();
	audit(world_tables);
	assert_int_equal(everything(), n);
	after = frontend("10.80.0.5", 80, TCP);
	assert_memory_equal(&before, &after, sizeof(after));
	after = frontend(NULL, 8000, TCP);
	assert_memory_equal(&published, &after, sizeof(after));
	assert_true(published.count == 251 && published.local_count == 1);
}

static void put_little(struct world *world_)
{
	(void)world_;
	world_net(w, BLUE, "blue", "10.1.0.0/16", "10.1.0.1", "10.80.0.0/22",
		  false);
	world_node(w, "this", "192.0.2.1", "198.51.100.1", 1450, true);
	world_pod(w, "a", BLUE, "10.1.0.10", MAC_A, COOKIE_A);
	world_frontend(w, BLUE, "10.80.0.5", 80, TCP,
		       backend(BLUE, "10.1.0.11", 8080, NULL));
}

static void test_audit_deletes(void **state)
{
	struct netd_bpf *s;

	(void)state;
	for (int restarted = 0; restarted < 2; restarted++) {
		if (restarted)
			reopen();
		audit(put_little);
		s = w->bpf->skel;
		assert_int_equal(in_kernel(s->maps.nets), 1);
		/* Subnet, gateway, VIPs, two addresses of this node. */
		assert_int_equal(in_kernel(s->maps.routes), 5);
		assert_int_equal(in_kernel(s->maps.vteps), 0);
		assert_int_equal(in_kernel(s->maps.guards), 0);
		assert_int_equal(in_kernel(s->maps.pods), 1);
		assert_int_equal(in_kernel(s->maps.endpoints), 1);
		assert_int_equal(in_kernel(s->maps.frontends), 1);
		if (!restarted)
			/* The host, pod and network of a. */
			assert_int_equal(in_kernel(s->maps.sockets), 3);
		audit(world_tables);
	}
}

static void test_audit_of_nothing(void **state)
{
	(void)state;
	audit(NULL);
	/* The host's namespace is put once, not in each audit. */
	assert_int_equal(everything(), 1);
	reopen();
	audit(NULL);
	assert_int_equal(everything(), 0);
	audit(world_tables);
}

/* ---- attachments ---- */

/* The filter's program on a pod's link; 0: there is none. */
static uint32_t filter_prog(const char *dev)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(dev),
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

static void test_attach_replaces(void **state)
{
	struct bpf_link_info before, after;

	(void)state;
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	before = link_info("uplink-up0");
	assert_int_equal(filter_prog("a"),
			 prog_id(w->bpf->skel->progs.from_pod));
	reopen();
	world_tables(w);
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	assert_int_equal(filter_prog("a"),
			 prog_id(w->bpf->skel->progs.from_pod));
	if (!ebpf_has_tcx(w->bpf))
		skip();
	after = link_info("uplink-up0");
	assert_int_equal(after.id, before.id);
	assert_int_not_equal(after.prog_id, before.prog_id);
	assert_int_equal(after.prog_id,
			 prog_id(w->bpf->skel->progs.from_uplink));
}

static void test_attach_new_device(void **state)
{
	(void)state;
	sh("ip link del dev a");
	world_pod(w, "a", BLUE, "10.1.0.10", MAC_A, COOKIE_A);
	assert_int_equal(filter_prog("a"),
			 prog_id(w->bpf->skel->progs.from_pod));
	/* The old interface's entry is gone. */
	assert_int_equal(in_kernel(w->bpf->skel->maps.pods), 6);
}

/* A tcx program would be asked before the filter. */
static void test_attach_after_tcx(void **state)
{
	AUTO(str_freep) char *path = xasprintf("%s/links/pod-a", w->pin_dir);
	AUTO(fd_closep) int link = -1;

	(void)state;
	if (!ebpf_has_tcx(w->bpf))
		skip();
	link = bpf_link_create(bpf_program__fd(w->bpf->skel->progs.from_pod),
			       (int)if_nametoindex("a"),
			       (enum bpf_attach_type)46, NULL);
	assert_true(link >= 0);
	assert_int_equal(bpf_obj_pin(link, path), 0);
	assert_int_not_equal(link_info("pod-a").id, 0);
	OK(ebpf_pod_attach(w->bpf, "a", if_nametoindex("a")));
	assert_int_equal(link_info("pod-a").id, 0);
	assert_int_not_equal(filter_prog("a"), 0);
}

static void test_attach_again(void **state)
{
	struct want_pod want = world_want_pod("a", BLUE, "10.1.0.10", MAC_A);

	(void)state;
	sh("tc qdisc del dev a clsact");
	assert_int_equal(filter_prog("a"), 0);
	assert_int_equal(ebpf_pod_check(w->bpf, &want, if_nametoindex("a")),
			 -ENOENT);
	assert_non_null(strstr(ebpf_error(w->bpf), "program"));
	OK(ebpf_pod_attach(w->bpf, "a", if_nametoindex("a")));
	assert_int_not_equal(filter_prog("a"), 0);
}

static void test_sweep_dead(void **state)
{
	(void)state;
	if (!ebpf_has_tcx(w->bpf))
		skip();
	sh("ip link add up9 type veth peer name wire9");
	OK(ebpf_uplink_put(w->bpf, "up9", if_nametoindex("up9")));
	sh("ip link del dev up9");
	assert_int_not_equal(link_info("uplink-up9").id, 0);
	reopen();
	assert_int_equal(link_info("uplink-up9").id, 0);
	audit(world_tables);
}

static void test_pod_vanished(void **state)
{
	(void)state;
	sh("ip link del dev b");
	OK(ebpf_pod_del(w->bpf, "b"));
	OK(ebpf_pod_del(w->bpf, "b"));
	assert_int_equal(in_kernel(w->bpf->skel->maps.pods), 5);
	world_pod(w, "b", BLUE, "10.1.0.11", MAC_B, COOKIE_B);
}

static void test_uplink(void **state)
{
	(void)state;
	sh("ip link add up0.7 type veth peer name wire7");
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	OK(ebpf_uplink_put(w->bpf, "up0.7", if_nametoindex("up0.7")));
	/* Stays in an audit, as long as this process has not said del. */
	audit(world_tables);
	if (ebpf_has_tcx(w->bpf))
		assert_int_not_equal(link_info("uplink-up0:7").id, 0);
	OK(ebpf_uplink_del(w->bpf, "up0.7"));
	OK(ebpf_uplink_del(w->bpf, "up0.7"));
	assert_int_equal(link_info("uplink-up0:7").id, 0);
	if (ebpf_has_tcx(w->bpf))
		assert_int_not_equal(link_info("uplink-up0").id, 0);
	/* Another process that does not name it. */
	reopen();
	audit(world_tables);
	assert_int_equal(link_info("uplink-up0").id, 0);
	assert_int_not_equal(ebpf_uplink_put(w->bpf, "nolink0", 12345), 0);
}

/* A veth's driver only where it is asked for, and not after. */
static void test_uplink_xdp(void **state)
{
	static const enum ebpf_xdp modes[] = { EBPF_XDP_ON, EBPF_XDP_ON,
					       EBPF_XDP_AUTO };
	struct bpf_link_info info, before = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		w->xdp = modes[i];
		reopen();
		OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
		audit(world_tables);
		info = link_info("xdp-up0");
		assert_int_equal(info.id != 0, modes[i] == EBPF_XDP_ON);
		assert_int_equal(ebpf_xdp_links(w->bpf),
				 modes[i] == EBPF_XDP_ON);
		if (info.id && before.id) {
			assert_int_equal(info.id, before.id);
			assert_int_not_equal(info.prog_id, before.prog_id);
		}
		before = info;
	}
	w->xdp = EBPF_XDP_ON;
	reopen();
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	assert_int_not_equal(link_info("xdp-up0").id, 0);
	OK(ebpf_uplink_del(w->bpf, "up0"));
	assert_int_equal(link_info("xdp-up0").id, 0);
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	/* Another process that does not name it. */
	w->xdp = EBPF_XDP_OFF;
	reopen();
	audit(world_tables);
	assert_int_equal(link_info("xdp-up0").id, 0);
}

static bool filter_is_there(const char *dev)
{
	AUTO(str_freep)
	char *line = xasprintf(
		"tc filter show dev %s ingress | grep -q 'pref 1 .*id'", dev);

	return system(line) == 0;
}

/* As on kernels before 6.6. */
static void test_clsact(void **state)
{
	(void)state;
	audit(NULL);
	w->bpf->tcx = false;
	OK(ebpf_start(w->bpf));
	world_tables(w);
	OK(ebpf_pod_attach(w->bpf, "a", if_nametoindex("a")));
	assert_true(filter_is_there("netd0"));
	assert_int_not_equal(filter_prog("a"), 0);
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	assert_true(filter_is_there("up0"));
	OK(ebpf_uplink_del(w->bpf, "up0"));
	assert_false(filter_is_there("up0"));

	/* Left by an earlier process, found by its pin. */
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	reopen();
	assert_true(filter_is_there("up0"));
	audit(world_tables);
	assert_false(filter_is_there("up0"));
}

/* ---- tables ---- */

static void test_nodes_share_an_address(void **state)
{
	struct ip_addr bridge = ip("172.17.0.1");
	struct abi_route_key key = { .prefixlen = 160,
				     .addr = abi_addr(&bridge) };
	struct abi_route route;
	int fd = bpf_map__fd(w->bpf->skel->maps.routes);

	(void)state;
	world_node(w, "n4", "192.0.2.4", "172.17.0.1", 0, false);
	world_node(w, "n3", "192.0.2.3", "172.17.0.1", 0, false);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &route), 0);
	assert_int_equal(ntohl(route.vtep.w[3]), 0xc0000203);
	world_node(w, "this", "192.0.2.1", "172.17.0.1", 1450, true);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &route), 0);
	assert_int_equal(route.self, 1);
	world_node(w, "this", "192.0.2.1", "198.51.100.1", 1450, true);
	OK(ebpf_node_del(w->bpf, "n3"));
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &route), 0);
	assert_int_equal(ntohl(route.vtep.w[3]), 0xc0000204);
	OK(ebpf_node_del(w->bpf, "n4"));
	OK(ebpf_node_del(w->bpf, "n4"));
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &route), -ENOENT);
	assert_int_equal(in_kernel(w->bpf->skel->maps.vteps), 1);
}

static void test_net_changes(void **state)
{
	size_t n = in_kernel(w->bpf->skel->maps.routes);
	struct want_net want = { .vni = 400,
				 .ranges = { { .subnet = net("10.4.0.0/16"),
					       .gateway = ip("10.4.0.1"),
					       .vips = { net("10.81.0.0/22"),
							 net("10.81.4.0/22") },
					       .vips_len = 2 } },
				 .ranges_len = 1 };

	(void)state;
	OK(ebpf_net_put(w->bpf, &want));
	assert_int_equal(in_kernel(w->bpf->skel->maps.routes), n + 4);
	want.ranges[0].vips_len = 1;
	OK(ebpf_net_put(w->bpf, &want));
	assert_int_equal(in_kernel(w->bpf->skel->maps.routes), n + 3);
	OK(ebpf_net_del(w->bpf, 400));
	OK(ebpf_net_del(w->bpf, 400));
	assert_int_equal(in_kernel(w->bpf->skel->maps.routes), n);
	want.vni = 0xffffff;
	assert_int_equal(ebpf_net_put(w->bpf, &want), -EINVAL);
}

static void test_frontend_weights(void **state)
{
	const struct want_frontend fe = {
		.vni = BLUE, .addr = ip("10.80.0.20"), .port = 80, .proto = TCP
	};
	struct want_backend set[] = { backend(BLUE, "10.1.0.11", 1, NULL),
				      backend(BLUE, "10.1.0.11", 2, NULL),
				      backend(BLUE, "10.1.0.11", 3, NULL),
				      /* Twice the same counts once. */
				      backend(BLUE, "10.1.0.11", 3, NULL) };
	struct abi_frontend v;

	(void)state;
	set[0].weight = 100;
	set[1].weight = 300;
	set[2].weight = set[3].weight = 0;
	OK(ebpf_frontend_put(w->bpf, &fe, set, 4));
	v = frontend("10.80.0.20", 80, TCP);
	assert_int_equal(v.count, 4);
	set[0].weight = set[1].weight = 0;
	OK(ebpf_frontend_put(w->bpf, &fe, set, 4));
	v = frontend("10.80.0.20", 80, TCP);
	assert_int_equal(v.count, 0);
	OK(ebpf_frontend_del(w->bpf, &fe));
	OK(ebpf_frontend_del(w->bpf, &fe));
	v = frontend("10.80.0.20", 80, TCP);
	assert_int_equal(v.offset, UINT32_MAX);
}

static void test_frontend_refused(void **state)
{
	const struct want_frontend fe = { .vni = BLUE,
					  .port = 9000,
					  .proto = TCP };
	struct want_backend outside = backend(0, "203.0.113.5", 80, NULL);
	struct want_backend *many = xzalloc(9000 * sizeof(struct want_backend));

	(void)state;
	assert_int_equal(ebpf_frontend_put(w->bpf, &fe, &outside, 1), -EINVAL);
	assert_string_not_equal(ebpf_error(w->bpf), "");
	assert_int_equal(ebpf_frontend_put(w->bpf, &fe, many, 9000), -E2BIG);
	free(many);
}

/* More changes than there are slots: what is freed is used again. */
static void test_frontend_churn(void **state)
{
	const struct want_frontend fe = { .vni = BLUE,
					  .port = 9001,
					  .proto = TCP };
	static struct want_backend set[300];
	struct abi_frontend v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(set); i++)
		set[i] = backend(BLUE, "10.1.1.1", (uint16_t)(i + 1),
				 "192.0.2.2");
	/* A run of 16381 slots takes 1024 of 262144 places. */
	for (size_t i = 0; i < 200; i++)
		OK(ebpf_frontend_put(w->bpf, &fe, set, ARRAY_LEN(set) - i % 2));
	/* Slots are used again a second after they were freed. */
	usleep(1100 * 1000);
	for (size_t i = 0; i < 200; i++)
		OK(ebpf_frontend_put(w->bpf, &fe, set, ARRAY_LEN(set) - i % 2));
	v = frontend(NULL, 9001, TCP);
	assert_int_equal(v.count, 16381);
	OK(ebpf_frontend_del(w->bpf, &fe));
}

/* ---- connections over changes ---- */

/* The port of the backend that a packet of this pod is sent to, or 0. */
static uint16_t asked(uint8_t proto, uint16_t sport, uint16_t flags)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX + 64];
	struct spec s = { .smac = MAC_A,
			  .dmac = TUNNEL_MAC,
			  .proto = proto,
			  .src = "10.1.0.10",
			  .dst = "10.80.0.30",
			  .sport = sport,
			  .dport = 80,
			  .flags = flags };
	struct __sk_buff ctx = { .ifindex = if_nametoindex("a") };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);
	int fd = bpf_program__fd(w->bpf->skel->progs.from_pod);

	opts.data_size_in = (uint32_t)packet_build(&s, in);
	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	/* Refused or dropped: the destination is not the backend. */
	if (opts.retval != 7 || memcmp(out + 30, "\x0a\x01\x00\x0b", 4) != 0)
		return 0;
	return (uint16_t)(out[36] << 8 | out[37]);
}

/* Backends of one pod by the bits of `ports`. */
static void balance(uint8_t proto, unsigned int ports)
{
	const struct want_frontend fe = { .vni = BLUE,
					  .addr = ip("10.80.0.30"),
					  .port = 80,
					  .proto = proto };
	struct want_backend set[16];
	size_t n = 0;

	for (uint16_t i = 1; i < 16; i++) {
		if (ports & 1U << i)
			set[n++] = backend(BLUE, "10.1.0.11", i, NULL);
	}
	OK(ebpf_frontend_put(w->bpf, &fe, set, n));
}

static void test_tcp_stays(void **state)
{
	uint16_t had;

	(void)state;
	balance(TCP, 0x1e);
	had = asked(TCP, 5000, SYN);
	assert_in_range(had, 1, 4);
	/* Others come; this one stays where it is. */
	balance(TCP, 0xfffe);
	assert_int_equal(asked(TCP, 5000, ACK), had);
	assert_int_equal(asked(TCP, 5000, SYN), had);
	/* Its backend leaves: what is established goes on, what begins not. */
	balance(TCP, 0xfffeU & ~(1U << had));
	assert_int_equal(asked(TCP, 5000, ACK), had);
	assert_int_equal(asked(TCP, 5000, ACK | FIN), had);
	assert_int_not_equal(asked(TCP, 5000, SYN), had);
	assert_int_not_equal(asked(TCP, 5000, ACK), had);
}

static void test_tcp_outlives_last_backend(void **state)
{
	(void)state;
	balance(TCP, 1U << 3);
	assert_int_equal(asked(TCP, 5001, SYN), 3);
	balance(TCP, 0);
	assert_int_equal(asked(TCP, 5001, ACK), 3);
	assert_int_equal(asked(TCP, 5001, SYN), 0);
}

static void test_udp_moves_on(void **state)
{
	uint16_t had;

	(void)state;
	balance(UDP, 0x1e);
	had = asked(UDP, 5002, 0);
	balance(UDP, 0xfffe);
	assert_int_equal(asked(UDP, 5002, 0), had);
	balance(UDP, 0xfffeU & ~(1U << had));
	assert_int_not_equal(asked(UDP, 5002, 0), had);
	assert_int_not_equal(asked(UDP, 5002, 0), 0);
}

/* An id that another backend got meanwhile is not taken for the old one. */
static void test_id_reused(void **state)
{
	(void)state;
	balance(UDP, 1U << 3);
	assert_int_equal(asked(UDP, 5003, 0), 3);
	balance(UDP, 0);
	/* Ids too rest for a second. */
	usleep(1100 * 1000);
	balance(UDP, 1U << 4);
	assert_int_equal(asked(UDP, 5003, 0), 4);
}

static void test_flows_outlive_restart(void **state)
{
	uint16_t had;

	(void)state;
	balance(TCP, 0xfffe);
	balance(UDP, 0xfffe);
	had = asked(UDP, 5004, 0);
	reopen();
	OK(ebpf_audit_begin(w->bpf));
	world_tables(w);
	balance(TCP, 0xfffe);
	/* One of the others left meanwhile. */
	balance(UDP, 0xfffeU & ~(1U << (had == 1 ? 2 : 1)));
	OK(ebpf_audit_end(w->bpf));
	assert_int_equal(asked(UDP, 5004, 0), had);
}

/* Each backend gets its share. */
static void test_balanced(void **state)
{
	unsigned int hits[16] = { 0 };

	(void)state;
	balance(TCP, 0x1e);
	for (uint16_t port = 10000; port < 12000; port++)
		hits[asked(TCP, port, SYN)]++;
	for (size_t i = 1; i <= 4; i++)
		assert_in_range(hits[i], 430, 570);
}

/* ---- the end ---- */

static void test_open_errors(void **state)
{
	struct ebpf_config config = { .pin_dir = "relative" };
	char path[128], other[] = "/run/netd-other-XXXXXX";
	struct ebpf *bpf = NULL;
	AUTO(fd_closep)
	int map = bpf_map_create(BPF_MAP_TYPE_HASH, "nets", 8, 8, 8, NULL);

	(void)state;
	assert_int_equal(ebpf_open(&config, &bpf), -EINVAL);
	assert_null(bpf);
	assert_string_not_equal(ebpf_error(NULL), "");

	/* A map of that name and another layout. */
	assert_non_null(mkdtemp(other));
	assert_int_equal(mount("bpf", other, "bpf", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s/maps-v%d", other, ABI_VERSION);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/maps-v%d/nets", other, ABI_VERSION);
	assert_int_equal(bpf_obj_pin(map, path), 0);
	config.pin_dir = other;
	assert_int_not_equal(ebpf_open(&config, &bpf), 0);
	assert_non_null(strstr(ebpf_error(NULL), "nets"));
	assert_int_equal(umount(other), 0);
}

static void test_remove(void **state)
{
	AUTO(str_freep) char *dir = xstrdup(w->pin_dir);

	(void)state;
	OK(ebpf_uplink_put(w->bpf, "up0", w->uplink));
	if (!ebpf_has_tcx(w->bpf))
		assert_true(filter_is_there("up0"));
	ebpf_close(w->bpf);
	w->bpf = NULL;
	assert_int_equal(ebpf_remove(dir), 0);
	assert_int_equal(ebpf_remove(dir), 0);
	assert_int_not_equal(access(dir, F_OK), 0);
	assert_false(filter_is_there("up0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reopen_keeps_maps),
		cmocka_unit_test(test_reopen_audit_is_quiet),
		cmocka_unit_test(test_audit_deletes),
		cmocka_unit_test(test_audit_of_nothing),
		cmocka_unit_test(test_attach_replaces),
		cmocka_unit_test(test_attach_new_device),
		cmocka_unit_test(test_attach_after_tcx),
		cmocka_unit_test(test_attach_again),
		cmocka_unit_test(test_sweep_dead),
		cmocka_unit_test(test_pod_vanished),
		cmocka_unit_test(test_uplink),
		cmocka_unit_test(test_uplink_xdp),
		cmocka_unit_test(test_nodes_share_an_address),
		cmocka_unit_test(test_net_changes),
		cmocka_unit_test(test_frontend_weights),
		cmocka_unit_test(test_frontend_refused),
		cmocka_unit_test(test_frontend_churn),
		cmocka_unit_test(test_tcp_stays),
		cmocka_unit_test(test_tcp_outlives_last_backend),
		cmocka_unit_test(test_udp_moves_on),
		cmocka_unit_test(test_id_reused),
		cmocka_unit_test(test_flows_outlive_restart),
		cmocka_unit_test(test_balanced),
		cmocka_unit_test(test_clsact),
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_remove),
	};

	world_enter();
	world_make(w);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
