/* SPDX-License-Identifier: Apache-2.0 */
/* http_status - the first line of an HTTP answer (RFC 9112, 4). Pure. */
#pragma once

#include <stddef.h>

/* "HTTP/1.1 200": what the status needs. */
#define HTTP_STATUS_LEN 12

/* The status (100..999), 0: not whole yet, -1: this is no HTTP. */
int http_status_parse(const char *bytes, size_t len);
