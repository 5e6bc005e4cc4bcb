/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: every source, every type, and where errors are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "config.h"
#include "keys.h"
#include "netd/util.h"

static struct {
	char dir[64];
	char file[96];
	struct config cfg;
	char text[1024];
} t;

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	strcpy(t.dir, "/tmp/netd-config-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	str_format(t.file, sizeof(t.file), "%s/netd.yaml", t.dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_free(&t.cfg);
	unlink(t.file);
	rmdir(t.dir);
	return 0;
}

/* Words of the command line after --root, and of the environment. */
static int load(const char *flags, const char *env)
{
	AUTO(str_freep) char *words = xstrdup(flags);
	AUTO(str_freep) char *vars = xstrdup(env);
	char *argv[32] = { (char *)(uintptr_t) "netd",
			   (char *)(uintptr_t) "--root", t.dir };
	char *envp[32] = { NULL };
	int argc = 3, n = 0;
	char *word, *rest;

	rest = words;
	while ((word = strsep(&rest, " ")))
		if (*word)
			argv[argc++] = word;
	rest = vars;
	while ((word = strsep(&rest, " ")))
		if (*word)
			envp[n++] = word;
	config_free(&t.cfg);
	return config_load(argc, argv, envp, &t.cfg, t.text, sizeof(t.text));
}

static void put(const char *yaml)
{
	assert_int_equal(file_write(t.file, 0600, yaml), 0);
}

static void assert_prefix(const struct ip_prefix *p, const char *text)
{
	char buf[PREFIX_STRLEN];

	assert_string_equal(prefix_str(p, buf), text);
}

static void assert_addr(const struct ip_addr *a, const char *text)
{
	char buf[IP_STRLEN];

	assert_string_equal(ip_str(a, buf), text);
}

static void assert_presets(const struct config *cfg)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	assert_string_equal(cfg->node_name, host);
	assert_true(ip_is_none(&cfg->node_address));
	assert_int_equal(cfg->uplinks_len, 0);
	assert_int_equal(cfg->backend, CONFIG_SQLITE);
	assert_int_equal(cfg->endpoints_len, 0);
	assert_string_equal(cfg->prefix, "/netd/v1");
	assert_int_equal(cfg->lease_ttl_s, 4);
	assert_false(cfg->insecure);
	assert_null(cfg->tls_ca);
	assert_null(cfg->tls_key);
	assert_string_equal(cfg->group, "netd");
	assert_int_equal(cfg->vxlan_port, 4789);
	assert_int_equal(cfg->mtu, 0);
	assert_int_equal(cfg->pools_len, 2);
	assert_prefix(&cfg->pools[0], "10.64.0.0/12");
	assert_prefix(&cfg->pools[1], "172.20.0.0/14");
	assert_int_equal(cfg->network_prefix, 22);
	assert_prefix(&cfg->vip_pool, "10.80.0.0/12");
	assert_string_equal(cfg->domain, "cluster.local");
	assert_int_equal(cfg->upstreams_len, 0);
	assert_int_equal(cfg->dns_ttl, 5);
	assert_string_equal(cfg->dns_user, "netd-dns");
	assert_string_equal(cfg->dns_listen, "127.0.0.55");
	assert_int_equal(cfg->dns.cache_size, 10000);
	assert_int_equal(cfg->dns.ttl_max, 300);
	assert_int_equal(cfg->dns.ttl_min, 0);
	assert_int_equal(cfg->dns.negative_ttl, 30);
	assert_int_equal(cfg->dns.stale_ttl, 3600);
	assert_int_equal(cfg->dns.waiting_max, 1024);
	assert_int_equal(cfg->dns.client_max, 64);
	assert_false(cfg->dns.rebind_filter);
	assert_int_equal(cfg->dns_allow_len, 0);
	assert_int_equal(cfg->log_level, LOG_LEVEL_INFO);
}

static void test_built_in(void **state)
{
	(void)state;
	assert_int_equal(load("", ""), 0);
	assert_int_equal(t.cfg.action, CONFIG_RUN);
	assert_presets(&t.cfg);
	assert_false(t.cfg.adopt_store);
}

