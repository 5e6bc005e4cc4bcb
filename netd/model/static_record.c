/* SPDX-License-Identifier: Apache-2.0 */
#include "static_record.h"

#include "json.h"
#include "netd/util.h"
#include "service_dns.h"

/* Numbers of RFC 1035 3.2.2, RFC 3596 and RFC 2782. */
static const struct type {
	const char *word;
	uint16_t type;
	const char *form;
} types[] = {
	{ "A", 1, "an IPv4 address, such as 192.0.2.7" },
	{ "AAAA", 28, "an IPv6 address, such as 2001:db8::7" },
	{ "CNAME", 5, "a name, such as db.example.com" },
	{ "PTR", 12, "a name, such as printer.example.com" },
	{ "SRV", 33,
	  "\"PRIORITY WEIGHT PORT NAME\", such as \"0 5 5060 sip\"" },
	{ "TXT", 16, "a text of at most 1000 bytes" },
};

enum { T_A = 1, T_CNAME = 5, T_PTR = 12, T_TXT = 16, T_AAAA = 28, T_SRV = 33 };

#define TEXT_MAX 1000

static const struct type *type_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcasecmp(types[i].word, word) == 0)
			return &types[i];
	return NULL;
}

uint16_t static_record_type(const char *word)
{
	const struct type *t = type_find(word);

	return t ? t->type : 0;
}

const char *static_record_type_name(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].word;
	return "";
}

void static_record_free(struct static_record *rec)
{
	if (!rec)
		return;
	free(rec->values);
	json_decref(rec->doc);
	free(rec);
}

struct static_record *net_record(const struct net *net, const char *name)
{
	struct static_record *rec;

	HASH_FIND_STR(net->records, name, rec);
	return rec;
}

/* Values. */

static bool srv_parse(const char *text, struct want_value *ret)
{
	AUTO(str_freep) char *copy = xstrdup(text);
	uint16_t *const numbers[] = { &ret->priority, &ret->weight,
				      &ret->port };
	char *save = NULL, *word = strtok_r(copy, " ", &save);

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uint32_t v;

		if (!word || str_to_u32(word, 0, UINT16_MAX, &v))
			return false;
		*numbers[i] = (uint16_t)v;
		word = strtok_r(NULL, " ", &save);
	}
	return word && domain_is_valid(word) &&
	       str_copy(ret->text, sizeof(ret->text), word) &&
	       !strtok_r(NULL, " ", &save);
}

/* No bytes that a terminal or another reader stumbles over. */
static bool text_is_valid(const char *text)
{
	if (strlen(text) > TEXT_MAX)
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			return false;
	return true;
}

static bool value_parse(uint16_t type, const char *text, struct want_value *ret)
{
	ret->type = type;
	switch (type) {
	case T_A:
	case T_AAAA:
		return !ip_parse(text, &ret->addr) &&
		       ip_is_v4(&ret->addr) == (type == T_A);
	case T_SRV:
		return srv_parse(text, ret);
	case T_TXT:
		return text_is_valid(text) &&
		       str_copy(ret->text, sizeof(ret->text), text);
	default:
		return domain_is_valid(text) &&
		       str_copy(ret->text, sizeof(ret->text), text);
	}
}

static bool value_eq(const struct static_record_value *a,
		     const struct static_record_value *b)
{
	const struct want_value *x = &a->want, *y = &b->want;

	if (x->type != y->type)
		return false;
	if (x->type == T_TXT)
		return str_eq(x->text, y->text);
	return ip_eq(&x->addr, &y->addr) && x->priority == y->priority &&
	       x->weight == y->weight && x->port == y->port &&
	       strcasecmp(x->text, y->text) == 0;
}

static int value_read(const char *name, const char *type, const char *value,
		      struct static_record_value *ret, struct refusal *r)
{
	const struct type *t = type_find(type);

