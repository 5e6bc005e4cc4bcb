/* SPDX-License-Identifier: Apache-2.0 */
#include "wish.h"

#include <ctype.h>

#include "netd/util.h"
#include "netd/want.h"

#define OWNER "cni"
/* A label of DNS (RFC 1035 2.3.4). */
#define LABEL_MAX 63
#define SHORT_ID 12

struct wish {
	const struct cni_env *env;
	const struct cni_conf *conf;
	struct cni_error *e;
	/* Values of CNI_ARGS by key. */
	json_t *args;
	/* "NET,ip=..", under way. */
	char *network;
	json_t *labels;
};

static void json_freep(json_t **j)
{
	json_decref(*j);
}

static json_t *runtime_config(const struct wish *w)
{
	return json_object_get(w->conf->doc, "runtimeConfig");
}

/* ---- CNI_ARGS ---- */

static const char *const known_args[] = {
	"IgnoreUnknown",
	"IP",
	"MAC",
	"K8S_POD_NAME",
	"K8S_POD_NAMESPACE",
	"K8S_POD_UID",
	"K8S_POD_INFRA_CONTAINER_ID",
	"NOMAD_REGION",
	"NOMAD_NAMESPACE",
	"NOMAD_JOB_ID",
	"NOMAD_GROUP_NAME",
	"NOMAD_ALLOC_ID",
	"NETD_LABELS",
};

static const char *arg(const struct wish *w, const char *name)
{
	const char *value = json_string_value(json_object_get(w->args, name));

	return value && *value ? value : NULL;
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(known_args); i++)
		if (str_eq(known_args[i], name))
			return true;
	return false;
}

static int check_args(struct wish *w)
{
	const char *ignore = arg(w, "IgnoreUnknown");
	const char *name;
	json_t *value;

	if (ignore && (strcasecmp(ignore, "true") == 0 || str_eq(ignore, "1")))
		return 0;
	json_object_foreach (w->args, name, value)
		if (!is_known(name))
			return cni_fail(w->e, CNI_CODE_ENV,
					"IgnoreUnknown=1 in CNI_ARGS allows "
					"what netd does not know",
					"CNI_ARGS: \"%.64s\" is unknown", name);
	return 0;
}

static int read_args(struct wish *w)
{
	AUTO(str_freep)
	char *copy = xstrdup(w->env->args ? w->env->args : "");
	char *save = NULL;

	for (char *word = strtok_r(copy, ";", &save); word;
	     word = strtok_r(NULL, ";", &save)) {
		char *value = strchr(word, '=');

		if (!value)
			return cni_fail(w->e, CNI_CODE_ENV, "K=V;K=V",
					"CNI_ARGS: \"%.64s\" has no value",
					word);
		*value++ = '\0';
		if (json_object_set_new(w->args, word, json_string(value)))
			return cni_fail(w->e, CNI_CODE_ENV, NULL,
					"CNI_ARGS is not UTF-8");
	}
	return check_args(w);
}

/* ---- name ---- */

