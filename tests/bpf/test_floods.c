/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Established connections under floods: a table of 100,000 entries with
 * 50,000 connections' worth taken, half of them silent, then packets from
 * invented addresses, one, two and three of each. None of the established is
 * lost, and new clients are served.
 *
 * The programs are run on frames (BPF_PROG_RUN), clients at the uplink and
 * the backend at pod b; clocks are the kernel's. NETD_LONG=1 floods with a
 * million addresses, otherwise with a tenth.
 */
#include "clients.h"

/* Two entries each. */
#define ROOM 100000
#define CONNECTIONS 25000
#define CLIENTS 2000

/* What the table of established connections has. */
static uint64_t established(void)
{
	while (ebpf_flows_age(w->bpf))
		;
	return ebpf_flows(w->bpf).established;
}

static bool entry(const struct tuple *t, struct abi_flow *flow)
{
	struct ip_addr client = ip(t->addr), node = ip(NODE);
	struct abi_flow_key key = { .src = abi_addr(&client),
				    .dst = abi_addr(&node),
				    .sport = htons(t->port),
				    .dport = htons(8000),
				    .proto = TCP };

	return bpf_map_lookup_elem(bpf_map__fd(w->bpf->skel->maps.established),
				   &key, flow) == 0;
}

static void put_entry(const struct tuple *t, const struct abi_flow *flow)
{
	struct ip_addr client = ip(t->addr), node = ip(NODE);
	struct abi_flow_key key = { .src = abi_addr(&client),
				    .dst = abi_addr(&node),
				    .sport = htons(t->port),
				    .dport = htons(8000),
				    .proto = TCP };

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(w->bpf->skel->maps.established),
				    &key, flow, BPF_EXIST),
		0);
}

static void empty(void)
{
	int fd = bpf_map__fd(w->bpf->skel->maps.established);
	struct abi_flow_key key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		bpf_map_delete_elem(fd, &key);
	assert_int_equal(established(), 0);
}

static void test_becomes_established(void **state)
{
	const struct tuple t = tuple(20, 1), blind = tuple(20, 2),
			   silent = tuple(20, 3);
	struct abi_flow flow;

	(void)state;
	assert_true(ask(&t, SYN, 0));
	assert_int_equal(established(), 0);
	assert_true(answer(&t, SYN | ACK, ISN));
	assert_int_equal(established(), 0);
	assert_true(ask(&t, ACK, ISN + 1));
	assert_int_equal(established(), 2);
	assert_true(entry(&t, &flow));

	/* Who does not see the answers guesses wrong. */
	assert_true(ask(&blind, SYN, 0));
	assert_true(answer(&blind, SYN | ACK, ISN));
	assert_true(ask(&blind, ACK, ISN + (1u << 21)));
	assert_true(ask(&blind, ACK, 1));
	assert_true(ask(&blind, ACK, ISN - 1));
	/* Nobody answered. */
	assert_true(ask(&silent, SYN, 0));
	assert_true(ask(&silent, ACK, 1));
	assert_int_equal(established(), 2);
}

/* An established connection that is closed by both, and opened again. */
static void test_closing(void **state)
{
	const struct tuple t = tuple(20, 10);
	struct abi_flow flow;

	(void)state;
	empty();
	assert_true(handshake(&t));
	assert_true(ask(&t, FIN | ACK, ISN + 1));
	assert_true(entry(&t, &flow));
	assert_int_equal(flow.state & ABI_FLOW_CLOSING, ABI_FLOW_FIN_CLIENT);
	assert_true(answer(&t, FIN | ACK, ISN + 1));
	assert_true(entry(&t, &flow));
	assert_int_equal(flow.state & ABI_FLOW_CLOSING,
			 ABI_FLOW_FIN_CLIENT | ABI_FLOW_FIN_BACKEND);
	assert_int_equal(established(), 2);

	assert_true(ask(&t, SYN, 0));
	assert_int_equal(established(), 0);
	assert_true(answer(&t, SYN | ACK, ISN * 3));
	assert_true(ask(&t, ACK, ISN * 3 + 1));
	assert_int_equal(established(), 2);
	assert_true(entry(&t, &flow));
	assert_int_equal(flow.state & ABI_FLOW_CLOSING, 0);
	/* On one that is open a SYN changes nothing. */
	assert_true(ask(&t, SYN, 0));
	assert_int_equal(established(), 2);
}

