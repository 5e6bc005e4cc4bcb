/* SPDX-License-Identifier: Apache-2.0 */
#include "http_status.h"

#include "netd/util.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int http_status_parse(const char *bytes, size_t len)
{
	/* d: any digit, D: one from 1. */
	static const char form[HTTP_STATUS_LEN + 1] = "HTTP/1.d Ddd";

	for (size_t i = 0; i < len && i < HTTP_STATUS_LEN; i++) {
		bool digit = is_digit(bytes[i]);

		if (form[i] == 'd' || form[i] == 'D') {
			if (!digit || (form[i] == 'D' && bytes[i] == '0'))
				return -1;
		} else if (bytes[i] != form[i]) {
			return -1;
		}
	}
	if (len < HTTP_STATUS_LEN)
		return 0;
	return (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 +
	       (bytes[11] - '0');
}
