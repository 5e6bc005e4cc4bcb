/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-hostile6 - what is sent by IPv6 that means harm.
 *
 *   nd-hostile6 pod|member IF COUNT WHO=ADDR..
 *
 * A pod of two families from its own interface; a node that has been taken
 * over, in VXLAN. As nd-hostile, whose words these are: own, same, foreign,
 * vip and node with an address of IPv6 each, own and a member's node also with
 * one of IPv4; gate is a MAC. Of a member, what is foreign may be no inner
 * source.
 */
#include <netinet/icmp6.h>

#include "hostile.h"

#define ND_SOLICIT 135
#define ND_ADVERT 136
#define MLD_REPORT 131
#define MLD2_REPORT 143
#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547

static struct in6_addr addr(const char *text)
{
	struct in6_addr a;

	if (inet_pton(AF_INET6, text, &a) != 1)
		errx(2, "%s is no address", text);
	return a;
}

static struct in6_addr link_local(void)
{
	struct in6_addr a = addr("fe80::");

	for (size_t i = 8; i < sizeof(a); i++)
		a.s6_addr[i] = (uint8_t)craft_draw();
	return a;
}

static struct in6_addr group(void)
{
	static const char *const groups[] = {
		"ff02::1", "ff02::2",  "ff02::fb", "ff05::2",	    "ff02::1:2",
		"ff0e::1", "ff02::16", "ff01::1",  "ff02::1:ff00:1"
	};

	return addr(groups[craft_draw() % (sizeof(groups) / sizeof(*groups))]);
}

static struct in6_addr victim(void)
{
	static const enum who whose[] = { SAME, FOREIGN, VIP, NODE };

	return *any6(whose[craft_draw() % 4]);
}

/* Any address that is not the sender's. */
static struct in6_addr stolen(void)
{
	struct in6_addr outside = addr("2001:db8:ffff::");

	switch (craft_draw() % 4) {
	case 0:
		return link_local();
	case 1:
		outside.s6_addr[15] = (uint8_t)craft_draw();
		return outside;
	default:
		return victim();
	}
}

/* In VXLAN under this number, or not. */
static bool is_wrapped;
static uint32_t wrapped_vni;
static struct outer outer;

/* A group's packet has its address in the Ethernet header (RFC 2464, 7). */
static void eth6(struct craft *f, const struct in6_addr *dst)
{
	uint8_t mac[ETH_ALEN] = { 0x33, 0x33 };

	if (is_wrapped) {
		outer = vxlan_begin(f, any(OWN), 0x08000000, wrapped_vni,
				    ETH_P_IPV6);
		return;
	}
	memcpy(mac + 2, dst->s6_addr + 12, 4);
	craft_eth(f, IN6_IS_ADDR_MULTICAST(dst) ? mac : gate, own_mac,
		  ETH_P_IPV6);
}

/* What stands behind all headers before it: a common protocol, and the mark. */
static void payload(struct craft *f, size_t ip, uint8_t proto)
{
	size_t at = f->len, field = 0;

	switch (proto) {
	case IPPROTO_UDP:
		craft_udp(f, high_port(), any_port(), MARK_LEN);
		field = 6;
		break;
	case IPPROTO_TCP:
		craft_add16(f, high_port());
		craft_add16(f, any_port());
		craft_random(f, 8);
		craft_add8(f, 5 << 4);
		craft_add8(f, (uint8_t)(craft_draw() & 0x3f));
		craft_add32(f, 0xffff0000);
		craft_add16(f, 0);
		field = 16;
		break;
	case IPPROTO_ICMPV6:
		craft_add8(f, craft_draw() % 2 ? ICMP6_ECHO_REQUEST
					       : ICMP6_ECHO_REPLY);
		craft_add8(f, 0);
		craft_add16(f, 0);
		craft_random(f, 4);
		field = 2;
		break;
	default:
		craft_random(f, 12);
	}
	mark(f);
	craft_ip6_end(f, ip);
	if (field)
		craft_ip6_sum(f, ip, at, proto, field);
}

static uint8_t any_proto(void)
{
	static const uint8_t protos[] = { IPPROTO_UDP,	  IPPROTO_TCP,
					  IPPROTO_ICMPV6, IPPROTO_SCTP,
					  IPPROTO_GRE,	  IPPROTO_UDPLITE };

	return protos[craft_draw() % sizeof(protos)];
}

static void packet(struct craft *f, struct in6_addr src, struct in6_addr dst)
{
	uint8_t proto = any_proto();

	eth6(f, &dst);
	payload(f, craft_ip6(f, proto, &src, &dst), proto);
}

