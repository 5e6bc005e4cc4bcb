/* SPDX-License-Identifier: Apache-2.0 */
#include "enter.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "netd/util.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_MAX 65536

static int failed(const char *what)
{
	int err = errno;

	return complain(err == EPERM || err == EACCES ? EXIT_PERMISSION
						      : EXIT_FAILED,
			err == EPERM ? "run it as root" : NULL, "%s: %s", what,
			strerror(err));
}

/* A name is part of a path here: what is no pod's name is no pod. */
static bool is_pod_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > 253 || *name == '.' || *name == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

/*
 * netd's run folder is where its socket is. Names are compared without case,
 * so what stands there is in lower case.
 */
static char *run_path(const struct ctl *ctl, const char *sub, const char *pod)
{
	const char *slash = strrchr(ctl->socket, '/');
	char *path = xasprintf("%.*s/%s/%s", (int)(slash - ctl->socket),
			       ctl->socket, sub, pod);

	for (char *c = path + strlen(path) - strlen(pod); *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return path;
}

static int enter_net(const struct ctl *ctl, const char *pod)
{
	AUTO(str_freep) char *path = run_path(ctl, "ns", pod);
	AUTO(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return complain(EXIT_NOT_FOUND,
				"netctl pod ls lists them; a pod made with "
				"--netns or --pid is entered with nsenter",
				"no pod \"%s\" with a namespace of its own on "
				"this node",
				pod);
	if (fd < 0)
		return failed(path);
	if (setns(fd, CLONE_NEWNET))
		return failed(path);
	return 0;
}

/*
 * There is no file to mount over when the host has no resolv.conf, or one
 * that points nowhere. A tmpfs layer over /etc, seen by this command alone,
 * gives it one; the rest of /etc shows through.
 */
static int layer_etc(const char *folder, const char *text)
{
	AUTO(str_freep) char *upper = xasprintf("%s/upper", folder);
	AUTO(str_freep) char *work = xasprintf("%s/work", folder);
	AUTO(str_freep) char *file = xasprintf("%s/resolv.conf", upper);
	AUTO(str_freep)
	char *data =
		xasprintf("lowerdir=/etc,upperdir=%s,workdir=%s", upper, work);

	if (mount("netctl", folder, "tmpfs", MS_NOSUID | MS_NODEV,
		  "mode=0755,size=1m"))
		return -errno;
	if (mkdir(upper, 0755) || mkdir(work, 0755))
		return -errno;
	if (file_write(file, 0644, text))
		return -EIO;
	if (mount("netctl", "/etc", "overlay", 0, data))
		return -errno;
	return 0;
}

static int put_resolv(const struct ctl *ctl, const char *pod)
{
	AUTO(str_freep) char *ours = run_path(ctl, "resolv", pod);
	AUTO(str_freep) char *text = NULL;
	char target[PATH_MAX];
	char *slash;

	if (file_read(ours, RESOLV_MAX, &text))
		return 0;
	if (realpath(RESOLV_CONF, target)) {
		if (mount(ours, target, NULL, MS_BIND, NULL))
			return failed(target);
		return 0;
	}
	slash = strrchr(ours, '/');
	*slash = '\0';
	errno = -layer_etc(ours, text);
	return errno ? failed(RESOLV_CONF) : 0;
}

/* One pass, as the list changes under the reader; how many went. */
static int drop_some_namespaces(void)
{
	FILE *list = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;
	int dropped = 0;

	if (!list)
		return 0;
	while ((entry = getmntent(list)))
		if (str_eq(entry->mnt_type, "nsfs") &&
		    umount2(entry->mnt_dir, MNT_DETACH) == 0)
			dropped++;
	endmntent(list);
	return dropped;
}

/*
 * The copy of the mounts holds every namespace that is bound somewhere: where
 * the host's mounts are not shared (no systemd), a container that ended would
 * live on, and answer, as long as this command runs.
 */
static void drop_namespaces(void)
{
	while (drop_some_namespaces())
		continue;
}

static int enter(const struct ctl *ctl, const char *pod)
{
	int code;

	if (!is_pod_name(pod))
		return complain(EXIT_USAGE, NULL, "\"%s\" is no pod's name",
				pod);
	code = enter_net(ctl, pod);
	if (code)
		return code;
	if (unshare(CLONE_NEWNS))
		return failed("a mount namespace");
	/* A slave still sees what the host mounts later, and gives nothing
	 * back. */
	if (mount("", "/", NULL, MS_REC | MS_SLAVE, NULL))
		return failed("/");
	drop_namespaces();
	return put_resolv(ctl, pod);
}

int enter_exec(const struct ctl *ctl, const char *pod, char **command)
{
	int code = enter(ctl, pod);

	if (code)
		return code;
	execvp(command[0], command);
	code = errno == ENOENT ? 127 : 126;
	return complain(code, NULL, "%s: %s", command[0], strerror(errno));
}

/* ---- as a child ---- */

static void signals(sigset_t *set)
{
	static const int passed[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP,
				      SIGQUIT };

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_LEN(passed); i++)
		sigaddset(set, passed[i]);
}

/* What a terminal sends, the child got from it already. */
static void pass_on(pid_t child, const siginfo_t *info)
{
	if (info->si_signo != SIGCHLD && info->si_code != SI_KERNEL)
		kill(child, info->si_signo);
}

static int await(pid_t child, const sigset_t *set)
{
	siginfo_t info;
	int status;

	for (;;) {
		pid_t pid = waitpid(child, &status, WNOHANG);

		if (pid < 0)
			return failed("waiting");
		if (pid == child)
			break;
		if (sigwaitinfo(set, &info) > 0)
			pass_on(child, &info);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int enter_run(const struct ctl *ctl, const char *pod, char **command)
{
	sigset_t set, old;
	pid_t child;
	int code;

	signals(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		_exit(enter_exec(ctl, pod, command));
	}
	/* Still blocked afterwards: what follows is to be done whole. */
	code = child < 0 ? failed("a process") : await(child, &set);
	return code;
}
