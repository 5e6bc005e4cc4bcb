/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netd-cni - netd as a plugin of the Container Network Interface, 0.3.1 to
 * 1.1.0.
 *
 * It keeps nothing: it checks what the runtime says, opens the container's
 * namespace in the runtime's own view of the file system, and asks netd, which
 * takes the descriptor from here. What ADD did is undone on any error. DEL
 * never depends on netd: what it cannot say now it leaves for later.
 */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "daemon.h"
#include "netd/util.h"
#include "result.h"
#include "wish.h"

#define READ_STEP 65536

struct call {
	struct cni_env env;
	struct cni_conf conf;
	struct cni_error e;
};

/* ---- in and out ---- */

/* One byte more than is taken tells that there was more. */
static int read_stdin(char **text, size_t *len, struct cni_error *e)
{
	char *buf = NULL;
	ssize_t n = 1;

	*len = 0;
	while (n > 0 && *len <= CNI_CONF_MAX) {
		buf = xrealloc(buf, *len + READ_STEP);
		n = read(STDIN_FILENO, buf + *len, READ_STEP);
		*len += n > 0 ? (size_t)n : 0;
	}
	*text = buf;
	return n < 0 ? cni_fail(e, CNI_CODE_IO, NULL,
				"the configuration cannot be read: %s",
				strerror(errno))
		     : 0;
}

static int print(json_t *doc)
{
	int err = json_dumpf(doc, stdout, JSON_COMPACT);

	json_decref(doc);
	if (err || putchar('\n') == EOF || fflush(stdout))
		return -EIO;
	return 0;
}

/* ---- the container's namespace ---- */

static bool is_own(int fd)
{
	struct stat own, it;

	return !stat("/proc/self/ns/net", &own) && !fstat(fd, &it) &&
	       own.st_dev == it.st_dev && own.st_ino == it.st_ino;
}

static int open_netns(const struct cni_env *env, int *ret, struct cni_error *e)
{
	int fd = open(env->netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return cni_fail(e, CNI_CODE_NETNS, NULL, "CNI_NETNS %.200s: %s",
				env->netns, strerror(errno));
	*ret = fd;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return cni_fail(e, CNI_CODE_NETNS,
				"as in /run/netns/NAME or /proc/PID/ns/net",
				"CNI_NETNS %.200s is not a network namespace",
				env->netns);
	if (!env->netns_override && is_own(fd))
		return cni_fail(e, CNI_CODE_NETNS,
				"a container has one of its own",
				"CNI_NETNS %.200s is the plugin's own "
				"namespace",
				env->netns);
	return 0;
}

/* ---- commands ---- */

static int run_add(struct call *c)
{
	AUTO(fd_closep) int netns = -1;
	struct cni_error ignored;
	json_t *args, *reply = NULL;
	int err;

	if (open_netns(&c->env, &netns, &c->e) ||
	    cni_wish(&c->env, &c->conf, &args, &c->e))
		return -EINVAL;
	json_object_set_new(args, "netns_fd", json_integer(netns));
	err = daemon_ask(&c->conf, API_POD_ATTACH, args, &reply, &c->e);
	json_decref(args);
	/* Asked, and not answered: it may be there. */
	if (err && c->e.code == CNI_CODE_LATER)
		daemon_give_up(&c->env, &c->conf, &ignored);
	if (err)
		return err;
	err = print(cni_result(&c->env, &c->conf, reply));
	json_decref(reply);
	if (!err)
		return 0;
	daemon_give_up(&c->env, &c->conf, &ignored);
	return cni_fail(&c->e, CNI_CODE_IO, NULL,
			"the result cannot be written");
}

static int run_del(struct call *c)
{
	return daemon_give_up(&c->env, &c->conf, &c->e);
}

static int run_check(struct call *c)
{
	AUTO(fd_closep) int netns = -1;
	json_t *args, *reply = NULL;
	int err;

	if (open_netns(&c->env, &netns, &c->e))
		return -EINVAL;
	args = cni_container(&c->env);
	json_object_set_new(args, "netns_fd", json_integer(netns));
	err = daemon_ask(&c->conf, API_POD_CHECK, args, &reply, &c->e);
	json_decref(args);
	/* What is missing there is no fault of the configuration. */
	if (err && c->e.code == CNI_CODE_CONFIG)
		c->e.code = CNI_CODE_DIFFERS;
	if (!err)
		err = cni_result_check(&c->env, &c->conf, reply, &c->e);
	json_decref(reply);
	return err;
}

static int run_gc(struct call *c)
{
	json_t *args, *reply = NULL;
	int err = cni_survivors(&c->conf, &args, &c->e);

	if (err)
		return err;
	err = daemon_ask(&c->conf, API_POD_GC, args, &reply, &c->e);
	json_decref(args);
	json_decref(reply);
	return err;
}

/* 50: nothing can be added; 51: what runs is broken, too. */
static int run_status(struct call *c)
{
	json_t *args = json_pack("{s:s}", "name", c->conf.network);
	json_t *reply = NULL;
	int err = daemon_ask(&c->conf, API_NETWORK_READY, args, &reply, &c->e);

	json_decref(args);
	json_decref(reply);
	if (err)
		c->e.code = c->e.code == CNI_CODE_INTERNAL ? CNI_CODE_BROKEN
							   : CNI_CODE_NOT_READY;
	return err;
}

static int run_version(struct call *c)
{
	if (print(cni_versions_json()))
		return cni_fail(&c->e, CNI_CODE_IO, NULL,
				"the versions cannot be written");
	return 0;
}

static int (*const commands[])(struct call *c) = {
	[CNI_ADD] = run_add,	   [CNI_DEL] = run_del,
	[CNI_CHECK] = run_check,   [CNI_GC] = run_gc,
	[CNI_STATUS] = run_status, [CNI_VERSION] = run_version,
};
_Static_assert(ARRAY_LEN(commands) == CNI_COMMAND_MAX, "all commands");

static const char *get(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

static int run(struct call *c)
{
	AUTO(str_freep) char *text = NULL;
	size_t len;

	if (cni_env_read(get, NULL, &c->env, &c->e) ||
	    read_stdin(&text, &len, &c->e) ||
	    cni_conf_read(text, len, c->env.command, &c->conf, &c->e))
		return -EINVAL;
	return commands[c->env.command](c);
}

int main(void)
{
	struct call c = { .conf.version = CNI_VERSION_NEWEST };
	int err;

	/* Nomad reads the version where a plugin is run by hand. */
	if (!getenv("CNI_COMMAND")) {
		fputs("CNI netd plugin v" NETD_VERSION "\n"
		      "CNI protocol versions supported: 0.3.1, 0.4.0, 1.0.0, "
		      "1.1.0\n",
		      stderr);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	err = run(&c);
	if (err)
		print(cni_error_json(&c.e, c.conf.version));
	cni_conf_free(&c.conf);
	return err ? 1 : 0;
}
