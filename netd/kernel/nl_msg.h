/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nl_msg - how the files of nl send and receive: private to this folder.
 *
 * Building is libnl-route's work, sending and receiving ours: a wait that
 * ends, answers matched by sequence number, the kernel's words kept.
 */
#pragma once

#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "netd/addr.h"
#include "nl.h"

struct nl_sock;
struct nl_watch;

struct nl {
	struct nl_sock *request;
	struct nl_sock *dump;
	/* Our own descriptor of the namespace, or -1: the caller's. */
	int netns;
	struct nl_watch *watch;
	char error[256];
};

typedef int (*nl_msg_fn)(void *arg, struct nlmsghdr *hdr);

static inline void nl_msg_freep(struct nl_msg **msg)
{
	if (*msg)
		nlmsg_free(*msg);
}

static inline void nl_addr_putp(struct nl_addr **addr)
{
	if (*addr)
		nl_addr_put(*addr);
}

/* What a libnl builder returned, as -errno. */
int nl_build_error(int nl_err);

/* Sends and waits for the answer (to fn, may be NULL) and the ack. */
int nl_request(struct nl *nl, struct nl_msg *msg, nl_msg_fn fn, void *arg);

/*
 * Reads a whole dump, again when it was interrupted, and only then calls fn
 * for each message of it, until fn returns non-zero: so fn may use `nl`.
 */
int nl_read_all(struct nl *nl, struct nl_msg *msg, nl_msg_fn fn, void *arg);

void nl_watch_free(struct nl_watch *w);

/* NULL for "none". The caller drops the reference. */
struct nl_addr *nl_addr_from_ip(const struct ip_addr *a);
struct nl_addr *nl_addr_from_prefix(const struct ip_prefix *p);
/* false for another family than IPv4 and IPv6; NULL gives "none". */
bool nl_addr_to_ip(struct nl_addr *from, struct ip_addr *ret);
bool nl_addr_to_prefix(struct nl_addr *from, struct ip_prefix *ret);
