/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mouth itself: sockets, one request with its ack, one dump.
 *
 * A request is sent, then messages are read until the ack with its sequence
 * number; leftovers of an earlier request that timed out have another number
 * and are dropped. A dump is gathered whole before anybody sees it: what the
 * kernel marks as interrupted (NLM_F_DUMP_INTR) was changed under our feet
 * and may lack objects that exist, and a reader that believed it would delete
 * or release them. It is read to its end before the next is sent, otherwise
 * the kernel answers EBUSY.
 */
#include "nl.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netlink/errno.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "netd/util.h"
#include "netns.h"
#include "nl_msg.h"

#define NL_TIMEOUT_SEC 5
#define NL_DUMP_TRIES 8
#define NL_DUMP_BUFFER (1 << 20)
/* The kernel's dump messages are 32 KiB at most, answers far smaller. */
#define NL_RECV_LEN (64 * 1024)

struct nl_bytes {
	uint8_t *data;
	size_t len;
	size_t size;
};

static void nl_bytes_clear(struct nl_bytes *b)
{
	free(b->data);
}

static void nl_bytes_add(struct nl_bytes *b, const void *data, size_t len)
{
	if (b->len + len > b->size) {
		b->size = MAX(b->size * 2, b->len + len);
		b->data = xrealloc(b->data, b->size);
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

int nl_build_error(int nl_err)
{
	switch (-nl_err) {
	case NLE_SUCCESS:
		return 0;
	case NLE_NOMEM:
	case NLE_MSGSIZE:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

static int nl_socket_options(int fd)
{
	static const struct {
		int option;
		bool must;
	} on[] = {
		{ NETLINK_EXT_ACK, true },
		{ NETLINK_CAP_ACK, true },
		/* 4.20: filters in dump requests are obeyed. */
		{ NETLINK_GET_STRICT_CHK, false },
	};
	const struct timeval timeout = { .tv_sec = NL_TIMEOUT_SEC };
	const int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)))
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(on); i++) {
		if (setsockopt(fd, SOL_NETLINK, on[i].option, &one,
			       sizeof(one)) &&
		    on[i].must)
			return -errno;
	}
	return 0;
}

static int nl_socket_new(int buffer, struct nl_sock **ret)
{
	struct nl_sock *sk = nl_socket_alloc();
	int err;

	if (!sk)
		return -ENOMEM;
	if (nl_connect(sk, NETLINK_ROUTE)) {
		err = errno ? -errno : -EIO;
		goto fail;
	}
	err = nl_socket_options(nl_socket_get_fd(sk));
	if (!err && buffer && nl_socket_set_buffer_size(sk, buffer, 0))
		err = -ENOBUFS;
	if (err)
		goto fail;
	*ret = sk;
	return 0;

fail:
	nl_socket_free(sk);
	return err;
}

static int nl_open_sockets(void *arg)
{
	struct nl *nl = arg;
	int err = nl_socket_new(0, &nl->request);

	if (err)
		return err;
	return nl_socket_new(NL_DUMP_BUFFER, &nl->dump);
}

static struct nl *nl_new(void)
{
	struct nl *nl = xzalloc(sizeof(*nl));

	nl->netns = -1;
	return nl;
}

DEFINE_FREEP(struct nl, nl_free)

int nl_open(struct nl **ret)
{
	AUTO(nl_freep) struct nl *nl = nl_new();
	int err = nl_open_sockets(nl);

	if (err)
		return err;
	*ret = take_ptr(nl);
	return 0;
}

int nl_open_netns(int netns, struct nl **ret)
{
	AUTO(nl_freep) struct nl *nl = nl_new();
	int err;

	nl->netns = fcntl(netns, F_DUPFD_CLOEXEC, 3);
	if (nl->netns < 0)
		return -errno;
	err = netns_run(netns, nl_open_sockets, nl);
	if (err)
		return err;
	*ret = take_ptr(nl);
	return 0;
}

void nl_free(struct nl *nl)
{
	if (!nl)
		return;
	nl_watch_free(nl->watch);
	nl_socket_free(nl->request);
	nl_socket_free(nl->dump);
	fd_closep(&nl->netns);
	free(nl);
}

const char *nl_error(const struct nl *nl)
{
	return nl->error;
}

