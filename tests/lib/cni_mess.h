/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni_mess - calls of a CNI plugin that are wrong in one way, made from a
 * number: the same number makes the same call. What is wrong says with which
 * code the plugin must refuse it.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd/util.h"

enum mess_var { MESS_ID, MESS_NETNS, MESS_IFNAME, MESS_ARGS, MESS_VARS };

struct mess {
	uint64_t random;
	const char *what;
	int code;
	/* NULL: not set. */
	char *vars[MESS_VARS];
	char *conf;
	size_t len;
};

static const char *const mess_names[MESS_VARS] = {
	"CNI_CONTAINERID",
	"CNI_NETNS",
	"CNI_IFNAME",
	"CNI_ARGS",
};

/* splitmix64 */
static inline uint32_t mess_below(struct mess *m, uint32_t n)
{
	uint64_t z = m->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) % n);
}

#define MESS_ONE_OF(m, list) ((list)[mess_below(m, ARRAY_LEN(list))])

/* ---- bytes ---- */

static inline void mess_insert(struct mess *m, char byte)
{
	size_t at = mess_below(m, (uint32_t)m->len);

	m->conf = xrealloc(m->conf, m->len + 1);
	memmove(m->conf + at + 1, m->conf + at, m->len - at);
	m->conf[at] = byte;
	m->len++;
}

static inline void mess_cut(struct mess *m)
{
	m->len = mess_below(m, (uint32_t)m->len);
}

static inline void mess_control(struct mess *m)
{
	static const char bytes[] = { '\0', '\1', '\b', '\v', '\x1b', '\x1f' };

	mess_insert(m, MESS_ONE_OF(m, bytes));
}

static inline void mess_utf8(struct mess *m)
{
	static const unsigned char bytes[] = { 0x80, 0xc0, 0xfe, 0xff };

	mess_insert(m, (char)MESS_ONE_OF(m, bytes));
}

static inline void mess_deep(struct mess *m)
{
	m->len = 3000 + mess_below(m, 100000);
	m->conf = xrealloc(m->conf, m->len);
	memset(m->conf, mess_below(m, 2) ? '[' : '{', m->len);
}

static inline void mess_text(struct mess *m, char *text)
{
	free(m->conf);
	m->conf = text;
	m->len = strlen(text);
}

static inline void mess_no_object(struct mess *m)
{
	static const char *const texts[] = { "",   " ",	    "[]",  "7",
					     "\"", "\"a\"", "nul", "null" };

	mess_text(m, xstrdup(MESS_ONE_OF(m, texts)));
}

static inline void mess_twice(struct mess *m)
{
	AUTO(str_freep) char *old = xstrndup(m->conf, m->len);

	mess_text(m, xasprintf("{\"name\":\"x\",%s", old + 1));
}

static inline void mess_tail(struct mess *m)
{
	AUTO(str_freep) char *old = xstrndup(m->conf, m->len);

	mess_text(m, xasprintf("%s%s", old, mess_below(m, 2) ? "{}" : ","));
}

/* ---- members ---- */

/* Takes value. Where is "" for the top, or "runtimeConfig". */
static inline void mess_set(struct mess *m, const char *where, const char *key,
			    json_t *value)
{
	json_t *doc = json_loadb(m->conf, m->len, 0, NULL);
	json_t *obj = doc;

	if (*where) {
		obj = json_object();
		json_object_set_new(doc, where, obj);
	}
	json_object_set_new(obj, key, value);
	free(m->conf);
	m->conf = json_dumps(doc, JSON_COMPACT);
	m->len = strlen(m->conf);
	json_decref(doc);
}

static inline json_t *mess_text_value(struct mess *m, const char *const *list,
				      size_t len)
{
	return json_string(list[mess_below(m, (uint32_t)len)]);
}

#define MESS_TEXT(m, list) mess_text_value(m, list, ARRAY_LEN(list))

/* Of none of the types that a member may have. */
static inline json_t *mess_wrong(struct mess *m, json_type not )
{
	json_t *values[] = { json_integer(mess_below(m, 100000)),
			     json_string("x"), json_array(), json_object(),
			     json_real(0.5) };
	size_t n = mess_below(m, ARRAY_LEN(values));
	json_t *value;

	while (json_typeof(values[n]) == not )
		n = (n + 1) % ARRAY_LEN(values);
	value = json_incref(values[n]);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		json_decref(values[i]);
	return value;
}

