/* SPDX-License-Identifier: Apache-2.0 */
#include "reverse.h"

#include "netd/util.h"

static bool octet_read(const struct dns_name *name, unsigned i, uint8_t *ret)
{
	char text[4] = "";
	uint32_t v;
	uint8_t len;
	const uint8_t *label = dns_label(name, i, &len);

	if (len == 0 || len > 3 || (len > 1 && label[0] == '0'))
		return false;
	memcpy(text, label, len);
	if (strlen(text) != len || str_to_u32(text, 0, 255, &v))
		return false;
	*ret = (uint8_t)v;
	return true;
}

static bool nibble_read(const struct dns_name *name, unsigned i, uint8_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t len;
	const uint8_t *label = dns_label(name, i, &len);
	const char *at = len == 1 && label[0] ? strchr(digits, label[0]) : NULL;

	if (!at)
		return false;
	*ret = (uint8_t)(at - digits);
	return true;
}

bool reverse_read(const struct dns_name *name, struct ip_prefix *ret,
		  unsigned *first)
{
	bool v4 = dns_label_is(name, name->labels - 2u, "in-addr");
	unsigned i = name->labels - 2u, n = 0, max = v4 ? 4 : 32;
	struct ip_addr addr = { { 0 } };
	uint8_t v;

	if (!v4 && !dns_label_is(name, i, "ip6"))
		return false;
	if (v4)
		addr = ip_from_v4(0);
	for (; i > 0 && n < max; i--, n++) {
		if (v4 && octet_read(name, i - 1, &v))
			addr.b[12 + n] = v;
		else if (!v4 && nibble_read(name, i - 1, &v))
			addr.b[n / 2] |= (uint8_t)(n % 2 ? v : v << 4);
		else
			break;
	}
	*first = i;
	*ret = prefix_make(&addr, (uint8_t)(v4 ? 96 + 8 * n : 4 * n));
	return n > 0;
}

unsigned reverse_cut(const struct dns_name *name, const struct ip_prefix *asked,
		     const struct ip_prefix *outer)
{
	bool v4 = ip_is_v4(&asked->addr);
	unsigned step = v4 ? 8 : 4, from = v4 ? 96 : 0, labels;

	/* No finer than a host's parent: a /26 is cut at its /24. */
	labels = MIN((outer->len - from + step - 1) / step,
		     (128 - from) / step - 1);
	return name->labels - 2u - MIN(labels, name->labels - 2u);
}
