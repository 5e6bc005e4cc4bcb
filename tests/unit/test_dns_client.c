/* SPDX-License-Identifier: Apache-2.0 */
/* What netd tells the server, message by message; resolv.conf. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "netd/util.h"
#include "proto.h"
#include "resolv.h"
#include "shadow.h"

struct fixture {
	struct shadow *shadow;
	int ours;
	int theirs;
	struct proto_msg msg;
	struct packed packed;
};

static int setup(void **state)
{
	struct fixture *f = xzalloc(sizeof(*f));
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0, pair))
		return -1;
	f->shadow = shadow_new();
	f->ours = pair[0];
	f->theirs = pair[1];
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	shadow_free(f->shadow);
	close(f->ours);
	close(f->theirs);
	free(f);
	return 0;
}

/* Sends the queue's first and reads it as the server does. */
static enum proto_type told(struct fixture *f)
{
	assert_false(shadow_is_told(f->shadow));
	assert_int_equal(shadow_tell_one(f->shadow, f->ours), 0);
	assert_int_equal(proto_recv(f->theirs, &f->msg), 0);
	if (f->msg.head.type == PROTO_NAME_PUT)
		assert_int_equal(packed_read(f->msg.body.name, f->msg.head.len,
					     &f->packed),
				 0);
	if (f->msg.head.type == PROTO_NAME_DEL) {
		struct rbuf r = rbuf_make(f->msg.body.name, f->msg.head.len);

		assert_int_equal(packed_read_key(&r, &f->packed.want), 0);
		assert_int_equal(rbuf_left(&r), 0);
	}
	return f->msg.head.type;
}

static int name_put(struct fixture *f, const char *name, const char *addr)
{
	struct want_name want = { .vni = 7,
				  .kind = NAME_POD,
				  .ttl = 5,
				  .addrs_len = 1,
				  .ports_len = 1,
				  .ports = { { .port = 80, .proto = 6 } } };
	struct ip_addr a;

	str_copy(want.name, sizeof(want.name), name);
	assert_int_equal(ip_parse(addr, &a), 0);
	return shadow_name_put(f->shadow, &want, &a, NULL);
}

static void test_shadow_name(void **state)
{
	struct fixture *f = *state;
	const struct want_name *want = &f->packed.want;

	assert_int_equal(name_put(f, "Web", "10.0.0.1"), 1);
	assert_int_equal(told(f), PROTO_NAME_PUT);
	assert_string_equal(want->name, "web");
	assert_int_equal(want->addrs_len, 1);
	assert_int_equal(want->ports[0].port, 80);
	assert_int_equal(f->packed.addrs[0].b[15], 1);
	assert_true(shadow_is_told(f->shadow));
	/* The same again is nothing; many changes are one message. */
	assert_int_equal(name_put(f, "web", "10.0.0.1"), 0);
	assert_int_equal(name_put(f, "web", "10.0.0.2"), 1);
	assert_int_equal(name_put(f, "web", "10.0.0.3"), 1);
	assert_int_equal(told(f), PROTO_NAME_PUT);
	assert_int_equal(f->packed.addrs[0].b[15], 3);
	assert_true(shadow_is_told(f->shadow));
	/* Deleted, back before it was told, deleted. */
	assert_true(shadow_name_del(f->shadow, 7, NAME_POD, "web"));
	assert_int_equal(name_put(f, "web", "10.0.0.4"), 1);
	assert_int_equal(told(f), PROTO_NAME_PUT);
	assert_true(shadow_name_del(f->shadow, 7, NAME_POD, "WEB"));
	assert_int_equal(told(f), PROTO_NAME_DEL);
	assert_string_equal(f->packed.want.name, "web");
	assert_false(shadow_name_del(f->shadow, 7, NAME_POD, "web"));
	assert_true(shadow_is_told(f->shadow));
}

static void test_shadow_name_limits(void **state)
{
	struct fixture *f = *state;
	struct want_name want = { .vni = 7,
				  .name = "x",
				  .addrs_len = NAME_ADDRS_MAX };
	static struct ip_addr addrs[NAME_ADDRS_MAX];

	assert_int_equal(shadow_name_put(f->shadow, &want, addrs, NULL), 1);
	assert_int_equal(told(f), PROTO_NAME_PUT);
	assert_int_equal(f->packed.want.addrs_len, NAME_ADDRS_MAX);
	want.addrs_len++;
	assert_int_equal(shadow_name_put(f->shadow, &want, addrs, NULL),
			 -E2BIG);
}

/* Two descriptors for a gateway, given to the shadow. */
static void open_at(struct fixture *f, uint32_t vni,
		    const struct ip_addr *gateway)
{
	int fds[2] = { open("/dev/null", O_RDONLY | O_CLOEXEC),
		       open("/dev/null", O_RDONLY | O_CLOEXEC) };

	shadow_zone_open(f->shadow, vni, gateway, fds, false);
	assert_int_equal(fds[0], -1);
}

