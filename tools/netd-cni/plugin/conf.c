/* SPDX-License-Identifier: Apache-2.0 */
#include "conf.h"

#include "netd/api.h"
#include "netd/util.h"
#include "netd/words.h"

/* In order: what a version has, those behind it have. */
static const char *const versions[] = { "0.3.1", "0.4.0", "1.0.0", "1.1.0" };

static int version_index(const char *version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (str_eq(versions[i], version))
			return (int)i;
	return -1;
}

json_t *cni_versions_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		json_array_append_new(list, json_string(versions[i]));
	return json_pack("{s:s, s:o}", "cniVersion", CNI_VERSION_NEWEST,
			 "supportedVersions", list);
}

bool cni_conf_is_from(const struct cni_conf *conf, const char *version)
{
	return version_index(conf->version) >= version_index(version);
}

void cni_conf_free(struct cni_conf *conf)
{
	json_decref(conf->doc);
	conf->doc = NULL;
}

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		break;
	}
	return "null";
}

int cni_member(json_t *obj, const char *where, const char *key, json_type type,
	       json_t **ret, struct cni_error *e)
{
	json_t *value = json_object_get(obj, key);
	bool fits = value && (json_typeof(value) == type ||
			      (type == JSON_TRUE && json_is_false(value)));

	*ret = fits ? value : NULL;
	/* Runtimes written in Go say null for "nothing". */
	if (!value || json_is_null(value) || fits)
		return 0;
	return cni_fail(e, CNI_CODE_CONFIG, NULL, "%s%s%.64s is not %s", where,
			*where ? "." : "", key, type_name(type));
}

/* ---- keys ---- */

struct key {
	const char *name;
	json_type type;
	/* Why it is refused; NULL: it is taken. */
	const char *refusal;
};

static const struct key conf_keys[] = {
	{ "cniVersion", JSON_STRING, NULL },
	{ "cniVersions", JSON_ARRAY, NULL },
	{ "name", JSON_STRING, NULL },
	{ "type", JSON_STRING, NULL },
	{ "network", JSON_STRING, NULL },
	{ "socket", JSON_STRING, NULL },
	{ "labels", JSON_OBJECT, NULL },
	{ "capabilities", JSON_OBJECT, NULL },
	{ "disableCheck", JSON_TRUE, NULL },
	{ "disableGC", JSON_TRUE, NULL },
	{ "loadOnlyInlinedPlugins", JSON_TRUE, NULL },
	{ "ipMasq", JSON_TRUE, NULL },
	{ "ipam", JSON_OBJECT, NULL },
	{ "dns", JSON_OBJECT, NULL },
	{ "args", JSON_OBJECT, NULL },
	{ "runtimeConfig", JSON_OBJECT, NULL },
	{ "prevResult", JSON_OBJECT, NULL },
	{ "networks", JSON_ARRAY,
	  "a configuration is one network; for another one, the runtime calls "
	  "with another configuration and another CNI_IFNAME" },
};

static const struct key runtime_keys[] = {
	{ "portMappings", JSON_ARRAY, NULL },
	{ "ips", JSON_ARRAY, NULL },
	{ "mac", JSON_STRING, NULL },
	{ "dns", JSON_OBJECT, NULL },
	/* Ours to ignore: it is where the container's processes are. */
	{ "cgroupPath", JSON_STRING, NULL },
	{ "bandwidth", JSON_OBJECT,
	  "netd limits no bandwidth: leave it out, or chain the bandwidth "
	  "plugin behind netd's" },
	{ "ipRanges", JSON_ARRAY,
	  "the network has its subnet: netctl network create --subnet" },
	{ "deviceID", JSON_STRING, "netd gives no devices" },
	{ "infinibandGUID", JSON_STRING, "netd gives no devices" },
};

