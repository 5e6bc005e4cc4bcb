/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing answers: ready records are copied, their owner set where it is not
 * the question's name, and their order dealt anew.
 */
#include "job.h"
#include "netd/util.h"

/* How long others may remember that a name is not (RFC 2308 5). */
#define NEGATIVE_TTL 5

static uint64_t next_random(struct query_env *env)
{
	/* xorshift64*: cheap, and good enough to deal cards with. */
	env->random ^= env->random >> 12;
	env->random ^= env->random << 25;
	env->random ^= env->random >> 27;
	return env->random * UINT64_C(2685821657736338717);
}

/* The name's label i as an owner; all of it: 0. */
static uint16_t owner_of(const struct job *job, unsigned i)
{
	if (i >= job->name->labels)
		return DNS_OWNER_ROOT;
	return (uint16_t)(0xc000 | (job->name_at + job->name->at[i]));
}

enum step_verdict respond_code(struct job *job, int rcode)
{
	/* Half an answer is none. */
	if (rcode != ns_r_noerror && rcode != ns_r_nxdomain) {
		dns_reply_clear(&job->reply);
		job->reply.authoritative = false;
	}
	job->reply.rcode = (uint16_t)rcode;
	return STEP_DONE;
}

/* Our own names, below the domain. */

#define OWN_NS                                                                 \
	"\x02ns\x03"                                                           \
	"dns"
#define OWN_MAIL "\x0ahostmaster"

static void own_name(const struct job *job, const char *labels, struct wbuf *w)
{
	wbuf_bytes(w, labels, strlen(labels));
	dns_name_write(w, zones_domain(job->env->zones), true);
}

static void soa_write(struct job *job, enum dns_section section, unsigned zone)
{
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
	dns_reply_rr(&job->reply, section, owner_of(job, zone), ns_t_soa,
		     NEGATIVE_TTL, data, w.len);
}

enum step_verdict respond_negative(struct job *job, int rcode, unsigned zone)
{
	if (rcode == ns_r_nxdomain && !zones_is_synced(job->env->zones))
		return respond_code(job, ns_r_servfail);
	job->reply.authoritative = true;
	soa_write(job, DNS_AUTHORITY, zone);
	return respond_code(job, rcode);
}

enum step_verdict respond_rr(struct job *job, uint16_t type, const void *data,
			     size_t len)
{
	job->reply.authoritative = true;
	dns_reply_rr(&job->reply, DNS_ANSWER, owner_of(job, 0), type,
		     NEGATIVE_TTL, data, len);
	return STEP_DONE;
}

enum step_verdict respond_apex(struct job *job, unsigned zone)
{
	uint8_t data[DNS_NAME_MAX + 8];
	struct wbuf w = wbuf_make(data, sizeof(data));

	switch (job->q->type) {
	case ns_t_soa:
		job->reply.authoritative = true;
		soa_write(job, DNS_ANSWER, zone);
		return STEP_DONE;
	case ns_t_ns:
		own_name(job, OWN_NS, &w);
		return respond_rr(job, ns_t_ns, data, w.len);
	default:
		return respond_negative(job, ns_r_noerror, zone);
	}
}

enum step_verdict respond_ns(struct job *job, unsigned zone)
{
	const struct zone *asked = job->view->len
					   ? job->view->zones[0]
					   : zones_next(job->env->zones, NULL);

	for (uint32_t i = 0; asked && i < asked->want.ranges_len; i++) {
		const struct ip_addr *gw = &asked->want.ranges[i].gateway;
		bool v4 = ip_is_v4(gw);

		if (job->q->type == (v4 ? ns_t_a : ns_t_aaaa))
			return respond_rr(job, job->q->type,
					  v4 ? gw->b + 12 : gw->b, v4 ? 4 : 16);
	}
	return respond_negative(job, ns_r_noerror, zone);
}

/* Addresses. */

