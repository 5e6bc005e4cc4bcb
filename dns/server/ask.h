/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - one question to one server, once, by c-ares on our loop.
 *
 * c-ares sends, waits, and goes over to TCP when an answer was cut; whom to
 * ask next, and when, is upstream's. Each question has a socket of its own on
 * a random port, so that who wants to forge an answer must guess port, id and
 * the letters' case; only past SHARE_FROM questions at one server do some
 * share. What does not fit the question is dropped before c-ares sees it and
 * counted. Much of that, or an answer that lost the case, and the question is
 * asked over TCP, where nobody can forge from afar.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/want.h"

struct ev_loop;
struct asks;
struct ask;

enum ask_result {
	ASK_ANSWER,
	/* Nobody listens there, or no way leads there. */
	ASK_REFUSED,
	ASK_TIMEOUT,
};

struct ask_answer {
	enum ask_result result;
	/* May be written to; gone after the call. */
	uint8_t *data;
	size_t len;
	/* The server does not keep the case of letters, not over TCP either,
	 * or it does not over UDP and TCP fails. */
	bool case_lost;
};

/* Runs once unless the ask is cancelled, never from within ask_send(). */
typedef void ask_fn(void *ctx, const struct ask_answer *answer);

/* What was dropped because it answers nothing that was asked. */
struct asks *asks_new(struct ev_loop *loop, uint64_t *forged);
/* Cancels all. */
void asks_free(struct asks *a);

/*
 * query: from dns_query_write(); id and case are made random here unless
 * keep_case. *packets is raised by each packet sent and ends the ask at
 * packets_max. It must stay until the end. Gives up after ASK_TIME_MS.
 */
#define ASK_TIME_MS 4500
struct ask_how {
	unsigned *packets;
	unsigned packets_max;
	bool keep_case;
};

/* NULL: no memory, no socket. */
struct ask *ask_send(struct asks *a, const struct want_server *server,
		     const uint8_t *query, size_t len,
		     const struct ask_how *how, ask_fn *done, void *ctx);
/* NULL is fine. */
void ask_cancel(struct ask *ask);
