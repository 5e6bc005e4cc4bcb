/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-resolver - the resolver of the lab's outside world.
 *
 *   nd-resolver ADDR
 *
 * Answers over UDP from the table below: addresses, an alias, a zone, a name
 * that takes 2 s and one that is never answered; NXDOMAIN for all else. Writes
 * each question to standard output, so that a test can see what was forwarded.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <resolv.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define TTL 60
#define SLOW_S 2

static const struct entry {
	const char *name;
	/* Address, or the name this one is an alias of. */
	const char *addr, *alias;
	bool is_slow, is_dead;
	/* There is a zone of this name, and nothing else at its top. */
	bool is_zone;
} entries[] = {
	{ .name = "test", .is_zone = true },
	{ .name = "example.test", .addr = "198.51.100.1" },
	{ .name = "many.example.test", .addr = "198.51.100.1" },
	{ .name = "many.example.test", .addr = "198.51.100.2" },
	{ .name = "many.example.test", .addr = "198.51.100.3" },
	{ .name = "www.example.test", .alias = "example.test" },
	{ .name = "slow.example.test",
	  .addr = "198.51.100.4",
	  .is_slow = true },
	{ .name = "dead.example.test",
	  .addr = "198.51.100.5",
	  .is_dead = true },
};

struct answer {
	unsigned char buf[NS_PACKETSZ];
	size_t len;
	int count;
};

static void add_record(struct answer *a, int type, const char *name,
		       const unsigned char *data, size_t len)
{
	unsigned char *p = a->buf + a->len;
	int n = ns_name_compress(name, p, sizeof(a->buf) - a->len, NULL, NULL);

	if (n < 0 || a->len + (size_t)n + 10 + len > sizeof(a->buf))
		return;
	p += n;
	ns_put16((unsigned int)type, p);
	ns_put16(ns_c_in, p + 2);
	ns_put32(TTL, p + 4);
	ns_put16((unsigned int)len, p + 8);
	memcpy(p + 10, data, len);
	a->len += (size_t)n + 10 + len;
	a->count++;
}

/* Adds what the name has; false: it has nothing, not even another type. */
static bool answer_name(struct answer *a, const char *name, int type)
{
	/* Two names that are the root, five numbers. */
	static const unsigned char soa[2 + 5 * 4];
	unsigned char data[NS_MAXCDNAME];
	bool found = false;

	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		const struct entry *e = &entries[i];

		if (strcasecmp(e->name, name))
			continue;
		found = true;
		if (e->alias) {
			int n = ns_name_compress(e->alias, data, sizeof(data),
						 NULL, NULL);

			add_record(a, ns_t_cname, e->name, data, (size_t)n);
			return answer_name(a, e->alias, type);
		}
		if (type == ns_t_soa && e->is_zone)
			add_record(a, ns_t_soa, name, soa, sizeof(soa));
		if (type == ns_t_a && e->addr &&
		    inet_pton(AF_INET, e->addr, data) == 1)
			add_record(a, ns_t_a, name, data, 4);
	}
	return found;
}

static const struct entry *find(const char *name)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		if (!strcasecmp(entries[i].name, name))
			return &entries[i];
	return NULL;
}

/* The question's own bytes, then the records. */
static bool make_answer(const unsigned char *query, size_t len, ns_msg *msg,
			ns_rr *rr, struct answer *a)
{
	const unsigned char *end = ns_msg_end(*msg);
	int name_len = dn_skipname(query + NS_HFIXEDSZ, end);
	HEADER head;
	bool found;

	if (name_len < 0 || len < NS_HFIXEDSZ + (size_t)name_len + 4)
		return false;
	a->len = NS_HFIXEDSZ + (size_t)name_len + 4;
	memcpy(a->buf, query, a->len);
	found = answer_name(a, ns_rr_name(*rr), ns_rr_type(*rr));
	memcpy(&head, query, sizeof(head));
	head.qr = 1;
	head.ra = 1;
	head.rcode = (unsigned int)(found ? ns_r_noerror : ns_r_nxdomain) & 15;
	head.ancount = htons((uint16_t)a->count);
	head.nscount = head.arcount = 0;
	memcpy(a->buf, &head, sizeof(head));
	return true;
}

/* In small letters: askers mix them. */
static void log_question(const ns_rr *rr)
{
	for (const char *c = ns_rr_name(*rr); *c; c++)
		putchar(tolower((unsigned char)*c));
	printf(" %d\n", ns_rr_type(*rr));
}

static void answer(int fd, const unsigned char *query, size_t len,
		   const struct sockaddr_in *peer)
{
	struct answer a = { 0 };
	const struct entry *entry;
	ns_msg msg;
	ns_rr rr;

	if (ns_initparse(query, (int)len, &msg) ||
	    ns_parserr(&msg, ns_s_qd, 0, &rr))
		return;
	log_question(&rr);
	fflush(stdout);
	entry = find(ns_rr_name(rr));
	if (entry && entry->is_dead)
		return;
	if (!make_answer(query, len, &msg, &rr, &a))
		return;
	/* The slow answer must not hold up the others. */
	if (entry && entry->is_slow) {
		if (fork())
			return;
		sleep(SLOW_S);
	}
	sendto(fd, a.buf, a.len, 0, (const struct sockaddr *)peer,
	       sizeof(*peer));
	if (entry && entry->is_slow)
		_exit(0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in own = {
		.sin_family = AF_INET,
		.sin_port = htons(53),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (argc != 2 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1) {
		fputs("usage: nd-resolver ADDR\n", stderr);
		return 2;
	}
	signal(SIGCHLD, SIG_IGN);
	if (bind(fd, (struct sockaddr *)&own, sizeof(own))) {
		perror("nd-resolver: bind");
		return 1;
	}
	puts("listening");
	fflush(stdout);
	for (;;) {
		unsigned char query[NS_PACKETSZ];
		struct sockaddr_in peer;
		socklen_t peer_len = sizeof(peer);
		ssize_t n = recvfrom(fd, query, sizeof(query), 0,
				     (struct sockaddr *)&peer, &peer_len);

		if (n > 0)
			answer(fd, query, (size_t)n, &peer);
	}
}
