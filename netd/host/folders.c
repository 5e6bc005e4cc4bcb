/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, the lock, the place for pins. */
#include "host.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "netd/log.h"
#include "netd/util.h"

#define LOCK_WAIT_MS 2000
#define LOCK_TRY_MS 20

int host_fail(int err, const char *what, const char *detail)
{
	log_err("netd: %s: %s%s%s", what, strerror(-err), *detail ? ": " : "",
		detail);
	return err;
}

static int make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) && errno != EEXIST)
		return host_fail(-errno, path, "cannot make the folder");
	return 0;
}

/* What others could write to, or read secrets from, is not ours to trust. */
static int check_private(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return host_fail(-errno, path, "cannot look at the folder");
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return host_fail(
			-EPERM, path,
			"others may write here; chmod go-w it, owned by root");
	return 0;
}

int host_folders(const struct config *cfg)
{
	const struct {
		const char *path;
		mode_t mode;
	} dirs[] = {
		{ cfg->run_dir, 0755 },	  { cfg->state_dir, 0700 },
		{ cfg->ns_dir, 0755 },	  { cfg->resolv_dir, 0755 },
		{ cfg->dns_dir, 0700 },	  { cfg->cni_dir, 0700 },
		{ cfg->probe_dir, 0700 },
	};
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_LEN(dirs); i++) {
		err = make_dir(dirs[i].path, dirs[i].mode);
		if (!err)
			err = check_private(dirs[i].path);
	}
	return err;
}

/* One that was killed has it until its last thread has left the kernel. */
static bool lock_within(int fd, int ms)
{
	for (; flock(fd, LOCK_EX | LOCK_NB); ms -= LOCK_TRY_MS) {
		if (ms <= 0)
			return false;
		usleep(LOCK_TRY_MS * 1000);
	}
	return true;
}

int host_lock(const struct config *cfg, int *ret)
{
	char pid[32] = "";
	int fd = open(cfg->pid_file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return host_fail(-errno, cfg->pid_file, "cannot open");
	if (!lock_within(fd, LOCK_WAIT_MS)) {
		if (read(fd, pid, sizeof(pid) - 1) < 0)
			pid[0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		log_err("netd: another netd (pid %s) runs on %s; stop it, or "
			"choose another --root",
			pid, cfg->run_dir);
		close(fd);
		return -EBUSY;
	}
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, strlen(pid), 0) < 0) {
		close(fd);
		return host_fail(-EIO, cfg->pid_file, "cannot write");
	}
	*ret = fd;
	return 0;
}

int host_bpffs(const struct config *cfg)
{
	AUTO(str_freep) char *parent = xstrdup(cfg->pin_dir);
	char *slash = strrchr(parent, '/');
	struct statfs fs;

	/* The default is a folder in the bpffs that systemd mounts. */
	if (str_eq(cfg->pin_dir, "/sys/fs/bpf/netd"))
		*slash = '\0';
	else if (mkdir(cfg->pin_dir, 0700) && errno != EEXIST)
		return host_fail(-errno, cfg->pin_dir,
				 "cannot make the folder");
	else
		*slash = '/';
	if (!statfs(parent, &fs) && (uint32_t)fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", parent, "bpf", 0, "mode=0700"))
		return host_fail(-errno, parent, "cannot mount a bpffs");
	return 0;
}
