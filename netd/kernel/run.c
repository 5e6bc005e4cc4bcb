/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input and output are files in memory, not pipes: neither side can block on
 * the other, and waiting for the end is the only wait.
 */
#include "run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "netd/util.h"

#define RUN_TIMEOUT_MS 5000

static const char *const run_dirs[] = {
	"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin",
};

static int run_find(const char *name, char *path, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(run_dirs); i++) {
		if (!str_format(path, size, "%s/%s", run_dirs[i], name) &&
		    !access(path, X_OK))
			return 0;
	}
	return -ENOENT;
}

static int run_file(const char *text)
{
	int fd = memfd_create("run", MFD_CLOEXEC);
	size_t len = text ? strlen(text) : 0;

	if (fd < 0)
		return -errno;
	if (len && (write(fd, text, len) != (ssize_t)len ||
		    lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

/* posix_spawn() returns errno values; its vectors are not const by history. */
static int run_spawn(const char *path, const char *const argv[], int in,
		     int out, pid_t *pid)
{
	static char env_path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static char env_locale[] = "LC_ALL=C";
	char *env[] = { env_path, env_locale, NULL };
	union {
		const char *const *in;
		char *const *out;
	} args = { .in = argv };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	err = posix_spawn(pid, path, &files, &attr, args.out, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -err;
}

static int run_wait(pid_t pid)
{
	AUTO(fd_closep) int fd = pidfd_open(pid, 0);
	struct pollfd end = { .fd = fd, .events = POLLIN };
	bool late = false;
	int status;

	if (fd >= 0) {
		int64_t until = mono_ms() + RUN_TIMEOUT_MS;
		int n;

		do {
			int64_t left = until - mono_ms();

			n = poll(&end, 1, left > 0 ? (int)left : 0);
		} while (n < 0 && errno == EINTR);
		late = n == 0;
	}
	if (late)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (late)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

int run_program(const char *const argv[], const char *input, char *out,
		size_t size)
{
	AUTO(fd_closep) int in_fd = -1;
	AUTO(fd_closep) int out_fd = -1;
	char path[256];
	pid_t pid;
	ssize_t n;
	int ret;

	out[0] = 0;
	ret = run_find(argv[0], path, sizeof(path));
	if (ret)
		return ret;
	in_fd = run_file(input);
	out_fd = run_file(NULL);
	if (in_fd < 0 || out_fd < 0)
		return MIN(in_fd, out_fd);
	ret = run_spawn(path, argv, in_fd, out_fd, &pid);
	if (!ret)
		ret = run_wait(pid);
	n = pread(out_fd, out, size - 1, 0);
	out[n > 0 ? n : 0] = 0;
	return ret;
}
