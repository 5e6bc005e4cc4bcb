/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs show of the packets that they drop: every hook, every
 * kind of packet, and never too much of it.
 */
#include "world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <poll.h>
#include <time.h>

#include "load.h"
#include "netd.skel.h"
#include "packet.h"

static struct world world;
static struct world *const w = &world;

/* What a turn of reading gave. */
static struct ebpf_sample got[EBPF_SAMPLES_TURN];
static size_t got_len;

static void on_sample(void *arg, const struct ebpf_sample *s)
{
	assert_ptr_equal(arg, w);
	assert_in_range(got_len, 0, ARRAY_LEN(got) - 1);
	got[got_len++] = *s;
}

static size_t read_turn(void)
{
	got_len = 0;
	ebpf_samples_read(w->bpf, on_sample, w);
	return got_len;
}

static size_t read_all(void)
{
	size_t sum = 0, n;

	while ((n = read_turn()))
		sum += n;
	return sum;
}

static bool is_readable(void)
{
	struct pollfd p = { .fd = ebpf_samples_fd(w->bpf), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

enum program { FROM_POD, TO_OVERLAY, FROM_UPLINK };

static void run(enum program program, const char *dev, const uint8_t *frame,
		size_t len, int repeat)
{
	const struct bpf_program *const progs[] = {
		[FROM_POD] = w->bpf->skel->progs.from_pod,
		[TO_OVERLAY] = w->bpf->skel->progs.to_overlay,
		[FROM_UPLINK] = w->bpf->skel->progs.from_uplink,
	};
	struct __sk_buff ctx = { .ifindex = if_nametoindex(dev) };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = (uint32_t)len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = repeat);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(progs[program]),
						&opts),
			 0);
	assert_int_equal(opts.retval, 2);
}

static void run_spec(enum program program, const char *dev,
		     const struct spec *s, int repeat)
{
	uint8_t frame[FRAME_MAX];
	size_t len = packet_build(s, frame);

	run(program, dev, frame, len, repeat);
}

#define FROM_A .smac = MAC_A, .dmac = TUNNEL_MAC, .src = "10.1.0.10"
#define FROM_WIRE .smac = WIRE_MAC, .dmac = UPLINK_MAC

static const struct row {
	const char *name;
	enum program program;
	const char *dev;
	struct spec in;
	const char *reason;
	const char *hook;
	uint8_t detail, code;
	bool fragment;
	/* Not as it went in: what is inside. */
	uint32_t vni;
} rows[] = {
	{ .name = "UDP to another network",
	  .dev = "a",
	  .in = { FROM_A, .proto = UDP, .dst = "10.2.0.10", .sport = 4000,
		  .dport = 53, .payload = 10 },
	  .reason = "isolation",
	  .hook = "from_pod" },
	{ .name = "TCP with its flags",
	  .dev = "a",
	  .in = { FROM_A, .proto = TCP, .dst = "10.1.2.10", .sport = 1,
		  .dport = 80, .flags = SYN },
	  .reason = "no_route",
	  .hook = "from_pod",
	  .detail = SYN },
	{ .name = "echo with type and code",
	  .dev = "a",
	  .in = { FROM_A, .proto = ICMP, .dst = "10.3.0.10", .flags = 0x0800 },
	  .reason = "isolation",
	  .hook = "from_pod",
	  .detail = 8 },
	{ .name = "another's address",
	  .dev = "a",
	  .in = { .smac = MAC_A,
		  .dmac = TUNNEL_MAC,
		  .proto = UDP,
		  .src = "10.1.0.11",
		  .dst = "10.1.0.1",
		  .sport = 1,
		  .dport = 2 },
	  .reason = "spoof_ip",
	  .hook = "from_pod" },
	{ .name = "another's MAC",
	  .dev = "b",
	  .in = { FROM_A, .proto = UDP, .dst = "10.1.0.1", .sport = 7 },
	  .reason = "spoof_mac",
	  .hook = "from_pod" },
	{ .name = "ARP that lies",
	  .dev = "a",
	  .in = { .smac = MAC_A,
		  .dmac = TUNNEL_MAC,
		  .arp = 1,
		  .src = "10.1.0.11",
		  .dst = "10.1.0.1" },
	  .reason = "spoof_arp",
	  .hook = "from_pod" },
	{ .name = "later fragment",
	  .dev = "a",
	  .in = { FROM_A, .proto = UDP, .dst = "10.80.0.5", .frag = 0x0010,
		  .payload = 8 },
	  .reason = "fragments",
	  .hook = "from_pod",
	  .fragment = true },
	{ .name = "host to nobody",
	  .program = TO_OVERLAY,
	  .dev = "netd0",
	  .in = { .smac = TUNNEL_MAC,
		  .dmac = TUNNEL_MAC,
		  .proto = UDP,
		  .src = "192.0.2.1",
		  .dst = "10.1.2.10",
		  .sport = 5,
		  .dport = 6 },
	  .reason = "no_route",
	  .hook = "to_overlay" },
	{ .name = "tunnel packet of a stranger",
	  .program = FROM_UPLINK,
	  .dev = "up0",
	  .in = { FROM_WIRE, .proto = UDP, .src = "192.0.2.77",
		  .dst = "192.0.2.1", .sport = 9, .dport = 4789 },
	  .reason = "not_member",
	  .hook = "from_uplink" },
	{ .name = "unknown network, seen inside",
	  .program = FROM_UPLINK,
	  .dev = "up0",
	  .in = { FROM_WIRE, .proto = UDP, .src = "10.9.0.10",
		  .dst = "10.9.0.11", .sport = 3, .dport = 4, .vni = 999,
		  .from_vtep = "192.0.2.2", .vtep = "192.0.2.1" },
	  .reason = "unknown_vni",
	  .hook = "from_uplink",
	  .vni = 999 },
};

