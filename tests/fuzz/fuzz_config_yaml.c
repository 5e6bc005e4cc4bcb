/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration file: taken or refused, with a place. */
#include <stdint.h>
#include <string.h>

#include "config_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config cfg = { 0 };
	bool set[KEYS_MAX] = { false };
	char error[512] = "";

	if (config_yaml("f", (const char *)data, size, &cfg, set, error,
			sizeof(error)) &&
	    strncmp(error, "f:", 2) != 0)
		__builtin_trap();
	config_free(&cfg);
	return 0;
}
