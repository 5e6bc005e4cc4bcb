/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenarios - what a real netd-dns answers, by files of lines.
 *
 *	scenarios NETD-DNS FILE..
 *
 * Each file is a world of its own (world.h, fake.h) in a process of its own;
 * all run side by side. Between its lines stand the cases:
 *
 *	case TEXT
 *	upstream ADDR NAME MANNER.. TYPE TTL DATA	what a resolver does
 *	asks FROM NAME TYPE [tcp] [edns N] [cd] [ad] [nord] [class C]
 *	     [times N] [at ADDR]
 *	sends FROM [tcp] BYTES..	hex, "label", HEX*TIMES
 *	gets RCODE [aa] [tc] [edns]	these flags and no others
 *	gets nothing
 *	answer|authority|additional NAME TTL[-TTL] TYPE DATA	@: the question
 *	some SECTION N TYPE		so many of a type, whatever their data
 *	within MIN MAX			milliseconds it took
 *	size MIN MAX			bytes
 *	forwarded ADDR N		questions that resolver got since `case`
 *
 * A record that came and that no line named fails the case, as does one that
 * was named and did not come. Id, question (its case too), QR, RA and the
 * copied RD and CD are looked at in every answer.
 */
#include <arpa/nameser.h>
#include <ctype.h>
#include <ev.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/wait.h>

#include "fake.h"
#include "msg.h"
#include "netd/util.h"
#include "seen.h"
#include "world.h"

#define WORDS_MAX 64
#define TIMES_MAX 200
#define WAIT_MS 6000
/* How long to wait for an answer that must not come. */
#define NOTHING_MS 300
#define QUERY_ID 0x1234

struct run {
	const char *file;
	unsigned line;
	char title[128];
	unsigned cases;
	unsigned failed;
	bool case_failed;

	struct ev_loop *loop;
	struct world *world;
	struct fakes *fakes;

	/* The last question, and what came of it. */
	uint8_t query[65536];
	size_t query_len;
	size_t question_len;
	struct ask ask;
	size_t times;
	bool open;
	struct asked *asked;
	struct seen seen;
	/* Which of seen's records a line named. */
	bool *named;
	bool answered;
};

static void complain(struct run *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct run *r, const char *format, ...)
{
	va_list args;

	printf("%s:%u: %s: ", r->file, r->line, r->title);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (r->answered)
		seen_print(&r->seen);
	if (!r->case_failed)
		r->failed++;
	r->case_failed = true;
}

static void question_end(struct run *r)
{
	for (size_t i = 0; r->answered && i < r->seen.len; i++)
		if (!r->named[i])
			complain(r, "not expected: %s", r->seen.rrs[i].text);
	if (r->open)
		complain(r, "no line says what the answer is");
	r->open = false;
	r->answered = false;
	seen_free(&r->seen);
	free(take_ptr(r->named));
}

/* Verbs; false: the line is not understood. */

static bool do_case(struct run *r, char **words, size_t n)
{
	size_t at = 0;

	question_end(r);
	r->title[0] = '\0';
	for (size_t i = 1; i < n && at < sizeof(r->title); i++)
		at += (size_t)snprintf(r->title + at, sizeof(r->title) - at,
				       "%s%s", i > 1 ? " " : "", words[i]);
	fakes_forget(r->fakes);
	r->cases++;
	r->case_failed = false;
	return n > 1;
}

static bool do_upstream(struct run *r, char **words, size_t n)
{
	if (world_gateway(r->world))
		fakes_set_gateway(r->fakes, world_gateway(r->world));
	return fakes_line(r->fakes, words + 1, n - 1) == 0;
}

static void question_run(struct run *r)
{
	int err = world_settle(r->world);

	if (err)
		complain(r, "the server was not told: error=%d", err);
	if (!r->ask.to.b[15] && world_gateway(r->world))
		r->ask.to = *world_gateway(r->world);
	r->ask.query = r->query;
	r->ask.len = r->query_len;
	r->ask.ms = WAIT_MS;
	r->open = true;
}

