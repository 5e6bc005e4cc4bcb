/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container - a running container as its engine describes it, and what that
 * means for the pod it is. Pure.
 *
 * Names and labels were chosen by whoever started the container: what is no
 * name for DNS, or too much, is left out and listed among its problems.
 */
#pragma once

#include <jansson.h>
#include <uthash.h>

#include "pod.h"

/* What of a container's labels becomes labels of its pod. */
#define CONTAINER_LABELS_MAX 64
#define CONTAINER_LABEL_LEN 256

/* Engine's ids are 64 hex digits. */
#define CONTAINER_ID_LEN 65
#define CONTAINER_SHORT_LEN 12

struct container_net {
	/* The engine's endpoint and the engine's name for the network. */
	char endpoint[CONTAINER_ID_LEN];
	char name[ENGINE_ID_LEN];
	struct ip_addr addr;
	struct mac_addr mac;
	json_t *aliases;
};

struct container {
	char id[CONTAINER_ID_LEN];
	/* "" when it has none that DNS could bear. */
	char name[POD_NAME_LEN];
	char hostname[POD_NAME_LEN];
	/* Of the host; and its network namespace, 0: not known. */
	uint32_t pid;
	uint64_t cookie;
	/* "": it may get traffic. */
	char unready[32];
	json_t *labels;
	/* "80/tcp", as its image says. */
	json_t *exposed;
	/* Texts for people. */
	json_t *problems;
	struct container_net nets[CLIENT_NETS_MAX];
	size_t nets_len;
	UT_hash_handle hh;
};

void container_free(struct container *c);

/*
 * GET /containers/ID/json. -EINVAL: it is no such reply; -ENOENT: the
 * container does not run.
 */
int container_read(const char *text, size_t len, struct container **ret);

bool container_id_is_valid(const char *id);

/* Is the pod this container? By the engine's own ids, or by its namespace. */
bool container_is_pod(const struct container *c, const struct pod *pod);

/*
 * What the pod is to be told (pod->found). Labels with which the container
 * asks for a service are checked and completed; what is wrong with them is
 * added to problems, an array.
 */
json_t *container_found(const struct container *c, const struct pod *pod,
			json_t *problems);
