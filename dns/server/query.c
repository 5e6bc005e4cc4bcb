/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a query. Names come in these forms, each with `tasks.` or
 * `_port._proto.` before it:
 *
 *	NAME			on any network of the asker, in their order
 *	NAME.NET		NET one of them
 *	NAME.NET.svc
 *	NAME.NET.svc.DOMAIN
 *
 * The network's form is tried before a dotted pod name, so that a pod cannot
 * take a service's name. A form tells where our authority begins; that label
 * of the question owns the SOA of a negative answer.
 */
#include "query.h"

#include <netinet/in.h>

#include "netd/util.h"
#include "reverse.h"

/* How long others may remember that a name is not (RFC 2308 5). */
#define NEGATIVE_TTL 5
#define DNS_VERSION_TEXT                                                       \
	"\x05"                                                                 \
	"1.1.0"
#define SERVFAIL_OR(env, rcode)                                                \
	(zones_is_synced((env)->zones) ? (rcode) : ns_r_servfail)

enum step_verdict { STEP_NEXT, STEP_DONE, STEP_FORWARD, STEP_LOOP };

struct job {
	struct query_env *env;
	struct dns_query *q;
	struct view view;
	struct dns_reply reply;
	const struct ip_addr *src;
	unsigned upstream;
	const struct stub *stub;
};

/* What labels [first, end) of the question mean on a network. */
struct found {
	const struct zone *zone;
	const struct record *rec;
	/* The question had _port._proto before the name, or _proto alone. */
	bool srv;
	bool srv_proto_only;
	uint16_t port;
	uint8_t proto;
};

static uint64_t next_random(struct query_env *env)
{
	/* xorshift64*: cheap, and good enough to deal cards with. */
	env->random ^= env->random >> 12;
	env->random ^= env->random << 25;
	env->random ^= env->random >> 27;
	return env->random * UINT64_C(2685821657736338717);
}

static enum step_verdict answer(struct job *job, int rcode)
{
	job->reply.rcode = (uint16_t)rcode;
	return STEP_DONE;
}

/* Names of the server's own records, below the domain. */
static void own_name(const struct job *job, const char *labels, struct wbuf *w)
{
	wbuf_bytes(w, labels, strlen(labels));
	dns_name_write(w, zones_domain(job->env->zones), true);
}

#define OWN_NS                                                                 \
	"\x02ns\x03"                                                           \
	"dns"
#define OWN_MAIL "\x0ahostmaster"

static void soa_write(struct job *job, enum dns_section section, unsigned zone)
{
	const struct dns_name *name = &job->q->name;
	uint8_t data[2 * DNS_NAME_MAX + 64];
	struct wbuf w = wbuf_make(data, sizeof(data));

	own_name(job, OWN_NS, &w);
	own_name(job, OWN_MAIL, &w);
	/* No secondary ever transfers this: the serial may stand still. */
	wbuf_u32(&w, 1);
	wbuf_u32(&w, 7200);
	wbuf_u32(&w, 1800);
	wbuf_u32(&w, 86400);
	wbuf_u32(&w, NEGATIVE_TTL);
	dns_reply_rr(&job->reply, section,
		     zone < name->labels ? DNS_OWNER(name->at[zone])
					 : DNS_OWNER_ROOT,
		     ns_t_soa, NEGATIVE_TTL, data, w.len);
}

/* zone: the label where our authority begins. */
static enum step_verdict negative(struct job *job, int rcode, unsigned zone)
{
	if (rcode == ns_r_nxdomain)
		rcode = SERVFAIL_OR(job->env, rcode);
	if (rcode == ns_r_servfail)
		return answer(job, rcode);
	job->reply.authoritative = true;
	soa_write(job, DNS_AUTHORITY, zone);
	return answer(job, rcode);
}

