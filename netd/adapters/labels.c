/* SPDX-License-Identifier: Apache-2.0 */
#include "labels.h"

#include "container.h"
#include "json.h"
#include "netd/util.h"
#include "netd/words.h"
#include "service.h"
#include "service_tune.h"

#define LABEL_KEY_LEN 128

/* Words of a list: more would not fit a service. */
#define WORDS_MAX (2 * PORTS_MAX)

static const char *get(const json_t *labels, const char *key)
{
	return json_string_value(json_object_get(labels, key));
}

static bool is_true(const char *text)
{
	static const char *const words[] = { "true", "yes", "on", "1" };

	for (size_t i = 0; text && i < ARRAY_LEN(words); i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

/* ---- what fits ---- */

static bool is_ours(const char *key)
{
	return str_after(key, "netd.") || str_eq(key, LABEL_COMPOSE_SERVICE) ||
	       str_eq(key, LABEL_COMPOSE_PROJECT);
}

static size_t take_some(json_t *all, bool ours, json_t *taken)
{
	const char *key;
	json_t *value;
	size_t left_out = 0;

	json_object_foreach (all, key, value) {
		const char *text = json_string_value(value);

		if (is_ours(key) != ours)
			continue;
		if (!text || strlen(key) > LABEL_KEY_LEN ||
		    strlen(text) > CONTAINER_LABEL_LEN ||
		    json_object_size(taken) == CONTAINER_LABELS_MAX)
			left_out++;
		else
			json_object_set(taken, key, value);
	}
	return left_out;
}

json_t *labels_take(json_t *all, json_t *problems)
{
	json_t *taken = json_object();
	size_t left_out = take_some(all, true, taken);

	left_out += take_some(all, false, taken);
	/* Who made a service is not for a container to say. */
	json_object_del(taken, LABEL_ORIGIN);
	if (left_out)
		json_array_append_new(
			problems,
			json_sprintf("%zu of its labels were left out: a pod "
				     "has at most %d, of %d letters each",
				     left_out, CONTAINER_LABELS_MAX,
				     CONTAINER_LABEL_LEN));
	return taken;
}

/* ---- the service asked for ---- */

/* "80, 443/tcp": appends each word, with the name that all have in common. */
static int add_words(json_t *list, const char *label, const char *name,
		     const char *text, struct refusal *r)
{
	AUTO(str_freep) char *copy = xstrdup(text);
	char *save = NULL;
	char *word = strtok_r(copy, ", ", &save);

	for (; word; word = strtok_r(NULL, ", ", &save)) {
		if (json_array_size(list) == WORDS_MAX)
			return refuse(r, API_INVALID, label,
				      "make a second service",
				      "there are more than %d ports",
				      WORDS_MAX);
		json_array_append_new(list,
				      json_sprintf("%s%s%s", name,
						   *name ? "=" : "", word));
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The labels that name ports, in the order of their keys: each node is to
 * come to the same list. */
static size_t port_labels(const json_t *labels,
			  const char *keys[CONTAINER_LABELS_MAX])
{
	const char *key;
	json_t *value;
	size_t len = 0;

	json_object_foreach ((json_t *)(uintptr_t)labels, key, value) {
		const char *rest = str_after(key, LABEL_PORT);

		if (rest && (!*rest || *rest == '.') && json_is_string(value) &&
		    len < CONTAINER_LABELS_MAX)
			keys[len++] = key;
	}
	qsort(keys, len, sizeof(keys[0]), by_text);
	return len;
}

/* netd.port=80 and netd.port.NAME=80 */
static json_t *read_ports(const json_t *labels, struct service *s,
			  struct refusal *r)
{
	const char *keys[CONTAINER_LABELS_MAX];
	size_t len = port_labels(labels, keys);
	AUTO(json_freep) json_t *list = json_array();
	json_t *word;
	size_t i;

	for (i = 0; i < len; i++) {
		const char *name = keys[i] + strlen(LABEL_PORT);

		if (add_words(list, keys[i], name + (*name == '.'),
			      get(labels, keys[i]), r))
			return NULL;
	}
	json_array_foreach (list, i, word) {
		if (service_port_add(s, json_string_value(word), r))
			return NULL;
	}
	return take_ptr(list);
}

static json_t *read_published(const json_t *labels, struct service *s,
			      struct refusal *r)
{
	AUTO(json_freep) json_t *list = json_array();
	const char *text = get(labels, LABEL_PUBLISH);
	json_t *word;
	size_t i;

	if (text && add_words(list, LABEL_PUBLISH, "", text, r))
		return NULL;
	json_array_foreach (list, i, word) {
		if (service_publish_add(s, json_string_value(word), r))
			return NULL;
	}
	return take_ptr(list);
}

/* Labels that are arguments of service.create under another name. */
const struct label_text label_texts[] = {
	{ "netd.lb", "algo", "random", false },
	{ "netd.policy", "policy", "any", false },
	{ "netd.affinity", "affinity", "none", false },
	{ "netd.health", "health", "none", false },
	{ "netd.health.interval", "health_interval", "1s", true },
	{ "netd.health.timeout", "health_timeout", "1s", true },
};
_Static_assert(ARRAY_LEN(label_texts) == LABEL_TEXTS, "as declared");

static int add_texts(const json_t *labels, json_t *args, struct refusal *r)
{
	struct tune tune = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(label_texts); i++) {
		const char *text = get(labels, label_texts[i].label);

		if (text)
			json_object_set_new(args, label_texts[i].arg,
					    json_string(text));
	}
	return tune_read(&tune, args, r);
}

static int check_weight(const json_t *labels, struct refusal *r)
{
	const char *text = get(labels, LABEL_WEIGHT);
	uint32_t weight;

	if (!text || !str_to_u32(text, 0, UINT16_MAX, &weight))
		return 0;
	return refuse(r, API_INVALID, LABEL_WEIGHT,
		      "write a number from 0 to 65535",
		      "weight \"%.32s\" is not one", text);
}

const char *labels_service_name(const json_t *labels, const char *network)
{
	const char *wanted = get(labels, LABEL_NETWORK);

	if (!is_true(get(labels, LABEL_ENABLE)) || !wanted ||
	    !str_eq(wanted, network))
		return NULL;
	return get(labels, LABEL_SERVICE);
}

json_t *labels_service(const json_t *labels, const char *network,
		       struct refusal *r)
{
	const char *name = get(labels, LABEL_SERVICE);
	struct service s = { 0 };
	AUTO(json_freep) json_t *ports = NULL;
	AUTO(json_freep) json_t *published = NULL;
	AUTO(json_freep) json_t *args = NULL;

	if (name_check("service", name ? name : "", r))
		return NULL;
	ports = read_ports(labels, &s, r);
	if (ports)
		published = read_published(labels, &s, r);
	if (!published || check_weight(labels, r))
		return NULL;
	args = json_pack("{s:s, s:s, s:{s:s}, s:{s:s}}", "name", name,
			 "network", network, "selector", LABEL_SERVICE, name,
			 "label", LABEL_ORIGIN, LABEL_ORIGIN_DOCKER);
	if (json_array_size(ports))
		json_object_set(args, "port", ports);
	if (json_array_size(published))
		json_object_set(args, "publish", published);
	/* Without a port there is nothing to balance: all addresses, then. */
	if (!json_array_size(ports) && !json_array_size(published))
		json_object_set_new(args, "endpoint_mode",
				    json_string("dnsrr"));
	return add_texts(labels, args, r) ? NULL : take_ptr(args);
}

/* ---- completing ---- */

static const char *const known[] = {
	LABEL_ENABLE, LABEL_SERVICE, LABEL_NETWORK,
	LABEL_PORT,   LABEL_PUBLISH, LABEL_WEIGHT,
};

static void note(json_t *problems, const char *label, const char *text)
{
	json_array_append_new(problems,
			      json_sprintf("%s: %.300s", label, text));
}

/* A slip in a label would otherwise be a wish that nobody heard. */
static void note_unknown(const json_t *labels, json_t *problems)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)labels, key, value) {
		struct word_near near = word_near(key);
		const char *meant;
		bool found = !str_after(key, "netd.") ||
			     str_after(key, LABEL_PORT ".");

		for (size_t i = 0; !found && i < ARRAY_LEN(known); i++) {
			found = str_eq(key, known[i]);
			word_offer(&near, known[i]);
		}
		for (size_t i = 0; !found && i < LABEL_TEXTS; i++) {
			found = str_eq(key, label_texts[i].label);
			word_offer(&near, label_texts[i].label);
		}
		if (found)
			continue;
		meant = word_meant(&near);
		json_array_append_new(problems,
				      json_sprintf("%.128s: no such label%s%s",
						   key, meant ? ", is it " : "",
						   meant ? meant : ""));
	}
}

