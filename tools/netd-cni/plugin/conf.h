/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf - the configuration on standard input.
 *
 * Everything is refused that would have to be ignored: an unknown key is a
 * slip of the pen, a known one that netd does not do (bandwidth, ipam) is
 * named. What removes something (DEL, GC) reads only what it needs.
 */
#pragma once

#include <stddef.h>

#include "env.h"

#define CNI_CONF_MAX (1024 * 1024)

/* The newest, for who asks without saying which. */
#define CNI_VERSION_NEWEST "1.1.0"

struct cni_conf {
	json_t *doc;
	/* One of ours, as the runtime wrote it. */
	const char *version;
	/* The runtime's network. */
	const char *name;
	/* netd's network and socket. */
	const char *network;
	const char *socket;
};

void cni_conf_free(struct cni_conf *conf);

/* On failure ret->version is what the error is to be said in. */
int cni_conf_read(const char *text, size_t len, enum cni_command command,
		  struct cni_conf *ret, struct cni_error *e);

/* {"cniVersion": .., "supportedVersions": [..]} */
json_t *cni_versions_json(void);

/* Is the conversation in this version, or a newer one? */
bool cni_conf_is_from(const struct cni_conf *conf, const char *version);

/* A member that must be of this type: NULL when it is not there. */
int cni_member(json_t *obj, const char *where, const char *key, json_type type,
	       json_t **ret, struct cni_error *e);