static inline void mess_version(struct mess *m)
{
	static const char *const bad[] = { "",	     "0.1.0", "0.2.0",
					   "0.3.0",  "1.2.0", "1.1.0 ",
					   "v1.1.0", "1.1",   "\n" };

	mess_set(m, "", "cniVersion",
		 mess_below(m, 4) ? MESS_TEXT(m, bad)
				  : mess_wrong(m, JSON_STRING));
}

static inline void mess_name(struct mess *m)
{
	static const char *const bad[] = { "",	      ".",    "..",
					   "-a",      "a b",  "a/b",
					   "../../x", "a\nb", "\xc3\xa9" };

	mess_set(m, "", "name",
		 mess_below(m, 4) ? MESS_TEXT(m, bad)
				  : mess_wrong(m, JSON_STRING));
}

static inline void mess_member(struct mess *m)
{
	static const struct {
		const char *key;
		json_type type;
	} rows[] = {
		{ "network", JSON_STRING },	  { "socket", JSON_STRING },
		{ "labels", JSON_OBJECT },	  { "dns", JSON_OBJECT },
		{ "args", JSON_OBJECT },	  { "prevResult", JSON_OBJECT },
		{ "runtimeConfig", JSON_OBJECT }, { "ipMasq", JSON_TRUE },
		{ "capabilities", JSON_OBJECT },
	};
	size_t i = mess_below(m, ARRAY_LEN(rows));

	mess_set(m, "", rows[i].key, mess_wrong(m, rows[i].type));
}

static inline void mess_unknown(struct mess *m)
{
	char key[24] = "zz";

	for (size_t i = 2; i < 2 + mess_below(m, 20); i++)
		key[i] = (char)('a' + mess_below(m, 26));
	mess_set(m, mess_below(m, 2) ? "" : "runtimeConfig", key,
		 json_integer(mess_below(m, 10)));
}

static inline void mess_unsupported(struct mess *m)
{
	static const char *const keys[] = { "bandwidth", "ipRanges", "deviceID",
					    "infinibandGUID" };

	mess_set(m, "runtimeConfig", MESS_ONE_OF(m, keys),
		 json_pack("{s:i}", "x", (int)mess_below(m, 10)));
}

static inline void mess_ipam(struct mess *m)
{
	static const char *const types[] = { "host-local", "dhcp", "static",
					     "" };

	mess_set(m, "", "ipam",
		 json_pack("{s:s}", "type", MESS_ONE_OF(m, types)));
}

static inline void mess_ip(struct mess *m)
{
	static const char *const bad[] = { "",
					   "10.5.0",
					   "10.5.0.256",
					   "1.2.3.4/33",
					   "010.1.1.1",
					   "host",
					   "1.2.3.4,mac=02:00:00:00:00:01" };

	mess_set(m, "runtimeConfig", "ips",
		 json_pack("[o]", MESS_TEXT(m, bad)));
}

static inline void mess_mac(struct mess *m)
{
	static const char *const bad[] = { "02", "02:00:00:00:00:00:01",
					   "02-00-00-00-00-01", "zz:..",
					   "02:00:00:00:00: 1" };

	mess_set(m, "runtimeConfig", "mac", MESS_TEXT(m, bad));
}

static inline void mess_alias(struct mess *m)
{
	static const char *const bad[] = { "",	 "a,ip=10.64.0.9", "a b", "/",
					   "..", "\xc3\xa9" };

	mess_set(m, "runtimeConfig", "aliases",
		 json_pack("[s, o]", "good", MESS_TEXT(m, bad)));
}

static inline void mess_port(struct mess *m)
{
	static const int bad[] = { -1, 65536, 1 << 30, -80 };
	static const char *const keys[] = { "hostPort", "containerPort" };
	json_t *port =
		json_pack("{s:i, s:i}", "hostPort", 8000, "containerPort", 80);

	json_object_set_new(port, MESS_ONE_OF(m, keys),
			    mess_below(m, 3) ? json_integer(MESS_ONE_OF(m, bad))
					     : mess_wrong(m, JSON_INTEGER));
	mess_set(m, "runtimeConfig", "portMappings", json_pack("[o]", port));
}

static inline void mess_proto(struct mess *m)
{
	static const char *const bad[] = { "sctp", "icmp", "tcp ", "6",
					   "tcp/udp" };

	mess_set(m, "runtimeConfig", "portMappings",
		 json_pack("[{s:i, s:o}]", "containerPort", 80, "protocol",
			   MESS_TEXT(m, bad)));
}

static inline void mess_labels(struct mess *m)
{
	mess_set(m, "", "labels",
		 json_pack("{s:o}", "app", mess_wrong(m, JSON_STRING)));
}

