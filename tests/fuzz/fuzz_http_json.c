/* SPDX-License-Identifier: Apache-2.0 */
/* A path, a line feed, a body: whatever they are, they are judged. */
#include <stdint.h>
#include <string.h>

#include "http_args.h"
#include "netd/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t len = end ? (size_t)(end - data) : size;
	const char *body = end ? (const char *)end + 1 : "";
	static const char *const methods[] = { "GET", "POST", "DELETE",
					       "PATCH" };
	AUTO(str_freep) char *path = xstrndup((const char *)data, len);

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct http_refusal why;
		json_t *args = NULL;
		int op;
		char allow[48];

		if (http_route(methods[i], path, &op, &args, &why, allow,
			       sizeof(allow)))
			continue;
		if (!http_body(op, body, size - len - (end != NULL), args,
			       &why))
			for (size_t j = 0; j < API_ARGS_MAX; j++)
				if (api_ops[op].args[j].required &&
				    !json_object_get(args,
						     api_ops[op].args[j].name))
					__builtin_trap();
		json_decref(args);
	}
	return 0;
}
