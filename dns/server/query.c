/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a query. Names come in these forms, each with `tasks.`, the
 * name of a backend, or `_port._proto.` before it:
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
#include <netinet/in.h>

#include "job.h"
#include "netd/util.h"
#include "reverse.h"

#define DNS_VERSION_TEXT                                                       \
	"\x05"                                                                 \
	"1.1.0"

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

/* _80 or _http. */
static bool port_read(const struct dns_name *name, unsigned i,
		      struct found *ret)
{
	char text[8] = "";
	uint32_t port;
	uint8_t len;
	const uint8_t *label = dns_label(name, i, &len);

	if (len < 2 || label[0] != '_')
		return false;
	ret->port_name = label + 1;
	ret->port_name_len = (uint8_t)(len - 1);
	if (len >= sizeof(text))
		return true;
	memcpy(text, label + 1, len - 1u);
	/* One spelling for each port: no zeros before it. */
	if (text[0] != '0' && strlen(text) == len - 1u &&
	    !str_to_u32(text, 1, UINT16_MAX, &port))
		ret->port = (uint16_t)port;
	return true;
}

static const struct record *lookup(const struct job *job,
				   const struct zone *zone, enum name_kind kind,
				   unsigned first, unsigned end)
{
	const struct dns_name *name = job->name;
	size_t at = name->at[first];

	return zones_name(job->env->zones, zone->want.vni, kind, name->b + at,
			  name->at[end] - at);
}

/* HOST.NAME: a backend of the service. */
static bool find_host(const struct job *job, unsigned first, unsigned end,
		      struct found *ret)
{
	const struct record *rec;
	const uint8_t *label;
	uint8_t len;

	if (first + 1 >= end)
		return false;
	rec = lookup(job, ret->zone, NAME_TASKS, first + 1, end);
	label = dns_label(job->name, first, &len);
	if (!rec || !record_host_find(rec, label, len, &ret->host))
		return false;
	ret->rec = rec;
	ret->is_host = true;
	return true;
}

/*
 * tasks.NAME comes first, so that a pod that shares a service's name stays
 * below it; a pod called a.b comes after the backend a of b.
 */
static bool find_name(const struct job *job, unsigned first, unsigned end,
		      struct found *ret)
{
	static const enum name_kind above[] = { NAME_SERVICE, NAME_RECORD };
	const struct zone *zone = ret->zone;

	if (first >= end)
		return false;
	if (dns_label_is(job->name, first, "tasks") && first + 1 < end) {
		ret->rec = lookup(job, zone, NAME_TASKS, first + 1, end);
		if (!ret->rec)
			ret->rec = lookup(job, zone, NAME_POD, first + 1, end);
	}
	for (size_t i = 0; !ret->rec && i < ARRAY_LEN(above); i++)
		ret->rec = lookup(job, zone, above[i], first, end);
	if (!ret->rec && !find_host(job, first, end, ret))
		ret->rec = lookup(job, zone, NAME_POD, first, end);
	return ret->rec != NULL;
}

/* What labels [first, end) mean on the network. */
static bool find_in(const struct job *job, const struct zone *zone,
		    unsigned first, unsigned end, struct found *ret)
{
	const struct dns_name *name = job->name;

	*ret = (struct found){ .zone = zone };
	/* Somebody may have written the whole name: _a._tcp.b SRV. */
	if (find_name(job, first, end, ret))
		return true;
	if (first + 2 < end && port_read(name, first, ret) &&
	    proto_read(name, first + 1, &ret->proto)) {
		ret->srv = true;
		return find_name(job, first + 2, end, ret);
	}
	if (first + 1 < end && proto_read(name, first, &ret->proto)) {
		ret->srv_proto_only = true;
		return find_name(job, first + 1, end, ret);
	}
	return false;
}

/* On all networks the asker sees, in order. */
static bool find_anywhere(const struct job *job, unsigned first, unsigned end,
			  struct found *ret)
{
	const struct zones *z = job->env->zones;

	if (job->view->host) {
		for (const struct zone *s = zones_next(z, NULL); s;
		     s = zones_next(z, s))
			if (find_in(job, s, first, end, ret))
				return true;
		return false;
	}
	for (uint32_t i = 0; i < job->view->len; i++)
		if (find_in(job, job->view->zones[i], first, end, ret))
			return true;
	return false;
}