static inline void mess_huge(struct mess *m)
{
	size_t len = 1100000 + mess_below(m, 1000000);
	AUTO(str_freep) char *text = xzalloc(len + 1);

	memset(text, 'x', len);
	mess_set(m, "", "labels", json_pack("{s:s}", "app", text));
}

/* ---- variables ---- */

static inline void mess_var(struct mess *m, enum mess_var var,
			    const char *value)
{
	free(m->vars[var]);
	m->vars[var] = value ? xstrdup(value) : NULL;
}

static inline void mess_no_var(struct mess *m)
{
	mess_var(m, (enum mess_var)mess_below(m, MESS_ARGS),
		 mess_below(m, 2) ? "" : NULL);
}

static inline void mess_id(struct mess *m)
{
	static const char *const bad[] = { "/",	  "..",	 "../../etc", ".a",
					   "-a",  "a/b", "a b",	      "a@eth0",
					   "a\n", "\xff" };

	mess_var(m, MESS_ID, MESS_ONE_OF(m, bad));
}

static inline void mess_long_id(struct mess *m)
{
	char id[4096];
	size_t len = 201 + mess_below(m, 3000);

	memset(id, 'a', len);
	id[len] = '\0';
	mess_var(m, MESS_ID, id);
}

static inline void mess_ifname(struct mess *m)
{
	static const char *const bad[] = { ".",
					   "..",
					   "a/b",
					   "../x",
					   "a:b",
					   "a b",
					   "a\tb",
					   "a%d",
					   "sixteen-letters-",
					   "a-much-longer-name-for-a-link" };

	mess_var(m, MESS_IFNAME, MESS_ONE_OF(m, bad));
}

static inline void mess_args(struct mess *m)
{
	static const char *const bad[] = { "X=1",
					   "X",
					   "IP",
					   "IP=;Y=",
					   "K8S_POD_NAME=a;Z=1",
					   "=",
					   "NETD_LABELS=app" };

	mess_var(m, MESS_ARGS, MESS_ONE_OF(m, bad));
}

static inline void mess_netns(struct mess *m)
{
	static const char *const bad[] = { "/",
					   "/etc/passwd",
					   "/dev/null",
					   "/proc/self/ns/mnt",
					   "/proc/self/ns/net",
					   "/run/netns/none",
					   "relative",
					   "/proc/0/ns/net" };

	mess_var(m, MESS_NETNS, MESS_ONE_OF(m, bad));
}

static const struct {
	const char *what;
	void (*make)(struct mess *m);
	int code;
} mess_rows[] = {
	{ "cut", mess_cut, 6 },
	{ "control byte", mess_control, 6 },
	{ "no UTF-8", mess_utf8, 6 },
	{ "deep", mess_deep, 6 },
	{ "no object", mess_no_object, 6 },
	{ "a key twice", mess_twice, 6 },
	{ "something behind", mess_tail, 6 },
	{ "version", mess_version, 1 },
	{ "name", mess_name, 7 },
	{ "type of a member", mess_member, 7 },
	{ "unknown member", mess_unknown, 2 },
	{ "unsupported", mess_unsupported, 2 },
	{ "ipam", mess_ipam, 2 },
	{ "ip", mess_ip, 7 },
	{ "mac", mess_mac, 7 },
	{ "alias", mess_alias, 7 },
	{ "port", mess_port, 7 },
	{ "protocol", mess_proto, 2 },
	{ "label", mess_labels, 7 },
	{ "too large", mess_huge, 7 },
	{ "variable missing", mess_no_var, 4 },
	{ "container id", mess_id, 4 },
	{ "long container id", mess_long_id, 4 },
	{ "link name", mess_ifname, 4 },
	{ "CNI_ARGS", mess_args, 4 },
	/* Only what opens it can tell. */
	{ "namespace", mess_netns, 8 },
};

static inline void mess_free(struct mess *m)
{
	for (size_t i = 0; i < MESS_VARS; i++)
		free(m->vars[i]);
	free(m->conf);
}

static inline void mess_make(uint64_t number, const char *netns,
			     const char *socket, struct mess *ret)
{
	struct mess m = { .random = number };
	size_t i = mess_below(&m, ARRAY_LEN(mess_rows));

	m.what = mess_rows[i].what;
	m.code = mess_rows[i].code;
	mess_var(&m, MESS_ID, "mess");
	mess_var(&m, MESS_NETNS, netns);
	mess_var(&m, MESS_IFNAME, "eth0");
	mess_text(&m, xasprintf("{\"cniVersion\":\"1.1.0\",\"name\":\"lab\","
				"\"type\":\"netd\",\"socket\":\"%s\"}",
				socket));
	mess_rows[i].make(&m);
	*ret = m;
}
