/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to servers that lie, delay, cut, refuse and keep silent, all on
 * loopback and all at once: each row of the table is a scene of its own, with
 * up to three servers, and what has to come out of it in what time.
 */
#include "dns_liar.h"
#include "upstream.h"

#define SERVERS 3
#define NAME "www.example.test"
/* Nothing takes longer: forward would have given up. */
#define LIMIT_MS 4500

enum outcome { NONE, ADDRESS, NEGATIVE };

static const struct row {
	const char *what;
	enum deed deeds[SERVERS];
	struct end {
		enum outcome outcome;
		/* Whose answer it is; -1: anybody's. */
		int from;
		int ms_min, ms_max;
		/* UDP questions and TCP connections, at most. */
		unsigned packets;
		unsigned forged_min;
	} end;
} rows[] = {
	{ "one good", { GOOD }, { ADDRESS, 0, 0, 450, 1, 0 } },
	{ "no such name", { SAYS_NXDOMAIN }, { NEGATIVE, 0, 0, 450, 1, 0 } },
	{ "no such data",
	  { SAYS_NOTHING_THERE },
	  { NEGATIVE, 0, 0, 450, 1, 0 } },
	{ "three good", { GOOD, GOOD, GOOD }, { ADDRESS, 0, 0, 450, 1, 0 } },
	{ "nxdomain is an answer",
	  { SAYS_NXDOMAIN, GOOD },
	  { NEGATIVE, 0, 0, 200, 1, 0 } },
	/* The dead. */
	{ "silent", { SILENT }, { NONE, 0, 1000, 4600, 4, 0 } },
	{ "silent, good", { SILENT, GOOD }, { ADDRESS, 1, 400, 1200, 2, 0 } },
	{ "silent twice, good",
	  { SILENT, SILENT, GOOD },
	  { ADDRESS, 2, 900, 1300, 3, 0 } },
	{ "silent all",
	  { SILENT, SILENT, SILENT },
	  { NONE, 0, 1000, 4600, 4, 0 } },
	{ "closed", { CLOSED }, { NONE, 0, 0, 450, 1, 0 } },
	{ "closed, good", { CLOSED, GOOD }, { ADDRESS, 1, 0, 450, 2, 0 } },
	{ "closed all", { CLOSED, CLOSED, CLOSED }, { NONE, 0, 0, 450, 3, 0 } },
	{ "closed, silent, good",
	  { CLOSED, SILENT, GOOD },
	  { ADDRESS, 2, 400, 1200, 3, 0 } },
	{ "silent, closed", { SILENT, CLOSED }, { NONE, 0, 1000, 4600, 5, 0 } },
	{ "one lost", { LOST_FIRST }, { ADDRESS, 0, 400, 1200, 2, 0 } },
	{ "two lost", { LOST_TWO }, { ADDRESS, 0, 1300, 2400, 3, 0 } },
	/* The slow: late answers count. */
	{ "slow", { SLOW_300 }, { ADDRESS, 0, 250, 500, 1, 0 } },
	{ "slower", { SLOW_1500 }, { ADDRESS, 0, 1400, 2400, 3, 0 } },
	{ "slowest", { SLOW_3000 }, { ADDRESS, 0, 2900, 3900, 4, 0 } },
	{ "slower, good",
	  { SLOW_1500, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 0 } },
	{ "slower, silent",
	  { SLOW_1500, SILENT },
	  { ADDRESS, 0, 1400, 1800, 4, 0 } },
	{ "slow, good", { SLOW_300, GOOD }, { ADDRESS, 0, 250, 480, 1, 0 } },
	{ "slowest both",
	  { SLOW_3000, SLOW_3000 },
	  { ADDRESS, -1, 2900, 3400, 4, 0 } },
	/* Failures by their own words. */
	{ "servfail", { SAYS_SERVFAIL }, { NONE, 0, 0, 450, 1, 0 } },
	{ "servfail, good",
	  { SAYS_SERVFAIL, GOOD },
	  { ADDRESS, 1, 0, 450, 2, 0 } },
	{ "refused, good",
	  { SAYS_REFUSED, GOOD },
	  { ADDRESS, 1, 0, 450, 2, 0 } },
	{ "notimp, good", { SAYS_NOTIMP, GOOD }, { ADDRESS, 1, 0, 450, 2, 0 } },
	{ "servfail, refused, notimp",
	  { SAYS_SERVFAIL, SAYS_REFUSED, SAYS_NOTIMP },
	  { NONE, 0, 0, 300, 3, 0 } },
	{ "servfail, silent, good",
	  { SAYS_SERVFAIL, SILENT, GOOD },
	  { ADDRESS, 2, 400, 1200, 3, 0 } },
	{ "servfail by header",
	  { SERVFAIL_HEADER, GOOD },
	  { ADDRESS, 1, 0, 200, 2, 0 } },
	{ "slow, then servfail",
	  { SILENT, SAYS_SERVFAIL, SLOW_300 },
	  { ADDRESS, 2, 700, 1100, 3, 0 } },
	/* EDNS. */
	{ "no edns", { NO_EDNS }, { ADDRESS, 0, 0, 450, 2, 0 } },
	{ "no edns, by header",
	  { NO_EDNS_HEADER },
	  { ADDRESS, 0, 0, 450, 2, 0 } },
	{ "badvers", { BADVERS }, { NONE, 0, 0, 450, 1, 0 } },
	{ "badvers, good", { BADVERS, GOOD }, { ADDRESS, 1, 0, 450, 2, 0 } },
	/* Cut. */
	{ "cut", { CUT }, { ADDRESS, 0, 0, 450, 2, 0 } },
	{ "big without being cut", { BIG }, { ADDRESS, 0, 0, 450, 2, 0 } },
	{ "cut, no tcp", { CUT_TCP_CLOSED }, { NONE, 0, 0, 450, 2, 0 } },
	{ "cut, no tcp, good",
	  { CUT_TCP_CLOSED, GOOD },
	  { ADDRESS, 1, 0, 300, 3, 0 } },
	{ "cut, tcp silent, good",
	  { CUT_TCP_SILENT, GOOD },
	  { ADDRESS, 1, 400, 1200, 3, 0 } },
	{ "cut, tcp ends, good",
	  { CUT_TCP_HALF, GOOD },
	  { ADDRESS, 1, 0, 300, 3, 0 } },
	{ "cut, cut", { CUT_TCP_CLOSED, CUT }, { ADDRESS, 1, 0, 450, 4, 0 } },
	/* Letters. */
	{ "small letters", { LOWER }, { ADDRESS, 0, 0, 450, 2, 1 } },
	{ "small letters, no tcp",
	  { LOWER_NO_TCP },
	  { ADDRESS, 0, 0, 450, 3, 1 } },
	{ "small letters over udp",
	  { LOWER_UDP_ONLY },
	  { ADDRESS, 0, 0, 300, 2, 1 } },
	/* Forgers and the confused. */
	{ "wrong id first", { WRONG_ID }, { ADDRESS, 0, 0, 450, 1, 1 } },
	{ "wrong id", { WRONG_ID_ONLY }, { NONE, 0, 1000, 4600, 4, 1 } },
	{ "wrong id, good",
	  { WRONG_ID_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 1 } },
	{ "wrong name first", { WRONG_NAME }, { ADDRESS, 0, 0, 450, 1, 1 } },
	{ "wrong name, good",
	  { WRONG_NAME_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 1 } },
	{ "wrong type, good",
	  { WRONG_TYPE_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 1 } },
	{ "wrong class, good",
	  { WRONG_CLASS_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 1 } },
	/* The kernel drops these: the socket is connected. */
	{ "wrong port first", { WRONG_PORT }, { ADDRESS, 0, 0, 450, 1, 0 } },
	{ "wrong port, good",
	  { WRONG_PORT_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 0 } },
	{ "a query back, good",
	  { NOT_AN_ANSWER_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 1 } },
	{ "no question, good",
	  { NO_QUESTION_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 1 } },
	{ "two questions, good",
	  { TWO_QUESTIONS_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 1 } },
	{ "five bytes, good",
	  { SHORT_ONLY, GOOD },
	  { ADDRESS, 1, 400, 1200, 2, 1 } },
	{ "no bytes first", { EMPTY }, { ADDRESS, 0, 0, 450, 1, 1 } },
	{ "garbage first", { GARBAGE }, { ADDRESS, 0, 0, 450, 1, 1 } },
	{ "a flood: by tcp", { FLOOD }, { ADDRESS, 0, 0, 450, 2, 16 } },
	{ "answered twice", { TWICE }, { ADDRESS, 0, 0, 450, 1, 0 } },
	/* Malformed: as a failure. */
	{ "bytes behind, good",
	  { TRAILING, GOOD },
	  { ADDRESS, 1, 0, 450, 2, 0 } },
	{ "pointer loop, good",
	  { POINTER_LOOP, GOOD },
	  { ADDRESS, 1, 0, 200, 2, 0 } },
	{ "counts lie, good",
	  { COUNT_LIES, GOOD },
	  { ADDRESS, 1, 0, 450, 2, 0 } },
	{ "two opt, good", { OPT_TWICE, GOOD }, { ADDRESS, 1, 0, 450, 2, 0 } },
	{ "malformed all",
	  { TRAILING, COUNT_LIES, POINTER_LOOP },
	  { NONE, 0, 0, 300, 3, 0 } },
};

