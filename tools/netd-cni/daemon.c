/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "client.h"
#include "netd/util.h"
#include "wish.h"

/* Seconds; runtimes wait a minute or more. */
#define TIMEOUT 30

static const enum cni_code codes[API_ERROR_MAX] = {
	[API_INVALID] = CNI_CODE_CONFIG,
	[API_NOT_FOUND] = CNI_CODE_CONFIG,
	[API_CONFLICT] = CNI_CODE_TAKEN,
	[API_IN_USE] = CNI_CODE_TAKEN,
	[API_FORBIDDEN] = CNI_CODE_FORBIDDEN,
	[API_UNSUPPORTED] = CNI_CODE_UNSUPPORTED,
	[API_EXHAUSTED] = CNI_CODE_FULL,
	[API_UNAVAILABLE] = CNI_CODE_LATER,
	[API_TIMEOUT] = CNI_CODE_LATER,
	[API_TOO_LARGE] = CNI_CODE_CONFIG,
	[API_INTERNAL] = CNI_CODE_INTERNAL,
};

static enum cni_code code_of(const struct failure *why)
{
	if (why->exit == EXIT_UNREACHABLE || why->exit == EXIT_TIMED_OUT)
		return CNI_CODE_LATER;
	if (why->exit == EXIT_PERMISSION)
		return CNI_CODE_FORBIDDEN;
	return codes[why->error] ? codes[why->error] : CNI_CODE_INTERNAL;
}

int daemon_ask(const struct cni_conf *conf, enum api_op op, json_t *args,
	       json_t **ret, struct cni_error *e)
{
	AUTO(str_freep) char *socket = xstrdup(conf->socket);
	struct ctl ctl = { .socket = socket, .timeout = TIMEOUT };
	struct failure why = { 0 };
	int err = 0;

	if (client_call(&ctl, op, args, ret, &why))
		err = cni_fail(e, code_of(&why), why.hint, "%s", why.message);
	failure_free(&why);
	return err;
}

/*
 * CONTAINER@IFNAME in a folder beside netd's socket. Both names were checked:
 * neither has a slash, and an id has no @. Where there is no run folder, no
 * netd has been there since the machine came up, and nothing of it either.
 */
static int leave_tombstone(const struct cni_env *env,
			   const struct cni_conf *conf)
{
	AUTO(str_freep) char *run = xstrdup(conf->socket);
	AUTO(str_freep) char *dir = NULL;
	AUTO(str_freep) char *path = NULL;
	AUTO(fd_closep) int fd = -1;

	*strrchr(run, '/') = '\0';
	if (access(*run ? run : "/", F_OK))
		return 0;
	dir = xasprintf("%s/cni", run);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	path = xasprintf("%s/%s@%s", dir, env->container, env->ifname);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : 0;
}

int daemon_give_up(const struct cni_env *env, const struct cni_conf *conf,
		   struct cni_error *e)
{
	json_t *args = cni_container(env);
	json_t *reply = NULL;
	int err = daemon_ask(conf, API_POD_DETACH, args, &reply, e);

	json_decref(args);
	json_decref(reply);
	if (!err || e->code != CNI_CODE_LATER)
		return err;
	err = leave_tombstone(env, conf);
	if (err)
		return cni_fail(e, CNI_CODE_IO, "is it root?",
				"netd is away, and what it is to undo cannot "
				"be left for it: %s",
				strerror(-err));
	return 0;
}
