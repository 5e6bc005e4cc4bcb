/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer is built whole and right, then spoilt by the manners of its rule,
 * each of which is one function.
 */
#include "fake.h"

#include <arpa/nameser.h>
#include <ev.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <utlist.h>

#include "msg.h"
#include "netd/util.h"
#include "seen.h"

#define RECORDS_MAX 16
#define DNS_PORT 53

struct fake_record {
	struct dns_name owner;
	uint16_t type;
	uint32_t ttl;
	uint8_t data[600];
	size_t len;
};

enum manner {
	SILENT,
	DELAY,
	RCODE,
	TRUNCATED,
	WRONG_ID,
	WRONG_NAME,
	WRONG_TYPE,
	WRONG_CLASS,
	WRONG_PORT,
	WRONG_ADDR,
	NO_QUESTION,
	TWO_QUESTIONS,
	IS_QUERY,
	GARBAGE,
	SHORT,
	CUT,
	TRAILING,
	MORE_COUNTED,
	POINTER_SELF,
	POINTER_FORWARD,
	TWO_OPTS,
	OPT_IN_ANSWER,
	NO_OPT,
	UPPER,
	TWICE,
	LOOP,
	MANY,
	EMPTY_TCP,
	/* Records of another name: as an answer, and beside it. */
	STRANGER,
	UNASKED,
	/* Spoilt first, and right behind it. */
	THEN_RIGHT,
	/* Not for queries with EDNS: FORMERR, as old servers do it. */
	NO_EDNS,
	MANNER_MAX
};

struct rule {
	struct ip_addr addr;
	struct dns_name name;
	bool manner[MANNER_MAX];
	uint32_t number[MANNER_MAX];
	struct fake_record records[RECORDS_MAX];
	size_t len;
	struct rule *next;
};

struct fake {
	struct fakes *fakes;
	struct ip_addr addr;
	ev_io udp;
	ev_io tcp;
	size_t asked;
	struct fake *next;
};

struct fakes {
	struct ev_loop *loop;
	struct ip_addr gateway;
	struct fake *list;
	struct rule *rules;
	struct later *waiting;
};

/* An answer under way. */
struct answer {
	const struct fake *fake;
	const struct rule *rule;
	bool tcp;
	int fd;
	struct sockaddr_storage peer;
	socklen_t peer_len;
	struct dns_query query;
	uint8_t bytes[DNS_TCP_MAX];
	struct wbuf w;
	uint16_t count[4];
};

struct later {
	ev_timer timer;
	struct fakes *fakes;
	struct answer answer;
	struct later *prev, *next;
};

/* Building. */

static void record_write(struct answer *a, const struct dns_name *owner,
			 uint16_t type, uint16_t class, uint32_t ttl,
			 const void *data, size_t len)
{
	dns_name_write(&a->w, owner, true);
	wbuf_u16(&a->w, type);
	wbuf_u16(&a->w, class);
	wbuf_u32(&a->w, ttl);
	wbuf_u16(&a->w, (uint16_t)len);
	wbuf_bytes(&a->w, data, len);
}

static void opt_write(struct answer *a)
{
	static const struct dns_name root = { .len = 1 };

	record_write(a, &root, ns_t_opt, 1232, 0, NULL, 0);
	a->count[3]++;
}

static void question_write(struct answer *a)
{
	wbuf_bytes(&a->w, a->query.question, a->query.question_len);
	a->count[0]++;
}

static void head_write(struct answer *a, unsigned flags)
{
	struct wbuf head = wbuf_make(a->bytes, DNS_HEADER_LEN);

	wbuf_u16(&head, a->query.id);
	wbuf_u16(&head, (uint16_t)flags);
	for (size_t i = 0; i < ARRAY_LEN(a->count); i++)
		wbuf_u16(&head, a->count[i]);
}

static void other_write(struct answer *a, unsigned section)
{
	uint32_t v4 = htonl(0xcb0071ff);
	struct dns_name name;

	dns_name_parse("other.example.com", &name);
	record_write(a, &name, ns_t_a, ns_c_in, 60, &v4, sizeof(v4));
	a->count[section]++;
}

