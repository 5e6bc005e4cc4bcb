/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inquiry - what was asked of the server and not told yet.
 *
 * Each ask has a serial and its time. What the server tells is looked at
 * before anybody else does: it comes from a process that talks to the world.
 */
#pragma once

#include <stdbool.h>

#include "proto.h"

struct ev_loop;
struct inquiries;

struct inquiries *inquiries_new(struct ev_loop *loop);
/* Nobody is told any more. */
void inquiries_free(struct inquiries *a);

/* fd -1: there is no server. */
void inquiries_send(struct inquiries *a, int fd, const struct dns_ask *ask,
		    dns_told_fn *done, void *arg);

/* From the server; false: it is not what a server tells. */
bool inquiries_told(struct inquiries *a, struct proto_told *told);

/* The server is gone. */
void inquiries_lost(struct inquiries *a);

/* Numbers in range, text that ends and that a terminal can take. */
bool told_check(struct dns_told *told);
