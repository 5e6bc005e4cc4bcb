/* SPDX-License-Identifier: Apache-2.0 */
/* What backends answer a check, in pieces of any size. */
#include "http_status.h"

#include "netd/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t whole = MIN(size, HTTP_STATUS_LEN);
	char *bytes = xzalloc(whole + 1);
	int status = 0, last;

	if (whole)
		memcpy(bytes, data, whole);
	last = http_status_parse(bytes, whole);
	/* What is no HTTP stays so, and a status needs all its bytes. */
	for (size_t len = 0; len < whole; len++) {
		status = http_status_parse(bytes, len);
		if (status > 0 || (status < 0 && last >= 0))
			__builtin_trap();
	}
	if (last > 0 && (last < 100 || last > 999))
		__builtin_trap();
	free(bytes);
	return 0;
}
