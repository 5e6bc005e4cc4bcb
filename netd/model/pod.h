/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod - this node's pods: what the journal keeps of them. Pure.
 */
#pragma once

#include "model.h"
#include "pod_port.h"

/* An engine's words for a container and for a network of its own. */
#define ENGINE_ID_LEN 256

/* Where the pod's end is of a link that an engine moves itself. */
enum attachment_hand {
	/* No engine does. */
	HAND_OURS,
	/* Here: it may be taken at any moment. */
	HAND_OFFERED,
	/* In the container. */
	HAND_TAKEN,
	/* The engine said that it takes it out again. */
	HAND_LEFT,
};

struct attachment {
	char id[ENDPOINT_ID_LEN];
	char network[NAME_LEN];
	uint32_t vni;
	struct ip_addr addr;
	/* Its pair, where the network has one and the pod gets it. */
	struct ip_addr addr6;
	struct mac_addr mac;
	json_t *aliases;
	/* The engine's network that asked for it; "" without an engine. */
	char config[ENGINE_ID_LEN];
	/* The link, once there was one; ifindex 0 before. */
	uint32_t ifindex;
	uint64_t cookie;
	/* Before: the name wished for, or "". */
	char ifname[LINK_NAME_LEN];
	/* This process has seen it in place, or seen that its link is gone;
	 * neither: it could not be taken over, and is tried again. */
	bool is_up, is_gone;
	enum attachment_hand hand;
	/* Nobody is led there any more, and on this clock (mono_ms()) it is
	 * taken away; 0: it stays. */
	int64_t leaves_at;
	/* The container's resolver asks those of the host; see want_pod. */
	bool asks_host;
};

/* Its address of this family, or NULL. */
static inline const struct ip_addr *attachment_addr(const struct attachment *at,
						    bool v6)
{
	if (ip_is_v4(&at->addr) != v6)
		return &at->addr;
	return v6 && !ip_is_none(&at->addr6) ? &at->addr6 : NULL;
}

/* May others be led there? */
static inline bool attachment_is_in(const struct attachment *at)
{
	return at->hand == HAND_OURS || at->hand == HAND_TAKEN;
}

struct pod {
	char name[POD_NAME_LEN];
	/* The name in lower case. */
	char key[POD_NAME_LEN];
	/* netd made the namespace (ROOT/ns/NAME) and removes it. */
	bool own_ns;
	/* It is being removed: nothing may be attached any more. */
	bool leaving;
	/* Who asked for it ("": netctl; "cni", "docker"), and its name there.
	 */
	char owner[16];
	char container[ENGINE_ID_LEN];
	json_t *labels;
	/*
	 * What the engine says of the container, or NULL: {"name", "unready":
	 * why or "", "labels": {}, "aliases": {"NET": []}}. It was not asked
	 * for here, so what was holds where both speak.
	 */
	json_t *found;
	/* Ports of this node that lead here. */
	struct pod_port *ports;
	size_t ports_len;
	/* Where its namespace is to be expected, or NULL; not kept. */
	char *netns_path;
	struct attachment nets[CLIENT_NETS_MAX];
	size_t nets_len;
	UT_hash_handle hh;
};

struct pod *pod_new(const char *name);
void pod_free(struct pod *pod);
struct pod *pod_from_json(json_t *doc);
json_t *pod_to_json(const struct pod *pod);

struct pod *model_pod(const struct model *m, const char *name);
/* The same, or the one that is shown by this name. */
struct pod *model_pod_shown(const struct model *m, const char *name);
/* By its engine's own name for it; NULL too where that is "". */
struct pod *model_pod_of(const struct model *m, const char *owner,
			 const char *container);
void model_pod_add(struct model *m, struct pod *pod);
/* Takes it out of the model; the caller's to free. */
void model_pod_remove(struct model *m, struct pod *pod);

/* As everybody is to see it: asked for and found. New references. */
json_t *pod_labels(const struct pod *pod);
json_t *pod_aliases(const struct pod *pod, const struct attachment *at);
/* The container's name for one that an engine named, else the pod's. */
const char *pod_shown_name(const struct pod *pod);
/* Why it must get no traffic although it runs; "": nothing says so. */
const char *pod_unready(const struct pod *pod);

struct attachment *pod_attachment(struct pod *pod, const char *network);
/* Forgets the attachment at this place of nets[]. */
void pod_detach(struct pod *pod, struct attachment *at);

/* "NET[,ip=IP][,ip6=IP][,mac=MAC][,ifname=NAME][,alias=NAME]..." */
struct pod_network {
	char network[NAME_LEN];
	/* none: any */
	struct ip_addr addr, addr6;
	/* All zero: the address's own. */
	struct mac_addr mac;
	/* "": the first free of eth0, eth1, ... */
	char ifname[LINK_NAME_LEN];
	json_t *aliases;
};

int pod_network_parse(const char *text, struct pod_network *ret,
		      struct refusal *r);

/* What a wish comes to, its aliases taken over; without an id yet. */
struct attachment attachment_make(const struct net *net,
				  const struct pod_network *wish,
				  const struct ip_addr *addr);

/* A name that the kernel takes for a link, "lo" apart. */
bool link_name_is_valid(const char *name);
/* "02:..": of one station, and not all zero. */
int pod_mac_parse(const char *text, struct mac_addr *ret, struct refusal *r);
/* The pod of this node that has the MAC on this network already, or NULL. */
const struct pod *model_mac_owner(const struct model *m, const char *network,
				  const struct mac_addr *mac);

/* Plain values for the backends; pod->nets[i] on its network. */
struct want_pod pod_want(const struct model *m, const struct pod *pod,
			 const struct attachment *at, const struct net *net,
			 uint32_t mtu);