/* Ready records of a name that is not the question's have another owner. */
static void owners_set(const struct job *job, uint8_t *rrs, size_t n,
		       size_t size)
{
	uint16_t owner = owner_of(job, 0);

	for (size_t i = 0; owner != DNS_READY_OWNER && i < n; i++) {
		rrs[i * size] = (uint8_t)(owner >> 8);
		rrs[i * size + 1] = (uint8_t)owner;
	}
}

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

	start = n > 1 ? next_random(job->env) % n : 0;
	count = MIN(n - start, room);
	dns_reply_rrs(reply, DNS_ANSWER, rrs + start * size, count, size);
	dns_reply_rrs(reply, DNS_ANSWER, rrs, start, size);
	reply->truncated = n > room;
	for (size_t i = MIN(n, room); i > 1; i--)
		swap_rr(out, i - 1, next_random(job->env) % i, size);
	owners_set(job, out, MIN(n, room), size);
}

/* Names in data. */

static void full_name_write(const struct job *job, const struct zone *zone,
			    const struct record *rec,
			    const struct record_host *host, struct wbuf *w)
{
	size_t len;
	const uint8_t *labels = record_labels(rec, &len);

	if (host) {
		wbuf_u8(w, host->len);
		wbuf_bytes(w, host->label, host->len);
	} else if (record_kind(rec) == NAME_TASKS) {
		wbuf_bytes(w, "\x05tasks", 6);
	}
	wbuf_bytes(w, labels, len);
	wbuf_u8(w, zone->label_len);
	wbuf_bytes(w, zone->label, zone->label_len);
	wbuf_bytes(w, "\x03svc", 4);
	dns_name_write(w, zones_domain(job->env->zones), true);
}

enum step_verdict respond_ptr(struct job *job, const struct zone *zone,
			      const struct record *rec,
			      const struct ip_addr *addr, unsigned cut)
{
	uint8_t data[2 * DNS_NAME_MAX + 2 * DNS_LABEL_MAX + 16];
	struct wbuf w = wbuf_make(data, sizeof(data));
	struct record_host host;
	bool has_host = record_host_of(rec, addr, &host);

	job->zone = zone;
	job->rec = rec;
	if (job->q->type != ns_t_ptr && job->q->type != ns_t_any)
		return respond_negative(job, ns_r_noerror, cut);
	full_name_write(job, zone, rec, has_host ? &host : NULL, &w);
	/* A dotted name below a long domain may be no name any more. */
	if (w.bad || w.len > DNS_NAME_MAX)
		return respond_code(job, ns_r_servfail);
	job->reply.authoritative = true;
	dns_reply_rr(&job->reply, DNS_ANSWER, owner_of(job, 0), ns_t_ptr,
		     rec->ttl, data, w.len);
	return STEP_DONE;
}

/* RFC 8482 4.2: one small record says that ANY gets no more. */
static enum step_verdict any_answer(struct job *job, uint32_t ttl)
{
	static const char data[] = "\x07RFC8482";

	job->reply.authoritative = true;
	dns_reply_rr(&job->reply, DNS_ANSWER, owner_of(job, 0), ns_t_hinfo, ttl,
		     data, sizeof(data));
	return STEP_DONE;
}

/* SRV. */

static const struct want_name_port *port_of(const struct found *f)
{
	for (uint32_t i = 0; i < f->rec->ports_len; i++) {
		const struct want_name_port *p = &f->rec->ports[i];

		if (p->proto != f->proto)
			continue;
		if (f->srv_proto_only || (f->port && p->port == f->port) ||
		    (strlen(p->name) == f->port_name_len &&
		     memcmp(p->name, f->port_name, f->port_name_len) == 0))
			return p;
	}
	return NULL;
}

/* Owner and fixed part of an SRV before its target. */
#define SRV_TARGET_AT (RR_HEAD_LEN + 6)

