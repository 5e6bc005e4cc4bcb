/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CNI plugin's place on this host: a configuration where engines look for
 * networks, and a link to the program where they look for plugins. What is
 * there and is not ours stays.
 */
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

#include "client.h"
#include "cmd.h"
#include "netd/util.h"

#define CONF_MAX (1024 * 1024)
/* Both the plugin's type and its program's name, for engines. */
#define PLUGIN "netd"

/* clang-format off */
#define NAME_ROW                                                               \
	{ .name = "name", .type = API_STR, .value = "NAME",                    \
	  .help = "the engines' name for the network (netd)" }
#define NETWORK_ROW                                                            \
	{ .name = "network", .type = API_STR, .value = "NETWORK",              \
	  .help = "network of netd's (default)" }
#define PLACE_ROWS                                                             \
	{ .name = "conf_dir", .type = API_STR, .value = "DIR",                 \
	  .help = "configurations (/etc/cni/net.d)" },                         \
	{ .name = "bin_dir", .type = API_STR, .value = "DIR",                  \
	  .help = "plugins (/opt/cni/bin)" }

static const struct api_arg config_own[] = { NAME_ROW, NETWORK_ROW };
static const struct api_arg place_own[] = { NAME_ROW, NETWORK_ROW,
					    PLACE_ROWS };
static const struct api_arg remove_own[] = { NAME_ROW, PLACE_ROWS };
static const struct api_arg gc_own[] = {
	NAME_ROW,
	{ .name = "keep", .type = API_LIST, .value = "CONTAINER/IFNAME",
	  .help = "what is still there; may be repeated" },
	{ .name = "all", .type = API_BOOL, .help = "nothing is still there" },
};
/* clang-format on */

static const char *own(struct args *args, const char *name,
		       const char *fallback)
{
	const char *text =
		json_string_value(json_object_get(cmd_own(args), name));

	return text ? text : fallback;
}

/* ---- what is written ---- */

/* 1.0.0 is what Debian 12's engines know; newer ones take the best of all. */
static json_t *make_conf(const struct ctl *ctl, struct args *args)
{
	json_t *plugin =
		json_pack("{s:s, s:s, s:{s:b, s:b, s:b, s:b, s:b}}", "type",
			  PLUGIN, "network", own(args, "network", "default"),
			  "capabilities", "portMappings", 1, "ips", 1, "mac", 1,
			  "aliases", 1, "dns", 1);

	if (!str_eq(ctl->socket, API_SOCKET_DEFAULT))
		json_object_set_new(plugin, "socket", json_string(ctl->socket));
	return json_pack("{s:s, s:[s, s, s], s:s, s:[o]}", "cniVersion",
			 "1.0.0", "cniVersions", "0.4.0", "1.0.0", "1.1.0",
			 "name", own(args, "name", "netd"), "plugins", plugin);
}

static char *conf_text(const struct ctl *ctl, struct args *args)
{
	json_t *conf = make_conf(ctl, args);
	AUTO(str_freep) char *text = json_dumps(conf, JSON_INDENT(2));

	json_decref(conf);
	return xasprintf("%s\n", text);
}

/* ---- where ---- */

struct places {
	char *conf_dir, *bin_dir;
	char *conf, *link;
	/* The program that netctl came with. */
	char program[PATH_MAX];
};

static void places_free(struct places *p)
{
	free(p->conf_dir);
	free(p->bin_dir);
	free(p->conf);
	free(p->link);
}

/* Beside netctl as built, or where it is installed: below the same prefix. */
static void find_program(char *ret)
{
	static const char *const places[] = {
		"/netd-cni",
		"/../libexec/netd/netd-cni",
	};
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	dirname(self);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (!str_format(path, sizeof(path), "%s%s", self, places[i]) &&
		    access(path, X_OK) == 0 && realpath(path, ret))
			return;
	snprintf(ret, PATH_MAX, "%s", NETD_LIBEXECDIR "/netd-cni");
}

/* Whatever is a word here was meant to be an option. */
static int no_words(const struct cmd *cmd, const struct args *args)
{
	if (!args->words_len)
		return 0;
	return complain(EXIT_USAGE, "netctl cni --help",
			"%s: \"%s\" is one word too many", cmd->words,
			args->words[0]);
}

/* The name becomes part of a file's. */
static bool is_name(const char *name)
{
	return *name && *name != '.' && *name != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		       strlen(name);
}

static int find_places(const struct cmd *cmd, struct args *args,
		       struct places *p)
{
	const char *name = own(args, "name", "netd");

