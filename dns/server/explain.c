/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people ask by way of netd: why a name is what it is, which upstreams
 * live, what is kept. netd parses nothing that came from outside, so answers
 * are put in words here, in letters that any terminal can take.
 */
#include <utlist.h>

#include "netd/util.h"
#include "parts.h"

/* A question that went outside. */
struct pending {
	uint64_t id;
	uint32_t serial;
	enum dns_ask_kind kind;
	int64_t started;
	struct query_result result;
	struct pending *prev, *next;
};

struct explain {
	struct server *server;
	struct pending *pending;
	struct proto_told told;
	uint8_t answer[DNS_TCP_MAX];
};

struct explain *explain_new(struct server *s)
{
	struct explain *e = xzalloc(sizeof(*e));

	e->server = s;
	return e;
}

void explain_free(struct explain *e)
{
	struct pending *p, *tmp;

	if (!e)
		return;
	DL_FOREACH_SAFE (e->pending, p, tmp)
		free(p);
	free(e);
}

static struct dns_told *told_begin(struct explain *e, uint32_t serial,
				   enum dns_ask_kind kind)
{
	/* Nothing of the last one goes out with this. */
	memset(&e->told, 0, sizeof(e->told));
	e->told.serial = serial;
	e->told.told.kind = kind;
	return &e->told.told;
}

static void told_send(struct explain *e)
{
	control_tell(e->server->control, &e->told);
}

static enum dns_source source_of(const struct forward_note *note)
{
	static const enum dns_source sources[] = {
		[FORWARD_NONE] = DNS_SOURCE_NONE,
		[FORWARD_CACHE] = DNS_SOURCE_CACHE,
		[FORWARD_STALE] = DNS_SOURCE_STALE,
		[FORWARD_UPSTREAM] = DNS_SOURCE_UPSTREAM,
		[FORWARD_LIMIT] = DNS_SOURCE_LIMIT,
	};

	return note ? sources[note->source] : DNS_SOURCE_ZONE;
}

/* note NULL: it did not go outside. */
static void query_tell(struct explain *e, uint32_t serial, int64_t started,
		       const struct query_result *result, const uint8_t *data,
		       size_t len, const struct forward_note *note)
{
	struct dns_told *told = told_begin(e, serial, DNS_ASK_QUERY);

	told->query.rcode = data[3] & 15;
	told->query.authoritative = data[2] & DNS_FLAG_AA >> 8;
	told->query.source = source_of(note);
	told->query.vni = result->vni;
	told->query.what = result->kind;
	str_copy(told->query.step, sizeof(told->query.step), result->step);
	if (note)
		told->query.server = note->server.addr;
	else if (told->query.rcode == ns_r_refused ||
		 told->query.rcode == ns_r_servfail)
		told->query.source = DNS_SOURCE_NONE;
	told->query.took_us = (uint32_t)(mono_us() - started);
	dns_answer_text(data, len, told->query.text, sizeof(told->query.text));
	told_send(e);
}

static struct pending *pending_new(struct explain *e, enum dns_ask_kind kind,
				   uint64_t id, uint32_t serial)
{
	struct pending *p = xzalloc(sizeof(*p));

	p->kind = kind;
	p->id = id;
	p->serial = serial;
	DL_APPEND(e->pending, p);
	return p;
}

/* Asked as by TCP: the whole answer. */
static void query_ask(struct explain *e, uint32_t serial,
		      const struct dns_ask *ask, const struct dns_name *name)
{
	struct forward_to to = { .tcp = true,
				 .control = true,
				 .id = ++e->server->last_id };
	int64_t started = mono_us();
	uint8_t query[DNS_QUERY_MAX];
	struct server_trace trace;
	struct query_in in;
	struct pending *p;
	size_t len = dns_query_write(name, ask->type, 0, query);

	query_read(&e->server->env, query, len, &ask->from, &in);
	len = server_answer_traced(e->server, &in, &to, e->answer, &trace);
	if (len) {
		query_tell(e, serial, started, &trace.result, e->answer, len,
			   trace.forwarded ? &trace.note : NULL);
		return;
	}
	p = pending_new(e, DNS_ASK_QUERY, to.id, serial);
	p->started = started;
	p->result = trace.result;
	/* Gone by the time of the answer. */
	p->result.stub = NULL;
}

