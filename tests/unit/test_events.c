/* SPDX-License-Identifier: Apache-2.0 */
/* Events from the telling to the client's socket: filters, times, readers
 * that are quick, slow, gone or too many. */
#include "events.h"
#include "json.h"
#include "stream.h"

static int setup(void **state)
{
	(void)state;
	return stream_setup("/v1/events");
}

static void test_filter(void **state)
{
	static char web[] = "web-1", blue[] = "blue", n1[] = "n1", said[] = "";
	static const struct event e = { .id = EVENT_POD_ATTACHED,
					.at_ms = 1000,
					.name = web,
					.network = blue,
					.node = n1,
					.message = said };
	static const struct {
		const char *words;
		int64_t since;
		bool match;
	} rows[] = {
		{ "[]", 0, true },
		{ "[]", 1000, true },
		{ "[]", 1001, false },
		{ "[\"kind=pod\"]", 0, true },
		{ "[\"kind=service\"]", 0, false },
		/* One of a key's values, and each key. */
		{ "[\"kind=service\",\"kind=pod\"]", 0, true },
		{ "[\"kind=pod\",\"action=detached\"]", 0, false },
		{ "[\"kind=pod\",\"action=attached\",\"node=n1\"]", 0, true },
		{ "[\"network=blue\",\"name=web-1\"]", 0, true },
		{ "[\"network=blu\"]", 0, false },
		{ "[\"message=\"]", 0, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json_freep)
		json_t *words = json_loads(rows[i].words, 0, NULL);
		struct event_filter f = { .words = words,
					  .since_ms = rows[i].since };
		struct refusal r = { 0 };

		assert_non_null(words);
		assert_int_equal(event_filter_check(words, &r), 0);
		if (event_filter_match(&f, &e) != rows[i].match)
			fail_msg("%s", rows[i].words);
	}
}

static void test_since(void **state)
{
	static const int64_t now = 1800000000000;
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "90s", 1799999910000 },
		{ "10m", 1799999400000 },
		{ "2h", 1799992800000 },
		{ "1d", 1799913600000 },
		{ "0s", 1800000000000 },
		{ "2026-01-31T12:00:00Z", 1769860800000 },
		{ "2026-01-31T12:00:00.25Z", 1769860800250 },
		{ "2026-01-31T12:00:00.123456789Z", 1769860800123 },
		{ "2026-01-31T13:30:00+01:30", 1769860800000 },
		{ "2026-01-31T11:00:00-01:00", 1769860800000 },
		{ "", -1 },
		{ "m", -1 },
		{ "-1m", -1 },
		{ "10", -1 },
		{ "10x", -1 },
		{ "99999999999d", -1 },
		{ "yesterday", -1 },
		{ "2026-01-31", -1 },
		{ "2026-13-31T12:00:00Z", -1 },
		{ "2026-01-31T12:00:00", -1 },
		{ "2026-01-31T12:00:00Zulu", -1 },
		{ "2026-01-31T12:00:00+1", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refusal r = { 0 };
		int64_t ms = -1;
		int err = event_since_parse(rows[i].text, now, &ms, &r);

		if (err != (rows[i].ms < 0 ? -EINVAL : 0) ||
		    (!err && ms != rows[i].ms))
			fail_msg("%s: %lld", rows[i].text, (long long)ms);
		if (err)
			assert_string_equal(r.field, "since");
	}
}

static void test_line(void **state)
{
	static char name[] = "a\"b", none[] = "", bad[] = "\xff\n";
	struct event e = { .id = EVENT_NODE_DOWN,
			   .at_ms = 1769860800007,
			   .name = name,
			   .network = none,
			   .node = none,
			   .message = bad };
	AUTO(str_freep) char *line = event_line(&e);

	(void)state;
	assert_string_equal(line,
			    "{\"time\":\"2026-01-31T12:00:00.007Z\",\"kind\":"
			    "\"node\",\"action\":\"down\",\"name\":"
			    "\"a\\\"b\",\"network\":\"\",\"node\":\"\","
			    "\"message\":\"?\\n\"}\n");
}

static void test_kept_and_new(void **state)
{
	AUTO(fd_closep) int fd = -1;
	AUTO(str_freep) char *kept = NULL;
	AUTO(str_freep) char *new = NULL;

	(void)state;
	event_tell(EVENT_POD_ATTACHED, "first", "blue", NULL, "%s", "");
	fd = dial("{}");
	kept = hear(fd);
	assert_non_null(strstr(kept, "HTTP/1.1 200"));
	assert_non_null(strstr(kept, "application/x-ndjson"));
	assert_int_equal(count(kept, "\"name\":\"first\""), 1);
	assert_int_equal(count(kept, "\"node\":\"n1\""), 1);
	event_tell(EVENT_POD_DETACHED, "second", "blue", "n2", "gone");
	new = hear(fd);
	assert_int_equal(count(new, "first"), 0);
	assert_int_equal(count(new, "\"name\":\"second\""), 1);
	assert_int_equal(count(new, "\"node\":\"n2\",\"message\":\"gone\""), 1);
}