/* Behind the headers `bytes`, the first of which is `next`. */
static void packet_behind(struct craft *f, struct in6_addr src,
			  struct in6_addr dst, uint8_t next,
			  const uint8_t *bytes, size_t len)
{
	size_t ip;

	eth6(f, &dst);
	ip = craft_ip6(f, next, &src, &dst);
	craft_add(f, bytes, len);
	payload(f, ip, IPPROTO_UDP);
}

static void udp(struct craft *f, struct in6_addr dst, uint16_t sport,
		uint16_t dport, const char *text)
{
	size_t len = strlen(text), ip, at;

	eth6(f, &dst);
	ip = craft_ip6(f, IPPROTO_UDP, any6(OWN), &dst);
	at = f->len;
	craft_udp(f, sport, dport, len);
	craft_add(f, text, len);
	craft_ip6_end(f, ip);
	craft_ip6_sum(f, ip, at, IPPROTO_UDP, 6);
}

static void honest(struct craft *f)
{
	udp(f, *any6(SAME), high_port(), 7000, MARK_HONEST);
}

static void other_mac(struct craft *f)
{
	uint8_t mac[ETH_ALEN] = { 0x02, (uint8_t)craft_draw(), 0xff, 0xff };
	struct in6_addr src = craft_draw() % 2 ? *any6(OWN) : stolen();
	struct in6_addr dst = victim();

	craft_eth(f, gate, craft_draw() % 2 ? mac : gate, ETH_P_IPV6);
	payload(f, craft_ip6(f, IPPROTO_UDP, &src, &dst), IPPROTO_UDP);
}

static void source(struct craft *f)
{
	packet(f, stolen(), victim());
}

/* Nobody's: only neighbours may ask so. */
static void source_none(struct craft *f)
{
	packet(f, in6addr_any, victim());
}

/* The first, one in the middle, the last, and one that is the only one. */
static void fragment(struct craft *f, struct in6_addr src, struct in6_addr dst)
{
	static const uint16_t offsets[] = { 0x0001, 0x0009, 0x0008, 0xfff8,
					    0x0000 };
	uint16_t offset = offsets[craft_draw() % 5];
	uint8_t head[8] = { IPPROTO_UDP, 0, (uint8_t)(offset >> 8),
			    (uint8_t)offset };

	head[7] = (uint8_t)craft_draw();
	packet_behind(f, src, dst, IPPROTO_FRAGMENT, head, sizeof(head));
}

static void source_fragments(struct craft *f)
{
	fragment(f, stolen(), victim());
}

/* IPv4's addresses in disguise, as either end. */
static void mapped(struct craft *f)
{
	struct in6_addr fake = { 0 };
	uint32_t v4 = any(OWN) ^ htonl(craft_draw() % 4);

	if (craft_draw() % 4)
		memset(fake.s6_addr + 10, 0xff, 2);
	memcpy(fake.s6_addr + 12, &v4, sizeof(v4));
	if (craft_draw() % 2)
		packet(f, fake, victim());
	else
		packet(f, *any6(OWN), fake);
}

static void group_source(struct craft *f)
{
	packet(f, group(), victim());
}

static void to_link(struct craft *f)
{
	static const char *const ends[] = { "::1", "::", "fe80::1" };
	uint32_t draw = craft_draw() % 4;
	struct in6_addr dst = draw < 3 ? addr(ends[draw]) : link_local();

	packet(f, *any6(OWN), dst);
}

static void multicast(struct craft *f)
{
	packet(f, *any6(OWN), group());
}

/* Behind ICMPv6's first word: `target`, and an option with a MAC. */
static void icmp6(struct craft *f, struct in6_addr src, struct in6_addr dst,
		  uint8_t type, const struct in6_addr *target,
		  const uint8_t *mac)
{
	size_t ip, at;

	eth6(f, &dst);
	ip = craft_ip6(f, IPPROTO_ICMPV6, &src, &dst);
	at = f->len;
	craft_add8(f, type);
	craft_add8(f, 0);
	craft_add16(f, 0);
	craft_add32(f, type == ND_ADVERT ? 0xe0000000 : 0);
	craft_add(f, target, sizeof(*target));
	if (mac) {
		craft_add8(f, type == ND_ADVERT ? 2 : 1);
		craft_add8(f, 1);
		craft_add(f, mac, ETH_ALEN);
	}
	mark(f);
	craft_ip6_end(f, ip);
	craft_ip6_sum(f, ip, at, IPPROTO_ICMPV6, 2);
}

/* In another's name, or with a MAC that is not the sender's. */
static void solicit_spoofed(struct craft *f)
{
	struct in6_addr dst =
		craft_draw() % 2 ? addr("ff02::1:ff00:1") : *any6(SAME);

	if (craft_draw() % 2)
		icmp6(f, victim(), dst, ND_SOLICIT, any6(SAME), own_mac);
	else
		icmp6(f, *any6(OWN), dst, ND_SOLICIT, any6(SAME), gate);
}

