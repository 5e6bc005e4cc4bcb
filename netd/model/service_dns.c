/* SPDX-License-Identifier: Apache-2.0 */
#include "service_dns.h"

#include <ctype.h>

#include "json.h"
#include "netd/util.h"
#include "static_record.h"

/* RFC 6335 5.1: a-z, 0-9, single hyphens inside, a letter among them. */
bool port_name_is_valid(const char *name)
{
	size_t len = strlen(name);
	bool letter = false;

	if (!len || len >= PORT_NAME_LEN || name[0] == '-' ||
	    name[len - 1] == '-' || strstr(name, "--"))
		return false;
	for (const char *c = name; *c; c++) {
		if (!islower((unsigned char)*c) &&
		    !isdigit((unsigned char)*c) && *c != '-')
			return false;
		letter |= islower((unsigned char)*c) != 0;
	}
	return letter;
}

int service_port_name(const char *field, const char **text,
		      char name[PORT_NAME_LEN], struct refusal *r)
{
	const char *end = strchr(*text, '=');
	AUTO(str_freep) char *word = NULL;

	*name = '\0';
	if (!end)
		return 0;
	word = xstrndup(*text, (size_t)(end - *text));
	if (!port_name_is_valid(word) || !str_copy(name, PORT_NAME_LEN, word))
		return refuse(r, API_INVALID, field,
			      "use a-z, 0-9 and single hyphens, at most 15, a "
			      "letter among them, such as http=80:8080",
			      "%s \"%s\": \"%.64s\" is no name of a port",
			      field, *text, word);
	*text = end + 1;
	return 0;
}

bool service_has_alias(const struct service *s, const char *name)
{
	json_t *alias;
	size_t i;

	json_array_foreach (s->aliases, i, alias)
		if (str_eq(json_string_value(alias), name))
			return true;
	return false;
}

int service_alias_add(struct service *s, const char *name, struct refusal *r)
{
	if (!name_is_valid(name) || str_eq(name, "tasks"))
		return refuse(r, API_INVALID, "alias",
			      "use a-z, 0-9, - and _, at most 63, a letter or "
			      "digit first and last; tasks is reserved",
			      "alias \"%.64s\": not a valid name", name);
	if (str_eq(name, s->name) || service_has_alias(s, name))
		return refuse(r, API_CONFLICT, "alias", "name each once",
			      "service \"%s\" is called \"%s\" already",
			      s->name, name);
	if (json_array_size(s->aliases) == SERVICE_ALIASES_MAX)
		return refuse(r, API_INVALID, "alias",
			      "remove one that is not needed",
			      "a service has at most %d aliases",
			      SERVICE_ALIASES_MAX);
	if (!s->aliases)
		s->aliases = json_array();
	json_array_append_new(s->aliases, json_string(name));
	return 0;
}

int service_alias_del(struct service *s, const char *name, struct refusal *r)
{
	json_t *alias;
	size_t i;

	json_array_foreach (s->aliases, i, alias) {
		if (str_eq(json_string_value(alias), name)) {
			json_array_remove(s->aliases, i);
			return 0;
		}
	}
	return refuse(r, API_NOT_FOUND, "alias", "see: netctl service inspect",
		      "service \"%s\" has no alias \"%.64s\"", s->name, name);
}

static int refuse_with_external(struct refusal *r, const struct service *s,
				const char *field)
{
	return refuse(r, API_INVALID, field,
		      "leave it out, or leave out --external-name",
		      "service \"%s\" is another name of \"%s\": it has no "
		      "%s of its own",
		      s->name, s->external, field);
}

int service_external_set(struct service *s, const char *name, struct refusal *r)
{
	if (domain_check("external_name", name, r))
		return -EINVAL;
	str_copy(s->external, sizeof(s->external), name);
	if (s->ports_len)
		return refuse_with_external(r, s, "port");
	if (s->published_len)
		return refuse_with_external(r, s, "publish");
	if (s->statics_len)
		return refuse_with_external(r, s, "backend");
	if (json_object_size(s->selector))
		return refuse_with_external(r, s, "selector");
	return 0;
}

/* A name that is taken, and by what. */
static int refuse_taken(const struct net *net, const char *field,
			const char *name, const char *what, const char *whose,
			struct refusal *r)
{
	return refuse(r, API_CONFLICT, field,
		      "choose another name, or remove that first",
		      "\"%s\" is %s%s%s on network \"%s\" already", name, what,
		      *whose ? " of service " : "", whose, net->name);
}

static int name_is_free(const struct net *net, const struct service *s,
			const char *field, const char *name, struct refusal *r)
{
	const struct service *o;

	if (net_record(net, name))
		return refuse_taken(net, field, name, "a record of DNS", "", r);
	for (o = net->services; o; o = o->hh.next) {
		if (str_eq(o->name, s->name))
			continue;
		if (str_eq(o->name, name))
			return refuse_taken(net, field, name, "a service", "",
					    r);
		if (service_has_alias(o, name))
			return refuse_taken(net, field, name, "an alias",
					    o->name, r);
	}
	return 0;
}

int service_names_check(const struct net *net, const struct service *s,
			struct refusal *r)
{
	json_t *alias;
	size_t i;
	int err = name_is_free(net, s, "name", s->name, r);

	json_array_foreach (s->aliases, i, alias) {
		if (!err)
			err = name_is_free(net, s, "alias",
					   json_string_value(alias), r);
	}
	return err;
}

int service_dns_read(struct service *s, json_t *doc)
{
	json_t *list = json_object_get(doc, "aliases");
	json_t *external = json_object_get(doc, "external_name");
	struct refusal ignored;
	json_t *alias;
	size_t i;

	s->has_ttl =
		!json_get_u32(doc, "ttl", &s->ttl) && s->ttl <= SERVICE_TTL_MAX;
	json_array_foreach (list, i, alias) {
		const char *name = json_string_value(alias);

		if (!name || service_alias_add(s, name, &ignored))
			return -EINVAL;
	}
	if (external &&
	    (!json_string_value(external) ||
	     service_external_set(s, json_string_value(external), &ignored)))
		return -EINVAL;
	return 0;
}

void service_dns_write(const struct service *s, json_t *doc)
{
	json_object_del(doc, "ttl");
	json_object_del(doc, "aliases");
	json_object_del(doc, "external_name");
	if (s->has_ttl)
		json_object_set_new(doc, "ttl", json_integer(s->ttl));
	if (json_array_size(s->aliases))
		json_object_set(doc, "aliases", s->aliases);
	if (*s->external)
		json_object_set_new(doc, "external_name",
				    json_string(s->external));
}

struct service *net_service_named(const struct net *net, const char *name)
{
	struct service *s = net_service(net, name), *best = NULL;

	if (s)
		return s;
	/* Two can only share one when both were made in the same moment. */
	for (s = net->services; s; s = s->hh.next)
		if (service_has_alias(s, name) &&
		    (!best || strcmp(s->name, best->name) < 0))
			best = s;
	return best;
}
