/* SPDX-License-Identifier: Apache-2.0 */
/* Outside names: forwarded, cached, told of; upstreams dead, looping, new. */
#include <sys/mount.h>

#include "dns_resolver.h"

static void test_inquiries(void **state)
{
	static const struct {
		const char *name;
		uint16_t type;
		int rcode;
		enum dns_source source;
		uint32_t vni;
		int what;
		const char *step, *text;
	} cases[] = {
		{ "redis", ns_t_a, ns_r_noerror, DNS_SOURCE_ZONE, VNI,
		  NAME_SERVICE, "short", "redis. 5 IN A 10.99.0.77\n" },
		{ "web.one.default", ns_t_a, ns_r_noerror, DNS_SOURCE_ZONE, VNI,
		  NAME_POD, "network", "web.one.default. 5 IN A " POD "\n" },
		{ "nothing.default", ns_t_a, ns_r_nxdomain, DNS_SOURCE_ZONE, 0,
		  -1, "network", "" },
		{ "a.test", ns_t_a, ns_r_noerror, DNS_SOURCE_UPSTREAM, 0, -1,
		  "outside", "a.test. 60 IN A 192.0.2.80\n" },
		{ "a.test", ns_t_a, ns_r_noerror, DNS_SOURCE_CACHE, 0, -1,
		  "outside", "a.test. 60 IN A 192.0.2.80\n" },
		{ "a.test", ns_t_axfr, ns_r_refused, DNS_SOURCE_NONE, 0, -1,
		  "class", "" },
		{ "dead.test", ns_t_a, ns_r_servfail, DNS_SOURCE_NONE, 0, -1,
		  "outside", "" },
	};
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM, false);
	const struct dns_told *told;
	struct ip_addr server = ip(UPSTREAM);
	struct heard heard = { 0 };
	struct dns_ask late = { .kind = DNS_ASK_FLUSH };
	struct dns *dns;

	(void)state;
	open_forwarding(loop, &config, &dns);
	inquire(loop, dns, DNS_ASK_FLUSH, "", 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		told = inquire(loop, dns, DNS_ASK_QUERY, cases[i].name,
			       cases[i].type);
		assert_int_equal(told->err, 0);
		assert_int_equal(told->query.rcode, cases[i].rcode);
		assert_int_equal(told->query.source, cases[i].source);
		assert_int_equal(told->query.vni, cases[i].vni);
		assert_int_equal(told->query.what, cases[i].what);
		assert_string_equal(told->query.step, cases[i].step);
		assert_string_equal(told->query.text, cases[i].text);
		assert_in_range(told->query.took_us, 0, 4800000);
		if (told->query.source == DNS_SOURCE_UPSTREAM)
			assert_true(ip_eq(&told->query.server, &server));
	}
	told = inquire(loop, dns, DNS_ASK_QUERY, "a..b", ns_t_a);
	assert_int_equal(told->err, -EINVAL);
	told = inquire(loop, dns, DNS_ASK_UPSTREAMS, "", 0);
	assert_int_equal(told->upstreams.len, 1);
	assert_true(ip_eq(&told->upstreams.rows[0].addr, &server));
	assert_false(told->upstreams.rows[0].down);
	assert_true(told->upstreams.rows[0].answered >= 1);
	assert_true(told->upstreams.rows[0].latency_us > 0);
	told = inquire(loop, dns, DNS_ASK_CACHE, "test", 0);
	assert_int_equal(told->cache.len, 1);
	assert_string_equal(told->cache.rows[0].name, "a.test");
	told = inquire(loop, dns, DNS_ASK_FLUSH, "b.test", 0);
	assert_int_equal(told->flushed, 0);
	told = inquire(loop, dns, DNS_ASK_FLUSH, "test", 0);
	assert_int_equal(told->flushed, 1);
	/* The server is gone while it is asked. */
	kill(dns_pid(dns), SIGKILL);
	dns_ask(dns, &late, on_told, &heard);
	wait_for(loop, heard.times, 5000);
	wait_while(loop, heard.times == 1, 20);
	assert_int_equal(heard.err, -EHOSTDOWN);
	dns_close(dns);
	upstream_stop(upstream);
	ev_loop_destroy(loop);
}

