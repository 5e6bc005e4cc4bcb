/* SPDX-License-Identifier: Apache-2.0 */
/*
 * env - what a runtime says in the environment: the command, and whom it is
 * about. Each command has the variables that it needs; names that become part
 * of a file's name or of a link's are checked by their letters.
 */
#pragma once

#include <stdbool.h>

#include "error.h"

enum cni_command {
	CNI_ADD,
	CNI_DEL,
	CNI_CHECK,
	CNI_GC,
	CNI_STATUS,
	CNI_VERSION,
	CNI_COMMAND_MAX
};

/* Longer ones do not fit into the name of a file. */
#define CNI_CONTAINER_MAX 200

/* NULL where the command does not need it; the strings are the caller's. */
struct cni_env {
	enum cni_command command;
	const char *container;
	const char *netns;
	const char *ifname;
	/* "K=V;K=V", or NULL. */
	const char *args;
	/* The host's own namespace is meant to be used. */
	bool netns_override;
};

typedef const char *cni_getenv_fn(void *arg, const char *name);

int cni_env_read(cni_getenv_fn *get, void *arg, struct cni_env *ret,
		 struct cni_error *e);

/* [a-zA-Z0-9][a-zA-Z0-9_.-]*: containers and networks. */
bool cni_name_is_valid(const char *name);
bool cni_ifname_is_valid(const char *name);
