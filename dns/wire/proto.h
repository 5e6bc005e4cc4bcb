/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto - what netd and netd-dns say to each other.
 *
 * One Unix SEQPACKET connection, one message per packet: a head and the
 * struct of its type; names are packed (packed.h). Both ends run on one
 * machine, so numbers are the machine's. Every message has exactly the length
 * its type says; anything else ends the connection.
 *
 * HELLO, SOCKETS and QUIT never change, so that any version can take the
 * sockets from any other. All else is of PROTO_VERSION, and only spoken when
 * both HELLOs were equal.
 *
 * netd asks (HELLO), the server answers (HELLO, then SOCKETS for each gateway
 * it listens on, two descriptors each). BEGIN .. END around everything netd
 * knows: what the server holds and was not told again in between goes at END.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "netd/dns.h"
#include "netd/util.h"
#include "netd/want.h"
#include "packed.h"

#define PROTO_MAGIC 0x6e646e73
#define PROTO_VERSION 6
#define PROTO_BUILD_LEN 32
#define PROTO_UPSTREAMS_MAX 8
/* UDP, then TCP. */
#define PROTO_FDS_MAX 2

enum proto_type {
	/* Both ways. */
	PROTO_HELLO,
	/* From the server, with two descriptors. */
	PROTO_SOCKETS,
	/* To the server: end. */
	PROTO_QUIT,
	/* To the server. */
	PROTO_CONFIG,
	PROTO_UPSTREAMS,
	PROTO_BEGIN,
	PROTO_END,
	PROTO_ZONE_PUT,
	PROTO_ZONE_DEL,
	/* With two descriptors: a zone's gateway, of which it has none. */
	PROTO_ZONE_OPEN,
	PROTO_CLIENT_PUT,
	PROTO_CLIENT_DEL,
	PROTO_NAME_PUT,
	PROTO_NAME_DEL,
	PROTO_STUB_PUT,
	PROTO_STUB_DEL,
	PROTO_REVERSE_PUT,
	PROTO_REVERSE_DEL,
	/* For the host's own programs; an address none ends it. */
	PROTO_LISTEN,
	PROTO_ASK,
	/* From the server: END was reached. */
	PROTO_SYNCED,
	/* From the server: its counters, once a second when they changed. */
	PROTO_STATS,
	/* From the server, for an ASK, once. */
	PROTO_TOLD,
	PROTO_MAX
};

struct proto_head {
	uint32_t type;
	/* Bytes behind the head. */
	uint32_t len;
};

struct proto_hello {
	uint32_t magic;
	uint32_t version;
	char build[PROTO_BUILD_LEN];
	/* From the server: SOCKETS messages that follow. */
	uint32_t sockets;
};

struct proto_sockets {
	/* 0: the host's own. */
	uint32_t vni;
	struct ip_addr gateway;
};

struct proto_config {
	char domain[256];
	/* Leave the sockets alone until END: another server still answers. */
	bool hold;
	struct dns_settings settings;
};

struct proto_upstreams {
	uint32_t len;
	struct ip_addr addr[PROTO_UPSTREAMS_MAX];
};

struct proto_vni {
	uint32_t vni;
};

struct proto_stub_key {
	uint32_t vni;
	char zone[ZONE_NAME_LEN];
};

/* The serial is the asker's. */
struct proto_ask {
	uint32_t serial;
	struct dns_ask ask;
};

struct proto_told {
	uint32_t serial;
	struct dns_told told;
};

/* The largest message: a name with all its addresses. */
union proto_body {
	struct proto_hello hello;
	struct proto_sockets sockets;
	struct proto_config config;
	struct proto_upstreams upstreams;
	struct want_zone zone;
	struct proto_vni vni;
	struct want_client client;
	struct ip_addr addr;
	uint8_t name[PACKED_MAX];
	struct want_upstream stub;
	struct proto_stub_key stub_key;
	struct want_reverse reverse;
	struct dns_stats stats;
	struct proto_ask ask;
	struct proto_told told;
};

struct proto_msg {
	struct proto_head head;
	union proto_body body;
	/* -1 when none came; the reader's to close. */
	int fds[PROTO_FDS_MAX];
};

void proto_hello_fill(struct proto_hello *hello, uint32_t sockets);
bool proto_hello_same(const struct proto_hello *a, const struct proto_hello *b);

/* fds: both or NULL. 0, -EAGAIN when the socket is full, or -errno. */
int proto_send(int fd, enum proto_type type, const void *body, size_t len,
	       const int fds[PROTO_FDS_MAX]);

/*
 * Reads one message, checked by its type. 0, -EAGAIN, -ECONNRESET at the
 * end, -EBADMSG; msg->fds are then closed.
 */
int proto_recv(int fd, struct proto_msg *msg);

/* Is that what a message of its type looks like? n: bytes that came. */
bool proto_is_whole(const struct proto_msg *msg, size_t n);

void proto_fds_close(int fds[PROTO_FDS_MAX]);
