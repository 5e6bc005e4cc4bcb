/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-hostile - what somebody sends who means harm.
 *
 *   nd-hostile pod|stranger|impostor|member IF COUNT WHO=ADDR..
 *
 * A pod from its own interface; in VXLAN, a host that is no node, or a node
 * that has been taken over. All frames but the honest ones must be dropped;
 * each has MARK and the number of its kind in it, so that nd-sensor can tell
 * what came through. For each reason for which netd must drop them a line
 * `REASON N` is printed, then `honest N`. NETD_SEED repeats a run.
 *
 * WHO is own (whose source honest frames have), gate (the MAC to send to),
 * same and foreign (other pods of the sender's network, and of others), vip,
 * node, store; of VXLAN also vni and other (another network's). Several of a
 * kind are several words. Of a member, vip is whose inner source is right.
 */
#include <netinet/tcp.h>

#include "hostile.h"

static uint32_t own(void)
{
	return any(OWN);
}

/* An IP packet of a common protocol that ends with the mark. */
static size_t packet(struct craft *f, uint32_t src, uint32_t dst)
{
	static const uint8_t protos[] = { IPPROTO_UDP,	IPPROTO_TCP,
					  IPPROTO_UDP,	IPPROTO_ICMP,
					  IPPROTO_SCTP, IPPROTO_GRE };
	uint8_t proto = protos[craft_draw() % sizeof(protos)];
	size_t at = craft_ip(f, proto, src, dst);

	switch (proto) {
	case IPPROTO_UDP:
		craft_udp(f, high_port(), any_port(), MARK_LEN);
		break;
	case IPPROTO_TCP:
		craft_tcp(f, at, high_port(), any_port(), craft_draw(),
			  craft_draw(), (uint8_t)(craft_draw() & 0x3f));
		break;
	case IPPROTO_ICMP:
		craft_add16(f, craft_draw() % 2 ? 0x0800 : 0x0000);
		craft_random(f, 6);
		break;
	default:
		craft_random(f, 12);
	}
	mark(f);
	craft_ip_end(f, at);
	return at;
}

/* Any address that is not the sender's. */
static uint32_t stolen(void)
{
	static const enum who whose[] = { SAME, FOREIGN, VIP, NODE };

	return craft_draw() % 5 ? any(whose[craft_draw() % 4])
				: htonl(0x08000000 | craft_draw() % 0xffffff);
}

static uint32_t victim(void)
{
	static const enum who whose[] = { SAME, FOREIGN, VIP, NODE };

	return any(whose[craft_draw() % 4]);
}

/* --- a pod ---------------------------------------------------------------- */

static void pod_honest(struct craft *f)
{
	size_t at;

	eth(f, ETH_P_IP);
	at = craft_ip(f, IPPROTO_UDP, own(), any(SAME));
	craft_udp(f, high_port(), 7000, strlen(MARK_HONEST));
	honest_mark(f);
	craft_ip_end(f, at);
}

static void pod_mac(struct craft *f)
{
	uint8_t mac[ETH_ALEN] = {
		0x02, (uint8_t)craft_draw(), (uint8_t)craft_draw(), 0xff,
		0xff, (uint8_t)craft_draw()
	};

	/* The gateway's, to be taken for the host. */
	craft_eth(f, gate, craft_draw() % 4 ? mac : gate, ETH_P_IP);
	packet(f, craft_draw() % 2 ? own() : stolen(), victim());
}

static void pod_source(struct craft *f)
{
	eth(f, ETH_P_IP);
	packet(f, stolen(), victim());
}

/* First, later and overlapping ones; of the first, the ports are wrong. */
static void pod_source_fragments(struct craft *f)
{
	static const uint16_t bits[] = { 0x2000, 0x2001, 0x0001,
					 0x0005, 0x1fff, 0x8000 };
	uint16_t frag = bits[craft_draw() % 6];
	size_t at;

	eth(f, ETH_P_IP);
	at = packet(f, stolen(), victim());
	frag = htons(frag);
	memcpy(f->bytes + at + 6, &frag, sizeof(frag));
	craft_ip_sum(f, at);
}

/* Routed by the sender: RFC 791's record and loose source routes. */
static void pod_source_options(struct craft *f)
{
	uint32_t dst = victim(), hop = any(NODE);
	size_t at;

	eth(f, ETH_P_IP);
	at = craft_ip(f, IPPROTO_UDP, stolen(), dst);
	craft_add8(f, craft_draw() % 2 ? 131 : 7);
	craft_add8(f, 7);
	craft_add8(f, 4);
	craft_add(f, &hop, sizeof(hop));
	craft_add8(f, 0);
	f->bytes[at] = 0x47;
	craft_udp(f, high_port(), any_port(), MARK_LEN);
	mark(f);
	craft_ip_end(f, at);
}

static void pod_arp(struct craft *f)
{
	uint32_t sender = stolen(), wanted = victim();

	craft_eth(f,
		  craft_draw() % 2 ? gate
				   : (const uint8_t *)"\377\377\377"
						      "\377\377\377",
		  own_mac, ETH_P_ARP);
	craft_add32(f, 0x00010800);
	craft_add16(f, 0x0604);
	craft_add16(f, craft_draw() % 2 ? 1 : 2);
	craft_add(f, craft_draw() % 2 ? own_mac : gate, ETH_ALEN);
	craft_add(f, &sender, sizeof(sender));
	craft_random(f, ETH_ALEN);
	craft_add(f, &wanted, sizeof(wanted));
	mark(f);
}

/* IPv6 from nobody's address: what neighbours and routers say, or UDP. */
static void pod_ipv6(struct craft *f)
{
	static const uint8_t types[] = { 133, 134, 135, 136, 137 };
	const uint8_t udp = craft_draw() % 4 == 0;

	craft_eth(f, (const uint8_t *)"\x33\x33\0\0\0\1", own_mac, ETH_P_IPV6);
	craft_add32(f, 0x60000000);
	craft_add16(f, 24 + MARK_LEN);
	craft_add8(f, udp ? IPPROTO_UDP : IPPROTO_ICMPV6);
	craft_add8(f, 255);
	craft_add32(f, 0xfe800000);
	craft_random(f, 12);
	craft_add32(f, 0xff020000);
	craft_add32(f, 0);
	craft_add32(f, 0);
	craft_add32(f, 1);
	craft_add8(f, types[craft_draw() % sizeof(types)]);
	craft_random(f, 23);
	mark(f);
}

static void pod_dhcp(struct craft *f)
{
	size_t at;

	eth(f, ETH_P_IP);
	at = craft_ip(f, IPPROTO_UDP, own(),
		      craft_draw() % 2 ? INADDR_BROADCAST : any(SAME));
	craft_udp(f, 67, 68, MARK_LEN);
	mark(f);
	craft_ip_end(f, at);
}

static void pod_vlan(struct craft *f)
{
	int tags = craft_draw() % 2;

	eth(f, tags ? ETH_P_8021AD : ETH_P_8021Q);
	craft_add16(f, (uint16_t)(craft_draw() & 0xfff));
	if (tags) {
		craft_add16(f, ETH_P_8021Q);
		craft_add16(f, (uint16_t)(craft_draw() & 0xfff));
	}
	craft_add16(f, ETH_P_IP);
	packet(f, craft_draw() % 2 ? own() : stolen(), victim());
}

static void pod_ethertype(struct craft *f)
{
	static const uint16_t types[] = { 0x88cc, 0x8847, 0x8863, 0x8864,
					  0x9000, 0x0026, 0x22f0, 0x88f7 };

	eth(f, types[craft_draw() % 8]);
	craft_random(f, 40);
	mark(f);
}

static void pod_vxlan(struct craft *f)
{
	size_t at, udp, inner;
	uint16_t len;

	eth(f, ETH_P_IP);
	at = craft_ip(f, IPPROTO_UDP, own(), any(NODE));
	udp = f->len;
	craft_udp(f, high_port(), VXLAN_PORT, 0);
	vxlan_head(f, 0x08000000,
		   craft_draw() % 2 ? any(VNI) : craft_draw() & 0xffffff,
		   ETH_P_IP);
	inner = craft_ip(f, IPPROTO_UDP, stolen(), victim());
	craft_udp(f, high_port(), any_port(), MARK_LEN);
	mark(f);
	craft_ip_end(f, inner);
	len = htons((uint16_t)(f->len - udp));
	memcpy(f->bytes + udp + 4, &len, sizeof(len));
	craft_ip_end(f, at);
}

static void pod_multicast(struct craft *f)
{
	static const uint32_t groups[] = { 0xe0000001, 0xe00000fb, 0xefffffff,
					   0xffffffff, 0x7f000001, 0xf0000001,
					   0x00000001 };

	eth(f, ETH_P_IP);
	packet(f, own(), htonl(groups[craft_draw() % 7]));
}

static void pod_foreign(struct craft *f)
{
	eth(f, ETH_P_IP);
	packet(f, own(), any(FOREIGN));
}

static void pod_foreign_fragments(struct craft *f)
{
	uint16_t frag = htons(craft_draw() % 2 ? 0x2000 : 0x0001);
	size_t at;

	eth(f, ETH_P_IP);
	at = packet(f, own(), any(FOREIGN));
	memcpy(f->bytes + at + 6, &frag, sizeof(frag));
	craft_ip_sum(f, at);
}

static void pod_store(struct craft *f)
{
	size_t at;

	eth(f, ETH_P_IP);
	at = craft_ip(f, IPPROTO_TCP, own(), any(STORE));
	craft_tcp(f, at, high_port(), 2379, craft_draw(), 0, 2 /* SYN */);
	mark(f);
	craft_ip_end(f, at);
}

/* Headers that lie about themselves. */
static void pod_runt(struct craft *f)
{
	size_t at;

	eth(f, ETH_P_IP);
	at = packet(f, own(), any(SAME));
	switch (craft_draw() % 4) {
	case 0:
		f->bytes[at] = (uint8_t)(0x40 | craft_draw() % 5);
		break;
	case 1:
		f->bytes[at] = (uint8_t)(0x50 | (craft_draw() & 0xaf));
		break;
	case 2:
		f->bytes[at + 2] = 0xff;
		break;
	default:
		f->bytes[at + 2] = f->bytes[at + 3] = 0;
	}
	craft_ip_sum(f, at);
}

/* --- in VXLAN ------------------------------------------------------------- */

static void inner_udp(struct craft *f, uint32_t src, uint32_t dst)
{
	size_t at = craft_ip(f, IPPROTO_UDP, src, dst);

	craft_udp(f, high_port(), 7000, MARK_LEN);
	mark(f);
	craft_ip_end(f, at);
}

static void in_vxlan(struct craft *f, uint32_t outer_src, uint32_t flags,
		     uint32_t vni, uint32_t src, uint32_t dst)
{
	struct outer o = vxlan_begin(f, outer_src, flags, vni, ETH_P_IP);

	inner_udp(f, src, dst);
	vxlan_end(f, &o);
}

/* What a member would send, but it is none. */
static void stranger_plain(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, any(VNI), any(SAME), any(SAME));
}

static void stranger_source(struct craft *f)
{
	in_vxlan(f, htonl(0x08000000 | craft_draw() % 0xffffff), 0x08000000,
		 any(VNI), any(SAME), any(SAME));
}

static void stranger_mesh(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, craft_draw() % 2 ? 0xfffffe : 0xffffff,
		 any(NODE), any(NODE));
}

