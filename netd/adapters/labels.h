/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels - the words a container asks for a service with. Pure.
 *
 * A container's labels become its pod's, as far as they fit. With
 * netd.enable=true the node of the container completes them: the service's
 * name, its network and its ports are then labels too, so that every node can
 * tell from a pod's labels alone which service it asks for, and as what.
 */
#pragma once

#include <jansson.h>

#include "model.h"

#define LABEL_ENABLE "netd.enable"
#define LABEL_SERVICE "netd.service"
#define LABEL_NETWORK "netd.network"
#define LABEL_PORT "netd.port"
#define LABEL_PUBLISH "netd.publish"
#define LABEL_WEIGHT "netd.weight"
#define LABEL_COMPOSE_SERVICE "com.docker.compose.service"
#define LABEL_COMPOSE_PROJECT "com.docker.compose.project"

/* On a service: who made it, and may change and remove it. */
#define LABEL_ORIGIN "netd.origin"
#define LABEL_ORIGIN_DOCKER "docker"

/* Settings of a service that are a word each. */
#define LABEL_TEXTS 6

struct label_text {
	const char *label, *arg;
	/* What it is without the label. */
	const char *preset;
	/* It says more of `health`, and nothing without it. */
	bool of_health;
};

extern const struct label_text label_texts[LABEL_TEXTS];

/* Those that fit, ours first; what is left out is added to problems. */
json_t *labels_take(json_t *all, json_t *problems);

/*
 * Completed, as above; exposed are the ports of the image ("80/tcp"), name is
 * the container's. A container on several networks has to name one.
 */
json_t *labels_complete(const json_t *labels, const char *name,
			const json_t *exposed, const char *const *networks,
			size_t networks_len, json_t *problems);

/* Does a pod with these completed labels ask for a service on the network? */
const char *labels_service_name(const json_t *labels, const char *network);

/* The service: arguments of service.create, or NULL with the refusal. */
json_t *labels_service(const json_t *labels, const char *network,
		       struct refusal *r);