/* A name that is ours and has only SOA and NS. */
static enum step_verdict apex(struct job *job, unsigned zone)
{
	uint8_t data[DNS_NAME_MAX + 8];
	struct wbuf w = wbuf_make(data, sizeof(data));

	job->reply.authoritative = true;
	switch (job->q->type) {
	case ns_t_soa:
		soa_write(job, DNS_ANSWER, zone);
		return STEP_DONE;
	case ns_t_ns:
		own_name(job, OWN_NS, &w);
		dns_reply_rr(&job->reply, DNS_ANSWER, DNS_OWNER(0), ns_t_ns,
			     NEGATIVE_TTL, data, w.len);
		return STEP_DONE;
	default:
		return negative(job, ns_r_noerror, zone);
	}
}

/* Reading names. */

static bool proto_read(const struct dns_name *name, unsigned i, uint8_t *ret)
{
	static const struct {
		const char *label;
		uint8_t proto;
	} protos[] = {
		{ "_tcp", IPPROTO_TCP },
		{ "_udp", IPPROTO_UDP },
		{ "_sctp", IPPROTO_SCTP },
	};

	for (size_t k = 0; k < ARRAY_LEN(protos); k++) {
		if (dns_label_is(name, i, protos[k].label)) {
			*ret = protos[k].proto;
			return true;
		}
	}
	return false;
}

static bool port_read(const struct dns_name *name, unsigned i, uint16_t *ret)
{
	char text[8] = "";
	uint32_t port;
	uint8_t len;
	const uint8_t *label = dns_label(name, i, &len);

	if (len < 2 || len >= sizeof(text) || label[0] != '_')
		return false;
	memcpy(text, label + 1, len - 1u);
	if (strlen(text) != len - 1u || str_to_u32(text, 1, UINT16_MAX, &port))
		return false;
	*ret = (uint16_t)port;
	return true;
}

static const struct record *lookup(const struct job *job,
				   const struct zone *zone, enum name_kind kind,
				   unsigned first, unsigned end)
{
	const struct dns_name *name = &job->q->name;
	size_t at = name->at[first];

	return zones_name(job->env->zones, zone->want.vni, kind, name->b + at,
			  name->at[end] - at);
}

static const struct record *lookup_any(const struct job *job,
				       const struct zone *zone, unsigned first,
				       unsigned end)
{
	const struct record *rec = NULL;

	if (first >= end)
		return NULL;
	/* Tasks first: a pod that shares a service's name stays below it. */
	if (dns_label_is(&job->q->name, first, "tasks") && first + 1 < end) {
		rec = lookup(job, zone, NAME_TASKS, first + 1, end);
		if (!rec)
			rec = lookup(job, zone, NAME_POD, first + 1, end);
	}
	if (!rec)
		rec = lookup(job, zone, NAME_SERVICE, first, end);
	if (!rec)
		rec = lookup(job, zone, NAME_POD, first, end);
	return rec;
}

static bool find_in(const struct job *job, const struct zone *zone,
		    unsigned first, unsigned end, struct found *ret)
{
	const struct dns_name *name = &job->q->name;

	*ret = (struct found){ .zone = zone };
	if (first + 2 < end && port_read(name, first, &ret->port) &&
	    proto_read(name, first + 1, &ret->proto)) {
		ret->srv = true;
		first += 2;
	} else if (first + 1 < end && proto_read(name, first, &ret->proto)) {
		ret->srv_proto_only = true;
		first++;
	}
	ret->rec = lookup_any(job, zone, first, end);
	return ret->rec != NULL;
}

/* On all networks the asker sees, in order. */
static bool find_anywhere(const struct job *job, unsigned first, unsigned end,
			  struct found *ret)
{
	const struct zones *z = job->env->zones;

	if (job->view.host) {
		for (const struct zone *s = zones_next(z, NULL); s;
		     s = zones_next(z, s))
			if (find_in(job, s, first, end, ret))
				return true;
		return false;
	}
	for (uint32_t i = 0; i < job->view.len; i++)
		if (find_in(job, job->view.zones[i], first, end, ret))
			return true;
	return false;
}