/* What `asks` may say behind the type: each sets one thing. */
struct extra {
	uint16_t flags;
	uint16_t class;
	uint32_t edns;
};

static bool asks_words(struct run *r, char **words, size_t n,
		       struct extra *extra)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++) {
		const char *next = i + 1 < n ? words[i + 1] : "";

		if (str_eq(words[i], "tcp")) {
			r->ask.tcp = true;
		} else if (str_eq(words[i], "cd")) {
			extra->flags |= DNS_FLAG_CD;
		} else if (str_eq(words[i], "ad")) {
			extra->flags |= DNS_FLAG_AD;
		} else if (str_eq(words[i], "nord")) {
			extra->flags &= (uint16_t)~DNS_FLAG_RD;
		} else if (str_eq(words[i], "at")) {
			i++;
			if (ip_parse(next, &r->ask.to))
				return false;
		} else {
			i++;
			if (str_to_u32(next, 0, UINT16_MAX, &v))
				return false;
			if (str_eq(words[i - 1], "edns"))
				extra->edns = v + 1;
			else if (str_eq(words[i - 1], "class"))
				extra->class = (uint16_t)v;
			else if (str_eq(words[i - 1], "times"))
				r->times = MIN(v, TIMES_MAX);
			else
				return false;
		}
	}
	return true;
}

/* As written, case kept; "" and "." are the root. */
static bool name_write(struct wbuf *w, const char *text)
{
	if (str_eq(text, "."))
		text++;
	while (*text) {
		size_t n = strcspn(text, ".");

		if (n > DNS_LABEL_MAX)
			return false;
		wbuf_u8(w, (uint8_t)n);
		wbuf_bytes(w, text, n);
		text += n + (text[n] == '.');
	}
	wbuf_u8(w, 0);
	return true;
}

static bool do_asks(struct run *r, char **words, size_t n)
{
	struct extra extra = { .flags = DNS_FLAG_RD, .class = ns_c_in };
	struct wbuf w = wbuf_make(r->query, sizeof(r->query));
	int type = n > 3 ? seen_type_parse(words[3]) : -1;

	question_end(r);
	r->ask = (struct ask){ .tcp = false };
	r->times = 1;
	if (type < 0 || ip_parse(words[1], &r->ask.from) ||
	    !asks_words(r, words + 4, n - 4, &extra))
		return false;
	wbuf_u16(&w, QUERY_ID);
	wbuf_u16(&w, extra.flags);
	wbuf_u16(&w, 1);
	wbuf_u32(&w, 0);
	wbuf_u16(&w, extra.edns ? 1 : 0);
	if (!name_write(&w, words[2]))
		return false;
	wbuf_u16(&w, (uint16_t)type);
	wbuf_u16(&w, extra.class);
	r->question_len = w.len - DNS_HEADER_LEN;
	if (extra.edns) {
		wbuf_u8(&w, 0);
		wbuf_u16(&w, ns_t_opt);
		wbuf_u16(&w, (uint16_t)(extra.edns - 1));
		wbuf_u32(&w, 0);
		wbuf_u16(&w, 0);
	}
	r->query_len = w.len;
	question_run(r);
	return !w.bad;
}

/* Hex digits in pairs; "label" (its length first); either *TIMES. */
static bool bytes_write(struct wbuf *w, char *word)
{
	char *star = strchr(word, '*');
	uint32_t times = 1;

	if (star) {
		*star++ = '\0';
		if (str_to_u32(star, 1, UINT16_MAX, &times))
			return false;
	}
	while (times--) {
		if (word[0] == '"') {
			size_t len = strlen(word + 1);

			wbuf_u8(w, (uint8_t)len);
			wbuf_bytes(w, word + 1, len);
			continue;
		}
		for (const char *at = word; at[0]; at += 2) {
			unsigned byte;

			if (sscanf(at, "%2x", &byte) != 1 || !at[1])
				return false;
			wbuf_u8(w, (uint8_t)byte);
		}
	}
	return !w->bad;
}

