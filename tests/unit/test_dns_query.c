/* SPDX-License-Identifier: Apache-2.0 */
/* Who is answered what: names in all forms, seen from several clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netd/util.h"
#include "query.h"

/*
 * Networks: blue (1) and green (2), open; dark (3), internal. The pod "both"
 * is on green, then blue.
 */
#define BLUE_POD "10.1.0.5"
#define BOTH_POD "10.2.0.5"
#define DARK_POD "10.3.0.5"
#define DARK_BLUE_POD "10.3.0.6"
#define HOST "192.0.2.1"
#define STRANGER "203.0.113.9"

struct fixture {
	struct zones *zones;
	struct query_env env;
};

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_parse(text, &addr), 0);
	return addr;
}

static void zone_add(struct zones *z, uint32_t vni, const char *name,
		     const char *subnet, const char *vips, bool internal)
{
	struct want_zone want = { .vni = vni, .ranges_len = 1 };
	struct want_range *range = &want.ranges[0];

	str_copy(want.name, sizeof(want.name), name);
	assert_int_equal(prefix_parse(subnet, &range->subnet), 0);
	assert_int_equal(prefix_parse(vips, &range->vips[0]), 0);
	range->vips_len = 1;
	range->gateway = ip_add(&range->subnet.addr, 1);
	want.internal = internal;
	assert_int_equal(zones_put(z, &want), 0);
}

static void client_add(struct zones *z, const char *addr, uint32_t a,
		       uint32_t b)
{
	struct want_client want = { .vni = { a, b }, .vni_len = b ? 2 : 1 };

	want.addr = ip(addr);
	zones_client_put(z, &want);
}

static void name_add(struct zones *z, uint32_t vni, enum name_kind kind,
		     const char *name, uint32_t ttl, const char *addrs)
{
	struct want_name want = { .vni = vni, .kind = kind, .ttl = ttl };
	struct ip_addr list[8];
	AUTO(str_freep) char *copy = xstrdup(addrs);
	char *save = NULL;

	for (char *a = strtok_r(copy, " ", &save); a;
	     a = strtok_r(NULL, " ", &save))
		list[want.addrs_len++] = ip(a);
	str_copy(want.name, sizeof(want.name), name);
	want.ptr = kind != NAME_TASKS;
	want.ports[0] = (struct want_name_port){ .port = 6379, .proto = 6 };
	want.ports_len = kind == NAME_POD ? 0 : 1;
	assert_int_equal(zones_name_put(z, &want, list, NULL), 0);
}

static void content_add(struct zones *z)
{
	struct want_client host = { .host = true };

	assert_int_equal(zones_set_domain(z, "cluster.local"), 0);
	zone_add(z, 1, "blue", "10.1.0.0/16", "10.81.0.0/22", false);
	zone_add(z, 2, "green", "10.2.0.0/24", "10.82.0.0/22", false);
	zone_add(z, 3, "dark", "10.3.0.0/16", "fd00:3::/64", true);
	client_add(z, BLUE_POD, 1, 0);
	client_add(z, BOTH_POD, 2, 1);
	client_add(z, DARK_POD, 3, 0);
	client_add(z, DARK_BLUE_POD, 3, 1);
	host.addr = ip(HOST);
	zones_client_put(z, &host);
	name_add(z, 1, NAME_SERVICE, "redis", 5, "10.81.0.10");
	name_add(z, 1, NAME_TASKS, "redis", 5, "10.1.0.10 10.1.0.11");
	name_add(z, 2, NAME_SERVICE, "redis", 0, "10.82.0.10");
	name_add(z, 3, NAME_SERVICE, "redis", 5, "fd00:3::a");
	name_add(z, 1, NAME_POD, "redis", 5, "10.1.0.66");
	name_add(z, 1, NAME_POD, "web", 5, "10.1.0.5");
	name_add(z, 1, NAME_POD, "Web.One", 5, "10.1.0.6");
	name_add(z, 1, NAME_POD, "redis.green", 5, "10.1.0.67");
	name_add(z, 1, NAME_SERVICE, "none", 5, "");
	name_add(z, 2, NAME_SERVICE, "many", 5,
		 "10.2.0.10 10.2.0.11 10.2.0.12 10.2.0.13");
}

