/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"

#include <stdarg.h>

#include "json.h"
#include "labels.h"
#include "netd/util.h"

void container_free(struct container *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->nets_len; i++)
		json_decref(c->nets[i].aliases);
	json_decref(c->labels);
	json_decref(c->exposed);
	json_decref(c->problems);
	free(c);
}

bool container_id_is_valid(const char *id)
{
	size_t len = strspn(id, "0123456789abcdef");

	return len >= CONTAINER_SHORT_LEN && len < CONTAINER_ID_LEN && !id[len];
}

/* ---- the engine's reply ---- */

static const char *str_of(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

/* Paused, starting and unhealthy ones run, and do not serve. */
static int read_state(const json_t *state, struct container *c)
{
	const json_t *health = json_object_get(state, "Health");
	const char *word = str_of(health, "Status");

	if (!json_is_object(state))
		return -EINVAL;
	if (!json_is_true(json_object_get(state, "Running")) ||
	    json_is_true(json_object_get(state, "Restarting")))
		return -ENOENT;
	if (json_get_u32((json_t *)(uintptr_t)state, "Pid", &c->pid) || !c->pid)
		return -ENOENT;
	if (json_is_true(json_object_get(state, "Paused")))
		strcpy(c->unready, "paused");
	else if (str_eq(word, "starting") || str_eq(word, "unhealthy"))
		str_copy(c->unready, sizeof(c->unready), word);
	return 0;
}

static void read_name(const char *text, char name[POD_NAME_LEN])
{
	text += *text == '/';
	if (!str_copy(name, POD_NAME_LEN, text) || !pod_name_is_valid(name))
		name[0] = '\0';
}

static json_t *read_aliases(json_t *list)
{
	json_t *names = json_array();
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *name = json_string_value(item);

		if (name && pod_name_is_valid(name))
			json_array_append(names, item);
	}
	return names;
}

static void read_nets(json_t *nets, struct container *c)
{
	const char *name;
	json_t *doc;

	json_object_foreach (nets, name, doc) {
		struct container_net *net = &c->nets[c->nets_len];

		if (c->nets_len == CLIENT_NETS_MAX)
			return;
		/* Without an address of ours, as `host` and `none` are. */
		if (json_read_ip(json_object_get(doc, "IPAddress"),
				 &net->addr) ||
		    ip_is_none(&net->addr))
			continue;
		str_copy(net->name, sizeof(net->name), name);
		str_copy(net->endpoint, sizeof(net->endpoint),
			 str_of(doc, "EndpointID"));
		mac_parse(str_of(doc, "MacAddress"), &net->mac);
		net->aliases = read_aliases(json_object_get(doc, "Aliases"));
		c->nets_len++;
	}
}

static void read_exposed(json_t *ports, struct container *c)
{
	const char *port;
	json_t *unused;

	c->exposed = json_array();
	json_object_foreach (ports, port, unused) {
		if (json_array_size(c->exposed) < PORTS_MAX)
			json_array_append_new(c->exposed, json_string(port));
	}
}

int container_read(const char *text, size_t len, struct container **ret)
{
	AUTO(json_freep) json_t *doc = json_loadb(text, len, 0, NULL);
	json_t *config = json_object_get(doc, "Config");
	const char *id = str_of(doc, "Id");
	struct container *c;
	int err;

	if (!json_is_object(config) || !container_id_is_valid(id))
		return -EINVAL;
	c = xzalloc(sizeof(*c));
	c->problems = json_array();
	str_copy(c->id, sizeof(c->id), id);
	err = read_state(json_object_get(doc, "State"), c);
	if (err) {
		container_free(c);
		return err;
	}
	read_name(str_of(doc, "Name"), c->name);
	if (!*c->name)
		json_array_append_new(
			c->problems,
			json_sprintf("its name \"%.64s\" is no name for DNS",
				     str_of(doc, "Name")));
	read_name(str_of(config, "Hostname"), c->hostname);
	c->labels = labels_take(json_object_get(config, "Labels"), c->problems);
	read_exposed(json_object_get(config, "ExposedPorts"), c);
	read_nets(json_object_get(json_object_get(doc, "NetworkSettings"),
				  "Networks"),
		  c);
	*ret = c;
	return 0;
}

/* ---- the pod it is ---- */

static const struct container_net *net_of(const struct container *c,
					  const struct attachment *at)
{
	for (size_t i = 0; i < c->nets_len; i++)
		if (ip_eq(&c->nets[i].addr, &at->addr) &&
		    !memcmp(&c->nets[i].mac, &at->mac, sizeof(at->mac)))
			return &c->nets[i];
	return NULL;
}

bool container_is_pod(const struct container *c, const struct pod *pod)
{
	if (pod->own_ns)
		return false;
	if (*pod->container && str_eq(pod->container, c->id))
		return true;
	for (size_t i = 0; i < pod->nets_len; i++) {
		const struct attachment *at = &pod->nets[i];

		if (c->cookie && at->cookie == c->cookie)
			return true;
		/* Before the engine has moved the link: by its address. */
		if (str_eq(pod->owner, "docker") && net_of(c, at))
			return true;
	}
	return false;
}

static void add_name(json_t *names, const char *name)
{
	json_t *item;
	size_t i;

	if (!*name || !pod_name_is_valid(name))
		return;
	json_array_foreach (names, i, item) {
		if (strcasecmp(json_string_value(item), name) == 0)
			return;
	}
	json_array_append_new(names, json_string(name));
}

/* As the engine's own resolver: short id, host name, aliases, service. */
static json_t *names_on(const struct container *c, const struct attachment *at)
{
	const struct container_net *net = net_of(c, at);
	json_t *names = json_array();
	char id[CONTAINER_SHORT_LEN + 1];
	json_t *item;
	size_t i;

	json_array_foreach (net ? net->aliases : NULL, i, item)
		add_name(names, json_string_value(item));
	add_name(names, str_of(c->labels, LABEL_COMPOSE_SERVICE));
	snprintf(id, sizeof(id), "%.12s", c->id);
	add_name(names, id);
	add_name(names, c->hostname);
	return names;
}

json_t *container_found(const struct container *c, const struct pod *pod,
			json_t *problems)
{
	const char *networks[CLIENT_NETS_MAX];
	json_t *aliases = json_object();
	json_t *labels;

	for (size_t i = 0; i < pod->nets_len; i++) {
		networks[i] = pod->nets[i].network;
		json_object_set_new(aliases, networks[i],
				    names_on(c, &pod->nets[i]));
	}
	labels = labels_complete(c->labels, c->name, c->exposed, networks,
				 pod->nets_len, problems);
	return json_pack("{s:s, s:s, s:o, s:o}", "name", c->name, "unready",
			 c->unready, "labels", labels, "aliases", aliases);
}
