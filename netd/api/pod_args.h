/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_args - what requests say of a pod, for the handlers that make one or
 * add to one. 0, or -EINVAL with the call's refusal filled.
 */
#pragma once

#include "call.h"
#include "pod.h"

/* The namespace of "netns_fd", the caller's to close; -1 without one. */
int pod_args_netns(struct call *call, int *ret);

/*
 * "NET[,ip=IP]..." as an attachment that is not the pod's yet. 1: commit what
 * is in the call's transaction, then again (OPS_AGAIN).
 */
int pod_args_network(struct call *call, struct pod *pod, const char *text,
		     struct attachment *ret);

/* Claims each of "publish"; they lead to the pod's address on this network. */
int pod_args_ports(struct call *call, struct pod *pod, const char *network);

/* "owner" and "container". */
int pod_args_owner(struct call *call, struct pod *pod);

/* A pod of this node as people see it. */
json_t *pod_show(const struct call *call, const struct pod *pod);
