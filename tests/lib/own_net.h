/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_net - a test that works on kernel objects does so in namespaces of its
 * own: of the network and of mounts. Needs root; 77 is "skipped".
 */
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
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

/* A second, nameless network namespace: its descriptor. */
static inline int own_net_other(void)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int other;

	if (own < 0 || unshare(CLONE_NEWNET))
		abort();
	other = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (other < 0 || setns(own, CLONE_NEWNET))
		abort();
	close(own);
	return other;
}