static bool do_sends(struct run *r, char **words, size_t n)
{
	struct wbuf w = wbuf_make(r->query, sizeof(r->query) - 1);

	question_end(r);
	r->ask = (struct ask){ .tcp = false };
	r->times = 1;
	r->question_len = 0;
	if (n < 3 || ip_parse(words[1], &r->ask.from))
		return false;
	for (size_t i = 2; i < n; i++) {
		if (str_eq(words[i], "tcp"))
			r->ask.tcp = true;
		else if (!bytes_write(&w, words[i]))
			return false;
	}
	r->query_len = w.len;
	question_run(r);
	return true;
}

/* What holds for every answer. */
static void frame_check(struct run *r, const struct asked *asked)
{
	const uint16_t kept = DNS_FLAG_RD | DNS_FLAG_CD | 0x7800;
	unsigned asked_flags = (unsigned)r->query[2] << 8 | r->query[3];
	const struct seen *seen = &r->seen;

	if (r->query_len >= 2 && memcmp(asked->data, r->query, 2) != 0)
		complain(r, "id is %04x", seen->id);
	if (!(seen->flags & DNS_FLAG_QR) || !(seen->flags & DNS_FLAG_RA) ||
	    (seen->flags & kept) != (asked_flags & kept) ||
	    seen->flags & (DNS_FLAG_AD | 0x0040))
		complain(r, "flags are %04x", seen->flags);
	if (r->question_len &&
	    (asked->len < DNS_HEADER_LEN + r->question_len ||
	     memcmp(asked->data + DNS_HEADER_LEN, r->query + DNS_HEADER_LEN,
		    r->question_len) != 0))
		complain(r, "the question is not the one that was asked");
}

/* Copies of a question must have one answer, but for the records' order. */
static bool is_same(const struct seen *a, const uint8_t *data, size_t len)
{
	struct seen b;
	bool same;

	if (seen_read(data, len, &b))
		return false;
	seen_sort(&b);
	same = a->len == b.len && a->flags == b.flags && a->rcode == b.rcode;
	for (size_t i = 0; same && i < a->len; i++)
		same = str_eq(a->rrs[i].text, b.rrs[i].text);
	seen_free(&b);
	return same;
}

static void flags_check(struct run *r, char **words, size_t n)
{
	static const struct {
		const char *word;
		uint16_t flag;
	} flags[] = { { "aa", DNS_FLAG_AA }, { "tc", DNS_FLAG_TC } };
	unsigned want = 0, got = r->seen.flags & (DNS_FLAG_AA | DNS_FLAG_TC);
	bool edns = false;

	for (size_t i = 0; i < n; i++) {
		edns = edns || str_eq(words[i], "edns");
		for (size_t k = 0; k < ARRAY_LEN(flags); k++)
			if (str_eq(flags[k].word, words[i]))
				want |= flags[k].flag;
	}
	if (want != got)
		complain(r, "flags: aa or tc differ");
	if (edns != r->seen.edns)
		complain(r, edns ? "no OPT came" : "an OPT came");
}

static bool do_gets(struct run *r, char **words, size_t n)
{
	bool nothing = n > 1 && str_eq(words[1], "nothing");

	if (!r->open || n < 2 || (!nothing && seen_rcode_parse(words[1]) < 0))
		return false;
	r->open = false;
	if (nothing)
		r->ask.ms = NOTHING_MS;
	ask_run(r->loop, &r->ask, r->asked, r->times);
	if (nothing != !r->asked[0].len)
		complain(r, nothing ? "an answer came" : "no answer came");
	if (!r->asked[0].len)
		return true;
	if (seen_read(r->asked[0].data, r->asked[0].len, &r->seen)) {
		complain(r, "the answer cannot be read");
		return true;
	}
	r->answered = true;
	seen_sort(&r->seen);
	r->named = xzalloc(r->seen.len + 1);
	for (size_t i = 0; i < r->times; i++) {
		frame_check(r, &r->asked[i]);
		if (!is_same(&r->seen, r->asked[i].data, r->asked[i].len))
			complain(r, "answer %zu differs from the first", i);
	}
	if (r->seen.rcode != (unsigned)seen_rcode_parse(words[1]))
		complain(r, "%s instead of %s", seen_rcode_str(r->seen.rcode),
			 words[1]);
	flags_check(r, words + 2, n - 2);
	return true;
}

