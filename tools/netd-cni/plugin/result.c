/* SPDX-License-Identifier: Apache-2.0 */
#include "result.h"

#include "netd/util.h"

static const char *text_of(json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

/* The list of this name, made where it is missing. */
static json_t *list_of(json_t *obj, const char *key)
{
	json_t *list = json_object_get(obj, key);

	if (json_is_array(list))
		return list;
	list = json_array();
	json_object_set_new(obj, key, list);
	return list;
}

/* Both ends of the link; the place of the container's. */
static json_int_t add_interfaces(const struct cni_env *env,
				 const struct cni_conf *conf, json_t *result,
				 json_t *reply)
{
	json_t *list = list_of(result, "interfaces");
	json_t *inside =
		json_pack("{s:s, s:s, s:s}", "name",
			  text_of(reply, "interface"), "mac",
			  text_of(reply, "mac"), "sandbox", env->netns);

	if (cni_conf_is_from(conf, "1.1.0"))
		json_object_set(inside, "mtu", json_object_get(reply, "mtu"));
	json_array_append_new(list, json_pack("{s:s}", "name",
					      text_of(reply, "link")));
	json_array_append_new(list, inside);
	return (json_int_t)json_array_size(list) - 1;
}

static void add_ip(const struct cni_conf *conf, json_t *result,
		   const char *address, const char *gateway,
		   json_int_t interface)
{
	json_t *ip = json_pack("{s:s, s:s, s:I}", "address", address, "gateway",
			       gateway, "interface", interface);

	if (!cni_conf_is_from(conf, "1.0.0"))
		json_object_set_new(ip, "version",
				    json_string(strchr(address, ':') ? "6"
								     : "4"));
	json_array_append_new(list_of(result, "ips"), ip);
}

/* The first of these lists that has something in it. */
static void set_dns(json_t *dns, const char *key, json_t *runtime, json_t *conf,
		    json_t *ours)
{
	json_t *list = ours;

	if (json_array_size(conf))
		list = conf;
	if (json_array_size(runtime))
		list = runtime;
	json_object_set(dns, key, list);
}

static json_t *make_dns(const struct cni_conf *conf, json_t *reply)
{
	json_t *runtime = json_object_get(
		json_object_get(conf->doc, "runtimeConfig"), "dns");
	json_t *from = json_object_get(conf->doc, "dns");
	json_t *servers = json_pack("[s]", text_of(reply, "gateway"));
	json_t *options = json_pack("[s]", "ndots:1");
	json_t *dns = json_object();

	set_dns(dns, "nameservers", json_object_get(runtime, "servers"),
		json_object_get(from, "nameservers"), servers);
	set_dns(dns, "search", json_object_get(runtime, "searches"),
		json_object_get(from, "search"),
		json_object_get(reply, "search"));
	set_dns(dns, "options", json_object_get(runtime, "options"),
		json_object_get(from, "options"), options);
	if (*text_of(from, "domain"))
		json_object_set(dns, "domain", json_object_get(from, "domain"));
	json_decref(servers);
	json_decref(options);
	return dns;
}

json_t *cni_result(const struct cni_env *env, const struct cni_conf *conf,
		   json_t *reply)
{
	json_t *previous = json_object_get(conf->doc, "prevResult");
	json_t *result = previous ? json_deep_copy(previous) : json_object();
	json_int_t interface;

	json_object_set_new(result, "cniVersion", json_string(conf->version));
	interface = add_interfaces(env, conf, result, reply);
	add_ip(conf, result, text_of(reply, "ip"), text_of(reply, "gateway"),
	       interface);
	/* The pair's other half, in a network of both families. */
	if (*text_of(reply, "ip6"))
		add_ip(conf, result, text_of(reply, "ip6"),
		       text_of(reply, "gateway6"), interface);
	json_array_extend(list_of(result, "routes"),
			  json_object_get(reply, "routes"));
	json_object_set_new(result, "dns", make_dns(conf, reply));
	return result;
}

/* A member of one of these objects has this text. */
static bool has_text(json_t *list, const char *key, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		if (str_eq(text_of(item, key), text))
			return true;
	return false;
}

int cni_result_check(const struct cni_env *env, const struct cni_conf *conf,
		     json_t *reply, struct cni_error *e)
{
	static const char *const addresses[] = { "ip", "ip6" };
	json_t *previous = json_object_get(conf->doc, "prevResult");
	json_t *route;
	size_t i;

	if (!json_is_object(previous))
		return cni_fail(e, CNI_CODE_CONFIG,
				"CHECK compares with what ADD gave",
				"prevResult is missing");
	if (!has_text(json_object_get(previous, "interfaces"), "name",
		      env->ifname))
		return cni_fail(e, CNI_CODE_DIFFERS, NULL,
				"prevResult has no interface %s", env->ifname);
	for (i = 0; i < ARRAY_LEN(addresses); i++) {
		const char *ip = text_of(reply, addresses[i]);

		if (*ip &&
		    !has_text(json_object_get(previous, "ips"), "address", ip))
			return cni_fail(e, CNI_CODE_DIFFERS, NULL,
					"%s has %s, which prevResult has not",
					env->ifname, ip);
	}
	json_array_foreach (json_object_get(reply, "routes"), i, route)
		if (!has_text(json_object_get(previous, "routes"), "dst",
			      text_of(route, "dst")))
			return cni_fail(e, CNI_CODE_DIFFERS, NULL,
					"%s has a route to %s, which "
					"prevResult has not",
					env->ifname, text_of(route, "dst"));
	return 0;
}