static int setup(void **state)
{
	struct fixture *f = xzalloc(sizeof(*f));

	f->zones = zones_new();
	f->env.zones = f->zones;
	f->env.random = 42;
	zones_sync_begin(f->zones);
	content_add(f->zones);
	zones_sync_end(f->zones);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	zones_free(f->zones);
	free(f);
	return 0;
}

struct reply {
	enum query_verdict verdict;
	uint8_t bytes[DNS_UDP_MAX];
	size_t len;
	int rcode;
	unsigned count[4];
	/* Where the first record's type, and its data, stand. */
	size_t type_at;
	size_t data_at;
};

static void ask(struct fixture *f, const char *from, const char *text,
		uint16_t type, struct reply *ret)
{
	uint8_t query[DNS_QUERY_MAX];
	struct ip_addr src = ip(from);
	struct query_result result = { 0 };
	struct dns_name name;
	struct query_in in;
	size_t len;
	struct rbuf r;

	assert_int_equal(dns_name_parse(text, &name), 0);
	len = dns_query_write(&name, type, 1, query);
	memset(ret, 0, sizeof(*ret));
	query_read(&f->env, query, len, &src, &in);
	query_near(&f->env, &in);
	ret->verdict = query_answer(&f->env, &in, false, ret->bytes, &result);
	if (ret->verdict != QUERY_REPLY)
		return;
	ret->len = result.len;
	ret->rcode = ret->bytes[3] & 15;
	for (int i = 0; i < 4; i++)
		ret->count[i] = ret->bytes[5 + 2 * i];
	r = rbuf_make(ret->bytes, ret->len);
	r.pos = DNS_HEADER_LEN;
	assert_int_equal(dns_name_read(&r, &name), 0);
	r.pos += 4;
	if (ret->count[1] + ret->count[2] == 0)
		return;
	assert_int_equal(dns_name_read(&r, &name), 0);
	ret->type_at = r.pos;
	ret->data_at = r.pos + 10;
}

static const char *address(const struct reply *r, char *buf)
{
	struct ip_addr addr = { { 0 } };
	uint32_t v4;

	if (r->rcode || !r->count[1])
		return "-";
	if (r->bytes[r->type_at + 1] == ns_t_a) {
		memcpy(&v4, r->bytes + r->data_at, 4);
		addr = ip_from_be32(v4);
	} else {
		memcpy(addr.b, r->bytes + r->data_at, 16);
	}
	return ip_str(&addr, buf);
}

