/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync - waits for the disk beside the loop.
 *
 * One file at a time. Loop thread only.
 */
#pragma once

struct ev_loop;
struct sync;

/* done(arg, err) runs from the loop: 0, or -errno of what the disk said. */
int sync_new(struct ev_loop *loop, void (*done)(void *arg, int err), void *arg,
	     struct sync **ret);
/* Waits for the disk if it must, and tells nobody. */
void sync_free(struct sync *sync);

/* What has been written to the file by now is on the disk when done() says
 * so. The descriptor stays the caller's, open until then. */
void sync_start(struct sync *sync, int fd);
