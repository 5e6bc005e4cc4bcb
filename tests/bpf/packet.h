/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet - frames as short specifications, so that a test's row says what
 * goes in and what must come out, byte by byte, checksums included.
 */
#pragma once

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "netd/addr.h"
#include "netd/util.h"

#define TCP 6
#define UDP 17
#define ICMP 1
#define ICMP6 58

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

#define FRAME_MAX 2048

struct spec {
	/* NULL: the table's defaults. */
	const char *smac;
	const char *dmac;
	/* 0: as the source address is. */
	uint16_t ethertype;
	uint8_t proto;
	/* Of IPv6, this with colons: all of it is. */
	const char *src;
	const char *dst;
	uint16_t sport;
	uint16_t dport;
	/* TCP flags; ICMP type << 8 | code. */
	uint16_t flags;
	uint32_t seq;
	uint32_t ack;
	/* TCP: 8 bytes of options, with an MSS after so many of padding. */
	uint16_t mss;
	uint8_t mss_at;
	/* Do not (0x4000), more fragments (0x2000) and offset. */
	uint16_t frag;
	uint16_t id;
	/* 0: 64; 256: 0. */
	uint16_t ttl;
	/* IP: 12 bytes of options, this one and padding. */
	uint8_t option;
	/* TCP: the offset it says, 0: what is true; 16: 0. */
	uint8_t doff;
	/* Bytes of payload; quoted: those of this frame's IP packet. */
	uint16_t payload;
	const struct spec *quote;
	/* Bytes quoted, 0: 28, or 48 of IPv6. */
	uint16_t quote_len;
	/* ICMP "too big": the MTU it says. */
	uint16_t mtu;
	/* UDP: no checksum. */
	bool no_check;
	/* In VXLAN with this VNI, from one VTEP to the other; 0: it is not. */
	uint32_t vni;
	const char *from_vtep;
	const char *vtep;
	/* The outer packet's: fragment, type of service, UDP checksum. */
	uint16_t outer_frag;
	uint8_t outer_tos;
	uint16_t outer_check;
	/* VXLAN's flags and the inner frame's type; 0: as they should be. */
	uint32_t outer_flags;
	uint16_t inner_type;
	/* ARP: operation, sender's MAC if it is not smac. */
	uint16_t arp;
	const char *arp_mac;
	/* IPv6: who is asked for; his MAC, or the asker's; the answer's bits.
	 */
	const char *nd_target;
	const char *nd_mac;
	uint32_t nd_flags;
	/* IPv6: 0x100 | number of a header of 8 bytes before the rest. */
	uint16_t extension;
	/* 0: 0x45, or 0x60. */
	uint8_t version_ihl;
	/* What the IP header says (IPv6: behind it), 0: what is true. */
	uint16_t ip_len;
	/* Cut to so many bytes. */
	uint16_t cut;
};

static inline uint32_t sum_bytes(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	return sum;
}

static inline uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static inline void put_ip(uint8_t *p, const char *text)
{
	struct in_addr a = { 0 };

	inet_pton(AF_INET, text ? text : "0.0.0.0", &a);
	memcpy(p, &a, 4);
}

static inline bool is_v6(const struct spec *s)
{
	return s->src && strchr(s->src, ':');
}

static inline void put_ip6(uint8_t *p, const char *text)
{
	struct in6_addr a = { 0 };

	inet_pton(AF_INET6, text ? text : "::", &a);
	memcpy(p, &a, 16);
}

static inline void put_mac(uint8_t *p, const char *text)
{
	struct mac_addr m = { 0 };

	if (text)
		mac_parse(text, &m);
	memcpy(p, m.b, 6);
}

static inline size_t packet_build(const struct spec *s, uint8_t *frame);

/* Neighbour solicitation or its answer, without its first 4 bytes. */
static inline size_t packet_nd(const struct spec *s, uint8_t *p)
{
	put32(p + 4, s->nd_flags);
	put_ip6(p + 8, s->nd_target);
	if (!s->nd_mac)
		return 24;
	p[24] = s->flags == 0x8700 ? 1 : 2;
	p[25] = 1;
	put_mac(p + 26, s->nd_mac);
	return 32;
}

