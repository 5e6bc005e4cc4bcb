/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs packet by packet: a frame in; verdict, reason and frame out.
 * Rows run in order, and an answer's row follows its question's.
 */
#include "world6.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/utsname.h>

#include "load.h"
#include "netd.skel.h"
#include "packet.h"

#define PASS 0
#define DROP 2
#define REDIRECT 7
#define NOT_OURS (-1)

static struct world world;

enum program { FROM_POD, FROM_OVERLAY, TO_OVERLAY, FROM_UPLINK, XDP_UPLINK };

struct row {
	const char *name;
	enum program program;
	const char *dev;
	struct spec in;
	int verdict;
	/* DROP: the reason counted. */
	const char *reason;
	/* What comes out; proto 0 and no ARP: the same as went in. */
	struct spec out;
};

/* Who sends, which is a hook and a link; and what becomes of it. */
#define BY_POD(dev) FROM_POD, dev
#define BY_UPLINK FROM_UPLINK, "up0"
#define BY_HOST TO_OVERLAY, "netd0"
#define SENT REDIRECT, NULL
#define DROPPED(reason) DROP, reason

/* A row ends where the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* In VXLAN to the other node, and from it. */
#define VNI_REQUEST 0xfffffe
#define VNI_REPLY 0xffffff
#define TO_OTHER(id) .vni = id, .from_vtep = "192.0.2.1", .vtep = "192.0.2.2"
#define FROM_OTHER(id) .vni = id, .from_vtep = "192.0.2.2", .vtep = "192.0.2.1"

#include "rows_pod.h"
#include "rows_balance.h"
#include "rows_host.h"
#include "rows_error.h"
#include "rows_tunnel.h"
#include "rows_size.h"
#include "rows_frag.h"
#include "rows_pod6.h"
#include "rows_vip6.h"
#include "rows_mesh6.h"
#include "rows_xdp.h"
#include "rows_odd.h"

static int program_fd(enum program program)
{
	struct netd_bpf *skel = world.bpf->skel;
	const struct bpf_program *const progs[] = {
		[FROM_POD] = skel->progs.from_pod,
		[FROM_OVERLAY] = skel->progs.from_overlay,
		[TO_OVERLAY] = skel->progs.to_overlay,
		[FROM_UPLINK] = skel->progs.from_uplink,
		[XDP_UPLINK] = skel->progs.xdp_uplink,
	};

	return bpf_program__fd(progs[program]);
}

static void defaults(struct spec *s, const char *smac, const char *dmac)
{
	s->smac = s->smac ? s->smac : smac;
	s->dmac = s->dmac ? s->dmac : dmac;
}

/* The MACs that a frame has at its hook, if the row does not say. */
static void row_defaults(struct row *r)
{
	static const struct {
		const char *dev;
		const char *smac;
		const char *dmac;
	} macs[] = {
		{ "a", MAC_A, TUNNEL_MAC },
		{ "b", MAC_B, TUNNEL_MAC },
		{ "c", MAC_C, TUNNEL_MAC },
		{ "a2", MAC_A2, TUNNEL_MAC },
		{ "d", MAC_D, TUNNEL_MAC },
		{ "e", MAC_E, TUNNEL_MAC },
		{ "f", MAC_F, TUNNEL_MAC },
		{ "up0", WIRE_MAC, UPLINK_MAC },
		{ "wire0", WIRE_MAC, TUNNEL_MAC },
		{ "netd0", TUNNEL_MAC, TUNNEL_MAC },
	};

	for (size_t i = 0; i < ARRAY_LEN(macs); i++) {
		if (str_eq(macs[i].dev, r->dev))
			defaults(&r->in, macs[i].smac, macs[i].dmac);
	}
	if (!r->out.proto && !r->out.arp) {
		struct spec out = r->in;

		/* Wrapped on the way, or as it was. */
		if (r->out.vni) {
			out.vni = r->out.vni;
			out.from_vtep = r->out.from_vtep;
			out.vtep = r->out.vtep;
		}
		r->out = out;
	}
	defaults(&r->out, TUNNEL_MAC, r->in.dmac);
}

/* A driver's verdict in tc's words. */
static int verdict_of(enum program program, uint32_t retval)
{
	if (program != XDP_UPLINK)
		return (int)retval;
	return retval == XDP_PASS			    ? NOT_OURS
	       : retval == XDP_TX || retval == XDP_REDIRECT ? REDIRECT
							    : DROP;
}

