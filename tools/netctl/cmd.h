/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd - netctl's commands: one row each, most of them one operation.
 *
 * What a command takes is its operation's row in api_ops[] and a few options
 * of its own; what it prints is its run function's.
 */
#pragma once

#include "args.h"
#include "ctl.h"
#include "out.h"

/* Sets of struct args, in the order in which an option is looked up. */
enum cmd_set { SET_FIELDS, SET_OWN, SET_GLOBAL };

/* No single operation. */
#define CMD_NO_OP API_OP_MAX

struct cmd {
	const char *words;
	enum api_op op;
	/* Returns the exit code. */
	int (*run)(const struct ctl *ctl, const struct cmd *cmd,
		   struct args *args);
	const char *help;
	const struct out_view *view;
	/* Options that are not the operation's. */
	const struct api_arg *own;
	size_t own_len;
	/* Several names, one request each. */
	bool many;
	/* NAME, and then a command line that is not ours. */
	bool runs;
};

/* Runs the command that argv names, global options among its words. */
int cmd_main(int argc, char **argv);

/* What most commands are. */
int cmd_create(const struct ctl *ctl, const struct cmd *cmd, struct args *args);
int cmd_list(const struct ctl *ctl, const struct cmd *cmd, struct args *args);
int cmd_inspect(const struct ctl *ctl, const struct cmd *cmd,
		struct args *args);
int cmd_remove(const struct ctl *ctl, const struct cmd *cmd, struct args *args);
/* Nothing to print when it is done. */
int cmd_quiet(const struct ctl *ctl, const struct cmd *cmd, struct args *args);

/* The rows, by noun; each ends with words NULL. */
extern const struct cmd network_cmds[];
extern const struct cmd pod_cmds[];
extern const struct cmd service_cmds[];
extern const struct cmd dns_cmds[];
extern const struct cmd resolver_cmds[];
extern const struct cmd docker_cmds[];
extern const struct cmd cni_cmds[];
extern const struct cmd drops_cmds[];
extern const struct cmd completion_cmds[];
extern const struct cmd system_cmds[];

static inline json_t *cmd_fields(const struct args *args)
{
	return args->sets[SET_FIELDS].values;
}

static inline json_t *cmd_own(const struct args *args)
{
	return args->sets[SET_OWN].values;
}
