/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "netd/util.h"
#include "netns.h"
#include "own_net.h"

static char dir[] = "/tmp/netd-test-ns.XXXXXX";
static char sub[64];

static int setup_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(sub, sizeof(sub), "%s/ns", dir);
	return 0;
}

static int teardown_dir(void **state)
{
	(void)state;
	return rmdir(sub) || rmdir(dir);
}

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", sub, name);
	return path;
}

static void test_add_open_del(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(netns_add(sub, "pod.one"), 0);
	assert_int_equal(netns_add(sub, "pod.one"), -EEXIST);
	fd = netns_open(sub, "pod.one");
	assert_true(fd >= 0);
	assert_int_equal(netns_check(fd), 0);
	assert_false(netns_is_own(fd));
	close(fd);
	assert_int_equal(netns_del(sub, "pod.one"), 0);
	assert_int_equal(netns_del(sub, "pod.one"), 0);
	assert_int_equal(netns_open(sub, "pod.one"), -ENOENT);
	assert_int_not_equal(access(path_of("pod.one"), F_OK), 0);
}

static void test_add_replaces_plain_file(void **state)
{
	int fd;

	(void)state;
	mkdir(sub, 0755);
	fd = open(path_of("left"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(netns_open(sub, "left"), -EINVAL);
	assert_int_equal(netns_add(sub, "left"), 0);
	fd = netns_open(sub, "left");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(netns_del(sub, "left"), 0);
}

/* Something else mounted over the name makes unlink() say EBUSY. */
static void test_add_replaces_other_mount(void **state)
{
	int fd;

	(void)state;
	mkdir(sub, 0755);
	fd = open(path_of("busy"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(
		mount("/dev/null", path_of("busy"), NULL, MS_BIND, NULL), 0);
	assert_int_equal(netns_add(sub, "busy"), 0);
	assert_int_equal(netns_del(sub, "busy"), 0);
}

static void test_del_stacked_mounts(void **state)
{
	(void)state;
	assert_int_equal(netns_add(sub, "twice"), 0);
	assert_int_equal(mount(path_of("twice"), path_of("twice"), NULL,
			       MS_BIND, NULL),
			 0);
	assert_int_equal(netns_del(sub, "twice"), 0);
	assert_int_equal(netns_open(sub, "twice"), -ENOENT);
}

static void test_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "../a" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(netns_add(sub, bad[i]), -EINVAL);
		assert_int_equal(netns_del(sub, bad[i]), -EINVAL);
		assert_int_equal(netns_open(sub, bad[i]), -EINVAL);
	}
}

/* A symbolic link is followed neither to open nor to unmount. */
static void test_open_no_link(void **state)
{
	(void)state;
	mkdir(sub, 0755);
	assert_int_equal(symlink("/proc/self/ns/net", path_of("sym")), 0);
	assert_int_equal(netns_open(sub, "sym"), -ELOOP);
	assert_int_equal(netns_del(sub, "sym"), 0);
}

static void test_check_other_kinds(void **state)
{
	AUTO(fd_closep) int net = open("/proc/self/ns/net", O_RDONLY);
	AUTO(fd_closep) int mnt = open("/proc/self/ns/mnt", O_RDONLY);
	AUTO(fd_closep) int file = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(netns_check(net), 0);
	assert_true(netns_is_own(net));
	assert_int_equal(netns_check(mnt), -EINVAL);
	assert_int_equal(netns_check(file), -EINVAL);
	assert_int_equal(netns_check(-1), -EINVAL);
}

static int look_inside(void *arg)
{
	int fd = *(int *)arg;

	return netns_is_own(fd) ? 42 : -1;
}

static void test_run_comes_back(void **state)
{
	AUTO(fd_closep) int own = open("/proc/self/ns/net", O_RDONLY);
	AUTO(fd_closep) int there = own_net_other();

	(void)state;
	assert_int_equal(netns_run(there, look_inside, &there), 42);
	assert_true(netns_is_own(own));
	assert_int_equal(netns_run(-1, look_inside, &there), -EBADF);
	assert_true(netns_is_own(own));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_open_del),
		cmocka_unit_test(test_add_replaces_plain_file),
		cmocka_unit_test(test_add_replaces_other_mount),
		cmocka_unit_test(test_del_stacked_mounts),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_open_no_link),
		cmocka_unit_test(test_check_other_kinds),
		cmocka_unit_test(test_run_comes_back),
	};

	own_net_enter();
	return cmocka_run_group_tests(tests, setup_dir, teardown_dir);
}
