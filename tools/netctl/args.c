/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include "netd/util.h"
#include "netd/words.h"

void args_add(struct args *args, const struct api_arg *rows, size_t len)
{
	args->sets[args->sets_len++] = (struct args_set){
		.rows = rows,
		.len = len,
		.values = json_object(),
	};
}

void args_free(struct args *args)
{
	for (size_t i = 0; i < args->sets_len; i++)
		json_decref(args->sets[i].values);
	free(args->words);
	*args = (struct args){ 0 };
}

char *args_option(const struct api_arg *row)
{
	char *name = xstrdup(row->name);

	for (char *p = name; *p; p++)
		if (*p == '_')
			*p = '-';
	return name;
}

static bool is_option(const struct api_arg *row)
{
	return row->name && !row->positional && !row->hidden;
}

static const struct api_arg *find_long(const struct args *args,
				       const char *name, json_t **values)
{
	for (size_t i = 0; i < args->sets_len; i++) {
		for (size_t j = 0; j < args->sets[i].len; j++) {
			const struct api_arg *row = &args->sets[i].rows[j];
			AUTO(str_freep) char *option = NULL;

			if (!is_option(row))
				continue;
			option = args_option(row);
			*values = args->sets[i].values;
			if (str_eq(option, name))
				return row;
		}
	}
	return NULL;
}

static const struct api_arg *find_letter(const struct args *args, char letter,
					 json_t **values)
{
	for (size_t i = 0; i < args->sets_len; i++) {
		for (size_t j = 0; j < args->sets[i].len; j++) {
			const struct api_arg *row = &args->sets[i].rows[j];

			*values = args->sets[i].values;
			if (is_option(row) && row->letter == letter)
				return row;
		}
	}
	return NULL;
}

static int unknown_long(struct args *args, const char *name)
{
	struct word_near near = word_near(name);
	char *options[ARGS_SETS_MAX * API_ARGS_MAX];
	size_t len = 0;
	const char *meant;

	for (size_t i = 0; i < args->sets_len; i++)
		for (size_t j = 0; j < args->sets[i].len; j++)
			if (is_option(&args->sets[i].rows[j]))
				options[len++] =
					args_option(&args->sets[i].rows[j]);
	for (size_t i = 0; i < len; i++)
		word_offer(&near, options[i]);
	meant = word_meant(&near);
	snprintf(args->error, sizeof(args->error),
		 "unknown option --%.60s%s%s%s", name,
		 meant ? "; did you mean --" : "", meant ? meant : "",
		 meant ? "?" : "");
	for (size_t i = 0; i < len; i++)
		free(options[i]);
	return -EINVAL;
}

static int wants(struct args *args, const struct api_arg *row, const char *what)
{
	AUTO(str_freep) char *option = args_option(row);

	snprintf(args->error, sizeof(args->error), "--%s wants %s", option,
		 what);
	return -EINVAL;
}

static int set_int(struct args *args, const struct api_arg *row,
		   const char *text, json_t *values)
{
	char range[80];
	uint32_t n;

	if (str_to_u32(text, (uint32_t)row->min, (uint32_t)row->max, &n)) {
		snprintf(range, sizeof(range), "a number from %ld to %ld",
			 row->min, row->max);
		return wants(args, row, range);
	}
	json_object_set_new(values, row->name, json_integer(n));
	return 0;
}

static int set_bool(struct args *args, const struct api_arg *row,
		    const char *text, json_t *values)
{
	bool yes = !text || str_eq(text, "true");

	if (!yes && !str_eq(text, "false"))
		return wants(args, row, "true or false, or nothing");
	json_object_set_new(values, row->name, json_boolean(yes));
	return 0;
}

/* The collection of a repeatable option, made at its first value. */
static json_t *collection(json_t *values, const char *name,
			  json_t *(*make)(void))
{
	json_t *all = json_object_get(values, name);

	if (!all) {
		all = make();
		json_object_set_new(values, name, all);
	}
	return all;
}