/* Are others' addresses free (RFC 4862, 5.4), and where are those of others? */
static void solicit_idle(struct craft *f)
{
	struct in6_addr dst = addr("ff02::1:ff00:1");

	if (craft_draw() % 2)
		icmp6(f, in6addr_any, dst, ND_SOLICIT, any6(SAME), NULL);
	else
		icmp6(f, link_local(), dst, ND_SOLICIT, any6(FOREIGN), own_mac);
}

static struct in6_addr speaker(void)
{
	switch (craft_draw() % 3) {
	case 0:
		return *any6(OWN);
	case 1:
		return link_local();
	default:
		return stolen();
	}
}

static struct in6_addr listener(void)
{
	return craft_draw() % 2 ? *any6(SAME) : group();
}

/* "That address is mine": unasked, to one or to all. */
static void advert(struct craft *f)
{
	struct in6_addr who = victim();

	icmp6(f, craft_draw() % 2 ? who : speaker(), listener(), ND_ADVERT,
	      &who, craft_draw() % 2 ? own_mac : gate);
}

/* "I am the router", "ask me for one", "go there instead". */
static void router(struct craft *f)
{
	static const uint8_t types[] = { ND_ROUTER_SOLICIT, ND_ROUTER_ADVERT,
					 ND_REDIRECT };
	struct in6_addr target = stolen();

	icmp6(f, speaker(), listener(), types[craft_draw() % 3], &target,
	      own_mac);
}

/* Who listens to what (RFC 2710, RFC 3810), without its router alert. */
static void mld(struct craft *f)
{
	static const uint8_t types[] = { 130, MLD_REPORT, 132, MLD2_REPORT };
	struct in6_addr target = group();

	icmp6(f, speaker(), listener(), types[craft_draw() % 4], &target, NULL);
}

/* The same as stacks send it: to a group, which says enough. */
static void mld_alert(struct craft *f)
{
	static const uint8_t alert[8] = { IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };
	struct in6_addr src = link_local(), dst = addr("ff02::16");
	size_t ip;

	eth6(f, &dst);
	ip = craft_ip6(f, IPPROTO_HOPOPTS, &src, &dst);
	craft_add(f, alert, sizeof(alert));
	craft_add8(f, MLD2_REPORT);
	craft_random(f, 23);
	mark(f);
	craft_ip6_end(f, ip);
}

/* "Here is your address, and your resolver." */
static void dhcp(struct craft *f)
{
	char text[MARK_LEN + 1];

	snprintf(text, sizeof(text), MARK "%02u", kind_now);
	udp(f, *any6(SAME), DHCP6_SERVER, DHCP6_CLIENT, text);
}

/* What leads past checks, or hides the ports: alone, and two in a row. */
static void extension(struct craft *f)
{
	static const uint8_t numbers[] = { IPPROTO_HOPOPTS,
					   IPPROTO_ROUTING,
					   IPPROTO_AH,
					   IPPROTO_DSTOPTS,
					   135,
					   139,
					   140 };
	uint8_t number = numbers[craft_draw() % sizeof(numbers)];
	/* Of length 0, with padding; routing: type 2, one hop to go. */
	uint8_t heads[16] = { IPPROTO_UDP, 0, 1, 4 };
	struct in6_addr src = craft_draw() % 2 ? *any6(OWN) : stolen();
	size_t len = 8;

	if (number == IPPROTO_ROUTING)
		heads[3] = 1;
	/* A fragment before it, which would be let through. */
	if (craft_draw() % 2) {
		memmove(heads + 8, heads, 8);
		memset(heads, 0, 8);
		heads[0] = number;
		heads[3] = craft_draw() % 2;
		number = IPPROTO_FRAGMENT;
		len = 16;
	}
	packet_behind(f, src, victim(), number, heads, len);
}

static void vxlan(struct craft *f)
{
	const struct in6_addr *dst = any6(NODE);
	struct in6_addr src = stolen(), inner_dst = victim();
	size_t ip, at, inner;
	uint16_t len;

	eth6(f, dst);
	ip = craft_ip6(f, IPPROTO_UDP, any6(OWN), dst);
	at = f->len;
	craft_udp(f, high_port(), VXLAN_PORT, 0);
	craft_add32(f, 0x08000000);
	craft_add32(f, (craft_draw() % 2 ? any(VNI) : craft_draw()) << 8);
	craft_eth(f, own_mac, own_mac, ETH_P_IPV6);
	inner = craft_ip6(f, IPPROTO_UDP, &src, &inner_dst);
	payload(f, inner, IPPROTO_UDP);
	len = htons((uint16_t)(f->len - at));
	memcpy(f->bytes + at + 4, &len, sizeof(len));
	craft_ip6_end(f, ip);
	craft_ip6_sum(f, ip, at, IPPROTO_UDP, 6);
}

