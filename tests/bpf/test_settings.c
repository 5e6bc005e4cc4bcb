/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service may ask of its balancer, as its packets see it: weights,
 * backends that only finish what they have, affinity, connections of the dead.
 *
 * All backends are ports of the pod b, so that a port says who was chosen.
 */
#include "world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "load.h"
#include "netd.skel.h"
#include "packet.h"

#define VIP "10.80.0.30"
#define NODE_ADDR "192.0.2.1"

static struct world world;
static struct world *const w = &world;

/* Neither a backend's port nor nothing: the client was told by RST. */
#define RESET 0xffff

static uint16_t run(const struct bpf_program *prog, const char *dev,
		    const struct spec *s)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX + 64];
	struct __sk_buff ctx = { .ifindex = if_nametoindex(dev) };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	opts.data_size_in = (uint32_t)packet_build(s, in);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(prog), &opts),
			 0);
	if (opts.retval != 7)
		return 0;
	if (s->proto == TCP && (out[47] & RST))
		return RESET;
	if (memcmp(out + 30, "\x0a\x01\x00\x0b", 4) != 0)
		return 0;
	return (uint16_t)(out[36] << 8 | out[37]);
}

/* The port of the backend that a packet of the pod a is sent to. */
static uint16_t asked(uint8_t proto, uint16_t sport, uint16_t flags)
{
	struct spec s = { .smac = MAC_A,
			  .dmac = TUNNEL_MAC,
			  .proto = proto,
			  .src = "10.1.0.10",
			  .dst = VIP,
			  .sport = sport,
			  .dport = 80,
			  .flags = flags };

	return run(w->bpf->skel->progs.from_pod, "a", &s);
}

/* The same for the published port and a client on the wire. */
static uint16_t asked_by(const char *client, uint16_t sport)
{
	struct spec s = { .smac = WIRE_MAC,
			  .dmac = UPLINK_MAC,
			  .proto = TCP,
			  .src = client,
			  .dst = NODE_ADDR,
			  .sport = sport,
			  .dport = 8100,
			  .flags = SYN };

	return run(w->bpf->skel->progs.from_uplink, "up0", &s);
}

/* Backends with the weights of ports 1 and up; below 0: there is none. */
static void put(struct want_frontend *fe, const int *weights, size_t len)
{
	struct want_backend set[16];
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (weights[i] < 0)
			continue;
		set[n] = backend(BLUE, "10.1.0.11", (uint16_t)(i + 1), NULL);
		set[n++].weight = (uint16_t)weights[i];
	}
	OK(ebpf_frontend_put(w->bpf, fe, set, n));
}

#define PUT(fe, ...)                                                           \
	put((fe), (const int[]){ __VA_ARGS__ },                                \
	    ARRAY_LEN(((const int[]){ __VA_ARGS__ })))

static struct want_frontend vip(uint8_t proto)
{
	return (struct want_frontend){
		.vni = BLUE, .addr = ip(VIP), .port = 80, .proto = proto
	};
}

static struct want_frontend published(void)
{
	return (struct want_frontend){ .vni = BLUE,
				       .port = 8100,
				       .proto = TCP };
}

/* How often each of ports 1 to 3 is chosen by 4000 connections, all new. */
static void count(unsigned int hits[4], bool on_wire)
{
	static uint16_t port = 20000;
	uint16_t end = port + 4000;

	memset(hits, 0, 4 * sizeof(*hits));
	for (; port < end; port++) {
		uint16_t who = on_wire ? asked_by("203.0.113.7", port)
				       : asked(TCP, port, SYN);

		assert_in_range(who, 1, 3);
		hits[who]++;
	}
}