struct scene {
	const struct row *row;
	struct ev_loop *loop;
	struct upstream *up;
	struct query_probes probes;
	struct dns_stats stats;
	struct liar servers[SERVERS];
	size_t servers_len;
	ev_timer limit;
	int64_t started;
	bool done;
	enum outcome outcome;
	int from;
	int64_t took;
};

static void on_done(void *ctx, uint64_t token, struct upstream_answer *answer)
{
	struct scene *scene = ctx;

	assert_int_equal(token, 7);
	assert_false(scene->done);
	scene->done = true;
	scene->took = mono_ms() - scene->started;
	ev_timer_stop(scene->loop, &scene->limit);
	scene->outcome = NONE;
	if (!answer->data)
		return;
	scene->outcome = answer->info.negative ? NEGATIVE : ADDRESS;
	for (size_t i = 0; i < scene->servers_len; i++)
		if (scene->servers[i].at.port == answer->server.port)
			scene->from = (int)i;
}

/* As forward does when the time is up. */
static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct scene *scene = w->data;

	(void)loop;
	(void)revents;
	scene->done = true;
	scene->took = mono_ms() - scene->started;
	upstream_cancel(scene->up, 7);
}

static void scene_start(struct scene *scene, const struct row *row,
			struct ev_loop *loop)
{
	struct want_server list[SERVERS];
	struct dns_name name;

