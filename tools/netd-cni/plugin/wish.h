/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wish - environment and configuration as one request to netd.
 *
 * The pod is called what its orchestrator calls it, and has the labels that
 * say what it is part of, so that a service can select it:
 *
 *   K8S_POD_NAME (containerd, CRI-O, podman)   the name
 *   K8S_POD_NAMESPACE, _UID   io.kubernetes.pod.namespace, .uid, .name
 *   NOMAD_GROUP_NAME, _ALLOC_ID   the name: group and the id's beginning
 *   NOMAD_REGION, _NAMESPACE, _JOB_ID, _GROUP_NAME, _ALLOC_ID
 *                             nomad.region, .namespace, .job, .group, .alloc
 *   NETD_LABELS=K=V,K=V       these
 *   otherwise                 the name: the container's id; of one that is
 *                             hexadecimal, 12 digits
 *
 * and those of `labels` in the configuration and of args.cni.labels.
 */
#pragma once

#include "conf.h"

/*
 * What pod.attach of netd's API takes, but for netns_fd; a new reference. No
 * address, MAC, alias or port is left out silently: -EINVAL.
 */
int cni_wish(const struct cni_env *env, const struct cni_conf *conf,
	     json_t **ret, struct cni_error *e);

/* What pod.detach and pod.check take. */
json_t *cni_container(const struct cni_env *env);

/* What pod.gc takes: all that stdin does not name is to go. */
int cni_survivors(const struct cni_conf *conf, json_t **ret,
		  struct cni_error *e);