/* Before 6.3 netd0 has to take the tunnel off IPv6. */
static bool opens_ipv6(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u) || sscanf(u.release, "%d.%d", &major, &minor) != 2)
		fail_msg("which kernel?");
	return major > 6 || (major == 6 && minor >= 3);
}

static bool is_for_device(const struct row *row)
{
	return row->in.vni && is_v6(&row->in) && row->program == FROM_UPLINK &&
	       !opens_ipv6();
}

static void run_row(const struct row *row)
{
	struct row r = *row;
	uint8_t in[FRAME_MAX], want[FRAME_MAX], out[FRAME_MAX + 64];
	struct __sk_buff ctx = { .ifindex = if_nametoindex(r.dev) };
	struct xdp_md xdp = { .ingress_ifindex = if_nametoindex(r.dev) };
	struct world_drops before = world_drops(&world, r.reason);
	struct world_drops after;
	size_t want_len;
	int err, verdict;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	if (is_for_device(row)) {
		r.verdict = NOT_OURS;
		r.out = (struct spec){ .proto = 0 };
	}
	row_defaults(&r);
	opts.data_size_in = (uint32_t)packet_build(&r.in, in);
	want_len = packet_build(&r.out, want);
	if (r.program == XDP_UPLINK) {
		xdp.data_end = opts.data_size_in;
		opts.ctx_in = &xdp;
		opts.ctx_size_in = sizeof(xdp);
	}
	err = bpf_prog_test_run_opts(program_fd(r.program), &opts);
	if (err)
		fail_msg("%s: cannot run: %d", r.name, err);
	after = world_drops(&world, r.reason);
	verdict = verdict_of(r.program, opts.retval);
	if (verdict != r.verdict)
		fail_msg("%s: verdict %d, not %d", r.name, verdict, r.verdict);
	if (after.all - before.all != (r.verdict == DROP))
		fail_msg("%s: %d drops counted", r.name,
			 (int)(after.all - before.all));
	if (r.verdict == DROP) {
		if (after.one - before.one != 1)
			fail_msg("%s: not for %s", r.name, r.reason);
		return;
	}
	if (r.out.vni && !r.in.vni && opts.data_size_out == want_len &&
	    !packet_settle(out))
		fail_msg("%s: outer headers are wrong", r.name);
	if (opts.data_size_out != want_len ||
	    memcmp(out, want, want_len) != 0) {
		for (size_t i = 0; i < opts.data_size_out || i < want_len; i++)
			fprintf(stderr, "%s%02zu %02x %02x",
				i % 8 ? "   " : "\n", i,
				i < opts.data_size_out ? out[i] : 0,
				i < want_len ? want[i] : 0);
		fail_msg("%s: another frame came out (byte, got, want)",
			 r.name);
	}
}

#define RUN(table)                                                             \
	static void test_##table(void **state)                                 \
	{                                                                      \
		(void)state;                                                   \
		for (size_t i = 0; i < ARRAY_LEN(table); i++)                  \
			run_row(&table[i]);                                    \
	}

RUN(rows_spoof)
RUN(rows_arp)
RUN(rows_direct)
RUN(rows_isolation)
RUN(rows_internal)
RUN(rows_guard)
RUN(rows_vip)
RUN(rows_refuse)
RUN(rows_published)
RUN(rows_node_ports)
RUN(rows_uplink)
RUN(rows_tunnel)
RUN(rows_to_overlay)
RUN(rows_from_overlay)
RUN(rows_error)
RUN(rows_error_published)
RUN(rows_size)
RUN(rows_mss)
RUN(rows_frag)
RUN(rows_nd)
RUN(rows_spoof6)
RUN(rows_extension)
RUN(rows_direct6)
RUN(rows_vip6)
RUN(rows_tunnel6)
RUN(rows_published6)
RUN(rows_entered6)
RUN(rows_error6)
RUN(rows_size6)
RUN(rows_frag6)
RUN(rows_xdp)
RUN(rows_options)
RUN(rows_lies)
RUN(rows_sums)
RUN(rows_hops)
RUN(rows_overlap)

