/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/addr.h"

#include <arpa/inet.h>

#include "netd/util.h"

#define V4_BITS 96

static const uint8_t v4_head[12] = { [10] = 0xff, [11] = 0xff };

struct ip_addr ip_from_be32(uint32_t net_order)
{
	struct ip_addr a;

	memcpy(a.b, v4_head, sizeof(v4_head));
	memcpy(a.b + 12, &net_order, 4);
	return a;
}

struct ip_addr ip_from_v4(uint32_t host_order)
{
	return ip_from_be32(htonl(host_order));
}

bool ip_is_v4(const struct ip_addr *a)
{
	return memcmp(a->b, v4_head, sizeof(v4_head)) == 0;
}

bool ip_is_none(const struct ip_addr *a)
{
	static const struct ip_addr none;

	return ip_eq(a, &none);
}

bool ip_is_loopback(const struct ip_addr *a)
{
	static const struct ip_addr v6 = { .b = { [15] = 1 } };

	return ip_is_v4(a) ? a->b[12] == 127 : ip_eq(a, &v6);
}

uint32_t ip_be32(const struct ip_addr *a)
{
	uint32_t v;

	memcpy(&v, a->b + 12, 4);
	return v;
}

uint32_t ip_v4(const struct ip_addr *a)
{
	return ntohl(ip_be32(a));
}

struct ip_addr ip_add(const struct ip_addr *a, int64_t n)
{
	struct ip_addr r = *a;
	/* Sign extended over all 16 bytes, two's complement. */
	uint64_t low = (uint64_t)n;
	unsigned int carry = 0;

	for (int i = 15; i >= 0; i--) {
		unsigned int shift = (unsigned int)(15 - i) * 8;
		unsigned int byte = shift < 64 ? (low >> shift) & 0xff
				    : n < 0    ? 0xff
					       : 0;
		unsigned int sum = r.b[i] + byte + carry;

		r.b[i] = (uint8_t)sum;
		carry = sum >> 8;
	}
	return r;
}

int64_t ip_distance(const struct ip_addr *a, const struct ip_addr *b)
{
	uint64_t low = 0;
	int borrow = 0;
	bool high = false;

	for (int i = 15; i >= 0; i--) {
		int d = b->b[i] - a->b[i] - borrow;

		borrow = d < 0;
		d &= 0xff;
		if (i >= 8)
			low |= (uint64_t)d << ((15 - i) * 8);
		else if (d)
			high = true;
	}
	return high || low > INT64_MAX ? INT64_MAX : (int64_t)low;
}

int ip_parse(const char *text, struct ip_addr *ret)
{
	uint8_t b[16];

	/* inet_pton is strict for IPv4: four decimal numbers, no 0 ahead. */
	if (inet_pton(AF_INET, text, b) == 1) {
		uint32_t v;

		memcpy(&v, b, 4);
		*ret = ip_from_be32(v);
		return 0;
	}
	if (inet_pton(AF_INET6, text, b) == 1) {
		memcpy(ret->b, b, 16);
		return 0;
	}
	return -EINVAL;
}

const char *ip_str(const struct ip_addr *a, char buf[IP_STRLEN])
{
	if (ip_is_v4(a))
		inet_ntop(AF_INET, a->b + 12, buf, IP_STRLEN);
	else
		inet_ntop(AF_INET6, a->b, buf, IP_STRLEN);
	return buf;
}

int prefix_parse(const char *text, struct ip_prefix *ret)
{
	char addr[IP_STRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct ip_prefix p;
	uint32_t len;
	int err;

	if (n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, n);
	addr[n] = '\0';
	err = ip_parse(addr, &p.addr);
	if (err)
		return err;
	p.len = 128;
	if (slash) {
		uint32_t bits = ip_is_v4(&p.addr) ? 32 : 128;

		if (str_to_u32(slash + 1, 0, bits, &len))
			return -EINVAL;
		p.len = (uint8_t)(128 - bits + len);
	}
	*ret = p;
	return 0;
}

uint8_t prefix_shown_len(const struct ip_prefix *p)
{
	return ip_is_v4(&p->addr) && p->len >= V4_BITS ? p->len - V4_BITS
						       : p->len;
}

const char *prefix_str(const struct ip_prefix *p, char buf[PREFIX_STRLEN])
{
	char addr[IP_STRLEN];

	snprintf(buf, PREFIX_STRLEN, "%s/%u", ip_str(&p->addr, addr),
		 prefix_shown_len(p));
	return buf;
}

/* The address with all bits from `len` on set to `one`. */
static struct ip_addr fill(const struct ip_addr *a, uint8_t len, bool one)
{
	struct ip_addr r = *a;

	for (unsigned int i = 0; i < 16; i++) {
		unsigned int first = i * 8;
		uint8_t mask;

		if (len >= first + 8)
			continue;
		mask = len <= first ? 0xff : (uint8_t)(0xff >> (len - first));
		r.b[i] = one ? r.b[i] | mask : r.b[i] & (uint8_t)~mask;
	}
	return r;
}

struct ip_prefix prefix_make(const struct ip_addr *addr, uint8_t len)
{
	return (struct ip_prefix){ fill(addr, len, false), len };
}

struct ip_prefix prefix_all(const struct ip_addr *addr)
{
	return prefix_make(addr, ip_is_v4(addr) ? 96 : 0);
}

struct ip_prefix prefix_host(const struct ip_addr *addr)
{
	return (struct ip_prefix){ *addr, 128 };
}

bool prefix_has_host_bits(const struct ip_prefix *p)
{
	struct ip_addr clean = fill(&p->addr, p->len, false);

	return !ip_eq(&clean, &p->addr);
}

bool prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	struct ip_addr x = fill(a, p->len, false);
	struct ip_addr y = fill(&p->addr, p->len, false);

	return ip_eq(&x, &y);
}

bool prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len <= b->len ? prefix_contains(a, &b->addr)
				: prefix_contains(b, &a->addr);
}

bool prefix_eq(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_eq(&a->addr, &b->addr);
}

struct ip_addr prefix_last(const struct ip_prefix *p)
{
	return fill(&p->addr, p->len, true);
}

int64_t prefix_size(const struct ip_prefix *p)
{
	return p->len <= 65 ? INT64_MAX : (int64_t)1 << (128 - p->len);
}

int mac_parse(const char *text, struct mac_addr *ret)
{
	struct mac_addr m;
	int end = 0;

	/* What sscanf() would take as well: blanks, signs, "0x". */
	if (strspn(text, "0123456789abcdefABCDEF:") != 17)
		return -EINVAL;
	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &m.b[0],
		   &m.b[1], &m.b[2], &m.b[3], &m.b[4], &m.b[5], &end) != 6 ||
	    end != 17 || text[end])
		return -EINVAL;
	*ret = m;
	return 0;
}

const char *mac_str(const struct mac_addr *m, char buf[MAC_STRLEN])
{
	snprintf(buf, MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0],
		 m->b[1], m->b[2], m->b[3], m->b[4], m->b[5]);
	return buf;
}

struct mac_addr mac_from_ip(const struct ip_addr *a)
{
	/* 02: locally administered, unicast (IEEE 802-2014, 8.4). */
	struct mac_addr m = { .b = { 0x02, 0x6e } };

	memcpy(m.b + 2, a->b + 12, 4);
	return m;
}