/* Where the target's name stands in the answer; 0: no room, or no name. */
static uint16_t srv_write(struct job *job, const struct found *f,
			  const struct record_host *host, uint16_t port)
{
	uint8_t data[8 + 2 * DNS_NAME_MAX + 2 * DNS_LABEL_MAX + 16];
	struct wbuf w = wbuf_make(data, sizeof(data));
	size_t at = dns_reply_at(&job->reply) + SRV_TARGET_AT;

	wbuf_u16(&w, 0);
	wbuf_u16(&w, 100);
	wbuf_u16(&w, port);
	full_name_write(job, f->zone, f->rec, host, &w);
	if (w.bad || w.len - 6 > DNS_NAME_MAX) {
		job->reply.rcode = ns_r_servfail;
		return 0;
	}
	if (!dns_reply_rr(&job->reply, DNS_ANSWER, owner_of(job, 0), ns_t_srv,
			  f->rec->ttl, data, w.len))
		return 0;
	return at < 0x4000 ? (uint16_t)at : 0;
}

/* A target's address; its owner is the name in the SRV. */
static bool glue_write(struct job *job, const struct record *rec, uint32_t i,
		       uint16_t target)
{
	size_t len;
	const uint8_t *rr = record_addr_rr(rec, i, &len);

	return dns_reply_rr(&job->reply, DNS_ADDITIONAL,
			    (uint16_t)(0xc000 | target),
			    len == RR_A_LEN ? ns_t_a : ns_t_aaaa, rec->ttl,
			    rr + RR_HEAD_LEN, len - RR_HEAD_LEN);
}

static uint16_t or_port(uint16_t port, uint16_t other)
{
	return port ? port : other;
}

static bool host_eq(const struct record_host *a, const struct record_host *b)
{
	return a->len == b->len && a->port == b->port &&
	       memcmp(a->label, b->label, a->len) == 0;
}

/*
 * The host's address of IPv4, that came before this one of IPv6. Both stand in
 * one order, so *at goes through the former once for all of the latter.
 */
static bool host_twin(const struct record *rec, const struct record_host *host,
		      struct record_host *at)
{
	struct record_host next = *at;

	while (host->i >= rec->a_len && record_host_next(rec, &next) &&
	       next.i < rec->a_len) {
		if (!host_eq(&next, host))
			continue;
		*at = next;
		return true;
	}
	return false;
}

/* Each backend by its own name and port, and all its addresses below. */
static void srv_hosts_write(struct job *job, const struct found *f,
			    const struct want_name_port *p)
{
	uint16_t targets[NAME_ADDRS_MAX];
	struct record_host host = { 0 }, twin = { 0 };
	uint32_t n = 0;

	while (!job->reply.truncated && record_host_next(f->rec, &host)) {
		uint16_t port = or_port(host.port, or_port(p->target, p->port));

		targets[n++] = 0;
		if (f->is_host && !host_eq(&host, &f->host))
			continue;
		targets[host.i] = host_twin(f->rec, &host, &twin)
					  ? targets[twin.i]
					  : srv_write(job, f, &host, port);
	}
	if (job->reply.truncated)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (targets[i] && !glue_write(job, f->rec, i, targets[i]))
			return;
}

static enum step_verdict srv_answer(struct job *job, const struct found *f,
				    const struct want_name_port *p)
{
	uint16_t target;

	job->reply.authoritative = true;
	if (f->rec->hosts_len) {
		srv_hosts_write(job, f, p);
	} else {
		target = srv_write(job, f, NULL, p->port);
		for (uint32_t i = 0; target && i < record_addrs_len(f->rec);
		     i++)
			if (!glue_write(job, f->rec, i, target))
				break;
	}
	if (job->reply.rcode)
		return respond_code(job, job->reply.rcode);
	return STEP_DONE;
}

static enum step_verdict srv_found(struct job *job, const struct found *f,
				   unsigned zone)
{
	const struct want_name_port *p = port_of(f);
	struct found tasks = *f;

	if (!p)
		return respond_negative(job, ns_r_nxdomain, zone);
	if (job->q->type == ns_t_any)
		return any_answer(job, f->rec->ttl);
	if (f->srv_proto_only || job->q->type != ns_t_srv)
		return respond_negative(job, ns_r_noerror, zone);
	if (f->rec->headless) {
		size_t len;
		const uint8_t *labels = record_labels(f->rec, &len);

		tasks.rec = zones_name(job->env->zones, f->zone->want.vni,
				       NAME_TASKS, labels, len);
		if (!tasks.rec)
			return respond_negative(job, ns_r_nxdomain, zone);
	}
	return srv_answer(job, &tasks, p);
}