/* Writing answers. */

static void swap_rr(uint8_t *rrs, size_t a, size_t b, size_t size)
{
	uint8_t tmp[RR_AAAA_LEN];

	memcpy(tmp, rrs + a * size, size);
	memmove(rrs + a * size, rrs + b * size, size);
	memcpy(rrs + b * size, tmp, size);
}

/*
 * Copies from a random place on, around the end, then deals what was copied:
 * every address may come first, also when not all fit.
 */
static void addresses_write(struct job *job, const uint8_t *rrs, size_t n,
			    size_t size)
{
	struct dns_reply *reply = &job->reply;
	size_t start, count, room = (reply->w.size - reply->w.len) / size;
	uint8_t *out = reply->w.data + reply->w.len;

	if (n == 0)
		return;
	start = n > 1 ? next_random(job->env) % n : 0;
	count = MIN(n - start, room);
	dns_reply_rrs(reply, DNS_ANSWER, rrs + start * size, count, size);
	dns_reply_rrs(reply, DNS_ANSWER, rrs, start, size);
	reply->truncated = n > room;
	for (size_t i = MIN(n, room); i > 1; i--)
		swap_rr(out, i - 1, next_random(job->env) % i, size);
}

static void full_name_write(const struct job *job, const struct zone *zone,
			    const struct record *rec, struct wbuf *w)
{
	size_t len;
	const uint8_t *labels = record_labels(rec, &len);

	wbuf_bytes(w, labels, len);
	wbuf_u8(w, zone->label_len);
	wbuf_bytes(w, zone->label, zone->label_len);
	wbuf_bytes(w, "\x03svc", 4);
	dns_name_write(w, zones_domain(job->env->zones), true);
}

static bool has_port(const struct found *f)
{
	for (uint32_t i = 0; i < f->rec->ports_len; i++) {
		const struct want_name_port *p = &f->rec->ports[i];

		if (p->proto == f->proto &&
		    (f->srv_proto_only || p->port == f->port))
			return true;
	}
	return false;
}

/* The target's addresses ride along, their owner the name in the data. */
static void target_addresses_write(struct job *job, const struct record *rec,
				   uint16_t owner)
{
	const struct {
		const uint8_t *rrs;
		uint32_t n;
		size_t size;
		uint16_t type;
	} sets[] = {
		{ rec->a, rec->a_len, RR_A_LEN, ns_t_a },
		{ rec->aaaa, rec->aaaa_len, RR_AAAA_LEN, ns_t_aaaa },
	};

	for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
		size_t len = sets[s].size - 12;

		for (uint32_t i = 0; i < sets[s].n; i++)
			if (!dns_reply_rr(&job->reply, DNS_ADDITIONAL, owner,
					  sets[s].type, rec->ttl,
					  sets[s].rrs + i * sets[s].size + 12,
					  len))
				return;
	}
}

static enum step_verdict srv_answer(struct job *job, const struct found *f)
{
	uint8_t data[8 + 2 * DNS_NAME_MAX + DNS_LABEL_MAX];
	struct wbuf w = wbuf_make(data, sizeof(data));
	size_t target;

	wbuf_u16(&w, 0);
	wbuf_u16(&w, 100);
	wbuf_u16(&w, f->port);
	full_name_write(job, f->zone, f->rec, &w);
	/* A dotted name below a long domain may be no name any more. */
	if (w.bad || w.len - 6 > DNS_NAME_MAX)
		return answer(job, ns_r_servfail);
	/* Owner, type, class, TTL, length: 12 bytes; then 6 of our own. */
	target = job->reply.w.len + 12 + 6;
	if (dns_reply_rr(&job->reply, DNS_ANSWER, DNS_OWNER(0), ns_t_srv,
			 f->rec->ttl, data, w.len))
		target_addresses_write(job, f->rec,
				       (uint16_t)(0xc000 | target));
	return STEP_DONE;
}

