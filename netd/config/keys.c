/* SPDX-License-Identifier: Apache-2.0 */
/* One row per key; each type of value is read in one place. */
#include "keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>

#include "netd/util.h"
#include "netd/words.h"

#define LIST_MAX 64

static bool only(const char *text, const char *extra)
{
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr(extra, *p))
			return false;
	return true;
}

static const char *check_node(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > 63)
		return "a node's name has 1 to 63 letters";
	if (!only(text, "._-") || !isalnum((unsigned char)*text))
		return "a node's name is made of letters, digits and . _ -, "
		       "and begins with a letter or digit";
	return NULL;
}

static const char *check_path(const char *text)
{
	return *text == '/' ? NULL : "is not an absolute path";
}

static const char *check_unix(const char *text)
{
	return str_after(text, "unix:///") ? NULL
					   : "is not of the form unix:///PATH";
}

static const char *check_prefix(const char *text)
{
	size_t len = strlen(text);

	if (*text != '/' || len < 2 || text[len - 1] == '/' ||
	    strstr(text, "//") || !only(text, "/._-"))
		return "is not of the form /netd/v1";
	return NULL;
}

static const char *check_domain(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > 200 || !only(text, ".-_") || *text == '.' ||
	    text[len - 1] == '.' || strstr(text, ".."))
		return "is not a domain as in cluster.local";
	while (*text) {
		len = strcspn(text, ".");
		if (len > 63)
			return "has a label of more than 63 letters";
		text += len + (text[len] == '.');
	}
	return NULL;
}

/* Nobody but this host asks there. */
static const char *check_listen(const char *text)
{
	struct ip_addr addr;

	if (str_eq(text, "off"))
		return NULL;
	return !ip_parse(text, &addr) && ip_is_loopback(&addr)
		       ? NULL
		       : "is neither off nor a loopback address as in "
			 "127.0.0.55";
}

static const char *check_xdp(const char *text)
{
	return str_eq(text, "off") || str_eq(text, "auto") || str_eq(text, "on")
		       ? NULL
		       : "is none of off, auto and on";
}

static const char *check_user(const char *text)
{
	return *text && only(text, "._-") ? NULL : "is no user's name";
}

static const char *check_group(const char *text)
{
	return only(text, "._-") ? NULL : "is no group's name";
}

static const char *check_link(const char *text)
{
	if (!*text || strlen(text) > 15 || strpbrk(text, "/ :"))
		return "is no interface's name";
	return NULL;
}

/* "http://h:1", "https://[::1]:1". */
static const char *check_endpoint(const char *text)
{
	const char *host = str_after(text, "http://");
	const char *colon;
	uint32_t port;

	if (!host)
		host = str_after(text, "https://");
	if (!host)
		return "does not begin with http:// or https://";
	colon = strrchr(host, ':');
	if (!colon || colon == host || str_to_u32(colon + 1, 1, 65535, &port))
		return "does not end in :PORT";
	for (const char *p = host; p < colon; p++)
		if (!isalnum((unsigned char)*p) && !strchr(".-_[]:", *p))
			return "has a host that is none";
	return NULL;
}

#define AT(field) .offset = offsetof(struct config, field)
#define LEN(field) .len_offset = offsetof(struct config, field)