	memset(ret, 0, sizeof(*ret));
	if (!t)
		return refuse(r, API_UNSUPPORTED, "type",
			      "there are A, AAAA, CNAME, PTR, SRV and TXT",
			      "record \"%s\": no type \"%.16s\"", name, type);
	if (value_parse(t->type, value, &ret->want) &&
	    str_copy(ret->text, sizeof(ret->text), value))
		return 0;
	refuse(r, API_INVALID, "value", NULL,
	       "record \"%s\": \"%.64s\" is no value of %s", name, value,
	       t->word);
	refuse_hint(r, "give %s", t->form);
	return -EINVAL;
}

/* A CNAME stands alone (RFC 1034 3.6.2), and nothing stands twice. */
static int value_fits(const struct static_record *rec,
		      const struct static_record_value *v, struct refusal *r)
{
	for (size_t i = 0; i < rec->len; i++) {
		const struct want_value *other = &rec->values[i].want;

		if (value_eq(&rec->values[i], v))
			return refuse(r, API_CONFLICT, "value",
				      "see: netctl dns record ls",
				      "record \"%s\" is there already",
				      rec->name);
		if (v->want.type == T_CNAME || other->type == T_CNAME)
			return refuse(r, API_CONFLICT, "type",
				      "remove the other record first",
				      "record \"%s\" has a %s already, and a "
				      "CNAME stands alone",
				      rec->name,
				      static_record_type_name(other->type));
	}
	if (rec->len == RECORD_VALUES_MAX)
		return refuse(r, API_INVALID, "name", "use another name",
			      "record \"%s\": a name has at most %d records",
			      rec->name, RECORD_VALUES_MAX);
	return 0;
}

/* One TTL for all of a type (RFC 2181 5.2): the last that was given. */
static void ttl_set(struct static_record *rec, struct static_record_value *v,
		    const uint32_t *ttl)
{
	if (ttl) {
		v->has_ttl = true;
		v->want.ttl = *ttl;
	}
	for (size_t i = 0; i < rec->len; i++) {
		struct static_record_value *other = &rec->values[i];

		if (other->want.type != v->want.type)
			continue;
		if (ttl) {
			other->has_ttl = true;
			other->want.ttl = *ttl;
		} else {
			v->has_ttl = other->has_ttl;
			v->want.ttl = other->want.ttl;
		}
	}
}

int static_record_add(struct static_record *rec, const char *type,
		      const char *value, const uint32_t *ttl, struct refusal *r)
{
	struct static_record_value v;
	int err = value_read(rec->name, type, value, &v, r);

	if (!err)
		err = value_fits(rec, &v, r);
	if (err)
		return err;
	ttl_set(rec, &v, ttl);
	rec->values =
		xrealloc(rec->values, (rec->len + 1) * sizeof(*rec->values));
	rec->values[rec->len++] = v;
	return 0;
}

int static_record_del(struct static_record *rec, const char *type,
		      const char *value, struct refusal *r)
{
	struct static_record_value v = { 0 };
	size_t kept = 0;

	if (type && !type_find(type))
		return value_read(rec->name, type, "", &v, r);
	if (value && value_read(rec->name, type, value, &v, r))
		return -EINVAL;
	for (size_t i = 0; i < rec->len; i++) {
		const struct static_record_value *at = &rec->values[i];

		if ((type && at->want.type != static_record_type(type)) ||
		    (value && !value_eq(at, &v)))
			rec->values[kept++] = *at;
	}
	if (kept == rec->len)
		return refuse(r, API_NOT_FOUND, value ? "value" : "type",
			      "see: netctl dns record ls",
			      "record \"%s\" has no such %s", rec->name,
			      value ? "value" : "type");
	rec->len = kept;
	return 0;
}

struct static_record *static_record_from_json(const char *name, json_t *doc)
{
	struct static_record *rec = xzalloc(sizeof(*rec));
	struct refusal ignored;
	json_t *item;
	size_t i;

	if (!domain_is_valid(name) ||
	    !str_copy(rec->name, sizeof(rec->name), name))
		goto bad;
	json_array_foreach (json_object_get(doc, "records"), i, item) {
		const char *type =
			json_string_value(json_object_get(item, "type"));
		const char *value =
			json_string_value(json_object_get(item, "value"));
		uint32_t ttl;
		bool has_ttl = !json_get_u32(item, "ttl", &ttl) &&
			       ttl <= RECORD_TTL_MAX;

		if (!type || !value ||
		    static_record_add(rec, type, value, has_ttl ? &ttl : NULL,
				      &ignored))
			goto bad;
	}
	rec->doc = json_incref(doc);
	return rec;
bad:
	static_record_free(rec);
	return NULL;
}

