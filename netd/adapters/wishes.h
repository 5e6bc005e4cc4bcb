/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wishes - the services that labels of pods ask for, and the way there. Pure.
 *
 * Every node sees the same pods and comes to the same wishes, so that several
 * hosts' containers of one service meet in one. Where they differ, the pod
 * that is first by node and id is right, and the others are named.
 */
#pragma once

#include "model.h"

struct wish {
	char name[NAME_LEN];
	/* Arguments of service.create; NULL: no pod's labels make sense. */
	json_t *args;
	/* "NODE/ID" of the pod that is right. */
	const char *first;
	/* A pod of this node asks, too. */
	bool own;
	/* Pods that ask for the same name, otherwise: "web-2 on node2". */
	json_t *others;
	UT_hash_handle hh;
};

struct wish *wishes_of(const struct model *m, const struct net *net);
void wishes_free(struct wish **wishes);

/* Was the service made from labels? Then it may be changed and removed. */
bool wish_is_ours(const struct service *s);

enum wish_step {
	WISH_DONE,
	WISH_CREATE,
	WISH_UPDATE,
	WISH_REMOVE,
	/* An operator's service has the name: it stays as it is. */
	WISH_FOREIGN,
};

/* From what there is (s, or NULL) to what is wished; *args for the operation,
 * NULL where there is none. */
enum wish_step wish_step(const struct net *net, const struct wish *wish,
			 const struct service *s, json_t **args);
