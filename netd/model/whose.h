/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whose - what an address is, in words for people. Pure.
 */
#pragma once

#include "model.h"

enum whose_kind {
	WHOSE_NOBODY,
	WHOSE_POD,
	WHOSE_SERVICE,
	WHOSE_GATEWAY,
	WHOSE_NODE,
};

/* "" where there is none; the model's, until its next change. */
struct whose {
	enum whose_kind kind;
	/* The pod's, the service's or the node's. */
	const char *name;
	/* Known of any address in a network's ranges. */
	const char *network;
	/* Where the pod runs. */
	const char *node;
};

struct whose model_whose(const struct model *m, const struct ip_addr *addr);
/* This node's pod with this link, and on which network that is. */
struct whose model_whose_link(const struct model *m, uint32_t ifindex);
