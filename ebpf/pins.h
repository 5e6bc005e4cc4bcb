/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pins - directories in a bpffs.
 *
 * Where no bpffs is mounted at the place asked for, one is: hosts without
 * systemd do not have /sys/fs/bpf, and a daemon's private root has none.
 */
#pragma once

/* The directory itself, in a bpffs. 0 or -errno. */
int pins_make(const char *dir);

/* A directory below it. 0 or -errno. */
int pins_make_dir(const char *dir);

/* Calls fn with the name of every entry; it may unlink it. 0 or -errno. */
int pins_each(const char *dir, void (*fn)(void *arg, const char *name),
	      void *arg);

/* The directory goes, and the bpffs if pins_make() mounted it just there. */
int pins_drop(const char *dir);
