/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners - who of this host listens on a port, by /proc: the ports of the
 * daemon's own network namespace, which is the host's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/addr.h"

struct listener {
	/* none: every address. */
	struct ip_addr addr;
	uint16_t port;
	uint8_t proto;
	unsigned long inode;
};

/* Calls fn for every socket that listens, until it returns false. */
void listeners_each(bool (*fn)(void *arg, const struct listener *l), void *arg);

/* The program that has the socket, or "another program". */
void listener_name(const struct listener *l, char *ret, size_t size);
