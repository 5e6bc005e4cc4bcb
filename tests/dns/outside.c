/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside - the same outside names to netd-dns and to unbound, which both ask
 * the same servers.
 *
 *	outside NETD-DNS COUNT
 *
 * What those servers say is a table of lines (fake.h). COUNT random questions
 * for their names, of any type, with and without EDNS, over UDP and TCP, are
 * put to both, and the answers compared: first ones, those from the cache,
 * and what is left of them when time has passed. Where they may differ a row
 * of rules[] says why; any other difference fails.
 */
#include <arpa/nameser.h>
#include <ctype.h>
#include <ev.h>
#include <strings.h>

#include "compare.h"
#include "fake.h"
#include "msg.h"
#include "netd/util.h"
#include "peer.h"
#include "world.h"

#define OURS "10.99.0.1"
#define UNBOUND "10.99.0.3"
#define POD "10.99.0.5"
#define UPSTREAM "192.0.2.53"
#define BUDGET_MS 5000
#define AGING_MS 3100
/* Of the DO bit: RFC 3225 3. */
#define EDNS_DO 0x8000

struct outside {
	struct ev_loop *loop;
	struct world *world;
	struct fakes *fakes;
	struct peer unbound;
	uint64_t random;
	struct asked asked[2];
};

static uint32_t pick(struct outside *o, uint32_t n)
{
	return compare_pick(&o->random, n);
}

/* What the servers outside say. */
static const char *const lines[] = {
	"one.example.com A 60 203.0.113.1",
	"three.example.com A 60 203.0.113.1",
	"three.example.com A 60 203.0.113.2",
	"three.example.com A 60 203.0.113.3",
	"both.example.com A 60 203.0.113.4",
	"both.example.com AAAA 50 2001:db8::4",
	"both.example.com SOA 60 20",
	"mail.example.com MX 60 10 mx1.example.com",
	"mail.example.com MX 60 20 mx2.example.com",
	"mail.example.com SOA 60 20",
	"text.example.com TXT 60 hello",
	"short.example.com A 2 203.0.113.5",
	"zero.example.com A 0 203.0.113.6",
	"year.example.com A 31536000 203.0.113.7",
	"upper-bit.example.com A 2147483653 203.0.113.8",
	"uneven.example.com A 60 203.0.113.9",
	"uneven.example.com A 40 203.0.113.10",
	/* Aliases. */
	"alias.example.com CNAME 60 one.example.com",
	"alias.example.com A 60 203.0.113.1",
	"long.example.com CNAME 60 long1.example.net",
	"long.example.com CNAME 50 long2.example.org",
	"long.example.com CNAME 40 one.example.com",
	"long.example.com A 60 203.0.113.1",
	"long1.example.net CNAME 50 long2.example.org",
	"long1.example.net CNAME 40 one.example.com",
	"long1.example.net A 60 203.0.113.1",
	"long2.example.org CNAME 40 one.example.com",
	"long2.example.org A 60 203.0.113.1",
	"to-gone.example.com rcode NXDOMAIN",
	"to-gone.example.com CNAME 60 gone.example.com",
	"to-gone.example.com SOA 60 20",
	"to-empty.example.com CNAME 60 empty.example.com",
	"to-empty.example.com SOA 60 20",
	/* Names and types that are not there. */
	"gone.example.com rcode NXDOMAIN SOA 60 20",
	"gone-long.example.com rcode NXDOMAIN SOA 3600 3600",
	"gone-zero.example.com rcode NXDOMAIN SOA 60 0",
	"empty.example.com SOA 60 20",
	"bare.example.com rcode NOERROR",
	/* Servers that fail. */
	"servfail.example.com rcode SERVFAIL",
	"refused.example.com rcode REFUSED",
	"formerr.example.com rcode FORMERR",
	"notimp.example.com rcode NOTIMP",
	"yxdomain.example.com rcode YXDOMAIN",
	/* Large ones, and those that are cut. */
	"cut.example.com truncated A 60 203.0.113.11",
	"forty.example.com many 40",
	"hundred.example.com many 100",
	"thousand.example.com truncated many 1000",
	/* Old servers, and odd ones. */
	"no-edns.example.com no-edns A 60 203.0.113.12",
	"no-opt.example.com no-opt A 60 203.0.113.13",
	"upper.example.com upper A 60 203.0.113.14",
	"twice.example.com twice A 60 203.0.113.15",
	"then.example.com wrong-id then-right A 60 203.0.113.16",
	"trailing.example.com trailing A 60 203.0.113.17",
	"more.example.com more-counted A 60 203.0.113.18",
	"self.example.com pointer-self A 60 203.0.113.19",
	"two-opts.example.com two-opts A 60 203.0.113.20",
	"stranger.example.com stranger A 60 203.0.113.21",
	"unasked.example.com unasked A 60 203.0.113.22",
};

