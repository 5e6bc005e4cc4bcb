/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_proxy - a cable on loopback that can be cut, and frozen.
 *
 * Cut: connections end and new ones are refused. Frozen: nothing passes any
 * more, and nobody is told.
 */
#pragma once

#include <arpa/inet.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "netd/util.h"

#define PROXY_LINES_MAX 64

struct proxy;

/* One direction: what comes from one end is written to the other. */
struct proxy_way {
	struct proxy_line *line;
	ev_io io;
	int to;
};

struct proxy_line {
	struct proxy *proxy;
	struct proxy_way ways[2];
	bool is_open;
};

struct proxy {
	struct ev_loop *loop;
	uint16_t port, to_port;
	ev_io listener;
	struct proxy_line lines[PROXY_LINES_MAX];
};

static inline struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* Listens; port 0: any free one. The descriptor, or -1. */
static inline int loopback_listen(uint16_t port, uint16_t *ret)
{
	struct sockaddr_in addr = loopback(port);
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fd, 16) || getsockname(fd, (struct sockaddr *)&addr, &len)) {
		close(fd);
		return -1;
	}
	*ret = ntohs(addr.sin_port);
	return fd;
}

/* A port that was free a moment ago. */
static inline uint16_t free_port(void)
{
	uint16_t port = 0;
	int fd = loopback_listen(0, &port);

	if (fd >= 0)
		close(fd);
	return port;
}

static inline void proxy_line_close(struct proxy_line *line)
{
	if (!line->is_open)
		return;
	for (int i = 0; i < 2; i++) {
		ev_io_stop(line->proxy->loop, &line->ways[i].io);
		close(line->ways[i].io.fd);
	}
	line->is_open = false;
}

static inline void proxy_on_data(struct ev_loop *loop, ev_io *io, int revents)
{
	struct proxy_way *way = container_of(io, struct proxy_way, io);
	static char data[65536];
	ssize_t n = read(io->fd, data, sizeof(data));

	(void)loop;
	(void)revents;
	/* The writing end blocks: what etcd says here is small. */
	if (n <= 0 || write(way->to, data, (size_t)n) != n)
		proxy_line_close(way->line);
}

static inline void proxy_on_accept(struct ev_loop *loop, ev_io *io, int revents)
{
	struct proxy *proxy = container_of(io, struct proxy, listener);
	struct sockaddr_in addr = loopback(proxy->to_port);
	int fds[2] = { accept(io->fd, NULL, NULL),
		       socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	struct proxy_line *line = proxy->lines;

	(void)revents;
	while (line < proxy->lines + PROXY_LINES_MAX - 1 && line->is_open)
		line++;
	proxy_line_close(line);
	if (connect(fds[1], (struct sockaddr *)&addr, sizeof(addr))) {
		close(fds[0]);
		close(fds[1]);
		return;
	}
	line->proxy = proxy;
	line->is_open = true;
	for (int i = 0; i < 2; i++) {
		line->ways[i].line = line;
		line->ways[i].to = fds[!i];
		ev_io_init(&line->ways[i].io, proxy_on_data, fds[i], EV_READ);
		ev_io_start(loop, &line->ways[i].io);
	}
}

/* Listens, again if it was cut. 0, or -1. */
static inline int proxy_open(struct proxy *proxy)
{
	int fd = loopback_listen(proxy->port, &proxy->port);

	if (fd < 0)
		return -1;
	ev_io_init(&proxy->listener, proxy_on_accept, fd, EV_READ);
	ev_io_start(proxy->loop, &proxy->listener);
	return 0;
}

static inline void proxy_cut(struct proxy *proxy)
{
	if (!ev_is_active(&proxy->listener))
		return;
	ev_io_stop(proxy->loop, &proxy->listener);
	close(proxy->listener.fd);
	for (size_t i = 0; i < PROXY_LINES_MAX; i++)
		proxy_line_close(&proxy->lines[i]);
}

/* The lines there are stay silent for ever; new ones work. */
static inline void proxy_freeze(struct proxy *proxy)
{
	for (size_t i = 0; i < PROXY_LINES_MAX; i++) {
		for (int j = 0; j < 2 && proxy->lines[i].is_open; j++)
			ev_io_stop(proxy->loop, &proxy->lines[i].ways[j].io);
	}
}
