/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-flood - TCP from clients that do not exist.
 *
 *   nd-flood IF MAC DST PORT COUNT EACH [SRC]
 *
 * COUNT clients with random addresses (with SRC: one address, its ports in
 * turn) send EACH packets to DST by way of MAC: a SYN, then as if the answer
 * had come an ACK, then data. Prints how many frames there were.
 */
#include <netinet/tcp.h>
#include <time.h>

#include "craft.h"

#define FIRST_PORT 1024

static const uint8_t flags[] = { TH_SYN, TH_ACK, TH_ACK | TH_PUSH };

struct client {
	uint32_t addr, seq;
	uint16_t port;
};

static struct client client_at(uint32_t i, uint32_t addr)
{
	return (struct client){
		/* 8.0.0.0/8, and no network's first address or last. */
		.addr = addr ? addr
			     : htonl(0x08000000 |
				     (craft_draw() % 0xfffffd + 1)),
		.seq = craft_draw(),
		.port = (uint16_t)(FIRST_PORT + (addr ? i : craft_draw()) %
							(65536 - FIRST_PORT)),
	};
}

int main(int argc, char **argv)
{
	static struct craft_link link;
	uint32_t dst, own, count;
	uint8_t mac[ETH_ALEN];
	size_t each;

	if (argc < 7 || argc > 8)
		errx(2, "usage: nd-flood IF MAC DST PORT COUNT EACH [SRC]");
	craft_open(&link, argv[1]);
	craft_parse_mac(argv[2], mac);
	dst = craft_parse_ip(argv[3]);
	count = (uint32_t)strtoul(argv[5], NULL, 10);
	each = strtoul(argv[6], NULL, 10);
	own = argc == 8 ? craft_parse_ip(argv[7]) : 0;
	if (each > sizeof(flags))
		errx(2, "at most %zu packets each", sizeof(flags));
	craft_seed = (uint64_t)time(NULL);
	for (uint32_t i = 0; i < count; i++) {
		struct client c = client_at(i, own);

		for (size_t k = 0; k < each; k++) {
			struct craft *f = craft_next(&link);
			size_t ip;

			craft_eth(f, mac, link.mac, ETH_P_IP);
			ip = craft_ip(f, IPPROTO_TCP, c.addr, dst);
			craft_tcp(f, ip, c.port, (uint16_t)atoi(argv[4]),
				  c.seq + (k > 0), k ? craft_draw() : 0,
				  flags[k]);
		}
	}
	craft_flush(&link);
	printf("%u frames\n", count * (uint32_t)each);
	return 0;
}
