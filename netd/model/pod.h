/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod - this node's pods: what the journal keeps of them. Pure.
 */
#pragma once

#include "model.h"

struct attachment {
	char id[ENDPOINT_ID_LEN];
	char network[NAME_LEN];
	uint32_t vni;
	struct ip_addr addr;
	json_t *aliases;
	/* The link, once there was one; ifindex 0 before. */
	uint32_t ifindex;
	uint64_t cookie;
	char ifname[LINK_NAME_LEN];
	/* This process has seen it in place, or seen that its link is gone;
	 * neither: it could not be taken over, and is tried again. */
	bool is_up, is_gone;
};

struct pod {
	char name[POD_NAME_LEN];
	/* The name in lower case. */
	char key[POD_NAME_LEN];
	/* netd made the namespace (ROOT/ns/NAME) and removes it. */
	bool own_ns;
	/* It is being removed: nothing may be attached any more. */
	bool leaving;
	json_t *labels;
	struct attachment nets[CLIENT_NETS_MAX];
	size_t nets_len;
	UT_hash_handle hh;
};

struct pod *pod_new(const char *name);
void pod_free(struct pod *pod);
struct pod *pod_from_json(json_t *doc);
json_t *pod_to_json(const struct pod *pod);

struct pod *model_pod(const struct model *m, const char *name);
void model_pod_add(struct model *m, struct pod *pod);
/* Takes it out of the model; the caller's to free. */
void model_pod_remove(struct model *m, struct pod *pod);

struct attachment *pod_attachment(struct pod *pod, const char *network);
/* Forgets the attachment at this place of nets[]. */
void pod_detach(struct pod *pod, struct attachment *at);

/* "NET[,ip=IP][,alias=NAME]..." */
struct pod_network {
	char network[NAME_LEN];
	/* none: any */
	struct ip_addr addr;
	json_t *aliases;
};

int pod_network_parse(const char *text, struct pod_network *ret,
		      struct refusal *r);

/* Plain values for the backends; pod->nets[i] on its network. */
struct want_pod pod_want(const struct model *m, const struct pod *pod,
			 const struct attachment *at, const struct net *net,
			 uint32_t mtu);
