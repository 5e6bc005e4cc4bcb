/* SPDX-License-Identifier: Apache-2.0 */
/* What ADD asks netd for, and whom GC keeps. */
#include "cni_text.h"
#include "netd/util.h"

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

/* What a runtime says, and what netd is asked for then. */
static const struct {
	const char *args, *more;
	/* What must be in the request; "label" too. */
	const char *expect;
} wishes[] = {
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

static void test_wish(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		json_t *want = json_loads(wishes[i].expect, 0, NULL);
		struct cni_error e = { 0 };
		json_t *body = NULL, *value;
		const char *key;

		assert_non_null(want);
		if (wish(wishes[i].args, wishes[i].more, &body, &e))
			fail_msg("%s%s: %s", wishes[i].args, wishes[i].more,
				 e.msg);
		json_object_foreach (want, key, value) {
			json_t *have = json_object_get(body, key);
			char *text = json_dumps(have, JSON_ENCODE_ANY);

			if (!json_equal(value, have))
				fail_msg("%s: %s is %s", wishes[i].expect, key,
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

/* Wishes that are refused: the code, and a word of the reason. */
static const struct {
	const char *args, *more;
	int code;
	const char *says;
} refused[] = {
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
	{ NULL, ",\"runtimeConfig\":{\"ips\":[1]}", CNI_CODE_CONFIG, "ips[0]" },
	{ NULL, ",\"runtimeConfig\":{\"ips\":[\"1.1.1.1\",\"1.1.1.2\"]}",
	  CNI_CODE_UNSUPPORTED, "2 ips" },
	{ NULL, ",\"runtimeConfig\":{\"ips\":[\"fd00::1\",\"fd00::2\"]}",
	  CNI_CODE_UNSUPPORTED, "2 ips" },
	{ NULL,
	  ",\"runtimeConfig\":{\"ips\":[\"1.1.1.1\",\"fd00::1\","
	  "\"1.1.1.2\"]}",
	  CNI_CODE_UNSUPPORTED, "3 ips" },
	{ NULL, ",\"runtimeConfig\":{\"ips\":[\"1.1.1.1\",7]}", CNI_CODE_CONFIG,
	  "ips[1]" },
	{ NULL, ",\"runtimeConfig\":{\"aliases\":\"a\"}", CNI_CODE_CONFIG,
	  "aliases" },
	{ NULL, ",\"runtimeConfig\":{\"aliases\":[\"a,ip=1.2.3.4\"]}",
	  CNI_CODE_CONFIG, "aliases[0]" },
	{ NULL, ",\"runtimeConfig\":{\"aliases\":[\"a\",7]}", CNI_CODE_CONFIG,
	  "aliases[1]" },
	{ NULL, ",\"runtimeConfig\":{\"portMappings\":[7]}", CNI_CODE_CONFIG,
	  "portMappings[0]" },
	{ NULL, ",\"runtimeConfig\":{\"portMappings\":[{}]}", CNI_CODE_CONFIG,
	  "containerPort" },
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

static void test_wish_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct cni_error e = { 0 };
		json_t *body = NULL;

		if (wish(refused[i].args, refused[i].more, &body, &e) !=
		    -EINVAL)
			fail_msg("taken: %s%s", refused[i].args,
				 refused[i].more);
		if ((int)e.code != refused[i].code ||
		    !strstr(e.msg, refused[i].says))
			fail_msg("%s%s: %d %s", refused[i].args,
				 refused[i].more, e.code, e.msg);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wish),
		cmocka_unit_test(test_wish_long_id),
		cmocka_unit_test(test_wish_refuses),
		cmocka_unit_test(test_survivors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
