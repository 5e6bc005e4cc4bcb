/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - one program of the system, run to its end: no shell, a clean
 * environment, standard folders only, five seconds at most.
 */
#pragma once

#include <stddef.h>

/*
 * `input` (may be NULL) is its standard input; what it prints, errors
 * included, goes to `out` (cut at size). Returns its exit code, -ENOENT when
 * there is no such program, -ETIMEDOUT, or another -errno.
 */
int run_program(const char *const argv[], const char *input, char *out,
		size_t size);
