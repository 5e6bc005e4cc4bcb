/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdarg.h>

#include "netd/util.h"

int cni_fail(struct cni_error *e, enum cni_code code, const char *details,
	     const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	snprintf(e->details, sizeof(e->details), "%s", details ? details : "");
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* What was cut in the middle of a character is no UTF-8 any more. */
static json_t *text(const char *s)
{
	size_t len = strlen(s);
	json_t *value = json_stringn(s, len);

	while (!value && len)
		value = json_stringn(s, --len);
	return value ? value : json_string("");
}

json_t *cni_error_json(const struct cni_error *e, const char *version)
{
	json_t *doc = json_pack("{s:s, s:i, s:o}", "cniVersion", version,
				"code", (int)e->code, "msg", text(e->msg));

	if (*e->details)
		json_object_set_new(doc, "details", text(e->details));
	return doc;
}
