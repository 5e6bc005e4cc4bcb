/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's environment and its configuration: taken, and refused. */
#include "cni_text.h"
#include "netd/util.h"
#include "result.h"

/* "K=V" lines. */
static const char *lookup(void *arg, const char *name)
{
	static char values[8][512];
	static size_t next;
	char *copy = xstrdup(arg), *save = NULL;
	const char *found = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *value = str_after(line, name);

		if (value && *value == '=') {
			next = (next + 1) % ARRAY_LEN(values);
			snprintf(values[next], sizeof(values[0]), "%s",
				 value + 1);
			found = values[next];
		}
	}
	free(copy);
	return found;
}

static int read_env(const char *lines, struct cni_env *env, struct cni_error *e)
{
	return cni_env_read(lookup, (void *)(uintptr_t)lines, env, e);
}

#define ID "CNI_CONTAINERID=c1\n"
#define NETNS "CNI_NETNS=/run/netns/x\n"
#define IFNAME "CNI_IFNAME=eth0\n"

static void test_env(void **state)
{
	static const char *const good[] = {
		"CNI_COMMAND=ADD\n" ID NETNS IFNAME,
		"CNI_COMMAND=DEL\n" ID IFNAME,
		"CNI_COMMAND=DEL\n" ID IFNAME NETNS,
		"CNI_COMMAND=DEL\n" ID IFNAME "CNI_NETNS=\n",
		"CNI_COMMAND=CHECK\n" ID NETNS IFNAME,
		"CNI_COMMAND=GC\n",
		"CNI_COMMAND=STATUS\n",
		"CNI_COMMAND=VERSION\n",
		/* What a command does not need may be anything. */
		"CNI_COMMAND=VERSION\nCNI_IFNAME=../..\nCNI_CONTAINERID=/\n",
		"CNI_COMMAND=ADD\nCNI_CONTAINERID=a.b_c-D9\n" NETNS IFNAME,
		"CNI_COMMAND=ADD\n" ID NETNS "CNI_IFNAME=fifteen-letters\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct cni_error e = { 0 };
		struct cni_env env;

		if (read_env(good[i], &env, &e))
			fail_msg("%s: %s", good[i], e.msg);
		assert_true(env.command != CNI_VERSION || !env.netns);
		assert_false(env.netns_override);
	}
}