static void test_root_moves_everything(void **state)
{
	const char *const *places[] = {
		(const char *const *)&t.cfg.socket,
		(const char *const *)&t.cfg.pid_file,
		(const char *const *)&t.cfg.db_file,
		(const char *const *)&t.cfg.ns_dir,
		(const char *const *)&t.cfg.resolv_dir,
		(const char *const *)&t.cfg.dns_dir,
		(const char *const *)&t.cfg.pin_dir,
	};
	static const char *const ends[] = { "netd.sock", "netd.pid", "netd.db",
					    "ns",	 "resolv",   "dns",
					    "bpf" };
	char path[128];

	(void)state;
	assert_int_equal(load("", ""), 0);
	assert_string_equal(t.cfg.state_dir, t.dir);
	assert_string_equal(t.cfg.run_dir, t.dir);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		str_format(path, sizeof(path), "%s/%s", t.dir, ends[i]);
		assert_string_equal(*places[i], path);
	}
}

static void test_places_without_root(void **state)
{
	char *argv[] = { (char *)(uintptr_t) "netd",
			 (char *)(uintptr_t) "--config", t.file };
	char *envp[] = { NULL };

	(void)state;
	put("log: { level: debug }\n");
	assert_int_equal(
		config_load(3, argv, envp, &t.cfg, t.text, sizeof(t.text)), 0);
	assert_int_equal(t.cfg.log_level, LOG_LEVEL_DEBUG);
	assert_string_equal(t.cfg.socket, "/run/netd/netd.sock");
	assert_string_equal(t.cfg.db_file, "/var/lib/netd/netd.db");
	assert_string_equal(t.cfg.pin_dir, "/sys/fs/bpf/netd");
	assert_string_equal(t.cfg.ns_dir, "/run/netd/ns");
}

static void test_relative_root(void **state)
{
	char *argv[] = { (char *)(uintptr_t) "netd",
			 (char *)(uintptr_t) "--root",
			 (char *)(uintptr_t) "here/" };
	char *envp[] = { NULL };
	char here[64];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(t.dir), 0);
	assert_int_equal(
		config_load(3, argv, envp, &t.cfg, t.text, sizeof(t.text)), 0);
	assert_int_equal(chdir(here), 0);
	assert_int_equal(strncmp(t.cfg.run_dir, t.dir, strlen(t.dir)), 0);
	assert_string_equal(t.cfg.run_dir + strlen(t.dir), "/here");
}

static void test_file(void **state)
{
	(void)state;
	put("# all of it\n"
	    "node:\n"
	    "  name: n-1\n"
	    "  address: 192.0.2.1\n"
	    "  uplinks: [eth0, wlan0]\n"
	    "store:\n"
	    "  backend: etcd\n"
	    "  endpoints:\n"
	    "    - \"http://10.0.0.1:2379\"\n"
	    "    - http://h.example:2379\n"
	    "  prefix: /other\n"
	    "  lease_ttl: 9000ms\n"
	    "  insecure: true\n"
	    "  tls: { ca: /etc/ca.pem }\n"
	    "api: { socket: /run/x.sock, group: '' }\n"
	    "overlay: { port: 4790, mtu: 1400 }\n"
	    "ipam:\n"
	    "  pools: [10.1.0.0/16]\n"
	    "  network_prefix: 24\n"
	    "  vip_pool: 10.2.0.0/16\n"
	    "dns: { domain: in.example, upstreams: [9.9.9.9, 2001:db8::1], "
	    "user: dns }\n"
	    "log: { level: debug }\n");
	if (load("", ""))
		fail_msg("%s", t.text);
	assert_string_equal(t.cfg.node_name, "n-1");
	assert_addr(&t.cfg.node_address, "192.0.2.1");
	assert_int_equal(t.cfg.uplinks_len, 2);
	assert_string_equal(t.cfg.uplinks[1], "wlan0");
	assert_int_equal(t.cfg.backend, CONFIG_ETCD);
	assert_int_equal(t.cfg.endpoints_len, 2);
	assert_string_equal(t.cfg.endpoints[1], "http://h.example:2379");
	assert_string_equal(t.cfg.prefix, "/other");
	assert_int_equal(t.cfg.lease_ttl_s, 9);
	assert_true(t.cfg.insecure);
	assert_string_equal(t.cfg.tls_ca, "/etc/ca.pem");
	assert_string_equal(t.cfg.socket, "/run/x.sock");
	assert_string_equal(t.cfg.group, "");
	assert_int_equal(t.cfg.vxlan_port, 4790);
	assert_int_equal(t.cfg.mtu, 1400);
	assert_int_equal(t.cfg.pools_len, 1);
	assert_prefix(&t.cfg.vip_pool, "10.2.0.0/16");
	assert_string_equal(t.cfg.domain, "in.example");
	assert_int_equal(t.cfg.upstreams_len, 2);
	assert_addr(&t.cfg.upstreams[1], "2001:db8::1");
	assert_int_equal(t.cfg.log_level, LOG_LEVEL_DEBUG);
}