static bool section_parse(const char *word, enum seen_section *ret)
{
	static const char *const sections[SEEN_MAX] = { "answer", "authority",
							"additional" };

	for (size_t i = 0; i < SEEN_MAX; i++) {
		if (str_eq(sections[i], word)) {
			*ret = (enum seen_section)i;
			return true;
		}
	}
	return false;
}

static bool range_parse(char *text, uint32_t *min, uint32_t *max)
{
	char *dash = strchr(text, '-');

	if (dash)
		*dash++ = '\0';
	return !str_to_u32(text, 0, UINT32_MAX, min) &&
	       !str_to_u32(dash ? dash : text, 0, UINT32_MAX, max);
}

/* answer NAME TTL TYPE DATA.. */
static bool do_record(struct run *r, char **words, size_t n)
{
	enum seen_section section;
	uint32_t min, max;
	char want[1600];
	size_t at = 0;

	if (n < 4 || !section_parse(words[0], &section) ||
	    !range_parse(words[2], &min, &max))
		return false;
	if (str_eq(words[1], "@"))
		words[1] = r->seen.name;
	for (size_t i = 1; i < n && at < sizeof(want); i++)
		if (i != 2)
			at += (size_t)snprintf(want + at, sizeof(want) - at,
					       "%s%s", i > 1 ? " " : "",
					       words[i]);
	if (!r->answered)
		return true;
	for (size_t i = 0; i < r->seen.len; i++) {
		const struct seen_rr *rr = &r->seen.rrs[i];

		if (r->named[i] || rr->section != section ||
		    !str_eq(rr->text, want))
			continue;
		r->named[i] = true;
		if (rr->ttl < min || rr->ttl > max)
			complain(r, "TTL is %u: %s", rr->ttl, rr->text);
		return true;
	}
	complain(r, "did not come: %s %s", words[0], want);
	return true;
}

/* some SECTION N TYPE */
static bool do_some(struct run *r, char **words, size_t n)
{
	enum seen_section section;
	int type = n == 4 ? seen_type_parse(words[3]) : -1;
	uint32_t want, got = 0;

	if (type < 0 || !section_parse(words[1], &section) ||
	    str_to_u32(words[2], 0, UINT16_MAX, &want))
		return false;
	for (size_t i = 0; r->answered && i < r->seen.len; i++) {
		const struct seen_rr *rr = &r->seen.rrs[i];

		if (rr->section != section || rr->type != type)
			continue;
		r->named[i] = true;
		got++;
	}
	if (r->answered && got != want)
		complain(r, "%u records of that type", got);
	return true;
}

static bool range_words(char **words, size_t n, uint32_t *min, uint32_t *max)
{
	return n == 3 && !str_to_u32(words[1], 0, INT32_MAX, min) &&
	       !str_to_u32(words[2], 0, INT32_MAX, max);
}

static bool do_within(struct run *r, char **words, size_t n)
{
	int64_t took = r->asked[0].took_ms;
	uint32_t min, max;

	if (!range_words(words, n, &min, &max))
		return false;
	if (took < min || took > max)
		complain(r, "it took %d ms", (int)took);
	return true;
}

static bool do_size(struct run *r, char **words, size_t n)
{
	size_t len = r->asked[0].len;
	uint32_t min, max;

	if (!range_words(words, n, &min, &max))
		return false;
	if (len < min || len > max)
		complain(r, "it has %zu bytes", len);
	return true;
}

static bool do_forwarded(struct run *r, char **words, size_t n)
{
	struct ip_addr addr;
	uint32_t want;
	size_t got;

	if (n != 3 || ip_parse(words[1], &addr) ||
	    str_to_u32(words[2], 0, INT32_MAX, &want))
		return false;
	got = fakes_asked(r->fakes, &addr);
	if (got != want)
		complain(r, "%s was asked %zu times", words[1], got);
	return true;
}

