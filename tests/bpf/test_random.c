/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that nobody would send, 100,000 through each program (a million with
 * NETD_LONG=1): real ones with bytes changed, cut, of any protocol and of both
 * families. Whatever
 * they are, a program answers with one of its verdicts, counts each drop once
 * under its reason, and lets nothing pass that is not its sender's.
 *
 * NETD_SEED repeats a run.
 */
#include "world6.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <time.h>

#include "keyed.skel.h"
#include "load.h"
#include "netd.skel.h"
#include "packet.h"

#define PASS 0
#define DROP 2
#define REDIRECT 7
#define NOT_OURS (-1)

static struct world world;
static struct world *const w = &world;
static uint64_t seed;

/* xorshift64*: the same everywhere for one seed. */
static uint32_t draw(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * UINT64_C(2685821657736338717)) >> 32);
}

static const char *pick(const char *const *list, size_t len)
{
	return list[draw() % len];
}

#define PICK(...)                                                              \
	pick((const char *const[]){ __VA_ARGS__ },                             \
	     ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

static const char *any_address(void)
{
	return PICK("10.1.0.10", "10.1.0.11", "10.1.0.1", "10.1.1.10",
		    "10.1.2.3", "10.2.0.10", "10.2.0.11", "10.3.0.10",
		    "10.80.0.5", "10.80.0.7", "10.80.0.8", "10.80.0.9",
		    "10.80.4.1", "192.0.2.1", "192.0.2.2", "198.51.100.1",
		    "198.51.100.2", "192.0.2.8", "192.0.2.9", "203.0.113.50",
		    "203.0.113.5", "0.0.0.0", "127.0.0.1", "224.0.0.1",
		    "255.255.255.255", "169.254.1.1");
}

static const char *any_address6(void)
{
	return PICK(A6, B6, GATEWAY6, THERE6, "fd00:1::203", D6, E6, F6,
		    "fd00:6::1", "fd00:80::5", "fd00:80::6", "fd00:80::7",
		    "fd00:80::8", "fd00:80::9", "fd00:86::1", NODE6, OTHER6,
		    STORE6, CLIENT6, OUTSIDE6, "::", "::1", "ff02::1",
		    "ff02::1:ff00:1", "fe80::1", "::ffff:10.1.0.10",
		    "2001:db8::fe");
}

static uint16_t any_port(void)
{
	static const uint16_t ports[] = { 0,	22,   53,   67,	  68,	80,
					  443,	547,  2379, 2380, 4789, 5353,
					  8000, 8001, 8002, 8003, 8004, 8006,
					  8080, 9000, 65535 };

	return draw() % 4 ? ports[draw() % ARRAY_LEN(ports)] : (uint16_t)draw();
}

static struct spec any_packet(void)
{
	static const uint8_t protos[] = { TCP, TCP, UDP, UDP, ICMP,
					  4,   41,  47,	 50,  132 };
	static const uint16_t bits[] = { 0,	 0,	 0,	 0,
					 0x2000, 0x2001, 0x0001, 0x0002,
					 0x1fff, 0x4000, 0x8000 };
	static const uint16_t types[] = { 0x0800, 0x0000, 0x0303, 0x0304,
					  0x0b00, 0x0c00, 0x0501, 0x0d00 };
	struct spec s = {
		.proto = protos[draw() % ARRAY_LEN(protos)],
		.src = any_address(),
		.dst = any_address(),
		.sport = any_port(),
		.dport = any_port(),
		.flags = (uint16_t)(draw() & 0x3f),
		.seq = draw(),
		.ack = draw(),
		.frag = bits[draw() % ARRAY_LEN(bits)],
		.id = (uint16_t)(draw() % 8),
		.ttl = (uint8_t)draw(),
		.payload = (uint16_t)(draw() % 64),
		.mss = draw() % 8 ? 0 : (uint16_t)draw(),
	};

	if (s.proto == ICMP)
		s.flags = types[draw() % ARRAY_LEN(types)];
	if (draw() % 16 == 0)
		s.arp = (uint16_t)(draw() % 4);
	if (draw() % 16 == 0)
		s.version_ihl = (uint8_t)draw();
	if (draw() % 32 == 0)
		s.ethertype = (uint16_t[]){ 0x8100, 0x88a8, 0x86dd, 0x8847,
					    0x0806 }[draw() % 5];
	return s;
}

/* The same of IPv6, some of it with headers of its own. */
static struct spec any_packet6(void)
{
	static const uint8_t protos[] = { TCP,	 TCP,  UDP, UDP, ICMP6,
					  ICMP6, ICMP, 41,  44,	 59 };
	static const uint16_t types[] = { 0x8000, 0x8100, 0x0104, 0x0200,
					  0x0300, 0x0401, 0x8700, 0x8700,
					  0x8800, 0x8500, 0x8600, 0x8f00 };
	static const uint8_t headers[] = { 0, 43, 44, 51, 60, 135 };
	struct spec s = any_packet();

	s.src = any_address6();
	s.dst = any_address6();
	s.arp = 0;
	s.proto = protos[draw() % ARRAY_LEN(protos)];
	if (draw() % 16 == 0)
		s.extension = 0x100 | headers[draw() % ARRAY_LEN(headers)];
	if (s.proto != ICMP6)
		return s;
	s.flags = types[draw() % ARRAY_LEN(types)];
	if (s.flags != 0x8700 && s.flags != 0x8800)
		return s;
	s.frag = draw() % 8 ? 0 : s.frag;
	s.ttl = draw() % 4 ? 255 : s.ttl;
	s.nd_target = any_address6();
	s.nd_mac = PICK(MAC_A, MAC_A, MAC_B, TUNNEL_MAC, NULL);
	return s;
}

static void encapsulate(struct spec *s)
{
	static const uint32_t vnis[] = { BLUE,	   RED,	     DARK, 999,
					 0xfffffe, 0xffffff, 1,	   SIX };

	s->vni = vnis[draw() % ARRAY_LEN(vnis)];
	s->from_vtep = draw() % 4 ? "192.0.2.2" : any_address();
	s->vtep = draw() % 8 ? "192.0.2.1" : any_address();
	s->outer_tos = (uint8_t)draw();
	s->outer_flags = draw() % 8 ? 0 : draw();
	s->outer_frag = draw() % 16 ? 0 : 0x2000;
}

struct hook {
	const char *name;
	const struct bpf_program *prog;
	const char *dev;
	const char *smac;
	const char *dmac;
	/* Whose address most have. */
	const char *src;
	const char *src6;
	bool tunnel;
	/* Out of the tunnel, with a VNI and a sender. */
	bool keyed;
	/* What it may say. */
	int verdicts[4];
	size_t verdicts_len;
};

/* One that a sender might have made, with some of its bytes changed. */
static size_t any_frame(const struct hook *h, uint8_t *frame)
{
	bool v6 = draw() % 2;
	struct spec quoted = v6 ? any_packet6() : any_packet();
	struct spec s = v6 ? any_packet6() : any_packet();
	size_t len;

	s.smac = draw() % 16 ? h->smac : MAC_B;
	s.dmac = h->dmac;
	if (draw() % 4)
		s.src = v6 ? h->src6 : h->src;
	if (h->keyed && draw() % 2)
		s.dst = v6 ? PICK(A6, B6, D6, F6)
			   : PICK("10.1.0.10", "10.1.0.11", "10.2.0.10",
				  "10.3.0.10");
	if (v6 ? s.proto == ICMP6 && s.flags < 0x8000
	       : s.proto == ICMP && s.flags > 0x0800 - 1 - 0x0500)
		s.quote = &quoted;
	if (h->tunnel && draw() % 2)
		encapsulate(&s);
	len = packet_build(&s, frame);
	for (uint32_t i = draw() % 4; i > 0; i--)
		frame[draw() % len] = (uint8_t)draw();
	if (draw() % 8 == 0)
		len = 14 + draw() % (len - 14 + 1);
	return len;
}

static bool has_verdict(const struct hook *h, int verdict)
{
	for (size_t i = 0; i < h->verdicts_len; i++) {
		if (h->verdicts[i] == verdict)
			return true;
	}
	return false;
}

/* As that link it may ask for neighbours by an address of its own making. */
static void check_pod6(const uint8_t *frame, size_t len)
{
	uint8_t src[16];

	assert_true(len >= 54);
	put_ip6(src, A6);
	if (frame[20] == ICMP6 && frame[54] == 135) {
		assert_int_equal(frame[21], 255);
		if (frame[22] == 0xfe)
			return;
	}
	assert_memory_equal(frame + 22, src, sizeof(src));
}

/* Pod a has an address on each of two networks, and one MAC on this link. */
static void check_pod(const uint8_t *frame, size_t len)
{
	static const uint8_t smac[] = { 0x02, 0, 0x0a, 0x01, 0, 0x0a };
	uint32_t src = 0;

	assert_memory_equal(frame + 6, smac, sizeof(smac));
	if (frame[12] == 0x86 && frame[13] == 0xdd) {
		check_pod6(frame, len);
		return;
	}
	if (frame[12] == 0x08 && frame[13] == 0x06) {
		memcpy(&src, frame + 28, 4);
	} else {
		assert_int_equal(frame[12] << 8 | frame[13], 0x0800);
		assert_true(len >= 34);
		memcpy(&src, frame + 26, 4);
	}
	assert_true(src == inet_addr("10.1.0.10") ||
		    src == inet_addr("10.2.0.11"));
}

/* To the tunnel's port here, whole, from who is no node: it ends here. */
static void check_tunnel(const uint8_t *frame, size_t len)
{
	uint32_t src, dst;

	if (len < 42 || frame[14] != 0x45 || frame[23] != UDP ||
	    (frame[20] & 0x3f) || frame[21] ||
	    (frame[36] << 8 | frame[37]) != 4789)
		return;
	memcpy(&src, frame + 26, 4);
	memcpy(&dst, frame + 30, 4);
	assert_true(dst != inet_addr("192.0.2.1") ||
		    src == inet_addr("192.0.2.2"));
}

/* The same of IPv6; of its network, and not the gateway, or the node. */
static void check_overlay6(const uint8_t *frame, uint32_t vni)
{
	uint8_t node[16], gateway[16];

	put_ip6(node, OTHER6);
	if (vni == 0xfffffe || vni == 0xffffff ||
	    !memcmp(frame + 22, node, sizeof(node)))
		return;
	put_ip6(gateway, vni == BLUE   ? GATEWAY6
			 : vni == DARK ? "fd00:3::1"
				       : "fd00:6::1");
	assert_true(vni == BLUE || vni == DARK || vni == SIX);
	assert_memory_equal(frame + 22, gateway, 8);
	assert_memory_not_equal(frame + 22, gateway, sizeof(gateway));
}

static bool in_net(uint32_t addr, const char *net)
{
	return (ntohl(addr) & 0xffff0000) == ntohl(inet_addr(net));
}

/*
 * What the tunnel brings is a node's, in a network this node knows or in the
 * mesh, and of a network its inner source is of that network or that node.
 */
static void check_overlay(const uint8_t *frame, const struct __sk_buff *ctx)
{
	static const struct {
		uint32_t vni;
		const char *net;
		const char *gateway;
	} nets[] = { { BLUE, "10.1.0.0", "10.1.0.1" },
		     { RED, "10.2.0.0", "10.2.0.1" },
		     { DARK, "10.3.0.0", "10.3.0.1" },
		     /* It has none. */
		     { SIX, "240.0.0.0", "240.0.0.1" } };
	uint32_t src;

	assert_int_equal(ctx->priority, ntohl(inet_addr("192.0.2.2")));
	if (frame[12] == 0x86 && frame[13] == 0xdd) {
		check_overlay6(frame, ctx->mark);
		return;
	}
	assert_int_equal(frame[12] << 8 | frame[13], 0x0800);
	if (ctx->mark == 0xfffffe || ctx->mark == 0xffffff)
		return;
	memcpy(&src, frame + 26, 4);
	for (size_t i = 0; i < ARRAY_LEN(nets); i++) {
		if (nets[i].vni != ctx->mark)
			continue;
		assert_int_not_equal(src, inet_addr(nets[i].gateway));
		assert_true(in_net(src, nets[i].net) ||
			    src == inet_addr("192.0.2.2") ||
			    src == inet_addr("198.51.100.2"));
		return;
	}
	fail_msg("a packet of VNI %u passed", ctx->mark);
}

static void dump(const uint8_t *frame, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, "%s%02x", i % 16 ? " " : "\n", frame[i]);
	fputc('\n', stderr);
}

