/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netd-probe - checks whether this host's backends can serve.
 *
 * Started by netd with a listening socket and a connection to it, and with
 * nothing else; told everything over that connection. It gives up all rights
 * before it reads anything, and goes on checking when netd is away.
 */
#include <ev.h>
#include <signal.h>

#include "netd/log.h"
#include "netd/util.h"
#include "privs.h"
#include "prober.h"
#include "child.h"

/* Ours when the user does not exist. */
#define OWN_UID 64743

static void on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static int run(const char *user)
{
	uid_t owner = getuid();
	struct ev_loop *loop;
	struct prober *p;
	ev_signal term;
	int err = child_check();

	if (err) {
		log_err("probe: not started by netd error=%d", err);
		return err;
	}
	err = privs_drop(user, OWN_UID);
	if (!err)
		err = privs_filter();
	if (err) {
		log_err("probe: cannot give up rights error=%d", err);
		return err;
	}
	loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	if (!loop)
		return -ENOMEM;
	ev_signal_init(&term, on_term, SIGTERM);
	ev_signal_start(loop, &term);
	p = prober_new(loop, owner);
	prober_open(p, CHILD_FD_LISTEN, CHILD_FD_CONTROL);
	ev_run(loop, 0);
	prober_free(p);
	ev_signal_stop(loop, &term);
	ev_loop_destroy(loop);
	return 0;
}

int main(int argc, char **argv)
{
	int err;

	if (argc == 2 && str_eq(argv[1], "--version")) {
		printf("netd-probe %s\n", NETD_VERSION);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	err = run(argc == 2 ? argv[1] : "");
	/* Without exit handlers, which may want files that are out of reach. */
	fflush(NULL);
	_exit(err ? 1 : 0);
}
