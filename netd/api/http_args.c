/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and bodies against the rows of api_ops[]; see http_args.h. */
#include "http_args.h"

#include <ctype.h>
#include <stdarg.h>

#include "netd/util.h"
#include "netd/words.h"

static int __attribute__((format(printf, 4, 5)))
refuse(struct http_refusal *why, enum api_error error, const char *field,
       const char *fmt, ...)
{
	va_list ap;

	*why = (struct http_refusal){ .error = error };
	/* A name too long for the answer is cut: it only has to be seen. */
	snprintf(why->field, sizeof(why->field), "%s", field);
	va_start(ap, fmt);
	vsnprintf(why->message, sizeof(why->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int __attribute__((format(printf, 2, 3)))
hint(struct http_refusal *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->hint, sizeof(why->hint), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One segment of a path: NULL for a bad escape, an escaped 0 or no UTF-8. */
static json_t *segment_decode(const char *text, size_t len)
{
	AUTO(str_freep) char *out = xzalloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (text[i] != '%') {
			out[n++] = text[i];
			continue;
		}
		if (i + 2 >= len)
			return NULL;
		high = hex_digit(text[i + 1]);
		low = hex_digit(text[i + 2]);
		if (high < 0 || low < 0 || (!high && !low))
			return NULL;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return json_stringn(out, n);
}

/*
 * Walks path and template together. True when the path has the template's
 * form; with args, what stands for {x} is decoded into it, and *bad names the
 * first that could not be.
 */
static bool path_matches(const char *template, const char *path, json_t *args,
			 char *bad, size_t bad_size)
{
	while (*template) {
		size_t name_len, len;

		if (*template != '{') {
			if (*template ++ != *path++)
				return false;
			continue;
		}
		name_len = strcspn(template, "}");
		len = strcspn(path, "/");
		if (len == 0)
			return false;
		if (args) {
			AUTO(str_freep)
			char *name = xstrndup(template + 1, name_len - 1);
			json_t *value = segment_decode(path, len);

			if (!value)
				str_copy(bad, bad_size, name);
			else
				json_object_set_new(args, name, value);
		}
		template += name_len + 1;
		path += len;
	}
	return *path == '\0';
}

static int not_allowed(const char *method, const char *path, const char *allow,
		       struct http_refusal *why)
{
	refuse(why, API_INVALID, "", "%.16s is no method of %.100s", method,
	       path);
	why->status = 405;
	return hint(why, "it takes %s", allow);
}

int http_route(const char *method, const char *path, int *op, json_t **args,
	       struct http_refusal *why, char *allow, size_t allow_size)
{
	char bad[sizeof(why->field)] = "";
	size_t used = 0;

	*allow = '\0';
	for (size_t i = 0; i < API_OP_MAX; i++) {
		const struct api_op_info *row = &api_ops[i];

		if (!path_matches(row->path, path, NULL, NULL, 0))
			continue;
		if (!str_eq(row->method, method)) {
			used += (size_t)snprintf(allow + used,
						 allow_size - used, "%s%s",
						 used ? ", " : "", row->method);
			used = MIN(used, allow_size - 1);
			continue;
		}
		*args = json_object();
		path_matches(row->path, path, *args, bad, sizeof(bad));
		if (*bad) {
			json_decref(take_ptr(*args));
			return refuse(why, API_INVALID, bad,
				      "%s in the path is not escaped UTF-8",
				      bad);
		}
		*op = (int)i;
		return 0;
	}
	if (used)
		return not_allowed(method, path, allow, why);
	refuse(why, API_NOT_FOUND, "", "there is nothing at %.100s", path);
	return hint(why, "paths begin with /v1/networks, /v1/pods, "
			 "/v1/services, /v1/nodes or /v1/status");
}

/*
 * Counts before anything is allocated: a megabyte of "[" or of "0," would
 * become a hundred of them as values.
 */
static int body_shape(const char *body, size_t len, struct http_refusal *why)
{
	size_t depth = 0, values = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (body[i] == '\\')
				i++;
			else if (body[i] == '"')
				in_string = false;
			continue;
		}
		switch (body[i]) {
		case '"':
			in_string = true;
			break;
		case '[':
		case '{':
			values++;
			if (++depth > HTTP_DEPTH_MAX)
				return refuse(why, API_INVALID, "",
					      "body is nested deeper than %d",
					      HTTP_DEPTH_MAX);
			break;
		case ']':
		case '}':
			depth -= depth > 0;
			break;
		case ',':
			values++;
			break;
		}
	}
	if (values > HTTP_VALUES_MAX)
		return refuse(why, API_TOO_LARGE, "",
			      "body has more than %d values", HTTP_VALUES_MAX);
	return 0;
}

int http_body_parse(const char *body, size_t len, json_t **ret,
		    struct http_refusal *why)
{
	json_error_t error;
	json_t *root;
	int err = body_shape(body, len, why);

	if (err)
		return err;
	root = len ? json_loadb(body, len, JSON_REJECT_DUPLICATES, &error)
		   : json_object();
	if (!root) {
		bool twice =
			json_error_code(&error) == json_error_duplicate_key;

		return refuse(why, API_INVALID, "",
			      "body is not JSON: %.120s at line %d column %d "
			      "(byte %d)",
			      twice ? "a key stands twice" : error.text,
			      error.line, error.column, error.position);
	}
	if (!json_is_object(root)) {
		json_decref(root);
		return refuse(why, API_INVALID, "",
			      "body is not a JSON object");
	}
	*ret = root;
	return 0;
}

static bool all_strings(json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach (value, i, item)
			if (!json_is_string(item))
				return false;
	} else {
		json_object_foreach (value, key, item)
			if (!json_is_string(item))
				return false;
	}
	return true;
}

static bool has_type(json_t *value, enum api_type type)
{
	switch (type) {
	case API_STR:
		return json_is_string(value);
	case API_BOOL:
		return json_is_boolean(value);
	case API_INT:
		return json_is_integer(value);
	case API_LIST:
		return json_is_array(value) && all_strings(value);
	case API_MAP:
		return json_is_object(value) && all_strings(value);
	}
	return false;
}

static const char *const type_names[] = {
	[API_STR] = "a string",
	[API_BOOL] = "true or false",
	[API_INT] = "an integer",
	[API_LIST] = "an array of strings",
	[API_MAP] = "an object of strings",
};

static int unknown_field(const struct api_op_info *row, const char *name,
			 struct http_refusal *why)
{
	struct word_near near = word_near(name);
	const char *meant;

	for (size_t i = 0; i < API_ARGS_MAX && row->args[i].name; i++)
		word_offer(&near, row->args[i].name);
	refuse(why, API_INVALID, name, "%s has no field \"%.64s\"", row->name,
	       name);
	meant = word_meant(&near);
	return meant ? hint(why, "did you mean \"%s\"?", meant) : -EINVAL;
}

static int field_check(const struct api_op_info *row, const char *name,
		       json_t *value, struct http_refusal *why)
{
	const struct api_arg *arg = api_arg_find(row, name);
	json_int_t n;

	if (!arg)
		return unknown_field(row, name, why);
	if (!has_type(value, arg->type)) {
		refuse(why, API_INVALID, name, "%s is not %s", name,
		       type_names[arg->type]);
		return arg->help ? hint(why, "%s: %s", name, arg->help)
				 : -EINVAL;
	}
	if (arg->type != API_INT)
		return 0;
	n = json_integer_value(value);
	if (n >= arg->min && n <= arg->max)
		return 0;
	refuse(why, API_INVALID, name, "%s is out of range", name);
	return hint(why, "%s is from %ld to %ld", name, arg->min, arg->max);
}

int http_body(int op, const char *body, size_t len, json_t *args,
	      struct http_refusal *why)
{
	const struct api_op_info *row = &api_ops[op];
	json_t *root, *value;
	const char *name;
	int err = http_body_parse(body, len, &root, why);

	if (err)
		return err;
	json_object_foreach (root, name, value) {
		if (json_object_get(args, name))
			err = refuse(why, API_INVALID, name,
				     "%s stands in the path already", name);
		else
			err = field_check(row, name, value, why);
		if (err)
			break;
		json_object_set(args, name, value);
	}
	json_decref(root);
	for (size_t i = 0; !err && i < API_ARGS_MAX && row->args[i].name; i++) {
		const char *field = row->args[i].name;

		if (row->args[i].required && !json_object_get(args, field))
			err = refuse(why, API_INVALID, field, "%s is missing",
				     field);
	}
	return err;
}

static json_t *error_body(enum api_error error, const char *field,
			  const char *message, const char *hint)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "code", api_errors[error].code,
			 "message", message ? message : "", "hint",
			 hint ? hint : "", "field", field ? field : "");
}

const struct http_router api_router = {
	.name = "api",
	.silence_s = HTTP_SILENCE_S,
	.content_type = "application/json",
	.route = http_route,
	.body = http_body,
	.error = error_body,
};
