/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a socket believes to talk to: the address that it asked for, however
 * many others ask, whatever else it asked before, and whoever of netd lives.
 */
#include "live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "load.h"
#include "netd.skel.h"

#define POD_A "10.1.0.10"
#define POD_B "10.1.0.11"
/* Two services of two backends, which are two ports of one pod. */
#define VIP "10.80.0.5"
#define VIP_2 "10.80.0.12"

static struct world world;
static struct world *const w = &world;

static void put_all(void)
{
	world_tables(w);
	world_pod(w, "a", BLUE, POD_A, MAC_A, ns_cookie("a"));
	world_pod(w, "b", BLUE, POD_B, MAC_B, ns_cookie("b"));
	OK(ebpf_pod_del(w->bpf, "a2"));
	OK(ebpf_host_put(w->bpf, ns_cookie(NULL)));
	world_frontend(w, BLUE, VIP_2, 53, 17,
		       backend(BLUE, POD_B, 5354, NULL));
}

/* The next daemon: the last one's programs go on until it has begun. */
static void reopen(void)
{
	world_open(w);
	OK(ebpf_audit_begin(w->bpf));
	put_all();
	OK(ebpf_audit_end(w->bpf));
	OK(ebpf_start(w->bpf));
}

/* Its answers to a socket come from whom that asked. */
static void answer(int server, int fd, const char *from)
{
	struct sockaddr_storage s;
	socklen_t len = sizeof(s);
	char c;

	assert_true(sock_ready(server, WAIT_MS));
	assert_int_equal(
		recvfrom(server, &c, 1, 0, (struct sockaddr *)&s, &len), 1);
	assert_int_equal(sendto(server, "r", 1, 0, (struct sockaddr *)&s, len),
			 1);
	sock_expect(fd, "r", from, 53);
}

/* Sockets that come and go, each with a place in a table that had places. */
static void crowd(size_t n)
{
	const struct sockaddr_in vip = inet4(VIP, 53);

	ns_enter("a");
	for (size_t i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		assert_int_equal(connect(fd, (const struct sockaddr *)&vip,
					 sizeof(vip)),
				 0);
		close(fd);
	}
	ns_enter(NULL);
}

static void test_crowd(void **state)
{
	int listener = sock("b", SOCK_STREAM, POD_B, 8080);
	int server = sock("b", SOCK_DGRAM, POD_B, 5353);
	int tcp = sock("a", SOCK_STREAM, POD_A, 0);
	int udp = sock("a", SOCK_DGRAM, POD_A, 0);
	int open_end = sock("a", SOCK_DGRAM, POD_A, 0);

	(void)state;
	assert_int_equal(sock_connect(tcp, VIP, 80), 0);
	assert_int_equal(sock_connect(udp, VIP, 53), 0);
	sock_send(open_end, VIP, 53, "o");
	crowd(2 * ABI_PEERS_MAX);
	sock_expect_peer(tcp, VIP, 80);
	sock_expect_peer(udp, VIP, 53);
	answer(server, open_end, VIP);
	assert_int_equal(send(udp, "q", 1, 0), 1);
	answer(server, udp, VIP);
	close(open_end);
	close(udp);
	close(tcp);
	close(server);
	close(listener);
}

/* One socket asks two services, and both answer late. */
static void test_two_backends(void **state)
{
	int server = sock("b", SOCK_DGRAM, POD_B, 5353);
	int other = sock("b", SOCK_DGRAM, POD_B, 5354);
	int fd = sock("a", SOCK_DGRAM, POD_A, 0);

	(void)state;
	for (int i = 0; i < 2; i++) {
		sock_send(fd, VIP, 53, "1");
		sock_send(fd, VIP_2, 53, "2");
		answer(other, fd, VIP_2);
		answer(server, fd, VIP);
	}
	close(fd);
	close(other);
	close(server);
}

/* A socket that is connected again, then to nobody, then once more. */
static void test_connect_again(void **state)
{
	static const struct {
		const char *to;
		uint16_t port;
	} rows[] = { { VIP, 53 },     { VIP_2, 53 }, { VIP, 53 },
		     { POD_B, 5353 }, { VIP, 53 },   { POD_B, 5354 },
		     { VIP_2, 53 } };
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int server = sock("b", SOCK_DGRAM, POD_B, 5353);
	int fd = sock("a", SOCK_DGRAM, POD_A, 7003);
	struct sockaddr_storage s;
	socklen_t len = sizeof(s);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(sock_connect(fd, rows[i].to, rows[i].port), 0);
		sock_expect_peer(fd, rows[i].to, rows[i].port);
	}
	assert_int_equal(connect(fd, &nobody, sizeof(nobody)), 0);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&s, &len), -1);
	sock_send(fd, VIP, 53, "q");
	answer(server, fd, VIP);
	assert_int_equal(sock_connect(fd, VIP_2, 53), 0);
	sock_expect_peer(fd, VIP_2, 53);
	close(fd);
	close(server);
}