/* clang-format off */
const struct config_key config_keys[] = {
	{ "node.name", KEY_STR, AT(node_name), .has_auto = true,
	  .check = check_node },
	{ "node.address", KEY_ADDR, AT(node_address), .has_auto = true },
	{ "node.uplinks", KEY_STRS, AT(uplinks), LEN(uplinks_len),
	  .has_auto = true, .check = check_link },
	{ "store.backend", KEY_BACKEND, AT(backend), .preset = "sqlite" },
	{ "store.endpoints", KEY_STRS, AT(endpoints), LEN(endpoints_len),
	  .check = check_endpoint },
	{ "store.prefix", KEY_STR, AT(prefix), .preset = "/netd/v1",
	  .check = check_prefix },
	{ "store.lease_ttl", KEY_SECONDS, AT(lease_ttl_s), .preset = "4s",
	  .min = 2, .max = 600 },
	{ "store.insecure", KEY_BOOL, AT(insecure), .preset = "false" },
	{ "store.tls.ca", KEY_STR, AT(tls_ca), .check = check_path },
	{ "store.tls.cert", KEY_STR, AT(tls_cert), .check = check_path },
	{ "store.tls.key", KEY_STR, AT(tls_key), .check = check_path },
	{ "api.socket", KEY_STR, AT(socket), .check = check_path },
	{ "api.group", KEY_STR, AT(group), .preset = "netd",
	  .check = check_group },
	{ "overlay.port", KEY_U16, AT(vxlan_port), .preset = "4789",
	  .min = 1, .max = 65535 },
	{ "overlay.mtu", KEY_U32, AT(mtu), .has_auto = true,
	  .min = 576, .max = 65485 },
	{ "overlay.flows", KEY_U32, AT(flows), .preset = "262144",
	  .min = 1024, .max = 16777216 },
	{ "overlay.flow_idle", KEY_SECONDS, AT(flow_idle_s), .preset = "24h",
	  .min = 60, .max = 432000 },
	{ "overlay.fast_path", KEY_BOOL, AT(fast_path), .preset = "true" },
	{ "overlay.xdp", KEY_STR, AT(xdp), .preset = "off",
	  .check = check_xdp },
	{ "lb.leave", KEY_MILLIS, AT(leave_ms), .preset = "500ms",
	  .min = 0, .max = 60000 },
	{ "ipam.pools", KEY_PREFIXES, AT(pools), LEN(pools_len),
	  .len_max = CONFIG_POOLS_MAX,
	  .preset = "10.64.0.0/12,172.20.0.0/14" },
	{ "ipam.network_prefix", KEY_U8, AT(network_prefix), .preset = "22",
	  .min = 8, .max = 28 },
	{ "ipam.vip_pool", KEY_PREFIX, AT(vip_pool),
	  .preset = "10.80.0.0/12" },
	{ "dns.domain", KEY_STR, AT(domain), .preset = "cluster.local",
	  .check = check_domain },
	{ "dns.upstreams", KEY_ADDRS, AT(upstreams), LEN(upstreams_len),
	  .len_max = CONFIG_UPSTREAMS_MAX, .has_auto = true },
	{ "dns.listen", KEY_STR, AT(dns_listen), .preset = "127.0.0.55",
	  .check = check_listen },
	{ "dns.cache_size", KEY_U32, AT(dns.cache_size), .preset = "10000",
	  .min = 0, .max = 1000000 },
	{ "dns.max_ttl", KEY_SECONDS, AT(dns.ttl_max), .preset = "5m",
	  .min = 0, .max = 604800 },
	{ "dns.min_ttl", KEY_SECONDS, AT(dns.ttl_min), .preset = "0s",
	  .min = 0, .max = 3600 },
	{ "dns.negative_ttl", KEY_SECONDS, AT(dns.negative_ttl),
	  .preset = "30s", .min = 0, .max = 10800 },
	{ "dns.serve_stale", KEY_SECONDS, AT(dns.stale_ttl), .preset = "1h",
	  .min = 0, .max = 604800 },
	{ "dns.max_waiting", KEY_U32, AT(dns.waiting_max), .preset = "1024",
	  .min = 1, .max = 16384 },
	{ "dns.max_per_client", KEY_U32, AT(dns.client_max), .preset = "64",
	  .min = 1, .max = 16384 },
	{ "dns.rebind_filter", KEY_BOOL, AT(dns.rebind_filter),
	  .preset = "false" },
	{ "dns.rebind_allow", KEY_STRS, AT(dns_allow), LEN(dns_allow_len),
	  .len_max = DNS_ALLOW_MAX, .check = check_domain },
	{ "dns.ttl", KEY_SECONDS, AT(dns_ttl), .preset = "5s",
	  .min = 0, .max = 3600 },
	{ "dns.user", KEY_STR, AT(dns_user), .preset = "netd-dns",
	  .check = check_user },
	{ "adapters.docker.enabled", KEY_BOOL, AT(docker), .preset = "false" },
	{ "adapters.docker.socket", KEY_STR, AT(docker_socket),
	  .check = check_path },
	{ "adapters.docker.grace", KEY_SECONDS, AT(docker_grace_s),
	  .preset = "1m", .min = 1, .max = 3600 },
	{ "adapters.docker.labels", KEY_BOOL, AT(docker_labels),
	  .preset = "false" },
	{ "adapters.docker.host", KEY_STR, AT(docker_host),
	  .preset = "unix:///run/docker.sock", .check = check_unix },
	{ "log.level", KEY_LEVEL, AT(log_level), .preset = "info" },
};
/* clang-format on */
const size_t config_keys_len = ARRAY_LEN(config_keys);
_Static_assert(ARRAY_LEN(config_keys) <= KEYS_MAX, "origins have a place");