static void check_row(const struct row *r, const struct ebpf_sample *s)
{
	struct ip_addr src = ip(r->in.src), dst = ip(r->in.dst);
	struct mac_addr smac = mac(r->in.smac);
	uint8_t frame[FRAME_MAX];
	size_t len = packet_build(&r->in, frame);
	bool ports = (r->in.proto == TCP || r->in.proto == UDP) && !r->fragment;

	assert_string_equal(s->reason, r->reason);
	assert_string_equal(s->hook, r->hook);
	assert_int_equal(s->ifindex, if_nametoindex(r->dev));
	assert_int_equal(s->len, r->vni ? len - TUNNEL_LEN : len);
	assert_int_equal(s->ethertype, r->in.arp ? 0x0806 : 0x0800);
	assert_memory_equal(&s->mac, &smac, sizeof(smac));
	assert_memory_equal(&s->src, &src, sizeof(src));
	assert_memory_equal(&s->dst, &dst, sizeof(dst));
	assert_int_equal(s->proto, r->in.proto);
	assert_int_equal(s->sport, ports ? r->in.sport : 0);
	assert_int_equal(s->dport, ports ? r->in.dport : 0);
	assert_int_equal(s->detail, r->detail);
	assert_int_equal(s->code, r->code);
	assert_int_equal(s->fragment, r->fragment);
	assert_int_equal(s->vni, r->vni);
}

static uint64_t boot_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t before = boot_now();

		assert_false(is_readable());
		print_message("           %s\n", rows[i].name);
		run_spec(rows[i].program, rows[i].dev, &rows[i].in, 1);
		assert_true(is_readable());
		assert_int_equal(read_turn(), 1);
		check_row(&rows[i], &got[0]);
		assert_in_range(got[0].time, before, boot_now());
	}
}

/* fd00::a to fd00::b, TCP from 1000 to 80. */
static void test_ipv6(void **state)
{
	uint8_t frame[14 + 40 + 20] = { [12] = 0x86, 0xdd, 0x60 };

	(void)state;
	put_mac(frame, TUNNEL_MAC);
	put_mac(frame + 6, MAC_A);
	frame[14 + 5] = 20;
	frame[14 + 6] = TCP;
	frame[14 + 8] = frame[14 + 24] = 0xfd;
	frame[14 + 23] = 0x0a;
	frame[14 + 39] = 0x0b;
	put16(frame + 54, 1000);
	put16(frame + 56, 80);
	frame[54 + 12] = 0x50;
	frame[54 + 13] = SYN;
	run(FROM_POD, "a", frame, sizeof(frame), 1);
	assert_int_equal(read_turn(), 1);
	assert_int_equal(got[0].ethertype, 0x86dd);
	assert_memory_equal(got[0].src.b, frame + 14 + 8, 16);
	assert_memory_equal(got[0].dst.b, frame + 14 + 24, 16);
	assert_int_equal(got[0].proto, TCP);
	assert_int_equal(got[0].sport, 1000);
	assert_int_equal(got[0].dport, 80);
	assert_int_equal(got[0].detail, SYN);
}