static void any_key(struct __sk_buff *ctx)
{
	static const uint32_t vnis[] = { BLUE, BLUE,	 RED,	   DARK,
					 999,  0xfffffe, 0xffffff, SIX };
	const char *sender = draw() % 8 ? "192.0.2.2" : any_address();

	ctx->mark = vnis[draw() % ARRAY_LEN(vnis)];
	ctx->priority = ntohl(inet_addr(sender));
}

static void run(const struct hook *h)
{
	const char *longer = getenv("NETD_LONG");
	uint32_t frames = longer && *longer ? 1000000 : 100000;
	uint8_t in[FRAME_MAX], out[FRAME_MAX + 256];
	struct __sk_buff ctx = { .ifindex = if_nametoindex(h->dev) };
	struct world_drops before = world_drops(w, NULL), after;
	uint64_t dropped = 0, passed = 0;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_out = out,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	printf("%s: seed %llu\n", h->name, (unsigned long long)seed);
	for (uint32_t i = 0; i < frames; i++) {
		size_t len = any_frame(h, in);

		opts.data_size_in = (uint32_t)len;
		opts.data_size_out = sizeof(out);
		if (h->keyed)
			any_key(&ctx);
		/* The kernel takes no frame without its Ethernet header. */
		if (bpf_prog_test_run_opts(bpf_program__fd(h->prog), &opts))
			continue;
		if (!has_verdict(h, (int)opts.retval)) {
			dump(in, len);
			fail_msg("%s: verdict %d", h->name, (int)opts.retval);
		}
		dropped += opts.retval == DROP;
		passed += opts.retval != DROP;
		if (opts.retval != DROP && str_eq(h->dev, "a"))
			check_pod(in, len);
		if (opts.retval == REDIRECT && h->tunnel)
			check_tunnel(in, len);
		if (opts.retval != DROP && h->keyed)
			check_overlay(in, &ctx);
	}
	after = world_drops(w, NULL);
	printf("%s: %llu dropped, %llu not\n", h->name,
	       (unsigned long long)dropped, (unsigned long long)passed);
	assert_int_equal(after.all - before.all, dropped);
	/* The frames are no noise: both happen, and often. */
	assert_true(dropped > frames / 100 && passed > frames / 100);
}