/* Records of the type asked for, aliases, and the SOA in the authority. */
static void records_write(struct answer *a)
{
	const struct rule *rule = a->rule;
	uint32_t many = a->query.type == ns_t_a ? rule->number[MANY] : 0;

	for (uint32_t i = 0; i < many; i++) {
		uint32_t v4 = htonl(0xc6120000 + i);

		record_write(a, &a->query.name, ns_t_a, ns_c_in, 60, &v4, 4);
		a->count[1]++;
	}
	for (int pass = 1; pass <= 2; pass++) {
		for (size_t i = 0; i < rule->len; i++) {
			const struct fake_record *rec = &rule->records[i];
			bool soa = rec->type == ns_t_soa;

			/* An alias that is asked for itself leads nowhere. */
			if (a->query.type == ns_t_cname && a->count[1])
				continue;
			if (soa != (pass == 2) ||
			    (!soa && rec->type != ns_t_cname &&
			     rec->type != a->query.type))
				continue;
			record_write(a, &rec->owner, rec->type, ns_c_in,
				     rec->ttl, rec->data, rec->len);
			a->count[pass]++;
		}
		if (pass == 1 && rule->manner[STRANGER])
			other_write(a, 1);
	}
	if (rule->manner[UNASKED])
		other_write(a, 3);
}

static void answer_write(struct answer *a)
{
	const struct rule *rule = a->rule;
	bool cut = rule && rule->manner[TRUNCATED] && !a->tcp;
	unsigned rcode = rule ? rule->number[RCODE] : ns_r_nxdomain;
	bool edns = a->query.edns &&
		    !(rule && (rule->manner[NO_OPT] || rule->manner[NO_EDNS]));

	memset(a->count, 0, sizeof(a->count));
	a->w = wbuf_make(a->bytes, sizeof(a->bytes));
	wbuf_ptr(&a->w, DNS_HEADER_LEN);
	question_write(a);
	if (rule && rule->manner[NO_EDNS] && a->query.edns)
		rcode = ns_r_formerr;
	else if (rule && !cut)
		records_write(a);
	if (a->query.type == ns_t_cname && a->count[1])
		rcode = ns_r_noerror;
	if (edns)
		opt_write(a);
	head_write(a, DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA |
			      (cut ? DNS_FLAG_TC : 0u) | rcode);
}

/* Spoiling. */

static void count_set(struct answer *a, size_t i, int n)
{
	a->bytes[4 + 2 * i + 1] = (uint8_t)(a->bytes[4 + 2 * i + 1] + n);
}

static void spoil_id(struct answer *a)
{
	a->bytes[0] ^= 0x55;
}

static void spoil_name(struct answer *a)
{
	a->bytes[DNS_HEADER_LEN + 1] ^= 1;
}

static void spoil_type(struct answer *a)
{
	a->bytes[DNS_HEADER_LEN + a->query.question_len - 3] ^= ns_t_txt;
}

static void spoil_class(struct answer *a)
{
	a->bytes[DNS_HEADER_LEN + a->query.question_len - 1] = ns_c_chaos;
}

static void spoil_no_question(struct answer *a)
{
	size_t n = a->query.question_len;

	memmove(a->bytes + DNS_HEADER_LEN, a->bytes + DNS_HEADER_LEN + n,
		a->w.len - DNS_HEADER_LEN - n);
	a->w.len -= n;
	count_set(a, 0, -1);
}

static void spoil_two_questions(struct answer *a)
{
	size_t n = a->query.question_len;
	uint8_t *at = a->bytes + DNS_HEADER_LEN;

	memmove(at + n, at, a->w.len - DNS_HEADER_LEN);
	a->w.len += n;
	count_set(a, 0, 1);
}

static void spoil_query(struct answer *a)
{
	a->bytes[2] &= 0x7f;
}

static void spoil_garbage(struct answer *a)
{
	for (size_t i = 2; i < a->w.len; i++)
		a->bytes[i] = (uint8_t)(i * 167 + 13);
}

static void spoil_short(struct answer *a)
{
	a->w.len = 5;
}

static void spoil_cut(struct answer *a)
{
	a->w.len -= 3;
}

