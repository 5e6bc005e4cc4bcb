/* SPDX-License-Identifier: Apache-2.0 */
#include "resolv.h"

#include "netd/util.h"

#define BLANK " \t"

/* One word; a scope (fe80::1%eth0) fails to parse and is left out. */
static bool line_read(const char *line, size_t len, struct ip_addr *ret)
{
	char word[IP_STRLEN];
	const char *end = line + len;
	size_t n;

	if (!str_after(line, "nameserver"))
		return false;
	line += strlen("nameserver");
	n = strspn(line, BLANK);
	if (n == 0 || line + n >= end)
		return false;
	line += n;
	n = strcspn(line, BLANK "\r\n#;");
	if (n >= sizeof(word))
		return false;
	memcpy(word, line, n);
	word[n] = '\0';
	return ip_parse(word, ret) == 0 && !ip_is_none(ret);
}

static bool has(const struct ip_addr *addrs, size_t n,
		const struct ip_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (ip_eq(&addrs[i], addr))
			return true;
	return false;
}

size_t resolv_parse(const char *text, struct ip_addr *ret, size_t max)
{
	size_t n = 0;

	while (*text && n < max) {
		size_t len = strcspn(text, "\n");
		struct ip_addr addr;

		if (line_read(text, len, &addr) && !has(ret, n, &addr))
			ret[n++] = addr;
		text += len;
		if (*text)
			text++;
	}
	return n;
}

bool resolv_is_stub(const struct ip_addr *addrs, size_t n)
{
	struct ip_addr stub = ip_from_v4(0x7f000035);

	return n == 1 && ip_eq(addrs, &stub);
}
