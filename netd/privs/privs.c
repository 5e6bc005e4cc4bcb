/* SPDX-License-Identifier: Apache-2.0 */
#include "privs.h"

#include <cap-ng.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "netd/log.h"
#include "netd/util.h"

/* Listeners, connections and c-ares' sockets. */
#define FILES_MAX 16384

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define PRIVS_SANITIZED 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define PRIVS_SANITIZED 1
#endif
#ifndef PRIVS_SANITIZED
#define PRIVS_SANITIZED 0
#endif

static void limits_set(void)
{
	struct rlimit files = { FILES_MAX, FILES_MAX }, none = { 0, 0 };

	/* Not root: the soft limit goes as far as the hard one. */
	if (setrlimit(RLIMIT_NOFILE, &files) &&
	    !getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	setrlimit(RLIMIT_CORE, &none);
}

static int user_become(const char *user, uid_t other)
{
	const struct passwd *pw = user && *user ? getpwnam(user) : NULL;
	uid_t uid = pw ? pw->pw_uid : other;
	gid_t gid = pw ? pw->pw_gid : other;
	int err;

	/* The bounding set first: it needs a capability to be emptied. */
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_BOUNDS))
		return -EPERM;
	err = setgroups(0, NULL) || setresgid(gid, gid, gid) ||
	      setresuid(uid, uid, uid);
	return err ? -errno : 0;
}

int privs_drop(const char *user, uid_t uid)
{
	int err;

	limits_set();
	if (geteuid() == 0) {
		err = user_become(user, uid);
		if (err)
			return err;
	}
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	return 0;
}

static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(connect),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(close),
	SCMP_SYS(fcntl),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(getrandom),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* Libraries ask for these and live with a refusal. */
static const int refused[] = {
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(stat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	SCMP_SYS(prlimit64),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(uname),
	SCMP_SYS(sched_getaffinity),
};

static int rules_add(scmp_filter_ctx ctx)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(allowed) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_LEN(refused) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), refused[i],
				       0);
	/* Sockets towards other hosts, and no others. */
	for (int family = AF_INET; family <= AF_INET6 && !err;
	     family += AF_INET6 - AF_INET)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)family,
						  0));
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1_32(SCMP_CMP_EQ, FIONBIO, 0));
	/* Memory, but none that runs. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				       SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC,
						  0));
	if (!err)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return err;
}

int privs_filter(void)
{
	/* A sanitizer's own calls are its own affair: they are only logged. */
	uint32_t other = PRIVS_SANITIZED ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;
	scmp_filter_ctx ctx = seccomp_init(other);
	int err;

	if (!ctx)
		return -ENOMEM;
	err = PRIVS_SANITIZED ? 0 : rules_add(ctx);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}
