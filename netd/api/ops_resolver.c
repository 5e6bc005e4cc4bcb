/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the DNS server says of itself: why a name is answered as it is, what
 * it counted and keeps, how its upstreams are. It is another process, so most
 * of this is answered when it has answered.
 */
#include <arpa/nameser.h>

#include "call.h"
#include "netd/dns.h"
#include "netd/util.h"
#include "pod.h"

/* What is kept may be much: no more than this is listed. */
#define CACHE_ROWS_MAX 10000

struct inquiry {
	/* NULL: the asker has gone. */
	struct http_request *req;
	struct dns *dns;
	struct model *m;
	struct dns_ask ask;
	/* What was told so far. */
	json_t *rows;
};

static const char *const rcodes[] = {
	[ns_r_noerror] = "NOERROR",   [ns_r_formerr] = "FORMERR",
	[ns_r_servfail] = "SERVFAIL", [ns_r_nxdomain] = "NXDOMAIN",
	[ns_r_notimpl] = "NOTIMP",    [ns_r_refused] = "REFUSED",
};

static const char *const sources[] = {
	[DNS_SOURCE_NONE] = "none",	    [DNS_SOURCE_ZONE] = "zone",
	[DNS_SOURCE_CACHE] = "cache",	    [DNS_SOURCE_STALE] = "stale",
	[DNS_SOURCE_UPSTREAM] = "upstream", [DNS_SOURCE_LIMIT] = "limit",
};
_Static_assert(ARRAY_LEN(sources) == DNS_SOURCE_MAX, "a word per source");

static const char *const kinds[] = {
	[NAME_SERVICE] = "service",
	[NAME_TASKS] = "tasks",
	[NAME_RECORD] = "record",
	[NAME_POD] = "pod",
};
_Static_assert(ARRAY_LEN(kinds) == NAME_KIND_MAX, "a word per kind");

static const char *rcode_word(unsigned rcode)
{
	return rcode < ARRAY_LEN(rcodes) && rcodes[rcode] ? rcodes[rcode]
							  : "OTHER";
}

/* An address, or "" for none. */
static json_t *server_json(const struct ip_addr *addr)
{
	return ip_is_none(addr) ? json_string("") : json_ip(addr);
}

/* Asking, and being told. */

static void inquiry_free(struct inquiry *q)
{
	json_decref(q->rows);
	free(q);
}

static void inquiry_gone(void *arg)
{
	struct inquiry *q = arg;

	q->req = NULL;
}

/* body is taken. */
static void inquiry_end(struct inquiry *q, json_t *body)
{
	if (q->req)
		http_reply(q->req, 200, body);
	else
		json_decref(body);
	inquiry_free(q);
}

static void inquiry_fail(struct inquiry *q, int err)
{
	if (!q->req)
		;
	else if (err == -EINVAL)
		http_reply_error(q->req, API_INVALID, "name",
				 "the name is no DNS name",
				 "labels of 1 to 63 bytes with dots between, "
				 "253 in all");
	else if (err == -ETIMEDOUT)
		http_reply_error(q->req, API_TIMEOUT, NULL,
				 "the DNS server does not answer",
				 "see: netctl status");
	else
		http_reply_error(q->req, API_UNAVAILABLE, NULL,
				 "the DNS server is not running",
				 "it is started again by itself: try again");
	inquiry_free(q);
}

static enum ops_next inquire(struct call *call, const struct dns_ask *ask,
			     dns_told_fn *done)
{
	struct inquiry *q;

	if (!call->req) {
		refuse(&call->refusal, API_UNSUPPORTED, NULL, "",
		       "%s is for people", call->name);
		return OPS_REFUSE;
	}
	q = xzalloc(sizeof(*q));
	q->req = call->req;
	q->dns = call_config(call)->dns;
	q->m = call->m;
	q->ask = *ask;
	http_on_gone(call->req, inquiry_gone, q);
	dns_ask(q->dns, ask, done, q);
	return OPS_TAKEN;
}

/* dns query */

static json_t *lines_json(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t len = strcspn(text, "\n");

		json_array_append_new(list, json_stringn(text, len));
		text += len + (text[len] == '\n');
	}
	return list;
}

