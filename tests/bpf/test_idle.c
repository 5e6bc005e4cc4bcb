/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long silent connections are known, by what their service says: entries
 * of either direction as the programs write them, with clocks set back.
 */
#include "world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>

#include "load.h"
#include "netd.skel.h"
#include "packet.h"

#define CLIENT "203.0.113.7"
#define POD "10.1.0.11"
#define VIP "10.80.0.30"
#define NODE "192.0.2.1"
#define NODE6 "2001:db8::1"

/* Services: OWN says something, USUAL nothing; 8200 is published. */
#define OWN 80
#define USUAL 81
#define PUBLISHED 8200
#define ON_NODE 8201

static struct world world;
static struct world *const w = &world;

static void put(const char *addr, uint16_t port, uint8_t proto, uint32_t idle_s,
		uint32_t half_s, bool node)
{
	struct want_frontend fe = {
		.vni = BLUE,
		.port = port,
		.proto = proto,
		.idle_s = idle_s,
		.idle_half_s = half_s,
		.node = node,
	};
	struct want_backend b = backend(BLUE, POD, 8080, NULL);

	if (addr)
		fe.addr = ip(addr);
	OK(ebpf_frontend_put(w->bpf, &fe, &b, 1));
}

/* Published for clients of IPv6. */
static void put6(uint16_t port, uint32_t idle_s)
{
	struct want_frontend fe = { .vni = BLUE,
				    .port = port,
				    .proto = TCP,
				    .v6 = true,
				    .idle_s = idle_s };

	OK(ebpf_frontend_put(w->bpf, &fe, NULL, 0));
}

static void put_all(void)
{
	put(VIP, OWN, TCP, 600, 300, false);
	put(VIP, OWN, UDP, 40, 0, false);
	put(VIP, USUAL, TCP, 0, 0, false);
	put(VIP, USUAL, UDP, 0, 0, false);
	put(NULL, PUBLISHED, TCP, 432000, 0, false);
	put(NULL, ON_NODE, TCP, 60, 0, true);
	put6(PUBLISHED, 300);
}

/* A packet of CLIENT to dst, or (reverse) POD's answer to it. */
struct silent {
	const char *dst;
	uint16_t port;
	uint8_t proto;
	bool reverse;
	uint32_t state;
	uint32_t seconds;
	bool stays;
};

static struct abi_flow_key key_of(const struct silent *s)
{
	struct ip_addr client = ip(CLIENT), dst = ip(s->dst), pod = ip(POD);
	struct abi_flow_key key = { .src = abi_addr(&client),
				    .dst = abi_addr(&dst),
				    .sport = htons(4000),
				    .dport = htons(s->port),
				    .proto = s->proto,
				    .side = ABI_SIDE_FORWARD };

	if (!s->reverse)
		return key;
	key.dst = key.src;
	key.src = abi_addr(&pod);
	key.dport = key.sport;
	key.sport = htons(8080);
	key.side = ABI_SIDE_REVERSE;
	return key;
}

static uint32_t ticks_ago(uint32_t seconds)
{
	struct timespec ts;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	return (uint32_t)(ns >> ABI_TICK_SHIFT) -
	       (uint32_t)((uint64_t)seconds * 1000000000 >> ABI_TICK_SHIFT);
}

static bool stays(const struct silent *s)
{
	int fd = bpf_map__fd(w->bpf->skel->maps.established);
	struct abi_flow_key key = key_of(s);
	struct ip_addr dst = ip(s->dst), pod = ip(POD);
	struct abi_flow flow = {
		.addr = s->reverse ? abi_addr(&dst) : abi_addr(&pod),
		.port = htons(s->reverse ? s->port : 8080),
		.kind = s->reverse ? ABI_FLOW_VIP : ABI_FLOW_FORWARD,
		.state = ABI_FLOW_ESTABLISHED | s->state,
		.seen = ticks_ago(s->seconds),
	};
	bool found;

	assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_ANY), 0);
	while (ebpf_flows_age(w->bpf))
		;
	found = bpf_map_lookup_elem(fd, &key, &flow) == 0;
	bpf_map_delete_elem(fd, &key);
	return found;
}