static void stranger_vni(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, craft_draw() & 0xffffff, any(SAME),
		 any(SAME));
}

static void stranger_flags(struct craft *f)
{
	in_vxlan(f, own(), craft_draw(), any(VNI), any(SAME), any(SAME));
}

static void stranger_cut(struct craft *f)
{
	struct outer o = vxlan_begin(f, own(), 0x08000000, any(VNI), ETH_P_IP);

	mark(f);
	f->len = o.udp + sizeof(struct udphdr) + craft_draw() % 22;
	vxlan_end(f, &o);
}

/* To the node's link-local address, made of its MAC (RFC 4291, appendix A). */
static void stranger_ipv6(struct craft *f)
{
	const uint8_t to[16] = { 0xfe,	      0x80,    0,	0,
				 0,	      0,       0,	0,
				 gate[0] ^ 2, gate[1], gate[2], 0xff,
				 0xfe,	      gate[3], gate[4], gate[5] };
	size_t addrs, udp;
	uint16_t len, sum;

	eth(f, ETH_P_IPV6);
	craft_add32(f, 0x60000000);
	craft_add32(f, IPPROTO_UDP << 8 | 64);
	addrs = f->len;
	craft_add32(f, 0xfe800000);
	craft_add32(f, 0);
	craft_random(f, 8);
	craft_add(f, to, sizeof(to));
	udp = f->len;
	craft_udp(f, high_port(), VXLAN_PORT, 0);
	vxlan_head(f, 0x08000000, any(VNI), ETH_P_IP);
	inner_udp(f, any(SAME), any(SAME));
	len = htons((uint16_t)(f->len - udp));
	memcpy(f->bytes + udp + 4, &len, sizeof(len));
	memcpy(f->bytes + addrs - 4, &len, sizeof(len));
	sum = craft_sum(f->bytes + addrs, f->len - addrs,
			IPPROTO_UDP + (uint32_t)(f->len - udp));
	memcpy(f->bytes + udp + 6, &sum, sizeof(sum));
}

