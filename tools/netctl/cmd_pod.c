/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "client.h"
#include "cmd.h"
#include "enter.h"
#include "netd/util.h"

/* Each attachment as NETWORK=ADDRESS, or NETWORK=ADDRESS,ADDRESS6. */
static char *addresses_text(const json_t *value)
{
	char *all = xstrdup("");
	json_t *at;
	size_t i;

	json_array_foreach (value, i, at) {
		AUTO(str_freep)
		char *network = out_text(json_object_get(at, "network"));
		AUTO(str_freep) char *ip = out_text(json_object_get(at, "ip"));
		AUTO(str_freep)
		char *ip6 = out_text(json_object_get(at, "ip6"));

		all = out_join(all, xasprintf("%s=%s%s%s", network, ip,
					      *ip6 ? "," : "", ip6));
	}
	return all;
}

/* Each port of the node as engines write it: HOSTIP:PORT->TARGET/tcp. */
static char *ports_text(const json_t *value)
{
	char *all = xstrdup("");
	json_t *port;
	size_t i;

	json_array_foreach (value, i, port) {
		AUTO(str_freep)
		char *host = out_text(json_object_get(port, "host_ip"));
		AUTO(str_freep)
		char *number = out_text(json_object_get(port, "port"));
		AUTO(str_freep)
		char *target = out_text(json_object_get(port, "target"));
		AUTO(str_freep)
		char *proto = out_text(json_object_get(port, "protocol"));

		all = out_join(all, xasprintf("%s%s%s->%s/%s", host,
					      *host ? ":" : "", number, target,
					      proto));
	}
	return all;
}

static const struct out_column columns[] = {
	{ "NAME", "name", 0, NULL },
	{ "NODE", "node", 0, NULL },
	{ "STATE", "state", OUT_STATE, NULL },
	{ "ADDRESSES", "networks", OUT_CUT, addresses_text },
	{ "PORTS", "ports", OUT_IF_ANY | OUT_CUT, ports_text },
	{ "REASON", "state_reason", OUT_IF_ANY | OUT_CUT, NULL },
	{ "ID", "id", OUT_WIDE, NULL },
	{ "NETNS", "netns", OUT_WIDE, NULL },
	{ "OWNER", "owner", OUT_WIDE, NULL },
	{ "LABELS", "labels", OUT_WIDE, NULL },
};

static const struct out_view view = { "name", columns, ARRAY_LEN(columns) };

/* ---- create ---- */

static const struct api_arg create_own[] = {
	{ .name = "netns",
	  .type = API_STR,
	  .value = "PATH",
	  .help = "a namespace that is there, instead of a new one" },
	{ .name = "pid",
	  .type = API_INT,
	  .value = "PID",
	  .help = "the namespace of this process",
	  .min = 1,
	  .max = 4194304 },
};

/* Opens what --netns or --pid name; *fd is -1 without them. */
static int open_netns(const json_t *own, int *fd)
{
	const char *path = json_string_value(json_object_get(own, "netns"));
	json_int_t pid = json_integer_value(json_object_get(own, "pid"));
	AUTO(str_freep) char *of_pid = NULL;
	int type;

	*fd = -1;
	if (!path && !pid)
		return 0;
	if (path && pid)
		return complain(EXIT_USAGE, NULL,
				"--netns and --pid say the same thing");
	if (!path)
		path = of_pid = xasprintf("/proc/%lld/ns/net", pid);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return complain(errno == EACCES ? EXIT_PERMISSION
						: EXIT_NOT_FOUND,
				NULL, "%s: %s", path, strerror(errno));
	type = ioctl(*fd, NS_GET_NSTYPE);
	if (type != CLONE_NEWNET)
		return complain(EXIT_USAGE,
				"as in /run/netns/NAME or /proc/PID/ns/net",
				"%s: is not a network namespace", path);
	return 0;
}

/* netd opens the descriptor in our process: it stays open until the reply. */
static int run_create(const struct ctl *ctl, const struct cmd *cmd,
		      struct args *args)
{
	AUTO(fd_closep) int fd = -1;
	int code = open_netns(cmd_own(args), &fd);

	if (code)
		return code;
	if (fd >= 0)
		json_object_set_new(cmd_fields(args), "netns_fd",
				    json_integer(fd));
	return cmd_create(ctl, cmd, args);
}

/* ---- run and exec ---- */

static const struct api_arg run_own[] = {
	{ .name = "rm",
	  .type = API_BOOL,
	  .help = "remove the pod when the command has ended" },
};

static int wants_command(const struct cmd *cmd)
{
	return complain(EXIT_USAGE, "netctl pod exec NAME -- ip address",
			"%s: wants a command behind --", cmd->words);
}

static void remove_pod(const struct ctl *ctl, const char *name)
{
	json_t *args = json_pack("{s:s}", "name", name);
	json_t *reply;

	client_ask(ctl, API_POD_DELETE, args, &reply);
	json_decref(reply);
	json_decref(args);
}

static int run_run(const struct ctl *ctl, const struct cmd *cmd,
		   struct args *args)
{
	json_t *reply;
	int code;

	if (!args->rest_len)
		return wants_command(cmd);
	code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);
	json_decref(reply);
	if (code)
		return code;
	code = enter_run(ctl, args->words[0], args->rest);
	if (json_is_true(json_object_get(cmd_own(args), "rm")))
		remove_pod(ctl, args->words[0]);
	return code;
}

static int run_exec(const struct ctl *ctl, const struct cmd *cmd,
		    struct args *args)
{
	if (!args->words_len || !args->rest_len)
		return wants_command(cmd);
	return enter_exec(ctl, args->words[0], args->rest);
}

static const struct api_arg force[] = {
	{ .name = "force",
	  .type = API_BOOL,
	  .letter = 'f',
	  .help = "what is not there is no error" },
};

const struct cmd pod_cmds[] = {
	{ .words = "pod create",
	  .op = API_POD_CREATE,
	  .run = run_create,
	  .own = create_own,
	  .own_len = ARRAY_LEN(create_own),
	  .help = "Make a pod on this node" },
	{ .words = "pod run",
	  .op = API_POD_CREATE,
	  .run = run_run,
	  .own = run_own,
	  .own_len = ARRAY_LEN(run_own),
	  .runs = true,
	  .help = "Make a pod and run a command in it" },
	{ .words = "pod exec",
	  .op = CMD_NO_OP,
	  .run = run_exec,
	  .runs = true,
	  .help = "Run a command in a pod of this node" },
	{ .words = "pod ls",
	  .op = API_POD_LIST,
	  .run = cmd_list,
	  .view = &view,
	  .help = "List the pods of all nodes" },
	{ .words = "pod inspect",
	  .op = API_POD_INSPECT,
	  .run = cmd_inspect,
	  .many = true,
	  .help = "Show pods in full, as JSON" },
	{ .words = "pod rm",
	  .op = API_POD_DELETE,
	  .run = cmd_remove,
	  .own = force,
	  .own_len = 1,
	  .many = true,
	  .help = "Remove pods of this node" },
	{ .words = NULL },
};
