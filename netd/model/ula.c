/* SPDX-License-Identifier: Apache-2.0 */
#include "ula.h"

#include "ipam.h"
#include "netd/util.h"

#define ULA_LEN 48
#define ULA_SUBNET_LEN 64
/* Subnets of the /48; number 0 is where VIPs are. */
#define ULA_SUBNETS 65536

struct ip_prefix ula_make(const uint8_t random[ULA_RANDOM])
{
	struct ip_prefix p = { .addr.b = { 0xfd }, .len = ULA_LEN };

	memcpy(p.addr.b + 1, random, ULA_RANDOM);
	return p;
}

bool ula_is_one(const struct ip_prefix *p)
{
	return p->addr.b[0] == 0xfd && p->len == ULA_LEN &&
	       !prefix_has_host_bits(p);
}

static struct ip_prefix subnet_at(const struct ip_prefix *ula, uint32_t i)
{
	struct ip_prefix p = { ula->addr, ULA_SUBNET_LEN };

	p.addr.b[6] = (uint8_t)(i >> 8);
	p.addr.b[7] = (uint8_t)i;
	return p;
}

bool ula_overlaps_vips(const struct model *m, const struct ip_prefix *p)
{
	struct ip_prefix vips = subnet_at(&m->ula, 0);

	return m->ula.len && prefix_overlaps(&vips, p);
}

int ula_pick_subnet(const struct model *m, const struct ip_prefix *ula,
		    struct ip_prefix *ret, struct refusal *r)
{
	char what[320], buf[PREFIX_STRLEN];

	for (uint32_t i = 1; i < ULA_SUBNETS; i++) {
		*ret = subnet_at(ula, i);
		if (!ipam_taken(m, ret, what, sizeof(what)))
			return 0;
	}
	return refuse(r, API_EXHAUSTED, "subnet",
		      "give --subnet with a prefix of IPv6",
		      "no free IPv6 subnet: networks and the nodes' own routes "
		      "cover %s",
		      prefix_str(ula, buf));
}

int ula_pick_vips(const struct model *m, const struct ip_prefix *ula,
		  struct ip_prefix *ret, struct refusal *r)
{
	struct ip_prefix pool = subnet_at(ula, 0);
	struct ip_prefix p = prefix_make(&pool.addr, m->ipam.vips_len);
	char what[320], buf[PREFIX_STRLEN];

	/* As many as there are networks and ranges is enough to look at. */
	for (uint32_t i = 0; i < VNI_LAST; i++) {
		if (!ipam_taken(m, &p, what, sizeof(what))) {
			*ret = p;
			return 0;
		}
		p.addr = ip_add(&p.addr, prefix_size(&p));
	}
	return refuse(r, API_EXHAUSTED, "vip", "remove networks",
		      "no free IPv6 VIP range: the nodes' own routes cover %s",
		      prefix_str(&pool, buf));
}
