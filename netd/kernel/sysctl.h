/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysctl - network settings below /proc/sys/net of this network namespace.
 *
 * A name is given in parts, because a device's name may hold dots. -errno.
 */
#pragma once

#include <stddef.h>

/*
 * Writes `value` to /proc/sys/net/DIR/[DEVICE/]KEY unless it is there
 * already: some settings reset others when written. DEVICE may be NULL.
 */
int sysctl_put(const char *dir, const char *device, const char *key,
	       const char *value);

/*
 * Forwarding of IPv6, on all devices: there is none by device. A device that
 * takes its addresses and routes from router advertisements goes on doing so.
 */
int sysctl_forward6(void);

/* The value without its newline. */
int sysctl_get(const char *dir, const char *device, const char *key, char *ret,
	       size_t size);
