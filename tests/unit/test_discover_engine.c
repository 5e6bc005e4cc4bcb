/* SPDX-License-Identifier: Apache-2.0 */
/* Following an engine that is well, cuts off, lies, stammers and dies: a small
 * engine of our own on the same loop, whose answers each test chooses. */
#include "cm.h"

#include <ev.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utlist.h>

#include "engine.h"
#include "json.h"
#include "loop_wait.h"
#include "netd/util.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct client {
	int fd;
	ev_io io;
	char text[4096];
	size_t len;
	/* On its way to the follower. */
	ev_io write;
	char *out;
	bool is_events, ends;
	struct client *prev, *next;
};

static struct {
	char dir[64], path[128], host[160];
	struct ev_loop *loop;
	int fd;
	ev_io accept;
	struct client *clients;
	/* What the engine answers: whole bodies; NULL: nothing at all. */
	const char *version, *list;
	char *inspect_a, *inspect_b;
	bool cuts, is_404;
	int status;
	unsigned int asked_version, asked_list, asked_inspect;
	char asked[512];
	/* What was told. */
	struct engine *engine;
	unsigned int seen_a, seen_b, gone_a, gone_b, listed, ups, downs;
	size_t listed_len;
	char unready[32], error[256];
} t;

static const char version_ok[] =
	"{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\","
	"\"MinAPIVersion\":\"1.12\"}";
static const char list_a[] = "[{\"Id\":\"" A "\"}]";
static const char list_ab[] = "[{\"Id\":\"" A "\"},{\"Id\":\"" B "\"}]";

/* ---- the engine ---- */

static void client_end(struct client *c)
{
	ev_io_stop(t.loop, &c->io);
	ev_io_stop(t.loop, &c->write);
	close(c->fd);
	DL_DELETE(t.clients, c);
	free(c->out);
	free(c);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;
	ssize_t n = send(c->fd, c->out, strlen(c->out), MSG_NOSIGNAL);

	(void)events;
	if (n > 0)
		memmove(c->out, c->out + n, strlen(c->out + n) + 1);
	if (*c->out && n > 0)
		return;
	ev_io_stop(loop, w);
	if (c->ends)
		client_end(c);
}

static void send_text(struct client *c, const char *text)
{
	char *before = c->out;

	c->out = xasprintf("%s%s", before ? before : "", text);
	free(before);
	ev_io_start(t.loop, &c->write);
}

static void answer(struct client *c, int status, const char *body)
{
	AUTO(str_freep)
	char *text = xasprintf("HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s",
			       status, strlen(body), body);

	/* Half of it, then nothing more. */
	if (t.cuts)
		text[strlen(text) - strlen(body) / 2 - 1] = '\0';
	send_text(c, text);
	c->ends = t.cuts;
}

