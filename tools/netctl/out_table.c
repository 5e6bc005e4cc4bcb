/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables by libsmartcols, which also makes control characters visible. Width
 * and colour are a terminal's: in a pipe every cell is whole.
 */
#include <libsmartcols.h>

#include "netd/util.h"
#include "out.h"

char *out_join(char *list, char *item)
{
	AUTO(str_freep) char *first = list;
	AUTO(str_freep) char *second = item;

	return xasprintf("%s%s%s", first, *first && *second ? "," : "", second);
}

static char *join_all(const json_t *value)
{
	char *list = xstrdup("");
	const char *key;
	json_t *item;
	size_t i;

	json_array_foreach (value, i, item)
		list = out_join(list, out_text(item));
	json_object_foreach ((json_t *)(uintptr_t)value, key, item) {
		AUTO(str_freep) char *text = out_text(item);

		list = out_join(list, xasprintf("%s=%s", key, text));
	}
	return list;
}

char *out_text(const json_t *value)
{
	if (!value)
		return xstrdup("");
	switch (json_typeof(value)) {
	case JSON_STRING:
		return xstrdup(json_string_value(value));
	case JSON_INTEGER:
		return xasprintf("%lld", json_integer_value(value));
	case JSON_REAL:
		return xasprintf("%g", json_real_value(value));
	case JSON_TRUE:
		return xstrdup("yes");
	case JSON_FALSE:
		return xstrdup("no");
	case JSON_ARRAY:
	case JSON_OBJECT:
		return join_all(value);
	case JSON_NULL:
		break;
	}
	return xstrdup("");
}

static char *cell_text(const struct out_column *column, const json_t *row)
{
	const json_t *value = json_object_get(row, column->key);

	return column->text ? column->text(value) : out_text(value);
}

static bool is_shown(const struct ctl *ctl, const struct out_column *column,
		     const json_t *rows)
{
	json_t *row;
	size_t i;

	if (column->flags & OUT_WIDE)
		return ctl->form == FORM_WIDE;
	if (!(column->flags & OUT_IF_ANY))
		return true;
	json_array_foreach (rows, i, row) {
		AUTO(str_freep) char *text = cell_text(column, row);

		if (*text)
			return true;
	}
	return false;
}

static void add_column(struct libscols_table *table,
		       const struct out_column *column)
{
	int flags = 0;

	if (column->flags & OUT_RIGHT)
		flags |= SCOLS_FL_RIGHT;
	if (column->flags & OUT_CUT)
		flags |= SCOLS_FL_TRUNC;
	scols_table_new_column(table, column->title, 0, flags);
}

static void fill_cell(const struct ctl *ctl, struct libscols_line *line,
		      size_t at, const struct out_column *column,
		      const json_t *row)
{
	AUTO(str_freep) char *text = cell_text(column, row);

	scols_line_set_data(line, at, *text ? text : "-");
	if (ctl->color && (column->flags & OUT_STATE))
		scols_cell_set_color(scols_line_get_cell(line, at),
				     str_eq(text, "up") ? "green" : "red");
}

static struct libscols_table *new_table(const struct ctl *ctl)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		abort();
	scols_table_enable_colors(table, ctl->color);
	if (ctl->no_trunc || !isatty(STDOUT_FILENO))
		scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	return table;
}

void out_table(const struct ctl *ctl, const struct out_view *view,
	       const json_t *rows)
{
	struct libscols_table *table = new_table(ctl);
	bool shown[16] = { false };
	json_t *row;
	size_t i;

	for (i = 0; i < view->len; i++) {
		shown[i] = is_shown(ctl, &view->columns[i], rows);
		if (shown[i])
			add_column(table, &view->columns[i]);
	}
	json_array_foreach (rows, i, row) {
		struct libscols_line *line = scols_table_new_line(table, NULL);
		size_t at = 0;

		for (size_t j = 0; line && j < view->len; j++)
			if (shown[j])
				fill_cell(ctl, line, at++, &view->columns[j],
					  row);
	}
	scols_print_table(table);
	scols_unref_table(table);
}
