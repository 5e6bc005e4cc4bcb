/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change - one key of the store on its way into the tables: private to this
 * folder. A kind of key that needs more than a function has a file.
 */
#pragma once

#include "model.h"

#define KEY_WORDS_MAX 3

/* The words of a key that its pattern left open. */
struct key {
	char word[KEY_WORDS_MAX][POD_NAME_LEN];
};

struct change {
	struct model *m;
	const struct model_marks *marks;
	struct key key;
	/* NULL: the key is gone. */
	json_t *doc;
	int64_t rev;
};

/* The network of this name; made, without a revision, if it is not known. */
struct net *change_net(struct model *m, const char *name);
/* Forgets a network of which nothing is known any more. */
void change_net_sweep(struct model *m, struct net *net);

/* What a node offers to the services of a network. */
int up_apply(struct change *c);
void up_free(struct up *up);

/* A pod's attachment on another node, and its names. */
int endpoint_apply(struct change *c);

static inline void change_tell(const struct model_marks *marks,
			       enum event_id id, const char *name,
			       const char *net, const char *node,
			       const char *message)
{
	if (marks && marks->told)
		marks->told(marks->arg, id, name, net, node, message);
}

/* Finds by string key; the two lookups every table needs. */
#define FIND(head, name)                                                       \
	({                                                                     \
		__typeof__(&*(head)) find_found = NULL;                        \
		HASH_FIND_STR(head, name, find_found);                         \
		find_found;                                                    \
	})