static void query_told(void *arg, int err, const struct dns_told *told)
{
	struct inquiry *q = arg;
	char type[DNS_TYPE_STRLEN];
	const struct net *net;

	if (err || told->err) {
		inquiry_fail(q, err ? err : told->err);
		return;
	}
	net = told->query.vni ? model_net_by_vni(q->m, told->query.vni) : NULL;
	inquiry_end(
		q,
		json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:o, s:f, "
			  "s:o}",
			  "name", q->ask.name, "type",
			  dns_type_word(q->ask.type, type), "rcode",
			  rcode_word(told->query.rcode), "authoritative",
			  told->query.authoritative, "source",
			  sources[told->query.source], "step", told->query.step,
			  "network", net ? net->name : "", "what",
			  told->query.what < 0 ? "" : kinds[told->query.what],
			  "server", server_json(&told->query.server), "took_ms",
			  (double)told->query.took_us / 1000., "records",
			  lines_json(told->query.text)));
}

/* The asker's address: a pod's on its first network, or this host's. */
static bool query_from(struct call *call, struct ip_addr *ret)
{
	struct pod *pod;

	if (!call_str(call, "from")) {
		*ret = ip_from_v4(0x7f000001);
		return true;
	}
	pod = call_pod(call, "from");
	if (!pod)
		return false;
	if (!pod->nets_len) {
		refuse(&call->refusal, API_CONFLICT, "from",
		       "netctl network connect NETWORK POD",
		       "pod \"%s\" is on no network", pod->name);
		return false;
	}
	*ret = pod->nets[0].addr;
	return true;
}

enum ops_next op_dns_query(struct call *call)
{
	struct dns_ask ask = { .kind = DNS_ASK_QUERY };
	const char *type = call_str(call, "type");

	if (!query_from(call, &ask.from))
		return OPS_REFUSE;
	if (dns_type_read(type ? type : "A", &ask.type)) {
		refuse(&call->refusal, API_INVALID, "type",
		       "A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, or "
		       "TYPE65 for number 65",
		       "\"%.20s\" is no type of record", type);
		return OPS_REFUSE;
	}
	if (!*call_str(call, "name") ||
	    !str_copy(ask.name, sizeof(ask.name), call_str(call, "name"))) {
		refuse(&call->refusal, API_INVALID, "name",
		       "labels with dots between, 253 bytes in all",
		       "the name is no DNS name");
		return OPS_REFUSE;
	}
	return inquire(call, &ask, query_told);
}

/* dns cache */

static json_t *entry_json(const struct dns_cache_entry *e)
{
	char type[DNS_TYPE_STRLEN] = "any";

	if (e->type)
		dns_type_word(e->type, type);
	return json_pack("{s:s, s:s, s:s, s:I, s:b, s:I, s:I, s:o}", "name",
			 e->name, "type", type, "rcode", rcode_word(e->rcode),
			 "ttl", (json_int_t)e->ttl, "stale", e->stale, "bytes",
			 (json_int_t)e->bytes, "hits", (json_int_t)e->hits,
			 "server", server_json(&e->server));
}

static void cache_told(void *arg, int err, const struct dns_told *told)
{
	struct inquiry *q = arg;

	if (err || told->err) {
		inquiry_fail(q, err ? err : told->err);
		return;
	}
	if (!q->rows)
		q->rows = json_array();
	for (uint32_t i = 0; i < told->cache.len; i++)
		json_array_append_new(q->rows,
				      entry_json(&told->cache.rows[i]));
	if (!told->cache.len || json_array_size(q->rows) >= CACHE_ROWS_MAX ||
	    !q->req) {
		inquiry_end(q, take_ptr(q->rows));
		return;
	}
	q->ask.skip = told->cache.skip;
	dns_ask(q->dns, &q->ask, cache_told, q);
}

/* False: refused. */
static bool cache_name(struct call *call, struct dns_ask *ask)
{
	const char *name = call_str(call, "name");

	if (!name || str_copy(ask->name, sizeof(ask->name), name))
		return true;
	refuse(&call->refusal, API_INVALID, "name",
	       "labels with dots between, 253 bytes in all",
	       "the name is no DNS name");
	return false;
}