static void spoil_trailing(struct answer *a)
{
	wbuf_u32(&a->w, 0xdeadbeef);
}

static void spoil_count(struct answer *a)
{
	count_set(a, 1, 1);
}

/* One more record, whose owner is a pointer. */
static void pointer_write(struct answer *a, size_t to)
{
	wbuf_u16(&a->w, (uint16_t)(0xc000 | to));
	wbuf_u16(&a->w, ns_t_a);
	wbuf_u16(&a->w, ns_c_in);
	wbuf_u32(&a->w, 60);
	wbuf_u16(&a->w, 4);
	wbuf_u32(&a->w, 0x01020304);
	count_set(a, 3, 1);
}

static void spoil_pointer_self(struct answer *a)
{
	pointer_write(a, a->w.len);
}

static void spoil_pointer_forward(struct answer *a)
{
	pointer_write(a, a->w.len + 2);
}

static void spoil_two_opts(struct answer *a)
{
	opt_write(a);
	count_set(a, 3, 1);
}

static void spoil_opt_in_answer(struct answer *a)
{
	count_set(a, 1, a->bytes[11]);
	count_set(a, 3, -a->bytes[11]);
}

static void spoil_upper(struct answer *a)
{
	for (size_t i = 0; i + 4 < a->query.question_len; i++) {
		uint8_t *c = &a->bytes[DNS_HEADER_LEN + i];

		if (*c >= 'a' && *c <= 'z')
			*c &= 0xdf;
	}
}

static const struct {
	const char *word;
	/* A number follows. */
	bool number;
	void (*spoil)(struct answer *a);
} manners[] = {
	[SILENT] = { "silent", false, NULL },
	[DELAY] = { "delay", true, NULL },
	[RCODE] = { "rcode", true, NULL },
	[TRUNCATED] = { "truncated", false, NULL },
	[WRONG_ID] = { "wrong-id", false, spoil_id },
	[WRONG_NAME] = { "wrong-name", false, spoil_name },
	[WRONG_TYPE] = { "wrong-type", false, spoil_type },
	[WRONG_CLASS] = { "wrong-class", false, spoil_class },
	[WRONG_PORT] = { "wrong-port", false, NULL },
	[WRONG_ADDR] = { "wrong-addr", false, NULL },
	[NO_QUESTION] = { "no-question", false, spoil_no_question },
	[TWO_QUESTIONS] = { "two-questions", false, spoil_two_questions },
	[IS_QUERY] = { "is-query", false, spoil_query },
	[GARBAGE] = { "garbage", false, spoil_garbage },
	[SHORT] = { "short", false, spoil_short },
	[CUT] = { "cut", false, spoil_cut },
	[TRAILING] = { "trailing", false, spoil_trailing },
	[MORE_COUNTED] = { "more-counted", false, spoil_count },
	[POINTER_SELF] = { "pointer-self", false, spoil_pointer_self },
	[POINTER_FORWARD] = { "pointer-forward", false, spoil_pointer_forward },
	[TWO_OPTS] = { "two-opts", false, spoil_two_opts },
	[OPT_IN_ANSWER] = { "opt-in-answer", false, spoil_opt_in_answer },
	[NO_OPT] = { "no-opt", false, NULL },
	[UPPER] = { "upper", false, spoil_upper },
	[TWICE] = { "twice", false, NULL },
	[LOOP] = { "loop", false, NULL },
	[MANY] = { "many", true, NULL },
	[EMPTY_TCP] = { "empty-tcp", false, NULL },
	[STRANGER] = { "stranger", false, NULL },
	[UNASKED] = { "unasked", false, NULL },
	[THEN_RIGHT] = { "then-right", false, NULL },
	[NO_EDNS] = { "no-edns", false, NULL },
};
_Static_assert(ARRAY_LEN(manners) == MANNER_MAX, "a row per manner");

/* Sending. */

static void sockaddr_of(const struct ip_addr *addr, uint16_t port,
			struct sockaddr_in *ret)
{
	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = ip_be32(addr) };
}

