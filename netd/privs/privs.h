/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privs - what a child gives up before it reads its first byte.
 */
#pragma once

#include <sys/types.h>

/*
 * Becomes that user (when root; `uid` when there is no such user, never
 * nobody's, whom others share), without capabilities, new privileges, core
 * dumps or readers in /proc. 0 or -errno.
 */
int privs_drop(const char *user, uid_t uid);

/* From here on only the system calls of a client and server on IP sockets that
 * opens no file. 0 or -errno. */
int privs_filter(void);
