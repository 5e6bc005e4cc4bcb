/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnsquery - what the DNS server's own code costs per query, without sockets.
 *
 *   dnsquery NAMES QUERIES
 *
 * Answers A queries of random names in process and prints `ns=N wrong=N`.
 * Below callgrind it counts instructions, which no neighbour disturbs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "netd/util.h"
#include "query.h"
#include "stub.h"

#define VNI 7

static void name_add(struct zones *z, uint32_t n)
{
	struct want_name want = { .vni = VNI, .ttl = 5, .addrs_len = 1 };
	struct ip_addr addr = ip_from_v4(0x0a400000 + n);

	snprintf(want.name, sizeof(want.name), "svc%u", n);
	if (zones_name_put(z, &want, &addr, NULL))
		abort();
}

static struct zones *content_make(uint32_t names)
{
	struct zones *z = zones_new();
	struct want_zone zone = { .vni = VNI,
				  .name = "default",
				  .ranges_len = 1 };
	struct want_client pod = { .vni = { VNI }, .vni_len = 1 };

	zones_set_domain(z, "cluster.local");
	prefix_parse("10.99.0.0/16", &zone.ranges[0].subnet);
	ip_parse("10.99.0.1", &zone.ranges[0].gateway);
	ip_parse("10.99.0.5", &pod.addr);
	zones_put(z, &zone);
	zones_client_put(z, &pod);
	for (uint32_t i = 0; i < names; i++)
		name_add(z, i);
	zones_sync_end(z);
	return z;
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

int main(int argc, char **argv)
{
	static uint8_t out[DNS_TCP_MAX];
	struct query_env env = { .random = 1 };
	struct query_result result;
	uint32_t names, count;
	struct ip_addr src;
	unsigned wrong = 0;
	double start;

	if (argc != 3 || str_to_u32(argv[1], 1, 1 << 24, &names) ||
	    str_to_u32(argv[2], 1, UINT32_MAX, &count)) {
		fputs("usage: dnsquery NAMES QUERIES\n", stderr);
		return 2;
	}
	env.zones = content_make(names);
	env.stubs = stubs_new();
	ip_parse("10.99.0.5", &src);
	start = now_ns();
	for (uint32_t i = 0; i < count; i++) {
		uint32_t n = (uint32_t)(i * UINT64_C(2654435761) >> 8) % names;
		uint8_t query[64] = { 0x12, 0x34, 1, 0, 0, 1 };
		struct query_in in;
		int len = sprintf((char *)query + 13, "svc%u", n);

		query[12] = (uint8_t)len;
		memcpy(query + 13 + len, "\7default\0\0\1\0\1", 13);
		query_read(&env, query, 13 + (size_t)len + 13, &src, &in);
		if (query_answer(&env, &in, false, out, &result) !=
			    QUERY_REPLY ||
		    out[7] != 1)
			wrong++;
	}
	printf("ns=%.1f wrong=%u\n", (now_ns() - start) / count, wrong);
	return wrong != 0;
}