static int socket_open(const struct ip_addr *addr, int type, uint16_t port)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in sin;

	sockaddr_of(addr, port, &sin);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ||
	    (type == SOCK_STREAM && listen(fd, 16))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void bytes_send(struct answer *a, int fd)
{
	uint8_t head[2] = { (uint8_t)(a->w.len >> 8), (uint8_t)a->w.len };

	if (!a->tcp) {
		sendto(fd, a->bytes, a->w.len, MSG_NOSIGNAL,
		       (struct sockaddr *)&a->peer, a->peer_len);
		return;
	}
	if (send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE) == 2)
		send(fd, a->bytes, a->w.len, MSG_NOSIGNAL);
}

static void answer_send(struct answer *a)
{
	const struct rule *rule = a->rule;
	struct ip_addr other = ip_add(&a->fake->addr, 100);
	AUTO(fd_closep) int from = -1;
	bool elsewhere = false;

	answer_write(a);
	for (size_t i = 0; rule && i < ARRAY_LEN(manners); i++)
		if (rule->manner[i] && manners[i].spoil)
			manners[i].spoil(a);
	if (rule && rule->manner[WRONG_PORT])
		from = socket_open(&a->fake->addr, SOCK_DGRAM, 5353);
	else if (rule && rule->manner[WRONG_ADDR])
		from = socket_open(&other, SOCK_DGRAM, DNS_PORT);
	elsewhere = from >= 0 && !a->tcp;
	bytes_send(a, elsewhere ? from : a->fd);
	if (rule && rule->manner[TWICE])
		bytes_send(a, a->fd);
	if (rule && rule->manner[THEN_RIGHT]) {
		answer_write(a);
		bytes_send(a, a->fd);
	}
}

static void later_free(struct later *l)
{
	ev_timer_stop(l->fakes->loop, &l->timer);
	DL_DELETE(l->fakes->waiting, l);
	if (l->answer.tcp)
		close(l->answer.fd);
	free(l);
}

static void on_later(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct later *l = w->data;

	(void)loop;
	(void)revents;
	answer_send(&l->answer);
	later_free(l);
}

/* The answer, and its socket over TCP, is this one's from here on. */
static void answer_later(struct fakes *f, const struct answer *a, uint32_t ms)
{
	struct later *l = xzalloc(sizeof(*l));

	l->fakes = f;
	l->answer = *a;
	ev_timer_init(&l->timer, on_later, ms / 1000., 0.);
	l->timer.data = l;
	DL_APPEND(f->waiting, l);
	ev_timer_start(f->loop, &l->timer);
}

/* Receiving. */

static const struct rule *rule_find(const struct fakes *f,
				    const struct ip_addr *addr,
				    const struct dns_name *name)
{
	const struct rule *rule;

	LL_FOREACH (f->rules, rule)
		if (ip_eq(&rule->addr, addr) && dns_name_eq(&rule->name, name))
			return rule;
	return NULL;
}

static void loop_send(const struct fakes *f, int fd, const uint8_t *query,
		      size_t len)
{
	struct sockaddr_in sin;

	sockaddr_of(&f->gateway, DNS_PORT, &sin);
	sendto(fd, query, len, 0, (struct sockaddr *)&sin, sizeof(sin));
}

/* One whose every name loops asks us whatever it is asked. */
static bool is_loop(const struct fakes *f, const struct ip_addr *addr)
{
	static const struct dns_name root = { .len = 1 };
	const struct rule *rule = rule_find(f, addr, &root);

	return rule && rule->manner[LOOP];
}

static void question_take(struct fake *fake, struct answer *a,
			  const uint8_t *query, size_t len)
{
	struct fakes *f = fake->fakes;

	a->fake = fake;
	if (dns_query_read(query, len, &a->query) != ns_r_noerror)
		return;
	if (is_loop(f, &fake->addr)) {
		loop_send(f, a->fd, query, len);
		return;
	}
	/* What netd-dns asks to find loops is nobody's question. */
	if (a->query.name.labels != 2 ||
	    !dns_label_is(&a->query.name, 1, "netd-probe"))
		fake->asked++;
	a->rule = rule_find(f, &fake->addr, &a->query.name);
	if (a->rule && a->rule->manner[SILENT])
		return;
	if (a->rule && a->tcp && a->rule->manner[EMPTY_TCP])
		return;
	if (a->rule && a->rule->number[DELAY]) {
		answer_later(f, a, a->rule->number[DELAY]);
		if (a->tcp)
			a->fd = -1;
		return;
	}
	answer_send(a);
}

