/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - one query on its way through query.c, and how its answer is written.
 *
 * The name that is looked for is the question's first, and then what that is
 * another name of. Either way its labels stand somewhere in the answer, so
 * that every owner is a pointer to one of them.
 */
#pragma once

#include "query.h"

enum step_verdict {
	STEP_NEXT,
	STEP_DONE,
	STEP_FORWARD,
	STEP_LOOP,
	/* It is another name: look for that. */
	STEP_AGAIN,
};

struct job {
	struct query_env *env;
	struct dns_query *q;
	const struct dns_name *name;
	/* Where its first label stands in the answer. */
	uint16_t name_at;
	/* Aliases followed; the last one's target is q->chain.target. */
	unsigned aliases;
	bool is_stranger;
	unsigned upstream;
	const struct stub *stub;
	/* For who asks why: the step that ends it, what it found. */
	const char *step;
	const struct zone *zone;
	const struct record *rec;
	const struct view *view;
	/* Not zeroed for each query, which would show: filled when needed. */
	struct dns_reply reply;
};

/* What some labels of the name mean on a network. */
struct found {
	const struct zone *zone;
	const struct record *rec;
	/* One of the record's hosts was asked for. */
	bool is_host;
	struct record_host host;
	/* There was _port._proto before the name, or _proto alone. */
	bool srv;
	bool srv_proto_only;
	/* The port's label without its _, and its number if it is one. */
	const uint8_t *port_name;
	uint8_t port_name_len;
	uint16_t port;
	uint8_t proto;
};

/* A code and nothing else. */
enum step_verdict respond_code(struct job *job, int rcode);

/*
 * No such name, or no such data (ns_r_noerror). zone: the label of the name
 * where our authority begins; it owns the SOA. Until all is told nothing is
 * known not to be.
 */
enum step_verdict respond_negative(struct job *job, int rcode, unsigned zone);

/* A name that is ours and has only SOA and NS. */
enum step_verdict respond_apex(struct job *job, unsigned zone);

/* ns.dns.DOMAIN: the address that was most likely asked. */
enum step_verdict respond_ns(struct job *job, unsigned zone);

/* One record of the question's name. */
enum step_verdict respond_rr(struct job *job, uint16_t type, const void *data,
			     size_t len);

/* What was found, in the type that is asked for. */
enum step_verdict respond_found(struct job *job, const struct found *f,
				unsigned zone);
enum step_verdict respond_ptr(struct job *job, const struct zone *zone,
			      const struct record *rec,
			      const struct ip_addr *addr, unsigned cut);