/* The L4 header and payload at p; returns their length. */
static inline size_t packet_l4(const struct spec *s, uint8_t *p)
{
	size_t head = s->proto == TCP	? 20u + (s->mss ? 8 : 0)
		      : s->proto == UDP ? 8
		      : s->proto == ICMP || s->proto == ICMP6 ? 8
							      : 0;
	size_t len;

	/* Later fragments are payload alone. */
	if (s->frag & 0x1fff)
		head = 0;
	len = head + s->payload;
	for (size_t i = 0; i < s->payload; i++)
		p[head + i] = (uint8_t)(i * 7 + 1);
	if (!head)
		return len;
	if (s->proto == TCP || s->proto == UDP) {
		put16(p, s->sport);
		put16(p + 2, s->dport);
	}
	if (s->proto == TCP) {
		put32(p + 4, s->seq);
		put32(p + 8, s->ack);
		p[12] = (uint8_t)((s->doff ? s->doff : head / 4) << 4);
		p[13] = (uint8_t)s->flags;
		put16(p + 14, s->flags & RST ? 0 : 512);
		if (s->mss) {
			memset(p + 20, 1, 8);
			put16(p + 20 + s->mss_at, 0x0204);
			put16(p + 22 + s->mss_at, s->mss);
		}
	} else if (s->proto == UDP) {
		put16(p + 4, (uint16_t)len);
	} else if (s->proto == ICMP || s->proto == ICMP6) {
		put16(p, s->flags);
		if (s->nd_target) {
			len = packet_nd(s, p);
		} else if (s->quote) {
			uint8_t quoted[FRAME_MAX];

			size_t n = s->quote_len ? s->quote_len
				   : is_v6(s)	? 48
						: 28;

			packet_build(s->quote, quoted);
			memcpy(p + head, quoted + 14, n);
			put16(p + 6, s->mtu);
			len = head + n;
		} else {
			put16(p + 4, s->sport);
		}
	}
	return len;
}

static inline void packet_l4_check(const struct spec *s, const uint8_t *ip,
				   uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	uint16_t check;
	size_t at = s->proto == TCP ? 16 : s->proto == UDP ? 6 : 2;

	if ((s->proto != TCP && s->proto != UDP && s->proto != ICMP &&
	     s->proto != ICMP6) ||
	    s->no_check || s->frag & 0x1fff)
		return;
	if (is_v6(s))
		sum = sum_bytes(ip + 8, 32, s->proto + (uint32_t)len);
	else if (s->proto != ICMP)
		sum = sum_bytes(ip + 12, 8, s->proto + (uint32_t)len);
	check = sum_fold(sum_bytes(p, len, sum));
	put16(p + at, s->proto == UDP && !check ? 0xffff : check);
}

static inline size_t packet_arp(const struct spec *s, uint8_t *p)
{
	put16(p, 1);
	put16(p + 2, 0x0800);
	p[4] = 6;
	p[5] = 4;
	put16(p + 6, s->arp);
	put_mac(p + 8, s->arp_mac ? s->arp_mac : s->smac);
	put_ip(p + 14, s->src);
	if (s->arp == 2)
		put_mac(p + 18, s->dmac);
	put_ip(p + 24, s->dst);
	return 28;
}

/* What VXLAN adds to IPv4. */
#define TUNNEL_LEN 50

/* The frame's packet in VXLAN; its identification and source port are 0. */
static inline size_t packet_wrap(const struct spec *s, uint8_t *frame,
				 size_t len)
{
	uint8_t *ip = frame + 14, *udp = ip + 20, *vxlan = udp + 8;
	uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);

	if (type == 0x86dd)
		put16(frame + 12, 0x0800);
	else
		type = 0x0800;
	memmove(frame + 14 + TUNNEL_LEN, ip, len - 14);
	memset(ip, 0, TUNNEL_LEN);
	ip[0] = 0x45;
	ip[1] = s->outer_tos;
	put16(ip + 2, (uint16_t)(len - 14 + TUNNEL_LEN));
	put16(ip + 6, s->outer_frag);
	ip[8] = 64;
	ip[9] = UDP;
	put_ip(ip + 12, s->from_vtep);
	put_ip(ip + 16, s->vtep);
	put16(ip + 10, sum_fold(sum_bytes(ip, 20, 0)));
	put16(udp + 2, 4789);
	put16(udp + 4, (uint16_t)(len - 14 + TUNNEL_LEN - 20));
	put16(udp + 6, s->outer_check);
	put32(vxlan, s->outer_flags ? s->outer_flags : 0x08000000);
	put32(vxlan + 4, s->vni << 8);
	put_mac(vxlan + 14, TUNNEL_MAC);
	put16(vxlan + 20, s->inner_type ? s->inner_type : type);
	return len + TUNNEL_LEN;
}

