/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl - one run of netctl: where the daemon is, how to print, how it ends.
 *
 * Data goes to standard output, all else to standard error. Functions that
 * return an exit code have said why on standard error, unless they leave it
 * in a struct failure for the caller.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "netd/api.h"

enum ctl_exit {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_CONFLICT = 4,
	EXIT_UNREACHABLE = 5,
	EXIT_PERMISSION = 6,
	EXIT_TIMED_OUT = 7,
	EXIT_SOME_FAILED = 8,
};

enum ctl_form { FORM_TABLE, FORM_WIDE, FORM_JSON, FORM_NAME };

struct ctl {
	/* Path of the daemon's socket. */
	char *socket;
	enum ctl_form form;
	bool quiet;
	bool no_trunc;
	bool color;
	bool debug;
	/* Seconds for a whole request. */
	unsigned int timeout;
};

/* Why a request failed; freed by failure_free(). */
struct failure {
	int exit;
	enum api_error error;
	char *message;
	char *hint;
};

void failure_free(struct failure *f);

/* Prints "netctl: ..." and "hint: ..."; returns the exit code. */
int failure_show(const struct failure *f);

/* The same for what netctl itself finds wrong; hint may be NULL. */
int complain(int exit_code, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