static int unknown_key(const struct key *keys, size_t len, const char *where,
		       const char *name, struct cni_error *e)
{
	struct word_near near = word_near(name);
	AUTO(str_freep) char *hint = NULL;
	const char *meant;

	for (size_t i = 0; i < len; i++)
		if (!keys[i].refusal)
			word_offer(&near, keys[i].name);
	meant = word_meant(&near);
	if (meant)
		hint = xasprintf("did you mean \"%s\"?", meant);
	return cni_fail(e, CNI_CODE_UNSUPPORTED, hint,
			"netd knows no field %s\"%.64s\"", where, name);
}

static int check_key(const struct key *keys, size_t len, const char *where,
		     json_t *obj, const char *name, struct cni_error *e)
{
	AUTO(str_freep) char *value = NULL;
	json_t *ignored;

	for (size_t i = 0; i < len; i++) {
		if (!str_eq(keys[i].name, name))
			continue;
		if (!keys[i].refusal)
			return cni_member(obj, where, name, keys[i].type,
					  &ignored, e);
		value = json_dumps(json_object_get(obj, name),
				   JSON_COMPACT | JSON_ENCODE_ANY);
		return cni_fail(e, CNI_CODE_UNSUPPORTED, keys[i].refusal,
				"netd does not do %s%s%s = %.200s", where,
				*where ? "." : "", name, value);
	}
	return unknown_key(keys, len, where, name, e);
}

static int check_keys(const struct cni_conf *conf, struct cni_error *e)
{
	json_t *runtime, *value;
	const char *name;

	json_object_foreach (conf->doc, name, value) {
		/* Reserved for the specification itself. */
		if (str_after(name, "cni.dev/"))
			continue;
		if (check_key(conf_keys, ARRAY_LEN(conf_keys), "", conf->doc,
			      name, e))
			return -EINVAL;
	}
	runtime = json_object_get(conf->doc, "runtimeConfig");
	json_object_foreach (runtime, name, value) {
		/* A list, or podman's object of lists: wish.c reads both. */
		if (str_eq(name, "aliases"))
			continue;
		if (check_key(runtime_keys, ARRAY_LEN(runtime_keys),
			      "runtimeConfig", runtime, name, e))
			return -EINVAL;
	}
	return 0;
}

/* ---- values ---- */

/* Lists of strings, whatever the names that this place has for them. */
static int check_dns(json_t *dns, const char *where, const char *const *keys,
		     struct cni_error *e)
{
	json_t *list, *item;
	size_t i;

	for (; *keys; keys++) {
		if (cni_member(dns, where, *keys, JSON_ARRAY, &list, e))
			return -EINVAL;
		json_array_foreach (list, i, item)
			if (!json_is_string(item))
				return cni_fail(e, CNI_CODE_CONFIG, NULL,
						"%s.%s[%zu] is not a string",
						where, *keys, i);
	}
	return 0;
}

static int check_resolvers(const struct cni_conf *conf, struct cni_error *e)
{
	static const char *const words[] = { "nameservers", "search", "options",
					     NULL };
	static const char *const runtimes[] = { "servers", "searches",
						"options", NULL };
	json_t *dns = json_object_get(conf->doc, "dns");
	json_t *runtime = json_object_get(conf->doc, "runtimeConfig");
	json_t *domain;

	if (cni_member(dns, "dns", "domain", JSON_STRING, &domain, e) ||
	    check_dns(dns, "dns", words, e))
		return -EINVAL;
	return check_dns(json_object_get(runtime, "dns"), "runtimeConfig.dns",
			 runtimes, e);
}

static int check_values(const struct cni_conf *conf, struct cni_error *e)
{
	json_t *ipam = json_object_get(conf->doc, "ipam");

	if (json_object_size(ipam))
		return cni_fail(e, CNI_CODE_UNSUPPORTED,
				"leave out ipam; the network has its subnet: "
				"netctl network create --subnet",
				"netd gives addresses itself, without an ipam "
				"plugin");
	if (json_is_false(json_object_get(conf->doc, "ipMasq")))
		return cni_fail(e, CNI_CODE_UNSUPPORTED,
				"netctl network create --internal makes one "
				"without a way out",
				"netd does not do ipMasq = false");
	if (check_keys(conf, e))
		return -EINVAL;
	return check_resolvers(conf, e);
}