/* An SOA that stands there is a zone's; one elsewhere is another's. */
static void zone_tell(struct explain *e, uint32_t serial, const uint8_t *data)
{
	struct dns_told *told = told_begin(e, serial, DNS_ASK_ZONE);
	unsigned rcode = data[3] & 15, answers = data[6] | data[7];

	told->zone.is_known = rcode == ns_r_noerror && answers;
	told->zone.is_unheard = rcode != ns_r_noerror && rcode != ns_r_nxdomain;
	told_send(e);
}

/* Past our own zones, which may have the name already. */
static void zone_ask(struct explain *e, uint32_t serial,
		     const struct dns_ask *ask, const struct dns_name *name)
{
	struct forward_to to = { .tcp = true,
				 .control = true,
				 .id = ++e->server->last_id };
	struct forward_note note;
	struct query_in in;
	uint8_t query[DNS_QUERY_MAX];
	size_t len = dns_query_write(name, ns_t_soa, 0, query);

	query_read(&e->server->env, query, len, &ask->from, &in);
	if (server_forward(e->server, &in, NULL, &to, e->answer, &note))
		zone_tell(e, serial, e->answer);
	else
		pending_new(e, DNS_ASK_ZONE, to.id, serial);
}

void explain_done(struct explain *e, uint64_t id, const uint8_t *data,
		  size_t len, const struct forward_note *note)
{
	struct pending *p;

	DL_FOREACH (e->pending, p)
		if (p->id == id)
			break;
	if (!p)
		return;
	DL_DELETE(e->pending, p);
	if (p->kind == DNS_ASK_ZONE)
		zone_tell(e, p->serial, data);
	else
		query_tell(e, p->serial, p->started, &p->result, data, len,
			   note);
	free(p);
}

/* What else is asked. */

static void upstreams_tell(struct explain *e, uint32_t serial)
{
	struct dns_told *told = told_begin(e, serial, DNS_ASK_UPSTREAMS);

	told->upstreams.len =
		(uint32_t)upstream_list(e->server->upstream,
					told->upstreams.rows,
					ARRAY_LEN(told->upstreams.rows));
	told_send(e);
}

static void cache_tell(struct explain *e, uint32_t serial, uint32_t skip,
		       const struct dns_name *below)
{
	struct dns_told *told = told_begin(e, serial, DNS_ASK_CACHE);

	told->cache.len =
		(uint32_t)cache_list(e->server->cache, below, mono_ms(), &skip,
				     told->cache.rows,
				     ARRAY_LEN(told->cache.rows));
	told->cache.skip = skip;
	told_send(e);
}

static void flush_tell(struct explain *e, uint32_t serial,
		       const struct dns_name *below)
{
	struct dns_told *told = told_begin(e, serial, DNS_ASK_FLUSH);

	told->flushed = cache_flush(e->server->cache, below);
	told_send(e);
}

void explain_ask(struct explain *e, const struct proto_ask *asked)
{
	const struct dns_ask *ask = &asked->ask;
	struct dns_name name;
	const struct dns_name *below = *ask->name ? &name : NULL;

	if (dns_name_parse(ask->name, &name) || ask->kind >= DNS_ASK_MAX) {
		told_begin(e, asked->serial, ask->kind)->err = -EINVAL;
		told_send(e);
		return;
	}
	switch ((enum dns_ask_kind)ask->kind) {
	case DNS_ASK_QUERY:
		query_ask(e, asked->serial, ask, &name);
		break;
	case DNS_ASK_UPSTREAMS:
		upstreams_tell(e, asked->serial);
		break;
	case DNS_ASK_CACHE:
		cache_tell(e, asked->serial, ask->skip, below);
		break;
	case DNS_ASK_FLUSH:
		flush_tell(e, asked->serial, below);
		break;
	case DNS_ASK_ZONE:
		zone_ask(e, asked->serial, ask, &name);
		break;
	case DNS_ASK_MAX:
		break;
	}
}