/* What says nothing of itself: cut short, tagged, of no known kind. */
static void test_bare(void **state)
{
	struct spec vlan = { FROM_A, .ethertype = 0x8100, .proto = UDP };
	struct spec runt = { FROM_A, .proto = UDP, .cut = 36 };

	(void)state;
	run_spec(FROM_POD, "a", &vlan, 1);
	assert_int_equal(read_turn(), 1);
	assert_int_equal(got[0].ethertype, 0x8100);
	assert_true(ip_is_none(&got[0].src));
	run_spec(FROM_POD, "a", &runt, 1);
	assert_int_equal(read_turn(), 1);
	assert_string_equal(got[0].reason, "runt");
	assert_int_equal(got[0].len, 36);
	assert_int_equal(got[0].proto, UDP);
	assert_int_equal(got[0].sport, 0);
}

struct tally {
	const char *reason;
	uint64_t packets, unseen;
};

static void tally_add(void *arg, const struct ebpf_drop_count *count)
{
	struct tally *t = arg;

	if (!str_eq(t->reason, count->reason))
		return;
	t->packets = count->packets;
	t->unseen = count->unseen;
}

static struct tally tally(const char *reason)
{
	struct tally t = { .reason = reason };

	ebpf_drops_each(w->bpf, tally_add, &t);
	return t;
}

#define FLOOD 100000

static const struct pod {
	const char *dev, *smac, *src;
} pods[] = {
	{ "a", MAC_A, "10.1.0.10" }, { "b", MAC_B, "10.1.0.11" },
	{ "c", MAC_C, "10.2.0.10" }, { "d", MAC_D, "10.3.0.10" },
	{ "e", MAC_E, "10.3.0.11" },
};

static void run_pod(const struct pod *pod, const char *dst, int repeat)
{
	struct spec s = { .smac = pod->smac,
			  .dmac = TUNNEL_MAC,
			  .proto = UDP,
			  .src = pod->src,
			  .dst = dst };

	run_spec(FROM_POD, pod->dev, &s, repeat);
}

/* One pod's flood is cut, and others' single packets are seen all the same. */
static void test_flood(void **state)
{
	struct tally before = tally("multicast"), after;
	uint64_t begin = boot_now(), ticks;
	size_t seen, others;

	(void)state;
	run_pod(&pods[0], "224.0.0.251", FLOOD);
	seen = read_all();
	after = tally("multicast");
	ticks = ((boot_now() - begin) >> ABI_TICK_SHIFT) + 2;
	assert_int_equal(after.packets - before.packets, FLOOD);
	assert_int_equal(seen + after.unseen - before.unseen, FLOOD);
	assert_in_range(seen, 1, ticks * ABI_LANE_SAMPLES * 2);

	for (size_t i = 1; i < ARRAY_LEN(pods); i++)
		run_pod(&pods[i], "224.0.0.251", 1);
	others = read_all();
	/* One may have the lane that the flood fills. */
	assert_in_range(others, ARRAY_LEN(pods) - 2, ARRAY_LEN(pods) - 1);
}

/* More than a turn reads, and what nobody read when netd began anew. */
static void test_turns(void **state)
{
	struct tally before[2] = { tally("multicast"), tally("isolation") };
	uint64_t packets, unseen;
	size_t first, rest;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
		run_pod(&pods[i], "224.0.0.251", 1000);
		run_pod(&pods[i], i < 2 ? "10.3.0.9" : "10.1.0.9", 1000);
	}
	first = read_turn();
	assert_int_equal(first, EBPF_SAMPLES_TURN);
	assert_true(is_readable());
	ebpf_close(w->bpf);
	world_open(w);
	OK(ebpf_audit_begin(w->bpf));
	world_tables(w);
	OK(ebpf_audit_end(w->bpf));
	rest = read_all();
	assert_int_not_equal(rest, 0);
	assert_false(is_readable());
	packets = tally("multicast").packets - before[0].packets +
		  tally("isolation").packets - before[1].packets;
	unseen = tally("multicast").unseen - before[0].unseen +
		 tally("isolation").unseen - before[1].unseen;
	assert_int_equal(packets, 2000 * ARRAY_LEN(pods));
	assert_int_equal(first + rest + unseen, packets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields), cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_bare),   cmocka_unit_test(test_flood),
		cmocka_unit_test(test_turns),
	};

	world_enter();
	world_make(w);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