static int read_version(struct cni_conf *conf, enum cni_command command,
			struct cni_error *e)
{
	static const char *const since[] = {
		[CNI_ADD] = "0.3.1",	[CNI_DEL] = "0.3.1",
		[CNI_CHECK] = "0.4.0",	[CNI_GC] = "1.1.0",
		[CNI_STATUS] = "1.1.0", [CNI_VERSION] = "0.3.1",
	};
	const char *version =
		json_string_value(json_object_get(conf->doc, "cniVersion"));

	_Static_assert(ARRAY_LEN(since) == CNI_COMMAND_MAX, "all commands");
	if (!version || version_index(version) < 0)
		return cni_fail(e, CNI_CODE_VERSION,
				"netd speaks 0.3.1, 0.4.0, 1.0.0 and 1.1.0",
				"cniVersion is \"%.32s\"",
				version ? version : "");
	conf->version = version;
	if (!cni_conf_is_from(conf, since[command]))
		return cni_fail(e, CNI_CODE_VERSION, NULL,
				"there is no such command in version %s, it "
				"came with %s",
				version, since[command]);
	return 0;
}

static const char *text_of(const struct cni_conf *conf, const char *key,
			   const char *fallback)
{
	const char *text = json_string_value(json_object_get(conf->doc, key));

	return text && *text ? text : fallback;
}

static int read_values(struct cni_conf *conf, enum cni_command command,
		       struct cni_error *e)
{
	conf->name = text_of(conf, "name", "");
	conf->network = text_of(conf, "network", "default");
	conf->socket = text_of(conf, "socket", API_SOCKET_DEFAULT);
	if (!cni_name_is_valid(conf->name))
		return cni_fail(e, CNI_CODE_CONFIG,
				"a letter or digit, then letters, digits, _ . "
				"and -",
				"name \"%.64s\" is not a network's",
				conf->name);
	if (conf->socket[0] != '/')
		return cni_fail(e, CNI_CODE_CONFIG, "write a path from / on",
				"socket \"%.64s\" is not netd's", conf->socket);
	return command == CNI_ADD || command == CNI_STATUS
		       ? check_values(conf, e)
		       : 0;
}

static int parse(const char *text, size_t len, struct cni_conf *conf,
		 struct cni_error *e)
{
	json_error_t error;

	if (len > CNI_CONF_MAX)
		return cni_fail(e, CNI_CODE_CONFIG, NULL,
				"the configuration is larger than %d bytes",
				CNI_CONF_MAX);
	conf->doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!conf->doc)
		return cni_fail(e, CNI_CODE_DECODE, NULL,
				"the configuration is not JSON: %.120s at line "
				"%d column %d",
				error.text, error.line, error.column);
	if (!json_is_object(conf->doc))
		return cni_fail(e, CNI_CODE_DECODE, NULL,
				"the configuration is not a JSON object");
	return 0;
}

static bool is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!memchr(" \t\r\n", text[i], 4))
			return false;
	return true;
}

int cni_conf_read(const char *text, size_t len, enum cni_command command,
		  struct cni_conf *ret, struct cni_error *e)
{
	*ret = (struct cni_conf){ .version = CNI_VERSION_NEWEST };
	/* Who only asks for versions need not say any. */
	if (command == CNI_VERSION && is_blank(text, len))
		return 0;
	if (parse(text, len, ret, e))
		return -EINVAL;
	if (command == CNI_VERSION)
		return 0;
	if (read_version(ret, command, e))
		return -EINVAL;
	return read_values(ret, command, e);
}