json_t *static_record_to_json(const struct static_record *rec)
{
	json_t *doc = rec->doc ? json_copy(rec->doc) : json_object();
	json_t *list = json_array();

	for (size_t i = 0; i < rec->len; i++) {
		const struct static_record_value *v = &rec->values[i];
		json_t *item = json_pack("{s:s, s:s}", "type",
					 static_record_type_name(v->want.type),
					 "value", v->text);

		if (v->has_ttl)
			json_object_set_new(item, "ttl",
					    json_integer(v->want.ttl));
		json_array_append_new(list, item);
	}
	json_object_set_new(doc, "schema", json_integer(1));
	json_object_set_new(doc, "records", list);
	return doc;
}

/* Names. */

/* 10.64.0.5 to 5.0.64.10.in-addr.arpa (RFC 1035 3.5, RFC 3596 2.5). */
static void reverse_name(const struct ip_addr *addr, char ret[POD_NAME_LEN])
{
	size_t len = 0;

	if (ip_is_v4(addr)) {
		snprintf(ret, POD_NAME_LEN, "%u.%u.%u.%u.in-addr.arpa",
			 addr->b[15], addr->b[14], addr->b[13], addr->b[12]);
		return;
	}
	for (size_t i = sizeof(addr->b); i > 0; i--)
		len += (size_t)snprintf(ret + len, POD_NAME_LEN - len, "%x.%x.",
					addr->b[i - 1] & 15,
					addr->b[i - 1] >> 4);
	snprintf(ret + len, POD_NAME_LEN - len, "ip6.arpa");
}

/* Cuts ".suffix" off the name. */
static bool suffix_cut(char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	if (len <= n + 1 || name[len - n - 1] != '.' ||
	    !str_eq(name + len - n, suffix))
		return false;
	name[len - n - 1] = '\0';
	return true;
}

static void lower_no_dot(char *name)
{
	size_t len = strlen(name);

	name_lower(name);
	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
}

int static_record_name_parse(const struct model *m, const struct net *net,
			     const char *text, char ret[POD_NAME_LEN],
			     struct refusal *r)
{
	char domain[POD_NAME_LEN];
	struct ip_addr addr;
	bool full, svc, own;

	if (!ip_parse(text, &addr)) {
		reverse_name(&addr, ret);
		return 0;
	}
	if (domain_check("name", text, r))
		return -EINVAL;
	str_copy(ret, POD_NAME_LEN, text);
	lower_no_dot(ret);
	str_copy(domain, sizeof(domain), m->domain);
	lower_no_dot(domain);
	full = suffix_cut(ret, domain);
	svc = suffix_cut(ret, "svc");
	own = suffix_cut(ret, net->name);
	if ((full && !svc) || (svc && !own) || str_eq(ret, domain))
		return refuse(r, API_INVALID, "name",
			      "use a name of the network, or one outside",
			      "record \"%.64s\": the name is not of network "
			      "\"%s\", and others below %s are netd's own",
			      text, net->name, domain);
	return 0;
}

/* What _port._proto. or tasks. before it would be asked of. */
static const char *name_behind(const char *name)
{
	const char *rest = str_after(name, "tasks.");

	if (rest)
		return rest;
	while (*name == '_') {
		rest = strchr(name, '.');
		if (!rest)
			return name;
		name = rest + 1;
	}
	return name;
}

int static_record_name_check(const struct net *net, const char *name,
			     struct refusal *r)
{
	const char *behind = name_behind(name);

	if (!net_service_named(net, behind))
		return 0;
	return refuse(r, API_CONFLICT, "name",
		      "choose another name, or remove the service first",
		      "record \"%s\": \"%s\" is a service of network \"%s\"",
		      name, behind, net->name);
}
