/* SPDX-License-Identifier: Apache-2.0 */
/* flags - the command line of netd as it was given. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum flags_verb {
	FLAGS_RUN,
	FLAGS_HELP,
	FLAGS_VERSION,
	FLAGS_CHECK,
	FLAGS_CLEANUP,
};

struct flags {
	enum flags_verb verb;
	bool adopt_store;
	/* argv's strings, NULL where not given. */
	const char *root, *file, *node, *address, *store, *log_level;
};

extern const char flags_help[];

/* 0 or -EINVAL with the reason. */
int flags_parse(int argc, char **argv, struct flags *ret, char *error,
		size_t size);
