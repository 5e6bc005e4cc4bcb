/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables - how long the kernel's tables take for services of 25 backends each,
 * from nothing, and for one backend's change when all of them are there.
 *
 *   tables SERVICES CHANGES
 *
 * Prints lines `NAME VALUE`: fill-s and fill-cpu-s; change-us, the median CPU
 * of a change, and change-writes, how many entries of maps it writes; rss-kib
 * and maps-kib, the memory of this process and of the maps.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "load.h"
#include "room.h"

#include "netd.skel.h"

/* The room's system calls that write an entry: see CMakeLists.txt. */
static unsigned long writes;

int __real_bpf_map_update_elem(int fd, const void *key, const void *value,
			       __u64 flags);
int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value,
			       __u64 flags);

int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value,
			       __u64 flags)
{
	writes++;
	return __real_bpf_map_update_elem(fd, key, value, flags);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void fill(struct ebpf *bpf, uint32_t services)
{
	double wall = room_now(CLOCK_MONOTONIC);
	double cpu = room_now(CLOCK_PROCESS_CPUTIME_ID);

	room_services(bpf, 0, services);
	printf("fill-s %.3f\n", room_now(CLOCK_MONOTONIC) - wall);
	printf("fill-cpu-s %.3f\n", room_now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

/* Each change takes another service, and gives its first backend another
 * address. */
static void change(struct ebpf *bpf, uint32_t services, uint32_t changes)
{
	double *took = xzalloc(changes * sizeof(*took));
	unsigned long before = writes;

	for (uint32_t i = 0; i < changes; i++) {
		double from = room_now(CLOCK_PROCESS_CPUTIME_ID);

		room_service(bpf, (uint32_t)((uint64_t)i * 7919 % services),
			     ROOM_EACH);
		took[i] = room_now(CLOCK_PROCESS_CPUTIME_ID) - from;
	}
	qsort(took, changes, sizeof(*took), compare);
	printf("change-us %.1f\n", took[changes / 2] * 1e6);
	printf("change-writes %.2f\n", (double)(writes - before) / changes);
	free(took);
}

/* "NAME: N" of a file below /proc. */
static unsigned long number(const char *path, const char *name)
{
	char line[256];
	size_t len = strlen(name);
	unsigned long n = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, len) == 0)
			n = strtoul(line + len, NULL, 10);
	if (f)
		fclose(f);
	return n;
}

static void memory(const struct ebpf *bpf)
{
	unsigned long bytes = 0;
	const struct bpf_map *map;
	char path[64];

	bpf_object__for_each_map(map, bpf->skel->obj)
	{
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
			 bpf_map__fd(map));
		bytes += number(path, "memlock:");
	}
	printf("rss-kib %lu\n", number("/proc/self/status", "VmRSS:"));
	printf("maps-kib %lu\n", bytes / 1024);
}

int main(int argc, char **argv)
{
	uint32_t services, changes;
	struct ebpf *bpf;

	if (argc != 3 || str_to_u32(argv[1], 1, 10000, &services) ||
	    str_to_u32(argv[2], 1, services, &changes)) {
		fputs("usage: tables SERVICES CHANGES\n", stderr);
		return 2;
	}
	room_enter();
	bpf = room_open("/run/tables/bpf", 0);
	fill(bpf, services);
	change(bpf, services, changes);
	memory(bpf);
	ebpf_close(bpf);
	return 0;
}
