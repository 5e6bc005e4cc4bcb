/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns - network namespaces: make, keep by name, enter and come back.
 *
 * The process has one thread, so entering another namespace for the length of
 * a call changes it for nobody else. Failures: -errno.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A new namespace, bound at DIR/NAME. -EEXIST: there is one. */
int netns_add(const char *dir, const char *name);
/* Unbinds and removes DIR/NAME; the namespace lives while a process is in it.
 */
int netns_del(const char *dir, const char *name);
/* A descriptor of DIR/NAME. -ENOENT. */
int netns_open(const char *dir, const char *name);

/* The descriptor's namespace: -EINVAL when it is not a network namespace. */
int netns_check(int fd);
/* Is it the one this process is in? */
bool netns_is_own(int fd);

/*
 * The namespace with this SO_NETNS_COOKIE, found through a process in it.
 * -ENOENT: no process is. Walks /proc: for rare requests.
 */
int netns_find(uint64_t cookie);

/*
 * The first namespace but our own that some process is in and is_it(arg, fd)
 * says yes to. -ENOENT.
 */
int netns_find_by(bool (*is_it)(void *arg, int fd), void *arg);

/* Runs fn inside and comes back whatever it returns; its value is returned. */
int netns_run(int fd, int (*fn)(void *arg), void *arg);

/* The namespace's SO_NETNS_COOKIE: no other has had or will have it. */
int netns_cookie(int fd, uint64_t *ret);