static int set_map(struct args *args, const struct api_arg *row,
		   const char *text, json_t *values)
{
	size_t len = strcspn(text, "=");
	AUTO(str_freep) char *key = xstrndup(text, len);

	/* A bare KEY is one without a value, as in `docker ... --opt
	 * encrypted`.
	 */
	if (!len)
		return wants(args, row, "KEY=VALUE");
	json_object_set_new(collection(values, row->name, json_object), key,
			    json_string(text + len + (text[len] == '=')));
	return 0;
}

static int set_value(struct args *args, const struct api_arg *row,
		     const char *text, json_t *values)
{
	json_t *value = text ? json_string(text) : NULL;
	bool is_utf8 = !text || value;

	json_decref(value);
	if (!is_utf8)
		return wants(args, row, "UTF-8");
	switch (row->type) {
	case API_STR:
		json_object_set_new(values, row->name, json_string(text));
		return 0;
	case API_BOOL:
		return set_bool(args, row, text, values);
	case API_INT:
		return set_int(args, row, text, values);
	case API_LIST:
		json_array_append_new(collection(values, row->name, json_array),
				      json_string(text));
		return 0;
	case API_MAP:
		return set_map(args, row, text, values);
	}
	return -EINVAL;
}

/* argv[i] is "--name" or "--name=x"; returns the words used. */
static int parse_long(struct args *args, int argc, char **argv, int i)
{
	const char *text = argv[i] + 2;
	size_t len = strcspn(text, "=");
	AUTO(str_freep) char *name = xstrndup(text, len);
	json_t *values;
	const struct api_arg *row = find_long(args, name, &values);
	const char *value = text[len] ? text + len + 1 : NULL;
	int used = 1, err;

	if (!row)
		return unknown_long(args, name);
	if (!value && row->type != API_BOOL) {
		if (i + 1 >= argc)
			return wants(args, row, "a value");
		value = argv[i + 1];
		used = 2;
	}
	err = set_value(args, row, value, values);
	return err ? err : used;
}

/* argv[i] is "-a", "-ab" (flags) or "-ax" (a value); returns words used. */
static int parse_letters(struct args *args, int argc, char **argv, int i)
{
	for (const char *p = argv[i] + 1; *p; p++) {
		json_t *values;
		const struct api_arg *row = find_letter(args, *p, &values);
		int err;

		if (!row) {
			snprintf(args->error, sizeof(args->error),
				 "unknown option -%c", *p);
			return -EINVAL;
		}
		if (row->type == API_BOOL) {
			err = set_value(args, row, NULL, values);
			if (err)
				return err;
			continue;
		}
		if (p[1]) {
			err = set_value(args, row, p + 1, values);
			return err ? err : 1;
		}
		if (i + 1 >= argc)
			return wants(args, row, "a value");
		err = set_value(args, row, argv[i + 1], values);
		return err ? err : 2;
	}
	return 1;
}

static int parse_option(struct args *args, int argc, char **argv, int i)
{
	return argv[i][1] == '-' ? parse_long(args, argc, argv, i)
				 : parse_letters(args, argc, argv, i);
}

static bool looks_like_option(const char *word)
{
	return word[0] == '-' && word[1];
}

int args_parse_front(struct args *args, int argc, char **argv)
{
	int i = 0;

	while (i < argc && looks_like_option(argv[i])) {
		int used;

		if (str_eq(argv[i], "--"))
			return i + 1;
		used = parse_option(args, argc, argv, i);
		if (used < 0)
			return used;
		i += used;
	}
	return i;
}

int args_parse(struct args *args, int argc, char **argv, size_t words_max)
{
	int i = 0;

	args->words = xzalloc(((size_t)argc + 1) * sizeof(char *));
	while (i < argc) {
		bool option = looks_like_option(argv[i]);
		bool ends = str_eq(argv[i], "--");
		int used = 1;

		if (ends && !words_max) {
			for (i++; i < argc; i++)
				args->words[args->words_len++] = argv[i];
			return 0;
		}
		if (ends ||
		    (!option && words_max && args->words_len == words_max)) {
			i += ends;
			args->rest = argv + i;
			args->rest_len = (size_t)(argc - i);
			return 0;
		}
		if (option)
			used = parse_option(args, argc, argv, i);
		else
			args->words[args->words_len++] = argv[i];
		if (used < 0)
			return used;
		i += used;
	}
	return 0;
}