static bool do_waits(struct run *r, char **words, size_t n)
{
	uint32_t ms;

	question_end(r);
	if (n != 2 || str_to_u32(words[1], 1, 10000, &ms))
		return false;
	world_settle(r->world);
	ask_spin(r->loop, (int)ms);
	return true;
}

static const struct {
	const char *verb;
	bool (*run)(struct run *r, char **words, size_t n);
} verbs[] = {
	{ "case", do_case },	    { "upstream", do_upstream },
	{ "asks", do_asks },	    { "sends", do_sends },
	{ "gets", do_gets },	    { "answer", do_record },
	{ "authority", do_record }, { "additional", do_record },
	{ "some", do_some },	    { "within", do_within },
	{ "size", do_size },	    { "forwarded", do_forwarded },
	{ "waits", do_waits },
};

static bool line_run(struct run *r, char **words, size_t n)
{
	int err;

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_eq(verbs[i].verb, words[0]))
			return verbs[i].run(r, words, n);
	question_end(r);
	err = world_line(r->world, words, n);
	if (err && err != -EINVAL && err != -ENOENT)
		complain(r, "error=%d", err);
	return err != -EINVAL && err != -ENOENT;
}

/* Words, without what follows a # of its own. A quote's end is its word's. */
static size_t words_split(char *line, char **words)
{
	size_t n = 0;

	while (n < WORDS_MAX) {
		while (isspace((unsigned char)*line))
			line++;
		if (!*line || *line == '#')
			break;
		words[n++] = line;
		if (*line == '"')
			for (line++; *line && *line != '"';)
				line++;
		while (*line && !isspace((unsigned char)*line))
			line++;
		if (*line)
			*line++ = '\0';
	}
	return n;
}

/* "label"*3 is kept as "label*3: the first quote says what it is. */
static void quotes_close(char **words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *end =
			words[i][0] == '"' ? strchr(words[i] + 1, '"') : NULL;

		if (end)
			memmove(end, end + 1, strlen(end));
	}
}

static int file_run(struct run *r, const char *program)
{
	AUTO(file_closep) FILE *file = fopen(r->file, "re");
	char line[4096], *words[WORDS_MAX];
	int err;

	if (!file) {
		printf("%s: cannot be read\n", r->file);
		return 1;
	}
	r->loop = ev_loop_new(0);
	err = world_new(r->loop, program, true, &r->world);
	if (err) {
		printf("%s: no world: error=%d\n", r->file, err);
		return 1;
	}
	r->fakes = fakes_new(r->loop);
	r->asked = xzalloc(TIMES_MAX * sizeof(*r->asked));
	str_copy(r->title, sizeof(r->title), "world");
	while (fgets(line, sizeof(line), file)) {
		size_t n = words_split(line, words);

		r->line++;
		if (str_eq(n ? words[0] : "", "sends"))
			quotes_close(words, n);
		if (n && !line_run(r, words, n))
			complain(r, "not understood: %s", words[0]);
	}
	question_end(r);
	world_free(r->world);
	fakes_free(r->fakes);
	free(r->asked);
	ev_loop_destroy(r->loop);
	printf("%s: %u cases, %u failed\n", r->file, r->cases, r->failed);
	return r->failed || !r->cases;
}

int main(int argc, char **argv)
{
	int status, failed = 0;

	if (argc < 3) {
		fputs("usage: scenarios NETD-DNS FILE..\n", stderr);
		return 2;
	}
	if (geteuid() != 0) {
		fputs("needs root: skipped\n", stderr);
		return 77;
	}
	for (int i = 2; i < argc; i++) {
		static struct run run;

		fflush(stdout);
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run.file = argv[i];
		status = file_run(&run, argv[1]);
		fflush(stdout);
		_exit(status);
	}
	while (wait(&status) > 0)
		failed += status != 0;
	return failed ? 1 : 0;
}
