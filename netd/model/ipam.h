/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipam - who has which address, VIP range, VNI. Pure.
 *
 * A subnet is cut into blocks (a sixteenth of it, 8 to 64 addresses). A block
 * has one owner, who gives addresses below `own` without asking anybody and
 * raises `own` by compare-and-swap; an address at or above `own` is lent to
 * another node in the same way. So every step either needs no store, or is
 * one put compared with the revision that was looked at: two nodes that choose
 * at once cannot both win.
 */
#pragma once

#include "model.h"

/* How far `own` is raised at a time. */
#define IPAM_OWN_STEP 8
/* A freed address is not given again for this long. */
#define IPAM_REST_MS 30000

/* Addresses that rest, by address. */
struct rest {
	struct ip_addr addr;
	/* mono_ms() */
	int64_t until;
	char network[NAME_LEN];
	UT_hash_handle hh;
};

void rest_put(struct rest **rests, const struct ip_addr *addr,
	      const char *network, int64_t until);
bool rest_has(const struct rest *rests, const struct ip_addr *addr);
void rests_free(struct rest **rests);

/* An address that an engine asked for, before or beside its container. */
struct hold {
	struct ip_addr addr;
	char network[NAME_LEN];
	/* In a sentence: "Docker". */
	char holder[NAME_LEN];
	UT_hash_handle hh;
};

void model_hold_put(struct model *m, const struct ip_addr *addr,
		    const char *network, const char *holder);
void model_hold_del(struct model *m, const struct ip_addr *addr);
const struct hold *model_hold(const struct model *m,
			      const struct ip_addr *addr);

/* One put, compared with the revision looked at (0: the key is new). */
struct ipam_change {
	char key[PATH_LEN];
	int64_t rev;
	json_t *value;
};

/*
 * An address for a pod of this node. 0: *ret is ours to give. 1: commit
 * *change, then ask again. -EINVAL: refused, for want->none too.
 */
int ipam_pick(const struct model *m, const struct net *net,
	      const struct rest *rests, const struct ip_addr *want,
	      struct ip_addr *ret, struct ipam_change *change,
	      struct refusal *r);

/* What gives a lent address back, once nobody here has it: as ipam_pick(), 1;
 * 0: it is not lent to us. */
int ipam_return(const struct model *m, const struct net *net,
		const struct ip_addr *addr, struct ipam_change *change);

/* What of a network or a node this prefix overlaps, in words. */
bool ipam_taken(const struct model *m, const struct ip_prefix *p, char *what,
		size_t size);
/* The same, and the VIP pools. */
bool ipam_overlap(const struct model *m, const struct ip_prefix *p, char *what,
		  size_t size);

/* A free subnet of this 128-bit length from the pools. */
int ipam_pick_subnet(const struct model *m, uint8_t len, struct ip_prefix *ret,
		     struct refusal *r);
/* A free VIP range from the VIP pool. */
int ipam_pick_vips(const struct model *m, struct ip_prefix *ret,
		   struct refusal *r);
/* The lowest free VNI. */
int ipam_pick_vni(const struct model *m, uint32_t *ret, struct refusal *r);

/* A VIP of the network; -ENOSPC: its ranges are full. want none: any. */
int ipam_pick_vip(const struct net *net, const struct ip_addr *want,
		  struct ip_addr *ret, struct refusal *r);

/* Length of the blocks of a subnet. */
uint8_t ipam_block_len(const struct ip_prefix *subnet);
/* Network, gateway and broadcast addresses are nobody's. */
bool ipam_is_reserved(const struct net *net, const struct ip_addr *a);

struct block *block_from_json(const char *key, json_t *doc);
json_t *block_to_json(const struct block *b);