static void test_reset(void **state)
{
	const struct tuple t = tuple(20, 20), stray = tuple(20, 21);
	struct abi_flow_key key;
	struct abi_flow flow;
	int fd = bpf_map__fd(w->bpf->skel->maps.flows);

	(void)state;
	empty();
	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		bpf_map_delete_elem(fd, &key);
	/* Alone it is passed on, and leaves nothing. */
	assert_true(ask(&stray, RST, 0));
	assert_int_equal(bpf_map_get_next_key(fd, NULL, &key), -ENOENT);

	assert_true(handshake(&t));
	assert_true(ask(&t, RST, 0));
	assert_true(entry(&t, &flow));
	assert_int_equal(flow.state & ABI_FLOW_CLOSING, ABI_FLOW_RST_CLIENT);
	/* The backend goes on: it was somebody else's. */
	assert_true(answer(&t, ACK, ISN + 1));
	assert_true(entry(&t, &flow));
	assert_int_equal(flow.state & ABI_FLOW_CLOSING, 0);
	assert_true(answer(&t, RST | ACK, ISN + 1));
	assert_true(entry(&t, &flow));
	assert_int_equal(flow.state & ABI_FLOW_CLOSING, ABI_FLOW_RST_BACKEND);
}

/* As if the last packet had come so many seconds ago. */
static void age_of(const struct tuple *t, uint32_t state, uint32_t seconds,
		   bool stays)
{
	struct abi_flow flow;

	assert_true(handshake(t));
	assert_true(entry(t, &flow));
	flow.state |= state;
	flow.seen -=
		(uint32_t)(((uint64_t)seconds * 1000000000) >> ABI_TICK_SHIFT);
	put_entry(t, &flow);
	established();
	if (entry(t, &flow) != stays)
		fail_msg("state %x after %u s: %s", state, seconds,
			 stays ? "gone" : "still there");
}

static void test_ages(void **state)
{
	static const struct {
		uint32_t state;
		uint32_t seconds;
		bool stays;
	} rows[] = {
		{ 0, 0, true },
		{ 0, 3600, true },
		{ 0, 86300, true },
		{ 0, 86500, false },
		{ ABI_FLOW_FIN_CLIENT, 100, true },
		{ ABI_FLOW_FIN_BACKEND, 130, false },
		{ ABI_FLOW_FIN_CLIENT | ABI_FLOW_FIN_BACKEND, 130, false },
		{ ABI_FLOW_RST_CLIENT, 100, true },
		{ ABI_FLOW_RST_CLIENT, 130, false },
		{ ABI_FLOW_RST_BACKEND, 5, true },
		{ ABI_FLOW_RST_BACKEND, 15, false },
	};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tuple t = tuple(21, i);

		age_of(&t, rows[i].state, rows[i].seconds, rows[i].stays);
	}
}

/* A datagram's client has to go on for a while; its backend may change. */
static void test_udp(void **state)
{
	const struct spec asks = { .smac = WIRE_MAC,
				   .dmac = UPLINK_MAC,
				   .proto = UDP,
				   .src = "203.0.113.7",
				   .sport = 5,
				   .dst = NODE,
				   .dport = 8003 };
	const struct spec answers = { .smac = MAC_C,
				      .dmac = TUNNEL_MAC,
				      .proto = UDP,
				      .src = "10.2.0.10",
				      .sport = 5353,
				      .dst = "203.0.113.7",
				      .dport = 5 };
	const struct bpf_program *in = w->bpf->skel->progs.from_uplink;
	uint32_t dst = 0;

	(void)state;
	empty();
	for (int i = 0; i < 5; i++) {
		assert_true(run(in, w->uplink, &asks, &dst));
		assert_int_equal(run(w->bpf->skel->progs.from_pod,
				     pod_link("c"), &answers, &dst),
				 inet_addr(NODE));
	}
	assert_int_equal(established(), 0);
	for (int i = 0; i < 60 && !established(); i++) {
		usleep(100000);
		assert_true(run(in, w->uplink, &asks, &dst));
	}
	assert_int_equal(established(), 2);

	world_frontend(w, BLUE, NULL, 8003, 17,
		       backend(BLUE, "10.1.0.10", 53, NULL));
	assert_true(run(in, w->uplink, &asks, &dst));
	assert_int_equal(dst, inet_addr("10.1.0.10"));
	world_frontend(w, RED, NULL, 8003, 17,
		       backend(RED, "10.2.0.10", 5353, NULL));
}