/* Steps. */

static enum step_verdict step_probe(struct job *job)
{
	const struct dns_name *name = &job->q->name;
	const uint8_t *label;
	uint8_t len;

	if (name->labels != 2 || !dns_label_is(name, 1, PROBE_ZONE))
		return STEP_NEXT;
	label = dns_label(name, 0, &len);
	for (unsigned i = 0; len == PROBE_LEN && i < PROBES_MAX; i++) {
		if (memcmp(label, job->env->probes.label[i], PROBE_LEN) != 0)
			continue;
		job->upstream = i;
		respond_code(job, ns_r_servfail);
		return STEP_LOOP;
	}
	return STEP_NEXT;
}

static enum step_verdict step_client(struct job *job)
{
	if (!job->is_stranger)
		return STEP_NEXT;
	return respond_code(job, zones_is_synced(job->env->zones)
					 ? ns_r_refused
					 : ns_r_servfail);
}

static enum step_verdict step_class(struct job *job)
{
	uint16_t type = job->q->type;

	if (job->q->class != ns_c_in || type == ns_t_axfr ||
	    type == ns_t_ixfr || type == ns_t_maila || type == ns_t_mailb)
		return respond_code(job, ns_r_refused);
	/* Types that stand in no question (RFC 6895 3.1). */
	if (type == 0 || type == ns_t_opt)
		return respond_code(job, ns_r_formerr);
	return STEP_NEXT;
}

static enum step_verdict step_reverse(struct job *job)
{
	const struct dns_name *name = job->name;
	const struct zone *zone;
	const struct record *rec;
	const struct ip_prefix *outer;
	struct found written = { 0 };
	struct ip_prefix asked;
	unsigned first, cut;

	if (name->labels < 3 || !dns_label_is(name, name->labels - 1u, "arpa"))
		return STEP_NEXT;
	if (!reverse_read(name, &asked, &first))
		return STEP_NEXT;
	zone = zones_reverse(job->env->zones, &asked, &outer);
	if (!zone)
		outer = owned_find(job->env->owned, &asked);
	if (!outer)
		return STEP_NEXT;
	cut = reverse_cut(name, &asked, outer);
	if (first > 0 || !zone || !view_sees(job->view, zone))
		return respond_negative(job, ns_r_nxdomain, cut);
	if (cut == 0)
		return respond_apex(job, cut);
	if (asked.len < 128)
		return respond_negative(job, ns_r_noerror, cut);
	rec = zones_ptr(job->env->zones, zone->want.vni, &asked.addr);
	if (rec)
		return respond_ptr(job, zone, rec, &asked.addr, cut);
	/* Nobody's address; an operator may have named it. */
	written.zone = zone;
	written.rec = lookup(job, zone, NAME_RECORD, 0, name->labels);
	if (written.rec)
		return respond_found(job, &written, cut);
	return respond_negative(job, ns_r_nxdomain, cut);
}

static enum step_verdict own_version(struct job *job, unsigned domain)
{
	if (job->q->type != ns_t_txt && job->q->type != ns_t_any)
		return respond_negative(job, ns_r_noerror, domain);
	return respond_rr(job, ns_t_txt, DNS_VERSION_TEXT,
			  sizeof(DNS_VERSION_TEXT) - 1);
}

/*
 * NAME.NET, labels [0, net]; `zone` is where a negative answer's SOA stands.
 */
static enum step_verdict network_form(struct job *job, const struct zone *net,
				      unsigned at, unsigned zone)
{
	struct found f;

	if (at == 0)
		return respond_apex(job, zone);
	if (find_in(job, net, 0, at, &f))
		return respond_found(job, &f, zone);
	/* Between a pod a.b and its network lies b, which is no name. */
	return respond_negative(job, ns_r_nxdomain, zone);
}

static const struct zone *zone_at(const struct job *job, unsigned i)
{
	uint8_t len;
	const uint8_t *label = dns_label(job->name, i, &len);

	return view_zone(job->env->zones, job->view, label, len);
}