const struct config_key *key_find(const char *name)
{
	for (size_t i = 0; i < config_keys_len; i++)
		if (str_eq(config_keys[i].name, name))
			return &config_keys[i];
	return NULL;
}

bool key_is_list(const struct config_key *key)
{
	return key->type >= KEY_STRS;
}

const char *key_meant(const char *name, char *buf, size_t size)
{
	struct word_near near = word_near(name);
	const char *meant;

	for (size_t i = 0; i < config_keys_len; i++)
		word_offer(&near, config_keys[i].name);
	meant = word_meant(&near);
	if (!meant || str_format(buf, size, "; did you mean \"%s\"?", meant))
		buf[0] = '\0';
	return buf;
}

/* ---- YAML 1.2 core schema: what a plain scalar is ---- */

static bool is_null(const char *text)
{
	return !*text || str_eq(text, "~") || str_eq(text, "null") ||
	       str_eq(text, "Null") || str_eq(text, "NULL");
}

static bool is_bool(const char *text, bool *ret)
{
	static const char *const words[] = { "false", "true",  "False",
					     "True",  "FALSE", "TRUE" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!str_eq(text, words[i]))
			continue;
		*ret = i & 1;
		return true;
	}
	return false;
}

static bool is_number(const char *text)
{
	char *end;

	if (!strpbrk(text, "0123456789") ||
	    strspn(text, "+-.0123456789eExXabcdefABCDEFo") != strlen(text))
		return false;
	if (text[0] == '0' && text[1] == 'o')
		return strspn(text + 2, "01234567") == strlen(text + 2);
	(void)strtod(text, &end);
	return *end == '\0';
}

