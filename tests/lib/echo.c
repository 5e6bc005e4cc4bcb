/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-echo - a server that says who it is and whom it sees.
 *
 *   nd-echo [-a ADDR] [-n NAME] [-l LOG] PORT..
 *
 * It listens on TCP and UDP. Every line of a connection, and every datagram,
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

static int say(char *buf, size_t size, const struct sockaddr_in *peer,
	       const struct sockaddr_in *own)
{
	char from[INET_ADDRSTRLEN], at[INET_ADDRSTRLEN];
	int len;

	inet_ntop(AF_INET, &peer->sin_addr, from, sizeof(from));
	inet_ntop(AF_INET, &own->sin_addr, at, sizeof(at));
	len = snprintf(buf, size, "%s from %s:%d at %s:%d\n", name, from,
		       ntohs(peer->sin_port), at, ntohs(own->sin_port));
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
	struct sockaddr_in peer, own;
	socklen_t peer_len = sizeof(peer), own_len = sizeof(own);
	char text[128];
	int len;

	if (sscanf(end->line, "GET /%63s", end->path) == 1)
		end->has_path = true;
	/* Answering before the last header would reset the connection. */
	if (end->has_path && end->line[0] && end->line[0] != '\r')
		return true;
	if (getpeername(end->fd, (struct sockaddr *)&peer, &peer_len) ||
	    getsockname(end->fd, (struct sockaddr *)&own, &own_len))
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

/* The reply leaves from the address that was asked, as servers on several
 * addresses do it. */
static void udp_answer(struct end *end)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct sockaddr_in peer, own;
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
	struct cmsghdr *cmsg;
	struct in_pktinfo info;

	if (recvmsg(end->fd, &msg, 0) < 0 ||
	    getsockname(end->fd, (struct sockaddr *)&own, &own_len))
		return;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != IP_PKTINFO)
		return;
	memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
	own.sin_addr = info.ipi_addr;
	info.ipi_spec_dst = info.ipi_addr;
	info.ipi_ifindex = 0;
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	iov.iov_len = (size_t)say(text, sizeof(text), &peer, &own);
	sendmsg(end->fd, &msg, 0);
}

static void listen_on(const char *addr, int port)
{
	struct sockaddr_in own = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};
	int one = 1, tcp, udp;

	if (inet_pton(AF_INET, addr, &own.sin_addr) != 1)
		die(addr);
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(udp, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	if (bind(tcp, (struct sockaddr *)&own, sizeof(own)) ||
	    listen(tcp, 1024) ||
	    bind(udp, (struct sockaddr *)&own, sizeof(own)))
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
	int opt;

	while ((opt = getopt(argc, argv, "a:n:l:")) != -1) {
		if (opt == 'a')
			addr = optarg;
		else if (opt == 'n')
			name = optarg;
		else if (opt == 'l')
			log_file = fopen(optarg, "ae");
		else
			return 2;
	}
	if (optind == argc) {
		fputs("usage: nd-echo [-a ADDR] [-n NAME] [-l LOG] PORT..\n",
		      stderr);
		return 2;
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (; optind < argc; optind++)
		listen_on(addr, atoi(argv[optind]));
	puts("listening");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll_fd, ev, 64, -1);

		for (int i = 0; i < n; i++)
			handle(ev[i].data.ptr);
	}
}
