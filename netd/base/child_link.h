/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_link - the connection to a process that child.h starts: kept, and
 * made anew.
 *
 * What there is to tell goes as fast as the process reads, what it says is
 * taken as it comes, and neither holds the loop up. A process that ends, or
 * says what cannot be, is followed by another: at once the first time, then
 * after a pause that grows. Loop thread only.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child_link_ops {
	/* In log lines: "dns: server". */
	const char *what;
	/* child_start(), and what its first words are. 0 or -errno. */
	int (*start)(void *arg, pid_t *pid, int *fd);
	/* It is connected. One that was found knows what it was told. */
	void (*up)(void *arg, bool adopted);
	/* The connection is gone, and closed. */
	void (*down)(void *arg);
	/* The next thing in order. 0, 1 when there is none, -EAGAIN, -errno. */
	int (*tell)(void *arg, int fd);
	/* Reads one message and takes it. 0, -EAGAIN, -errno. */
	int (*hear)(void *arg, int fd);
};

struct child_link {
	struct ev_loop *loop;
	const struct child_link_ops *ops;
	void *arg;
	/* -1: none, a timer will start one. */
	int fd;
	pid_t pid;
	ev_io reader;
	ev_io writer;
	ev_timer restart;
	double backoff;
	int64_t started;
};

void child_link_init(struct child_link *link, struct ev_loop *loop,
		     const struct child_link_ops *ops, void *arg);

/* Starts one; what ends later is started again, what fails here is not. */
int child_link_start(struct child_link *link);
/* One that was found, and greeted; fd is taken. */
void child_link_adopt(struct child_link *link, int fd, pid_t pid);

/* There is something to tell. */
void child_link_changed(struct child_link *link);

/* Lets go of the process, which goes on. */
void child_link_close(struct child_link *link);
