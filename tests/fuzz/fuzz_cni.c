/* SPDX-License-Identifier: Apache-2.0 */
/* A command, CNI_ARGS and a configuration, line by line, as the plugin reads
 * them; what passes becomes a request that is whole, and a result. */
#include <stdint.h>
#include <string.h>

#include "netd/util.h"
#include "result.h"
#include "wish.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text up to a line feed, which is passed over. */
static char *line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
	size_t len = end ? (size_t)(end - *data) : *size;
	char *text = xstrndup((const char *)*data, len);

	*data += len + (end != NULL);
	*size -= len + (end != NULL);
	return text;
}

struct vars {
	const char *command, *args;
};

static const char *lookup(void *arg, const char *name)
{
	const struct vars *v = arg;

	if (str_eq(name, "CNI_COMMAND"))
		return v->command;
	if (str_eq(name, "CNI_ARGS"))
		return v->args;
	if (str_eq(name, "CNI_IFNAME"))
		return "eth0";
	return str_eq(name, "CNI_NETNS") ? "/run/netns/x" : "c1";
}

/* netd would refuse what is not there. */
static void check_wish(const struct cni_env *env, const struct cni_conf *conf)
{
	static const char *const wanted[] = { "owner", "container", "ifname",
					      "name", "network" };
	struct cni_error e = { 0 };
	json_t *wish = NULL, *result;

	if (cni_wish(env, conf, &wish, &e)) {
		if (!e.code || !*e.msg)
			__builtin_trap();
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (!json_is_string(json_object_get(wish, wanted[i])))
			__builtin_trap();
	result = cni_result(env, conf, wish);
	if (!json_is_array(json_object_get(result, "ips")))
		__builtin_trap();
	json_decref(result);
	json_decref(wish);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(str_freep) char *command = line(&data, &size);
	AUTO(str_freep) char *args = line(&data, &size);
	struct vars vars = { command, args };
	struct cni_error e = { 0 };
	struct cni_conf conf = { 0 };
	struct cni_env env;
	json_t *keep = NULL;

	if (cni_env_read(lookup, &vars, &env, &e))
		return 0;
	if (cni_conf_read((const char *)data, size, env.command, &conf, &e)) {
		if (!e.code || !*conf.version)
			__builtin_trap();
	} else if (env.command == CNI_ADD) {
		check_wish(&env, &conf);
	} else if (env.command == CNI_CHECK) {
		json_t *reply = json_object();

		cni_result_check(&env, &conf, reply, &e);
		json_decref(reply);
	} else if (env.command == CNI_GC) {
		cni_survivors(&conf, &keep, &e);
	}
	json_decref(keep);
	cni_conf_free(&conf);
	return 0;
}
