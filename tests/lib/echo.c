/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-echo - a server that says who it is and whom it sees.
 *
 *   nd-echo [-6] [-a ADDR] [-n NAME] [-l LOG] PORT..
 *
 * It listens on TCP and UDP, with -6 by IPv6 as well, whose addresses are
 * shown in brackets. Every line of a connection, and every datagram,
 * is answered by `NAME from PEER:PORT at OWN:PORT`; a line `GET /` by the same
 * as an HTTP page, `GET /N` by N bytes. With -l each request leaves that line
 * in a file as well. One epoll loop; prints `listening` when it is ready.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_LEN 512

enum kind { KIND_LISTENER, KIND_UDP, KIND_CONN };

struct end {
	enum kind kind;
	int fd;
	/* What a GET asks for, until its empty line. */
	bool has_path;
	char path[64];
	/* Bytes of a page that are still to be sent. */
	size_t left;
	size_t len;
	char line[LINE_MAX_LEN];
};

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "ADDR:PORT", or "[ADDR]:PORT". */
#define ADDRESS_TEXT (INET6_ADDRSTRLEN + 9)

static const char *name = "echo";
static FILE *log_file;
static int epoll_fd;

static void die(const char *what)
{
	fprintf(stderr, "nd-echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(struct end *end, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = end };

	if (epoll_ctl(epoll_fd, op, end->fd, &ev))
		die("epoll");
}

static struct end *end_new(enum kind kind, int fd)
{
	struct end *end = calloc(1, sizeof(*end));

	if (!end)
		die("memory");
	end->kind = kind;
	end->fd = fd;
	watch(end, EPOLL_CTL_ADD, EPOLLIN);
	return end;
}

static void end_close(struct end *end)
{
	close(end->fd);
	free(end);
}

static const char *address_text(const union address *a, char buf[ADDRESS_TEXT])
{
	char ip[INET6_ADDRSTRLEN];

	if (a->sa.sa_family == AF_INET)
		snprintf(buf, ADDRESS_TEXT, "%s:%d",
			 inet_ntop(AF_INET, &a->v4.sin_addr, ip, sizeof(ip)),
			 ntohs(a->v4.sin_port));
	else
		snprintf(buf, ADDRESS_TEXT, "[%s]:%d",
			 inet_ntop(AF_INET6, &a->v6.sin6_addr, ip, sizeof(ip)),
			 ntohs(a->v6.sin6_port));
	return buf;
}

static int say(char *buf, size_t size, const union address *peer,
	       const union address *own)
{
	char from[ADDRESS_TEXT], at[ADDRESS_TEXT];
	int len = snprintf(buf, size, "%s from %s at %s\n", name,
			   address_text(peer, from), address_text(own, at));

	if (log_file) {
		fputs(buf, log_file);
		fflush(log_file);
	}
	return len;
}

/* More of the page; false: the connection has ended. */
static bool page_send(struct end *end)
{
	static const char zeros[65536];

	while (end->left) {
		size_t len =
			end->left < sizeof(zeros) ? end->left : sizeof(zeros);
		ssize_t n = send(end->fd, zeros, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(end, EPOLL_CTL_MOD, EPOLLOUT);
			return true;
		}
		if (n < 0)
			return false;
		end->left -= (size_t)n;
	}
	shutdown(end->fd, SHUT_WR);
	return false;
}

static bool page_start(struct end *end, const char *path, const char *text)
{
	size_t bytes = strtoul(path, NULL, 10);
	char head[LINE_MAX_LEN];
	int len;

	len = snprintf(head, sizeof(head),
		       "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
		       "Content-Length: %zu\r\n\r\n%s",
		       bytes ? bytes : strlen(text), bytes ? "" : text);
	if (send(end->fd, head, (size_t)len, MSG_NOSIGNAL) != len)
		return false;
	end->left = bytes;
	return page_send(end);
}

static bool line_answer(struct end *end)
{
	union address peer, own;
	socklen_t peer_len = sizeof(peer), own_len = sizeof(own);
	char text[256];
	int len;

	if (sscanf(end->line, "GET /%63s", end->path) == 1)
		end->has_path = true;
	/* Answering before the last header would reset the connection. */
	if (end->has_path && end->line[0] && end->line[0] != '\r')
		return true;
	if (getpeername(end->fd, &peer.sa, &peer_len) ||
	    getsockname(end->fd, &own.sa, &own_len))
		return false;
	len = say(text, sizeof(text), &peer, &own);
	if (end->has_path)
		return page_start(end, end->path, text);
	return send(end->fd, text, (size_t)len, MSG_NOSIGNAL) == len;
}

/* Answers what has arrived whole; false: the connection has ended. */
static bool conn_lines(struct end *end)
{
	char *newline;

	while ((newline = memchr(end->line, '\n', end->len))) {
		size_t used = (size_t)(newline - end->line) + 1;

		*newline = '\0';
		if (!line_answer(end))
			return false;
		if (end->left)
			return true;
		memmove(end->line, end->line + used, end->len - used);
		end->len -= used;
	}
	return end->len < sizeof(end->line);
}

static bool conn_read(struct end *end)
{
	ssize_t n = recv(end->fd, end->line + end->len,
			 sizeof(end->line) - end->len, 0);

	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	end->len += (size_t)n;
	return conn_lines(end);
}

/*
 * The reply leaves from the address that was asked, as servers on several
 * addresses do it: what came with the datagram goes back with the answer.
 */
static bool udp_own_address(struct cmsghdr *cmsg, union address *own)
{
	struct in6_pktinfo v6;
	struct in_pktinfo v4;

	if (cmsg && cmsg->cmsg_level == IPPROTO_IP &&
	    cmsg->cmsg_type == IP_PKTINFO) {
		memcpy(&v4, CMSG_DATA(cmsg), sizeof(v4));
		own->v4.sin_addr = v4.ipi_addr;
		v4.ipi_spec_dst = v4.ipi_addr;
		v4.ipi_ifindex = 0;
		memcpy(CMSG_DATA(cmsg), &v4, sizeof(v4));
		return true;
	}
	if (cmsg && cmsg->cmsg_level == IPPROTO_IPV6 &&
	    cmsg->cmsg_type == IPV6_PKTINFO) {
		memcpy(&v6, CMSG_DATA(cmsg), sizeof(v6));
		own->v6.sin6_addr = v6.ipi6_addr;
		v6.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(cmsg), &v6, sizeof(v6));
		return true;
	}
	return false;
}