/* Packets of invented clients, `each` of one; the backend answers SYNs. */
static void flood(uint32_t net, uint32_t clients, int each)
{
	for (uint32_t i = 0; i < clients; i++) {
		const struct tuple t = tuple(net + (i >> 24), i);

		ask(&t, SYN, 0);
		if (each > 1) {
			answer(&t, SYN | ACK, i * 2654435761u);
			ask(&t, ACK, i);
		}
		if (each > 2)
			ask(&t, ACK | PSH, i + 1);
	}
}

static void test_floods(void **state)
{
	const char *longer = getenv("NETD_LONG");
	uint32_t clients = longer && *longer ? 1000000 : 100000;
	uint64_t served = 0;

	(void)state;
	empty();
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		const struct tuple t = tuple(30, i);

		assert_true(handshake(&t));
	}
	assert_int_equal(established(), 2 * CONNECTIONS);
	for (int each = 1; each <= 3; each++) {
		flood(40 + (uint32_t)each * 10, clients, each);
		/* Half of them speak in between. */
		for (uint32_t i = 0; i < CONNECTIONS; i += 2) {
			const struct tuple t = tuple(30, i);

			assert_true(answer(&t, ACK, ISN + 1));
			assert_true(ask(&t, ACK, ISN + 1));
		}
	}
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		const struct tuple t = tuple(30, i);

		/* The backend speaks first: nothing makes its entry again. */
		if (!answer(&t, ACK, ISN + 1))
			fail_msg("connection %u is lost", i);
	}
	/* New clients in the midst of it. */
	for (uint32_t i = 0; i < CLIENTS; i++) {
		const struct tuple t = tuple(90, i);
		bool ok;

		ok = ask(&t, SYN, 0) && answer(&t, SYN | ACK, ISN);
		flood(91, 20, 3);
		ok = ok && ask(&t, ACK, ISN + 1) &&
		     answer(&t, ACK | PSH, ISN + 1) && ask(&t, ACK, ISN + 2);
		served += ok;
	}
	printf("flooded with %u addresses x 1, 2, 3: %llu of %d new clients "
	       "served, %llu entries\n",
	       clients, (unsigned long long)served, CLIENTS,
	       (unsigned long long)established());
	assert_true(served * 100 >= 99 * CLIENTS);
}

/* What does not fit stays in the other table, works, and is counted. */
static void test_full(void **state)
{
	uint64_t before = ebpf_flows(w->bpf).full;
	struct tuple t;
	uint32_t i;

	(void)state;
	empty();
	for (i = 0; i < ROOM; i++) {
		t = tuple(100, i);
		assert_true(handshake(&t));
		if (ebpf_flows(w->bpf).full > before)
			break;
	}
	assert_in_range(i, ROOM / 2 - 1, ROOM / 2 + 1);
	assert_true(answer(&t, ACK, ISN + 1));
	assert_true(ask(&t, ACK, ISN + 2));
	assert_in_range(established(), ROOM - 1, ROOM);
	/* Room again: it moves with its next packet. */
	t = tuple(100, 0);
	assert_true(answer(&t, RST, ISN + 1));
	empty();
	t = tuple(100, i);
	assert_true(ask(&t, ACK, ISN + 2));
	assert_int_equal(established(), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_becomes_established),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_full),
	};

	world_enter();
	world.flows_max = ROOM;
	world_make(&world);
	/* Answers have a way out. */
	sh("ip route add default via 192.0.2.254");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
