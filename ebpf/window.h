/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window - an mmapable BPF array, mapped as far as it is used.
 *
 * The kernel maps every page of such an array at once and counts it as this
 * process's memory (6.18), so a small host would seem to need what the largest
 * may. Addresses are reserved for the whole array and stay: what was reached
 * can be pointed at until window_close(). Failures: -errno.
 */
#pragma once

#include <stddef.h>

struct window {
	void *base;
	size_t size;
	/* Bytes mapped so far, from the beginning. */
	size_t mapped;
	/* The map's; not owned. */
	int fd;
};

int window_open(struct window *w, int fd, size_t size);

/* From here on the first `end` bytes can be read and written. */
int window_reach(struct window *w, size_t end);

/* A zeroed window is fine. */
void window_close(struct window *w);