static int __attribute__((format(printf, 3, 4)))
fail(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- a scalar of each type ---- */

static int set_str(const struct config_key *key, const struct key_scalar *s,
		   char **ret, char *why, size_t size)
{
	const char *wrong;
	bool b;

	if (s->kind == KEY_PLAIN &&
	    (is_bool(s->text, &b) || is_number(s->text)))
		return fail(why, size, "%s is not a string; quote it", s->text);
	wrong = key->check ? key->check(s->text) : NULL;
	if (wrong)
		return fail(why, size, "\"%.100s\": %s", s->text, wrong);
	free(*ret);
	*ret = xstrdup(s->text);
	return 0;
}

static int set_number(const struct config_key *key, const struct key_scalar *s,
		      void *at, char *why, size_t size)
{
	uint32_t n;

	if (s->kind == KEY_QUOTED)
		return fail(why, size,
			    "\"%.60s\" is a string, not a number; "
			    "leave the quotes out",
			    s->text);
	if (str_to_u32(s->text, key->min, key->max, &n))
		return fail(why, size,
			    "\"%.60s\" is not a number from %u to %u", s->text,
			    key->min, key->max);
	if (key->type == KEY_U8)
		*(uint8_t *)at = (uint8_t)n;
	else if (key->type == KEY_U16)
		*(uint16_t *)at = (uint16_t)n;
	else
		*(uint32_t *)at = n;
	return 0;
}

static int set_bool(const struct key_scalar *s, bool *ret, char *why,
		    size_t size)
{
	if (s->kind == KEY_QUOTED || !is_bool(s->text, ret))
		return fail(why, size, "\"%.60s\" is neither true nor false",
			    s->text);
	return 0;
}

static int set_time(const struct config_key *key, const struct key_scalar *s,
		    uint32_t *ret, char *why, size_t size)
{
	static const struct {
		const char *unit;
		uint32_t ms;
	} units[] = {
		{ "ms", 1 },
		{ "s", 1000 },
		{ "m", 60000 },
		{ "h", 3600000 },
	};
	size_t digits = strspn(s->text, "0123456789");
	AUTO(str_freep) char *number = xstrndup(s->text, digits);
	uint32_t n, max = key->max;
	uint64_t ms = 0;

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (str_eq(s->text + digits, units[i].unit) &&
		    !str_to_u32(number, 0, UINT32_MAX, &n))
			ms = (uint64_t)n * units[i].ms;
	if (key->type == KEY_MILLIS && (ms < key->min || ms > max || !digits))
		return fail(why, size,
			    "\"%.60s\" is not a time from %ums to %ums, as in "
			    "500ms or 1s",
			    s->text, key->min, key->max);
	if (key->type == KEY_SECONDS &&
	    (ms % 1000 || ms < key->min * 1000ULL || ms > max * 1000ULL))
		return fail(why, size,
			    "\"%.60s\" is not a time in whole seconds from %us "
			    "to %us, as in 4s, 4000ms or 1m",
			    s->text, key->min, key->max);
	*ret = (uint32_t)(key->type == KEY_MILLIS ? ms : ms / 1000);
	return 0;
}

static int set_addr(const struct key_scalar *s, struct ip_addr *ret, char *why,
		    size_t size)
{
	if (ip_parse(s->text, ret) || ip_is_none(ret))
		return fail(why, size, "\"%.60s\" is not an address", s->text);
	return 0;
}

static int set_prefix(const struct key_scalar *s, struct ip_prefix *ret,
		      char *why, size_t size)
{
	struct ip_prefix p;
	char buf[PREFIX_STRLEN];

	if (!strchr(s->text, '/') || prefix_parse(s->text, &p))
		return fail(why, size,
			    "\"%.60s\" is not a prefix as in "
			    "10.64.0.0/12",
			    s->text);
	if (prefix_has_host_bits(&p)) {
		p = prefix_make(&p.addr, p.len);
		return fail(why, size,
			    "\"%.60s\" has host bits set; is %s meant?",
			    s->text, prefix_str(&p, buf));
	}
	*ret = p;
	return 0;
}

static int set_backend(const struct key_scalar *s, enum config_backend *ret,
		       char *why, size_t size)
{
	if (str_eq(s->text, "sqlite"))
		*ret = CONFIG_SQLITE;
	else if (str_eq(s->text, "etcd"))
		*ret = CONFIG_ETCD;
	else
		return fail(why, size, "\"%.60s\" is neither sqlite nor etcd",
			    s->text);
	return 0;
}

static int set_level(const struct key_scalar *s, enum log_level *ret, char *why,
		     size_t size)
{
	if (log_level_parse(s->text, ret))
		return fail(why, size,
			    "\"%.60s\" is none of error, warning, info, debug",
			    s->text);
	return 0;
}

/* ---- lists, and nothing given ---- */

static void *at_of(struct config *cfg, size_t offset)
{
	return (char *)cfg + offset;
}

static void clear(struct config *cfg, const struct config_key *key)
{
	void *at = at_of(cfg, key->offset);
	size_t *len = at_of(cfg, key->len_offset);

	switch (key->type) {
	case KEY_STR:
		free(*(char **)at);
		*(char **)at = NULL;
		break;
	case KEY_STRS:
		for (size_t i = 0; i < *len; i++)
			free((*(char ***)at)[i]);
		free(*(char ***)at);
		*(char ***)at = NULL;
		*len = 0;
		break;
	case KEY_ADDRS:
	case KEY_PREFIXES:
		*len = 0;
		break;
	case KEY_ADDR:
		*(struct ip_addr *)at = (struct ip_addr){ 0 };
		break;
	case KEY_U32:
		*(uint32_t *)at = 0;
		break;
	case KEY_U16:
	case KEY_U8:
	case KEY_BOOL:
	case KEY_SECONDS:
	case KEY_MILLIS:
	case KEY_PREFIX:
	case KEY_BACKEND:
	case KEY_LEVEL:
		/* These have a preset, which comes next. */
		break;
	}
}

static int set_nothing(struct config *cfg, const struct config_key *key,
		       char *why, size_t size)
{
	clear(cfg, key);
	return key->preset ? key_set_text(cfg, key, key->preset, why, size) : 0;
}

static int set_list(struct config *cfg, const struct config_key *key,
		    const struct key_scalar *items, size_t len, char *why,
		    size_t size)
{
	size_t *at_len = at_of(cfg, key->len_offset);
	void *at = at_of(cfg, key->offset);
	int err = 0;

	if (key->len_max && len > key->len_max)
		return fail(why, size, "has more than %zu entries",
			    key->len_max);
	clear(cfg, key);
	if (key->type == KEY_STRS && len)
		*(char ***)at = xzalloc(len * sizeof(char *));
	for (size_t i = 0; !err && i < len; i++) {
		if (key->type == KEY_STRS)
			err = set_str(key, &items[i], &(*(char ***)at)[i], why,
				      size);
		else if (key->type == KEY_ADDRS)
			err = set_addr(&items[i], (struct ip_addr *)at + i, why,
				       size);
		else
			err = set_prefix(&items[i], (struct ip_prefix *)at + i,
					 why, size);
		*at_len += !err;
	}
	return err;
}

int key_set(struct config *cfg, const struct config_key *key,
	    const struct key_scalar *items, size_t len, char *why, size_t size)
{
	void *at = at_of(cfg, key->offset);

	if (len == 1 && items->kind == KEY_PLAIN && is_null(items->text))
		return set_nothing(cfg, key, why, size);
	if (len == 1 && key->has_auto && str_eq(items->text, "auto")) {
		clear(cfg, key);
		return 0;
	}
	if (key_is_list(key))
		return set_list(cfg, key, items, len, why, size);
	switch (key->type) {
	case KEY_STR:
		return set_str(key, items, at, why, size);
	case KEY_U32:
	case KEY_U16:
	case KEY_U8:
		return set_number(key, items, at, why, size);
	case KEY_BOOL:
		return set_bool(items, at, why, size);
	case KEY_SECONDS:
	case KEY_MILLIS:
		return set_time(key, items, at, why, size);
	case KEY_ADDR:
		return set_addr(items, at, why, size);
	case KEY_PREFIX:
		return set_prefix(items, at, why, size);
	case KEY_BACKEND:
		return set_backend(items, at, why, size);
	case KEY_LEVEL:
		return set_level(items, at, why, size);
	case KEY_STRS:
	case KEY_ADDRS:
	case KEY_PREFIXES:
		break;
	}
	return -EINVAL;
}

int key_set_text(struct config *cfg, const struct config_key *key,
		 const char *text, char *why, size_t size)
{
	AUTO(str_freep) char *copy = xstrdup(text);
	struct key_scalar items[LIST_MAX];
	size_t len = 0;
	char *rest = copy;

	while (rest && key_is_list(key)) {
		if (len == LIST_MAX)
			return fail(why, size, "%s", "has too many entries");
		items[len++].text = strsep(&rest, ",");
	}
	if (!len)
		items[len++].text = copy;
	for (size_t i = 0; i < len; i++)
		items[i].kind = KEY_TEXT;
	return key_set(cfg, key, items, len, why, size);
}