/* RFC 8482 4.2: one small record says that ANY gets no more. */
static enum step_verdict any_answer(struct job *job, uint32_t ttl)
{
	static const char data[] = "\x07RFC8482";

	dns_reply_rr(&job->reply, DNS_ANSWER, DNS_OWNER(0), ns_t_hinfo, ttl,
		     data, sizeof(data));
	return STEP_DONE;
}

static enum step_verdict found_answer(struct job *job, const struct found *f,
				      unsigned zone)
{
	const struct record *rec = f->rec;
	uint16_t type = job->q->type;

	/* None ready: not there, as in Kubernetes' specification 2.4.1. */
	if (rec->a_len + rec->aaaa_len == 0)
		return negative(job, ns_r_nxdomain, zone);
	if ((f->srv || f->srv_proto_only) && !has_port(f))
		return negative(job, ns_r_nxdomain, zone);
	job->reply.authoritative = true;
	if (f->srv_proto_only)
		return negative(job, ns_r_noerror, zone);
	if (type == ns_t_any)
		return any_answer(job, rec->ttl);
	if (f->srv)
		return type == ns_t_srv ? srv_answer(job, f)
					: negative(job, ns_r_noerror, zone);
	if (type == ns_t_a && rec->a_len)
		addresses_write(job, rec->a, rec->a_len, RR_A_LEN);
	else if (type == ns_t_aaaa && rec->aaaa_len)
		addresses_write(job, rec->aaaa, rec->aaaa_len, RR_AAAA_LEN);
	else
		return negative(job, ns_r_noerror, zone);
	return STEP_DONE;
}

/* Steps. */

static enum step_verdict step_probe(struct job *job)
{
	const struct dns_name *name = &job->q->name;
	const uint8_t *label;
	uint8_t len;

	if (!job->env->probe[0] || name->labels != 2 ||
	    !dns_label_is(name, 1, PROBE_ZONE))
		return STEP_NEXT;
	label = dns_label(name, 0, &len);
	if (len != PROBE_LEN + 1 ||
	    memcmp(label, job->env->probe, PROBE_LEN) != 0)
		return STEP_NEXT;
	job->upstream = (unsigned)label[PROBE_LEN] - '0';
	answer(job, ns_r_servfail);
	return STEP_LOOP;
}

static enum step_verdict step_client(struct job *job)
{
	if (zones_view(job->env->zones, job->src, &job->view))
		return STEP_NEXT;
	return answer(job, SERVFAIL_OR(job->env, ns_r_refused));
}

static enum step_verdict step_class(struct job *job)
{
	uint16_t type = job->q->type;

	if (job->q->class != ns_c_in || type == ns_t_axfr ||
	    type == ns_t_ixfr || type == ns_t_maila || type == ns_t_mailb)
		return answer(job, ns_r_refused);
	/* Types that stand in no question (RFC 6895 3.1). */
	if (type == 0 || type == ns_t_opt)
		return answer(job, ns_r_formerr);
	return STEP_NEXT;
}

static enum step_verdict ptr_answer(struct job *job, const struct zone *zone,
				    const struct record *rec, unsigned cut)
{
	uint8_t data[2 * DNS_NAME_MAX + DNS_LABEL_MAX + 8];
	struct wbuf w = wbuf_make(data, sizeof(data));

	if (job->q->type != ns_t_ptr && job->q->type != ns_t_any)
		return negative(job, ns_r_noerror, cut);
	full_name_write(job, zone, rec, &w);
	if (w.bad || w.len > DNS_NAME_MAX)
		return answer(job, ns_r_servfail);
	job->reply.authoritative = true;
	dns_reply_rr(&job->reply, DNS_ANSWER, DNS_OWNER(0), ns_t_ptr, rec->ttl,
		     data, w.len);
	return STEP_DONE;
}

