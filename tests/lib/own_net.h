/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_net - a test that works on kernel objects does so in namespaces of its
 * own: of the network and of mounts. Needs root; 77 is "skipped".
 */
#pragma once

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cm.h"

/* Call first in main(). */
static inline void own_net_enter(void)
{
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root\n");
		exit(TEST_SKIP);
	}
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		fprintf(stderr, "skipped: no namespaces here\n");
		exit(TEST_SKIP);
	}
}

/* Loopback, and the addresses that every host has. */
static inline void own_net_lo_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		abort();
	close(fd);
}

/* The network namespace that this thread is in now: its descriptor. */
static inline int own_net_fd(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		abort();
	return fd;
}

/* A second, nameless network namespace: its descriptor. */
static inline int own_net_other(void)
{
	int own = own_net_fd();
	int other;

	if (unshare(CLONE_NEWNET))
		abort();
	other = own_net_fd();
	if (setns(own, CLONE_NEWNET))
		abort();
	close(own);
	return other;
}
