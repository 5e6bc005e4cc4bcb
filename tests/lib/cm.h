/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with the headers it forgets to include, and our exit code for a
 * test that cannot run here. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* "skipped" for ctest and tests/run */
#define TEST_SKIP 77

/* For main(): ends the program aloud when not run as root. */
#define SKIP_UNLESS_ROOT()                                                     \
	do {                                                                   \
		if (geteuid() != 0) {                                          \
			puts("skipped: needs root");                           \
			return TEST_SKIP;                                      \
		}                                                              \
	} while (0)