	scene->row = row;
	scene->loop = loop;
	for (size_t i = 0; i < SERVERS && row->deeds[i]; i++) {
		liar_start(&scene->servers[scene->servers_len++], loop,
			   row->deeds[i]);
		list[i] = scene->servers[i].at;
	}
	scene->up = upstream_new(loop, &scene->probes, &scene->stats, on_done,
				 scene);
	upstream_set(scene->up, list, scene->servers_len);
	ev_timer_init(&scene->limit, on_limit, LIMIT_MS / 1000., 0.);
	scene->limit.data = scene;
	ev_timer_start(loop, &scene->limit);
	scene->started = mono_ms();
	assert_int_equal(dns_name_parse(NAME, &name), 0);
	assert_int_equal(upstream_send(scene->up, list, scene->servers_len,
				       &name, ns_t_a, 7),
			 0);
}

static bool scene_is_right(const struct scene *scene)
{
	const struct end *end = &scene->row->end;
	unsigned packets = 0;
	bool right;

	for (size_t i = 0; i < scene->servers_len; i++)
		packets += scene->servers[i].packets;
	right = scene->done && scene->outcome == end->outcome &&
		(end->outcome == NONE || end->from < 0 ||
		 scene->from == end->from) &&
		scene->took >= end->ms_min && scene->took <= end->ms_max &&
		packets <= end->packets && packets <= UPSTREAM_PACKETS_MAX &&
		scene->stats.forged >= end->forged_min;
	if (!right)
		print_error("%s: outcome %d from %d after %lld ms, %u packets, "
			    "%llu forged\n",
			    scene->row->what, scene->outcome, scene->from,
			    (long long)scene->took, packets,
			    (unsigned long long)scene->stats.forged);
	return right;
}

