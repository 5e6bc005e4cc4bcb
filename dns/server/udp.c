/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries over UDP, in batches: one system call takes up to BATCH of them,
 * one sends their answers. An answer that the socket does not take is lost,
 * as any datagram may be; the client asks again.
 */
#include <sys/socket.h>

#include "netd/util.h"
#include "parts.h"

#define BATCH 32
/* Batches before the loop looks at its other watchers: half a millisecond. */
#define ROUNDS 8
/* A query with options; longer ones are no honest queries over UDP. */
#define QUERY_BYTES 2048

struct udp {
	struct mmsghdr in[BATCH];
	struct mmsghdr out[BATCH];
	struct iovec in_iov[BATCH];
	struct iovec out_iov[BATCH];
	struct sockaddr_storage peer[BATCH];
	struct query_in asked[BATCH];
	uint8_t query[BATCH][QUERY_BYTES];
	uint8_t answer[BATCH][DNS_UDP_MAX];
	/* Of the query at hand; the rest of it stays zero. */
	struct forward_to to;
};

struct udp *udp_new(void)
{
	struct udp *u = xzalloc(sizeof(*u));

	for (size_t i = 0; i < BATCH; i++) {
		u->in_iov[i] = (struct iovec){ u->query[i], QUERY_BYTES };
		u->in[i].msg_hdr.msg_iov = &u->in_iov[i];
		u->in[i].msg_hdr.msg_iovlen = 1;
		u->in[i].msg_hdr.msg_name = &u->peer[i];
	}
	return u;
}

void udp_free(struct udp *u)
{
	free(u);
}

static void read_one(struct listener *l, struct udp *u, size_t i)
{
	struct ip_addr src = sockaddr_ip(&u->peer[i]);
	size_t len = u->in[i].msg_len;

	/* Cut by the kernel: shown to the reader as what it is, no query. */
	if (u->in[i].msg_hdr.msg_flags & MSG_TRUNC)
		len = 0;
	query_read(&l->server->env, u->query[i], len, &src, &u->asked[i]);
}

/* Answers the i-th query of the batch as the n-th answer; true if it did. */
static bool answer_one(struct listener *l, struct udp *u, size_t i, size_t n)
{
	struct msghdr *in = &u->in[i].msg_hdr;
	size_t len;

	u->to.id = l->id;
	u->to.peer_len = in->msg_namelen;
	memcpy(&u->to.peer, &u->peer[i], in->msg_namelen);
	len = server_answer(l->server, &u->asked[i], &u->to, u->answer[n]);
	if (!len)
		return false;
	u->out_iov[n] = (struct iovec){ u->answer[n], len };
	u->out[n].msg_hdr = (struct msghdr){
		.msg_name = &u->peer[i],
		.msg_namelen = in->msg_namelen,
		.msg_iov = &u->out_iov[n],
		.msg_iovlen = 1,
	};
	return true;
}

/* As many passes as memory is waited for, see query.h. */
static size_t answer_all(struct listener *l, struct udp *u, size_t n)
{
	size_t answers = 0;

	for (size_t i = 0; i < n; i++)
		read_one(l, u, i);
	for (size_t i = 0; i < n; i++)
		query_near(&l->server->env, &u->asked[i]);
	for (size_t i = 0; i < n; i++)
		answers += answer_one(l, u, i, answers);
	return answers;
}

static void send_all(int fd, struct mmsghdr *out, size_t n)
{
	while (n) {
		int sent = sendmmsg(fd, out, (unsigned)n, MSG_DONTWAIT);

		/* The first one fails alone: no route to it, for example. */
		if (sent <= 0)
			sent = 1;
		out += sent;
		n -= (size_t)sent;
	}
}

void udp_read(struct listener *l)
{
	struct udp *u = l->server->udp;

	for (int round = 0; round < ROUNDS; round++) {
		size_t answers;
		int n;

		for (size_t i = 0; i < BATCH; i++)
			u->in[i].msg_hdr.msg_namelen = sizeof(u->peer[i]);
		n = recvmmsg(l->udp, u->in, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return;
		answers = answer_all(l, u, (size_t)n);
		send_all(l->udp, u->out, answers);
		/* One alone is seldom followed at once; of several others
		 * came meanwhile, and the loop's own calls are saved. */
		if (n == 1)
			return;
	}
}

void udp_send(struct listener *l, const struct sockaddr_storage *peer,
	      socklen_t peer_len, const uint8_t *data, size_t len)
{
	sendto(l->udp, data, len, MSG_DONTWAIT | MSG_NOSIGNAL,
	       (const struct sockaddr *)peer, peer_len);
}
