/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "netd/util.h"

static void failed(const char *what)
{
	perror(what);
	exit(1);
}

void peer_open(struct peer *p)
{
	*p = (struct peer){ .dir = "/tmp/netd-peer-XXXXXX" };
	if (!mkdtemp(p->dir))
		failed(p->dir);
}

FILE *peer_file(const struct peer *p, const char *name)
{
	AUTO(str_freep) char *path = xasprintf("%s/%s", p->dir, name);
	FILE *file = fopen(path, "we");

	if (!file)
		failed(path);
	return file;
}

void peer_start(struct peer *p, const char *const argv[])
{
	p->pid = fork();
	if (p->pid < 0)
		failed(argv[0]);
	if (p->pid)
		return;
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* It only reads them; execvp() is older than const. */
	execvp(argv[0], (char **)(uintptr_t)argv);
	_exit(127);
}

void peer_end(struct peer *p)
{
	AUTO(str_freep) char *command = xasprintf("rm -rf %s", p->dir);

	if (p->pid > 0) {
		kill(p->pid, SIGTERM);
		waitpid(p->pid, NULL, 0);
	}
	if (system(command))
		perror(p->dir);
}