static void test_weights(void **state)
{
	struct want_frontend fe = vip(TCP), pub = published();
	unsigned int hits[4];

	(void)state;
	PUT(&fe, 10, 30, 0);
	count(hits, false);
	assert_in_range(hits[1], 850, 1150);
	assert_in_range(hits[2], 2850, 3150);
	assert_int_equal(hits[3], 0);
	PUT(&fe, 65535, 0, 1);
	count(hits, false);
	assert_in_range(hits[3], 0, 12);
	fe.maglev = true;
	PUT(&fe, 1, 3, 0);
	count(hits, false);
	assert_in_range(hits[2], 2800, 3200);
	PUT(&pub, 1, 3, 0);
	count(hits, true);
	assert_in_range(hits[1], 800, 1200);
	assert_int_equal(hits[3], 0);
	OK(ebpf_frontend_del(w->bpf, &pub));
}

/* Weight 0: what is open goes on, what begins does not, over a restart too. */
static void test_drain(void **state)
{
	struct want_frontend tcp = vip(TCP), udp = vip(UDP);

	(void)state;
	tcp.reset_dead = true;
	PUT(&tcp, 1);
	PUT(&udp, 1);
	assert_int_equal(asked(TCP, 5000, SYN), 1);
	assert_int_equal(asked(UDP, 5000, 0), 1);
	PUT(&tcp, 0, 1);
	PUT(&udp, 0, 1);
	for (int restarted = 0; restarted < 2; restarted++) {
		assert_int_equal(asked(TCP, 5000, ACK), 1);
		assert_int_equal(asked(UDP, 5000, 0), 1);
		assert_int_equal(asked(TCP, 5001, SYN), 2);
		assert_int_equal(asked(UDP, 5001, 0), 2);
		ebpf_close(w->bpf);
		world_open(w);
		OK(ebpf_audit_begin(w->bpf));
		world_tables(w);
		PUT(&tcp, 0, 1);
		PUT(&udp, 0, 1);
		OK(ebpf_audit_end(w->bpf));
	}
	/* Nobody takes what begins; a SYN of a known port begins, too. */
	PUT(&tcp, 0, 0);
	assert_int_equal(asked(TCP, 5000, ACK), 1);
	assert_int_equal(asked(TCP, 5000, SYN), RESET);
	/* Its time is over. */
	PUT(&tcp, -1, 1);
	PUT(&udp, -1, 1);
	assert_int_equal(asked(UDP, 5000, 0), 2);
}

static void test_dead(void **state)
{
	struct want_frontend fe = vip(TCP);

	(void)state;
	/* Kept, when nothing is said. */
	PUT(&fe, 1);
	assert_int_equal(asked(TCP, 5100, SYN), 1);
	PUT(&fe, -1, 1);
	assert_int_equal(asked(TCP, 5100, ACK), 1);
	/* Reset, each when it next says something. */
	fe.reset_dead = true;
	PUT(&fe, 1);
	assert_int_equal(asked(TCP, 5101, SYN), 1);
	assert_int_equal(asked(TCP, 5101, ACK), 1);
	PUT(&fe, -1, 1);
	assert_int_equal(asked(TCP, 5101, ACK), RESET);
	assert_int_equal(asked(TCP, 5101, SYN), 2);
	assert_int_equal(asked(TCP, 5101, ACK), 2);
	PUT(&fe, -1, -1);
	assert_int_equal(asked(TCP, 5101, ACK), RESET);
}