static enum step_verdict step_domain(struct job *job)
{
	const struct dns_name *name = job->name;
	const struct zone *net;
	unsigned domain;

	if (!zones_domain(job->env->zones)->labels ||
	    !dns_name_below(name, zones_domain(job->env->zones), &domain))
		return STEP_NEXT;
	if (domain == 0)
		return respond_apex(job, domain);
	if (domain == 1 && dns_label_is(name, 0, "dns-version"))
		return own_version(job, domain);
	if (domain == 2 && dns_label_is(name, 0, "ns") &&
	    dns_label_is(name, 1, "dns"))
		return respond_ns(job, domain);
	if (domain == 1 &&
	    (dns_label_is(name, 0, "dns") || dns_label_is(name, 0, "svc")))
		return respond_negative(job, ns_r_noerror, domain);
	if (domain < 2 || !dns_label_is(name, domain - 1, "svc"))
		return respond_negative(job, ns_r_nxdomain, domain);
	net = zone_at(job, domain - 2);
	if (!net)
		return respond_negative(job, ns_r_nxdomain, domain);
	if (domain == 2)
		return respond_negative(job, ns_r_noerror, domain);
	return network_form(job, net, domain - 2, domain);
}

static enum step_verdict step_network(struct job *job)
{
	const struct dns_name *name = job->name;
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
	if (last > 0 && (find_in(job, net, 0, last, &f) ||
			 find_anywhere(job, 0, name->labels, &f)))
		return respond_found(job, &f, last);
	return network_form(job, net, last, last);
}

/* Names that are never asked of anybody (RFC 6761 6.3, 6.4; RFC 7686 2). */
static enum step_verdict step_special(struct job *job)
{
	const struct dns_name *name = job->name;
	unsigned last = name->labels - 1u;
	struct ip_addr loopback = { { [15] = 1 } };

	if (!name->labels)
		return STEP_NEXT;
	if (dns_label_is(name, last, "invalid") ||
	    dns_label_is(name, last, "onion"))
		return respond_negative(job, ns_r_nxdomain, last);
	if (!dns_label_is(name, last, "localhost"))
		return STEP_NEXT;
	if (job->q->type == ns_t_a)
		return respond_rr(job, ns_t_a, "\x7f\0\0\1", 4);
	if (job->q->type == ns_t_aaaa)
		return respond_rr(job, ns_t_aaaa, loopback.b, 16);
	return respond_negative(job, ns_r_noerror, last);
}

/* Is the label a zone that somebody else was named for? */
static bool is_stub(const struct job *job)
{
	const struct stub *stub =
		stubs_find(job->env->stubs, job->view, job->name);

	return stub && stub->zone.labels;
}

/* A single label, or a pod's dotted name. */
static enum step_verdict step_short(struct job *job)
{
	const struct dns_name *name = job->name;
	struct found f;

	if (name->labels && find_anywhere(job, 0, name->labels, &f))
		return respond_found(job, &f, name->labels);
	if (name->labels != 1)
		return STEP_NEXT;
	if (zone_at(job, 0))
		return respond_apex(job, 0);
	if (is_stub(job))
		return STEP_NEXT;
	return respond_negative(job, ns_r_nxdomain, name->labels);
}

static enum step_verdict step_outside(struct job *job)
{
	/* A network not yet known may be the one that was asked for. */
	if (job->view->missing && !zones_is_synced(job->env->zones))
		return respond_code(job, ns_r_servfail);
	if (job->view->internal || !(job->q->flags & DNS_FLAG_RD))
		return respond_code(job, ns_r_refused);
	job->stub = stubs_find(job->env->stubs, job->view, job->name);
	return STEP_FORWARD;
}

struct step {
	const char *name;
	enum step_verdict (*run)(struct job *job);
};

/* May this be asked at all? */
static const struct step checks[] = {
	{ "probe", step_probe },
	{ "client", step_client },
	{ "class", step_class },
};

/* Whose is the name? Run again for the name that an alias leads to. */
static const struct step lookups[] = {
	{ "reverse", step_reverse }, { "domain", step_domain },
	{ "network", step_network }, { "special", step_special },
	{ "short", step_short },     { "outside", step_outside },
};

