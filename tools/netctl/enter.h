/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enter - a command inside a pod: its network and its resolv.conf.
 *
 * Only the network namespace is changed, and a mount namespace of the
 * command's own for the one file. /sys stays as it is: mounted anew it would
 * show the pod's links, and hide bpffs.
 */
#pragma once

#include "ctl.h"

/*
 * Replaces this process with the command, or returns the exit code that says
 * why not: 3 no such pod, 6 not root, 126 and 127 as shells do.
 */
int enter_exec(const struct ctl *ctl, const char *pod, char **command);

/* Runs it as a child; returns its exit code, 128 + N for a signal. */
int enter_run(const struct ctl *ctl, const char *pod, char **command);