static void member_honest(struct craft *f)
{
	struct outer o = vxlan_begin(f, own(), 0x08000000, any(VNI), ETH_P_IP);
	size_t at = craft_ip(f, IPPROTO_UDP, any(VIP), any(SAME));

	craft_udp(f, high_port(), 7000, strlen(MARK_HONEST));
	honest_mark(f);
	craft_ip_end(f, at);
	vxlan_end(f, &o);
}

static void member_vni(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, 0xff0000 | (craft_draw() & 0xffff) >> 1,
		 any(VIP), any(SAME));
}

/* A network's packet under the number of another. */
static void member_other(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, any(OTHER), any(VIP), any(SAME));
}

static void member_source(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, any(VNI), any(FOREIGN), any(SAME));
}

static void member_zero(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, 0, any(VIP), any(SAME));
}

/* Of which the kernel's device takes none. */
static void member_flags(struct craft *f)
{
	in_vxlan(f, own(), craft_draw() & ~UINT32_C(0x08000000), any(VNI),
		 any(VIP), any(SAME));
}

static void member_mesh(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, 0xfffffe, any(FOREIGN), any(SAME));
}

static void member_reply(struct craft *f)
{
	in_vxlan(f, own(), 0x08000000, 0xffffff, any(FOREIGN), any(SAME));
}

