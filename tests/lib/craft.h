/* SPDX-License-Identifier: Apache-2.0 */
/*
 * craft - frames that no stack would send, by the thousand: put together by
 * hand and put on an interface in batches.
 */
#pragma once

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define CRAFT_MAX 512
#define CRAFT_BATCH 64

struct craft {
	size_t len;
	uint8_t bytes[CRAFT_MAX];
};

/* An interface, and what waits for it. */
struct craft_link {
	int fd;
	uint8_t mac[ETH_ALEN];
	size_t len;
	struct craft batch[CRAFT_BATCH];
};

static uint64_t craft_seed = 1;

/* xorshift64*: the same everywhere for one seed. */
static inline uint32_t craft_draw(void)
{
	craft_seed ^= craft_seed >> 12;
	craft_seed ^= craft_seed << 25;
	craft_seed ^= craft_seed >> 27;
	return (uint32_t)((craft_seed * UINT64_C(2685821657736338717)) >> 32);
}

static inline void craft_add(struct craft *f, const void *bytes, size_t len)
{
	if (f->len + len > sizeof(f->bytes))
		errx(1, "frame too long");
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static inline void craft_add8(struct craft *f, uint8_t value)
{
	craft_add(f, &value, 1);
}

static inline void craft_add16(struct craft *f, uint16_t value)
{
	value = htons(value);
	craft_add(f, &value, sizeof(value));
}

static inline void craft_add32(struct craft *f, uint32_t value)
{
	value = htonl(value);
	craft_add(f, &value, sizeof(value));
}

static inline void craft_random(struct craft *f, size_t len)
{
	while (len--)
		craft_add8(f, (uint8_t)craft_draw());
}

static inline void craft_eth(struct craft *f, const uint8_t *dst,
			     const uint8_t *src, uint16_t type)
{
	craft_add(f, dst, ETH_ALEN);
	craft_add(f, src, ETH_ALEN);
	craft_add16(f, type);
}

/* RFC 1071, over bytes in network order. */
static inline uint16_t craft_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Returns where the header is: craft_ip_end() sets length and checksum. */
static inline size_t craft_ip(struct craft *f, uint8_t proto, uint32_t src,
			      uint32_t dst)
{
	const struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.id = (uint16_t)craft_draw(),
		.ttl = 64,
		.protocol = proto,
		.saddr = src,
		.daddr = dst,
	};
	size_t at = f->len;

	craft_add(f, &ip, sizeof(ip));
	return at;
}

static inline void craft_ip_sum(struct craft *f, size_t at)
{
	struct iphdr ip;

	memcpy(&ip, f->bytes + at, sizeof(ip));
	ip.check = 0;
	ip.check = craft_sum((const uint8_t *)&ip, sizeof(ip), 0);
	memcpy(f->bytes + at, &ip, sizeof(ip));
}

static inline void craft_ip_end(struct craft *f, size_t at)
{
	uint16_t len = htons((uint16_t)(f->len - at));

	memcpy(f->bytes + at + offsetof(struct iphdr, tot_len), &len,
	       sizeof(len));
	craft_ip_sum(f, at);
}

/* The same of IPv6: craft_ip6_end() sets the length. */
static inline size_t craft_ip6(struct craft *f, uint8_t next,
			       const struct in6_addr *src,
			       const struct in6_addr *dst)
{
	size_t at = f->len;

	craft_add32(f, 0x60000000);
	craft_add16(f, 0);
	craft_add8(f, next);
	craft_add8(f, 255);
	craft_add(f, src, sizeof(*src));
	craft_add(f, dst, sizeof(*dst));
	return at;
}

static inline void craft_ip6_end(struct craft *f, size_t at)
{
	uint16_t len = htons((uint16_t)(f->len - at - 40));

	memcpy(f->bytes + at + 4, &len, sizeof(len));
}

/* The checksum `field` bytes into the payload at `l4`, which ends the frame. */
static inline void craft_ip6_sum(struct craft *f, size_t at, size_t l4,
				 uint8_t proto, size_t field)
{
	uint32_t len = (uint32_t)(f->len - l4), words = proto + len;
	uint16_t sum;

	for (size_t i = at + 8; i < at + 40; i++)
		words += (uint32_t)f->bytes[i] << (i % 2 == at % 2 ? 8 : 0);
	sum = craft_sum(f->bytes + l4, len, words);
	memcpy(f->bytes + l4 + field, &sum, sizeof(sum));
}

/* No checksum: 0 says so, and is right on IPv4 (RFC 768). */
static inline void craft_udp(struct craft *f, uint16_t sport, uint16_t dport,
			     size_t payload)
{
	craft_add16(f, sport);
	craft_add16(f, dport);
	craft_add16(f, (uint16_t)(sizeof(struct udphdr) + payload));
	craft_add16(f, 0);
}

/* A segment without options or data that ends the packet at `ip`. */
static inline void craft_tcp(struct craft *f, size_t ip, uint16_t sport,
			     uint16_t dport, uint32_t seq, uint32_t ack,
			     uint8_t flags)
{
	size_t at = f->len;
	uint16_t sum;

	craft_add16(f, sport);
	craft_add16(f, dport);
	craft_add32(f, seq);
	craft_add32(f, ack);
	craft_add8(f, 5 << 4);
	craft_add8(f, flags);
	craft_add16(f, 65535);
	craft_add32(f, 0);
	craft_ip_end(f, ip);
	/* The pseudo header: both addresses, protocol, length. */
	sum = craft_sum(f->bytes + ip + 12, 8 + f->len - at,
			IPPROTO_TCP + (uint32_t)(f->len - at));
	memcpy(f->bytes + at + 16, &sum, sizeof(sum));
}

static inline void craft_open(struct craft_link *link, const char *ifname)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct ifreq ifr = { 0 };
	int bytes = 4 << 20;

	link->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	to.sll_ifindex = (int)if_nametoindex(ifname);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (link->fd < 0 ||
	    bind(link->fd, (struct sockaddr *)&to, sizeof(to)) ||
	    ioctl(link->fd, SIOCGIFHWADDR, &ifr))
		err(1, "%s", ifname);
	setsockopt(link->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	memcpy(link->mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
}

static inline void craft_flush(struct craft_link *link)
{
	struct mmsghdr msgs[CRAFT_BATCH] = { 0 };
	struct iovec iov[CRAFT_BATCH];
	size_t sent = 0;

	for (size_t i = 0; i < link->len; i++) {
		iov[i] = (struct iovec){ link->batch[i].bytes,
					 link->batch[i].len };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	while (sent < link->len) {
		int n = sendmmsg(link->fd, msgs + sent,
				 (unsigned int)(link->len - sent), 0);

		if (n > 0)
			sent += (size_t)n;
		else if (errno == ENOBUFS || errno == EAGAIN)
			poll(NULL, 0, 1);
		else
			err(1, "send");
	}
	link->len = 0;
}

/* An empty frame that is sent with the next batch. */
static inline struct craft *craft_next(struct craft_link *link)
{
	struct craft *f;

	if (link->len == CRAFT_BATCH)
		craft_flush(link);
	f = &link->batch[link->len++];
	f->len = 0;
	return f;
}

static inline void craft_parse_mac(const char *text, uint8_t mac[ETH_ALEN])
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1],
		   &mac[2], &mac[3], &mac[4], &mac[5]) != ETH_ALEN)
		errx(2, "%s is no MAC", text);
}

static inline uint32_t craft_parse_ip(const char *text)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1)
		errx(2, "%s is no address", text);
	return addr.s_addr;
}