static void on_udp(struct ev_loop *loop, ev_io *w, int revents)
{
	static uint8_t query[4096];
	static struct answer a;
	ssize_t n;

	(void)loop;
	(void)revents;
	a = (struct answer){ .fd = w->fd, .peer_len = sizeof(a.peer) };
	n = recvfrom(w->fd, query, sizeof(query), 0, (struct sockaddr *)&a.peer,
		     &a.peer_len);
	if (n > 0)
		question_take(w->data, &a, query, (size_t)n);
}

/* One question per connection, which is then closed. */
static void on_tcp(struct ev_loop *loop, ev_io *w, int revents)
{
	static uint8_t query[4096];
	static struct answer a;
	struct timeval limit = { .tv_sec = 1 };
	size_t len;

	(void)loop;
	(void)revents;
	a = (struct answer){ .tcp = true };
	a.fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(a.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (recv(a.fd, query, 2, MSG_WAITALL) == 2) {
		len = (size_t)query[0] << 8 | query[1];
		if (len <= sizeof(query) &&
		    recv(a.fd, query, len, MSG_WAITALL) == (ssize_t)len)
			question_take(w->data, &a, query, len);
	}
	fd_closep(&a.fd);
}

/* Lines. */

static int data_name(const char *text, struct wbuf *w)
{
	struct dns_name name;

	if (dns_name_parse(text, &name))
		return -EINVAL;
	dns_name_write(w, &name, true);
	return 0;
}

static int data_write(uint16_t type, char **words, size_t n, struct wbuf *w)
{
	struct ip_addr addr;
	uint32_t v = 0;

	switch (type) {
	case ns_t_a:
	case ns_t_aaaa:
		if (ip_parse(words[0], &addr))
			return -EINVAL;
		wbuf_bytes(w, addr.b + (type == ns_t_a ? 12 : 0),
			   type == ns_t_a ? 4 : 16);
		return 0;
	case ns_t_cname:
	case ns_t_ns:
	case ns_t_ptr:
		return data_name(words[0], w);
	case ns_t_mx:
		if (n < 2 || str_to_u32(words[0], 0, UINT16_MAX, &v))
			return -EINVAL;
		wbuf_u16(w, (uint16_t)v);
		return data_name(words[1], w);
	case ns_t_txt:
		wbuf_u8(w, (uint8_t)strlen(words[0]));
		wbuf_bytes(w, words[0], strlen(words[0]));
		return 0;
	case ns_t_soa:
		/* The one number that matters: its minimum. */
		if (str_to_u32(words[0], 0, INT32_MAX, &v))
			return -EINVAL;
		data_name("ns.example", w);
		data_name("mail.example", w);
		for (int i = 0; i < 4; i++)
			wbuf_u32(w, 1);
		wbuf_u32(w, v);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Behind an alias it is the alias' target that has records. */
static int record_add(struct rule *rule, uint16_t type, char **words, size_t n)
{
	struct fake_record *rec = &rule->records[rule->len];
	const struct fake_record *last = rule->len ? rec - 1 : NULL;
	struct wbuf w = wbuf_make(rec->data, sizeof(rec->data));
	struct rbuf r;

	if (rule->len == RECORDS_MAX || n < 2 ||
	    str_to_u32(words[0], 0, UINT32_MAX, &rec->ttl) ||
	    data_write(type, words + 1, n - 1, &w) || w.bad)
		return -EINVAL;
	rec->type = type;
	rec->len = w.len;
	rec->owner = last ? last->owner : rule->name;
	if (last && last->type == ns_t_cname) {
		r = rbuf_make(last->data, last->len);
		dns_name_read(&r, &rec->owner);
	}
	rule->len++;
	return 0;
}

static int rule_word(struct rule *rule, char **words, size_t n, size_t *used)
{
	int rcode;

	for (size_t i = 0; i < ARRAY_LEN(manners); i++) {
		if (!str_eq(manners[i].word, words[0]))
			continue;
		rule->manner[i] = true;
		*used = manners[i].number ? 2 : 1;
		if (!manners[i].number)
			return 0;
		if (n < 2)
			return -EINVAL;
		rcode = i == RCODE ? seen_rcode_parse(words[1]) : -1;
		if (rcode >= 0)
			rule->number[i] = (uint32_t)rcode;
		return rcode >= 0 ? 0
				  : str_to_u32(words[1], 0, INT32_MAX,
					       &rule->number[i]);
	}
	return -ENOENT;
}

static struct rule *rule_need(struct fakes *f, const struct ip_addr *addr,
			      const struct dns_name *name)
{
	struct rule *rule;

	LL_FOREACH (f->rules, rule)
		if (ip_eq(&rule->addr, addr) && dns_name_eq(&rule->name, name))
			return rule;
	rule = xzalloc(sizeof(*rule));
	rule->addr = *addr;
	rule->name = *name;
	LL_PREPEND(f->rules, rule);
	return rule;
}

static int fake_need(struct fakes *f, const struct ip_addr *addr)
{
	struct fake *fake;

	LL_FOREACH (f->list, fake)
		if (ip_eq(&fake->addr, addr))
			return 0;
	fake = xzalloc(sizeof(*fake));
	fake->fakes = f;
	fake->addr = *addr;
	fake->udp.data = fake->tcp.data = fake;
	ev_io_init(&fake->udp, on_udp, socket_open(addr, SOCK_DGRAM, DNS_PORT),
		   EV_READ);
	ev_io_init(&fake->tcp, on_tcp, socket_open(addr, SOCK_STREAM, DNS_PORT),
		   EV_READ);
	fake->udp.data = fake->tcp.data = fake;
	LL_PREPEND(f->list, fake);
	if (fake->udp.fd < 0 || fake->tcp.fd < 0)
		return -EADDRINUSE;
	ev_io_start(f->loop, &fake->udp);
	ev_io_start(f->loop, &fake->tcp);
	return 0;
}

int fakes_line(struct fakes *f, char **words, size_t n)
{
	struct dns_name name;
	struct ip_addr addr;
	struct rule *rule;
	int err;

	if (n < 2 || ip_parse(words[0], &addr) || !ip_is_v4(&addr) ||
	    dns_name_parse(words[1], &name))
		return -EINVAL;
	err = fake_need(f, &addr);
	if (err)
		return err;
	rule = rule_need(f, &addr, &name);
	for (size_t i = 2, used = 0; i < n; i += used) {
		err = rule_word(rule, words + i, n - i, &used);
		if (err == -ENOENT && seen_type_parse(words[i]) > 0)
			return record_add(rule,
					  (uint16_t)seen_type_parse(words[i]),
					  words + i + 1, n - i - 1);
		if (err)
			return -EINVAL;
	}
	return 0;
}

void fakes_set_gateway(struct fakes *f, const struct ip_addr *gateway)
{
	f->gateway = *gateway;
}

size_t fakes_asked(const struct fakes *f, const struct ip_addr *addr)
{
	const struct fake *fake;

	LL_FOREACH (f->list, fake)
		if (ip_eq(&fake->addr, addr))
			return fake->asked;
	return 0;
}

void fakes_forget(struct fakes *f)
{
	struct fake *fake;

	LL_FOREACH (f->list, fake)
		fake->asked = 0;
}

struct fakes *fakes_new(struct ev_loop *loop)
{
	struct fakes *f = xzalloc(sizeof(*f));

	f->loop = loop;
	return f;
}

void fakes_free(struct fakes *f)
{
	struct fake *fake, *fake_tmp;
	struct rule *rule, *rule_tmp;

	if (!f)
		return;
	while (f->waiting)
		later_free(f->waiting);
	LL_FOREACH_SAFE (f->list, fake, fake_tmp) {
		ev_io_stop(f->loop, &fake->udp);
		ev_io_stop(f->loop, &fake->tcp);
		fd_closep(&fake->udp.fd);
		fd_closep(&fake->tcp.fd);
		free(fake);
	}
	LL_FOREACH_SAFE (f->rules, rule, rule_tmp)
		free(rule);
	free(f);
}
