/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts - what the server's own files know of each other.
 *
 * server.c owns the struct and what is wanted, control.c speaks with netd,
 * udp.c and tcp.c with clients. Each part keeps its state in a struct of its
 * own and is opened and closed by server.c.
 */
#pragma once

#include <ev.h>
#include <netinet/in.h>

#include "proto.h"
#include "server.h"
#include "upstream.h"
#include "zone.h"

/* Sockets of one zone's gateway. */
struct listener {
	uint64_t id;
	/* 0: the host's own. */
	uint32_t vni;
	struct ip_addr gateway;
	int udp;
	int tcp;
	ev_io udp_io;
	ev_io tcp_io;
	struct server *server;
	struct listener *prev, *next;
};

struct server {
	struct ev_loop *loop;
	uid_t owner;
	struct zones *zones;
	struct stubs *stubs;
	struct owned *owned;
	struct query_env env;
	struct cache *cache;
	struct forward *forward;
	struct upstream *upstream;
	struct control *control;
	struct udp *udp;
	struct tcp *tcp;
	struct explain *explain;
	struct listener *listeners;
	uint64_t last_id;
	/* Queries are left to the server that was here before. */
	bool hold;
	/* As netd told them. */
	struct proto_upstreams upstreams;
	/* Those of them that are not our own addresses. */
	struct want_server servers[PROTO_UPSTREAMS_MAX];
	size_t servers_len;
	/* New with each change: answers of other servers are other answers. */
	uint64_t servers_id;
	ev_timer expire;
};

/* What the control connection says. */
int server_zone_put(struct server *s, const struct want_zone *want);
/* The zone answers at this gateway too; the descriptors are taken. */
void server_zone_open(struct server *s, uint32_t vni,
		      const struct ip_addr *gateway, int fds[PROTO_FDS_MAX]);
void server_zone_del(struct server *s, uint32_t vni);
void server_sync_end(struct server *s);
void server_hold(struct server *s, bool hold);
void server_settings(struct server *s, const struct dns_settings *want);
void server_upstreams(struct server *s, const struct proto_upstreams *want);
void server_stubs_changed(struct server *s);

/* For the host's own programs, under no zone; an address none ends it. */
void server_listen(struct server *s, const struct ip_addr *addr,
		   int fds[PROTO_FDS_MAX]);

/* How an answer came about. */
struct server_trace {
	struct query_result result;
	/* What went outside, and came from where. */
	bool forwarded;
	struct forward_note note;
};

/* As server_answer(). */
size_t server_answer_traced(struct server *s, struct query_in *in,
			    const struct forward_to *to, void *out,
			    struct server_trace *trace);

/* What no zone of ours answers; as server_answer(). */
size_t server_forward(struct server *s, struct query_in *in,
		      const struct stub *stub, const struct forward_to *to,
		      void *out, struct forward_note *note);

struct control *control_new(struct server *s);
void control_free(struct control *c);
int control_open(struct control *c, int listen_fd, int control_fd);

void control_tell(struct control *c, const struct proto_told *told);

/* What people ask by way of netd. */
struct explain *explain_new(struct server *s);
void explain_free(struct explain *e);
void explain_ask(struct explain *e, const struct proto_ask *ask);
/* An answer that was waited for. */
void explain_done(struct explain *e, uint64_t id, const uint8_t *data,
		  size_t len, const struct forward_note *note);

struct udp *udp_new(void);
void udp_free(struct udp *u);
void udp_read(struct listener *l);
void udp_send(struct listener *l, const struct sockaddr_storage *peer,
	      socklen_t peer_len, const uint8_t *data, size_t len);

struct tcp *tcp_new(struct server *s);
void tcp_free(struct tcp *t);
void tcp_accept(struct listener *l);
/* An answer that was waited for. */
void tcp_send(struct tcp *t, uint64_t id, const uint8_t *data, size_t len);

/* The address in a socket address; v4 as v4-mapped. */
struct ip_addr sockaddr_ip(const struct sockaddr_storage *ss);
