/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_live - the real netd-dns in a network namespace of the test's own, with
 * one network, a service, a pod that asks and one that may not.
 */
#pragma once

#include "cm.h"

#include <arpa/inet.h>
#include <ev.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "loop_wait.h"
#include "netd/dns.h"
#include "netd/util.h"
#include "msg.h"
#include "own_net.h"

#define GATEWAY "10.99.0.1"
#define POD "10.99.0.5"
#define STRANGER "10.99.0.9"
#define UPSTREAM "10.99.7.7"
/* One that is silent, and one that asks us. */
#define UPSTREAM_DEAD "10.99.7.8"
#define UPSTREAM_LOOP "10.99.7.9"
#define VNI 7
/* Longer than a question to dead upstreams takes. */
#define ANSWER_MS 5500

static char dir[] = "/tmp/netd-dns-test-XXXXXX";

static inline struct ip_addr ip(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_parse(text, &addr), 0);
	return addr;
}

static inline struct sockaddr_in sin_of(const char *text, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, text, &sin.sin_addr), 1);
	return sin;
}

/* Addresses on lo, which is all the network there is. */
static inline void address_add(const char *label, const char *text)
{
	struct ifreq req = { 0 };
	struct sockaddr_in sin = sin_of(text, 0);
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	str_copy(req.ifr_name, sizeof(req.ifr_name), label);
	memcpy(&req.ifr_addr, &sin, sizeof(sin));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &req), 0);
	req.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &req), 0);
}

static inline struct dns_config config_of(void)
{
	static struct ip_addr upstream;

	upstream = ip(UPSTREAM);
	return (struct dns_config){
		.run_dir = dir,
		.program = PROGRAMS "/netd-dns",
		.domain = "cluster.local",
		.upstreams = &upstream,
		.upstreams_len = 1,
		.settings = DNS_SETTINGS_DEFAULT,
		.user = "netd-dns",
	};
}

static inline void name_tell(struct dns *dns, enum name_kind kind,
			     const char *name, const char *addr)
{
	struct want_name want = {
		.vni = VNI, .kind = kind, .ttl = 5, .addrs_len = 1, .ptr = true
	};
	struct ip_addr a = ip(addr);

	str_copy(want.name, sizeof(want.name), name);
	assert_int_equal(dns_name_put(dns, &want, &a, NULL), 0);
}

static inline void content_tell(struct dns *dns)
{
	struct want_zone zone = { .vni = VNI,
				  .name = "default",
				  .ranges_len = 1 };
	struct want_client pod = { .vni = { VNI }, .vni_len = 1 };

	zone.ranges[0].gateway = ip(GATEWAY);
	prefix_parse("10.99.0.0/24", &zone.ranges[0].subnet);
	pod.addr = ip(POD);
	assert_int_equal(dns_audit_begin(dns), 0);
	assert_int_equal(dns_zone_put(dns, &zone), 0);
	assert_int_equal(dns_client_put(dns, &pod), 0);
	name_tell(dns, NAME_SERVICE, "redis", "10.99.0.77");
	name_tell(dns, NAME_POD, "web.one", POD);
	assert_int_equal(dns_audit_end(dns), 0);
}

static inline size_t question_make(const char *text, uint16_t type,
				   uint8_t *buf)
{
	struct dns_name name;

	assert_int_equal(dns_name_parse(text, &name), 0);
	return dns_query_write(&name, type, 0x1234, buf);
}

static const char *asked_at = GATEWAY;

/* Length of the answer, 0 after the time. */
static inline size_t ask(const char *from, const char *text, uint16_t type,
			 int ms, uint8_t *answer)
{
	AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in src = sin_of(from, 0), dst = sin_of(asked_at, 53);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t query[DNS_QUERY_MAX];
	size_t len = question_make(text, type, query);
	ssize_t n;

	assert_int_equal(bind(fd, (struct sockaddr *)&src, sizeof(src)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&dst, sizeof(dst)), 0);
	if (send(fd, query, len, 0) < 0 || poll(&p, 1, ms) <= 0)
		return 0;
	n = recv(fd, answer, DNS_UDP_MAX, 0);
	return n > 0 ? (size_t)n : 0;
}

static inline int rcode_in(const char *from, const char *text, uint16_t type,
			   int ms)
{
	uint8_t answer[DNS_UDP_MAX];

	return ask(from, text, type, ms, answer) ? answer[3] & 15 : -1;
}

static inline int rcode_of(const char *from, const char *text, uint16_t type)
{
	return rcode_in(from, text, type, ANSWER_MS);
}

/* The first address in the answer, or "-". */
static inline const char *address_in(const char *from, const char *text, int ms)
{
	static char out[IP_STRLEN];
	uint8_t answer[DNS_UDP_MAX];
	struct in_addr in;
	size_t at, len = ask(from, text, ns_t_a, ms, answer);

	if (!len || !answer[7])
		return "-";
	at = DNS_HEADER_LEN;
	while (answer[at])
		at += answer[at] + 1u;
	at += 5 + 12;
	memcpy(&in, answer + at, sizeof(in));
	return inet_ntop(AF_INET, &in, out, sizeof(out));
}

static inline const char *address_of(const char *from, const char *text)
{
	return address_in(from, text, ANSWER_MS);
}

/*
 * Until the server answers so: it has been told by then, which takes the loop;
 * a question is not waited for long, as nothing runs meanwhile.
 */
static inline void wait_address(struct ev_loop *loop, const char *from,
				const char *name, const char *addr)
{
	int64_t end = mono_ms() + 5000;

	while (!str_eq(address_in(from, name, 50), addr) && mono_ms() < end)
		loop_step(loop);
	assert_string_equal(address_of(from, name), addr);
}

static inline void wait_rcode(struct ev_loop *loop, const char *from,
			      const char *name, int rcode)
{
	int64_t end = mono_ms() + 5000;

	while (rcode_in(from, name, ns_t_a, 50) != rcode && mono_ms() < end)
		loop_step(loop);
	assert_int_equal(rcode_of(from, name, ns_t_a), rcode);
}

static inline void open_told(struct ev_loop *loop,
			     const struct dns_config *config, struct dns **ret)
{
	assert_int_equal(dns_open(loop, config, ret), 0);
	content_tell(*ret);
	wait_address(loop, POD, "redis", "10.99.0.77");
}

static inline int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static inline int teardown(void **state)
{
	AUTO(str_freep) char *resolv = xasprintf("%s/resolv.conf", dir);

	(void)state;
	dns_remove(dir);
	unlink(resolv);
	rmdir(dir);
	return 0;
}

/* Call first in main(). */
static inline void dns_live_enter(void)
{
	own_net_enter();
	address_add("lo", "127.0.0.1");
	address_add("lo:1", GATEWAY);
	address_add("lo:2", POD);
	address_add("lo:3", STRANGER);
	address_add("lo:4", UPSTREAM);
	address_add("lo:5", UPSTREAM_DEAD);
	address_add("lo:6", UPSTREAM_LOOP);
}
