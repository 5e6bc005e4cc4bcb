/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "netd/util.h"

/* Some ten thousand queries: a burst while the server is busy. */
#define RECEIVE_BYTES (4 << 20)
#define BACKLOG 256

static socklen_t address_make(const struct ip_addr *addr,
			      struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (ip_is_v4(addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(DNS_PORT);
		v4->sin_addr.s_addr = ip_be32(addr);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(DNS_PORT);
	memcpy(&v6->sin6_addr, addr->b, sizeof(addr->b));
	return sizeof(*v6);
}

static int open_one(const struct ip_addr *addr, int type, int *ret)
{
	AUTO(fd_closep) int fd = -1;
	struct sockaddr_storage ss;
	socklen_t len = address_make(addr, &ss);
	int on = 1, bytes = RECEIVE_BYTES;

	fd = socket(ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/*
	 * TCP: connections of a server before us may linger. Not for UDP,
	 * where it would let anybody else take our port.
	 */
	if (type == SOCK_STREAM &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return -errno;
	/* Above net.core.rmem_max, which root may. */
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
			   sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&ss, len))
		return -errno;
	if (type == SOCK_STREAM && listen(fd, BACKLOG))
		return -errno;
	*ret = take_fd(fd);
	return 0;
}

int sockets_open(const struct ip_addr *gateway, int ret[PROTO_FDS_MAX])
{
	AUTO(fd_closep) int udp = -1;
	int err = open_one(gateway, SOCK_DGRAM, &udp);

	if (!err)
		err = open_one(gateway, SOCK_STREAM, &ret[1]);
	if (err)
		return err;
	ret[0] = take_fd(udp);
	return 0;
}
