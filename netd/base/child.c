/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "netd/log.h"
#include "netd/util.h"

/* A child that is told to end has nothing left to write. */
#define END_MS 2000
/* Where the starter's pipe lies in the new process. */
#define FD_STATUS (CHILD_FD_CONTROL + 1)

/* What comes through the pipe: who it is, or why it is not. */
struct status {
	pid_t pid;
	int err;
};

/* What the new process needs, made ready before the fork. */
struct plan {
	const char *program;
	char *argv[3];
	char *envp[2];
	int listen_fd;
	int control_fd;
	int status_fd;
};

int child_dir_open(const char *run_dir, int *ret)
{
	AUTO(fd_closep) int fd = -1;
	struct stat st;

	if (mkdir(run_dir, 0700) && errno != EEXIST)
		return -errno;
	fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (st.st_mode & 022 || (st.st_uid != geteuid() && st.st_uid != 0))
		return -EPERM;
	*ret = take_fd(fd);
	return 0;
}

/* By way of the folder's descriptor: paths may be longer than sun_path. */
static void address_make(int dir, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	str_format(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s",
		   dir, name);
}

static int listen_open(int dir, const char *name, int *ret)
{
	AUTO(fd_closep) int fd = -1;
	struct sockaddr_un sun;

	address_make(dir, name, &sun);
	if (unlinkat(dir, name, 0) && errno != ENOENT)
		return -errno;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	    fchmodat(dir, name, 0600, 0) || listen(fd, 8))
		return -errno;
	*ret = take_fd(fd);
	return 0;
}

/* Out of the way of the numbers the new process wants. */
static int fd_raise(int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, 16);

	if (high < 0)
		return -errno;
	close(*fd);
	*fd = high;
	return 0;
}

static void status_write(int fd, pid_t pid, int err)
{
	struct status status = { .pid = pid, .err = err };

	/* Nobody is left to be told when this fails. */
	if (write(fd, &status, sizeof(status)) < 0)
		_exit(1);
}

static void signals_reset(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Between fork and exec: system calls only. */
static void become_child(const struct plan *plan)
{
	int null = open("/dev/null", O_RDWR);

	signals_reset();
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(plan->listen_fd, CHILD_FD_LISTEN) < 0 ||
	    dup2(plan->control_fd, CHILD_FD_CONTROL) < 0 ||
	    dup3(plan->status_fd, FD_STATUS, O_CLOEXEC) < 0 ||
	    close_range(FD_STATUS + 1, ~0U, 0) || chdir("/"))
		_exit(1);
	execve(plan->program, plan->argv, plan->envp);
	status_write(FD_STATUS, 0, errno);
	_exit(1);
}

/* Twice forked, so that it is init's child and not ours. */
static void fork_again(const struct plan *plan)
{
	pid_t pid;

	setsid();
	pid = fork();
	if (pid == 0)
		become_child(plan);
	status_write(plan->status_fd, pid, pid < 0 ? errno : 0);
	_exit(0);
}

/* The pipe ends when the new program runs: its end is closed by exec. */
static int status_read(int fd, pid_t *pid)
{
	struct status status;
	int err = -ECHILD;
	ssize_t n;

	for (;;) {
		n = read(fd, &status, sizeof(status));
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(status))
			break;
		if (status.err)
			return -status.err;
		*pid = status.pid;
		err = 0;
	}
	return err;
}

static int run(struct plan *plan, pid_t *ret)
{
	AUTO(fd_closep) int reader = -1;
	AUTO(fd_closep) int writer = -1;
	int ends[2], err;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	reader = ends[0];
	writer = ends[1];
	err = fd_raise(&writer);
	if (err)
		return err;
	plan->status_fd = writer;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		fork_again(plan);
	close(take_fd(writer));
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return status_read(reader, ret);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int child_start(int dir, const char *socket_name, const char *program,
		const char *user, pid_t *pid, int *ret)
{
	AUTO(str_freep) char *name = xstrdup(base_name(program));
	AUTO(str_freep) char *who = xstrdup(user ? user : "");
	AUTO(str_freep) char *journal = NULL;
	AUTO(fd_closep) int listener = -1;
	AUTO(fd_closep) int ours = -1;
	AUTO(fd_closep) int theirs = -1;
	struct plan plan = { .program = program, .argv = { name, who } };
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, pair))
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	err = listen_open(dir, socket_name, &listener);
	if (!err)
		err = fd_raise(&listener);
	if (!err)
		err = fd_raise(&theirs);
	if (err)
		return err;
	/* Whether its lines go to the journal (see log). */
	if (getenv("JOURNAL_STREAM"))
		journal = xasprintf("JOURNAL_STREAM=%s",
				    getenv("JOURNAL_STREAM"));
	plan.envp[0] = journal;
	plan.listen_fd = listener;
	plan.control_fd = theirs;
	err = run(&plan, pid);
	if (err) {
		unlinkat(dir, socket_name, 0);
		return err;
	}
	*ret = take_fd(ours);
	return 0;
}

int child_wait(int fd, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = until - mono_ms();

	if (left <= 0)
		return -ETIMEDOUT;
	poll(&p, 1, (int)left);
	return 0;
}

int child_connect(int dir, const char *socket_name, pid_t *pid, int *ret)
{
	AUTO(fd_closep) int fd = -1;
	struct sockaddr_un sun;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	address_make(dir, socket_name, &sun);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	*pid = cred.pid;
	*ret = take_fd(fd);
	return 0;
}

/* What it still says is of no interest; descriptors with it are dropped. */
static bool wait_end(int fd)
{
	int64_t until = mono_ms() + END_MS;
	int64_t left;

	while ((left = until - mono_ms()) > 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char byte;
		ssize_t n;

		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = recv(fd, &byte, sizeof(byte), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
	}
	return false;
}

int child_end(int dir, const char *socket_name, void (*tell)(int fd))
{
	AUTO(fd_closep) int fd = -1;
	pid_t pid = 0;
	int err = child_connect(dir, socket_name, &pid, &fd);

	if (err == -ENOENT)
		return 0;
	if (!err) {
		tell(fd);
		/*
		 * The connection lives, so the pid is still its owner's. Our
		 * own: one that never called listen() itself.
		 */
		if (!wait_end(fd) && pid > 1 && pid != getpid()) {
			log_warn("child: %s did not end and is killed pid=%d",
				 socket_name, pid);
			kill(pid, SIGKILL);
		}
	}
	return unlinkat(dir, socket_name, 0) && errno != ENOENT ? -errno : 0;
}

int child_check(void)
{
	static const int fds[] = { CHILD_FD_LISTEN, CHILD_FD_CONTROL };

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		int flags = fcntl(fds[i], F_GETFL);

		if (flags < 0 ||
		    fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) < 0 ||
		    fcntl(fds[i], F_SETFD, FD_CLOEXEC) < 0)
			return -errno;
	}
	return listen(CHILD_FD_LISTEN, 8) ? -errno : 0;
}
