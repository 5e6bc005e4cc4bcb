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
	/* 0: IPv4. */
	uint16_t ethertype;
	uint8_t proto;
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
	uint8_t ttl;
	/* Bytes of payload; quoted: those of this frame's IP packet. */
	uint16_t payload;
	const struct spec *quote;
	/* Bytes quoted, 0: 28. */
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
	/* 0: 0x45. */
	uint8_t version_ihl;
	/* What the IP header says, 0: what is true. */
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

static inline void put_mac(uint8_t *p, const char *text)
{
	struct mac_addr m = { 0 };

	if (text)
		mac_parse(text, &m);
	memcpy(p, m.b, 6);
}

static inline size_t packet_build(const struct spec *s, uint8_t *frame);

/* The L4 header and payload at p; returns their length. */
static inline size_t packet_l4(const struct spec *s, uint8_t *p)
{
	size_t head = s->proto == TCP	 ? 20u + (s->mss ? 8 : 0)
		      : s->proto == UDP	 ? 8
		      : s->proto == ICMP ? 8
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
		p[12] = (uint8_t)(head / 4 << 4);
		p[13] = (uint8_t)s->flags;
		put16(p + 14, s->flags & RST ? 0 : 512);
		if (s->mss) {
			memset(p + 20, 1, 8);
			put16(p + 20 + s->mss_at, 0x0204);
			put16(p + 22 + s->mss_at, s->mss);
		}
	} else if (s->proto == UDP) {
		put16(p + 4, (uint16_t)len);
	} else if (s->proto == ICMP) {
		put16(p, s->flags);
		if (s->quote) {
			uint8_t quoted[FRAME_MAX];

			size_t n = s->quote_len ? s->quote_len : 28;

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

	if ((s->proto != TCP && s->proto != UDP && s->proto != ICMP) ||
	    s->no_check || s->frag & 0x1fff)
		return;
	if (s->proto != ICMP)
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
	put16(vxlan + 20, s->inner_type ? s->inner_type : 0x0800);
	return len + TUNNEL_LEN;
}

/* Of a packet in VXLAN, what differs each time: right, then as in wrap. */
static inline bool packet_settle(uint8_t *frame)
{
	uint8_t *ip = frame + 14, *udp = ip + 20;
	unsigned int sport = (unsigned int)(udp[0] << 8 | udp[1]);

	if (sum_fold(sum_bytes(ip, 20, 0)) || sport < 32768 || sport > 60999)
		return false;
	memset(ip + 4, 0, 2);
	memset(ip + 10, 0, 2);
	memset(udp, 0, 2);
	put16(ip + 10, sum_fold(sum_bytes(ip, 20, 0)));
	return true;
}

/* The frame of a specification; returns its length. */
static inline size_t packet_build(const struct spec *s, uint8_t *frame)
{
	uint8_t *ip = frame + 14;
	size_t len;

	memset(frame, 0, FRAME_MAX);
	put_mac(frame, s->dmac);
	put_mac(frame + 6, s->smac);
	if (s->arp) {
		put16(frame + 12, 0x0806);
		return 14 + packet_arp(s, ip);
	}
	put16(frame + 12, s->ethertype ? s->ethertype : 0x0800);

	len = 20 + packet_l4(s, ip + 20);
	ip[0] = s->version_ihl ? s->version_ihl : 0x45;
	put16(ip + 2, s->ip_len ? s->ip_len : (uint16_t)len);
	put16(ip + 4, s->id);
	put16(ip + 6, s->frag);
	ip[8] = s->ttl ? s->ttl : 64;
	ip[9] = s->proto;
	put_ip(ip + 12, s->src);
	put_ip(ip + 16, s->dst);
	put16(ip + 10, sum_fold(sum_bytes(ip, 20, 0)));
	packet_l4_check(s, ip, ip + 20, len - 20);
	len += 14;
	if (s->vni)
		len = packet_wrap(s, frame, len);
	return s->cut ? s->cut : len;
}