	if (no_words(cmd, args))
		return EXIT_USAGE;
	if (!is_name(name))
		return complain(EXIT_USAGE,
				"a letter or digit, then letters, digits, _ . "
				"and -",
				"\"%s\" is not a name for a network", name);
	p->conf_dir = xstrdup(own(args, "conf_dir", "/etc/cni/net.d"));
	p->bin_dir = xstrdup(own(args, "bin_dir", "/opt/cni/bin"));
	/* Engines that use the first there is use netd. */
	p->conf = xasprintf("%s/10-%s.conflist", p->conf_dir, name);
	p->link = xasprintf("%s/" PLUGIN, p->bin_dir);
	find_program(p->program);
	return 0;
}

static int failed(const char *path)
{
	int code = errno == EACCES || errno == EPERM ? EXIT_PERMISSION
						     : EXIT_FAILED;

	return complain(code, code == EXIT_PERMISSION ? "run it as root" : NULL,
			"%s: %s", path, strerror(errno));
}

/* mkdir -p */
static int make_dirs(const char *path)
{
	AUTO(str_freep) char *copy = xstrdup(path);

	for (char *slash = copy + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			return failed(copy);
		*slash = '/';
	}
	return mkdir(copy, 0755) && errno != EEXIST ? failed(copy) : 0;
}

/* Does the configuration there name our plugin? */
static bool conf_is_ours(const char *path)
{
	AUTO(str_freep) char *text = NULL;
	json_t *conf, *plugins, *first;
	const char *type;
	bool ours;

	if (file_read(path, CONF_MAX, &text))
		return false;
	conf = json_loads(text, 0, NULL);
	plugins = json_object_get(conf, "plugins");
	first = json_array_get(plugins, 0);
	type = json_string_value(json_object_get(first, "type"));
	ours = type && str_eq(type, PLUGIN);
	json_decref(conf);
	return ours;
}

/* Is the link there one to netd-cni, this or an older one? */
static bool link_is_ours(const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	return str_eq(basename(target), "netd-cni");
}

