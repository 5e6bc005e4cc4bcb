/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn - starts the server's process, finds one that is there, ends one.
 *
 * A process that is started here is nobody's child: it outlives netd and
 * leaves no zombie. Each listens on a socket in the run folder. Failures:
 * -errno.
 */
#pragma once

#include <sys/types.h>

/* Names in the run folder: the server, and one that will take its place. */
#define SPAWN_SOCKET "dns.sock"
#define SPAWN_SOCKET_NEXT "dns.sock.next"

/* Makes the folder if missing; -EPERM when others may write to it. */
int spawn_dir_open(const char *run_dir, int *ret);

/* A connected, non-blocking control socket. */
int spawn_start(int dir, const char *socket_name, const char *program,
		const char *user, pid_t *pid, int *ret);

/* -ECONNREFUSED or -ENOENT: nobody is there. pid by the kernel's word. */
int spawn_connect(int dir, const char *socket_name, pid_t *pid, int *ret);

/* Asks who listens there to end, waits, kills; removes the socket. */
int spawn_end(int dir, const char *socket_name);