static void test_env_refuses(void **state)
{
	static const struct {
		const char *lines, *names;
	} rows[] = {
		{ "", "CNI_COMMAND" },
		{ "CNI_COMMAND=\n", "CNI_COMMAND" },
		{ "CNI_COMMAND=add\n" ID NETNS IFNAME, "CNI_COMMAND" },
		{ "CNI_COMMAND=ADD \n" ID NETNS IFNAME, "CNI_COMMAND" },
		{ "CNI_COMMAND=ADD\n" NETNS IFNAME, "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\n" ID IFNAME, "CNI_NETNS" },
		{ "CNI_COMMAND=ADD\n" ID NETNS, "CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=\n" NETNS IFNAME,
		  "CNI_CONTAINERID" },
		{ "CNI_COMMAND=DEL\n" IFNAME, "CNI_CONTAINERID" },
		{ "CNI_COMMAND=DEL\n" ID, "CNI_IFNAME" },
		{ "CNI_COMMAND=CHECK\n" ID IFNAME, "CNI_NETNS" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=a/b\n" NETNS IFNAME,
		  "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=..\n" NETNS IFNAME,
		  "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=.a\n" NETNS IFNAME,
		  "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=a b\n" NETNS IFNAME,
		  "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=a@b\n" NETNS IFNAME,
		  "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=\xc3\xa9\n" NETNS IFNAME,
		  "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\n" ID NETNS "CNI_IFNAME=.\n", "CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\n" ID NETNS "CNI_IFNAME=..\n",
		  "CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\n" ID NETNS "CNI_IFNAME=a/b\n",
		  "CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\n" ID NETNS "CNI_IFNAME=a:b\n",
		  "CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\n" ID NETNS "CNI_IFNAME=a b\n",
		  "CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\n" ID NETNS "CNI_IFNAME=a\tb\n",
		  "CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\n" ID NETNS "CNI_IFNAME=sixteen-letters-\n",
		  "CNI_IFNAME" },
		{ "CNI_COMMAND=DEL\n" ID "CNI_IFNAME=../../x\n", "CNI_IFNAME" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cni_error e = { 0 };
		struct cni_env env;

		if (read_env(rows[i].lines, &env, &e) != -EINVAL)
			fail_msg("taken: %s", rows[i].lines);
		assert_int_equal(e.code, CNI_CODE_ENV);
		if (!strstr(e.msg, rows[i].names))
			fail_msg("%s: %s", rows[i].lines, e.msg);
	}
}

static void test_env_long_id(void **state)
{
	char lines[512], id[CNI_CONTAINER_MAX + 2];
	struct cni_error e = { 0 };
	struct cni_env env;

	(void)state;
	memset(id, 'a', sizeof(id));
	id[CNI_CONTAINER_MAX] = '\0';
	snprintf(lines, sizeof(lines),
		 "CNI_COMMAND=DEL\nCNI_CONTAINERID=%s\n" IFNAME, id);
	assert_int_equal(read_env(lines, &env, &e), 0);
	id[CNI_CONTAINER_MAX] = 'a';
	id[CNI_CONTAINER_MAX + 1] = '\0';
	snprintf(lines, sizeof(lines),
		 "CNI_COMMAND=DEL\nCNI_CONTAINERID=%s\n" IFNAME, id);
	assert_int_equal(read_env(lines, &env, &e), -EINVAL);
	assert_int_equal(e.code, CNI_CODE_ENV);
}

static void test_env_override(void **state)
{
	struct cni_error e = { 0 };
	struct cni_env env;

	(void)state;
	assert_int_equal(
		read_env("CNI_NETNS_OVERRIDE=TRUE\nCNI_COMMAND=ADD\n" ID NETNS
				 IFNAME,
			 &env, &e),
		0);
	assert_true(env.netns_override);
	assert_int_equal(
		read_env("CNI_NETNS_OVERRIDE=no\nCNI_COMMAND=ADD\n" ID NETNS
				 IFNAME,
			 &env, &e),
		0);
	assert_false(env.netns_override);
}

static void test_conf(void **state)
{
	static const struct {
		enum cni_command command;
		const char *text, *version, *network;
	} rows[] = {
		{ CNI_ADD, "{" V11 "}", "1.1.0", "default" },
		{ CNI_ADD,
		  "{\"cniVersion\":\"0.3.1\",\"name\":\"a\",\"network\":"
		  "\"blue\"}",
		  "0.3.1", "blue" },
		{ CNI_CHECK, "{\"cniVersion\":\"0.4.0\",\"name\":\"a\"}",
		  "0.4.0", "default" },
		{ CNI_STATUS, "{" V11 "}", "1.1.0", "default" },
		{ CNI_ADD, "{" V11 ",\"runtimeConfig\":null,\"dns\":{}}",
		  "1.1.0", "default" },
		{ CNI_ADD,
		  "{" V11 ",\"ipam\":{},\"ipMasq\":true,\"capabilities\":{},"
		  "\"cni.dev/x\":[1],\"runtimeConfig\":{\"cgroupPath\":\"/"
		  "a\"}}",
		  "1.1.0", "default" },
		/* To remove, only the names are needed. */
		{ CNI_DEL, "{" V11 ",\"bandwidth\":1,\"x\":{\"y\":2}}", "1.1.0",
		  "default" },
		{ CNI_GC, "{" V11 ",\"cni.dev/valid-attachments\":[]}", "1.1.0",
		  "default" },
		{ CNI_VERSION, "", "1.1.0", NULL },
		{ CNI_VERSION, " \n", "1.1.0", NULL },
		{ CNI_VERSION, "{\"cniVersion\":\"9.9.9\"}", "1.1.0", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cni_error e = { 0 };
		struct cni_conf conf;

		if (read_conf(rows[i].text, rows[i].command, &conf, &e))
			fail_msg("%s: %s", rows[i].text, e.msg);
		assert_string_equal(conf.version, rows[i].version);
		if (rows[i].network)
			assert_string_equal(conf.network, rows[i].network);
		cni_conf_free(&conf);
	}
}

static void test_conf_refuses(void **state)
{
	static const struct {
		enum cni_command command;
		const char *text;
		int code;
		const char *says;
	} rows[] = {
		{ CNI_ADD, "", CNI_CODE_DECODE, "not JSON" },
		{ CNI_ADD, "{", CNI_CODE_DECODE, "not JSON" },
		{ CNI_ADD, "[]", CNI_CODE_DECODE, "not a JSON object" },
		{ CNI_ADD, "{\"name\":\"a\",\"name\":\"b\"}", CNI_CODE_DECODE,
		  "duplicate" },
		{ CNI_ADD, "{" V11 "} x", CNI_CODE_DECODE, "not JSON" },
		{ CNI_VERSION, "{", CNI_CODE_DECODE, "not JSON" },
		{ CNI_ADD, "{\"name\":\"a\"}", CNI_CODE_VERSION, "cniVersion" },
		{ CNI_ADD, "{\"cniVersion\":\"0.2.0\",\"name\":\"a\"}",
		  CNI_CODE_VERSION, "0.2.0" },
		{ CNI_ADD, "{\"cniVersion\":\"2.0.0\",\"name\":\"a\"}",
		  CNI_CODE_VERSION, "2.0.0" },
		{ CNI_ADD, "{\"cniVersion\":110,\"name\":\"a\"}",
		  CNI_CODE_VERSION, "cniVersion" },
		{ CNI_CHECK, "{\"cniVersion\":\"0.3.1\",\"name\":\"a\"}",
		  CNI_CODE_VERSION, "0.4.0" },
		{ CNI_GC, "{\"cniVersion\":\"1.0.0\",\"name\":\"a\"}",
		  CNI_CODE_VERSION, "1.1.0" },
		{ CNI_STATUS, "{\"cniVersion\":\"1.0.0\",\"name\":\"a\"}",
		  CNI_CODE_VERSION, "1.1.0" },
		{ CNI_ADD, "{\"cniVersion\":\"1.1.0\"}", CNI_CODE_CONFIG,
		  "name" },
		{ CNI_DEL, "{\"cniVersion\":\"1.1.0\",\"name\":\"../x\"}",
		  CNI_CODE_CONFIG, "../x" },
		{ CNI_ADD, "{" V11 ",\"socket\":\"netd.sock\"}",
		  CNI_CODE_CONFIG, "socket" },
		{ CNI_ADD, "{" V11 ",\"network\":7}", CNI_CODE_CONFIG,
		  "network is not a string" },
		{ CNI_ADD, "{" V11 ",\"netwrok\":\"blue\"}",
		  CNI_CODE_UNSUPPORTED, "netwrok" },
		{ CNI_ADD, "{" V11 ",\"networks\":[\"a\",\"b\"]}",
		  CNI_CODE_UNSUPPORTED, "networks = [\"a\",\"b\"]" },
		{ CNI_ADD, "{" V11 ",\"ipam\":{\"type\":\"host-local\"}}",
		  CNI_CODE_UNSUPPORTED, "ipam" },
		{ CNI_ADD, "{" V11 ",\"ipMasq\":false}", CNI_CODE_UNSUPPORTED,
		  "ipMasq = false" },
		{ CNI_ADD,
		  "{" V11 ",\"runtimeConfig\":{\"bandwidth\":{\"ingressRate\":"
		  "1}}}",
		  CNI_CODE_UNSUPPORTED, "bandwidth = {\"ingressRate\":1}" },
		{ CNI_ADD, "{" V11 ",\"runtimeConfig\":{\"ipRanges\":[]}}",
		  CNI_CODE_UNSUPPORTED, "ipRanges" },
		{ CNI_ADD, "{" V11 ",\"runtimeConfig\":{\"deviceID\":\"x\"}}",
		  CNI_CODE_UNSUPPORTED, "deviceID" },
		{ CNI_ADD, "{" V11 ",\"runtimeConfig\":{\"nope\":1}}",
		  CNI_CODE_UNSUPPORTED, "nope" },
		{ CNI_ADD, "{" V11 ",\"runtimeConfig\":[]}", CNI_CODE_CONFIG,
		  "runtimeConfig is not an object" },
		{ CNI_ADD, "{" V11 ",\"dns\":{\"search\":\"x\"}}",
		  CNI_CODE_CONFIG, "dns.search" },
		{ CNI_ADD,
		  "{" V11 ",\"runtimeConfig\":{\"dns\":{\"servers\":[1]}}}",
		  CNI_CODE_CONFIG, "runtimeConfig.dns.servers[0]" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cni_error e = { 0 };
		struct cni_conf conf;
		json_t *said;

		if (read_conf(rows[i].text, rows[i].command, &conf, &e) !=
		    -EINVAL)
			fail_msg("taken: %s", rows[i].text);
		if ((int)e.code != rows[i].code || !strstr(e.msg, rows[i].says))
			fail_msg("%s: %d %s", rows[i].text, e.code, e.msg);
		said = cni_error_json(&e, conf.version);
		assert_int_equal(
			json_integer_value(json_object_get(said, "code")),
			rows[i].code);
		json_decref(said);
		cni_conf_free(&conf);
	}
}

static void test_conf_too_large(void **state)
{
	size_t len = 2 * 1024 * 1024;
	AUTO(str_freep) char *text = xzalloc(len);
	struct cni_error e = { 0 };
	struct cni_conf conf;

	(void)state;
	memset(text, ' ', len);
	assert_int_equal(cni_conf_read(text, len, CNI_ADD, &conf, &e), -EINVAL);
	assert_int_equal(e.code, CNI_CODE_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_env_refuses),
		cmocka_unit_test(test_env_long_id),
		cmocka_unit_test(test_env_override),
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_conf_refuses),
		cmocka_unit_test(test_conf_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