int nl_cookie(struct nl *nl, uint64_t *ret)
{
	socklen_t len = sizeof(*ret);

	if (getsockopt(nl_socket_get_fd(nl->request), SOL_SOCKET,
		       SO_NETNS_COOKIE, ret, &len))
		return -errno;
	return 0;
}

/* One datagram from the kernel; a timeout is -ETIMEDOUT. */
static ssize_t nl_receive(int fd, void *buf, size_t size)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do {
		msg.msg_namelen = sizeof(from);
		n = recvmsg(fd, &msg, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid));

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return n;
}

/* The extended ack stands after the request's copy, unless that is capped. */
static void nl_keep_error(struct nl *nl, struct nlmsghdr *hdr, int err)
{
	const struct nlmsgerr *e = nlmsg_data(hdr);
	struct nlattr *text;
	int skip = sizeof(*e);

	snprintf(nl->error, sizeof(nl->error), "%s", strerror(-err));
	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
		skip += (int)(e->msg.nlmsg_len - sizeof(e->msg));
	if (skip < 0 || skip > nlmsg_datalen(hdr))
		return;
	text = nlmsg_find_attr(hdr, skip, NLMSGERR_ATTR_MSG);
	if (text && nla_len(text) > 0)
		snprintf(nl->error, sizeof(nl->error), "%.*s", nla_len(text),
			 (const char *)nla_data(text));
}

/* The value of an error or ack message, or of the end of a dump. */
static int nl_verdict(struct nl *nl, struct nlmsghdr *hdr)
{
	const struct nlmsgerr *e = nlmsg_data(hdr);
	int err = 0;

	if (hdr->nlmsg_type == NLMSG_DONE) {
		if (nlmsg_datalen(hdr) >= (int)sizeof(err))
			memcpy(&err, nlmsg_data(hdr), sizeof(err));
		if (err)
			snprintf(nl->error, sizeof(nl->error), "%s",
				 strerror(-err));
		return err;
	}
	if (nlmsg_datalen(hdr) < (int)sizeof(*e))
		return -EBADMSG;
	if (e->error)
		nl_keep_error(nl, hdr, e->error);
	return e->error;
}

static int nl_send_msg(struct nl *nl, struct nl_sock *sk, struct nl_msg *msg,
		       uint32_t *seq)
{
	nl->error[0] = 0;
	errno = 0;
	if (nl_send_auto(sk, msg) < 0) {
		int err = errno ? -errno : -EIO;

		snprintf(nl->error, sizeof(nl->error), "%s", strerror(-err));
		return err;
	}
	*seq = nlmsg_hdr(msg)->nlmsg_seq;
	return 0;
}

struct nl_turn {
	struct nl *nl;
	struct nl_sock *sk;
	uint32_t seq;
	bool is_done;
	bool is_interrupted;
	nl_msg_fn fn;
	void *arg;
};

/* Hands one datagram's messages on; `is_done` at the ack or the end. */
static int nl_turn_take(struct nl_turn *t, void *buf, int len)
{
	struct nlmsghdr *hdr = buf;
	uint32_t port = nl_socket_get_local_port(t->sk);
	int err;

	for (; nlmsg_ok(hdr, len); hdr = nlmsg_next(hdr, &len)) {
		if (hdr->nlmsg_seq != t->seq || hdr->nlmsg_pid != port)
			continue;
		if (hdr->nlmsg_flags & NLM_F_DUMP_INTR)
			t->is_interrupted = true;
		if (hdr->nlmsg_type == NLMSG_ERROR ||
		    hdr->nlmsg_type == NLMSG_DONE) {
			t->is_done = true;
			return nl_verdict(t->nl, hdr);
		}
		if (!t->fn || hdr->nlmsg_type < NLMSG_MIN_TYPE)
			continue;
		err = t->fn(t->arg, hdr);
		if (err)
			return err;
	}
	return 0;
}

static int nl_turn_run(struct nl_turn *t)
{
	static _Thread_local uint8_t buf[NL_RECV_LEN]
		__attribute__((aligned(16)));
	int fd = nl_socket_get_fd(t->sk);
	ssize_t n;
	int err = 0;

	while (!t->is_done && !err) {
		n = nl_receive(fd, buf, sizeof(buf));
		if (n < 0) {
			snprintf(t->nl->error, sizeof(t->nl->error), "%s",
				 strerror((int)-n));
			return (int)n;
		}
		err = nl_turn_take(t, buf, (int)n);
	}
	return err;
}