static void test_query_address(void **state)
{
	static const struct {
		const char *from;
		const char *name;
		const char *addr;
	} cases[] = {
		/* All forms. */
		{ BLUE_POD, "redis", "10.81.0.10" },
		{ BLUE_POD, "REDIS", "10.81.0.10" },
		{ BLUE_POD, "redis.blue", "10.81.0.10" },
		{ BLUE_POD, "redis.blue.", "10.81.0.10" },
		{ BLUE_POD, "redis.blue.svc", "10.81.0.10" },
		{ BLUE_POD, "redis.blue.svc.cluster.local", "10.81.0.10" },
		{ BLUE_POD, "Redis.Blue.Svc.Cluster.Local", "10.81.0.10" },
		/* Pods, whose names may hold dots and capitals. */
		{ BLUE_POD, "web", BLUE_POD },
		{ BLUE_POD, "web.blue.svc.cluster.local", BLUE_POD },
		{ BLUE_POD, "web.one", "10.1.0.6" },
		{ BLUE_POD, "web.one.blue", "10.1.0.6" },
		{ BLUE_POD, "WEB.ONE.blue.svc.cluster.local", "10.1.0.6" },
		{ BLUE_POD, "tasks.web.blue", BLUE_POD },
		/* Networks in the order of attachment. */
		{ BOTH_POD, "redis", "10.82.0.10" },
		{ BOTH_POD, "web", BLUE_POD },
		{ BOTH_POD, "redis.blue", "10.81.0.10" },
		/* A pod called redis.green does not take green's service. */
		{ BOTH_POD, "redis.green", "10.82.0.10" },
		{ BLUE_POD, "redis.green", "10.1.0.67" },
		{ BLUE_POD, "redis.green.blue", "10.1.0.67" },
		/* The host sees all, by any of its addresses. */
		{ HOST, "redis.green", "10.82.0.10" },
		{ "127.0.0.1", "redis.blue", "10.81.0.10" },
		{ "10.3.0.1", "redis.blue.svc.cluster.local", "10.81.0.10" },
		{ HOST, "many", NULL },
		/* Ours besides. */
		{ BLUE_POD, "ns.dns.cluster.local", "10.1.0.1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[IP_STRLEN];
		struct reply r;

		ask(*state, cases[i].from, cases[i].name, ns_t_a, &r);
		if (r.verdict != QUERY_REPLY || !r.count[1] ||
		    (cases[i].addr && !str_eq(address(&r, buf), cases[i].addr)))
			fail_msg("%s from %s: %s, verdict %d rcode %d",
				 cases[i].name, cases[i].from, address(&r, buf),
				 r.verdict, r.rcode);
		/* AA, RA, and RD as asked. */
		assert_int_equal(r.bytes[2], 0x85);
		assert_int_equal(r.bytes[3], 0x80);
	}
}

enum { FORWARD = 100 };

/* Who asks for what, and what kind of answer that has. */
static const struct {
	const char *from;
	const char *name;
	uint16_t type;
	int code;
	/* NODATA and NXDOMAIN carry one SOA. */
	unsigned soa;
} coded[] = {
	{ BLUE_POD, "redis", ns_t_aaaa, ns_r_noerror, 1 },
	{ BLUE_POD, "redis.blue", ns_t_mx, ns_r_noerror, 1 },
	{ DARK_POD, "redis", ns_t_a, ns_r_noerror, 1 },
	{ DARK_POD, "redis", ns_t_aaaa, ns_r_noerror, 0 },
	{ BLUE_POD, "nosuch", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "nosuch.blue", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "nosuch.blue.svc", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "x.cluster.local", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "none", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "tasks", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "tasks.blue", ns_t_a, ns_r_nxdomain, 1 },
	/* Another network's names: not there, or outside. */
	{ BLUE_POD, "redis.green.svc.cluster.local", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "many", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "many.green", ns_t_a, FORWARD, 0 },
	{ BLUE_POD, "example.com", ns_t_a, FORWARD, 0 },
	{ BLUE_POD, "", ns_t_ns, FORWARD, 0 },
	{ HOST, "example.com", ns_t_a, FORWARD, 0 },
	{ DARK_BLUE_POD, "example.com", ns_t_a, FORWARD, 0 },
	/* Internal networks never forward. */
	{ DARK_POD, "example.com", ns_t_a, ns_r_refused, 0 },
	{ DARK_POD, "4.4.8.8.in-addr.arpa", ns_t_ptr, ns_r_refused, 0 },
	{ STRANGER, "redis", ns_t_a, ns_r_refused, 0 },
	{ STRANGER, "example.com", ns_t_a, ns_r_refused, 0 },
	{ BLUE_POD, "redis", ns_t_axfr, ns_r_refused, 0 },
	{ BLUE_POD, "example.com", ns_t_ixfr, ns_r_refused, 0 },
	/* Names between ours. */
	{ BLUE_POD, "cluster.local", ns_t_a, ns_r_noerror, 1 },
	{ BLUE_POD, "cluster.local", ns_t_soa, ns_r_noerror, 0 },
	{ BLUE_POD, "cluster.local", ns_t_ns, ns_r_noerror, 0 },
	{ BLUE_POD, "svc.cluster.local", ns_t_a, ns_r_noerror, 1 },
	{ BLUE_POD, "blue.svc.cluster.local", ns_t_a, ns_r_noerror, 1 },
	{ BLUE_POD, "green.svc.cluster.local", ns_t_a, ns_r_nxdomain, 1 },
	{ BLUE_POD, "blue", ns_t_a, ns_r_noerror, 1 },
	{ BLUE_POD, "dns-version.cluster.local", ns_t_txt, ns_r_noerror, 0 },
	/* SRV. */
	{ BLUE_POD, "_6379._tcp.redis", ns_t_srv, ns_r_noerror, 0 },
	{ BLUE_POD, "_6379._tcp.redis.blue", ns_t_srv, ns_r_noerror, 0 },
	{ BLUE_POD, "_6379._tcp.tasks.redis.blue.svc.cluster.local", ns_t_srv,
	  ns_r_noerror, 0 },
	{ BLUE_POD, "_6379._udp.redis", ns_t_srv, ns_r_nxdomain, 1 },
	{ BLUE_POD, "_80._tcp.redis", ns_t_srv, ns_r_nxdomain, 1 },
	{ BLUE_POD, "_6379._tcp.redis", ns_t_a, ns_r_noerror, 1 },
	{ BLUE_POD, "_tcp.redis.blue", ns_t_srv, ns_r_noerror, 1 },
	{ BLUE_POD, "redis.blue", ns_t_srv, ns_r_noerror, 1 },
	/* Reverse. */
	{ BLUE_POD, "10.0.81.10.in-addr.arpa", ns_t_ptr, ns_r_noerror, 0 },
	{ BLUE_POD, "5.0.1.10.in-addr.arpa", ns_t_ptr, ns_r_noerror, 0 },
	{ BLUE_POD, "5.0.1.10.in-addr.arpa", ns_t_a, ns_r_noerror, 1 },
	{ BLUE_POD, "99.0.1.10.in-addr.arpa", ns_t_ptr, ns_r_nxdomain, 1 },
	{ BLUE_POD, "x.5.0.1.10.in-addr.arpa", ns_t_ptr, ns_r_nxdomain, 1 },
	{ BLUE_POD, "0.1.10.in-addr.arpa", ns_t_ptr, ns_r_noerror, 1 },
	{ BLUE_POD, "1.10.in-addr.arpa", ns_t_soa, ns_r_noerror, 0 },
	{ BLUE_POD, "10.in-addr.arpa", ns_t_soa, FORWARD, 0 },
	{ BLUE_POD, "10.0.82.10.in-addr.arpa", ns_t_ptr, ns_r_nxdomain, 1 },
	{ BLUE_POD, "4.4.8.8.in-addr.arpa", ns_t_ptr, FORWARD, 0 },
	{ BLUE_POD, "04.4.1.10.in-addr.arpa", ns_t_ptr, ns_r_nxdomain, 1 },
};

static void test_query_code(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(coded); i++) {
		struct reply r;

		ask(*state, coded[i].from, coded[i].name, coded[i].type, &r);
		if (coded[i].code == FORWARD) {
			if (r.verdict != QUERY_FORWARD)
				fail_msg("%s from %s: not forwarded",
					 coded[i].name, coded[i].from);
			continue;
		}
		if (r.verdict != QUERY_REPLY || r.rcode != coded[i].code ||
		    r.count[2] != coded[i].soa)
			fail_msg(
				"%s type %u from %s: verdict %d code %d soa %u",
				coded[i].name, coded[i].type, coded[i].from,
				r.verdict, r.rcode, r.count[2]);
		if (coded[i].soa) {
			assert_int_equal(r.bytes[r.type_at + 1], ns_t_soa);
			assert_int_equal(r.count[1], 0);
		} else if (coded[i].code == ns_r_noerror) {
			assert_int_equal(r.count[1], 1);
		}
	}
}