static enum step_verdict step_reverse(struct job *job)
{
	const struct dns_name *name = &job->q->name;
	const struct zone *zone;
	const struct record *rec;
	struct ip_prefix asked;
	unsigned first, cut;

	if (name->labels < 3 || !dns_label_is(name, name->labels - 1u, "arpa"))
		return STEP_NEXT;
	if (!reverse_read(name, &asked, &first))
		return STEP_NEXT;
	zone = zones_reverse(job->env->zones, &asked);
	if (!zone)
		return STEP_NEXT;
	cut = reverse_cut(name, &asked, zone);
	if (first > 0 || !view_sees(&job->view, zone))
		return negative(job, ns_r_nxdomain, cut);
	if (cut == 0)
		return apex(job, cut);
	if (asked.len < 128)
		return negative(job, ns_r_noerror, cut);
	rec = zones_ptr(job->env->zones, zone->want.vni, &asked.addr);
	if (!rec)
		return negative(job, ns_r_nxdomain, cut);
	return ptr_answer(job, zone, rec, cut);
}

/* ns.dns.DOMAIN: the address that was most likely asked. */
static enum step_verdict own_ns(struct job *job, unsigned domain)
{
	const struct zone *zone = job->view.len
					  ? job->view.zones[0]
					  : zones_next(job->env->zones, NULL);
	const struct ip_addr *gw = zone ? &zone->want.gateway : NULL;
	bool v4 = gw && ip_is_v4(gw);

	if (!gw || job->q->type != (v4 ? ns_t_a : ns_t_aaaa))
		return negative(job, ns_r_noerror, domain);
	job->reply.authoritative = true;
	dns_reply_rr(&job->reply, DNS_ANSWER, DNS_OWNER(0), job->q->type,
		     NEGATIVE_TTL, v4 ? gw->b + 12 : gw->b, v4 ? 4 : 16);
	return STEP_DONE;
}

static enum step_verdict own_version(struct job *job, unsigned domain)
{
	if (job->q->type != ns_t_txt && job->q->type != ns_t_any)
		return negative(job, ns_r_noerror, domain);
	job->reply.authoritative = true;
	dns_reply_rr(&job->reply, DNS_ANSWER, DNS_OWNER(0), ns_t_txt,
		     NEGATIVE_TTL, DNS_VERSION_TEXT,
		     sizeof(DNS_VERSION_TEXT) - 1);
	return STEP_DONE;
}

/*
 * NAME.NET, labels [0, net]; `zone` is where a negative answer's SOA stands.
 */
static enum step_verdict network_form(struct job *job, const struct zone *net,
				      unsigned at, unsigned zone)
{
	struct found f;

	if (at == 0)
		return apex(job, zone);
	if (find_in(job, net, 0, at, &f))
		return found_answer(job, &f, zone);
	/* Between a pod a.b and its network lies b, which is no name. */
	return negative(job, ns_r_nxdomain, zone);
}

static const struct zone *zone_at(const struct job *job, unsigned i)
{
	uint8_t len;
	const uint8_t *label = dns_label(&job->q->name, i, &len);

	return view_zone(job->env->zones, &job->view, label, len);
}

static enum step_verdict step_domain(struct job *job)
{
	const struct dns_name *name = &job->q->name;
	const struct zone *net;
	unsigned domain;

	if (!zones_domain(job->env->zones)->labels ||
	    !dns_name_below(name, zones_domain(job->env->zones), &domain))
		return STEP_NEXT;
	if (domain == 0)
		return apex(job, domain);
	if (domain == 1 && dns_label_is(name, 0, "dns-version"))
		return own_version(job, domain);
	if (domain == 2 && dns_label_is(name, 0, "ns") &&
	    dns_label_is(name, 1, "dns"))
		return own_ns(job, domain);
	if (domain == 1 &&
	    (dns_label_is(name, 0, "dns") || dns_label_is(name, 0, "svc")))
		return negative(job, ns_r_noerror, domain);
	if (domain < 2 || !dns_label_is(name, domain - 1, "svc"))
		return negative(job, ns_r_nxdomain, domain);
	net = zone_at(job, domain - 2);
	if (!net)
		return negative(job, ns_r_nxdomain, domain);
	if (domain == 2)
		return negative(job, ns_r_noerror, domain);
	return network_form(job, net, domain - 2, domain);
}