int nl_request(struct nl *nl, struct nl_msg *msg, nl_msg_fn fn, void *arg)
{
	struct nl_turn turn = {
		.nl = nl, .sk = nl->request, .fn = fn, .arg = arg
	};
	int err = nl_send_msg(nl, nl->request, msg, &turn.seq);

	return err ? err : nl_turn_run(&turn);
}

static int nl_gather(void *arg, struct nlmsghdr *hdr)
{
	nl_bytes_add(arg, hdr, NLMSG_ALIGN(hdr->nlmsg_len));
	return 0;
}

static int nl_dump_once(struct nl *nl, struct nl_msg *msg, struct nl_bytes *all,
			bool *interrupted)
{
	struct nl_turn turn = {
		.nl = nl, .sk = nl->dump, .fn = nl_gather, .arg = all
	};
	int err;

	all->len = 0;
	nlmsg_hdr(msg)->nlmsg_seq = NL_AUTO_SEQ;
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_DUMP;
	err = nl_send_msg(nl, nl->dump, msg, &turn.seq);
	if (!err)
		err = nl_turn_run(&turn);
	*interrupted = turn.is_interrupted;
	return err;
}

int nl_read_all(struct nl *nl, struct nl_msg *msg, nl_msg_fn fn, void *arg)
{
	AUTO(nl_bytes_clear) struct nl_bytes all = { 0 };
	bool interrupted = true;
	struct nlmsghdr *hdr;
	int err, left;

	for (int i = 0; i < NL_DUMP_TRIES && interrupted; i++) {
		err = nl_dump_once(nl, msg, &all, &interrupted);
		/* EINTR is how a dump says it in its last message (6.7). */
		if (err == -EINTR)
			interrupted = true;
		else if (err)
			return err;
	}
	if (interrupted) {
		snprintf(nl->error, sizeof(nl->error),
			 "dump changed %d times while it was read",
			 NL_DUMP_TRIES);
		return -EAGAIN;
	}

	hdr = (struct nlmsghdr *)(void *)all.data;
	left = (int)all.len;
	for (; nlmsg_ok(hdr, left); hdr = nlmsg_next(hdr, &left)) {
		if (fn(arg, hdr))
			break;
	}
	return 0;
}

struct nl_addr *nl_addr_from_prefix(const struct ip_prefix *p)
{
	bool v4 = ip_is_v4(&p->addr);
	struct nl_addr *a =
		nl_addr_build(v4 ? AF_INET : AF_INET6,
			      v4 ? p->addr.b + 12 : p->addr.b, v4 ? 4 : 16);

	if (a)
		nl_addr_set_prefixlen(a, prefix_shown_len(p));
	return a;
}

struct nl_addr *nl_addr_from_ip(const struct ip_addr *a)
{
	struct ip_prefix p = prefix_host(a);

	return ip_is_none(a) ? NULL : nl_addr_from_prefix(&p);
}

bool nl_addr_to_prefix(struct nl_addr *from, struct ip_prefix *ret)
{
	uint32_t v4 = 0;

	memset(ret, 0, sizeof(*ret));
	if (!from)
		return true;
	switch (nl_addr_get_family(from)) {
	case AF_INET:
		/* 0.0.0.0/0 has no bytes at all. */
		if (nl_addr_get_len(from) == sizeof(v4))
			memcpy(&v4, nl_addr_get_binary_addr(from), sizeof(v4));
		ret->addr = ip_from_be32(v4);
		ret->len = (uint8_t)(nl_addr_get_prefixlen(from) + 96);
		return true;
	case AF_INET6:
		if (nl_addr_get_len(from) == sizeof(ret->addr))
			memcpy(&ret->addr, nl_addr_get_binary_addr(from),
			       sizeof(ret->addr));
		ret->len = (uint8_t)nl_addr_get_prefixlen(from);
		return true;
	default:
		return false;
	}
}

bool nl_addr_to_ip(struct nl_addr *from, struct ip_addr *ret)
{
	struct ip_prefix p;
	bool ok = nl_addr_to_prefix(from, &p);

	*ret = p.addr;
	return ok;
}