static enum step_verdict run(struct job *job, const struct step *steps,
			     size_t len)
{
	enum step_verdict verdict = STEP_NEXT;

	for (size_t i = 0; verdict == STEP_NEXT && i < len; i++) {
		job->step = steps[i].name;
		verdict = steps[i].run(job);
	}
	return verdict;
}

static enum step_verdict look(struct job *job)
{
	enum step_verdict verdict = run(job, checks, ARRAY_LEN(checks));

	if (verdict != STEP_NEXT)
		return verdict;
	do
		verdict = run(job, lookups, ARRAY_LEN(lookups));
	while (verdict == STEP_AGAIN);
	return verdict;
}

static void count(struct dns_stats *stats, const struct dns_reply *reply)
{
	if (reply->rcode == ns_r_refused)
		stats->refused++;
	else if (reply->rcode == ns_r_servfail)
		stats->failed++;
	else
		stats->local++;
}

/* Reading and answering. */

/*
 * The labels [0, end) that name a service, if this is the name of one, and
 * its network: a guess from the form alone, so that memory can be asked.
 */
static const struct zone *expected(const struct query_env *env,
				   const struct query_in *in, unsigned *end)
{
	const struct dns_name *name = &in->q.name;
	const struct view *view = &in->view;
	unsigned n = name->labels;
	const uint8_t *label;
	uint8_t len;

	dns_name_below(name, zones_domain(env->zones), &n);
	if (n > 1 && dns_label_is(name, n - 1, "svc"))
		n--;
	*end = n;
	if (n == 1)
		return view->len ? view->zones[0]
				 : zones_next(env->zones, NULL);
	if (!n)
		return NULL;
	*end = n - 1;
	label = dns_label(name, n - 1, &len);
	return view_zone(env->zones, view, label, len);
}

void query_read(const struct query_env *env, const void *data, size_t len,
		const struct ip_addr *src, struct query_in *ret)
{
	const struct zone *zone;
	unsigned end;

	ret->rcode = dns_query_read(data, len, &ret->q);
	ret->src = *src;
	ret->spot = (struct names_spot){ 0 };
	ret->is_stranger = !zones_view(env->zones, src, &ret->view);
	if (ret->rcode || ret->is_stranger)
		return;
	zone = expected(env, ret, &end);
	if (zone)
		ret->spot = zones_seek(env->zones, zone->want.vni, NAME_SERVICE,
				       ret->q.name.b, ret->q.name.at[end]);
}

void query_near(const struct query_env *env, const struct query_in *in)
{
	zones_near(env->zones, in->spot);
}

enum query_verdict query_answer(struct query_env *env, struct query_in *in,
				bool tcp, void *out, struct query_result *ret)
{
	struct dns_query *q = &in->q;
	struct job job;
	enum step_verdict verdict;
	int rcode = in->rcode;

	memset(&job, 0, offsetof(struct job, reply));
	job.env = env;
	job.q = q;
	job.name = &q->name;
	job.name_at = DNS_HEADER_LEN;
	job.view = &in->view;
	job.is_stranger = in->is_stranger;
	env->stats.queries++;
	if (rcode == DNS_DROP) {
		env->stats.dropped++;
		return QUERY_DROP;
	}
	dns_reply_begin(&job.reply, q, out, query_limit(q, tcp));
	if (rcode) {
		/* Who is no client gets no more back than he sent. */
		if (in->is_stranger)
			rcode = ns_r_refused;
		verdict = respond_code(&job, rcode);
	} else {
		verdict = look(&job);
	}
	ret->stub = job.stub;
	ret->step = job.step ? job.step : "form";
	ret->vni = job.zone ? job.zone->want.vni : 0;
	ret->kind = job.rec ? (int)record_kind(job.rec) : -1;
	if (verdict == STEP_FORWARD) {
		dns_reply_chain(&job.reply, job.name_at, q);
		return QUERY_FORWARD;
	}
	count(&env->stats, &job.reply);
	ret->len = dns_reply_end(&job.reply);
	ret->upstream = job.upstream;
	return verdict == STEP_LOOP ? QUERY_LOOP : QUERY_REPLY;
}
