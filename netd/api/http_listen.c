/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of the API in the file system; see http.h. */
#include <grp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "http.h"
#include "netd/log.h"
#include "netd/util.h"

#define LISTEN_BACKLOG 128

struct trouble {
	char *text;
	size_t size;
};

static int __attribute__((format(printf, 3, 4)))
fail(const struct trouble *to, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to->text, to->size, fmt, ap);
	va_end(ap);
	return err;
}

static int unix_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || !str_copy(ret->sun_path, sizeof(ret->sun_path), path))
		return -ENAMETOOLONG;
	return 0;
}

/* Whoever may write the folder may swap the socket for one of their own. */
static int check_folder(const char *path, const struct trouble *to)
{
	AUTO(str_freep) char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');
	struct stat st;

	if (!slash)
		return fail(to, -EINVAL, "%s: not an absolute path", path);
	slash[slash == folder] = '\0';
	if (stat(folder, &st))
		return fail(to, -errno, "%s: %s", folder, strerror(errno));
	if (st.st_uid && st.st_uid != geteuid())
		return fail(to, -EPERM, "%s: belongs to another user", folder);
	if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
		return fail(to, -EPERM, "%s: everybody may write to it",
			    folder);
	return 0;
}

static bool is_served(const struct sockaddr_un *addr)
{
	AUTO(fd_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return true;
	/* EAGAIN: there is one, with its backlog full. */
	return errno != ECONNREFUSED;
}

static int clear_path(const char *path, const struct sockaddr_un *addr,
		      const struct trouble *to)
{
	struct stat st;

	if (lstat(path, &st)) {
		if (errno == ENOENT)
			return 0;
		return fail(to, -errno, "%s: %s", path, strerror(errno));
	}
	if (S_ISLNK(st.st_mode))
		return fail(to, -ELOOP, "%s: is a symbolic link", path);
	if (!S_ISSOCK(st.st_mode))
		return fail(to, -EEXIST, "%s: is there and no socket", path);
	if (st.st_uid != geteuid())
		return fail(to, -EPERM, "%s: belongs to another user", path);
	if (is_served(addr))
		return fail(to, -EADDRINUSE, "%s: another daemon answers there",
			    path);
	if (unlink(path))
		return fail(to, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int set_owner(const char *path, const char *group,
		     const struct trouble *to)
{
	struct group *gr = group && *group ? getgrnam(group) : NULL;

	if (group && *group && !gr)
		log_info("api: no such group, the socket is root's alone "
			 "group=%s",
			 group);
	if (!gr)
		return 0;
	if (lchown(path, (uid_t)-1, gr->gr_gid) || chmod(path, 0660))
		return fail(to, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

int http_listen(const char *path, const char *group, char *error, size_t size)
{
	const struct trouble to = { error, size };
	struct sockaddr_un addr;
	AUTO(fd_closep) int fd = -1;
	mode_t mask;
	int err = unix_address(path, &addr);

	if (err)
		return fail(&to, err,
			    "%s: a socket's path has at most %zu "
			    "bytes",
			    path, sizeof(addr.sun_path) - 1);
	err = check_folder(path, &to);
	if (!err)
		err = clear_path(path, &addr, &to);
	if (err)
		return err;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(&to, -errno, "%s: %s", path, strerror(errno));
	/* Never open wider than it will be, not for a moment. */
	mask = umask(0177);
	err = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	umask(mask);
	if (err)
		return fail(&to, err, "%s: %s", path, strerror(-err));
	err = set_owner(path, group, &to);
	if (!err && listen(fd, LISTEN_BACKLOG))
		err = fail(&to, -errno, "%s: %s", path, strerror(errno));
	if (err) {
		unlink(path);
		return err;
	}
	return take_fd(fd);
}
