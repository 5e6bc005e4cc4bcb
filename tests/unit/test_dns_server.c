/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netd-dns and netd: content and answers, deaths on either side, adoption,
 * replacement, privileges.
 */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "child.h"
#include "dns_live.h"
#include "proto.h"

static bool is_running(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static bool wait_gone(pid_t pid)
{
	int64_t end = mono_ms() + 2000;

	while (is_running(pid) && mono_ms() < end)
		usleep(1000);
	return !is_running(pid);
}

static void test_answers(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct dns *dns;
	uint8_t buf[DNS_UDP_MAX];

	(void)state;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	assert_true(dns_pid(dns) > 0);
	content_tell(dns);
	wait_address(loop, POD, "redis", "10.99.0.77");
	assert_string_equal(address_of(POD, "redis.default"), "10.99.0.77");
	assert_string_equal(address_of(POD, "Redis.Default.svc.Cluster.local"),
			    "10.99.0.77");
	assert_string_equal(address_of(POD, "web.one.default"), POD);
	assert_int_equal(rcode_of(POD, "redis", ns_t_aaaa), ns_r_noerror);
	assert_int_equal(rcode_of(POD, "nosuch", ns_t_a), ns_r_nxdomain);
	assert_int_equal(rcode_of(POD, "nosuch.default", ns_t_a),
			 ns_r_nxdomain);
	assert_int_equal(rcode_of(POD, "77.0.99.10.in-addr.arpa", ns_t_ptr),
			 ns_r_noerror);
	assert_true(ask(POD, "77.0.99.10.in-addr.arpa", ns_t_ptr, 1000, buf));
	assert_int_equal(buf[7], 1);
	assert_int_equal(rcode_of(STRANGER, "redis", ns_t_a), ns_r_refused);
	assert_string_equal(address_of("127.0.0.1", "redis.default"),
			    "10.99.0.77");
	dns_close(dns);
	ev_loop_destroy(loop);
}

static void test_adopted_after_close(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct dns *dns;
	int pid;

	(void)state;
	/* Nobody is there, and it answers. */
	assert_string_equal(address_of(POD, "redis.default"), "10.99.0.77");
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	pid = dns_pid(dns);
	/* Before it is told again it knows what it knew. */
	wait_while(loop,
		   str_eq(address_of(POD, "redis.default"), "10.99.0.77") &&
			   rcode_of(POD, "nosuch", ns_t_a) == ns_r_nxdomain,
		   50);
	content_tell(dns);
	dns_name_del(dns, VNI, NAME_SERVICE, "redis");
	wait_rcode(loop, POD, "redis", ns_r_nxdomain);
	assert_int_equal(dns_pid(dns), pid);
	name_tell(dns, NAME_SERVICE, "redis", "10.99.0.77");
	wait_address(loop, POD, "redis", "10.99.0.77");
	dns_close(dns);
	ev_loop_destroy(loop);
}

/* A netd in a process of its own, until it is killed; says who serves. */
static void parent_run(const struct dns_config *config, int fd)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns *dns;
	int pid;

	/* No longer than the test, should that fail. */
	alarm(30);
	if (dns_open(loop, config, &dns))
		_exit(1);
	content_tell(dns);
	while (!str_eq(address_in(POD, "redis", 50), "10.99.0.77"))
		loop_step(loop);
	pid = dns_pid(dns);
	if (write(fd, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	for (;;)
		loop_step(loop);
}

/* Killed without a word. */
static void test_parent_killed(void **state)
{
	struct dns_config config = config_of();
	pid_t parent, server = 0;
	int ends[2];

	(void)state;
	assert_int_equal(dns_remove(dir), 0);
	assert_int_equal(pipe(ends), 0);
	parent = fork();
	if (parent == 0)
		parent_run(&config, ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &server, sizeof(server)),
			 sizeof(server));
	for (int i = 0; i < 200; i++) {
		if (i == 50)
			kill(parent, SIGKILL);
		assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	}
	waitpid(parent, NULL, 0);
	assert_true(is_running(server));
	close(ends[0]);
}

static void test_server_killed(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct dns *dns;
	int pid;

	(void)state;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	/* Adopted from the test before: the sockets were handed back. */
	for (int i = 0; i < 2; i++) {
		pid = dns_pid(dns);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_true(wait_gone(pid));
		wait_for(loop, dns_pid(dns) > 0 && dns_pid(dns) != pid, 5000);
		wait_address(loop, POD, "redis", "10.99.0.77");
		assert_int_equal(rcode_of(POD, "nosuch", ns_t_a),
				 ns_r_nxdomain);
	}
	dns_close(dns);
	ev_loop_destroy(loop);
}

/* An address of the loopback, for the programs of this host. */
static void test_listen(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct want_client host = { .host = true };
	struct sockaddr_in sin = sin_of("127.0.0.55", 53);
	struct dns *dns;
	int fd, pid;

	(void)state;
	/* Somebody else's: that is said, and all else goes on. */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	config.listen = ip("127.0.0.55");
	host.addr = ip("127.0.0.1");
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	assert_int_equal(dns_client_put(dns, &host), 0);
	wait_for(loop, dns_listen_error(dns) == -EADDRINUSE, 5000);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	close(fd);
	/* Tried again every few seconds. */
	wait_for(loop, dns_listen_error(dns) == 0, 10000);
	asked_at = "127.0.0.55";
	wait_address(loop, "127.0.0.1", "redis", "10.99.0.77");
	/* It goes from netd to netd, and from server to server. */
	pid = dns_pid(dns);
	dns_close(dns);
	assert_string_equal(address_of("127.0.0.1", "redis"), "10.99.0.77");
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	assert_int_equal(dns_client_put(dns, &host), 0);
	wait_while(loop, dns_listen_error(dns) == 0, 200);
	assert_int_equal(dns_pid(dns), pid);
	assert_string_equal(address_of("127.0.0.1", "redis"), "10.99.0.77");
	kill(pid, SIGKILL);
	wait_for(loop, dns_pid(dns) > 0 && dns_pid(dns) != pid, 5000);
	wait_address(loop, "127.0.0.1", "redis", "10.99.0.77");
	dns_close(dns);
	/* Not wanted any more. */
	config.listen = (struct ip_addr){ { 0 } };
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	wait_address(loop, "127.0.0.1", "redis", "-");
	asked_at = GATEWAY;
	dns_close(dns);
	ev_loop_destroy(loop);
}

static void test_removed(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct dns *dns;
	int pid;

	(void)state;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	pid = dns_pid(dns);
	dns_close(dns);
	assert_int_equal(dns_remove(dir), 0);
	assert_true(wait_gone(pid));
	assert_int_equal(dns_remove(dir), 0);
	/* The address is free for the next one. */
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	/* A network made anew under another number keeps its address. */
	assert_int_equal(dns_zone_del(dns, VNI), 0);
	content_tell(dns);
	wait_address(loop, POD, "redis", "10.99.0.77");
	pid = dns_pid(dns);
	dns_close(dns);
	ev_loop_destroy(loop);
	assert_int_equal(dns_remove(dir), 0);
	assert_true(wait_gone(pid));
}

static void status_of(pid_t pid, const char *key, char *value, size_t size)
{
	AUTO(str_freep) char *path = xasprintf("/proc/%d/status", pid);
	AUTO(str_freep) char *text = NULL;
	AUTO(str_freep) char *line = xasprintf("\n%s:\t", key);
	const char *at;

	assert_int_equal(file_read(path, 65536, &text), 0);
	at = strstr(text, line);
	assert_non_null(at);
	at += strlen(line);
	snprintf(value, size, "%.*s", (int)strcspn(at, "\t\n"), at);
}

static void test_privileges(void **state)
{
	static const struct {
		const char *key;
		const char *value;
	} cases[] = {
		{ "CapEff", "0000000000000000" },
		{ "CapPrm", "0000000000000000" },
		{ "CapBnd", "0000000000000000" },
		{ "NoNewPrivs", "1" },
		{ "Seccomp", "2" },
		{ "Groups", " " },
	};
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	char value[64];
	struct dns *dns;

	(void)state;
	open_told(loop, &config, &dns);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		status_of(dns_pid(dns), cases[i].key, value, sizeof(value));
		assert_string_equal(value, cases[i].value);
	}
	status_of(dns_pid(dns), "Uid", value, sizeof(value));
	assert_true(atoi(value) > 0);
	assert_int_not_equal(atoi(value), 65534);
	/* Init's child, in a session of its own. */
	assert_int_equal(getsid(dns_pid(dns)) == getsid(0), 0);
	dns_close(dns);
	ev_loop_destroy(loop);
}

