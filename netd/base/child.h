/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child - starts a process without privileges, finds one that is there, ends
 * one.
 *
 * A process that is started here is nobody's child: it outlives netd and
 * leaves no zombie. Each listens on a socket in the run folder. Failures:
 * -errno.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Descriptors that it is started with: its listener, a connection to us. */
#define CHILD_FD_LISTEN 3
#define CHILD_FD_CONTROL 4

/* Makes the folder if missing; -EPERM when others may write to it. */
int child_dir_open(const char *run_dir, int *ret);

/* A connected, non-blocking control socket. */
int child_start(int dir, const char *socket_name, const char *program,
		const char *user, pid_t *pid, int *ret);

/* -ECONNREFUSED or -ENOENT: nobody is there. pid by the kernel's word. */
int child_connect(int dir, const char *socket_name, pid_t *pid, int *ret);

/* Waits for what it says, until mono_ms() is this: 0 or -ETIMEDOUT. */
int child_wait(int fd, int64_t until);

/* Tells who listens there to end, waits, kills; removes the socket. */
int child_end(int dir, const char *socket_name, void (*tell)(int fd));

/*
 * In the process that was started: are the descriptors what they should be?
 * Calling listen() again makes it, not netd, the one that SO_PEERCRED names
 * to whoever connects: a later netd learns its pid.
 */
int child_check(void);
