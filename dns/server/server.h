/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server - the program netd-dns: sockets, zones, upstreams, one loop.
 *
 * It starts with two descriptors (wire/proto.h) and gets all else through
 * them. It runs on when netd goes, answering what it last knew.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "forward.h"
#include "query.h"

struct ev_loop;
struct server;

/* owner: the user who may control it, besides root. */
int server_new(struct ev_loop *loop, uid_t owner, struct server **ret);
void server_free(struct server *s);

/* Both descriptors become the server's. control: -1 for none. */
int server_control_open(struct server *s, int listen_fd, int control_fd);

/* One query; returns the length of an answer to send at once, or 0. */
size_t server_answer(struct server *s, struct query_in *in,
		     const struct forward_to *to, void *out);
