/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - steps at which a test may have netd fail, or die.
 *
 * Always built in, because what is tested is what is shipped: without
 * NETD_FAULT_FILE in netd's environment a step costs one comparison. With it,
 * netd writes the steps' names to FILE.points when it starts, and a step that
 * FILE names ("link.made fail", "link.made die") does so once: FILE is gone
 * then.
 */
#pragma once

/* In the order in which a pod meets them. */
enum fault {
	FAULT_POD_BEGUN,
	FAULT_NETNS_MADE,
	FAULT_NET_PUT,
	FAULT_LINK_MADE,
	FAULT_LINK_PROGRAM,
	FAULT_LINK_CONFIGURED,
	FAULT_LINK_MAPPED,
	FAULT_POD_RESOLV,
	FAULT_POD_NOTED,
	FAULT_SERVICE_PUT,
	FAULT_POD_LEAVING,
	FAULT_POD_HIDDEN,
	FAULT_LINK_DOOMED,
	FAULT_NETNS_GONE,
	FAULT_POD_FORGOTTEN,
	FAULT_SERVICE_GONE,
	FAULT_NET_GONE,
	FAULT_STORE_COMMIT,
	FAULT_STORE_COMMITTED,
	/* What Docker asks of its driver, in its order. */
	FAULT_DOCKER_HELD,
	FAULT_DOCKER_MADE,
	FAULT_DOCKER_OFFERED,
	FAULT_DOCKER_LEFT,
	FAULT_DOCKER_ENDED,
	FAULT_MAX,
};

void fault_open(void);

/* 0, or -EIO where this step is to fail. */
int fault_at(enum fault step);

/* A step that cannot fail: it may only be the last. */
void fault_after(enum fault step);