static void test_scenes(void **state)
{
	struct scene *scenes = xzalloc(ARRAY_LEN(rows) * sizeof(*scenes));
	struct ev_loop *loop = ev_loop_new(0);
	int64_t until = mono_ms() + LIMIT_MS + 1000;
	unsigned wrong = 0, open = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		scene_start(&scenes[i], &rows[i], loop);
	while (open && mono_ms() < until) {
		ev_run(loop, EVRUN_ONCE);
		open = 0;
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			open += !scenes[i].done;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		wrong += !scene_is_right(&scenes[i]);
		upstream_free(scenes[i].up);
		for (size_t k = 0; k < scenes[i].servers_len; k++)
			liar_stop(&scenes[i].servers[k]);
		ev_timer_stop(loop, &scenes[i].limit);
	}
	free(scenes);
	ev_loop_destroy(loop);
	assert_int_equal(wrong, 0);
}

/* Every question from another port, with another id and other letters. */
static void test_spread(void **state)
{
	enum { QUESTIONS = 400 };
	struct scene scene = { .loop = ev_loop_new(0) };
	uint16_t ports[QUESTIONS], ids[QUESTIONS];
	unsigned same_ports = 0, same_ids = 0, capitals = 0;
	struct dns_name name;

	(void)state;
	liar_start(&scene.servers[0], scene.loop, GOOD);
	/* Read here, not by the server's own. */
	ev_io_stop(scene.loop, &scene.servers[0].udp_io);
	scene.up = upstream_new(scene.loop, &scene.probes, &scene.stats,
				on_done, &scene);
	upstream_set(scene.up, &scene.servers[0].at, 1);
	assert_int_equal(dns_name_parse("abcdefghijklmnop.test", &name), 0);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);
		uint8_t query[512];

		assert_int_equal(upstream_send(scene.up, &scene.servers[0].at,
					       1, &name, ns_t_a, i + 1),
				 0);
		assert_true(recvfrom(scene.servers[0].udp, query, sizeof(query),
				     0, (struct sockaddr *)&peer, &len) > 0);
		ports[i] = ntohs(peer.sin_port);
		ids[i] = (uint16_t)(query[0] << 8 | query[1]);
		for (unsigned k = 0; k < 16; k++)
			capitals += isupper(query[DNS_HEADER_LEN + 1 + k]) != 0;
		upstream_cancel(scene.up, i + 1);
		ev_run(scene.loop, EVRUN_NOWAIT);
	}
	for (unsigned i = 0; i < QUESTIONS; i++) {
		for (unsigned k = 0; k < i; k++) {
			same_ports += ports[i] == ports[k];
			same_ids += ids[i] == ids[k];
		}
		assert_true(ports[i] >= 16384);
	}
	/* About 1.6 and 1.2 of 79,800 pairs by chance. */
	assert_in_range(same_ports, 0, 12);
	assert_in_range(same_ids, 0, 12);
	/* Half of 6,400, give or take six deviations. */
	assert_in_range(capitals, 2960, 3440);
	upstream_free(scene.up);
	liar_stop(&scene.servers[0]);
	ev_loop_destroy(scene.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenes),
		cmocka_unit_test(test_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