static void test_forwards(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM, false);
	struct ip_addr both[2] = { ip(UPSTREAM_DEAD), ip(UPSTREAM) };
	uint8_t answer[DNS_TCP_MAX];
	struct dns *dns;
	int64_t start;

	(void)state;
	open_forwarding(loop, &config, &dns);
	assert_string_equal(address_of(POD, "example.com"), "192.0.2.80");
	assert_string_equal(address_of(POD, "example.com"), "192.0.2.80");
	/* Cut over UDP, fetched by TCP, too long for the asker. */
	assert_true(ask(POD, "big.example.com", ns_t_a, 2000, answer) > 0);
	assert_true(answer[2] & DNS_FLAG_TC >> 8);
	start = mono_ms();
	assert_int_equal(rcode_of(POD, "dead.example.com", ns_t_a),
			 ns_r_servfail);
	assert_in_range(mono_ms() - start, 1000, 4800);
	wait_for(loop,
		 dns_stats(dns)->cached >= 1 && dns_stats(dns)->forwarded >= 3,
		 5000);
	dns_close(dns);

	/* A dead one before it costs a wait at first, and then none. */
	config.upstreams = both;
	config.upstreams_len = 2;
	open_forwarding(loop, &config, &dns);
	for (int i = 0; i < 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%d.example.com", i);
		start = mono_ms();
		assert_string_equal(address_of(POD, name), "192.0.2.80");
	}
	assert_in_range(mono_ms() - start, 0, 300);
	dns_close(dns);
	upstream_stop(upstream);
	ev_loop_destroy(loop);
}

/* Of the two our own gateway is no upstream at all. */
static bool is_left_out(struct ev_loop *loop, struct dns *dns,
			const struct ip_addr *addr)
{
	return has_upstreams(loop, dns, addr, 1) &&
	       inquire(loop, dns, DNS_ASK_UPSTREAMS, "", 0)
		       ->upstreams.rows[0]
		       .loops;
}

static void test_upstream_loop(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM_LOOP, true);
	struct ip_addr list[2] = { ip(GATEWAY), ip(UPSTREAM_LOOP) };
	struct dns *dns;
	int64_t start;

	(void)state;
	config.upstreams = list;
	config.upstreams_len = 2;
	open_told(loop, &config, &dns);
	wait_for(loop, is_left_out(loop, dns, &list[1]), 5000);
	start = mono_ms();
	assert_int_equal(rcode_of(POD, "round.example.com", ns_t_a),
			 ns_r_servfail);
	assert_in_range(mono_ms() - start, 0, 1000);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	dns_close(dns);
	upstream_stop(upstream);
	ev_loop_destroy(loop);
}

static void resolv_write(const char *path, const char *addr)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "nameserver %s\n", addr);
	assert_int_equal(fclose(file), 0);
}

/* In a mount namespace of our own, /etc/resolv.conf is ours. */
static void test_resolv_followed(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	pid_t upstream = upstream_start(UPSTREAM, false);
	AUTO(str_freep) char *path = xasprintf("%s/resolv.conf", dir);
	struct ip_addr good = ip(UPSTREAM), dead = ip(UPSTREAM_DEAD);
	struct dns *dns;

	(void)state;
	config.upstreams_len = 0;
	resolv_write(path, UPSTREAM);
	assert_int_equal(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL),
			 0);
	open_told(loop, &config, &dns);
	wait_for(loop, has_upstreams(loop, dns, &good, 1), 5000);
	assert_string_equal(address_of(POD, "one.example.com"), "192.0.2.80");
	resolv_write(path, UPSTREAM_DEAD);
	wait_for(loop, has_upstreams(loop, dns, &dead, 1), 5000);
	/* The cache went with the upstreams that filled it. */
	assert_int_equal(rcode_of(POD, "one.example.com", ns_t_a),
			 ns_r_servfail);
	resolv_write(path, UPSTREAM);
	wait_for(loop, has_upstreams(loop, dns, &good, 1), 5000);
	assert_string_equal(address_of(POD, "one.example.com"), "192.0.2.80");
	dns_close(dns);
	upstream_stop(upstream);
	umount2("/etc/resolv.conf", MNT_DETACH);
	unlink(path);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inquiries),
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_upstream_loop),
		cmocka_unit_test(test_resolv_followed),
	};

	dns_live_enter();
	return cmocka_run_group_tests(tests, setup, teardown);
}