/*
 * Of a packet in VXLAN, what differs each time: right, then as in wrap. The
 * Ethernet header is anew where the packet leaves.
 */
static inline bool packet_settle(uint8_t *frame)
{
	uint8_t *ip = frame + 14, *udp = ip + 20;
	unsigned int sport = (unsigned int)(udp[0] << 8 | udp[1]);

	if (sum_fold(sum_bytes(ip, 20, 0)) || sport < 32768 || sport > 60999)
		return false;
	put16(frame + 12, 0x0800);
	memset(ip + 4, 0, 2);
	memset(ip + 10, 0, 2);
	memset(udp, 0, 2);
	put16(ip + 10, sum_fold(sum_bytes(ip, 20, 0)));
	return true;
}

/* The IPv6 packet, its headers in the one order there is. */
static inline size_t packet_ip6(const struct spec *s, uint8_t *ip)
{
	uint8_t *p = ip + 40, *next = ip + 6;
	size_t len;

	ip[0] = s->version_ihl ? s->version_ihl : 0x60;
	ip[7] = s->ttl ? s->ttl : s->nd_target ? 255 : 64;
	put_ip6(ip + 8, s->src);
	put_ip6(ip + 24, s->dst);
	if (s->extension) {
		*next = (uint8_t)s->extension;
		next = p;
		p += 8;
	}
	if (s->frag) {
		*next = 44;
		next = p;
		put16(p + 2, (uint16_t)((s->frag & 0x1fff) << 3 |
					(s->frag & 0x2000) >> 13));
		put32(p + 4, s->id);
		p += 8;
	}
	*next = s->proto;
	len = packet_l4(s, p);
	packet_l4_check(s, ip, p, len);
	len += (size_t)(p - ip);
	put16(ip + 4, s->ip_len ? s->ip_len : (uint16_t)(len - 40));
	return len;
}

/* The frame of a specification; returns its length. */
static inline size_t packet_build(const struct spec *s, uint8_t *frame)
{
	uint8_t *ip = frame + 14;
	size_t head = 20, len;

	memset(frame, 0, FRAME_MAX);
	put_mac(frame, s->dmac);
	put_mac(frame + 6, s->smac);
	if (s->arp) {
		put16(frame + 12, 0x0806);
		return 14 + packet_arp(s, ip);
	}
	put16(frame + 12, s->ethertype ? s->ethertype
			  : is_v6(s)   ? 0x86dd
				       : 0x0800);
	if (is_v6(s)) {
		len = 14 + packet_ip6(s, ip);
		if (s->vni)
			len = packet_wrap(s, frame, len);
		return s->cut ? s->cut : len;
	}

	if (s->option) {
		head += 12;
		ip[20] = s->option;
		ip[21] = 11;
		ip[22] = 4;
	}
	len = head + packet_l4(s, ip + head);
	ip[0] = s->version_ihl ? s->version_ihl : (uint8_t)(0x40 | head / 4);
	put16(ip + 2, s->ip_len ? s->ip_len : (uint16_t)len);
	put16(ip + 4, s->id);
	put16(ip + 6, s->frag);
	ip[8] = s->ttl ? (uint8_t)s->ttl : 64;
	ip[9] = s->proto;
	put_ip(ip + 12, s->src);
	put_ip(ip + 16, s->dst);
	put16(ip + 10, sum_fold(sum_bytes(ip, head, 0)));
	packet_l4_check(s, ip, ip + head, len - head);
	len += 14;
	if (s->vni)
		len = packet_wrap(s, frame, len);
	return s->cut ? s->cut : len;
}