static void data_name(const struct reply *reply, size_t skip, char *buf)
{
	struct rbuf r = rbuf_make(reply->bytes, reply->len);
	struct dns_name name;

	r.pos = reply->data_at + skip;
	assert_int_equal(dns_name_read(&r, &name), 0);
	dns_name_str(&name, buf, DNS_NAME_MAX + 1);
}

static void test_query_ptr(void **state)
{
	static const struct {
		const char *name;
		const char *from;
		const char *target;
	} cases[] = {
		{ "10.0.81.10.in-addr.arpa", BLUE_POD,
		  "redis.blue.svc.cluster.local" },
		{ "6.0.1.10.in-addr.arpa", BLUE_POD,
		  "web.one.blue.svc.cluster.local" },
		{ "a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.0.0."
		  "d.f.ip6.arpa",
		  DARK_POD, "redis.dark.svc.cluster.local" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[DNS_NAME_MAX + 1];
		struct reply r;

		ask(*state, cases[i].from, cases[i].name, ns_t_ptr, &r);
		assert_int_equal(r.rcode, ns_r_noerror);
		assert_int_equal(r.count[1], 1);
		data_name(&r, 0, buf);
		assert_string_equal(buf, cases[i].target);
	}
}

static void test_query_ptr_moves(void **state)
{
	struct fixture *f = *state;
	struct reply r;
	char buf[DNS_NAME_MAX + 1];

	/* An address that gets a new name before the old one goes. */
	name_add(f->zones, 1, NAME_POD, "new", 5, "10.1.0.6");
	zones_name_del(f->zones, 1, NAME_POD, "web.one");
	ask(f, BLUE_POD, "6.0.1.10.in-addr.arpa", ns_t_ptr, &r);
	data_name(&r, 0, buf);
	assert_string_equal(buf, "new.blue.svc.cluster.local");
	zones_name_del(f->zones, 1, NAME_POD, "NEW");
	ask(f, BLUE_POD, "6.0.1.10.in-addr.arpa", ns_t_ptr, &r);
	assert_int_equal(r.rcode, ns_r_nxdomain);
}

static void test_query_srv(void **state)
{
	struct reply r;
	char buf[DNS_NAME_MAX + 1];

	ask(*state, BLUE_POD, "_6379._tcp.redis", ns_t_srv, &r);
	assert_int_equal(r.count[1], 1);
	assert_memory_equal(r.bytes + r.data_at, "\0\0\0\x64\x18\xeb", 6);
	data_name(&r, 6, buf);
	assert_string_equal(buf, "redis.blue.svc.cluster.local");
	/* Its address and the OPT. */
	assert_int_equal(r.count[3], 2);
	assert_memory_equal(r.bytes + r.len - 11 - 4, "\x0a\x51\0\x0a", 4);
}

static void test_query_any(void **state)
{
	struct reply r;

	ask(*state, BLUE_POD, "redis", ns_t_any, &r);
	assert_int_equal(r.count[1], 1);
	assert_int_equal(r.bytes[r.type_at + 1], ns_t_hinfo);
}

static void test_query_order(void **state)
{
	unsigned first[4] = { 0 };

	/* Every address comes first about as often; none is lost. */
	for (int i = 0; i < 4000; i++) {
		unsigned seen = 0;
		struct reply r;

		ask(*state, BOTH_POD, "many", ns_t_a, &r);
		assert_int_equal(r.count[1], 4);
		for (int k = 0; k < 4; k++)
			seen |= 1u << (r.bytes[r.data_at + 3 + 16 * k] - 10);
		assert_int_equal(seen, 15);
		first[r.bytes[r.data_at + 3] - 10]++;
	}
	for (int k = 0; k < 4; k++)
		assert_in_range(first[k], 800, 1200);
}

static void test_query_too_many(void **state)
{
	struct fixture *f = *state;
	struct want_name want = { .vni = 1,
				  .kind = NAME_SERVICE,
				  .ttl = 5,
				  .name = "big",
				  .addrs_len = 1024 };
	static struct ip_addr addrs[1024];
	unsigned low = 0;
	struct reply r;

	for (unsigned i = 0; i < ARRAY_LEN(addrs); i++)
		addrs[i] = ip_from_v4(0x0a010100 + i);
	assert_int_equal(zones_name_put(f->zones, &want, addrs, NULL), 0);
	for (int i = 0; i < 50; i++) {
		ask(f, BLUE_POD, "big", ns_t_a, &r);
		assert_true(r.bytes[2] & DNS_FLAG_TC >> 8);
		assert_true(r.len <= DNS_UDP_MAX);
		assert_int_equal(r.count[1], (DNS_UDP_MAX - 12 - 9 - 11) / 16);
		/* Not always the same part of them. */
		low += r.bytes[r.data_at + 2] == 1;
	}
	assert_true(low < 50);
}

static void test_query_ttl(void **state)
{
	struct reply r;

	ask(*state, BLUE_POD, "redis", ns_t_a, &r);
	assert_int_equal(r.bytes[r.type_at + 7], 5);
	ask(*state, BOTH_POD, "redis", ns_t_a, &r);
	assert_int_equal(r.bytes[r.type_at + 7], 0);
}

static void test_query_soa_owner(void **state)
{
	static const struct {
		const char *name;
		const char *zone;
	} cases[] = {
		{ "x.blue", "blue" },
		{ "x.blue.svc.cluster.local", "cluster.local" },
		{ "x", "." },
		{ "99.0.1.10.in-addr.arpa", "1.10.in-addr.arpa" },
		{ "99.1.81.10.in-addr.arpa", "1.81.10.in-addr.arpa" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[DNS_NAME_MAX + 1];
		struct dns_name name;
		struct reply r;
		struct rbuf b;

		ask(*state, BLUE_POD, cases[i].name, ns_t_a, &r);
		b = rbuf_make(r.bytes, r.len);
		b.pos = DNS_HEADER_LEN;
		assert_int_equal(dns_name_read(&b, &name), 0);
		b.pos += 4;
		assert_int_equal(dns_name_read(&b, &name), 0);
		assert_string_equal(dns_name_str(&name, buf, sizeof(buf)),
				    cases[i].zone);
	}
}

static void test_query_unsynced(void **state)
{
	static const struct {
		const char *from;
		const char *name;
		int code;
	} cases[] = {
		{ BLUE_POD, "redis", ns_r_noerror },
		{ BLUE_POD, "nosuch", ns_r_servfail },
		{ BLUE_POD, "nosuch.blue", ns_r_servfail },
		{ BLUE_POD, "x.y.svc.cluster.local", ns_r_servfail },
		{ BLUE_POD, "example.com", FORWARD },
		{ STRANGER, "redis", ns_r_servfail },
		/* It may be the name of the network that is not told yet. */
		{ "10.9.0.5", "redis.later", ns_r_servfail },
	};
	struct fixture f = { .zones = zones_new() };

	(void)state;
	f.env.zones = f.zones;
	f.env.random = 1;
	content_add(f.zones);
	client_add(f.zones, "10.9.0.5", 9, 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct reply r;

		ask(&f, cases[i].from, cases[i].name, ns_t_a, &r);
		if (cases[i].code == FORWARD)
			assert_int_equal(r.verdict, QUERY_FORWARD);
		else
			assert_int_equal(r.rcode, cases[i].code);
	}
	zones_free(f.zones);
}

static void test_zones_sync(void **state)
{
	struct fixture *f = *state;
	struct reply r;

	/* What is not told again goes, and not before the end. */
	zones_sync_begin(f->zones);
	zone_add(f->zones, 1, "blue", "10.1.0.0/16", "10.81.0.0/22", false);
	client_add(f->zones, BLUE_POD, 1, 0);
	name_add(f->zones, 1, NAME_POD, "web", 5, "10.1.0.7");
	ask(f, BLUE_POD, "redis", ns_t_a, &r);
	assert_int_equal(r.count[1], 1);
	ask(f, BLUE_POD, "nosuch", ns_t_a, &r);
	assert_int_equal(r.rcode, ns_r_nxdomain);
	zones_sync_end(f->zones);
	ask(f, BLUE_POD, "redis", ns_t_a, &r);
	assert_int_equal(r.rcode, ns_r_nxdomain);
	ask(f, BLUE_POD, "web", ns_t_a, &r);
	assert_int_equal(r.count[1], 1);
	ask(f, BOTH_POD, "web", ns_t_a, &r);
	assert_int_equal(r.rcode, ns_r_refused);
	assert_null(zones_find(f->zones, 2));
}

static void test_query_bytes(void **state)
{
	static const struct {
		const char *from;
		const char *bytes;
		size_t len;
		int code;
	} cases[] = {
#define ASK(flags, qd, q) "\1\2" flags "\0" qd "\0\0\0\0\0\0" q
#define BYTES(s) (s), sizeof(s) - 1
		{ BLUE_POD, BYTES(ASK("\x81\0", "\1", "\1x\0\0\1\0\1")), -1 },
		{ BLUE_POD, BYTES(ASK("\x21\0", "\1", "\1x\0\0\1\0\1")),
		  ns_r_notimpl },
		{ BLUE_POD, BYTES(ASK("\1\0", "\0", "")), ns_r_formerr },
		{ BLUE_POD, BYTES(ASK("\1\0", "\1", "\1x\0\0\1\0\3")),
		  ns_r_refused },
		{ BLUE_POD, BYTES(ASK("\1\0", "\1", "\1x\0\0\1\0\xff")),
		  ns_r_refused },
		{ BLUE_POD, BYTES(ASK("\1\0", "\1", "\1x\0\0\x29\0\1")),
		  ns_r_formerr },
		/* Not recursive: only what is here. */
		{ BLUE_POD, BYTES(ASK("\0\0", "\1", "\1x\3com\0\0\1\0\1")),
		  ns_r_refused },
		/* A dot inside a label is no form of web.one. */
		{ BLUE_POD, BYTES(ASK("\1\0", "\1", "\7web.one\0\0\1\0\1")),
		  ns_r_nxdomain },
		{ STRANGER, BYTES(ASK("\1\0", "\0", "")), ns_r_refused },
		{ STRANGER, BYTES(ASK("\x21\0", "\1", "\1x\0\0\1\0\1")),
		  ns_r_refused },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip_addr src = ip(cases[i].from);
		struct query_result result = { 0 };
		uint8_t out[DNS_UDP_MAX];
		enum query_verdict verdict;
		struct query_in in;

		query_read(&f->env, cases[i].bytes, cases[i].len, &src, &in);
		query_near(&f->env, &in);
		verdict = query_answer(&f->env, &in, false, out, &result);
		if (cases[i].code < 0) {
			assert_int_equal(verdict, QUERY_DROP);
			continue;
		}
		assert_int_equal(verdict, QUERY_REPLY);
		assert_int_equal(out[3] & 15, cases[i].code);
		if (str_eq(cases[i].from, STRANGER))
			assert_true(result.len <= cases[i].len);
	}
}

static void test_query_loop(void **state)
{
	struct fixture *f = *state;
	struct reply r;

	str_copy(f->env.probes.label[3], PROBE_LEN + 1, "0123456789abcdef");
	/* From anybody: the host's resolver may ask from any address. */
	ask(f, STRANGER, "0123456789abcdef." PROBE_ZONE, ns_t_a, &r);
	assert_int_equal(r.verdict, QUERY_LOOP);
	ask(f, BLUE_POD, "0123456789abcdee." PROBE_ZONE, ns_t_a, &r);
	assert_int_equal(r.verdict, QUERY_FORWARD);
}

/* Where a name is looked for is known before it is. */
static void test_query_spot(void **state)
{
	static const struct {
		const char *from, *name;
		/* 0: no guess. */
		uint32_t vni;
	} cases[] = {
		{ BLUE_POD, "redis", 1 },
		{ BOTH_POD, "redis", 2 },
		{ BLUE_POD, "REDIS.blue", 1 },
		{ BOTH_POD, "redis.blue", 1 },
		{ BOTH_POD, "redis.green.svc", 2 },
		{ BOTH_POD, "redis.blue.svc.cluster.local", 1 },
		{ HOST, "redis.dark", 3 },
		{ BLUE_POD, "redis.green", 0 },
		{ BLUE_POD, "redis.example", 0 },
		{ BLUE_POD, "cluster.local", 0 },
		{ BLUE_POD, ".", 0 },
		{ STRANGER, "redis.blue", 0 },
	};
	static const uint8_t redis[] = "\5redis";
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t query[DNS_QUERY_MAX];
		struct ip_addr src = ip(cases[i].from);
		struct names_spot spot = { 0 };
		struct dns_name name;
		struct query_in in;
		size_t len;

		assert_int_equal(dns_name_parse(cases[i].name, &name), 0);
		len = dns_query_write(&name, ns_t_a, 1, query);
		query_read(&f->env, query, len, &src, &in);
		if (cases[i].vni)
			spot = zones_seek(f->zones, cases[i].vni, NAME_SERVICE,
					  redis, sizeof(redis) - 1);
		assert_ptr_equal(in.spot.slot, spot.slot);
		assert_int_equal(in.spot.hash, spot.hash);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_query_address),  TEST(test_query_code),
		TEST(test_query_ptr),	   TEST(test_query_ptr_moves),
		TEST(test_query_srv),	   TEST(test_query_any),
		TEST(test_query_order),	   TEST(test_query_too_many),
		TEST(test_query_ttl),	   TEST(test_query_soa_owner),
		TEST(test_query_unsynced), TEST(test_zones_sync),
		TEST(test_query_bytes),	   TEST(test_query_loop),
		TEST(test_query_spot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
