/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - the API on a socket of the test's own, and clients that listen.
 */
#pragma once

#include "cm.h"

#include <ev.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "drops.h"
#include "event.h"
#include "http.h"
#include "loop_wait.h"
#include "model.h"
#include "netd/util.h"
#include "ops.h"

static struct {
	/* What clients ask for: "/v1/events". */
	const char *asked;
	char dir[64];
	char path[128];
	struct ev_loop *loop;
	struct model *model;
	struct drops *drops;
	struct ops *ops;
	struct http *http;
} t;

static void turn(double seconds)
{
	loop_turn(t.loop, seconds);
}

static int stream_setup(const char *asked)
{
	struct ops_config ops = { 0 };
	char error[256] = "";
	int fd;

	memset(&t, 0, sizeof(t));
	t.asked = asked;
	strcpy(t.dir, "/tmp/netd-stream-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	str_format(t.path, sizeof(t.path), "%s/sock", t.dir);
	ops.loop = t.loop = ev_loop_new(EVFLAG_AUTO);
	ops.model = t.model = model_new("n1");
	ops.drops = t.drops = drops_new(t.loop, t.model, NULL);
	event_self("n1");
	assert_int_equal(ops_new(&ops, &t.ops), 0);
	fd = http_listen(t.path, NULL, error, sizeof(error));
	assert_true(fd >= 0);
	assert_int_equal(http_open(t.loop, fd, &api_router, ops_handle, t.ops,
				   &t.http),
			 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_close(t.http);
	ops_free(t.ops);
	drops_free(t.drops);
	model_free(t.model);
	ev_loop_destroy(t.loop);
	unlink(t.path);
	rmdir(t.dir);
	return 0;
}

/* A client that asks with this body. */
static int dial_as(const char *version, const char *body)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO(str_freep)
	char *text = xasprintf("GET %s %s\r\nHost: netd\r\n"
			       "Content-Length: %zu\r\n\r\n%s",
			       t.asked, version, strlen(body), body);

	assert_true(fd >= 0);
	assert_true(str_copy(addr.sun_path, sizeof(addr.sun_path), t.path));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int dial(const char *body)
{
	return dial_as("HTTP/1.1", body);
}

/* All that comes until nothing more does. */
static char *hear(int fd)
{
	char *text = xstrdup("");
	size_t len = 0;

	for (int idle = 0; idle < 20; idle++) {
		char buf[65536];
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n == 0)
			break;
		if (n > 0) {
			text = xrealloc(text, len + (size_t)n + 1);
			memcpy(text + len, buf, (size_t)n);
			len += (size_t)n;
			text[len] = '\0';
			idle = 0;
		}
		turn(0.001);
	}
	return text;
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}
