/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_proto - what netd and netd-probe say to each other.
 *
 * One Unix SEQPACKET connection, one message per packet, all of one size:
 * anything else ends the connection. Both ends run on one machine, so numbers
 * are the machine's.
 *
 * netd says HELLO, the prober HELLO, what it has found out so far (STATE, as
 * many as the HELLO counts). After that, netd tells every change of what it
 * wants and the prober every change of what it finds. HELLO and QUIT never
 * change; all else is of PROBE_VERSION, and only said after equal HELLOs.
 */
#pragma once

#include <stdbool.h>

#include "netd/probe.h"

#define PROBE_MAGIC 0x6e647062
#define PROBE_VERSION 1

/* The prober's socket in the run folder. */
#define PROBE_SOCKET "probe.sock"

enum probe_msg_type {
	PROBE_MSG_HELLO,
	/* To the prober: end. */
	PROBE_MSG_QUIT,
	/* To the prober: check this (answered by its STATE if there is one), or
	 * no longer. */
	PROBE_MSG_PUT,
	PROBE_MSG_DEL,
	/* From the prober: so it is now. */
	PROBE_MSG_STATE,
	PROBE_MSG_MAX
};

struct probe_hello {
	uint32_t magic;
	uint32_t version;
	char build[32];
	/* From the prober: STATE messages that follow. */
	uint32_t states;
};

struct probe_msg {
	enum probe_msg_type type;
	union {
		struct probe_hello hello;
		struct want_probe want;
		struct {
			struct probe_key key;
			struct probe_state state;
		} found;
	} body;
};

void probe_hello_fill(struct probe_hello *hello, uint32_t states);
bool probe_hello_same(const struct probe_hello *a, const struct probe_hello *b);

/* Bytes that are not used are zero, so that keys compare as bytes. */
void probe_key_clean(struct probe_key *to, const struct probe_key *from);
void want_probe_clean(struct want_probe *to, const struct want_probe *from);

/* 0, -EAGAIN when the socket is full, or -errno. */
int probe_send(int fd, const struct probe_msg *msg);

/*
 * Reads one message; strings in it end, enums are in range. 0, -EAGAIN,
 * -ECONNRESET at the end, -EBADMSG.
 */
int probe_recv(int fd, struct probe_msg *msg);