static enum step_verdict step_network(struct job *job)
{
	const struct dns_name *name = &job->q->name;
	unsigned last = name->labels - 1u;
	const struct zone *net;
	struct found f;

	if (name->labels < 2)
		return STEP_NEXT;
	if (dns_label_is(name, last, "svc"))
		last--;
	net = zone_at(job, last);
	if (!net)
		return STEP_NEXT;
	if (last > 0 && !find_in(job, net, 0, last, &f) &&
	    find_anywhere(job, 0, name->labels, &f))
		return found_answer(job, &f, last);
	return network_form(job, net, last, last);
}

/* A single label, or a pod's dotted name. */
static enum step_verdict step_short(struct job *job)
{
	const struct dns_name *name = &job->q->name;
	struct found f;

	if (name->labels && find_anywhere(job, 0, name->labels, &f))
		return found_answer(job, &f, name->labels);
	if (name->labels != 1)
		return STEP_NEXT;
	if (zone_at(job, 0))
		return apex(job, 0);
	return negative(job, ns_r_nxdomain, name->labels);
}

static enum step_verdict step_outside(struct job *job)
{
	/* A network not yet known may be the one that was asked for. */
	if (job->view.missing && !zones_is_synced(job->env->zones))
		return answer(job, ns_r_servfail);
	if (job->view.internal || !(job->q->flags & DNS_FLAG_RD))
		return answer(job, ns_r_refused);
	job->stub = stubs_find(job->env->stubs, &job->view, &job->q->name);
	return STEP_FORWARD;
}

static const struct {
	const char *name;
	enum step_verdict (*run)(struct job *job);
} steps[] = {
	{ "probe", step_probe },   { "client", step_client },
	{ "class", step_class },   { "reverse", step_reverse },
	{ "domain", step_domain }, { "network", step_network },
	{ "short", step_short },   { "outside", step_outside },
};

static void count(struct dns_stats *stats, const struct dns_reply *reply)
{
	if (reply->rcode == ns_r_refused)
		stats->refused++;
	else if (reply->rcode == ns_r_servfail)
		stats->failed++;
	else
		stats->local++;
}

enum query_verdict query_answer(struct query_env *env, const void *data,
				size_t len, const struct ip_addr *src, bool tcp,
				struct dns_query *q, void *out,
				struct query_result *ret)
{
	struct job job = { .env = env, .q = q, .src = src };
	enum step_verdict verdict = STEP_DONE;
	int rcode = dns_query_read(data, len, q);

	env->stats.queries++;
	if (rcode == DNS_DROP) {
		env->stats.dropped++;
		return QUERY_DROP;
	}
	dns_reply_begin(&job.reply, q, out, query_limit(q, tcp));
	if (rcode) {
		/* Who is no client gets no more back than he sent. */
		if (!zones_view(env->zones, src, &job.view))
			rcode = ns_r_refused;
		answer(&job, rcode);
	} else {
		verdict = STEP_NEXT;
	}
	for (size_t i = 0; verdict == STEP_NEXT && i < ARRAY_LEN(steps); i++)
		verdict = steps[i].run(&job);
	ret->stub = job.stub;
	if (verdict == STEP_FORWARD)
		return QUERY_FORWARD;
	count(&env->stats, &job.reply);
	ret->len = dns_reply_end(&job.reply);
	ret->upstream = job.upstream;
	return verdict == STEP_LOOP ? QUERY_LOOP : QUERY_REPLY;
}
