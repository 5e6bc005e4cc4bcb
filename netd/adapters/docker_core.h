/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker_core - what the driver's files share. Nobody else includes it.
 *
 * Three tables, each row in the journal below docker/: the engine's networks,
 * the addresses it holds, its endpoints. An address lives from RequestAddress
 * to ReleaseAddress; an endpoint from CreateEndpoint to DeleteEndpoint, and
 * is an attachment of a pod from Join on.
 */
#pragma once

#include <ev.h>
#include <uthash.h>

#include "call.h"
#include "docker.h"
#include "json.h"
#include "netd/util.h"

/* 64 hex digits in Docker; a 0. */
#define DOCKER_ID_LEN 65

#define DOCKER_SPACE "netd"
#define OPTION_NETWORK "netd.network"
#define OPTION_GATEWAY "netd.gateway"
#define OPTION_ALIAS "netd.alias"

/* Who has the containers' way out, and their published ports. */
enum docker_gateway {
	DOCKER_GATEWAY_NETD,
	DOCKER_GATEWAY_DOCKER,
	DOCKER_GATEWAY_NONE,
	DOCKER_GATEWAY_MAX
};

extern const char *const docker_gateways[DOCKER_GATEWAY_MAX];

struct docker_net {
	/* Docker's id. */
	char id[DOCKER_ID_LEN];
	/* The cluster's network. */
	char network[NAME_LEN];
	enum docker_gateway gateway;
	bool internal;
	/* It has had an endpoint, or is older than this process. */
	bool is_used;
	UT_hash_handle hh;
};

/*
 * Pools of one of the cluster's networks that the engine holds: as many as it
 * has networks there, but for moments. `off_since`: not so since then.
 */
struct docker_pool {
	char network[NAME_LEN];
	unsigned int open;
	int64_t off_since;
	UT_hash_handle hh;
};

/*
 * An address of the primary subnet, and with it the one beside it: of one
 * endpoint the engine asks for IPv4, then for IPv6, with the same MAC.
 */
struct docker_addr {
	struct ip_addr addr;
	char network[NAME_LEN];
	/* Whose it will be; all zero where the engine does not say. */
	struct mac_addr mac;
	/* The endpoint that has it, or "". */
	char endpoint[DOCKER_ID_LEN];
	/* Kept for its network's life (--aux-address). */
	bool aux;
	/* It was the IPv6 address that was asked for, alone. */
	bool by6;
	/* Given back while its endpoint was not: goes with that. */
	bool released;
	int64_t since;
	UT_hash_handle hh;
};

enum docker_state { DOCKER_MADE, DOCKER_JOINED, DOCKER_LEFT, DOCKER_STATE_MAX };

struct docker_ep {
	char id[DOCKER_ID_LEN];
	char net[DOCKER_ID_LEN];
	char network[NAME_LEN];
	struct ip_addr addr;
	/* Its pair, where Docker's network has IPv6. */
	struct ip_addr addr6;
	struct mac_addr mac;
	json_t *aliases;
	bool asks_host;
	enum docker_state state;
	/* From Join on. */
	char pod[POD_NAME_LEN];
	/* When the state began, or its link was seen to be gone. */
	int64_t since;
	bool is_gone;
	UT_hash_handle hh;
};

/* Networks made for a pool that no network of Docker's has taken yet. */
struct docker_made {
	char network[NAME_LEN];
	int64_t since;
	UT_hash_handle hh;
};

struct docker {
	struct docker_config cfg;
	struct docker_net *nets;
	struct docker_addr *addrs;
	struct docker_ep *eps;
	struct docker_made *made;
	struct docker_wait *waits;
	struct docker_pool *pools;
	ev_timer tick;
};

typedef void docker_fn(struct docker *d, struct http_request *req);

docker_fn docker_request_pool, docker_release_pool, docker_request_address,
	docker_release_address;
docker_fn docker_create_network, docker_delete_network;
docker_fn docker_create_endpoint, docker_delete_endpoint, docker_join,
	docker_leave, docker_program, docker_revoke, docker_oper_info;

/* ---- docker_call.c ---- */

/* Answers; body is taken. */
void docker_reply(struct http_request *req, json_t *body);
/* Answers with the refusal, and tells it as an event. */
void docker_refuse(struct http_request *req, const struct refusal *r);

/* What could not be written is not promised: refuses for err != 0. */
bool docker_is_kept(struct http_request *req, int err);

/* A string field, "" where there is none. */
const char *docker_str(const struct http_request *req, const char *name);

/*
 * A request that waits for ops_call(), with args (taken). done() gets req NULL
 * when there was none, or its client has left by then and what was done is to
 * be undone.
 */
typedef void docker_done_fn(struct docker *d, struct http_request *req,
			    json_t *args, const struct refusal *r,
			    json_t *reply);
void docker_ops(struct docker *d, struct http_request *req, const char *name,
		ops_fn *fn, json_t *args, docker_done_fn *done);
/* Nobody is told any more. */
void docker_waits_end(struct docker *d);

/* ---- docker_state.c ---- */

void docker_load(struct docker *d);
void docker_forget(struct docker *d);

struct docker_net *docker_net(const struct docker *d, const char *id);
int docker_net_save(struct docker *d, struct docker_net *net);
void docker_net_drop(struct docker *d, struct docker_net *net);

struct docker_ep *docker_ep(const struct docker *d, const char *id);
int docker_ep_save(struct docker *d, struct docker_ep *ep);
void docker_ep_drop(struct docker *d, struct docker_ep *ep);

struct docker_addr *docker_addr(const struct docker *d,
				const struct ip_addr *addr);
/* Is it for an endpoint that is still to be made? */
bool docker_addr_waits(const struct docker *d, const struct docker_addr *a);
/* The last such one that was asked for with this MAC. */
struct docker_addr *docker_addr_waiting(const struct docker *d,
					const char *network,
					const struct mac_addr *mac);
/* Of the model's holds, too. */
int docker_addr_save(struct docker *d, struct docker_addr *addr);
void docker_addr_drop(struct docker *d, struct docker_addr *addr);

/* One pool of the network more (1) or less (-1). */
void docker_pool_count(struct docker *d, const char *network, int change);
unsigned int docker_nets_of(const struct docker *d, const char *network);

/* A network made for a pool: taken by a network of Docker's or removed. */
void docker_made_put(struct docker *d, const char *network);
bool docker_made_del(struct docker *d, const char *network);

/* ---- docker_net.c, docker_ep.c ---- */

/* The engine has given up a network of this pool without a word. */
void docker_net_give_up(struct docker *d, const char *network);
/* One that Docker has made, and that nobody uses yet. */
bool docker_net_is_fresh(const struct net *net);
/* Removes a network that was made for nothing, then answers req, if any. */
void docker_unmake(struct docker *d, struct http_request *req,
		   const char *network);
/* Takes the endpoint's pod, and its address when that was given back. */
void docker_ep_end(struct docker *d, struct docker_ep *ep);
/* The endpoint's attachment, or NULL. */
struct attachment *docker_ep_attachment(const struct docker *d,
					const struct docker_ep *ep,
					struct pod **pod);
