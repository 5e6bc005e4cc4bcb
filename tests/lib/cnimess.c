/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-cnimess FIRST COUNT PLUGIN NETNS SOCKET: runs a CNI plugin with calls
 * that are wrong (cni_mess.h), and tells which are not refused as they must
 * be: exit code not 0, on standard output one object with the right code.
 */
#include <sys/wait.h>

#include "cni_mess.h"

static char **make_env(const struct mess *m)
{
	char **env = xzalloc((MESS_VARS + 3) * sizeof(*env));
	size_t n = 0;

	env[n++] = xstrdup("CNI_COMMAND=ADD");
	env[n++] = xstrdup("CNI_PATH=/opt/cni/bin");
	for (size_t i = 0; i < MESS_VARS; i++)
		if (m->vars[i])
			env[n++] =
				xasprintf("%s=%s", mess_names[i], m->vars[i]);
	return env;
}

static void env_free(char **env)
{
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	free(env);
}

/* In files, so that neither side ever waits for the other. */
static int run(const struct mess *m, const char *plugin, FILE *in, FILE *out)
{
	char **env = make_env(m);
	int status = -1;
	pid_t child;

	rewind(in);
	if (ftruncate(fileno(in), 0) || ftruncate(fileno(out), 0) ||
	    fwrite(m->conf, 1, m->len, in) != m->len || fflush(in))
		abort();
	child = fork();
	if (child == 0) {
		lseek(fileno(in), 0, SEEK_SET);
		lseek(fileno(out), 0, SEEK_SET);
		dup2(fileno(in), STDIN_FILENO);
		dup2(fileno(out), STDOUT_FILENO);
		execle(plugin, plugin, NULL, env);
		_exit(0);
	}
	env_free(env);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_refused(const struct mess *m, int exit_code, FILE *out)
{
	json_t *said;
	bool ok;

	rewind(out);
	said = json_loadf(out, 0, NULL);
	ok = exit_code > 0 &&
	     json_integer_value(json_object_get(said, "code")) == m->code &&
	     json_string_length(json_object_get(said, "msg")) > 0 &&
	     json_string_length(json_object_get(said, "cniVersion")) > 0;
	if (!ok) {
		char *text = json_dumps(said, JSON_COMPACT);

		printf("%s: exit %d, said %s, want code %d, for %.*s\n",
		       m->what, exit_code, text ? text : "nothing", m->code,
		       (int)MIN(m->len, 200), m->conf);
		free(text);
	}
	json_decref(said);
	return ok;
}

int main(int argc, char **argv)
{
	FILE *in = tmpfile(), *out = tmpfile();
	uint32_t first, count, bad = 0;

	if (argc != 6 || str_to_u32(argv[1], 0, UINT32_MAX, &first) ||
	    str_to_u32(argv[2], 1, 1000000, &count) || !in || !out) {
		fputs("usage: nd-cnimess FIRST COUNT PLUGIN NETNS SOCKET\n",
		      stderr);
		return 2;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct mess m;

		mess_make((uint64_t)first + i, argv[4], argv[5], &m);
		bad += !is_refused(&m, run(&m, argv[3], in, out), out);
		mess_free(&m);
	}
	printf("%u calls, %u not refused as they must be\n", count, bad);
	return bad != 0;
}
