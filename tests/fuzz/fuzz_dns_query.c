/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a query, from a pod, the host and a stranger. Whatever is
 * answered must be an answer to it that another reader understands.
 */
#include <stdint.h>
#include <stdlib.h>

#include "netd/util.h"
#include "query.h"

static const char *const clients[] = { "10.1.0.5", "127.0.0.1", "192.0.2.9",
				       "10.3.0.5" };

static struct query_env env = { .random = 1 };

static void name_add(struct zones *z, uint32_t vni, enum name_kind kind,
		     const char *name, uint32_t n)
{
	struct want_name want = {
		.vni = vni,
		.kind = kind,
		.ttl = 5,
		.ports = { { .port = 80, .proto = 6, .name = "http" },
			   { .port = 53, .proto = 17 } },
		.ports_len = 2,
		.addrs_len = n,
		.ptr = true
	};
	struct ip_addr addrs[256];

	for (uint32_t i = 0; i < n; i++)
		addrs[i] = ip_from_v4(0x0a010000 + vni * 0x10000 + i);
	if (n > 1)
		addrs[0].b[0] = 0xfd;
	str_copy(want.name, sizeof(want.name), name);
	if (zones_name_put(z, &want, addrs, NULL))
		abort();
}

/* Backends by name, names that lead elsewhere, records that were written. */
static void others_add(struct zones *z, uint32_t vni)
{
	static const struct {
		const char *name;
		const char *target;
	} aliases[] = { { "near", "redis" },
			{ "far", "www.example.com" },
			{ "loop", "loop2.blue" },
			{ "loop2", "loop.blue" },
			{ "back", "near.blue.svc.cluster.local" } };
	static const struct want_value values[] = {
		{ .type = ns_t_txt, .ttl = 5, .text = "text" },
		{ .type = ns_t_srv, .ttl = 5, .port = 1, .text = "redis" },
		{ .type = ns_t_ptr, .ttl = 5, .text = "redis.blue" },
	};
	struct want_name want = {
		.vni = vni,
		.kind = NAME_TASKS,
		.name = "head",
		.addrs_len = 3,
		.ports = { { .port = 80, .proto = 6, .name = "http" } },
		.ports_len = 1,
		.ptr = true
	};
	struct want_host hosts[3] = { { "a", 0 }, { "b", 99 }, { "c", 0 } };
	struct ip_addr addrs[3];

	for (uint32_t i = 0; i < 3; i++)
		addrs[i] = ip_from_v4(0x0a010050 + vni * 0x20000 + i);
	zones_name_put(z, &want, addrs, hosts);
	want.kind = NAME_SERVICE;
	want.headless = true;
	zones_name_put(z, &want, addrs, NULL);
	zones_record_put(z, vni, "note", values, ARRAY_LEN(values));
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
		want = (struct want_name){ .vni = vni, .ttl = 5 };
		str_copy(want.name, sizeof(want.name), aliases[i].name);
		str_copy(want.target, sizeof(want.target), aliases[i].target);
		zones_name_put(z, &want, NULL, NULL);
	}
}

static struct zones *content_make(void)
{
	static const char *const names[] = { "blue", "dark" };
	struct zones *z = zones_new();

	zones_set_domain(z, "cluster.local");
	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		struct want_zone zone = { .vni = i,
					  .ranges_len = 1,
					  .internal = i == 1 };
		struct want_range *range = &zone.ranges[0];
		struct want_client pod = { .vni = { i }, .vni_len = 1 };

		str_copy(zone.name, sizeof(zone.name), names[i]);
		range->subnet.addr = ip_from_v4(0x0a010000 + 0x20000 * i);
		range->subnet.len = 112;
		range->gateway = ip_add(&range->subnet.addr, 1);
		pod.addr = ip_add(&range->subnet.addr, 5);
		zones_put(z, &zone);
		zones_client_put(z, &pod);
		name_add(z, i, NAME_SERVICE, "redis", 1);
		name_add(z, i, NAME_TASKS, "redis", 200);
		name_add(z, i, NAME_POD, "web.one", 2);
		others_add(z, i);
	}
	zones_sync_end(z);
	return z;
}

/* Our own reader must take what we write. */
static void answer_check(uint8_t *out, size_t len, const struct dns_query *q)
{
	struct dns_answer answer;
	struct rbuf r = rbuf_make(out, len);

	if (len < DNS_HEADER_LEN || !(out[2] & DNS_FLAG_QR >> 8))
		abort();
	rbuf_u16(&r);
	if (!q->question_len || q->class != ns_c_in)
		return;
	if (dns_answer_check(out, &len, &q->name, q->type, &answer) == -EBADMSG)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[DNS_TCP_MAX];
	struct query_result result;
	static struct query_in in;
	static struct ip_addr srcs[ARRAY_LEN(clients)];
	bool tcp;

	if (!env.zones) {
		for (size_t i = 0; i < ARRAY_LEN(clients); i++)
			if (ip_parse(clients[i], &srcs[i]))
				abort();
		env.zones = content_make();
		str_copy(env.probes.label[0], PROBE_LEN + 1,
			 "0123456789abcdef");
	}
	if (size < 1)
		return 0;
	tcp = data[0] & 0x80;
	query_read(&env, data + 1, size - 1,
		   &srcs[data[0] % ARRAY_LEN(clients)], &in);
	query_near(&env, &in);
	switch (query_answer(&env, &in, tcp, out, &result)) {
	case QUERY_REPLY:
	case QUERY_LOOP:
		if (!tcp && result.len > DNS_UDP_MAX)
			abort();
		if (data[0] % ARRAY_LEN(clients) == 2 && result.len > size - 1)
			abort();
		answer_check(out, result.len, &in.q);
		break;
	case QUERY_DROP:
	case QUERY_FORWARD:
		break;
	}
	return 0;
}
