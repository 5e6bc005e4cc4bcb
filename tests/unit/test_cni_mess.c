/* SPDX-License-Identifier: Apache-2.0 */
/* 2,000 calls of the plugin that are wrong: each is refused, and rightly. */
#include "cm.h"
#include "cni_mess.h"
#include "wish.h"

#define CALLS 2000

static const char *lookup(void *arg, const char *name)
{
	const struct mess *m = arg;

	if (str_eq(name, "CNI_COMMAND"))
		return "ADD";
	for (size_t i = 0; i < MESS_VARS; i++)
		if (str_eq(mess_names[i], name))
			return m->vars[i];
	return NULL;
}

static int run(struct mess *m, struct cni_conf *conf, json_t **wish,
	       struct cni_error *e)
{
	struct cni_env env;

	if (cni_env_read(lookup, m, &env, e) ||
	    cni_conf_read(m->conf, m->len, env.command, conf, e))
		return -EINVAL;
	return cni_wish(&env, conf, wish, e);
}

/* An error that is itself JSON, in a version that the runtime knows. */
static void assert_said(const struct cni_error *e, const char *version)
{
	json_t *doc = cni_error_json(e, version);
	char *text = json_dumps(doc, JSON_COMPACT);
	json_t *back = json_loads(text, 0, NULL);

	assert_true(json_equal(doc, back));
	assert_true(json_string_length(json_object_get(back, "msg")) > 0);
	assert_true(json_string_length(json_object_get(back, "cniVersion")) >
		    0);
	json_decref(back);
	json_decref(doc);
	free(text);
}

static void test_mess(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < CALLS; n++) {
		struct cni_conf conf = { .version = CNI_VERSION_NEWEST };
		struct cni_error e = { 0 };
		json_t *wish = NULL;
		struct mess m;
		int err;

		mess_make(n, "/run/netns/x", "/run/netd.sock", &m);
		err = run(&m, &conf, &wish, &e);
		/* Nobody opens a namespace here. */
		if (m.code == CNI_CODE_NETNS && err)
			fail_msg("%d (%s): %s", (int)n, m.what, e.msg);
		if (m.code != CNI_CODE_NETNS && (!err || (int)e.code != m.code))
			fail_msg("%d (%s): code %d, want %d: %s: %.*s", (int)n,
				 m.what, e.code, m.code, e.msg,
				 (int)MIN(m.len, 200), m.conf);
		if (err)
			assert_said(&e, conf.version);
		json_decref(wish);
		cni_conf_free(&conf);
		mess_free(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mess),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
