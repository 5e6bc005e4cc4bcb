/* SPDX-License-Identifier: Apache-2.0 */
#include "env.h"

#include <ctype.h>

#include "netd/util.h"
#include "netd/want.h"

#define NEEDS_CONTAINER 1u
#define NEEDS_NETNS 2u
#define NEEDS_IFNAME 4u
/* May be there: the container's namespace may have gone. */
#define TAKES_NETNS 8u
#define TAKES_ARGS 16u

static const struct {
	const char *name;
	unsigned int vars;
} commands[] = {
	[CNI_ADD] = { "ADD", NEEDS_CONTAINER | NEEDS_NETNS | NEEDS_IFNAME |
				     TAKES_ARGS },
	[CNI_DEL] = { "DEL", NEEDS_CONTAINER | NEEDS_IFNAME | TAKES_NETNS },
	[CNI_CHECK] = { "CHECK", NEEDS_CONTAINER | NEEDS_NETNS | NEEDS_IFNAME },
	[CNI_GC] = { "GC", 0 },
	[CNI_STATUS] = { "STATUS", 0 },
	[CNI_VERSION] = { "VERSION", 0 },
};
_Static_assert(ARRAY_LEN(commands) == CNI_COMMAND_MAX, "a row per command");

bool cni_name_is_valid(const char *name)
{
	if (!isalnum((unsigned char)*name))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
			return false;
	return true;
}

bool cni_ifname_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= LINK_NAME_LEN || str_eq(name, ".") ||
	    str_eq(name, ".."))
		return false;
	for (; *name; name++)
		if (strchr("/:%", *name) || isspace((unsigned char)*name))
			return false;
	return true;
}

static int read_command(const char *word, enum cni_command *ret,
			struct cni_error *e)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!word || !str_eq(commands[i].name, word))
			continue;
		*ret = (enum cni_command)i;
		return 0;
	}
	return cni_fail(e, CNI_CODE_ENV,
			"it is ADD, DEL, CHECK, GC, STATUS or VERSION",
			"CNI_COMMAND is \"%.32s\"", word ? word : "");
}

static int need(const char *name, const char *value, const char *command,
		struct cni_error *e)
{
	if (value && *value)
		return 0;
	return cni_fail(e, CNI_CODE_ENV, "a runtime sets it",
			"%s is missing, and %s needs it", name, command);
}

static int read_container(struct cni_env *env, const char *command,
			  struct cni_error *e)
{
	if (need("CNI_CONTAINERID", env->container, command, e))
		return -EINVAL;
	if (!cni_name_is_valid(env->container))
		return cni_fail(e, CNI_CODE_ENV,
				"a letter or digit, then letters, digits, _ . "
				"and -",
				"CNI_CONTAINERID \"%.64s\" is not an id",
				env->container);
	if (strlen(env->container) > CNI_CONTAINER_MAX)
		return cni_fail(e, CNI_CODE_ENV, NULL,
				"CNI_CONTAINERID \"%.32s...\" has more than %d "
				"characters",
				env->container, CNI_CONTAINER_MAX);
	return 0;
}

static int read_ifname(struct cni_env *env, const char *command,
		       struct cni_error *e)
{
	if (need("CNI_IFNAME", env->ifname, command, e))
		return -EINVAL;
	if (!cni_ifname_is_valid(env->ifname))
		return cni_fail(e, CNI_CODE_ENV,
				"at most 15 characters, no / : % or blanks",
				"CNI_IFNAME \"%.32s\" is not a name for a link",
				env->ifname);
	return 0;
}

static bool is_yes(const char *word)
{
	return word && (strcasecmp(word, "true") == 0 || str_eq(word, "1"));
}

int cni_env_read(cni_getenv_fn *get, void *arg, struct cni_env *ret,
		 struct cni_error *e)
{
	struct cni_env env = {
		.container = get(arg, "CNI_CONTAINERID"),
		.netns = get(arg, "CNI_NETNS"),
		.ifname = get(arg, "CNI_IFNAME"),
		.args = get(arg, "CNI_ARGS"),
		.netns_override = is_yes(get(arg, "CNI_NETNS_OVERRIDE")),
	};
	const char *name;
	unsigned int vars;

	if (read_command(get(arg, "CNI_COMMAND"), &env.command, e))
		return -EINVAL;
	name = commands[env.command].name;
	vars = commands[env.command].vars;
	if ((vars & NEEDS_CONTAINER) && read_container(&env, name, e))
		return -EINVAL;
	if ((vars & NEEDS_NETNS) && need("CNI_NETNS", env.netns, name, e))
		return -EINVAL;
	if ((vars & NEEDS_IFNAME) && read_ifname(&env, name, e))
		return -EINVAL;
	if (!(vars & (NEEDS_NETNS | TAKES_NETNS)))
		env.netns = NULL;
	if (!(vars & TAKES_ARGS))
		env.args = NULL;
	*ret = env;
	return 0;
}