/* The sockets of this gateway were sent behind their zone. */
static void expect_open(struct fixture *f, uint32_t vni,
			const struct ip_addr *gateway)
{
	assert_int_equal(proto_recv(f->theirs, &f->msg), 0);
	assert_int_equal(f->msg.head.type, PROTO_ZONE_OPEN);
	assert_int_equal(f->msg.body.sockets.vni, vni);
	assert_true(ip_eq(&f->msg.body.sockets.gateway, gateway));
	assert_true(f->msg.fds[0] >= 0);
	proto_fds_close(f->msg.fds);
}

static void test_shadow_zone_sockets(void **state)
{
	struct fixture *f = *state;
	struct want_zone want = { .vni = 7, .name = "blue", .ranges_len = 1 };
	struct ip_addr *gateway = &want.ranges[0].gateway;
	int fds[2] = { -1, -1 };

	assert_int_equal(ip_parse("10.0.0.1", gateway), 0);
	assert_true(shadow_zone_put(f->shadow, &want));
	assert_false(shadow_zone_is_open(f->shadow, 7, gateway));
	open_at(f, 7, gateway);
	assert_int_equal(told(f), PROTO_ZONE_PUT);
	expect_open(f, 7, gateway);
	/* Told once; again to a server that knows nothing. */
	assert_false(shadow_zone_put(f->shadow, &want));
	want.internal = true;
	assert_true(shadow_zone_put(f->shadow, &want));
	assert_int_equal(told(f), PROTO_ZONE_PUT);
	assert_true(shadow_is_told(f->shadow));
	shadow_tell_all(f->shadow, true);
	assert_int_equal(told(f), PROTO_ZONE_PUT);
	expect_open(f, 7, gateway);
	/* A network made anew on the address takes the sockets over. */
	assert_true(shadow_zone_del(f->shadow, 7));
	want.vni = 8;
	assert_true(shadow_zone_put(f->shadow, &want));
	assert_true(shadow_zone_take_dead(f->shadow, gateway, fds));
	shadow_zone_open(f->shadow, 8, gateway, fds, false);
	assert_int_equal(told(f), PROTO_ZONE_DEL);
	assert_int_equal(told(f), PROTO_ZONE_PUT);
	expect_open(f, 8, gateway);
	assert_true(shadow_zone_is_open(f->shadow, 8, gateway));
	assert_false(shadow_zone_is_open(f->shadow, 7, gateway));
}

/* A gateway of each family; one that is given up is shut, the other is not. */
static void test_shadow_zone_families(void **state)
{
	struct fixture *f = *state;
	struct want_zone want = { .vni = 7, .name = "blue", .ranges_len = 2 };
	struct ip_addr v4, v6;

	assert_int_equal(ip_parse("10.0.0.1", &v4), 0);
	assert_int_equal(ip_parse("fd00::1", &v6), 0);
	want.ranges[0].gateway = v4;
	want.ranges[1].gateway = v6;
	assert_true(shadow_zone_put(f->shadow, &want));
	open_at(f, 7, &v4);
	open_at(f, 7, &v6);
	assert_int_equal(told(f), PROTO_ZONE_PUT);
	expect_open(f, 7, &v4);
	expect_open(f, 7, &v6);
	want.ranges_len = 1;
	want.ranges[0].gateway = v6;
	assert_true(shadow_zone_put(f->shadow, &want));
	assert_int_equal(told(f), PROTO_ZONE_PUT);
	assert_true(shadow_is_told(f->shadow));
	assert_false(shadow_zone_is_open(f->shadow, 7, &v4));
	assert_true(shadow_zone_is_open(f->shadow, 7, &v6));
}

static void test_shadow_audit(void **state)
{
	struct fixture *f = *state;
	struct want_client client = { .vni = { 7 }, .vni_len = 1 };

	client.addr = ip_from_v4(1);
	name_put(f, "a", "10.0.0.1");
	name_put(f, "b", "10.0.0.1");
	shadow_client_put(f->shadow, &client);
	for (int i = 0; i < 3; i++)
		told(f);
	shadow_audit_begin(f->shadow);
	assert_int_equal(name_put(f, "b", "10.0.0.1"), 0);
	shadow_audit_end(f->shadow);
	assert_int_equal(told(f), PROTO_NAME_DEL);
	assert_string_equal(f->packed.want.name, "a");
	assert_int_equal(told(f), PROTO_CLIENT_DEL);
	assert_true(shadow_is_told(f->shadow));
}