static int refuse_others(const struct places *p)
{
	if (access(p->conf, F_OK) == 0 && !conf_is_ours(p->conf))
		return complain(EXIT_CONFLICT,
				"move it away, or choose another --name",
				"%s is not netd's", p->conf);
	if (faccessat(AT_FDCWD, p->link, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !link_is_ours(p->link))
		return complain(EXIT_CONFLICT,
				"move it away, or choose another --bin-dir",
				"%s is not a link to netd-cni", p->link);
	return 0;
}

/* ---- install and uninstall ---- */

static int write_link(const struct places *p)
{
	AUTO(str_freep) char *temporary = xasprintf("%s.tmp", p->link);

	unlink(temporary);
	if (symlink(p->program, temporary) || rename(temporary, p->link))
		return failed(p->link);
	return 0;
}

static int install(const struct ctl *ctl, struct args *args,
		   const struct places *p)
{
	AUTO(str_freep) char *text = conf_text(ctl, args);
	int code = refuse_others(p);

	if (!code && access(p->program, X_OK))
		code = failed(p->program);
	if (!code)
		code = make_dirs(p->bin_dir);
	if (!code)
		code = make_dirs(p->conf_dir);
	/* The plugin first: an engine may act on the configuration at once. */
	if (!code)
		code = write_link(p);
	if (code)
		return code;
	errno = -file_write(p->conf, 0644, text);
	if (errno)
		return failed(p->conf);
	printf("%s -> %s\n%s\n", p->link, p->program, p->conf);
	return EXIT_OK;
}

static int run_install(const struct ctl *ctl, const struct cmd *cmd,
		       struct args *args)
{
	struct places p = { 0 };
	int code = find_places(cmd, args, &p);

	if (!code)
		code = install(ctl, args, &p);
	places_free(&p);
	return code;
}

/* Does another configuration still need the plugin? */
static bool is_needed(const struct places *p)
{
	AUTO(str_freep) char *pattern = xasprintf("%s/*.conflist", p->conf_dir);
	glob_t found = { 0 };
	bool needed = false;

	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			needed |= conf_is_ours(found.gl_pathv[i]);
	globfree(&found);
	return needed;
}

static int uninstall(const struct places *p)
{
	int code = refuse_others(p);

	if (code)
		return code;
	if (unlink(p->conf) == 0)
		puts(p->conf);
	else if (errno != ENOENT)
		return failed(p->conf);
	if (is_needed(p))
		return EXIT_OK;
	if (unlink(p->link) == 0)
		puts(p->link);
	else if (errno != ENOENT)
		return failed(p->link);
	return EXIT_OK;
}

static int run_uninstall(const struct ctl *ctl, const struct cmd *cmd,
			 struct args *args)
{
	struct places p = { 0 };
	int code = find_places(cmd, args, &p);

	(void)ctl;
	if (!code)
		code = uninstall(&p);
	places_free(&p);
	return code;
}

static int run_config(const struct ctl *ctl, const struct cmd *cmd,
		      struct args *args)
{
	AUTO(str_freep) char *text = conf_text(ctl, args);

	if (no_words(cmd, args))
		return EXIT_USAGE;
	fputs(text, stdout);
	return EXIT_OK;
}

/* ---- status ---- */

static const struct out_column columns[] = {
	{ "CHECK", "check", 0, NULL },
	{ "OK", "ok", 0, NULL },
	{ "VALUE", "value", OUT_CUT, NULL },
	{ "HINT", "hint", OUT_IF_ANY | OUT_CUT, NULL },
};

static const struct out_view status_view = { "check", columns,
					     ARRAY_LEN(columns) };

static void row(json_t *rows, const char *check, bool ok, const char *value,
		const char *hint)
{
	json_array_append_new(rows, json_pack("{s:s, s:b, s:s, s:s}", "check",
					      check, "ok", ok, "value", value,
					      "hint", ok ? "" : hint));
}

static bool ask_ready(const struct ctl *ctl, const char *network, json_t *rows)
{
	json_t *args = json_pack("{s:s}", "name", network);
	struct failure why = { 0 };
	json_t *reply = NULL;
	bool ok = !client_call(ctl, API_NETWORK_READY, args, &reply, &why);

	row(rows, "netd", ok, ok ? network : why.message, ok ? "" : why.hint);
	failure_free(&why);
	json_decref(args);
	json_decref(reply);
	return ok;
}

static int run_status(const struct ctl *ctl, const struct cmd *cmd,
		      struct args *args)
{
	struct places p = { 0 };
	int code = find_places(cmd, args, &p);
	json_t *rows;
	bool conf, link, ready;

	if (code)
		return code;
	rows = json_array();
	conf = conf_is_ours(p.conf);
	link = link_is_ours(p.link) && access(p.link, X_OK) == 0;
	row(rows, "configuration", conf, p.conf, "netctl cni install");
	row(rows, "plugin", link, p.link, "netctl cni install");
	ready = ask_ready(ctl, own(args, "network", "default"), rows);
	out_list(ctl, cmd->view, rows);
	json_decref(rows);
	places_free(&p);
	return conf && link && ready ? EXIT_OK : EXIT_FAILED;
}

/* ---- gc ---- */

static int run_gc(const struct ctl *ctl, const struct cmd *cmd,
		  struct args *args)
{
	json_t *keep = json_object_get(cmd_own(args), "keep");
	bool all = json_is_true(json_object_get(cmd_own(args), "all"));
	json_t *fields, *reply = NULL, *name;
	int code;
	size_t i;

	if (no_words(cmd, args))
		return EXIT_USAGE;
	if (!!keep == all)
		return complain(EXIT_USAGE,
				"--keep CONTAINER/IFNAME for each that is "
				"still there, or --all to remove every one",
				"%s: says nothing of what is still there",
				cmd->words);
	fields = json_pack("{s:s, s:s, s:o}", "owner", "cni", "config",
			   own(args, "name", "netd"), "keep",
			   keep ? json_incref(keep) : json_array());
	code = client_ask(ctl, API_POD_GC, fields, &reply);
	json_decref(fields);
	if (!code && ctl->form == FORM_JSON)
		out_json(reply);
	else
		json_array_foreach (reply, i, name)
			puts(json_string_value(name));
	json_decref(reply);
	return code;
}

const struct cmd cni_cmds[] = {
	{ .words = "cni install",
	  .op = CMD_NO_OP,
	  .run = run_install,
	  .own = place_own,
	  .own_len = ARRAY_LEN(place_own),
	  .help = "Make netd a network of this host's container engines" },
	{ .words = "cni uninstall",
	  .op = CMD_NO_OP,
	  .run = run_uninstall,
	  .own = remove_own,
	  .own_len = ARRAY_LEN(remove_own),
	  .help = "Undo cni install" },
	{ .words = "cni config",
	  .op = CMD_NO_OP,
	  .run = run_config,
	  .own = config_own,
	  .own_len = ARRAY_LEN(config_own),
	  .help = "Show the configuration that engines need" },
	{ .words = "cni status",
	  .op = CMD_NO_OP,
	  .run = run_status,
	  .view = &status_view,
	  .own = place_own,
	  .own_len = ARRAY_LEN(place_own),
	  .help = "Is it installed, and can containers be attached" },
	{ .words = "cni gc",
	  .op = CMD_NO_OP,
	  .run = run_gc,
	  .own = gc_own,
	  .own_len = ARRAY_LEN(gc_own),
	  .help = "Remove what engines do not know any more" },
	{ .words = NULL },
};
