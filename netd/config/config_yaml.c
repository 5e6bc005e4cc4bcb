/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events against the table of keys. Scalars stay text until the
 * key's type reads them, so "8080:80" is never a number of base 60. Anchors,
 * aliases, tags and further documents have no use here and are refused.
 */
#include "config_yaml.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <yaml.h>

#include "netd/util.h"

#define ITEMS_MAX 64

struct reader {
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_event;
	const char *file;
	struct config *cfg;
	bool *set;
	/* Names that were seen, sections too. */
	json_t *seen;
	char *error;
	size_t size;
};

static int __attribute__((format(printf, 3, 4)))
fail_at(struct reader *r, const yaml_mark_t *mark, const char *fmt, ...)
{
	AUTO(str_freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	snprintf(r->error, r->size, "%s:%zu:%zu: %s", r->file, mark->line + 1,
		 mark->column + 1, text ? text : "");
	return -EINVAL;
}

static int next(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = yaml_parser_parse(&r->parser, &r->event);
	if (!r->has_event)
		return fail_at(r, &r->parser.problem_mark, "%s",
			       r->parser.problem ? r->parser.problem
						 : "cannot be read");
	if (r->event.type == YAML_ALIAS_EVENT)
		return fail_at(r, &r->event.start_mark,
			       "aliases are not used here");
	return 0;
}

static int check_bare(struct reader *r, const yaml_char_t *anchor,
		      const yaml_char_t *tag)
{
	if (anchor || tag)
		return fail_at(r, &r->event.start_mark,
			       "anchors and tags are not used here");
	return 0;
}

/* The scalar at hand, copied into *ret. */
static int scalar(struct reader *r, char **ret, enum key_text *kind)
{
	const char *text = (const char *)r->event.data.scalar.value;
	size_t len = r->event.data.scalar.length;
	int err = check_bare(r, r->event.data.scalar.anchor,
			     r->event.data.scalar.tag);

	if (err)
		return err;
	if (strlen(text) != len)
		return fail_at(r, &r->event.start_mark, "has a zero byte");
	*kind = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE
			? KEY_PLAIN
			: KEY_QUOTED;
	*ret = xstrdup(text);
	return 0;
}

static int set_key(struct reader *r, const struct config_key *key,
		   const yaml_mark_t *mark, const struct key_scalar *items,
		   size_t len)
{
	char why[256];

	if (key_set(r->cfg, key, items, len, why, sizeof(why)))
		return fail_at(r, mark, "%s: %s", key->name, why);
	r->set[key - config_keys] = true;
	return 0;
}

/* The words that stand for a list that is not given. */
static bool is_no_list(const struct key_scalar *s)
{
	return s->kind == KEY_PLAIN &&
	       (!*s->text || str_eq(s->text, "~") || str_eq(s->text, "null") ||
		str_eq(s->text, "auto"));
}

static int read_scalar(struct reader *r, const struct config_key *key)
{
	yaml_mark_t mark = r->event.start_mark;
	AUTO(str_freep) char *text = NULL;
	struct key_scalar item;
	int err = scalar(r, &text, &item.kind);

	if (err)
		return err;
	item.text = text;
	if (key_is_list(key) && !is_no_list(&item))
		return fail_at(r, &mark, "%s: is a list: [%s]", key->name,
			       text);
	return set_key(r, key, &mark, &item, 1);
}

static int read_items(struct reader *r, const struct config_key *key,
		      char **texts, struct key_scalar *items, size_t *len)
{
	int err;

	for (;;) {
		err = next(r);
		if (err || r->event.type == YAML_SEQUENCE_END_EVENT)
			return err;
		if (r->event.type != YAML_SCALAR_EVENT)
			return fail_at(r, &r->event.start_mark,
				       "%s: its entries are single values",
				       key->name);
		if (*len == ITEMS_MAX)
			return fail_at(r, &r->event.start_mark,
				       "%s: has too many entries", key->name);
		err = scalar(r, &texts[*len], &items[*len].kind);
		if (err)
			return err;
		items[*len].text = texts[*len];
		(*len)++;
	}
}

static int read_sequence(struct reader *r, const struct config_key *key)
{
	yaml_mark_t mark = r->event.start_mark;
	struct key_scalar items[ITEMS_MAX];
	char *texts[ITEMS_MAX] = { NULL };
	size_t len = 0;
	int err = check_bare(r, r->event.data.sequence_start.anchor,
			     r->event.data.sequence_start.tag);

	if (!err && !key_is_list(key))
		err = fail_at(r, &mark, "%s: is one value, not a list",
			      key->name);
	if (!err)
		err = read_items(r, key, texts, items, &len);
	if (!err)
		err = set_key(r, key, &mark, items, len);
	for (size_t i = 0; i < len; i++)
		free(texts[i]);
	return err;
}

static bool is_section(const char *name)
{
	for (size_t i = 0; i < config_keys_len; i++) {
		const char *rest = str_after(config_keys[i].name, name);

		if (rest && (*rest == '.' || !*name))
			return true;
	}
	return false;
}

static int read_mapping(struct reader *r, const char *section);

/* What stands behind a key; the event at hand is its first. */
static int read_value(struct reader *r, const char *name, const yaml_mark_t *at)
{
	const struct config_key *key = key_find(name);
	char meant[128];

	if (!key && !is_section(name))
		return fail_at(r, at, "unknown key \"%s\"%s", name,
			       key_meant(name, meant, sizeof(meant)));
	switch (r->event.type) {
	case YAML_MAPPING_START_EVENT:
		if (key)
			return fail_at(r, &r->event.start_mark,
				       "%s: has no keys below it", name);
		return read_mapping(r, name);
	case YAML_SEQUENCE_START_EVENT:
		if (key)
			return read_sequence(r, key);
		break;
	case YAML_SCALAR_EVENT:
		if (key)
			return read_scalar(r, key);
		/* "store:" with all below it commented out. */
		if (!r->event.data.scalar.length)
			return 0;
		break;
	default:
		break;
	}
	return fail_at(r, &r->event.start_mark, "%s: wants keys below it",
		       name);
}

static int read_pair(struct reader *r, const char *section)
{
	yaml_mark_t at = r->event.start_mark;
	AUTO(str_freep) char *word = NULL;
	AUTO(str_freep) char *name = NULL;
	enum key_text kind;
	int err;

	if (r->event.type != YAML_SCALAR_EVENT)
		return fail_at(r, &at, "a key is a word");
	err = scalar(r, &word, &kind);
	if (err)
		return err;
	name = xasprintf("%s%s%.*s", section, *section ? "." : "", KEY_NAME_MAX,
			 word);
	if (json_object_get(r->seen, name))
		return fail_at(r, &at, "%s: stands twice", name);
	json_object_set_new(r->seen, name, json_true());
	err = next(r);
	return err ? err : read_value(r, name, &at);
}

static int read_mapping(struct reader *r, const char *section)
{
	int err = check_bare(r, r->event.data.mapping_start.anchor,
			     r->event.data.mapping_start.tag);

	while (!err) {
		err = next(r);
		if (err || r->event.type == YAML_MAPPING_END_EVENT)
			break;
		err = read_pair(r, section);
	}
	return err;
}

static int read_document(struct reader *r)
{
	int err = next(r);

	if (err)
		return err;
	if (r->event.type == YAML_MAPPING_START_EVENT)
		return read_mapping(r, "");
	/* "---" with nothing below it. */
	if (r->event.type == YAML_SCALAR_EVENT && !r->event.data.scalar.length)
		return 0;
	return fail_at(r, &r->event.start_mark, "wants keys, as in \"log:\"");
}

static int read_stream(struct reader *r)
{
	int documents = 0;
	int err;

	for (;;) {
		err = next(r);
		if (err || r->event.type == YAML_STREAM_END_EVENT)
			return err;
		if (r->event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		if (documents++)
			return fail_at(r, &r->event.start_mark,
				       "a second document is not used here");
		err = read_document(r);
		if (err)
			return err;
	}
}

int config_yaml(const char *file, const char *text, size_t len,
		struct config *cfg, bool set[KEYS_MAX], char *error,
		size_t size)
{
	struct reader r = {
		.file = file,
		.cfg = cfg,
		.set = set,
		.seen = json_object(),
		.error = error,
		.size = size,
	};
	int err;

	if (!yaml_parser_initialize(&r.parser)) {
		json_decref(r.seen);
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&r.parser, (const yaml_char_t *)text, len);
	err = read_stream(&r);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	json_decref(r.seen);
	return err;
}
