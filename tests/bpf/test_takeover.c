/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upgrade: this build over what an earlier version of the maps left, and
 * over a table of another size. Connections go on.
 */
#include "live.h"

#include "clients.h"

static uint32_t map_id(const struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &len),
			 0);
	return info.id;
}

/* Version 1's flows had no state: 48 bytes. */
static void make_old_flows(const char *dir)
{
	enum { SIZE = 48 };
	AUTO(str_freep) char *path = xasprintf("%s/flows", dir);
	int now = bpf_obj_get(path);
	int old = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "flows",
				 sizeof(struct abi_flow_key), SIZE,
				 ABI_FLOWS_MAX, NULL);
	struct abi_flow_key key, *at = NULL;
	struct abi_flow flow;

	assert_true(now >= 0 && old >= 0);
	for (; bpf_map_get_next_key(now, at, &key) == 0; at = &key) {
		assert_int_equal(bpf_map_lookup_elem(now, &key, &flow), 0);
		assert_int_equal(bpf_map_update_elem(old, &key, &flow, 0), 0);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bpf_obj_pin(old, path), 0);
	close(now);
	close(old);
}

/* Version 2's pods had one family: 88 bytes. */
static void make_old_pods(const char *dir)
{
	AUTO(str_freep) char *path = xasprintf("%s/pods", dir);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int old = bpf_map_create(BPF_MAP_TYPE_HASH, "pods", sizeof(uint32_t),
				 88, ABI_PODS_MAX, &opts);

	assert_true(old >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bpf_obj_pin(old, path), 0);
	close(old);
}

static void reopen(void)
{
	world_open(w);
	OK(ebpf_audit_begin(w->bpf));
	world_tables(w);
	OK(ebpf_audit_end(w->bpf));
}

static void test_other_version(void **state)
{
	const struct tuple t = tuple(20, 1), between = tuple(20, 2);
	AUTO(str_freep) char *mine = NULL;
	AUTO(str_freep) char *theirs = NULL;
	uint32_t frontends, flows, pods;

	(void)state;
	mine = xasprintf("%s/maps-v%d", w->pin_dir, ABI_VERSION);
	theirs = xasprintf("%s/maps-v%d", w->pin_dir, ABI_VERSION - 1);
	assert_true(ask(&t, SYN, 0));
	frontends = map_id(w->bpf->skel->maps.frontends);
	flows = map_id(w->bpf->skel->maps.flows);
	pods = map_id(w->bpf->skel->maps.pods);
	ebpf_close(w->bpf);
	assert_int_equal(rename(mine, theirs), 0);
	make_old_flows(theirs);
	make_old_pods(theirs);

	reopen();
	assert_int_equal(map_id(w->bpf->skel->maps.frontends), frontends);
	assert_int_not_equal(map_id(w->bpf->skel->maps.flows), flows);
	assert_int_not_equal(map_id(w->bpf->skel->maps.pods), pods);
	/* The backend speaks first. */
	assert_true(answer(&t, SYN | ACK, ISN));
	assert_true(ask(&t, ACK, ISN + 1));

	/* What old programs still write until they are replaced. */
	{
		AUTO(str_freep) char *path = xasprintf("%s/flows", theirs);
		int fd = bpf_obj_get(path);
		struct ip_addr pod = ip(POD), client = ip(between.addr);
		struct ip_addr node = ip(NODE);
		struct abi_flow_key key = { .src = abi_addr(&pod),
					    .dst = abi_addr(&client),
					    .sport = htons(8080),
					    .dport = htons(between.port),
					    .proto = TCP,
					    .side = ABI_SIDE_REVERSE };
		struct abi_flow flow = { .addr = abi_addr(&node),
					 .vtep = abi_addr(&node),
					 .port = htons(8000),
					 .kind = ABI_FLOW_MESH };

		assert_int_equal(bpf_map_update_elem(fd, &key, &flow, 0), 0);
		close(fd);
	}
	assert_false(answer(&between, SYN | ACK, ISN));
	OK(ebpf_start(w->bpf));
	assert_true(answer(&between, SYN | ACK, ISN));
	assert_int_equal(access(theirs, F_OK), -1);
	assert_true(answer(&t, ACK, ISN + 1));
}

/* A build with fewer reasons left its counters. */
static void test_other_reasons(void **state)
{
	const struct bpf_map *drops = w->bpf->skel->maps.drops;
	AUTO(str_freep)
	char *old = xasprintf("%s/drops-1", w->bpf->maps_dir);

	(void)state;
	assert_int_equal(bpf_obj_pin(bpf_map__fd(drops), old), 0);
	ebpf_close(w->bpf);
	reopen();
	assert_int_equal(access(old, F_OK), 0);
	OK(ebpf_start(w->bpf));
	assert_int_not_equal(access(old, F_OK), 0);
	drops = w->bpf->skel->maps.drops;
	assert_int_equal(access(bpf_map__pin_path(drops), F_OK), 0);
}

static void test_other_size(void **state)
{
	const struct tuple t = tuple(20, 3);
	uint64_t before;

	(void)state;
	assert_true(handshake(&t));
	while (ebpf_flows_age(w->bpf))
		;
	before = ebpf_flows(w->bpf).established;
	assert_true(before >= 2);
	ebpf_close(w->bpf);
	w->flows_max = 5000;
	reopen();
	assert_int_equal(ebpf_flows(w->bpf).room, 5000);
	while (ebpf_flows_age(w->bpf))
		;
	assert_int_equal(ebpf_flows(w->bpf).established, before);
	assert_true(answer(&t, ACK, ISN + 1));
	OK(ebpf_start(w->bpf));
	/* The same again: nothing is copied. */
	ebpf_close(w->bpf);
	reopen();
	assert_true(answer(&t, ACK, ISN + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_other_size),
		cmocka_unit_test(test_other_reasons),
	};

	live_enter();
	w->cgroup = live_group;
	world_make(w);
	/* Answers have a way out. */
	sh("ip route add default via 192.0.2.254");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