static void test_filtered_stream(void **state)
{
	AUTO(fd_closep)
	int fd = dial("{\"filter\":[\"kind=store\"],\"since\":\"1h\"}");
	AUTO(str_freep) char *text = NULL;

	(void)state;
	turn(0.01);
	event_tell(EVENT_POD_ATTACHED, "other", NULL, NULL, "%s", "");
	event_tell(EVENT_STORE_MIRROR, "etcd", NULL, NULL, "timeout");
	text = hear(fd);
	assert_int_equal(count(text, "\"kind\":"), 1);
	assert_int_equal(count(text, "mirror"), 1);
}

static void test_no_follow_ends(void **state)
{
	AUTO(fd_closep) int fd = dial("{\"no_follow\":true}");
	AUTO(str_freep) char *text = hear(fd);

	(void)state;
	assert_non_null(strstr(text, "HTTP/1.1 200"));
	/* The last chunk of the body (RFC 9112, 7.1). */
	assert_non_null(strstr(text, "\r\n0\r\n"));
}

static void test_refused(void **state)
{
	static const struct {
		const char *body, *said;
	} rows[] = {
		{ "{\"filter\":[\"kin=pod\"]}", "names no field" },
		{ "{\"filter\":[\"\"]}", "names no field" },
		{ "{\"since\":\"soon\"}", "neither a time nor an age" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(fd_closep) int fd = dial(rows[i].body);
		AUTO(str_freep) char *text = hear(fd);

		assert_non_null(strstr(text, "HTTP/1.1 400"));
		assert_non_null(strstr(text, rows[i].said));
	}
}

/* A reader that sleeps costs nothing but its place, and learns how much it
 * missed: what it got and what it lost is all there was. Without HTTP/1.1's
 * chunks: they would cut words. */
static void test_slow_reader_is_told_what_it_lost(void **state)
{
	AUTO(fd_closep)
	int fd = dial_as("HTTP/1.0", "{\"filter\":[\"name=flood\"]}");
	AUTO(str_freep) char *text = NULL;
	const char *lost;
	size_t got;

	(void)state;
	turn(0.02);
	for (int i = 0; i < 20000; i++) {
		event_tell(EVENT_POD_UPDATED, "flood", "blue", NULL,
			   "number %d of many, with some words to be long", i);
		if (i % 100 == 0)
			turn(0.0005);
	}
	text = hear(fd);
	got = count(text, "\"name\":\"flood\"");
	assert_int_equal(count(text, "\"action\":\"lost\""), 1);
	lost = strstr(text, "\"lost\":");
	assert_non_null(lost);
	assert_int_equal(got + strtoul(lost + 7, NULL, 10), 20000);
	assert_non_null(strstr(text, "number 19999 of many"));
}

static void test_reader_that_leaves(void **state)
{
	int fd = dial("{}");
	char byte;

	(void)state;
	/* It is heard from: it listens. */
	wait_for(t.loop, recv(fd, &byte, 1, MSG_PEEK) == 1, 2000);
	assert_int_equal(http_connections(t.http), 1);
	close(fd);
	wait_for(t.loop, http_connections(t.http) == 0, 2000);
	event_tell(EVENT_POD_ATTACHED, "nobody", NULL, NULL, "%s", "");
	turn(0.01);
}

static void test_too_many_readers(void **state)
{
	int fds[HTTP_STREAMS_MAX];
	AUTO(str_freep) char *refused = NULL;
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = dial("{}");
	turn(0.05);
	fd = dial("{}");
	refused = hear(fd);
	assert_non_null(strstr(refused, "\"code\":\"exhausted\""));
	close(fd);
	/* One leaves, one may come. */
	close(fds[0]);
	turn(1);
	fd = dial("{\"filter\":[\"name=late\"]}");
	turn(0.02);
	event_tell(EVENT_POD_ATTACHED, "late", NULL, NULL, "%s", "");
	free(refused);
	refused = hear(fd);
	assert_int_equal(count(refused, "\"name\":\"late\""), 1);
	close(fd);
	for (size_t i = 1; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* teardown() closes the listener under readers that listen and that sleep. */
static void test_close_under_readers(void **state)
{
	AUTO(fd_closep) int quick = dial("{}");
	AUTO(fd_closep) int slow = dial("{}");
	AUTO(str_freep) char *text = hear(quick);

	(void)state;
	assert_true(slow >= 0);
	assert_non_null(strstr(text, "HTTP/1.1 200"));
	for (int i = 0; i < 5000; i++)
		event_tell(EVENT_POD_UPDATED, "flood", "blue", NULL,
			   "%d, with some words to be long", i);
	assert_int_equal(http_connections(t.http), 2);
	teardown(state);
	setup(state);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_line),
		TEST(test_kept_and_new),
		TEST(test_filtered_stream),
		TEST(test_no_follow_ends),
		TEST(test_refused),
		TEST(test_slow_reader_is_told_what_it_lost),
		TEST(test_reader_that_leaves),
		TEST(test_too_many_readers),
		TEST(test_close_under_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