static void fakes_tell(struct outside *o)
{
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		AUTO(str_freep)
		char *copy = xasprintf(UPSTREAM " %s", lines[i]);
		char *words[16], *save, *word;
		size_t n = 0;

		for (word = strtok_r(copy, " ", &save); word;
		     word = strtok_r(NULL, " ", &save))
			words[n++] = word;
		if (fakes_line(o->fakes, words, n)) {
			printf("outside: not understood: %s\n", lines[i]);
			exit(1);
		}
	}
}

static void world_tell(struct outside *o)
{
	static const char *const told[] = {
		"upstreams " UPSTREAM,
		"zone default 7 " OURS " 10.99.0.0/16",
		"pod " POD " default",
		"synced",
	};

	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		AUTO(str_freep) char *copy = xstrdup(told[i]);
		char *words[8], *save, *word;
		size_t n = 0;

		for (word = strtok_r(copy, " ", &save); word;
		     word = strtok_r(NULL, " ", &save))
			words[n++] = word;
		if (world_line(o->world, words, n)) {
			printf("outside: not understood: %s\n", told[i]);
			exit(1);
		}
	}
}

/*
 * A forwarder as netd-dns is one: no zones of its own, no validation, the
 * same bounds of TTLs and sizes.
 */
static void unbound_start(struct outside *o)
{
	const char *dir = o->unbound.dir;
	AUTO(str_freep) char *path = xasprintf("%s/conf", dir);
	FILE *conf = peer_file(&o->unbound, "conf");

	fprintf(conf,
		"server:\n interface: " UNBOUND "\n num-threads: 1\n"
		" access-control: 10.0.0.0/8 allow\n username: \"\"\n"
		" chroot: \"\"\n directory: \"%s\"\n pidfile: \"\"\n"
		" use-syslog: no\n logfile: \"%s/log\"\n do-daemonize: no\n"
		" do-ip6: no\n module-config: \"iterator\"\n"
		" cache-max-ttl: 300\n cache-max-negative-ttl: 30\n"
		" edns-buffer-size: 1232\n max-udp-size: 1232\n"
		" minimal-responses: yes\n qname-minimisation: no\n"
		" aggressive-nsec: no\n rrset-roundrobin: no\n"
		" infra-keep-probing: yes\n infra-host-ttl: 0\n"
		"forward-zone:\n name: \".\"\n forward-addr: " UPSTREAM "\n"
		"remote-control:\n control-enable: no\n",
		dir, dir);
	fclose(conf);
	peer_start(&o->unbound,
		   (const char *const[]){ "unbound", "-d", "-c", path, NULL });
}

/* Questions. */

static const uint16_t types[] = { ns_t_a,   ns_t_a,	ns_t_a,
				  ns_t_a,   ns_t_aaaa,	ns_t_mx,
				  ns_t_txt, ns_t_cname, 65 };
static const uint16_t sizes[] = { 512, 1232, 4096 };

static void name_write(struct outside *o, struct wbuf *w)
{
	const char *line = lines[pick(o, ARRAY_LEN(lines))];
	char text[64], *label = text;

	str_format(text, sizeof(text), "%.*s.", (int)strcspn(line, " "), line);
	for (char *c = text; *c; c++)
		if (pick(o, 8) == 0)
			*c = (char)toupper(*c);
	while (*label) {
		size_t n = strcspn(label, ".");

		wbuf_u8(w, (uint8_t)n);
		wbuf_bytes(w, label, n);
		label += n + 1;
	}
	wbuf_u8(w, 0);
}

