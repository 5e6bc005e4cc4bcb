/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-tap: between an engine and its plugin, HTTP over Unix sockets.
 *
 *   nd-tap LISTEN TARGET LOG CUT
 *
 * Every call is written to LOG, "> PATH BODY" and "< STATUS BODY". When the
 * file CUT names a call ("/NetworkDriver.Join"), the next one of it is cut and
 * the file removed: its request reaches the plugin, its answer nobody.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netd/util.h"

#define MESSAGE_MAX (4 * 1024 * 1024)

static const char *cut_path;
static int log_fd;

/* One request or answer: head and body, as they came. */
struct message {
	char *text;
	size_t len, head;
};

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (!str_copy(sa.sun_path, sizeof(sa.sun_path), path))
		errx(2, "%s: too long", path);
	return sa;
}

static size_t body_len(const struct message *m)
{
	const char *line = strcasestr(m->text, "\r\nContent-Length:");

	if (!line || line >= m->text + m->head)
		return 0;
	return strtoul(line + strlen("\r\nContent-Length:"), NULL, 10);
}

/* False at the end of the connection. */
static bool message_read(int fd, struct message *m)
{
	m->text = xzalloc(MESSAGE_MAX + 1);
	m->len = m->head = 0;
	while (!m->head || m->len < m->head + body_len(m)) {
		ssize_t n = read(fd, m->text + m->len, MESSAGE_MAX - m->len);
		const char *end;

		if (n <= 0)
			return false;
		m->len += (size_t)n;
		end = strstr(m->text, "\r\n\r\n");
		if (end)
			m->head = (size_t)(end - m->text) + 4;
	}
	return true;
}

static bool message_write(int fd, const struct message *m)
{
	return write(fd, m->text, m->len) == (ssize_t)m->len;
}

/* The second word of the first line: a path, or a status. */
static char *second_word(const struct message *m)
{
	const char *word = strchr(m->text, ' ');

	return word ? xstrndup(word + 1, strcspn(word + 1, " \r")) : NULL;
}

static void message_log(char mark, const struct message *m)
{
	AUTO(str_freep) char *word = second_word(m);
	AUTO(str_freep)
	char *line = xasprintf("%c %s %s\n", mark, word, m->text + m->head);

	if (write(log_fd, line, strlen(line)) < 0)
		err(1, "log");
}

static bool is_to_cut(const struct message *m)
{
	AUTO(str_freep) char *path = second_word(m);
	AUTO(str_freep) char *want = NULL;

	if (file_read(cut_path, 256, &want))
		return false;
	want[strcspn(want, "\n")] = '\0';
	return str_eq(want, path) && !unlink(cut_path);
}

/* Waits for a request; false when either end leaves. */
static bool is_asked(int fd, int to)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN },
			      { .fd = to, .events = POLLIN } };

	return poll(p, 2, -1) > 0 && !p[1].revents;
}

static void serve(int fd, const struct sockaddr_un *target)
{
	int to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct message m;

	if (connect(to, (const struct sockaddr *)target, sizeof(*target)))
		return;
	while (is_asked(fd, to) && message_read(fd, &m)) {
		bool cut = is_to_cut(&m);

		message_log('>', &m);
		if (!message_write(to, &m) || !message_read(to, &m))
			return;
		message_log('<', &m);
		if (cut || !message_write(fd, &m))
			return;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un listen_on, target;
	int fd, conn;

	if (argc != 5)
		errx(2, "usage: nd-tap LISTEN TARGET LOG CUT");
	listen_on = address(argv[1]);
	target = address(argv[2]);
	cut_path = argv[4];
	log_fd = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		err(1, "%s", argv[3]);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	unlink(argv[1]);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&listen_on, sizeof(listen_on)) ||
	    listen(fd, 64))
		err(1, "%s", argv[1]);
	puts("listening");
	fflush(stdout);
	while ((conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (!fork()) {
			serve(conn, &target);
			_exit(0);
		}
		close(conn);
	}
	err(1, "accept");
}
