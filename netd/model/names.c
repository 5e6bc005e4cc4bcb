/* SPDX-License-Identifier: Apache-2.0 */
/* What things may be called. */
#include <ctype.h>
#include <netinet/in.h>

#include "model.h"

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= NAME_LEN || !is_word(name[0]) ||
	    !is_word(name[len - 1]))
		return false;
	for (const char *c = name; *c; c++)
		if (!is_word(*c) && *c != '-' && *c != '_')
			return false;
	return true;
}

bool pod_name_is_valid(const char *name)
{
	size_t len = strlen(name), label = 0;

	if (!len || len >= POD_NAME_LEN || !isalnum((unsigned char)name[0]))
		return false;
	for (const char *c = name; *c; c++) {
		if (*c == '.') {
			if (!label)
				return false;
			label = 0;
			continue;
		}
		/* A label of DNS (RFC 1035 2.3.4). */
		if (++label > 63 ||
		    (!isalnum((unsigned char)*c) && *c != '-' && *c != '_'))
			return false;
	}
	return label;
}

int name_check(const char *what, const char *name, struct refusal *r)
{
	if (name_is_valid(name))
		return 0;
	return refuse(r, API_INVALID, "name",
		      "use a-z, 0-9, - and _, at most 63, a letter or digit "
		      "first and last",
		      "%s \"%.64s\": not a valid name", what, name);
}

int pod_name_check(const char *name, struct refusal *r)
{
	if (pod_name_is_valid(name))
		return 0;
	return refuse(r, API_INVALID, "name",
		      "use letters, digits, - _ and single dots, at most 63 "
		      "between dots and 253 in all, a letter or digit first",
		      "pod \"%.64s\": not a valid name", name);
}

bool domain_is_valid(const char *name)
{
	size_t len = strlen(name), label = 0;

	if (!len || len >= POD_NAME_LEN)
		return false;
	for (const char *c = name; *c; c++) {
		if (*c == '.') {
			if (!label)
				return false;
			label = 0;
			continue;
		}
		if (++label > 63 ||
		    (!isalnum((unsigned char)*c) && *c != '-' && *c != '_'))
			return false;
	}
	return true;
}

int domain_check(const char *field, const char *name, struct refusal *r)
{
	if (domain_is_valid(name))
		return 0;
	return refuse(r, API_INVALID, field,
		      "use letters, digits, - _ and single dots, at most 63 "
		      "between dots and 253 in all; other letters as xn--...",
		      "%s \"%.64s\": not a name of DNS", field, name);
}

void name_lower(char *name)
{
	for (; *name; name++)
		*name = (char)tolower((unsigned char)*name);
}

const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_UDP ? "udp" : "tcp";
}
