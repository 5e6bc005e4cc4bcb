/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile - what nd-hostile and nd-hostile6 share: whom they know, the mark
 * in each frame, and a table of kinds that is gone through again and again.
 */
#pragma once

#include <time.h>

#include "craft.h"
#include "mark.h"

#define VXLAN_PORT 4789
#define LIST_MAX 8

/* IPv4's addresses, or numbers, and IPv6's. */
struct list {
	const char *name;
	size_t len, len6;
	uint32_t ip[LIST_MAX];
	struct in6_addr ip6[LIST_MAX];
};

enum who { OWN, SAME, FOREIGN, VIP, NODE, STORE, VNI, OTHER, WHO_MAX };

static struct list lists[] = {
	[OWN] = { .name = "own" },	   [SAME] = { .name = "same" },
	[FOREIGN] = { .name = "foreign" }, [VIP] = { .name = "vip" },
	[NODE] = { .name = "node" },	   [STORE] = { .name = "store" },
	[VNI] = { .name = "vni" },	   [OTHER] = { .name = "other" },
};

static uint8_t gate[ETH_ALEN], own_mac[ETH_ALEN];
static unsigned int kind_now;

static inline uint32_t any(enum who who)
{
	const struct list *l = &lists[who];

	if (!l->len)
		errx(2, "%s is missing", l->name);
	return l->ip[craft_draw() % l->len];
}

static inline const struct in6_addr *any6(enum who who)
{
	const struct list *l = &lists[who];

	if (!l->len6)
		errx(2, "%s is missing", l->name);
	return &l->ip6[craft_draw() % l->len6];
}

static inline void mark(struct craft *f)
{
	char text[MARK_LEN + 1];

	snprintf(text, sizeof(text), MARK "%02u", kind_now);
	craft_add(f, text, MARK_LEN);
}

static inline void honest_mark(struct craft *f)
{
	craft_add(f, MARK_HONEST, strlen(MARK_HONEST));
}

static inline uint16_t any_port(void)
{
	static const uint16_t ports[] = { 22, 53, 80, 443, 2379, 7000, 8080 };

	return ports[craft_draw() % (sizeof(ports) / sizeof(*ports))];
}

static inline uint16_t high_port(void)
{
	return (uint16_t)(20000 + craft_draw() % 40000);
}

static inline void eth(struct craft *f, uint16_t type)
{
	craft_eth(f, gate, own_mac, type);
}

static inline void vxlan_head(struct craft *f, uint32_t flags, uint32_t vni,
			      uint16_t type)
{
	craft_add32(f, flags);
	craft_add32(f, vni << 8);
	craft_eth(f, own_mac, own_mac, type);
}

/* An outer packet to a node; vxlan_end() sets its lengths. */
struct outer {
	size_t ip, udp;
};

static inline struct outer vxlan_begin(struct craft *f, uint32_t src,
				       uint32_t flags, uint32_t vni,
				       uint16_t type)
{
	struct outer o;

	eth(f, ETH_P_IP);
	o.ip = craft_ip(f, IPPROTO_UDP, src, any(NODE));
	o.udp = f->len;
	craft_udp(f, high_port(), VXLAN_PORT, 0);
	vxlan_head(f, flags, vni, type);
	return o;
}

static inline void vxlan_end(struct craft *f, const struct outer *o)
{
	uint16_t len = htons((uint16_t)(f->len - o->udp));

	memcpy(f->bytes + o->udp + 4, &len, sizeof(len));
	craft_ip_end(f, o->ip);
}

struct kind {
	void (*make)(struct craft *f);
	const char *reason;
};

#define HONEST "honest"
/* Dropped, for one of several reasons. */
#define ANY_REASON "any"
/* By the kernel, before netd. */
#define UNCOUNTED "uncounted"

static inline void list_add(struct list *l, enum who who, const char *value)
{
	if (l->len == LIST_MAX || l->len6 == LIST_MAX)
		errx(2, "too many of %s", l->name);
	if (who == VNI || who == OTHER)
		l->ip[l->len++] = (uint32_t)strtoul(value, NULL, 0);
	else if (!strchr(value, ':'))
		l->ip[l->len++] = craft_parse_ip(value);
	else if (inet_pton(AF_INET6, value, &l->ip6[l->len6++]) != 1)
		errx(2, "%s is no address", value);
}

static inline void take_word(const char *word)
{
	const char *value = strchr(word, '=');
	size_t len = value ? (size_t)(value - word) : 0;

	if (value && len == 4 && !strncmp(word, "gate", len)) {
		craft_parse_mac(value + 1, gate);
		return;
	}
	for (enum who i = 0; value && i < WHO_MAX; i++) {
		if (strlen(lists[i].name) == len &&
		    !strncmp(lists[i].name, word, len)) {
			list_add(&lists[i], i, value + 1);
			return;
		}
	}
	errx(2, "what is %s?", word);
}

/* What was sent, by reason, each reason once. */
static inline void report(const struct kind *kinds, const unsigned long *sent)
{
	for (size_t i = 0; kinds[i].make; i++) {
		unsigned long sum = 0;
		bool told = false;

		for (size_t j = 0; kinds[j].make; j++) {
			if (strcmp(kinds[i].reason, kinds[j].reason))
				continue;
			told |= j < i;
			sum += sent[j];
		}
		if (!told)
			printf("%s %lu\n", kinds[i].reason, sum);
	}
}

static inline void send_all(const struct kind *kinds, const char *ifname,
			    unsigned long count)
{
	static struct craft_link link;
	unsigned long sent[32] = { 0 };
	unsigned int len = 0;

	craft_open(&link, ifname);
	memcpy(own_mac, link.mac, sizeof(own_mac));
	while (kinds[len].make)
		len++;
	for (unsigned long i = 0; i < count; i++) {
		kind_now = (unsigned int)(i % len);
		kinds[kind_now].make(craft_next(&link));
		sent[kind_now]++;
	}
	craft_flush(&link);
	report(kinds, sent);
}

struct sender {
	const char *name;
	const struct kind *kinds;
};

/* `SENDER IF COUNT WHO=ADDR..` */
static inline int hostile_run(const struct sender *senders, int argc,
			      char **argv)
{
	const char *again = getenv("NETD_SEED");

	if (argc < 5)
		errx(2, "usage: %s SENDER IF COUNT WHO=ADDR..", argv[0]);
	craft_seed = again ? strtoull(again, NULL, 10) : (uint64_t)time(NULL);
	craft_seed += !craft_seed;
	fprintf(stderr, "seed %llu\n", (unsigned long long)craft_seed);
	for (int i = 4; i < argc; i++)
		take_word(argv[i]);
	for (; senders->name; senders++) {
		if (strcmp(argv[1], senders->name) != 0)
			continue;
		send_all(senders->kinds, argv[2], strtoul(argv[3], NULL, 10));
		return 0;
	}
	errx(2, "no sender %s", argv[1]);
}
