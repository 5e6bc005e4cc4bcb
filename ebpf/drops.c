/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drops - why packets were dropped, and how often. The reasons' names are a
 * closed set, so that they can be labels of a metric.
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

void ebpf_drops_each(struct ebpf *bpf,
		     void (*fn)(void *arg, const char *reason,
				const char *meaning, uint64_t packets),
		     void *arg)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *counts;

	if (cpus <= 0)
		return;
	counts = xzalloc((size_t)cpus * sizeof(*counts));
	for (uint32_t i = ABI_DROP_NONE + 1; i < ABI_DROP_MAX; i++) {
		uint64_t sum = 0;

		if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.drops), &i,
					counts))
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			sum += counts[cpu];
		fn(arg, reasons[i].name, reasons[i].meaning, sum);
	}
	free(counts);
}
