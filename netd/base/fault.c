/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "netd/log.h"
#include "netd/util.h"

static const struct {
	const char *name;
	/* Nobody is there to be told that it failed: it dies or goes on. */
	bool cannot_fail;
} steps[] = {
	[FAULT_POD_BEGUN] = { "pod.begun", false },
	[FAULT_NETNS_MADE] = { "netns.made", false },
	[FAULT_NET_PUT] = { "net.put", false },
	[FAULT_LINK_MADE] = { "link.made", false },
	[FAULT_LINK_PROGRAM] = { "link.program", false },
	[FAULT_LINK_CONFIGURED] = { "link.configured", false },
	[FAULT_LINK_MAPPED] = { "link.mapped", false },
	[FAULT_POD_RESOLV] = { "pod.resolv", false },
	[FAULT_POD_NOTED] = { "pod.noted", false },
	[FAULT_SERVICE_PUT] = { "service.put", false },
	[FAULT_POD_LEAVING] = { "pod.leaving", true },
	[FAULT_POD_HIDDEN] = { "pod.hidden", true },
	[FAULT_LINK_DOOMED] = { "link.doomed", true },
	[FAULT_NETNS_GONE] = { "netns.gone", true },
	[FAULT_POD_FORGOTTEN] = { "pod.forgotten", true },
	[FAULT_SERVICE_GONE] = { "service.gone", true },
	[FAULT_NET_GONE] = { "net.gone", true },
	[FAULT_STORE_COMMIT] = { "store.commit", false },
	[FAULT_STORE_COMMITTED] = { "store.committed", true },
	[FAULT_DOCKER_HELD] = { "docker.held", false },
	[FAULT_DOCKER_MADE] = { "docker.made", false },
	[FAULT_DOCKER_OFFERED] = { "docker.offered", false },
	[FAULT_DOCKER_LEFT] = { "docker.left", true },
	[FAULT_DOCKER_ENDED] = { "docker.ended", true },
};
_Static_assert(ARRAY_LEN(steps) == FAULT_MAX, "a name for every step");

static const char *fault_file;

void fault_open(void)
{
	AUTO(str_freep) char *text = xstrdup("");
	AUTO(str_freep) char *path = NULL;

	fault_file = getenv("NETD_FAULT_FILE");
	if (!fault_file)
		return;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		char *next = xasprintf("%s%s die\n", text, steps[i].name);

		free(text);
		text = next;
		if (steps[i].cannot_fail)
			continue;
		next = xasprintf("%s%s fail\n", text, steps[i].name);
		free(text);
		text = next;
	}
	path = xasprintf("%s.points", fault_file);
	if (file_write(path, 0600, text))
		log_warn("base: cannot write %s", path);
	log_warn("base: steps fail as %s says", fault_file);
}

/* Is it this step's turn? Then the file is gone, and *how says which way. */
static bool is_asked(enum fault step, char *how, size_t size)
{
	AUTO(str_freep) char *text = NULL;
	const char *rest;

	if (!fault_file || file_read(fault_file, 256, &text))
		return false;
	text[strcspn(text, "\n")] = '\0';
	rest = str_after(text, steps[step].name);
	if (!rest || *rest != ' ' || unlink(fault_file))
		return false;
	str_copy(how, size, rest + 1);
	return true;
}

int fault_at(enum fault step)
{
	char how[16];

	if (!is_asked(step, how, sizeof(how)))
		return 0;
	if (str_eq(how, "die"))
		kill(getpid(), SIGKILL);
	return -EIO;
}

void fault_after(enum fault step)
{
	fault_at(step);
}