/* What is no letter, digit, - or _ becomes -, so that it is one DNS label. */
static char *as_label(const char *text, size_t max)
{
	char *label;

	while (*text && !isalnum((unsigned char)*text))
		text++;
	label = xstrndup(text, max);
	for (char *c = label; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			*c = '-';
	return label;
}

/* Sixty-four digits tell a person no more than twelve do. */
static char *id_name(const char *id)
{
	bool digits = strspn(id, "0123456789abcdef") == strlen(id);

	return as_label(id, digits ? SHORT_ID : LABEL_MAX);
}

static char *pod_name(const struct wish *w)
{
	const char *k8s = arg(w, "K8S_POD_NAME");
	const char *group = arg(w, "NOMAD_GROUP_NAME");
	const char *alloc = arg(w, "NOMAD_ALLOC_ID");
	AUTO(str_freep) char *both = NULL;
	char *name;

	if (k8s) {
		name = as_label(k8s, LABEL_MAX);
		if (*name)
			return name;
		free(name);
	}
	if (group && alloc) {
		both = xasprintf("%.54s-%.8s", group, alloc);
		name = as_label(both, LABEL_MAX);
		if (*name)
			return name;
		free(name);
	}
	return id_name(w->env->container);
}

/* ---- labels ---- */

static void label(struct wish *w, const char *key, const char *value)
{
	if (value)
		json_object_set_new(w->labels, key, json_string(value));
}

static void orchestrator_labels(struct wish *w)
{
	static const struct {
		const char *arg, *label;
	} rows[] = {
		{ "K8S_POD_NAME", "io.kubernetes.pod.name" },
		{ "K8S_POD_NAMESPACE", "io.kubernetes.pod.namespace" },
		{ "K8S_POD_UID", "io.kubernetes.pod.uid" },
		{ "NOMAD_REGION", "nomad.region" },
		{ "NOMAD_NAMESPACE", "nomad.namespace" },
		{ "NOMAD_JOB_ID", "nomad.job" },
		{ "NOMAD_GROUP_NAME", "nomad.group" },
		{ "NOMAD_ALLOC_ID", "nomad.alloc" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		label(w, rows[i].label, arg(w, rows[i].arg));
}

static int args_labels(struct wish *w)
{
	const char *text = arg(w, "NETD_LABELS");
	AUTO(str_freep) char *copy = xstrdup(text ? text : "");
	char *save = NULL;

	for (char *word = strtok_r(copy, ",", &save); word;
	     word = strtok_r(NULL, ",", &save)) {
		char *value = strchr(word, '=');

		if (!value || value == word)
			return cni_fail(w->e, CNI_CODE_ENV,
					"NETD_LABELS=app=web,tier=front",
					"CNI_ARGS: label \"%.64s\" is not "
					"KEY=VALUE",
					word);
		*value++ = '\0';
		label(w, word, value);
	}
	return 0;
}

static int conf_labels(struct wish *w)
{
	json_t *labels = json_object_get(w->conf->doc, "labels");
	const char *key;
	json_t *value;

	json_object_foreach (labels, key, value) {
		if (!json_is_string(value))
			return cni_fail(w->e, CNI_CODE_CONFIG,
					"write {\"app\": \"web\"}",
					"labels.%.64s is not a string", key);
		label(w, key, json_string_value(value));
	}
	return 0;
}

/* [{"key": "app", "value": "web"}] */
static int cni_labels(struct wish *w, json_t *cni)
{
	json_t *list, *item;
	size_t i;

	if (cni_member(cni, "args.cni", "labels", JSON_ARRAY, &list, w->e))
		return -EINVAL;
	json_array_foreach (list, i, item) {
		const char *key =
			json_string_value(json_object_get(item, "key"));
		json_t *value = json_object_get(item, "value");

		if (!key || !*key || !json_is_string(value))
			return cni_fail(w->e, CNI_CODE_CONFIG,
					"write [{\"key\": \"app\", \"value\": "
					"\"web\"}]",
					"args.cni.labels[%zu] is not a key and "
					"a value",
					i);
		label(w, key, json_string_value(value));
	}
	return 0;
}

/* ---- the network: address, MAC, aliases ---- */

static void network_option(struct wish *w, const char *key, const char *value)
{
	AUTO(str_freep) char *before = w->network;

	w->network = xasprintf("%s,%s=%s", before, key, value);
}

static int add_ip(struct wish *w, const char *text)
{
	struct ip_prefix prefix;
	char ip[IP_STRLEN];

	/* A length is a courtesy to plugins that do not know the subnet. */
	if (prefix_parse(text, &prefix))
		return cni_fail(w->e, CNI_CODE_CONFIG, "write 10.5.0.7",
				"ip \"%.64s\" is not an address", text);
	network_option(w, ip_is_v4(&prefix.addr) ? "ip" : "ip6",
		       ip_str(&prefix.addr, ip));
	return 0;
}

static bool is_v6(const char *text)
{
	return strchr(text, ':');
}

/* The first of these that is there: capability, args.cni, CNI_ARGS. */
static int wish_ip(struct wish *w, json_t *cni)
{
	json_t *list = json_object_get(runtime_config(w), "ips"), *item;
	const char *first = NULL, *text;
	size_t i;

	if (!json_array_size(list) &&
	    cni_member(cni, "args.cni", "ips", JSON_ARRAY, &list, w->e))
		return -EINVAL;
	if (!json_array_size(list))
		return arg(w, "IP") ? add_ip(w, arg(w, "IP")) : 0;
	json_array_foreach (list, i, item) {
		text = json_string_value(item);
		if (!text)
			return cni_fail(w->e, CNI_CODE_CONFIG, NULL,
					"ips[%zu] is not a string", i);
		if (i > 1 || (first && is_v6(first) == is_v6(text)))
			return cni_fail(w->e, CNI_CODE_UNSUPPORTED,
					"one address of each family for one "
					"link",
					"netd does not do %zu ips at once",
					json_array_size(list));
		first = text;
		if (add_ip(w, text))
			return -EINVAL;
	}
	return 0;
}

static int wish_mac(struct wish *w, json_t *cni)
{
	const char *text =
		json_string_value(json_object_get(runtime_config(w), "mac"));
	struct mac_addr mac;
	char buf[MAC_STRLEN];
	json_t *value;

	if (cni_member(cni, "args.cni", "mac", JSON_STRING, &value, w->e))
		return -EINVAL;
	if (!text || !*text)
		text = json_string_value(value);
	if (!text || !*text)
		text = arg(w, "MAC");
	if (!text)
		return 0;
	if (mac_parse(text, &mac))
		return cni_fail(w->e, CNI_CODE_CONFIG,
				"write 02:00:0a:05:00:07",
				"mac \"%.32s\" is not an Ethernet address",
				text);
	network_option(w, "mac", mac_str(&mac, buf));
	return 0;
}

static int wish_aliases(struct wish *w)
{
	json_t *list = json_object_get(runtime_config(w), "aliases");
	json_t *item;
	size_t i;

	/* Podman names the network that they are for. */
	if (json_is_object(list))
		list = json_object_get(list, w->conf->name);
	if (list && !json_is_null(list) && !json_is_array(list))
		return cni_fail(w->e, CNI_CODE_CONFIG,
				"a list of names, or an object of such lists "
				"by network",
				"runtimeConfig.aliases is no list");
	json_array_foreach (list, i, item) {
		const char *name = json_string_value(item);

		/* Nor a comma: the names go on as one text. */
		if (!name || !cni_name_is_valid(name))
			return cni_fail(w->e, CNI_CODE_CONFIG,
					"letters, digits, - _ and .",
					"runtimeConfig.aliases[%zu] \"%.64s\" "
					"is not a name",
					i, name ? name : "");
		network_option(w, "alias", name);
	}
	return 0;
}

/* ---- ports ---- */

static int port_number(struct wish *w, json_t *item, size_t i, const char *key,
		       json_int_t min, json_int_t *ret)
{
	json_t *value = json_object_get(item, key);

	*ret = json_integer_value(value);
	if ((!value && min == 0) ||
	    (json_is_integer(value) && *ret >= min && *ret <= 65535))
		return 0;
	return cni_fail(w->e, CNI_CODE_CONFIG, NULL,
			"runtimeConfig.portMappings[%zu].%s is not a number "
			"from %lld to 65535",
			i, key, min);
}

static int port_text(struct wish *w, json_t *item, size_t i, const char *key,
		     const char *fallback, const char **ret)
{
	json_t *value = json_object_get(item, key);

	*ret = fallback;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return cni_fail(w->e, CNI_CODE_CONFIG, NULL,
				"runtimeConfig.portMappings[%zu].%s is not a "
				"string",
				i, key);
	if (*json_string_value(value))
		*ret = json_string_value(value);
	return 0;
}

static int add_port(struct wish *w, json_t *item, size_t i, json_t *list)
{
	const char *proto, *host;
	struct ip_addr addr;
	json_int_t port, target;

	if (!json_is_object(item))
		return cni_fail(w->e, CNI_CODE_CONFIG, NULL,
				"runtimeConfig.portMappings[%zu] is not an "
				"object",
				i);
	if (port_number(w, item, i, "hostPort", 0, &port) ||
	    port_number(w, item, i, "containerPort", 1, &target) ||
	    port_text(w, item, i, "protocol", "tcp", &proto) ||
	    port_text(w, item, i, "hostIP", "0.0.0.0", &host))
		return -EINVAL;
	if (strcasecmp(proto, "tcp") != 0 && strcasecmp(proto, "udp") != 0)
		return cni_fail(w->e, CNI_CODE_UNSUPPORTED, "tcp or udp",
				"netd does not do portMappings[%zu].protocol = "
				"%.32s",
				i, proto);
	if (ip_parse(host, &addr))
		return cni_fail(w->e, CNI_CODE_CONFIG, NULL,
				"portMappings[%zu].hostIP \"%.64s\" is not an "
				"address",
				i, host);
	if (!ip_is_v4(&addr))
		return cni_fail(w->e, CNI_CODE_UNSUPPORTED,
				"leave it out: all addresses answer, of IPv6 "
				"too",
				"netd does not do portMappings[%zu].hostIP = "
				"%.64s",
				i, host);
	json_array_append_new(
		list, json_sprintf("%s:%lld:%lld/%s", host, port, target,
				   strcasecmp(proto, "udp") ? "tcp" : "udp"));
	return 0;
}

static int wish_ports(struct wish *w, json_t *body)
{
	json_t *from = json_object_get(runtime_config(w), "portMappings");
	json_t *list, *item;
	size_t i;

	if (!json_array_size(from))
		return 0;
	list = json_array();
	json_object_set_new(body, "publish", list);
	json_array_foreach (from, i, item)
		if (add_port(w, item, i, list))
			return -EINVAL;
	return 0;
}

/* ---- the whole ---- */

json_t *cni_container(const struct cni_env *env)
{
	return json_pack("{s:s, s:s, s:s}", "owner", OWNER, "container",
			 env->container, "ifname", env->ifname);
}

static int fill(struct wish *w, json_t *body)
{
	AUTO(str_freep) char *name = NULL;
	json_t *args = json_object_get(w->conf->doc, "args");
	json_t *cni;

	if (cni_member(args, "args", "cni", JSON_OBJECT, &cni, w->e) ||
	    read_args(w))
		return -EINVAL;
	orchestrator_labels(w);
	if (conf_labels(w) || cni_labels(w, cni) || args_labels(w) ||
	    wish_ip(w, cni) || wish_mac(w, cni) || wish_aliases(w) ||
	    wish_ports(w, body))
		return -EINVAL;
	name = pod_name(w);
	json_object_set_new(body, "name", json_string(name));
	json_object_set_new(body, "config", json_string(w->conf->name));
	json_object_set_new(body, "network", json_string(w->network));
	json_object_set(body, "label", w->labels);
	return 0;
}

int cni_wish(const struct cni_env *env, const struct cni_conf *conf,
	     json_t **ret, struct cni_error *e)
{
	AUTO(json_freep) json_t *args = json_object();
	AUTO(json_freep) json_t *labels = json_object();
	json_t *body = cni_container(env);
	struct wish w = {
		.env = env, .conf = conf, .e = e, .args = args, .labels = labels
	};
	int err;

	/* A comma would begin an option. */
	if (!cni_name_is_valid(conf->network)) {
		json_decref(body);
		return cni_fail(e, CNI_CODE_CONFIG, "see: netctl network ls",
				"network \"%.64s\" is not a network of netd's",
				conf->network);
	}
	w.network = xstrdup(conf->network);
	err = fill(&w, body);
	free(w.network);
	if (err)
		json_decref(body);
	else
		*ret = body;
	return err;
}

int cni_survivors(const struct cni_conf *conf, json_t **ret,
		  struct cni_error *e)
{
	json_t *from = json_object_get(conf->doc, "cni.dev/valid-attachments");
	json_t *keep, *item;
	size_t i;

	/* What libcni sent before the specification had its name. */
	if (!from)
		from = json_object_get(conf->doc, "cni.dev/attachments");
	if (!json_is_array(from))
		return cni_fail(e, CNI_CODE_CONFIG,
				"an empty list says that nothing is valid",
				"cni.dev/valid-attachments is missing, or not "
				"a list");
	keep = json_array();
	json_array_foreach (from, i, item) {
		const char *id =
			json_string_value(json_object_get(item, "containerID"));
		const char *ifname =
			json_string_value(json_object_get(item, "ifname"));

		if (!id || !ifname) {
			json_decref(keep);
			return cni_fail(e, CNI_CODE_CONFIG, NULL,
					"cni.dev/valid-attachments[%zu] has no "
					"containerID or ifname",
					i);
		}
		json_array_append_new(keep, json_sprintf("%s/%s", id, ifname));
	}
	*ret = json_pack("{s:s, s:s, s:o}", "owner", OWNER, "config",
			 conf->name, "keep", keep);
	return 0;
}
