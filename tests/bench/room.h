/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room - netd's tables in the kernel without a netd: the ebpf room, opened in
 * this process's own mounts, with services of so many backends each. What
 * fails ends the program.
 */
#pragma once

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include "netd/ebpf.h"
#include "netd/util.h"

#define ROOM_VNI 100
/* VIPs 10.96.0.0 and up; backends 10.128.0.0 and up, on another node. */
#define ROOM_VIPS 0x0a600000u
#define ROOM_BACKENDS 0x0a800000u
#define ROOM_EACH 25

static inline void room_die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static inline double room_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline void room_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bench", "/run", "tmpfs", 0, NULL))
		room_die("room", strerror(errno));
}

/* No program is attached, so any interface does as the tunnel. */
static inline struct ebpf *room_open(const char *pin_dir, uint32_t flows_max)
{
	struct ebpf_config config = {
		.pin_dir = pin_dir,
		.tunnel_ifindex = 1,
		.vxlan_port = 4789,
		.vtep = ip_from_v4(0xc0000201),
		.flows_max = flows_max,
	};
	struct ebpf *bpf;

	if (ebpf_open(&config, &bpf))
		room_die("room", ebpf_error(NULL));
	return bpf;
}

static inline struct want_frontend room_frontend(uint32_t k)
{
	return (struct want_frontend){ .vni = ROOM_VNI,
				       .addr = ip_from_v4(ROOM_VIPS + k),
				       .port = 80,
				       .proto = 6 };
}

/* Backend 0 of service k is `first`; the others are always the same. */
static inline void room_service(struct ebpf *bpf, uint32_t k, uint32_t first)
{
	struct want_frontend fe = room_frontend(k);
	struct want_backend list[ROOM_EACH];

	memset(list, 0, sizeof(list));
	for (uint32_t i = 0; i < ROOM_EACH; i++) {
		list[i].vni = ROOM_VNI;
		list[i].addr =
			ip_from_v4(ROOM_BACKENDS + k * 32 + (i ? i : first));
		list[i].vtep = ip_from_v4(0xc0000202);
		list[i].port = 8080;
		list[i].weight = 1;
	}
	if (ebpf_frontend_put(bpf, &fe, list, ROOM_EACH))
		room_die("service", ebpf_error(bpf));
}

static inline void room_services(struct ebpf *bpf, uint32_t from, uint32_t to)
{
	for (uint32_t k = from; k < to; k++)
		room_service(bpf, k, 0);
}