static void check(const struct silent *rows, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (stays(&rows[i]) != rows[i].stays)
			fail_msg("row %zu: %s", i,
				 rows[i].stays ? "gone" : "still there");
}

static void test_silence(void **state)
{
	const uint32_t half = ABI_FLOW_FIN_CLIENT;
	const uint32_t both = ABI_FLOW_FIN_CLIENT | ABI_FLOW_FIN_BACKEND;
	const struct silent rows[] = {
		{ VIP, OWN, TCP, false, 0, 590, true },
		{ VIP, OWN, TCP, false, 0, 610, false },
		{ VIP, OWN, TCP, true, 0, 590, true },
		{ VIP, OWN, TCP, true, 0, 610, false },
		{ VIP, OWN, TCP, false, half, 290, true },
		{ VIP, OWN, TCP, true, half, 290, true },
		{ VIP, OWN, TCP, false, ABI_FLOW_FIN_BACKEND, 310, false },
		/* Who is through with it wants nothing kept. */
		{ VIP, OWN, TCP, false, both, 110, true },
		{ VIP, OWN, TCP, false, both, 130, false },
		{ VIP, OWN, TCP, true, ABI_FLOW_RST_BACKEND, 15, false },
		{ VIP, OWN, UDP, false, 0, 35, true },
		{ VIP, OWN, UDP, true, 0, 50, false },
		{ VIP, USUAL, TCP, false, 0, 86300, true },
		{ VIP, USUAL, TCP, true, 0, 86500, false },
		{ VIP, USUAL, TCP, false, half, 130, false },
		{ VIP, USUAL, UDP, false, 0, 110, true },
		{ VIP, USUAL, UDP, true, 0, 130, false },
		/* By whichever address of the node; five days. */
		{ NODE, PUBLISHED, TCP, false, 0, 431000, true },
		{ "192.0.2.77", PUBLISHED, TCP, true, 0, 431000, true },
		{ NODE, PUBLISHED, TCP, true, 0, 433000, false },
		/* Each family has its own. */
		{ NODE6, PUBLISHED, TCP, false, 0, 290, true },
		{ NODE6, PUBLISHED, TCP, true, 0, 310, false },
		{ NODE, ON_NODE, TCP, false, 0, 50, true },
		{ NODE, ON_NODE, TCP, true, 0, 70, false },
		/* Of a service that is not there any more. */
		{ VIP, 99, TCP, false, 0, 86300, true },
		{ VIP, 99, TCP, true, 0, 86500, false },
	};

	(void)state;
	put_all();
	check(rows, ARRAY_LEN(rows));
}

/* Another wish holds for connections that are there already. */
static void test_changed(void **state)
{
	const struct silent before = { VIP, OWN, TCP, false, 0, 700, false };
	const struct silent after = { VIP, OWN, TCP, false, 0, 700, true };

	(void)state;
	put_all();
	check(&before, 1);
	put(VIP, OWN, TCP, 800, 0, false);
	check(&after, 1);
}

/* Before a new process is told, it takes nothing for old. */
static void test_restart(void **state)
{
	const struct silent untold[] = {
		{ VIP, OWN, TCP, false, 0, 500000, true },
		{ VIP, OWN, UDP, true, 0, 500, true },
		{ VIP, OWN, TCP, true, ABI_FLOW_RST_BACKEND, 15, false },
	};
	const struct silent told = { VIP, OWN, TCP, false, 0, 610, false };

	(void)state;
	put_all();
	ebpf_close(w->bpf);
	world_open(w);
	check(untold, ARRAY_LEN(untold));
	put_all();
	check(&told, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_restart),
	};

	world_enter();
	world_make(w);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
