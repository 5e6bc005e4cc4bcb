/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balancer - nanoseconds that the balancer takes for a packet to a VIP, from
 * its headers to the packet translated: of one flow, and of 262,144 drawn at
 * random, to 10 services of 25 backends, where there are these or 10,000.
 *
 *   balancer ROUNDS RUNS
 *
 * Connections are established, as nearly all packets' are. Prints lines `NAME
 * NS`, without what writing the packet costs, for each round: hot-few and
 * hot-many, random-few and random-many, and random-all, whose flows go to all
 * of the many.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "load.h"
#include "room.h"

#include "balancer.skel.h"
#include "netd.skel.h"

#define FLOWS (1u << 18)
/* How many at once become established: all of them fit into the LRU. */
#define FILL (1u << 15)
#define DRAWN UINT32_MAX
#define FEW 10u
#define MANY 10000u

struct bench {
	struct ebpf *bpf;
	struct balancer_bpf *skel;
};

/* The room's own maps, by their pins; its constants, too. */
static struct balancer_bpf *open_programs(struct ebpf *bpf)
{
	struct balancer_bpf *skel = balancer_bpf__open();
	struct bpf_map *map, *own;

	if (!skel)
		room_die("programs", strerror(errno));
	bpf_object__for_each_map(map, skel->obj)
	{
		own = bpf_object__find_map_by_name(bpf->skel->obj,
						   bpf_map__name(map));
		if (own && !bpf_map__is_internal(map) &&
		    bpf_map__reuse_fd(map, bpf_map__fd(own)))
			room_die(bpf_map__name(map), strerror(errno));
	}
	memcpy(&skel->rodata->config, &bpf->skel->rodata->config,
	       sizeof(skel->rodata->config));
	if (balancer_bpf__load(skel))
		room_die("programs", "the kernel does not take them");
	return skel;
}

static double run(const struct bpf_program *prog, uint32_t times)
{
	uint8_t frame[64] = { [12] = 0x08 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = sizeof(frame), .repeat = (int)times);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		room_die("run", strerror(errno));
	return opts.duration;
}

/* What the programs have noted as new becomes established, used just now. */
static void establish(struct bench *b)
{
	static struct abi_flow_key keys[FILL * 2];
	static struct abi_flow values[FILL * 2];
	int from = bpf_map__fd(b->bpf->skel->maps.flows);
	int to = bpf_map__fd(b->bpf->skel->maps.established);
	uint64_t now = (uint64_t)room_now(CLOCK_MONOTONIC) * 1000000000u;
	uint32_t len = ARRAY_LEN(keys), at;
	int err = bpf_map_lookup_and_delete_batch(from, NULL, &at, keys, values,
						  &len, NULL);

	if (err && err != -ENOENT)
		room_die("flows", strerror(-err));
	for (uint32_t i = 0; i < len; i++) {
		values[i].state |= ABI_FLOW_ESTABLISHED;
		values[i].seen = (uint32_t)(now >> ABI_TICK_SHIFT);
	}
	err = bpf_map_update_batch(to, keys, values, &len, NULL);
	if (err)
		room_die("established", strerror(-err));
}

/* Every flow to so many services. */
static void fill(struct bench *b, uint32_t services)
{
	b->skel->data->services_len = services;
	b->skel->data->tcp_flags = 0x02;
	for (uint32_t k = 0; k < FLOWS; k += FILL) {
		b->skel->data->next_flow = k;
		run(b->skel->progs.balance, FILL);
		establish(b);
	}
	b->skel->data->tcp_flags = 0x10;
	b->skel->data->next_flow = DRAWN;
}

static void measure(struct bench *b, const char *name, uint32_t services,
		    uint32_t flows, uint32_t runs)
{
	double empty, full;

	b->skel->data->services_len = services;
	b->skel->data->flows_len = flows;
	empty = run(b->skel->progs.empty, runs);
	full = run(b->skel->progs.balance, runs);
	printf("%s %.0f\n", name, full - empty);
}

/* Room for flows to few of the services, and to all of them. */
static void begin(struct bench *b, const char *pin_dir, uint32_t services)
{
	b->bpf = room_open(pin_dir, FLOWS * 5);
	b->skel = open_programs(b->bpf);
	room_services(b->bpf, 0, services);
	fill(b, FEW);
	if (services > FEW)
		fill(b, services);
}

static void end(struct bench *b)
{
	if (b->skel->bss->lost)
		room_die("balancer", "packets were not balanced");
	balancer_bpf__destroy(b->skel);
	ebpf_close(b->bpf);
}

int main(int argc, char **argv)
{
	struct bench few, many;
	uint32_t rounds, runs;

	if (argc != 3 || str_to_u32(argv[1], 1, 1000, &rounds) ||
	    str_to_u32(argv[2], 1000, 100000000, &runs)) {
		fputs("usage: balancer ROUNDS RUNS\n", stderr);
		return 2;
	}
	room_enter();
	begin(&few, "/run/few/bpf", FEW);
	begin(&many, "/run/many/bpf", MANY);
	for (uint32_t r = 0; r < rounds; r++) {
		measure(&few, "hot-few", FEW, 1, runs);
		measure(&many, "hot-many", FEW, 1, runs);
		measure(&few, "random-few", FEW, FLOWS, runs);
		measure(&many, "random-many", FEW, FLOWS, runs);
		measure(&many, "random-all", MANY, FLOWS, runs);
	}
	end(&few);
	end(&many);
	return 0;
}
