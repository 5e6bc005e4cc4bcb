/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/util.h"
#include "out.h"

void out_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2));
	putchar('\n');
}

void out_name(const json_t *object, const char *key)
{
	AUTO(str_freep) char *text = out_text(json_object_get(object, key));

	puts(text);
}

void out_list(const struct ctl *ctl, const struct out_view *view,
	      const json_t *rows)
{
	json_t *row;
	size_t i;

	if (ctl->form == FORM_JSON) {
		out_json(rows);
		return;
	}
	if (ctl->form != FORM_NAME && !ctl->quiet) {
		out_table(ctl, view, rows);
		return;
	}
	json_array_foreach (rows, i, row)
		out_name(row, view->name);
}
