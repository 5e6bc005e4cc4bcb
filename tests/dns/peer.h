/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer - another name server, with a folder for its files; it ends with us.
 */
#pragma once

#include <stdio.h>
#include <sys/types.h>

struct peer {
	char dir[32];
	pid_t pid;
};

/* All three end the program when they fail. */
void peer_open(struct peer *p);
FILE *peer_file(const struct peer *p, const char *name);
/* argv[0] is the program, looked for in PATH. */
void peer_start(struct peer *p, const char *const argv[]);

void peer_end(struct peer *p);
