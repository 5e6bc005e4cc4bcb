/* SPDX-License-Identifier: Apache-2.0 */
/* What most commands do with their operation and its reply. */
#include "client.h"
#include "cmd.h"
#include "netd/util.h"

int cmd_create(const struct ctl *ctl, const struct cmd *cmd, struct args *args)
{
	json_t *reply;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	if (ctl->form == FORM_JSON)
		out_json(reply);
	else
		out_name(cmd_fields(args), "name");
	json_decref(reply);
	return EXIT_OK;
}

int cmd_quiet(const struct ctl *ctl, const struct cmd *cmd, struct args *args)
{
	json_t *reply;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (!code && ctl->form == FORM_JSON && reply)
		out_json(reply);
	json_decref(reply);
	return code;
}

int cmd_list(const struct ctl *ctl, const struct cmd *cmd, struct args *args)
{
	json_t *reply;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (!code)
		out_list(ctl, cmd->view, reply);
	json_decref(reply);
	return code;
}

/*
 * Several names: go on after a failure, and say so at the end. Without a
 * daemon there is nothing to go on with.
 */
static int sum_up(const struct args *args, int code, int one)
{
	if (!one || one == EXIT_UNREACHABLE)
		return one ? one : code;
	return args->words_len > 1 ? EXIT_SOME_FAILED : one;
}

int cmd_inspect(const struct ctl *ctl, const struct cmd *cmd, struct args *args)
{
	json_t *all = json_array();
	json_t *object;
	int code = EXIT_OK;
	size_t i;

	for (i = 0; i < args->words_len && code != EXIT_UNREACHABLE; i++) {
		json_t *reply;

		json_object_set_new(cmd_fields(args), "name",
				    json_string(args->words[i]));
		code = sum_up(args, code,
			      client_ask(ctl, cmd->op, cmd_fields(args),
					 &reply));
		if (reply)
			json_array_append_new(all, reply);
	}
	if (ctl->form == FORM_NAME || ctl->quiet)
		json_array_foreach (all, i, object)
			out_name(object, "name");
	else
		out_json(all);
	json_decref(all);
	return code;
}

static int remove_one(const struct ctl *ctl, const struct cmd *cmd,
		      struct args *args)
{
	bool force = json_is_true(json_object_get(cmd_own(args), "force"));
	struct failure why = { 0 };
	json_t *reply;
	int code = client_call(ctl, cmd->op, cmd_fields(args), &reply, &why);

	if (!code)
		out_name(cmd_fields(args), "name");
	else if (force && why.error == API_NOT_FOUND)
		code = EXIT_OK;
	else
		failure_show(&why);
	failure_free(&why);
	json_decref(reply);
	return code;
}

int cmd_remove(const struct ctl *ctl, const struct cmd *cmd, struct args *args)
{
	int code = EXIT_OK;
	size_t i;

	for (i = 0; i < args->words_len && code != EXIT_UNREACHABLE; i++) {
		json_object_set_new(cmd_fields(args), "name",
				    json_string(args->words[i]));
		code = sum_up(args, code, remove_one(ctl, cmd, args));
	}
	return code;
}
