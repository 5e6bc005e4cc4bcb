/* SPDX-License-Identifier: Apache-2.0 */
/* netctl and pods' namespaces: handed to netd, and entered. */
#include "netctl_run.h"

#include <sched.h>
#include <sys/mount.h>

static ino_t own_netns(void)
{
	struct stat st;

	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	return st.st_ino;
}

static void test_create_sends_a_namespace(void **state)
{
	char line[160];

	(void)state;
	snprintf(line, sizeof(line), "pod create p --network n --pid %d",
		 (int)getpid());
	assert_int_equal(netctl(line), 0);
	assert_string_equal(t.asked, "pod.create {\"name\":\"p\",\"netns_fd\":"
				     "true,\"network\":[\"n\"]}");
	assert_int_equal(t.netns, own_netns());
	t.netns = 0;
	assert_int_equal(netctl("pod create p --network n --netns "
				"/proc/self/ns/net"),
			 0);
	assert_int_equal(t.netns, own_netns());
}

static void test_create_refuses_what_is_no_namespace(void **state)
{
	static const struct said cases[] = {
		{ "pod create p --network n --netns /proc/self/ns/mnt", 2, "",
		  "not a network namespace" },
		{ "pod create p --network n --netns /dev/null", 2, "",
		  "not a network namespace" },
		{ "pod create p --network n --netns /nowhere", 3, "",
		  "No such file" },
		{ "pod create p --network n --netns /x --pid 1", 2, "",
		  "say the same" },
		{ "pod create p --network n --pid 0", 2, "", "from 1 to" },
	};

	(void)state;
	check_said(cases, ARRAY_LEN(cases));
	assert_string_equal(t.asked, "");
}

/*
 * A pod "p1" as netd leaves it: ns/p1 and resolv/p1 by the socket. In a mount
 * namespace of the test's own, which ends with it.
 */
static ino_t make_pod(void)
{
	char path[160], here[64];
	struct stat st;
	int old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	str_format(path, sizeof(path), "%s/ns", t.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	str_format(path, sizeof(path), "%s/resolv", t.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	str_format(path, sizeof(path), "%s/resolv/p1", t.dir);
	assert_int_equal(file_write(path, 0644, "nameserver 192.0.2.53\n"), 0);
	close(open_file("ns/p1", O_CREAT | O_WRONLY));
	str_format(path, sizeof(path), "%s/ns/p1", t.dir);
	str_format(here, sizeof(here), "/proc/%d/ns/net", (int)getpid());
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(mount(here, path, NULL, MS_BIND, NULL), 0);
	assert_int_equal(setns(old, CLONE_NEWNET), 0);
	close(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_not_equal(st.st_ino, own_netns());
	return st.st_ino;
}

static void drop_pod(void)
{
	char path[160];

	str_format(path, sizeof(path), "%s/ns/p1", t.dir);
	umount2(path, MNT_DETACH);
}

static void test_exec(void **state)
{
	static const struct said cases[] = {
		{ "pod exec p1 -- cat /etc/resolv.conf", 0,
		  "nameserver 192.0.2.53\n", NULL },
		{ "pod exec p1 -- sh -c 'exit 42'", 42, "", NULL },
		{ "pod exec p1 echo -n a -q", 0, "a -q", NULL },
		{ "pod exec p1 -- /nowhere/at-all", 127, "", "No such file" },
		{ "pod exec p1 -- /etc/passwd", 126, "", "Permission denied" },
		{ "pod exec p2 -- true", 3, "", "no pod \"p2\"" },
	};
	char expected[64];
	ino_t ns;

	(void)state;
	if (geteuid() != 0)
		skip();
	ns = make_pod();
	check_said(cases, ARRAY_LEN(cases));
	assert_string_equal(t.asked, "");
	assert_int_equal(netctl("pod exec p1 -- readlink /proc/self/ns/net"),
			 0);
	snprintf(expected, sizeof(expected), "net:[%lu]\n", (unsigned long)ns);
	assert_string_equal(t.out, expected);
	drop_pod();
}

/* A host without resolv.conf, and one whose link points nowhere. */
static void test_exec_without_resolv_conf(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make_pod();
	assert_int_equal(mount("none", "/etc", "tmpfs", 0, "size=64k"), 0);
	assert_int_equal(file_write("/etc/other", 0644, "still there\n"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(netctl("pod exec p1 -- cat /etc/resolv.conf "
					"/etc/other"),
				 0);
		assert_string_equal(t.out,
				    "nameserver 192.0.2.53\nstill there\n");
		assert_int_equal(symlink("../run/no/where", "/etc/resolv.conf"),
				 i ? -1 : 0);
	}
	/* The host's own folder is as it was. */
	assert_int_not_equal(access("/etc/resolv.conf", F_OK), 0);
	umount2("/etc", MNT_DETACH);
	drop_pod();
}

static void test_run(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make_pod();
	assert_int_equal(netctl("pod run --rm p1 --network n -- sh -c "
				"'cat /etc/resolv.conf; exit 5'"),
			 5);
	assert_string_equal(t.out, "nameserver 192.0.2.53\n");
	assert_string_equal(t.asked,
			    "pod.create {\"name\":\"p1\",\"network\":[\"n\"]}\n"
			    "pod.delete {\"name\":\"p1\"}");
	assert_int_equal(netctl("pod run p1 --network n -- true"), 0);
	assert_string_equal(t.asked,
			    "pod.create {\"name\":\"p1\",\"network\":[\"n\"]}");
	assert_int_equal(netctl("pod run conflict --network n -- true"), 4);
	assert_int_equal(netctl("pod run p1 --network n"), 2);
	assert_string_equal(t.asked, "");
	assert_int_equal(netctl("pod run p1 --network n -- sh -c "
				"'kill -9 $$'"),
			 137);
	drop_pod();
}

static void test_run_passes_signals_on(void **state)
{
	char line[256], mark[160];
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	make_pod();
	str_format(mark, sizeof(mark), "%s/mark", t.dir);
	snprintf(line, sizeof(line),
		 "pod run --rm p1 --network n -- sh -c 'trap \"exit 9\" TERM; "
		 ": >%s; while :; do sleep 0.05; done'",
		 mark);
	pid = start(line);
	for (int i = 0; i < 1000 && access(mark, F_OK); i++)
		turn(0.005);
	assert_int_equal(access(mark, F_OK), 0);
	kill(pid, SIGTERM);
	assert_int_equal(finish(pid), 9);
	assert_non_null(strstr(t.asked, "pod.delete"));
	drop_pod();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create_sends_a_namespace),
		TEST(test_create_refuses_what_is_no_namespace),
		TEST(test_exec),
		TEST(test_exec_without_resolv_conf),
		TEST(test_run),
		TEST(test_run_passes_signals_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