enum ops_next op_dns_cache_list(struct call *call)
{
	struct dns_ask ask = { .kind = DNS_ASK_CACHE };

	return cache_name(call, &ask) ? inquire(call, &ask, cache_told)
				      : OPS_REFUSE;
}

static void flush_told(void *arg, int err, const struct dns_told *told)
{
	struct inquiry *q = arg;

	if (err || told->err)
		inquiry_fail(q, err ? err : told->err);
	else
		inquiry_end(q, json_pack("{s:I}", "flushed",
					 (json_int_t)told->flushed));
}

enum ops_next op_dns_cache_flush(struct call *call)
{
	struct dns_ask ask = { .kind = DNS_ASK_FLUSH };

	return cache_name(call, &ask) ? inquire(call, &ask, flush_told)
				      : OPS_REFUSE;
}

/* dns upstream status */

static const char *state_word(const struct dns_upstream_state *s)
{
	if (s->loops)
		return "loop";
	if (s->down)
		return "down";
	return s->behind ? "behind" : "up";
}

static void upstreams_told(void *arg, int err, const struct dns_told *told)
{
	struct inquiry *q = arg;
	json_t *list;

	if (err) {
		inquiry_fail(q, err);
		return;
	}
	list = json_array();
	for (uint32_t i = 0; i < told->upstreams.len; i++) {
		const struct dns_upstream_state *s = &told->upstreams.rows[i];

		json_array_append_new(
			list,
			json_pack("{s:o, s:i, s:s, s:f, s:I, s:I, s:I, s:b}",
				  "server", json_ip(&s->addr), "port", s->port,
				  "state", state_word(s), "latency_ms",
				  (double)s->latency_us / 1000., "asked",
				  (json_int_t)s->asked, "answered",
				  (json_int_t)s->answered, "failed",
				  (json_int_t)s->failed, "loses_case",
				  s->loses_case));
	}
	inquiry_end(q, list);
}

enum ops_next op_dns_upstream_status(struct call *call)
{
	struct dns_ask ask = { .kind = DNS_ASK_UPSTREAMS };

	return inquire(call, &ask, upstreams_told);
}

/* dns stats */

#define STAT(field)                                                            \
	{                                                                      \
#field, offsetof(struct dns_stats, field)                      \
	}

static const struct {
	const char *name;
	size_t offset;
} stats[] = {
	STAT(queries),	 STAT(local),	STAT(cached),	    STAT(forwarded),
	STAT(coalesced), STAT(stale),	STAT(refused),	    STAT(failed),
	STAT(dropped),	 STAT(limited), STAT(unanswered),   STAT(packets),
	STAT(forged),	 STAT(rebound), STAT(tcp_accepted), STAT(tcp_closed),
};
_Static_assert(sizeof(struct dns_stats) == ARRAY_LEN(stats) * sizeof(uint64_t),
	       "a name per counter");

enum ops_next op_dns_stats(struct call *call)
{
	const struct dns_stats *s = dns_stats(call_config(call)->dns);

	call->reply = json_object();
	for (size_t i = 0; i < ARRAY_LEN(stats); i++) {
		uint64_t n;

		memcpy(&n, (const char *)s + stats[i].offset, sizeof(n));
		json_object_set_new(call->reply, stats[i].name,
				    json_integer((json_int_t)n));
	}
	return OPS_REPLY;
}

/*
 * What systemd-resolved has to know so that this host finds the pods' names,
 * and asks us for nothing else.
 */
enum ops_next op_dns_resolved(struct call *call)
{
	const struct ops_config *cfg = call_config(call);
	json_t *domains;

	if (ip_is_none(&cfg->dns_listen)) {
		refuse(&call->refusal, API_CONFLICT, NULL,
		       "set dns.listen in netd.yaml",
		       "no DNS listener for this host: dns.listen is off");
		return OPS_REFUSE;
	}
	model_sort(call->m);
	domains = json_array();
	json_array_append_new(domains, json_string(call->m->domain));
	for (struct net *net = call->m->nets; net; net = net->hh.next)
		if (net->rev)
			json_array_append_new(domains, json_string(net->name));
	call->reply = json_pack("{s:o, s:o}", "dns", json_ip(&cfg->dns_listen),
				"domains", domains);
	return OPS_REPLY;
}
