/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications: what they say is not read, only that there were some. A lost
 * one (ENOBUFS) is therefore as good as any other. Events come in bursts (one
 * attached pod makes a dozen): the first starts a short timer, and its end is
 * the one call for who has much to look at. A steady stream cannot postpone
 * it, because nothing restarts it.
 */
#include "nl.h"

#include <ev.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

#include "netd/util.h"
#include "netns.h"
#include "nl_msg.h"

#define WATCH_DELAY_SEC 0.05
#define WATCH_BUFFER (1 << 20)
#define WATCH_RECV_LEN (64 * 1024)
#define WATCH_DRAIN_MAX 256

/* NETCONF tells of forwarding and rp_filter being flipped. */
static const struct watch_group {
	int bus;
	int group;
} watch_groups[] = {
	{ NETLINK_ROUTE, RTNLGRP_LINK },
	{ NETLINK_ROUTE, RTNLGRP_IPV4_IFADDR },
	{ NETLINK_ROUTE, RTNLGRP_IPV6_IFADDR },
	{ NETLINK_ROUTE, RTNLGRP_IPV4_ROUTE },
	{ NETLINK_ROUTE, RTNLGRP_IPV4_RULE },
	/* Routes by a group of next hops change without a word of theirs. */
	{ NETLINK_ROUTE, RTNLGRP_NEXTHOP },
	{ NETLINK_ROUTE, RTNLGRP_IPV4_NETCONF },
	{ NETLINK_ROUTE, RTNLGRP_TC },
	{ NETLINK_NETFILTER, NFNLGRP_NFTABLES },
	{ NETLINK_XFRM, XFRMNLGRP_POLICY },
};

static const int watch_buses[] = { NETLINK_ROUTE, NETLINK_NETFILTER,
				   NETLINK_XFRM };

struct nl_watch {
	struct ev_loop *loop;
	struct mnl_socket *socket[ARRAY_LEN(watch_buses)];
	ev_io readable[ARRAY_LEN(watch_buses)];
	ev_timer delay;
	struct nl_watch_calls calls;
};

static int watch_join(struct mnl_socket *socket, int bus)
{
	int err;

	for (size_t i = 0; i < ARRAY_LEN(watch_groups); i++) {
		int group = watch_groups[i].group;

		if (watch_groups[i].bus != bus)
			continue;
		err = mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP,
					    &group, sizeof(group));
		if (err)
			return -errno;
	}
	return 0;
}

static int watch_open_socket(int bus, struct mnl_socket **ret)
{
	const int size = WATCH_BUFFER;
	int err;

	*ret = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!*ret)
		return -errno;
	/* Without the right to pass the limit, what the limit allows. */
	if (setsockopt(mnl_socket_get_fd(*ret), SOL_SOCKET, SO_RCVBUFFORCE,
		       &size, sizeof(size)))
		setsockopt(mnl_socket_get_fd(*ret), SOL_SOCKET, SO_RCVBUF,
			   &size, sizeof(size));
	err = mnl_socket_bind(*ret, 0, MNL_SOCKET_AUTOPID);
	return err ? -errno : watch_join(*ret, bus);
}

static int watch_open_sockets(void *arg)
{
	struct nl_watch *w = arg;
	int err;

	for (size_t i = 0; i < ARRAY_LEN(watch_buses); i++) {
		err = watch_open_socket(watch_buses[i], &w->socket[i]);
		/* A kernel without nf_tables or IPsec has none that change. */
		if (err == -EPROTONOSUPPORT && watch_buses[i] != NETLINK_ROUTE)
			continue;
		if (err)
			return err;
	}
	return 0;
}

/* Not to the end at any price: what is left makes it readable again. */
static void watch_drain(int fd)
{
	static uint8_t buf[WATCH_RECV_LEN];

	for (int i = 0; i < WATCH_DRAIN_MAX; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno != EINTR && errno != ENOBUFS)
			return;
	}
}

static void watch_on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct nl_watch *w = io->data;

	(void)events;
	watch_drain(io->fd);
	if (w->calls.at_once)
		w->calls.at_once(w->calls.arg);
	if (!ev_is_active(&w->delay)) {
		ev_timer_set(&w->delay, WATCH_DELAY_SEC, 0.);
		ev_timer_start(loop, &w->delay);
	}
}

static void watch_on_delay(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct nl_watch *w = timer->data;

	(void)loop;
	(void)events;
	w->calls.soon(w->calls.arg);
}

static void watch_start(struct nl_watch *w)
{
	ev_init(&w->delay, watch_on_delay);
	w->delay.data = w;
	for (size_t i = 0; i < ARRAY_LEN(watch_buses); i++) {
		ev_init(&w->readable[i], watch_on_readable);
		w->readable[i].data = w;
		if (!w->socket[i])
			continue;
		ev_io_set(&w->readable[i], mnl_socket_get_fd(w->socket[i]),
			  EV_READ);
		ev_io_start(w->loop, &w->readable[i]);
	}
}

DEFINE_FREEP(struct nl_watch, nl_watch_free)

int nl_watch(struct nl *nl, struct ev_loop *loop,
	     const struct nl_watch_calls *calls)
{
	AUTO(nl_watch_freep) struct nl_watch *w = xzalloc(sizeof(*w));
	int err;

	if (nl->watch)
		return -EBUSY;
	w->calls = *calls;
	if (nl->netns < 0)
		err = watch_open_sockets(w);
	else
		err = netns_run(nl->netns, watch_open_sockets, w);
	if (err)
		return err;
	w->loop = loop;
	watch_start(w);
	nl->watch = take_ptr(w);
	return 0;
}

void nl_watch_free(struct nl_watch *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < ARRAY_LEN(watch_buses); i++) {
		if (w->loop)
			ev_io_stop(w->loop, &w->readable[i]);
		if (w->socket[i])
			mnl_socket_close(w->socket[i]);
	}
	if (w->loop)
		ev_timer_stop(w->loop, &w->delay);
	free(w);
}