static void test_affinity_vip(void **state)
{
	struct want_frontend fe = vip(TCP), udp = vip(UDP);
	uint16_t had;

	(void)state;
	fe.affinity_s = udp.affinity_s = 600;
	PUT(&fe, 1, 1);
	had = asked(TCP, 6000, SYN);
	assert_in_range(had, 1, 2);
	/* Others come, and it stays with its own. */
	PUT(&fe, 1, 1, 1, 1, 1, 1, 1, 1);
	for (uint16_t port = 6001; port < 6050; port++)
		assert_int_equal(asked(TCP, port, SYN), had);
	/* It only finishes what it has: the client gets another, and stays. */
	PUT(&fe, had == 1 ? 0 : 1, had == 2 ? 0 : 1, 1);
	assert_int_equal(asked(TCP, 6000, ACK), had);
	assert_int_not_equal(asked(TCP, 6060, SYN), had);
	had = asked(TCP, 6061, SYN);
	PUT(&fe, 1, 1, 1);
	assert_int_equal(asked(TCP, 6062, SYN), had);
	/* UDP's own; none: refused as ever. */
	PUT(&udp, 1, 1, 1, 1);
	had = asked(UDP, 6000, 0);
	for (uint16_t port = 6001; port < 6050; port++)
		assert_int_equal(asked(UDP, port, 0), had);
	PUT(&fe, -1);
	assert_int_equal(asked(TCP, 6063, SYN), RESET);
}

static void test_affinity_ends(void **state)
{
	struct want_frontend fe = vip(TCP);
	uint16_t had;

	(void)state;
	fe.affinity_s = 1;
	PUT(&fe, 1, -1);
	had = asked(TCP, 6100, SYN);
	assert_int_equal(had, 1);
	/* Known by hash alone it would be another's with good odds. */
	PUT(&fe, 1, 65535);
	assert_int_equal(asked(TCP, 6101, SYN), 1);
	/* The second that it lasts is over. */
	usleep(1100 * 1000);
	assert_int_equal(asked(TCP, 6102, SYN), 2);
}

static void test_affinity_published(void **state)
{
	struct want_frontend fe = published();
	unsigned int hits[9] = { 0 };
	char client[32];

	(void)state;
	fe.affinity_s = 600;
	PUT(&fe, 1, 1, 1, 1, 1, 1, 1, 1);
	for (int i = 1; i < 200; i++) {
		uint16_t had;

		snprintf(client, sizeof(client), "203.0.113.%d", i);
		had = asked_by(client, 7000);
		assert_in_range(had, 1, 8);
		for (uint16_t port = 7001; port < 7005; port++)
			assert_int_equal(asked_by(client, port), had);
		hits[had]++;
	}
	for (size_t i = 1; i < ARRAY_LEN(hits); i++)
		assert_in_range(hits[i], 8, 50);
	OK(ebpf_frontend_del(w->bpf, &fe));
}

static void test_sources(void **state)
{
	struct want_frontend fe = published();
	struct ip_prefix list[2] = { net("203.0.113.0/28"),
				     net("198.51.100.7/32") };
	uint64_t denied = world_drops(w, "source_denied").one;

	(void)state;
	fe.has_sources = true;
	OK(ebpf_sources_put(w->bpf, &fe, list, 2));
	PUT(&fe, 1);
	assert_int_equal(asked_by("203.0.113.15", 8000), 1);
	assert_int_equal(asked_by("203.0.113.16", 8000), 0);
	assert_int_equal(asked_by("198.51.100.7", 8000), 1);
	assert_int_equal(asked_by("198.51.100.8", 8000), 0);
	assert_int_equal(world_drops(w, "source_denied").one, denied + 2);
	/* What is open goes on only while its source may. */
	OK(ebpf_sources_put(w->bpf, &fe, list, 1));
	assert_int_equal(asked_by("198.51.100.7", 8000), 0);
	assert_int_equal(asked_by("203.0.113.15", 8000), 1);
	/* Nobody, and everybody. */
	OK(ebpf_sources_put(w->bpf, &fe, NULL, 0));
	assert_int_equal(asked_by("203.0.113.15", 8001), 0);
	fe.has_sources = false;
	PUT(&fe, 1);
	assert_int_equal(asked_by("203.0.113.16", 8001), 1);
	OK(ebpf_frontend_del(w->bpf, &fe));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_affinity_vip),
		cmocka_unit_test(test_affinity_ends),
		cmocka_unit_test(test_affinity_published),
		cmocka_unit_test(test_sources),
	};

	world_enter();
	world_make(w);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
