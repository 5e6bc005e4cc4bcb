/* SPDX-License-Identifier: Apache-2.0 */
#include "refusal.h"

#include <stdarg.h>

#include "netd/util.h"

int refuse(struct refusal *r, enum api_error code, const char *field,
	   const char *hint, const char *fmt, ...)
{
	va_list ap;

	*r = (struct refusal){ .code = code };
	snprintf(r->field, sizeof(r->field), "%s", field ? field : "");
	snprintf(r->hint, sizeof(r->hint), "%s", hint ? hint : "");
	va_start(ap, fmt);
	vsnprintf(r->message, sizeof(r->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void refuse_hint(struct refusal *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->hint, sizeof(r->hint), fmt, ap);
	va_end(ap);
}
