/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - a network namespace with a real netd-dns in it, told by lines.
 *
 * Every IPv4 address is this host's there, so that anybody may ask and answer
 * from any. A line is a verb and its words; the verbs are rows of a table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ask.h"
#include "netd/addr.h"
#include "netd/dns.h"

struct world;

/*
 * own: enters a namespace of its own (once per process), else in the one it
 * is in, whose addresses are there. Needs root.
 */
int world_new(struct ev_loop *loop, const char *program, bool own,
	      struct world **ret);
void world_free(struct world *w);

/*
 * Does what a line says. 0; -ENOENT: no verb of the world's; -EINVAL: words
 * that it does not understand; or what the server's side said.
 */
int world_line(struct world *w, char **words, size_t n);

/* Waits until the server knows what the lines before said. */
int world_settle(struct world *w);

/* The server's process; where its first zone is asked. */
struct dns *world_dns(struct world *w);
const struct ip_addr *world_gateway(const struct world *w);
