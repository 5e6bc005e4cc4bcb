/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's reading and writing: environment and JSON in, JSON out. */
#include "cm.h"
#include "netd/util.h"
#include "result.h"
#include "wish.h"

/* ---- environment ---- */

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

/* ---- configuration ---- */

#define V11 "\"cniVersion\":\"1.1.0\",\"name\":\"lab\",\"type\":\"netd\""

static int read_conf(const char *text, enum cni_command command,
		     struct cni_conf *conf, struct cni_error *e)
{
	return cni_conf_read(text, strlen(text), command, conf, e);
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

/* ---- wishes ---- */

/* One wish of ADD, from CNI_ARGS and further members of the configuration. */
static int wish(const char *args, const char *more, json_t **ret,
		struct cni_error *e)
{
	struct cni_env env = { .command = CNI_ADD,
			       .container = "default-web.1",
			       .netns = "/run/netns/x",
			       .ifname = "eth0",
			       .args = args };
	AUTO(str_freep) char *text = xasprintf("{" V11 "%s}", more);
	struct cni_conf conf;
	int err = read_conf(text, CNI_ADD, &conf, e);

	if (!err)
		err = cni_wish(&env, &conf, ret, e);
	cni_conf_free(&conf);
	return err;
}

static void test_wish(void **state)
{
	static const struct {
		const char *args, *more;
		/* What must be in the request; "label" too. */
		const char *expect;
	} rows[] = {
		{ NULL, "",
		  "{\"owner\":\"cni\",\"container\":\"default-web.1\","
		  "\"ifname\":\"eth0\",\"name\":\"default-web-1\",\"config\":"
		  "\"lab\",\"network\":\"default\",\"label\":{}}" },
		{ "IgnoreUnknown=1;K8S_POD_NAME=Web.1;K8S_POD_NAMESPACE=shop;"
		  "X=1",
		  "",
		  "{\"name\":\"Web-1\",\"label\":{\"io.kubernetes.pod.name\":"
		  "\"Web.1\",\"io.kubernetes.pod.namespace\":\"shop\"}}" },
		{ "NOMAD_GROUP_NAME=api;NOMAD_ALLOC_ID=c0ffee12-34;"
		  "NOMAD_JOB_ID=shop;NOMAD_REGION=global;NOMAD_NAMESPACE=n",
		  "",
		  "{\"name\":\"api-c0ffee12\",\"label\":{\"nomad.group\":"
		  "\"api\",\"nomad.alloc\":\"c0ffee12-34\",\"nomad.job\":"
		  "\"shop\",\"nomad.region\":\"global\",\"nomad.namespace\":"
		  "\"n\"}}" },
		{ "K8S_POD_NAME=;", "", "{\"name\":\"default-web-1\"}" },
		{ "NETD_LABELS=app=web,tier=",
		  ",\"labels\":{\"app\":\"conf\",\"env\":\"lab\"},\"args\":{"
		  "\"cni\":{\"labels\":[{\"key\":\"app\",\"value\":\"cni\"}]}}",
		  "{\"label\":{\"app\":\"web\",\"tier\":\"\",\"env\":\"lab\"}"
		  "}" },
		{ "IP=10.5.0.7;MAC=02:00:0A:05:00:07", "",
		  "{\"network\":\"default,ip=10.5.0.7,mac=02:00:0a:05:00:07\""
		  "}" },
		{ "IP=10.5.0.7",
		  ",\"args\":{\"cni\":{\"ips\":[\"10.5.0.8/24\"],\"mac\":"
		  "\"02:00:00:00:00:08\"}}",
		  "{\"network\":\"default,ip=10.5.0.8,mac=02:00:00:00:00:08\""
		  "}" },
		{ "IP=10.5.0.7",
		  ",\"args\":{\"cni\":{\"ips\":[\"10.5.0.8/24\"]}},"
		  "\"runtimeConfig\":{\"ips\":[\"10.5.0.9/24\"],\"mac\":"
		  "\"02:00:00:00:00:09\"}",
		  "{\"network\":\"default,ip=10.5.0.9,mac=02:00:00:00:00:09\""
		  "}" },
		{ NULL,
		  ",\"network\":\"blue\",\"runtimeConfig\":{\"aliases\":[\"a\","
		  "\"b.c\"]}",
		  "{\"network\":\"blue,alias=a,alias=b.c\"}" },
		{ NULL,
		  ",\"runtimeConfig\":{\"aliases\":{\"lab\":[\"a\"],\"other\":"
		  "[\"b\"]}}",
		  "{\"network\":\"default,alias=a\"}" },
		{ "IP=fd00::7", "", "{\"network\":\"default,ip6=fd00::7\"}" },
		{ NULL,
		  ",\"runtimeConfig\":{\"ips\":[\"10.5.0.9/24\","
		  "\"fd00::9/64\"]}",
		  "{\"network\":\"default,ip=10.5.0.9,ip6=fd00::9\"}" },
		{ NULL, ",\"runtimeConfig\":{\"aliases\":null,\"ips\":null}",
		  "{\"network\":\"default\"}" },
		{ NULL,
		  ",\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":8080,"
		  "\"containerPort\":80,\"protocol\":\"TCP\"},{"
		  "\"containerPort\":53,\"protocol\":\"udp\",\"hostIP\":"
		  "\"127.0.0.1\"},{\"hostPort\":0,\"containerPort\":1,"
		  "\"hostIP\":\"\"}]}",
		  "{\"publish\":[\"0.0.0.0:8080:80/tcp\","
		  "\"127.0.0.1:0:53/udp\",\"0.0.0.0:0:1/tcp\"]}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *want = json_loads(rows[i].expect, 0, NULL);
		struct cni_error e = { 0 };
		json_t *body = NULL, *value;
		const char *key;

		assert_non_null(want);
		if (wish(rows[i].args, rows[i].more, &body, &e))
			fail_msg("%s%s: %s", rows[i].args, rows[i].more, e.msg);
		json_object_foreach (want, key, value) {
			json_t *have = json_object_get(body, key);
			char *text = json_dumps(have, JSON_ENCODE_ANY);

			if (!json_equal(value, have))
				fail_msg("%s: %s is %s", rows[i].expect, key,
					 text);
			free(text);
		}
		json_decref(body);
		json_decref(want);
	}
}

static void test_wish_long_id(void **state)
{
	static const char id[] = "0123456789abcdef0123456789abcdef";
	struct cni_env env = { .command = CNI_ADD,
			       .container = id,
			       .netns = "/run/netns/x",
			       .ifname = "eth0" };
	struct cni_error e = { 0 };
	struct cni_conf conf;
	json_t *body;

	(void)state;
	assert_int_equal(read_conf("{" V11 "}", CNI_ADD, &conf, &e), 0);
	assert_int_equal(cni_wish(&env, &conf, &body, &e), 0);
	assert_string_equal(json_string_value(json_object_get(body, "name")),
			    "0123456789ab");
	assert_string_equal(
		json_string_value(json_object_get(body, "container")), id);
	json_decref(body);
	cni_conf_free(&conf);
}

static void test_wish_refuses(void **state)
{
	static const struct {
		const char *args, *more;
		int code;
		const char *says;
	} rows[] = {
		{ "X=1", "", CNI_CODE_ENV, "\"X\" is unknown" },
		{ "IgnoreUnknown=0;X=1", "", CNI_CODE_ENV, "\"X\"" },
		{ "X", "", CNI_CODE_ENV, "has no value" },
		{ "IP=\xff;IgnoreUnknown=1", "", CNI_CODE_ENV, "UTF-8" },
		{ "IP=10.5.0", "", CNI_CODE_CONFIG, "10.5.0" },
		{ "IP=fd00:::1", "", CNI_CODE_CONFIG, "fd00:::1" },
		{ "MAC=0a", "", CNI_CODE_CONFIG, "0a" },
		{ "NETD_LABELS=app", "", CNI_CODE_ENV, "app" },
		{ NULL, ",\"network\":\"blue,ip=1.2.3.4\"", CNI_CODE_CONFIG,
		  "blue,ip=1.2.3.4" },
		{ NULL, ",\"labels\":{\"a\":1}", CNI_CODE_CONFIG, "labels.a" },
		{ NULL, ",\"args\":{\"cni\":[]}", CNI_CODE_CONFIG, "args.cni" },
		{ NULL, ",\"args\":{\"cni\":{\"labels\":[{\"key\":\"a\"}]}}",
		  CNI_CODE_CONFIG, "labels[0]" },
		{ NULL, ",\"args\":{\"cni\":{\"labels\":{}}}", CNI_CODE_CONFIG,
		  "args.cni.labels" },
		{ NULL, ",\"runtimeConfig\":{\"ips\":[1]}", CNI_CODE_CONFIG,
		  "ips[0]" },
		{ NULL,
		  ",\"runtimeConfig\":{\"ips\":[\"1.1.1.1\",\"1.1.1.2\"]}",
		  CNI_CODE_UNSUPPORTED, "2 ips" },
		{ NULL,
		  ",\"runtimeConfig\":{\"ips\":[\"fd00::1\",\"fd00::2\"]}",
		  CNI_CODE_UNSUPPORTED, "2 ips" },
		{ NULL,
		  ",\"runtimeConfig\":{\"ips\":[\"1.1.1.1\",\"fd00::1\","
		  "\"1.1.1.2\"]}",
		  CNI_CODE_UNSUPPORTED, "3 ips" },
		{ NULL, ",\"runtimeConfig\":{\"ips\":[\"1.1.1.1\",7]}",
		  CNI_CODE_CONFIG, "ips[1]" },
		{ NULL, ",\"runtimeConfig\":{\"aliases\":\"a\"}",
		  CNI_CODE_CONFIG, "aliases" },
		{ NULL, ",\"runtimeConfig\":{\"aliases\":[\"a,ip=1.2.3.4\"]}",
		  CNI_CODE_CONFIG, "aliases[0]" },
		{ NULL, ",\"runtimeConfig\":{\"aliases\":[\"a\",7]}",
		  CNI_CODE_CONFIG, "aliases[1]" },
		{ NULL, ",\"runtimeConfig\":{\"portMappings\":[7]}",
		  CNI_CODE_CONFIG, "portMappings[0]" },
		{ NULL, ",\"runtimeConfig\":{\"portMappings\":[{}]}",
		  CNI_CODE_CONFIG, "containerPort" },
		{ NULL,
		  ",\"runtimeConfig\":{\"portMappings\":[{\"containerPort\":0}]"
		  "}",
		  CNI_CODE_CONFIG, "containerPort" },
		{ NULL,
		  ",\"runtimeConfig\":{\"portMappings\":[{\"containerPort\":"
		  "65536}]}",
		  CNI_CODE_CONFIG, "containerPort" },
		{ NULL,
		  ",\"runtimeConfig\":{\"portMappings\":[{\"containerPort\":80,"
		  "\"hostPort\":-1}]}",
		  CNI_CODE_CONFIG, "hostPort" },
		{ NULL,
		  ",\"runtimeConfig\":{\"portMappings\":[{\"containerPort\":80,"
		  "\"hostPort\":\"80\"}]}",
		  CNI_CODE_CONFIG, "hostPort" },
		{ NULL,
		  ",\"runtimeConfig\":{\"portMappings\":[{\"containerPort\":80,"
		  "\"protocol\":\"sctp\"}]}",
		  CNI_CODE_UNSUPPORTED, "protocol = sctp" },
		{ NULL,
		  ",\"runtimeConfig\":{\"portMappings\":[{\"containerPort\":80,"
		  "\"hostIP\":\"::1\"}]}",
		  CNI_CODE_UNSUPPORTED, "hostIP = ::1" },
		{ NULL,
		  ",\"runtimeConfig\":{\"portMappings\":[{\"containerPort\":80,"
		  "\"hostIP\":\"host\"}]}",
		  CNI_CODE_CONFIG, "hostIP" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cni_error e = { 0 };
		json_t *body = NULL;

		if (wish(rows[i].args, rows[i].more, &body, &e) != -EINVAL)
			fail_msg("taken: %s%s", rows[i].args, rows[i].more);
		if ((int)e.code != rows[i].code || !strstr(e.msg, rows[i].says))
			fail_msg("%s%s: %d %s", rows[i].args, rows[i].more,
				 e.code, e.msg);
	}
}

static void test_survivors(void **state)
{
	static const struct {
		const char *text, *keep;
	} rows[] = {
		{ "{" V11 ",\"cni.dev/valid-attachments\":[]}", "[]" },
		{ "{" V11 ",\"cni.dev/valid-attachments\":[{\"containerID\":"
		  "\"a\",\"ifname\":\"eth0\"}]}",
		  "[\"a/eth0\"]" },
		{ "{" V11 ",\"cni.dev/attachments\":[{\"containerID\":\"b\","
		  "\"ifname\":\"eth1\"}]}",
		  "[\"b/eth1\"]" },
		/* Not known is not empty: nothing may be removed then. */
		{ "{" V11 "}", NULL },
		{ "{" V11 ",\"cni.dev/valid-attachments\":{}}", NULL },
		{ "{" V11
		  ",\"cni.dev/valid-attachments\":[{\"ifname\":\"a\"}]}",
		  NULL },
		{ "{" V11 ",\"cni.dev/valid-attachments\":[\"a/eth0\"]}",
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *want =
			rows[i].keep ? json_loads(rows[i].keep, 0, NULL) : NULL;
		struct cni_error e = { 0 };
		struct cni_conf conf;
		json_t *body = NULL;
		int err;

		assert_int_equal(read_conf(rows[i].text, CNI_GC, &conf, &e), 0);
		err = cni_survivors(&conf, &body, &e);
		assert_int_equal(err, want ? 0 : -EINVAL);
		if (want)
			assert_true(json_equal(json_object_get(body, "keep"),
					       want));
		else
			assert_int_equal(e.code, CNI_CODE_CONFIG);
		json_decref(body);
		json_decref(want);
		cni_conf_free(&conf);
	}
}

/* ---- results ---- */

static json_t *a_reply(void)
{
	json_t *reply = json_loads(
		"{\"link\":\"nd0\",\"interface\":\"eth0\",\"mac\":"
		"\"02:00:00:00:00:01\",\"mtu\":1450,\"ip\":\"10.5.0.7/24\","
		"\"gateway\":\"10.5.0.1\",\"routes\":[{\"dst\":\"0.0.0.0/0\","
		"\"gw\":\"10.5.0.1\"}],\"search\":[\"a.b\"]}",
		0, NULL);

	assert_non_null(reply);
	return reply;
}

static const struct cni_env an_env = { .command = CNI_ADD,
				       .container = "c1",
				       .netns = "/run/netns/x",
				       .ifname = "eth0" };

static json_t *result_of(const char *version, const char *more)
{
	AUTO(str_freep)
	char *text = xasprintf("{\"cniVersion\":\"%s\",\"name\":\"lab\"%s}",
			       version, more);
	json_t *reply = a_reply(), *result;
	struct cni_error e = { 0 };
	struct cni_conf conf;

	assert_int_equal(read_conf(text, CNI_ADD, &conf, &e), 0);
	result = cni_result(&an_env, &conf, reply);
	cni_conf_free(&conf);
	json_decref(reply);
	return result;
}

static void test_result(void **state)
{
	static const struct {
		const char *version;
		bool has_version, has_mtu;
	} rows[] = {
		{ "0.3.1", true, false },
		{ "0.4.0", true, false },
		{ "1.0.0", false, false },
		{ "1.1.0", false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *r = result_of(rows[i].version, "");
		json_t *inside =
			json_array_get(json_object_get(r, "interfaces"), 1);
		json_t *ip = json_array_get(json_object_get(r, "ips"), 0);
		json_t *dns = json_object_get(r, "dns");

		assert_string_equal(
			json_string_value(json_object_get(r, "cniVersion")),
			rows[i].version);
		assert_string_equal(
			json_string_value(json_object_get(inside, "sandbox")),
			"/run/netns/x");
		assert_int_equal(json_object_get(inside, "mtu") != NULL,
				 rows[i].has_mtu);
		assert_int_equal(json_object_get(ip, "version") != NULL,
				 rows[i].has_version);
		assert_int_equal(
			json_integer_value(json_object_get(ip, "interface")),
			1);
		assert_string_equal(
			json_string_value(json_array_get(
				json_object_get(dns, "nameservers"), 0)),
			"10.5.0.1");
		json_decref(r);
	}
}

static void test_result_dns(void **state)
{
	static const struct {
		const char *more, *dns;
	} rows[] = {
		{ ",\"dns\":{\"nameservers\":[\"1.1.1.1\"],\"domain\":\"d\"}",
		  "{\"nameservers\":[\"1.1.1.1\"],\"search\":[\"a.b\"],"
		  "\"options\":[\"ndots:1\"],\"domain\":\"d\"}" },
		{ ",\"dns\":{\"nameservers\":[\"1.1.1.1\"]},\"runtimeConfig\":"
		  "{\"dns\":{\"servers\":[\"2.2.2.2\"],\"searches\":[\"s\"],"
		  "\"options\":[\"ndots:5\"]}}",
		  "{\"nameservers\":[\"2.2.2.2\"],\"search\":[\"s\"],"
		  "\"options\":[\"ndots:5\"]}" },
		{ ",\"runtimeConfig\":{\"dns\":{\"servers\":[]}}",
		  "{\"nameservers\":[\"10.5.0.1\"],\"search\":[\"a.b\"],"
		  "\"options\":[\"ndots:1\"]}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *r = result_of("1.0.0", rows[i].more);
		json_t *want = json_loads(rows[i].dns, 0, NULL);

		assert_non_null(want);
		assert_true(json_equal(json_object_get(r, "dns"), want));
		json_decref(want);
		json_decref(r);
	}
}

/* A pod of two families: an address and a gateway of each. */
static void test_result_dual(void **state)
{
	static const struct {
		const char *version;
		bool has_version;
	} rows[] = { { "0.4.0", true }, { "1.1.0", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(str_freep)
		char *text = xasprintf("{\"cniVersion\":\"%s\",\"name\":"
				       "\"lab\"}",
				       rows[i].version);
		json_t *reply = a_reply(), *result, *ips, *want;
		struct cni_error e = { 0 };
		struct cni_conf conf;

		json_object_set_new(reply, "ip6", json_string("fd00::7/64"));
		json_object_set_new(reply, "gateway6", json_string("fd00::1"));
		assert_int_equal(read_conf(text, CNI_ADD, &conf, &e), 0);
		result = cni_result(&an_env, &conf, reply);
		ips = json_object_get(result, "ips");
		assert_int_equal(json_array_size(ips), 2);
		want = json_pack("{s:s, s:s, s:i}", "address", "fd00::7/64",
				 "gateway", "fd00::1", "interface", 1);
		if (rows[i].has_version)
			json_object_set_new(want, "version", json_string("6"));
		assert_true(json_equal(json_array_get(ips, 1), want));
		/* CHECK misses the second address as it does the first. */
		json_object_set(conf.doc, "prevResult", result);
		assert_int_equal(cni_result_check(&an_env, &conf, reply, &e),
				 0);
		json_array_remove(ips, 1);
		assert_int_not_equal(
			cni_result_check(&an_env, &conf, reply, &e), 0);
		assert_int_equal(e.code, CNI_CODE_DIFFERS);
		json_decref(want);
		json_decref(result);
		json_decref(reply);
		cni_conf_free(&conf);
	}
}

/* Behind another plugin: what that made stays, places count on. */
static void test_result_chained(void **state)
{
	json_t *r = result_of(
		"1.0.0",
		",\"prevResult\":{\"cniVersion\":\"1.0.0\",\"interfaces\":[{"
		"\"name\":\"x0\"}],\"ips\":[{\"address\":\"192.0.2.1/32\","
		"\"interface\":0}],\"routes\":[]}");
	json_t *ips = json_object_get(r, "ips");

	(void)state;
	assert_int_equal(json_array_size(json_object_get(r, "interfaces")), 3);
	assert_int_equal(json_array_size(ips), 2);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(ips, 1), "interface")),
			 2);
	assert_int_equal(json_array_size(json_object_get(r, "routes")), 1);
	json_decref(r);
}

#define PREV_IF "\"interfaces\":[{\"name\":\"nd0\"},{\"name\":\"eth0\"}]"
#define PREV_IPS "\"ips\":[{\"address\":\"10.5.0.7/24\"}]"
#define PREV_ROUTES                                                            \
	"\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"10.9.0.0/16\"}]"

static void test_result_check(void **state)
{
	static const struct {
		const char *prev;
		int code;
	} rows[] = {
		{ ",\"prevResult\":{" PREV_IF "," PREV_IPS "," PREV_ROUTES "}",
		  0 },
		{ "", CNI_CODE_CONFIG },
		{ ",\"prevResult\":{" PREV_IPS "," PREV_ROUTES "}",
		  CNI_CODE_DIFFERS },
		{ ",\"prevResult\":{" PREV_IF "," PREV_ROUTES "}",
		  CNI_CODE_DIFFERS },
		{ ",\"prevResult\":{" PREV_IF "," PREV_IPS "}",
		  CNI_CODE_DIFFERS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(str_freep)
		char *text = xasprintf("{" V11 "%s}", rows[i].prev);
		json_t *reply = a_reply();
		struct cni_error e = { 0 };
		struct cni_conf conf;
		int err;

		assert_int_equal(read_conf(text, CNI_CHECK, &conf, &e), 0);
		err = cni_result_check(&an_env, &conf, reply, &e);
		assert_int_equal(err, rows[i].code ? -EINVAL : 0);
		assert_int_equal(e.code, rows[i].code);
		json_decref(reply);
		cni_conf_free(&conf);
	}
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
		cmocka_unit_test(test_wish),
		cmocka_unit_test(test_wish_long_id),
		cmocka_unit_test(test_wish_refuses),
		cmocka_unit_test(test_survivors),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_result_dns),
		cmocka_unit_test(test_result_dual),
		cmocka_unit_test(test_result_chained),
		cmocka_unit_test(test_result_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