static void test_from_pod(void **state)
{
	(void)state;
	run(&(struct hook){ "from_pod",
			    w->bpf->skel->progs.from_pod,
			    "a",
			    MAC_A,
			    TUNNEL_MAC,
			    "10.1.0.10",
			    A6,
			    false,
			    false,
			    { DROP, REDIRECT },
			    2 });
}

static void test_from_uplink(void **state)
{
	(void)state;
	run(&(struct hook){ "from_uplink",
			    w->bpf->skel->progs.from_uplink,
			    "up0",
			    WIRE_MAC,
			    UPLINK_MAC,
			    "203.0.113.50",
			    CLIENT6,
			    true,
			    false,
			    { NOT_OURS, DROP, REDIRECT },
			    3 });
}

static void test_to_overlay(void **state)
{
	(void)state;
	run(&(struct hook){ "to_overlay",
			    w->bpf->skel->progs.to_overlay,
			    "netd0",
			    TUNNEL_MAC,
			    TUNNEL_MAC,
			    "192.0.2.1",
			    NODE6,
			    false,
			    false,
			    { PASS, DROP, REDIRECT },
			    3 });
}

static void test_from_overlay(void **state)
{
	int next = bpf_program__fd(w->bpf->skel->progs.from_overlay);
	struct keyed_bpf *keyed = keyed_bpf__open_and_load();
	uint32_t zero = 0;

	(void)state;
	assert_non_null(keyed);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(keyed->maps.next),
					     &zero, &next, BPF_ANY),
			 0);
	run(&(struct hook){ "from_overlay",
			    keyed->progs.keyed,
			    "netd0",
			    PEER_MAC,
			    TUNNEL_MAC,
			    "10.1.1.10",
			    THERE6,
			    false,
			    true,
			    { PASS, DROP, REDIRECT },
			    3 });
	keyed_bpf__destroy(keyed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_pod),
		cmocka_unit_test(test_from_uplink),
		cmocka_unit_test(test_to_overlay),
		cmocka_unit_test(test_from_overlay),
	};
	const char *again = getenv("NETD_SEED");

	seed = again ? strtoull(again, NULL, 10) : (uint64_t)time(NULL);
	seed = seed ? seed : 1;
	world_enter();
	world_make(&world);
	world_v6(&world);
	sh("ip route add default via 192.0.2.254");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