/* Zones with servers, addresses of networks: told once, by key forgotten. */
static void test_shadow_plain(void **state)
{
	struct fixture *f = *state;
	struct want_upstream up = { .zone = "Corp.example",
				    .servers_len = 1,
				    .servers = { { .port = 53 } } };
	struct want_reverse reverse = { .vni = 9, .len = 1 };

	up.servers[0].addr = ip_from_v4(1);
	assert_int_equal(prefix_parse("10.9.0.0/16", &reverse.prefixes[0]), 0);
	assert_true(shadow_stub_put(f->shadow, &up));
	assert_int_equal(told(f), PROTO_STUB_PUT);
	assert_string_equal(f->msg.body.stub.zone, "corp.example");
	assert_int_equal(f->msg.body.stub.servers[0].port, 53);
	assert_false(shadow_stub_put(f->shadow, &up));
	up.servers[0].port = 54;
	assert_true(shadow_stub_put(f->shadow, &up));
	assert_int_equal(told(f), PROTO_STUB_PUT);
	assert_true(shadow_reverse_put(f->shadow, &reverse));
	assert_false(shadow_reverse_put(f->shadow, &reverse));
	assert_int_equal(told(f), PROTO_REVERSE_PUT);
	assert_int_equal(f->msg.body.reverse.vni, 9);
	assert_false(shadow_stub_del(f->shadow, 1, "corp.example"));
	assert_true(shadow_stub_del(f->shadow, 0, "CORP.example"));
	assert_int_equal(told(f), PROTO_STUB_DEL);
	assert_string_equal(f->msg.body.stub_key.zone, "corp.example");
	assert_true(shadow_reverse_del(f->shadow, 9));
	assert_int_equal(told(f), PROTO_REVERSE_DEL);
	assert_int_equal(f->msg.body.vni.vni, 9);
	assert_true(shadow_is_told(f->shadow));
}

static void test_shadow_full_socket(void **state)
{
	struct fixture *f = *state;
	char name[16];
	int sent = 0, err = 0, got = 0;

	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(name_put(f, name, "10.0.0.1"), 1);
	}
	while (!shadow_is_told(f->shadow) && !err)
		if (!(err = shadow_tell_one(f->shadow, f->ours)))
			sent++;
	assert_int_equal(err, -EAGAIN);
	/* Nothing is lost, nothing is sent twice. */
	while (got < 2000) {
		while (proto_recv(f->theirs, &f->msg) == 0)
			got++;
		while (!shadow_is_told(f->shadow) &&
		       !shadow_tell_one(f->shadow, f->ours))
			sent++;
	}
	assert_int_equal(sent, 2000);
	assert_int_equal(got, 2000);
}

static void test_proto_recv_bad(void **state)
{
	static const struct proto_head heads[] = {
		{ PROTO_MAX, 0 },      { UINT32_MAX, 0 },
		{ PROTO_QUIT, 1 },     { PROTO_HELLO, 0 },
		{ PROTO_NAME_PUT, 0 }, { PROTO_BEGIN, UINT32_MAX },
	};
	struct fixture *f = *state;
	int fds[2] = { f->ours, f->theirs };

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		assert_int_equal(write(f->ours, &heads[i], sizeof(heads[i])),
				 sizeof(heads[i]));
		assert_int_equal(proto_recv(f->theirs, &f->msg), -EBADMSG);
	}
	assert_int_equal(write(f->ours, heads, 3), 3);
	assert_int_equal(proto_recv(f->theirs, &f->msg), -EBADMSG);
	/* Descriptors with what has none. */
	assert_int_equal(proto_send(f->ours, PROTO_BEGIN, NULL, 0, fds), 0);
	assert_int_equal(proto_recv(f->theirs, &f->msg), -EBADMSG);
	assert_int_equal(f->msg.fds[0], -1);
	shutdown(f->ours, SHUT_WR);
	assert_int_equal(proto_recv(f->theirs, &f->msg), -ECONNRESET);
}

static void test_resolv_parse(void **state)
{
	static const char text[] = "# nameserver 10.0.0.1\n"
				   "nameserver 10.0.0.2\n"
				   "nameserver\t10.0.0.3 # the other\r\n"
				   "nameserver10.0.0.4\n"
				   "nameserver 10.0.0.2\n"
				   "search example.com\n"
				   "nameserver fe80::1%eth0\n"
				   "nameserver nonsense\n"
				   "nameserver\n"
				   "nameserver fd00::1\n"
				   "options ndots:1\n"
				   "nameserver 10.0.0.5";
	static const char *const expected[] = { "10.0.0.2", "10.0.0.3",
						"fd00::1", "10.0.0.5" };
	struct ip_addr addrs[8];
	char buf[IP_STRLEN];

	(void)state;
	assert_int_equal(resolv_parse(text, addrs, ARRAY_LEN(addrs)),
			 ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_string_equal(ip_str(&addrs[i], buf), expected[i]);
	assert_int_equal(resolv_parse(text, addrs, 2), 2);
	assert_int_equal(resolv_parse("", addrs, 2), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_shadow_name),		TEST(test_shadow_name_limits),
		TEST(test_shadow_zone_sockets), TEST(test_shadow_zone_families),
		TEST(test_shadow_audit),	TEST(test_shadow_plain),
		TEST(test_shadow_full_socket),	TEST(test_proto_recv_bad),
		TEST(test_resolv_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