static void test_the_last_to_speak_holds(void **state)
{
	(void)state;
	put("log: { level: error }\nnode: { name: file }\n"
	    "overlay: { port: 1000 }\nipam: { pools: [10.9.0.0/16] }\n");
	assert_int_equal(load("--node flag",
			      "NETD_NODE_NAME=env NETD_OVERLAY_PORT=2000 "
			      "NETD_IPAM_POOLS=10.1.0.0/16,10.3.0.0/16 "
			      "NETD_HOST=unix:///x NETD_OPTS=--y OTHER=z "
			      "NETD_DNS_DOMAIN="),
			 0);
	assert_string_equal(t.cfg.node_name, "flag");
	assert_int_equal(t.cfg.vxlan_port, 2000);
	assert_int_equal(t.cfg.log_level, LOG_LEVEL_ERROR);
	assert_int_equal(t.cfg.pools_len, 2);
	assert_prefix(&t.cfg.pools[1], "10.3.0.0/16");
	assert_string_equal(t.cfg.domain, "cluster.local");
}

static void test_nothing_given_is_the_preset(void **state)
{
	static const char *const files[] = {
		"",
		"# only words\n",
		"---\n",
		"store:\nlog:\n",
		"store: { prefix: , tls: { ca: ~, key: null } }\n",
		"node: { name: auto, address: auto, uplinks: auto }\n",
		"{ dns: { upstreams: auto }, overlay: { mtu: auto } }\n",
		"{ ipam: { pools: null }, log: { level: } }\n",
		"store: { endpoints: [] }\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		put(files[i]);
		if (load("", ""))
			fail_msg("%s: %s", files[i], t.text);
		assert_presets(&t.cfg);
	}
}

