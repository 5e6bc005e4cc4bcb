/* SPDX-License-Identifier: Apache-2.0 */
/*
 * differ - the same questions to netd-dns and to NSD, which holds the same
 * records.
 *
 *	differ NETD-DNS COUNT
 *
 * One list of names is told to netd-dns and written as zone files. Then COUNT
 * random questions (names that are there, that are not, in any case and of
 * any type) are put to both, and the answers compared in one canonical form.
 * Where they may differ a row of rules[] says why; how often each applied is
 * shown, and any other difference fails.
 */
#include <arpa/nameser.h>
#include <ctype.h>
#include <ev.h>
#include <strings.h>

#include "compare.h"
#include "msg.h"
#include "netd/util.h"
#include "peer.h"
#include "world.h"

#define OURS "10.99.0.1"
#define NSD "10.99.0.3"
#define POD "10.99.0.5"
#define DOMAIN "cluster.local"
#define SERVICES 200
#define BUDGET_MS 5000

struct differ {
	struct ev_loop *loop;
	struct world *world;
	struct peer nsd;
	uint64_t random;
	struct asked asked[2];
};

static uint32_t pick(struct differ *d, uint32_t n)
{
	return compare_pick(&d->random, n);
}

/* The records, for both. */

static void say(struct differ *d, const char *line)
{
	char copy[512], *words[32], *save, *word;
	size_t n = 0;

	str_copy(copy, sizeof(copy), line);
	for (word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		words[n++] = word;
	if (world_line(d->world, words, n)) {
		fprintf(stderr, "differ: not understood: %s\n", line);
		exit(1);
	}
}

#define SOA                                                                    \
	"$TTL 5\n@ SOA ns.dns." DOMAIN ". hostmaster." DOMAIN                  \
	". 1 7200 1800 86400 5\n@ NS ns.dns." DOMAIN ".\n"
#define FULL "default.svc." DOMAIN "."

static void service_make(struct differ *d, int i, FILE *zone, FILE *back)
{
	AUTO(str_freep)
	char *tell = xasprintf(
		"service svc%d default 10.99.1.%d ports 80/tcp,53/udp ptr", i,
		i);
	AUTO(str_freep)
	char *tasks =
		xasprintf("tasks svc%d default 10.99.2.%d 10.99.3.%d", i, i, i);
	AUTO(str_freep)
	char *pod = xasprintf("name pod%d default 10.99.4.%d fd00:99::%x ptr",
			      i, i, i + 1);

	say(d, tell);
	say(d, tasks);
	say(d, pod);
	fprintf(zone,
		"svc%d.default.svc A 10.99.1.%d\n"
		"_80._tcp.svc%d.default.svc SRV 0 100 80 svc%d." FULL "\n"
		"_53._udp.svc%d.default.svc SRV 0 100 53 svc%d." FULL "\n"
		"tasks.svc%d.default.svc A 10.99.2.%d\n"
		"tasks.svc%d.default.svc A 10.99.3.%d\n"
		"pod%d.default.svc A 10.99.4.%d\n"
		"pod%d.default.svc AAAA fd00:99::%x\n",
		i, i, i, i, i, i, i, i, i, i, i, i, i, i + 1);
	fprintf(back, "%d.1 PTR svc%d." FULL "\n%d.4 PTR pod%d." FULL "\n", i,
		i, i, i);
}

static void content_make(struct differ *d)
{
	FILE *zone = peer_file(&d->nsd, "zone");
	FILE *back = peer_file(&d->nsd, "back");

	say(d, "zone default 7 " OURS " 10.99.0.0/16");
	say(d, "pod " POD " default");
	fputs(SOA "ns.dns A " OURS "\ndns-version TXT \"1.1.0\"\n", zone);
	fputs(SOA, back);
	for (int i = 0; i < SERVICES; i++)
		service_make(d, i, zone, back);
	say(d, "synced");
	fclose(zone);
	fclose(back);
}

static void nsd_start(struct differ *d)
{
	const char *dir = d->nsd.dir;
	AUTO(str_freep) char *path = xasprintf("%s/conf", dir);
	FILE *conf = peer_file(&d->nsd, "conf");

	fprintf(conf,
		"server:\n ip-address: " NSD "\n server-count: 1\n"
		" username: \"\"\n zonesdir: \"%s\"\n xfrdir: \"%s\"\n"
		" pidfile: \"%s/pid\"\n database: \"\"\n"
		" xfrdfile: \"%s/xfrd\"\n zonelistfile: \"%s/list\"\n"
		" logfile: \"%s/log\"\n"
		" rrl-ratelimit: 0\n minimal-responses: no\n"
		" round-robin: no\n"
		"remote-control:\n control-enable: no\n"
		"zone:\n name: " DOMAIN "\n zonefile: zone\n"
		"zone:\n name: 99.10.in-addr.arpa\n zonefile: back\n",
		dir, dir, dir, dir, dir, dir);
	fclose(conf);
	peer_start(&d->nsd,
		   (const char *const[]){ "nsd", "-d", "-c", path, NULL });
}

/* Questions. */

static const uint16_t types[] = {
	ns_t_a,	 ns_t_a,  ns_t_aaaa,  ns_t_srv, ns_t_txt,
	ns_t_mx, ns_t_ns, ns_t_soa,   ns_t_ptr, ns_t_any,
	65,	 65280,	  ns_t_cname, ns_t_srv, ns_t_ptr,
};

/* %d: a number; half of them are nobody's. */
static const char *const forms[] = {
	"svc%d." FULL,
	"svc%d." FULL,
	"pod%d." FULL,
	"tasks.svc%d." FULL,
	"_80._tcp.svc%d." FULL,
	"_53._udp.svc%d." FULL,
	"_53._tcp.svc%d." FULL,
	"_tcp.svc%d." FULL,
	"_80._sctp.svc%d." FULL,
	"x.svc%d." FULL,
	"x%d." FULL,
	"svc%d.other.svc." DOMAIN ".",
	"svc%d." DOMAIN ".",
	"%d.1.99.10.in-addr.arpa.",
	"%d.4.99.10.in-addr.arpa.",
	"%d.9.99.10.in-addr.arpa.",
	"x.%d.1.99.10.in-addr.arpa.",
	"%d.99.10.in-addr.arpa.",
	"99.10.in-addr.arpa.",
	FULL,
	"svc." DOMAIN ".",
	"dns." DOMAIN ".",
	"ns.dns." DOMAIN ".",
	"dns-version." DOMAIN ".",
	DOMAIN ".",
};

static void name_pick(struct differ *d, char *text, size_t size)
{
	const char *from = forms[pick(d, ARRAY_LEN(forms))];
	const char *number = strstr(from, "%d");
	unsigned n = pick(d, SERVICES * 5 / 4);

	if (number)
		snprintf(text, size, "%.*s%u%s", (int)(number - from), from, n,
			 number + 2);
	else
		snprintf(text, size, "%s", from);
	for (char *c = text; *c; c++)
		if (pick(d, 8) == 0)
			*c = (char)toupper(*c);
}

static size_t question_write(struct differ *d, uint8_t *buf, size_t size)
{
	struct wbuf w = wbuf_make(buf, size);
	bool edns = pick(d, 2);
	char text[256], *label = text;

	name_pick(d, text, sizeof(text));
	wbuf_u16(&w, (uint16_t)pick(d, 65536));
	wbuf_u16(&w, pick(d, 2) ? DNS_FLAG_RD : 0);
	wbuf_u16(&w, 1);
	wbuf_u32(&w, 0);
	wbuf_u16(&w, edns);
	while (*label) {
		size_t n = strcspn(label, ".");

		wbuf_u8(&w, (uint8_t)n);
		wbuf_bytes(&w, label, n);
		label += n + 1;
	}
	wbuf_u8(&w, 0);
	wbuf_u16(&w, types[pick(d, ARRAY_LEN(types))]);
	wbuf_u16(&w, ns_c_in);
	if (edns)
		wbuf_bytes(&w, "\0\0\x29\x10\0\0\0\0\0\0\0", 11);
	return w.len;
}

/* What may differ: each takes what it explains out of both answers. */

static bool rule_recursion(struct seen *ours, struct seen *theirs)
{
	bool any = (ours->flags ^ theirs->flags) & DNS_FLAG_RA;

	seen_flags_drop(ours, DNS_FLAG_RA);
	seen_flags_drop(theirs, DNS_FLAG_RA);
	return any;
}

/* Of the answer to ANY only that there is one is compared. */
static bool rule_any(struct seen *ours, struct seen *theirs)
{
	if (ours->type != ns_t_any || ours->rcode || theirs->rcode)
		return false;
	for (int s = 0; s < SEEN_MAX; s++) {
		seen_drop_if(ours, (enum seen_section)s, -1);
		seen_drop_if(theirs, (enum seen_section)s, -1);
	}
	return true;
}

/* NS behind an answer, which no stub resolver reads. */
static bool rule_authority(struct seen *ours, struct seen *theirs)
{
	(void)ours;
	return seen_drop_if(theirs, SEEN_AUTHORITY, ns_t_ns);
}

/* The name server's address behind its name. */
static bool rule_glue(struct seen *ours, struct seen *theirs)
{
	bool any = false;

	(void)ours;
	for (size_t i = theirs->len; i-- > 0;) {
		if (theirs->rrs[i].section != SEEN_ADDITIONAL ||
		    strncasecmp(theirs->rrs[i].text, "ns.dns.", 7) != 0)
			continue;
		seen_drop(theirs, i);
		any = true;
	}
	return any;
}

/* 7.99.10.in-addr.arpa, when no address below it has a name. */
static bool rule_reverse(struct seen *ours, struct seen *theirs)
{
	unsigned dots = 0;

	for (const char *c = ours->name; *c; c++)
		dots += *c == '.';
	if (dots != 5 || ours->rcode != ns_r_noerror ||
	    theirs->rcode != ns_r_nxdomain ||
	    !strcasestr(ours->name, ".in-addr.arpa."))
		return false;
	seen_rcode_set(theirs, ns_r_noerror);
	return true;
}

static const struct compare_rule rules[] = {
	{ "recursion", "we offer it, for other names", rule_recursion },
	{ "any", "ANY gets one small record (RFC 8482)", rule_any },
	{ "authority", "NS records behind an answer", rule_authority },
	{ "glue", "the name server's own address", rule_glue },
	{ "reverse", "part of our prefix is there, if empty", rule_reverse },
};

static void ask_both(struct differ *d, const uint8_t *query, size_t len)
{
	static const char *const servers[] = { OURS, NSD };
	struct ask ask = { .query = query, .len = len, .ms = 1000 };

	ip_parse(POD, &ask.from);
	for (size_t i = 0; i < 2; i++) {
		ip_parse(servers[i], &ask.to);
		ask_run(d->loop, &ask, &d->asked[i], 1);
	}
}

static bool nsd_answers(struct differ *d)
{
	int64_t until = mono_ms() + BUDGET_MS;
	uint8_t query[DNS_QUERY_MAX];
	struct dns_name name;
	size_t len;

	dns_name_parse(DOMAIN, &name);
	len = dns_query_write(&name, ns_t_soa, 1, query);
	while (mono_ms() < until) {
		ask_both(d, query, len);
		if (d->asked[1].len)
			return true;
		ask_spin(d->loop, 20);
	}
	return false;
}

static void end(struct differ *d)
{
	peer_end(&d->nsd);
	world_free(d->world);
	ev_loop_destroy(d->loop);
}

int main(int argc, char **argv)
{
	static struct differ d = { .random = 88172645463325252 };
	struct compare compare = { .peer = "NSD",
				   .rules = rules,
				   .rules_len = ARRAY_LEN(rules) };
	static uint8_t query[512];
	uint32_t count;

	if (argc != 3 || str_to_u32(argv[2], 1, INT32_MAX, &count)) {
		fputs("usage: differ NETD-DNS COUNT\n", stderr);
		return 2;
	}
	if (getenv("NETD_LONG"))
		count *= 10;
	if (geteuid() != 0 || system("command -v nsd >/dev/null")) {
		fputs("needs root and nsd: skipped\n", stderr);
		return 77;
	}
	d.loop = ev_loop_new(0);
	if (world_new(d.loop, argv[1], true, &d.world)) {
		perror("differ");
		return 1;
	}
	peer_open(&d.nsd);
	content_make(&d);
	nsd_start(&d);
	if (world_settle(d.world) || !nsd_answers(&d)) {
		puts("differ: a server does not answer");
		end(&d);
		return 1;
	}
	for (uint32_t i = 0; i < count; i++) {
		size_t len = question_write(&d, query, sizeof(query));

		ask_both(&d, query, len);
		compare_answers(&compare, d.asked);
	}
	end(&d);
	return compare_end(&compare, count);
}
