/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outside names that point inside: a page in a browser can so be made to talk
 * to a host of this network (DNS rebinding).
 */
#include <string.h>

#include "msg.h"
#include "netd/addr.h"
#include "netd/util.h"

static bool is_private(const struct ip_addr *addr)
{
	static const char *const prefixes[] = {
		"0.0.0.0/8",	  "10.0.0.0/8",	    "100.64.0.0/10",
		"127.0.0.0/8",	  "169.254.0.0/16", "172.16.0.0/12",
		"192.168.0.0/16", "fc00::/7",	    "fe80::/10",
		"::/127",
	};
	struct ip_prefix p;

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (prefix_parse(prefixes[i], &p) == 0 &&
		    prefix_contains(&p, addr))
			return true;
	return false;
}

/* An IPv4 address within IPv6 (::ffff:a.b.c.d) is one too, as read here. */
static bool record_is_private(uint16_t type, const uint8_t *data, uint16_t len)
{
	struct ip_addr addr;

	if (type == ns_t_a && len == 4) {
		uint32_t be;

		memcpy(&be, data, sizeof(be));
		addr = ip_from_be32(be);
		return is_private(&addr);
	}
	if (type != ns_t_aaaa || len != sizeof(addr.b))
		return false;
	memcpy(addr.b, data, sizeof(addr.b));
	return is_private(&addr);
}

bool dns_answer_is_private(const uint8_t *data, size_t len)
{
	struct rbuf r = rbuf_make(data, len);
	struct dns_name name;
	unsigned n;

	r.pos = 6;
	n = rbuf_u16(&r);
	r.pos = DNS_HEADER_LEN;
	if (dns_name_read(&r, &name) || !rbuf_ptr(&r, 4))
		return false;
	while (n--) {
		uint16_t type, size;
		const uint8_t *at;

		if (dns_name_read(&r, &name))
			return false;
		type = rbuf_u16(&r);
		rbuf_ptr(&r, 6);
		size = rbuf_u16(&r);
		at = rbuf_ptr(&r, size);
		if (!at)
			return false;
		if (record_is_private(type, at, size))
			return true;
	}
	return false;
}