static void member_inner(struct craft *f)
{
	struct outer o = vxlan_begin(f, own(), 0x08000000, any(VNI), ETH_P_IP);
	static const uint16_t types[] = { 0x0806, 0x8100, 0x8847, 0x9000 };
	uint16_t type = htons(types[craft_draw() % 4]);

	memcpy(f->bytes + f->len - 2, &type, sizeof(type));
	inner_udp(f, any(VIP), any(SAME));
	vxlan_end(f, &o);
}

static void member_runt(struct craft *f)
{
	struct outer o = vxlan_begin(f, own(), 0x08000000, any(VNI), ETH_P_IP);
	size_t at = f->len;

	inner_udp(f, any(VIP), any(SAME));
	f->bytes[at] = (uint8_t)(0x40 | craft_draw() % 5);
	vxlan_end(f, &o);
}

/* --- table ---------------------------------------------------------------- */

static const struct kind pod_kinds[] = {
	{ pod_honest, HONEST },
	{ pod_mac, "spoof_mac" },
	{ pod_source, "spoof_ip" },
	{ pod_source_fragments, "spoof_ip" },
	{ pod_source_options, "spoof_ip" },
	{ pod_arp, "spoof_arp" },
	{ pod_ipv6, ANY_REASON },
	{ pod_dhcp, "dhcp_server" },
	{ pod_vlan, "ethertype" },
	{ pod_ethertype, "ethertype" },
	{ pod_vxlan, "vxlan_from_pod" },
	{ pod_multicast, "multicast" },
	{ pod_foreign, "isolation" },
	{ pod_foreign_fragments, "isolation" },
	{ pod_store, "store_guard" },
	{ pod_runt, "runt" },
	{ NULL, NULL },
};

static const struct kind stranger_kinds[] = {
	{ stranger_plain, "not_member" }, { stranger_source, "not_member" },
	{ stranger_mesh, "not_member" },  { stranger_vni, "not_member" },
	{ stranger_flags, "not_member" }, { stranger_cut, "not_member" },
	{ stranger_ipv6, "not_member" },  { NULL, NULL },
};

/* With a node's address, from where no node is. */
static const struct kind impostor_kinds[] = {
	{ stranger_plain, "wrong_way" }, { stranger_mesh, "wrong_way" },
	{ stranger_vni, "wrong_way" },	 { stranger_flags, "wrong_way" },
	{ stranger_cut, "wrong_way" },	 { stranger_source, "not_member" },
	{ stranger_ipv6, "not_member" }, { NULL, NULL },
};

static const struct kind member_kinds[] = {
	{ member_honest, HONEST },
	{ member_vni, "unknown_vni" },
	{ member_zero, "unknown_vni" },
	{ member_other, "spoof_overlay" },
	{ member_source, "spoof_overlay" },
	{ member_flags, UNCOUNTED },
	{ member_mesh, "no_frontend" },
	{ member_reply, "no_frontend" },
	{ member_inner, "ethertype" },
	{ member_runt, "runt" },
	{ NULL, NULL },
};

static const struct sender senders[] = {
	{ "pod", pod_kinds },
	{ "stranger", stranger_kinds },
	{ "impostor", impostor_kinds },
	{ "member", member_kinds },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return hostile_run(senders, argc, argv);
}