static void test_files_that_are_refused(void **state)
{
	static const struct {
		const char *yaml, *place, *why;
	} cases[] = {
		{ "nodes: {}\n", ":1:1:", "unknown key \"nodes\"" },
		{ "store:\n  endpoint: []\n",
		  ":2:3:", "did you mean \"store.endpoints\"?" },
		{ "store: { tls: { crt: /x } }\n", ":1:17:", "store.tls.cert" },
		{ "node: { name: a }\nnode: { name: b }\n",
		  ":2:1:", "stands twice" },
		{ "node: { name: a, name: b }\n", ":1:18:", "stands twice" },
		{ "node: x\n", ":1:7:", "wants keys below" },
		{ "node: [x]\n", ":1:7:", "wants keys below" },
		{ "node: { name: { a: b } }\n", ":1:15:", "no keys below" },
		{ "node: { name: [a] }\n", ":1:15:", "not a list" },
		{ "- a\n", ":1:1:", "wants keys" },
		{ "just text\n", ":1:1:", "wants keys" },
		{ "node: { name: a\n", ":2:1:", "" },
		{ "node:\n\tname: a\n", ":2:1:", "" },
		{ "log: b: c\n", ":1:6:", "wants keys" },
		{ "node: &x { name: a }\n", ":1:7:", "anchors" },
		{ "node: { name: *x }\n", ":1:15:", "aliases" },
		{ "node: { name: !!str a }\n", ":1:15:", "tags" },
		{ "log: { level: info }\n---\nlog: {}\n", ":2:1:", "second" },
		{ "{a: b}: c\n", ":1:1:", "" },
		/* Types. */
		{ "node: { name: 12 }\n", ":1:15:", "quote it" },
		{ "node: { name: true }\n", ":1:15:", "quote it" },
		{ "node: { name: a/b }\n", ":1:15:", "letters" },
		{ "node: { name: '' }\n", ":1:15:", "1 to 63" },
		{ "node: { address: 10.0.0 }\n", ":1:18:", "not an address" },
		{ "node: { uplinks: eth0 }\n", ":1:18:", "is a list" },
		{ "node: { uplinks: [[a]] }\n", ":1:19:", "single values" },
		{ "node: { uplinks: [far-too-long-a-name] }\n",
		  ":1:18:", "interface" },
		{ "overlay: { port: '4789' }\n",
		  ":1:18:", "string, not a number" },
		{ "overlay: { port: 0 }\n", ":1:18:", "from 1 to 65535" },
		{ "overlay: { port: 65536 }\n", ":1:18:", "from 1 to 65535" },
		{ "overlay: { port: 47.5 }\n", ":1:18:", "from 1 to" },
		{ "overlay: { port: -1 }\n", ":1:18:", "from 1 to" },
		{ "overlay: { port: auto }\n", ":1:18:", "from 1 to" },
		{ "overlay: { mtu: 100 }\n", ":1:17:", "from 576 to" },
		{ "store: { insecure: yes }\n", ":1:20:", "true nor false" },
		{ "store: { insecure: 'true' }\n", ":1:20:", "true nor false" },
		{ "store: { lease_ttl: 4 }\n", ":1:21:", "4s" },
		{ "store: { lease_ttl: 500ms }\n", ":1:21:", "whole seconds" },
		{ "store: { lease_ttl: 1h }\n", ":1:21:", "from 2s to 600s" },
		{ "store: { lease_ttl: 99999999999s }\n", ":1:21:", "4s" },
		{ "store: { backend: consul }\n", ":1:19:", "neither sqlite" },
		{ "store: { prefix: netd }\n", ":1:18:", "/netd/v1" },
		{ "store: { prefix: /netd/ }\n", ":1:18:", "/netd/v1" },
		{ "store: { endpoints: [h:1] }\n", ":1:21:", "http://" },
		{ "store: { endpoints: ['http://h'] }\n", ":1:21:", ":PORT" },
		{ "store: { tls: { ca: ca.pem } }\n",
		  ":1:21:", "absolute path" },
		{ "ipam: { pools: [10.64.0.1/12] }\n",
		  ":1:16:", "is 10.64.0.0/12 meant?" },
		{ "ipam: { pools: [10.64.0.0] }\n", ":1:16:", "not a prefix" },
		{ "ipam: { pools: 10.64.0.0/12 }\n", ":1:16:", "is a list" },
		{ "ipam: { pools: '10.64.0.0/12' }\n", ":1:16:", "is a list" },
		{ "dns: { domain: a..b }\n", ":1:16:", "not a domain" },
		{ "dns: { listen: 192.0.2.1 }\n", ":1:16:", "loopback" },
		{ "dns: { listen: \"5\" }\n", ":1:16:", "127.0.0.55" },
		{ "dns: { max_per_client: 0 }\n", ":1:24:", "from 1" },
		{ "dns: { rebind_allow: [a..b] }\n", ":1:22:", "not a domain" },
		{ "dns: { upstreams: [1.1.1.1, x] }\n",
		  ":1:19:", "not an address" },
		{ "log: { level: loud }\n", ":1:15:", "none of error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char place[160];

		put(cases[i].yaml);
		if (load("", "") != -EINVAL)
			fail_msg("taken: %s", cases[i].yaml);
		str_format(place, sizeof(place), "netd: %s%s", t.file,
			   cases[i].place);
		if (!strstr(t.text, place) || !strstr(t.text, cases[i].why))
			fail_msg("%s: \"%s\" lacks \"%s\" or \"%s\"",
				 cases[i].yaml, t.text, place, cases[i].why);
	}
}

static void test_keys_that_do_not_go_together(void **state)
{
	static const struct {
		const char *flags, *env, *why;
	} cases[] = {
		{ "--store etcd://10.0.0.1:2379", "", "store.insecure" },
		{ "--store etcd://h.example:2379", "", "store.insecure" },
		{ "--store etcd://127.0.0.1:1,10.0.0.1:1", "", "10.0.0.1:1" },
		{ "", "NETD_STORE_BACKEND=etcd", "endpoints is empty" },
		{ "", "NETD_STORE_ENDPOINTS=http://127.0.0.1:1",
		  "store.backend is sqlite" },
		{ "", "NETD_STORE_TLS_KEY=/k", "without store.tls.cert" },
		{ "", "NETD_STORE_TLS_KEY=/no/k NETD_STORE_TLS_CERT=/c",
		  "/no/k: No such file" },
		{ "", "NETD_IPAM_POOLS=10.0.0.0/12,10.1.0.0/16", "overlaps" },
		{ "", "NETD_IPAM_POOLS=10.80.0.0/16", "ipam.vip_pool" },
		{ "", "NETD_IPAM_POOLS=10.0.0.0/24", "no room for a /22" },
		{ "", "NETD_IPAM_POOLS=fd00::/8", "not IPv4" },
		{ "", "NETD_IPAM_VIP_POOL=10.80.0.0/24", "room for a /22" },
		{ "", "NETD_STORE_ENDPOIN=x", "did you mean NETD_STORE_ENDPO" },
		{ "", "NETD_OVERLAY_PORT=x", "NETD_OVERLAY_PORT:" },
		{ "--store consul://x:1", "", "none of sqlite" },
		{ "--store etcd://", "", ":PORT" },
		{ "--address 1.2.3", "", "--address:" },
		{ "--node -x", "", "--node:" },
		{ "--chek-config", "", "did you mean --check-config?" },
		{ "--node", "", "wants a value" },
		{ "extra", "", "\"extra\" is no flag" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (load(cases[i].flags, cases[i].env) != -EINVAL)
			fail_msg("taken: %s %s", cases[i].flags, cases[i].env);
		if (!strstr(t.text, cases[i].why))
			fail_msg("%s %s: \"%s\" lacks \"%s\"", cases[i].flags,
				 cases[i].env, t.text, cases[i].why);
	}
}

static void test_stores_that_are_taken(void **state)
{
	static const struct {
		const char *flags, *env;
		enum config_backend backend;
		const char *last;
	} cases[] = {
		{ "--store etcd://127.0.0.1:1,[::1]:2", "", CONFIG_ETCD,
		  "http://[::1]:2" },
		{ "--store etcd://localhost:1", "", CONFIG_ETCD,
		  "http://localhost:1" },
		{ "--store etcds://a.example:1,10.0.0.1:2", "", CONFIG_ETCD,
		  "https://10.0.0.1:2" },
		{ "--store etcd://10.0.0.1:1", "NETD_STORE_INSECURE=true",
		  CONFIG_ETCD, "http://10.0.0.1:1" },
		{ "--store sqlite", "NETD_STORE_ENDPOINTS=http://10.0.0.1:1",
		  CONFIG_SQLITE, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len;

		if (load(cases[i].flags, cases[i].env))
			fail_msg("%s: %s", cases[i].flags, t.text);
		len = t.cfg.endpoints_len;
		assert_int_equal(t.cfg.backend, cases[i].backend);
		assert_int_equal(len > 0, cases[i].last != NULL);
		if (len)
			assert_string_equal(t.cfg.endpoints[len - 1],
					    cases[i].last);
	}
}

static void test_files_that_are_not_believed(void **state)
{
	AUTO(str_freep) char *big = xzalloc(CONFIG_FILE_MAX + 2);
	char other[128];

	(void)state;
	put("log: { level: debug }\n");
	assert_int_equal(chmod(t.file, 0602), 0);
	assert_int_equal(load("", ""), -EINVAL);
	assert_non_null(strstr(t.text, "everybody may write"));
	assert_non_null(strstr(t.text, "0602"));
	assert_int_equal(chmod(t.file, 0644), 0);
	assert_int_equal(load("", ""), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(t.file, 64742, 0), 0);
		assert_int_equal(load("", ""), -EINVAL);
		assert_non_null(strstr(t.text, "another user"));
		assert_int_equal(chown(t.file, 0, 0), 0);
	}

	str_format(other, sizeof(other), "%s/other", t.dir);
	assert_int_equal(rename(t.file, other), 0);
	assert_int_equal(symlink(other, t.file), 0);
	assert_int_equal(load("", ""), -EINVAL);
	assert_non_null(strstr(t.text, "symbolic link"));
	unlink(t.file);
	unlink(other);
	assert_int_equal(mkfifo(t.file, 0600), 0);
	assert_int_equal(load("", ""), -EINVAL);
	assert_non_null(strstr(t.text, "is not a file"));
	unlink(t.file);
	memset(big, '#', CONFIG_FILE_MAX + 1);
	put(big);
	assert_int_equal(load("", ""), -EINVAL);
	assert_non_null(strstr(t.text, "more than"));
	unlink(t.file);

	/* The file that was named must be there, the usual one need not. */
	assert_int_equal(load("--config /nowhere/netd.yaml", ""), -EINVAL);
	assert_int_equal(load("", ""), 0);
}

static void test_key_that_others_can_read(void **state)
{
	char env[256];

	(void)state;
	put("");
	snprintf(env, sizeof(env),
		 "NETD_STORE_TLS_KEY=%s NETD_STORE_TLS_CERT=%s", t.file,
		 t.file);
	assert_int_equal(load("", env), 0);
	assert_int_equal(chmod(t.file, 0640), 0);
	assert_int_equal(load("", env), -EINVAL);
	assert_non_null(strstr(t.text, "others may use it"));
}

static void test_verbs(void **state)
{
	(void)state;
	put("log: { level: loud }\n");
	assert_int_equal(load("--version", ""), 0);
	assert_int_equal(t.cfg.action, CONFIG_SHOW);
	assert_string_equal(t.text, "netd " NETD_VERSION "\n");
	assert_int_equal(load("--help", ""), 0);
	assert_int_equal(t.cfg.action, CONFIG_SHOW);
	/* The whole text fits what netd has for it. */
	assert_non_null(strstr(t.text, "--help\n"));
	assert_int_equal(load("--check-config", ""), -EINVAL);
	put("log: { level: debug }\n");
	assert_int_equal(load("--check-config", ""), 0);
	assert_int_equal(t.cfg.action, CONFIG_SHOW);
	assert_int_equal(load("--cleanup --adopt-store", ""), 0);
	assert_int_equal(t.cfg.action, CONFIG_CLEANUP);
	assert_true(t.cfg.adopt_store);
}

/* The file that is shipped, as it is and with all its keys taken in. */
static void test_shipped_file(void **state)
{
	char path[512], *at;
	AUTO(str_freep) char *text = NULL;
	AUTO(str_freep) char *all = NULL;
	size_t keys = 0;

	(void)state;
	assert_true(str_copy(path, sizeof(path), __FILE__));
	at = strstr(path, "tests/unit/");
	assert_non_null(at);
	strcpy(at, "tools/packaging/netd.yaml");
	assert_int_equal(file_read(path, 65536, &text), 0);
	put(text);
	if (load("", ""))
		fail_msg("%s", t.text);
	assert_presets(&t.cfg);

	all = xstrdup(text);
	for (at = all; (at = strchr(at, '#')); at++) {
		if (at[1] < 'a' || at[1] > 'z')
			continue;
		memmove(at, at + 1, strlen(at));
		keys++;
	}
	assert_int_equal(keys, config_keys_len);
	put(all);
	if (load("", ""))
		fail_msg("%s", t.text);
	assert_presets(&t.cfg);
	assert_string_equal(t.cfg.socket, "/run/netd/netd.sock");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_built_in),
		TEST(test_root_moves_everything),
		TEST(test_places_without_root),
		TEST(test_relative_root),
		TEST(test_file),
		TEST(test_the_last_to_speak_holds),
		TEST(test_nothing_given_is_the_preset),
		TEST(test_files_that_are_refused),
		TEST(test_keys_that_do_not_go_together),
		TEST(test_stores_that_are_taken),
		TEST(test_files_that_are_not_believed),
		TEST(test_key_that_others_can_read),
		TEST(test_verbs),
		TEST(test_shipped_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