static void foreign(struct craft *f)
{
	packet(f, *any6(OWN), *any6(FOREIGN));
}

static void foreign_fragments(struct craft *f)
{
	fragment(f, *any6(OWN), *any6(FOREIGN));
}

/* Headers that lie about themselves. */
static void runt(struct craft *f)
{
	struct in6_addr src = *any6(OWN), dst = *any6(SAME);
	size_t ip;

	eth6(f, &dst);
	ip = craft_ip6(f, IPPROTO_UDP, &src, &dst);
	payload(f, ip, IPPROTO_UDP);
	switch (craft_draw() % 3) {
	case 0:
		f->bytes[ip] = (uint8_t)(0x70 | craft_draw());
		break;
	case 1:
		f->bytes[ip] = 0x45;
		break;
	default:
		f->bytes[ip + 4] = 0xff;
	}
}

/* --- in VXLAN ------------------------------------------------------------- */

static void wrap(struct craft *f, uint32_t vni, void (*make)(struct craft *f))
{
	is_wrapped = true;
	wrapped_vni = vni;
	make(f);
	is_wrapped = false;
	vxlan_end(f, &outer);
}

static void inner_right(struct craft *f)
{
	packet(f, *any6(OWN), *any6(SAME));
}

/* Neither end has a published port. */
static void inner_mesh(struct craft *f)
{
	packet(f, *any6(FOREIGN), *any6(SAME));
}

static void inner_foreign(struct craft *f)
{
	struct in6_addr src = craft_draw() % 2 ? *any6(FOREIGN) : link_local();

	if (craft_draw() % 2)
		packet(f, src, *any6(SAME));
	else
		fragment(f, src, *any6(SAME));
}

static void member_honest(struct craft *f)
{
	wrap(f, any(VNI), honest);
}

static void member_vni(struct craft *f)
{
	wrap(f, 0xff0000 | (craft_draw() & 0xffff) >> 1, inner_right);
}

static void member_other(struct craft *f)
{
	wrap(f, any(OTHER), inner_right);
}

static void member_source(struct craft *f)
{
	wrap(f, any(VNI), inner_foreign);
}

/* What neighbours and routers say goes through no tunnel. */
static void member_link(struct craft *f)
{
	static void (*const makes[])(struct craft *) = { solicit_spoofed,
							 solicit_idle, advert,
							 router, mld };

	wrap(f, any(VNI), makes[craft_draw() % 5]);
}

static void member_multicast(struct craft *f)
{
	static void (*const makes[])(struct craft *) = { mapped, group_source,
							 to_link, multicast,
							 mld_alert };

	wrap(f, any(VNI), makes[craft_draw() % 5]);
}

static void member_extension(struct craft *f)
{
	wrap(f, any(VNI), extension);
}

static void member_mesh(struct craft *f)
{
	wrap(f, craft_draw() % 2 ? 0xfffffe : 0xffffff, inner_mesh);
}

static void member_runt(struct craft *f)
{
	wrap(f, any(VNI), runt);
}

static const struct kind pod_kinds[] = {
	{ honest, HONEST },
	{ other_mac, "spoof_mac" },
	{ source, "spoof_ip" },
	{ source_none, "spoof_ip" },
	{ source_fragments, "spoof_ip" },
	{ mapped, "multicast" },
	{ group_source, "multicast" },
	{ to_link, "multicast" },
	{ multicast, "multicast" },
	{ mld_alert, "multicast" },
	{ solicit_spoofed, "spoof_nd" },
	{ solicit_idle, "nd" },
	{ advert, "icmpv6" },
	{ router, "icmpv6" },
	{ mld, "icmpv6" },
	{ dhcp, "dhcp_server" },
	{ extension, "extension" },
	{ vxlan, "vxlan_from_pod" },
	{ foreign, "isolation" },
	{ foreign_fragments, "isolation" },
	{ runt, "runt" },
	{ NULL, NULL },
};

static const struct kind member_kinds[] = {
	{ member_honest, HONEST },	   { member_vni, "unknown_vni" },
	{ member_other, "spoof_overlay" }, { member_source, "spoof_overlay" },
	{ member_link, "icmpv6" },	   { member_multicast, "multicast" },
	{ member_extension, "extension" }, { member_mesh, "no_frontend" },
	{ member_runt, "runt" },	   { NULL, NULL },
};

static const struct sender senders[] = {
	{ "pod", pod_kinds },
	{ "member", member_kinds },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return hostile_run(senders, argc, argv);
}