static void udp_answer(struct end *end)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	union address peer, own;
	socklen_t own_len = sizeof(own);
	char text[2048];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr msg = {
		.msg_name = &peer,
		.msg_namelen = sizeof(peer),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};

	if (recvmsg(end->fd, &msg, 0) < 0 ||
	    getsockname(end->fd, &own.sa, &own_len) ||
	    !udp_own_address(CMSG_FIRSTHDR(&msg), &own))
		return;
	iov.iov_len = (size_t)say(text, sizeof(text), &peer, &own);
	sendmsg(end->fd, &msg, 0);
}

static void listen_on(const char *addr, int port)
{
	union address own = { .v4 = { .sin_port = htons((uint16_t)port) } };
	socklen_t len = sizeof(own.v4);
	int one = 1, tcp, udp;

	/* The port stands at the same place in both. */
	own.sa.sa_family = AF_INET;
	if (inet_pton(AF_INET, addr, &own.v4.sin_addr) != 1) {
		own.sa.sa_family = AF_INET6;
		len = sizeof(own.v6);
		if (inet_pton(AF_INET6, addr, &own.v6.sin6_addr) != 1)
			die(addr);
	}
	tcp = socket(own.sa.sa_family,
		     SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	udp = socket(own.sa.sa_family,
		     SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (own.sa.sa_family == AF_INET) {
		setsockopt(udp, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	} else {
		setsockopt(tcp, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		setsockopt(udp, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		setsockopt(udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one,
			   sizeof(one));
	}
	if (bind(tcp, &own.sa, len) || listen(tcp, 1024) ||
	    bind(udp, &own.sa, len))
		die("listen");
	end_new(KIND_LISTENER, tcp);
	end_new(KIND_UDP, udp);
}

static void conn_accept(struct end *end)
{
	int fd = accept4(end->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int one = 1;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	end_new(KIND_CONN, fd);
}

static void handle(struct end *end)
{
	switch (end->kind) {
	case KIND_LISTENER:
		conn_accept(end);
		return;
	case KIND_UDP:
		udp_answer(end);
		return;
	case KIND_CONN:
		if (!(end->left ? page_send(end) : conn_read(end)))
			end_close(end);
		return;
	}
}

int main(int argc, char **argv)
{
	struct epoll_event ev[64];
	const char *addr = "0.0.0.0";
	bool v6 = false;
	int opt;

	while ((opt = getopt(argc, argv, "6a:n:l:")) != -1) {
		if (opt == '6')
			v6 = true;
		else if (opt == 'a')
			addr = optarg;
		else if (opt == 'n')
			name = optarg;
		else if (opt == 'l')
			log_file = fopen(optarg, "ae");
		else
			return 2;
	}
	if (optind == argc) {
		fputs("usage: nd-echo [-6] [-a ADDR] [-n NAME] [-l LOG] "
		      "PORT..\n",
		      stderr);
		return 2;
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (; optind < argc; optind++) {
		listen_on(addr, atoi(argv[optind]));
		if (v6)
			listen_on("::", atoi(argv[optind]));
	}
	puts("listening");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll_fd, ev, 64, -1);

		for (int i = 0; i < n; i++)
			handle(ev[i].data.ptr);
	}
}
