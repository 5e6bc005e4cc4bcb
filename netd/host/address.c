/* SPDX-License-Identifier: Apache-2.0 */
/* This node's address, and the store's. */
#include "host.h"

#include <netdb.h>
#include <sys/socket.h>

#include "netd/log.h"
#include "netd/util.h"

/* The address the default route leaves from; nothing is sent. */
static int auto_address(struct ip_addr *ret)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* TEST-NET-3 (RFC 5737): routed like everything unknown. */
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(9),
				  .sin_addr = { htonl(0xcb007101) } };
	socklen_t len = sizeof(sa);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len))
		return -EADDRNOTAVAIL;
	*ret = ip_from_be32(sa.sin_addr.s_addr);
	return 0;
}

int host_address(const struct config *cfg, struct ip_addr *ret)
{
	if (!ip_is_none(&cfg->node_address)) {
		*ret = cfg->node_address;
		return 0;
	}
	if (auto_address(ret)) {
		log_err("netd: this node has no default route to take its "
			"address from; give --address IP");
		return -EADDRNOTAVAIL;
	}
	log_info("netd: the node's address is the default route's source");
	return 0;
}

static struct want_guard guard_of(const struct sockaddr *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;
	struct want_guard guard = { 0 };

	if (sa->sa_family == AF_INET) {
		guard.addr = ip_from_be32(v4->sin_addr.s_addr);
		guard.port = ntohs(v4->sin_port);
	} else {
		memcpy(guard.addr.b, &v6->sin6_addr, sizeof(guard.addr.b));
		guard.port = ntohs(v6->sin6_port);
	}
	return guard;
}

/* "http://HOST:PORT": its addresses. */
static size_t guards_of(const char *endpoint, struct want_guard *ret,
			size_t max)
{
	const char *host = strstr(endpoint, "://");
	const char *colon;
	char name[256];
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL, *ai;
	size_t len = 0;
	int brackets;

	host = host ? host + 3 : endpoint;
	colon = strrchr(host, ':');
	brackets = colon && *host == '[' && colon[-1] == ']';
	if (!colon ||
	    str_format(name, sizeof(name), "%.*s",
		       (int)(colon - host) - 2 * brackets, host + brackets))
		return 0;
	if (getaddrinfo(name, colon + 1, &hints, &list))
		return 0;
	for (ai = list; ai && len < max; ai = ai->ai_next)
		ret[len++] = guard_of(ai->ai_addr);
	freeaddrinfo(list);
	return len;
}

size_t host_guards(const struct config *cfg,
		   struct want_guard ret[HOST_GUARDS_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < cfg->endpoints_len; i++)
		len += guards_of(cfg->endpoints[i], ret + len,
				 HOST_GUARDS_MAX - len);
	return len;
}