/* What was left to netd0 has left no flow for the rows that follow. */
static void test_mesh6(void **state)
{
	if (!opens_ipv6())
		skip();
	test_rows_entered6(state);
}

/* The device is told the way, and the packet is as it was. */
static void test_slow_path(void **state)
{
	const struct row rows[] = {
		{ "to the device", FROM_POD, "a", POD_UDP(A, "10.1.1.10", 9),
		  REDIRECT },
		{ "to the stack",
		  FROM_UPLINK,
		  "up0",
		  { SEGMENT("10.1.1.10", 80, A, 1, ACK), FROM_OTHER(BLUE) },
		  NOT_OURS },
		{ "to tc",
		  XDP_UPLINK,
		  "up0",
		  { SEGMENT(CLIENT, 6000, "192.0.2.1", 8001, SYN) },
		  NOT_OURS },
	};

	(void)state;
	ebpf_fast_path(world.bpf, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run_row(&rows[i]);
	ebpf_fast_path(world.bpf, true);
}

/* A pod's connection to a VIP, on a port that is published too, is nobody's
 * else, also where no port of one address makes the driver look. */
static void test_entered(void **state)
{
	const struct row rows[] = {
		{ "from the pod",
		  FROM_POD,
		  "a",
		  { SEGMENT(A, 6004, "10.80.0.8", 8001, SYN) },
		  REDIRECT,
		  NULL,
		  { .smac = MAC_A,
		    TO_OTHER(BLUE),
		    SEGMENT(A, 6004, "10.1.1.10", 8080, SYN) } },
		{ "from outside",
		  XDP_UPLINK,
		  "up0",
		  { SEGMENT(A, 6004, "10.80.0.8", 8001, ACK) },
		  NOT_OURS },
	};
	volatile uint32_t *used = &world.bpf->skel->bss->node_ports_used;

	(void)state;
	world_frontend(&world, BLUE, "10.80.0.8", 8001, 6,
		       backend(BLUE, "10.1.1.10", 8080, "192.0.2.2"));
	*used = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run_row(&rows[i]);
	*used = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_spoof),
		cmocka_unit_test(test_rows_arp),
		cmocka_unit_test(test_rows_direct),
		cmocka_unit_test(test_rows_isolation),
		cmocka_unit_test(test_rows_internal),
		cmocka_unit_test(test_rows_guard),
		cmocka_unit_test(test_rows_vip),
		cmocka_unit_test(test_rows_refuse),
		cmocka_unit_test(test_rows_published),
		cmocka_unit_test(test_rows_node_ports),
		cmocka_unit_test(test_rows_uplink),
		cmocka_unit_test(test_rows_tunnel),
		cmocka_unit_test(test_slow_path),
		cmocka_unit_test(test_rows_to_overlay),
		cmocka_unit_test(test_rows_from_overlay),
		cmocka_unit_test(test_rows_error),
		cmocka_unit_test(test_rows_error_published),
		cmocka_unit_test(test_rows_size),
		cmocka_unit_test(test_rows_mss),
		cmocka_unit_test(test_rows_frag),
		cmocka_unit_test(test_rows_nd),
		cmocka_unit_test(test_rows_spoof6),
		cmocka_unit_test(test_rows_extension),
		cmocka_unit_test(test_rows_direct6),
		cmocka_unit_test(test_rows_vip6),
		cmocka_unit_test(test_rows_tunnel6),
		cmocka_unit_test(test_rows_published6),
		cmocka_unit_test(test_mesh6),
		cmocka_unit_test(test_rows_error6),
		cmocka_unit_test(test_rows_size6),
		cmocka_unit_test(test_rows_frag6),
		cmocka_unit_test(test_rows_xdp),
		cmocka_unit_test(test_entered),
		cmocka_unit_test(test_rows_options),
		cmocka_unit_test(test_rows_lies),
		cmocka_unit_test(test_rows_sums),
		cmocka_unit_test(test_rows_hops),
		cmocka_unit_test(test_rows_overlap),
	};

	world_enter();
	world.xdp = EBPF_XDP_ON;
	world_make(&world);
	world_v6(&world);
	sh("ip neigh add 192.0.2.2 lladdr " NEIGHBOUR_MAC " dev up0");
	if (ebpf_uplink_put(world.bpf, "up0", world.uplink))
		fail_msg("%s", ebpf_error(world.bpf));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
