/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - our values in and out of jansson. Readers: 0 or -EINVAL.
 */
#pragma once

#include <jansson.h>

#include "netd/addr.h"
#include "netd/util.h"

static inline void json_freep(json_t **j)
{
	json_decref(*j);
}

static inline int json_get_u32(json_t *obj, const char *key, uint32_t *ret)
{
	json_t *v = json_object_get(obj, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

static inline int json_get_u64(json_t *obj, const char *key, uint64_t *ret)
{
	json_t *v = json_object_get(obj, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EINVAL;
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static inline int json_get_str(json_t *obj, const char *key, char *buf,
			       size_t size)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s && str_copy(buf, size, s) ? 0 : -EINVAL;
}

static inline int json_read_ip(json_t *v, struct ip_addr *ret)
{
	const char *s = json_string_value(v);

	return s ? ip_parse(s, ret) : -EINVAL;
}

static inline int json_get_mac(json_t *obj, struct mac_addr *ret)
{
	const char *s = json_string_value(json_object_get(obj, "mac"));

	return s ? mac_parse(s, ret) : -EINVAL;
}

static inline int json_read_prefix(json_t *v, struct ip_prefix *ret)
{
	const char *s = json_string_value(v);

	return s ? prefix_parse(s, ret) : -EINVAL;
}

static inline json_t *json_ip(const struct ip_addr *a)
{
	char buf[IP_STRLEN];

	return json_string(ip_str(a, buf));
}

/* "" where there is none. */
static inline json_t *json_ip_or_none(const struct ip_addr *a)
{
	return ip_is_none(a) ? json_string("") : json_ip(a);
}

static inline json_t *json_prefix(const struct ip_prefix *p)
{
	char buf[PREFIX_STRLEN];

	return json_string(prefix_str(p, buf));
}

/* One line of JSON with sorted keys, so that equal means equal. The caller's.
 */
static inline char *json_line(const json_t *j)
{
	return json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}
