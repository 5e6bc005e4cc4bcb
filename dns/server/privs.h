/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privs - what the server gives up before it reads its first byte.
 */
#pragma once

/* Used when the user does not exist; never nobody, whom others share. */
#define PRIVS_UID 64742

/*
 * Becomes that user (when root), without capabilities, new privileges, core
 * dumps or readers in /proc. 0 or -errno.
 */
int privs_drop(const char *user);

/* From here on only the system calls a DNS server needs. 0 or -errno. */
int privs_filter(void);