static size_t question_write(struct outside *o, uint8_t *buf, size_t size)
{
	struct wbuf w = wbuf_make(buf, size);
	unsigned edns = pick(o, 3) ? 1 : 0;

	wbuf_u16(&w, (uint16_t)pick(o, 65536));
	wbuf_u16(&w, (uint16_t)(DNS_FLAG_RD | (pick(o, 4) ? 0 : DNS_FLAG_CD) |
				(pick(o, 4) ? 0 : DNS_FLAG_AD)));
	wbuf_u16(&w, 1);
	wbuf_u32(&w, 0);
	wbuf_u16(&w, (uint16_t)edns);
	name_write(o, &w);
	wbuf_u16(&w, types[pick(o, ARRAY_LEN(types))]);
	wbuf_u16(&w, ns_c_in);
	if (edns) {
		wbuf_u8(&w, 0);
		wbuf_u16(&w, ns_t_opt);
		wbuf_u16(&w, sizes[pick(o, ARRAY_LEN(sizes))]);
		wbuf_u32(&w, pick(o, 4) ? 0 : EDNS_DO);
		wbuf_u16(&w, 0);
	}
	return w.len;
}

/* What may differ: each takes what it explains out of both answers. */

/* Does the question's name begin so? */
static bool asks(const struct seen *s, const char *label)
{
	return strncasecmp(s->name, label, strlen(label)) == 0 &&
	       s->name[strlen(label)] == '.';
}

static bool is_negative(const struct seen *s)
{
	for (size_t i = 0; i < s->len; i++)
		if (s->rrs[i].section == SEEN_ANSWER &&
		    s->rrs[i].type == s->type)
			return false;
	return true;
}

/* All of a negative answer is as old as what it denies. */
static bool rule_negative(struct seen *ours, struct seen *theirs)
{
	bool any = false;

	if (!is_negative(ours) || !is_negative(theirs) ||
	    ours->len != theirs->len)
		return false;
	for (size_t i = 0; i < ours->len; i++) {
		if (ours->rrs[i].ttl >= theirs->rrs[i].ttl ||
		    !str_eq(ours->rrs[i].text, theirs->rrs[i].text))
			continue;
		theirs->rrs[i].ttl = ours->rrs[i].ttl;
		any = true;
	}
	return any;
}

/* Is it a record of the type asked for, of the name itself? */
static bool is_asked(const struct seen *s, const struct seen_rr *rr)
{
	return rr->section == SEEN_ANSWER && rr->type == s->type &&
	       strncasecmp(rr->text, s->name, strlen(s->name)) == 0;
}

/* Theirs may be older: all that was asked for, or all the others. */
static bool older(struct seen *ours, struct seen *theirs, bool asked)
{
	bool any = false;

	for (size_t i = 0; i < ours->len && i < theirs->len; i++) {
		const struct seen_rr *a = &ours->rrs[i];
		struct seen_rr *b = &theirs->rrs[i];

		if (a->ttl <= b->ttl || !str_eq(a->text, b->text) ||
		    is_asked(ours, a) != asked)
			continue;
		b->ttl = a->ttl;
		any = true;
	}
	return any;
}

/*
 * unbound keeps records and we keep answers: what several answers hold is as
 * old there as the first of them.
 */
static bool rule_shared(struct seen *ours, struct seen *theirs)
{
	return older(ours, theirs, false);
}

/* As cache.h says: 4096 bytes. */
static bool rule_large(struct seen *ours, struct seen *theirs)
{
	return asks(ours, "thousand") && older(ours, theirs, true);
}

/* We fail where unbound makes something of what it was told. */
static bool we_fail(struct seen *ours, struct seen *theirs)
{
	if (ours->rcode != ns_r_servfail || theirs->rcode == ns_r_servfail)
		return false;
	seen_drop_if(theirs, SEEN_ANSWER, -1);
	seen_rcode_set(theirs, ns_r_servfail);
	return true;
}

static bool rule_malformed(struct seen *ours, struct seen *theirs)
{
	return (asks(ours, "trailing") || asks(ours, "two-opts")) &&
	       we_fail(ours, theirs);
}

