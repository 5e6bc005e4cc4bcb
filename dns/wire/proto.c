/* SPDX-License-Identifier: Apache-2.0 */
#include "proto.h"

#include <sys/socket.h>
#include <sys/uio.h>

/* Length of each type's body; NAMED: as long as the name takes. */
#define NAMED 0
static const struct {
	size_t len;
	bool fds;
} types[] = {
	[PROTO_HELLO] = { sizeof(struct proto_hello), false },
	[PROTO_SOCKETS] = { sizeof(struct proto_sockets), true },
	[PROTO_QUIT] = { 0, false },
	[PROTO_CONFIG] = { sizeof(struct proto_config), false },
	[PROTO_UPSTREAMS] = { sizeof(struct proto_upstreams), false },
	[PROTO_BEGIN] = { 0, false },
	[PROTO_END] = { 0, false },
	[PROTO_ZONE_PUT] = { sizeof(struct want_zone), false },
	[PROTO_ZONE_DEL] = { sizeof(struct proto_vni), false },
	[PROTO_ZONE_OPEN] = { sizeof(struct proto_sockets), true },
	[PROTO_CLIENT_PUT] = { sizeof(struct want_client), false },
	[PROTO_CLIENT_DEL] = { sizeof(struct ip_addr), false },
	[PROTO_NAME_PUT] = { NAMED, false },
	[PROTO_NAME_DEL] = { NAMED, false },
	[PROTO_STUB_PUT] = { sizeof(struct want_upstream), false },
	[PROTO_STUB_DEL] = { sizeof(struct proto_stub_key), false },
	[PROTO_REVERSE_PUT] = { sizeof(struct want_reverse), false },
	[PROTO_REVERSE_DEL] = { sizeof(struct proto_vni), false },
	[PROTO_LISTEN] = { sizeof(struct ip_addr), true },
	[PROTO_ASK] = { sizeof(struct proto_ask), false },
	[PROTO_SYNCED] = { 0, false },
	[PROTO_STATS] = { sizeof(struct dns_stats), false },
	[PROTO_TOLD] = { sizeof(struct proto_told), false },
};
_Static_assert(ARRAY_LEN(types) == PROTO_MAX, "a row per type");

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * PROTO_FDS_MAX)];
};

void proto_hello_fill(struct proto_hello *hello, uint32_t sockets)
{
	*hello = (struct proto_hello){
		.magic = PROTO_MAGIC,
		.version = PROTO_VERSION,
		.sockets = sockets,
	};
	str_copy(hello->build, sizeof(hello->build), NETD_VERSION);
}

bool proto_hello_same(const struct proto_hello *a, const struct proto_hello *b)
{
	return a->magic == b->magic && a->version == b->version &&
	       memcmp(a->build, b->build, sizeof(a->build)) == 0;
}

void proto_fds_close(int fds[PROTO_FDS_MAX])
{
	for (size_t i = 0; i < PROTO_FDS_MAX; i++) {
		fd_closep(&fds[i]);
		fds[i] = -1;
	}
}

static void attach(struct msghdr *mh, union control *c,
		   const int fds[PROTO_FDS_MAX])
{
	struct cmsghdr *cm;

	memset(c, 0, sizeof(*c));
	mh->msg_control = c->buf;
	mh->msg_controllen = sizeof(c->buf);
	cm = CMSG_FIRSTHDR(mh);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int) * PROTO_FDS_MAX);
	memcpy(CMSG_DATA(cm), fds, sizeof(int) * PROTO_FDS_MAX);
}

int proto_send(int fd, enum proto_type type, const void *body, size_t len,
	       const int fds[PROTO_FDS_MAX])
{
	struct proto_head head = { .type = type, .len = (uint32_t)len };
	/* An iovec points to bytes that are read or written: no const. */
	struct iovec iov[] = {
		{ &head, sizeof(head) },
		{ (void *)(uintptr_t)body, len },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov) };
	union control control;
	ssize_t n;

	if (fds)
		attach(&mh, &control, fds);
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return 0;
}

static bool detach(struct msghdr *mh, int fds[PROTO_FDS_MAX])
{
	bool good = true;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm;
	     cm = CMSG_NXTHDR(mh, cm)) {
		size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		/* The buffer has room for PROTO_FDS_MAX and no more. */
		memcpy(fds, CMSG_DATA(cm), n * sizeof(int));
		good = good && n == PROTO_FDS_MAX;
	}
	return good && !(mh->msg_flags & (MSG_CTRUNC | MSG_TRUNC));
}

bool proto_is_whole(const struct proto_msg *msg, size_t n)
{
	size_t len = n - sizeof(msg->head);

	if (n < sizeof(msg->head) || msg->head.type >= PROTO_MAX ||
	    msg->head.len != len)
		return false;
	if (msg->fds[0] >= 0 && !types[msg->head.type].fds)
		return false;
	if (msg->head.type == PROTO_NAME_PUT ||
	    msg->head.type == PROTO_NAME_DEL)
		return len > 0;
	return len == types[msg->head.type].len;
}

int proto_recv(int fd, struct proto_msg *msg)
{
	struct iovec iov = { msg, offsetof(struct proto_msg, fds) };
	union control control;
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	msg->fds[0] = msg->fds[1] = -1;
	do
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (detach(&mh, msg->fds) && n && proto_is_whole(msg, (size_t)n))
		return 0;
	/* Descriptors may come with an empty message too. */
	proto_fds_close(msg->fds);
	return n ? -EBADMSG : -ECONNRESET;
}