/* A server of an older version: hands its sockets over when greeted. */
static void old_server_run(int listener, const int sockets[2], int ready)
{
	static struct proto_msg msg;
	struct proto_sockets what = { .vni = VNI };
	struct proto_hello hello;
	int fd;

	what.gateway = ip(GATEWAY);
	listen(listener, 1);
	if (write(ready, "", 1) != 1)
		_exit(1);
	/* A look whether anybody listens says nothing. */
	while ((fd = accept(listener, NULL, NULL)) >= 0 && proto_recv(fd, &msg))
		close(fd);
	proto_hello_fill(&hello, 1);
	str_copy(hello.build, sizeof(hello.build), "0.0.0-old");
	if (msg.head.type != PROTO_HELLO ||
	    proto_send(fd, PROTO_HELLO, &hello, sizeof(hello), NULL) ||
	    proto_send(fd, PROTO_SOCKETS, &what, sizeof(what), sockets))
		_exit(2);
	if (proto_recv(fd, &msg) || msg.head.type != PROTO_QUIT)
		_exit(3);
	_exit(0);
}

static void test_other_version(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct dns_config config = config_of();
	struct sockaddr_un {
		sa_family_t family;
		char path[108];
	} sun = { .family = AF_UNIX };
	struct sockaddr_in sin = sin_of(GATEWAY, 53);
	int sockets[2], ready[2], listener, status;
	struct dns *dns;
	pid_t old, ended = 0;
	char c;

	(void)state;
	assert_int_equal(dns_remove(dir), 0);
	sockets[0] =
		socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	sockets[1] =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	for (int i = 0, on = 1; i < 2; i++) {
		setsockopt(sockets[i], SOL_SOCKET, SO_REUSEADDR, &on, i * 4u);
		assert_int_equal(bind(sockets[i], (struct sockaddr *)&sin,
				      sizeof(sin)),
				 0);
	}
	assert_int_equal(listen(sockets[1], 8), 0);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(sun.path, sizeof(sun.path), "%s/dns.sock", dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&sun, sizeof(sun)),
			 0);
	assert_int_equal(pipe(ready), 0);
	old = fork();
	if (old == 0)
		old_server_run(listener, sockets, ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(listener);
	close(sockets[0]);
	close(sockets[1]);

	assert_int_equal(dns_open(loop, &config, &dns), 0);
	assert_int_not_equal(dns_pid(dns), old);
	/* Until ours knows everything the old one has the sockets. */
	wait_while(loop, waitpid(old, NULL, WNOHANG) == 0, 100);
	content_tell(dns);
	wait_for(loop, ended || (ended = waitpid(old, &status, WNOHANG)), 5000);
	assert_int_equal(ended, old);
	assert_int_equal(status, 0);
	assert_string_equal(address_of(POD, "redis"), "10.99.0.77");
	dns_close(dns);
	/* Under its proper name, for the next one. */
	status = 0;
	assert_int_equal(dns_open(loop, &config, &dns), 0);
	content_tell(dns);
	wait_address(loop, POD, "redis", "10.99.0.77");
	dns_close(dns);
	close(ready[0]);
	close(ready[1]);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_adopted_after_close),
		cmocka_unit_test(test_parent_killed),
		cmocka_unit_test(test_server_killed),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_other_version),
	};

	dns_live_enter();
	return cmocka_run_group_tests(tests, setup, teardown);
}