/* Names that stand for another. */

static enum step_verdict alias_follow(struct job *job, const struct record *rec)
{
	struct dns_reply *reply = &job->reply;
	struct rbuf r = rbuf_make(record_rrs(rec), rec->rrs_len);
	size_t at = dns_reply_at(reply) + RR_HEAD_LEN;

	if (++job->aliases > DNS_ALIASES_MAX)
		return respond_code(job, ns_r_servfail);
	r.pos = RR_HEAD_LEN;
	if (!dns_reply_rr(reply, DNS_ANSWER, owner_of(job, 0), ns_t_cname,
			  rec->ttl, record_rrs(rec) + RR_HEAD_LEN,
			  rec->rrs_len - RR_HEAD_LEN))
		return STEP_DONE;
	if (dns_name_read(&r, &job->q->chain.target))
		return respond_code(job, ns_r_servfail);
	job->name = &job->q->chain.target;
	job->name_at = (uint16_t)at;
	return STEP_AGAIN;
}

/* Answers. */

/* Ready records of the type, of those that are no addresses. */
static bool others_write(struct job *job, const struct record *rec)
{
	struct rbuf r = rbuf_make(record_rrs(rec), rec->rrs_len);
	bool any = false;

	while (rbuf_left(&r)) {
		uint16_t type, len;
		uint32_t ttl;
		const uint8_t *data;

		rbuf_u16(&r);
		type = rbuf_u16(&r);
		rbuf_u16(&r);
		ttl = rbuf_u32(&r);
		len = rbuf_u16(&r);
		data = rbuf_ptr(&r, len);
		if (type != job->q->type)
			continue;
		any = true;
		if (!dns_reply_rr(&job->reply, DNS_ANSWER, owner_of(job, 0),
				  type, ttl, data, len))
			break;
	}
	return any;
}

static enum step_verdict host_answer(struct job *job, const struct found *f,
				     unsigned zone)
{
	struct record_host host = { 0 };

	while (record_host_next(f->rec, &host)) {
		size_t len;
		const uint8_t *rr = record_addr_rr(f->rec, host.i, &len);

		if (!host_eq(&host, &f->host) ||
		    job->q->type != (len == RR_A_LEN ? ns_t_a : ns_t_aaaa))
			continue;
		addresses_write(job, rr, 1, len);
		return STEP_DONE;
	}
	return respond_negative(job, ns_r_noerror, zone);
}

static bool is_empty(const struct record *rec)
{
	return record_addrs_len(rec) == 0 && rec->rrs_len == 0;
}

enum step_verdict respond_found(struct job *job, const struct found *f,
				unsigned zone)
{
	const struct record *rec = f->rec;
	uint16_t type = job->q->type;

	job->zone = f->zone;
	job->rec = rec;
	/* None ready: not there, as in Kubernetes' specification 2.4.1. */
	if (is_empty(rec))
		return respond_negative(job, ns_r_nxdomain, zone);
	if (f->srv || f->srv_proto_only)
		return srv_found(job, f, zone);
	job->reply.authoritative = true;
	if (type == ns_t_any)
		return any_answer(job, rec->ttl);
	if (rec->is_alias && type != ns_t_cname)
		return alias_follow(job, rec);
	if (f->is_host)
		return host_answer(job, f, zone);
	if (type == ns_t_a && rec->a_len)
		addresses_write(job, record_a(rec), rec->a_len, RR_A_LEN);
	else if (type == ns_t_aaaa && rec->aaaa_len)
		addresses_write(job, record_aaaa(rec), rec->aaaa_len,
				RR_AAAA_LEN);
	else if (!others_write(job, rec))
		return respond_negative(job, ns_r_noerror, zone);
	return STEP_DONE;
}