/* No backend; a backend that refuses; then one that takes it. */
static void test_connect_refused(void **state)
{
	int listener = sock("b", SOCK_STREAM, POD_B, 8080);
	int fd = sock("a", SOCK_STREAM, POD_A, 0);

	(void)state;
	assert_int_equal(sock_connect(fd, "10.80.0.7", 80), -ECONNREFUSED);
	assert_int_equal(sock_connect(fd, "10.80.0.6", 80), -ECONNREFUSED);
	assert_int_equal(sock_connect(fd, VIP, 80), 0);
	sock_expect_peer(fd, VIP, 80);
	close(fd);
	close(listener);
}

/* Without a netd, and with the next one. */
static void test_restart(void **state)
{
	int listener = sock("b", SOCK_STREAM, POD_B, 8080);
	int server = sock("b", SOCK_DGRAM, POD_B, 5353);
	int other = sock("b", SOCK_DGRAM, POD_B, 5354);
	int tcp = sock("a", SOCK_STREAM, POD_A, 0);
	int udp = sock("a", SOCK_DGRAM, POD_A, 0);

	(void)state;
	assert_int_equal(sock_connect(tcp, VIP, 80), 0);
	ebpf_close(w->bpf);
	sock_send(udp, VIP, 53, "1");
	sock_send(udp, VIP_2, 53, "2");
	sock_expect_peer(tcp, VIP, 80);
	reopen();
	sock_expect_peer(tcp, VIP, 80);
	answer(server, udp, VIP);
	answer(other, udp, VIP_2);
	close(udp);
	close(tcp);
	close(other);
	close(server);
	close(listener);
}

/* A build that kept all of them in the table of peers. */
static void test_upgrade(void **state)
{
	int listener = sock("b", SOCK_STREAM, POD_B, 8080);
	int old = sock("a", SOCK_STREAM, POD_A, 0);
	int fd = sock("a", SOCK_STREAM, POD_A, 0);
	AUTO(str_freep)
	char *talks = xstrdup(bpf_map__pin_path(w->bpf->skel->maps.talks));
	struct ip_addr to = ip(POD_B), asked = ip(VIP);
	struct abi_peer_key key = { .addr = abi_addr(&to),
				    .port = htons(8080) };
	struct abi_peer peer = { .addr = abi_addr(&asked), .port = htons(80) };
	socklen_t len = sizeof(key.cookie);

	(void)state;
	assert_int_equal(sock_connect(old, POD_B, 8080), 0);
	assert_int_equal(
		getsockopt(old, SOL_SOCKET, SO_COOKIE, &key.cookie, &len), 0);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(w->bpf->skel->maps.peers), &key,
				    &peer, BPF_ANY),
		0);
	ebpf_close(w->bpf);
	assert_int_equal(unlink(talks), 0);
	reopen();
	assert_int_equal(sock_connect(fd, VIP, 80), 0);
	sock_expect_peer(fd, VIP, 80);
	sock_expect_peer(old, VIP, 80);
	close(fd);
	close(old);
	close(listener);
}

/* How much a socket may add to itself; kernels before 6.8 have one for all. */
static bool set_room(const char *ns, const char *bytes)
{
	FILE *f;
	bool is_set;

	ns_enter(ns);
	f = fopen("/proc/sys/net/core/optmem_max", "w");
	ns_enter(NULL);
	if (!f)
		return false;
	is_set = fputs(bytes, f) > 0;
	return fclose(f) == 0 && is_set;
}

static void test_no_room(void **state)
{
	int listener = sock("b", SOCK_STREAM, POD_B, 8080);
	int server = sock("b", SOCK_DGRAM, POD_B, 5353);
	int tcp = sock("a", SOCK_STREAM, POD_A, 0);
	int udp = sock("a", SOCK_DGRAM, POD_A, 0);
	bool is_set = set_room("a", "0");

	(void)state;
	if (!is_set)
		goto out;
	assert_int_equal(sock_connect(tcp, VIP, 80), 0);
	sock_expect_peer(tcp, VIP, 80);
	sock_send(udp, VIP, 53, "q");
	answer(server, udp, VIP);
	assert_true(set_room("a", "20480"));
out:
	close(udp);
	close(tcp);
	close(server);
	close(listener);
	if (!is_set)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_two_backends),
		cmocka_unit_test(test_connect_again),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_no_room),
	};

	live_make(w);
	put_all();
	assert_true(ebpf_has_cgroup(w->bpf));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
