/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober - the process that checks backends: targets told by netd, and what
 * was found out about each.
 */
#pragma once

#include <sys/types.h>

struct ev_loop;
struct prober;

/* Only `owner` and root may connect to the listener. */
struct prober *prober_new(struct ev_loop *loop, uid_t owner);
void prober_free(struct prober *p);

/* Takes both descriptors; control_fd -1: none is connected yet. */
void prober_open(struct prober *p, int listen_fd, int control_fd);
