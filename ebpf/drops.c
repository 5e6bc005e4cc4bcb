/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drops - why packets were dropped, how often, and some of them as they were.
 * The reasons' names are a closed set, so that they can be labels of a metric.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "load.h"
#include "netd.skel.h"

static const struct {
	const char *name;
	const char *meaning;
} reasons[] = {
#define X(id, name, meaning) [ABI_DROP_##id] = { name, meaning },
	ABI_DROPS(X)
#undef X
};

_Static_assert(ARRAY_LEN(reasons) == ABI_DROP_MAX, "a name per reason");

static const char *const hooks[] = {
	[ABI_HOOK_FROM_POD] = "from_pod",
	[ABI_HOOK_FROM_OVERLAY] = "from_overlay",
	[ABI_HOOK_TO_OVERLAY] = "to_overlay",
	[ABI_HOOK_FROM_UPLINK] = "from_uplink",
};

_Static_assert(ARRAY_LEN(hooks) == ABI_HOOK_MAX, "a name per hook");

struct samples {
	struct ring_buffer *ring;
	/* Of one turn. */
	void (*fn)(void *arg, const struct ebpf_sample *sample);
	void *arg;
	unsigned int left;
};

/* The maps have an element per CPU: `buf` takes any of them. */
static uint64_t count_packets(struct ebpf *bpf, uint32_t reason, int cpus,
			      void *buf)
{
	const uint64_t *counts = buf;
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.drops), &reason,
				buf))
		return 0;
	for (int cpu = 0; cpu < cpus; cpu++)
		sum += counts[cpu];
	return sum;
}

static uint64_t count_unseen(struct ebpf *bpf, uint32_t reason, int cpus,
			     void *buf)
{
	const struct abi_lanes *all = buf;
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.lanes), &reason,
				buf))
		return 0;
	for (int cpu = 0; cpu < cpus; cpu++)
		for (size_t i = 0; i < ABI_LANES; i++)
			sum += all[cpu].lane[i].unseen;
	return sum;
}

void ebpf_drops_each(struct ebpf *bpf,
		     void (*fn)(void *arg, const struct ebpf_drop_count *count),
		     void *arg)
{
	int cpus = libbpf_num_possible_cpus();
	void *buf;

	if (cpus <= 0)
		return;
	buf = xzalloc((size_t)cpus * sizeof(struct abi_lanes));
	for (uint32_t i = ABI_DROP_NONE + 1; i < ABI_DROP_MAX; i++) {
		struct ebpf_drop_count count = {
			.reason = reasons[i].name,
			.meaning = reasons[i].meaning,
			.packets = count_packets(bpf, i, cpus, buf),
			.unseen = count_unseen(bpf, i, cpus, buf),
		};

		fn(arg, &count);
	}
	free(buf);
}

static struct ip_addr ip_of(const struct abi_addr *a)
{
	struct ip_addr ret;

	memcpy(&ret, a, sizeof(ret));
	return ret;
}

static int on_sample(void *ctx, void *data, size_t size)
{
	struct samples *samples = ctx;
	const struct abi_sample *in = data;
	struct ebpf_sample out;

	/* A younger netd's programs may have shown what we do not know. */
	if (size != sizeof(*in) || !in->reason || in->reason >= ABI_DROP_MAX ||
	    !in->hook || in->hook >= ABI_HOOK_MAX)
		return 0;
	out = (struct ebpf_sample){
		.time = in->time,
		.reason = reasons[in->reason].name,
		.meaning = reasons[in->reason].meaning,
		.hook = hooks[in->hook],
		.ifindex = in->ifindex,
		.vni = in->vni,
		.len = in->len,
		.ethertype = __builtin_bswap16(in->ethertype),
		.src = ip_of(&in->src),
		.dst = ip_of(&in->dst),
		.proto = in->proto,
		.detail = in->detail,
		.code = in->code,
		.sport = __builtin_bswap16(in->sport),
		.dport = __builtin_bswap16(in->dport),
		.fragment = in->fragment,
	};
	memcpy(out.mac.b, in->mac, sizeof(out.mac.b));
	samples->fn(samples->arg, &out);
	/* Any error ends the turn, with this one read. */
	return --samples->left ? 0 : -ECANCELED;
}

int samples_open(struct ebpf *bpf, struct samples **ret)
{
	struct samples *samples = xzalloc(sizeof(*samples));

	samples->ring = ring_buffer__new(bpf_map__fd(bpf->skel->maps.samples),
					 on_sample, samples, NULL);
	if (!samples->ring) {
		free(samples);
		return -errno;
	}
	*ret = samples;
	return 0;
}

void samples_close(struct samples *samples)
{
	if (!samples)
		return;
	ring_buffer__free(samples->ring);
	free(samples);
}

int ebpf_samples_fd(const struct ebpf *bpf)
{
	return bpf_map__fd(bpf->skel->maps.samples);
}

void ebpf_samples_read(struct ebpf *bpf,
		       void (*fn)(void *arg, const struct ebpf_sample *sample),
		       void *arg)
{
	struct samples *samples = bpf->samples;

	samples->fn = fn;
	samples->arg = arg;
	samples->left = EBPF_SAMPLES_TURN;
	ring_buffer__consume(samples->ring);
}
