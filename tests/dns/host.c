/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns-host - a netd-dns in this network namespace, told by lines.
 *
 *   dns-host NETD-DNS
 *
 * Reads the world's lines (world.h) from standard input, and two more:
 *
 *	names N NET		services svc0 .. svcN-1; svcI's address ends in
 *				I's lower 16 bits
 *	churn N NET NAMES	from now on N of those change each second; with
 *0 it says `changed COUNT LAST-NAME ITS-ADDRESS`
 *
 * Prints `told PID` when the server knows all that was said so far, at every
 * empty line. Ends when its input does.
 */
#include <ev.h>
#include <fcntl.h>

#include "netd/util.h"
#include "world.h"

#define WORDS_MAX 32
/* How often in a second changes are made. */
#define PORTIONS 200

struct host {
	struct ev_loop *loop;
	struct world *world;
	ev_io input;
	ev_timer churn;
	char line[4096];
	size_t len;
	char net[64];
	uint32_t rate;
	int64_t start;
	uint32_t names;
	uint64_t changed;
	/* The name told last, and its address. */
	char last[80];
};

static int name_tell(struct host *h, uint32_t n, uint32_t generation)
{
	char name[32], addr[32], kind[] = "service", net[64];
	char *words[] = { kind, name, net, addr };

	str_copy(net, sizeof(net), h->net);
	snprintf(name, sizeof(name), "svc%u", n);
	snprintf(addr, sizeof(addr), "10.%u.%u.%u", 64 + generation % 64,
		 n >> 8 & 255, n & 255);
	snprintf(h->last, sizeof(h->last), "%s %s", name, addr);
	return world_line(h->world, words, ARRAY_LEN(words));
}

static void on_churn(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct host *h = w->data;
	/* By the clock: a machine that is busy makes timers late. */
	double due = (double)h->rate * (double)(mono_ms() - h->start) / 1000;

	(void)loop;
	(void)revents;
	for (; (double)h->changed < due; h->changed++)
		name_tell(h, (uint32_t)(h->changed % h->names),
			  (uint32_t)(h->changed / h->names + 1));
}

static int do_names(struct host *h, char **words)
{
	uint32_t n;
	int err = str_to_u32(words[1], 1, 1 << 24, &n);

	str_copy(h->net, sizeof(h->net), words[2]);
	for (uint32_t i = 0; !err && i < n; i++)
		err = name_tell(h, i, 0);
	return err;
}

static int do_churn(struct host *h, char **words)
{
	uint32_t rate;

	if (str_to_u32(words[1], 0, 1 << 20, &rate) ||
	    str_to_u32(words[3], 1, 1 << 24, &h->names))
		return -EINVAL;
	str_copy(h->net, sizeof(h->net), words[2]);
	ev_timer_stop(h->loop, &h->churn);
	if (rate) {
		h->rate = rate;
		h->start = mono_ms();
		h->changed = 0;
		ev_timer_again(h->loop, &h->churn);
		return 0;
	}
	printf("changed %llu %s\n", (unsigned long long)h->changed, h->last);
	fflush(stdout);
	return 0;
}

static int line_run(struct host *h, char *line)
{
	char *words[WORDS_MAX], *save, *word = strtok_r(line, " ", &save);
	size_t n = 0;
	int err;

	for (; word && n < WORDS_MAX; word = strtok_r(NULL, " ", &save))
		words[n++] = word;
	if (n == 3 && str_eq(words[0], "names"))
		return do_names(h, words);
	if (n == 4 && str_eq(words[0], "churn"))
		return do_churn(h, words);
	if (n)
		return world_line(h->world, words, n);
	err = world_settle(h->world);
	if (!err)
		printf("told %d\n", dns_pid(world_dns(h->world)));
	fflush(stdout);
	return err;
}

static void on_input(struct ev_loop *loop, ev_io *w, int revents)
{
	struct host *h = w->data;
	ssize_t n = read(w->fd, h->line + h->len, sizeof(h->line) - 1 - h->len);
	char *end;
	int err = 0;

	(void)revents;
	if (n <= 0) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	h->len += (size_t)n;
	h->line[h->len] = '\0';
	while (!err && (end = strchr(h->line, '\n'))) {
		size_t used = (size_t)(end - h->line) + 1;

		*end = '\0';
		err = line_run(h, h->line);
		memmove(h->line, h->line + used, h->len - used + 1);
		h->len -= used;
	}
	if (err) {
		fprintf(stderr, "dns-host: error=%d\n", err);
		ev_break(loop, EVBREAK_ALL);
	}
}

int main(int argc, char **argv)
{
	struct host h = { .loop = ev_loop_new(0) };
	int err;

	if (argc != 2) {
		fputs("usage: dns-host NETD-DNS\n", stderr);
		return 2;
	}
	err = world_new(h.loop, argv[1], false, &h.world);
	if (err) {
		fprintf(stderr, "dns-host: error=%d\n", err);
		return 1;
	}
	ev_timer_init(&h.churn, on_churn, 1. / PORTIONS, 1. / PORTIONS);
	h.churn.data = &h;
	ev_io_init(&h.input, on_input, STDIN_FILENO, EV_READ);
	h.input.data = &h;
	ev_io_start(h.loop, &h.input);
	ev_run(h.loop, 0);
	world_free(h.world);
	ev_loop_destroy(h.loop);
	return 0;
}
