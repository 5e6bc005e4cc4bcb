/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows - established connections grow old: what was not used for as long as
 * its state allows is deleted, as the kernel's own connection tracking does.
 *
 * A pass goes through the table in slices, so that a full one holds up
 * nothing. Nobody looks while no daemon runs: entries stay, and a table that
 * fills is a state that the programs know (see flow.bpf.h).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <time.h>

#include "lb.h"
#include "load.h"
#include "netd.skel.h"

#define SLICE 1024

/*
 * Seconds, where a service says nothing else; TCP's is the daemon's for what
 * is open, UDP's is for a dialogue. No service says less than AGE_LEAST.
 */
#define AGE_RESET 10
#define AGE_CLOSING 120
#define AGE_HALF 120
#define AGE_UDP 120
#define AGE_LEAST 30

struct flows {
	struct abi_flow_key keys[SLICE];
	struct abi_flow values[SLICE];
	/* The kernel's bucket where the pass goes on. */
	uint32_t at;
	bool under_way;
	uint64_t counted;
	struct ebpf_flows last;
};

void flows_open(struct ebpf *bpf, struct flows **ret)
{
	*ret = xzalloc(sizeof(**ret));
	(*ret)->last.room = bpf_map__max_entries(bpf->skel->maps.established);
}

void flows_close(struct flows *f)
{
	free(f);
}

static uint32_t now_ticks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)(((uint64_t)ts.tv_sec * 1000000000 +
			   (uint64_t)ts.tv_nsec) >>
			  ABI_TICK_SHIFT);
}

/* What the service of the connection says; either entry names its address. */
static struct lb_idle idle_of(const struct ebpf *bpf,
			      const struct abi_flow_key *key,
			      const struct abi_flow *flow)
{
	if (key->side == ABI_SIDE_FORWARD)
		return lb_idle(bpf->lb, &key->dst, key->dport, key->proto);
	return lb_idle(bpf->lb, &flow->addr, flow->port, key->proto);
}

static uint32_t age_open(const struct ebpf *bpf, const struct abi_flow_key *key,
			 const struct lb_idle *own)
{
	if (own->open_s)
		return own->open_s;
	if (key->proto != IPPROTO_TCP)
		return AGE_UDP;
	return bpf->config.flow_idle_s ? bpf->config.flow_idle_s
				       : EBPF_FLOW_IDLE_S;
}

static uint32_t age_allowed(const struct ebpf *bpf,
			    const struct abi_flow_key *key,
			    const struct abi_flow *flow)
{
	uint32_t closed = ABI_FLOW_FIN_CLIENT | ABI_FLOW_FIN_BACKEND;
	struct lb_idle own;

	if (flow->state & ABI_FLOW_RST_BACKEND)
		return AGE_RESET;
	if ((flow->state & ABI_FLOW_RST_CLIENT) ||
	    (flow->state & closed) == closed)
		return AGE_CLOSING;
	own = idle_of(bpf, key, flow);
	if (!(flow->state & closed))
		return age_open(bpf, key, &own);
	return own.half_s ? own.half_s : AGE_HALF;
}

static bool is_old(const struct ebpf *bpf, const struct abi_flow_key *key,
		   const struct abi_flow *flow, uint32_t now)
{
	uint32_t ticks = now - flow->seen;
	uint64_t age_s = ((uint64_t)ticks << ABI_TICK_SHIFT) / 1000000000;

	/* Written after the clock was read: not old at all. */
	if (ticks > UINT32_MAX / 2)
		return false;
	/* Most are in use, and nobody needs to know whose they are. */
	if (age_s <= AGE_LEAST && !(flow->state & ABI_FLOW_RST_BACKEND))
		return false;
	return age_s > age_allowed(bpf, key, flow);
}

static void age(struct ebpf *bpf, uint32_t len)
{
	int fd = bpf_map__fd(bpf->skel->maps.established);
	struct flows *f = bpf->flows;
	uint32_t now = now_ticks();

	for (uint32_t i = 0; i < len; i++) {
		struct abi_flow again;

		if (!is_old(bpf, &f->keys[i], &f->values[i], now)) {
			f->counted++;
			continue;
		}
		/* A packet may have come since the slice was read. */
		if (bpf_map_lookup_elem(fd, &f->keys[i], &again) == 0 &&
		    is_old(bpf, &f->keys[i], &again, now))
			bpf_map_delete_elem(fd, &f->keys[i]);
	}
}

bool ebpf_flows_age(struct ebpf *bpf)
{
	int fd = bpf_map__fd(bpf->skel->maps.established);
	struct flows *f = bpf->flows;
	uint32_t len = SLICE;
	int err = bpf_map_lookup_batch(fd, f->under_way ? &f->at : NULL, &f->at,
				       f->keys, f->values, &len, NULL);

	if (!err || err == -ENOENT)
		age(bpf, len);
	f->under_way = !err;
	if (err) {
		f->last.established = f->counted;
		f->counted = 0;
	}
	return f->under_way;
}

struct ebpf_flows ebpf_flows(struct ebpf *bpf)
{
	int cpus = libbpf_num_possible_cpus();
	struct ebpf_flows ret = bpf->flows->last;
	uint32_t full = ABI_FLOW_COUNT_FULL;
	uint64_t *counts;

	if (cpus <= 0)
		return ret;
	counts = xzalloc((size_t)cpus * sizeof(*counts));
	if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.flow_counts), &full,
				counts) == 0) {
		for (int cpu = 0; cpu < cpus; cpu++)
			ret.full += counts[cpu];
	}
	free(counts);
	return ret;
}