static bool rule_stranger(struct seen *ours, struct seen *theirs)
{
	return asks(ours, "stranger") && we_fail(ours, theirs);
}

static bool rule_code(struct seen *ours, struct seen *theirs)
{
	return theirs->rcode == ns_r_yxdomain && we_fail(ours, theirs);
}

/* The answer's bytes are passed on as they are; over TCP both give all. */
static bool rule_size(struct seen *ours, struct seen *theirs)
{
	if (!asks(ours, "forty") || !(ours->flags & DNS_FLAG_TC) ||
	    theirs->flags & DNS_FLAG_TC)
		return false;
	seen_flags_drop(ours, DNS_FLAG_TC);
	seen_drop_if(theirs, SEEN_ANSWER, -1);
	return true;
}

static const struct compare_rule rules[] = {
	{ "negative", "an alias of nothing is as old as the nothing",
	  rule_negative },
	{ "shared", "a record of several answers is as old as the first",
	  rule_shared },
	{ "large", "answers above 4096 bytes are not kept", rule_large },
	{ "malformed", "bytes behind a message, two OPTs: no answer",
	  rule_malformed },
	{ "stranger", "an answer that answers for others is none",
	  rule_stranger },
	{ "code", "of codes only NXDOMAIN is passed on", rule_code },
	{ "size", "names that came in full fit a datagram less well",
	  rule_size },
};

static void ask_both(struct outside *o, const uint8_t *query, size_t len,
		     bool tcp)
{
	static const char *const servers[] = { OURS, UNBOUND };
	struct ask ask = { .query = query, .len = len, .tcp = tcp, .ms = 5000 };

	ip_parse(POD, &ask.from);
	for (size_t i = 0; i < 2; i++) {
		ip_parse(servers[i], &ask.to);
		ask_run(o->loop, &ask, &o->asked[i], 1);
	}
}

static bool unbound_answers(struct outside *o)
{
	int64_t until = mono_ms() + BUDGET_MS;
	uint8_t query[DNS_QUERY_MAX];
	struct dns_name name;
	size_t len;

	dns_name_parse("one.example.com", &name);
	len = dns_query_write(&name, ns_t_a, 1, query);
	while (mono_ms() < until) {
		ask_both(o, query, len, false);
		if (o->asked[1].len)
			return true;
		ask_spin(o->loop, 20);
	}
	return false;
}

static void end(struct outside *o)
{
	peer_end(&o->unbound);
	fakes_free(o->fakes);
	world_free(o->world);
	ev_loop_destroy(o->loop);
}

int main(int argc, char **argv)
{
	static struct outside o = { .random = 88172645463325252 };
	struct compare compare = { .peer = "unbound",
				   .rules = rules,
				   .rules_len = ARRAY_LEN(rules),
				   .slack = 2 };
	static uint8_t query[512];
	uint32_t count;

	if (argc != 3 || str_to_u32(argv[2], 1, INT32_MAX, &count)) {
		fputs("usage: outside NETD-DNS COUNT\n", stderr);
		return 2;
	}
	if (getenv("NETD_LONG"))
		count *= 10;
	if (geteuid() != 0 || system("command -v unbound >/dev/null")) {
		fputs("needs root and unbound: skipped\n", stderr);
		return 77;
	}
	o.loop = ev_loop_new(0);
	o.fakes = fakes_new(o.loop);
	if (world_new(o.loop, argv[1], true, &o.world)) {
		perror("outside");
		return 1;
	}
	fakes_tell(&o);
	world_tell(&o);
	peer_open(&o.unbound);
	unbound_start(&o);
	if (world_settle(o.world) || !unbound_answers(&o)) {
		puts("outside: a server does not answer");
		end(&o);
		return 1;
	}
	for (uint32_t i = 0; i < count; i++) {
		size_t len = question_write(&o, query, sizeof(query));

		/* Some of what is kept ends meanwhile. */
		if (i == count / 2)
			ask_spin(o.loop, AGING_MS);
		ask_both(&o, query, len, pick(&o, 8) == 0);
		compare_answers(&compare, o.asked);
	}
	end(&o);
	return compare_end(&compare, count);
}