/* The name: as asked, compose's, the container's own. */
static void complete_name(json_t *labels, const char *name)
{
	const char *compose = get(labels, LABEL_COMPOSE_SERVICE);

	if (!get(labels, LABEL_SERVICE))
		json_object_set_new(labels, LABEL_SERVICE,
				    json_string(compose ? compose : name));
}

static void complete_ports(json_t *labels, const json_t *exposed)
{
	const char *unused[CONTAINER_LABELS_MAX];
	AUTO(str_freep) char *text = xstrdup("");
	json_t *port;
	size_t i;

	if (port_labels(labels, unused) || get(labels, LABEL_PUBLISH))
		return;
	json_array_foreach (exposed, i, port) {
		const char *word = json_string_value(port);
		AUTO(str_freep) char *before = NULL;
		struct refusal ignored;
		struct port parsed;

		/* SCTP, say. */
		if (!word ||
		    service_port_parse(LABEL_PORT, word, &parsed, &ignored))
			continue;
		before = text;
		text = xasprintf("%s%s%s", before, *before ? "," : "", word);
	}
	if (*text && strlen(text) <= CONTAINER_LABEL_LEN)
		json_object_set_new(labels, LABEL_PORT, json_string(text));
}

static bool complete_network(json_t *labels, const char *const *networks,
			     size_t len, json_t *problems)
{
	const char *wanted = get(labels, LABEL_NETWORK);

	if (!wanted && len == 1) {
		json_object_set_new(labels, LABEL_NETWORK,
				    json_string(networks[0]));
		return true;
	}
	if (!wanted) {
		note(problems, LABEL_NETWORK,
		     "the container is on several networks: name the one its "
		     "service is on");
		return false;
	}
	for (size_t i = 0; i < len; i++)
		if (str_eq(networks[i], wanted))
			return true;
	note(problems, LABEL_NETWORK,
	     "the container is not on the network it names");
	return false;
}

json_t *labels_complete(const json_t *labels, const char *name,
			const json_t *exposed, const char *const *networks,
			size_t networks_len, json_t *problems)
{
	json_t *all = json_copy((json_t *)(uintptr_t)labels);
	AUTO(json_freep) json_t *service = NULL;
	struct refusal r = { 0 };

	note_unknown(labels, problems);
	if (!is_true(get(labels, LABEL_ENABLE)))
		return all;
	json_object_set_new(all, LABEL_ENABLE, json_string("true"));
	complete_name(all, name);
	complete_ports(all, exposed);
	if (!complete_network(all, networks, networks_len, problems))
		return all;
	service = labels_service(all, get(all, LABEL_NETWORK), &r);
	if (!service)
		note(problems, LABEL_SERVICE, r.message);
	return all;
}