static void begin_events(struct client *c)
{
	c->is_events = true;
	send_text(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void serve(struct client *c, const char *path)
{
	const char *body = NULL;

	if (str_eq(path, "/version")) {
		t.asked_version++;
		body = t.version;
	} else if (strstr(path, "/containers/json?")) {
		t.asked_list++;
		body = t.list;
	} else if (strstr(path, "/events?")) {
		str_copy(t.asked, sizeof(t.asked), path);
		begin_events(c);
		return;
	} else {
		t.asked_inspect++;
		body = strstr(path, A) ? t.inspect_a : t.inspect_b;
		if (t.is_404) {
			answer(c, 404, "{\"message\":\"no such container\"}");
			return;
		}
	}
	if (body)
		answer(c, t.status, body);
}

static void on_client(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;
	ssize_t n =
		recv(c->fd, c->text + c->len, sizeof(c->text) - 1 - c->len, 0);
	char path[1024];

	(void)loop, (void)events;
	if (n <= 0) {
		client_end(c);
		return;
	}
	c->len += (size_t)n;
	c->text[c->len] = '\0';
	if (!strstr(c->text, "\r\n\r\n"))
		return;
	c->len = 0;
	if (sscanf(c->text, "GET %1023s", path) == 1)
		serve(c, path);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = xzalloc(sizeof(*c));

	(void)w, (void)events;
	c->fd = accept4(t.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(c->fd >= 0);
	ev_io_init(&c->io, on_client, c->fd, EV_READ);
	ev_io_init(&c->write, on_writable, c->fd, EV_WRITE);
	c->io.data = c->write.data = c;
	ev_io_start(loop, &c->io);
	DL_APPEND(t.clients, c);
}

static void engine_listen(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	t.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(t.fd >= 0);
	str_copy(addr.sun_path, sizeof(addr.sun_path), t.path);
	unlink(t.path);
	assert_int_equal(bind(t.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(t.fd, 16), 0);
	ev_io_init(&t.accept, on_accept, t.fd, EV_READ);
	ev_io_start(t.loop, &t.accept);
}

static void engine_dies(void)
{
	struct client *c, *tmp;

	DL_FOREACH_SAFE (t.clients, c, tmp)
		client_end(c);
	ev_io_stop(t.loop, &t.accept);
	close(t.fd);
	t.fd = -1;
	unlink(t.path);
}

/* One line of the stream, as a chunk. */
static void event(const char *line)
{
	struct client *c;
	AUTO(str_freep)
	char *text = xasprintf("%zx\r\n%s\n\r\n", strlen(line) + 1, line);

	DL_FOREACH (t.clients, c)
		if (c->is_events)
			send_text(c, text);
}

static void event_of(const char *id)
{
	AUTO(str_freep)
	char *line = xasprintf("{\"Type\":\"container\",\"Action\":"
			       "\"health_status: unhealthy\",\"Actor\":{"
			       "\"ID\":\"%s\",\"Attributes\":{}}}",
			       id);

	event(line);
}

static char *inspect_of(const char *id, const char *health)
{
	return xasprintf("{\"Id\":\"%s\",\"Name\":\"/x\",\"State\":{"
			 "\"Running\":true,\"Pid\":%d,\"Health\":{\"Status\":"
			 "\"%s\"}},\"Config\":{\"Labels\":{}}}",
			 id, getpid(), health);
}

static void set_inspect(char **which, char *text)
{
	free(*which);
	*which = text;
}

/* ---- the follower ---- */

static void on_seen(void *arg, struct container *c)
{
	(void)arg;
	str_eq(c->id, A) ? t.seen_a++ : t.seen_b++;
	str_copy(t.unready, sizeof(t.unready), c->unready);
	container_free(c);
}

static void on_gone(void *arg, const char *id)
{
	(void)arg;
	str_eq(id, A) ? t.gone_a++ : t.gone_b++;
}

static void on_listed(void *arg, const json_t *ids)
{
	(void)arg;
	t.listed++;
	t.listed_len = json_object_size(ids);
}

static void on_state(void *arg, bool is_up, const char *text)
{
	(void)arg;
	is_up ? t.ups++ : t.downs++;
	if (!is_up)
		str_copy(t.error, sizeof(t.error), text);
}

static void turn(double seconds)
{
	loop_turn(t.loop, seconds);
}

/* Until a counter has reached a number; what it is then. */
static unsigned int until(const unsigned int *counter, unsigned int least)
{
	int64_t end = mono_ms() + 5000;

	while (*counter < least && mono_ms() < end)
		loop_step(t.loop);
	return *counter;
}

static int setup(void **state)
{
	static const struct engine_hooks hooks = {
		.seen = on_seen,
		.gone = on_gone,
		.listed = on_listed,
		.state = on_state,
	};

	(void)state;
	memset(&t, 0, sizeof(t));
	strcpy(t.dir, "/tmp/netd-engine-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	str_format(t.path, sizeof(t.path), "%s/sock", t.dir);
	str_format(t.host, sizeof(t.host), "unix://%s", t.path);
	t.loop = ev_loop_new(EVFLAG_AUTO);
	t.version = version_ok;
	t.list = list_a;
	t.status = 200;
	set_inspect(&t.inspect_a, inspect_of(A, "healthy"));
	set_inspect(&t.inspect_b, inspect_of(B, "healthy"));
	engine_listen();
	assert_int_equal(engine_open(t.loop, t.host, &hooks, &t.engine), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	engine_close(t.engine);
	if (t.fd >= 0)
		engine_dies();
	free(t.inspect_a);
	free(t.inspect_b);
	ev_loop_destroy(t.loop);
	rmdir(t.dir);
	return 0;
}

static void test_list_then_events(void **state)
{
	(void)state;
	assert_int_equal(until(&t.seen_a, 1), 1);
	assert_int_equal(t.listed_len, 1);
	assert_true(engine_is_whole(t.engine));
	assert_non_null(strstr(t.asked, "/v1.41/events?since="));
	assert_non_null(strstr(t.asked, "health_status"));

	set_inspect(&t.inspect_a, inspect_of(A, "unhealthy"));
	event_of(A);
	assert_int_equal(until(&t.seen_a, 2), 2);
	assert_string_equal(t.unready, "unhealthy");
	/* One that no list named. */
	event_of(B);
	assert_int_equal(until(&t.seen_b, 1), 1);
	t.is_404 = true;
	event_of(B);
	assert_int_equal(until(&t.gone_b, 1), 1);
	assert_int_equal(t.gone_a, 0);
	assert_int_equal(t.downs, 0);
}

static void test_network_events(void **state)
{
	(void)state;
	until(&t.seen_a, 1);
	event("{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":"
	      "\"" B "\",\"Attributes\":{\"container\":\"" A "\"}}}");
	assert_int_equal(until(&t.seen_a, 2), 2);
	assert_int_equal(t.seen_b, 0);
}

/* Compose starts in bursts: one question, not a hundred. */
static void test_burst_is_one_question(void **state)
{
	unsigned int before;

	(void)state;
	until(&t.seen_a, 1);
	before = t.asked_inspect;
	for (int i = 0; i < 100; i++)
		event_of(A);
	until(&t.seen_a, 2);
	turn(0.3);
	assert_true(t.asked_inspect - before <= 2);
}

static void test_newer_engine_has_forgotten(void **state)
{
	(void)state;
	t.version = "{\"Version\":\"29\",\"ApiVersion\":\"1.52\","
		    "\"MinAPIVersion\":\"1.44\"}";
	assert_int_equal(until(&t.seen_a, 1), 1);
	assert_non_null(strstr(t.asked, "/v1.44/events?"));
}

/* What an event says is not believed, and need not be anything. */
static void test_events_without_sense(void **state)
{
	static const char *const lines[] = {
		"",
		"nonsense",
		"{}",
		"[]",
		"null",
		"{\"Type\":7,\"Actor\":[]}",
		"{\"Type\":\"container\",\"Actor\":{\"ID\":\"../../x\"}}",
		"{\"Type\":\"container\",\"Actor\":{\"ID\":\"\"}}",
		"{\"Type\":\"network\",\"Actor\":{\"ID\":\"" B "\"}}",
		"{\"Type\":\"container\",\"Actor\":{\"ID\":\"\\u0000\"}}",
	};

	(void)state;
	until(&t.seen_a, 1);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		event(lines[i]);
	turn(0.3);
	assert_int_equal(t.asked_inspect, 1);
	assert_int_equal(t.downs, 0);
	event_of(A);
	assert_int_equal(until(&t.seen_a, 2), 2);
}

/* It dies: nothing is said of containers until a list says it. */
static void test_engine_dies_and_comes_back(void **state)
{
	(void)state;
	t.list = list_ab;
	until(&t.seen_b, 1);
	until(&t.seen_a, 1);
	engine_dies();
	assert_int_equal(until(&t.downs, 1), 1);
	assert_false(engine_is_whole(t.engine));
	turn(1);
	assert_int_equal(t.gone_a + t.gone_b, 0);
	assert_int_equal(t.listed, 1);
	t.list = list_a;
	engine_listen();
	assert_int_equal(until(&t.listed, 2), 2);
	assert_int_equal(t.listed_len, 1);
	assert_int_equal(until(&t.seen_a, 2), 2);
}

/* Answers that are none, at each step: said once a try, tried again ever
 * later, and well again when the engine is. */
static void test_bad_answers(void **state)
{
	static const struct {
		const char *version, *list;
		int status;
		bool cuts;
	} rows[] = {
		{ "", list_a, 200, false },
		{ "nonsense", list_a, 200, false },
		{ "{\"ApiVersion\":\"one\"}", list_a, 200, false },
		{ "{\"ApiVersion\":\"1.41/../x\"}", list_a, 200, false },
		{ version_ok, "nonsense", 200, false },
		{ version_ok, "{}", 200, false },
		{ version_ok, list_a, 500, false },
		{ version_ok, list_a, 200, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		setup(state);
		t.version = rows[i].version;
		t.list = rows[i].list;
		t.status = rows[i].status;
		t.cuts = rows[i].cuts;
		if (until(&t.downs, 1) != 1)
			fail_msg("row %zu is not seen to be wrong", i);
		assert_true(strlen(t.error) > 3);
		assert_int_equal(t.listed + t.seen_a + t.gone_a, 0);
		/* 0.5 s, 1 s, ..: no loop of tries. */
		turn(0.3);
		assert_true(t.asked_version <= 2);
		t.version = version_ok;
		t.list = list_a;
		t.status = 200;
		t.cuts = false;
		if (until(&t.seen_a, 1) != 1)
			fail_msg("row %zu does not get well", i);
		teardown(state);
	}
}

/* A description of another container, of none, and none at all: the one that
 * was asked about is neither seen nor gone. */
static void test_lies_about_a_container(void **state)
{
	static const char *const lies[] = {
		"",
		"nonsense",
		"{}",
		"{\"Id\":\"" B "\"}",
		"{\"Id\":\"" A "\",\"State\":7,\"Config\":{}}",
	};

	(void)state;
	until(&t.seen_a, 1);
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		unsigned int asked = t.asked_inspect;

		set_inspect(&t.inspect_a, xstrdup(lies[i]));
		event_of(A);
		until(&t.asked_inspect, asked + 1);
		turn(0.1);
		assert_int_equal(t.seen_a, 1);
		assert_int_equal(t.gone_a + t.gone_b + t.seen_b, 0);
		assert_false(engine_is_whole(t.engine));
	}
	set_inspect(&t.inspect_a, inspect_of(B, "healthy"));
	event_of(A);
	turn(0.3);
	assert_int_equal(t.seen_a + t.seen_b, 1);
	/* It is asked again by itself. */
	set_inspect(&t.inspect_a, inspect_of(A, "healthy"));
	assert_int_equal(until(&t.seen_a, 2), 2);
	assert_true(engine_is_whole(t.engine));
}

/* It goes on listening and says nothing. */
static void test_silent_engine(void **state)
{
	(void)state;
	until(&t.seen_a, 1);
	set_inspect(&t.inspect_a, NULL);
	event_of(A);
	turn(0.5);
	assert_int_equal(t.seen_a, 1);
	assert_int_equal(t.gone_a, 0);
	assert_false(engine_is_whole(t.engine));
}

/* A label of 2 MiB in a description and in an event. */
static void test_much(void **state)
{
	size_t len = 2 * 1024 * 1024;
	AUTO(str_freep) char *label = xzalloc(len + 1);
	AUTO(str_freep) char *line = NULL;

	(void)state;
	memset(label, 'x', len);
	until(&t.seen_a, 1);
	set_inspect(&t.inspect_a,
		    xasprintf("{\"Id\":\"" A "\",\"Name\":\"/x\",\"State\":{"
			      "\"Running\":true,\"Pid\":1},\"Config\":{"
			      "\"Labels\":{\"x\":\"%s\"}}}",
			      label));
	line = xasprintf("{\"Type\":\"container\",\"Actor\":{\"ID\":\"" A
			 "\",\"Attributes\":{\"x\":\"%s\"}}}",
			 label);
	event(line);
	assert_int_equal(until(&t.seen_a, 2), 2);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_list_then_events),
		TEST(test_network_events),
		TEST(test_burst_is_one_question),
		TEST(test_newer_engine_has_forgotten),
		TEST(test_events_without_sense),
		TEST(test_engine_dies_and_comes_back),
		cmocka_unit_test(test_bad_answers),
		TEST(test_lies_about_a_container),
		TEST(test_silent_engine),
		TEST(test_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
