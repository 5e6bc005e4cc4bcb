/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-frame - puts one crafted Ethernet frame on an interface.
 *
 *   nd-frame IF SMAC DMAC udp SRC DST SPORT DPORT
 *   nd-frame IF SMAC DMAC arp SENDER TARGET
 *   nd-frame IF SMAC DMAC raw ETHERTYPE HEX
 *
 * A MAC of `-` is the interface's own for SMAC, broadcast for DMAC. What the
 * kernel would never send by itself (a foreign source, a strange ethertype)
 * goes out as it stands here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX 1500

struct frame {
	size_t len;
	unsigned char bytes[FRAME_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "nd-frame: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void add(struct frame *f, const void *bytes, size_t len)
{
	if (f->len + len > sizeof(f->bytes))
		die("too long");
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static void parse_mac(const char *text, const unsigned char *other,
		      unsigned char mac[ETH_ALEN])
{
	if (!strcmp(text, "-"))
		memcpy(mac, other, ETH_ALEN);
	else if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1],
			&mac[2], &mac[3], &mac[4], &mac[5]) != ETH_ALEN)
		die(text);
}

static uint32_t parse_ip(const char *text)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1)
		die(text);
	return addr.s_addr;
}

static uint16_t ip_sum(const void *bytes, size_t len)
{
	const unsigned char *b = bytes;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void add_type(struct frame *f, uint16_t type)
{
	type = htons(type);
	add(f, &type, sizeof(type));
}

/* No UDP checksum: 0 says so, and is right on IPv4 (RFC 768). */
static void make_udp(struct frame *f, char **arg)
{
	static const char payload[] = "crafted\n";
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.saddr = parse_ip(arg[0]),
		.daddr = parse_ip(arg[1]),
	};
	struct udphdr udp = {
		.source = htons((uint16_t)atoi(arg[2])),
		.dest = htons((uint16_t)atoi(arg[3])),
		.len = htons(sizeof(udp) + sizeof(payload) - 1),
	};

	ip.tot_len = htons(sizeof(ip) + sizeof(udp) + sizeof(payload) - 1);
	ip.check = ip_sum(&ip, sizeof(ip));
	add_type(f, ETH_P_IP);
	add(f, &ip, sizeof(ip));
	add(f, &udp, sizeof(udp));
	add(f, payload, sizeof(payload) - 1);
}

static void make_arp(struct frame *f, char **arg)
{
	struct ether_arp arp = {
		.arp_hrd = htons(ARPHRD_ETHER),
		.arp_pro = htons(ETH_P_IP),
		.arp_hln = ETH_ALEN,
		.arp_pln = 4,
		.arp_op = htons(ARPOP_REQUEST),
	};
	uint32_t sender = parse_ip(arg[0]), wanted = parse_ip(arg[1]);

	memcpy(arp.arp_sha, f->bytes + ETH_ALEN, ETH_ALEN);
	memcpy(arp.arp_spa, &sender, sizeof(sender));
	memcpy(arp.arp_tpa, &wanted, sizeof(wanted));
	add_type(f, ETH_P_ARP);
	add(f, &arp, sizeof(arp));
}

static void make_raw(struct frame *f, char **arg)
{
	const char *hex = arg[1];
	unsigned int byte;

	add_type(f, (uint16_t)strtoul(arg[0], NULL, 16));
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
		unsigned char b = (unsigned char)byte;

		add(f, &b, 1);
		if (!hex[1])
			break;
	}
}

static const struct form {
	const char *name;
	int args;
	void (*make)(struct frame *f, char **arg);
} forms[] = {
	{ "udp", 4, make_udp },
	{ "arp", 2, make_arp },
	{ "raw", 2, make_raw },
};

static void send_frame(const char *ifname, char **arg, const struct form *form)
{
	static const unsigned char broadcast[] = { 0xff, 0xff, 0xff,
						   0xff, 0xff, 0xff };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	unsigned char own[ETH_ALEN], mac[ETH_ALEN];
	struct frame f = { 0 };
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr))
		die(ifname);
	memcpy(own, ifr.ifr_hwaddr.sa_data, sizeof(own));
	to.sll_ifindex = (int)if_nametoindex(ifname);
	parse_mac(arg[1], broadcast, mac);
	add(&f, mac, sizeof(mac));
	parse_mac(arg[0], own, mac);
	add(&f, mac, sizeof(mac));
	form->make(&f, arg + 3);
	if (sendto(fd, f.bytes, f.len, 0, (struct sockaddr *)&to, sizeof(to)) <
	    0)
		die("send");
	close(fd);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 4 && i < sizeof(forms) / sizeof(*forms); i++)
		if (!strcmp(forms[i].name, argv[4]) &&
		    argc == 5 + forms[i].args) {
			send_frame(argv[1], argv + 2, &forms[i]);
			return 0;
		}
	fputs("usage: nd-frame IF SMAC DMAC udp|arp|raw ARG..\n", stderr);
	return 2;
}
