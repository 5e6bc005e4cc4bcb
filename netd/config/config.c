/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each source sets keys of the same table, the weaker first, so that the last
 * one to speak holds. What keys mean together is looked at once, at the end.
 */
#include "config.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "flags.h"
#include "keys.h"
#include "netd/util.h"
#include "netd/words.h"
#include "config_yaml.h"

struct loader {
	struct config *cfg;
	struct flags flags;
	/* Keys that a file, the environment or a flag has set. */
	bool set[KEYS_MAX];
	char file[4096];
	char error[600];
	char hint[200];
};

static int __attribute__((format(printf, 2, 3)))
fail(struct loader *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->error, sizeof(l->error), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int __attribute__((format(printf, 2, 3)))
hint(struct loader *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->hint, sizeof(l->hint), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- built in, environment, flags ---- */

static int load_presets(struct loader *l)
{
	char why[256];

	for (size_t i = 0; i < config_keys_len; i++)
		if (config_keys[i].preset &&
		    key_set_text(l->cfg, &config_keys[i], config_keys[i].preset,
				 why, sizeof(why)))
			return fail(l, "%s: %s", config_keys[i].name, why);
	return 0;
}

static int set_text(struct loader *l, const char *name, const char *text,
		    const char *from)
{
	const struct config_key *key = key_find(name);
	char why[256];

	if (key_set_text(l->cfg, key, text, why, sizeof(why)))
		return fail(l, "%s: %s", from, why);
	l->set[key - config_keys] = true;
	return 0;
}

/* "store.tls.ca" to "NETD_STORE_TLS_CA". */
static void env_name(const char *key, char *buf, size_t size)
{
	char *p;

	if (str_format(buf, size, "NETD_%s", key))
		return;
	for (p = buf; *p; p++)
		*p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
}

/* Whether NAME could only be meant for a key: its section is one of ours. */
static bool is_ours(const char *name)
{
	char env[KEY_NAME_MAX + 8];

	for (size_t i = 0; i < config_keys_len; i++) {
		size_t section;

		env_name(config_keys[i].name, env, sizeof(env));
		section = 5 + strcspn(config_keys[i].name, ".") + 1;
		if (strncmp(env, name, section) == 0)
			return true;
	}
	return false;
}

static int load_env_entry(struct loader *l, const char *entry)
{
	size_t len = strcspn(entry, "=");
	AUTO(str_freep) char *name = xstrndup(entry, len);
	char env[KEYS_MAX][KEY_NAME_MAX + 8];
	struct word_near near = word_near(name);
	const char *meant;

	if (!str_after(name, "NETD_") || !entry[len] || !entry[len + 1])
		return 0;
	for (size_t i = 0; i < config_keys_len; i++) {
		env_name(config_keys[i].name, env[i], sizeof(env[i]));
		if (str_eq(env[i], name))
			return set_text(l, config_keys[i].name, entry + len + 1,
					name);
		word_offer(&near, env[i]);
	}
	if (!is_ours(name))
		return 0;
	fail(l, "unknown variable %s of the environment", name);
	meant = word_meant(&near);
	return meant ? hint(l, "did you mean %s?", meant) : -EINVAL;
}

static int load_env(struct loader *l, char **envp)
{
	int err = 0;

	for (; !err && envp && *envp; envp++)
		err = load_env_entry(l, *envp);
	return err;
}

/* "etcd://a:1,b:1" is the backend and its endpoints in a word. */
static int load_store_flag(struct loader *l, const char *text)
{
	const char *hosts = str_after(text, "etcd://");
	const char *scheme = "http";
	AUTO(str_freep) char *list = xstrdup("");
	AUTO(str_freep) char *copy = NULL;
	char *rest;
	int err;

	if (str_eq(text, "sqlite"))
		return set_text(l, "store.backend", "sqlite", "--store");
	if (!hosts) {
		hosts = str_after(text, "etcds://");
		scheme = "https";
	}
	if (!hosts)
		return fail(l,
			    "--store: \"%s\" is none of sqlite, "
			    "etcd://HOST:PORT, etcds://HOST:PORT",
			    text);
	copy = rest = xstrdup(hosts);
	while (rest) {
		char *longer = xasprintf("%s%s%s://%s", list, *list ? "," : "",
					 scheme, strsep(&rest, ","));

		free(list);
		list = longer;
	}
	err = set_text(l, "store.endpoints", list, "--store");
	return err ? err : set_text(l, "store.backend", "etcd", "--store");
}

static int load_flags(struct loader *l)
{
	const struct flags *f = &l->flags;
	int err = 0;

	l->cfg->adopt_store = f->adopt_store;
	if (f->node)
		err = set_text(l, "node.name", f->node, "--node");
	if (!err && f->address)
		err = set_text(l, "node.address", f->address, "--address");
	if (!err && f->store)
		err = load_store_flag(l, f->store);
	if (!err && f->log_level)
		err = set_text(l, "log.level", f->log_level, "--log-level");
	return err;
}

/* ---- the file ---- */

/* Whoever can write the file is root through it. */
static int check_file(struct loader *l, int fd, struct stat *st)
{
	if (fstat(fd, st))
		return fail(l, "%s: %s", l->file, strerror(errno));
	if (!S_ISREG(st->st_mode))
		return fail(l, "%s: is not a file", l->file);
	if (st->st_uid && st->st_uid != geteuid()) {
		fail(l, "%s: belongs to another user", l->file);
		return hint(l, "chown root %s", l->file);
	}
	if (st->st_mode & S_IWOTH) {
		fail(l, "%s: everybody may write to it (mode %04o)", l->file,
		     (unsigned int)st->st_mode & 07777);
		return hint(l, "chmod o-w %s", l->file);
	}
	if (st->st_size > CONFIG_FILE_MAX)
		return fail(l, "%s: has more than %d bytes", l->file,
			    CONFIG_FILE_MAX);
	return 0;
}

static int load_file(struct loader *l)
{
	AUTO(fd_closep)
	int fd = open(l->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	AUTO(str_freep) char *text = NULL;
	struct stat st;
	ssize_t len;
	int err;

	if (fd < 0 && errno == ENOENT && !l->flags.file)
		return 0;
	if (fd < 0)
		return fail(l, "%s: %s", l->file,
			    errno == ELOOP ? "is a symbolic link"
					   : strerror(errno));
	err = check_file(l, fd, &st);
	if (err)
		return err;
	text = xzalloc((size_t)st.st_size + 1);
	len = read(fd, text, (size_t)st.st_size);
	if (len < 0)
		return fail(l, "%s: %s", l->file, strerror(errno));
	return config_yaml(l->file, text, (size_t)len, l->cfg, l->set, l->error,
			   sizeof(l->error));
}

/* ---- what keys mean together ---- */

static int check_node_name(struct loader *l)
{
	char name[256] = "", why[256];
	const struct config_key *key = key_find("node.name");

	if (l->cfg->node_name)
		return 0;
	if (gethostname(name, sizeof(name) - 1))
		return fail(l, "node.name: the host has no name");
	if (key_set_text(l->cfg, key, name, why, sizeof(why))) {
		fail(l, "node.name: the host's name: %s", why);
		return hint(l, "give another with --node NAME");
	}
	return 0;
}

static bool is_safe_in_clear(const char *endpoint)
{
	const char *host = str_after(endpoint, "http://");
	AUTO(str_freep) char *name = NULL;
	struct ip_addr addr;

	if (!host)
		return true;
	host += *host == '[';
	name = xstrndup(host, strcspn(host, *(host - 1) == '[' ? "]" : ":"));
	if (str_eq(name, "localhost"))
		return true;
	return !ip_parse(name, &addr) && ip_is_loopback(&addr);
}

static int check_store(struct loader *l)
{
	struct config *cfg = l->cfg;

	if (cfg->backend == CONFIG_SQLITE && cfg->endpoints_len) {
		if (!l->set[key_find("store.backend") - config_keys]) {
			fail(l, "store.endpoints is set, but store.backend is "
				"sqlite");
			return hint(l, "set store.backend: etcd");
		}
		for (size_t i = 0; i < cfg->endpoints_len; i++)
			free(cfg->endpoints[i]);
		cfg->endpoints_len = 0;
	}
	if (cfg->backend == CONFIG_ETCD && !cfg->endpoints_len) {
		fail(l, "store.backend is etcd, but store.endpoints is empty");
		return hint(l, "endpoints: [\"http://HOST:2379\"]");
	}
	for (size_t i = 0; i < cfg->endpoints_len; i++) {
		if (cfg->insecure || is_safe_in_clear(cfg->endpoints[i]))
			continue;
		fail(l,
		     "store.endpoints: %.200s is not on this host and not "
		     "TLS: whoever can read or write on the way owns the "
		     "overlay",
		     cfg->endpoints[i]);
		return hint(l, "use https:// and store.tls, or set "
			       "store.insecure: true (NETD_STORE_INSECURE)");
	}
	return 0;
}

static int check_tls(struct loader *l)
{
	const struct config *cfg = l->cfg;
	struct stat st;

	if (!cfg->tls_cert != !cfg->tls_key) {
		fail(l, "store.tls.%s is set without store.tls.%s",
		     cfg->tls_cert ? "cert" : "key",
		     cfg->tls_cert ? "key" : "cert");
		return hint(l, "a client certificate is both");
	}
	if (!cfg->tls_key)
		return 0;
	if (stat(cfg->tls_key, &st))
		return fail(l, "store.tls.key: %s: %s", cfg->tls_key,
			    strerror(errno));
	if (st.st_mode & 077) {
		fail(l, "store.tls.key: %s: others may use it (mode %04o)",
		     cfg->tls_key, (unsigned int)st.st_mode & 07777);
		return hint(l, "chmod 0600 %.150s", cfg->tls_key);
	}
	return 0;
}

static int check_pools(struct loader *l)
{
	const struct config *cfg = l->cfg;
	char a[PREFIX_STRLEN], b[PREFIX_STRLEN];

	if (!cfg->pools_len)
		return fail(l, "ipam.pools: is empty");
	for (size_t i = 0; i < cfg->pools_len; i++) {
		const struct ip_prefix *pool = &cfg->pools[i];

		if (!ip_is_v4(&pool->addr))
			return fail(l, "ipam.pools: %s is not IPv4",
				    prefix_str(pool, a));
		if (prefix_shown_len(pool) > cfg->network_prefix)
			return fail(l,
				    "ipam.pools: %s has no room for a /%u "
				    "(ipam.network_prefix)",
				    prefix_str(pool, a), cfg->network_prefix);
		if (prefix_overlaps(pool, &cfg->vip_pool))
			return fail(l,
				    "ipam.vip_pool: %s overlaps %s of "
				    "ipam.pools",
				    prefix_str(&cfg->vip_pool, a),
				    prefix_str(pool, b));
		for (size_t j = 0; j < i; j++)
			if (prefix_overlaps(pool, &cfg->pools[j]))
				return fail(l, "ipam.pools: %s overlaps %s",
					    prefix_str(&cfg->pools[j], a),
					    prefix_str(pool, b));
	}
	if (!ip_is_v4(&cfg->vip_pool.addr) ||
	    prefix_shown_len(&cfg->vip_pool) > 22)
		return fail(l,
			    "ipam.vip_pool: %s is not IPv4 with room for a "
			    "/22",
			    prefix_str(&cfg->vip_pool, a));
	return 0;
}

static int check_all(struct loader *l)
{
	int err = check_node_name(l);

	if (!err)
		err = check_store(l);
	if (!err)
		err = check_tls(l);
	if (!err)
		err = check_pools(l);
	return err;
}

/* ---- places ---- */

static char *absolute(const char *path)
{
	AUTO(str_freep) char *here = NULL;
	char *full;
	size_t len;

	if (*path == '/') {
		full = xstrdup(path);
	} else {
		here = getcwd(NULL, 0);
		full = xasprintf("%s/%s", here ? here : "", path);
	}
	for (len = strlen(full); len > 1 && full[len - 1] == '/'; len--)
		full[len - 1] = '\0';
	return full;
}

static void set_places(struct config *cfg, const char *root)
{
	AUTO(str_freep) char *run = xstrdup(root ? root : "/run/netd");

	cfg->run_dir = xstrdup(run);
	cfg->state_dir = xstrdup(root ? root : "/var/lib/netd");
	cfg->ns_dir = xasprintf("%s/ns", run);
	cfg->resolv_dir = xasprintf("%s/resolv", run);
	cfg->cni_dir = xasprintf("%s/cni", run);
	cfg->dns_dir = xasprintf("%s/dns", run);
	cfg->probe_dir = xasprintf("%s/probe", run);
	cfg->pid_file = xasprintf("%s/netd.pid", run);
	cfg->db_file = xasprintf("%s/netd.db", cfg->state_dir);
	cfg->pin_dir =
		root ? xasprintf("%s/bpf", root) : xstrdup("/sys/fs/bpf/netd");
	if (!cfg->socket)
		cfg->socket = xasprintf("%s/netd.sock", run);
	if (!cfg->docker_socket)
		cfg->docker_socket =
			root ? xasprintf("%s/docker.sock", root)
			     : xstrdup("/run/docker/plugins/netd.sock");
}

/* ---- all of it ---- */

static int load(struct loader *l, int argc, char **argv, char **envp)
{
	AUTO(str_freep) char *root = NULL;
	int err =
		flags_parse(argc, argv, &l->flags, l->error, sizeof(l->error));

	if (err)
		return hint(l, "netd --help lists the flags");
	if (l->flags.verb == FLAGS_HELP || l->flags.verb == FLAGS_VERSION)
		return 0;
	if (l->flags.root)
		root = absolute(l->flags.root);
	if (l->flags.file)
		err = str_format(l->file, sizeof(l->file), "%s", l->flags.file);
	else if (root)
		err = str_format(l->file, sizeof(l->file), "%s/netd.yaml",
				 root);
	else
		str_copy(l->file, sizeof(l->file), CONFIG_FILE_DEFAULT);
	if (err)
		return fail(l, "the configuration file's path is too long");
	err = load_presets(l);
	if (!err)
		err = load_file(l);
	if (!err)
		err = load_env(l, envp);
	if (!err)
		err = load_flags(l);
	if (!err)
		err = check_all(l);
	if (!err)
		set_places(l->cfg, root);
	return err;
}

static enum config_action show(const struct loader *l, char *text, size_t size)
{
	switch (l->flags.verb) {
	case FLAGS_HELP:
		snprintf(text, size, "%s", flags_help);
		return CONFIG_SHOW;
	case FLAGS_VERSION:
		snprintf(text, size, "netd %s\n", NETD_VERSION);
		return CONFIG_SHOW;
	case FLAGS_CHECK:
		snprintf(text, size, "netd: the configuration is good\n");
		return CONFIG_SHOW;
	case FLAGS_CLEANUP:
		return CONFIG_CLEANUP;
	case FLAGS_RUN:
		break;
	}
	return CONFIG_RUN;
}

int config_load(int argc, char **argv, char **envp, struct config *ret,
		char *text, size_t size)
{
	struct loader l = { .cfg = ret };
	int err;

	*ret = (struct config){ 0 };
	*text = '\0';
	err = load(&l, argc, argv, envp);
	if (err) {
		snprintf(text, size, "netd: %s\n%s%s%s", l.error,
			 *l.hint ? "hint: " : "", l.hint, *l.hint ? "\n" : "");
		return err;
	}
	ret->action = show(&l, text, size);
	return 0;
}

void config_free(struct config *cfg)
{
	char **const owned[] = {
		&cfg->node_name,   &cfg->prefix,     &cfg->tls_ca,
		&cfg->tls_cert,	   &cfg->tls_key,    &cfg->socket,
		&cfg->group,	   &cfg->domain,     &cfg->dns_user,
		&cfg->dns_listen,  &cfg->state_dir,  &cfg->run_dir,
		&cfg->ns_dir,	   &cfg->resolv_dir, &cfg->cni_dir,
		&cfg->dns_dir,	   &cfg->probe_dir,  &cfg->pin_dir,
		&cfg->db_file,	   &cfg->pid_file,   &cfg->docker_socket,
		&cfg->docker_host, &cfg->xdp,
	};

	for (size_t i = 0; i < ARRAY_LEN(owned); i++)
		str_freep(owned[i]);
	for (size_t i = 0; i < cfg->uplinks_len; i++)
		free(cfg->uplinks[i]);
	for (size_t i = 0; i < cfg->endpoints_len; i++)
		free(cfg->endpoints[i]);
	for (size_t i = 0; i < cfg->dns_allow_len; i++)
		free(cfg->dns_allow[i]);
	free(cfg->dns_allow);
	free(cfg->uplinks);
	free(cfg->endpoints);
	*cfg = (struct config){ 0 };
}
